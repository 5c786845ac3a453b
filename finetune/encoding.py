"""Training examples as token ids.

It knows the served prompt, a tokenizer and a chat template; it refuses to know models and packs. Rules: a prompt's ids
are exactly those that are served, since the engine's own rendering makes them; the target's ids follow and end with
the turn's end; a target that holds a control token is refused; many examples at once give the ids of each one alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assistant.model import LocalEngine, ModelIdentity
from finetune.examples import TrainingExample, example_messages
from finetune.packing import EncodedExample
from governance.errors import BadInput
from ingest.model_noise import quiet_libraries

BATCH = 512  # examples that the tokenizer reads at once
_SAID_EVERY_SECONDS = 5.0


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
        return self._encoded(example, self._ids(self._prompt(example)), self._ids(example.target))

    def encode_all(
        self,
        examples: Sequence[TrainingExample],
        *,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> list[EncodedExample]:
        """Return the ids of many examples, in order, as `encode` gives them; the tokenizer reads on all cores.

        `say` hears how far it is, where that takes more than some seconds. Raises BadInput as `encode`.
        """
        found: list[EncodedExample] = []
        spoke = clock()
        for at in range(0, len(examples), BATCH):
            part = examples[at : at + BATCH]
            prompts = self._batch_ids([self._prompt(one) for one in part])
            targets = self._batch_ids([one.target for one in part])
            found += [self._encoded(*each) for each in zip(part, prompts, targets, strict=True)]
            now = clock()
            if say and now - spoke >= _SAID_EVERY_SECONDS and len(found) < len(examples):
                say(f"Encoded {len(found):,} of {len(examples):,} examples.")
                spoke = now
        return found

    def _prompt(self, example: TrainingExample) -> str:
        return self._renderer.render(example_messages(example))

    def _encoded(self, example: TrainingExample, prompt: list[int], target: list[int]) -> EncodedExample:
        if not target or self._special & set(target):
            raise BadInput(
                f"The target of example {example.id} is empty or holds a control token: correct or remove it."
            )
        return EncodedExample(example.id, (*prompt, *target, self._end), len(prompt), example.abstains)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)

    def _batch_ids(self, texts: list[str]) -> list[list[int]]:
        return [one.ids for one in self._tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)]


class _NoDecoder:
    """Stands for a model where only the prompt is wanted."""

    end_ids: Sequence[int | None] = ()
    window_tokens = 0

    def generation(self, prompt_ids: Sequence[int], limits: Any, stop: Any) -> Any:
        """There is nothing to generate with."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is held."""
