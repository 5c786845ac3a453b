"""A real Qdrant server for the conformance test: one that a URL names, or a binary on the PATH."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_START_SECONDS = 60.0


def server_url() -> str:
    """Return the URL of a server that was started for these tests, "" where none is named."""
    return os.environ.get("PROVENANT_TEST_QDRANT_URL", "")


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Run the `qdrant` of the PATH on free ports of the loopback; the test is skipped where there is none."""
    program = shutil.which("qdrant")
    if program is None:
        pytest.skip("no Qdrant server: set PROVENANT_TEST_QDRANT_URL, or put a qdrant binary on the PATH")
    folder.mkdir(parents=True)
    http_port, grpc_port = _free_port(), _free_port()
    environment = {
        **os.environ,
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(http_port),
        "QDRANT__SERVICE__GRPC_PORT": str(grpc_port),
        "QDRANT__STORAGE__STORAGE_PATH": str(folder / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    process = subprocess.Popen(
        [program], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{http_port}"
        _wait_until_ready(url, process)
        yield url
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the Qdrant server did not start (exit status {process.poll()})")
