"""Named documents: which documents a question points at by name, and what it asks beside the name.

Many documents are alike, and a question tells by names which one is meant: parties, a title, a number. What is asked
of it is something else, and is searched inside it without the name, which all of its chunks carry. Rules: a name tells
one document from the others, so that words which point at several documents as strongly name none; a name that stands
in a part of its own ("Consider the Cano agreement; what is the fee?") is left out with that part, any other word by
word. It knows words and refuses to know access and what was found.
"""

from __future__ import annotations

import re

from assistant.questions import names_in
from ingest.summary import Summary
from ingest.words import stems

_POINTED_FROM = 12.0  # a name as rare as one document in fifty, said outright
_CLOSE_SHARE = 0.8
_MOST_NAMED = 2
_POSSESSIVE = re.compile(r"['’]s\b")
_FRAMED = re.compile(
    r"(?P<frame>.*[;:])\s*(?P<asked>(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|has|have|"
    r"had|can|could|may|might|must|shall|should|will|would)\b.*)",
    re.IGNORECASE | re.DOTALL,
)


def documents_pointed_at(query: str, summary: Summary) -> list[str]:
    """Return the documents that a question points at by name, best first, at most two; none where more come close."""
    pointed = summary.names.score(query, names=names_in(query))
    best = max(pointed.values(), default=0.0)
    close = [document for document, score in pointed.items() if score >= _CLOSE_SHARE * best]
    return close if best >= _POINTED_FROM and len(close) <= _MOST_NAMED else []


def asked_of(query: str, document: str, summary: Summary) -> str:
    """Return the question that follows a part which names the document; the whole query where there is no such part."""
    framed = _FRAMED.fullmatch(query)
    if framed is None or not _names_of(document, summary).intersection(stems(framed["frame"])):
        return query
    return framed["asked"]


def beside_the_name(query: str, document: str, summary: Summary) -> str:
    """Return what a question asks beside the name of a document; "" where it does not name it or asks no more."""
    asked = asked_of(query, document, summary)
    if asked != query:
        return asked
    named = _names_of(document, summary)
    words = _POSSESSIVE.sub("", query).split()
    rest = [word for word in words if not stems(word) or not named.issuperset(stems(word))]
    return " ".join(rest) if named.intersection(stems(" ".join(words))) and stems(" ".join(rest)) else ""


def _names_of(document: str, summary: Summary) -> set[str]:
    """Return the stems of a document's name and title."""
    return set(summary.names.names.get(document, ()))
