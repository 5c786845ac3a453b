"""Publish: from a corpus to the release that answers from it.

    gather chunks -> build the Generation aside -> validate -> records, release and pointer in one transaction

The only place where a Generation is built and where the live release changes because of content. Equal inputs give a
Generation of equal name, which is then not built again. Old Generations are pruned after the switch, never before.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from governance.digests import digest_value, short
from governance.errors import Busy, NotFound, ProvenantError
from governance.release import CollectionState, ReleaseManifest, keep_release, live_release, switch_channel
from governance.settings import Settings
from governance.store import GenerationRecord, Store, now
from ingest.artefacts import Artefacts, Matrix
from ingest.chunks import Chunk, ChunkSource, cut_chunks, cutter_digest
from ingest.documents import ParsedDocument
from ingest.embed import Embedder
from ingest.index import Entry, IndexEngine
from ingest.isolation import PARSER_FUNCTION, Caps, IsolatedParser
from ingest.parse import parser_key
from ingest.summary import gather_summary, keep_summary, summary_path
from ingest.versions import Corpus, Version, indexed_versions, read_corpus, snapshot_digest, write_corpus

_PARSER_FUNCTIONS = {"auto": PARSER_FUNCTION, "never": "ingest.parse:parse_file_without_ocr"}
_INDEX_FORMAT = 2  # raised when points are made otherwise: 2 joins hyphenated compounds
_PROBES = 5
_BATCH_CHUNKS = 64
_INDEX_BYTES = 100 * 1024 * 1024  # an empty index with its write-ahead log
_POINT_BYTES = 8 * 1024
_FINDS_ITSELF = np.float32(0.999)


@dataclass(frozen=True)
class Progress:
    """How far an ingest is: `done` of `total` files (a part of one counts in parts), and what is being done."""

    done: float
    total: int
    message: str


@dataclass(frozen=True)
class IngestTools:
    """What ingestion works with. `answering` is the part of a release that does not come from the corpus.

    `parser` is None between ingests; `with_parser` gives tools that have one.
    """

    store: Store
    engine: IndexEngine
    embedder: Embedder
    artefacts: Artefacts
    settings: Settings
    answering: Mapping[str, Any] = field(default_factory=dict)
    tell: Callable[[Progress], None] = lambda _: None
    parser: IsolatedParser | None = None

    @property
    def cutter(self) -> str:
        """Return the name of how Chunks are cut and embedded here."""
        return cutter_digest(budget=self.settings.ingest.chunk_tokens, embedder=self.embedder.digest)

    def parser_key(self, document: str) -> str:
        """Return what decides how a document is read here, beside its content."""
        return parser_key(document, ocr=self.settings.ingest.ocr)


@contextmanager
def with_parser(tools: IngestTools) -> Iterator[IngestTools]:
    """Give tools with a parser, which is closed at the end unless the tools had it already."""
    if tools.parser is not None:
        yield tools
        return
    caps = Caps(megabytes=tools.settings.ingest.parser_megabytes, seconds=tools.settings.ingest.parser_seconds)
    function = _PARSER_FUNCTIONS[tools.settings.ingest.ocr]
    with IsolatedParser(caps, parser=function) as parser:
        yield replace(tools, parser=parser)


def publish(collection: str, corpus: Corpus, tools: IngestTools) -> tuple[ReleaseManifest, int]:
    """Let a corpus answer. Returns the live release and the number of chunks in its index.

    Raises ProvenantError where the new Generation fails its validation; what answers is then as it was.
    """
    snapshot = snapshot_digest(corpus)
    generation = generation_name(collection, snapshot, tools.cutter)
    if not tools.engine.exists(generation):
        with with_parser(tools) as equipped:
            entries = list(_entries(corpus, equipped))
        _build(generation, entries, tools)
    versions = indexed_versions(corpus)
    points = sum(version.chunks for version in versions)
    with tools.store.session() as session:
        write_corpus(session, collection, corpus)
        if session.get(GenerationRecord, generation) is None:
            record = GenerationRecord(id=generation, collection=collection, snapshot=snapshot, created_at=now())
            record.embedder, record.points, record.documents = tools.embedder.digest, points, len(versions)
            session.add(record)
        live = live_release(session) or ReleaseManifest({})
        state = CollectionState(snapshot, generation)
        manifest = live.with_collection(collection, state).with_answering(tools.answering)
        keep_release(session, manifest)
        switch_channel(session, manifest.id)
    prune_generations(tools)
    return manifest, points


def withdraw(document: str, collection: str, tools: IngestTools, *, version: str = "") -> ReleaseManifest:
    """Withdraw a document, or one version of it, and publish without it. Raises NotFound."""
    with tools.store.session() as session:
        corpus = read_corpus(session, collection)
    chosen = [one for one in corpus.get(document, ()) if not version or version in one.digest]
    if not chosen:
        raise NotFound(
            f"There is no document {document!r}{f' with version {version}' if version else ''} in {collection}."
        )
    corpus[document] = tuple(replace(one, status="withdrawn") if one in chosen else one for one in corpus[document])
    return publish(collection, corpus, tools)[0]


def switch_generation(generation: str, tools: IngestTools) -> ReleaseManifest:
    """Let an older Generation answer again. Raises NotFound where it is unknown or was pruned."""
    with tools.store.session() as session:
        record = session.get(GenerationRecord, generation)
        if record is None or not tools.engine.exists(generation):
            raise NotFound(f"Index generation {generation} is not here; `provenant index list` names those that are.")
        live = live_release(session) or ReleaseManifest({})
        state = CollectionState(record.snapshot, generation)
        manifest = live.with_collection(record.collection, state).with_answering(tools.answering)
        keep_release(session, manifest)
        switch_channel(session, manifest.id)
    return manifest


def prune_generations(tools: IngestTools) -> list[str]:
    """Remove the oldest Generations beyond those kept for each collection, and return their names.

    A Generation that answers or that another process has open is kept.
    """
    with tools.store.session() as session:
        live = live_release(session)
        query = select(GenerationRecord).order_by(GenerationRecord.created_at.desc())
        records = [record for record in session.scalars(query) if tools.engine.exists(record.id)]
    answering = {state.generation for state in live.collections.values()} if live else set()
    removed = []
    for collection in {record.collection for record in records}:
        mine = [record.id for record in records if record.collection == collection]
        for generation in mine[tools.settings.index.keep_generations :]:
            if generation not in answering and _delete_unless_open(generation, tools.engine):
                summary_path(tools.settings.home, generation).unlink(missing_ok=True)
                removed.append(generation)
    return removed


def read_version(
    document: str, path: Path, digest: str, tools: IngestTools, *, tell: Callable[[float], None] = lambda _: None
) -> Version:
    """Parse, cut and embed one kept source, or take up what an earlier run kept, telling the share embedded.

    Raises BadInput where the source cannot be read.
    """
    parser = tools.parser_key(document)
    if tools.artefacts.has_parsed(digest, parser):
        parsed = tools.artefacts.parsed(digest, parser)
    else:
        parsed = _parse(path, tools)
        tools.artefacts.keep_parsed(digest, parser, parsed)
    stored = _cut(ChunkSource(document, digest, parser), parsed, tools, tell)
    return Version(
        document=document,
        digest=digest,
        parser=parser,
        title=parsed.title,
        media_type=parsed.media_type,
        pages=len(parsed.pages),
        characters=len(parsed.text),
        chunks=len(stored[0]),
        warnings=parsed.warnings,
    )


def _cut(
    source: ChunkSource, parsed: ParsedDocument, tools: IngestTools, tell: Callable[[float], None] = lambda _: None
) -> tuple[list[Chunk], Matrix]:
    """Return a text's Chunks with their vectors, kept from an earlier run or made now and kept."""
    name = chunks_name(source.document, tools.cutter, source.parser)
    stored = tools.artefacts.chunks(source.version, name)
    if stored is None:
        budget = min(tools.settings.ingest.chunk_tokens, tools.embedder.max_tokens - 2)
        chunks = cut_chunks(parsed, source, tokens=tools.embedder, budget=budget)
        stored = chunks, _embed(chunks, tools.embedder, tell)
        tools.artefacts.keep_chunks(source.version, name, *stored)
    return stored


