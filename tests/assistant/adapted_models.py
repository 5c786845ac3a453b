"""Adapters as training writes them, and a Llama small enough to make that the compiled step still serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from assistant.adapter import OpenedAdapter
from assistant.model_convert import convert_llm
from finetune.adapters import write_adapter
from finetune.base_folder import FolderSource
from finetune.lora import LoraParameters
from finetune.recipe import Recipe
from governance.model_pull import LocalModel, register_folder
from governance.models import load_manifest
from tests.finetune.tiny_llama import write_served_llama, write_tiny_llama

TINY = "tiny"
SERVED_SIZES = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64}
RECIPE = Recipe(quantization="nf4_dq", rank=8, alpha=16.0)


def pull_tiny(models: Path, snapshots: Path, **sizes: Any) -> None:
    """Put the model `tiny` into a model folder: two layers, random weights in bfloat16, quantized as any other."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = write_served_llama(snapshots / TINY)
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    write_tiny_llama(folder, vocab_size=320, tie_word_embeddings=True, **ends, **sizes)
    AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.bfloat16).save_pretrained(folder / "base")
    register_folder(LocalModel(TINY, "llm", folder / "base"), models, convert=convert_llm)


def write_random_adapter(models: Path, name: str, folder: Path, *, size: float = 0.1, **changes: Any) -> OpenedAdapter:
    """Write an adapter for a model of the model folder whose B is random, so that it changes what is said."""
    import torch

    recipe = replace(RECIPE, **changes)
    factors = LoraParameters(FolderSource(models / name, recipe.quantization, "cpu").shape, recipe, device="cpu")
    factors.start(recipe.seed)
    chance = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for kind in set(factors.flat) - {"low"}:
            factors.flat[kind].add_(size * torch.randn(factors.flat[kind].shape, generator=chance))
    manifest = load_manifest(models, name)
    return write_adapter(
        folder, factors, recipe, base=models / name, base_manifest=manifest, data={"digest": "sha256:d"}, metrics={}
    )


def peft_model(models: Path, name: str, adapter: OpenedAdapter) -> Any:
    """Return PEFT's own model over the served weights, in float32."""
    from assistant.model import _load_quantized
    from assistant.model_general import with_adapter

    return with_adapter(_load_quantized(models / name / "nf4", "cpu"), adapter)


def peft_choices(model: Any, prompt: list[int], said: list[int]) -> list[int]:
    """Return what PEFT's model chooses after the prompt and after each token said but the last: greedy if equal."""
    import torch

    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt + said[:-1]]), logits_to_keep=len(said)).logits[0]
    found: list[int] = logits.argmax(dim=-1).tolist()
    return found
