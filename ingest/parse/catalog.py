"""Product catalogues: CSV, TSV, JSON and JSON Lines, one record Clause for each product.

The rows are read here; what their columns hold and how records are written is decided in `catalog_records`, by the
mapping file where there is one. The extracted text of a catalogue is its records written out as lines, so that a
citation points at an attribute as it points at a sentence. A row that cannot be read is left out and named in the
warnings.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from governance.errors import BadInput
from ingest.catalog_mapping import MAPPING_ENDING, column_key, parse_mapping
from ingest.documents import ParsedDocument
from ingest.parse.catalog_records import Row, find_columns, make_table, note_of, notes_of_doubt, write_records

_MOST_WARNINGS = 20
_FIELD_LIMIT = 10_000_000


def parse_catalog(path: Path, mapping: str = "") -> ParsedDocument:
    """Read a catalogue, with the text of its mapping file if it has one.

    Raises BadInput where no product can be read from it, or the mapping does not fit it.
    """
    source = f"{path.stem}{MAPPING_ENDING}"
    mapped = parse_mapping(mapping, source) if mapping else None
    text, warnings = _decode(path)
    rows, wrong = _read_rows(path, text, mapped.delimiter if mapped else "")
    if not rows:
        raise BadInput(f"{path.name} holds no records; a catalogue needs a header line and one line for each product.")
    table = make_table(rows, typed=path.suffix.lower().startswith(".json"))
    columns = find_columns(table, mapped, path.name)
    warnings += wrong
    body, clauses = write_records(table, columns, warnings)
    if not clauses:
        raise BadInput(f"No record of {path.name} has both {columns.id} and {columns.title}; nothing was read.")
    if len(warnings) > _MOST_WARNINGS:
        warnings = [*warnings[:_MOST_WARNINGS], f"and {len(warnings) - _MOST_WARNINGS} more rows were left out"]
    note = note_of(table, columns, advice=f"{source} beside it can name others")
    return ParsedDocument(
        text=body,
        media_type="application/json" if path.suffix.lower().startswith(".json") else "text/csv",
        title=re.sub(r"[_\-]+", " ", path.stem),
        pages=(),
        clauses=tuple(clauses),
        warnings=(*warnings, *notes_of_doubt(table, columns), *([note] if note else [])),
    )


def _decode(path: Path) -> tuple[str, list[str]]:
    data = path.read_bytes()
    if not data.strip():
        raise BadInput(f"{path.name} is empty; a catalogue needs a header line and one line for each product.")
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{path.name} holds binary data, not text; save it as UTF-8 CSV or JSON.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), []
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        warning = f"not UTF-8 (byte {error.start}); read as Windows-1252, so check accents and signs"
        return data.decode("cp1252", errors="replace"), [warning]


def _read_rows(path: Path, text: str, delimiter: str) -> tuple[list[Row], list[str]]:
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return _read_json_lines(text)
    if suffix == ".json":
        return _read_json(path, text)
    return _read_delimited(path, text, delimiter)


def _read_delimited(path: Path, text: str, delimiter: str) -> tuple[list[Row], list[str]]:
    first = text.split("\n", 1)[0]
    delimiter = delimiter or max(",;\t|", key=first.count)
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [column_key(cell) for cell in next(reader)]
        rows: list[Row] = []
        wrong: list[str] = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                wrong.append(f"line {reader.line_num} has {len(cells)} fields, {len(header)} expected: left out")
                continue
            rows.append(dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise BadInput(f"{path.name} is not a readable CSV (line {reader.line_num}: {error}).") from error
    if len(wrong) > len(rows):
        raise BadInput(f"{path.name} has a header of {len(header)} fields that most lines do not match ({wrong[0]}).")
    return rows, wrong


def _read_json_lines(text: str) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    wrong: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            wrong.append(f"line {number} is not JSON: left out")
            continue
        if isinstance(value, dict):
            rows.append({column_key(name): item for name, item in value.items()})
        else:
            wrong.append(f"line {number} is not a JSON object: left out")
    return rows, wrong


def _read_json(path: Path, text: str) -> tuple[list[Row], list[str]]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{path.name} is not valid JSON ({error}).") from error
    except RecursionError as error:
        raise BadInput(f"{path.name} nests too deeply to be a catalogue.") from error
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        value = lists[0] if lists else [value]
    records = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    wrong = [] if len(records) == len(value) else [f"{len(value) - len(records)} items are no objects: left out"]
    return [{column_key(name): item for name, item in record.items()} for record in records], wrong
