"""Kinds: a list leaves no condition out, and what an accessory is for is not its kind."""

from __future__ import annotations

import pytest

from assistant.product_kinds import of_kind, read_listing
from ingest.documents import AttributeValue
from ingest.index import Stored
from ingest.product_facts import PartFacts, ProductFacts
from tests.assistant.passages import passage

FACTS = ProductFacts(
    records=9,
    parts={"title": PartFacts(9, 5.0, {"cabl": 9, "black": 9}), "values": PartFacts(9, 5.0, {"black": 9})},
    attributes={"price_eur": 9, "display_diagonal": 9, "weight": 9},
    numeric={"price_eur": 9, "display_diagonal": 9, "weight": 9},
)


@pytest.mark.parametrize(
    ("question", "kind", "device"),
    [
        ("Which monitors cost less than 300 euros?", "monitors", ""),
        ("Show me black toner cartridges under 20 euros", "black toner cartridges", ""),
        ("monitors under 300 with a display diagonal of at least 27", "monitors", ""),
        ("Which HP printers do we have under 100 euros?", "HP printers", ""),
        ("What is the cheapest toner for the Dell 1320c?", "toner", "Dell 1320c"),
        ("which toners under 20 euros fit the Dell 1320c", "toners", "Dell 1320c"),
        ("Which monitor has the largest display diagonal?", "monitor", ""),
    ],
)
def test_a_list_is_read_with_all_its_conditions(question: str, kind: str, device: str) -> None:
    (listing,) = read_listing(question, FACTS)
    assert (listing.kind, listing.device) == (kind, device)


@pytest.mark.parametrize(
    "question",
    [
        "What is the cheapest printer with duplex printing?",
        "Which notebooks under 300 euros have a touchscreen?",
        "What is the cheapest toner in black?",
        "Which fee is due?",
    ],
)
def test_a_condition_that_cannot_be_checked_makes_it_no_list(question: str) -> None:
    assert list(read_listing(question, FACTS)) == []


def chunk(title: str, attributes: dict[str, AttributeValue] | None = None) -> Stored:
    return passage(title, title="goods", kind="record", path=(title,), attributes=attributes or {}).chunk


@pytest.mark.parametrize(
    ("kind", "title", "attributes", "held"),
    [
        ("printers", "Acme P1 printer 600 x 600", {}, True),
        ("toner cartridges", "Acme T-1 toner cartridge", {}, True),
        ("printers", "Acme 42 printer drum Original", {}, False),
        ("printers", "Acme Printer Cable 2 m", {}, False),
        ("monitors", "Acme L24 monitor Black", {}, True),
        ("monitors", "Acme L24 monitor black", {"product_colour": "Black"}, True),
        ("notebook", "Acme N1 notebook Gray", {"product_colour": "Grey"}, True),
        ("printers", "Acme toner for the P1 printer", {}, False),
        ("Zeta printers", "Acme P1 printer", {"supplier": "Acme"}, False),
    ],
)
def test_a_record_is_of_the_kind_its_title_ends_on(
    kind: str, title: str, attributes: dict[str, AttributeValue], held: bool
) -> None:
    assert bool(of_kind(kind, [chunk(title, attributes)], FACTS)) is held


def test_what_stands_behind_a_kind_in_most_titles_belongs_to_it() -> None:
    chunks = [chunk("Acme T-1 toner cartridge"), chunk("Acme T-2 toner cartridge"), chunk("Acme toner box 3")]
    assert of_kind("toners", chunks, FACTS) == chunks[:2]
