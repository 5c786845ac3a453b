"""Product queries: understood by what the catalogue holds; records that answer them rise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assistant.product_limits import Limit, read_limits
from assistant.product_query import boosts, understand
from assistant.retrieve import Passage, best_of_each_record
from ingest.documents import AttributeValue
from ingest.index import Condition
from ingest.product_facts import ProductFacts, gather_facts
from tests.assistant.passages import passage


def record(clause: str, title: str, description: str = "", **attributes: AttributeValue) -> Passage:
    held: dict[str, AttributeValue] = {"id": clause, **attributes}
    lines = [title, *([description] if description else []), f"ID: {clause}"]
    found = passage("\n".join(lines), rank=int(clause), kind="record", path=(title,), clause=clause, page=None)
    return replace(found, chunk=replace(found.chunk, attributes=held, document="shop.csv"))


SHOP = [
    record(
        "1", 'Acme notebook 15.6" 8 GB', supplier="Acme", price_eur=700.0, display_diagonal=15.6, internal_memory=8.0
    ),
    record(
        "2", 'Acme notebook 17.3" 16 GB', supplier="Acme", price_eur=900.0, display_diagonal=17.3, internal_memory=16.0
    ),
    record(
        "3", 'Best notebook 14" 16 GB', supplier="Best", price_eur=800.0, display_diagonal=14.0, internal_memory=16.0
    ),
    record("4", "Case Co notebook case", "Bag for a laptop", supplier="Case Co", price_eur=30.0, weight=500.0),
    record("5", "Disc drive", supplier="Best", price_eur=40.0, supported_media="CD-R; DVD"),
    record("6", "Drive belt", supplier="Best", price_eur=5.0, weight=20.0),
]
CHUNKS = [one.chunk for one in SHOP]
FACTS = gather_facts(one.chunk for one in SHOP)
UNITS = replace(FACTS, units={'"': {"display_diagonal": 3}, "gb": {"internal_memory": 3}})


def test_the_makers_a_query_names_are_found_among_those_of_the_catalogue() -> None:
    assert understand("acme notebooks", FACTS).makers == ("acme",)
    assert understand("case co bags", FACTS).makers == ("case co",)
    assert understand("a case", FACTS).makers == ()


def test_the_record_that_says_the_whole_query_rises_above_one_that_says_half() -> None:
    scores = boosts(understand("cd drive", FACTS), CHUNKS, FACTS)
    assert max(scores, key=lambda key: scores[key]) == SHOP[4].chunk.id
    assert scores[SHOP[4].chunk.id] > scores[SHOP[5].chunk.id] > scores[SHOP[0].chunk.id] == 0.0


def test_a_word_in_many_parts_counts_as_its_best_part() -> None:
    once = record("7", "Lamp red", supplier="A")
    often = record("8", "Lamp red", supplier="A", colour="red", shade="red", finish="red")
    facts = gather_facts([once.chunk, often.chunk])
    scores = boosts(understand("red lamp", facts), [once.chunk, often.chunk], facts)
    assert scores[often.chunk.id] < 2 * scores[once.chunk.id]


def test_all_slices_of_a_record_get_the_score_of_the_record() -> None:
    rest = replace(
        SHOP[4], chunk=replace(SHOP[4].chunk, id="sha256:rest", start=900, text="Supported media: CD-R; DVD")
    )
    scores = boosts(understand("cd drive", FACTS), [*CHUNKS, rest.chunk], FACTS)
    assert scores["sha256:rest"] == scores[SHOP[4].chunk.id]


def test_a_clause_of_a_policy_gets_nothing() -> None:
    clause = passage("The drive must be encrypted.", rank=9)
    assert boosts(understand("drive", FACTS), [clause.chunk, *CHUNKS], FACTS)[clause.chunk.id] == 0.0


def test_without_a_catalogue_or_words_nothing_is_added() -> None:
    assert set(boosts(understand("drive", ProductFacts()), CHUNKS, ProductFacts()).values()) == {0.0}
    assert set(boosts(understand("?", FACTS), CHUNKS, FACTS).values()) == {0.0}


def test_the_order_of_the_passages_does_not_matter() -> None:
    query = understand("acme notebook", FACTS)
    assert boosts(query, CHUNKS, FACTS) == boosts(query, CHUNKS[::-1], FACTS)


def test_further_slices_of_a_record_are_left_out_and_clauses_stay() -> None:
    rest = replace(SHOP[0], chunk=replace(SHOP[0].chunk, id="sha256:rest"))
    clause = passage("One", rank=9)
    assert best_of_each_record([SHOP[0], clause, rest, clause]) == [SHOP[0], clause, clause]


@pytest.mark.parametrize(
    ("query", "limits"),
    [
        ("notebooks under 800", [("price_eur", "<", 800.0)]),
        ("notebooks up to € 1,200", [("price_eur", "<=", 1200.0)]),
        ('notebooks with at least 15 inch', [("display_diagonal", ">=", 15.0)]),
        ('notebook under 800 with at least 15"', [("price_eur", "<", 800.0), ("display_diagonal", ">=", 15.0)]),
        ("notebook with more than 8 GB", [("internal_memory", ">", 8.0)]),
        ("cases with a weight below 600", [("weight", "<", 600.0)]),
        ("notebooks between 700 and 850 euro", [("price_eur", ">=", 700.0), ("price_eur", "<=", 850.0)]),
        ("no more than 900 euro", [("price_eur", "<=", 900.0)]),
        ("notebooks larger than 15 inch", [("display_diagonal", ">", 15.0)]),
        ("cheaper than 40", [("price_eur", "<", 40.0)]),
        ("projectors over 3000 lumens", []),
        ("a notebook", []),
        ("notebook 16 gb", []),
    ],
)  # fmt: skip
def test_limits_are_read_on_the_attribute_they_mean(query: str, limits: list[tuple[str, str, float]]) -> None:
    assert [(one.attribute, one.operator, one.value) for one in read_limits(query, UNITS)] == limits


def test_the_words_of_a_limit_are_no_words_of_the_query() -> None:
    assert list(understand("notebooks under 800 euro", UNITS).words) == ["notebook"]


def test_a_limit_is_a_condition_for_the_engine_and_spans_its_words() -> None:
    (limit,) = read_limits("notebooks under 800", UNITS)
    assert limit.condition() == Condition("attributes.price_eur", "<", 800.0)
    assert "notebooks under 800"[limit.start : limit.end] == "under 800"


def test_a_limit_on_nothing_the_catalogue_measures_is_no_limit() -> None:
    assert read_limits("notebooks under 800", ProductFacts()) == ()


@pytest.mark.parametrize(("value", "held"), [(5.0, True), (6.0, False), ("5", False), (True, False), (None, False)])
def test_only_numbers_are_within_a_limit(value: object, held: bool) -> None:
    assert Limit("weight", "<=", 5.0, 0, 1).holds(value) is held