def _parse(path: Path, tools: IngestTools) -> ParsedDocument:
    with with_parser(tools) as equipped:
        assert equipped.parser is not None
        return equipped.parser.parse(path)


def _embed(chunks: Sequence[Chunk], embedder: Embedder, tell: Callable[[float], None]) -> Matrix:
    """Return one vector for each Chunk (chunks, dimension), telling the share done after each batch."""
    batches = []
    for first in range(0, len(chunks), _BATCH_CHUNKS):
        batches.append(embedder.embed([chunk.indexed_text for chunk in chunks[first : first + _BATCH_CHUNKS]]))
        tell((first + len(batches[-1])) / len(chunks))
    return np.concatenate(batches) if batches else np.zeros((0, embedder.dimension), dtype=np.float32)


def chunks_name(document: str, cutter: str, parser: str) -> str:
    """Return the name under which a document's Chunks are kept: they carry its name and how they were read and cut."""
    return f"chunks-{short(digest_value([document, cutter, parser]), 24)}"


def generation_name(collection: str, snapshot: str, cutter: str) -> str:
    """Return the name of the Generation that these inputs give: equal inputs, equal name."""
    return f"{collection}-{short(digest_value([collection, snapshot, cutter, _INDEX_FORMAT]), 16)}"


def _build(generation: str, entries: Sequence[Entry], tools: IngestTools) -> None:
    check_room(tools.settings.home, len(entries))
    keep_summary(summary_path(tools.settings.home, generation), gather_summary(entry.chunk for entry in entries))
    built = tools.engine.build(generation, entries)
    failed = "" if built == len(entries) else f"it holds {built} points instead of {len(entries)}"
    failed = failed or _failed_probe(generation, entries, tools)
    if failed:
        tools.engine.delete(generation)
        raise ProvenantError(f"The new index was not switched to: {failed}. The live release is as it was.")


