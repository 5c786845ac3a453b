"""Changes between readings of a catalogue: every record accounted for, each value old and new, edges too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.catalog_changes import RecordChange, compare_catalogs, say_counts
from ingest.documents import ParsedDocument
from ingest.parse.catalog import parse_catalog
from ingest.pipeline import IngestReport, IngestRequest, run_ingest
from ingest.publish import IngestTools
from ingest.version_changes import compare_readings, read_changes
from ingest.withdrawal import withdraw

BEFORE = (
    "id,title,description,price_eur,colour,compatibility\n"
    "1,Toner A,Long life,10,Black,LaserJet P1505\n"
    "2,Toner B,,20,Black,\n"
    "3,Cable,,5,Red,\n"
)
AFTER = (
    "id,title,description,price_eur,colour,compatibility\n"
    "1,Toner A,Longer life,12,Black,LaserJet P1506\n"
    "2,Toner B,,20,,\n"
    "4,Hub,,7,Grey,\n"
)


def parse(tmp_path: Path, text: str) -> ParsedDocument:
    path = tmp_path / "goods.csv"
    path.write_text(text)
    return parse_catalog(path)


def test_every_kind_of_change_is_told_by_record_with_old_and_new(tmp_path: Path) -> None:
    changes = compare_catalogs(parse(tmp_path, BEFORE), parse(tmp_path, AFTER))
    assert changes.records == (
        RecordChange("attribute", "1", "Toner A", "description", "Long life", "Longer life"),
        RecordChange("price", "1", "Toner A", "price_eur", 10.0, 12.0),
        RecordChange("attribute", "1", "Toner A", "compatibility", "LaserJet P1505", "LaserJet P1506"),
        RecordChange("attribute", "2", "Toner B", "colour", "Black", None),
        RecordChange("discontinued", "3", "Cable"),
        RecordChange("new", "4", "Hub"),
    )
    assert [(edge.record, edge.kind, edge.target) for edge in changes.edges_added] == [
        ("1", "compatible", "LaserJet P1506")
    ]
    assert [(edge.record, edge.kind, edge.target) for edge in changes.edges_removed] == [
        ("1", "compatible", "LaserJet P1505")
    ]
    assert say_counts(changes.counts) == (
        "1 new, 1 discontinued, 1 prices changed, 3 attributes changed, 1 edges added, 1 edges removed"
    )


def test_equal_readings_have_no_change(tmp_path: Path) -> None:
    changes = compare_catalogs(parse(tmp_path, BEFORE), parse(tmp_path, BEFORE))
    assert (changes.records, changes.edges_added, changes.edges_removed) == ((), (), ())
    assert say_counts(changes.counts) == ""


def test_a_catalogue_that_goes_discontinues_each_record(tmp_path: Path) -> None:
    changes = compare_catalogs(parse(tmp_path, BEFORE), None)
    assert [(one.kind, one.record) for one in changes.records] == [("discontinued", one) for one in "123"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "goods.csv").write_text(BEFORE)
    (root / "notes.md").write_text("# Notes\n\nHello.\n")
    return root


def ingest(tools: IngestTools, folder: Path) -> IngestReport:
    return run_ingest(IngestRequest((folder,), "c"), tools)


def feed(tools: IngestTools) -> list[dict[str, int]]:
    with tools.store.session() as session:
        stored = read_changes(session, "c")
    return [
        {name: count for name, count in one.changes.counts.items() if count}
        for one in compare_readings(stored, tools.artefacts)
        if one.changes
    ]


def test_each_ingest_of_a_changed_catalogue_is_in_the_feed_and_its_report(tools: IngestTools, folder: Path) -> None:
    first = ingest(tools, folder)
    assert feed(tools) == []
    assert "catalogues" not in [part.name for part in first.parts]
    (folder / "goods.csv").write_text(AFTER)
    (folder / "notes.md").write_text("# Notes\n\nGood day.\n")
    report = ingest(tools, folder)
    counts = {"new": 1, "discontinued": 1, "price": 1, "attribute": 3, "edges_added": 1, "edges_removed": 1}
    assert feed(tools) == [counts]
    (part,) = (part for part in report.parts if part.name == "catalogues")
    assert part.value["documents"] == [{"document": "goods.csv", "counts": counts}]
    assert part.lines[0].startswith("goods.csv: 1 new, 1 discontinued")
    ingest(tools, folder)
    assert len(feed(tools)) == 1


def test_going_back_to_an_earlier_version_is_a_change_of_its_own(tools: IngestTools, folder: Path) -> None:
    for text in (BEFORE, AFTER, BEFORE):
        (folder / "goods.csv").write_text(text)
        ingest(tools, folder)
    there, back = feed(tools)
    assert (there["new"], there["discontinued"], back["new"], back["discontinued"]) == (1, 1, 1, 1)


def test_a_mapping_that_reads_it_otherwise_is_a_change(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    (folder / "goods.mapping.toml").write_text('id = "id"\ntitle = "title"\n[attributes]\ncolor = "colour"\n')
    ingest(tools, folder)
    (counts,) = feed(tools)
    assert counts["attribute"] >= 6
    assert "new" not in counts


def test_a_withdrawn_catalogue_is_discontinued_as_a_whole(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    withdraw("goods.csv", "c", tools)
    assert [one["discontinued"] for one in feed(tools)] == [3]


def test_the_feed_is_read_since_a_day(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    (folder / "goods.csv").write_text(AFTER)
    ingest(tools, folder)
    today = datetime.now(UTC).date()
    with tools.store.session() as session:
        assert len(read_changes(session, "c", since=today - timedelta(days=1))) == 1
        assert read_changes(session, "c", since=today + timedelta(days=1)) == []
        assert read_changes(session, "other") == []


def test_a_reading_that_is_gone_is_said(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    (folder / "goods.csv").write_text(AFTER)
    ingest(tools, folder)
    with tools.store.session() as session:
        (stored,) = read_changes(session, "c")
    tools.artefacts.remove(stored.before.digest)
    (found,) = compare_readings([stored], tools.artefacts)
    assert found.changes is None
    assert "Ingest it again" in found.reason
