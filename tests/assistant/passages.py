"""Passages for tests, made from words."""

from __future__ import annotations

from assistant.retrieve import Passage
from ingest.index import EVERYONE, NO_END, Stored


def passage(
    text: str, *, rank: int = 1, title: str = "Travel policy", kind: str = "clause", **values: object
) -> Passage:
    stored: dict[str, object] = {
        "id": f"sha256:{rank:064x}",
        "document": "travel.pdf",
        "version": "sha256:v",
        "title": title,
        "clause": "4.2",
        "path": ("Lodging",),
        "kind": kind,
        "page": 3,
        "start": 100,
        "end": 100 + len(text),
        "text": text,
        "labels": (EVERYONE,),
        "effective_from": 10101,
        "effective_to": NO_END,
        **values,
    }
    return Passage(Stored(**stored), rank, 1.0 / rank, 0.5, 5.0)  # type: ignore[arg-type]
