"""Attributes asked for: the label that a person means, never one of another thing."""

from __future__ import annotations

import pytest

from assistant.product_attributes import is_attribute, is_label, label_of, labels_asked
from ingest.product_facts import ProductFacts

LABELS = [
    "Weight",
    "Package weight",
    "Keyboard weight",
    "Package depth",
    "EAN",
    "Price",
    "Print speed black normal quality",
    "Print speed colour normal quality",
    "Hdmi ports quantity",
    "Maximum duty cycle",
    "Output power",
    "Output power capacity",
    "Capacity",
]
FACTS = ProductFacts(
    attributes={name.casefold().replace(" ", "_"): 3 for name in LABELS} | {"price_eur": 3},
    units={"watts": {"output_power": 7, "output_power_capacity": 1}},
)


def found(asked: str, labels: list[str] = LABELS, title: str = "") -> list[str]:
    return [labels[place] for place in labels_asked(asked, labels, title=title, facts=FACTS)]


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        ("weight", ["Weight"]),
        ("keyboard weight", ["Keyboard weight"]),
        ("barcode number", ["EAN"]),
        ("price", ["Price"]),
        ("number of HDMI inputs", ["Hdmi ports quantity"]),
        ("pages a month", ["Maximum duty cycle"]),
        ("watts", ["Output power"]),
        ("print speed", ["Print speed black normal quality", "Print speed colour normal quality"]),
        ("warranty", []),
        ("", []),
    ],
)
def test_the_label_with_the_fewest_other_words_is_meant(asked: str, labels: list[str]) -> None:
    assert found(asked) == labels


def test_what_the_package_measures_is_not_what_the_product_measures() -> None:
    assert found("depth") == []
    assert found("weight", ["Package weight"]) == []
    assert found("package weight", ["Package weight"]) == ["Package weight"]


def test_words_that_name_the_product_need_not_stand_in_the_label() -> None:
    assert found("tank capacity", ["Capacity"], title="Acme water tank") == ["Capacity"]
    assert found("battery capacity", ["Capacity"], title="Acme water tank") == []


def test_an_attribute_of_the_catalogue_is_known_by_label_alias_or_unit() -> None:
    assert is_attribute("watts", FACTS)
    assert is_attribute("barcode", FACTS)
    assert not is_attribute("notice period", FACTS)
    assert is_label("price", FACTS)
    assert not is_label("speed", FACTS)
    assert label_of("list_price_usd") == "list price"
