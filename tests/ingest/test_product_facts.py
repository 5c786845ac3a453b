"""Product facts: counted from records, kept and read back, nothing by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ingest.documents import AttributeValue
from ingest.product_facts import (
    WHOLE,
    ProductFacts,
    describe,
    gather_facts,
    words_of_parts,
)


@dataclass(frozen=True)
class Slice:
    """A chunk as far as facts read it."""

    clause: str
    path: tuple[str, ...]
    text: str
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    kind: str = "record"
    document: str = "shop.csv"


def monitor(clause: str, inches: float, maker: str = "Acme") -> Slice:
    title = f'{maker} monitor {inches:g}" Black'
    attributes: dict[str, AttributeValue] = {
        "id": clause,
        "supplier": maker,
        "price_eur": 100.0 + inches,
        "display_diagonal": inches,
        "touchscreen": False,
        "product_colour": "Black",
    }
    return Slice(clause, (title,), f"{title}\nA fine screen\nID: {clause}\nSupplier: {maker}", attributes)


MONITORS = [monitor("1", 24.0), monitor("2", 27.0), monitor("3", 32.0, "Best View"), monitor("4", 27.0)]


def test_a_record_counts_once_however_often_it_was_cut() -> None:
    rest = Slice("1", MONITORS[0].path, "Weight: 3", MONITORS[0].attributes)
    facts = gather_facts([*MONITORS, rest, MONITORS[0]])
    assert facts.records == 4
    assert facts.part("title").counts["monitor"] == 4
    assert facts.makers == {"acme": 3, "best view": 1}


def test_clauses_of_other_documents_are_passed_over() -> None:
    assert gather_facts([Slice("1", ("Lodging",), "Lodging is paid.", kind="clause")]) == ProductFacts()


def test_a_unit_means_the_attribute_that_titles_give_in_it() -> None:
    assert gather_facts(MONITORS).units == {'"': {"display_diagonal": 4}}


def test_what_sellers_repeat_in_titles_is_told() -> None:
    told = gather_facts(MONITORS).told
    assert told["display_diagonal"] == 1.0
    assert told["product_colour"] == 1.0
    assert "price_eur" not in told


def test_flags_count_by_their_name_alone() -> None:
    parts = words_of_parts("Monitor", "", {"touchscreen": True, "colour": "Black"})
    assert parts["values"] == ["black"]
    assert "touchscreen" in parts[WHOLE]
    assert "true" not in parts[WHOLE]


def test_looking_for_some_words_alone_loses_none_of_them() -> None:
    attributes: dict[str, AttributeValue] = {"yield": "1,000 pages", "colour": "Black", "batteries": True}
    whole = words_of_parts("Toner", "For laser printers", attributes)
    for word in ("1000", "batter", "print", "black", "lamp"):
        some = words_of_parts("Toner", "For laser printers", attributes, among=[word])
        assert {name: stems.count(word) for name, stems in some.items()} == {
            name: stems.count(word) for name, stems in whole.items()
        }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Lamp\nWarm light\nID: 1", "Warm light"),
        ("Lamp\nID: 1\nPrice: 2.00 EUR", ""),
        ("Lamp\nPrice: 2.00 EUR", ""),
        ("Lamp\nMonitor: 30 inch", "Monitor: 30 inch"),
        ("Lamp", ""),
        ("Weight: 3", ""),
    ],
)
def test_the_description_is_the_second_line_unless_that_is_an_attribute(text: str, found: str) -> None:
    assert describe("Lamp", text, {"id": "1", "price_eur": 2.0}) == found


def test_a_part_no_record_has_weighs_without_error() -> None:
    assert ProductFacts().part("title").weigh("lamp") > 0
