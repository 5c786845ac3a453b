"""The mapping file of a catalogue: which columns hold what, and how its numbers are written.

`shop.mapping.toml` beside `shop.csv` (or .tsv .json .jsonl .xlsx .xlsm) is read with it:

    id = "Artikelnummer"                            # column names, as in the catalogue
    title = "Bezeichnung"
    description = "Text"                            # may be left out, as all that follows
    delimiter = ";"
    decimal = ","
    [price]
    column = "Preis"
    currency = "EUR"                                # or currency_column = "Waehrung"
    [attributes]
    weight = { column = "Gewicht", unit = "kg" }    # renamed, with its unit
    colour = "Farbe"                                # renamed
    length = { unit = "cm" }                        # a unit for the column of this name

Every other column stays an attribute under its own name. What the file says and the catalogue does not have is an
error, never a guess. The text is handed to the worker that parses and is part of what decides whether a catalogue is
read again. It refuses to know how records are written.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from governance.errors import BadInput
from ingest.units import Mark, find_unit

MAPPING_ENDING = ".mapping.toml"
CATALOG_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".xlsm")
_MOST_BYTES = 64 * 1024
_COLUMNS = ("id", "title", "description")
_KEYS = {*_COLUMNS, "delimiter", "decimal", "price", "attributes"}
_PRICE_KEYS = {"column", "currency", "currency_column"}
_ATTRIBUTE_KEYS = {"column", "unit"}
_DELIMITERS = {"tab": "\t", "\t": "\t", ",": ",", ";": ";", "|": "|"}


@dataclass(frozen=True)
class AttributeMapping:
    """Where an attribute stands and the unit of its numbers ("" for none)."""

    column: str
    unit: str = ""


@dataclass(frozen=True)
class PriceMapping:
    """Where the price stands, and its currency: one for all, or a column that holds it."""

    column: str
    currency: str = ""
    currency_column: str = ""


@dataclass(frozen=True)
class CatalogMapping:
    """What a mapping file says; columns are named as `column_key` gives them, `source` is the file's own name."""

    source: str
    id: str
    title: str
    description: str = ""
    delimiter: str = ""
    decimal: Mark = ""
    price: PriceMapping | None = None
    attributes: Mapping[str, AttributeMapping] = field(default_factory=dict)

    def columns(self) -> list[str]:
        """Return all columns that are named, in order."""
        price = [self.price.column, self.price.currency_column] if self.price else []
        named = [self.id, self.title, self.description, *price, *(one.column for one in self.attributes.values())]
        return [name for name in dict.fromkeys(named) if name]


def column_key(name: object) -> str:
    """Return a column name as records use it: lower case, underscores for all that is no letter or digit."""
    return re.sub(r"[^\w]+", "_", str(name).strip().casefold()).strip("_")


def is_mapping(path: Path) -> bool:
    """Tell whether a file is a mapping by its name."""
    return path.name.casefold().endswith(MAPPING_ENDING)


def mapping_beside(path: Path) -> Path | None:
    """Return the mapping file of a catalogue, None where there is none."""
    found = path.with_name(f"{path.stem}{MAPPING_ENDING}")
    return found if path.suffix.lower() in CATALOG_ENDINGS and found.is_file() else None


def belongs_to(mapping: Path, catalog: Path) -> bool:
    """Tell whether a mapping file is the one of a catalogue."""
    stem = mapping.name[: -len(MAPPING_ENDING)]
    same = mapping.parent == catalog.parent and catalog.stem == stem
    return same and catalog.suffix.lower() in CATALOG_ENDINGS


def read_mapping_text(path: Path) -> str:
    """Return the text of the mapping file beside a catalogue, "" where there is none. Raises BadInput."""
    found = mapping_beside(path)
    if found is None:
        return ""
    if found.is_symlink():
        raise BadInput(f"The mapping file {found.name} is a link and is not followed: put the file itself there.")
    if found.stat().st_size > _MOST_BYTES:
        raise BadInput(f"The mapping file {found.name} has more than {_MOST_BYTES // 1024} KB: it is no mapping.")
    try:
        return found.read_text(encoding="utf-8-sig") or "\n"
    except UnicodeDecodeError as error:
        raise BadInput(f"The mapping file {found.name} is not UTF-8 (byte {error.start}): save it as UTF-8.") from error


