"""Moves: the same text under a new name, while the old name is gone.

A document is gone where its folder was ingested and no longer holds it, or where no file stands any more at the place
it came from. A new name whose bytes are those of a gone document's active version is that document, moved: versions,
dates, labels and withdrawals go with it, and its vectors are taken along for every chunk whose words are the same (a
document's own name stands in front of most chunks, so a new file name costs new vectors, a new folder does not). Two
documents of equal content are two documents while both are there.

Identity goes by Digest alone. A file that was renamed and edited is a new document, since two contracts made from one
template are as alike as two editions of one policy. Only access follows likeness: where most of a new text stood in a
document that is gone and had labels, the labels stay on it, because doubt about access means no.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from governance.digests import digest_text
from governance.errors import Damaged, NotFound
from ingest.artefacts import Vector
from ingest.chunks import ChunkSource
from ingest.documents import ParsedDocument
from ingest.publish import IngestTools, chunks_name, cut_and_embed
from ingest.versions import IN_INDEX, Corpus, Version, active_version

_ALIKE = 0.5  # share of a new text's characters
_PIECE_END = re.compile(r"(?<=[.;:!?])\s+|\n+")


class GoneDocuments:
    """The documents whose source is gone, each of which can be found again once."""

    def __init__(self, corpus: Corpus, *, roots: Collection[str], present: Collection[str]) -> None:
        self._gone: dict[str, Version] = {}
        for name, versions in corpus.items():
            active = active_version(versions)
            if active is not None and name not in present and is_gone(active, roots):
                self._gone[name] = active
        self._pieces: dict[str, dict[str, int]] = {}

    def take(self, digest: str, name: str) -> Version | None:
        """Return the gone document with this text, and forget it: one with the same file name first, None if none."""
        found = [version for version in self._gone.values() if version.digest == digest]
        file = PurePosixPath(name).name
        found.sort(key=lambda one: (PurePosixPath(one.document).name != file, not one.labels, one.document))
        return self._gone.pop(found[0].document) if found else None

    def labels_of_like(self, parsed: ParsedDocument, tools: IngestTools) -> tuple[tuple[str, ...], str]:
        """Return the labels and the name of a gone document in which most of a new text stood, else none and ""."""
        own = _piece_lengths(parsed)
        whole = sum(own.values())
        for name, version in self._gone.items():
            if version.labels and whole:
                held = self._held_by(version, tools)
                shared = sum(length for piece, length in own.items() if piece in held)
                if shared >= _ALIKE * whole:
                    return version.labels, name
        return (), ""

    def _held_by(self, version: Version, tools: IngestTools) -> dict[str, int]:
        if version.document not in self._pieces:
            try:
                held = _piece_lengths(tools.artefacts.parsed(version.digest, version.parser))
            except (NotFound, Damaged):
                held = {}
            self._pieces[version.document] = held
        return self._pieces[version.document]


def is_gone(version: Version, roots: Collection[str]) -> bool:
    """Tell whether a document that this run did not find is no longer where it came from."""
    return version.source_root in roots or not (Path(version.source_root) / version.document).exists()


def labels_by_text(corpus: Corpus) -> dict[str, tuple[str, ...]]:
    """Return the labels of each text in the index that has some, by Digest."""
    return {
        version.digest: version.labels
        for versions in corpus.values()
        for version in versions
        if version.status in IN_INDEX and version.labels
    }


def carry_vectors(version: Version, name: str, tools: IngestTools) -> tuple[int, int]:
    """Cut a version's chunks anew under a new name and keep them with the vectors there are.

    Returns how many chunks there are, and how many of them had to be embedded anew.
    """
    key = chunks_name(name, tools.cutter, version.parser)
    if tools.artefacts.has_chunks(version.digest, key):
        return version.chunks, 0
    stored = tools.artefacts.chunks(version.digest, chunks_name(version.document, tools.cutter, version.parser))
    known: Mapping[str, Vector] = {}
    if stored is not None:
        known = {chunk.indexed_text: vector for chunk, vector in zip(*stored, strict=True)}
    parsed = tools.artefacts.parsed(version.digest, version.parser)
    chunks, _ = cut_and_embed(ChunkSource(name, version.digest, version.parser), parsed, tools, known=known)
    return len(chunks), sum(chunk.indexed_text not in known for chunk in chunks)


def _piece_lengths(parsed: ParsedDocument) -> dict[str, int]:
    """Return the Digest of each sentence or line with the number of its characters, over the whole text."""
    lengths: dict[str, int] = defaultdict(int)
    for piece in _PIECE_END.split(parsed.text):
        words = " ".join(piece.split())
        if words:
            lengths[digest_text(words)] += len(words)
    return lengths
