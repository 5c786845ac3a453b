"""A compiled model that serves many threads: each asks for a generation, one thread steps them all.

It knows token ids and refuses to know texts. Rules: whoever stops reading leaves at the next step; a stop that is set
ends a generation whether it waits, reads its prompt or answers; where the stepping thread ends, every reader is told
and nobody waits for it.
"""

from __future__ import annotations

import atexit
import json
import logging
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from assistant.adapter import OpenedAdapter
from assistant.cpu_batch import Batch, Request, StepModel
from assistant.cpu_model import CpuModel, KeyValues
from assistant.cpu_weights import read_weights
from assistant.decoding import Limits
from governance.errors import ProvenantError

_logger = logging.getLogger(__name__)


class CpuDecoder:
    """What LocalEngine asks for tokens. `close` ends what is under way."""

    def __init__(self, model: StepModel, end_ids: Sequence[int | None] = ()) -> None:
        self.end_ids = end_ids
        self.window_tokens = model.shape.window
        self._model = model
        self._batch = Batch(model)
        self._waiting: deque[Request] = deque()
        self._change = threading.Condition()
        self._is_closed = False
        self._has_failed = False
        self._thread = threading.Thread(target=self._serve, daemon=True, name="decoder-0")
        self._thread.start()
        atexit.register(self.close)  # compiled code must not be running when the interpreter ends

    @contextmanager
    def generation(
        self, prompt_ids: Sequence[int], limits: Limits, stop: threading.Event
    ) -> Iterator[Iterator[int] | None]:
        """Wait for a place and give the tokens as they come, or None where `stop` was set before there was one.

        The tokens end early once `stop` is set. Leaving the block ends the generation. Raises ProvenantError where
        the decoder was closed or has failed.
        """
        told = queue.SimpleQueue[list[int] | None]()
        left = threading.Event()
        self._hand_in(Request(prompt_ids, limits, told.put, lambda: left.is_set() or stop.is_set()))
        try:
            has_begun = told.get() is not None
            self._check()
            yield self._tokens(told) if has_begun else None
        finally:
            left.set()

    def close(self) -> None:
        """End what is under way and the threads, and wait for the one that steps. Again, it does nothing."""
        atexit.unregister(self.close)
        with self._change:
            self._is_closed = True
            self._change.notify()
        self._thread.join()
        self._model.close()

    def _hand_in(self, request: Request) -> None:
        with self._change:
            self._check()
            if self._is_closed:
                raise ProvenantError("The language model of this process has been closed; load it again to generate.")
            self._waiting.append(request)
            self._change.notify()

    def _tokens(self, told: queue.SimpleQueue[list[int] | None]) -> Iterator[int]:
        while (tokens := told.get()) is not None:
            yield from tokens
        self._check()

    def _check(self) -> None:
        if self._has_failed:
            raise ProvenantError(
                "The thread that generates has failed, so this process answers no more; the cause stands in its log: "
                "restart it, and report it if it comes again."
            )

    def _serve(self) -> None:
        try:
            while self._admit():
                self._batch.step()
        finally:
            with self._change:
                self._has_failed = not self._is_closed
                self._is_closed = True
                left = [*self._waiting, *self._batch.requests]
            for request in left:
                request.tell(None)

    def _admit(self) -> bool:
        """Wait for something to do and let in who has room; return whether there is more to come."""
        with self._change:
            self._change.wait_for(lambda: self._is_closed or self._waiting or self._batch.is_busy)
            for request in [one for one in self._waiting if one.is_left()]:
                self._waiting.remove(request)
                request.tell(None)
            while self._waiting and self._batch.has_room(self._waiting[0]):
                self._batch.join(self._waiting.popleft())
            return not self._is_closed


def load_cpu_decoder(folder: Path, adapter: OpenedAdapter | None = None) -> CpuDecoder | None:
    """Return what generates from a model folder, compiled, or None where the general path has to serve it."""
    model = load_cpu_model(folder, adapter=adapter)
    if model is None:
        return None
    model.read(KeyValues.empty(model.shape, 1), [0], 1)  # compiles, once for each version and CPU
    settings = folder / "generation_config.json"
    stated = json.loads(settings.read_text()).get("eos_token_id") if settings.is_file() else None
    return CpuDecoder(model, stated if isinstance(stated, list) else [stated])


def load_cpu_model(
    folder: Path, threads: int | None = None, *, adapter: OpenedAdapter | None = None
) -> CpuModel | None:
    """Return the model of a folder, or None where this CPU or this model needs the general path; the log says why.

    As many threads as the process has cores, 8 at most, unless `threads` says otherwise.
    """
    missing = _what_is_missing()
    if missing is None and adapter is not None and not adapter.is_plain:
        missing = "the adapter has magnitudes or ranks of its own (DoRA), which the compiled step does not know"
    weights = read_weights(folder) if missing is None else None
    if weights is None:
        reason = missing or "the model is no Llama in NF4 whose layout the compiled step knows"
        _logger.info("The language model is served by the general path: %s.", reason)
        return None
    return CpuModel(weights, threads, adapter.factors() if adapter is not None else None)


def _what_is_missing() -> str | None:
    """Return what this machine lacks for the compiled step, in words, or None."""
    if sys.platform != "linux":
        return f"the compiled step needs Linux, and this is {sys.platform}"
    try:
        import numba  # noqa: F401 it compiles
        from llvmlite import binding
    except ImportError as error:
        return f"numba cannot be imported ({error})"
    return None if binding.get_host_cpu_features().get("avx512f") else "the CPU has no AVX-512"
