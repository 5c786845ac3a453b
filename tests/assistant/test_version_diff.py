"""Two versions of a document, Clause by Clause: what changed is told once, with its words."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from assistant.clause_diff import marked
from assistant.version_diff import ClauseChange, counts_of, diff_versions
from ingest.documents import ParsedDocument
from ingest.parse.text import parse_markdown

OLD = """# Travel policy

## 1 Hotels

Hotel rooms cost at most 120 dollars a night.

## 2 Trains

Trains are booked in second class.

## 3 Receipts

Receipts must be kept for six years.
"""


def parsed(text: str) -> ParsedDocument:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "travel.md"
        path.write_text(text)
        return parse_markdown(path)


def changes(new: str) -> list[ClauseChange]:
    return diff_versions(parsed(OLD), parsed(new))


def told(new: str) -> dict[str, str]:
    return {
        (change.after or change.before).name: change.fate  # type: ignore[union-attr]
        for change in changes(new)
        if change.fate != "unchanged"
    }


def test_the_same_text_has_nothing_changed() -> None:
    assert set(counts_of(changes(OLD)).items()) >= {("changed", 0), ("added", 0), ("removed", 0), ("moved", 0)}
    assert counts_of(changes(OLD.replace("cost at most", "cost  at\nmost")))["changed"] == 0


def test_a_changed_number_is_told_once_with_its_words() -> None:
    changed = [change for change in changes(OLD.replace("120", "140")) if change.fate != "unchanged"]
    assert [change.fate for change in changed] == ["changed"]
    assert "[-120-] {+140+}" in marked(changed[0].difference)
    value = changed[0].to_value()
    assert value["before"]["number"] == value["after"]["number"] == "1"
    assert {part["change"] for part in value["difference"]} == {"same", "removed", "added"}


def test_a_clause_that_came_moves_those_behind_it() -> None:
    new = OLD.replace("## 2 Trains", "## 2 Flights\n\nFlights need an approval.\n\n## 3 Trains").replace(
        "## 3 Receipts", "## 4 Receipts"
    )
    assert told(new) == {"2 Flights": "added", "3 Trains": "moved", "4 Receipts": "moved"}


def test_a_clause_that_went_is_told_at_its_old_place() -> None:
    new = OLD.replace("## 2 Trains\n\nTrains are booked in second class.\n\n", "")
    found = [(change.fate, (change.after or change.before).name) for change in changes(new)]  # type: ignore[union-attr]
    assert ("removed", "2 Trains") in found
    assert found.index(("removed", "2 Trains")) < found.index(("unchanged", "3 Receipts"))


def test_a_clause_of_another_name_with_like_words_has_changed() -> None:
    new = OLD.replace("## 2 Trains", "## 2 Rail travel").replace("second class", "second class only")
    assert told(new) == {"2 Rail travel": "changed"}


def test_two_documents_without_a_word_in_common_are_removed_and_added() -> None:
    fates = counts_of(changes("# Menu\n\n## Soup\n\nTomatoes.\n"))
    assert fates["unchanged"] == fates["changed"] == 0
    assert fates["removed"] >= 3
    assert fates["added"] >= 1
