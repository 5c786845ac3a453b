"""Names of products: whole words of a record's own names, and never those of what it fits."""

from __future__ import annotations

import pytest

from assistant.product_names import Words, closest, goes_by, identified_by, is_model
from ingest.documents import AttributeValue

PRINTER: dict[str, AttributeValue] = {"id": "1", "name": "LaserJet P1505n", "supplier": "HP", "ean": "0884420588030"}
TONER: dict[str, AttributeValue] = {"id": "2", "name": "TN-11Y", "supplier": "Brother", "compatibility": "HL4000CN"}
MAKERS = ("hp", "brother", "acme")


@pytest.mark.parametrize(
    ("name", "text", "held"),
    [
        ("HL-4000CN", "Brother HL4000CN", True),
        ("18-135mm", "EF-S 18-135 mm lens", True),
        ("P1505", "HP LaserJet P1505n", False),
        ("505n", "HP LaserJet P1505n", False),
        ("RQ1051/18", "shaver RQ1051/18", True),
        ("ML-3051ND", "ML-3051N, ML-3051ND", True),
        ("", "anything", False),
    ],
)
def test_a_name_stands_where_it_is_a_run_of_whole_words(name: str, text: str, held: bool) -> None:
    assert Words(text).hold(name) is held


@pytest.mark.parametrize(
    ("subject", "fits"),
    [
        ("HP LaserJet P1505n", True),
        ("laserjet p1505n printer", True),
        ("acme p1505n", False),
        ("HP LaserJet P1505", False),
        ("HP LaserJet P1505n Mark IV", False),
        ("LaserJet P1505n, barcode 0884420588030", True),
        ("LaserJet P1505n, barcode 0884420588047", False),
        ("Canon LaserJet P1505n", False),
    ],
)
def test_every_name_of_a_subject_must_be_the_records_own(subject: str, fits: bool) -> None:
    assert goes_by(subject, "HP LaserJet P1505n Printer A4", PRINTER, MAKERS) is fits


def test_a_subject_without_a_digit_needs_all_its_words() -> None:
    assert goes_by("USB cable", "USB cable black", {"id": "A1"}, ())
    assert not goes_by("USB charger", "USB cable black", {"id": "A1"}, ())
    assert not goes_by("the", "USB cable black", {"id": "A1"}, ())


def test_what_fits_a_product_does_not_go_by_its_name() -> None:
    title = "Brother TN-11Y toner for HL-4000CN"
    assert not goes_by("Brother HL-4000CN", title, TONER, MAKERS)
    assert goes_by("Brother TN-11Y", title, TONER, MAKERS)
    assert goes_by("toner for the HL-4000CN", title, TONER, MAKERS)
    beside = "Brother HL-4000CN toner"
    assert not goes_by("Brother HL-4000CN", beside, TONER, MAKERS)
    assert goes_by("Brother HL-4000CN toner", beside, TONER, MAKERS)


def test_the_model_itself_is_closer_than_a_title_that_holds_it() -> None:
    case: dict[str, AttributeValue] = {"id": "3", "name": "Case", "supplier": "HP"}
    titles = [("HP case LaserJet P1505n", case), ("HP LaserJet P1505n Printer", PRINTER)]
    assert closest("HP LaserJet P1505n", titles) == [1]
    assert closest("anything", []) == []


def test_an_identifier_is_equal_or_it_is_none() -> None:
    assert identified_by("0884420588030", PRINTER) == ("ean",)
    assert identified_by("HP LaserJet P1505n", PRINTER) == ("name",)
    assert identified_by("088442058803", PRINTER) == ()


def test_a_model_is_told_from_a_small_number() -> None:
    assert is_model("P1505n")
    assert is_model("8710103359241")
    assert not is_model("7")
    assert not is_model("Mark")
