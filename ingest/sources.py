"""Which files an ingest reads, and under which logical names.

A Document's logical name is its path under the ingested folder, or the full path of a file given by itself. Hidden
files and folders are passed over; links are followed only where they stay inside the folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from governance.errors import BadInput, NotFound


@dataclass(frozen=True)
class SourceFile:
    """A file to read: its logical name, where it is, and the folder it came from ("" for a single file)."""

    name: str
    path: Path
    root: str


def find_sources(paths: Sequence[Path]) -> list[SourceFile]:
    """Return all files below the paths, by logical name. Raises NotFound, or BadInput for two files of one name."""
    if not paths:
        raise BadInput("No path was given; name at least one file or folder to ingest.")
    found: dict[str, SourceFile] = {}
    for source in _all_files(paths):
        other = found.get(source.name)
        if other is not None and other.path != source.path:
            raise BadInput(
                f"Two files would be named {source.name}: {other.path} and {source.path}. "
                "Ingest the folder above both, or each into a collection of its own."
            )
        found[source.name] = source
    return [found[name] for name in sorted(found)]


def folder_roots(paths: Sequence[Path]) -> set[str]:
    """Return the folders among the paths; only these can tell that a file has gone."""
    return {str(path.resolve()) for path in paths if path.is_dir()}


def _all_files(paths: Iterable[Path]) -> Iterator[SourceFile]:
    for path in paths:
        if not path.exists():
            raise NotFound(f"There is no file or folder {path}. Check the path, or create it first.")
        if path.is_dir():
            yield from _files_below(path.resolve())
        else:
            yield SourceFile(path.resolve().as_posix(), path.resolve(), "")


def _files_below(root: Path) -> Iterator[SourceFile]:
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if any(part.startswith(".") for part in relative.parts) or not path.is_file():
            continue
        if path.resolve().is_relative_to(root):
            yield SourceFile(relative.as_posix(), path, str(root))
