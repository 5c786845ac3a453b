"""Locks between processes that tell who holds them.

The lock itself is the operating system's and ends with the process that holds it, killed or not: a stale lock is only
the note that its holder left, and the next one takes over. The file beside the lock says who holds it (process, user,
host, since when, doing what, for which job), so that whoever must wait can be told. A home folder on a shared disk may
be held by another host; its process cannot be looked up here, and the host is named instead.
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from governance.errors import Busy
from governance.store import now

_logger = logging.getLogger(__name__)


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
        _say_what_is_taken_over(path)
        _write_facts(path, {**_facts_about_us(doing), **(facts or {})})
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
    return _read_facts(path)


def describe_holder(path: Path) -> str:
    """Return a sentence on who holds a lock."""
    facts = _read_facts(path)
    if not {"doing", "pid", "since"} <= facts.keys() or _has_ended(facts):
        return f"Another process holds {path.name}."
    job = f" for job {facts['job']}" if facts.get("job") else ""
    user = f" of {facts['user']}" if facts.get("user") else ""
    host = facts.get("host", socket.gethostname())
    there = "" if host == socket.gethostname() else f" on the host {host}"
    since = str(facts["since"]).replace("T", " ").replace("+00:00", " UTC")
    return f"{facts['doing']}{job} has been running since {since} (process {facts['pid']}{user}{there})."


def _facts_about_us(doing: str) -> dict[str, Any]:
    return {
        "doing": doing,
        "pid": os.getpid(),
        "user": _user_name(),
        "host": socket.gethostname(),
        "since": now().isoformat(timespec="seconds"),
    }


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return str(os.getuid())


def _say_what_is_taken_over(path: Path) -> None:
    """Log whose lock this was: a holder that ends in order leaves no note."""
    left = _read_facts(path)
    if "pid" in left:
        _logger.warning(
            "%s is taken over: %s (process %s) ended without letting go.", path.name, left.get("doing"), left["pid"]
        )


def _has_ended(facts: Mapping[str, Any]) -> bool:
    """Tell whether the process that wrote these facts is known to be gone: only those of this host can be known."""
    if facts.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(facts["pid"]), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return True
    except PermissionError:  # another user's, and alive
        return False
    return False


def _read_facts(path: Path) -> dict[str, Any]:
    """Return what stands beside a lock, {} where nothing readable does."""
    try:
        facts = json.loads(_facts_file(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts for the owner of the process alone: they may hold the key to a running server."""
    descriptor = os.open(_facts_file(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file)


def _facts_file(path: Path) -> Path:
    return path.with_suffix(".holder.json")
