"""Chunk changes: how many chunks an ingest added, changed and removed, as somebody who asks would notice.

The versions in force are compared, document by document. A chunk's id carries its version's Digest, so every id of an
edited document is new; what counts as the same chunk is therefore its text. Equal texts stayed; of the rest, those
that stand under one clause number and heading path changed; what is left was added or removed. Two documents' chunks
are never held at once, and those of a version that stayed are not read at all. It reads no index and no vector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from governance.digests import digest_text
from ingest.chunks import Chunk
from ingest.ingest_report import ReportPart
from ingest.versions import Corpus, Version

ReadChunks = Callable[[Version], Iterable[Chunk]]
_Place = tuple[str, tuple[str, ...]]  # clause number and heading path


@dataclass(frozen=True)
class ChunkChanges:
    """Numbers of chunks; `failed` are those of an earlier reading that still answer, their file being unreadable now.

    `failed` ones are among the unchanged.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    failed: int = 0

    def __add__(self, other: ChunkChanges) -> ChunkChanges:
        return ChunkChanges(
            self.added + other.added,
            self.changed + other.changed,
            self.removed + other.removed,
            self.unchanged + other.unchanged,
            self.failed + other.failed,
        )

    def as_part(self) -> ReportPart:
        """Return the numbers as a part of the ingest report."""
        said = [f"{number} {name}" for name, number in asdict(self).items() if number and name != "failed"]
        lines = [f"chunks: {', '.join(said)}"] if said else []
        if self.failed:
            lines.append(f"{self.failed} chunks still answer from an earlier reading of files that could not be read")
        return ReportPart("chunks", asdict(self), tuple(lines))


def count_chunk_changes(
    before: Corpus, after: Corpus, read: ReadChunks, *, unreadable: Sequence[str] = ()
) -> ChunkChanges:
    """Count over all documents of two corpora; `unreadable` names the files that were refused or failed."""
    total = ChunkChanges()
    former = {version.moved_to: name for name, versions in after.items() for version in versions if version.moved_to}
    moved = {name for name in former.values() if _in_force(before.get(name, ())) and not _in_force(after[name])}
    for name in sorted({*before, *after} - moved):
        old, new = _in_force(before.get(name, ())), _in_force(after.get(name, ()))
        if old is None and former.get(name) in moved:  # a document that was moved stays itself
            old = _in_force(before[former[name]])
        total += _compare(old, new, read)
        if name in unreadable and new is not None:
            total += ChunkChanges(failed=new.chunks)
    return total


def _in_force(versions: Sequence[Version]) -> Version | None:
    return next((version for version in versions if version.status == "active"), None)


def _compare(old: Version | None, new: Version | None, read: ReadChunks) -> ChunkChanges:
    if old is None or new is None:
        return ChunkChanges(added=new.chunks if new else 0, removed=old.chunks if old else 0)
    if (old.digest, old.parser) == (new.digest, new.parser):
        return ChunkChanges(unchanged=new.chunks)
    return _compare_texts(_texts(read(old)), _texts(read(new)))


def _texts(chunks: Iterable[Chunk]) -> Counter[tuple[_Place, str]]:
    return Counter(((chunk.clause, chunk.path), digest_text(chunk.text)) for chunk in chunks)


def _compare_texts(old: Counter[tuple[_Place, str]], new: Counter[tuple[_Place, str]]) -> ChunkChanges:
    old_texts, new_texts = _by_text(old), _by_text(new)
    same = (old_texts & new_texts).total()
    gone, come = _places_of(old, old_texts - new_texts), _places_of(new, new_texts - old_texts)
    changed = (gone & come).total()
    return ChunkChanges(added=come.total() - changed, changed=changed, removed=gone.total() - changed, unchanged=same)


def _by_text(held: Counter[tuple[_Place, str]]) -> Counter[str]:
    texts: Counter[str] = Counter()
    for (_, text), count in held.items():
        texts[text] += count
    return texts


def _places_of(held: Counter[tuple[_Place, str]], left: Counter[str]) -> Counter[_Place]:
    """Return the places of the texts that are left, as often as each is left."""
    places: Counter[_Place] = Counter()
    still = left.copy()
    for (place, text), count in held.items():
        taken = min(count, still[text])
        still[text] -= taken
        places[place] += taken
    return places
