"""Questions whose answer is a few words of a sentence: who must, by when, for how long, how often, how much.

People ask for the value, not for the sentence. A sentence that states a duty of somebody gives such questions where it
holds one value of a kind behind a word that says what the value is ("within", "for", "every"). It knows sentences and
refuses to know chunks. Rules: an answer is the words of the value as they stand, and stands once in the sentence; the
question repeats the deed up to the value, and never the value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assistant.clause_facts import Fact, find_facts
from ingest.words import STOP_WORDS

Use = Literal["within", "for", "every", "until", "amount", "share", "who"]
_BEFORE: tuple[tuple[Use, re.Pattern[str]], ...] = (
    ("within", re.compile(r"\b(?:within|no later than|not later than|in less than|at least) $", re.IGNORECASE)),
    ("for", re.compile(r"\bfor (?:a (?:further |minimum )?(?:period|term) of |at least |up to )?$", re.IGNORECASE)),
    ("every", re.compile(r"\b(?:at least )?every $", re.IGNORECASE)),
    ("until", re.compile(r"\b(?:by|until|on or before|before|no later than) $", re.IGNORECASE)),
)
_OFTEN = re.compile(r"\b(?:at least )?(?:once (?:a|per|every) \w+|annually|quarterly|monthly|weekly|daily|yearly)\b")
_OF_AMOUNT = re.compile(r"\b(?:an? |the )?((?:[a-z-]+ ){0,4}[a-z-]{3,}) (?:of|equal to|in the amount of) $")
_OF_SHARE = re.compile(r"\b(?:an? |the )?((?:[a-z-]+ ){0,4}[a-z-]{3,}) (?:of|equal to|at) $")
_FEWEST_DEED_WORDS, _MOST_DEED_WORDS = 2, 16
_MOST_SUBJECT_WORDS = 6
_NOBODY = frozenset("no neither nothing nobody anything because if when where while since as".split())
_TRAILS = STOP_WORDS | {"least", "most", "period", "later", "than"}


@dataclass(frozen=True)
class ValueQuestion:
    """What is asked (`words` fill a wording of the use) and the words of the sentence that answer."""

    use: Use
    words: dict[str, str]
    target: str


def value_questions(sentence: str, subject: str, rest: str) -> Iterator[ValueQuestion]:
    """Yield what a duty gives: `subject` as its sentence says it, `rest` what stands behind "shall", word for word."""
    facts = find_facts(rest)
    counts = Counter(fact.kind for fact in facts)
    said = _lowered(subject)
    for fact in facts:
        if counts[fact.kind] == 1 and sentence.count(fact.text) == 1:
            yield from _of_fact(fact, said, rest)
    often = _OFTEN.search(rest)
    if often and counts["period"] == 0 and (deed := _deed(rest[: often.start()])):
        yield ValueQuestion("every", {"subject": said, "deed": deed}, often.group())
    deed = _deed(re.split(r"[,;:(]|\b(?:unless|except|provided|if|when|where)\b", rest)[0])
    first = subject.split(maxsplit=1)[0].casefold()
    if deed and first not in _NOBODY and len(subject.split()) <= _MOST_SUBJECT_WORDS and sentence.count(subject) == 1:
        yield ValueQuestion("who", {"deed": deed}, subject)


def _of_fact(fact: Fact, subject: str, rest: str) -> Iterator[ValueQuestion]:
    before = rest[: fact.start]
    if fact.kind in {"amount", "percent"}:
        pattern = _OF_AMOUNT if fact.kind == "amount" else _OF_SHARE
        use: Use = "amount" if fact.kind == "amount" else "share"
        named = pattern.search(before)
        if named and named[1].split()[-1] not in _TRAILS:
            yield ValueQuestion(use, {"named": named[1]}, fact.text)
        return
    for asked, behind in _BEFORE:
        found = behind.search(before)
        fits = fact.kind == ("date" if asked == "until" else "period")
        if found and fits and (deed := _deed(before[: found.start()])):
            yield ValueQuestion(asked, {"subject": subject, "deed": deed}, fact.text)
            return


def _deed(text: str) -> str:
    """Return a deed as a question repeats it; "" where it is too short, too long or ends in the air."""
    words = " ".join(text.split()).strip(" .,;:").split()
    while words and words[-1].casefold() in _TRAILS:
        words.pop()
    usual = _FEWEST_DEED_WORDS <= len(words) <= _MOST_DEED_WORDS
    return " ".join(words) if usual and words[0].casefold() not in STOP_WORDS else ""


def _lowered(subject: str) -> str:
    return re.sub(r"^(?:The|Each|All|An?)(?= )", lambda match: match.group().lower(), subject)
