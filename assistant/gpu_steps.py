"""One step of decoding for many users, and the reading of one user's prompt, on fixed tensors.

It knows slots and refuses to know users, waiting or end tokens. Rules: a step is the same work whatever the slots
hold, so on CUDA it is captured once per number of rows and replayed; which token was chosen stays on the device and
is read back later; recording a step moves every row to the scratch slot, so rows are shown only after the step they
are for is recorded; a graph is captured after warming up on a side stream, and all graphs share one memory pool, so
they run one after another on one stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from assistant.gpu_operations import PlainOperations, State, new_state
from assistant.gpu_weights import Weights

if TYPE_CHECKING:
    from torch import Tensor

_WARM_UPS = 2


@dataclass(frozen=True)
class Readback:
    """Tokens on their way from the device; `read` waits for them."""

    tokens: Tensor
    arrival: Any  # a CUDA event, None where the tokens are already here

    def read(self) -> list[int]:
        """Return the tokens, in the order of the step's slots."""
        if self.arrival is not None:
            self.arrival.synchronize()
        return [int(token) for token in self.tokens.tolist()]


class Recorded(Protocol):
    """Work that can be done again."""

    def replay(self) -> None:
        """Do the work once more on the same tensors."""


class Recorder(Protocol):
    """Makes work repeatable; it may do the work any number of times while recording."""

    def __call__(self, work: Callable[[], None], /) -> Recorded:
        """Return the recorded work."""


class GraphRecorder:
    """Records CUDA graphs that share one memory pool."""

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, work: Callable[[], None]) -> Recorded:
        """Warm up on a side stream, then capture."""
        import torch

        side = torch.cuda.Stream()  # type: ignore[no-untyped-call, unused-ignore]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                work()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            work()
        self._pool = self._pool or graph.pool()
        return graph


