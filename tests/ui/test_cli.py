"""The command line: the JSON contract, sentences on stderr, exit codes. Each command is a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.models

TRAVEL = "# Travel\n\nHotel rooms cost at most 120 dollars a night. Receipts must be kept for six years.\n"


class Command:
    """Runs `provenant` in one home."""

    def __init__(self, home: Path, models: Path) -> None:
        self.environment = {**os.environ, "PROVENANT_HOME": str(home), "PROVENANT_MODELS": str(models)}

    def __call__(self, *arguments: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from ui.cli import main; main()", *arguments]
        ran = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, input=stdin, check=False, timeout=300
        )
        assert ran.returncode == code, (arguments, ran.returncode, ran.stdout, ran.stderr)
        assert "Traceback" not in ran.stderr
        return ran

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self(*arguments, "--json", code=code).stdout)
        return value


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    (root / "travel.md").write_text(TRAVEL)
    (root / "goods.csv").write_text("id,title,price_eur\nA1,USB cable black,5\nA2,Network hub,20\n")
    return root


@pytest.fixture(scope="module")
def provenant(tmp_path_factory: pytest.TempPathFactory, models_root: Path, corpus: Path) -> Command:
    command = Command(tmp_path_factory.mktemp("home"), models_root)
    command("ingest", str(corpus), "--collection", "c")
    return command


def test_ingest_accounts_for_every_file_and_changes_nothing_twice(provenant: Command, corpus: Path) -> None:
    value = provenant.json("ingest", str(corpus), "--collection", "c")
    assert {one["document"]: one["status"] for one in value["documents"]} == {
        "travel.md": "unchanged",
        "goods.csv": "unchanged",
    }
    assert value["counts"]["unchanged"] == 2
    assert value["points"] >= 3


def test_ask_answers_with_the_contract_and_its_trace_is_there(provenant: Command) -> None:
    answer = provenant.json("ask", "How much do hotel rooms cost at most a night?", "--collection", "c")
    assert "120 dollars" in answer["answer"]
    cited = answer["citations"][0]
    text = provenant("documents", "text", "travel.md", "--collection", "c").stdout
    assert text[cited["char_start"] : cited["char_end"]] == cited["quote"]
    shown = provenant("trace", "show", answer["trace_id"]).stdout
    assert answer["release_id"] in shown
    assert provenant.json("trace", "replay", answer["trace_id"])["identical"] is True


def test_abstention_exits_with_zero_and_names_the_nearest(provenant: Command) -> None:
    ran = provenant("ask", "Who won the football World Cup in Qatar?", "--collection", "c")
    assert ran.stdout.startswith("Not in the documents.")
    assert "Nearest passages:" in ran.stdout


def test_search_prints_passages(provenant: Command) -> None:
    value = provenant.json("search", "price of the hub", "--collection", "c", "--top-k", "2")
    assert value["passages"][0]["clause"] == "A2"
    value = provenant.json("search", "cable", "--collection", "c", "--filter", "price_eur>10")
    assert {passage["clause"] for passage in value["passages"]} == {"A2"}


def test_an_older_generation_is_switched_to_and_back(provenant: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Parking costs 9 dollars a day.")
    first = provenant.json("ingest", str(tmp_path), "--collection", "switched")
    (tmp_path / "a.txt").write_text("Parking costs 12 dollars a day.")
    second = provenant.json("ingest", str(tmp_path), "--collection", "switched")
    for report, price in ((first, "9"), (second, "12")):
        provenant("index", "switch", report["generation"])
        found = provenant.json("search", "parking price", "--collection", "switched")["passages"]
        assert found[0]["text"] == f"Parking costs {price} dollars a day."
    provenant("index", "switch", "switched-none", code=2)
    told = provenant("documents", "diff", "a.txt", "--collection", "switched").stdout
    assert "[-9-] {+12+}" in told
    value = provenant.json("documents", "diff", "a.txt", "--collection", "switched")
    assert value["counts"] == {"changed": 1, "added": 0, "removed": 0, "moved": 0, "unchanged": 0}


def test_lists_and_releases_read_well(provenant: Command) -> None:
    assert "travel.md" in provenant("documents", "list", "--collection", "c").stdout
    assert "in force from the beginning" in provenant("documents", "show", "travel.md", "--collection", "c").stdout
    assert "* c-" in provenant("index", "list").stdout
    live = provenant.json("release", "show")
    assert live["answering"]["base_model"]["quantization"] == "nf4-dq"
    assert live["release_id"] in provenant("release", "list").stdout
    assert "owner" in provenant("users", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("ask", "", "--collection", "c"), 2, "empty"),
        (("ask", "x" * 100_000, "--collection", "c"), 2, "100,000 characters"),
        (("ask", "Who pays?", "--collection", "none"), 2, "no collection 'none'; there is c"),
        (("ask", "Who pays?", "--collection", "c", "--as", "nobody"), 3, "no user 'nobody'"),
        (("ask", "Who pays?", "--collection", "c", "--as-of", "soon"), 2, "not a date"),
        (("ask", "Who pays?", "--collection", "c", "--release", "r-1"), 2, "no release r-1"),
        (("search", "x", "--collection", "c", "--filter", "price"), 2, "no comparison"),
        (("ingest", "/nowhere/at/all", "--collection", "c"), 2, "no file or folder"),
        (("ingest", "/nowhere", "--collection", "a/b"), 2, "collection name"),
        (("documents", "list", "--collection", "none"), 2, "no collection"),
        (("documents", "text", "none.pdf", "--collection", "c"), 2, "no document"),
        (("documents", "diff", "travel.md", "--collection", "c"), 2, "has one version only"),
        (("trace", "show", "t-none"), 2, "no trace"),
        (("jobs", "show", "j-none"), 2, "no job"),
        (("models", "pull", "gpt-nine"), 2, "gpt-nine"),
    ],
)
def test_errors_are_one_sentence(provenant: Command, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    ran = provenant(*arguments, code=code)
    assert sentence in ran.stderr
    assert ran.stderr.strip().split("\n")[-1].startswith("provenant: ")
    assert ran.stdout == ""


def test_a_folder_that_is_partly_bad_exits_with_four(provenant: Command, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("Parking costs 9 dollars a day.")
    (tmp_path / "bad.pdf").write_text("<html>not a PDF</html>")
    ran = provenant("ingest", str(tmp_path), "--collection", "partly", code=4)
    assert "refused: bad.pdf" in ran.stderr
    assert "1 of 2 files were not ingested" in ran.stderr
    (tmp_path / "good.txt").unlink()
    provenant("ingest", str(tmp_path), "--collection", "bad", code=2)


def test_question_comes_from_standard_input(provenant: Command) -> None:
    ran = provenant("ask", "-", "--collection", "c", stdin="How much do hotel rooms cost at most a night?\n")
    assert "120 dollars" in ran.stdout


def test_everything_works_with_no_network_at_all(provenant: Command) -> None:
    """The process may not open any connection: the socket module is taken away before anything is imported."""
    script = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('a connection was tried')\n"
        "socket.socket.connect = refuse\nsocket.getaddrinfo = refuse\n"
        "sys.argv = ['provenant', 'ask', 'How much do hotel rooms cost at most a night?', '-c', 'c', '--json']\n"
        "from ui.cli import main\nmain()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], env=provenant.environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "120 dollars" in json.loads(ran.stdout)["answer"]
