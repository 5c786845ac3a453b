"""The training pass against transformers and PEFT in float32, and against itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from finetune.lora import target_modules
from finetune.model import AdapterModel
from finetune.packing import EncodedExample, make_pack
from finetune.recipe import Recipe
from tests.finetune.tiny_llama import adapter_model, documents, write_tiny_llama

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT asks for it

PLAIN = Recipe(quantization="float32", rank=4, alpha=8.0)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny"))


def _peft(base: Path, recipe: Recipe, model: AdapterModel) -> Any:
    """Return transformers and PEFT with the same base and the same adapter."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    causal = AutoModelForCausalLM.from_pretrained(base / "base", dtype=torch.float32)
    modules = [name.rpartition(".")[2] for name in target_modules(recipe.targets)]
    adapted = get_peft_model(
        causal,
        LoraConfig(
            r=recipe.rank, lora_alpha=recipe.alpha, target_modules=modules, lora_dropout=0.0,
            use_rslora=recipe.rslora, use_dora=recipe.dora, task_type="CAUSAL_LM",
        ),
    )  # fmt: skip
    with torch.no_grad():
        for (layer, name), factor in model.adapter.factors.items():
            module = adapted.base_model.model.model.layers[layer].get_submodule(name)
            module.lora_A["default"].weight.copy_(factor.low)
            module.lora_B["default"].weight.copy_(factor.up)
            if factor.magnitude is not None:
                module.lora_magnitude_vector["default"].weight.copy_(factor.magnitude)
    return adapted


def _reference(adapted: Any, examples: list[EncodedExample]) -> Tensor:
    """Leave PEFT with the gradients of the mean loss, one document at a time, and return all losses in order."""
    total = sum(one.completion_tokens for one in examples)
    losses = []
    for one in examples:
        ids = torch.tensor([one.ids])
        logits = adapted(input_ids=ids).logits[0, one.prompt_tokens - 1 : -1]
        each = torch.nn.functional.cross_entropy(logits, ids[0, one.prompt_tokens :], reduction="none")
        torch.autograd.backward(each.sum() / total)
        losses.append(each.detach())
    return torch.cat(losses)


def _worst_gradient_error(adapted: Any, model: AdapterModel) -> float:
    worst = 0.0
    for (layer, name), factor in model.adapter.factors.items():
        module = adapted.base_model.model.model.layers[layer].get_submodule(name)
        pairs = [(factor.low_gradient, module.lora_A["default"].weight.grad)]
        pairs += [(factor.up_gradient, module.lora_B["default"].weight.grad)]
        if factor.magnitude_gradient is not None:
            pairs += [(factor.magnitude_gradient, module.lora_magnitude_vector["default"].weight.grad)]
        for ours, theirs in pairs:
            worst = max(worst, float((ours - theirs).norm() / theirs.norm()))
    return worst


VARIANTS = {
    "all": PLAIN,
    "mlp": replace(PLAIN, targets="mlp"),
    "attention": replace(PLAIN, targets="attention"),
    "rslora": replace(PLAIN, rslora=True),
    "dora": replace(PLAIN, dora=True),
    "selective": replace(PLAIN, keep_activations="selective", kept_share=0.5),
    "recomputed": replace(PLAIN, keep_activations="none"),
    "recomputed_dora": replace(PLAIN, keep_activations="none", dora=True),
}


@pytest.mark.parametrize("recipe", VARIANTS.values(), ids=VARIANTS.keys())
def test_packed_losses_and_gradients_equal_transformers_and_peft(base: Path, recipe: Recipe) -> None:
    examples = documents(5)
    model = adapter_model(base, recipe)
    adapted = _peft(base, recipe, model)
    expected = _reference(adapted, examples)

    result = model.learn(make_pack(examples, device="cpu"), weight=1 / sum(one.completion_tokens for one in examples))

    assert torch.allclose(result.losses, expected, atol=2e-5)
    assert _worst_gradient_error(adapted, model) < 2e-5


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "default", "rope_theta": 500000.0},
        {
            "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        },
    ],
    ids=["default", "llama3"],
)  # fmt: skip
def test_packed_logits_equal_those_of_each_document_alone(tmp_path: Path, rope: dict[str, Any]) -> None:
    folder = write_tiny_llama(tmp_path, tie_word_embeddings=True, rope_parameters=rope)
    examples = documents(6, seed=3)
    model = adapter_model(folder, PLAIN)

    packed = model.logits(make_pack(examples, device="cpu", fill_to=400))
    alone = torch.cat([model.logits(make_pack([one], device="cpu")) for one in examples])
    theirs = [
        _peft(folder, PLAIN, model)(input_ids=torch.tensor([one.ids])).logits[0, one.prompt_tokens - 1 : -1]
        for one in examples
    ]

    assert torch.allclose(packed, alone, atol=1e-5)
    assert torch.allclose(packed, torch.cat(theirs), atol=2e-5)


def test_gradients_do_not_depend_on_how_a_step_is_packed(base: Path) -> None:
    examples = documents(6, seed=5)
    weight = 1 / sum(one.completion_tokens for one in examples)
    together, apart = adapter_model(base, PLAIN), adapter_model(base, PLAIN)

    together.learn(make_pack(examples, device="cpu"), weight=weight)
    for one in examples:
        apart.learn(make_pack([one], device="cpu"), weight=weight)

    for ours, theirs in zip(together.adapter.gradients(), apart.adapter.gradients(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("quantization", ["nf4", "nf4_dq"])
def test_four_bit_weights_give_what_their_dequantized_copy_gives(base: Path, quantization: Any) -> None:
    examples = documents(4, seed=6)
    fresh = adapter_model(base, replace(PLAIN, quantization=quantization))
    resident = adapter_model(base, replace(PLAIN, quantization=quantization, resident_copy=True))
    plain = adapter_model(base, PLAIN)
    results = [model.learn(make_pack(examples, device="cpu"), weight=0.1) for model in (fresh, resident, plain)]

    assert torch.equal(results[0].losses, results[1].losses)
    assert not torch.allclose(results[0].losses, results[2].losses, atol=1e-4)
    for ours, theirs in zip(fresh.adapter.gradients(), resident.adapter.gradients(), strict=True):
        assert torch.equal(ours, theirs)


def test_measuring_gives_the_losses_of_learning_and_leaves_gradients_alone(base: Path) -> None:
    pack = make_pack(documents(4), device="cpu")
    model = adapter_model(base, PLAIN)
    measured = model.measure(pack)

    assert all(float(gradient.abs().sum()) == 0 for gradient in model.adapter.gradients())
    assert torch.equal(measured.losses, model.learn(pack, weight=1.0).losses)


def test_a_hit_is_where_the_likeliest_token_is_the_target(base: Path) -> None:
    pack = make_pack(documents(8), device="cpu")
    model = adapter_model(base, PLAIN)
    assert torch.equal(model.measure(pack).hits, (model.logits(pack).argmax(-1) == pack.targets).float())
