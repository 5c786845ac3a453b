"""The scale benchmark: its texts are varied, its figures are those of its rows, its picture is a picture."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from benchmarks.ingest_cost_picture import draw_costs
from benchmarks.ingest_scale import PeakMemory, cost_lines, figures_of, write_documents, write_pdfs
from governance.digests import digest_file
from tests.ingest.pdf_maker import Sheet, make_pdf, paragraph


def cost(embedder: str, chunks: int, seconds: float) -> dict[str, object]:
    return {"what": "cost", "embedder": embedder, "chunks": chunks, "pages": chunks // 4, "seconds": seconds}


ROWS = [
    {"what": "again", "first_seconds": 100.0, "unchanged_seconds": 0.5, "changed_seconds": 1.0},
    {"what": "memory", "pages": 20_000, "peak_mb": 900.0},
    cost("real", 1000, 10.0),
    cost("fake", 1000, 2.0),
    cost("fake", 100_000, 220.0),
]


def test_figures_are_those_of_the_rows() -> None:
    assert figures_of(ROWS) == {
        "times_faster_unchanged": 200.0,
        "share_of_one_changed": 0.01,
        "pages": 20_000,
        "peak_mb": 900.0,
        "growth_with_the_model": 1.0,
        "growth_without_a_model": 1.1,
    }
    assert cost_lines(ROWS)["without a model"] == [(1000, 8.0), (100_000, 8.8)]


def test_the_picture_shows_every_size_on_its_place() -> None:
    root = ElementTree.fromstring(draw_costs(cost_lines(ROWS)))
    dots = [one for one in root.iter() if one.tag.endswith("circle")]
    assert len(dots) == 3
    assert float(dots[1].attrib["cx"]) < float(dots[2].attrib["cx"]) <= 616
    said = [one.text for one in root.iter() if one.tag.endswith("text")]
    assert "100,000" in said
    assert "with the model: 40 ms a page; without a model: 8 to 9 ms a page" in said


def test_every_document_and_every_copy_of_a_pdf_is_another_file(tmp_path: Path) -> None:
    contracts, policies = tmp_path / "contracts" / "cuad" / "txt", tmp_path / "policies" / "pdf"
    contracts.mkdir(parents=True)
    policies.mkdir(parents=True)
    (contracts / "a.txt").write_text("The parties agree to much. " * 10)
    make_pdf(policies / "p.pdf", [Sheet(words=paragraph("Everybody may park behind the house."))])
    for folder in ("texts", "pages"):
        (tmp_path / folder).mkdir()
    write_documents(tmp_path / "texts", tmp_path, 3)
    assert write_pdfs(tmp_path / "pages", tmp_path, 3) == 3
    for folder in ("texts", "pages"):
        assert len({digest_file(path) for path in (tmp_path / folder).iterdir()}) == 3


def test_memory_is_sampled_with_that_of_child_processes() -> None:
    with PeakMemory() as peak:
        pass
    assert peak.megabytes > 10
