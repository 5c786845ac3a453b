"""What a model of the model folder is, by digests, without loading it: for release manifests."""

from __future__ import annotations

from pathlib import Path

from assistant.model import ModelIdentity
from assistant.model_convert import QUANTIZED_FOLDER
from governance.models import load_manifest


def read_identity(models_root: Path, name: str) -> ModelIdentity:
    """Return the identity of a language model from its manifest. Raises NotFound where it was not pulled."""
    manifest = load_manifest(models_root, name)
    return ModelIdentity(
        name=manifest.name,
        digest=manifest.digest,
        quantization=str(manifest.conversion["quantization"]),
        tokenizer_digest=manifest.files[f"{QUANTIZED_FOLDER}/tokenizer.json"].digest,
        template_digest=manifest.files[f"{QUANTIZED_FOLDER}/chat_template.jinja"].digest,
    )
