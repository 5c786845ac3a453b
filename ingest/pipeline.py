"""Ingest: from files to a new live release, safe at every instant.

    find sources -> read what changed -> build the index aside -> validate -> switch, in one transaction

Until the last step nothing that answers has changed, so a run that fails or is killed loses nothing; what it had
read is kept under its Digest and the next run takes it up. One bad file never stops the others: each file ends with
a status and, where it was not read, a reason.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from governance.digests import digest_file, digest_value, short
from governance.errors import BadInput, ProvenantError
from governance.locks import hold
from governance.release import CollectionState, ReleaseManifest, keep_release, live_release, switch_channel
from governance.settings import Settings
from governance.store import GenerationRecord, Store, now
from ingest.artefacts import Artefacts
from ingest.chunks import ChunkSource, cut_chunks, cutter_digest
from ingest.embed import Embedder
from ingest.index import Entry, IndexEngine
from ingest.parse import PARSER, parse_file
from ingest.sources import SourceFile, find_sources, folder_roots
from ingest.vocabulary import count_words, keep_vocabulary
from ingest.versions import (
    ALWAYS,
    Version,
    add_version,
    indexed_versions,
    read_corpus,
    remove_document,
    snapshot_digest,
    write_corpus,
)

FileStatus = Literal["added", "unchanged", "updated", "removed", "refused", "failed"]
_INDEX_FORMAT = 1
_BYTES_FREE_AT_LEAST = 200 * 1024 * 1024
_PROBES = 5


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
    """What an ingest did, with counts taken from the index itself."""

    collection: str
    documents: tuple[FileOutcome, ...]
    counts: Mapping[str, int]
    generation: str
    release_id: str
    points: int
    seconds: float


@dataclass(frozen=True)
class Progress:
    """How far an ingest is: `done` of `total` files, then the step that follows."""

    done: int
    total: int
    message: str


@dataclass(frozen=True)
class IngestTools:
    """What ingestion works with."""

    store: Store
    engine: IndexEngine
    embedder: Embedder
    artefacts: Artefacts
    settings: Settings
    answering: Mapping[str, Any] = field(default_factory=dict)
    tell: Callable[[Progress], None] = lambda _: None

    @property
    def cutter(self) -> str:
        """Return the name of how Chunks are cut and embedded here."""
        return cutter_digest(budget=self.settings.ingest.chunk_tokens, embedder=self.embedder.digest)


def run_ingest(request: IngestRequest, tools: IngestTools) -> IngestReport:
    """Ingest files and folders and, after validation, let the new release answer.

    Raises Busy where another ingest of the collection runs, BadInput for a path that is not there, and
    ProvenantError where the disk is full; in each case the live release is as it was.
    """
    check_collection_name(request.collection)
    started = time.monotonic()
    sources = find_sources(request.paths)
    lock = tools.settings.home / "locks" / f"ingest-{request.collection}.lock"
    with _full_disk_as_sentence(tools.settings.home), hold(lock, doing=f"An ingest of {request.collection}"):
        _check_free_space(tools.settings.home)
        with tools.store.session() as session:
            corpus = read_corpus(session, request.collection)
        outcomes = _read_sources(sources, request, corpus, tools)
        outcomes += _remove_missing(sources, request, corpus)
        tools.tell(Progress(len(sources), len(sources), "building the index"))
        manifest, points = publish(request.collection, corpus, tools)
    counts = Counter(outcome.status for outcome in outcomes)
    return IngestReport(
        collection=request.collection,
        documents=tuple(outcomes),
        counts={**dict.fromkeys(("added", "unchanged", "updated", "removed", "refused", "failed"), 0), **counts},
        generation=manifest.collections[request.collection].generation,
        release_id=manifest.id,
        points=points,
        seconds=round(time.monotonic() - started, 3),
    )


def publish(
    collection: str, corpus: Mapping[str, tuple[Version, ...]], tools: IngestTools
) -> tuple[ReleaseManifest, int]:
    """Build the index Generation of a corpus unless it is there, validate it, and switch records and release at once.

    Returns the live release and the number of points, counted in the index.
    """
    snapshot = snapshot_digest(corpus)
    generation = generation_name(collection, snapshot, tools.cutter)
    if not tools.engine.exists(generation):
        entries = list(_entries(corpus, tools))
        keep_vocabulary(
            vocabulary_path(tools.settings.home, generation),
            count_words(entry.chunk.indexed_text for entry in entries),
        )
        built = tools.engine.build(generation, entries)
        _validate(generation, entries, built, tools)
    points = sum(version.chunks for version in indexed_versions(corpus))
    with tools.store.session() as session:
        write_corpus(session, collection, corpus)
        if session.get(GenerationRecord, generation) is None:
            session.add(
                GenerationRecord(
                    id=generation,
                    collection=collection,
                    snapshot=snapshot,
                    embedder=tools.embedder.digest,
                    points=points,
                    documents=len(indexed_versions(corpus)),
                    created_at=now(),
                )
            )
        live = live_release(session) or ReleaseManifest({})
        state = CollectionState(snapshot, generation)
        manifest = live.with_collection(collection, state).with_answering(tools.answering)
        keep_release(session, manifest)
        switch_channel(session, manifest.id)
    return manifest, points


def vocabulary_path(home: Path, generation: str) -> Path:
    """Return where the vocabulary of a Generation is kept."""
    return home / "vocabularies" / f"{generation}.json.gz"


def generation_name(collection: str, snapshot: str, cutter: str) -> str:
    """Return the name of the Generation that these inputs give: equal inputs, equal name."""
    return f"{collection}-{short(digest_value([collection, snapshot, cutter, _INDEX_FORMAT]), 16)}"


def check_collection_name(name: str) -> None:
    """Raise BadInput unless a collection's name is safe in a file name and an address."""
    allowed = all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in name)
    if not name or not allowed or len(name) > 60:
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
            outcome = _read_source(source, request, corpus, tools)
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


