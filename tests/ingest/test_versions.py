"""One active version a document; older ones stay in force for their dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from governance.store import Store
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


def version(digest: str, since: date = ALWAYS, **values: object) -> Version:
    base = Version("a.pdf", digest, "p", "A", "application/pdf", 1, 10, 1, ())
    return replace(base, effective_from=since, **values)  # type: ignore[arg-type]


def test_a_new_version_supersedes_the_active_one() -> None:
    first = add_version((), version("1"))
    both = add_version(first, version("2", date(2026, 5, 1)))
    assert [(one.digest, one.status, one.effective_to) for one in both] == [
        ("1", "superseded", date(2026, 5, 1)),
        ("2", "active", None),
    ]


def test_an_earlier_effective_date_takes_its_place_in_history() -> None:
    found = add_version(add_version((), version("2", date(2026, 1, 1))), version("1", date(2025, 1, 1)))
    assert [(one.digest, one.status) for one in found] == [("1", "superseded"), ("2", "active")]
    assert found[0].effective_to == date(2026, 1, 1)


def test_reading_a_version_again_replaces_it() -> None:
    found = add_version(add_version((), version("1")), version("1", parser="q"))
    assert [(one.parser, one.status) for one in found] == [("q", "active")]


def test_removed_documents_leave_the_index() -> None:
    gone = remove_document(add_version((), version("1")), on=date(2026, 6, 1))
    assert [(one.status, one.effective_to) for one in gone] == [("removed", date(2026, 6, 1))]
    assert indexed_versions({"a.pdf": gone}) == []
    back = add_version(gone, version("1", date(2026, 7, 1)))
    assert [one.status for one in back] == ["active"]


def test_snapshot_names_texts_labels_and_dates_but_not_sources() -> None:
    corpus = {"a.pdf": add_version((), version("1"))}
    assert snapshot_digest(corpus) == snapshot_digest({"a.pdf": (replace(corpus["a.pdf"][0], source_root="/x"),)})
    for change in ({"labels": ("hr",)}, {"digest": "2"}, {"effective_from": date(2020, 1, 1)}, {"parser": "q"}):
        assert snapshot_digest({"a.pdf": (replace(corpus["a.pdf"][0], **change),)}) != snapshot_digest(corpus)


def test_corpus_comes_back_equal_from_the_records(store: Store) -> None:
    corpus = {
        "a.pdf": add_version(add_version((), version("1", labels=("hr",))), version("2", date(2026, 1, 1))),
        "ü/b.md": (replace(version("3"), document="ü/b.md", warnings=("page 2 has no text",)),),
    }
    with store.session() as session:
        write_corpus(session, "c", corpus)
    with store.session() as session:
        write_corpus(session, "c", corpus)
        assert read_corpus(session, "c") == corpus
        assert read_corpus(session, "other") == {}
