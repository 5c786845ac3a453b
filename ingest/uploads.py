"""Uploaded files: kept below the home folder, as stored sources of their own.

    uploads/.incoming/TOKEN/        files while they arrive, nothing reads them
    uploads/COLLECTION/LABELS/NAME  files that are ingested; LABELS is "open", or names a set of access labels

A file lies in the folder of its labels, and each such folder is a source with these labels, so what a file may be read
by is never apart from the file. A file comes to its place by a rename, whole or not at all; a second file of a name is
a new version; a file that is deleted leaves the index. Nothing is ever run, and nothing is written outside. An upload
never takes labels away: where none are given a file keeps the folder it had.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from governance.digests import digest_file, digest_value, short
from governance.errors import BadInput, NotFound
from governance.jobs import Job
from governance.locks import hold
from governance.settings import Settings
from governance.store import Store
from ingest.incoming import IncomingFiles, Room
from ingest.pipeline import check_collection_name
from ingest.schedule import Schedule
from ingest.stored_sources import StoredSource, add_source, list_sources, note_state, queue_source
from ingest.versions import active_version, read_corpus
from ingest.watch import read_folder_state

_OPEN = "open"
_INCOMING = ".incoming"
_WAIT_SECONDS = 30.0
_LEFT_BEHIND_SECONDS = 24 * 3600.0
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class UploadedFile:
    """A file that lies among the uploads of a collection."""

    name: str
    bytes: int
    digest: str
    labels: tuple[str, ...]
    replaced: bool = False


class Uploads:
    """The uploaded files of an installation."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self.root = settings.home / "uploads"

    @contextmanager
    def receive(self, collection: str) -> Iterator[IncomingFiles]:
        """Yield what takes files as they arrive; what was not kept when the block ends is gone."""
        check_collection_name(collection)
        self._remove_left_behind()
        folder = self.root / _INCOMING / secrets.token_hex(8)
        folder.mkdir(parents=True, mode=0o700)
        quota = self._settings.sources.upload_megabytes * _MEGABYTE
        room = Room(self._settings.ingest.max_file_megabytes * _MEGABYTE, max(0, quota - self._bytes_kept()))
        try:
            with IncomingFiles(folder, room) as incoming:
                yield incoming
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(
        self, incoming: IncomingFiles, collection: str, *, labels: Sequence[str] = ()
    ) -> tuple[list[UploadedFile], list[Job]]:
        """Put files that have arrived into their places and queue their ingest. Raises BadInput where a name is taken.

        `labels` () keeps the labels that a file of the name has.
        """
        names = incoming.names()
        kept = []
        with self._alone():
            self._check_names(names, collection)
            places = {name: self._place(name, collection, labels) for name in names}
            touched = {folder: self._source(folder, collection, held) for folder, held in set(places.values())}
            for name in names:
                folder, held = places[name]
                before = self._where(name, collection)
                incoming.move(name, folder / name)
                if before is not None and before.parent != folder:
                    before.unlink()
                    touched[before.parent] = self._source(before.parent, collection, ())
                kept.append(_describe(folder / name, held, replaced=before is not None))
        return kept, [self._queue(source) for source in touched.values()]

    def delete(self, name: str, collection: str) -> Job:
        """Delete an uploaded file and queue the ingest that takes its document out of the index. Raises NotFound."""
        check_collection_name(collection)
        with self._alone():
            path = self._where(name, collection)
            if path is None:
                raise NotFound(f"There is no uploaded file {name[:200]!r} in {collection}.")
            path.unlink()
            source = self._source(path.parent, collection, ())
        return self._queue(source)

    def list_files(self, collection: str) -> list[UploadedFile]:
        """Return the uploaded files of a collection by name."""
        check_collection_name(collection)
        held = {source.path: source.labels for source in list_sources(self._store, kind="upload")}
        found = [_describe(path, held.get(path.parent.resolve(), ())) for path in self._files(collection)]
        return sorted(found, key=lambda file: file.name)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = self._settings.home / "locks" / "uploads.lock"
        with hold(lock, doing="An upload", wait_seconds=_WAIT_SECONDS):
            yield

    def _check_names(self, names: Iterable[str], collection: str) -> None:
        """Raise BadInput for a document that comes from another folder: each ingest would undo the other's."""
        with self._store.session() as session:
            corpus = read_corpus(session, collection)
        ours = (self.root / collection).resolve()
        for name in names:
            active = active_version(corpus.get(name, ()))
            if active is not None and active.source_root and not Path(active.source_root).is_relative_to(ours):
                raise BadInput(
                    f"{name} of {collection} comes from the folder {active.source_root}: change it there, or upload "
                    "the file under another name. Nothing was kept."
                )

    def _place(self, name: str, collection: str, labels: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
        """Return the folder for a file, with its labels."""
        if labels:
            wanted = tuple(sorted(set(labels)))
            return self.root / collection / short(digest_value(list(wanted)), 16), wanted
        before = self._where(name, collection)
        folder = before.parent if before is not None else self.root / collection / _OPEN
        held = {source.path: source.labels for source in list_sources(self._store, kind="upload")}
        return folder, held.get(folder.resolve(), ())

    def _source(self, folder: Path, collection: str, labels: tuple[str, ...]) -> StoredSource:
        """Return the source of a folder of uploads, stored when it is new; watched, should a queueing get lost."""
        for source in list_sources(self._store, kind="upload", collection=collection):
            if source.path == folder.resolve():
                return source
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return add_source(
            self._store, folder, collection=collection, schedule=Schedule("watch"), labels=labels, kind="upload"
        )

    def _queue(self, source: StoredSource) -> Job:
        state = read_folder_state(source.path)
        job = queue_source(self._store, self._settings, source)
        note_state(self._store, source.id, seen=state.digest if state else None)
        return job

    def _where(self, name: str, collection: str) -> Path | None:
        return next((path for path in self._files(collection) if path.name == name), None)

    def _files(self, collection: str) -> list[Path]:
        folder = self.root / collection
        return [path for path in folder.glob("*/*") if path.is_file()] if folder.is_dir() else []

    def _bytes_kept(self) -> int:
        return sum(path.stat().st_size for path in self.root.glob("*/*/*") if path.is_file())

    def _remove_left_behind(self) -> None:
        """Remove what a killed process was receiving."""
        for folder in (self.root / _INCOMING).glob("*"):
            if time.time() - folder.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _describe(path: Path, labels: tuple[str, ...], *, replaced: bool = False) -> UploadedFile:
    return UploadedFile(path.name, path.stat().st_size, digest_file(path), labels, replaced)
