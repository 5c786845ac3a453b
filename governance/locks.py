"""Locks between processes that tell who holds them.

The lock itself is the operating system's and ends with the process that holds it, killed or not. A file beside it
says who that is, so that whoever must wait can be told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from governance.errors import Busy
from governance.store import now


@contextmanager
def hold(
    path: Path, *, doing: str, wait_seconds: float = 0.0, facts: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Hold the lock at `path` for a block. Raises Busy naming the holder when it is not free in time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout as error:
        raise Busy(f"{describe_holder(path)} Wait until it is done and try again.") from error
    try:
        _write_facts(
            path, {"doing": doing, "pid": os.getpid(), "since": now().isoformat(timespec="seconds"), **(facts or {})}
        )
        yield
    finally:
        _facts_file(path).unlink(missing_ok=True)
        lock.release()


def holder(path: Path) -> dict[str, Any] | None:
    """Return what the holder of a lock wrote about itself, or None where nobody holds it."""
    lock = FileLock(path, thread_local=False)
    try:
        with lock.acquire(blocking=False):
            return None
    except (Timeout, FileNotFoundError):
        pass
    try:
        facts: dict[str, Any] = json.loads(_facts_file(path).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return facts


def describe_holder(path: Path) -> str:
    """Return a sentence on who holds a lock."""
    try:
        facts = json.loads(_facts_file(path).read_text())
    except (FileNotFoundError, ValueError):
        return f"Another process holds {path.name}."
    return f"{facts['doing']} has been running since {facts['since']} (process {facts['pid']})."


def _write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts for the owner of the process alone: they may hold the key to a running server."""
    descriptor = os.open(_facts_file(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file)


def _facts_file(path: Path) -> Path:
    return path.with_suffix(".holder.json")
