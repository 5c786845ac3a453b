"""Training examples as token ids.

It knows the served prompt, a tokenizer and a chat template; it refuses to know models and packs. Rules: a prompt's ids
are exactly those that are served, since the engine's own rendering makes them; the target's ids follow and end with
the turn's end; a target that holds a control token is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.model import LocalEngine, ModelIdentity
from finetune.examples import TrainingExample, example_messages
from finetune.packing import EncodedExample
from governance.errors import BadInput
from ingest.model_noise import quiet_libraries


class Encoder:
    """Turns examples into ids with the tokenizer and the chat template that serve."""

    def __init__(self, folder: Path, identity: ModelIdentity) -> None:
        with quiet_libraries():
            from transformers import AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._renderer = LocalEngine(identity, self._tokenizer, _NoDecoder())
        self._end = int(self._tokenizer.eos_token_id)
        self._special = set(self._tokenizer.all_special_ids)

    def encode(self, example: TrainingExample) -> EncodedExample:
        """Return an example's ids. Raises BadInput where its target holds a control token or is empty."""
        prompt = self._ids(self._renderer.render(example_messages(example)))
        target = self._ids(example.target)
        if not target or self._special & set(target):
            raise BadInput(
                f"The target of example {example.id} is empty or holds a control token: correct or remove it."
            )
        return EncodedExample(example.id, (*prompt, *target, self._end), len(prompt), example.abstains)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)


class _NoDecoder:
    """Stands for a model where only the prompt is wanted."""

    end_ids: Sequence[int | None] = ()
    window_tokens = 0

    def generation(self, prompt_ids: Sequence[int], limits: Any, stop: Any) -> Any:
        """There is nothing to generate with."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is held."""
