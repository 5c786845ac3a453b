"""Chunk changes: counted by text and place, without reading what stayed."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.chunk_changes import ChunkChanges, count_chunk_changes
from ingest.chunks import Chunk
from ingest.versions import Version

Held = dict[str, list[tuple[str, str]]]  # by version digest: clause and text


def version(document: str, digest: str, held: Held, *, active: bool = True) -> Version:
    return Version(
        document=document,
        digest=digest,
        parser="p",
        title="",
        media_type="text/plain",
        pages=1,
        characters=1,
        chunks=len(held[digest]),
        warnings=(),
        status="active" if active else "removed",
    )


def reading(held: Held, read: list[str]) -> object:
    def chunks(one: Version) -> Iterable[Chunk]:
        read.append(one.digest)
        for number, (clause, text) in enumerate(held[one.digest]):
            place = (one.document, one.digest, "", clause, (), "clause", None, number, number + 1)
            yield Chunk(f"{one.digest}-{number}", *place, text, text)  # type: ignore[arg-type]

    return chunks


def count(held: Held, old: list[Version], new: list[Version], *, unreadable: tuple[str, ...] = ()) -> ChunkChanges:
    before = {one.document: (one,) for one in old}
    after = {one.document: (one,) for one in new}
    return count_chunk_changes(before, after, reading(held, []), unreadable=unreadable)  # type: ignore[arg-type]


def test_an_edited_document_counts_what_its_edit_touched() -> None:
    held: Held = {
        "old": [("1", "same"), ("2", "hotels cost 120"), ("3", "gone"), ("4", "moved")],
        "new": [("4", "moved"), ("1", "same"), ("2", "hotels cost 150"), ("9", "come"), ("9", "come")],
    }
    changes = count(held, [version("a", "old", held)], [version("a", "new", held)])
    assert changes == ChunkChanges(added=2, changed=1, removed=1, unchanged=2)


def test_what_stayed_is_counted_and_not_read() -> None:
    held: Held = {"x": [("1", "a"), ("2", "b")], "y": [("1", "c")]}
    read: list[str] = []
    corpus = {"a": (version("a", "x", held),), "b": (version("b", "y", held),)}
    changes = count_chunk_changes(corpus, corpus, reading(held, read))  # type: ignore[arg-type]
    assert (changes, read) == (ChunkChanges(unchanged=3), [])


def test_new_removed_and_unreadable_documents_are_counted() -> None:
    held: Held = {"x": [("1", "a"), ("2", "b")], "y": [("1", "c")], "z": [("1", "d")]}
    old = [version("gone", "x", held), version("bad", "z", held)]
    new = [version("gone", "x", held, active=False), version("come", "y", held), version("bad", "z", held)]
    changes = count(held, old, new, unreadable=("bad", "never read"))
    assert changes == ChunkChanges(added=1, removed=2, unchanged=1, failed=1)
    part = changes.as_part()
    assert part.value == {"added": 1, "changed": 0, "removed": 2, "unchanged": 1, "failed": 1}
    assert part.lines == (
        "chunks: 1 added, 2 removed, 1 unchanged",
        "1 chunks still answer from an earlier reading of files that could not be read",
    )
