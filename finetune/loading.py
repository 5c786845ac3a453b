"""Load a base of the model folder for measuring: unquantized or in NF4, alone or with an adapter of PEFT.

It knows folders and manifests, and refuses to know what is measured. Rules: nothing is fetched; a base is opened by
its manifest; on a CPU numbers are float32, on CUDA bfloat16; on a CPU four-bit weights are unpacked once, to the same
numbers, since unpacking them for each token takes seconds; an adapter is checked by whoever opens it
(`adapters.open_adapter`).
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

from assistant.model_convert import BASE_FOLDER
from finetune.quantize import BaseModel
from governance.errors import BadInput, NotFound
from governance.models import Manifest, open_model
from ingest.model_noise import quiet_libraries

Weights = Literal["reference", "nf4", "nf4_dq"]


def load_base(models_root: Path, name: str, *, weights: Weights = "reference", device: str | None = None) -> BaseModel:
    """Load a base model. Raises NotFound where it was not pulled and Damaged where its files are not its own."""
    folder, manifest = open_model(models_root, name, "llm")
    with quiet_libraries():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        tokenizer = AutoTokenizer.from_pretrained(folder / BASE_FOLDER, local_files_only=True)
        settings = {} if weights == "reference" else {"quantization_config": _four_bits(dtype, weights == "nf4_dq")}
        model = AutoModelForCausalLM.from_pretrained(
            folder / BASE_FOLDER, dtype=dtype, device_map={"": device}, local_files_only=True, **settings
        ).eval()
        if device == "cpu" and weights != "reference":
            _unpack(model)
    return BaseModel(model, tokenizer, _said(manifest, weights), manifest.digest)


def with_adapter(base: BaseModel, folder: Path) -> BaseModel:
    """Return a base with the adapter of a PEFT folder, unmerged. Raises NotFound and BadInput for what is none."""
    if not (folder / "adapter_config.json").is_file():
        raise NotFound(f"{folder} has no adapter_config.json, expected an adapter's folder; name one.")
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for a name it gave up
            model = PeftModel.from_pretrained(base.model, folder).eval()
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise BadInput(f"The adapter in {folder} does not fit this base ({reason}); fit it again.") from error
    return BaseModel(model, base.tokenizer, f"{base.said}, with the adapter {folder.name}", base.digest)


def _unpack(model: Any) -> None:
    """Replace each four-bit layer by a plain one of the same numbers, in place."""
    import bitsandbytes
    import torch

    for name, module in list(model.named_modules()):
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            weight = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
            plain = torch.nn.Linear(module.in_features, module.out_features, bias=False, device="meta")
            plain.weight = torch.nn.Parameter(weight.to(torch.float32), requires_grad=False)
            plain.bias = module.bias
            model.set_submodule(name, plain)
    del model.hf_quantizer
    model.is_quantized = model.is_loaded_in_4bit = False
    model.config.quantization_config = None


def _four_bits(dtype: Any, doubly: bool) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=doubly,
        bnb_4bit_compute_dtype=dtype,
    )


def _said(manifest: Manifest, weights: Weights) -> str:
    """Return what the weights are, in words: a base made of a quantized file is named so."""
    made = str(manifest.conversion.get("source_format", ""))
    origin = "converted from a quantized GGUF" if made.startswith("gguf") else "as published"
    stored = "unquantized weights" if weights == "reference" else f"{weights} of the weights"
    return f"{manifest.name}: {stored}, {origin} ({manifest.source})"
