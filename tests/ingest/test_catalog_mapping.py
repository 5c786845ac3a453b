"""Mapping files: found beside their catalogue, read with it, never ingested as a document."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from governance.errors import BadInput
from ingest.catalog_mapping import mapping_beside, read_mapping_text
from ingest.parse.xlsx import parse_xlsx
from ingest.pipeline import IngestReport, IngestRequest, run_ingest
from ingest.publish import IngestTools

MAPPING = 'id = "Nr"\ntitle = "Ware"\n[attributes]\nweight = { column = "Gewicht", unit = "kg" }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "goods.csv").write_text("Nr,Ware,Gewicht\n1,Kabel,0.5\n2,Hub,2\n")
    return root


def ingest(tools: IngestTools, *paths: Path) -> IngestReport:
    return run_ingest(IngestRequest(paths, "c"), tools)


def outcomes(report: IngestReport) -> list[tuple[str, str, str]]:
    return [(one.document, one.status, one.reason) for one in report.documents]


def test_a_catalogue_is_read_with_the_mapping_beside_it(tools: IngestTools, folder: Path) -> None:
    refused = ingest(tools, folder)
    assert refused.documents[0].status == "refused"
    assert "mapping file" in refused.documents[0].reason
    (folder / "goods.mapping.toml").write_text(MAPPING)
    report = ingest(tools, folder)
    assert outcomes(report) == [("goods.csv", "added", "")]
    index = tools.engine.open(report.generation)
    try:
        assert {chunk.clause: chunk.attributes["weight"] for chunk in index.scroll()} == {"1": "0.5 kg", "2": "2 kg"}
    finally:
        index.close()


def test_a_changed_mapping_reads_the_catalogue_again_and_an_equal_one_does_not(
    tools: IngestTools, folder: Path
) -> None:
    mapping = folder / "goods.mapping.toml"
    mapping.write_text(MAPPING)
    ingest(tools, folder)
    assert [status for _, status, _ in outcomes(ingest(tools, folder))] == ["unchanged"]
    mapping.write_text(MAPPING.replace('"kg"', '"g"'))
    assert outcomes(ingest(tools, folder)) == [
        ("goods.csv", "updated", "its labels, dates, mapping or the parser changed")
    ]
    assert [status for _, status, _ in outcomes(ingest(tools, folder))] == ["unchanged"]


def test_a_wrong_mapping_refuses_its_catalogue_and_what_answered_stays(tools: IngestTools, folder: Path) -> None:
    mapping = folder / "goods.mapping.toml"
    mapping.write_text(MAPPING)
    ingest(tools, folder)
    mapping.write_text(MAPPING.replace("Gewicht", "Gewichte"))
    report = ingest(tools, folder)
    assert [status for _, status, _ in outcomes(report)] == ["refused"]
    assert "'gewichte'" in report.documents[0].reason
    assert report.points == 2


def test_a_catalogue_given_by_itself_has_its_mapping(tools: IngestTools, folder: Path) -> None:
    (folder / "goods.mapping.toml").write_text(MAPPING)
    assert [status for _, status, _ in outcomes(ingest(tools, folder / "goods.csv"))] == ["added"]


def test_a_mapping_without_a_catalogue_is_named(tools: IngestTools, folder: Path) -> None:
    (folder / "good.mapping.toml").write_text(MAPPING)
    (folder / "goods.csv").write_text("id,title\n1,One\n")
    told = {name: (status, reason) for name, status, reason in outcomes(ingest(tools, folder))}
    assert told["goods.csv"][0] == "added"
    assert told["good.mapping.toml"][0] == "refused"
    assert "none is here" in told["good.mapping.toml"][1]


def test_a_mapping_that_is_a_link_or_too_large_or_no_text_is_refused(folder: Path, tmp_path: Path) -> None:
    mapping = folder / "goods.mapping.toml"
    outside = tmp_path / "outside.toml"
    outside.write_text(MAPPING)
    mapping.symlink_to(outside)
    with pytest.raises(BadInput, match="is a link"):
        read_mapping_text(folder / "goods.csv")
    mapping.unlink()
    mapping.write_bytes(b"# " + b"x" * 70_000)
    with pytest.raises(BadInput, match="more than 64 KB"):
        read_mapping_text(folder / "goods.csv")
    mapping.write_bytes(b'id = "\xff"')
    with pytest.raises(BadInput, match="not UTF-8"):
        read_mapping_text(folder / "goods.csv")


def test_only_catalogues_have_a_mapping(folder: Path) -> None:
    (folder / "notes.md").write_text("# Notes")
    (folder / "notes.mapping.toml").write_text(MAPPING)
    assert mapping_beside(folder / "notes.md") is None
    assert read_mapping_text(folder / "goods.csv") == ""


def test_a_workbook_is_read_with_its_mapping(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Nr", "Ware", "Gewicht"])
    sheet.append([1, "Kabel", 0.5])
    path = tmp_path / "goods.xlsx"
    book.save(path)
    (clause,) = parse_xlsx(path, MAPPING).clauses
    assert clause.attributes == {"nr": 1.0, "weight": "0.5 kg"}
    with pytest.raises(BadInput, match=r"No sheet of goods\.xlsx has the columns 'sku'"):
        parse_xlsx(path, MAPPING.replace('"Nr"', '"SKU"'))
