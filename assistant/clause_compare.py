"""Comparison of one kind of clause across documents: a row each, its terms typed, and what differs from the majority.

A document's clause is its best match for the topic; a document without one has a row that says so. Terms are read from
the telling sentences alone, so that a long clause's other subjects do not count. A majority is a value that more than
half of the documents with such a clause share; without one nothing differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.clause_diff import diff_words
from assistant.clause_facts import FactKind, find_facts, values_of
from assistant.clause_scope import ClauseScope, ExaminedDocument, check_documents, examined_sentence, only_documents
from assistant.clause_topics import Topic
from assistant.clause_wording import labels_of
from assistant.clauses import ClauseMatch, FindResult, find_clauses
from assistant.service import AssistantService

Terms = Mapping[str, tuple[str, ...]]
_KINDS: tuple[FactKind, ...] = ("period", "amount", "percent", "date", "law")


@dataclass(frozen=True)
class ComparedRow:
    """One version of a document: its clause (None where there is none), its terms, and which differ."""

    document: ExaminedDocument
    match: ClauseMatch | None
    terms: Terms
    differs: tuple[str, ...]

    def to_value(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "document": self.document.document,
            "version": self.document.version,
            "matches": self.document.matches,
            "terms": {name: list(values) for name, values in self.terms.items()},
            "differs": list(self.differs),
            "clause": self.match.to_value() if self.match else None,
        }


def compare_clauses(
    service: AssistantService, topic: Topic, scope: ClauseScope, *, documents: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the comparison as JSON; where two documents are named, with the difference of their clauses by words.

    Raises NotFound for a document that has no clause in scope.
    """
    result = find_clauses(service, topic, only_documents(scope, documents))
    check_documents(result.examined, documents)
    best = {document: _best(document, result) for document in result.documents}
    terms = {document: terms_of(match) for document, match in best.items() if match}
    majority = majority_terms(list(terms.values()))
    rows = [_row(document, match, terms.get(document, {}), majority) for document, match in best.items()]
    both = [row.match for row in rows if row.match]
    return {
        **{name: value for name, value in result.to_value().items() if name not in _LEFT_OUT},
        "count": len(both),
        "statement": _statement(result, len(both), len(rows)),
        "majority": {name: list(value) for name, value in majority.items()},
        "rows": [row.to_value() for row in rows],
        "difference": diff_words(both[0].text, both[1].text) if len(documents) == 2 and len(both) == 2 else [],
    }


_LEFT_OUT = {"matches", "other_wording", "borderline", "wanted"}


def terms_of(match: ClauseMatch) -> dict[str, tuple[str, ...]]:
    """Return what a clause's telling sentences state, by kind; "wording" holds what they permit or need."""
    told = " ".join(one.quote for one in match.evidence)
    facts = find_facts(told)
    terms: dict[str, tuple[str, ...]] = {kind: tuple(sorted(values_of(facts, kind))) for kind in _KINDS}
    terms["wording"] = labels_of(match.stances)
    return {name: values for name, values in terms.items() if values}


def majority_terms(all_terms: Sequence[Terms]) -> dict[str, tuple[str, ...]]:
    """Return the values that more than half share; fewer than three documents have no majority."""
    if len(all_terms) < 3:
        return {}
    majority = {}
    for name in (*_KINDS, "wording"):
        value, times = Counter(terms.get(name, ()) for terms in all_terms).most_common(1)[0]
        if times > len(all_terms) / 2:
            majority[name] = value
    return {name: value for name, value in majority.items() if value or any(name in terms for terms in all_terms)}


def _row(document: ExaminedDocument, match: ClauseMatch | None, terms: Terms, majority: Terms) -> ComparedRow:
    if match is None:
        return ComparedRow(document, None, {}, ("no such clause",))
    return ComparedRow(document, match, terms, tuple(_differences(terms, majority)))


def _differences(terms: Terms, majority: Terms) -> Iterable[str]:
    for name, usual in majority.items():
        own = terms.get(name, ())
        if own != usual:
            yield f"{name}: {', '.join(own) or 'none'} (most: {', '.join(usual) or 'none'})"


def _best(document: ExaminedDocument, result: FindResult) -> ClauseMatch | None:
    mine = [
        match
        for match in (*result.matches, *result.others)
        if (match.clause.document, match.clause.version) == (document.document, document.version)
    ]
    return max(mine, key=lambda match: match.score, default=None)


def _statement(result: FindResult, having: int, rows: int) -> str:
    return f"{examined_sentence(result.examined)} were examined; {having:,} of {rows:,} have such a clause."
