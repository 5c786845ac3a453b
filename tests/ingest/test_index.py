"""One conformance test for every engine: the embedded one, and a server's API."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from governance.digests import digest_text
from governance.errors import BadInput, Busy, Damaged, NotFound
from governance.settings import IndexSettings
from ingest.chunks import Chunk
from ingest.index import Condition, Entry, IndexEngine, Standing, in_force, parse_filter, readable_by
from ingest.index_connection import Connection, connect
from ingest.index_edge import EdgeEngine
from ingest.index_server import ServerEngine
from ingest.index_words import WordModel, fit_words
from tests.qdrant_server import running_server, server_url
from tests.qdrant_stand_in import running_stand_in

DIMENSION = 16


GENERATIONS = ("g0", "g1", "g2")


@pytest.fixture(params=["embedded", "local mode", "local mode over HTTP", "server"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IndexEngine]:
    if request.param == "embedded":
        yield EdgeEngine(tmp_path)
    elif request.param == "local mode":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the client says that its local mode has no payload indexes
            yield ServerEngine(Connection(QdrantClient(":memory:")), IndexSettings())
    elif request.param == "local mode over HTTP":
        with running_stand_in() as server:
            yield from server_engine(server.url)
    elif server_url():
        yield from server_engine(server_url())
    else:
        with running_server(tmp_path / "server") as url:
            yield from server_engine(url)


def server_engine(url: str) -> Iterator[IndexEngine]:
    layout = IndexSettings(url=url)
    connection = connect(layout)
    engine = ServerEngine(connection, layout)
    yield engine
    for generation in GENERATIONS:
        engine.delete(generation)
    connection.client.close()


def make_entry(number: int, *, labels: tuple[str, ...] = (), active: bool = True) -> Entry:
    generator = np.random.default_rng(number)
    vector = generator.normal(size=DIMENSION).astype(np.float32)
    text = f"clause {number} about {'toner' if number % 2 else 'travel'} code{number}"
    chunk = Chunk(
        id=digest_text(text),
        document=f"document-{number % 3}.pdf",
        version="sha256:0",
        title="Title",
        clause=str(number),
        path=("Part", "Heading"),
        kind="clause",
        page=1 + number % 4,
        start=0,
        end=len(text),
        text=text,
        indexed_text=text,
        attributes={"price": number * 1.5, "brand": "HP" if number % 2 else "Xerox", "wireless": number % 2 == 0},
    )
    to = None if active else date(2024, 1, 1)
    standing = Standing(labels, active=active, effective_from=date(2020, 1, 1), effective_to=to)
    return Entry(chunk, standing, vector / np.linalg.norm(vector))


ENTRIES = [make_entry(n, labels=("hr",) if n == 5 else (), active=n != 8) for n in range(600)]


def test_build_counts_and_finds_exactly(engine: IndexEngine) -> None:
    assert engine.build("g1", ENTRIES) == 600
    index = engine.open("g1")
    matrix = np.stack([entry.vector for entry in ENTRIES])
    for number in (3, 77, 410):
        found = index.search_dense(ENTRIES[number].vector, conditions=[], limit=10)
        expected = np.argsort(-(matrix @ ENTRIES[number].vector))[:10]
        assert [chunk.clause for chunk in found] == [str(k) for k in expected][: len(found)]
        assert len(found) >= 9
        assert found[0].score == pytest.approx(1.0, abs=1e-5)
    index.close()


def test_word_search_finds_the_rare_word(engine: IndexEngine) -> None:
    engine.build("g1", ENTRIES)
    index = engine.open("g1")
    found = index.search_words("what does code123 say about the toner", conditions=[], limit=50)
    assert found[0].clause == "123"
    assert index.search_words("the of and", conditions=[], limit=5) == []
    index.close()


def test_given_chunks_are_scored_as_in_a_whole_search(engine: IndexEngine) -> None:
    engine.build("g1", ENTRIES)
    index = engine.open("g1")
    ids = [ENTRIES[number].chunk.id for number in (3, 5, 78)]
    readable = [readable_by(())]
    vector = ENTRIES[3].vector
    whole = {chunk.id: chunk.score for chunk in index.search_dense(vector, conditions=[], limit=600)}
    found = index.search_dense(vector, conditions=readable, limit=4, ids=ids)
    assert {chunk.id for chunk in found} == {ids[0], ids[2]}  # 5 may not be read, though it is asked for
    assert [chunk.score for chunk in found] == pytest.approx([whole[chunk.id] for chunk in found])
    first = index.search_words("clause code78", conditions=[], limit=20)[0]
    by_words = index.search_words("clause code78", conditions=[], limit=4, ids=ids)
    assert by_words[0].id == ids[2]
    assert by_words[0].score == pytest.approx(first.score)
    index.close()


def test_what_may_not_be_read_is_never_found(engine: IndexEngine) -> None:
    engine.build("g1", ENTRIES)
    index = engine.open("g1")
    nobody, holder = [readable_by([])], [readable_by(["hr"])]
    hidden = ENTRIES[5]
    assert "5" not in {c.clause for c in index.search_dense(hidden.vector, conditions=nobody, limit=100)}
    assert "5" not in {c.clause for c in index.search_words("code5", conditions=nobody, limit=100)}
    assert index.search_dense(hidden.vector, conditions=holder, limit=3)[0].clause == "5"
    assert index.count(nobody) == 599
    assert index.count(holder) == 600
    index.close()


def test_conditions_that_every_chunk_meets_change_nothing_and_others_still_hold(engine: IndexEngine) -> None:
    engine.build("g1", ENTRIES[:5])  # all open and in force
    engine.build("g2", ENTRIES)
    conditions, vector = [readable_by([]), *in_force(None)], ENTRIES[5].vector
    for generation, hidden in (("g1", set()), ("g2", {"5", "8"})):
        index = engine.open(generation)
        for _ in range(2):  # the second search goes by what the first has learnt
            everything = {chunk.clause for chunk in index.search_dense(vector, conditions=[], limit=601)}
            found = {chunk.clause for chunk in index.search_dense(vector, conditions=conditions, limit=601)}
            assert everything - found == hidden
        assert "5" not in {chunk.clause for chunk in index.search_words("code5", conditions=conditions, limit=50)}
        as_of = [readable_by(["hr"]), *in_force(date(2019, 1, 1))]
        assert index.search_dense(vector, conditions=as_of, limit=5) == []
        index.close()


def test_versions_answer_as_of_their_dates(engine: IndexEngine) -> None:
    engine.build("g1", ENTRIES)
    index = engine.open("g1")
    assert index.count(in_force(None)) == 599
    assert index.count(in_force(date(2023, 12, 31))) == 600
    assert index.count(in_force(date(2024, 1, 1))) == 599
    assert index.count(in_force(date(2019, 1, 1))) == 0
    index.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("brand=HP", 300),
        ("price<=15", 11),
        ("price<15", 10),
        ("price=1.5", 1),
        ("price>890", 6),
        ("wireless=true", 300),
        ("document=document-0.pdf", 200),
        ("page>=4", 150),
    ],
)
def test_filters_count_what_they_say(engine: IndexEngine, text: str, expected: int) -> None:
    engine.build("g1", ENTRIES)
    index = engine.open("g1")
    assert index.count([parse_filter(text)]) == expected
    index.close()


def test_excluded_values_are_not_found(engine: IndexEngine) -> None:
    engine.build("g1", ENTRIES)
    index = engine.open("g1")
    assert index.count([Condition("document", "none", ("document-0.pdf", "document-1.pdf"))]) == 200
    index.close()


def test_scroll_gives_every_chunk_back_equal(engine: IndexEngine) -> None:
    engine.build("g1", ENTRIES)
    index = engine.open("g1")
    stored = {chunk.id: chunk for chunk in index.scroll()}
    assert len(stored) == 600
    back = stored[ENTRIES[7].chunk.id]
    assert (back.text, back.path, back.page) == (ENTRIES[7].chunk.text, ("Part", "Heading"), 4)
    assert back.attributes == {"price": 10.5, "brand": "HP", "wireless": "false"}
    assert len(list(index.scroll([Condition("clause", "=", "7")]))) == 1
    index.close()


def test_generations_stand_beside_each_other_and_go_away(engine: IndexEngine) -> None:
    engine.build("g1", ENTRIES[:10])
    engine.build("g2", ENTRIES[:20])
    assert (engine.open("g1").count(), engine.open("g2").count()) == (10, 20)
    assert not engine.exists("g3")
    with pytest.raises(NotFound, match="g3"):
        engine.open("g3")


def test_an_empty_generation_finds_nothing(engine: IndexEngine) -> None:
    assert engine.build("g0", []) == 0
    index = engine.open("g0")
    assert index.count() == 0
    assert list(index.scroll()) == []
    index.close()


def test_deleted_generation_is_gone(engine: IndexEngine) -> None:
    engine.build("g1", ENTRIES[:10])
    engine.delete("g1")
    assert not engine.exists("g1")
    engine.delete("g1")


def test_embedded_generation_has_one_owner(tmp_path: Path) -> None:
    engine = EdgeEngine(tmp_path)
    engine.build("g1", ENTRIES[:10])
    first = engine.open("g1")
    with pytest.raises(Busy, match="another process"):
        EdgeEngine(tmp_path).open("g1")
    with pytest.raises(Busy, match="kept"):
        engine.delete("g1")
    assert first.count() == 10
    first.close()
    first.close()
    engine.open("g1").close()


def test_a_killed_build_leaves_no_generation(tmp_path: Path) -> None:
    engine = EdgeEngine(tmp_path)
    (tmp_path / "g1.building" / "shard").mkdir(parents=True)
    (tmp_path / "g1.building" / "shard" / "half").write_text("half")
    assert not engine.exists("g1")
    assert engine.build("g1", ENTRIES[:10]) == 10
    assert not (tmp_path / "g1.building").exists()


def test_damaged_generation_is_refused(tmp_path: Path) -> None:
    engine = EdgeEngine(tmp_path)
    engine.build("g1", ENTRIES[:10])
    (tmp_path / "g1" / "generation.json").write_text("{")
    with pytest.raises(Damaged, match="g1"):
        engine.open("g1")


@pytest.mark.parametrize("text", ["brand", "=HP", "brand=", "brand<HP"])
def test_filter_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="filter"):
        parse_filter(text)


def test_numbers_with_a_leading_zero_stay_words() -> None:
    assert parse_filter("ean=0095205603217").value == "0095205603217"


def test_mean_length_is_counted_in_the_engine_s_tokens() -> None:
    texts = ["toner cartridge black", "travel card policy limits apply monthly"]
    assert fit_words(texts).average_length == pytest.approx(4.5, abs=0.01)
    assert fit_words([]).average_length == WordModel().average_length
