"""Golden sets: registered for a collection, kept with their Digest, spans kept as words."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.golden import GoldenQuestion
from assistant.golden_sets import find_golden, forget_golden, golden_path, keep_golden
from governance.errors import BadInput, NotFound

TEXT = "Hotels cost at most 120 dollars."


def asked(*evidence: dict[str, object]) -> GoldenQuestion:
    return GoldenQuestion("q", "How much?", ("120",), True, evidence, kind="policy", split="dev")


def quote_at(document: str, start: int, end: int) -> str:
    return TEXT[start:end] if document == "a.txt" else ""


def test_a_set_reads_back_with_its_digest(tmp_path: Path) -> None:
    assert find_golden(tmp_path, "c") is None
    piece = {"document": "a.txt", "page": 3}
    kept = keep_golden(tmp_path, "c", [asked(piece)], quote_at)
    assert find_golden(tmp_path, "c") == kept
    assert kept.questions == (asked(piece),)
    other = keep_golden(tmp_path, "c", [asked({"document": "a.txt", "page": 4})], quote_at)
    assert other.digest != kept.digest
    forget_golden(tmp_path, "c")
    assert find_golden(tmp_path, "c") is None
    with pytest.raises(NotFound, match="no golden questions"):
        forget_golden(tmp_path, "c")


def test_a_span_is_kept_as_the_words_that_stand_there(tmp_path: Path) -> None:
    known = {"document": "a.txt", "char_start": 0, "char_end": 11}
    unknown = {"document": "b.txt", "char_start": 0, "char_end": 5}
    kept = keep_golden(tmp_path, "c", [asked(known, unknown)], quote_at)
    assert kept.questions[0].evidence == ({"document": "a.txt", "quote": "Hotels cost"}, unknown)


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    keep_golden(tmp_path, "c", [asked()], quote_at)
    golden_path(tmp_path, "c").write_text("{}\n")
    with pytest.raises(BadInput, match=r"Line 1 of c\.jsonl"):
        find_golden(tmp_path, "c")
