"""The weights that training starts from are those that are served; other families are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.model_convert import QUANTIZED_FOLDER
from finetune.base_folder import FolderSource
from finetune.base_weights import read_shape, read_sizes
from finetune.packing import EncodedExample, make_pack
from finetune.recipe import Recipe
from governance.errors import BadInput, Damaged
from tests.finetune.tiny_llama import SIZES, adapter_model, write_tiny_llama

CONFIG = {**SIZES, "model_type": "llama", "rms_norm_eps": 1e-5}


@pytest.mark.models
@pytest.mark.slow
def test_the_served_four_bit_model_gives_the_logits_that_training_sees(models_root: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = models_root / "smollm2-135m-instruct"
    ids = tuple(torch.randint(3, 49152, (60,), generator=torch.Generator().manual_seed(0)).tolist())
    example = EncodedExample("one", ids, 40)
    recipe = Recipe(quantization="nf4_dq", rank=8, resident_copy=True)
    ours = adapter_model(folder, recipe, shaken=False).logits(make_pack([example], device="cpu"))
    served = AutoModelForCausalLM.from_pretrained(folder / QUANTIZED_FOLDER, device_map={"": "cpu"}).eval()
    for parameter in served.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.float()
    for module in served.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.compute_dtype = torch.float32
            module.support_avx512bf16_for_cpu = False  # that kernel rounds to bfloat16
    with torch.no_grad():
        theirs = served(input_ids=torch.tensor([ids])).logits[0, 39:-1]
    assert torch.allclose(ours, theirs, atol=2e-3)
    assert torch.equal(ours.argmax(-1), theirs.argmax(-1))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "gemma3_text"}, "gemma3_text"),
        ({"attention_bias": True}, "biases"),
        ({"hidden_act": "gelu"}, "activation"),
        ({"model_type": "mistral", "sliding_window": 64}, "64 tokens"),
        ({"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "dynamic"),
    ],
)
def test_what_training_does_not_compute_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        read_shape({**CONFIG, **change})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"vocab_size": None}, "no number"),
        ({"intermediate_size": "wide"}, "no number"),
        ({"num_attention_heads": 0}, "below 1"),
        ({"num_key_value_heads": -2}, "below 1"),
        ({"hidden_size": 2, "num_attention_heads": 4, "head_dim": None}, "below 1"),
    ],
)
def test_a_size_that_is_none_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        read_sizes({**CONFIG, **change})


def test_a_size_that_is_missing_is_refused_by_name_before_training() -> None:
    with pytest.raises(BadInput, match="does not state 'intermediate_size'"):
        read_shape({name: value for name, value in CONFIG.items() if name != "intermediate_size"})


def test_key_heads_and_the_width_of_a_head_follow_from_the_others_where_they_are_not_stated() -> None:
    sizes = read_sizes({**CONFIG, "num_key_value_heads": None, "head_dim": None})
    assert (sizes.key_heads, sizes.head_dim, sizes.tied) == (4, 16, False)


def test_rows_that_four_bit_blocks_do_not_fill_are_refused(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path, hidden_size=32, head_dim=8)
    with pytest.raises(BadInput, match="multiples of 64"):
        FolderSource(folder, "nf4", "cpu")


def test_a_folder_without_a_base_or_with_a_cut_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"config\.json"):
        FolderSource(tmp_path / "none", "nf4", "cpu")
    folder = write_tiny_llama(tmp_path)
    weights = folder / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(Damaged, match=r"model\.safetensors"):
        FolderSource(folder, "bf16", "cpu").dense("model.norm.weight")
    (folder / "base" / "config.json").write_text(json.dumps({**CONFIG, "model_type": "bert"}))
    with pytest.raises(BadInput, match="bert"):
        FolderSource(folder, "bf16", "cpu")
