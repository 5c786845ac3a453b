"""Chunks fit the budget, stay inside their Clause, and lose nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.chunks import Chunk, ChunkSource, cut_chunks, readable_name
from ingest.documents import Clause, Page, ParsedDocument
from tests.fakes import WordEmbedder

SOURCE = ChunkSource("policies/gsa-travel_policy.pdf", "sha256:1", "p1")
WORDS = st.lists(st.sampled_from(["travel", "card.", "The", "limit", "12.5", "(a)", "naïve", "日本", "e.g.", "x" * 30]))


def make(text: str, clauses: list[Clause], title: str = "Travel") -> ParsedDocument:
    return ParsedDocument(text, "text/plain", title, (Page(1, 0, len(text)),), tuple(clauses))


def cut(parsed: ParsedDocument, budget: int = 40) -> list[Chunk]:
    return cut_chunks(parsed, SOURCE, tokens=WordEmbedder(), budget=budget)


@given(WORDS, st.integers(30, 60))
def test_every_word_is_in_a_chunk_that_fits(words: list[str], budget: int) -> None:
    text = " ".join(words)
    chunks = cut(make(text, [Clause("1", ("Limits",), 0, len(text))]), budget)
    embedder = WordEmbedder()
    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join(text.split())
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end]
        assert embedder.count_tokens(chunk.indexed_text) <= budget


def test_chunks_never_cross_a_clause_and_carry_its_names() -> None:
    text = "First clause says one.\nSecond clause says two."
    clauses = [Clause("1", ("One",), 0, 22), Clause("2", ("Two",), 23, len(text))]
    first, second = cut(make(text, clauses))
    assert (first.text, second.text) == ("First clause says one.", "Second clause says two.")
    assert first.indexed_text == "gsa travel policy | Travel | One\nFirst clause says one."
    assert (second.clause, second.path, second.page) == ("2", ("Two",), 1)


def test_long_clauses_are_cut_at_sentence_ends() -> None:
    text = " ".join(f"Sentence number {n} ends here." for n in range(30))
    chunks = cut(make(text, [Clause("", (), 0, len(text))]))
    assert len(chunks) > 3
    assert all(chunk.text.endswith("here.") for chunk in chunks)


def test_each_slice_of_a_table_repeats_its_header() -> None:
    rows = ["City | Rate", *(f"Town{n} | {n} dollars" for n in range(40))]
    text = "\n".join(rows)
    chunks = cut(make(text, [Clause("", ("Rates",), 0, len(text), "table")]))
    assert len(chunks) > 2
    assert all("City | Rate" in chunk.indexed_text for chunk in chunks)


def test_each_slice_of_a_record_repeats_its_title() -> None:
    text = "\n".join(["HP Laser 100", *(f"Attribute{n}: value {n}" for n in range(30))])
    record = Clause("77", ("HP Laser 100",), 0, len(text), "record", {"brand": "HP"})
    chunks = cut(make(text, [record]))
    assert len(chunks) > 1
    assert all("HP Laser 100" in chunk.indexed_text for chunk in chunks)
    assert all(chunk.attributes == {"brand": "HP"} for chunk in chunks)


def test_ids_depend_on_name_version_parser_and_place_only() -> None:
    parsed = make("One. Two.", [Clause("", (), 0, 9)])
    again = cut(parsed)
    other = cut_chunks(parsed, ChunkSource("other", "sha256:1", "p1"), tokens=WordEmbedder(), budget=40)
    assert [chunk.id for chunk in cut(parsed)] == [chunk.id for chunk in again]
    assert again[0].id != other[0].id


def test_white_space_clauses_give_no_chunk() -> None:
    assert cut(make(" \n ", [Clause("", (), 0, 3)])) == []


def test_names_are_read_as_words() -> None:
    assert readable_name("contracts/acme_reseller-agreement.v2.pdf") == "acme reseller agreement.v2"
