"""Files while they arrive: written piece by piece into a folder of their own, within the room there is.

Every piece is counted before it is written, so that what is too large stops at its limit and not at the end of the
disk. Refuses to know where the pieces come from and where the files go.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from governance.errors import BadInput, ProvenantError, TooLarge
from ingest.upload_names import clean_name

_MEGABYTE = 1024 * 1024
_BYTES_LEFT_FREE = 200 * _MEGABYTE
_BYTES_BETWEEN_LOOKS = 16 * _MEGABYTE
_MOST_FILES = 1000


@dataclass(frozen=True)
class Room:
    """Bytes that one file, and all of an upload together, may have."""

    file_bytes: int
    all_bytes: int


class IncomingFiles:
    """The files of one upload, one after the other. To be closed."""

    def __init__(self, folder: Path, room: Room) -> None:
        self._folder = folder
        self._room = room
        self._whole: dict[str, Path] = {}
        self._name = ""
        self._file: IO[bytes] | None = None
        self._file_bytes = self._all_bytes = 0
        self._look_at = 0

    def begin(self, given: str) -> None:
        """Begin a file. Raises BadInput for a name that cannot be used, or that was there before."""
        name = clean_name(given)
        if name in self._whole:
            raise BadInput(f"Two files are named {name}; nothing was kept.")
        if len(self._whole) >= _MOST_FILES:
            raise TooLarge(f"More than {_MOST_FILES:,} files came at once; nothing was kept. Send them in parts.")
        descriptor = os.open(self._path(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._name, self._file, self._file_bytes = name, os.fdopen(descriptor, "wb"), 0

    def write(self, piece: bytes) -> None:
        """Add a piece to the file. Raises TooLarge at a limit, ProvenantError where the disk is full."""
        assert self._file is not None
        self._file_bytes += len(piece)
        self._all_bytes += len(piece)
        if self._file_bytes > self._room.file_bytes:
            raise TooLarge(
                f"{self._name} has more than {self._room.file_bytes // _MEGABYTE} MB; nothing was kept. Split it, or "
                "raise PROVENANT_INGEST__MAX_FILE_MEGABYTES."
            )
        if self._all_bytes > self._room.all_bytes:
            raise TooLarge(
                "There is no room left for uploads; nothing was kept. Delete uploaded files, or raise "
                "PROVENANT_SOURCES__UPLOAD_MEGABYTES."
            )
        self._check_disk()
        try:
            self._file.write(piece)
        except OSError as error:
            raise _as_sentence(error) from error

    def end(self) -> None:
        """End the file: it is whole now, and on the disk."""
        assert self._file is not None
        if self._file_bytes == 0:
            raise BadInput(f"{self._name} is empty; nothing was kept.")
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _as_sentence(error) from error
        self.close()
        self._whole[self._name] = self._path()

    def names(self) -> list[str]:
        """Return the names of the whole files. Raises BadInput where there is none."""
        if not self._whole:
            raise BadInput(
                "The request holds no file; send multipart/form-data with at least one file that has a name."
            )
        return list(self._whole)

    def move(self, name: str, target: Path) -> None:
        """Move a whole file to its place, in one step."""
        self._whole[name].replace(target)
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # the name is on the disk too before anybody is told
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the file that is arriving."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _path(self) -> Path:
        """Return where the file that is arriving is written; its own name plays no part."""
        return self._folder / str(len(self._whole))

    def _check_disk(self) -> None:
        if self._all_bytes < self._look_at:
            return
        self._look_at = self._all_bytes + _BYTES_BETWEEN_LOOKS
        if shutil.disk_usage(self._folder).free < _BYTES_LEFT_FREE:
            raise _as_sentence(OSError(errno.ENOSPC, "full"))


def _as_sentence(error: OSError) -> ProvenantError:
    if error.errno == errno.ENOSPC:
        return ProvenantError("The disk of the home folder is full; nothing was kept. Free space and send it again.")
    return ProvenantError(f"The file could not be written ({error.strerror}); nothing was kept.")
