"""Kernels against the plain operations: on a GPU, or by Triton's interpreter (TRITON_INTERPRET=1) on a CPU."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import pytest
import torch

from assistant.gpu_decoding import ContinuousBatch
from assistant.gpu_operations import PlainOperations, new_state, parted
from assistant.gpu_steps import new_decoder
from assistant.gpu_weights import read_weights
from tests.assistant.test_gpu_decoding import decode_all, prompts, quantize, reference, tiny_model, with_adapter

ON_CUDA = torch.cuda.is_available()
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or not (ON_CUDA or os.environ.get("TRITON_INTERPRET") == "1"),
    reason="needs Triton, and a GPU or TRITON_INTERPRET=1",
)
DEVICE = "cuda" if ON_CUDA else "cpu"
KINDS = [torch.bfloat16] if ON_CUDA else [torch.float32, torch.bfloat16]  # of the model
MOST_ERROR = {torch.bfloat16: 3e-4, torch.float32: 1e-5}  # an adapter's input is one part, the rest is two
ROUNDED_WEIGHTS = 1e-3  # where the weight is unpacked to float16
NEARLY_FLOAT32 = 3e-6  # two parts hold 22 bits, and a GPU approximates exponentials
SIZES = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 8, "num_key_value_heads": 2}


def small_model(*, adapter: bool, kind: torch.dtype) -> Any:
    """A model whose sizes the kernels' tiles divide."""
    model = quantize(tiny_model(**SIZES))
    for parameter in (p for p in model.parameters() if p.is_floating_point()):
        parameter.data = parameter.data.to(kind)
    return (with_adapter(model) if adapter else model).to(DEVICE)


def error_of(given: torch.Tensor, expected: torch.Tensor) -> float:
    return float((given.float() - expected.float()).norm() / expected.float().norm())


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape).to(DEVICE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 5, 16, 20])
@pytest.mark.parametrize("adapter", [False, True])
@pytest.mark.parametrize("name", ["attention_in", "attention_out", "mlp_in", "mlp_out"])
def test_every_way_to_multiply_gives_the_product_of_the_dequantized_weight(
    count: int, adapter: bool, name: str, kind: torch.dtype
) -> None:
    from assistant.gpu_fused import WAYS, FusedOperations, Way
    from assistant.gpu_measure import product_error

    torch.manual_seed(count)
    weights = read_weights(small_model(adapter=adapter, kind=kind), context_tokens=64)
    operations = FusedOperations(weights, new_state(weights, slots=2, most_rows=2))
    projection = getattr(weights.layers[0], name)
    x = parted(numbers(count, projection.depth), operations.operand_type, operations.parts_of(count))
    ways = [way for way in WAYS if ON_CUDA or not way.by_shuffle]
    ways += [
        Way("one row", 8, 32, by_shuffle=False),
        Way("one row", 16, 64, by_shuffle=False),
        Way("rows", 16, 64, by_shuffle=False),
    ]
    tried = [way for way in ways if way.fits(projection, count)]
    assert tried
    for way in tried:
        assert product_error(operations, way, projection, x) <= MOST_ERROR[kind], way


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 20, 70, 150])
def test_the_plain_product_with_an_adapter_is_right_for_any_number_of_rows(count: int, kind: torch.dtype) -> None:
    from assistant.gpu_fused import FusedOperations, Way
    from assistant.gpu_measure import product_error

    torch.manual_seed(count)
    weights = read_weights(small_model(adapter=True, kind=kind), context_tokens=64)
    operations = FusedOperations(weights, new_state(weights, slots=2, most_rows=2))
    for projection in (weights.layers[0].mlp_in, weights.layers[0].mlp_out):
        x = parted(numbers(count, projection.depth), operations.operand_type, operations.parts_of(count))
        assert product_error(operations, Way("dequantize"), projection, x) <= ROUNDED_WEIGHTS


