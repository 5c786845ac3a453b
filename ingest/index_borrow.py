"""Borrowing a Generation that another process has open: a copy of it is opened and removed when closed.

The embedded engine allows one owner for each folder, and a running server owns the live Generation. A Generation is
never written after it was built, so a copy of its folder holds the same. Only for reading beside the owner, for a
moment; a Generation that is free is opened as it is, and so is every one on a server.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from governance.errors import Busy, NotFound
from ingest.index import Entry, Index, IndexEngine
from ingest.index_edge import EdgeEngine

_FOLDER = "borrowed"


class BorrowingEngine:
    """An engine whose Generations can be read though another process has them open."""

    def __init__(self, engine: IndexEngine, home: Path) -> None:
        self.name = engine.name
        self._engine = engine
        self._root = home / _FOLDER / str(os.getpid())
        _remove_leftovers(home / _FOLDER)

    def build(self, generation: str, entries: Iterable[Entry]) -> int:
        """Build as the engine does."""
        return self._engine.build(generation, entries)

    def exists(self, generation: str) -> bool:
        """Tell whether the engine has a Generation."""
        return self._engine.exists(generation)

    def delete(self, generation: str) -> None:
        """Remove as the engine does. Raises Busy."""
        self._engine.delete(generation)

    def open(self, generation: str) -> Index:
        """Open a Generation, or a copy where another has it open. Raises NotFound or Damaged."""
        try:
            return self._engine.open(generation)
        except Busy:
            if not isinstance(self._engine, EdgeEngine):
                raise
            return EdgeEngine(_copy(self._engine.root / generation, self._root)).open(generation)

    def give_back(self) -> None:
        """Remove the copies; they must be closed."""
        shutil.rmtree(self._root, ignore_errors=True)


def _copy(source: Path, root: Path) -> Path:
    """Copy a Generation's folder below `root` and return `root`. Raises NotFound where it goes away meanwhile."""
    shutil.rmtree(root / source.name, ignore_errors=True)
    try:
        shutil.copytree(source, root / source.name)
    except (FileNotFoundError, shutil.Error) as error:
        raise NotFound(f"Index generation {source.name} was removed while it was read; run it again.") from error
    return root


def _remove_leftovers(folder: Path) -> None:
    """Remove the copies of processes that were killed."""
    for left in folder.glob("*"):
        if left.name.isdigit() and not _runs(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
