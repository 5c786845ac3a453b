"""Calls to a server: tried again where that helps, and told in one sentence where they fail."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from governance.errors import BadInput, ProvenantError
from governance.settings import IndexSettings, load_settings
from ingest.index import open_engine
from ingest.index_connection import Connection, connect
from ingest.index_server import ServerEngine
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from tests.ingest.test_index import ENTRIES
from tests.qdrant_stand_in import Fault, StandIn, running_stand_in

POINTS = "/collections/{collection_name}/points"
COLLECTION = "/collections/{collection_name}"


@pytest.fixture
def server() -> Iterator[StandIn]:
    with running_stand_in() as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def connection(server: StandIn, pauses: list[float]) -> Iterator[Connection]:
    made = connect(IndexSettings(url=server.url, retries=2), pause=pauses.append)
    yield made
    made.client.close()


def engine_of(connection: Connection, **values: object) -> ServerEngine:
    layout = IndexSettings.model_validate({"url": connection.address, "upload_points": 20, **values})
    return ServerEngine(connection, layout)


@pytest.mark.parametrize("what", ["drop before", "drop after", 502, 503])
@pytest.mark.parametrize("route", [POINTS, COLLECTION, "/collections/aliases"])
def test_a_call_that_was_lost_is_made_again(
    server: StandIn, connection: Connection, pauses: list[float], what: int, route: str
) -> None:
    server.faults = [Fault(route, what), Fault(route, what)]
    assert engine_of(connection).build("g1", ENTRIES[:50]) == 50
    assert not server.faults
    assert pauses == [0.5, 1.0]
    assert engine_of(connection).open("g1").count() == 50


def test_a_busy_server_is_given_the_time_it_asks_for(
    server: StandIn, connection: Connection, pauses: list[float]
) -> None:
    server.faults = [Fault(POINTS, 429, "too many requests", {"Retry-After": "7"})]
    assert engine_of(connection).build("g1", ENTRIES[:10]) == 10
    assert pauses == [7.0]


def test_an_upload_that_stays_lost_leaves_no_generation(server: StandIn, connection: Connection) -> None:
    server.faults = [Fault(POINTS, "drop before")] * 3
    engine = engine_of(connection)
    with pytest.raises(ProvenantError, match=rf"No Qdrant server answers at {server.url} in 3 tries"):
        engine.build("g1", ENTRIES[:10])
    assert not engine.exists("g1")
    assert engine.build("g1", ENTRIES[:10]) == 10


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, "Service internal error: No space left on device (os error 28)"),
        (500, "Not enough space available for WAL"),
        (507, "Insufficient Storage"),
    ],
)
def test_a_full_disk_is_named_and_not_tried_again(
    server: StandIn, connection: Connection, pauses: list[float], status: int, text: str
) -> None:
    server.faults = [Fault(POINTS, status, text)]
    with pytest.raises(
        ProvenantError, match=r"The disk of the Qdrant server at .* is full\. What answers is as it was"
    ):
        engine_of(connection).build("g1", ENTRIES[:10])
    assert pauses == []


def test_what_a_server_refuses_is_told_with_its_words(server: StandIn, connection: Connection) -> None:
    server.faults = [Fault(COLLECTION, 400, "Wrong input: nothing of that kind")]
    with pytest.raises(ProvenantError, match=r"could not do what was asked .*400.*nothing of that kind"):
        engine_of(connection).delete("g1")


def test_a_wrong_key_is_named_and_not_shown() -> None:
    with running_stand_in(api_key="right") as server:
        with pytest.raises(ProvenantError, match=r"refuses the key; give one .*PROVENANT_INDEX__API_KEY") as error:
            connect(IndexSettings(url=server.url, api_key=SecretStr("wrong-one")))
        assert "wrong-one" not in str(error.value)
        connect(IndexSettings(url=server.url, api_key=SecretStr("right"))).client.close()


def test_a_server_that_is_too_old_is_refused() -> None:
    with running_stand_in(version="1.9.7") as server, pytest.raises(ProvenantError, match=r"version 1\.9\.7 and 1\.10"):
        connect(IndexSettings(url=server.url))


def test_an_unreachable_server_is_named() -> None:
    pauses: list[float] = []
    with pytest.raises(ProvenantError, match=r"No Qdrant server answers at http://127\.0\.0\.1:9 in 3 tries"):
        connect(IndexSettings(url="http://127.0.0.1:9", retries=2), pause=pauses.append)
    assert pauses == [0.5, 1.0]


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ProvenantError, match=r"did not answer in time in 1 tries"):
            connect(IndexSettings(url=url, retries=0, timeout_seconds=1))


def test_what_is_no_qdrant_server_is_told() -> None:
    with running_stand_in() as server:
        server.version = None  # type: ignore[assignment]
        with pytest.raises(ProvenantError, match="is no Qdrant server that we know"):
            connect(IndexSettings(url=server.url))


def test_an_upload_passes_in_the_batches_of_the_settings(server: StandIn, connection: Connection) -> None:
    engine_of(connection, upload_points=20).build("g1", ENTRIES[:50])
    uploads = [asked.body["points"] for asked in server.recorded if asked.route == POINTS]
    assert [len(points) for points in uploads] == [20, 20, 10]


def test_the_layout_on_the_server_is_that_of_the_settings(server: StandIn, connection: Connection) -> None:
    layout = {"shards": 3, "replicas": 2, "vectors_on_disk": True, "payload_on_disk": False}
    engine_of(connection, **layout, search="graph", quantization="scalar").build("g1", ENTRIES[:10])
    created = next(asked.body for asked in server.recorded if (asked.method, asked.route) == ("PUT", COLLECTION))
    dense = created["vectors"]["dense"]
    assert (created["shard_number"], created["replication_factor"], created["write_consistency_factor"]) == (3, 2, 2)
    assert (dense["on_disk"], created["on_disk_payload"]) == (True, False)
    assert dense["quantization_config"]["scalar"]["type"] == "int8"
    assert "hnsw_config" not in dense


def test_an_exact_index_has_no_graph_and_is_searched_whole(server: StandIn, connection: Connection) -> None:
    engine = engine_of(connection)
    engine.build("g1", ENTRIES[:10])
    engine.open("g1").search_dense(ENTRIES[0].vector, conditions=[], limit=3)
    created = next(asked.body for asked in server.recorded if (asked.method, asked.route) == ("PUT", COLLECTION))
    assert created["vectors"]["dense"]["hnsw_config"] == {"m": 0}
    assert server.recorded[-1].body["params"] == {"exact": True}


def test_a_quantized_index_scores_its_candidates_again_and_words_stay_exact(
    server: StandIn, connection: Connection
) -> None:
    engine = engine_of(connection, search="graph", quantization="scalar", oversampling=3)
    engine.build("g1", ENTRIES[:10])
    index = engine.open("g1")
    index.search_dense(ENTRIES[0].vector, conditions=[], limit=3)
    assert server.recorded[-1].body["params"]["quantization"] == {"rescore": True, "oversampling": 3.0}
    assert server.recorded[-1].body["params"]["exact"] is False
    index.search_dense(ENTRIES[0].vector, conditions=[], limit=3, ids=[ENTRIES[0].chunk.id])
    assert server.recorded[-1].body["params"] == {"exact": True}
    index.search_words("toner", conditions=[], limit=3)
    assert server.recorded[-1].body["params"] == {"exact": True}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"SHARDS": "2"}, "shards needs a Qdrant server"),
        ({"URL": "http://h:6333", "WRITE_CONSISTENCY": "2"}, "asks 2 copies to confirm and there are 1"),
        ({"URL": "http://h:6333", "QUANTIZATION": "scalar"}, "quantization serves the graph alone"),
        ({"URL": "http://h:6333", "QUANTIZATION": "binary"}, "quantization"),
        ({"URL": "http://h:6333", "SHARDS": "0"}, "shards"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    monkeypatch: pytest.MonkeyPatch, home: Path, values: dict[str, str], sentence: str
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"PROVENANT_INDEX__{name}", value)
    with pytest.raises(BadInput, match=sentence):
        load_settings()


def test_only_a_search_that_may_miss_counts_in_the_settings_digest(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    before = load_settings().digest()
    monkeypatch.setenv("PROVENANT_INDEX__URL", "http://h:6333")
    monkeypatch.setenv("PROVENANT_INDEX__SHARDS", "4")
    assert load_settings().digest() == before
    monkeypatch.setenv("PROVENANT_INDEX__SEARCH", "graph")
    assert load_settings().digest() != before


def test_a_url_in_the_settings_opens_the_server(server: StandIn, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("PROVENANT_INDEX__URL", server.url)
    engine = open_engine(load_settings())
    assert engine.name == "server"
    assert engine.build("g1", ENTRIES[:5]) == 5
    assert isinstance(engine, ServerEngine)
    engine.close()


def test_an_ingest_into_a_server_gives_the_generation_of_the_embedded_engine(
    server: StandIn, connection: Connection, tools: IngestTools, tmp_path: Path
) -> None:
    (tmp_path / "travel.md").write_text("# Travel\n\nHotels cost at most 120 dollars a night.\n")
    request = IngestRequest((tmp_path / "travel.md",), "c")
    embedded = run_ingest(request, tools)
    server.faults = [Fault(POINTS, "drop after")]
    served = replace(tools, engine=engine_of(connection))
    again = run_ingest(request, served)
    assert (again.generation, again.points) == (embedded.generation, embedded.points)
    answering = [engine.open(again.generation) for engine in (tools.engine, served.engine)]
    found = [index.search_words("hotels", conditions=[], limit=5) for index in answering]
    assert [chunk.id for chunk in found[0]] == [chunk.id for chunk in found[1]] != []
    assert found[0][0].score == pytest.approx(found[1][0].score)
    for index in answering:
        index.close()
