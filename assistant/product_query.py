"""Product queries: what a query asks of a catalogue, and how well each found record meets it.

`understand` reads a query against the ProductFacts of the Generation: its words, the makers it names, the limits it
sets ("under 300", "at least 27 inch"). `boosts` then scores the records that retrieval found. Two things tell most on
product queries, beyond what dense search and BM25 say:

- a word counts where the record holds it best (title, description, type, model or an attribute's value), each part
  with its own rarity and length; parts are not added up, so that a word repeated in thirty attributes is one match
  (the maximum over fields of Lucene's DisMax);
- the share of the query, by rarity, that the record says anywhere, attribute names included: "cd drive" wants both.

Only chunks of kind record get a boost. Candidates come from the engine, under the asker's conditions; nothing here
searches. The weights were fitted by cross-validation over queries (`benchmarks/product_search.py` repeats it).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ingest.index import Condition, Stored, payload_field
from ingest.product_facts import (
    PARTS,
    WHOLE,
    PartFacts,
    ProductFacts,
    describe,
    stemmed,
    unit_name,
    words_of_parts,
)
from ingest.words import content_words

BEST_PART_WEIGHT = 3.0  # beside the two fused parts, each from 0 to 1
SAID_WEIGHT = 3.0
Sign = Literal["<", "<=", ">", ">="]
_K, _B = 1.2, 0.75  # as the index's own BM25
_NUMBER = r"(?:[€$£]\s?)?(?P<{name}>\d[\d,]*(?:\.\d+)?)(?P<{name}_unit>\s?(?:\"|”|[a-z€$£]{{1,6}}\b|[€$£]))?"
_BETWEEN = re.compile(
    rf"\b(?:between|from)\s+{_NUMBER.format(name='low')}\s+(?:and|to)\s+{_NUMBER.format(name='high')}", re.IGNORECASE
)
_BOUND = re.compile(
    r"(?P<words>\b(?:under|below|up to|at most|maximum|over|above|at least|minimum|"
    r"(?:no |not )?(?:\w+er|more|less) than)|<=|>=|<|>)\s*(?:of\s+)?" + _NUMBER.format(name="value"),
    re.IGNORECASE,
)
_UPPER = {
    "under",
    "below",
    "less",
    "fewer",
    "lower",
    "cheaper",
    "lighter",
    "smaller",
    "shorter",
    "thinner",
    "slower",
    "<",
}
_UPPER_OR_EQUAL = {"up to", "at most", "maximum", "<="}
_LOWER_OR_EQUAL = {"at least", "minimum", ">="}
_OPPOSITE: Mapping[Sign, Sign] = {"<": ">=", ">": "<="}
_MONEY = {"€", "$", "£", "eur", "euro", "euros", "usd", "gbp", "dollar", "dollars", "pounds"}
_AROUND_WORDS = 4
_JOINT = re.compile(r"[,;]|\b(?:with|and|or|but)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Limit:
    """A bound on a numeric attribute, and the code point span of the words that set it in the query."""

    attribute: str
    operator: Sign
    value: float
    start: int
    end: int

    def holds(self, value: object) -> bool:
        """Tell whether a value is within the bound; what is no number is not."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        match self.operator:
            case "<":
                return value < self.value
            case "<=":
                return value <= self.value
            case ">":
                return value > self.value
            case _:
                return value >= self.value

    def condition(self) -> Condition:
        """Return the bound as a condition inside the engine's query."""
        return Condition(payload_field(self.attribute), self.operator, self.value)


@dataclass(frozen=True)
class ProductQuery:
    """A query as the catalogue reads it: its stems with their rarity, without the words of its limits."""

    text: str
    words: Mapping[str, float]
    makers: tuple[str, ...]
    limits: tuple[Limit, ...]


def understand(query: str, facts: ProductFacts) -> ProductQuery:
    """Read a query against what the catalogues of a Generation hold."""
    limits = read_limits(query, facts)
    wanted = _without(query, limits)
    found = dict.fromkeys(stemmed(wanted))
    whole = facts.part(WHOLE)
    named = f" {' '.join(stemmed(wanted))} "
    makers = tuple(sorted(maker for maker in facts.makers if maker and f" {maker} " in named))
    return ProductQuery(wanted, {word: whole.weigh(word) for word in found}, makers, limits)


def boosts(
    query: ProductQuery,
    chunks: Sequence[Stored],
    facts: ProductFacts,
    *,
    best_part: float = BEST_PART_WEIGHT,
    said: float = SAID_WEIGHT,
) -> dict[str, float]:
    """Return what to add to the fused score of each chunk found, by its id; 0 for what is no record."""
    found = dict.fromkeys((chunk.id for chunk in chunks), 0.0)
    if not query.words or not facts.records:
        return found
    records = _by_record([chunk for chunk in chunks if chunk.kind == "record"])
    parts = {key: _parts(slices, query) for key, slices in records.items()}
    best = {key: _best_parts(query, part, facts) for key, part in parts.items()}
    most = max(best.values(), default=0.0)
    for key, slices in records.items():
        share = best[key] / most if most else 0.0
        score = best_part * share + said * _said(query, parts[key])
        found |= {chunk.id: score for chunk in slices}
    return found


