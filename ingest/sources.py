"""Which files an ingest reads, and under which logical names.

A Document's logical name is its path under the ingested folder, or the full path of a file given by itself. Hidden
files and folders are passed over. A link is followed only where it stays inside the folder; one that does not comes
with the reason why it is not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from governance.errors import BadInput, NotFound
from ingest.catalog_mapping import belongs_to, is_mapping


@dataclass(frozen=True)
class SourceFile:
    """A file to read: its logical name, where it is, and the folder it came from ("" for a single file).

    `refused` is the reason why it must not be read, "" where it may be.
    """

    name: str
    path: Path
    root: str
    refused: str = ""


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
    return _without_mappings([found[name] for name in sorted(found)])


def _without_mappings(sources: Sequence[SourceFile]) -> list[SourceFile]:
    """Return the sources without the mapping files of catalogues among them: these are read with their catalogue."""
    kept = []
    for source in sources:
        if not is_mapping(source.path):
            kept.append(source)
        elif not any(belongs_to(source.path, other.path) for other in sources):
            reason = (
                "A mapping file is read with the catalogue of its name, and none is here: put it beside its catalogue, "
                "or ingest the folder of both."
            )
            kept.append(replace(source, refused=source.refused or reason))
    return kept


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
        if any(part.startswith(".") for part in relative.parts):
            continue
        refused = _refusal(path, root)
        if refused or path.is_file():
            yield SourceFile(relative.as_posix(), path, str(root), refused)


def _refusal(path: Path, root: Path) -> str:
    """Return why a path below a folder must not be read, "" where it may be."""
    try:
        target = path.resolve()
    except (OSError, RuntimeError):
        return "The link leads back to itself and nothing can be read there: remove it, or put the file in its place."
    if not target.is_relative_to(root):
        return (
            "The link leads out of the folder that is ingested and is not followed: put the file itself there, "
            "or ingest its own folder."
        )
    if path.is_symlink() and not target.exists():
        return "The link leads to a file that is not there: remove it, or put the file in its place."
    return ""
