"""A page served on a free port of this machine, and a real Chromium to look at it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import skip_or_fail
from tests.ui.scripted import ScriptedDesk

CHROMIUM = Path("/usr/bin/chromium")
_CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_SECONDS_TO_START = 30


@dataclass
class Served:
    """A running page: its address, the Desk behind it, and every address that browsers asked for."""

    address: str
    desk: ScriptedDesk
    requested: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def _server() -> Iterator[Served]:
    import uvicorn
    from fastapi import FastAPI

    from ui.app import mount_page

    desk = ScriptedDesk()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    application = mount_page(FastAPI(), desk)
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    _until(lambda: server.started)
    yield Served(f"http://127.0.0.1:{port}", desk)
    server.should_exit = True
    thread.join(_SECONDS_TO_START)
    listening.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if not CHROMIUM.exists():
        skip_or_fail(f"{CHROMIUM} is not installed; the page is looked at with Debian's chromium package")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def served(chromium: Any, _server: Served) -> Served:
    """The page, with a Desk that remembers nothing of earlier tests. Skips where there is no Chromium."""
    desk = _server.desk
    desk.seconds_between_words = 0.0
    desk.held.clear()
    desk.asked.clear()
    desk.stopped.clear()
    _server.requested.clear()
    _server.complaints.clear()
    return _server


@pytest.fixture
def visit(served: Served, chromium: Any) -> Iterator[Any]:
    """Open the page in a window of its own: `visit(width=..., height=..., dark=...)` gives a Playwright page."""
    contexts: list[Any] = []

    def _visit(*, width: int = 1280, height: int = 800, dark: bool = False) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("request", lambda request: served.requested.append(request.url))
        page.on("pageerror", lambda error: served.complaints.append(str(error)))
        page.on("console", lambda said: served.complaints.append(said.text) if said.type == "error" else None)
        page.goto(served.address)
        page.locator(".pv-welcome").wait_for()
        return page

    yield _visit
    for context in contexts:
        context.close()


def _until(holds: Any) -> None:
    """Wait until something holds, at most as long as a server may take to start."""
    end = time.monotonic() + _SECONDS_TO_START
    while not holds():
        assert time.monotonic() < end, f"not within {_SECONDS_TO_START} seconds"
        time.sleep(0.02)
