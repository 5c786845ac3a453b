"""The models of this installation: loaded from the model folder when first needed, once a process."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Protocol

from assistant.adapter import served_adapter
from assistant.generation import Engine, ModelIdentity
from assistant.model import LocalEngine, identify, load_engine
from assistant.reader import Reader, load_reader
from assistant.training_data import keep_training_data
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
    def reader(self) -> Reader | None:
        """Return the reader, or None where nothing is read together with the question."""
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
        self._loaded_engine: LocalEngine | None = None

    @cached_property
    def embedder(self) -> Embedder:
        """Return the embedder, loaded once."""
        with self._loading:
            return load_embedder(self._settings.models, self._settings.ingest.embedder)

    @cached_property
    def reader(self) -> Reader | None:
        """Return the reader that the settings name, loaded once."""
        name = self._settings.retrieval.reader
        with self._loading:
            return load_reader(self._settings.models, name) if name else None

    @cached_property
    def engine(self) -> Engine:
        """Return the language model, loaded once."""
        with self._loading:
            answer = self._settings.answer
            self._loaded_engine = load_engine(self._settings.models, answer.model, adapter=answer.adapter)
            return self._loaded_engine

    @cached_property
    def identity(self) -> ModelIdentity:
        """Return what the language model is, from its manifest and its adapter's; what the latter learned is kept."""
        manifest = load_manifest(self._settings.models, self._settings.answer.model)
        adapter = served_adapter(self._settings.answer.adapter, manifest)
        if adapter is not None:
            keep_training_data(self._settings.home, adapter)
        return identify(manifest, adapter.manifest.digest if adapter is not None else "")

    def close(self) -> None:
        """End what the language model is generating and its threads, where it was loaded."""
        with self._loading:
            if self._loaded_engine is not None:
                self._loaded_engine.close()
