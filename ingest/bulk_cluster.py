"""The Ray cluster that a bulk ingest reads on: one that runs, joined by its address, or one of this machine.

A local cluster listens on the loopback only, with a token of its own, and ends with its block, whatever happened. No
usage is reported to anybody and no dashboard is started. What Ray changes in this process (environment, the handler of
SIGTERM) is put back. Refuses to know what is read.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from governance.errors import BadInput, ProvenantError

LOCAL = "local"
_LOOPBACK = "127.0.0.1"
_KNOCK_SECONDS = 10.0
_STORE_BYTES = 80 * 1024 * 1024  # what Ray wants at least; no text goes through it
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to a cluster, or start one on this machine, and let go of it at the end."""
    terminate = signal.getsignal(signal.SIGTERM)
    with _environment({**_QUIET, **(_closed_off() if address == LOCAL else {})}):
        import ray  # which reads some of it now, and hands it to what it starts

        try:
            _begin(address)
            yield
        except ray.exceptions.RayError as error:
            raise _failed(address, error) from error
        finally:
            ray.shutdown()
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, terminate)  # Ray had put its own handler in its place


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Let environment variables hold during a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _begin(address: str) -> None:
    import ray

    here = {"include_dashboard": False, "object_store_memory": _STORE_BYTES} if address == LOCAL else {}
    try:
        if address != LOCAL:
            _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
    except (OSError, ValueError, RuntimeError) as error:
        raise _failed(address, error) from error
    if address == LOCAL and any(node["NodeManagerAddress"] != _LOOPBACK for node in ray.nodes()):
        raise ProvenantError(
            "Ray listens beyond this machine, since it was loaded for another cluster before; "
            "run this ingest in a process of its own."
        )


def _knock(address: str) -> None:
    """Raise BadInput or OSError where nothing listens: Ray itself goes on trying for many minutes."""
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdigit():
        raise BadInput(
            f"The Ray cluster {address!r} cannot be joined; give the host and port of its head, as in head:6379, "
            "from a machine that belongs to it, or `local`."
        )
    socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()


def _failed(address: str, error: Exception) -> ProvenantError:
    said = (str(error).strip() or repr(error)).split("\n")[0][:200]
    return ProvenantError(f"The Ray cluster {address} failed ({said}). What was read is kept; run the ingest again.")


@cache
def _closed_off() -> Mapping[str, str]:
    """Return what keeps a local cluster to this machine and this process: the loopback, and a token of its own.

    Ray takes the loopback where it is told that it cannot form clusters, by the name that it has for other systems.
    """
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
