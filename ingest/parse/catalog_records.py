"""Records of a catalogue: rows become text with a record Clause each, its attributes typed.

Columns are named by a mapping file or else found by their usual names; what was found is said in a note. Every column
that is neither title nor description is an attribute, as is each key of a column that holds a JSON object. A price
goes by its currency (price_eur), a quantity keeps its unit beside its number ("1.2 kg"), and a column of a format that
knows texts only holds numbers where each of its values is one. Refuses to know the format of the file.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from governance.errors import BadInput
from ingest.catalog_mapping import CatalogMapping, PriceMapping, column_key
from ingest.documents import AttributeValue, Clause
from ingest.parse.catalog_values import (
    guess_decimal,
    is_amount_in_doubt,
    is_plain_number,
    plain,
    read_amount,
    with_point,
    with_unit,
)
from ingest.units import CURRENCY_SIGNS, Mark, is_in_doubt, read_number

ROLES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "sku", "product_id", "item_id", "article_number", "code", "item_number", "part_number",
           "artikelnummer", "asin", "mpn"),
    "title": ("title", "product_title", "product_name", "name", "item_name", "bezeichnung", "produktname", "titel"),
    "description": ("description", "short_description", "long_description", "summary", "beschreibung"),
}  # fmt: skip
_USUAL_IN_SHEETS = (ROLES["id"][:6], ROLES["title"][:4])  # a sheet that has only others may be any table
_LABELS = {"ean": "EAN", "sku": "SKU", "id": "ID", "gtin": "GTIN", "upc": "UPC", "name": "Model", "model": "Model"}
_PRICE = re.compile(r"price|preis|prix|precio")
_CURRENCY = re.compile(r"^(?P<label>.*(?:price|preis|prix|precio).*?)_(?P<currency>[a-z]{3})$")
_NO_NUMBERS = re.compile(r"(?:^|_)(?:id|sku|ean|gtin|upc|mpn|asin|code|number|no|nr|name|model|zip|date)(?:_|$)")
_MEASURED_NAMES = ("weight", "width", "height", "depth")
_MOST_DOUBTS_NAMED = 3

Row = Mapping[str, object]


@dataclass(frozen=True)
class Table:
    """The rows of a catalogue, and each row's values with the keys of JSON objects as columns of their own.

    `typed` tells whether the format keeps numbers and texts apart, as JSON does and CSV does not.
    """

    rows: Sequence[Row]
    flat: Sequence[Mapping[str, object]]
    typed: bool


@dataclass(frozen=True)
class Columns:
    """Which column plays which part and how values are read. `names` gives a column's attribute a name and a unit."""

    id: str
    title: str
    description: str = ""
    decimal: Mark = ""
    price: PriceMapping | None = None
    names: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    numbers: frozenset[str] = frozenset()
    guessed: bool = True


def make_table(rows: Sequence[Row], *, typed: bool) -> Table:
    """Return rows as a table. There must be at least one."""
    return Table(rows, [dict(_flattened(row)) for row in rows], typed)


def is_catalog(columns: Sequence[str]) -> bool:
    """Whether column names, as `column_key` gives them, have one for the id and one for the title."""
    return all(any(name in columns for name in names) for names in _USUAL_IN_SHEETS)


def find_columns(table: Table, mapping: CatalogMapping | None, name: str) -> Columns:
    """Return what the columns of a table hold, by a mapping or by their usual names. Raises BadInput."""
    columns = _guessed(table, name) if mapping is None else _mapped(table, mapping, name)
    columns = replace(columns, decimal=columns.decimal or guess_decimal(_texts(table, columns)))
    return replace(columns, numbers=frozenset() if table.typed else _number_columns(table, columns))


