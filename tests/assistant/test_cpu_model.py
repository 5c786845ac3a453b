"""The compiled step: the same bits for a token, however many are read beside it and whatever was read before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assistant.cpu_model import CpuModel, KeyValues, PromptMemory, load_cpu_model

TOKENS = [int(token) for token in np.random.default_rng(0).integers(100, 40000, 330)]


@pytest.fixture(scope="module")
def model(models_root: Path) -> CpuModel:
    loaded = load_cpu_model(models_root / "smollm2-135m-instruct" / "nf4")
    if loaded is None:
        pytest.skip("needs AVX-512")
    return loaded


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4, 5, 12, 30])
def test_logits_are_the_same_bits_however_many_tokens_are_read_at_once(model: CpuModel, count: int) -> None:
    memory = KeyValues.empty(model.shape, 400)
    model.read(memory, TOKENS[:300], 1)
    alone = [model.read(memory, [token], 1)[0] for token in TOKENS[300 : 300 + count]]
    del memory.tokens[300:]
    together = model.read(memory, TOKENS[300 : 300 + count], 1)
    assert np.array_equal(together[0], alone[-1])


@pytest.mark.models
@pytest.mark.slow
def test_reused_prefix_gives_the_same_bits(model: CpuModel) -> None:
    whole = KeyValues.empty(model.shape, 400)
    expected = model.read(whole, TOKENS, 1)
    prompts = PromptMemory(model)
    prompts.keep(whole)
    again = prompts.begin([*TOKENS[:203], *TOKENS[203:]], 400)
    assert len(again.tokens) == len(TOKENS) - 1
    del again.tokens[203:]
    assert np.array_equal(model.read(again, TOKENS[203:], 1), expected)
