"""Words: how texts are split and compared wherever wording is checked (questions, support, quotes).

One definition for all: a word is a run of letters and digits, case is folded, and common English endings are cut so
that "terminates" meets "termination" half-way. Numbers keep their digits, with thousands separators removed.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"\d[\d,]*\.?\d*|[^\W\d_]+(?:'[^\W\d_]+)?|\w+")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])|\n+")
_ITEM = re.compile(r"\s*(?:[-*+•●▪–o]\s|\(?[0-9ivxlc]{1,4}[.)]\s|\(?[a-zA-Z][.)]\s|\d+(?:\.\d+)+\s)")
_NUMBER_ALONE = re.compile(r"\s*\(?(?:\d+(?:\.\d+)*|[a-zA-Z]|[ivxlc]+)[.)]*$")
_SHORT_LINE = 45
_ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|etc|vs|no|nos|mr|ms|mrs|dr|inc|ltd|corp|co|u\.s|sec|art|para|p|pp)\.$", re.IGNORECASE
)
STOP_WORDS = frozenset(
    "a about above after again all also am an and any are as at be because been before being below between both "
    "but by can could did do does doing down during each either few for from further get gets got had has have "
    "having he her here hers him his how i if in into is it its itself just let me more most my no nor not of off "
    "on once one only or other our ours out over own please same say says she should so some such tell than that "
    "the their theirs them then there these they this those through to too under until up us very was we were "
    "what when where which while who whom whose why will with would you your yours".split()
)
_ENDINGS = (  # and the shortest word each is cut from
    *(("ational", 9), ("ations", 8), ("ation", 8), ("ingly", 8), ("ments", 8), ("ment", 8), ("ings", 7), ("ing", 6)),
    *(("ies", 5), ("ied", 5), ("ions", 7), ("ion", 7), ("ers", 6), ("es", 5), ("ed", 5), ("er", 6), ("ly", 6)),
    *(("s", 4), ("e", 5), ("y", 5)),
)
NEGATIONS = frozenset({"not", "no", "never", "none", "neither", "nor", "without", "cannot", "nothing", "nobody"})


def words(text: str) -> list[str]:
    """Return the words of a text in order, case folded, numbers without separators."""
    return [_plain(match) for match in _WORD.findall(text)]


def content_words(text: str) -> list[str]:
    """Return the words that carry meaning, in order, without stop words."""
    return [word for word in words(text) if word not in STOP_WORDS and "'" not in word]


def stems(text: str) -> list[str]:
    """Return the content words with common endings cut."""
    return [stem(word) for word in content_words(text)]


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Cut one common English ending from a word of at least five letters."""
    if len(word) < 4 or not word.isalpha():
        return word
    for ending, least in _ENDINGS:
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def numbers(text: str) -> list[str]:
    """Return the numbers of a text, without separators and trailing zeros of a fraction."""
    return [_number(word) for word in words(text) if word[0].isdigit()]


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Return the code point spans of the sentences of running text, without the white space around them.

    A line break inside a paragraph is the page's, not the author's: it ends a sentence only before an empty line, a
    bullet or a numbered item, or after a short line that is followed by a capital (a heading, an address).
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _SENTENCE.finditer(text):
        if "\n" in match.group() and _is_soft_break(text, match.start(), match.end()):
            continue
        if "\n" not in match.group() and _ends_nothing(text[start : match.start()]):
            continue
        _append(spans, text, start, match.start())
        start = match.end()
    _append(spans, text, start, len(text))
    return spans


def split_lines(text: str) -> list[tuple[int, int]]:
    """Return the code point spans of the lines of a text (rows of a table, attributes of a record)."""
    spans: list[tuple[int, int]] = []
    start = 0
    for line in text.split("\n"):
        _append(spans, text, start, start + len(line))
        start += len(line) + 1
    return spans


def _ends_nothing(before: str) -> bool:
    """Tell whether a full stop belongs to an abbreviation or to the number of an item."""
    return _ABBREVIATION.search(before) is not None or _NUMBER_ALONE.match(before) is not None


def _is_soft_break(text: str, start: int, end: int) -> bool:
    before, after = text[text.rfind("\n", 0, start) + 1 : start].rstrip(), text[end : end + 80]
    if "\n\n" in text[start:end] or _ITEM.match(after) or before.endswith((".", "!", "?", ":", ";")):
        return False
    return len(before) >= _SHORT_LINE or not after[:1].isupper()


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        spans.append((start, end))


def _plain(word: str) -> str:
    folded = word.casefold()
    return folded.replace(",", "").rstrip(".") if folded[0].isdigit() else folded


def _number(word: str) -> str:
    return word.rstrip("0").rstrip(".") if "." in word else word
