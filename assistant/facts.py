"""Facts: the parts of a sentence that change what it says, each in one form.

A text becomes a row of tokens in which "five (5) days" and "5 days", "$1.2 million" and "USD 1,200,000", "March 3,
2020" and "2020-03-03", "prior to" and "before", "is required to" and "must" are the same token. Words that change the
meaning of others carry a kind: negation, modality, comparison, limit (only, except, unless), order in time. Articles,
auxiliaries and prepositions are left out. It knows English and nothing about passages. Rule: a date that can be read
two ways ("3/4/2020") equals only the same writing of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from assistant.fact_words import (
    CURRENCIES,
    DAY_KINDS,
    EQUALS,
    LEFT_OUT,
    MULTIPLIERS,
    NUMBER_COMPARED,
    NUMBER_WORDS,
    ORDINALS,
    PHRASES,
    UNIT_ENDINGS,
    UNITS,
    FactKind,
)
from ingest.words import stem

_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "(?:" + "|".join(f"{month[:3]}(?:{month[3:]})?" for month in _MONTHS) + "|sept)\\.?"
_MOST_DIGITS = 15
_YEAR = r"(?:1[6-9]|20|21)\d\d"
_DATE = (
    rf"(?P<iso>\b\d{{4}}-\d{{1,2}}-\d{{1,2}}\b)"
    rf"|(?P<month_first>\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:\s*,?\s+{_YEAR}\b)?)"
    rf"|(?P<day_first>\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:day\s+of\s+)?{_MONTH}(?:\s*,?\s+{_YEAR}\b)?(?![a-z]))"
    rf"|(?P<month_year>\b{_MONTH}\s*,?\s+{_YEAR}\b)"
    r"|(?P<slashes>\b\d{1,2}/\d{1,2}/\d{2,4}\b)"
)
_RAW = re.compile(
    rf"{_DATE}|(?P<time>\b\d{{1,2}}(?::\d\d)?\s?[ap]\.?m\b\.?|\b\d{{1,2}}:\d\d\b)"
    r"|(?P<enumerator>\((?:[a-z]|[ivx]{1,5})\))"
    r"|(?P<mixed>\b(?=[\w.-]{0,60}[A-Za-z])(?=[\w.-]{0,60}\d)(?!\d+(?:st|nd|rd|th)\b)(?!\d+(?:[.,]\d+)*-?[a-z]{1,8}\b(?!-?\d))"
    r"\w+(?:[.-]\w+)*)"
    r"|(?P<ordinal>\b\d+(?:st|nd|rd|th)\b)"
    r"|(?P<number>\d[\d,]*(?:\.\d+)?)"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)?)"
    r"|(?P<sign>[$€£%])|(?P<mark>[.!?;:,()\[\]]|\n\s*\n)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Fact:
    """One token: its kind, its one form, and the punctuation before it (0 none, 1 inside a sentence, 2 an end)."""

    kind: FactKind
    value: str
    said: str
    start: int
    named: bool = False
    after: int = 0


@dataclass(frozen=True)
class _Raw:
    kind: str
    text: str
    start: int
    end: int

    @property
    def folded(self) -> str:
        return self.text.casefold().replace("’", "'")


@lru_cache(maxsize=8192)
def facts_of(text: str) -> tuple[Fact, ...]:
    """Return the tokens of a text in order."""
    found: list[Fact] = []
    after, opening = 0, True
    for fact in _read([_Raw(m.lastgroup or "", m.group(), m.start(), m.end()) for m in _RAW.finditer(text)]):
        if fact.value in {"\n", "."}:
            after, opening = max(after, 2 if fact.value == "." else 1), opening or fact.value == "."
            continue
        named = fact.kind == "word" and fact.said[:1].isupper() and not (opening and fact.said[1:].islower())
        opening = False
        if fact.value:
            found.append(replace(fact, named=named, after=after))
            after = 0
    return tuple(found)


def _read(raws: Sequence[_Raw]) -> Iterator[Fact]:
    """Yield tokens; a mark is given as a word of value "." (ends a sentence) or a line break (does not)."""
    place = 0
    while place < len(raws):
        fact, used = (
            _read_mark(raws, place) or _read_date(raws, place) or _read_phrase(raws, place) or _read_amount(raws, place)
        ) or (_read_word(raws[place]), 1)
        yield fact
        place += used


def _read_mark(raws: Sequence[_Raw], place: int) -> tuple[Fact, int] | None:
    raw = raws[place]
    if raw.kind not in {"mark", "enumerator"}:
        return None
    following = raws[place + 1] if place + 1 < len(raws) else None
    ends = raw.text in {"!", "?"} or (
        raw.text == "." and (following is None or (following.start > raw.end and not following.text[:1].islower()))
    )
    return Fact("word", "." if ends or "\n" in raw.text else "\n", raw.text, raw.start), 1


def _read_date(raws: Sequence[_Raw], place: int) -> tuple[Fact, int] | None:
    raw = raws[place]
    if raw.kind == "time":
        return Fact("date", f"time {_clock(raw.folded)}", raw.text, raw.start), 1
    if raw.kind not in {"iso", "month_first", "day_first", "month_year", "slashes"}:
        return None
    return Fact("date", _calendar(raw.kind, raw.folded), raw.text, raw.start), 1


def _calendar(kind: str, text: str) -> str:
    digits = [int(one) for one in re.findall(r"\d+", text)]
    if kind == "iso":
        return f"{digits[0]:04d}-{digits[1]:02d}-{digits[2]:02d}"
    if kind == "slashes":
        month, day, year = digits[0], digits[1], digits[2] + (2000 if digits[2] < 100 else 0)
        if month > 12 or day > 12:
            month, day = (day, month) if month > 12 else (month, day)
            return f"{year:04d}-{month:02d}-{day:02d}"
        return f"{year:04d} {month}/{day}"
    name = next(word for word in re.findall(r"[a-z]+", text) if word[:3] in {month[:3] for month in _MONTHS})
    month = [one[:3] for one in _MONTHS].index(name[:3]) + 1
    if kind == "month_year":
        return f"{digits[0]:04d}-{month:02d}"
    year_text = f"{digits[1]:04d}" if len(digits) > 1 else "-"
    return f"{year_text}-{month:02d}-{digits[0]:02d}"


def _clock(text: str) -> str:
    digits = [int(one) for one in re.findall(r"\d+", text)]
    hour, minute = digits[0], digits[1] if len(digits) > 1 else 0
    if "p" in text and hour < 12:
        hour += 12
    return f"{0 if 'a' in text and hour == 12 else hour:02d}:{minute:02d}"


@lru_cache(maxsize=1)
def _phrases() -> Mapping[str, Sequence[tuple[tuple[str, ...], FactKind, str]]]:
    """Return the phrases by their first word, the longest first."""
    by_first: dict[str, list[tuple[tuple[str, ...], FactKind, str]]] = {}
    for kind, value, alternatives in PHRASES:
        for phrase in alternatives.split("|"):
            parts = tuple(phrase.split())
            by_first.setdefault(parts[0], []).append((parts, kind, value))
    return {first: sorted(found, key=lambda one: -len(one[0])) for first, found in by_first.items()}


def _read_phrase(raws: Sequence[_Raw], place: int) -> tuple[Fact, int] | None:
    raw = raws[place]
    if raw.kind != "word":
        return None
    for parts, kind, value in _phrases().get(raw.folded, ()):
        if tuple(one.folded for one in raws[place : place + len(parts)]) == parts:
            return Fact(kind, value, " ".join(one.text for one in raws[place : place + len(parts)]), raw.start), len(
                parts
            )
    following = raws[place + 1] if place + 1 < len(raws) else None
    if raw.folded in NUMBER_COMPARED and following is not None and _is_number(following):
        return Fact("comparison", NUMBER_COMPARED[raw.folded], raw.text, raw.start), 1
    return None


def _is_number(raw: _Raw) -> bool:
    return raw.kind == "number" or raw.folded in NUMBER_WORDS or raw.text in {"$", "€", "£"}


def _read_amount(raws: Sequence[_Raw], place: int) -> tuple[Fact, int] | None:
    """Read an ordinal, or an optional currency, a number in digits or words (or both), and a unit."""
    raw = raws[place]
    if raw.kind == "ordinal" or raw.folded in ORDINALS:
        order = ORDINALS.get(raw.folded) or int(re.sub(r"\D", "", raw.text))
        return Fact("number", f"{order} th", raw.text, raw.start), 1
    digits = raw.text.replace(",", "")
    if raw.kind == "number" and len(digits) > _MOST_DIGITS:  # a card or serial number: no amount, every digit counts
        return Fact("number", digits, raw.text, raw.start), 1
    currency, first = _currency_at(raws, place)
    value, end = _number_at(raws, first)
    if value is None:
        return None
    end = _repeated(raws, value, end)
    unit, end = _unit_at(raws, end)
    end = _repeated(raws, value, end)
    name, factor = UNITS.get(currency or unit, ("", 1.0))
    said = " ".join(one.text for one in raws[place:end])
    return Fact("number", f"{_written(value * factor)} {name}".rstrip(), said, raw.start), end - place


def _written(value: float) -> str:
    return str(int(value)) if value.is_integer() else f"{value:.12g}"


def _currency_at(raws: Sequence[_Raw], place: int) -> tuple[str, int]:
    first = place
    if raws[place].folded in {"us", "u.s"} and place + 1 < len(raws) and raws[place + 1].text == "$":
        first += 1
    return (raws[first].folded, first + 1) if raws[first].folded in CURRENCIES else ("", place)


def _number_at(raws: Sequence[_Raw], place: int) -> tuple[float | None, int]:
    if place >= len(raws):
        return None, place
    if raws[place].kind == "number":
        value = float(raws[place].text.replace(",", ""))
        return _multiplied(raws, value, place + 1)
    total, current, at = 0.0, 0.0, place
    while at < len(raws):
        word = raws[at].folded
        if word in NUMBER_WORDS:
            current += NUMBER_WORDS[word]
        elif at > place and word == "hundred":
            current *= 100
        elif at > place and word in MULTIPLIERS:
            total, current = total + current * MULTIPLIERS[word], 0.0
        elif not _joins_number(raws, at, current):
            break
        at += 1
    return (None, place) if at == place else (total + current, at)


def _joins_number(raws: Sequence[_Raw], place: int, current: float) -> bool:
    """Tell whether an "and" stands inside a number in words: "one hundred and fifty"."""
    follows = place + 1 < len(raws) and raws[place + 1].folded in NUMBER_WORDS
    return raws[place].folded == "and" and current >= 100 and current % 100 == 0 and follows


def _multiplied(raws: Sequence[_Raw], value: float, place: int) -> tuple[float, int]:
    if place < len(raws) and raws[place].folded in MULTIPLIERS:
        return value * MULTIPLIERS[raws[place].folded], place + 1
    return value, place


def _repeated(raws: Sequence[_Raw], value: float, place: int) -> int:
    """Return the place after the same number in brackets: "five (5)", "ten percent (10%)"; else the place itself."""
    if place >= len(raws) or raws[place].text != "(":
        return place
    inside = place + 1
    while inside < len(raws) and raws[inside].folded in {"us", "$", "usd"}:
        inside += 1
    again, end = _number_at(raws, inside)
    _, end = _unit_at(raws, end)
    return end + 1 if again == value and end < len(raws) and raws[end].text == ")" else place


def _unit_at(raws: Sequence[_Raw], place: int) -> tuple[str, int]:
    if place >= len(raws):
        return "", place
    word = raws[place].folded
    if word in DAY_KINDS and place + 1 < len(raws) and raws[place + 1].folded in {"day", "days"}:
        return DAY_KINDS[word], place + 2
    if word == "per" and place + 1 < len(raws) and raws[place + 1].folded == "cent":
        return "%", place + 2
    unit = UNIT_ENDINGS.get(word, word if word in UNITS else word.removesuffix("s"))
    return (unit, place + 1) if unit in UNITS else ("", place)


def _read_word(raw: _Raw) -> Fact:
    folded = raw.folded.removesuffix("'s")
    if raw.kind in {"sign", "mixed"}:
        return Fact("word", "" if raw.kind == "sign" else folded, raw.text, raw.start)
    value = "" if folded in LEFT_OUT else EQUALS.get(folded) or stem(folded)
    return Fact("word", value, raw.text, raw.start)
