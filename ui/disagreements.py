"""Disagreements: who says otherwise than the answer, as a person sees it: both sentences, what is at odds marked.

Pure functions from values to HTML. It shows what `assistant.answer_conflicts` reported and judges nothing itself. Rule:
both sides are shown alike, each with its source one click away; nothing says which of them is right.
"""

from __future__ import annotations

from assistant.answer import Answer, Citation, Conflict, ConflictSide
from ui.cited import chip, name, place
from ui.markup import Html, element, together

_HEADINGS = {"documents": "The documents disagree", "versions": "An earlier version says otherwise"}
_MOST_CHARACTERS = 320


def disagreements(answer: Answer, turn: int) -> Html:
    """Return a box for each Conflict of an answer, nothing where there is none; chips name the turn (from 1)."""
    cited = {citation.number: citation for citation in answer.citations}
    return together(*(_box(conflict, cited, turn) for conflict in answer.conflicts))


def _box(conflict: Conflict, cited: dict[int, Citation], turn: int) -> Html:
    heading, sides = _HEADINGS[conflict.between], (conflict.first, conflict.second)
    by_file = conflict.between == "documents" and sides[0].title == sides[1].title
    shown = [
        element(
            "figure",
            element("blockquote", *_marked(" ".join(side.quote.split()), side.said)),
            _caption(side, cited.get(side.citation), turn, by_file=by_file),
        )
        for side in sides
    ]
    return element(
        "section", element("h3", heading), *shown, class_="pv-box pv-conflict", role="note", aria_label=heading
    )


def _caption(side: ConflictSide, citation: Citation | None, turn: int, *, by_file: bool) -> Html:
    """Return where one side stands; where both have one title they are told apart `by_file` name."""
    if citation is None:
        return element("figcaption", side.title or side.document)
    facts = (side.document if by_file else name(citation), place(citation), _in_force(side))
    return element("figcaption", ", ".join(fact for fact in facts if fact), chip(citation, turn))


def _marked(quote: str, said: str) -> list[str]:
    """Return a quote with the words at odds marked, cut around them where it is long."""
    start = quote.find(said)
    if start < 0 or not said:
        return [_cut(quote, at_end=True)]
    end = start + len(said)
    return [_cut(quote[:start], at_end=False), element("mark", said), _cut(quote[end:], at_end=True)]


def _cut(text: str, *, at_end: bool) -> str:
    most = _MOST_CHARACTERS // 2
    if len(text) <= most:
        return text
    return f"{text[:most].rsplit(' ', 1)[0]} …" if at_end else f"… {text[-most:].split(' ', 1)[-1]}"


def _in_force(side: ConflictSide) -> str:
    return f"in force before {side.effective_to}" if side.effective_to else ""
