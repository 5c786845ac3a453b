"""Units: one number for one quantity, however it is written; no number where it could be two."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.units import (
    Mark,
    Measure,
    in_unit,
    is_in_doubt,
    measures_of,
    read_measure,
    read_number,
    split_name,
    to_measure,
)


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("1.2 kg", 1200.0, "g"),
        ("1200 g", 1200.0, "g"),
        ("1200g", 1200.0, "g"),
        ("11.3 in", 287.02, "mm"),
        ('11.3"', 287.02, "mm"),
        ("28,7 cm", 287.0, "mm"),
        ("28.7 CM", 287.0, "mm"),
        ("0.07 m", 70.0, "mm"),
        ("2 TB", 2e12, "byte"),
        ("2000 GB", 2e12, "byte"),
        ("16 GiB", 17179869184.0, "byte"),
        ("2.4 GHz", 2.4e9, "hz"),
        ("450 mW", 0.45, "w"),
        ("2 MW", 2e6, "w"),
        ("3 Ah", 3000.0, "mah"),
        ("2 years", 24.0, "month"),
        ("90 min", 5400.0, "s"),
        ("100 Mbit/s", 1e8, "bit_s"),
        ("600 MB/s", 4.8e9, "bit_s"),
        ("-10 °C", -10.0, "c"),
        ("50 °F", 10.0, "c"),
        ("40 dB(A)", 40.0, "db"),
        ("250 cd/m²", 250.0, "cd_m2"),
        ("1.200,5 g", 1200.5, "g"),
        ("1,200.5 g", 1200.5, "g"),
        ("1 200 g", 1200.0, "g"),
        ("1,000,000 mm", 1e6, "mm"),
        ("0,125 kg", 125.0, "g"),
        ('39.6 cm (15.6")', 396.0, "mm"),
        (".5 l", 500.0, "ml"),
        ("80 %", 80.0, "percent"),
    ],
)
def test_a_quantity_is_one_number_in_the_unit_that_counts(text: str, number: float, unit: str) -> None:
    assert read_measure(text) == Measure(number, unit)


@pytest.mark.parametrize(
    "text",
    ["", "kg", "1.2", "1.2 kg net", "0 - 35 °C", "1,200 g", "2 x 3 cm", "USB 2.0", "4 ports", "39.6 cm (20 in)",
     "12.34.5 kg", "1,23,456 g", "1e3 g", "9" * 80 + " g", "10 €"],
)  # fmt: skip
def test_what_is_no_single_quantity_is_none(text: str) -> None:
    assert read_measure(text) is None


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1.234", "", "1.234"),
        ("1.234", ",", "1234"),
        ("1,234", ",", "1.234"),
        ("1,234", ".", "1234"),
        ("1,234", "", None),
        ("12,5", ".", None),
        ("1'234.50", "", "1234.50"),
        ("−3,5", "", "-3.5"),
        ("1.2.3", "", None),
        ("007", "", "7"),
    ],
)
def test_the_decimal_mark_tells_how_a_number_is_read(text: str, decimal: Mark, number: str | None) -> None:
    assert read_number(text, decimal=decimal) == (Decimal(number) if number else None)


def test_doubt_is_told_from_no_number() -> None:
    assert [is_in_doubt(text) for text in ("1,200 g", "1,200", "1,20 g", "1,200 ports", "red")] == [
        True,
        True,
        False,
        False,
        False,
    ]


@given(st.integers(1, 10**7), st.integers(0, 3))
def test_equal_quantities_give_equal_numbers(thousandths: int, places: int) -> None:
    grams = Decimal(thousandths) / 10**places
    written = (f"{grams:f} g", f"{grams / 1000:f} kg", f"{grams * 1000:f} mg")
    assert len({read_measure(text) for text in written}) == 1


def test_a_measure_is_given_in_another_unit_of_its_kind_alone() -> None:
    weight = to_measure(1.5, "kg")
    assert weight is not None
    assert in_unit(weight, "g") == 1500.0
    assert in_unit(weight, "lb") == pytest.approx(3.3069, abs=1e-4)
    assert in_unit(weight, "cm") is None
    assert in_unit(Measure(10.0, "c"), "°F") == 50.0


def test_attributes_give_their_measures_by_value_or_by_the_end_of_their_name() -> None:
    measures = measures_of(
        {
            "weight": "1.2 kg",
            "depth_cm": 12.0,
            "made_in": 4.0,
            "name": "200 m",
            "colour": "red",
            "refill": True,
            "width": 30.0,
        }
    )
    assert measures == {"weight_g": 1200.0, "depth_mm": 120.0}


def test_a_name_ends_in_a_unit_only_where_that_is_no_word() -> None:
    assert split_name("weight_kg") == ("weight", "kg")
    assert split_name("plug_in") == ("plug_in", "")
    assert split_name("usb_c") == ("usb_c", "")
    assert split_name("kg") == ("kg", "")
