"""The compiled step: the same bits for a token, whoever is read beside it and whatever was read before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.cpu_decoder import load_cpu_model
from assistant.cpu_model import CpuModel, KeyValues, Piece
from assistant.cpu_prompts import PromptMemory
from governance.errors import ProvenantError

TOKENS = [int(token) for token in np.random.default_rng(0).integers(100, 40000, 330)]


@pytest.fixture(scope="module")
def model(models_root: Path) -> Iterator[CpuModel]:
    loaded = load_cpu_model(models_root / "smollm2-135m-instruct" / "nf4")
    if loaded is None:
        pytest.skip("needs AVX-512")
    yield loaded
    loaded.close()


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4, 5, 12, 30])
def test_logits_are_the_same_bits_however_many_tokens_are_read_at_once(model: CpuModel, count: int) -> None:
    memory = KeyValues.empty(model.shape, 400)
    model.read(memory, TOKENS[:300], 1)
    alone = [model.read(memory, [token], 1)[0] for token in TOKENS[300 : 300 + count]]
    memory.forget(count)
    together = model.read(memory, TOKENS[300 : 300 + count], count)
    assert np.array_equal(together, np.stack(alone))


@pytest.mark.models
@pytest.mark.slow
def test_logits_are_the_same_bits_whoever_else_is_read_in_the_step(model: CpuModel) -> None:
    starts, counts = [0, 40, 90, 150, 155], [1, 3, 48, 1, 20]
    alone, memories = [], []
    for start, count in zip(starts, counts, strict=True):
        memory = KeyValues.empty(model.shape, 400)
        if start:
            model.read(memory, TOKENS[:start], 1)
        alone.append(model.read(memory, TOKENS[start : start + count], min(count, 3)))
        memory.forget(count)
        memories.append(memory)
    pieces = [
        Piece(memory, TOKENS[start : start + count], min(count, 3))
        for memory, start, count in zip(memories, starts, counts, strict=True)
    ]
    silent = Piece(KeyValues.empty(model.shape, 40), TOKENS[:11], 0)
    for expected, logits in zip(alone, model.step([silent, *pieces])[1:], strict=True):
        assert np.array_equal(expected, logits)
    assert silent.memory.tokens == TOKENS[:11]


@pytest.mark.models
@pytest.mark.slow
def test_reused_prefix_gives_the_same_bits(model: CpuModel) -> None:
    whole = KeyValues.empty(model.shape, 400)
    expected = model.read(whole, TOKENS, 1)
    prompts = PromptMemory(model.shape)
    prompts.keep(whole)
    again = prompts.begin([*TOKENS[:203], *TOKENS[203:]], 400)
    assert len(again.tokens) == len(TOKENS) - 1
    again.forget(len(TOKENS) - 1 - 203)
    assert np.array_equal(model.read(again, TOKENS[203:], 1), expected)


@pytest.mark.models
@pytest.mark.slow
def test_any_number_of_threads_gives_the_same_bits(model: CpuModel, models_root: Path) -> None:
    other = load_cpu_model(models_root / "smollm2-135m-instruct" / "nf4", threads=3)
    assert other is not None
    expected, found = (one.read(KeyValues.empty(one.shape, 60), TOKENS[:50], 1) for one in (model, other))
    other.close()
    assert np.array_equal(expected, found)


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_fails_ends_the_step_of_the_others(models_root: Path) -> None:
    model = load_cpu_model(models_root / "smollm2-135m-instruct" / "nf4", threads=3)
    if model is None:
        pytest.skip("needs AVX-512")
    step = model._step

    def failing(team: Any, *arguments: Any) -> None:
        if team[0] == 2:
            raise MemoryError
        step(team, *arguments)

    model._step = failing
    for _ in range(2):
        with pytest.raises(ProvenantError, match="A thread of the language model failed"):
            model.read(KeyValues.empty(model.shape, 20), TOKENS[:9], 1)
    model.close()


def test_kept_prompts_are_bounded_and_the_longest_unused_goes_first() -> None:
    from tests.assistant.cpu_fakes import SHAPE

    prompts = PromptMemory(SHAPE, kept_tokens=512)
    for token in (1, 2):
        memory = KeyValues.empty(SHAPE, 200)
        memory.tokens = [token] * 20
        prompts.keep(memory)
    assert len(prompts.begin([1] * 30, 40).tokens) == 20
    third = KeyValues.empty(SHAPE, 200)
    third.tokens = [3] * 20
    prompts.keep(third)
    assert [len(prompts.begin([token] * 30, 40).tokens) for token in (1, 2, 3)] == [20, 0, 20]
