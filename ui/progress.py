"""What came of one question so far: the fold of a Desk's events that the conversation shows.

Knows no HTML and no Gradio. Its rules: it always ends, in exactly one of an Answer, an error or a stop; after a stop
nothing more is taken up, whatever the Desk still says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from threading import Event

from assistant.answer import Answer, AskEvent, Draft, Step
from governance.errors import ProvenantError


@dataclass(frozen=True)
class Progress:
    """What is known of one question so far. At most one of `answer`, `error` and `stopped` ends it."""

    question: str
    steps: tuple[Step, ...] = ()
    draft: str = ""
    answer: Answer | None = None
    error: str = ""
    stopped: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return bool(self.answer or self.error or self.stopped)


def follow(question: str, events: Iterable[AskEvent], *, stop: Event) -> Iterator[Progress]:
    """Yield the state after each event. The last one has ended, whatever the events did."""
    progress = Progress(question)
    yield progress
    try:
        for event in events:
            if stop.is_set():
                break
            progress = _with_event(progress, event)
            yield progress
    except ProvenantError as error:
        progress = replace(progress, error=str(error))
        yield progress
    if not progress.ended:
        yield _cut_short(progress, stop)


def _with_event(progress: Progress, event: AskEvent) -> Progress:
    if isinstance(event, Step):
        return replace(progress, steps=(*progress.steps, event))
    if isinstance(event, Draft):
        return replace(progress, draft=progress.draft + event.text)
    return replace(progress, answer=event)


def _cut_short(progress: Progress, stop: Event) -> Progress:
    if stop.is_set():
        return replace(progress, stopped=True)
    return replace(progress, error="The answer ended before it was complete; ask again, and report it if it recurs.")
