"""Held to the passages, a text is always a run of them or the refusal, whatever is preferred."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.verbatim import Copying, TokenBytes, is_verbatim, token_bytes

REFUSAL = "Not in the documents."
PASSAGES = ["Either party may end it with ninety (90) days' written notice.", "Größe: 12 cm – naïve.\nFees are 5 %."]
END = 0


def tokens_of(words: list[str]) -> TokenBytes:
    """Single bytes and some words as tokens."""
    runs = [bytes([byte]) for byte in range(256)] + [word.encode() for word in words]
    ids = {run: number for number, run in enumerate(dict.fromkeys(runs), start=1)}
    return TokenBytes(ids, {number: run for run, number in ids.items()}, frozenset({END}), max(map(len, ids)))


TOKENS = tokens_of(["Either", " party", " ninety", "Not", " in", " the", " documents", "Fees", " 5", "ot"])


def say(copying: Copying, chooser: random.Random) -> str:
    for _ in range(400):
        token = chooser.choice(copying.allowed())
        if token == END:
            return copying.text
        copying.take(token)
    raise AssertionError("an answer must end")


@given(st.integers(0, 10_000))
def test_a_random_writer_only_ever_copies_or_refuses(seed: int) -> None:
    said = say(Copying(TOKENS, PASSAGES, REFUSAL), random.Random(seed))
    assert said == REFUSAL or any(said in passage for passage in PASSAGES)
    assert said == REFUSAL or is_verbatim(said, PASSAGES)


@given(st.text(max_size=60), st.integers(0, 1000))
def test_any_passage_can_be_copied_without_an_error(passage: str, seed: int) -> None:
    said = say(Copying(TOKENS, [passage], REFUSAL), random.Random(seed))
    assert said == REFUSAL or said in passage


def test_the_refusal_is_said_whole_or_not_at_all() -> None:
    copying = Copying(TOKENS, ["Nothing else."], REFUSAL)
    copying.take(TOKENS.ids[b"Not"])
    assert copying.allowed() != [END]
    for text in (b" in", b" the", b" documents"):
        assert END not in copying.allowed()
        copying.take(TOKENS.ids[text])
    copying.take(TOKENS.ids[b"."])
    assert copying.allowed() == [END]
    assert copying.refusing


def test_an_answer_neither_begins_nor_ends_within_a_word() -> None:
    copying = Copying(TOKENS, ["party"], REFUSAL)
    first = {TOKENS.bytes_of[token] for token in copying.allowed()}
    assert first == {b"p", b"N", b"Not"}
    copying.take(TOKENS.ids[b"p"])
    assert END not in copying.allowed()


def test_nothing_but_the_refusal_is_left_without_passages() -> None:
    assert say(Copying(TOKENS, [], REFUSAL), random.Random(1)) == REFUSAL


def test_a_token_that_continues_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="continues no passage"):
        Copying(TOKENS, PASSAGES, REFUSAL).take(TOKENS.ids[b"z"])


@pytest.mark.models
def test_tokens_of_the_embedded_model_stand_for_their_bytes(models_root: Path) -> None:
    from transformers import AutoTokenizer

    folder = models_root / "smollm2-135m-instruct" / "base"
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    found = token_bytes(tokenizer, [2])
    for text in PASSAGES:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert b"".join(found.bytes_of[number] for number in ids) == text.encode()
