"""Retrieval: fusion by rule, access twice, names and part numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import pytest

from assistant.reader import Reading
from assistant.retrieve import RetrievalTools, Scope, fit_context, fuse, retrieve, retrieve_for_answer
from governance.errors import ProvenantError
from governance.settings import RetrievalSettings
from ingest.index import Condition, Stored, Vector
from ingest.summary import gather_summary
from tests.assistant.passages import passage
from tests.fakes import WordEmbedder

SETTINGS = RetrievalSettings()


def stored(number: int, score: float, text: str = "text", **values: object) -> Stored:
    return replace(passage(text, rank=number, **values).chunk, score=score)  # type: ignore[arg-type]


def meets(chunk: Stored, conditions: Sequence[Condition], ids: Sequence[str]) -> bool:
    named = [condition.value for condition in conditions if condition.field == "document"]
    return (not ids or chunk.id in ids) and all(chunk.document == document for document in named)


class ListIndex:
    """An index that gives the same lists to every search, less other documents, and remembers the conditions."""

    def __init__(self, dense: list[Stored], by_words: list[Stored]) -> None:
        self.dense, self.by_words = dense, by_words
        self.asked: list[Sequence[Condition]] = []
        self.whole: list[Stored] = []

    def search_dense(
        self, vector: Vector, *, conditions: Sequence[Condition], limit: int, ids: Sequence[str] = ()
    ) -> list[Stored]:
        self.asked.append(conditions)
        return [chunk for chunk in self.dense if meets(chunk, conditions, ids)][:limit]

    def search_words(
        self, text: str, *, conditions: Sequence[Condition], limit: int, ids: Sequence[str] = ()
    ) -> list[Stored]:
        self.asked.append(conditions)
        return [chunk for chunk in self.by_words if meets(chunk, conditions, ids)][:limit]

    def count(self, conditions: Sequence[Condition] = ()) -> int:
        return len(self.dense)

    def scroll(self, conditions: Sequence[Condition] = ()) -> Iterator[Stored]:
        self.asked.append(conditions)
        yield from self.whole or self.dense

    def close(self) -> None:
        pass


class WordReader:
    """Reads by one rule: a passage that holds the word "wanted" is the one."""

    name, digest = "words", "sha256:words"

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[Reading]:
        return [Reading(9.0 if "wanted" in text else -9.0, 0.0, 0, len(text)) for _, text in passages]


def tools(index: ListIndex, reader: WordReader | None = None) -> RetrievalTools:
    summary = gather_summary([*index.dense, *index.by_words])
    return RetrievalTools(index, WordEmbedder(), SETTINGS, summary=summary, reader=reader)


def test_distribution_fusion_is_the_sum_of_places_within_three_deviations() -> None:
    dense = [stored(1, 0.9), stored(2, 0.5), stored(3, 0.1)]
    fused = fuse(dense, [stored(2, 7.0), stored(4, 7.0)])
    scores = {found.chunk.id[-1]: found.score for found in fused}
    deviation = (0.32 / 3) ** 0.5
    assert scores["1"] == pytest.approx((0.4 + 3 * deviation) / (6 * deviation))
    assert scores["2"] == pytest.approx(0.5 + 0.5)
    assert [found.rank for found in fused] == [1, 2, 3, 4]
    assert fused[0].chunk.id == dense[1].id
    assert (fused[0].dense_score, fused[0].words_score) == (0.5, 7.0)


def test_rank_fusion_is_the_sum_of_reciprocal_ranks() -> None:
    fused = fuse([stored(1, 0.9), stored(2, 0.5)], [stored(2, 9.0)], how="rank")
    assert [found.score for found in fused] == pytest.approx([1 / 62 + 1 / 61, 1 / 61])


def test_fusion_by_both_counts_no_shared_word_as_zero() -> None:
    dense = [stored(1, 0.9), stored(2, 0.5), stored(3, 0.1)]
    fused = fuse(dense, [stored(2, 6.0), stored(3, 3.0)], how="both")
    deviation, words_deviation = (0.32 / 3) ** 0.5, 6**0.5
    first = next(found for found in fused if found.chunk.id == dense[0].id)
    assert first.score == pytest.approx(0.5 + 0.4 / (6 * deviation) + 0.5 - 3 / (6 * words_deviation))
    assert (first.dense_score, first.words_score) == (0.9, 0.0)


def test_conditions_hold_where_candidates_are_scored_by_the_other_search() -> None:
    index = ListIndex([stored(1, 0.9)], [stored(2, 3.0)])
    settings = SETTINGS.model_copy(update={"fusion": "both"})
    scope = Scope(("hr",))
    retrieve("hotel", tools=replace(tools(index), settings=settings), scope=scope)
    assert len(index.asked) == 4
    assert all(set(scope.conditions()) <= set(conditions) for conditions in index.asked)


def test_conditions_go_into_every_query() -> None:
    index = ListIndex([stored(1, 0.9)], [stored(1, 3.0)])
    scope = Scope(("hr",), date(2025, 1, 1), (Condition("page", "=", 3),), ("sha256:gone",))
    retrieve("travel policy hotel limit", tools=tools(index), scope=scope)
    assert len(index.asked) == 4  # twice, and twice inside the document that the query names
    for conditions in index.asked:
        assert set(scope.conditions()) <= set(conditions)
    assert Condition("labels", "any", ("everyone", "hr")) in scope.conditions()
    assert Condition("version", "none", ("sha256:gone",)) in scope.conditions()


def test_an_index_that_leaks_is_stopped() -> None:
    index = ListIndex([stored(1, 0.9, labels=("board",))], [])
    with pytest.raises(ProvenantError, match="may not read"):
        retrieve("hotel", tools=tools(index), scope=Scope(("hr",)))


def test_nothing_found_is_an_empty_list() -> None:
    found = retrieve("x", tools=tools(ListIndex([], [])), scope=Scope())
    assert found == []


def test_a_part_number_counts_however_it_is_hyphenated() -> None:
    other = stored(1, 0.9, "Waste toner for HL-3400", kind="record", path=("Waste toner",))
    wanted = stored(2, 0.6, "Compatibility: HL4000CN", kind="record", path=("Toner yellow",))
    index = ListIndex([other, wanted], [other, wanted])
    found = retrieve("toner for a Brother HL-4000CN", tools=tools(index), scope=Scope())
    assert found[0].chunk.id == wanted.id


def test_the_record_that_came_first_is_read_whole() -> None:
    title = stored(1, 0.9, "Lamp X1 with stand", kind="record", path=("Lamp X1",), clause="7")
    slices = [stored(2, 0.2, "Weight: 3 kg, wanted", kind="record", path=("Lamp X1",), clause="7")]
    other = stored(3, 0.5, "Lamp X2", kind="record", path=("Lamp X2",), clause="8")
    index = ListIndex([title, other], [title])
    index.whole = [title, *slices]
    found = retrieve_for_answer("weight of the lamp X1", tools=tools(index, WordReader()), scope=Scope())
    assert [passage.chunk.text for passage in found] == [slices[0].text, title.text, other.text]
    assert Condition("clause", "=", "7") in index.asked[-1]


@pytest.mark.parametrize(("chunks", "first"), [(1, "other"), (2, "cano")])
def test_a_name_moves_chunks_of_a_longer_document_and_not_a_document_of_one(chunks: int, first: str) -> None:
    named = [stored(2 + n, 0.3 - n / 10, document="cano.pdf", title="Cano sponsorship") for n in range(chunks)]
    index = ListIndex([stored(1, 0.9, document="other.pdf", title="Other"), *named], [])
    firms = [stored(n, 0.0, document=f"{n}.pdf", title=f"Firm{n}") for n in range(10, 80)]
    summary = gather_summary([*index.dense, *firms])
    found = retrieve("What fee does Cano pay?", tools=replace(tools(index), summary=summary), scope=Scope())
    assert found[0].chunk.document == f"{first}.pdf"


def test_a_passage_that_was_read_and_answers_comes_first() -> None:
    index = ListIndex([stored(1, 0.9), stored(2, 0.5, "what is wanted"), stored(3, 0.1)], [])
    found = retrieve("x", tools=tools(index, WordReader()), scope=Scope())
    assert found[0].chunk.text == "what is wanted"
    assert found[0].reading == Reading(9.0, 0.0, 0, 14)
    assert [passage.rank for passage in found] == [1, 2, 3]


def test_a_statement_is_read_and_keeps_its_ranking() -> None:
    index = ListIndex([stored(1, 0.9), stored(2, 0.5, "what is wanted"), stored(3, 0.1)], [])
    found = retrieve("Hotels have a limit.", tools=tools(index, WordReader()), scope=Scope())
    assert [passage.chunk.id for passage in found] == [chunk.id for chunk in index.dense]
    assert all(passage.reading for passage in found)


def test_context_keeps_to_its_budget_and_drops_repeats() -> None:
    passages = [passage("one two three", rank=1), passage("one two three", rank=2), passage("four " * 50, rank=3)]
    kept = fit_context(passages, count_tokens=lambda text: len(text.split()), budget=60, most=4)
    assert [found.rank for found in kept] == [1]
    assert fit_context(passages, count_tokens=lambda _: 1, budget=1000, most=1) == passages[:1]


def test_fusion_fits_what_the_index_holds_unless_it_is_set() -> None:
    prose, record = stored(1, 0.9), stored(2, 0.9, "Lamp X1", kind="record", path=("Lamp X1",))
    assert tools(ListIndex([prose], [])).fusion == "both"
    assert tools(ListIndex([prose, record], [])).fusion == "distribution"
    settings = SETTINGS.model_copy(update={"fusion": "rank"})
    assert replace(tools(ListIndex([prose], [])), settings=settings).fusion == "rank"
