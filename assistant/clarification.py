"""Clarification: what is asked back where a question could mean several things.

"What is the notice period?" over eight contracts has eight answers, and the best of them is a guess. Asked back is only
where the question names nothing that the collection tells apart and retrieval found the same thing in several documents
or records, where it is a bare word, or where it says "it" and nothing was said before. The options are documents and
records among the asker's own Passages, so that a Clarification shows nothing that the asker may not see.

It goes by ranks and wording, never by the height of scores, which differ between readers; in doubt nothing is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.conversation import is_chat, name_of, own_words, points_back
from assistant.questions import Query, names_in
from assistant.retrieve import Passage
from ingest.document_names import DocumentNames
from ingest.words import STOP_WORDS, content_words, stem, stems, words

_MOST_OPTIONS = 4
_AMONG = 5
_FEWEST = 3
_FEWEST_OF_A_WORD = 2
_MOST_WORDS = 5
_POINTER_WORDS = 3
_HELD_BY_FEW = 2
_COVERED = 0.5
_TELLING_WORDS = 2
_FIELDS = frozenset(
    "ean sku gtin upc usb hdmi id pdf url faq".split()
)  # acronyms that ask for something, naming nothing
_WANTS_MANY = re.compile(
    r"\b(all|any|every|each|both|compare|list|which of|how many (agreements|contracts|documents|policies|products)|"
    r"across|agreements|contracts|documents|policies|products)\b|^\W*(show|find)\b|"
    r"^\W*(which|what)( kinds? of)? \w+[^s\W]s\b",
    re.IGNORECASE,
)
_DEFINES = re.compile(
    r"^\W*(what|who)\s+(is|are|was|were)\s+(?!the\b|its?\b|his\b|her\b|their\b|my\b|our\b)\w", re.IGNORECASE
)


@dataclass(frozen=True)
class Option:
    """Something that the question may be about, and the question asked of it."""

    label: str
    question: str


@dataclass(frozen=True)
class Clarification:
    """A question back to the asker, with up to four ways to go on."""

    question: str
    options: tuple[Option, ...]
    reason: str


@dataclass(frozen=True)
class _Candidate:
    name: str
    passage: Passage


def clarify(query: Query, passages: Sequence[Passage], names: DocumentNames) -> Clarification | None:
    """Return what to ask back, or None where a question is clear enough, names something, or found nothing.

    `passages` are those found for the query, best first; `names` are those of the collection's documents.
    """
    text = query.text
    if not passages or is_chat(text):
        return None
    candidates = _candidates(passages)
    own = own_words(text)
    pointer = "" if query.rewritten or len(own) > _POINTER_WORDS else points_back(text)
    if pointer and not _names(text):
        return _ask(text, candidates, sentence=f"What does “{pointer}” stand for?", reason="nothing was said before it")
    if _is_clear(text, own, names):
        return None
    if _is_bare(text):
        return _ask_which(text, _near(candidates, passages, own, _FEWEST_OF_A_WORD), reason="a word alone asks nothing")
    near = _near(candidates, passages, own, _FEWEST)
    if len(near) < _FEWEST or _tells_apart(own, near):
        return None
    return _ask_which(text, near, reason=f"{len(near)} documents or products speak of this, and none is named")


def _is_clear(text: str, own: Sequence[str], names: DocumentNames) -> bool:
    """Tell whether a question says enough by itself: a name, many words, a wish for a list, a definition."""
    if _names(text) or len(own) > _MOST_WORDS or _WANTS_MANY.search(text) or _DEFINES.match(text):
        return True
    holders = [sum(stem(word) in held for held in names.names.values()) for word in own]
    return not _is_bare(text) and any(0 < count <= _HELD_BY_FEW for count in holders)


def _names(text: str) -> list[str]:
    return [name for name in names_in(text) if name.casefold() not in _FIELDS]


def _is_bare(text: str) -> bool:
    found = words(text)
    return len(found) <= _TELLING_WORDS and not any(word in STOP_WORDS for word in found)


def _candidates(passages: Sequence[Passage]) -> list[_Candidate]:
    """Return the documents and records found, the best Passage of each, best first."""
    found: dict[str, _Candidate] = {}
    for passage in passages:
        chunk = passage.chunk
        name = name_of(chunk.document, chunk.path, is_record=chunk.kind == "record")
        found.setdefault(name.casefold(), _Candidate(name, passage))
    return list(found.values())


def _near(
    candidates: Sequence[_Candidate], passages: Sequence[Passage], own: Sequence[str], fewest: int
) -> list[_Candidate]:
    """Return the candidates of the kind found first that speak of what is asked; none unless several stand in front."""
    kind = passages[0].chunk.kind == "record"
    same = [one for one in candidates if (one.passage.chunk.kind == "record") == kind and _speaks_of(own, one.passage)]
    front = {passage.chunk.id for passage in passages[:_AMONG]}
    return same if sum(one.passage.chunk.id in front for one in same) >= fewest else []


def _speaks_of(own: Sequence[str], passage: Passage) -> bool:
    held = set(stems(" ".join([*passage.chunk.path, passage.chunk.text])))
    return sum(stem(word) in held for word in own) >= _COVERED * len(own)


def _tells_apart(own: Sequence[str], near: Sequence[_Candidate]) -> bool:
    """Tell whether the words of a question name the first candidate rather than the others."""
    first, *others = ({stem(word) for word in content_words(one.name)} for one in near)
    telling = {stem(word) for word in own} & first
    return len([word for word in telling if not all(word in other for other in others)]) >= _TELLING_WORDS


def _ask_which(text: str, near: Sequence[_Candidate], *, reason: str) -> Clarification | None:
    if not near:
        return None
    names = [one.name for one in near[:_MOST_OPTIONS]]
    more = " or another" if len(near) > _MOST_OPTIONS else ""
    choice = f"{', '.join(names)}{more}" if more else _either(names)
    return _ask(text, near, sentence=f"Which {_noun(near)} do you mean: {choice}?", reason=reason)


def _ask(text: str, candidates: Sequence[_Candidate], *, sentence: str, reason: str) -> Clarification:
    options = tuple(Option(one.name, f"{text.rstrip(' ?.!')} ({one.name})?") for one in candidates[:_MOST_OPTIONS])
    return Clarification(sentence, options, reason)


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def _noun(near: Sequence[_Candidate]) -> str:
    if near[0].passage.chunk.kind == "record":
        return "product"
    last = {one.name.split()[-1].casefold() for one in near[:_MOST_OPTIONS]}
    return last.pop() if len(last) == 1 else "document"
