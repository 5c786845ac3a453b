"""Publish: from a corpus to the release that answers from it.

    survey chunks -> build the Generation aside -> validate -> records, release and pointer in one transaction

The only place where a Generation is built and where the live release changes because of content. Equal inputs give a
Generation of equal name, which is then not built again. Chunks and vectors pass by one at a time, so that memory does
not grow with the corpus. Old Generations are pruned after the switch, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from sqlalchemy import select

from governance.digests import digest_value, short
from governance.errors import Busy, NotFound, ProvenantError
from governance.release import CollectionState, ReleaseManifest, keep_release, live_release, switch_channel
from governance.settings import Settings
from governance.store import GenerationRecord, Store, now
from ingest.artefacts import Artefacts, Matrix, Vector
from ingest.chunk_changes import count_chunk_changes
from ingest.chunks import Chunk, ChunkSource, cut_chunks, cutter_digest
from ingest.documents import ParsedDocument
from ingest.embed import Embedder
from ingest.generation_build import CorpusEntries, build_generation, check_room
from ingest.generation_checks import Candidate, CandidateCheck, let_answer
from ingest.index import IndexEngine
from ingest.ingest_report import ReportPart
from ingest.isolation import PARSER_FUNCTION, Caps, IsolatedParser
from ingest.parse import parser_key
from ingest.sources import SourceFile
from ingest.summary import summary_path
from ingest.version_changes import note_changes, report_catalogs
from ingest.versions import Corpus, Version, indexed_versions, read_corpus, snapshot_digest, write_corpus

ReadAhead = Callable[[Sequence[SourceFile], Set[str]], Sequence[SourceFile]]  # sources, texts left out by Digest
_PARSER_FUNCTIONS = {"auto": PARSER_FUNCTION, "never": "ingest.parse:parse_file_without_ocr"}
_INDEX_FORMAT = 3  # raised when points are made otherwise: 2 joins hyphenated compounds, 3 has measures and fits
_BATCH_CHUNKS = 64


@dataclass(frozen=True)
class Progress:
    """How far an ingest is: `done` of `total` files (a part of one counts in parts), and what is being done."""

    done: float
    total: int
    message: str


class ReadingTools:
    """What one source is read, cut and embedded with, here or on another machine; a dataclass below it has the values.

    The names that it derives decide what is kept where, so that every machine finds what another has kept.
    """

    embedder: Embedder
    artefacts: Artefacts
    settings: Settings
    parser: IsolatedParser | None

    @property
    def cutter(self) -> str:
        """Return the name of how Chunks are cut and embedded here."""
        return cutter_digest(budget=self.settings.ingest.chunk_tokens, embedder=self.embedder.digest)

    def parser_key(self, document: str, mapping: str = "") -> str:
        """Return what decides how a document is read here, beside its content: the text of its mapping file too."""
        key = parser_key(document, ocr=self.settings.ingest.ocr)
        return short(digest_value([key, mapping]), 16) if mapping else key


@dataclass(frozen=True)
class IngestTools(ReadingTools):
    """What ingestion works with. `answering` is the part of a release that does not come from the corpus.

    `check` has the last word on whether a new Generation may answer in place of the live one. `parser` is None between
    ingests; `with_parser` gives tools that have one. `read_ahead` may read many sources elsewhere before they are taken
    up one by one; it gives the sources back, those refused with their reason.
    """

    store: Store
    engine: IndexEngine
    embedder: Embedder
    artefacts: Artefacts
    settings: Settings
    answering: Mapping[str, Any] = field(default_factory=dict)
    tell: Callable[[Progress], None] = lambda _: None
    parser: IsolatedParser | None = None
    check: CandidateCheck = let_answer
    read_ahead: ReadAhead = lambda sources, _: sources


@contextmanager
def with_parser(tools: IngestTools) -> Iterator[IngestTools]:
    """Give tools with a parser, which is closed at the end unless the tools had it already."""
    if tools.parser is not None:
        yield tools
        return
    with new_parser(tools.settings) as parser:
        yield replace(tools, parser=parser)


def new_parser(settings: Settings) -> IsolatedParser:
    """Return a parser with the caps of the settings, to be closed."""
    caps = Caps(megabytes=settings.ingest.parser_megabytes, seconds=settings.ingest.parser_seconds)
    return IsolatedParser(caps, parser=_PARSER_FUNCTIONS[settings.ingest.ocr])


@dataclass(frozen=True)
class Published:
    """What answers now, the number of chunks in its index, and what changed, for the report."""

    release: ReleaseManifest
    points: int
    parts: tuple[ReportPart, ...] = ()


def publish(collection: str, corpus: Corpus, tools: IngestTools, *, unreadable: Sequence[str] = ()) -> Published:
    """Let a corpus answer; `unreadable` names the files that this run could not read, for the report.

    Raises ProvenantError where the new Generation fails its validation; what answers is then as it was.
    """
    snapshot = snapshot_digest(corpus)
    generation = generation_name(collection, snapshot, tools.cutter)
    with tools.store.session() as session:
        before = read_corpus(session, collection)
        state = (live_release(session) or ReleaseManifest({})).collections.get(collection)
        validated = session.get(GenerationRecord, generation) is not None and tools.engine.exists(generation)
    versions = indexed_versions(corpus)
    points = sum(version.chunks for version in versions)
    entries = CorpusEntries(versions, lambda version: _telling(_chunks_of(version, tools), tools))
    candidate = Candidate(collection, generation, state.generation if state else "")
    if not validated:
        check_room(tools.settings.home, points)
        points = build_generation(generation, entries, tools.engine, tools.settings.home)
    parts = _describe_changes(before, corpus, tools, unreadable)
    if candidate.generation != candidate.live:
        parts += _check(candidate, tools, keep=validated)
    manifest = _switch(collection, corpus, CollectionState(snapshot, generation), points, tools)
    prune_generations(tools)
    return Published(manifest, points, parts)


def _switch(
    collection: str, corpus: Corpus, state: CollectionState, points: int, tools: IngestTools
) -> ReleaseManifest:
    """Write versions, Generation and release, and point at the release: all in one transaction."""
    with tools.store.session() as session:
        note_changes(session, collection, read_corpus(session, collection), corpus)
        write_corpus(session, collection, corpus)
        if session.get(GenerationRecord, state.generation) is None:
            record = GenerationRecord(id=state.generation, collection=collection, snapshot=state.snapshot)
            record.embedder, record.points, record.created_at = tools.embedder.digest, points, now()
            record.documents = len(indexed_versions(corpus))
            session.add(record)
        live = live_release(session) or ReleaseManifest({})
        manifest = live.with_collection(collection, state).with_answering(tools.answering)
        keep_release(session, manifest)
        switch_channel(session, manifest.id)
    return manifest


def _describe_changes(
    before: Corpus, after: Corpus, tools: IngestTools, unreadable: Sequence[str]
) -> tuple[ReportPart, ...]:
    """Return what changed between two corpora, a part for each kind of change. Further kinds are added here."""
    chunks = count_chunk_changes(
        before, after, lambda one: (chunk for chunk, _ in _chunks_of(one, tools)), unreadable=unreadable
    )
    return (chunks.as_part(), *report_catalogs(before, after, tools.artefacts))


def _check(candidate: Candidate, tools: IngestTools, *, keep: bool) -> tuple[ReportPart, ...]:
    """Return what the check found. Raises ProvenantError where it refuses; the Candidate goes, unless `keep`."""
    verdict = tools.check(candidate)
    if verdict.refused:
        if not keep:
            tools.engine.delete(candidate.generation)
        raise ProvenantError(f"The new index was not switched to: {verdict.refused}")
    return verdict.parts


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
    document: str,
    path: Path,
    digest: str,
    tools: ReadingTools,
    *,
    mapping: str = "",
    tell: Callable[[float], None] = lambda _: None,
) -> Version:
    """Parse, cut and embed one kept source, or take up what an earlier run kept, telling the share embedded.

    `mapping` is the text of a catalogue's mapping file.

    Raises BadInput where the source cannot be read.
    """
    parser = tools.parser_key(document, mapping)
    if tools.artefacts.has_parsed(digest, parser):
        parsed = tools.artefacts.parsed(digest, parser)
    else:
        parsed = _parse(path, tools, mapping, beat=lambda: tell(0.0))
        tools.artefacts.keep_parsed(digest, parser, parsed)
    stored = cut_and_embed(ChunkSource(document, digest, parser), parsed, tools, tell=tell)
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


def cut_and_embed(
    source: ChunkSource,
    parsed: ParsedDocument,
    tools: ReadingTools,
    *,
    known: Mapping[str, Vector] = MappingProxyType({}),
    tell: Callable[[float], None] = lambda _: None,
) -> tuple[list[Chunk], Matrix]:
    """Return a text's Chunks with their vectors, kept from an earlier run or made now and kept.

    `known` are vectors by indexed text that need not be made again.
    """
    name = chunks_name(source.document, tools.cutter, source.parser)
    stored = tools.artefacts.chunks(source.version, name)
    if stored is None:
        budget = min(tools.settings.ingest.chunk_tokens, tools.embedder.max_tokens - 2)
        chunks = cut_chunks(parsed, source, tokens=tools.embedder, budget=budget)
        stored = chunks, _embed([chunk.indexed_text for chunk in chunks], tools.embedder, known, tell)
        tools.artefacts.keep_chunks(source.version, name, *stored)
    return stored


def _parse(path: Path, tools: ReadingTools, mapping: str, *, beat: Callable[[], None]) -> ParsedDocument:
    if tools.parser is not None:
        return tools.parser.parse(path, mapping=mapping, beat=beat)
    with new_parser(tools.settings) as parser:
        return parser.parse(path, mapping=mapping, beat=beat)


def _embed(
    texts: Sequence[str], embedder: Embedder, known: Mapping[str, Vector], tell: Callable[[float], None]
) -> Matrix:
    """Return one vector for each text (texts, dimension), telling the share done after each batch.

    Equal texts, and those that are known, are embedded once.
    """
    made = dict(known)
    wanted = [text for text in dict.fromkeys(texts) if text not in made]
    for first in range(0, len(wanted), _BATCH_CHUNKS):
        batch = wanted[first : first + _BATCH_CHUNKS]
        made.update(zip(batch, embedder.embed(batch), strict=True))
        tell((first + len(batch)) / len(wanted))
    rows = [made[text] for text in texts]
    return np.stack(rows) if rows else np.zeros((0, embedder.dimension), dtype=np.float32)


def chunks_name(document: str, cutter: str, parser: str) -> str:
    """Return the name under which a document's Chunks are kept: they carry its name and how they were read and cut."""
    return f"chunks-{short(digest_value([document, cutter, parser]), 24)}"


