"""The compiled step with an adapter: PEFT's tokens and logits, and the same bits whoever is read beside a token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.adapter import LowRank, OpenedAdapter
from assistant.cpu_adapter import pack_adapter
from assistant.cpu_decoder import CpuDecoder, load_cpu_decoder, load_cpu_model
from assistant.cpu_model import CpuModel, KeyValues, Piece
from assistant.cpu_weights import Shape
from assistant.decoding import Limits
from governance.errors import BadInput
from tests.assistant.adapted_models import (
    SERVED_SIZES,
    TINY,
    peft_choices,
    peft_model,
    pull_tiny,
    write_random_adapter,
)

SHAPE = Shape(2, 128, 2, 1, 64, 128, 320, 512, 1e-5, 1e4)
SMOLLM2 = "smollm2-135m-instruct"


@dataclass
class Adapted:
    """An adapter with the base that it belongs to, and PEFT's model of both."""

    nf4: Path
    adapter: OpenedAdapter
    reference: Any
    vocabulary: int

    def model(self, threads: int | None = None) -> CpuModel:
        loaded = load_cpu_model(self.nf4, threads, adapter=self.adapter)
        if loaded is None:
            pytest.skip("needs AVX-512")
        return loaded

    def tokens(self, count: int, seed: int = 0) -> list[int]:
        chance = np.random.default_rng(seed)
        return [int(token) for token in chance.integers(3, self.vocabulary, count)]


@pytest.fixture(
    scope="module", params=["tiny", pytest.param(SMOLLM2, marks=pytest.mark.models)], ids=["tiny", "smollm2"]
)
def adapted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    folder = tmp_path_factory.mktemp("adapted")
    if request.param == TINY:
        root, size, vocabulary = folder / "models", 0.1, 320
        pull_tiny(root, folder, **SERVED_SIZES)
    else:
        root, size, vocabulary = request.getfixturevalue("models_root"), 0.005, 40000
    adapter = write_random_adapter(root, request.param, folder / "adapter", size=size)
    return Adapted(root / request.param / "nf4", adapter, peft_model(root, request.param, adapter), vocabulary)


@pytest.fixture(scope="module")
def model(adapted: Adapted) -> Iterator[CpuModel]:
    loaded = adapted.model()
    yield loaded
    loaded.close()


def generated(decoder: CpuDecoder, prompt: list[int], new_tokens: int, drafts: int) -> list[int]:
    limits = Limits(new_tokens, drafts, lambda token: token in decoder.end_ids)
    with decoder.generation(prompt, limits, threading.Event()) as tokens:
        return list(tokens or ())


@pytest.mark.slow
def test_logits_are_those_of_peft_and_not_those_of_the_base(adapted: Adapted, model: CpuModel) -> None:
    import torch

    tokens = adapted.tokens(37)
    found = model.read(KeyValues.empty(model.shape, 64), tokens, 20)
    with torch.inference_mode():
        expected = adapted.reference(input_ids=torch.tensor([tokens])).logits[0, -20:].numpy()
        with adapted.reference.disable_adapter():
            base = adapted.reference(input_ids=torch.tensor([tokens])).logits[0, -20:].numpy()
    assert np.abs(found - expected).max() < 1e-3
    assert np.abs(found - base).max() > 0.1


@pytest.mark.slow
def test_tokens_are_those_of_peft_with_and_without_drafts(adapted: Adapted, model: CpuModel) -> None:
    decoder = load_cpu_decoder(adapted.nf4, adapted.adapter)
    assert decoder is not None
    for seed in range(3):
        repeated = adapted.tokens(12, seed) * 2  # so that drafts are found
        said = generated(decoder, repeated, 24, 0)
        assert said == peft_choices(adapted.reference, repeated, said)
        assert generated(decoder, repeated, 24, 3) == said
    decoder.close()


