"""The Desk: everything the page needs from the rest of Provenant, and nothing else.

The page knows this Protocol only. It never sees an index, a model or a store, so it can be shown with a scripted Desk
and mounted with the real one. A Desk is shared by all sessions: what belongs to one person (the conversation, the
wish to stop) arrives as an argument of each call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from threading import Event
from typing import Protocol

from assistant.answer import AskEvent, Citation


@dataclass(frozen=True)
class Badge:
    """What would answer now: the release, its model and the index it reads; counts of documents and index points."""

    release_id: str
    model: str
    quantization: str
    adapter: str | None
    index_date: date
    documents: int
    points: int


class Desk(Protocol):
    """The answering side of the page. Every method raises ProvenantError with a sentence for a person."""

    def collections(self) -> list[str]:
        """Return the names of the collections that may be asked, the preferred one first."""
        ...

    def ask(
        self, question: str, *, collection: str, conversation: str, as_of: date | None, stop: Event
    ) -> Iterator[AskEvent]:
        """Yield Steps as they end, Drafts as they come, and one Answer last.

        The `condense` Step's detail is the Query where the question was rewritten, else "". Once `stop` is set the
        iterator ends within a token or two; what it yields after that is not shown.
        """
        ...

    def badge(self, collection: str) -> Badge:
        """Return what would answer a question to this collection now."""
        ...

    def picture(self, citation: Citation) -> bytes | None:
        """Return a PNG of the cited page with the span marked, or None for a source without pages."""
        ...

    def surroundings(self, citation: Citation) -> tuple[str, str, str]:
        """Return the text before the cited span, the span itself, and the text after it."""
        ...

    def trace_link(self, trace_id: str) -> str:
        """Return the URL path of a decision trace, such as /traces/ID."""
        ...

    def suggestions(self, collection: str) -> list[str]:
        """Return a few example questions for an empty conversation."""
        ...
