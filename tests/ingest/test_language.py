"""Language: told by script or short words; a document that the embedder does not read well gets a warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.language import document_warning, language_of
from ingest.parse import parse_file

GERMAN = "Die Reisekosten werden nach der Genehmigung erstattet, und das Hotel ist vor der Reise zu buchen. "
ENGLISH = "The costs of a journey are paid back once it is approved, and the hotel is to be booked before it. "


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (GERMAN * 40, "German"),
        (ENGLISH * 40, ""),
        (ENGLISH * 40 + GERMAN * 5, ""),
        ("ホテルの料金はいくらですか。" * 40, "Japanese"),
        ("Die Cast Toner De Luxe " + "006R90321 Xerox Black Cartridge Large Pack " * 40, ""),
        ("", ""),
        ("12345 | 678", ""),
    ],
)
def test_only_a_document_in_another_language_gets_a_warning(text: str, named: str) -> None:
    warning = document_warning(text)
    assert (named in warning) if named else warning == ""
    assert document_warning(text, known=("en", "de", "ja")) == ""


def test_the_warning_looks_at_the_middle_of_a_long_document() -> None:
    assert "German" in document_warning(ENGLISH * 20 + GERMAN * 2000)


def test_few_short_words_are_enough_for_a_question_and_not_for_a_document() -> None:
    words = "Toner Xerox 006R90321 schwarz und die Trommel " + "Brother Lexmark Canon Kyocera " * 10
    assert (language_of(words), language_of(words, least_share=0.08)) == ("de", "")


@pytest.mark.parametrize(("name", "markup"), [("a.md", "# Reise\n\n{}"), ("a.html", "<h1>Reise</h1><p>{}</p>")])
def test_every_format_is_looked_at(tmp_path: Path, name: str, markup: str) -> None:
    path = tmp_path / name
    path.write_text(markup.format(GERMAN * 3), encoding="utf-8")
    assert "seems to be in German" in parse_file(path).warnings[0]
