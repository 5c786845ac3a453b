"""The chat page in Gradio: its parts, what each does, and what a session remembers.

The one module of the page that imports gradio at its top; import it late. It lays out, wires and passes on: what is
shown is made in `chat` and `evidence`, what is answered comes from the Desk. Its rules: whatever belongs to a person
is in that person's session (ids, the finished turns and their Citations as plain values) or under its session hash;
a browser may name a turn and a Citation number, never a document.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from threading import Event
from typing import Any

import gradio as gr

from assistant.answer import AskEvent
from governance.errors import BadInput, ProvenantError
from ui import chat, evidence
from ui.desk import Badge, Desk
from ui.markup import Html, element, together
from ui.progress import Progress, follow
from ui.session import Session, Stops, begin_question, citations_of, keep_turn, new_session, written

_MOST_QUESTION_CHARACTERS = 2000
_MOST_SECONDS_TO_STOP = 10.0
_LEAST_SECONDS_BETWEEN_DRAFTS = 0.06
_TURN_AND_NUMBER = re.compile(r"([0-9]{1,6}):([0-9]{1,6})")
_LISTEN = """
element.addEventListener('click', (click) => {
    const from = click.target.closest('[data-open], [data-ask]');
    if (!from) return;
    if (from.dataset.open) trigger('select', {open: from.dataset.open});
    else trigger('ask', {ask: from.dataset.ask});
});
"""
_BRAND = together(
    element("h1", "Provenant"),
    element("p", "Answers with their evidence"),
)

Updates = dict[Any, Any]
Choice = tuple[str | None, str | None]  # collection, and the day as it was written


@dataclass(frozen=True)
class Parts:
    """The components of the page that change."""

    session: Any
    collection: Any
    as_of: Any
    fresh: Any
    past: Any
    live: Any
    question: Any
    send: Any
    stop: Any
    evidence: Any


class Handlers:
    """What happens when a person does something. One for all sessions; holds nothing of any of them."""

    def __init__(self, desk: Desk, parts: Parts) -> None:
        self._desk, self._parts, self._stops = desk, parts, Stops()

    def arrive(self) -> Updates:
        """Fill a page that was just loaded."""
        try:
            names = self._desk.collections()
        except ProvenantError as error:
            return {self._parts.past: chat.problem(str(error)), self._parts.session: new_session()}
        first = names[0] if names else None
        return {
            self._parts.collection: gr.update(choices=names, value=first),
            **self._empty(first),
        }

    def ask(
        self, question: str, collection: str | None, as_of: str | None, session: Session | None, request: gr.Request
    ) -> Iterator[Updates]:
        """Show a question being answered, then its checked answer. Does nothing while the last one still is."""
        question, place = question.strip(), str(request.session_hash)
        running = self._stops.begin(place) if question else None
        if running is None:
            return
        session = session or new_session()
        try:
            yield self._begun(session, question, collection or "")
            yield from self._answering(question, (collection, as_of), session=session, stop=running.stop)
        finally:
            self._stops.end(place)

    def ask_suggested(
        self,
        collection: str | None,
        as_of: str | None,
        session: Session | None,
        request: gr.Request,
        event: gr.EventData,
    ) -> Iterator[Updates]:
        """Ask a question that was offered."""
        yield from self.ask(str(_said(event, "ask")), collection, as_of, session, request)

    def stop(self, request: gr.Request) -> Updates:
        """Stop the running question of this session."""
        self._stops.stop(str(request.session_hash))
        return {self._parts.stop: gr.update(value="Stopping…", interactive=False)}

    def leave(self, request: gr.Request) -> None:
        """Stop the running question of a session whose window was closed."""
        self._stops.stop(str(request.session_hash))

    def settle(self, session: Session | None) -> Updates:
        """Let the next question be asked."""
        live = session["turns"][-1]["html"] if session and session["turns"] else gr.skip()
        return {self._parts.live: live}

    def open(self, session: Session | None, event: gr.EventData) -> Updates:
        """Open a Citation of one of this session's turns in the evidence panel."""
        named = _TURN_AND_NUMBER.fullmatch(str(_said(event, "open")))
        if not session or not named:
            return {self._parts.evidence: evidence.not_kept("")}
        return {self._parts.evidence: self._evidence(session, turn=int(named[1]), number=int(named[2]))}

    def fail(self, session: Session | None) -> Updates:
        """Say that the server failed in a way that nobody foresaw; the details are in its log, not on the page."""
        session = session or new_session()
        sentence = "The server failed while answering, and its log says why; ask again, or tell whoever runs it."
        updates = self._finished(Progress(session["asking"], error=sentence), session=session, badge=None)
        return {**updates, **self.settle(session)}

    def start_over(self, collection: str | None, request: gr.Request) -> Updates:
        """Begin a new conversation; what still runs is stopped, and shows nothing after this."""
        self._stops.stop(str(request.session_hash), wait_seconds=_MOST_SECONDS_TO_STOP)
        return self._empty(collection)

    def change_collection(self, collection: str | None, session: Session | None) -> Updates:
        """Offer what another collection can be asked, where nothing was asked yet; else the next question tells."""
        if session and session["asking"]:
            return {self._parts.session: gr.skip()}
        return self._empty(collection)

    def _begun(self, session: Session, question: str, collection: str) -> Updates:
        parts = self._parts
        divider = chat.divider(f"From here on: {collection}")
        begin_question(session, question, collection=collection, divider=divider)
        return {
            parts.session: session,
            parts.past: written(session),
            parts.live: chat.turn(Progress(question), number=session["count"] + 1, busy=True),
            parts.question: "",
            parts.stop: gr.update(value="Stop", interactive=True),
        }

    def _answering(self, question: str, choice: Choice, *, session: Session, stop: Event) -> Iterator[Updates]:
        shown, steps, progress, badge = 0.0, 0, Progress(question), None
        try:
            badge, events = self._asked(question, choice, session=session, stop=stop)
            for progress in follow(question, events, stop=stop):
                due = len(progress.steps) > steps or time.monotonic() - shown > _LEAST_SECONDS_BETWEEN_DRAFTS
                if due and not progress.ended:
                    shown, steps = time.monotonic(), len(progress.steps)
                    yield {self._parts.live: chat.turn(progress, number=session["count"] + 1, busy=True)}
        except ProvenantError as error:
            progress = Progress(question, error=str(error))
        yield self._finished(progress, session=session, badge=badge)

    def _asked(
        self, question: str, choice: Choice, *, session: Session, stop: Event
    ) -> tuple[Badge, Iterator[AskEvent]]:
        collection, as_of = choice
        if not collection:
            raise BadInput("No collection is chosen; choose one at the top, or ingest documents first.")
        day = _day(as_of)
        badge = self._desk.badge(collection)
        conversation = session["conversation"]
        return badge, self._desk.ask(question, collection=collection, conversation=conversation, as_of=day, stop=stop)

    def _finished(self, progress: Progress, *, session: Session, badge: Badge | None) -> Updates:
        answer = progress.answer
        link = self._desk.trace_link(answer.trace_id) if answer and answer.trace_id else ""
        number = session["count"] + 1
        show = partial(chat.turn, progress, number=number, badge=badge, trace_link=link)
        keep_turn(session, show(), citations=chat.openable(answer) if answer else ())
        kept = {self._parts.question: progress.question} if progress.error else {}
        return {self._parts.live: show(busy=True), self._parts.session: session, **kept}

    def _evidence(self, session: Session, *, turn: int, number: int) -> Html:
        among = citations_of(session, turn)
        cited = next((citation for citation in among if citation.number == number), None)
        if cited is None:
            return evidence.not_kept(f"{turn}:{number}")
        numbers = tuple(citation.number for citation in among)
        return evidence.panel(evidence.look_up(self._desk, cited), turn=turn, among=numbers)

    def _empty(self, collection: str | None) -> Updates:
        return {
            self._parts.session: new_session(),
            self._parts.past: self._welcome(collection),
            self._parts.live: "",
            self._parts.evidence: evidence.nothing_open(),
        }

    def _welcome(self, collection: str | None) -> Html:
        if not collection:
            return chat.problem("There is no collection to ask yet; ingest documents first, then load this page again.")
        try:
            badge, suggestions = self._desk.badge(collection), self._desk.suggestions(collection)
        except ProvenantError as error:
            return chat.problem(str(error))
        return chat.welcome(suggestions, collection=collection, badge=badge)


