"""Batches are what the product reads, marked where the answer stands, and the same whoever draws them."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.reader_batches import NO_SPAN, DrawnBatches, Encoder, Sizes, make_batch
from finetune.reader_groups import ANSWERS, ANSWERS_NOT, UNKNOWN, Candidate, Group, Passage
from governance.errors import BadInput
from tests.finetune.conftest import tiny_group

GROUPS = [tiny_group(number, "train") for number in range(6)]


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> Encoder:
    made = Encoder(tiny_base / "tokenizer.json")
    made.prepare(GROUPS)
    return made


def test_row_is_question_heading_and_text_between_special_tokens(encoder: Encoder) -> None:
    group = GROUPS[0]
    batch = make_batch([group], encoder, pick=lambda spans: spans[0])
    ids = batch.ids[1].tolist()
    assert ids[0] == 2  # [CLS]
    assert [at for at, token in enumerate(ids) if token == 3] == [8, 11, 20]  # [SEP] after each of the three
    assert batch.types[1].tolist()[:9] == [0] * 9
    assert batch.types[1].tolist()[9:21] == [1] * 12
    assert batch.mask[1].sum() == 21
    assert batch.ids.shape[1] == 32


def test_marked_tokens_are_those_of_the_answer(encoder: Encoder) -> None:
    group = GROUPS[3]
    batch = make_batch([group], encoder, pick=lambda spans: spans[0])
    assert batch.starts.tolist()[0] == batch.ends.tolist()[0] == NO_SPAN
    start, end = batch.starts.tolist()[1], batch.ends.tolist()[1]
    assert start == end
    answer = encoder.row(group.question, group.candidates[1].passage).ids[start]
    assert answer == encoder._tokenizer.token_to_id("103")


def test_each_answering_row_is_ranked_before_the_others_of_its_group(encoder: Encoder) -> None:
    passages = [Passage("", f"The limit for {thing} is 10.", "d") for thing in ("hotels", "meals", "taxis", "gifts")]
    labels = (ANSWERS_NOT, ANSWERS, UNKNOWN, ANSWERS)
    candidates = tuple(Candidate(passage, label) for passage, label in zip(passages, labels, strict=True))
    alone = Group("limit", "s", "d", "train", candidates[1:2])
    whole = Group("limit", "s", "d", "train", candidates)
    encoder.prepare([whole])
    batch = make_batch([alone, whole], encoder, pick=lambda spans: spans[0])
    assert batch.ranks.tolist() == [[2, 1, 3], [4, 1, 3]]
    assert bool(batch.ranked.all())
    assert batch.labels.tolist() == [1, 0, 1, -1, 1]


def test_text_longer_than_the_window_is_cut_and_a_span_behind_it_is_none(encoder: Encoder) -> None:
    text = "limit " * 600 + "120"
    passage = Passage("Travel", text, "d")
    group = Group("limit", "s", "d", "train", (Candidate(passage, ANSWERS, ((len(text) - 3, len(text)),)),))
    encoder.prepare([group])
    batch = make_batch([group], encoder, pick=lambda spans: spans[0])
    assert batch.ids.shape == (1, 384)
    assert bool(batch.mask.all())
    assert batch.ids[0, -1] == 3
    assert batch.starts.tolist() == [NO_SPAN]


def test_batch_is_a_function_of_seed_and_number(encoder: Encoder) -> None:
    first, again, other = (DrawnBatches(GROUPS, encoder, weights={}, sizes=Sizes(5, 4, seed)) for seed in (0, 0, 1))
    assert first[3].ids.equal(again[3].ids)
    assert not all(first[number].ids.equal(other[number].ids) for number in range(5))
    with pytest.raises(IndexError):
        first[5]


def test_source_of_no_weight_is_never_drawn(encoder: Encoder) -> None:
    other = Group("limit", "heading", "d", "train", GROUPS[0].candidates)
    encoder.prepare([other])
    drawn = DrawnBatches([*GROUPS, other], encoder, weights={"cuad": 0.0}, sizes=Sizes(1, 8, 0))
    expected = make_batch([other] * 8, encoder, pick=lambda spans: spans[0])
    assert drawn[0].ids.equal(expected.ids)


def test_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"tokenizer\.json"):
        Encoder(tmp_path / "tokenizer.json")