def read_limits(query: str, facts: ProductFacts) -> tuple[Limit, ...]:
    """Return the bounds that a query sets on attributes the catalogue holds as numbers, in order.

    A unit decides the attribute (as titles use it), else its name beside the number, else money the price.
    """
    limits: list[Limit] = []
    for match in _BETWEEN.finditer(query):
        unit, span = _unit(match, "high", facts)
        name = _attribute(query, span, unit or _unit(match, "low", facts)[0], facts)
        if name:
            limits.append(Limit(name, ">=", _value(match["low"]), *span))
            limits.append(Limit(name, "<=", _value(match["high"]), *span))
    for match in _BOUND.finditer(query):
        unit, span = _unit(match, "value", facts)
        taken = any(limit.start < span[1] and span[0] < limit.end for limit in limits)
        name = "" if taken else _attribute(query, span, unit, facts)
        if name:
            limits.append(Limit(name, _sign(match["words"]), _value(match["value"]), *span))
    return tuple(sorted(limits, key=lambda limit: limit.start))


def _unit(match: re.Match[str], number: str, facts: ProductFacts) -> tuple[str, tuple[int, int]]:
    """Return the unit behind a number and the span of the match; a word that is no unit is in neither."""
    unit = (match[f"{number}_unit"] or "").strip().casefold()
    known = unit in _MONEY or unit_name(unit) in facts.units
    return (unit, match.span()) if known else ("", (match.start(), match.end(number)))


def _sign(said: str) -> Sign:
    """Return the comparison that words stand for: "no less than" is >=."""
    folded = " ".join(said.casefold().split())
    if folded in _UPPER_OR_EQUAL:
        return "<="
    if folded in _LOWER_OR_EQUAL:
        return ">="
    plain = re.sub(r"^(?:no|not) ", "", folded)
    sign: Sign = "<" if plain.removesuffix(" than") in _UPPER else ">"
    return sign if plain == folded else _OPPOSITE[sign]


def _attribute(query: str, span: tuple[int, int], unit: str, facts: ProductFacts) -> str:
    """Return the attribute that a bound is on, "" where the catalogue has none to match.

    A bare number is a price only where no noun follows it: "under 300", but not "over 3000 lumens".
    """
    prices = [name for name in facts.numeric if "price" in name]
    price = max(prices, key=lambda name: facts.numeric[name], default="")
    if unit in _MONEY:
        return price
    measured = facts.units.get(unit_name(unit), {}) if unit else {}
    near = set(stemmed(_near(query, span)))
    named = {name: len(label) for name in (measured or facts.numeric) if (label := _label_words(name)) <= near}
    if named:
        return max(named, key=lambda name: (named[name], facts.numeric.get(name, 0), name))
    if measured:
        return max(measured, key=lambda name: (measured[name], name))
    following = _JOINT.split(query[span[1] :])[0].split()
    return "" if following and content_words(following[0]) else price


def _near(query: str, span: tuple[int, int]) -> str:
    """Return the words of a bound and the few beside it, up to where another thought begins."""
    before = _JOINT.split(query[: span[0]])[-1].split()[-_AROUND_WORDS:]
    after = _JOINT.split(query[span[1] :])[0].split()[:_AROUND_WORDS]
    return " ".join([*before, query[slice(*span)], *after])


@lru_cache(maxsize=16384)
def _label_words(name: str) -> frozenset[str]:
    return frozenset(stemmed(name.replace("_", " ")))


def _without(query: str, limits: Sequence[Limit]) -> str:
    kept = query
    for start, end in sorted({(limit.start, limit.end) for limit in limits}, reverse=True):
        kept = f"{kept[:start]} {kept[end:]}"
    return " ".join(kept.split())


def _value(text: str) -> float:
    return float(text.replace(",", ""))


def _by_record(chunks: Sequence[Stored]) -> dict[tuple[str, str, str], list[Stored]]:
    records: dict[tuple[str, str, str], list[Stored]] = {}
    for chunk in chunks:
        records.setdefault((chunk.document, chunk.version, chunk.clause), []).append(chunk)
    return records


def _parts(chunks: Sequence[Stored], query: ProductQuery) -> dict[str, list[str]]:
    """Return the stems of a record's parts, whichever of its slices were found."""
    first = min(chunks, key=lambda chunk: chunk.start)
    title = first.path[0] if first.path else first.title
    description = describe(title, first.text, first.attributes)
    return words_of_parts(title, description, first.attributes, among=query.words)


def _best_parts(query: ProductQuery, parts: Mapping[str, Sequence[str]], facts: ProductFacts) -> float:
    held = {name: Counter(parts[name]) for name in PARTS}
    return sum(
        max(_bm25(word, held[name], len(parts[name]), facts.part(name)) for name in PARTS) for word in query.words
    )


def _bm25(word: str, held: Counter[str], length: int, part: PartFacts) -> float:
    count = held[word]
    if not count:
        return 0.0
    return part.weigh(word) * count * (_K + 1) / (count + _K * (1 - _B + _B * length / part.average_words))


def _said(query: ProductQuery, parts: Mapping[str, Sequence[str]]) -> float:
    """Return the share of a query's words, by rarity, that a record holds anywhere."""
    held = set(parts[WHOLE])
    total = sum(query.words.values())
    return sum(weight for word, weight in query.words.items() if word in held) / total if total else 0.0
