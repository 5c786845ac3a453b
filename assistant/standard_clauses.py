"""Contracts held against a library of standard clauses: present, deviating, or missing.

The library is `standard_clauses.toml` beside this module; a text of the same form replaces it. A contract's clause is
found by the standard's topic. It is present where its words are nearly the standard's and no term differs; it deviates
in terms (a period, an amount, what is permitted) or in words alone; it is missing where
no clause in scope matches, or only one that is neither alike nor surely on the topic (which is named as the nearest).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from assistant.clause_compare import terms_of
from assistant.clause_diff import diff_words, similarity
from assistant.clause_facts import FactKind, find_facts, values_of
from assistant.clause_scope import (
    ClauseScope,
    ExaminedDocument,
    check_documents,
    counted,
    examined_sentence,
    only_documents,
    place_value,
    scope_value,
)
from assistant.clause_scoring import heading_match
from assistant.clause_topics import Topic, find_topic
from assistant.clause_wording import labels_of, read_stances
from assistant.clauses import ClauseMatch, FindResult, find_clauses
from assistant.service import AssistantService
from governance.errors import BadInput

PRESENT_AT = 0.9  # similarity by words
NEAR_AT, SURE_AT = 0.3, 0.4  # less alike than this, scored below that, without the heading: only the nearest
_FIELDS = {"name", "topic", "text", "required"}
_KINDS: tuple[FactKind, ...] = ("period", "amount", "percent", "law")


@dataclass(frozen=True)
class StandardClause:
    """A clause as the house wants it, and the topic by which a contract's own is found."""

    name: str
    topic: str
    text: str
    required: bool = True


def load_standard(library: str = "") -> list[StandardClause]:
    """Return the standard clauses of a TOML text, or those of the package. Raises BadInput."""
    text = library or files(__package__).joinpath("standard_clauses.toml").read_text(encoding="utf-8")
    try:
        values = tomllib.loads(text)["clause"]
        unknown = sorted({key for value in values for key in value} - _FIELDS)
        if unknown:
            raise ValueError(f"unknown key {unknown[0]!r}")
        return [StandardClause(**{**value, "text": " ".join(value["text"].split())}) for value in values]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            f"The standard clauses cannot be used ({error}); each [[clause]] needs name, topic and text, and may say "
            "required = false."
        ) from error


def compare_with_standard(
    service: AssistantService,
    scope: ClauseScope,
    *,
    library: Sequence[StandardClause],
    topics: Mapping[str, Topic],
    documents: Sequence[str] = (),
) -> dict[str, Any]:
    """Return for each document in scope and each standard clause how the document stands to it, as JSON.

    Raises NotFound for an unknown topic, or a document that has no clause in scope.
    """
    if not library:
        raise BadInput("The library of standard clauses is empty; give at least one [[clause]].")
    rows: list[dict[str, Any]] = []
    narrowed = only_documents(scope, documents)
    for standard in library:
        topic = find_topic(standard.topic, topics)
        result = find_clauses(service, topic, narrowed)
        check_documents(result.examined, documents)
        rows += [_row(standard, document, result) for document in result.documents]
    rows.sort(key=lambda row: (row["document"], row["version"]))
    counts = {status: sum(row["status"] == status for row in rows) for status in ("present", "deviates", "missing")}
    said = f"{counts['present']:,} present, {counts['deviates']:,} deviating, {counts['missing']:,} missing"
    return {
        **scope_value(result.examined),
        "standards": len(library),
        "clauses_examined": len(result.examined.clauses),
        "documents_examined": len(result.documents),
        "not_examined": list(result.examined.unread),
        "counts": counts,
        "statement": (
            f"{examined_sentence(result.examined)} were held against "
            f"{counted(len(library), 'standard clause')}: {said}."
        ),
        "rows": rows,
    }


def _mine(document: ExaminedDocument, result: FindResult) -> list[ClauseMatch]:
    return [
        match
        for match in result.matches
        if (match.clause.document, match.clause.version) == (document.document, document.version)
    ]


def _nearest(document: ExaminedDocument, result: FindResult) -> dict[str, Any] | None:
    """Return the best clause below the threshold, for a person to look at before "missing" is believed."""
    wanted = (document.document, document.version)
    near = (one for one in result.borderline if (one[0].document, one[0].version) == wanted)
    return next(({**place_value(clause), "score": round(score, 4)} for clause, score in near), None)


def _row(standard: StandardClause, document: ExaminedDocument, result: FindResult) -> dict[str, Any]:
    matches = _mine(document, result)
    row: dict[str, Any] = {
        "document": document.document,
        "version": document.version,
        "standard": standard.name,
        "topic": standard.topic,
        "required": standard.required,
        "standard_text": standard.text,
    }
    if not matches:
        nearest = {"similarity": 0.0, "difference": [], "clause": _nearest(document, result)}
        return {**row, "status": "missing", "changes": [], **nearest}
    alike, match = max(((_alike(standard, one), one) for one in matches), key=lambda pair: pair[0] + pair[1].score / 2)
    headed = heading_match(result.topic, match.clause.path) > 0
    if alike < NEAR_AT and match.score < SURE_AT and not headed:
        nearest = {"similarity": round(alike, 3), "difference": [], "clause": match.to_value()}
        return {**row, "status": "missing", "changes": [], **nearest}
    changes = _changes(standard, match)
    told = _told(match)
    return {
        **row,
        "status": "present" if alike >= PRESENT_AT and not changes else "deviates",
        "deviates_in": "terms" if changes else "words" if alike < PRESENT_AT else "",
        "changes": changes,
        "similarity": round(alike, 3),
        "difference": diff_words(standard.text, told),
        "clause": match.to_value(),
    }


def _told(match: ClauseMatch) -> str:
    return " ".join(one.quote for one in match.evidence) or match.text


def _alike(standard: StandardClause, match: ClauseMatch) -> float:
    return max(similarity(standard.text, _told(match)), similarity(standard.text, match.text))


def _changes(standard: StandardClause, match: ClauseMatch) -> list[dict[str, Any]]:
    """Return the terms that differ, of the kinds that the standard states."""
    asked = find_facts(standard.text)
    wanted: dict[str, tuple[str, ...]] = {kind: tuple(sorted(values_of(asked, kind))) for kind in _KINDS}
    wanted["wording"] = labels_of(read_stances(standard.text))
    facts = find_facts(match.text)
    everywhere: dict[str, tuple[str, ...]] = {kind: values_of(facts, kind) for kind in _KINDS}
    own: dict[str, tuple[str, ...]] = {**everywhere, **terms_of(match)}
    changes = []
    for kind, values in wanted.items():
        said = own.get(kind, ())
        if values and not set(values) <= set(said):
            changes.append({"kind": kind, "standard": list(values), "contract": list(said)})
    return changes
