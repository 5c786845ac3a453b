"""Ask a running server what a command would otherwise do itself.

With the embedded engine the serving process owns the index. Its lock file tells where it listens and holds a key that
only the owner of the home folder can read; a command that finds the lock taken goes there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from governance.errors import BadInput, Busy, NotFound, PartlyDone, ProvenantError, RefusedByPolicy
from governance.locks import holder
from governance.settings import Settings

_ANSWER_SECONDS = 600.0


@dataclass(frozen=True)
class ServerClient:
    """A client of one server."""

    url: str
    key: str

    def ask(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the events of an answer. Raises the error that the server names."""
        with self._client() as client, client.stream("POST", "/api/ask", json=body) as response:
            if response.status_code != 200:
                response.read()
                raise _to_error(response.json(), response.status_code)
            for line in response.iter_lines():
                if line.startswith("data: "):
                    event = json.loads(line.removeprefix("data: "))
                    if event["type"] == "error":
                        raise _to_error(event, 500)
                    yield event

    def search(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the passages of a search. Raises the error that the server names."""
        passages: list[dict[str, Any]] = self.post("/api/search", body)["passages"]
        return passages

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON object that a route answers with. Raises the error that the server names."""
        with self._client() as client:
            response = client.post(path, json=body)
        if response.status_code != 200:
            raise _to_error(response.json(), response.status_code)
        value: dict[str, Any] = response.json()
        return value

    def upload(self, paths: Sequence[Path], collection: str, *, labels: Sequence[str] = ()) -> dict[str, Any]:
        """Send files to a collection and return the server's answer, which names the job. Raises what it names."""
        with ExitStack() as opened, self._client() as client:
            files = [("files", (path.name, opened.enter_context(path.open("rb")))) for path in paths]
            address = f"/api/collections/{collection}/files"
            response = client.post(address, files=files, data={"label": list(labels)})
        if response.status_code != 202:
            raise _to_error(response.json(), response.status_code)
        value: dict[str, Any] = response.json()
        return value

    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=_ANSWER_SECONDS, trust_env=False)


def serving_lock(settings: Settings) -> Path:
    """Return the lock that the serving process of a home holds."""
    return settings.home / "locks" / "serving.lock"


def find_server(settings: Settings) -> ServerClient | None:
    """Return a client of the server that owns this home's index, or None where none runs."""
    facts = holder(serving_lock(settings))
    return ServerClient(facts["url"], facts["key"]) if facts and "url" in facts else None


def _to_error(value: dict[str, Any], status: int) -> ProvenantError:
    kinds = {2: BadInput, 3: RefusedByPolicy, 4: PartlyDone}
    kind = (
        NotFound if status == 404 else Busy if status == 409 else kinds.get(value.get("exit_code", 1), ProvenantError)
    )
    return kind(str(value.get("error") or value.get("detail") or f"The server answered with status {status}."))
