"""Parsers that go wrong, for the tests of `ingest.isolation`: what a file holds says how."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import time
from pathlib import Path

from governance.errors import BadInput
from ingest.documents import Clause, ParsedDocument

_eaten: list[bytes] = []


def parse(path: Path) -> ParsedDocument:
    """Do what the file says; a file that says nothing known is its own text."""
    held = path.read_text(encoding="utf-8")
    word, _, rest = held.partition(" ")
    text = str(_DOINGS[word](rest)) if word in _DOINGS else held
    beyond = 5 if word == "beyond" else 0
    return ParsedDocument(text, "text/plain", path.stem, (), (Clause("", (), 0, len(text) + beyond),))


def _refuse(text: str) -> None:
    raise BadInput(text)


def _spin(_: str) -> None:
    """Hold the interpreter inside one call, so that no thread or signal handler of Python gets a turn."""
    re.match(r"(a+)+$", "a" * 64 + "b")


def _crash(number: str) -> None:
    if int(number) != signal.SIGKILL:
        signal.signal(int(number), signal.SIG_DFL)
    os.kill(os.getpid(), int(number))


def _eat(megabytes: str) -> str:
    _eaten.append(bytes(int(megabytes) * 1024 * 1024))
    return megabytes


def _break(_: str) -> None:
    raise KeyError("a bug\nin a parser")


def _crash_if_used(_: str) -> str:
    """Crash in a worker that has eaten."""
    if _eaten:
        ctypes.string_at(0)
    return "fresh"


def _connect(address: str) -> None:
    socket.create_connection((address, 80), timeout=1)


def _connect_by_machine_code(address: str) -> str:
    """Ask the system for a connection without Python's socket module; tells the number of the error."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    place = (socket.AF_INET).to_bytes(2, "little") + (80).to_bytes(2, "big")
    place += bytes(int(part) for part in address.split(".")) + bytes(8)
    failed = library.connect(descriptor, place, len(place))
    return str(ctypes.get_errno() if failed else 0)


def _write(place: str) -> None:
    Path(place).write_text("written")


def _tell(_: str) -> str:
    return f"{os.getpid()} {sorted(os.environ)} {os.read(0, 1)!r}"


_DOINGS = {
    "refuse": _refuse,
    "hang": lambda _: time.sleep(3600),
    "spin": _spin,
    "crash": _crash,
    "exit": lambda status: os._exit(int(status)),
    "eat": _eat,
    "crash-if-used": _crash_if_used,
    "break": _break,
    "connect": _connect,
    "connect-by-machine-code": _connect_by_machine_code,
    "write": _write,
    "tell": _tell,
}
