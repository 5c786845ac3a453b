"""What the page remembers of a session, and the wish of a session to stop.

A session is a dict of plain values that lives in the web process under the browser's session: the conversation id, and
of the latest turns what was shown and the Citations it may open. No service, no document and nothing of anybody else.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from threading import Event, Lock
from typing import Any

from assistant.answer import Citation
from ui.markup import Html, together

MOST_TURNS = 40

Session = dict[str, Any]


def new_session() -> Session:
    """Return a session that asked nothing yet, with a conversation id nobody can guess."""
    return {
        "conversation": _new_id(),
        "collection": "",  # of the last question
        "asking": "",  # the last question
        "count": 0,  # of finished turns, those no longer kept included
        "turns": [],
    }


def keep_turn(session: Session, html: Html, *, citations: tuple[Citation, ...]) -> int:
    """Add a finished turn and return its number; the oldest leaves when there are more than MOST_TURNS."""
    session["count"] += 1
    _keep(session, {"number": session["count"], "html": html, "citations": [asdict(one) for one in citations]})
    return int(session["count"])


def begin_question(session: Session, question: str, *, collection: str, divider: Html) -> None:
    """Note what is asked. Another collection than before begins a new conversation, below a divider."""
    if session["collection"] not in {"", collection}:
        _keep(session, {"number": 0, "html": divider, "citations": []})
        session["conversation"] = _new_id()
    session["collection"], session["asking"] = collection, question


def written(session: Session) -> Html:
    """Return everything that was shown so far."""
    return together(*(entry["html"] for entry in session["turns"]))


def citations_of(session: Session, turn: int) -> tuple[Citation, ...]:
    """Return the Citations that a turn of this session may open; () for a turn it does not have."""
    for entry in session["turns"]:
        if entry["number"] == turn:
            return tuple(Citation(**{**cited, "path": tuple(cited["path"])}) for cited in entry["citations"])
    return ()


@dataclass
class Running:
    """A question being answered: the wish to stop it, and whether it has ended."""

    stop: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)


class Stops:
    """The running questions, one per session, found by session hash. Belongs to one page, not to the process."""

    def __init__(self) -> None:
        self._running: dict[str, Running] = {}
        self._lock = Lock()

    def begin(self, session: str) -> Running | None:
        """Take a session's place for a question; None while its last one has not ended. Give it back with `end`."""
        with self._lock:
            if session in self._running:
                return None
            return self._running.setdefault(session, Running())

    def end(self, session: str) -> None:
        """Give a session's place back: its question ended, and shows nothing any more."""
        with self._lock:
            running = self._running.pop(session, None)
        if running:
            running.stop.set()
            running.ended.set()

    def stop(self, session: str, *, wait_seconds: float = 0.0) -> None:
        """Stop what a session has running, if anything, and wait for its end at most as long as said."""
        with self._lock:
            running = self._running.get(session)
        if running:
            running.stop.set()
            running.ended.wait(wait_seconds)


def _keep(session: Session, entry: dict[str, Any]) -> None:
    session["turns"] = [*session["turns"], entry][-MOST_TURNS:]


def _new_id() -> str:
    return secrets.token_urlsafe(12)
