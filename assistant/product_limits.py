"""Product limits: the bounds that a query sets on numbers of a catalogue, in whatever unit they are said.

"under 300" is a price, "at least 27 inch" a diagonal, "under 1500 g" a weight, also where the records say 1.4 kg. A
record's own units count (`ingest.units`); where it holds bare numbers, the unit in which titles give that attribute.
Money is never converted: a bound in dollars holds no price in euros. It refuses to know which records are meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ingest.documents import AttributeValue
from ingest.index import Condition, measure_field, payload_field
from ingest.product_facts import ProductFacts, stemmed, unit_name
from ingest.units import find_unit, in_unit, read_number, stated_measures, to_measure
from ingest.words import content_words

Sign = Literal["<", "<=", ">", ">="]
_NUMBER = (
    r"(?P<{name}_sign>[€$£]\s?)?(?P<{name}>\d[\d,]*(?:\.\d+)?)"
    r"(?P<{name}_unit>\s?(?:\"|”|″|%|°[CF]\b|[a-zµ](?:[a-z/]{{0,10}}[a-z])?\b|[€$£]))?"
)
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
_CURRENCIES = {
    said: currency
    for currency, names in (
        ("eur", "€ eur euro euros"),
        ("usd", "$ usd dollar dollars"),
        ("gbp", "£ gbp pounds"),
    )
    for said in names.split()
}
_MEANT = {"g": "weight"}  # a bound in a unit of mass is on the weight, unless another attribute is named
_LEAST_SHARE = 0.0005  # of all records: what fewer state in a unit is not what a unit means
_COMPARED = {
    "lighter": "weight",
    "heavier": "weight",
    "longer": "length",
    "shorter": "length",
    "wider": "width",
    "narrower": "width",
    "taller": "height",
    "higher": "height",
    "deeper": "depth",
    "faster": "speed",
}
_AROUND_WORDS = 4
_JOINT = re.compile(r"[,;]|\b(?:with|and|or|but)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Limit:
    """A bound on a numeric attribute, and the code point span of the words that set it in the query.

    With a `measure` (the key of `measures_of`) the bound is on the quantity, `value` in the unit that counts, and
    `attribute` is its name without a unit. `said` is how the bound is told: "1.5 kg".
    """

    attribute: str
    operator: Sign
    value: float
    start: int
    end: int
    measure: str = ""
    said: str = ""

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

    def met_by(self, attributes: Mapping[str, AttributeValue]) -> bool:
        """Tell whether a record states a value within the bound."""
        return self.holds(number_in(attributes, self.attribute, self.measure))

    def condition(self) -> Condition:
        """Return the bound as a condition inside the engine's query."""
        place = measure_field(self.measure) if self.measure else payload_field(self.attribute)
        return Condition(place, self.operator, self.value)


def number_in(attributes: Mapping[str, AttributeValue], name: str, measure: str) -> float | None:
    """Return the number that a record states for an attribute or a measure, None where it states none."""
    if measure:
        stated = stated_measures(attributes).get(measure)
        return stated[0] if stated else None
    value = attributes.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def stated_by(attributes: Mapping[str, AttributeValue], name: str, measure: str) -> str:
    """Return the attribute by which a record states a measure; for a bare attribute its own name."""
    stated = stated_measures(attributes).get(measure) if measure else None
    return stated[1] if stated else name


def read_limits(query: str, facts: ProductFacts) -> tuple[Limit, ...]:
    """Return the bounds that a query sets on attributes the catalogue holds as numbers, in order.

    A unit decides the attribute (as records state it or titles use it), else its name beside the number, else money
    the price.
    """
    limits: list[Limit] = []
    for match in _BETWEEN.finditer(query):
        unit, span = _unit(match, "high", facts)
        scale = _scale(query, span, unit or _unit(match, "low", facts)[0], facts)
        if scale:
            limits.append(scale.limit(">=", match["low"], span))
            limits.append(scale.limit("<=", match["high"], span))
    for match in _BOUND.finditer(query):
        unit, span = _unit(match, "value", facts)
        taken = any(limit.start < span[1] and span[0] < limit.end for limit in limits)
        bound = None if taken else _scale(query, span, unit, facts)
        if bound:
            limits.append(bound.limit(_sign(match["words"]), match["value"], span))
    return tuple(sorted(limits, key=lambda limit: limit.start))


@dataclass(frozen=True)
class _Scale:
    """What a bound is on: an attribute or a measure, the unit that was said, and the unit of its bare numbers."""

    attribute: str
    measure: str = ""
    said: str = ""
    unit: str = ""
    count: int = 0
    converts: bool = False

    def limit(self, operator: Sign, text: str, span: tuple[int, int]) -> Limit:
        """Return a bound with its number in the unit that the records are compared in."""
        number = _value(text)
        told = f"{text} {self.said}" if self.said else ""
        asked = to_measure(number, self.said) if self.measure or self.unit else None
        if asked is None:
            return Limit(self.attribute, operator, number, *span, said=told)
        if self.measure:
            return Limit(self.attribute, operator, asked.number, *span, self.measure, told)
        converted = in_unit(asked, self.unit)
        return Limit(self.attribute, operator, number if converted is None else converted, *span, "", told)


