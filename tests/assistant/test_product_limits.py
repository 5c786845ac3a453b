"""Product limits: one bound for every unit, by what records state; money is never converted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assistant.product_limits import Limit, read_limits, stated_by
from ingest.documents import AttributeValue
from ingest.index import Condition
from ingest.product_facts import ProductFacts, gather_facts
from tests.ingest.test_product_facts import Slice


def laptop(clause: str, weight: AttributeValue, **attributes: AttributeValue) -> Slice:
    title = f"Acme laptop {clause}"
    held: dict[str, AttributeValue] = {"id": clause, "price_eur": 700.0, **attributes}
    return Slice(clause, (title,), f"{title}\nA laptop", held | {"weight": weight})


STATED = gather_facts([laptop("1", "1.2 kg"), laptop("2", "1600 g"), laptop("3", "2.9 lb", depth_cm=20.0)])
BARE = ProductFacts(
    records=9,
    units={"g": {"weight": 5}, '"': {"diagonal": 4}},
    attributes={"weight": 9, "diagonal": 9, "price_eur": 9},
    numeric={"weight": 9, "diagonal": 9, "price_eur": 9},
)


def read(query: str, facts: ProductFacts) -> list[tuple[str, str, float]]:
    return [(limit.measure or limit.attribute, limit.operator, limit.value) for limit in read_limits(query, facts)]


@pytest.mark.parametrize(
    ("query", "limits"),
    [
        ("laptops under 1500 g", [("weight_g", "<", 1500.0)]),
        ("laptops under 1.5 kg", [("weight_g", "<", 1500.0)]),
        ("laptops lighter than 3 lb", [("weight_g", "<", 1360.77711)]),
        ("laptops between 1 and 1.5 kg", [("weight_g", ">=", 1000.0), ("weight_g", "<=", 1500.0)]),
        ("laptops under 25 cm", [("depth_mm", "<", 250.0)]),
        ("laptops under 1.5 kg and under 800", [("weight_g", "<", 1500.0), ("price_eur", "<", 800.0)]),
        ("laptops over 3000 lumens", []),
        ("laptops under 20 W", []),
    ],
)
def test_a_quantity_bounds_what_records_state_in_any_unit(query: str, limits: list[tuple[str, str, float]]) -> None:
    assert read(query, STATED) == limits


def test_a_quantity_bounds_bare_numbers_in_the_unit_that_titles_give_them() -> None:
    assert read("laptops under 1500 g", BARE) == [("weight", "<", 1500.0)]
    assert read("laptops under 1.5 kg", BARE) == [("weight", "<", 1500.0)]
    (limit,) = read_limits("laptops under 40 cm", BARE)
    assert limit.attribute == "diagonal"
    assert limit.value == pytest.approx(15.748, abs=0.001)


def test_money_is_never_converted() -> None:
    assert read("laptops under 800 euro", BARE) == [("price_eur", "<", 800.0)]
    assert read("laptops under $800", BARE) == [("price_usd", "<", 800.0)]  # which no record states
    unnamed = replace(BARE, numeric={"price": 9})
    assert read("laptops under $800", unnamed) == [("price", "<", 800.0)]


def test_a_limit_is_asked_of_the_index_and_told_as_it_was_said() -> None:
    (limit,) = read_limits("laptops under 1.5 kg", STATED)
    assert limit.condition() == Condition("measures.weight_g", "<", 1500.0)
    assert limit.said == "1.5 kg"


@pytest.mark.parametrize(
    ("attributes", "met", "stated"),
    [
        ({"weight": "1.2 kg"}, True, "weight"),
        ({"weight": "1600 g"}, False, "weight"),
        ({"weight_kg": 1.4}, True, "weight_kg"),
        ({"weight": 1.2}, False, "weight"),
        ({"weight": "light"}, False, "weight"),
    ],
)
def test_a_record_meets_a_limit_by_what_it_states(
    attributes: dict[str, AttributeValue], met: bool, stated: str
) -> None:
    limit = Limit("weight", "<", 1500.0, 0, 1, "weight_g")
    assert limit.met_by(attributes) is met
    assert stated_by(attributes, "weight", "weight_g") == stated
