"""What a model with an adapter says: the refusal that it was taught, or a run of the passages, word for word.

Such a run is often no sentence ("12 March 2024", "Acme Ltd."), so its Support is its place and nothing else. It knows
texts and places and refuses to know models. Rules: only the whole wording counts; white space of any kind is one space;
a run does not begin or end inside a word or a number, and does not cross what was removed or a page's end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assistant.prompt import REFUSAL
from assistant.retrieve import Passage
from assistant.support import GAP, Window

_BEFORE, _AFTER = r"(?<!\w)(?<!\d[.,])", r"(?!\w|[.,]\d)"
_SPACE = rf"\s{{1,{len(GAP) - 1}}}"


def is_refusal(said: str) -> bool:
    """Return whether the whole wording is the refusal."""
    return " ".join(said.split()) == REFUSAL


def may_become_refusal(said: str) -> bool:
    """Return whether a wording that goes on may be the refusal in the end."""
    return REFUSAL.startswith(" ".join(said.split()))


def find_runs(said: str, passages: Sequence[Passage]) -> Iterator[Window]:
    """Yield the places where a whole wording stands, in the order of the Passages; none for one without a word."""
    if re.search(r"\w", said) is None:
        return
    run = re.compile(_BEFORE + _SPACE.join(re.escape(word) for word in said.split()) + _AFTER)
    for passage in passages:
        text, base = passage.chunk.text, passage.chunk.start
        for match in run.finditer(text):
            yield Window(passage, base + match.start(), base + match.end(), match.group())
