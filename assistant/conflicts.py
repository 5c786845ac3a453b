"""Conflicts: sentences of different documents, or versions, on one subject that state different terms or duties.

Two sentences are on one subject where they share most of their words, weighed by rarity, numbers and modal verbs
aside. They conflict where both state a period, amount or percentage of one kind and unit and no value is common; where
one prohibits what the other permits or requires; or where `assistant.differences` finds another value or rule in one
place of both. Versions of one document are compared where all versions are in scope. A report of possible conflicts for
a person to judge: wording that differs too much to be compared by words, and a plain statement that another sentence
denies, are not found, and the statement does not claim them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.clause_facts import Fact, FactKind, find_facts
from assistant.clause_scope import (
    ClauseScope,
    ClauseText,
    Weigh,
    check_documents,
    counted,
    examined_sentence,
    only_documents,
    open_scope,
    place_value,
    scope_value,
)
from assistant.clause_wording import read_stances
from assistant.clauses import evidence_at
from assistant.differences import difference
from assistant.facts import facts_of
from assistant.service import AssistantService
from governance.errors import BadInput
from ingest.words import split_sentences, stems

SAME_SUBJECT = 0.6
SAME_SUBJECT_FOR_DUTIES = 0.75
_FEWEST_STEMS = 3
_COMMON = 200  # a stem in more sentences than this pairs nothing by itself
_COMPARED: tuple[FactKind, ...] = ("period", "amount", "percent", "date")
_STATES = frozenset({"number", "date", "modality", "negation"})
_DUTIES = frozenset({"shall", "must", "will", "may", "allow", "permit", "prohibit", "requir", "cannot", "exceed"})


@dataclass(frozen=True)
class Said:
    """A sentence at [start, end) of a clause's text, with its subject's stems, terms by kind and unit, and duties."""

    clause: ClauseText
    start: int
    end: int
    subject: frozenset[str]
    terms: Mapping[str, tuple[str, ...]]
    duties: frozenset[str]

    @property
    def text(self) -> str:
        """Return the sentence."""
        return self.clause.text[self.start : self.end]


@dataclass(frozen=True)
class Conflict:
    """Two sentences and what is at odds: `about` names the kind ("period in years", "duty")."""

    first: Said
    second: Said
    about: str
    values: tuple[tuple[str, ...], tuple[str, ...]]
    closeness: float


def report_conflicts(service: AssistantService, scope: ClauseScope, *, documents: Sequence[str] = ()) -> dict[str, Any]:
    """Return the possible conflicts between the documents in scope, the most alike pairs first, as JSON.

    With all versions in scope, also those between versions of one document. Raises BadInput for a single document
    without its versions, NotFound for one that has no clause in scope.
    """
    if len(set(documents)) == 1 and not scope.all_versions:
        raise BadInput("A conflict is between documents; name at least two or none, or ask for --all-versions.")
    with open_scope(service, only_documents(scope, documents)) as opened:
        examined, weigh = opened.examined, opened.weigh
    check_documents(examined, documents)
    sentences = [said for clause in examined.clauses if clause.kind == "clause" for said in read_clause(clause)]
    conflicts = find_conflicts(sentences, weigh=weigh)
    return {
        **scope_value(examined),
        "count": len(conflicts),
        "clauses_examined": len(examined.clauses),
        "documents_examined": len(examined.documents),
        "sentences_compared": len(sentences),
        "not_examined": list(examined.unread),
        "statement": (
            f"{examined_sentence(examined)} were read and their {counted(len(sentences), 'sentence')} with a term, a "
            f"number or a duty compared; {counted(len(conflicts), 'possible conflict')}."
        ),
        "rows": [_value(service, conflict) for conflict in conflicts],
    }


def read_clause(clause: ClauseText) -> Iterator[Said]:
    """Yield the sentences of a clause that state a term, a number or a duty, or that deny something."""
    for start, end in split_sentences(clause.text):
        text = clause.text[start:end]
        facts = [fact for fact in find_facts(text) if fact.kind in _COMPARED]
        subject = frozenset(stem for stem in stems(_without(text, facts)) if _is_subject(stem))
        terms = _terms(facts)
        duties = frozenset(stance.modality for stance in read_stances(text) if stance.modality)
        if len(subject) >= _FEWEST_STEMS and (terms or duties or any(one.kind in _STATES for one in facts_of(text))):
            yield Said(clause, start, end, subject, terms, duties)


def find_conflicts(sentences: Sequence[Said], *, weigh: Weigh) -> list[Conflict]:
    """Return the pairs that conflict, the most alike first; `weigh` gives the rarity of a stem."""
    weights = [sum(weigh(stem) for stem in said.subject) for said in sentences]
    found = []
    for first, second, shared in _pairs(sentences, weigh):
        closeness = shared / max(weights[first] + weights[second] - shared, 1e-9)
        conflict = _conflict(sentences[first], sentences[second], closeness, weigh)
        if conflict is not None:
            found.append(conflict)
    return sorted(found, key=lambda one: (-one.closeness, one.first.clause.document, one.first.clause.start))


def _pairs(sentences: Sequence[Said], weigh: Weigh) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of sentences of different texts that share a word not common to all, and the weight shared."""
    places: dict[str, list[int]] = defaultdict(list)
    for number, said in enumerate(sentences):
        partners = {other for stem in said.subject if len(places[stem]) <= _COMMON for other in places[stem]}
        for other in sorted(partners):
            if sentences[other].clause.version != said.clause.version:
                yield other, number, sum(weigh(stem) for stem in said.subject & sentences[other].subject)
        for stem in said.subject:
            places[stem].append(number)


