"""Questions: what a person asked, checked, and what its wording says.

A Question is checked for length and cleaned of control characters. What it names, and the kind of thing it asks for,
are read from its words. What a follow-up means beside the turns before it is told in `conversation`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from governance.errors import BadInput
from ingest.words import STOP_WORDS

_ASKING = re.compile(
    r"\b(what|why|how|whether|please|i|we|me|my|our)\b|^\W*(tell|show|list|find|give|name|explain|describe|compare)\b",
    re.IGNORECASE,
)
_NAME_END = re.compile(r"['’]s$|[?.,;:!'\"”’()]+$")

_KINDS = tuple(
    (re.compile(asks, re.IGNORECASE), re.compile(holds, re.IGNORECASE))
    for asks, holds in (
        (
            r"\bhow (long|soon|often|early|much (time|notice))\b|\bhow far in advance\b|\bnotice\b|\bperiod\b",
            r"\b(day|month|year|hour|week|minute|quarter|decade)s?\b|\b(quarterly|annual|annually|monthly|daily|weekly|"
            r"immediately|soon|prompt|promptly)\b|\b\d+[- ](day|month|year|hour|week)",
        ),
        (
            r"\bhow much\b|\bprice\b|\bcosts?\b|\bfees?\b|\bcharges?\b|\bfine\b|\bfunding\b",
            r"[$€£]|\b(usd|eur|dollars?|euros?|cents?|percent|free of charge|no charge)\b|%",
        ),
        (
            r"\bhow (many|big|large|small|heavy|fast|wide|tall)\b|\bnumber of\b|\bshare\b|\bpercent|\brate\b",
            r"\d|\b(one|two|three|four|"
            r"five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|half|quarter)\b",
        ),
    )
)


@dataclass(frozen=True)
class Query:
    """What is searched: the question itself, or one that also holds what it refers to."""

    text: str
    rewritten: bool


def check_question(text: str, *, most_characters: int) -> str:
    """Return a question without control characters. Raises BadInput for an empty or too long one."""
    if len(text) > most_characters:
        raise BadInput(
            f"The question has {len(text):,} characters and the limit is {most_characters:,}. Ask a shorter one, "
            "or ingest the text as a document and ask about it."
        )
    visible = "".join(" " if unicodedata.category(sign) in {"Cc", "Cs", "Co", "Cn"} else sign for sign in text)
    question = re.sub(r"\s+", " ", visible).strip()
    if not any(sign.isalnum() for sign in question):
        raise BadInput("The question is empty. Type what you want to know, in a sentence or a few words.")
    return question


def is_statement(text: str) -> bool:
    """Tell whether a query states something and asks nothing: it ends in a full stop and holds no word that asks."""
    return text.rstrip().endswith(".") and "?" not in text and _ASKING.search(text) is None


def holds_kind(question: str, text: str) -> bool:
    """Tell whether a text holds the kind of thing a question asks for (a time, an amount, a number).

    True for a question that asks for none of them.
    """
    for asks, holds in _KINDS:
        if asks.search(question):
            return holds.search(text) is not None
    return True


def names_in(question: str) -> list[str]:
    """Return the words of a question that name something: capitalised inside a sentence, or holding a digit."""
    names: list[str] = []
    opens = True
    for written in question.split():
        word = _NAME_END.sub("", written.strip("'\"“‘(["))
        word = _NAME_END.sub("", word)
        capitals = sum(sign.isupper() for sign in word)
        named = (
            any(sign.isdigit() for sign in word) or capitals > 1 or (capitals == 1 and word[:1].isupper() and not opens)
        )
        if word and named and word.casefold() not in STOP_WORDS:
            names.append(word)
        opens = written.endswith((".", "?", "!"))
    return names