def build(desk: Desk) -> gr.Blocks:
    """Return the page on top of a Desk."""
    with gr.Blocks(title="Provenant", analytics_enabled=False, fill_width=True) as page:
        parts = _layout()
        _wire(page, parts, Handlers(desk, parts))
    return page


def theme() -> Any:
    """Return the look that Gradio's own parts take: the system's fonts, a quiet ink and one accent."""
    fonts = [gr.themes.Font(font) for font in ("ui-sans-serif", "system-ui", "Segoe UI", "sans-serif")]
    mono = [gr.themes.Font(font) for font in ("ui-monospace", "monospace")]
    return gr.themes.Base(primary_hue="teal", neutral_hue="slate", font=fonts, font_mono=mono, radius_size="md")


def _layout() -> Parts:
    session = gr.State(None)
    with gr.Row(elem_id="pv-top"):
        gr.HTML(_BRAND, elem_id="pv-brand", apply_default_css=False, js_on_load=None)
        collection = gr.Dropdown(
            label="Collection", choices=[], elem_id="pv-collection", container=False, min_width=120
        )
        with gr.Accordion("Options", open=False, elem_id="pv-options"):
            as_of = gr.Textbox(label="As of (YYYY-MM-DD)", placeholder="today", max_lines=1, elem_id="pv-as-of")
        fresh = gr.Button("New conversation", size="sm", elem_id="pv-fresh")
    with gr.Row(elem_id="pv-main"):
        with gr.Column(elem_id="pv-chat"):
            with gr.Column(elem_id="pv-log"):
                past, live = _html("pv-past"), _html("pv-live")
            question, send, stop = _composer()
        with gr.Column(elem_id="pv-evidence"):
            shown = _html("pv-shown", evidence.nothing_open())
    return Parts(session, collection, as_of, fresh, past, live, question, send, stop, shown)