@pytest.mark.slow
def test_bits_are_the_same_alone_together_and_beside_others(adapted: Adapted, model: CpuModel) -> None:
    tokens = adapted.tokens(80)
    memory = KeyValues.empty(model.shape, 128)
    model.read(memory, tokens[:50], 1)
    alone = np.stack([model.read(memory, [token], 1)[0] for token in tokens[50:62]])
    for count in (2, 4, 5, 12):
        memory.forget(len(memory.tokens) - 50)
        assert np.array_equal(model.read(memory, tokens[50 : 50 + count], count), alone[:count])
    memory.forget(len(memory.tokens) - 50)
    other = Piece(KeyValues.empty(model.shape, 64), tokens[:11], 2)
    assert np.array_equal(model.step([other, Piece(memory, tokens[50:53], 3)])[1], alone[:3])


@pytest.mark.slow
def test_one_thread_gives_the_bits_of_two_and_three(adapted: Adapted) -> None:
    tokens, found = adapted.tokens(30), []
    for threads in (1, 2, 3):
        model = adapted.model(threads)
        memory = KeyValues.empty(model.shape, 64)
        found.append(np.concatenate([model.read(memory, tokens, 4), model.read(memory, [5], 1)]))
        model.close()
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"targets": "mlp", "rank": 20}, {"rank": 64, "rslora": True}], ids=str)
def test_other_forms_of_adapter_give_the_logits_of_peft(tmp_path: Path, changes: dict[str, Any]) -> None:
    import torch

    pull_tiny(tmp_path / "models", tmp_path, **SERVED_SIZES)
    adapter = write_random_adapter(tmp_path / "models", TINY, tmp_path / "adapter", size=0.03, **changes)
    model = load_cpu_model(tmp_path / "models" / TINY / "nf4", adapter=adapter)
    if model is None:
        pytest.skip("needs AVX-512")
    tokens = list(range(3, 30))
    found = model.read(KeyValues.empty(model.shape, 64), tokens, 9)
    model.close()
    with torch.inference_mode():
        reference = peft_model(tmp_path / "models", TINY, adapter)
        expected = reference(input_ids=torch.tensor([tokens])).logits[0, -9:].numpy()
    assert np.abs(found - expected).max() < 1e-3


def test_no_adapter_is_arrays_of_no_tiles() -> None:
    packed = pack_adapter({}, SHAPE)
    assert {name: one.lowered for name, one in packed.items()} == {"qkv": 0, "out": 0, "gate_up": 0, "down": 0}


def test_packed_rows_stand_side_by_side_and_know_their_own_a() -> None:
    chance = np.random.default_rng(0)
    factors = {
        (1, name): LowRank(chance.random((rank, 128), dtype=np.float32), chance.random((rows, rank), dtype=np.float32))
        for name, rank, rows in (("self_attn.q_proj", 3, 128), ("self_attn.v_proj", 2, 64))
    }
    packed = pack_adapter(factors, SHAPE)["qkv"]
    assert (packed.low.shape, packed.up.shape) == ((2, 1, 128, 16), (2, 16, 3, 16))
    assert packed.begins.tolist() == [0] * 8 + [3] * 4 + [6] * 4
    assert not packed.low[0].any()
    values = factors[1, "self_attn.v_proj"]
    assert np.array_equal(packed.low[1, 0, :, 6], values.low[0])
    assert np.array_equal(packed.up[1, 12, :2], values.up[:16].T)


@pytest.mark.parametrize("at", [(2, "mlp.down_proj"), (0, "mlp.other"), (0, "self_attn.k_proj")], ids=str)
def test_adapter_that_does_not_fit_the_weights_is_refused(at: tuple[int, str]) -> None:
    factor = LowRank(np.zeros((4, 128), dtype=np.float32), np.zeros((128, 4), dtype=np.float32))
    with pytest.raises(BadInput, match=rf"changes {at[1]} of layer {at[0]} .* fit it on this base"):
        pack_adapter({at: factor}, SHAPE)