def _unit(match: re.Match[str], number: str, facts: ProductFacts) -> tuple[str, tuple[int, int]]:
    """Return the unit at a number and the span of the match; a word that is no unit is in neither."""
    sign = (match[f"{number}_sign"] or "").strip()
    unit = (match[f"{number}_unit"] or "").strip()
    if unit.casefold() in _CURRENCIES:
        return unit.casefold(), match.span()
    known = unit_name(unit) in facts.units or (find_unit(unit) is not None and bool(_measured_scales(unit, facts)))
    if known and not sign:
        return unit, match.span()
    return sign, (match.start(), match.end(number))


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


def _scale(query: str, span: tuple[int, int], unit: str, facts: ProductFacts) -> _Scale | None:
    """Return what a bound is on, None where the catalogue has nothing to match.

    A bare number is a price only where no noun follows it: "under 300", but not "over 3000 lumens".
    """
    if unit in _CURRENCIES:
        return _price(_CURRENCIES[unit], facts)
    measured = _measured_scales(unit, facts) if unit else []
    said = _near(query, span).casefold()
    kind = find_unit(unit) if unit else None
    meant = [_MEANT.get(kind[0], "") if kind else "", *(noun for word, noun in _COMPARED.items() if word in said)]
    near = set(stemmed(" ".join([said, *meant])))
    among = measured or [_Scale(name, count=count) for name, count in facts.numeric.items()]
    named = {scale: len(label) for scale in among if (label := _label_words(scale.attribute)) <= near}
    if named:
        return max(named, key=lambda scale: (named[scale], *_rank(scale, facts)))
    if measured:
        usual = [scale for scale in measured if scale.count >= _LEAST_SHARE * facts.records and not scale.converts]
        sole = measured if len(measured) == 1 else []  # of several, no word tells which one is meant
        return max(usual or sole, key=lambda scale: (scale.count, scale.attribute), default=None)
    following = _JOINT.split(query[span[1] :])[0].split()
    return None if following and content_words(following[0]) else _price("", facts)


def _rank(scale: _Scale, facts: ProductFacts) -> tuple[int, str]:
    return facts.numeric.get(scale.attribute, 0) or scale.count, scale.attribute


def _price(currency: str, facts: ProductFacts) -> _Scale | None:
    """Return the price in a currency; where all prices are in others, one that no record states."""
    prices = [name for name in facts.numeric if "price" in name]
    priced = [name for name in prices if currency and name.endswith(f"_{currency}")]
    others = [name for name in prices if name.rpartition("_")[2] in _CURRENCIES]
    if currency and not priced and others and len(others) == len(prices):
        return _Scale(f"price_{currency}", said=currency.upper())
    name = max(priced or prices, key=lambda name: facts.numeric[name], default="")
    return _Scale(name) if name else None


def _measured_scales(unit: str, facts: ProductFacts) -> list[_Scale]:
    """Return all that is measured in a unit or another of its kind: by the records' units, and as titles tell."""
    found = find_unit(unit)
    exact = [
        _Scale(name, said=unit, unit=unit, count=count)
        for name, count in facts.units.get(unit_name(unit), {}).items()
        if count >= max(by.get(name, 0) for by in facts.units.values())  # else titles mostly give it in another unit
    ]
    if found is None:
        return [_Scale(scale.attribute, count=scale.count) for scale in exact]
    stated = [
        _Scale(measure[: -len(found[0]) - 1], measure, unit, count=sum(by.values()))
        for measure, by in facts.measures.items()
        if measure.endswith(f"_{found[0]}")
    ]
    held = {scale.attribute for scale in (*exact, *stated)}
    return [*stated, *exact, *(one for one in _converted(unit, found[0], facts) if one.attribute not in held)]


def _converted(unit: str, kind: str, facts: ProductFacts) -> Iterator[_Scale]:
    """Yield the attributes of bare numbers that titles give in another unit of the kind, each with its most usual."""
    counts = {
        (name, other): count
        for other, by in facts.units.items()
        if (known := find_unit(other)) is not None and known[0] == kind
        for name, count in by.items()
    }
    for name in dict.fromkeys(name for name, _ in counts):
        usual = max((key for key in counts if key[0] == name), key=lambda key: (counts[key], key))
        yield _Scale(name, said=unit, unit=usual[1], count=counts[usual], converts=True)


def _near(query: str, span: tuple[int, int]) -> str:
    """Return the words of a bound and the few beside it, up to where another thought begins."""
    before = _JOINT.split(query[: span[0]])[-1].split()[-_AROUND_WORDS:]
    after = _JOINT.split(query[span[1] :])[0].split()[:_AROUND_WORDS]
    return " ".join([*before, query[slice(*span)], *after])


@lru_cache(maxsize=16384)
def _label_words(name: str) -> frozenset[str]:
    return frozenset(stemmed(name.replace("_", " ")))


def without_limits(query: str, limits: Sequence[Limit], *, by: str = " ") -> str:
    """Return a query with something else in the place of each limit."""
    kept = query
    for start, end in sorted({(limit.start, limit.end) for limit in limits}, reverse=True):
        kept = f"{kept[:start]}{by}{kept[end:]}"
    return kept


def _value(text: str) -> float:
    """Return a number of a query, in which a comma parts thousands."""
    number = read_number(text.rstrip(","), decimal=".")
    return float(number) if number is not None else float(text.replace(",", ""))