def _html(name: str, value: str = "") -> Any:
    return gr.HTML(value, elem_id=name, apply_default_css=False, js_on_load=_LISTEN)


def _composer() -> tuple[Any, Any, Any]:
    with gr.Row(elem_id="pv-composer"):
        question = gr.Textbox(
            label="Your question",
            show_label=False,
            placeholder="Ask a question",
            lines=1,
            max_lines=5,
            max_length=_MOST_QUESTION_CHARACTERS,
            container=False,
            autofocus=True,
            elem_id="pv-question",
        )
        send = gr.Button("Send", variant="primary", elem_id="pv-send", min_width=84)
        stop = gr.Button("Stop", variant="stop", elem_id="pv-stop", min_width=84)
    return question, send, stop


def _wire(page: gr.Blocks, parts: Parts, handlers: Handlers) -> None:
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    streaming: dict[str, Any] = {**quiet, "concurrency_limit": None, "concurrency_id": "ask", "trigger_mode": "once"}
    # Straight requests: an event that joins Gradio's stream in the moment it closes loses what it sends back.
    at_once: dict[str, Any] = {**quiet, "queue": False}
    chosen = [parts.collection, parts.as_of, parts.session]
    shown = [parts.past, parts.live, parts.question, parts.stop, parts.session, parts.evidence]
    typed = gr.on(
        [parts.question.submit, parts.send.click], handlers.ask, [parts.question, *chosen], shown, **streaming
    )
    offered = parts.past.ask(handlers.ask_suggested, chosen, shown, **streaming)
    for asked in (typed, offered):
        asked.success(handlers.settle, [parts.session], [parts.live], **at_once)
        asked.failure(handlers.fail, [parts.session], shown, **at_once)
    opens = [parts.past.select, parts.live.select, parts.evidence.select]
    gr.on(opens, handlers.open, [parts.session], [parts.evidence], trigger_mode="multiple", **at_once)
    parts.stop.click(handlers.stop, None, [parts.stop], **at_once)
    parts.fresh.click(handlers.start_over, [parts.collection], shown, **at_once)
    parts.collection.input(handlers.change_collection, [parts.collection, parts.session], shown, **at_once)
    page.load(handlers.arrive, None, [parts.collection, *shown], **at_once)
    page.unload(handlers.leave)


def _said(event: gr.EventData, key: str) -> object:
    """Return what the browser sent along, which may be anything."""
    data = event._data
    return data.get(key, "") if isinstance(data, dict) else ""


def _day(written: str | None) -> date | None:
    day = (written or "").strip()
    if not day:
        return None
    with suppress(ValueError):
        return date.fromisoformat(day)
    raise BadInput(f"The day {day!r} under Options is not a date; write it as 2025-12-31, or leave it empty.")
