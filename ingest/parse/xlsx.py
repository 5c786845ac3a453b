"""Read a workbook (.xlsx, .xlsm) into a ParsedDocument: each sheet a heading with its tables below.

Blank rows part tables; a row with one filled cell above a table is its caption. A sheet that is a catalogue, with an
id column and a title column by their usual names, or by those of its mapping file, becomes records as a CSV file does.
Formulas give the values that were stored with them. Hidden sheets are left out and named in a warning; hidden rows and
columns are read. Macros are never run: only values are read.
"""

from __future__ import annotations

import datetime
import re
import warnings as python_warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from governance.errors import BadInput
from ingest.catalog_mapping import MAPPING_ENDING, CatalogMapping, column_key, parse_mapping
from ingest.documents import Clause, ParsedDocument
from ingest.parse.catalog_records import (
    Row,
    find_columns,
    is_catalog,
    make_table,
    note_of,
    notes_of_doubt,
    write_records,
)
from ingest.parse.package import Kind, check_package, library, refusing
from ingest.parse.writing import Look, Writing

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WORKBOOK = Kind("workbook", ".xlsx", "xl/workbook.xml", "openpyxl", "openpyxl")
_MOST_CELLS = 1_000_000  # of one workbook
_MOST_BLANK_ROWS = 1000  # together; a sheet that goes on below them was filled by mistake or malice
_LEAST_RECORDS = 0.9  # a sheet is a catalogue where this share of its rows can be records
_BLOCK_BYTES = 1 << 20
_LITERAL = re.compile(r'"[^"]*"|\\.')  # signs that a number format shows as they are

_Sheet = list[list[object]]


