"""The reader prefers what answers, points into the text, and reads each passage as if it were alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from assistant.reader import Logits, Reader, _best_span, load_reader
from governance.errors import NotFound
from tests.conftest import skip_or_fail

NAME = "minilm-reader"
QUESTION = "How many days of notice must be given to terminate the agreement?"
RIGHT = ("Supply agreement | Termination", "Either party may terminate this Agreement upon sixty (60) days notice.")
WRONG = ("Supply agreement | Delivery", "The goods are delivered in sealed boxes to the warehouse of the buyer.")
FILLER = "The goods are delivered in sealed boxes to the warehouse of the buyer on working days. "


@pytest.fixture(scope="module")
def reader(models_root: Path) -> Reader:
    if not (models_root / NAME / "manifest.json").is_file():
        skip_or_fail(f"the model {NAME} is not in {models_root}: run `make setup`")
    return load_reader(models_root, NAME)


@pytest.mark.models
def test_passage_that_answers_is_ranked_over_one_that_does_not(reader: Reader) -> None:
    right, wrong = reader.read(QUESTION, [RIGHT, WRONG])
    assert right.relevance > wrong.relevance
    assert right.answers > 0 > wrong.answers


@pytest.mark.models
def test_span_is_inside_the_text_and_points_at_the_answer(reader: Reader) -> None:
    for (_, text), reading in zip((RIGHT, WRONG), reader.read(QUESTION, [RIGHT, WRONG]), strict=True):
        assert 0 <= reading.start < reading.end <= len(text)
    right = reader.read(QUESTION, [RIGHT])[0]
    assert "sixty (60) days" in RIGHT[1][right.start : right.end]


@pytest.mark.models
def test_reading_is_the_same_alone_and_beside_others(reader: Reader) -> None:
    passages = [RIGHT, WRONG, ("", FILLER * 40 + RIGHT[1]), ("", "")]
    together = reader.read(QUESTION, passages)
    assert together == [reader.read(QUESTION, [passage])[0] for passage in passages]
    assert reader.read(QUESTION, passages[::-1]) == together[::-1]


@pytest.mark.models
def test_long_text_is_read_to_its_end(reader: Reader) -> None:
    filler = FILLER * 60  # some three windows
    long, without = reader.read(QUESTION, [(RIGHT[0], filler + RIGHT[1]), (RIGHT[0], filler)])
    assert long.answers > without.answers
    assert long.start >= len(filler) - len(FILLER)
    assert "sixty (60) days" in (filler + RIGHT[1])[long.start : long.end]


@pytest.mark.models
def test_question_and_heading_may_be_longer_than_their_windows(reader: Reader) -> None:
    reading = reader.read(QUESTION * 40, [(FILLER * 40, RIGHT[1])])[0]
    assert 0 <= reading.start < reading.end <= len(RIGHT[1])


@pytest.mark.models
def test_empty_text_and_no_passages_are_read(reader: Reader) -> None:
    empty = reader.read(QUESTION, [("", "")])[0]
    assert (empty.start, empty.end) == (0, 0)
    assert reader.read(QUESTION, []) == []


@pytest.mark.models
def test_reader_carries_the_name_and_digest_of_its_files(reader: Reader) -> None:
    assert reader.name == NAME
    assert reader.digest.startswith("sha256:")


def test_reader_that_was_not_pulled_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="models pull"):
        load_reader(tmp_path, NAME)


def brute_force(logits: Logits, most: int = 160) -> float:
    """Return the highest sum of a start and an end that is not before it and not too far behind."""
    count = len(logits)
    pairs = [(start, end) for start in range(count) for end in range(start, min(count, start + most))]
    return max(float(logits[start, 0]) + float(logits[end, 1]) for start, end in pairs)


EIGHTHS = st.integers(-240, 240).map(lambda eighths: eighths / 8)
TEXTS = st.integers(1, 24).flatmap(lambda tokens: arrays.arrays(np.float32, (tokens, 2), elements=EIGHTHS))


@given(TEXTS)
def test_best_span_has_the_highest_sum_of_all_spans(logits: Logits) -> None:
    start, end = _best_span(logits)
    assert 0 <= start <= end < len(logits)
    assert float(logits[start, 0] + logits[end, 1]) == brute_force(logits)


def test_best_span_is_never_longer_than_160_tokens() -> None:
    logits = np.zeros((400, 2), dtype=np.float32)
    logits[10, 0], logits[300, 1], logits[169, 1], logits[170, 1] = 9, 9, 5, 7
    assert _best_span(logits) == (10, 169)


def test_best_span_of_no_token_is_empty() -> None:
    assert _best_span(np.zeros((0, 2), dtype=np.float32)) == (0, 0)