def generation_name(collection: str, snapshot: str, cutter: str) -> str:
    """Return the name of the Generation that these inputs give: equal inputs, equal name."""
    return f"{collection}-{short(digest_value([collection, snapshot, cutter, _INDEX_FORMAT]), 16)}"


def _chunks_of(version: Version, tools: IngestTools) -> Iterable[tuple[Chunk, Vector]]:
    """Return a version's Chunks of the text that it was read to; cut anew after a change of cutter or embedder.

    Only an ingest of the source reads a version in another way: what stays must not depend on this machine's parsers.
    """
    source = ChunkSource(version.document, version.digest, version.parser)
    stored = tools.artefacts.each_chunk(version.digest, chunks_name(version.document, tools.cutter, version.parser))
    if stored is not None:
        return stored
    return zip(*cut_and_embed(source, tools.artefacts.parsed(version.digest, version.parser), tools), strict=True)


def _telling(entries: Iterable[tuple[Chunk, Vector]], tools: IngestTools) -> Iterator[tuple[Chunk, Vector]]:
    """Pass entries on and tell now and then that the index is being built: telling is where a cancel is seen."""
    for number, entry in enumerate(entries):
        if number % _BATCH_CHUNKS == 0:
            tools.tell(Progress(1, 1, "building the index"))
        yield entry


def _delete_unless_open(generation: str, engine: IndexEngine) -> bool:
    try:
        engine.delete(generation)
    except Busy:
        return False
    return True