def _read_source(
    source: SourceFile, request: IngestRequest, corpus: dict[str, tuple[Version, ...]], tools: IngestTools
) -> FileOutcome:
    _check_size(source.path, tools.settings.ingest.max_file_megabytes)
    versions = corpus.get(source.name, ())
    digest = digest_file(source.path)
    known = next((version for version in versions if version.digest == digest), None)
    labels = request.labels if request.labels is not None else (versions[-1].labels if versions else ())
    current = known is not None and known.status == "active" and known.parser == PARSER
    if current and known is not None:
        dated = request.effective is None or request.effective == known.effective_from
        if known.labels == labels and dated and tools.artefacts.chunks(digest, chunks_name(source.name, tools.cutter)):
            return FileOutcome(source.name, digest, "unchanged", warnings=known.warnings)
    version = _read_version(source, digest, tools)
    first_day = ALWAYS if not versions else datetime.now(UTC).date()
    effective = request.effective or (known.effective_from if current and known is not None else first_day)
    version = replace(version, labels=labels, effective_from=effective)
    corpus[source.name] = tuple(
        replace(other, labels=labels, source_root=source.root) for other in add_version(versions, version)
    )
    status: FileStatus = "updated" if versions else "added"
    return FileOutcome(source.name, digest, status, "labels or dates changed" if current else "", version.warnings)


def _read_version(source: SourceFile, digest: str, tools: IngestTools) -> Version:
    """Parse, cut and embed one file, or take up what an earlier run kept."""
    kept = tools.artefacts.keep_source(digest, source.path)
    if tools.artefacts.has_parsed(digest, PARSER):
        parsed = tools.artefacts.parsed(digest, PARSER)
    else:
        parsed = parse_file(kept)
        tools.artefacts.keep_parsed(digest, PARSER, parsed)
    name = chunks_name(source.name, tools.cutter)
    stored = tools.artefacts.chunks(digest, name)
    if stored is None:
        chunk_source = ChunkSource(source.name, digest, PARSER)
        budget = min(tools.settings.ingest.chunk_tokens, tools.embedder.max_tokens - 2)
        chunks = cut_chunks(parsed, chunk_source, tokens=tools.embedder, budget=budget)
        vectors = tools.embedder.embed([chunk.indexed_text for chunk in chunks])
        tools.artefacts.keep_chunks(digest, name, chunks, vectors)
        stored = chunks, vectors
    return Version(
        document=source.name,
        digest=digest,
        parser=PARSER,
        title=parsed.title,
        media_type=parsed.media_type,
        source_root=source.root,
        labels=(),
        status="active",
        effective_from=ALWAYS,
        effective_to=None,
        pages=len(parsed.pages),
        characters=len(parsed.text),
        chunks=len(stored[0]),
        warnings=parsed.warnings,
    )


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


def chunks_name(document: str, cutter: str) -> str:
    """Return the name under which a document's Chunks are kept: they carry its name and how they were cut."""
    return f"chunks-{short(digest_value([document, cutter, PARSER]), 24)}"


def _entries(corpus: Mapping[str, tuple[Version, ...]], tools: IngestTools) -> Iterator[Entry]:
    for version in indexed_versions(corpus):
        stored = tools.artefacts.chunks(version.digest, chunks_name(version.document, tools.cutter))
        if stored is None:
            stored = _chunks_again(version, tools)
        for chunk, vector in zip(*stored, strict=True):
            yield Entry(chunk, version.standing, vector)


def _chunks_again(version: Version, tools: IngestTools) -> tuple[list[Any], Any]:
    """Cut and embed a version anew from its kept source, after a change of parser, cutter or embedder."""
    kept = tools.artefacts.source(version.digest)
    _read_version(SourceFile(version.document, kept, version.source_root), version.digest, tools)
    stored = tools.artefacts.chunks(version.digest, chunks_name(version.document, tools.cutter))
    if stored is None:
        raise ProvenantError(f"The chunks of {version.document} could not be kept in {tools.artefacts.root}.")
    return stored


def _validate(generation: str, entries: Sequence[Entry], built: int, tools: IngestTools) -> None:
    """Check a new Generation before it answers: its count, and that sampled chunks find themselves."""
    failed = "" if built == len(entries) else f"it holds {built} points instead of {len(entries)}"
    index = tools.engine.open(generation)
    try:
        for entry in entries[:: max(1, len(entries) // _PROBES)][:_PROBES]:
            found = index.search_dense(entry.vector, conditions=[], limit=3)
            if not found or found[0].score < np.float32(0.999):
                failed = failed or f"a chunk of {entry.chunk.document} does not find itself"
    finally:
        index.close()
    if failed:
        tools.engine.delete(generation)
        raise ProvenantError(f"The new index was not switched to: {failed}. The live release is as it was.")


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
