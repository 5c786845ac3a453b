"""The model folder: which models are there, what each was made from, and whether its bytes are still those.

A model is a folder `<models>/<name>/` with files and a `manifest.json` that names each file with its size and
Digest. This module knows names, kinds and digests, never a tensor, and never fetches anything. Rules: a folder
without a readable manifest is no model; opening compares sizes (fast, at every start), verifying hashes every byte;
a file that the manifest does not name makes the model Damaged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from governance.digests import digest_file, digest_value
from governance.errors import Damaged, NotFound
from governance.model_catalogue import CATALOGUE, ModelEntry, ModelKind, find_entry

__all__ = [
    "CATALOGUE",
    "ListedModel",
    "Manifest",
    "ModelEntry",
    "ModelKind",
    "StoredFile",
    "describe_folder",
    "find_entry",
    "list_models",
    "load_manifest",
    "open_model",
    "verify_model",
]

MANIFEST = "manifest.json"
ModelState = Literal["present", "absent", "damaged"]
Setting = str | int | bool


@dataclass(frozen=True)
class StoredFile:
    """A file of a model: its size in bytes and its Digest."""

    size_bytes: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What a model folder holds. `made_from` is the Digest of the raw files that `conversion` turned into these."""

    name: str
    kind: ModelKind
    source: str
    revision: str
    licence: str
    made_from: str
    conversion: Mapping[str, Setting]
    files: Mapping[str, StoredFile]

    @property
    def digest(self) -> str:
        """The Digest of the whole: of the names and Digests of all files."""
        return digest_value({path: file.digest for path, file in self.files.items()})

    @property
    def size_bytes(self) -> int:
        """The sum of the file sizes in bytes."""
        return sum(file.size_bytes for file in self.files.values())

    def to_json(self) -> str:
        """Return the stored form. `from_json` gives back an equal value."""
        value = {
            "name": self.name,
            "kind": self.kind,
            "source": self.source,
            "revision": self.revision,
            "licence": self.licence,
            "digest": self.digest,
            "made_from": self.made_from,
            "conversion": dict(self.conversion),
            "files": {path: {"bytes": file.size_bytes, "digest": file.digest} for path, file in self.files.items()},
        }
        return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, stored: str) -> Manifest:
        """Read the stored form. Raises KeyError, TypeError or ValueError where it is damaged."""
        value = json.loads(stored)
        manifest = cls(
            name=value["name"],
            kind=value["kind"],
            source=value["source"],
            revision=value["revision"],
            licence=value["licence"],
            made_from=value["made_from"],
            conversion=value["conversion"],
            files={path: StoredFile(file["bytes"], file["digest"]) for path, file in value["files"].items()},
        )
        if value["digest"] != manifest.digest:
            raise ValueError(f"its digest is {value['digest']} and its files give {manifest.digest}")
        return manifest


@dataclass(frozen=True)
class ListedModel:
    """A line of `provenant models list`. `size_bytes` is that on disk, or of the download where it is absent."""

    name: str
    kind: ModelKind
    state: ModelState
    default: bool
    source: str
    licence: str
    size_bytes: int
    digest: str = ""


def load_manifest(models_root: Path, name: str) -> Manifest:
    """Read the manifest of a model. Raises NotFound where there is none and Damaged where it cannot be read."""
    path = models_root / name / MANIFEST
    try:
        stored = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"The model {name!r} is not in {models_root}; run {_command_for(name)}.") from error
    try:
        return Manifest.from_json(stored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(f"{path} is no readable manifest ({error}); {_again(name)}.") from error


def open_model(models_root: Path, name: str, kind: ModelKind) -> tuple[Path, Manifest]:
    """Return the folder and manifest of a model whose kind and file sizes are right.

    Raises NotFound where it is absent or of another kind, Damaged where a file is missing or has another size.
    """
    manifest = load_manifest(models_root, name)
    if manifest.kind != kind:
        raise NotFound(f"The model {name!r} is of kind {manifest.kind}, expected {kind}; name another in the settings.")
    folder = models_root / name
    _check_sizes(folder, manifest)
    return folder, manifest


def verify_model(models_root: Path, name: str) -> Manifest:
    """Hash every file of a model and return its manifest. Raises Damaged naming the first file that is wrong."""
    manifest = load_manifest(models_root, name)
    folder = models_root / name
    _check_sizes(folder, manifest)
    for path, file in manifest.files.items():
        found = digest_file(folder / path)
        if found != file.digest:
            raise Damaged(f"{folder / path} has digest {found}, expected {file.digest}; {_again(name)}.")
    for extra in sorted(_file_names(folder) - set(manifest.files)):
        raise Damaged(f"{folder / extra} is not named in the manifest of {name!r}; remove it, or {_again(name)}.")
    return manifest


def list_models(models_root: Path) -> list[ListedModel]:
    """Return the models of the catalogue and those of the folder with their state, by comparing sizes only."""
    catalogued = {entry.name: entry for entry in CATALOGUE}
    local = {path.parent.name for path in models_root.glob(f"[!.]*/{MANIFEST}")} - set(catalogued)
    return [_list_entry(models_root, entry) for entry in CATALOGUE] + [
        _list_local(models_root, name) for name in sorted(local)
    ]


def describe_folder(folder: Path) -> dict[str, StoredFile]:
    """Return size and Digest of every file below a folder, except its manifest, in order of name."""
    return {
        path: StoredFile((folder / path).stat().st_size, digest_file(folder / path))
        for path in sorted(_file_names(folder))
    }


def _file_names(folder: Path) -> set[str]:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    return names - {MANIFEST}


def _check_sizes(folder: Path, manifest: Manifest) -> None:
    for path, file in manifest.files.items():
        try:
            found = (folder / path).stat().st_size
        except FileNotFoundError as error:
            raise Damaged(f"{folder / path} is missing; {_again(manifest.name)}.") from error
        if found != file.size_bytes:
            raise Damaged(f"{folder / path} has {found} bytes, expected {file.size_bytes}; {_again(manifest.name)}.")


def _list_entry(models_root: Path, entry: ModelEntry) -> ListedModel:
    state, manifest = _state(models_root, entry.name)
    return ListedModel(
        entry.name,
        entry.kind,
        state,
        entry.default,
        entry.source,
        entry.licence,
        manifest.size_bytes if manifest else entry.size_bytes,
        manifest.digest if manifest else "",
    )


def _list_local(models_root: Path, name: str) -> ListedModel:
    state, manifest = _state(models_root, name)
    if manifest is None:
        return ListedModel(name, "llm", state, default=False, source="unknown", licence="unknown", size_bytes=0)
    size_bytes, digest = manifest.size_bytes, manifest.digest
    return ListedModel(name, manifest.kind, state, False, manifest.source, manifest.licence, size_bytes, digest)


def _state(models_root: Path, name: str) -> tuple[ModelState, Manifest | None]:
    try:
        manifest = load_manifest(models_root, name)
    except NotFound:
        return "absent", None
    except Damaged:
        return "damaged", None
    try:
        _check_sizes(models_root / name, manifest)
    except Damaged:
        return "damaged", manifest
    return "present", manifest


def _command_for(name: str) -> str:
    if any(entry.name == name and entry.default for entry in CATALOGUE):
        return "`provenant models pull`"
    if any(entry.name == name for entry in CATALOGUE):
        return f"`provenant models pull {name}`"
    return f"`provenant models pull {name} --from FOLDER`"


def _again(name: str) -> str:
    return f"run {_command_for(name)} to replace the model"