def test_one_row_is_multiplied_with_the_weights_as_they_are_stored() -> None:
    from assistant.gpu_fused import FusedOperations, Way
    from assistant.gpu_measure import product_error

    torch.manual_seed(4)
    weights = read_weights(small_model(adapter=False, kind=torch.bfloat16), context_tokens=64)
    operations = FusedOperations(weights, new_state(weights, slots=2, most_rows=2))
    projection = weights.layers[0].mlp_in
    x = parted(numbers(1, projection.depth), operations.operand_type, 2)
    assert product_error(operations, Way("one row", 16, 64, by_shuffle=False), projection, x) <= NEARLY_FLOAT32


def test_a_way_that_does_not_divide_the_sizes_does_not_fit() -> None:
    from assistant.gpu_fused import Way

    projection = read_weights(quantize(tiny_model()), context_tokens=64).layers[0].attention_in
    assert not Way("rows", 256, 32).fits(projection, 4)
    assert not Way("rows", 32, 64).fits(projection, 4)
    assert not Way("one row", 32, 32).fits(projection, 2)
    assert Way("rows", 32, 32).fits(projection, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_norm_and_gate_are_the_plain_ones(kind: torch.dtype) -> None:
    from assistant.gpu_fused import FusedOperations

    weights = read_weights(small_model(adapter=False, kind=kind), context_tokens=64)
    state = new_state(weights, slots=2, most_rows=2)
    plain, fused = PlainOperations(weights, state), FusedOperations(weights, state)
    x, scale = numbers(3, 128), numbers(128).to(kind)
    assert error_of(fused.norm(x, scale).float().sum(0), plain.norm(x, scale).float().sum(0)) <= NEARLY_FLOAT32
    both = numbers(3, 2 * 1500)
    assert error_of(fused.gated(both).float().sum(0), plain.gated(both).float().sum(0)) <= NEARLY_FLOAT32
    huge = fused.gated(torch.full_like(both, 1e4))
    assert torch.equal(huge, plain.gated(torch.full_like(both, 1e4)))
    assert bool(huge.isfinite().all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("context_tokens", [64, 200, 700])
def test_attention_reads_what_the_plain_one_reads_at_any_length(context_tokens: int, kind: torch.dtype) -> None:
    from assistant.gpu_fused import FusedOperations

    torch.manual_seed(1)
    weights = read_weights(small_model(adapter=False, kind=kind), context_tokens=context_tokens)
    states = [new_state(weights, slots=5, most_rows=4) for _ in range(2)]
    filled = numbers(*states[0].keys[0].shape).to(weights.operand_type)
    for state in states:
        state.keys[0].copy_(filled)
        state.values[0].copy_(filled.flip(2))
        state.rows.copy_(torch.tensor([3, 0, 5, 1]))
    plain, fused = PlainOperations(weights, states[0]), FusedOperations(weights, states[1])
    fused._sums.fill_(float("nan"))
    positions = torch.tensor([context_tokens - 1, 0, 37, min(128, context_tokens - 2)]).to(DEVICE)
    joined = numbers(4, (8 + 2 * 2) * 16)
    given, expected = (
        one.attend(one.rotate_and_store(joined, 0, one.state.rows, positions), 0, 4, positions, context_tokens)
        for one in (fused, plain)
    )
    assert error_of(given.float().sum(0), expected.float().sum(0)) <= MOST_ERROR[kind]
    assert error_of(states[1].keys[0], states[0].keys[0]) <= MOST_ERROR[kind]
    assert torch.equal(states[1].values[0], states[0].values[0])


@pytest.mark.skipif(ON_CUDA, reason="bfloat16 may choose another of two near tokens")
def test_users_get_the_tokens_of_generate_from_the_kernels() -> None:
    model = small_model(adapter=True, kind=torch.float32)
    texts = prompts(9, 21)
    weights = read_weights(model, context_tokens=64)
    batch = ContinuousBatch(new_decoder(weights, slots=2, fused=True, capture=False))
    for text in texts:
        batch.submit(text, max_new_tokens=5)
    assert decode_all(batch) == {number: reference(model, text, 5) for number, text in enumerate(texts)}