def note_of(table: Table, columns: Columns, *, advice: str) -> str:
    """Return what was guessed, in one line; "" where a mapping file said it."""
    if not columns.guessed:
        return ""
    parts = [f"id={columns.id}", f"title={columns.title}"]
    parts += [f"description={columns.description}"] if columns.description else []
    for column in table.rows[0]:
        if _PRICE.search(column):
            parts.append(f"price={column} ({_currencies(column, table) or 'no currency stated'})")
    parts += ["decimal comma"] if columns.decimal == "," else []
    return f"columns read as: {', '.join(parts)}; {advice}"


def notes_of_doubt(table: Table, columns: Columns) -> list[str]:
    """Return a note on the columns whose quantities or prices can be read in two ways and stayed text."""
    if columns.decimal:
        return []
    count: Counter[str] = Counter()
    example: dict[str, str] = {}
    for row in table.flat:
        for key, item in row.items():
            text = item.strip() if isinstance(item, str) else ""
            if not text[:-1].isdigit() and _may_be_number(key, columns) and _is_doubtful(key, text):
                count[key] += 1
                example.setdefault(key, text)
    named = list(count)[:_MOST_DOUBTS_NAMED]
    more = f" and {len(count) - len(named)} more columns" if len(count) > len(named) else ""
    told = ", ".join(f"{key} ({count[key]}, such as {example[key]})" for key in named)
    reason = "could be read in two ways and stayed text: a mapping file can name the decimal mark"
    return [f"numbers of {told}{more} {reason}"] if named else []


def write_records(table: Table, columns: Columns, warnings: list[str]) -> tuple[str, list[Clause]]:
    """Return a table as text with a record Clause for each row; what is left out goes to `warnings`."""
    parts: list[str] = []
    clauses: list[Clause] = []
    seen: set[str] = set()
    offset = 0
    for number, (row, flat) in enumerate(zip(table.rows, table.flat, strict=True), start=1):
        identity, title = plain(row.get(columns.id)), plain(row.get(columns.title))
        if not identity or not title or identity in seen:
            reason = f"the id {identity} occurs twice" if identity in seen else "the id or the title is empty"
            warnings.append(f"record {number}: {reason}: left out")
            continue
        seen.add(identity)
        attributes = {name: (value, text) for name, value, text in _attributes(flat, columns)}
        description = plain(row.get(columns.description)) if columns.description else ""
        lines = [title, *([description] if description else [])]
        block = "\n".join([*lines, *(f"{_label(name)}: {text}" for name, (_, text) in attributes.items())])
        parts.append(block)
        held = {name: value for name, (value, _) in attributes.items()}
        clauses.append(Clause(identity, (title,), offset, offset + len(block), "record", held))
        offset += len(block) + 2
    return "\n\n".join(parts), clauses


def _guessed(table: Table, name: str) -> Columns:
    first = table.rows[0]
    found = {role: next((one for one in names if one in first), "") for role, names in ROLES.items()}
    if not found["id"] or not found["title"]:
        missing = " and ".join(role for role in ("id", "title") if not found[role])
        raise BadInput(
            f"{name} has no column for the {missing} (its columns: {', '.join(list(first)[:12])}). "
            f"Name one of {', '.join(ROLES['id'][:6])} and one of {', '.join(ROLES['title'][:4])}, "
            "or name them in a mapping file."
        )
    return Columns(found["id"], found["title"], found["description"])


def _mapped(table: Table, mapping: CatalogMapping, name: str) -> Columns:
    own = {column for row in table.rows for column in row}
    present = own | {column for row in table.flat for column in row}
    top = {mapping.id, mapping.title, mapping.description}  # columns of their own, no keys within one
    missing = [one for one in mapping.columns() if one not in (own if one in top else present)]
    if missing:
        raise BadInput(
            f"The mapping file {mapping.source} names the column {missing[0]!r}, which {name} does not have "
            f"(its columns: {', '.join(list(table.rows[0])[:12])}): correct the mapping or the catalogue."
        )
    names = {one.column: (attribute, one.unit) for attribute, one in mapping.attributes.items()}
    return Columns(mapping.id, mapping.title, mapping.description, mapping.decimal, mapping.price, names, guessed=False)


