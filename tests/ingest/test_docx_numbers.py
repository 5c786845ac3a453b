"""Numbers that Word prints: levels of a list's own, lists by style, counting past what is empty."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from ingest.numbers_written import written_number
from ingest.parse.docx_numbers import Numbers

SPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def level(number: int, form: str, text: str) -> str:
    return f'<w:lvl w:ilvl="{number}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'


def numbering(markup: str) -> Any:
    return etree.fromstring(f'<w:numbering xmlns:w="{SPACE}">{markup}</w:numbering>')


def test_a_list_may_state_a_level_of_its_own() -> None:
    own = level(0, "lowerLetter", "(%1)")
    numbers = Numbers.of(
        numbering(
            f'<w:abstractNum w:abstractNumId="0">{level(0, "decimal", "%1.")}</w:abstractNum>'
            '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
            f'<w:num w:numId="2"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0">{own}'
            "</w:lvlOverride></w:num>"
        )
    )
    assert numbers.following("1", 0) == "1."
    assert numbers.following("2", 0) == "(b)"  # both count one abstract list


def test_a_list_may_name_a_style_that_holds_its_levels() -> None:
    numbers = Numbers.of(
        numbering(
            '<w:abstractNum w:abstractNumId="0"><w:numStyleLink w:val="Legal"/></w:abstractNum>'
            f'<w:abstractNum w:abstractNumId="1"><w:styleLink w:val="Legal"/>{level(0, "upperRoman", "%1.")}'
            f"{level(1, 'decimal', '%1.%2')}</w:abstractNum>"
            '<w:num w:numId="7"><w:abstractNumId w:val="0"/></w:num>'
        )
    )
    assert [numbers.following("7", 0), numbers.following("7", 1)] == ["I.", "I.1"]


@pytest.mark.parametrize(
    ("value", "form", "written"),
    [(3, "decimal", "3"), (28, "lowerLetter", "bb"), (1999, "upperRoman", "MCMXCIX"), (7, "decimalZero", "07")],
)
def test_numbers_are_written_in_their_form(value: int, form: str, written: str) -> None:
    assert written_number(value, form) == written
