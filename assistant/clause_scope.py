"""The scope of clause work: every clause of every version that somebody may see on a day, and what cannot be seen.

All chunks in scope are scrolled with every condition (access, dates, withdrawals, filters) inside the engine's query,
checked against the engine's own count and against the access labels once more, and joined to clauses. What the scope
holds and nobody can examine (pages without text) is named. Catalogue records are no clauses and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby, pairwise
from typing import Any

from assistant.retrieve import Scope
from assistant.service import AssistantService
from governance.access import Principal
from governance.errors import NotFound, ProvenantError
from ingest.index import EVERYONE, NO_END, Condition, Index, Stored, day_number, readable_by
from ingest.versions import IN_INDEX, Version, read_corpus

CLAUSE_KINDS = ("clause", "table")
LONGEST_JOINED = 4000  # characters; longer clauses were split by the parser and stay so
Weigh = Callable[[str], float]


@dataclass(frozen=True)
class ClauseScope:
    """Where clauses are looked for: the collection, who looks, the day in force, or all versions.

    Without a day the latest versions are examined, whether in force yet or not.
    """

    collection: str
    principal: Principal
    as_of: date | None = None
    all_versions: bool = False
    filters: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class ClauseText:
    """A clause as the index holds it: its place, names and text; `start` and `end` are code points of the version."""

    document: str
    version: str
    title: str
    number: str
    path: tuple[str, ...]
    kind: str
    page: int | None
    start: int
    end: int
    text: str
    effective_from: int
    effective_to: int
    chunks: tuple[str, ...]

    @property
    def heading(self) -> str:
        """Return the clause's own heading, "" where there is none."""
        return self.path[-1] if self.path else ""


@dataclass(frozen=True)
class ExaminedDocument:
    """One version of a document that was examined, with how many of its clauses were, and how many match."""

    document: str
    version: str
    title: str
    clauses: int
    effective_from: str
    effective_to: str
    matches: int = 0


@dataclass(frozen=True)
class Examined:
    """Everything in scope, with what could not be examined."""

    scope: ClauseScope
    clauses: tuple[ClauseText, ...]
    documents: tuple[ExaminedDocument, ...]
    unread: tuple[dict[str, str], ...]  # document, version, notice: pages without text, documents without a clause
    chunks: int
    release_id: str
    generation: str


@dataclass(frozen=True)
class OpenScope:
    """What was examined, with the open index it came from and the rarity of stems in it."""

    examined: Examined
    index: Index
    weigh: Weigh


@contextmanager
def open_scope(service: AssistantService, scope: ClauseScope) -> Iterator[OpenScope]:
    """Hold a collection open and read every clause in scope from it. Raises NotFound, ProvenantError."""
    release = service.release()
    conditions = conditions_of(service, scope)
    with service.open_generation(release, scope.collection) as generation:
        chunks = list(generation.index.scroll(conditions))
        counted = generation.index.count(conditions)
        if len(chunks) != counted:
            raise ProvenantError(f"The index gave {len(chunks):,} of {counted:,} chunks; nothing is said of the rest.")
        _check_access(chunks, scope)
        clauses = group_clauses(chunks)
        documents = _documents(clauses)
        unread = _unread(service, scope, documents)
        examined = Examined(scope, clauses, documents, unread, len(chunks), release.id, generation.name)
        yield OpenScope(examined, generation.index, generation.summary.vocabulary.weigh)


def conditions_of(service: AssistantService, scope: ClauseScope) -> tuple[Condition, ...]:
    """Return everything that goes into the engine's query."""
    kinds = Condition("kind", "any", CLAUSE_KINDS)
    withdrawn = service.texts.withdrawn(scope.collection)
    if not scope.all_versions:
        return (*Scope(scope.principal.labels, scope.as_of, scope.filters, withdrawn).conditions(), kinds)
    overlay = (Condition("version", "none", withdrawn),) if withdrawn else ()
    return (readable_by(scope.principal.labels), *overlay, *scope.filters, kinds)


def only_documents(scope: ClauseScope, documents: Sequence[str]) -> ClauseScope:
    """Return a scope narrowed to named documents; no names leave it as it is."""
    if not documents:
        return scope
    return replace(scope, filters=(*scope.filters, Condition("document", "any", tuple(documents))))


def check_documents(examined: Examined, documents: Sequence[str]) -> None:
    """Raise NotFound where a named document has no clause in scope: missing, forbidden and not in force look alike."""
    missing = sorted(set(documents) - {one.document for one in examined.documents})
    if missing:
        raise NotFound(
            f"No clause of {missing[0]!r} is in scope; `provenant documents list` names the documents, and --as-of or "
            "--all-versions widens what is in force."
        )


