"""Obligations and dates: who must, must not or may do what, by when. By rule, sentence by sentence.

A sentence is an obligation where a modal verb (shall, must, will, agrees to, is required to, may not, may) follows its
subject. Who is bound is the subject as written ("" where the
rules find none); `party` names it where the document defines it as a term ("Customer")
or it is "either party" and the like. When is the period or date with the words that tie it ("within 30 days after
receipt"), typed. Every clause in scope is read; what these rules miss (verbless lists, tables) is not claimed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from assistant.clause_facts import Fact, find_facts
from assistant.clause_scope import (
    ClauseScope,
    ClauseText,
    check_documents,
    counted,
    examined_sentence,
    only_documents,
    open_scope,
    place_value,
    scope_value,
)
from assistant.clauses import evidence_at
from assistant.service import AssistantService
from ingest.words import content_words, split_sentences

Duty = Literal["must", "must not", "may", "states"]
WhenKind = Literal["deadline", "notice", "duration", "start", "frequency", ""]
_MODAL = re.compile(
    r"\b(?P<not>(?:shall|must|will|may|can|should)\s+not|cannot|agrees?\s+not\s+to|(?:is|are)\s+prohibited\s+from)\b"
    r"|\b(?P<may>may(?!\s+\d)|(?:shall\s+|will\s+)?(?:has|have)\s+the\s+right\s+to|(?:is|are|be)\s+(?:entitled|permitted)\s+to)\b"
    r"|\b(?P<must>shall|must|agrees?\s+to|undertakes?\s+to|(?:is|are)\s+(?:required|obligated|obliged)\s+to"
    r"|(?:is|are)\s+responsible\s+for|will)\b",
    re.IGNORECASE,
)
_DEFINED = re.compile(
    r"\((?:\s*(?:the|each|an?|or|collectively|hereinafter|hereafter|referred\s+to\s+as|individually|together)[\s,]+)*"
    r"[\"“](?P<term>[A-Z][^\"”]{1,40})[\"”]"
)
_ANY_PARTY = re.compile(
    r"^(?:the\s+|each\s+of\s+the\s+)?(?:either|each|neither|both|no|other|parties|party)\b", re.IGNORECASE
)
_SUBJECT_START = re.compile(
    r"(?:[,;:]\s+|\b(?:that|if|when|where|and|but|or|whereas|then|which|who)\s+|^\s*\(?\w{1,4}[.)]\s+|[.)]\s+)",
    re.IGNORECASE,
)
_LIST_NUMBER = re.compile(r"^(?:\d+(?:\.\d+)*|\(?\w{1,4}[.)])\.?\s+")
_ARTICLE = re.compile(r"^(?:the|an?|such|any|all|this|that|each)\s+", re.IGNORECASE)
_TIES: tuple[tuple[WhenKind, str], ...] = (
    ("notice", r"at\s+least|(?:not|no)\s+less\s+than|upon|giving|with"),
    ("deadline", r"within|by|(?:no|not)\s+later\s+than|on\s+or\s+before|before|prior\s+to|(?:no|not)\s+more\s+than"),
    ("duration", r"for(?:\s+a)?(?:\s+(?:period|term))?(?:\s+of)?|during|until|through|thereafter\s+for"),
    ("start", r"as\s+of|effective|from|beginning|commencing|after|on"),
    ("frequency", r"every|each|per|once\s+(?:every|a)"),
)
_TIE = re.compile("|".join(rf"(?P<{kind}>\b(?:{words})\b)" for kind, words in _TIES if kind) + r"", re.IGNORECASE)
_TIE_REACH, _AFTER_REACH = 45, 90  # characters before and after a fact
_LONGEST_SUBJECT = 10  # words


@dataclass(frozen=True)
class When:
    """A period or date with the words that tie it to the duty."""

    kind: WhenKind
    value: str
    text: str


@dataclass(frozen=True)
class Obligation:
    """A duty, prohibition or permission in [start, end) of a clause's text; or a sentence that only states a date."""

    duty: Duty
    who: str
    party: str
    action: str
    when: tuple[When, ...]
    start: int
    end: int


def find_obligations(text: str, parties: Sequence[str] = ()) -> list[Obligation]:
    """Return the obligations, and the sentences that state a date or period without one, in order."""
    found = []
    for start, end in split_sentences(text):
        obligation = _read(text[start:end], start, parties)
        if obligation is not None:
            found.append(obligation)
    return found


def defined_terms(text: str) -> list[str]:
    """Return the terms that a document defines in brackets and quotes, the most used first."""
    terms = dict.fromkeys(" ".join(match["term"].split()).rstrip(",.") for match in _DEFINED.finditer(text))
    used = Counter({term: len(re.findall(rf"\b{re.escape(term)}\b", text)) for term in terms})
    return [term for term, _ in used.most_common()]


