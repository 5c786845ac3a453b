"""Commands on stored sources, uploads and jobs: each a process of its own, no model needed to queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from governance.jobs import find_job, run_job
from governance.settings import Settings
from governance.store import Store
from ui.cli_jobs import say_seconds, say_times


class Command:
    """Runs `provenant` in one home without models."""

    def __init__(self, home: Path) -> None:
        self.environment = {**os.environ, "PROVENANT_HOME": str(home), "PROVENANT_MODELS": str(home / "none")}

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from ui.cli import main; main()", *arguments]
        ran = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        assert ran.returncode == code, (arguments, ran.returncode, ran.stdout, ran.stderr)
        assert "Traceback" not in ran.stderr
        return ran

    def json(self, *arguments: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self(*arguments, "--json").stdout)
        return value


@pytest.fixture
def provenant(home: Path) -> Command:
    return Command(home)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "share"
    root.mkdir()
    (root / "travel.md").write_text("# Travel\n\nHotels cost at most 120 dollars a night.\n")
    return root


def test_source_is_added_listed_run_and_removed(
    provenant: Command, folder: Path, settings: Settings, store: Store
) -> None:
    added = provenant.json("sources", "add", str(folder), "-c", "c", "--every", "15m", "--label", "hr")
    assert (added["path"], added["schedule"], added["labels"]) == (str(folder), "every 15m", ["hr"])
    told = provenant("sources", "run", added["source"])
    assert "queued as j-" in told.stdout
    assert "no worker runs in this home" in told.stderr
    job = provenant.json("sources", "run", str(folder))["job"]
    assert find_job(store, job).parameters["labels"] == ["hr"]
    listed = provenant("sources", "list").stdout
    assert f"{added['source']}  c  every 15m, labels hr  {folder}" in listed
    assert f"queued {job}" in listed
    assert "its documents stay in c" in provenant("sources", "remove", added["source"]).stdout
    assert provenant.json("sources", "list") == {"sources": []}
    assert find_job(store, job).status == "cancelled"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sources", "add", "missing", "-c", "c"), "not a folder"),
        (("sources", "add", "{folder}", "-c", "c", "--watch", "--every", "1h"), "give one of"),
        (("sources", "add", "{folder}", "-c", "c", "--at", "noon"), "06:00"),
        (("sources", "add", "{home}", "-c", "c", "--watch"), "must lie apart"),
        (("sources", "run", "s-none"), "no source s-none"),
        (("uploads", "add", "missing.md", "-c", "c"), "no file missing.md"),
        (("uploads", "remove", "x.md", "-c", "c"), "no uploaded file 'x.md'"),
        (("jobs", "show", "j-none"), "no job j-none"),
    ],
)
def test_wrong_words_are_answered_with_a_sentence(
    provenant: Command, folder: Path, home: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    places = {"{folder}": str(folder), "{home}": str(home)}
    assert sentence in provenant(*(places.get(word, word) for word in arguments), code=2).stderr


def test_upload_is_kept_and_its_job_is_shown(
    provenant: Command, folder: Path, home: Path, settings: Settings, store: Store
) -> None:
    value = provenant.json("uploads", "add", str(folder / "travel.md"), "-c", "c")
    assert [file["name"] for file in value["files"]] == ["travel.md"]
    run_job(store, value["job"], {"ingest": lambda _, __: {"counts": {"added": 1}, "lines": ["1 chunk added"]}})
    shown = provenant("jobs", "show", value["job"]).stdout
    assert "done  100%" in shown
    assert "0 s" in shown
    assert "1 added" in shown
    assert "1 chunk added" in shown
    assert provenant.json("jobs", "show", value["job"])["elapsed_seconds"] >= 0
    assert "travel.md" in provenant("uploads", "list", "-c", "c").stdout
    assert provenant.json("uploads", "remove", "travel.md", "-c", "c")["status"] == "queued"
    assert provenant.json("uploads", "list", "-c", "c") == {"files": []}
    source = provenant.json("sources", "list")["sources"][0]["source"]
    assert "provenant uploads remove" in provenant("sources", "remove", source, code=2).stderr


def test_times_read_well() -> None:
    assert [say_seconds(one) for one in (0.4, 59, 61, 7322)] == ["0 s", "59 s", "1 min 1 s", "2 h 2 min"]
    assert say_times({"elapsed_seconds": 30.0, "remaining_seconds": 90.0}) == "30 s, about 1 min 30 s left"
    assert say_times({"elapsed_seconds": 30.0, "remaining_seconds": None}) == "30 s"