def _texts(table: Table, columns: Columns) -> Iterator[str]:
    """Yield the texts that may be numbers or quantities."""
    for row in table.flat:
        for key, value in row.items():
            if isinstance(value, str) and value[:1] in "-0123456789" and _may_be_number(key, columns):
                yield value.strip()


def _number_columns(table: Table, columns: Columns) -> frozenset[str]:
    held: dict[str, bool] = {}
    for row in table.rows:
        for key, value in row.items():
            text = value.strip() if isinstance(value, str) else ""
            if text and held.get(key, True):
                held[key] = _may_be_number(key, columns) and is_plain_number(text, columns.decimal)
    return frozenset(key for key, numbers in held.items() if numbers)


def _may_be_number(key: str, columns: Columns) -> bool:
    return key not in {columns.id, columns.title, columns.description} and _NO_NUMBERS.search(key) is None


def _is_doubtful(key: str, text: str) -> bool:
    if _PRICE.search(key) or key.startswith(_MEASURED_NAMES):
        return is_amount_in_doubt(text) or is_in_doubt(text)
    return not text[-1:].isdigit() and is_in_doubt(text)  # a bare 10,100 is as often a list of two


def _currencies(column: str, table: Table) -> str:
    named = _CURRENCY.match(column)
    if named:
        return named["currency"].upper()
    amounts = (read_amount(plain(row.get(column)), "") for row in table.rows)
    return " and ".join(sorted({amount[1].upper() for amount in amounts if amount and amount[1]}))


def _attributes(flat: Row, columns: Columns) -> Iterator[tuple[str, AttributeValue, str]]:
    """Yield the attributes of a row: name, value, and the value as it stands in the text."""
    for key, item in flat.items():
        if key in {columns.title, columns.description}:
            continue
        name, value = _priced(key, item, flat, columns) or _named(key, item, columns)
        if value is not None:
            as_written = key in columns.numbers and columns.decimal != "," and not _CURRENCY.match(name)
            yield name, value, plain(item) if as_written and isinstance(value, float) else _shown(name, value)


def _named(key: str, item: object, columns: Columns) -> tuple[str, AttributeValue | None]:
    name, unit = columns.names.get(key, (key, ""))
    value = _typed(key, item, columns.decimal)
    if value is None or isinstance(value, bool):
        return name, value
    if unit:
        return name, with_unit(value, unit, columns.decimal)
    if isinstance(value, str) and key in columns.numbers:
        number = read_number(value, decimal=columns.decimal)
        return name, float(number) if number is not None else value
    return name, with_point(value, columns.decimal) if isinstance(value, str) else value


def _priced(key: str, item: object, flat: Row, columns: Columns) -> tuple[str, AttributeValue | None] | None:
    """Return a price under its currency, None where a value is none or has no currency to go by."""
    mapped = columns.price if columns.price and columns.price.column == key else None
    if (mapped is None and not _PRICE.search(key)) or key in columns.names:
        return None
    money = read_amount(plain(item), columns.decimal)
    if money is None or isinstance(item, bool):
        return None
    number, stated = money
    if mapped:
        stated = mapped.currency or plain(flat.get(mapped.currency_column)).casefold()
        return (f"price_{CURRENCY_SIGNS.get(stated, stated)}", number) if stated else None
    if _CURRENCY.match(key):
        return key, number
    return (f"{key}_{stated}", number) if stated else None


def _flattened(row: Row) -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        nested = _nested(value)
        if nested is None:
            yield column_key(name), value
        else:
            yield from ((column_key(key), item) for key, item in nested.items())


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


def _typed(name: str, value: object, decimal: Mark) -> AttributeValue | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e15 else str(value)
    text = plain(value)
    if "price" in name or name.startswith(_MEASURED_NAMES):
        number = read_number(text, decimal=decimal)
        return float(number) if number is not None else text or None
    return text or None


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
    if isinstance(value, float):
        return plain(value)
    return value.removesuffix("T00:00:00Z") if name.startswith("date") else plain(value)
