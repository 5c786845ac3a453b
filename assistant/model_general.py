"""Any model of transformers as a Decoder: the general path, for CUDA and for what the compiled step does not know.

It knows token ids and refuses to know texts. Rules: one generation at a time, the others wait; a stop that is set ends
the waiting and the answering.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from assistant.adapter import OpenedAdapter
from assistant.decoding import Limits, greedy_tokens
from governance.errors import ProvenantError

_LOCK_POLL_SECONDS = 0.05


def with_adapter(model: Any, adapter: OpenedAdapter) -> Any:
    """Return a loaded model with an adapter by PEFT, unmerged. Raises ProvenantError where PEFT is not installed."""
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ProvenantError(
            f"Serving this model with the adapter {adapter.folder.name} needs peft, not installed here; run "
            "`pip install 'provenant[finetune]'`, or set answer.adapter to nothing."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for a name it gave up
        return PeftModel.from_pretrained(model, adapter.folder).eval()


class TransformersDecoder:
    """A model that is loaded, with a cache for each generation."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._busy = threading.Lock()
        stated = model.generation_config.eos_token_id
        self.end_ids: Sequence[int | None] = stated if isinstance(stated, list) else [stated]
        self.window_tokens = int(model.config.get_text_config().max_position_embeddings)

    @contextmanager
    def generation(
        self, prompt_ids: Sequence[int], limits: Limits, stop: threading.Event
    ) -> Iterator[Iterator[int] | None]:
        """Wait until the model is free and give the tokens, or None where `stop` was set before."""
        while not self._busy.acquire(timeout=_LOCK_POLL_SECONDS):
            if stop.is_set():
                yield None
                return
        try:
            tokens = greedy_tokens(
                _CachedModel(self._model),
                prompt_ids,
                draft_tokens=limits.draft_tokens,
                max_new_tokens=limits.new_tokens,
                is_end=limits.is_end,
            )
            with closing(tokens):
                yield tokens
        finally:
            self._busy.release()

    def close(self) -> None:
        """Nothing is held but memory."""


class _CachedModel:
    """A transformers model with the keys and values of what it has read."""

    def __init__(self, model: Any) -> None:
        from transformers import DynamicCache

        self._model = model
        self._cache = DynamicCache()

    def choose(self, token_ids: Sequence[int], last: int) -> list[int]:
        """Read some tokens and return the likeliest token after each of the `last` ones."""
        import torch

        with torch.inference_mode():
            batch = torch.tensor([list(token_ids)], device=self._model.device)  # (1, tokens)
            output = self._model(input_ids=batch, cache=self._cache, use_cache=True, logits_to_keep=last)
            choices: list[int] = output.logits[0].argmax(dim=-1).tolist()  # (last, vocabulary) -> (last,)
        return choices

    def forget(self, count: int) -> None:
        """Forget the last `count` tokens read."""
        if count:
            self._cache.crop(-count)