@dataclass
class _Workbook:
    """What was read of a workbook: texts and tables, records, and what to warn of."""

    mapping: CatalogMapping | None = None
    writing: Writing = field(default_factory=Writing)
    records: list[tuple[str, list[Clause]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    cells: int = 0

    def sheet(self, name: str, rows: _Sheet) -> None:
        """Add one sheet, as records where it is a catalogue."""
        rows = _trimmed(rows)
        if rows and (found := _records(name, rows, self)):
            self.records.append(found)
        elif any(any(cell is not None for cell in row) for row in rows):
            self.writing.block(name, Look(level=1))
            for block in _blocks(rows):
                _write_block(self.writing, block)


def parse_xlsx(path: Path, mapping: str = "") -> ParsedDocument:
    """Read a workbook, with the text of its mapping file if it has one.

    Raises BadInput where it is empty, damaged, locked, too large, or holds no values, or the mapping fits no sheet.
    """
    check_package(path, WORKBOOK)
    openpyxl = library(WORKBOOK.module, WORKBOOK.distribution)
    read = _Workbook(parse_mapping(mapping, f"{path.stem}{MAPPING_ENDING}") if mapping else None)
    with refusing(path, WORKBOOK), path.open("rb") as file, python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")  # openpyxl warns of styles and extensions that it leaves out
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        stated = book.properties.title or ""
        hidden = _read_sheets(path, book, read)
        unstored = _count_unstored(openpyxl, path, book) if _has_formulas(path) else 0
    if hidden:
        read.warnings.append(f"hidden sheets were left out: {', '.join(hidden)}")
    if unstored:
        read.warnings.append(
            f"formulas without a stored value were left empty ({unstored}): open the file in a spreadsheet program and "
            "save it"
        )
    if read.mapping and not read.records:
        raise BadInput(
            f"No sheet of {path.name} has the columns {read.mapping.id!r} and {read.mapping.title!r} that "
            f"{read.mapping.source} names for the id and the title: correct the mapping or the workbook."
        )
    return _finish(read, path, stated)


def _read_sheets(path: Path, book: Any, read: _Workbook) -> list[str]:
    """Read the visible sheets and return the names of the hidden ones."""
    hidden = []
    for sheet in book.worksheets:
        if sheet.sheet_state != "visible":
            hidden.append(sheet.title)
            continue
        sheet.reset_dimensions()  # what a file says of its size may be wrong
        read.sheet(sheet.title, _read_rows(path, sheet, read))
    return hidden


def _read_rows(path: Path, sheet: Any, read: _Workbook) -> _Sheet:
    rows: _Sheet = []
    blank = 0
    for cells in sheet.iter_rows():
        row = [_shown(cell) for cell in cells]
        while row and row[-1] is None:
            row.pop()
        blank = 0 if row else blank + 1
        if blank > _MOST_BLANK_ROWS:
            read.warnings.append(f"sheet {sheet.title} was read up to {_MOST_BLANK_ROWS} blank rows")
            break
        read.cells += len(row)
        if read.cells > _MOST_CELLS:
            raise BadInput(f"{path.name} has more than {_MOST_CELLS:,} cells: split it, or save what is needed as CSV.")
        rows.append(row)
    return rows


def _shown(cell: Any) -> object:
    """Return a cell's value: text, a number, yes or no, or None; dates and percentages as they are read."""
    value = cell.value
    if value is None or isinstance(value, bool | int):
        return _percent(cell, value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(value, float):
        return _percent(cell, value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "minutes")
    return str(value).strip() or None


def _percent(cell: Any, value: float) -> object:
    form = _LITERAL.sub("", getattr(cell, "number_format", None) or "")
    return f"{value * 100:.12g}%" if "%" in form else value


def _written(value: object) -> str:
    """Return a value as a sheet shows it: 15 digits, no decimals where there are none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _trimmed(rows: _Sheet) -> _Sheet:
    """Return rows without blank ones above, and without empty columns at the left."""
    rows = rows[next((index for index, row in enumerate(rows) if row), len(rows)) :]
    left = min((next(i for i, cell in enumerate(row) if cell is not None) for row in rows if row), default=0)
    return [row[left:] for row in rows]


def _records(name: str, rows: _Sheet, read: _Workbook) -> tuple[str, list[Clause]] | None:
    """Return the records of a sheet with their text, or None where it is no catalogue. Raises BadInput by a mapping."""
    header = [column_key(_written(cell)) for cell in rows[0]]
    named = [column for column in header if column]
    if not _is_catalog(named, read.mapping) or len(named) != len(set(named)):
        return None
    body = [row for row in rows[1:] if row]
    if not body or any(len(row) > len(header) for row in body):
        return None
    records: list[Row] = [
        {column: row[index] if index < len(row) else None for index, column in enumerate(header) if column}
        for row in body
    ]
    table = make_table(records, typed=True)
    columns = find_columns(table, read.mapping, f"sheet {name}")
    wrong: list[str] = []
    text, clauses = write_records(table, columns, wrong)
    if not clauses or len(clauses) < _LEAST_RECORDS * len(body):
        return None
    note = note_of(table, columns, advice="a mapping file beside the workbook can name others")
    read.warnings += [f"sheet {name}, {one}" for one in wrong[:20]]
    read.warnings += [f"sheet {name}: {len(wrong) - 20} more rows were left out"] if len(wrong) > 20 else []
    read.warnings += [f"sheet {name}: {one}" for one in (*notes_of_doubt(table, columns), note) if one]
    return text, clauses


def _is_catalog(named: Sequence[str], mapping: CatalogMapping | None) -> bool:
    return {mapping.id, mapping.title} <= set(named) if mapping else is_catalog(named)


def _blocks(rows: _Sheet) -> Iterator[_Sheet]:
    """Yield the stretches of rows between blank ones."""
    block: _Sheet = []
    for row in [*rows, []]:
        if row:
            block.append(row)
        elif block:
            yield block
            block = []


def _write_block(writing: Writing, block: _Sheet) -> None:
    """Write rows with one filled cell at the top as text, and the rest as a table."""
    texts = [[_written(cell) for cell in row] for row in block]
    first = next((index for index, row in enumerate(texts) if sum(map(bool, row)) > 1), len(texts))
    for row in texts[:first]:
        writing.block(" ".join(cell for cell in row if cell), Look(plain=True))
    if texts[first:]:
        writing.table(texts[first:])


def _has_formulas(path: Path) -> bool:
    """Whether any sheet holds a formula; looked for in the bytes, since a second reading costs as much as the first."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.filename.startswith("xl/worksheets/"):
                continue
            with archive.open(entry) as file:
                before = b""
                while block := file.read(_BLOCK_BYTES):
                    if b"<f>" in before + block or b"<f " in before + block:
                        return True
                    before = block[-2:]
    return False


def _count_unstored(openpyxl: Any, path: Path, values: Any) -> int:
    """Count formulas of visible sheets that have no stored value: programs write such files, spreadsheets do not."""
    count = 0
    with path.open("rb") as file:
        formulas = openpyxl.load_workbook(file, read_only=True, data_only=False)
        for shown, stated in zip(values.worksheets, formulas.worksheets, strict=True):
            if shown.sheet_state == "visible":
                stated.reset_dimensions()
                count += sum(map(_count_row, shown.iter_rows(), stated.iter_rows()))
    return count


def _count_row(shown: Sequence[Any], stated: Sequence[Any]) -> int:
    pairs = zip(shown, stated, strict=False)
    return sum(1 for value, formula in pairs if formula.data_type == "f" and value.value is None)


def _finish(read: _Workbook, path: Path, stated: str) -> ParsedDocument:
    """Put the records behind the text of the other sheets."""
    read.writing.first_heading = ""  # the name of a sheet is no title
    if not read.records:
        return read.writing.finish(path, media_type=MEDIA_TYPE, stated=stated, warnings=read.warnings)
    if read.writing.lines:
        parsed = read.writing.finish(path, media_type=MEDIA_TYPE, stated=stated, warnings=read.warnings)
    else:
        parsed = ParsedDocument("", MEDIA_TYPE, stated or path.stem, (), (), warnings=tuple(read.warnings))
    text, clauses = parsed.text, list(parsed.clauses)
    for body, found in read.records:
        text += "\n" if text else ""
        clauses += [replace(one, start=one.start + len(text), end=one.end + len(text)) for one in found]
        text += f"{body}\n"
    return replace(parsed, text=text, clauses=tuple(clauses))
