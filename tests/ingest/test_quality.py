"""The parse-quality report: what is measured, what is judged, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from governance.errors import NotFound
from ingest.artefacts import Artefacts
from ingest.documents import Clause, Page, ParsedDocument, Reading
from ingest.parse import parse_file
from ingest.parse.pdf import parse_pdf
from ingest.quality import Quality, Verdict, measure_quality
from tests.ingest.pdf_maker import Sheet, Words, make_pdf, paragraph, table

PROSE = "The supplier shall deliver the goods to the place that is named in the order. "


def document(text: str = PROSE, *, clauses: tuple[Clause, ...] = (), reading: Reading | None = None) -> ParsedDocument:
    found = clauses or (Clause("1", ("Policy", "1 Scope"), 0, len(text)),)
    pages = (Page(1, 0, len(text)), Page(2, len(text), len(text)))
    return ParsedDocument(text, "application/pdf", "Policy", pages, found, reading=reading or Reading())


def test_a_document_that_was_read_whole_is_good() -> None:
    quality = measure_quality(document())
    assert (quality.verdict, quality.reason) == ("good", "")
    assert (quality.pages, quality.empty_pages, quality.language) == (2, 1, "en")
    assert quality.heading_share == 1.0


@pytest.mark.parametrize(
    ("reading", "verdict", "reason"),
    [
        (Reading(images=(2,)), "bad", "1 of 2 pages have no text that can be used"),
        (Reading(recognized=((1, 0.7), (2, 0.8))), "look at it", "text recognition is 75% sure of 2 pages"),
        (Reading(recognized=((1, 0.95),)), "good", ""),
        (Reading(recognized=((1, 0.5),)), "bad", "text recognition is 50% sure of 1 pages"),
        (Reading(left_out=1000), "look at it", "94% of the text was left out as running headers and footers"),
    ],
)
def test_what_the_parser_saw_decides_the_verdict(reading: Reading, verdict: Verdict, reason: str) -> None:
    quality = measure_quality(document(reading=reading))
    assert (quality.verdict, quality.reason) == (verdict, reason)


def test_odd_characters_are_counted_and_judged() -> None:
    few = measure_quality(document(PROSE * 3 + "\ue000\ufffd"))
    many = measure_quality(document("\ufffd\uf0ff" * 20 + PROSE))
    assert 0 < few.odd_share < 0.05
    assert few.verdict == "look at it"
    assert many.verdict == "bad"
    assert measure_quality(document("Naïve café — “quoted” • €5 ½ 日本\n" + PROSE)).odd_share == 0


def test_the_worst_finding_is_the_verdict_and_comes_first() -> None:
    quality = measure_quality(document("\ufffd" * 40 + PROSE, reading=Reading(left_out=1000)))
    assert quality.verdict == "bad"
    assert quality.reason.index("characters are") < quality.reason.index("left out")


def test_parts_of_one_long_clause_count_together() -> None:
    text = PROSE * 400
    half = len(text) // 2
    parts = (Clause("", ("Policy",), 0, half), Clause("", ("Policy",), half, len(text)))
    quality = measure_quality(document(text, clauses=parts))
    assert quality.longest_clause == len(text)
    assert quality.heading_share == 0
    assert quality.reason == f"{len(text):,} characters stand under one heading"


def test_a_report_comes_back_from_its_stored_form() -> None:
    quality = measure_quality(document())
    assert Quality.from_value(quality.to_value()) == quality


def test_a_document_stored_before_there_were_reports_has_one() -> None:
    stored = document().to_json().replace(',"notes":[]', "")
    old = stored[: stored.index(',"reading"')] + "}"
    assert ParsedDocument.from_json(old) == document()
    assert measure_quality(ParsedDocument.from_json(old)).verdict == "good"


def test_what_a_parser_saw_is_stored() -> None:
    seen = Reading(unread=(3,), recognized=((1, 0.5),), columns=(1, 2), left_out=4, tables_seen=2)
    parsed = document(reading=seen)
    assert ParsedDocument.from_json(parsed.to_json()) == parsed


def test_a_report_is_kept_beside_the_text_and_made_again_where_it_is_gone(tmp_path: Path) -> None:
    artefacts, digest = Artefacts(tmp_path), "sha256:" + "ab" * 32
    artefacts.keep_parsed(digest, "p", document())
    [kept] = tmp_path.rglob("quality-p.json")
    assert artefacts.quality(digest, "p") == measure_quality(document())
    for damage in ("", "[]", '{"verdict": "good"}'):
        kept.write_text(damage)
        assert artefacts.quality(digest, "p") == measure_quality(document())
    kept.unlink()
    assert artefacts.quality(digest, "p").verdict == "good"
    assert kept.exists()
    with pytest.raises(NotFound):
        artefacts.quality(digest, "another")


def test_a_pdf_tells_its_margins_tables_and_images(tmp_path: Path) -> None:
    grid = table([["Grade", "Hotel"], ["A", "200"], ["B", "150"]], top=500, lefts=[72, 172, 272])
    image = "q 100 0 0 100 72 600 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \xff EI Q"
    sheets = [
        Sheet([Words("Travel Policy - Internal", 72, 760), *paragraph(PROSE, PROSE, top=600), *grid.words], grid.rules),
        Sheet([Words("Travel Policy - Internal", 72, 760), *paragraph(PROSE, PROSE, PROSE, top=600)]),
        Sheet([Words("Travel Policy - Internal", 72, 760), *paragraph(PROSE, PROSE, top=600)]),
        Sheet(raw=image),
    ]
    quality = measure_quality(parse_pdf(make_pdf(tmp_path / "policy.pdf", sheets), ocr="never"))
    assert (quality.tables_in, quality.tables_out) == (1, 1)
    assert (quality.lost_pages, quality.empty_pages) == (1, 1)
    assert quality.left_out_share > 0.05
    assert quality.verdict == "look at it"


def test_a_text_file_has_a_report_too(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(f"# Travel\n\n{PROSE}\n", encoding="utf-8")
    quality = measure_quality(parse_file(path))
    assert (quality.verdict, quality.language) == ("good", "en")
    assert replace(quality, pages=3).pages == 3