def list_obligations(
    service: AssistantService,
    scope: ClauseScope,
    *,
    documents: Sequence[str] = (),
    party: str = "",
    dated_only: bool = False,
) -> dict[str, Any]:
    """Return every obligation of the clauses in scope as rows, as JSON; `party` keeps those whose subject holds it.

    Raises NotFound for a document that has no clause in scope.
    """
    with open_scope(service, only_documents(scope, documents)) as opened:
        examined = opened.examined
    check_documents(examined, documents)
    rows = []
    terms: dict[tuple[str, str], list[str]] = {}
    for clause in examined.clauses:
        key = (clause.document, clause.version)
        if key not in terms:
            terms[key] = defined_terms(service.texts.parsed(*key).text)
        rows += list(_rows(service, clause, terms[key]))
    if party:
        rows = [row for row in rows if party.casefold() in f"{row['who']} {row['party']}".casefold()]
    if dated_only:
        rows = [row for row in rows if row["when"]]
    counts = Counter(row["duty"] for row in rows)
    said = ", ".join(f"{counts[duty]:,} {name[counts[duty] > 1]}" for duty, name in _NAMES.items() if counts[duty])
    return {
        **scope_value(examined),
        "count": len(rows),
        "counts": dict(counts),
        "clauses_examined": len(examined.clauses),
        "documents_examined": len(examined.documents),
        "not_examined": list(examined.unread),
        "statement": f"{examined_sentence(examined)} were read; {counted(len(rows), 'row')}: {said or 'nothing'}.",
        "rows": rows,
    }


_NAMES = {
    "must": ("duty", "duties"),
    "must not": ("prohibition", "prohibitions"),
    "may": ("permission", "permissions"),
    "states": ("date stated", "dates stated"),
}


def _rows(service: AssistantService, clause: ClauseText, terms: Sequence[str]) -> Iterator[dict[str, Any]]:
    if clause.kind != "clause":
        return
    text = service.texts.span(clause.document, clause.version, clause.start, clause.end)
    for one in find_obligations(text, terms):
        evidence = evidence_at(service, clause, text, (one.start, one.end))
        yield {
            **place_value(clause),
            "duty": one.duty,
            "who": one.who,
            "party": one.party,
            "action": one.action,
            "when": [{"kind": when.kind, "value": when.value, "text": when.text} for when in one.when],
            "page": evidence.page,
            "char_start": evidence.char_start,
            "char_end": evidence.char_end,
            "quote": evidence.quote,
        }


def _read(sentence: str, offset: int, parties: Sequence[str]) -> Obligation | None:
    facts = [fact for fact in find_facts(sentence) if fact.kind in {"period", "date"}]
    when = tuple(_when(sentence, fact) for fact in facts)
    span = (offset, offset + len(sentence))
    modals = [(_subject(sentence[: modal.start()]), modal) for modal in _MODAL.finditer(sentence)]
    if modals:
        who, modal = next((one for one in modals if one[0]), modals[0])
        negative = modal["not"] or re.match(r"(?:neither|no)\b", who, re.IGNORECASE)
        duty: Duty = "must not" if negative else "may" if modal["may"] else "must"
        action = " ".join(sentence[modal.end() :].split()).rstrip(" .;")
        return Obligation(duty, who, _party(who, parties), action, when, *span)
    if any(fact.kind == "date" for fact in facts):
        return Obligation("states", "", "", " ".join(sentence.split()), when, *span)
    return None


def _subject(before: str) -> str:
    """Return the subject that stands before a modal, "" where it is too long to be one."""
    flat = " ".join(before.split())
    cuts = [match.end() for match in _SUBJECT_START.finditer(flat) if match.end() < len(flat)]
    who = flat[cuts[-1] :] if cuts else flat
    who = re.sub(r"^(?:in|upon|during|after|before|unless|notwithstanding|subject to)\b.*?,\s*", "", who, flags=re.I)
    who = _LIST_NUMBER.sub("", who).strip(" ,;:").removesuffix(" hereby").removesuffix(" also").strip()
    return who if (content_words(who) and len(who.split()) <= _LONGEST_SUBJECT) or _ANY_PARTY.match(who) else ""


def _party(who: str, parties: Sequence[str]) -> str:
    if _ANY_PARTY.match(who):
        return " ".join(who.split()[:2])
    plain = _ARTICLE.sub("", who).casefold()
    return next((term for term in parties if plain == term.casefold()), "")


def _when(sentence: str, fact: Fact) -> When:
    lead = sentence[max(0, fact.start - _TIE_REACH) : fact.start]
    ties = [match for match in _TIE.finditer(lead) if not re.search(r"[.;]", lead[match.start() :])]
    after = re.match(r"[^,.;()]*", sentence[fact.end : fact.end + _AFTER_REACH])
    tail = after.group() if after else ""
    if not ties:
        kind: WhenKind = "notice" if re.match(r"['’]?\s*(?:prior|advance|written)*\s*notice", tail) else ""
        return When(kind, fact.value, fact.text)
    tie = ties[-1]
    begin = fact.start - len(lead) + tie.start()
    text = " ".join(sentence[begin : fact.end + len(tail)].split())
    kind = next(name for name, _ in _TIES if name and tie.groupdict().get(name))
    if kind == "notice" and "notice" not in tail and "prior" not in tail and "before" not in tail:
        kind = "deadline" if tie.group().casefold() in {"upon", "with", "giving"} else "duration"
    return When(kind, fact.value, text)
