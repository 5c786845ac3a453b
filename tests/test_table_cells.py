"""The table benchmark: relations of cells are counted as it says they are."""

from __future__ import annotations

from pathlib import Path

from benchmarks.table_cells import (
    READERS,
    Reader,
    fields_of,
    gold_relations,
    is_there,
    read_ours,
    relations,
    score_file,
)
from tests.ingest.pdf_maker import Sheet, make_pdf, table

ROWS = [["Grade", "Hotel", "Meals"], ["A", "200", "60"], ["B", "150", "45"]]
GOLD = """<document><table id="1"><region id="1" page="1">
<cell id="1" start-row="0" start-col="0" end-col="1"><content>Both</content></cell>
<cell id="2" start-row="1" start-col="0"><content>Left one</content></cell>
<cell id="3" start-row="1" start-col="1"><content>R-1</content></cell>
</region></table></document>"""


def test_a_cell_is_beside_its_nearest_neighbours_that_are_not_blank() -> None:
    found = relations(1, fields_of([["a", "", "b"], ["", "", ""], ["c", "-", "d"]]))
    assert sorted(found) == [
        (1, "below", "a", "c"),
        (1, "below", "b", "d"),
        (1, "right", "a", "b"),
        (1, "right", "c", "d"),
    ]


def test_a_gold_cell_over_two_columns_is_above_both(tmp_path: Path) -> None:
    path = tmp_path / "a-str.xml"
    path.write_text(GOLD, encoding="utf-8")
    assert sorted(gold_relations(path)) == [
        (1, "below", "both", "leftone"),
        (1, "below", "both", "r1"),
        (1, "right", "leftone", "r1"),
    ]


def test_our_tables_are_read_from_the_stored_text(tmp_path: Path) -> None:
    grid = table(ROWS, top=600, lefts=[72, 172, 272, 372])
    path = make_pdf(tmp_path / "a.pdf", [Sheet(grid.words, grid.rules)])
    assert read_ours(path) == [(1, ROWS)]


def test_a_file_without_tables_found_scores_nothing(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", [Sheet()])
    (tmp_path / "a-str.xml").write_text(GOLD, encoding="utf-8")
    score = score_file(path, Reader("none", "", lambda _: []))
    assert (score.gold, score.found, score.right, score.pages, score.f1) == (3, 0, 0, 1, 0.0)


def test_a_reader_that_is_not_installed_is_left_out() -> None:
    assert is_there(READERS[0])
    assert not is_there(Reader("absent", "no_such_module_anywhere", lambda _: []))
