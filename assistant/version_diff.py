"""What changed from one version of a document to another, Clause by Clause.

Clauses are paired by number and heading, then by the same words, then by the most alike words among neighbours that are
left; what finds no partner was added or removed. It knows two parsed texts and refuses to know where they are kept.
Rules: a Clause's own text counts without the Clauses below it, so that a change is told once; white space and case do
not count; a Clause whose number alone changed is moved, not changed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from assistant.clause_diff import DiffPart, diff_words, similarity
from ingest.documents import Clause, ParsedDocument

Fate = Literal["unchanged", "changed", "moved", "added", "removed"]
FATES: tuple[Fate, ...] = ("changed", "added", "removed", "moved", "unchanged")
_ALIKE = 0.6  # of the words in order: below it two Clauses are two
_SIGNS = re.compile(r"^[\s#*>-]+")
_MOST_TRIED = 40  # left over on each side for one look at who is alike; larger jumps are additions


@dataclass(frozen=True)
class ClausePart:
    """A Clause as one version has it: its own words, and where they stand."""

    number: str
    path: tuple[str, ...]
    text: str
    start: int
    end: int
    page: int | None

    @property
    def name(self) -> str:
        """How a person would call it."""
        heading = self.path[-1] if self.path else ""
        return heading if heading.startswith(self.number) else f"{self.number} {heading}".strip()


@dataclass(frozen=True)
class ClauseChange:
    """What became of one Clause; `before` or `after` is missing where it was added or removed."""

    fate: Fate
    before: ClausePart | None
    after: ClausePart | None

    @property
    def difference(self) -> list[DiffPart]:
        """The way from the old words to the new ones."""
        return diff_words(self.before.text if self.before else "", self.after.text if self.after else "")

    def to_value(self) -> dict[str, Any]:
        """Return the JSON form."""
        sides = {"before": self.before, "after": self.after}
        value: dict[str, Any] = {"fate": self.fate}
        value |= {
            name: None
            if part is None
            else {
                "number": part.number,
                "path": list(part.path),
                "page": part.page,
                "char_start": part.start,
                "char_end": part.end,
            }
            for name, part in sides.items()
        }
        return value | {"difference": self.difference if self.fate == "changed" else []}


def diff_versions(before: ParsedDocument, after: ParsedDocument) -> list[ClauseChange]:
    """Return what became of every Clause, in the order of the new version, what was removed at its old place."""
    old, new = list(parts_of(before)), list(parts_of(after))
    partner = _pairs(old, new)
    taken = set(partner.values())
    changes: list[ClauseChange] = []
    following = 0
    for number, part in enumerate(new):
        at = partner.get(number)
        if at is not None:
            changes += [ClauseChange("removed", old[gone], None) for gone in range(following, at) if gone not in taken]
            following = max(following, at + 1)
            changes.append(ClauseChange(_fate(old[at], part), old[at], part))
        else:
            changes.append(ClauseChange("added", None, part))
    changes += [ClauseChange("removed", old[gone], None) for gone in range(following, len(old)) if gone not in taken]
    return changes


def counts_of(changes: Iterable[ClauseChange]) -> dict[Fate, int]:
    """Return how many Clauses had each fate."""
    counted = Counter(change.fate for change in changes)
    return {fate: counted[fate] for fate in FATES}


def parts_of(parsed: ParsedDocument) -> list[ClausePart]:
    """Return the Clauses with their own words: what stands before the first Clause below, and behind the last."""
    clauses = sorted(parsed.clauses, key=lambda clause: (clause.start, -clause.end))
    return [
        ClausePart(clause.number, clause.path, text, clause.start, clause.end, parsed.page_at(clause.start))
        for number, clause in enumerate(clauses)
        if (text := _own_text(parsed.text, clause, clauses[number + 1 :])).strip()
    ]


def _own_text(text: str, clause: Clause, following: Sequence[Clause]) -> str:
    kept, at = [], clause.start
    for below in following:
        if below.start >= clause.end:
            break
        if below.start >= at:
            kept.append(text[at : below.start])
            at = below.end
    return "".join([*kept, text[at : clause.end]])


def _fate(before: ClausePart, after: ClausePart) -> Fate:
    if _words(before.text) == _words(after.text):
        return "unchanged" if before.number == after.number else "moved"
    if before.number != after.number and _words(_body(before)) == _words(_body(after)):
        return "moved"
    return "changed"


def _body(part: ClausePart) -> str:
    """Return a Clause's words without its number and the signs of a heading before it."""
    return _SIGNS.sub("", part.text).removeprefix(part.number)


def _pairs(old: Sequence[ClausePart], new: Sequence[ClausePart]) -> dict[int, int]:
    """Return for the new Clauses that have one the old one: by name, by words, by likeness."""
    partner: dict[int, int] = {}
    for key in (_by_name_and_words, _by_words, _by_name):
        _pair_by(key, old, new, partner)
    taken = set(partner.values())
    left = [number for number in range(len(new)) if number not in partner]
    free = [number for number in range(len(old)) if number not in taken]
    if len(left) <= _MOST_TRIED and len(free) <= _MOST_TRIED:
        alike = sorted(((similarity(old[at].text, new[to].text), at, to) for at in free for to in left), reverse=True)
        for share, at, to in alike:
            if share >= _ALIKE and to not in partner and at not in partner.values():
                partner[to] = at
    return partner


def _pair_by(key: Any, old: Sequence[ClausePart], new: Sequence[ClausePart], partner: dict[int, int]) -> None:
    """Pair what is left by a key, the first of equal ones with the first."""
    taken = set(partner.values())
    waiting: dict[Any, list[int]] = defaultdict(list)
    for at, part in enumerate(old):
        if at not in taken and (found := key(part)):
            waiting[found].append(at)
    for to, part in enumerate(new):
        if to not in partner and waiting.get(key(part)):
            partner[to] = waiting[key(part)].pop(0)


def _by_name_and_words(part: ClausePart) -> tuple[str, str]:
    return part.name.casefold(), _words(part.text)


def _by_words(part: ClausePart) -> str:
    return _words(_body(part))


def _by_name(part: ClausePart) -> str:
    """Return what a Clause is called with its place among the headings; "" for one that is not called anything."""
    return " > ".join([*part.path, part.number]).casefold() if part.name else ""


def _words(text: str) -> str:
    return " ".join(text.casefold().split())
