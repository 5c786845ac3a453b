"""Requests: what a question asks of a catalogue, and that other questions ask nothing of it."""

from __future__ import annotations

import pytest

from assistant.product_names import subject_of
from assistant.product_requests import read_request, read_requests
from ingest.product_facts import ProductFacts

NAMES = "price_eur weight width water_tank_capacity ean product_colour colour display_diagonal compatibility brightness"
FACTS = ProductFacts(
    records=9,
    attributes=dict.fromkeys(NAMES.split(), 9),
    numeric={"price_eur": 9, "weight": 9, "display_diagonal": 9},
)


@pytest.mark.parametrize(
    ("question", "kind", "subjects", "asked"),
    [
        ("What is the weight of the Acme L24?", "attribute", ("Acme L24",), "weight"),
        ("what's the display diagonal of L27", "attribute", ("L27",), "display diagonal"),
        ("Which colour does the L24 have?", "attribute", ("L24",), "colour"),
        ("What colour does the L24 have?", "attribute", ("L24",), "colour"),
        ("Customer wants to know the weight of the L24. What do I say?", "attribute", ("L24",), "weight"),
        ("weight of the L24?", "attribute", ("L24",), "weight"),
        ("How heavy is the L24?", "attribute", ("L24",), "weight"),
        ("How much does the L24 weigh?", "attribute", ("L24",), "weight"),
        ("How big is the water tank of the L24?", "attribute", ("L24",), "water tank capacity"),
        ("What does the Acme L24 cost?", "attribute", ("Acme L24",), "price"),
        ("How much is the Acme L24?", "attribute", ("Acme L24",), "price"),
        ("how much does the L27 cost", "attribute", ("L27",), "price"),
        ("What do we charge for the Acme L24?", "attribute", ("Acme L24",), "price"),
        ("Price for the Acme L24 please", "attribute", ("Acme L24",), "price"),
        ("I need the weight of the L27.", "attribute", ("L27",), "weight"),
        ("Which product colours are there for the L24?", "attribute", ("L24",), "product colours"),
        ("Which Dell printers take the PF030 toner?", "attribute", ("PF030 toner",), "compatibility"),
        ("Which product has the EAN 5052179741142?", "identify", ("5052179741142",), ""),
        ("I scanned 8710103359241. What is it?", "identify", ("8710103359241",), ""),
        ("What is part number EC.K1400.001?", "identify", ("EC.K1400.001",), ""),
        ("Which toner do you have that fits a Brother HL-4000CN?", "fits", ("Brother HL-4000CN",), "toner"),
        ("I'm looking for a fuser for an Epson AcuLaser C2600.", "fits", ("Epson AcuLaser C2600",), "fuser"),
        ("The lamp in our VPL-HW10 is dead. Which one fits?", "fits", ("VPL-HW10",), "lamp"),
        ("Customer has an NEC NP62 and needs a new lamp. Which part?", "fits", ("NEC NP62",), "lamp"),
        ("Compare the Acme L24 and the Acme L27", "compare", ("Acme L24", "Acme L27"), ""),
        ("Compare L24 and L27 on weight and price", "compare", ("L24", "L27"), "weight and price"),
        ("What is the difference between L24 and L27?", "compare", ("L24", "L27"), ""),
        ("L24 vs. L27", "compare", ("L24", "L27"), ""),
        ("Summarise the L24.", "summary", ("L24",), ""),
        ("Tell me about the Acme L27", "summary", ("Acme L27",), ""),
        ("monitors under 300 with a weight below 5500", "list", ("monitors",), ""),
        ("Which monitors cost less than 300 euros?", "list", ("monitors",), ""),
        ("What is the cheapest monitor?", "list", ("monitor",), "price"),
        ("Which monitor has the largest display diagonal?", "list", ("monitor",), "display diagonal"),
        ("What is the notice period of the contract?", None, (), ""),
        ("Who pays for travel?", None, (), ""),
        ("How many hours of sick leave do I earn per pay period?", None, (), ""),
    ],
)
def test_a_question_is_read_as_what_it_asks(
    question: str, kind: str | None, subjects: tuple[str, ...], asked: str
) -> None:
    request = read_request(question, FACTS)
    assert (request.kind if request else None) == kind
    if request:
        assert (request.subjects, request.asked) == (subjects, asked)


def test_a_question_can_be_read_in_several_ways() -> None:
    kinds = [one.kind for one in read_requests("Which colour does the L24 take?", FACTS)]
    assert kinds == ["attribute", "fits"]


def test_a_subject_ends_with_the_name() -> None:
    assert subject_of("the HP P1505n built for?") == "HP P1505n"
    assert subject_of("our Acme L24, please.") == "Acme L24"
