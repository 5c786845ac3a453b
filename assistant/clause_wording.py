"""Wording: whether a clause permits, prohibits or requires, and whether consent is needed. By rule, on its sentences.

A sentence is read in segments, cut at except, provided that, however and the like: "may not assign without consent,
except that either party may assign to an affiliate without such consent" says two opposite things, and both are kept.
Rules are about English modal verbs and the word consent and its like; what they do not settle stays "open".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ingest.words import split_sentences

Modality = Literal["permits", "prohibits", "requires", ""]
Consent = Literal["needs consent", "needs no consent", ""]
Verdict = Literal["agrees", "opposite", "open"]

_CUT = re.compile(
    r"(?:[,;:]\s*|\s+(?=provided)|(?<=\.)\s*)"
    r"(?=(?:except(?:\s+(?:that|as|for|in|to|with))?|provided,?\s+(?:however|that|further)|however|unless\s+otherwise"
    r"|but\b|notwithstanding)\b)",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:(?:may|shall|must|will|can|should|does|do|is|are)\s+not\b|cannot\b|shall\s+at\s+no\s+time|in\s+no\s+event"
    r"|(?:neither|no)\b[^.;]{0,80}?\b(?:may|shall|will|can|be)\b|nor\s+(?:may|shall|will|can)\b"
    r"|(?:is|are)\s+(?:prohibited|forbidden)|prohibit|not\s+(?:be\s+)?(?:permitted|allowed|assignable|transferable)"
    r"|agrees?\s+not\s+to|refrain)",
    re.IGNORECASE,
)
_VOID = re.compile(r"\b(?:void|of\s+no\s+(?:force|effect))\b", re.IGNORECASE)
_EXEMPTS = re.compile(r"\W*except\s+(?:for|to|in)\b", re.IGNORECASE)
_MAY = re.compile(
    r"\b(?:may(?!\s+\d)|can|(?:shall\s+|will\s+)?(?:have|has)\s+the\s+right|(?:is|are|be)\s+(?:hereby\s+)?(?:permitted|entitled"
    r"|allowed|authori[sz]ed|free)|reserves?\s+the\s+right|(?:freely\s+)?(?:assignable|transferable)|right\s+to)\b",
    re.IGNORECASE,
)
_MUST = re.compile(
    r"\b(?:shall|must|will|agrees?\s+to|undertakes?\s+to|covenants?\s+to|(?:is|are|be)\s+(?:required|obligated|obliged|"
    r"responsible)|requires?)\b",
    re.IGNORECASE,
)
_WORD = r"(?:consent|approval|permission|authori[sz]ation)"
_WITHOUT = re.compile(rf"\b(?:without|absent)(?:\s+[\w'’-]+){{0,9}}?\s+{_WORD}\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|neither|nor|no)\b", re.IGNORECASE)
_NOT_NEEDED = re.compile(
    rf"\b(?:no\s+(?:such\s+|prior\s+|written\s+|further\s+)*{_WORD}|{_WORD}\b[^.;,]{{0,40}}\bnot\s+(?:be\s+)?"
    rf"(?:required|necessary|needed)|(?:shall|does|need|will)\s+not\s+(?:need|require|be\s+required)[^.;]{{0,40}}{_WORD})",
    re.IGNORECASE,
)
_NEEDED = re.compile(
    rf"\b(?:(?:with|upon|subject\s+to|after|only|obtain\w*|requir\w*|need\w*|unless|prior|by|has\s+given)\b[^.;]{{0,60}}?"
    rf"\b{_WORD}|{_WORD}\b[^.;]{{0,40}}\b(?:required|withheld|necessary))",
    re.IGNORECASE,
)
_ASKS_NO_CONSENT = re.compile(rf"\b(?:without|no)\b[^.;]{{0,40}}?\b{_WORD}", re.IGNORECASE)
_ASKS_CONSENT = re.compile(
    rf"\b(?:with|requir\w*|need\w*|subject\s+to|only|unless)\b[^.;]{{0,40}}?\b{_WORD}", re.IGNORECASE
)
_ASKS: tuple[tuple[Modality, re.Pattern[str]], ...] = (
    (
        "prohibits",
        re.compile(r"\b(?:prohibit|forbid|ban|bar|(?:may|must|shall|can)\s*not|not\s+allow)\w*", re.IGNORECASE),
    ),
    ("permits", re.compile(r"\b(?:allow|permit|entitle|authori[sz]e|may\b|can\b|right\s+to)\w*", re.IGNORECASE)),
    ("requires", re.compile(r"\b(?:requir|must\b|oblig|shall\b)\w*", re.IGNORECASE)),
)


@dataclass(frozen=True)
class Stance:
    """What a segment [start, end) of a text says."""

    modality: Modality
    consent: Consent
    start: int
    end: int

    @property
    def tells(self) -> bool:
        """Tell whether it sets a clause apart: that something is required alone is said of nearly every clause."""
        return bool(self.consent) or self.modality in {"permits", "prohibits"}

    @property
    def label(self) -> str:
        """Return it in words: "prohibits, needs consent"."""
        return ", ".join(part for part in (self.modality, self.consent) if part)


@dataclass(frozen=True)
class Wanted:
    """What a search asks of the wording; empty parts ask nothing."""

    modality: Modality = ""
    consent: Consent = ""

    def __bool__(self) -> bool:
        """Tell whether anything is asked."""
        return bool(self.modality or self.consent)


def wanted_wording(text: str) -> Wanted:
    """Return what a free text asks: "allows assignment without consent" asks for clauses that need no consent."""
    modality: Modality = next((name for name, pattern in _ASKS if pattern.search(text)), "")
    consent: Consent = ""
    if _ASKS_NO_CONSENT.search(text):
        consent = "needs consent" if modality == "prohibits" else "needs no consent"
    elif _ASKS_CONSENT.search(text):
        consent = "needs consent"
    return Wanted(modality, consent)


def subject_of(text: str) -> str:
    """Return a free text without what it asks of the wording: "allows assignment without consent" -> "assignment"."""
    rest = _ASKS_CONSENT.sub(" ", _ASKS_NO_CONSENT.sub(" ", text))
    for _, pattern in _ASKS:
        rest = pattern.sub(" ", rest)
    rest = re.sub(
        r"\b(?:every|each|all|any|the|find|list|show|clauses?|provisions?|that|which)\b", " ", rest, flags=re.I
    )
    return " ".join(rest.split())


def read_stances(text: str) -> list[Stance]:
    """Return what each segment of a text says, in order; segments that say nothing by these rules are left out."""
    stances: list[Stance] = []
    for start, end in split_sentences(text):
        consent: Consent = ""
        for first, last in _segments(text[start:end]):
            stance = _stance(text, start + first, start + last, after=consent)
            consent = stance.consent or consent
            if stance.label:
                stances.append(stance)
    return stances


def labels_of(stances: Sequence[Stance]) -> tuple[str, ...]:
    """Return the different labels of the stances that set a clause apart, in order."""
    return tuple(dict.fromkeys(stance.label for stance in stances if stance.tells))


def judge_wording(stances: Sequence[Stance], wanted: Wanted) -> Verdict:
    """Return whether some segment says what is wanted, the clause says the opposite, or it leaves the question open."""
    if wanted.consent:
        said = {stance.consent for stance in stances if stance.consent}
        return "agrees" if wanted.consent in said else "opposite" if said else "open"
    modalities = {stance.modality for stance in stances}
    if wanted.modality in modalities:
        return "agrees"
    against = {"prohibits"} if wanted.modality in {"permits", "requires"} else {"permits"}
    return "opposite" if against & modalities else "open"


def _segments(sentence: str) -> list[tuple[int, int]]:
    cuts = [0, *(match.end() for match in _CUT.finditer(sentence)), len(sentence)]
    return [(first, last) for first, last in pairwise(cuts) if last > first]


def _stance(text: str, start: int, end: int, *, after: Consent) -> Stance:
    """Read a segment; what exempts from a rule that needs consent, and names none itself, needs no consent."""
    segment = text[start:end]
    modality = _modality(segment)
    consent = _consent(segment, modality)
    if after == "needs consent" and not consent and (modality == "permits" or _EXEMPTS.match(segment)):
        consent = "needs no consent"
    if modality == "requires" and _NOT_NEEDED.search(segment):
        modality = ""  # "is required" is said of the consent alone
    return Stance(modality, consent, start, end)


def _modality(segment: str) -> Modality:
    """Return what the first modal of a segment says; "shall have the right" permits, "shall not" prohibits."""
    if _VOID.search(segment):
        return "prohibits"
    patterns: tuple[tuple[Modality, re.Pattern[str]], ...] = (
        ("prohibits", _NOT),
        ("permits", _MAY),
        ("requires", _MUST),
    )
    found = [
        (match.start(), rank, name)
        for rank, (name, pattern) in enumerate(patterns)
        if (match := pattern.search(segment)) is not None
    ]
    return min(found)[2] if found else ""


def _consent(segment: str, modality: Modality) -> Consent:
    if _NOT_NEEDED.search(segment):
        return "needs no consent"
    if without := _WITHOUT.search(segment):
        denied = modality in {"prohibits", ""} or _DENIED.search(segment[: without.start()])
        return "needs consent" if denied else "needs no consent"
    return "needs consent" if _NEEDED.search(segment) else ""
