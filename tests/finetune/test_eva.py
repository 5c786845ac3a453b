"""EVA's start against PEFT's, and the components against a plain decomposition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finetune.eva import Components, start_from_inputs
from finetune.packing import make_pack
from finetune.recipe import Recipe
from governance.errors import BadInput
from tests.finetune.tiny_llama import adapter_model, documents, write_tiny_llama

RECIPE = Recipe(quantization="float32", rank=4, alpha=8.0, init="eva")


def test_components_of_parts_are_those_of_the_whole() -> None:
    chance = torch.Generator().manual_seed(0)
    rows = torch.randn(300, 12, generator=chance) * torch.linspace(4, 0.1, 12) + 3.0
    found = Components(12)
    for part in (rows[:100], rows[100:200], rows[200:]):
        found.add(part)
    expected = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)[2]
    assert found.directions is not None
    assert torch.allclose((found.directions * expected).sum(1).abs(), torch.ones(12), atol=1e-3)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_starts_where_peft_starts_it(tmp_path: Path) -> None:
    from peft import EvaConfig, LoraConfig, get_peft_model
    from peft.tuners.lora.eva import get_eva_state_dict
    from transformers import AutoModelForCausalLM

    base = write_tiny_llama(tmp_path)
    one = documents(1, shortest=60, longest=80)[0]
    model = adapter_model(base, RECIPE, shaken=False)
    pack = make_pack([one], device="cpu")
    start_from_inputs(model, [pack, pack])

    causal = AutoModelForCausalLM.from_pretrained(base / "base", dtype=torch.float32)
    config = LoraConfig(
        r=4, target_modules=["q_proj", "down_proj"], init_lora_weights="eva", task_type="CAUSAL_LM",
        eva_config=EvaConfig(rho=1.0),
    )  # fmt: skip
    adapted = get_peft_model(causal, config, low_cpu_mem_usage=True)
    ids = torch.tensor([one.ids])
    batches = [{"input_ids": ids, "attention_mask": torch.ones_like(ids)} for _ in range(2)]
    theirs = get_eva_state_dict(adapted, batches, show_progress_bar=False)
    for layer, name in ((0, "self_attn.q_proj"), (1, "self_attn.q_proj"), (0, "mlp.down_proj")):
        # the fourth direction is nearly as long as the fifth, and PEFT decomposes by chance
        ours = model.adapter.factors[layer, name].low
        expected = next(value for key, value in theirs.items() if f"layers.{layer}.{name}" in key)
        assert torch.allclose((ours * expected.float()).sum(1).abs()[:3], torch.ones(3), atol=5e-3)


def test_fewer_tokens_than_the_rank_are_refused(tmp_path: Path) -> None:
    base = write_tiny_llama(tmp_path)
    model = adapter_model(base, replace(RECIPE, rank=32), shaken=False)
    with pytest.raises(BadInput, match="rank 32"):
        start_from_inputs(model, [make_pack(documents(1, longest=8), device="cpu")])