def check_room(home: Path, points: int) -> None:
    """Raise ProvenantError unless the disk has room for an index of so many points.

    The engine maps its files into memory; a disk that fills up under it would end the process without a word.
    """
    needed = _INDEX_BYTES + points * _POINT_BYTES
    free = shutil.disk_usage(home).free
    if free < needed:
        raise ProvenantError(
            f"The disk of {home} is too full for an index of {points:,} chunks ({free // 1024**2} MB free, "
            f"{needed // 1024**2} MB needed). The live release is as it was; free space and run the ingest again."
        )


def _failed_probe(generation: str, entries: Sequence[Entry], tools: IngestTools) -> str:
    """Return what is wrong with a new Generation, "" where sampled chunks find themselves."""
    index = tools.engine.open(generation)
    try:
        for entry in entries[:: max(1, len(entries) // _PROBES)][:_PROBES]:
            found = index.search_dense(entry.vector, conditions=[], limit=3)
            if not found or found[0].score < _FINDS_ITSELF:
                return f"a chunk of {entry.chunk.document} does not find itself"
    finally:
        index.close()
    return ""


def _entries(corpus: Corpus, tools: IngestTools) -> Iterator[Entry]:
    for version in indexed_versions(corpus):
        for chunk, vector in zip(*_chunks_of(version, tools), strict=True):
            yield Entry(chunk, version.standing, vector)


def _chunks_of(version: Version, tools: IngestTools) -> tuple[list[Chunk], Matrix]:
    """Return a version's Chunks of the text that it was read to; cut anew after a change of cutter or embedder.

    Only an ingest of the source reads a version in another way: what stays must not depend on this machine's parsers.
    """
    source = ChunkSource(version.document, version.digest, version.parser)
    stored = tools.artefacts.chunks(version.digest, chunks_name(version.document, tools.cutter, version.parser))
    return stored or _cut(source, tools.artefacts.parsed(version.digest, version.parser), tools)


def _delete_unless_open(generation: str, engine: IndexEngine) -> bool:
    try:
        engine.delete(generation)
    except Busy:
        return False
    return True
