"""The connection to a Qdrant server: calls that are tried again, and end as one sentence where they fail.

Every call is one whose repetition changes nothing (a point goes under its own id, a collection that is there is not
made again), so a lost connection, a busy server and a node that is just leaving are met by trying again after a pause
that doubles. What a server answers otherwise is told with its address, what was wrong and what to do; the key is in no
sentence. Refuses to know what is called.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from governance.errors import ProvenantError
from governance.settings import IndexSettings

OLDEST_VERSION = (1, 10)  # the first with one query call for vectors and words, and with IDF
_PASSING = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_SHOWN_CHARACTERS = 200
_DISK_FULL = re.compile(
    r"no space left|os error 28|not enough (disk )?space|insufficient storage|disk .{0,20}full", re.I
)
_VERSION = re.compile(r"(\d+)\.(\d+)")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Connection:
    """A client, the address to name in sentences, and how often a lost call is tried again."""

    client: QdrantClient
    address: str = "this process"
    retries: int = 0
    pause: Callable[[float], None] = time.sleep

    def call(self, operation: Callable[[QdrantClient], _Result]) -> _Result:
        """Return what an operation gives, tried again where that can help. Raises ProvenantError."""
        for attempt in range(self.retries + 1):
            try:
                return operation(self.client)
            except (ResponseHandlingException, UnexpectedResponse, ResourceExhaustedResponse) as error:
                if attempt == self.retries or not _may_pass(error):
                    raise ProvenantError(self._sentence(error)) from error
                self.pause(_pause_seconds(error, attempt))
        raise AssertionError("the loop ends by a result or an error")

    def _sentence(self, error: Exception) -> str:
        """Return what went wrong, where, and what to do."""
        server, tries = f"the Qdrant server at {self.address}", f"{self.retries + 1} tries"
        status = error.status_code if isinstance(error, UnexpectedResponse) else None
        told = _told(error)
        if status in {401, 403}:
            return f"{_capital(server)} refuses the key; give one that may write in PROVENANT_INDEX__API_KEY."
        if status == 507 or _DISK_FULL.search(told):
            return f"The disk of {server} is full. What answers is as it was; free space there and try again."
        if isinstance(error, ResponseHandlingException) and isinstance(error.source, httpx.TimeoutException):
            return f"{_capital(server)} did not answer in time in {tries}; raise PROVENANT_INDEX__TIMEOUT_SECONDS."
        if isinstance(error, ResponseHandlingException) and isinstance(error.source, httpx.TransportError):
            return (
                f"No Qdrant server answers at {self.address} in {tries} ({told}). "
                "Start it, or correct PROVENANT_INDEX__URL."
            )
        if isinstance(error, ResponseHandlingException):
            return f"What answers at {self.address} is no Qdrant server that we know; correct PROVENANT_INDEX__URL."
        return f"{_capital(server)} could not do what was asked in {tries} ({status or 429}: {told}). See its log."


def connect(settings: IndexSettings, *, pause: Callable[[float], None] = time.sleep) -> Connection:
    """Return the connection to a server that answers, takes the key and is recent enough. Raises ProvenantError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a key over plain HTTP: docs/operate.md says when that is well
        client = QdrantClient(
            url=settings.url,
            api_key=settings.api_key.get_secret_value() or None,
            timeout=settings.timeout_seconds,
            check_compatibility=False,
        )
    connection = Connection(client, settings.url, settings.retries, pause)
    version = connection.call(lambda client: client.info()).version
    connection.call(lambda client: client.get_collections())
    found = _VERSION.match(version)
    if found and (int(found[1]), int(found[2])) < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        raise ProvenantError(
            f"The Qdrant server at {settings.url} has version {version} and {oldest} is the oldest that works here; "
            "upgrade the server."
        )
    return connection


def _may_pass(error: Exception) -> bool:
    """Tell whether the same call may go well in a moment."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code in _PASSING
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TransportError)
    return True


def _pause_seconds(error: Exception, attempt: int) -> float:
    asked = float(error.retry_after_s) if isinstance(error, ResourceExhaustedResponse) else 0.0
    doubled: float = _FIRST_PAUSE_SECONDS * 2**attempt
    return min(_LONGEST_PAUSE_SECONDS, max(asked, doubled))


def _told(error: Exception) -> str:
    """Return what a server or the connection said, short and on one line."""
    if isinstance(error, UnexpectedResponse):
        text = error.content.decode("utf-8", "replace") or error.reason_phrase
    else:
        text = str(error.source) if isinstance(error, ResponseHandlingException) else str(error)
    return " ".join(text.split())[:_SHOWN_CHARACTERS]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
