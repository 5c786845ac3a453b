"""Bulk ingest on a local Ray cluster gives what one process gives; what a reader does is tested without Ray too."""

from __future__ import annotations

import importlib.util
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from benchmarks.kill_nine import contents_digest
from governance.errors import BadInput, ProvenantError
from governance.jobs import Cancelled
from governance.settings import IndexSettings, Settings
from ingest.artefacts import Artefacts
from ingest.bulk import Reader, ReadingPlan, _count_readers, _without_secrets, read_early, way_of, with_ray
from ingest.bulk_cluster import LOCAL, _closed_off
from ingest.index_edge import EdgeEngine
from ingest.pipeline import IngestReport, IngestRequest, run_ingest
from ingest.publish import IngestTools, Progress
from ingest.sources import SourceFile
from tests.fakes import WordEmbedder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    root.mkdir()
    for number in range(12):
        (root / f"policy-{number:02}.md").write_text(
            f"# Policy {number}\n\nHotels cost at most {90 + number} dollars.\n"
        )
    (root / "goods.csv").write_text("id,title,price_eur\n1,Cable,5\n2,Hub,20\n")
    (root / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing that could be read")
    (root / "empty.txt").write_text("")
    return root


def moved_to(tools: IngestTools, home: Path) -> IngestTools:
    """Return tools of another home and the same records' kind."""
    from governance.store import open_store

    settings = tools.settings.model_copy(update={"home": home})
    return replace(
        tools,
        settings=settings,
        store=open_store(settings),
        engine=EdgeEngine(home / "generations"),
        artefacts=Artefacts(home / "documents"),
    )


def contents(tools: IngestTools, report: IngestReport) -> str:
    """Return the digest over all that the index holds: payloads, vectors and word weights."""
    return contents_digest(tools.settings.home / "generations" / report.generation)


def told(report: IngestReport) -> list[dict[str, Any]]:
    return [asdict(outcome) for outcome in report.documents]


def make_plan(tools: IngestTools, **values: Any) -> ReadingPlan:
    mark = tools.settings.home / "mark"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return replace(ReadingPlan(tools.settings, WordEmbedder, frozenset(), mark, way_of(tools)), **values)


def row(path: Path) -> dict[str, Any]:
    return {"number": 3, "name": path.name, "path": str(path)}


def test_a_reader_keeps_what_the_ingest_then_finds(tools: IngestTools, folder: Path) -> None:
    reader = Reader(make_plan(tools))
    assert reader(row(folder / "policy-01.md")) == {"number": 3, "refused": "", "fault": ""}
    assert tools.artefacts.has_chunks(_digest(folder / "policy-01.md"), _name(tools, "policy-01.md"))
    assert "empty" in reader(row(folder / "empty.txt"))["refused"]
    assert reader(row(folder / "broken.pdf"))["refused"]
    assert reader.tools.parser is not None
    reader.tools.parser.close()


def test_a_text_that_is_left_out_is_not_read(tools: IngestTools, folder: Path) -> None:
    path = folder / "policy-01.md"
    assert read_early(SourceFile(path.name, path, ""), tools, left_out={_digest(path)}) == ""
    assert not tools.artefacts.has_chunks(_digest(path), _name(tools, path.name))


def test_a_node_that_is_unlike_this_machine_is_at_fault(tools: IngestTools, folder: Path, tmp_path: Path) -> None:
    path = folder / "policy-01.md"
    assert "does not see" in Reader(make_plan(tools, mark=tmp_path / "nowhere"))(row(path))["fault"]
    assert "same version, models" in Reader(make_plan(tools, way=("other",)))(row(path))["fault"]
    assert "cannot see" in Reader(make_plan(tools))(row(folder / "gone.md"))["fault"]


def test_no_secret_goes_to_a_node(settings: Settings) -> None:
    index = IndexSettings(url="http://h:6333", api_key=SecretStr("hidden-key"))
    stripped = _without_secrets(settings.model_copy(update={"index": index}))
    assert stripped.index == IndexSettings()
    assert stripped.ingest == settings.ingest


def test_readers_are_as_many_as_the_nodes_have_room_for() -> None:
    gigabytes = 1024**3
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "memory": 4.0 * gigabytes}},
        {"Alive": True, "Resources": {"CPU": 2.0, "memory": 64.0 * gigabytes}},
        {"Alive": False, "Resources": {"CPU": 64.0, "memory": 64.0 * gigabytes}},
    ]
    assert _count_readers(nodes, 1024) == 6
    with pytest.raises(ProvenantError, match="No node of the Ray cluster has a core and"):
        _count_readers(nodes[2:], 1024)


