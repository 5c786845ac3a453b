"""What the threads of a compiled step share: how a function is compiled, the barrier, and tickets for work.

It knows functions and counters and refuses to know models. Rules: what is compiled is kept in the user's cache under
the digest of its sources and of the compiler, so that an upgrade never meets old code, and a folder that cannot be
written means compiling again; a thread that waits long gives its core away; a thread that fails lets the others
through every barrier. Numba is imported with this module: import it only where the decoder is built.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import njit, types
from numba.core import config
from numpy.typing import NDArray

from assistant.cpu_vector import arrive, glance

_SPINS = 4000
_ROUND, _TICKET, _FAILED = 8, 16, 24  # places in `sync`, each in a cache line of its own; 0 counts who arrived
_OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
_INNER = {**_OPTIONS, "no_cpython_wrapper": True}  # called by compiled code only: a third less to compile
_yield_core = types.ExternalFunction("sched_yield", types.int32())

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function that runs without the interpreter's lock."""
    made: Any = njit(**_INNER)(function)
    return cast("_Function", made)


def reordered(function: _Function) -> _Function:
    """Compile a function whose sums may be taken in another order: only where their length never changes."""
    made: Any = njit(fastmath=True, **_INNER)(function)
    return cast("_Function", made)


def kept(function: Any, sources: Sequence[Path], root: Path | None = None) -> Any:
    """Compile a function with all it calls, and keep the code for later processes (numba checks the CPU itself).

    `sources` are the files that decide what it does; `root` is the user's cache unless given.
    """
    folder = (root or user_cache()) / code_digest(sources)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return njit(**_OPTIONS)(function)
    with _numba_cache(folder if os.access(folder, os.W_OK) else None) as keeps:
        return njit(cache=keeps, **_OPTIONS)(function)


def user_cache() -> Path:
    """Return the folder of compiled code in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "provenant" / "compiled"


def code_digest(sources: Sequence[Path]) -> str:
    """Return what changes whenever the compiled code may change."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _numba_cache(folder: Path | None) -> Iterator[bool]:
    """Let numba keep in a folder what is decorated in a block; its own choice would be the source tree."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder or "")
    try:
        yield folder is not None
    finally:
        config.CACHE_DIR = before


def new_sync() -> NDArray[np.int64]:
    """Return the counters that the threads of one model share."""
    return np.zeros(32, dtype=np.int64)


def let_through(sync: NDArray[np.int64]) -> None:
    """Say that a thread failed: nobody waits for it at this barrier or a later one."""
    sync[_FAILED] = 1


def has_failed(sync: NDArray[np.int64]) -> bool:
    """Return whether a thread failed; what the others computed since is worth nothing."""
    return bool(sync[_FAILED])


@compiled
def barrier(sync: Any, threads: int) -> None:
    """Wait until every thread is here or one has failed; tickets begin again at 0."""
    place = sync.ctypes.data
    turn = glance((place + _ROUND * 8,))
    if arrive((place, 1)) == threads - 1:
        arrive((place, -threads))
        sync[_TICKET] = 0
        arrive((place + _ROUND * 8, 1))
        return
    waited = 0
    while glance((place + _ROUND * 8,)) == turn:
        waited += 1
        if waited > _SPINS:
            _yield_core()
            if glance((place + _FAILED * 8,)) != 0:
                return


@compiled
def take_ticket(sync: Any) -> int:
    """Return the number of the next piece of work; each number is given out once between two barriers."""
    return int(arrive((sync.ctypes.data + _TICKET * 8, 1)))
