"""An adapter as it is kept and handed on: a PEFT folder with its tokenizer, its template and a manifest.

The folder holds `adapter_model.safetensors` and `adapter_config.json` as PEFT reads them, `tokenizer.json`,
`tokenizer_config.json` and `chat_template.jinja` of the base, `recipe.json`, `documents.json` (Digests of what it was
fitted on, so that a withdrawal finds it), `README.md` (the model card) and
`manifest.json`, which names the base by Digest, the quantization, the prompt, the recipe, the data, the environment and
every file by Digest. Reading and checking one is `assistant.adapter`, since what was fitted is served. It knows files
and digests, never a step. Rule: a folder is written aside and renamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.adapter import (
    CONFIG,
    DOCUMENTS,
    MANIFEST,
    WEIGHTS,
    AdapterManifest,
    OpenedAdapter,
    base_file,
    open_adapter,
    read_adapter,
)
from assistant.model_convert import BASE_FOLDER
from assistant.prompt import PROMPT_DIGEST
from finetune.adapter_card import write_card
from finetune.checkpoints import full_disk_as_advice
from finetune.lora import LoraParameters, target_modules
from finetune.recipe import Recipe, recipe_digest, recipe_value
from governance.digests import digest_file
from governance.errors import BadInput
from governance.models import Manifest

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "MANIFEST",
    "WEIGHTS",
    "AdapterManifest",
    "OpenedAdapter",
    "environment",
    "load_factors",
    "open_adapter",
    "peft_config",
    "peft_tensors",
    "read_adapter",
    "write_adapter",
]

RECIPE = "recipe.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "bitsandbytes", "numpy")


def write_adapter(
    folder: Path,
    adapter: LoraParameters,
    recipe: Recipe,
    *,
    base: Path,
    base_manifest: Manifest,
    data: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> OpenedAdapter:
    """Write an adapter's folder, replacing one that is there; `data` is the manifest of the examples, with its digest.

    Raises ProvenantError where the disk is full.
    """
    from safetensors.torch import save_file

    aside = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    with full_disk_as_advice(aside):
        aside.mkdir(parents=True)
        save_file(_stored(adapter, recipe), aside / WEIGHTS, metadata={"format": "pt"})
        (aside / CONFIG).write_text(_json(peft_config(recipe, base_manifest.name)), encoding="utf-8")
        (aside / RECIPE).write_text(_json(recipe_value(recipe)), encoding="utf-8")
        if "documents" in data:
            (aside / DOCUMENTS).write_text(json.dumps(data["documents"], indent=1) + "\n", encoding="utf-8")
        for name in TOKENIZER_FILES:
            shutil.copyfile(base / BASE_FOLDER / name, aside / name)
        manifest = write_card(aside, _describe(aside, recipe, base_manifest, str(data["digest"]), metrics), data)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return OpenedAdapter(folder, manifest)


def peft_tensors(adapter: LoraParameters) -> dict[str, Tensor]:
    """Return an adapter's numbers under the names that PEFT loads."""
    found: dict[str, Tensor] = {}
    for (layer, name), factor in adapter.factors.items():
        prefix = f"base_model.model.model.layers.{layer}.{name}"
        found[f"{prefix}.lora_A.weight"] = factor.low.cpu().contiguous().clone()
        found[f"{prefix}.lora_B.weight"] = factor.up.cpu().contiguous().clone()
        if factor.magnitude is not None:
            found[f"{prefix}.lora_magnitude_vector"] = factor.magnitude.cpu().contiguous().clone()
    return found


def load_factors(adapter: LoraParameters, tensors: Mapping[str, Tensor]) -> None:
    """Take numbers under PEFT's names into an adapter of the same form. Raises BadInput where they do not fit."""
    for name, tensor in peft_tensors(adapter).items():
        if name not in tensors or tensors[name].shape != tensor.shape:
            raise BadInput(
                f"The adapter has no {name} of size {tuple(tensor.shape)}; use the recipe it was fitted with."
            )
    for (layer, name), factor in adapter.factors.items():
        prefix = f"base_model.model.model.layers.{layer}.{name}"
        factor.low.copy_(tensors[f"{prefix}.lora_A.weight"])
        factor.up.copy_(tensors[f"{prefix}.lora_B.weight"])
        if factor.magnitude is not None:
            factor.magnitude.copy_(tensors[f"{prefix}.lora_magnitude_vector"])


def peft_config(recipe: Recipe, base_name: str) -> dict[str, Any]:
    """Return what PEFT reads as `adapter_config.json`."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": 0.0,
        "target_modules": sorted(name.rpartition(".")[2] for name in target_modules(recipe.targets)),
        "use_rslora": recipe.rslora,
        "use_dora": recipe.dora,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def _stored(adapter: LoraParameters, recipe: Recipe) -> dict[str, Tensor]:
    """Return the numbers in the type that the recipe stores. Raises BadInput for one that float16 does not hold."""
    import torch

    if recipe.stored == "float32":
        return peft_tensors(adapter)
    found = {name: tensor.to(torch.float16) for name, tensor in peft_tensors(adapter).items()}
    for name, tensor in found.items():
        if not bool(torch.isfinite(tensor).all()):
            raise BadInput(
                f"{name} has numbers beyond 65504, more than float16 holds; set the recipe's stored to float32."
            )
    return found


def environment() -> dict[str, str]:
    """Return the versions that a fit depends on."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _describe(
    folder: Path, recipe: Recipe, base: Manifest, data_digest: str, metrics: Mapping[str, Any]
) -> AdapterManifest:
    return AdapterManifest(
        base=base.name,
        base_digest=base.digest,
        quantization=recipe.quantization,
        prompt_digest=PROMPT_DIGEST,
        tokenizer_digest=base_file(base, "tokenizer.json"),
        template_digest=base_file(base, "chat_template.jinja"),
        recipe=recipe_value(recipe),
        recipe_digest=recipe_digest(recipe),
        data_digest=data_digest,
        environment=environment(),
        metrics=dict(metrics),
        files={path.name: digest_file(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST},
    )


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
