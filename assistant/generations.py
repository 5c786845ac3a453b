"""The index Generations that this process has open.

The live release names the Generation to read; when another takes its place, the new one is opened, questions that are
under way finish on the old one, and the last of them closes it. With the embedded engine a Generation has one owner:
a command that finds it taken waits for a while and then says who has it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from governance.errors import Busy, Damaged
from ingest.index import Index, IndexEngine
from ingest.summary import Summary, gather_summary, read_summary, summary_path

_POLL_SECONDS = 0.1


@dataclass
class OpenGeneration:
    """An open index with its summary, and how many questions use it now."""

    name: str
    index: Index
    summary: Summary
    users: int = 0
    retired: bool = False


class OpenGenerations:
    """Opens Generations on demand and closes those that no release of this process needs."""

    def __init__(self, engine: IndexEngine, home: Path, *, wait_seconds: float) -> None:
        self._engine = engine
        self._home = home
        self._wait_seconds = wait_seconds
        self._open: dict[str, OpenGeneration] = {}
        self._lock = threading.Lock()

    @contextmanager
    def use(self, name: str) -> Iterator[OpenGeneration]:
        """Hold a Generation open for a block. Raises Busy where another process keeps it."""
        with self._lock:
            generation = self._open.get(name) or self._open_new(name)
            generation.users += 1
        try:
            yield generation
        finally:
            with self._lock:
                generation.users -= 1
                self._close_if_done(generation)

    def keep_only(self, names: set[str]) -> None:
        """Retire all other Generations; each closes when its last question ends."""
        with self._lock:
            for generation in list(self._open.values()):
                generation.retired = generation.name not in names
                self._close_if_done(generation)

    def close(self) -> None:
        """Retire everything."""
        self.keep_only(set())

    def _open_new(self, name: str) -> OpenGeneration:
        index = _open_patiently(lambda: self._engine.open(name), self._wait_seconds)
        generation = OpenGeneration(name, index, self._read_summary(name, index))
        self._open[name] = generation
        return generation

    def _read_summary(self, name: str, index: Index) -> Summary:
        try:
            return read_summary(summary_path(self._home, name))
        except (FileNotFoundError, Damaged):
            return gather_summary(index.scroll())

    def _close_if_done(self, generation: OpenGeneration) -> None:
        if generation.retired and generation.users == 0 and self._open.get(generation.name) is generation:
            del self._open[generation.name]
            generation.index.close()


def _open_patiently(open_index: Callable[[], Index], wait_seconds: float) -> Index:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return open_index()
        except Busy:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_SECONDS)
