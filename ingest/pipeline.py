"""Ingest: from files and folders to a new live release, safe at every instant.

    find sources -> read what changed -> publish (build aside, validate, switch in one transaction)

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
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from governance.digests import digest_file
from governance.errors import BadInput, ProvenantError
from governance.locks import hold
from ingest.publish import IngestTools, Progress, chunks_name, publish, read_version, with_parser
from ingest.sources import SourceFile, find_sources, folder_roots
from ingest.versions import ALWAYS, Version, add_version, read_corpus, remove_document

FileStatus = Literal["added", "unchanged", "updated", "removed", "refused", "failed"]
STATUSES: tuple[FileStatus, ...] = ("added", "unchanged", "updated", "removed", "refused", "failed")
_BYTES_FREE_AT_LEAST = 200 * 1024 * 1024
_MOST_NAME_CHARACTERS = 60


@dataclass(frozen=True)
class IngestRequest:
    """What to ingest. `labels` None keeps the labels a document has; `effective` None dates nothing."""

    paths: tuple[Path, ...]
    collection: str
    labels: tuple[str, ...] | None = None
    effective: date | None = None


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file."""

    document: str
    version: str
    status: FileStatus
    reason: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did; `points` is the number of chunks in the index that now answers."""

    collection: str
    documents: tuple[FileOutcome, ...]
    counts: Mapping[str, int]
    generation: str
    release_id: str
    points: int
    seconds: float


def run_ingest(request: IngestRequest, tools: IngestTools) -> IngestReport:
    """Ingest files and folders and, after validation, let the new release answer.

    Raises Busy where another ingest of the collection runs, BadInput for a path that is not there, and
    ProvenantError where the disk is full; in each case the live release is as it was.
    """
    check_collection_name(request.collection)
    started = time.monotonic()
    sources = find_sources(request.paths)
    home = tools.settings.home
    lock = home / "locks" / f"ingest-{request.collection}.lock"
    with _full_disk_as_sentence(home), hold(lock, doing=f"An ingest of {request.collection}"):
        _check_free_space(home)
        with tools.store.session() as session:
            corpus = read_corpus(session, request.collection)
        with with_parser(tools) as equipped:
            outcomes = _read_sources(sources, request, corpus, equipped)
        outcomes += _remove_missing(sources, request, corpus)
        tools.tell(Progress(len(sources), len(sources), "building the index"))
        manifest, points = publish(request.collection, corpus, tools)
    counts = Counter(outcome.status for outcome in outcomes)
    return IngestReport(
        collection=request.collection,
        documents=tuple(outcomes),
        counts={status: counts[status] for status in STATUSES},
        generation=manifest.collections[request.collection].generation,
        release_id=manifest.id,
        points=points,
        seconds=round(time.monotonic() - started, 3),
    )


def check_collection_name(name: str) -> None:
    """Raise BadInput unless a collection's name is safe in a file name and an address."""
    allowed = all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in name)
    if not name or not allowed or len(name) > _MOST_NAME_CHARACTERS:
        raise BadInput(
            f"The collection name {name[:60]!r} cannot be used; take 1 to 60 letters, digits, hyphens and underscores."
        )


def _read_sources(
    sources: Sequence[SourceFile], request: IngestRequest, corpus: dict[str, tuple[Version, ...]], tools: IngestTools
) -> list[FileOutcome]:
    outcomes = []
    for number, source in enumerate(sources):
        tools.tell(Progress(number, len(sources), source.name))
        try:
            outcome = _read_source(source, request, corpus, _telling_shares(tools, number, len(sources)))
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


def _read_source(
    source: SourceFile, request: IngestRequest, corpus: dict[str, tuple[Version, ...]], tools: IngestTools
) -> FileOutcome:
    """Read one file if it is new or changed, and put its version in its place among the document's versions."""
    if source.refused:
        raise BadInput(source.refused)
    _check_size(source.path, tools.settings.ingest.max_file_megabytes)
    versions = corpus.get(source.name, ())
    digest = digest_file(source.path)
    active = next((version for version in versions if version.status == "active"), None)
    same = active if active is not None and active.digest == digest else None
    labels = request.labels if request.labels is not None else (versions[-1].labels if versions else ())
    if same is not None and _is_current(same, labels, request.effective, tools):
        return FileOutcome(source.name, digest, "unchanged", warnings=same.warnings)
    kept = tools.artefacts.keep_source(digest, source.path)
    tell = tools.tell
    version = read_version(source.name, kept, digest, tools, tell=lambda share: tell(Progress(share, 1, source.name)))
    first_day = same.effective_from if same is not None else datetime.now(UTC).date() if versions else ALWAYS
    placed = replace(version, effective_from=request.effective or first_day)
    corpus[source.name] = tuple(
        replace(one, labels=labels, source_root=source.root) for one in add_version(versions, placed)
    )
    reason = "its labels, dates or the parser changed" if same is not None else ""
    return FileOutcome(source.name, digest, "updated" if versions else "added", reason, version.warnings)


def _is_current(version: Version, labels: tuple[str, ...], effective: date | None, tools: IngestTools) -> bool:
    """Tell whether nothing about a version would change by reading its source again."""
    dated = effective is None or effective == version.effective_from
    parser = tools.parser_key(version.document)
    read = tools.artefacts.has_chunks(version.digest, chunks_name(version.document, tools.cutter, parser))
    return version.parser == parser and version.labels == labels and dated and read


def _remove_missing(
    sources: Sequence[SourceFile], request: IngestRequest, corpus: dict[str, tuple[Version, ...]]
) -> list[FileOutcome]:
    """Tombstone documents whose folder was ingested and no longer holds them."""
    roots, present = folder_roots(request.paths), {source.name for source in sources}
    outcomes = []
    for name, versions in corpus.items():
        gone = versions[-1].source_root in roots and name not in present
        if gone and any(version.status == "active" for version in versions):
            corpus[name] = remove_document(versions, on=datetime.now(UTC).date())
            outcomes.append(FileOutcome(name, versions[-1].digest, "removed", "its source is no longer in the folder"))
    return outcomes


def _check_size(path: Path, megabytes: int) -> None:
    size = path.stat().st_size
    if size == 0:
        raise BadInput("The file is empty.")
    if size > megabytes * 1024 * 1024:
        raise BadInput(
            f"The file has {size / 1024 / 1024:.0f} MB and the limit is {megabytes} MB; "
            "split it, or raise PROVENANT_INGEST__MAX_FILE_MEGABYTES."
        )


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