class Decoder:
    """Steps of one model over one cache, recorded where a recorder is given."""

    def __init__(self, weights: Weights, operations: PlainOperations, *, recorder: Recorder | None) -> None:
        self.weights = weights
        self.operations = operations
        self.state: State = operations.state
        self._recorder = recorder
        self._recorded: dict[tuple[int, int], Recorded] = {}
        self._shown: list[int] = []

    @property
    def slots(self) -> int:
        """Return how many users fit."""
        return self.state.scratch

    def prepare(self, counts: Iterable[int]) -> None:
        """Choose kernels and record steps for these numbers of users now rather than at their first use."""
        for count in sorted({self._bucket(count) for count in counts}, reverse=True):
            self.operations.prepare(count)
            for window in self.operations.windows() if self._recorder else ():
                self._repeatable(count, window)

    def read_prompt(self, slot: int, token_ids: Sequence[int], *, start: int, is_last: bool) -> Readback | None:
        """Read a chunk of a prompt into a slot; after the last one choose the slot's first token and send it back."""
        import torch

        with torch.no_grad():
            hidden = self._prompt_hidden(slot, self._on_device(token_ids), start)
            if not is_last:
                return None
            last = self.operations.norm(hidden[-1:], self.weights.final_norm)
            self.state.tokens[slot : slot + 1] = self.operations.scores(last).argmax(-1)
            self.state.lengths[slot : slot + 1].fill_(start + len(token_ids))
            return self._send_back(self.state.tokens[slot : slot + 1].clone())

    def step(self, slots: Sequence[int], longest: int) -> Readback:
        """Choose the next token of each slot, none of which holds more than `longest` tokens, and send them back."""
        import torch

        count = self._bucket(len(slots))
        window = next(size for size in self.operations.windows() if size > longest)
        with torch.no_grad():
            recorded = self._repeatable(count, window)
            self._show(slots, count)
            if recorded is None:
                self._step(count, window)
            else:
                recorded.replay()
            return self._send_back(self.state.tokens.index_select(0, self.state.rows[: len(slots)]))

    def _bucket(self, count: int) -> int:
        """Return the rows of the step that serves `count` users: a power of two where steps are recorded."""
        return 1 << (count - 1).bit_length() if self._recorder else count

    def _step(self, count: int, window: int) -> None:
        state, operations, weights = self.state, self.operations, self.weights
        rows = state.rows[:count]
        positions = state.lengths.index_select(0, rows)
        x = weights.embedding.index_select(0, state.tokens.index_select(0, rows)).float()
        for number, layer in enumerate(weights.layers):
            joined = operations.linear(operations.norm(x, layer.attention_norm), layer.attention_in)
            query = operations.rotate_and_store(joined, number, rows, positions)
            seen = operations.attend(query, number, count, positions, window)
            x = operations.linear(seen, layer.attention_out, x)
            inner = operations.linear(operations.norm(x, layer.mlp_norm), layer.mlp_in)
            x = operations.linear(operations.gated(inner), layer.mlp_out, x)
        chosen = operations.scores(operations.norm(x, weights.final_norm)).argmax(-1)
        state.tokens.index_copy_(0, rows, chosen)
        state.lengths.index_copy_(0, rows, positions + state.growth.index_select(0, rows))

    def _prompt_hidden(self, slot: int, token_ids: Tensor, start: int) -> Tensor:
        import torch

        operations, weights = self.operations, self.weights
        positions = torch.arange(start, start + len(token_ids), device=token_ids.device)
        slots = torch.full_like(positions, slot)
        x = weights.embedding.index_select(0, token_ids).float()
        for number, layer in enumerate(weights.layers):
            joined = operations.linear(operations.norm(x, layer.attention_norm), layer.attention_in)
            query = operations.rotate_and_store(joined, number, slots, positions)
            x = operations.linear(operations.attend_prompt(query, number, slot, start), layer.attention_out, x)
            inner = operations.linear(operations.norm(x, layer.mlp_norm), layer.mlp_in)
            x = operations.linear(operations.gated(inner), layer.mlp_out, x)
        return x

    def _show(self, slots: Sequence[int], count: int) -> None:
        """Tell the device which slot each row of the step serves; rows that are left over serve the scratch slot."""
        wanted = [*slots, *[self.state.scratch] * (count - len(slots))]
        if wanted != self._shown[:count]:
            self.state.rows[:count].copy_(self._on_device(wanted), non_blocking=True)
            self._shown = wanted

    def _on_device(self, numbers: Sequence[int]) -> Tensor:
        import torch

        on_cuda = self.state.rows.is_cuda
        here = torch.tensor(numbers, dtype=torch.int64, pin_memory=on_cuda)
        return here.to(self.state.rows.device, non_blocking=True) if on_cuda else here

    def _send_back(self, chosen: Tensor) -> Readback:
        """Start copying chosen tokens."""
        import torch

        if not chosen.is_cuda:
            return Readback(chosen, None)
        here = torch.empty(len(chosen), dtype=torch.int64, pin_memory=True)
        here.copy_(chosen, non_blocking=True)
        arrival = torch.cuda.Event()  # type: ignore[no-untyped-call, unused-ignore]
        arrival.record()
        return Readback(here, arrival)

    def _repeatable(self, count: int, window: int) -> Recorded | None:
        """Return the recorded step, recorded now if it is the first of its kind, or None without a recorder.

        Recording leaves every row on the scratch slot, so that it changes no user's cache: show the rows afterwards.
        """
        import torch

        if self._recorder is None:
            return None
        if (count, window) not in self._recorded:
            with torch.no_grad():
                self._show([], count)
                self._recorded[count, window] = self._recorder(lambda: self._step(count, window))
        return self._recorded[count, window]


def new_decoder(weights: Weights, *, slots: int, fused: bool | None = None, capture: bool | None = None) -> Decoder:
    """Return a decoder for `slots` users, with Triton kernels and captured steps where the device has them.

    `fused` and `capture` override what is found on the device.
    """
    on_cuda = weights.embedding.is_cuda
    most_rows = 1 << (slots - 1).bit_length()
    state = new_state(weights, slots=slots, most_rows=most_rows)
    fused = (on_cuda and has_triton()) if fused is None else fused
    operations = PlainOperations(weights, state)
    if fused:
        from assistant.gpu_fused import FusedOperations

        operations = FusedOperations(weights, state)
    records = on_cuda if capture is None else capture
    return Decoder(weights, operations, recorder=GraphRecorder() if records else None)


def has_triton() -> bool:
    """Return whether Triton is installed."""
    import importlib.util

    return importlib.util.find_spec("triton") is not None
