"""Give each footnote to the Clause that refers to it.

Clauses are found without the footnotes, whose numbers and small print would be taken for items and headings. Then
each footnote that stands inside or right below its Clause becomes part of it; one that stands elsewhere on its page
is a Clause of its own with the number and the path of the Clause that refers to it. Every character that is not white
space still belongs to exactly one Clause, in order. Knows nothing of pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingest.documents import Clause, Note


def attach_notes(clauses: Sequence[Clause], notes: Sequence[Note], text: str) -> tuple[Clause, ...]:
    """Return the Clauses with the footnotes in them. `clauses` are in order, and no footnote is the start of one."""
    attached = list(clauses)
    for note in sorted(notes, key=lambda note: note.start):
        _attach(attached, note, text)
    return tuple(attached)


def _attach(clauses: list[Clause], note: Note, text: str) -> None:
    home = next((clause for clause in clauses if clause.start <= note.reference < clause.end), None)
    number, path = (home.number, home.path) if home else ("", ())
    own = Clause(number, path, note.start, note.end)
    position = sum(1 for clause in clauses if clause.start < note.start)
    before = clauses[position - 1] if position else None
    if before is not None and note.end <= before.end:
        if not _alike(before, own):
            clauses[position - 1 : position] = _around(before, own, text)
    elif before is not None and _alike(before, own):
        clauses[position - 1] = replace(before, end=note.end)
    else:
        clauses.insert(position, own)


def _alike(clause: Clause, own: Clause) -> bool:
    return clause.kind == own.kind and (clause.number, clause.path) == (own.number, own.path)


def _around(clause: Clause, own: Clause, text: str) -> list[Clause]:
    """Return a Clause in two parts, with one that stands inside it between them."""
    before, after = text[clause.start : own.start].rstrip(), text[own.end : clause.end].lstrip()
    first = [replace(clause, end=clause.start + len(before))] if before else []
    return [*first, own, *([replace(clause, start=clause.end - len(after))] if after else [])]
