"""The process in which files are parsed: started by `ingest.isolation`, which alone speaks to it.

    python -m ingest.parser_worker PARENT REQUESTS ANSWERS MEGABYTES SECONDS FILES MODULE:FUNCTION

Imports a parser, gives up what parsing does not need, and then reads one request after the other from REQUESTS (the
path of a file and what the parser is handed beside it) and writes one answer for each to ANSWERS (two open pipes).
Refuses to know why a file is read. What is given up, in order:

    network     a network namespace of its own, which has no way out, where the system allows one (root, or a user
                namespace); everywhere, as the floor, Python's audit hook bars sockets. The hook holds Python code;
                machine code in a parser's library, and a program that a parser starts, only the namespace holds
    life        the worker is killed when the thread that started it ends, so with its process, however that ends
    files       none can be written, 64 can be open, no core is dumped
    memory      address space up to MEGABYTES
    processor   SECONDS for a file; the wall clock is watched by the parent

A program that a parser starts has the same caps and ends with the group of the worker's processes. What a worker may
still do is to read the files that its user may read. On systems other than Linux the namespace, the memory cap and the
signal at the parent's end are missing; a worker ends there at the end of its requests.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import math
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from governance.errors import BadInput
from ingest.documents import ParsedDocument

HEAD = struct.Struct("!cIQ")  # kind, address space in MB, bytes of the body that follows
STARTED, PARSED, REFUSED, OUT_OF_MEMORY, FAILED = b"s", b"p", b"r", b"m", b"f"
_MEGABYTE = 1024 * 1024
_OPEN_FILES = 64
_MOST_REASON_CHARACTERS = 200
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def main(arguments: list[str]) -> None:
    """Serve until the parent closes its end of the requests."""
    parent, requests, answers, megabytes, seconds, files = (int(word) for word in arguments[:6])
    module, _, name = arguments[6].partition(":")
    parse: Callable[..., ParsedDocument] = getattr(importlib.import_module(module), name)
    give_up_network()
    die_with(parent)
    set_caps(megabytes, life_seconds=seconds * files)
    _answer(answers, STARTED, b"")
    with os.fdopen(requests, encoding="utf-8") as lines:
        for line in lines:
            _allow_processor(seconds)
            request = json.loads(line)
            _answer(answers, *_parse(parse, Path(request.pop("path")), **request))


def give_up_network() -> None:
    """Leave the network where the system allows it, and bar Python from sockets everywhere."""
    if sys.platform == "linux":
        unshare: Callable[[int], int] = ctypes.CDLL(None).unshare
        if unshare(_CLONE_NEWNET):
            unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    sys.addaudithook(_bar)


def die_with(parent: int) -> None:
    """Be killed when the thread that started this process ends; end now where the parent is gone already.

    Comes after the namespaces: new capabilities take the promise back.
    """
    if sys.platform == "linux":
        prctl: Callable[..., int] = ctypes.CDLL(None).prctl
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def set_caps(megabytes: int, *, life_seconds: int) -> None:
    """Cap this process for good."""
    sys.dont_write_bytecode = True
    life = math.ceil(_processor_seconds()) + life_seconds
    caps = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CPU: life,
    }
    if sys.platform == "linux":  # other systems refuse it or do not keep it
        caps[resource.RLIMIT_AS] = megabytes * _MEGABYTE
    for what, most in caps.items():
        hard = resource.getrlimit(what)[1]
        cap = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (cap, cap))


def _allow_processor(seconds: int) -> None:
    """Let the next file have so many seconds of processor time: the limit counts from the start of the process."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (min(math.ceil(_processor_seconds()) + seconds, hard), hard))


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _bar(event: str, _: Any) -> None:
    if event.startswith("socket."):
        raise PermissionError(f"a parser may not use the network ({event})")


def _parse(parse: Callable[..., ParsedDocument], path: Path, **beside: str) -> tuple[bytes, bytes]:
    try:
        return PARSED, parse(path, **beside).to_json().encode("utf-8")
    except BadInput as error:
        return REFUSED, str(error).encode("utf-8", "replace")
    except MemoryError:
        return OUT_OF_MEMORY, b""
    except Exception as error:  # noqa: BLE001  the edge of the process: whatever a file does to a parser is that file's
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return FAILED, text[:_MOST_REASON_CHARACTERS].encode("utf-8", "replace")


def _answer(pipe: int, kind: bytes, body: bytes) -> None:
    os.write(pipe, HEAD.pack(kind, _address_space_megabytes(), len(body)))  # short enough to be written whole
    rest = memoryview(body)
    while rest:
        rest = rest[os.write(pipe, rest) :]


def _address_space_megabytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, MemoryError):
        return 0
    return pages * resource.getpagesize() // _MEGABYTE


if __name__ == "__main__":
    main(sys.argv[1:])
