"""A folder that lost most of its files is refused until an owner says that it is meant. Real engine, real records."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from governance.errors import NotFound, RefusedByPolicy
from governance.release import live_release
from ingest.pipeline import IngestReport, IngestRequest, run_ingest
from ingest.publish import IngestTools


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "share"
    root.mkdir()
    for number in range(12):
        (root / f"rule-{number}.txt").write_text(f"Rule {number}\n\nCase {number} costs {number * 7} dollars.\n")
    return root


def ingest(tools: IngestTools, *paths: Path, accept: bool = False) -> IngestReport:
    return run_ingest(IngestRequest(paths, "c", accept_removals=accept), tools)


def live_id(tools: IngestTools) -> str:
    with tools.store.session() as session:
        live = live_release(session)
    assert live is not None
    return live.id


def test_share_that_is_not_mounted_removes_nothing(tools: IngestTools, folder: Path) -> None:
    first = ingest(tools, folder)
    hidden = folder.rename(folder.parent / "elsewhere")
    with pytest.raises(NotFound, match="There is no file or folder"):
        ingest(tools, folder)
    folder.mkdir()  # the empty place of a mount
    with pytest.raises(RefusedByPolicy, match=r"has no files: 12 of its 12 documents .* --accept-removals"):
        ingest(tools, folder)
    assert live_id(tools) == first.release_id
    folder.rmdir()
    hidden.rename(folder)
    assert ingest(tools, folder).counts["unchanged"] == 12


def test_small_folder_that_is_empty_is_refused_as_well(tools: IngestTools, folder: Path) -> None:
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    ingest(tools, folder)
    next(folder.iterdir()).unlink()
    with pytest.raises(RefusedByPolicy, match="1 of its 1 documents"):
        ingest(tools, folder)


def test_losing_more_than_half_is_refused_and_goes_on_when_accepted(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    for number in range(7):
        (folder / f"rule-{number}.txt").unlink()
    with pytest.raises(RefusedByPolicy, match="no longer has most of its files: 7 of its 12"):
        ingest(tools, folder)
    assert ingest(tools, folder, accept=True).counts["removed"] == 7


def test_losing_half_or_a_handful_is_the_daily_business(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    for number in range(6):
        (folder / f"rule-{number}.txt").unlink()
    assert ingest(tools, folder).counts["removed"] == 6
    for number in range(6, 11):  # five of the six that are left
        (folder / f"rule-{number}.txt").unlink()
    assert ingest(tools, folder).counts["removed"] == 5


def test_each_folder_of_a_collection_counts_by_itself(tools: IngestTools, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "parking.txt").write_text("Parking costs 9 dollars a day.")
    ingest(tools, folder)
    ingest(tools, other)
    (other / "parking.txt").unlink()
    with pytest.raises(RefusedByPolicy, match=f"{other} has no files"):
        ingest(tools, folder, other)


def test_moved_documents_are_not_removed_ones(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    below = folder / "2026"
    below.mkdir()
    for path in list(folder.glob("*.txt")):
        path.rename(below / path.name)
    report = ingest(tools, folder)
    assert (report.counts["moved"], report.counts["removed"]) == (12, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="whoever is root may look everywhere")
def test_folder_that_may_not_be_looked_into_removes_nothing(tools: IngestTools, folder: Path) -> None:
    below = folder / "closed"
    below.mkdir()
    shutil.copy(folder / "rule-1.txt", below / "other.txt")
    (below / "other.txt").write_text("Another rule about tea.")
    ingest(tools, folder)
    below.chmod(0)
    try:
        with pytest.raises(RefusedByPolicy, match="may not be looked into"):
            ingest(tools, folder)
    finally:
        below.chmod(0o700)
