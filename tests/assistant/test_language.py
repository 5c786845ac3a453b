"""Language: a note for questions that the embedder does not read well."""

from __future__ import annotations

import pytest

from assistant.language import language_note
from ingest.language import language_of


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("How much does a hotel room cost per night?", "en"),
        ("Wie viel darf ein Hotelzimmer pro Nacht kosten?", "de"),
        ("Combien coûte une chambre pour la nuit dans le contrat ?", "fr"),
        ("¿Cuánto cuesta la habitación y quién la paga?", "es"),
        ("Quanto costa la camera e chi paga per il viaggio?", "it"),
        ("Hoe lang moet ik de bonnen bewaren en waar?", "nl"),
        ("Сколько стоит номер в гостинице?", "ru"),
        ("ホテルの料金はいくらですか", "ja"),
        ("酒店房间多少钱", "zh"),
        ("호텔 요금은 얼마입니까", "ko"),
        ("كم تكلفة الغرفة", "ar"),
        ("toner 006R90321 price", ""),
        ("12345", ""),
    ],
)
def test_language_is_told_by_script_or_short_words(question: str, language: str) -> None:
    assert language_of(question) == language


def test_only_an_unknown_language_gets_a_note() -> None:
    assert language_note("How much does a room cost?") == ""
    assert language_note("toner 006R90321") == ""
    assert "German" in language_note("Wie viel kostet das Zimmer und wer zahlt?")
    assert language_note("Wie viel kostet das Zimmer und wer zahlt?", known=("en", "de")) == ""
