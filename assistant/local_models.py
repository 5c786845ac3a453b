"""The models of this installation: loaded from the model folder when first needed, once a process."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import Protocol

from assistant.model import Engine, ModelIdentity, load_engine
from assistant.model_convert import QUANTIZED_FOLDER
from governance.models import load_manifest
from governance.settings import Settings
from ingest.embed import Embedder, load_embedder


class Models(Protocol):
    """What answers questions: an embedder, a language model, and what the latter is without loading it."""

    @property
    def embedder(self) -> Embedder:
        """Return the embedder."""
        ...

    @property
    def engine(self) -> Engine:
        """Return the language model."""
        ...

    @property
    def identity(self) -> ModelIdentity:
        """Return what the language model is, by digests."""
        ...


class LocalModels:
    """The models that the settings name, from the model folder. Raises NotFound where one was not pulled."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loading = threading.RLock()

    @cached_property
    def embedder(self) -> Embedder:
        """Return the embedder, loaded once."""
        with self._loading:
            return load_embedder(self._settings.models, self._settings.ingest.embedder)

    @cached_property
    def engine(self) -> Engine:
        """Return the language model, loaded once."""
        with self._loading:
            return load_engine(self._settings.models, self._settings.answer.model)

    @cached_property
    def identity(self) -> ModelIdentity:
        """Return what the language model is, from its manifest."""
        return read_identity(self._settings.models, self._settings.answer.model)


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
