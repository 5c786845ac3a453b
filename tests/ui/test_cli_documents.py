"""Moves, withdrawals and versions on the command line, with the packaged models. Each command is a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ui.test_cli import Command

pytestmark = pytest.mark.models

POLICY = """# Expense policy

## 1 Lodging

Hotel rooms cost at most {limit} dollars a night. Receipts must be kept for six years.

## 2 Meals

Meals are paid up to {meals} dollars a day.
{more}"""
OLD = POLICY.format(limit=120, meals=40, more="")
NEW = POLICY.format(limit=150, meals=40, more="\n## 3 Trains\n\nTrains are taken second class.\n")
QUESTION = "How much may a hotel room cost a night?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("policies")
    (root / "expenses.md").write_text(OLD)
    (root / "parking.md").write_text("# Parking\n\nEverybody may park behind the house until eight in the evening.\n")
    return root


@pytest.fixture(scope="module")
def provenant(tmp_path_factory: pytest.TempPathFactory, models_root: Path, folder: Path) -> Command:
    """A home with two versions of a policy, in force since 2024 and since 2025."""
    command = Command(tmp_path_factory.mktemp("home"), models_root)
    command("ingest", str(folder), "-c", "p", "--effective", "2024-01-01")
    (folder / "expenses.md").write_text(NEW)
    command("ingest", str(folder / "."), "-c", "p", "--effective", "2025-01-01")
    return command


def digests(provenant: Command) -> list[str]:
    return [one["digest"] for one in provenant.json("documents", "show", "expenses.md", "-c", "p")["versions"]]


def ask(provenant: Command, *options: str) -> dict[str, Any]:
    return provenant.json("ask", QUESTION, "-c", "p", *options)


def test_as_of_answers_differ_and_citations_stay_on_their_version(provenant: Command) -> None:
    old, new = digests(provenant)
    for options, amount, other, version in (
        (("--as-of", "2024-06-30"), "120", "150", old),
        (("--as-of", "2024-12-31"), "120", "150", old),
        (("--as-of", "2025-01-01"), "150", "120", new),
        ((), "150", "120", new),
    ):
        answer = ask(provenant, *options)
        assert not answer["abstained"], options
        said = answer["answer"].split("\n")[0]  # another line tells what the earlier version said
        assert f"{amount} dollars" in said, options
        assert f"{other} dollars" not in said, options
        for one in answer["citations"]:
            assert one["version"] == (version if f"{amount} dollars" in one["quote"] else old), options
            text = provenant("documents", "text", "expenses.md", "-c", "p", "--version", one["version"]).stdout
            assert text[one["char_start"] : one["char_end"]] == one["quote"], options
        found = provenant.json("search", QUESTION, "-c", "p", *options)["passages"]
        assert {one["version"] for one in found if one["document"] == "expenses.md"} == {version}, options
    assert ask(provenant, "--as-of", "2023-06-30")["abstained"]


def test_a_diff_tells_what_changed_between_the_versions(provenant: Command) -> None:
    value = provenant.json("documents", "diff", "expenses.md", "-c", "p")
    assert (value["before"], value["after"]) == tuple(digests(provenant))
    assert value["counts"]["changed"] == 1
    assert value["counts"]["added"] == 1
    assert value["counts"]["removed"] == 0
    told = provenant("documents", "diff", "expenses.md", "-c", "p").stdout
    assert "120" in told
    assert "150" in told


def test_a_moved_policy_keeps_both_versions_and_is_withdrawn_under_either_name(
    provenant: Command, folder: Path
) -> None:
    asked = ask(provenant)
    (folder / "expenses.md").rename(folder / "costs.md")
    value = provenant.json("ingest", str(folder), "-c", "p")
    moved = next(one for one in value["documents"] if one["document"] == "costs.md")
    assert (moved["status"], moved["was"]) == ("moved", "expenses.md")
    assert value["counts"]["moved"] == 1
    assert value["counts"]["removed"] == 0
    shown = provenant.json("documents", "show", "costs.md", "-c", "p")
    assert shown["former_names"] == ["expenses.md"]
    assert [one["effective_from"] for one in shown["versions"]] == ["2024-01-01", "2025-01-01"]
    assert "was expenses.md" in provenant("documents", "show", "costs.md", "-c", "p").stdout
    assert "120 dollars" in ask(provenant, "--as-of", "2024-06-30")["answer"]
    done = provenant.json("documents", "withdraw", "expenses.md", "-c", "p")
    assert done["document"] == "costs.md"
    assert {asked["release_id"], value["release_id"]} <= set(done["releases_that_held_it"])
    assert done["release_id"] not in done["releases_that_held_it"]
    assert done["releases_trained_on_it"] == []
    for generation in provenant.json("index", "list")["generations"]:
        provenant("index", "switch", generation["generation"])
        for options in ((), ("--as-of", "2024-06-30")):
            assert "dollars" not in str(provenant.json("search", QUESTION, "-c", "p", *options)), generation
            answer = ask(provenant, *options)
            assert answer["abstained"], generation
            assert "dollars a night" not in str(answer), generation
        found = provenant.json("clauses", "find", "hotel rooms", "-c", "p")
        assert "Hotel rooms" not in str(found), generation
    again = provenant.json("ingest", str(folder), "-c", "p")
    assert {one["document"]: one["status"] for one in again["documents"]} == {
        "costs.md": "unchanged",
        "parking.md": "unchanged",
    }
    assert "allowed again" in provenant("documents", "withdraw", "costs.md", "-c", "p", "--undo").stdout
    provenant("ingest", str(folder), "-c", "p")
    assert "150 dollars" in ask(provenant)["answer"]
