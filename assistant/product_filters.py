"""Product filters: filters on attributes held against what the catalogues of a Generation state.

A filter that compares a quantity (weight<1.5 kg) works on every record that states one, whatever its unit. One that
could only mislead is refused with the way to ask instead: a unit where the records hold bare numbers, a bare number
where they state units, a currency in which there are no prices. Currencies are never converted. An attribute that no
record has is left alone: it finds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from governance.errors import BadInput
from ingest.index import Condition, measure_of, payload_field
from ingest.product_facts import ProductFacts

_COMPARED = {"<", "<=", ">", ">="}
_ATTRIBUTES = payload_field("a").removesuffix("a")
_CURRENCY_LETTERS = 3


def resolve_filters(filters: Sequence[Condition], facts: ProductFacts) -> tuple[Condition, ...]:
    """Return the filters as the catalogues of a Generation are asked. Raises BadInput."""
    return tuple(_resolved(one, facts) for one in filters) if facts.records else tuple(filters)


def _resolved(condition: Condition, facts: ProductFacts) -> Condition:
    measure = measure_of(condition.field)
    if measure:
        _check_measure(measure, facts)
    elif condition.field.startswith(_ATTRIBUTES) and not isinstance(condition.value, tuple):
        return _resolve_attribute(condition, condition.field.removeprefix(_ATTRIBUTES), facts)
    return condition


def _check_measure(measure: str, facts: ProductFacts) -> None:
    name = measure.rpartition("_")[0]
    if measure not in facts.measures and name in facts.numeric:
        raise BadInput(
            f"The catalogue gives {name} as a bare number and states no unit for it: compare it with a number alone, "
            "or name its unit in a mapping file and ingest the catalogue again."
        )


def _resolve_attribute(condition: Condition, name: str, facts: ProductFacts) -> Condition:
    if name in facts.attributes or condition.operator not in _COMPARED | {"="}:
        _check_bare(condition, name, facts)
        return condition
    currency = _currency_of(name)
    base = name.removesuffix(f"_{currency}") if currency else name
    priced = sorted(one for one in facts.numeric if _currency_of(one) and one.startswith(f"{base}_"))
    known = ", ".join(_currency_of(one).upper() for one in priced)
    if priced and currency:
        raise BadInput(
            f"The catalogue states its {base} in {known} and not in {currency.upper()}; currencies are never "
            f"converted: compare it in {known}."
        )
    if len(priced) > 1:
        raise BadInput(f"The catalogue states its {base} in {known}: say in which, such as {base}<100 {known[:3]}.")
    if priced and isinstance(condition.value, float):
        return replace(condition, field=payload_field(priced[0]))
    _check_bare(condition, name, facts)
    return condition


def _check_bare(condition: Condition, name: str, facts: ProductFacts) -> None:
    """Refuse a bare number for an attribute that has units in all records."""
    measures = [one for one in facts.measures if one.rpartition("_")[0] == name]
    if measures and not facts.numeric.get(name) and condition.operator in _COMPARED:
        unit = measures[0].rpartition("_")[2].replace("_", "/")
        raise BadInput(
            f"The catalogue states {name} with its unit: compare it with one too, such as {name}<100 {unit}."
        )


def _currency_of(name: str) -> str:
    """Return the currency that a price is named by, "" for what is no price in a currency."""
    base, _, currency = name.rpartition("_")
    priced = any(word in base for word in ("price", "preis", "prix", "precio"))
    return currency if priced and len(currency) == _CURRENCY_LETTERS and currency.isalpha() else ""
