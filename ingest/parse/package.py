"""Open office files with care: one sentence for each reason that a library could not read a file.

An office file is a zip archive of XML parts; `archives` has looked at its declared sizes before. The libraries resolve
no external entity and open no address, and macros are only ever bytes to them.
"""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.errors import BadInput

_OLD_OR_LOCKED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True)
class Kind:
    """A kind of office file: its name for people, the part that it must hold, the library that reads it."""

    name: str
    ending: str
    part: str
    module: str
    distribution: str


def check_package(path: Path, kind: Kind) -> None:
    """Raise BadInput unless a file is a zip archive of this kind."""
    _check_head(path, kind)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise BadInput(_damaged(path, kind)) from error
    if kind.part not in names:
        raise BadInput(
            f"{path.name} is an archive without {kind.part}, so no {kind.name}: name the file by what it is, "
            f"or save it again as {kind.ending}."
        )


def library(module: str, distribution: str) -> Any:
    """Import a reading library. Raises BadInput, with how to install it, where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadInput(
            f"Reading this format needs {distribution}, which is not installed: pip install {distribution}."
        ) from error


@contextmanager
def refusing(path: Path, kind: Kind) -> Iterator[None]:
    """Turn whatever a library raises over a damaged file into BadInput: they raise nearly anything."""
    try:
        yield
    except (BadInput, MemoryError):
        raise
    except Exception as error:
        raise BadInput(_damaged(path, kind)) from error


def _check_head(path: Path, kind: Kind) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise BadInput(f"{path.name} cannot be opened ({error.strerror}): check its name and permissions.") from error
    if not head:
        raise BadInput(f"{path.name} is empty, and a {kind.name} was expected: fetch or save it again.")
    if head == _OLD_OR_LOCKED:
        raise BadInput(
            f"{path.name} is locked with a password or of the format before 2007: "
            f"save a copy as {kind.ending} without a password."
        )
    if not head.startswith(b"PK"):
        raise BadInput(f"{path.name} is not a {kind.name} (no zip archive): name the file by what it is.")


def _damaged(path: Path, kind: Kind) -> str:
    return f"{path.name} is damaged or cut short and cannot be read as a {kind.name}: fetch or save it again."