def _conflict(first: Said, second: Said, closeness: float, weigh: Weigh) -> Conflict | None:
    if closeness < SAME_SUBJECT:
        return None
    for about in sorted(set(first.terms) & set(second.terms)):
        if not set(first.terms[about]) & set(second.terms[about]):
            return Conflict(first, second, about, (first.terms[about], second.terms[about]), closeness)
    if closeness >= SAME_SUBJECT_FOR_DUTIES and _opposite(first.duties, second.duties):
        return Conflict(first, second, "duty", (tuple(sorted(first.duties)), tuple(sorted(second.duties))), closeness)
    found = difference(first.text, second.text, weigh=weigh)
    return Conflict(first, second, found.about, ((found.first,), (found.second,)), closeness) if found else None


def _opposite(first: Iterable[str], second: Iterable[str]) -> bool:
    one, other = set(first), set(second)
    return (one == {"prohibits"}) != (other == {"prohibits"}) and bool(one) and bool(other) and not one & other


def _is_subject(stem: str) -> bool:
    return not stem[0].isdigit() and stem not in _DUTIES


def _without(text: str, facts: Sequence[Fact]) -> str:
    """Return a sentence without the terms it states, so that six years and three years have one subject."""
    for fact in reversed(facts):
        text = f"{text[: fact.start]} {text[fact.end :]}"
    return text


def _terms(facts: Sequence[Fact]) -> dict[str, tuple[str, ...]]:
    """Return values by kind and unit, so that days are not held against per cent."""
    terms: dict[str, list[str]] = defaultdict(list)
    for fact in facts:
        unit = fact.value.split(" ", 1)[-1].removesuffix("s") if fact.kind == "period" else ""
        unit = fact.value.split(" ", 1)[0] if fact.kind == "amount" else unit
        terms[f"{fact.kind}{f' in {unit}' if unit else ''}"].append(fact.value)
    return {name: tuple(dict.fromkeys(values)) for name, values in terms.items()}


def _value(service: AssistantService, conflict: Conflict) -> dict[str, Any]:
    sides = (conflict.first, conflict.second)
    return {
        "about": conflict.about,
        "between": "versions" if sides[0].clause.document == sides[1].clause.document else "documents",
        "closeness": round(conflict.closeness, 3),
        "first": _side(service, sides[0], conflict.values[0]),
        "second": _side(service, sides[1], conflict.values[1]),
    }


def _side(service: AssistantService, said: Said, values: Sequence[str]) -> dict[str, Any]:
    clause = said.clause
    text = service.texts.span(clause.document, clause.version, clause.start, clause.end)
    evidence = evidence_at(service, clause, text, (said.start, said.end))
    return {
        **place_value(clause),
        "values": list(values),
        "page": evidence.page,
        "char_start": evidence.char_start,
        "char_end": evidence.char_end,
        "quote": evidence.quote,
    }