def group_clauses(chunks: Iterable[Stored]) -> tuple[ClauseText, ...]:
    """Join the chunks of each clause, in order of document, version and place.

    Between two chunks of a clause stands white space alone, so the joined text keeps all offsets.
    """
    ordered = sorted(chunks, key=lambda chunk: (chunk.document, chunk.version, chunk.start))
    clauses: list[ClauseText] = []
    for _, same in groupby(ordered, key=lambda one: (one.document, one.version, one.clause, one.path, one.kind)):
        part: list[Stored] = []
        for chunk in same:
            if part and chunk.end - part[0].start > LONGEST_JOINED:
                clauses.append(_joined(part))
                part = []
            part.append(chunk)
        clauses.append(_joined(part))
    return tuple(clauses)


def scope_value(examined: Examined) -> dict[str, Any]:
    """Return what every result of clause work says of its scope."""
    scope = examined.scope
    return {
        "collection": scope.collection,
        "as_of": scope.as_of.isoformat() if scope.as_of else None,
        "all_versions": scope.all_versions,
        "principal": scope.principal.name,
        "release_id": examined.release_id,
        "generation": examined.generation,
    }


def place_value(clause: ClauseText) -> dict[str, Any]:
    """Return where a clause stands, as JSON."""
    return {
        "document": clause.document,
        "version": clause.version,
        "title": clause.title,
        "page": clause.page,
        "clause": clause.number,
        "path": list(clause.path),
        "kind": clause.kind,
        "char_start": clause.start,
        "char_end": clause.end,
        "effective_from": _day(clause.effective_from),
        "effective_to": _day(clause.effective_to),
    }


def _joined(part: Sequence[Stored]) -> ClauseText:
    first, last = part[0], part[-1]
    text = first.text
    for before, chunk in pairwise(part):
        text += "\n" * (chunk.start - before.end) + chunk.text
    return ClauseText(
        document=first.document,
        version=first.version,
        title=first.title,
        number=first.clause,
        path=first.path,
        kind=first.kind,
        page=first.page,
        start=first.start,
        end=last.end,
        text=text,
        effective_from=first.effective_from,
        effective_to=first.effective_to,
        chunks=tuple(chunk.id for chunk in part),
    )


def _documents(clauses: Sequence[ClauseText]) -> tuple[ExaminedDocument, ...]:
    documents = []
    for (document, version), same in groupby(clauses, key=lambda clause: (clause.document, clause.version)):
        own = list(same)
        first, until = own[0].effective_from, own[0].effective_to
        documents.append(ExaminedDocument(document, version, own[0].title, len(own), _day(first), _day(until)))
    return tuple(documents)


def _unread(
    service: AssistantService, scope: ClauseScope, documents: Sequence[ExaminedDocument]
) -> tuple[dict[str, str], ...]:
    """Return what the scope holds and nobody could examine: pages without text, and documents without any clause."""
    with service.store.session() as session:
        corpus = read_corpus(session, scope.collection)
    examined = {(one.document, one.version) for one in documents}
    notices = []
    for version in (one for versions in corpus.values() for one in versions if _is_in_scope(one, scope)):
        seen = (version.document, version.digest) in examined
        if seen:
            notices += [_notice(version, text) for text in version.warnings if text.startswith(("page ", "pages "))]
        elif not version.chunks:
            notices.append(_notice(version, "has no text that could be examined."))
    return tuple(notices)


def _is_in_scope(version: Version, scope: ClauseScope) -> bool:
    readable_to_all = not version.labels or EVERYONE in version.labels
    if version.status not in IN_INDEX or not (readable_to_all or set(version.labels) & set(scope.principal.labels)):
        return False
    if scope.all_versions:
        return True
    if scope.as_of is None:
        return version.status == "active"
    until = version.effective_to
    return version.effective_from <= scope.as_of and (until is None or scope.as_of < until)


def _notice(version: Version, text: str) -> dict[str, str]:
    return {"document": version.document, "version": version.digest, "notice": text}


def _day(number: int) -> str:
    """Return YYYYMMDD as YYYY-MM-DD, "" for a date without meaning (always, for ever)."""
    if number in {NO_END, day_number(date(1, 1, 1))}:
        return ""
    return f"{number // 10000:04d}-{number // 100 % 100:02d}-{number % 100:02d}"


def _check_access(found: Iterable[Stored], scope: ClauseScope) -> None:
    allowed = {EVERYONE, *scope.principal.labels}
    if any(not allowed.intersection(chunk.labels) for chunk in found):
        raise ProvenantError("The index returned a clause that the asker may not read; the search was stopped.")


def examined_sentence(examined: Examined) -> str:
    """Return what was examined, in words: "All 1,204 clauses of 8 documents in force on 2026-11-25"."""
    scope, clauses = examined.scope, len(examined.clauses)
    names = len({one.document for one in examined.documents})
    if scope.all_versions:
        standing = f"in all {counted(len(examined.documents), 'indexed version')}"
    else:
        standing = f"in force on {scope.as_of}" if scope.as_of else "in their latest versions"
    filtered = " that meet the filters" if scope.filters else ""
    return f"All {counted(clauses, 'clause')}{filtered} of {counted(names, 'document')} {standing}"


def counted(number: int, name: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"
