"""Facts: the periods, amounts, percentages, dates and governing laws that a text states, typed and comparable.

By rule, with the place of each in the text. Equal facts have equal values however they are written: "thirty (30) days",
"30 days" and "30 calendar days" are one period. What a rule is not sure of it leaves out. This module knows text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

FactKind = Literal["period", "amount", "percent", "date", "law"]

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_UNITS += "seventeen eighteen nineteen".split()
_TENS = {
    name: 10 * number
    for number, name in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
_WORD_NUMBERS = {name: number for number, name in enumerate(_UNITS)} | _TENS
_NUMBER_WORD = rf"(?:(?:{'|'.join(_TENS)})(?:[-\s](?:{'|'.join(_UNITS[1:10])}))?|{'|'.join(_UNITS)}|(?:one\s)?hundred"
_NUMBER_WORD += rf"(?:\s(?:and\s)?(?:{'|'.join(_TENS)}))?)"
_COUNT = (
    rf"(?:(?P<word>{_NUMBER_WORD})\s*(?:\(\s*(?P<inside>\d[\d,]*)\s*\))?|(?P<digits>\d[\d,]*(?:\.\d+)?)(?:\s*\(\w+\))?)"
)
_PERIOD = re.compile(
    rf"\b{_COUNT}[\s-]+(?P<sort>business\s+|working\s+|calendar\s+|consecutive\s+|full\s+)?"
    r"(?P<unit>hour|day|week|month|quarter|year)(?:s|s['’]|['’]s)?\b",
    re.IGNORECASE,
)
_SCALES = {"thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "mm": 1e6, "billion": 1e9, "bn": 1e9}
_CURRENCIES = {"$": "USD", "us$": "USD", "usd": "USD", "dollars": "USD", "dollar": "USD", "€": "EUR", "eur": "EUR"}
_CURRENCIES |= {"euros": "EUR", "euro": "EUR", "£": "GBP", "gbp": "GBP", "pounds": "GBP", "rmb": "CNY", "yen": "JPY"}
_SCALE = r"(?:\s?(?P<scale>thousand|million|billion|bn|mm|k|m)\b)?"
_AMOUNT = re.compile(
    rf"(?P<before>US\$|\$|€|£|\bUSD|\bEUR|\bGBP|\bRMB)\s?(?P<number>\d[\d,]*(?:\.\d+)?){_SCALE}", re.IGNORECASE
)
_AMOUNT_AFTER = re.compile(
    r"(?<![\w$€£.,])(?P<number>\d[\d,]*(?:\.\d+)?)(?:\s?(?P<scale>thousand|million|billion))?"
    r"\s(?P<after>dollars|euros|pounds|USD|EUR|GBP|RMB)\b",
    re.IGNORECASE,
)
_PERCENT = re.compile(
    rf"(?<![\w.])(?:(?P<digits>\d+(?:\.\d+)?)|(?P<word>{_NUMBER_WORD})(?:\s*\(\s*(?P<inside>\d+(?:\.\d+)?)\s*%?\s*\))?)"
    r"\s?-?(?:%|per\s?cent\b)",
    re.IGNORECASE,
)
_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "|".join([*_MONTHS, *(f"{name[:3]}\\.?" for name in _MONTHS if name != "may"), "sept\\.?"])
_DATE = re.compile(
    rf"\b(?:(?P<month>{_MONTH})\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})"
    rf"|(?P<day2>\d{{1,2}})(?:\s?(?:st|nd|rd|th))?(?:\s+day)?(?:\s+of)?\s+(?P<month2>{_MONTH}),?\s+(?P<year2>\d{{4}})"
    r"|(?P<year3>\d{4})-(?P<month3>\d{2})-(?P<day3>\d{2}))\b",
    re.IGNORECASE,
)
_LAW = re.compile(
    r"\b[Ll]aws?,?\s+(?:and\s+regulations\s+)?(?:of|in force in)\s+(?:the\s+)?"
    r"(?:(?:[Ss]tate|[Cc]ommonwealth|[Pp]rovince|[Cc]ountry|[Kk]ingdom|[Rr]epublic)\s+of\s+)?(?:the\s+)?"
    r"(?P<place>[A-Z][\w.]*(?:\s+(?:of\s+)?[A-Z][\w.]*){0,4})"
)
_LAW_BEFORE = re.compile(r"\b(?P<place>[A-Z][a-z]+(?:\s[A-Z][a-z]+){0,2})\s+law\b(?=.{0,60}\b(?:govern|apply|applies))")


@dataclass(frozen=True)
class Fact:
    """Something a text states: its kind, a comparable value, the words, and their place in the text given."""

    kind: FactKind
    value: str
    text: str
    start: int
    end: int


def find_facts(text: str) -> list[Fact]:
    """Return the facts of a text in order; none overlaps another."""
    found = sorted([*_periods(text), *_amounts(text), *_percents(text), *_dates(text), *_laws(text)], key=_place)
    kept: list[Fact] = []
    for fact in found:
        if not kept or fact.start >= kept[-1].end:
            kept.append(fact)
    return kept


def values_of(facts: list[Fact], kind: FactKind) -> tuple[str, ...]:
    """Return the different values of one kind, in order."""
    return tuple(dict.fromkeys(fact.value for fact in facts if fact.kind == kind))


def read_number(word: str) -> int | None:
    """Return the value of a number written as a word ("thirty", "forty-five", "one hundred twenty"), else None."""
    total = 0
    for part in re.split(r"[-\s]+", word.casefold()):
        if part == "hundred":
            total = max(total, 1) * 100
        elif part in _WORD_NUMBERS:
            total += _WORD_NUMBERS[part]
        elif part != "and":
            return None
    return total


def _place(fact: Fact) -> tuple[int, int]:
    return fact.start, -fact.end


def _fact(kind: FactKind, value: str, match: re.Match[str]) -> Fact:
    return Fact(kind, value, " ".join(match.group().split()), *match.span())


def _periods(text: str) -> Iterator[Fact]:
    for match in _PERIOD.finditer(text):
        count = _count(match)
        if count is not None:
            sort = (match["sort"] or "").strip().casefold()
            working = "business " if sort in {"business", "working"} else ""
            yield _fact("period", f"{count} {working}{match['unit'].casefold()}{'' if count == '1' else 's'}", match)


def _count(match: re.Match[str]) -> str | None:
    printed = match["digits"] or match["inside"]
    if printed:
        return _short(float(printed.replace(",", "")))
    number = read_number(match["word"])
    return None if number is None else str(number)


def _amounts(text: str) -> Iterator[Fact]:
    for match in [*_AMOUNT.finditer(text), *_AMOUNT_AFTER.finditer(text)]:
        groups = match.groupdict()
        currency = _CURRENCIES[(groups.get("before") or groups.get("after") or "").casefold()]
        number = float(groups["number"].replace(",", "")) * _SCALES.get((groups["scale"] or "").casefold(), 1)
        yield _fact("amount", f"{currency} {number:,.2f}".removesuffix(".00"), match)


def _percents(text: str) -> Iterator[Fact]:
    for match in _PERCENT.finditer(text):
        count = _count(match)
        if count is not None:
            yield _fact("percent", f"{count} %", match)


def _dates(text: str) -> Iterator[Fact]:
    for match in _DATE.finditer(text):
        parts = {name.rstrip("23"): value for name, value in match.groupdict().items() if value}
        month = parts["month"].casefold()
        number = int(month) if month.isdigit() else next(n for n, m in enumerate(_MONTHS, 1) if m.startswith(month[:3]))
        try:
            day = date(int(parts["year"]), number, int(parts["day"]))
        except ValueError:
            continue  # 31 June is a slip of the author, not a date
        yield _fact("date", day.isoformat(), match)


def _laws(text: str) -> Iterator[Fact]:
    for match in [*_LAW.finditer(text), *_LAW_BEFORE.finditer(text)]:
        place = " ".join(match["place"].split()).rstrip(".")
        yield _fact("law", place, match)


def _short(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
