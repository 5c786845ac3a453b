"""How fast a run goes, how much memory it holds and how long it still takes, for its progress line.

It knows the clock and the device; nothing here decides anything.
"""

from __future__ import annotations

import math
import time

_SAID_EVERY_SECONDS = 2.0
GIB = 2**30


class Pace:
    """Tokens and seconds of this process's steps."""

    def __init__(self) -> None:
        self._tokens = 0
        self._steps = 0
        self._seconds = 0.0
        self._begin = time.monotonic()
        self._spoke = -math.inf

    def begin(self) -> None:
        """Begin a step; what lies between steps (evaluations, checkpoints) is not counted."""
        self._begin = time.monotonic()

    def add(self, tokens: int) -> None:
        """End a step of some tokens."""
        self._seconds += time.monotonic() - self._begin
        self._tokens += tokens
        self._steps += 1

    def tokens_second(self) -> float:
        """Return the tokens of a second so far."""
        return self._tokens / max(1e-9, self._seconds)

    def seconds_left(self, steps: int) -> float:
        """Return how long some more steps take at the pace so far."""
        return self._seconds / max(1, self._steps) * steps

    def may_speak(self) -> bool:
        """Tell whether a line is due, at most one in two seconds."""
        now = time.monotonic()
        if now - self._spoke < _SAID_EVERY_SECONDS:
            return False
        self._spoke = now
        return True


def memory_gib(device: str) -> float:
    """Return the most memory held so far in GiB: of the device, or of this process on a CPU."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.max_memory_allocated(device)) / GIB
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
