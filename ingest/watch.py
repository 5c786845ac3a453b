"""Looking at stored sources: which folder has changed or is due, and is still long enough to be read.

    state of a folder (names, sizes, times of its files) -> changed or due? -> the same for some seconds? -> job

Looks by reading the folders, not by waiting for the system's notices: these do not come from network shares, end at a
limit, and are lost while no worker runs. A folder that is not there or has no files is never read by itself; that is
written down as the source's problem. A state is taken up once, whether its ingest then works or not, so nothing is
tried in a circle; a job in progress is waited for. Files of which neither size nor time changes while they arrive
cannot be told from whole ones; they are read again when they have changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from governance.jobs import ENDED, Job, list_jobs
from governance.settings import Settings
from governance.store import Store, now
from ingest.schedule import is_due
from ingest.stored_sources import StoredSource, find_source, list_sources, note_state, queue_source

_LONGEST_UNSETTLED_SECONDS = 600.0  # then a source that is due by the clock is read although files still arrive


@dataclass(frozen=True)
class FolderState:
    """The Digest of all names, sizes and times below a folder, and the number of files."""

    digest: str
    files: int


@dataclass(frozen=True)
class _Sighting:
    """A state with when it was first seen, and when the source was first wanted."""

    digest: str
    since: datetime
    wanted_since: datetime


class SourceWatch:
    """Looks at all stored sources; what it remembers between two looks is only how long a folder has been still."""

    def __init__(self, store: Store, settings: Settings, *, clock: Callable[[], datetime] = now) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._sightings: dict[str, _Sighting] = {}

    def look(self) -> list[Job]:
        """Queue a job for each source that changed or is due, and return them."""
        jobs = (self._look_at(source) for source in list_sources(self._store))
        return [job for job in jobs if job is not None]

    def _look_at(self, source: StoredSource) -> Job | None:
        due = is_due(source.schedule, last=source.queued_at, since=source.created_at, at=self._clock())
        if not due and source.schedule.kind != "watch":
            return None
        if any(job.status not in ENDED for job in list_jobs(self._store, source=source.id, limit=1)):
            return None
        state = read_folder_state(source.path)
        unchanged = state is not None and state.digest == source.seen
        problem = "" if unchanged else _problem(source, state)
        if problem != source.problem:
            note_state(self._store, source.id, problem=problem)
        if problem or state is None or (unchanged and not due):
            self._sightings.pop(source.id, None)
            return None
        if not self._is_still(source, state):
            return None
        job = queue_source(self._store, self._settings, source)
        note_state(self._store, source.id, seen=state.digest)
        return job

    def _is_still(self, source: StoredSource, state: FolderState) -> bool:
        moment = self._clock()
        known = self._sightings.get(source.id)
        wanted_since = known.wanted_since if known else moment
        if known is None or known.digest != state.digest:
            known = _Sighting(state.digest, moment, wanted_since)
            self._sightings[source.id] = known
        still = (moment - known.since).total_seconds() >= self._settings.sources.settle_seconds
        waited = (moment - known.wanted_since).total_seconds() >= _LONGEST_UNSETTLED_SECONDS
        if still or (waited and source.schedule.kind != "watch"):
            del self._sightings[source.id]
            return True
        return False


def begin_source(store: Store, source_id: str) -> None:
    """Write down the state of a source's folder as its ingest begins: what changes from now on is another change."""
    if any(source.id == source_id for source in list_sources(store)):
        state = read_folder_state(find_source(store, source_id).path)
        note_state(store, source_id, seen=state.digest if state else None)


def read_folder_state(root: Path) -> FolderState | None:
    """Return the state of a folder, None where it is not there. Hidden files and folders do not count."""
    if not root.is_dir():
        return None
    found, files = hashlib.sha256(), 0
    for path, told in _files_below(root):
        found.update(f"{os.path.relpath(path, root)}\0{told}\n".encode("utf-8", "surrogateescape"))
        files += 1
    return FolderState(f"sha256:{found.hexdigest()}", files)


def _files_below(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each file with its size and time, by name; what goes or is barred meanwhile is told as such."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield str(folder), f"unreadable {error.errno}"
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(Path(entry.path))
        else:
            yield entry.path, _size_and_time(entry)


def _size_and_time(entry: os.DirEntry[str]) -> str:
    try:
        found = entry.stat()
    except OSError:  # a link that leads nowhere, or a file that has just gone
        return "gone"
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _problem(source: StoredSource, state: FolderState | None) -> str:
    """Return what keeps a source from being read, "" where nothing does."""
    if state is None:
        return f"The folder {source.path} is not there. Its documents stay; mount it, or remove the source."
    if state.files == 0 and source.kind == "folder":
        return (
            f"The folder {source.path} has no files. Its documents stay; check that it is mounted. If they are to go: "
            f"provenant sources run {source.id} --accept-removals"
        )
    return ""
