"""Units of measure: a number with a unit, as a catalogue or a person writes it, as a number in one unit of its kind.

"1.2 kg", "1200 g" and "42.3 oz" become grams, so that a bound means the same whatever unit a record uses. Factors are
exact decimals and equal quantities give equal floats. Multiples of a byte are decimal (1 TB is 1000 GB; KiB, MiB and
GiB are binary). Money is no measure here: currencies are never converted. A text counts only where it is one quantity
and nothing else, and where its number can be read in one way: "1,200 g" without a known decimal mark is neither 1200
nor 1.2. It refuses to know which attribute a quantity belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from ingest.documents import AttributeValue

Mark = Literal["", ".", ","]  # the decimal mark; "" where it is not known
_IDENTIFIERS = frozenset(
    "id sku ean gtin upc mpn name model article_number part_number product_id item_id code".split()
)

# By the unit that counts: what each unit is worth in it. Spellings of one unit stand together.
_WORTH: Mapping[str, Mapping[str, str]] = {
    "g": {"mg": ".001", "g gram grams gr": "1", "kg kilogram kilograms kilo kilos": "1000", "t tonne tonnes": "1000000",
          "oz ounce ounces": "28.349523125", "lb lbs pound pounds": "453.59237"},
    "mm": {"nm": ".000001", "µm μm um micron microns": ".001", "mm millimetre millimetres millimeter millimeters": "1",
           "cm centimetre centimetres centimeter centimeters": "10", "m metre metres meter meters": "1000",
           "km kilometre kilometres kilometer kilometers": "1000000", "in inch inches \" ” ″ ''": "25.4",
           "ft foot feet ′": "304.8", "yd yard yards": "914.4"},
    "ml": {"ml millilitre millilitres milliliter milliliters": "1", "cl": "10", "dl": "100",
           "l litre litres liter liters": "1000", "m³ m3": "1000000", "cm³ cm3": "1"},
    "byte": {"byte bytes": "1", "KB kB kilobyte kilobytes": "1000", "MB megabyte megabytes": "1000000",
             "GB gigabyte gigabytes": "1000000000", "TB terabyte terabytes": "1000000000000",
             "PB petabyte petabytes": "1000000000000000", "KiB": "1024", "MiB": "1048576", "GiB": "1073741824",
             "TiB": "1099511627776"},
    "bit_s": {"bit/s bps": "1", "kbit/s kbps Kbit/s Kbps": "1000", "Mbit/s Mbps Mb/s": "1000000",
              "Gbit/s Gbps Gb/s": "1000000000", "kB/s KB/s": "8000", "MB/s MBps": "8000000", "GB/s GBps": "8000000000"},
    "hz": {"Hz hertz": "1", "kHz": "1000", "MHz": "1000000", "GHz": "1000000000"},
    "w": {"mW milliwatt milliwatts": ".001", "W watt watts": "1", "kW kilowatt kilowatts": "1000", "MW": "1000000"},
    "wh": {"Wh": "1", "kWh": "1000"},
    "mah": {"mAh": "1", "Ah": "1000"},
    "v": {"mV": ".001", "V volt volts": "1", "kV": "1000"},
    "a": {"mA": ".001", "A amp amps ampere amperes": "1"},
    "s": {"ms millisecond milliseconds": ".001", "s sec secs second seconds": "1", "min mins minute minutes": "60",
          "h hr hrs hour hours": "3600", "day days": "86400", "week weeks": "604800"},
    "month": {"month months": "1", "year years yr yrs": "12"},
    "bar": {"bar": "1", "Pa": ".00001", "kPa": ".01", "MPa": "10", "psi": ".0689475729"},
    "lm": {"lm lumen lumens": "1"},
    "cd_m2": {"cd/m² cd/m2 nit nits": "1"},
    "db": {"dB dB(A) dBA decibel decibels": "1"},
    "dpi": {"dpi": "1"},
    "rpm": {"rpm": "1"},
    "ppm": {"ppm": "1"},
    "mp": {"MP megapixel megapixels": "1"},
    "percent": {"% percent": "1"},
    "c": {"°C": "1", "°F": "1"},  # the one kind that is no multiple: see `_canonical`
}  # fmt: skip
_EXACT = {
    spelt: (kind, Decimal(worth))
    for kind, units in _WORTH.items()
    for spellings, worth in units.items()
    for spelt in spellings.split()
}
_FOLDED: dict[str, tuple[str, Decimal]] = {}
for _spelt, _unit in _EXACT.items():
    _FOLDED.setdefault(_spelt.casefold(), _unit)  # of "mW" and "MW" the first counts where neither is written exactly
_DIGITS = r"\d{1,3}(?:[  '’]\d{3})+(?:[.,]\d+)?|\d[\d.,]*\d|\d|[.,]\d+"
_NUMBER = re.compile(rf"[-+−]?(?:{_DIGITS})")
_QUANTITY = re.compile(
    rf"(?P<number>[-+−]?(?:{_DIGITS}))\s*(?P<unit>[^\d\s()][^\d\s()]*(?:[²³23])?(?:\(A\))?)\.?"
    rf"(?:\s*\(\s*(?P<again>(?:{_DIGITS})\s*[^\d\s()]+)\s*\))?"
)
_LONGEST = 60
_SAME_SHARE = 0.02  # "39.6 cm (15.6 in)" is rounded twice
_LONG_SUFFIXES = frozenset(
    "mg kg oz lb lbs mm cm km inch inches ft ml cl kb mb gb tb hz khz mhz ghz mw kw wh kwh mah ah mv kv ma "
    "ms lm dpi rpm mbps gbps".split()
)
_SHORT_SUFFIXES = frozenset("g m l w v".split())  # of numbers only; "a", "c" and "in" are words as often


CURRENCY_SIGNS = {"€": "eur", "$": "usd", "£": "gbp", "¥": "jpy"}
_MONEY = re.compile(
    rf"(?P<before>[€$£¥]|[A-Z]{{3}})\s*(?P<number>-?(?:{_DIGITS}))|(?P<again>-?(?:{_DIGITS}))\s*(?P<after>[€$£¥]|[A-Z]{{3}})"
)


@dataclass(frozen=True)
class Measure:
    """A quantity in the unit that counts for its kind: `unit` is g, mm, ml, byte ..."""

    number: float
    unit: str


def read_number(text: str, *, decimal: Mark = "") -> Decimal | None:
    """Return a written number, None where it is none or can be read in two ways.

    Without a known mark, of two different marks the last is the decimal one, a mark that stands twice parts thousands,
    and a single comma before exactly three digits says nothing, unless a nought stands before it.
    """
    plain = re.sub(r"(?<=\d)[  '’](?=\d{3})", "", text.strip()).replace("−", "-")
    if not _NUMBER.fullmatch(plain):
        return None
    mark = decimal or _mark_of(plain)
    if mark is None:
        return None
    whole, found, part = plain.rpartition(mark) if mark and mark in plain else (plain, "", "")
    thousands = "," if mark == "." else "."
    if (found and thousands in part) or plain.count(mark or " ") > 1:
        return None
    grouped = whole.replace(",", ".").split(".")
    if len(grouped) > 1 and not (len(grouped[0].lstrip("+-")) <= 3 and all(len(one) == 3 for one in grouped[1:])):
        return None
    return Decimal(f"{''.join(grouped) or '0'}.{part or '0'}" if whole.strip("+-") else f"{whole}0.{part or '0'}")


def _mark_of(plain: str) -> Mark | None:
    """Return the decimal mark of a number by itself, "," where a point can only part thousands; None in doubt."""
    points, commas = plain.count("."), plain.count(",")
    if points and commas:
        return "." if plain.rindex(".") > plain.rindex(",") else ","
    if points > 1 or commas > 1:
        return "," if points else "."
    if not commas:
        return "."
    before, _, after = plain.partition(",")
    return None if len(after) == 3 and before.lstrip("+-") not in {"", "0"} else ","


def is_in_doubt(text: str) -> bool:
    """Tell whether a text is a quantity or a number that can be read in two ways, such as 1,200 g."""
    found = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    number = found["number"] if found else text
    known = find_unit(found["unit"]) is not None if found else True
    return known and _NUMBER.fullmatch(number) is not None and _mark_of(number) is None


def find_unit(text: str) -> tuple[str, Decimal] | None:
    """Return the kind of a unit, named by the unit that counts, and what it is worth in that; None for no unit.

    Case tells where it can (mW, MW); where it is written otherwise than usual it does not matter.
    """
    spelt = text.strip().removesuffix(".")
    return _EXACT.get(spelt) or _FOLDED.get(spelt.casefold())


@lru_cache(maxsize=65536)
def read_measure(text: str, decimal: Mark = "") -> Measure | None:
    """Return the quantity that a text is, None where it is none. A second one in brackets must say the same."""
    found = _QUANTITY.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if found is None:
        return None
    number, unit = read_number(found["number"], decimal=decimal), find_unit(found["unit"])
    if number is None or unit is None:
        return None
    measure = _canonical(number, found["unit"], unit)
    if found["again"]:
        again = read_measure(found["again"], decimal)
        if again is None or again.unit != measure.unit or not _agree(measure.number, again.number):
            return None
    return measure


def read_money(text: str, decimal: Mark = "") -> tuple[float, str] | None:
    """Return an amount and its currency as three small letters, None where a text is no amount of a currency."""
    found = _MONEY.fullmatch(text.strip())
    number = read_number(found["number"] or found["again"], decimal=decimal) if found else None
    if found is None or number is None:
        return None
    stated = found["before"] or found["after"]
    return float(number), CURRENCY_SIGNS.get(stated, stated.casefold())


def to_measure(number: float, unit: str) -> Measure | None:
    """Return a number of a unit as a quantity, None where the unit is not known."""
    found = find_unit(unit)
    return _canonical(Decimal(repr(float(number))), unit, found) if found else None


def in_unit(measure: Measure, unit: str) -> float | None:
    """Return a quantity in another unit of its kind, None where it has none."""
    found = find_unit(unit)
    if found is None or found[0] != measure.unit:
        return None
    if measure.unit == "c":
        return measure.number * 9 / 5 + 32 if _is_fahrenheit(unit) else measure.number
    return float(Decimal(repr(measure.number)) / found[1])


def measures_of(attributes: Mapping[str, AttributeValue]) -> dict[str, float]:
    """Return the quantities among a record's attributes, by name and unit that counts: {"weight_g": 1200.0}.

    A number has the unit that its name ends in ("weight_kg"). Identifiers are passed over: a model called "200 m" has
    no length.
    """
    return {key: number for key, (number, _) in stated_measures(attributes).items()}


def stated_measures(attributes: Mapping[str, AttributeValue]) -> dict[str, tuple[float, str]]:
    """Return the quantities as `measures_of` does, each with the attribute that states it; the first one counts."""
    found: dict[str, tuple[float, str]] = {}
    for name, value in attributes.items():
        base, measure = _measure(name, value)
        if measure is not None:
            found.setdefault(f"{base}_{measure.unit}", (measure.number, name))
    return found


def _measure(name: str, value: AttributeValue) -> tuple[str, Measure | None]:
    if isinstance(value, bool) or name in _IDENTIFIERS:
        return name, None
    if isinstance(value, str):
        return split_name(name)[0] if _ends_in_unit(name) else name, read_measure(value)
    base, unit = split_name(name)
    return base, to_measure(value, unit) if unit else None


def split_name(name: str) -> tuple[str, str]:
    """Return an attribute's name and the unit that it ends in, "" for none: "weight_kg" is weight in kg."""
    base, _, suffix = name.rpartition("_")
    return (base, suffix) if base and suffix in _LONG_SUFFIXES | _SHORT_SUFFIXES else (name, "")


def _ends_in_unit(name: str) -> bool:
    return name.rpartition("_")[2] in _LONG_SUFFIXES


def _canonical(number: Decimal, spelt: str, unit: tuple[str, Decimal]) -> Measure:
    kind, worth = unit
    if kind == "c" and _is_fahrenheit(spelt):
        return Measure(float((number - 32) * 5 / 9), kind)
    return Measure(float(number * worth), kind)


def _is_fahrenheit(spelt: str) -> bool:
    return spelt.casefold() == "°f"


def _agree(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME_SHARE * max(abs(one), abs(other))
