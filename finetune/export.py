"""Export an adapter with its base: merged bfloat16 safetensors, and a GGUF made of them, each with a fidelity check.

It knows model folders and adapters, and refuses to know training. Rules: what is merged is the unquantized base read
anew from its files, never a model that has run, and never NF4 (rounding would eat the adapter); sums are in float32,
rounded once; an artefact whose KL to the unmerged model is above the bound is removed again and refused; each has a
manifest with the Digests of base, adapter and files.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from assistant.model_convert import BASE_FOLDER
from finetune.adapters import OpenedAdapter, open_adapter
from finetune.examples import TrainingExample
from finetune.loading import load_base, with_adapter
from finetune.quantize import encode_example
from finetune.quantize_measure import Measured, logs_of, measure_texts, summary
from governance.digests import digest_file, digest_value
from governance.errors import BadInput, ProvenantError
from governance.models import open_model
from ingest.model_noise import quiet_libraries

Form = Literal["merged", "gguf-f16", "gguf-q8_0"]
KL_BOUNDS: dict[str, float] = {"merged": 0.01, "gguf-f16": 0.01, "gguf-q8_0": 0.03}
"""Largest mean KL in nats a token; bfloat16 rounds to 8 bits of a number, Q8_0 to 8 bits of a block of 32."""

Say = Callable[[float, str], None]


@dataclass(frozen=True)
class ExportRequest:
    """What to export: a base by name, an adapter's folder, the forms, and examples for the fidelity check."""

    models_root: Path
    base: str
    adapter: Path
    out: Path
    forms: tuple[Form, ...]
    examples: tuple[TrainingExample, ...]
    bounds: tuple[tuple[str, float], ...] = ()


def export_adapter(request: ExportRequest, say: Say) -> dict[str, Any]:
    """Write each form to a folder of its own below `out` and return their manifests by form.

    Raises BadInput for an adapter of another base or where `out` has one of the folders, and ProvenantError where an
    artefact is not the model it was made of.
    """
    folder, manifest = open_model(request.models_root, request.base, "llm")
    adapter = open_adapter(request.adapter, manifest)
    _refuse_present(request)
    unmerged = with_adapter(load_base(request.models_root, request.base, device="cpu"), request.adapter)
    texts = [encode_example(unmerged.tokenizer, one) for one in request.examples]
    reference = [logs_of(unmerged.model, text) for text in texts]
    del unmerged
    found: dict[str, Any] = {}
    aside = request.out / ".merging"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        say(0.1, "merging")
        merge(folder / BASE_FOLDER, request.adapter, aside)
        for number, form in enumerate(request.forms):
            say((number + 1) / (len(request.forms) + 1), form)
            found[form] = _export_form(form, aside, request, (adapter, manifest.digest), (texts, reference))
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return found


def merge(base: Path, adapter: Path, out: Path) -> None:
    """Write the base with the adapter merged in as bfloat16 safetensors, with its tokenizer."""
    with quiet_libraries():
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.float32, device_map={"": "cpu"}, local_files_only=True
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # as in `loading.with_adapter`
            adapted = PeftModel.from_pretrained(model, adapter)
        merged = adapted.merge_and_unload(safe_merge=True).to(torch.bfloat16)
        merged.save_pretrained(out)
        AutoTokenizer.from_pretrained(base, local_files_only=True).save_pretrained(out)


def fidelity(model: Any, texts: Sequence[Measured], reference: Sequence[Any]) -> dict[str, float]:
    """Return mean KL to the unmerged model, and the share of next tokens that stay the likeliest."""
    figures = measure_texts(model, texts, reference)
    same = total = 0
    for text, before in zip(texts, reference, strict=True):
        same += int((logs_of(model, text).argmax(-1) == before.argmax(-1)).sum())
        total += len(before)
    return {"kl": summary(figures)["kl"], "same_choice": same / total, "tokens": float(total)}


def _export_form(
    form: Form,
    merged: Path,
    request: ExportRequest,
    made_of: tuple[OpenedAdapter, str],
    check: tuple[Sequence[Measured], Sequence[Any]],
) -> dict[str, Any]:
    target = request.out / form
    if form == "merged":
        shutil.copytree(merged, target)
    else:
        from finetune.export_gguf import write_gguf

        target.mkdir(parents=True)
        write_gguf(merged, target / "model.gguf", kind="F16" if form == "gguf-f16" else "Q8_0")
    figures = fidelity(_reload(form, target), *check)
    bound = dict(request.bounds).get(form, KL_BOUNDS[form])
    if not figures["kl"] <= bound:
        shutil.rmtree(target)
        raise ProvenantError(
            f"The export {form} differs from the unmerged model by a KL of {figures['kl']:.4f}, expected at most "
            f"{bound}; it was removed: serve the adapter unmerged, or export another form."
        )
    adapter, base_digest = made_of
    files = {path.name: digest_file(path) for path in sorted(target.iterdir())}
    manifest = {
        "form": form,
        "base": base_digest,
        "adapter": adapter.manifest.digest,
        "recipe": adapter.manifest.recipe_digest,
        "prompt": adapter.manifest.prompt_digest,
        "fidelity": figures | {"bound": bound},
        "files": files,
        "digest": digest_value(files),
    }
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return manifest


def _reload(form: Form, target: Path) -> Any:
    """Load an artefact from its files as others would, in float32."""
    with quiet_libraries():
        import contextlib
        import io

        import torch
        from transformers import AutoModelForCausalLM, GgufConfig

        options: dict[str, Any] = {}
        if form != "merged":
            options = {"gguf_file": "model.gguf", "quantization_config": GgufConfig(dequantize=True)}
        with contextlib.redirect_stderr(io.StringIO()):  # the progress bar has no other switch
            return AutoModelForCausalLM.from_pretrained(
                target, dtype=torch.float32, local_files_only=True, **options
            ).eval()


def _refuse_present(request: ExportRequest) -> None:
    if not request.forms or not request.examples:
        raise BadInput("The export has no form or no examples to check it with; give --form and --data.")
    for form in request.forms:
        if (request.out / form).exists():
            raise BadInput(f"{request.out / form} is there already; name another folder or remove it.")
