"""A server, a worker and a person on the command line at once, on the real models; nothing is damaged."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import SAMPLES
from tests.ui.test_browser import MARKED_PIXELS

pytestmark = [pytest.mark.models, pytest.mark.slow]

RUN = "from ui.cli import main; main()"
TRAVEL = "# Travel\n\nHotel rooms cost at most 120 dollars a night. Receipts must be kept for six years.\n"
WATCH_FOR_DRAFT = """() => {
    window.sawDraft = false;
    const look = () => { window.sawDraft ||= document.querySelector(".pv-draft") !== null; };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""
QUESTION = "How much do hotel rooms cost at most a night?"


class Home:
    """One home folder with the processes that a test starts in it."""

    def __init__(self, home: Path, models: Path) -> None:
        self.environment = {**os.environ, "PROVENANT_HOME": str(home), "PROVENANT_MODELS": str(models)}
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        ran = subprocess.run(
            [sys.executable, "-c", RUN, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == code, (arguments, ran.stdout, ran.stderr)
        return json.loads(ran.stdout) if "--json" in arguments else {"stdout": ran.stdout, "stderr": ran.stderr}

    def serve(self, *arguments: str) -> str:
        process = self.start("serve", "--port", "0", *arguments)
        assert process.stdout is not None
        line = next((line for line in process.stdout if "http://localhost:" in line), "")  # after what stderr tells
        assert line, "the server ended without an address"
        url = "http://127.0.0.1:" + line.split("localhost:")[1].split()[0]
        wait_for(lambda: httpx.get(f"{url}/healthz", timeout=2).status_code == 200)
        return url

    def end(self) -> None:
        for process in self.started:
            process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def wait_for(true: Any, *, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "travel.md").write_text(TRAVEL)
    return root


@pytest.fixture
def place(tmp_path: Path, models_root: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home", models_root)
    yield home
    home.end()


def test_server_worker_and_command_line_at_once(place: Home, corpus: Path) -> None:
    place.run("ingest", str(corpus), "--collection", "c")
    url = place.serve()
    place.start("worker")
    first = place.run("ask", QUESTION, "--collection", "c", "--json")
    assert "120 dollars" in first["answer"]
    for number in range(12):
        (corpus / f"rule-{number}.txt").write_text(
            f"Rule {number}\n\n" + "\n\n".join(f"Case {number}.{k} costs {k * 7} dollars." for k in range(20))
        )
    job = place.run("ingest", str(corpus), "--collection", "c", "--background", "--json")["job"]
    while place.run("jobs", "show", job, "--json")["status"] in {"queued", "running"}:
        found = place.run("search", "hotel rooms", "--collection", "c", "--json")["passages"]
        assert found[0]["document"] == "travel.md"
    done = place.run("jobs", "show", job, "--json")
    assert done["status"] == "done", done["message"]
    assert done["result"]["counts"]["added"] == 12
    assert "Case 7.3" in str(place.run("search", "case 7.3 costs", "--collection", "c", "--json"))
    second = place.run("ask", QUESTION, "--collection", "c", "--json")
    assert second["release_id"] == done["result"]["release_id"] != first["release_id"]
    assert httpx.get(f"{url}/healthz").json()["status"] == "ok"
    generations = place.run("index", "list", "--json")["generations"]
    assert next(one for one in generations if one["live"])["points"] == done["result"]["points"]


def test_uploaded_file_answers_and_a_watched_folder_is_read(place: Home, corpus: Path, tmp_path: Path) -> None:
    url = place.serve()
    place.start("worker")
    place.run("sources", "add", str(corpus), "--collection", "c", "--watch")
    parking = tmp_path / "parking.txt"
    parking.write_text("Parking costs 9 dollars a day.")
    sent = place.run("uploads", "add", str(parking), "--collection", "c", "--server", url, "--json")
    wait_for(lambda: place.run("jobs", "show", sent["job"], "--json")["status"] == "done")
    wait_for(lambda: place.run("sources", "list", "--json")["sources"][0]["job"]["status"] == "done")
    found = httpx.post(f"{url}/api/search", json={"query": "parking hotel", "collection": "c"}, timeout=60).json()
    assert {passage["document"] for passage in found["passages"]} == {"parking.txt", "travel.md"}
    place.run("uploads", "remove", "parking.txt", "--collection", "c")
    wait_for(lambda: "Parking" not in str(place.run("search", "parking", "--collection", "c", "--json")))


def test_the_page_the_traces_and_the_counters_are_served(place: Home, corpus: Path) -> None:
    place.run("ingest", str(corpus), "--collection", "c")
    url = place.serve()
    answer = place.run("ask", QUESTION, "--collection", "c", "--json")
    assert "<html" in httpx.get(f"{url}/").text
    page = httpx.get(f"{url}/traces/{answer['trace_id']}")
    assert "Hotel rooms cost at most 120 dollars" in page.text
    assert httpx.get(f"{url}/traces/t-none").status_code == 404
    assert 'provenant_requests_total{route="/api/ask",status="200"} 1.0' in httpx.get(f"{url}/metrics").text
    assert httpx.get(f"{url}/", headers={"Host": "evil.example"}).status_code == 400
    assert httpx.get(f"{url}/healthz").headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.browser
def test_a_person_asks_sees_the_words_stream_and_the_marked_page(place: Home, chromium: Any) -> None:
    charter = SAMPLES / "corpus" / "policies" / "data-governance-committee-charter.pdf"
    place.run("ingest", str(charter), "--collection", "c")
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    page.goto(place.serve())
    page.locator(".pv-welcome").wait_for(timeout=90_000)
    page.evaluate(WATCH_FOR_DRAFT)
    page.locator("#pv-question textarea").fill("How often does the data governance steering committee meet?")
    page.locator("#pv-question textarea").press("Enter")
    page.locator(".pv-answer").wait_for(timeout=90_000)
    assert page.evaluate("window.sawDraft") is True
    assert "meet at least quarterly" in page.locator(".pv-answer").inner_text()
    page.locator(".pv-chip").first.click()
    picture = page.get_by_alt_text("Page 9 of", exact=False)
    wait_for(lambda: picture.evaluate("image => image.complete && image.naturalWidth > 500"))
    assert picture.evaluate(MARKED_PIXELS) > 500
    page.locator("#pv-question textarea").fill("Who won the football World Cup in Qatar?")
    page.keyboard.press("Enter")
    page.get_by_text("Not in the documents").wait_for(timeout=60_000)
    page.close()


def test_second_server_busy_port_and_open_door_are_refused(place: Home, corpus: Path) -> None:
    place.run("ingest", str(corpus), "--collection", "c")
    place.serve()
    assert "A server at" in place.run("serve", "--port", "0", code=1)["stderr"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = place.run("serve", "--port", str(taken.getsockname()[1]), code=1)["stderr"]
        assert "cannot be taken" in said
    assert "PROVENANT_SERVER__TOKEN" in place.run("serve", "--host", "0.0.0.0", code=2)["stderr"]


def test_a_token_is_asked_of_everybody_when_it_is_set(place: Home, corpus: Path) -> None:
    place.run("ingest", str(corpus), "--collection", "c")
    place.environment["PROVENANT_SERVER__TOKEN"] = "open sesame"
    url = place.serve()
    assert httpx.get(f"{url}/").status_code == 401
    assert httpx.get(f"{url}/api/collections", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert httpx.get(f"{url}/api/collections", auth=("anybody", "open sesame")).json() == {"collections": ["c"]}
    assert httpx.get(f"{url}/healthz").status_code == 200
    del place.environment["PROVENANT_SERVER__TOKEN"]  # the owner's command finds the key in the lock file
    assert place.run("search", "hotel", "--collection", "c", "--json")["passages"]


def test_a_killed_server_leaves_nothing_that_bars_the_next(place: Home, corpus: Path) -> None:
    place.run("ingest", str(corpus), "--collection", "c")
    place.serve()
    place.started[-1].kill()
    place.started[-1].wait()
    assert place.run("search", "hotel", "--collection", "c", "--json")["passages"]
    place.serve()
