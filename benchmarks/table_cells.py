"""How well the cells of tables are found: neighbouring cells beside the gold of ICDAR 2013, and other readers too.

    python -m benchmarks.table_cells TABLES [--peers NAME,NAME|none] [--out FILE]

TABLES holds NAME.pdf beside NAME-str.xml (the competition's cell gold). A relation is two cells of a page that stand
beside or below each other with nothing but blank cells between them, by their letters and digits; a cell over several
columns or rows counts once with each neighbour. Precision, recall and F1 are over all relations of all files. This is
not the competition's own program, and its figures rank readers in one run only.

Every reader is measured by what it gives a user: rows of texts, where a cell over several columns stands in its first.
Ours is read from the text that `parse_pdf` stores. Peers (MIT) are no dependency: a reader that is not installed is
left out, with a sentence.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.measured import VERSIONED, Figure, versions, write_result
from ingest.parse.pdf import parse_pdf
from ingest.parse.pdf_tables import SEPARATOR

Relation = tuple[int, str, str, str]  # page, "right" or "below", text of the first cell, text of the second
Field = tuple[int, str]  # number of the cell in its table, its letters and digits
Fields = Mapping[tuple[int, int], Field]  # by row and column; a cell over several has its Field in each
Rows = Sequence[Sequence[str]]
PageTable = tuple[int, Rows]
_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Reader:
    """A reader of tables: what must be importable for it, and how it reads a file."""

    name: str
    needs: str
    read: Callable[[Path], list[PageTable]]


@dataclass(frozen=True)
class Score:
    """Relations of one file: in the gold, found by the reader, and in both; seconds it took, pages it has."""

    gold: int
    found: int
    right: int
    seconds: float
    pages: int

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.gold + self.found) if self.gold + self.found else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--peers", default=",".join(reader.name for reader in READERS[1:]))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.tables.rglob("*.pdf") if gold_of(path).exists())
    if not files:
        sys.exit(f"{arguments.tables} holds no NAME.pdf beside NAME-str.xml; give the folder of the tables.")
    logging.getLogger("pdfminer").setLevel(logging.ERROR)
    chosen = [READERS[0], *(reader for reader in READERS[1:] if reader.name in arguments.peers.split(","))]
    figures: dict[str, Figure] = {"files": len(files)}
    documents: dict[str, dict[str, float]] = {}
    for reader in filter(is_there, chosen):
        scores = {path.stem: score_file(path, reader) for path in files}
        figures |= {f"{reader.name} {name}": value for name, value in figures_of(list(scores.values())).items()}
        documents[reader.name] = {name: round(score.f1, 4) for name, score in scores.items()}
    print(json.dumps(figures, indent=1))
    if arguments.out:
        named = versions([*VERSIONED, "pypdfium2", "pdfplumber", "camelot-py"])
        write_result(arguments.out, figures, versions=named, documents=documents)


def is_there(reader: Reader) -> bool:
    """Whether a reader can be imported; says so where it cannot."""
    try:
        if reader.needs:
            import_module(reader.needs)
    except ImportError as error:
        print(f"{reader.name} is left out ({error}): install {reader.needs} to compare it.", file=sys.stderr)
        return False
    return True


def gold_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}-str.xml")


def score_file(path: Path, reader: Reader) -> Score:
    gold = Counter(gold_relations(gold_of(path)))
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tables = reader.read(path)
    seconds = time.monotonic() - started
    found = Counter(relation for page, rows in tables for relation in relations(page, fields_of(rows)))
    right = (gold & found).total()
    score = Score(gold.total(), found.total(), right, seconds, count_pages(path))
    print(f"{score.f1:.3f}  gold {score.gold:4} found {score.found:4} right {right:4}  {reader.name}  {path.stem}")
    return score


def figures_of(scores: Sequence[Score]) -> dict[str, Figure]:
    gold, found, right = (sum(getattr(score, name) for score in scores) for name in ("gold", "found", "right"))
    return {
        "relations": gold,
        "precision": right / found if found else 0.0,
        "recall": right / gold,
        "f1": 2 * right / (gold + found),
        "mean f1 of a file": statistics.mean(score.f1 for score in scores),
        "pages a second": sum(score.pages for score in scores) / sum(score.seconds for score in scores),
    }


def gold_relations(path: Path) -> list[Relation]:
    """Return the relations of all tables of a gold file; each part of a table on a page counts by itself."""
    found: list[Relation] = []
    for region in ElementTree.parse(path).getroot().iter("region"):  # noqa: S314 (the benchmark's own gold)
        fields: dict[tuple[int, int], Field] = {}
        for number, cell in enumerate(region.iter("cell")):
            text = letters(cell.findtext("content") or "")
            rows, columns = (_reach(cell, axis) for axis in ("row", "col"))
            if text:
                fields |= {(row, column): (number, text) for row in rows for column in columns}
        found.extend(relations(int(region.get("page", "1")), fields))
    return found


def _reach(cell: ElementTree.Element, axis: str) -> range:
    start = int(cell.get(f"start-{axis}", "0"))
    return range(start, int(cell.get(f"end-{axis}") or start) + 1)


def fields_of(rows: Rows) -> Fields:
    """Number the cells of a table that have letters or digits."""
    return {
        (row, column): (1000 * row + column, letters(text))
        for row, cells in enumerate(rows)
        for column, text in enumerate(cells)
        if letters(text)
    }


def relations(page: int, fields: Fields) -> list[Relation]:
    """Return each cell with its nearest neighbours to the right and below, blank cells passed over, each pair once."""
    seen: dict[tuple[str, int, int], Relation] = {}
    last_row, last_column = (max((place[axis] for place in fields), default=-1) for axis in (0, 1))
    for (row, column), cell in fields.items():
        to_right = ((row, other) for other in range(column + 1, last_column + 1))
        to_below = ((other, column) for other in range(row + 1, last_row + 1))
        for direction, places in (("right", to_right), ("below", to_below)):
            neighbour = next((fields[place] for place in places if place in fields), None)
            if neighbour is not None and neighbour[0] != cell[0]:
                seen[direction, cell[0], neighbour[0]] = (page, direction, cell[1], neighbour[1])
    return list(seen.values())


def letters(text: str) -> str:
    return _NO_LETTERS.sub("", text).lower()


def count_pages(path: Path) -> int:
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        return len(document)


def read_ours(path: Path) -> list[PageTable]:
    """Return the tables that `parse_pdf` finds, from the text it stores."""
    document = parse_pdf(path, ocr="never")
    tables: list[PageTable] = []
    for clause in document.clauses:
        lines = document.text[clause.start : clause.end].split("\n")
        rows = [line.split(SEPARATOR) for line in lines if SEPARATOR in line]
        if clause.kind == "table":
            tables.append((document.page_at(clause.start) or 0, rows))
    return tables


def read_pdfplumber(path: Path) -> list[PageTable]:
    """Return what pdfplumber finds by rules, its default."""
    pdfplumber = import_module("pdfplumber")
    with pdfplumber.open(path) as document:
        return [
            (page.page_number, [[cell or "" for cell in row] for row in table])
            for page in document.pages
            for table in page.extract_tables()
        ]


def read_camelot(path: Path, flavor: str) -> list[PageTable]:
    """Return what one of camelot's ways of reading finds."""
    tables = import_module("camelot").read_pdf(str(path), pages="all", flavor=flavor, suppress_stdout=True)
    return [(table.page, table.data) for table in tables]


READERS = (
    Reader("provenant", "", read_ours),
    Reader("pdfplumber", "pdfplumber", read_pdfplumber),
    Reader("camelot lattice", "camelot", lambda path: read_camelot(path, "lattice")),
    Reader("camelot stream", "camelot", lambda path: read_camelot(path, "stream")),
)

if __name__ == "__main__":
    main()
