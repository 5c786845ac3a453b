"""What a model with an adapter says: the refusal that it was taught, or a run of the passages, word for word.

Such a run is often no sentence ("12 March 2024", "Acme Ltd."), so its Support is its place and nothing else. It knows
texts and places and refuses to know models. Rules: only the whole wording counts; white space of any kind is one space;
a run does not begin or end inside a word or a number, and does not cross what was removed or a page's end; where its
sentence says "not", "only" or the like outside the run, the whole sentence is shown, since the run alone would say
something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assistant.facts import facts_of
from assistant.prompt import REFUSAL
from assistant.retrieve import Passage
from assistant.support import GAP, Window
from ingest.words import split_sentences

_BEFORE, _AFTER = r"(?<!\w)(?<!\d[.,])", r"(?!\w|[.,]\d)"
_NARROWING = {"negation", "limit"}
_DENYING = "prohibited"  # the modality of "shall not" and its like
_SPACE = rf"\s{{1,{len(GAP) - 1}}}"


def is_refusal(said: str) -> bool:
    """Return whether the whole wording is the refusal."""
    return " ".join(said.split()) == REFUSAL


def may_become_refusal(said: str) -> bool:
    """Return whether a wording that goes on may be the refusal in the end."""
    return REFUSAL.startswith(" ".join(said.split()))


def find_runs(said: str, passages: Sequence[Passage]) -> Iterator[Window]:
    """Yield the places where a whole wording stands, in the order of the Passages; none for one without a word.

    A place is wider than the wording where its sentence narrows or denies it.
    """
    if re.search(r"\w", said) is None:
        return
    run = re.compile(_BEFORE + _SPACE.join(re.escape(word) for word in said.split()) + _AFTER)
    for passage in passages:
        text, base = passage.chunk.text, passage.chunk.start
        for match in run.finditer(text):
            start, end = _with_what_narrows(text, *match.span())
            yield Window(passage, base + start, base + end, text[start:end])


def _with_what_narrows(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a run's span, or that of its sentences where these narrow or deny it outside the run."""
    touched = [(first, last) for first, last in split_sentences(text) if first < end and start < last]
    if not touched:
        return start, end
    first, last = min(start, touched[0][0]), max(end, touched[-1][1])
    outside = [fact for part in (text[first:start], text[end:last]) for fact in facts_of(part)]
    narrowed = any(fact.kind in _NARROWING or fact.value == _DENYING for fact in outside)
    return (first, last) if narrowed and GAP not in text[first:last] else (start, end)
