"""Uploads over HTTP: whole or not at all, for owners alone, a source of their own. Real engine, real records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from assistant.api import add_error_answers
from assistant.upload_api import make_upload_router
from governance.access import add_principal
from governance.jobs import Report, find_job, list_jobs, run_job
from governance.locks import hold
from governance.settings import Settings
from governance.store import Store
from governance.worker import worker_lock
from ingest.index import readable_by
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from ingest.stored_sources import list_sources
from ingest.versions import read_corpus
from ingest.watch import SourceWatch

TRAVEL = b"# Travel\n\nHotels cost at most 120 dollars a night.\n"
FILES = "/api/collections/c/files"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    small = settings.ingest.model_copy(update={"max_file_megabytes": 1})
    return settings.model_copy(
        update={"ingest": small, "sources": settings.sources.model_copy(update={"upload_megabytes": 2})}
    )


@pytest.fixture
def client(store: Store, settings: Settings) -> Iterator[TestClient]:
    application = FastAPI()
    add_error_answers(application)
    application.include_router(make_upload_router(store, settings))
    with TestClient(application, raise_server_exceptions=False) as opened:
        yield opened


def send(client: TestClient, *files: tuple[str, bytes], status: int = 202, **values: Any) -> dict[str, Any]:
    response = client.post(FILES, files=[("files", file) for file in files], **values)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


def work(store: Store, tools: IngestTools) -> None:
    """Run what waits, as the worker does."""

    def ingest(parameters: Mapping[str, Any], report: Report) -> dict[str, Any]:
        labels = tuple(parameters["labels"]) if parameters["labels"] else None
        paths = tuple(Path(path) for path in parameters["paths"])
        request = IngestRequest(paths, parameters["collection"], labels, accept_removals=parameters["accept_removals"])
        return {"counts": dict(run_ingest(request, tools).counts)}

    for job in reversed(list_jobs(store)):
        run_job(store, job.id, {"ingest": ingest})
        assert find_job(store, job.id).status in {"done", "cancelled"}, find_job(store, job.id).message


def active(store: Store) -> dict[str, str]:
    with store.session() as session:
        corpus = read_corpus(session, "c")
    return {name: one.digest for name, versions in corpus.items() for one in versions if one.status == "active"}


def kept(settings: Settings) -> list[Path]:
    return sorted(path for path in (settings.home / "uploads").rglob("*") if path.is_file())


def test_upload_is_kept_queued_and_indexed(
    client: TestClient, store: Store, tools: IngestTools, settings: Settings
) -> None:
    answer = send(client, ("travel.md", TRAVEL), ("leave.txt", b"Everybody has 25 days of leave."))
    assert [file["name"] for file in answer["files"]] == ["travel.md", "leave.txt"]
    assert (answer["status"], answer["worker_running"]) == ("queued", False)
    work(store, tools)
    job = client.get(f"/api/jobs/{answer['job']}").json()
    assert (job["status"], job["progress"], job["result"]["counts"]["added"]) == ("done", 1.0, 2)
    assert job["elapsed_seconds"] is not None
    assert sorted(active(store)) == ["leave.txt", "travel.md"]
    assert [file["name"] for file in client.get(FILES).json()["files"]] == ["leave.txt", "travel.md"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in kept(settings))
    assert SourceWatch(store, settings).look() == []  # what was queued is not queued again
    with hold(worker_lock(settings), doing="A worker"):
        assert send(client, ("travel.md", TRAVEL + b"More."))["worker_running"] is True


def test_second_upload_of_a_name_is_a_new_version_and_a_delete_removes_it(
    client: TestClient, store: Store, tools: IngestTools
) -> None:
    send(client, ("travel.md", TRAVEL))
    work(store, tools)
    first = active(store)["travel.md"]
    assert send(client, ("travel.md", TRAVEL.replace(b"120", b"150")))["files"][0]["replaced"] is True
    work(store, tools)
    assert active(store)["travel.md"] != first
    with store.session() as session:
        assert [one.status for one in read_corpus(session, "c")["travel.md"]] == ["superseded", "active"]
    deleted = client.delete(f"{FILES}/travel.md")
    assert deleted.status_code == 202
    work(store, tools)
    assert active(store) == {}
    assert client.delete(f"{FILES}/travel.md").status_code == 404


def test_uploads_that_follow_each_other_share_the_waiting_job(client: TestClient) -> None:
    first = send(client, ("travel.md", TRAVEL))
    assert send(client, ("leave.txt", b"25 days"))["job"] == first["job"]


def test_labels_bar_others_and_are_kept_by_a_later_upload(
    client: TestClient, store: Store, tools: IngestTools, settings: Settings
) -> None:
    send(client, ("leave.txt", b"Everybody has 25 days of leave."), data={"label": ["hr", "boss"]})
    send(client, ("travel.md", TRAVEL))
    send(client, ("leave.txt", b"Everybody has 30 days of leave."))
    assert {file["name"]: file["labels"] for file in client.get(FILES).json()["files"]} == {
        "leave.txt": ["boss", "hr"],
        "travel.md": [],
    }
    work(store, tools)
    with store.session() as session:
        assert read_corpus(session, "c")["leave.txt"][-1].labels == ("boss", "hr")
    send(client, ("travel.md", TRAVEL), data={"label": "hr"})
    work(store, tools)
    with store.session() as session:
        found = read_corpus(session, "c")["travel.md"][-1]
    assert (found.labels, found.status) == (("hr",), "active")
    assert len(kept(settings)) == 2
    generation = sorted((settings.home / "generations").glob("c-*/generation.json"), key=lambda p: p.stat().st_mtime)
    index = tools.engine.open(generation[-1].parent.name)
    assert index.count([readable_by([])]) == 0
    index.close()


@pytest.mark.parametrize("name", ["../../records.sqlite", "a/b.md", ".env", "x.exe", "x\u202ey.md"])
def test_path_tricks_and_programs_are_refused(client: TestClient, settings: Settings, name: str) -> None:
    answer = send(client, ("travel.md", TRAVEL), (name, b"x"), status=400)
    assert ("are not read" if name == "x.exe" else "give the file a plain name") in answer["error"]
    assert kept(settings) == []
    assert list_sources_of(client) == []


def test_limits_stop_a_stream_and_keep_nothing(client: TestClient, settings: Settings) -> None:
    megabyte = b"x" * (1024 * 1024)
    answer = send(client, ("ok.txt", b"fine"), ("big.txt", megabyte + b"x"), status=413)
    assert "big.txt has more than 1 MB" in answer["error"]
    assert (
        "PROVENANT_SOURCES__UPLOAD_MEGABYTES"
        in (send(client, *((f"{number}.txt", megabyte) for number in range(3)), status=413)["error"])
    )
    assert "empty" in send(client, ("empty.txt", b""), status=400)["error"]
    assert kept(settings) == []
    assert list((settings.home / "uploads" / ".incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        (b"{}", "application/json", "multipart/form-data"),
        (b"", "multipart/form-data; boundary=x", "cut short"),
        (b"nonsense", "multipart/form-data; boundary=x", "damaged"),
        (b"--x--\r\n", "multipart/form-data; boundary=x", "no file"),
        (
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhalf of it',
            "multipart/form-data; boundary=x",
            "cut short",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="lable"\r\n\r\nhr\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            "a field 'lable'",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="label"\r\n\r\n\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            "label is empty",
        ),
    ],
)
def test_broken_forms_keep_nothing(
    client: TestClient, settings: Settings, content: bytes, kind: str, sentence: str
) -> None:
    response = client.post(FILES, content=content, headers={"Content-Type": kind})
    assert response.status_code == 400
    assert sentence in response.json()["error"]
    assert kept(settings) == []


def test_only_owners_may_upload_look_at_jobs_and_cancel(client: TestClient, store: Store, settings: Settings) -> None:
    with store.session() as session:
        add_principal(session, "eve", labels=("hr",))
        add_principal(session, "olga", labels=(), role="owner")
    assert "no owner" in send(client, ("travel.md", TRAVEL), params={"principal": "eve"}, status=403)["error"]
    assert send(client, ("travel.md", TRAVEL), params={"principal": "nobody"}, status=403)
    assert client.get("/api/jobs", params={"principal": "eve"}).status_code == 403
    assert kept(settings) == []
    job = send(client, ("travel.md", TRAVEL), params={"principal": "olga"})["job"]
    assert client.post(f"/api/jobs/{job}/cancel", params={"principal": "eve"}).status_code == 403
    assert client.post(f"/api/jobs/{job}/cancel").json()["status"] == "cancelled"
    assert client.delete(f"/api/jobs/{job}").status_code == 400
    assert client.get("/api/jobs/j-none").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
    ],
)
def test_page_of_another_site_may_not_upload_or_cancel(
    client: TestClient, settings: Settings, headers: dict[str, str]
) -> None:
    job = send(client, ("leave.txt", b"25 days"))["job"]
    assert "another site" in send(client, ("travel.md", TRAVEL), headers=headers, status=403)["error"]
    assert client.post(f"/api/jobs/{job}/cancel", headers=headers).status_code == 403
    assert client.delete(f"{FILES}/leave.txt", headers=headers).status_code == 403
    send(client, ("own.txt", b"x"), headers={"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"})
    assert [path.name for path in kept(settings)] == ["leave.txt", "own.txt"]


def test_document_of_another_folder_is_not_taken_over(
    client: TestClient, tools: IngestTools, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "share"
    folder.mkdir()
    (folder / "travel.md").write_bytes(TRAVEL)
    run_ingest(IngestRequest((folder,), "c"), tools)
    assert f"comes from the folder {folder}" in send(client, ("travel.md", b"# Other"), status=400)["error"]
    assert kept(settings) == []


@pytest.mark.parametrize("collection", ["..", "a b", "x" * 61])
def test_collection_is_a_plain_name(client: TestClient, settings: Settings, collection: str) -> None:
    response = client.post(f"/api/collections/{collection}/files", files=[("files", ("a.txt", b"x"))])
    assert response.status_code in {400, 404, 405}
    assert kept(settings) == []


def list_sources_of(client: TestClient) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = client.get(FILES).json()["files"]
    return files


def test_folder_of_labels_is_a_source_with_these_labels(client: TestClient, store: Store) -> None:
    send(client, ("leave.txt", b"25 days"), data={"label": "hr"})
    (source,) = list_sources(store)
    assert (source.kind, source.labels, source.collection) == ("upload", ("hr",), "c")
