"""Ingest: from files and folders to a new live release, safe at every instant.

    find sources -> read what changed or moved -> publish (build aside, validate, switch in one transaction)

Until the last step nothing that answers has changed, so a run that fails or is killed loses nothing; what it had
read is kept under its Digest and the next run takes it up. One bad file never stops the others: each file ends with
a status and, where it was not read, a reason.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from governance.errors import BadInput, ProvenantError
from governance.locks import hold
from ingest.ingest_report import ReportPart
from ingest.publish import IngestTools, Progress, publish, with_parser
from ingest.removal_guard import check_removals
from ingest.source_reading import FileOutcome, FileStatus, IngestRequest, Reading, begin_reading, read_source
from ingest.sources import SourceFile, find_sources, folder_roots
from ingest.versions import Version, active_version, read_corpus, remove_document

__all__ = [
    "STATUSES",
    "FileOutcome",
    "FileStatus",
    "IngestReport",
    "IngestRequest",
    "check_collection_name",
    "run_ingest",
]

STATUSES: tuple[FileStatus, ...] = get_args(FileStatus)
_BYTES_FREE_AT_LEAST = 200 * 1024 * 1024
_MOST_NAME_CHARACTERS = 60


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did; `points` is the number of chunks in the index that now answers, `parts` tell what changed."""

    collection: str
    documents: tuple[FileOutcome, ...]
    counts: Mapping[str, int]
    generation: str
    release_id: str
    points: int
    seconds: float
    parts: tuple[ReportPart, ...] = ()


def run_ingest(request: IngestRequest, tools: IngestTools) -> IngestReport:
    """Ingest files and folders and, after validation, let the new release answer.

    Raises Busy where another ingest of the collection runs, BadInput for a path that is not there, RefusedByPolicy
    where most of a folder's documents would go, ProvenantError where the disk is full; the live release is as it was.
    """
    check_collection_name(request.collection)
    started = time.monotonic()
    sources = find_sources(request.paths)
    home = tools.settings.home
    lock = home / "locks" / f"ingest-{request.collection}.lock"
    doing, facts = f"An ingest of {request.collection}", {"job": request.job}
    with _full_disk_as_sentence(home), hold(lock, doing=doing, facts=facts):
        _check_free_space(home)
        with tools.store.session() as session:
            corpus = read_corpus(session, request.collection)
        before = dict(corpus)
        sources = list(tools.read_ahead(sources, _known_elsewhere(corpus, sources)))
        with with_parser(tools) as equipped:
            outcomes = _read_sources(sources, begin_reading(request, corpus, sources, equipped))
        outcomes += _remove_missing(sources, request, corpus)
        check_removals(before, corpus, sources, folder_roots(request.paths), accept=request.accept_removals)
        tools.tell(Progress(len(sources), len(sources), "building the index"))
        unreadable = [outcome.document for outcome in outcomes if outcome.status in {"refused", "failed"}]
        published = publish(request.collection, corpus, _telling_the_end(tools, len(sources)), unreadable=unreadable)
    counts = Counter(outcome.status for outcome in outcomes)
    return IngestReport(
        collection=request.collection,
        documents=tuple(outcomes),
        counts={status: counts[status] for status in STATUSES},
        generation=published.release.collections[request.collection].generation,
        release_id=published.release.id,
        points=published.points,
        seconds=round(time.monotonic() - started, 3),
        parts=published.parts,
    )


def check_collection_name(name: str) -> None:
    """Raise BadInput unless a collection's name is safe in a file name and an address."""
    allowed = all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in name)
    if not name or not allowed or len(name) > _MOST_NAME_CHARACTERS:
        raise BadInput(
            f"The collection name {name[:60]!r} cannot be used; take 1 to 60 letters, digits, hyphens and underscores."
        )


def _known_elsewhere(corpus: Mapping[str, Sequence[Version]], sources: Sequence[SourceFile]) -> frozenset[str]:
    """Return the Digests of texts that a source may have moved from, or that were withdrawn: not to be read ahead."""
    present = {source.name for source in sources}
    versions = [(name, version) for name, known in corpus.items() for version in known]
    return frozenset(one.digest for name, one in versions if name not in present or one.status == "withdrawn")


def _read_sources(sources: Sequence[SourceFile], reading: Reading) -> list[FileOutcome]:
    outcomes = []
    for number, source in enumerate(sources):
        tools = reading.tools
        tools.tell(Progress(number, len(sources), source.name))
        try:
            outcome = read_source(source, replace(reading, tools=_telling_shares(tools, number, len(sources))))
        except BadInput as error:
            outcome = FileOutcome(source.name, "", "refused", str(error))
        except PermissionError:
            outcome = FileOutcome(source.name, "", "failed", "The file may not be read; check its permissions.")
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            outcome = FileOutcome(source.name, "", "failed", f"The file could not be read ({error.strerror}).")
        outcomes.append(outcome)
    return outcomes


def _telling_shares(tools: IngestTools, number: int, total: int) -> IngestTools:
    """Return tools whose progress within one file counts as its part of the whole."""
    return replace(tools, tell=lambda at: tools.tell(Progress(number + at.done / at.total, total, at.message)))


def _telling_the_end(tools: IngestTools, total: int) -> IngestTools:
    """Return tools whose progress counts as all files read."""
    return replace(tools, tell=lambda at: tools.tell(Progress(total, total, at.message)))


def _remove_missing(
    sources: Sequence[SourceFile], request: IngestRequest, corpus: dict[str, tuple[Version, ...]]
) -> list[FileOutcome]:
    """Tombstone documents whose folder was ingested and no longer holds them."""
    roots, present = folder_roots(request.paths), {source.name for source in sources}
    outcomes = []
    for name, versions in corpus.items():
        active = active_version(versions)
        if active is not None and active.source_root in roots and name not in present:
            corpus[name] = remove_document(versions, on=datetime.now(UTC).date())
            outcomes.append(FileOutcome(name, active.digest, "removed", "its source is no longer in the folder"))
    return outcomes


def _check_free_space(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    if free < _BYTES_FREE_AT_LEAST:
        raise ProvenantError(
            f"The disk of {home} is full ({free // 1024**2} MB free, {_BYTES_FREE_AT_LEAST // 1024**2} MB needed). "
            "Nothing was changed; free space and run the ingest again."
        )


@contextmanager
def _full_disk_as_sentence(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ProvenantError(
            f"The disk of {home} is full. The live release is as it was; free space and run the ingest again."
        ) from error