def parse_mapping(text: str, source: str) -> CatalogMapping:
    """Read the text of a mapping file. Raises BadInput with what is wrong in it."""
    try:
        value = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"The mapping file {source} is not valid TOML ({error}): correct it or remove it.") from error
    _check_keys(value, _KEYS, source, "")
    for name in ("id", "title"):
        if name not in value:
            raise BadInput(f'The mapping file {source} names no column for the {name}: add a line {name} = "COLUMN".')
    return CatalogMapping(
        source=source,
        id=_column(value, "id", source),
        title=_column(value, "title", source),
        description=_column(value, "description", source),
        delimiter=_chosen(value, "delimiter", _DELIMITERS, source),
        decimal=cast(Mark, _chosen(value, "decimal", {".": ".", ",": ","}, source)),
        price=_price(value.get("price"), source),
        attributes=_attributes(value.get("attributes", {}), source),
    )


def _check_keys(value: Mapping[str, Any], known: set[str], source: str, within: str) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        place = f" in {within}" if within else ""
        raise BadInput(
            f"The mapping file {source} has the unknown key {unknown[0]!r}{place}; "
            f"known are {', '.join(sorted(known))}."
        )


def _text(value: Mapping[str, Any], name: str, source: str) -> str:
    found = value.get(name, "")
    if not isinstance(found, str):
        raise BadInput(f"The mapping file {source} gives {name} as {found!r}, a text in quotes was expected.")
    return found


def _column(value: Mapping[str, Any], name: str, source: str) -> str:
    column = column_key(_text(value, name, source))
    if name in value and not column:
        raise BadInput(f"The mapping file {source} names no column for {name}: give its name, or remove the line.")
    return column


def _chosen(value: Mapping[str, Any], name: str, among: Mapping[str, str], source: str) -> str:
    found = _text(value, name, source)
    if name in value and found not in among:
        known = " or ".join(repr(one) for one in among if one != "\t")
        raise BadInput(f"The mapping file {source} gives {name} as {found!r}; {known} was expected.")
    return among.get(found, "")


def _price(value: Any, source: str) -> PriceMapping | None:
    if value is None:
        return None
    _check_table(value, "price", source)
    _check_keys(value, _PRICE_KEYS, source, "price")
    currency = _text(value, "currency", source)
    found = PriceMapping(
        _column(value, "column", source), currency.casefold(), _column(value, "currency_column", source)
    )
    if not found.column:
        raise BadInput(f'The mapping file {source} names no column for the price: add a line column = "COLUMN".')
    if bool(currency) == bool(found.currency_column) or (currency and not re.fullmatch("[A-Za-z]{3}", currency)):
        raise BadInput(
            f"The mapping file {source} must give the price either currency, a code of three letters such as EUR, "
            f"or currency_column; it gives {currency or 'no currency'!r}."
        )
    return found


def _attributes(value: Any, source: str) -> dict[str, AttributeMapping]:
    _check_table(value, "attributes", source)
    found: dict[str, AttributeMapping] = {}
    for name, given in value.items():
        key = column_key(name)
        found[key] = _attribute(key, given, source)
    columns = [one.column for one in found.values()]
    twice = next((one for one in columns if columns.count(one) > 1), "")
    if twice:
        raise BadInput(f"The mapping file {source} gives the column {twice!r} to two attributes; name it once.")
    return found


def _attribute(key: str, given: Any, source: str) -> AttributeMapping:
    if isinstance(given, str):
        return AttributeMapping(column_key(given))
    _check_table(given, f"attributes.{key}", source)
    _check_keys(given, _ATTRIBUTE_KEYS, source, f"attributes.{key}")
    unit = _text(given, "unit", source)
    if unit and find_unit(unit) is None:
        raise BadInput(
            f"The mapping file {source} gives {key} the unit {unit!r}, which is not known; write kg, cm, GB ..."
        )
    return AttributeMapping(_column(given, "column", source) or key, unit)


def _check_table(value: Any, name: str, source: str) -> None:
    if not isinstance(value, dict):
        raise BadInput(f"The mapping file {source} gives {name} as {value!r}; a table of keys was expected.")
