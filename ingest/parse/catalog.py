"""Product catalogues: CSV, TSV, JSON and JSON Lines, one record Clause for each product.

Columns are found by their usual names; every other column becomes a typed attribute, as does each key of a column
that holds a JSON object. The extracted text of a catalogue is its records written out as lines, so that a citation
points at an attribute as it points at a sentence. A row that cannot be read is left out and named in the warnings.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from governance.errors import BadInput
from ingest.documents import AttributeValue, Clause, ParsedDocument

_ROLES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "sku", "product_id", "item_id", "article_number", "code"),
    "title": ("title", "product_title", "product_name", "name"),
    "description": ("description", "short_description", "long_description", "summary"),
}
_LABELS = {"ean": "EAN", "sku": "SKU", "id": "ID", "gtin": "GTIN", "upc": "UPC", "name": "Model", "model": "Model"}
_CURRENCY = re.compile(r"^(?P<label>.*price.*?)_(?P<currency>[a-z]{3})$")
_MOST_WARNINGS = 20
_MOST_VALUE_CHARACTERS = 2000
_FIELD_LIMIT = 10_000_000

Row = Mapping[str, object]


@dataclass(frozen=True)
class _Columns:
    id: str
    title: str
    description: str | None


def parse_catalog(path: Path) -> ParsedDocument:
    """Read a catalogue. Raises BadInput where no product can be read from it."""
    text, warnings = _decode(path)
    rows, wrong = _read_rows(path, text)
    if not rows:
        raise BadInput(f"{path.name} holds no records; a catalogue needs a header line and one line for each product.")
    columns = _find_columns(path, rows[0])
    warnings += wrong
    body, clauses = _write_records(rows, columns, warnings)
    if not clauses:
        raise BadInput(f"No record of {path.name} has both {columns.id} and {columns.title}; nothing was read.")
    if len(warnings) > _MOST_WARNINGS:
        warnings = [*warnings[:_MOST_WARNINGS], f"and {len(warnings) - _MOST_WARNINGS} more rows were left out"]
    return ParsedDocument(
        text=body,
        media_type="application/json" if path.suffix.lower().startswith(".json") else "text/csv",
        title=re.sub(r"[_\-]+", " ", path.stem),
        pages=(),
        clauses=tuple(clauses),
        warnings=tuple(warnings),
    )


def is_catalog(columns: Sequence[str]) -> bool:
    """Whether column names, as `catalog_key` gives them, have one for the id and one for the title."""
    return all(any(name in columns for name in _ROLES[role]) for role in ("id", "title"))


def write_records(rows: Sequence[Row], warnings: list[str]) -> tuple[str, list[Clause]]:
    """Return rows of a catalogue as text with a record Clause each; what is left out goes to `warnings`."""
    columns = [next((name for name in names if name in rows[0]), None) for names in _ROLES.values()] if rows else []
    if not rows or columns[0] is None or columns[1] is None:
        return "", []
    return _write_records(rows, _Columns(columns[0], columns[1], columns[2]), warnings)


def catalog_key(name: object) -> str:
    """Return a column name as records use it: lower case, underscores for all that is no letter or digit."""
    return re.sub(r"[^\w]+", "_", str(name).strip().casefold()).strip("_")


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


def _read_rows(path: Path, text: str) -> tuple[list[Row], list[str]]:
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return _read_json_lines(text)
    if suffix == ".json":
        return _read_json(path, text)
    return _read_delimited(path, text)


def _read_delimited(path: Path, text: str) -> tuple[list[Row], list[str]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [catalog_key(cell) for cell in next(reader)]
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
            rows.append({catalog_key(name): item for name, item in value.items()})
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
    return [{catalog_key(name): item for name, item in record.items()} for record in records], wrong


def _find_columns(path: Path, row: Row) -> _Columns:
    found = {role: next((name for name in names if name in row), None) for role, names in _ROLES.items()}
    if found["id"] is None or found["title"] is None:
        missing = " and ".join(role for role in ("id", "title") if found[role] is None)
        raise BadInput(
            f"{path.name} has no column for the {missing} (its columns: {', '.join(list(row)[:12])}). "
            f"Name one of {', '.join(_ROLES['id'])} and one of {', '.join(_ROLES['title'])}."
        )
    return _Columns(found["id"], found["title"], found["description"])


def _write_records(rows: Sequence[Row], columns: _Columns, warnings: list[str]) -> tuple[str, list[Clause]]:
    parts: list[str] = []
    clauses: list[Clause] = []
    seen: set[str] = set()
    offset = 0
    for number, row in enumerate(rows, start=1):
        identity, title = _plain(row.get(columns.id)), _plain(row.get(columns.title))
        if not identity or not title or identity in seen:
            reason = f"the id {identity} occurs twice" if identity in seen else "the id or the title is empty"
            warnings.append(f"record {number}: {reason}: left out")
            continue
        seen.add(identity)
        attributes = dict(_attributes(row, columns))
        block = _record_text(title, row, columns, attributes)
        parts.append(block)
        clauses.append(Clause(identity, (title,), offset, offset + len(block), "record", attributes))
        offset += len(block) + 2
    return "\n\n".join(parts), clauses


def _record_text(title: str, row: Row, columns: _Columns, attributes: Mapping[str, AttributeValue]) -> str:
    description = _plain(row.get(columns.description)) if columns.description else ""
    lines = [title, *([description] if description else [])]
    lines += [f"{_label(name)}: {_shown(name, value)}" for name, value in attributes.items()]
    return "\n".join(lines)


def _attributes(row: Row, columns: _Columns) -> Iterator[tuple[str, AttributeValue]]:
    for name, value in row.items():
        if name in {columns.title, columns.description}:
            continue
        nested = _nested(value)
        pairs = nested.items() if nested is not None else [(name, value)]
        for key, item in pairs:
            typed = _typed(catalog_key(str(key)), item)
            if typed is not None:
                yield catalog_key(str(key)), typed


def _nested(value: object) -> Mapping[str, object] | None:
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and value.startswith("{"):
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return None
        return parsed if isinstance(parsed, dict) else None
    return None


def _typed(name: str, value: object) -> AttributeValue | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e15 else str(value)
    plain = _plain(value)
    if not plain:
        return None
    if "price" in name or name.startswith(("weight", "width", "height", "depth")):
        try:
            return float(plain.replace(",", "."))
        except ValueError:
            return plain
    return plain


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        value = "; ".join(_plain(item) for item in value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    printable = "".join(sign if sign.isprintable() else " " for sign in str(value))
    return re.sub(r"\s+", " ", printable).strip()[:_MOST_VALUE_CHARACTERS]


def _label(name: str) -> str:
    priced = _CURRENCY.match(name)
    words = (priced["label"] if priced else name).replace("_", " ")
    return _LABELS.get(words, words[:1].upper() + words[1:])


def _shown(name: str, value: AttributeValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    priced = _CURRENCY.match(name)
    if priced and isinstance(value, float):
        return f"{value:.2f} {priced['currency'].upper()}"
    if name.startswith("date") and isinstance(value, str):
        return value.removesuffix("T00:00:00Z")
    return _plain(value)
