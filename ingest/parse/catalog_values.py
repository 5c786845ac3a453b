"""Values of a catalogue: amounts of money, numbers and quantities as their source writes them.

A text of the document writes numbers one way, with a decimal point; what a source writes with a decimal comma is
written anew ("28,7 cm" is 28.7 cm), and a number that can be read in two ways stays as it is. Refuses to know columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from ingest.units import CURRENCY_SIGNS, Mark, find_unit, read_measure, read_money, read_number

_LEADING = re.compile(r"-?\d[\d.,]*")
_PLAIN = re.compile(r"-?(?:0|[1-9]\d{0,8})(?:[.,]\d+)?")  # no leading noughts, no long row of digits: those are codes
_WITH_POINT = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+\.\d+|\d+\.(?:\d{1,2}|\d{4,})|0\.\d+)")
_WITH_COMMA = re.compile(r"-?(?:\d{1,3}(?:\.\d{3})+,\d+|\d+,(?:\d{1,2}|\d{4,})|0,\d+)")
_LONGEST_QUANTITY = 30
_MOST_VALUE_CHARACTERS = 2000


def plain(value: object) -> str:
    """Return a value on one line without signs that cannot be printed, of at most 2000 characters."""
    if value is None:
        return ""
    if isinstance(value, list):
        value = "; ".join(plain(item) for item in value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    printable = "".join(sign if sign.isprintable() else " " for sign in str(value))
    return re.sub(r"\s+", " ", printable).strip()[:_MOST_VALUE_CHARACTERS]


def read_amount(text: str, decimal: Mark) -> tuple[float, str] | None:
    """Return an amount and its currency in small letters ("" where none is stated), None where a text is no amount."""
    number = read_number(text, decimal=decimal)
    return (float(number), "") if number is not None else read_money(text, decimal)


def is_amount_in_doubt(text: str) -> bool:
    """Tell whether a text is an amount that can be read in two ways: 1,299 EUR."""
    return read_amount(text, "") is None and read_amount(text, ".") is not None


def is_plain_number(text: str, decimal: Mark) -> bool:
    """Tell whether a text is a number and can be no code."""
    return _PLAIN.fullmatch(text) is not None and read_number(text, decimal=decimal) is not None


def guess_decimal(texts: Iterable[str]) -> Mark:
    """Return "," where numbers and quantities have decimal commas and none has a decimal point, else ""."""
    commas = False
    for text in texts:
        number = _LEADING.match(text) if len(text) <= _LONGEST_QUANTITY else None
        rest = text[number.end() :].strip() if number else ""
        if number is None or (
            rest and rest not in CURRENCY_SIGNS and rest.casefold() != "eur" and find_unit(rest) is None
        ):
            continue
        if _WITH_POINT.fullmatch(number[0]):
            return ""
        commas = commas or _WITH_COMMA.fullmatch(number[0]) is not None
    return "," if commas else ""


def with_unit(value: str | float, unit: str, decimal: Mark) -> str:
    """Return a number with its unit; what states a unit of its own or is no number stays as it is."""
    if isinstance(value, float):
        return f"{decimal_text(Decimal(repr(value)))} {unit}"
    if read_measure(value, decimal) is not None:
        return with_point(value, decimal)
    number = read_number(value, decimal=decimal)
    return value if number is None else f"{decimal_text(number)} {unit}"


def with_point(value: str, decimal: Mark) -> str:
    """Return a quantity that is written with a decimal comma with a point; anything else as it is."""
    found = _LEADING.match(value) if decimal == "," else None
    number = read_number(found[0], decimal=",") if found else None
    if found is None or number is None or read_measure(value, ",") is None:
        return value
    return f"{decimal_text(number)}{value[found.end() :]}"


def decimal_text(number: Decimal) -> str:
    """Return a number with a decimal point, without an exponent and without noughts at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