def test_what_to_install_is_told_where_ray_is_missing(tools: IngestTools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(BadInput, match=r"pip install 'provenant\[ray\]'"):
        with_ray(tools, LOCAL, WordEmbedder)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray's own warnings are not ours; what it starts stays on the loopback and has ended afterwards."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'provenant[ray]'")
    for name, value in _closed_off().items():  # Ray reads them when it is imported, once for all tests
        monkeypatch.setenv(name, value)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    _, alive = psutil.wait_procs(left, timeout=20)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_a_local_cluster_gives_the_result_of_one_process(tools: IngestTools, folder: Path, tmp_path: Path) -> None:
    alone = run_ingest(IngestRequest((folder,), "c"), tools)
    seen: list[float] = []
    other = replace(moved_to(tools, tmp_path / "other"), tell=lambda at: seen.append(at.done / at.total))
    spread = run_ingest(IngestRequest((folder,), "c"), with_ray(other, LOCAL, WordEmbedder))
    assert told(spread) == told(alone)
    assert (spread.generation, spread.release_id, spread.points) == (alone.generation, alone.release_id, alone.points)
    assert contents(other, spread) == contents(tools, alone)
    assert seen == sorted(seen)
    assert len(seen) > len(told(alone))
    again = run_ingest(IngestRequest((folder,), "c"), with_ray(other, LOCAL, WordEmbedder))
    assert again.generation == alone.generation
    other.store.close()


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_a_local_cluster_listens_on_the_loopback_only(tools: IngestTools, folder: Path) -> None:
    heard: set[str] = set()

    handler = signal.getsignal(signal.SIGTERM)

    def listen(_: Progress) -> None:
        for child in psutil.Process().children(recursive=True):
            try:
                heard.update(one.laddr.ip for one in child.net_connections("tcp") if one.status == psutil.CONN_LISTEN)
            except psutil.Error:
                continue

    run_ingest(IngestRequest((folder,), "c"), with_ray(replace(tools, tell=listen), LOCAL, WordEmbedder))
    assert heard
    assert heard <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_a_cancelled_run_ends_the_cluster_and_keeps_what_was_read(tools: IngestTools, folder: Path) -> None:
    def stop(at: Progress) -> None:
        if at.done > 2:
            raise Cancelled("The job was cancelled.")

    with pytest.raises(Cancelled):
        run_ingest(IngestRequest((folder,), "c"), with_ray(replace(tools, tell=stop), LOCAL, WordEmbedder))
    assert list((tools.settings.home / "documents").rglob("chunks-*.npy"))
    assert run_ingest(IngestRequest((folder,), "c"), tools).counts["added"] == 13


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_two_nodes_give_the_result_of_one_process_though_one_is_lost(
    tools: IngestTools, folder: Path, tmp_path: Path
) -> None:
    alone = run_ingest(IngestRequest((folder,), "c"), tools)
    with two_nodes() as (address, lose_one):
        lost: list[float] = []

        def tell(at: Progress) -> None:
            if at.done > 1 and not lost:
                lost.append(at.done)
                lose_one()

        other = replace(moved_to(tools, tmp_path / "other"), tell=tell)
        spread = run_ingest(IngestRequest((folder,), "c"), with_ray(other, address, WordEmbedder))
    assert lost
    assert told(spread) == told(alone)
    assert spread.generation == alone.generation
    assert contents(other, spread) == contents(tools, alone)
    other.store.close()


def two_nodes() -> Any:
    from contextlib import contextmanager

    @contextmanager
    def running() -> Iterator[tuple[str, Callable[[], None]]]:
        from ray.cluster_utils import Cluster

        store = 80 * 1024 * 1024
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "object_store_memory": store, "include_dashboard": False},
        )
        second = cluster.add_node(num_cpus=1, object_store_memory=store)
        cluster.wait_for_nodes()
        try:
            yield cluster.address, lambda: cluster.remove_node(second, allow_graceful=False)
        finally:
            cluster.shutdown()

    return running()


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:9", r"The Ray cluster 127\.0\.0\.1:9 failed \(.*refused.*run the ingest again"),
        ("ray://head:10001", "give the host and port of its head"),
        ("head", "give the host and port of its head"),
    ],
)
def test_a_cluster_that_is_not_there_is_named(tools: IngestTools, folder: Path, address: str, sentence: str) -> None:
    with pytest.raises(ProvenantError, match=sentence):
        run_ingest(IngestRequest((folder,), "c"), with_ray(tools, address, WordEmbedder))
    assert not list((tools.settings.home / "documents").glob(".shared-*"))


def _digest(path: Path) -> str:
    from governance.digests import digest_file

    return digest_file(path)


def _name(tools: IngestTools, document: str) -> str:
    from ingest.publish import chunks_name

    return chunks_name(document, tools.cutter, tools.parser_key(document))
