"""Models with random weights of a real shape, made on the device: in bfloat16, in NF4, with a LoRA adapter.

The head is scaled so that the logits spread as a trained 8B model's do; a gap between logits means little otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

LOGIT_STD = 2.5  # of a trained 8B model: 2 to 3


@dataclass(frozen=True)
class Shape:
    """Sizes of a model and of one measurement of it."""

    config: dict[str, Any]
    device: str
    dtype: torch.dtype
    prompt_tokens: int
    new_tokens: int
    batches: tuple[int, ...]
    context_tokens: int


def llama_8b() -> Shape:
    """Return the shape of Llama 3.1 8B with plain rope, as the yardstick was measured."""
    sizes = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8}
    sizes |= {"intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 8192, "head_dim": 128}
    return Shape(_config(sizes, 500000.0), "cuda", torch.bfloat16, 1500, 128, (1, 16), 2048)


def tiny() -> Shape:
    """Return a shape for a dry run on a CPU."""
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    sizes |= {"intermediate_size": 256, "vocab_size": 1024, "max_position_embeddings": 256, "head_dim": 32}
    return Shape(_config(sizes, 10000.0), "cpu", torch.float32, 60, 8, (1, 4), 96)


def _config(sizes: dict[str, int], theta: float) -> dict[str, Any]:
    rope = {"rope_type": "default", "rope_theta": theta}
    special = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0, "tie_word_embeddings": False}
    return {**sizes, **special, "rms_norm_eps": 1e-5, "rope_parameters": rope, "initializer_range": 0.02}


def random_model(shape: Shape) -> Any:
    """Return a model with normal(0, 0.02) weights and logits of a trained model's spread, in the shape's type."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    torch.manual_seed(0)
    with torch.device(shape.device):
        model = AutoModelForCausalLM.from_config(LlamaConfig(**shape.config), dtype=shape.dtype)
        model = model.to(shape.device)
    head_std = LOGIT_STD / model.config.hidden_size**0.5  # the last states' norm makes them 1 on average
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            spread = head_std if "lm_head" in name else 0.02
            parameter.fill_(1.0) if "norm" in name else parameter.normal_(0, spread)
    model.config._attn_implementation = "sdpa"
    return model.eval().requires_grad_(False)


def quantize(model: Any) -> Any:
    """Turn every linear layer but the head into NF4 with double quantization, in place."""
    for layer in model.model.layers:
        for parent in (layer.self_attn, layer.mlp):
            for name, linear in list(parent.named_children()):
                if isinstance(linear, torch.nn.Linear):
                    setattr(parent, name, _nf4(linear))
    model.is_loaded_in_4bit = True
    return model


def _nf4(linear: torch.nn.Linear) -> Any:
    import bitsandbytes

    dtype, device = linear.weight.dtype, linear.weight.device
    made = bitsandbytes.nn.Linear4bit(
        linear.in_features, linear.out_features, bias=False, compute_dtype=dtype, quant_type="nf4", device="meta"
    )
    made.weight = bitsandbytes.nn.Params4bit(
        linear.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=made
    ).to(device)
    made.support_avx512bf16_for_cpu = False
    made.compute_type_is_set = True
    return made.eval()


def attach_adapter(model: Any, *, scale: float = 0.02) -> Any:
    """Return the model with a rank-16 adapter on all linear layers whose B is not zero."""
    import warnings

    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        adapted = get_peft_model(model, settings).eval()
    torch.manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            with torch.no_grad():
                parameter.normal_(0, scale)
    return adapted.requires_grad_(False)


def random_prompts(shape: Shape, count: int) -> list[list[int]]:
    """Return prompts of random tokens, the same ones at every call."""
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(3, shape.config["vocab_size"], (count, shape.prompt_tokens), generator=generator)
    return [[int(token) for token in row] for row in ids.tolist()]
