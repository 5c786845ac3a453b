"""Kinds of product: what a question lists, and whether a record is of that kind.

A list is read only where all that was said can be checked: limits on numbers, the product that is to be fitted, the
end of a scale. One more condition ("with a touchscreen") makes it no list here, because a list that leaves a condition
out would be wrong. A record is of a kind where its title or type holds all words of it and the title does not go on to
another thing: a "printer drum" is no printer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from assistant.product_attributes import is_attribute, label_of
from assistant.product_limits import Limit, read_limits, without_limits
from assistant.product_names import IDENTIFIERS, Words, has_digit, identity_of, names_of, one_of, shown, subject_of
from ingest.index import Stored
from ingest.product_facts import ProductFacts, stemmed
from ingest.words import STOP_WORDS, stem, stems

Wanted = Literal["", "least", "most"]
_FLAGS = re.IGNORECASE
_EXTREMES: tuple[tuple[re.Pattern[str], str, Wanted], ...] = (
    (re.compile(r"\b(?:cheapest|least\s+expensive|lowest[\s-]priced?)\s+(?P<kind>[^?]+)", _FLAGS), "price", "least"),
    (re.compile(r"\b(?:most\s+expensive|dearest)\s+(?P<kind>[^?]+)", _FLAGS), "price", "most"),
    (re.compile(r"\blightest\s+(?P<kind>[^?]+)", _FLAGS), "weight", "least"),
    (re.compile(r"\bheaviest\s+(?P<kind>[^?]+)", _FLAGS), "weight", "most"),
)
_RANKED = re.compile(
    r"\bwhich\s+(?P<kind>[^?]+?)\s+(?:has|have)\s+the\s+(?P<end>highest|largest|biggest|greatest|longest|most|lowest|"
    r"smallest|shortest|least)\s+(?P<asked>[^?]+)",
    _FLAGS,
)
_LEAST_WORDS = frozenset({"lowest", "smallest", "shortest", "least"})
_LISTING = re.compile(r"^\W*(?:which|what|show(?:\s+me)?|list|find|are\s+there(?:\s+any)?|all)\s+", _FLAGS)
_TIE = re.compile(
    r"\s*[,?]|\s+(?:with|that|which|priced?|for|fits?|fitting|and|of|in|we|you|i|costs?|costing|are|is|have|has|do)\b",
    _FLAGS,
)
_FITTING = re.compile(r"^[\s,]*(?:for|that\s+fits?|which\s+fits?|to\s+fit|fits?|fitting)\s+(?P<device>[^,?]+)", _FLAGS)
_FILLING = frozenset(
    stem(word)
    for word in "carry sell stock offer available catalogue shop range cost costs price priced show list".split()
)
_UNITS = frozenset(stem(word) for word in "euro euros eur dollars dollar usd pounds gbp inch inches".split())
_TYPES = ("type", "product_type", "category", "product_category")
_OFTEN = 5
_SPELT = {"gray": "grey", "color": "colour"}


@dataclass(frozen=True)
class Listing:
    """What is listed: a kind, the product it is to fit ("" for none), limits, and an end of a scale."""

    kind: str
    device: str
    limits: tuple[Limit, ...]
    asked: str = ""
    wanted: Wanted = ""


def read_listing(question: str, facts: ProductFacts) -> Iterator[Listing]:
    """Yield what a question lists, if all that it says of it can be checked."""
    limits = read_limits(question, facts)
    kept = without_limits(question, limits, by=" , ")
    for pattern, asked, end in _EXTREMES:
        if (found := pattern.search(kept)) and is_attribute(asked, facts):
            yield from _listing(found["kind"], limits, asked, end)
            return
    if ranked := _RANKED.search(kept):
        least = ranked["end"].casefold() in _LEAST_WORDS
        yield from _listing(ranked["kind"], limits, subject_of(ranked["asked"]), "least" if least else "most")
    elif limits:
        yield from _listing(_LISTING.sub("", kept), limits)


def _listing(text: str, limits: tuple[Limit, ...], asked: str = "", wanted: Wanted = "") -> Iterator[Listing]:
    tie = _TIE.search(text)
    kind, rest = (text[: tie.start()], text[tie.start() :]) if tie else (text, "")
    fitting = _FITTING.match(rest)
    device = subject_of(fitting["device"]) if fitting else ""
    if fitting and any(has_digit(name) for name in names_of(device)):
        rest = rest[fitting.end() :]
    else:
        device = ""
    checked = {word for limit in limits for word in stemmed(label_of(limit.attribute))}
    if not set(stems(rest)) - _FILLING - _UNITS - checked and stems(kind):
        yield Listing(subject_of(kind), device, limits, asked, wanted)


def of_kind(kind: str, chunks: Sequence[Stored], facts: ProductFacts) -> list[Stored]:
    """Return the records of a kind: all words in the title or type, and no other thing behind them.

    What stands behind the kind in most titles is no other thing: a "toner cartridge" is a toner.
    """
    named = [chunk for chunk in chunks if _is_named(kind, chunk)]
    head = one_of(kind)[-1]
    behind = [_behind(head, _title(chunk)) for chunk in named]
    counts = Counter(word for words in behind for word in set(words))
    usual = {word for word, count in counts.items() if 2 * count > len(named) and len(named) > 1}
    return [
        chunk
        for chunk, words in zip(named, behind, strict=True)
        if not words or any(not _is_thing(word, usual, chunk, facts) for word in words)
    ]


def _is_named(kind: str, chunk: Stored) -> bool:
    types = [shown(chunk.attributes[key]) for key in _TYPES if key in chunk.attributes]
    identity = Words(identity_of(_title(chunk), chunk.attributes, whole=False))
    if not all(identity.hold(name) for name in names_of(kind)):
        return False
    return set(one_of(kind)) <= set(one_of(" ".join([identity.text, *types])))


def _behind(head: str, title: str) -> list[str]:
    """Return the word behind a kind, each time it stands in a title; "" at the end."""
    said = re.findall(r"[^\W_]+", title)
    return [after for word, after in pairwise([*said, ""]) if one_of(word)[-1:] == [head]]


def _is_thing(word: str, usual: Collection[str], chunk: Stored, facts: ProductFacts) -> bool:
    """Tell whether a word behind a kind is another thing.

    It is none if it is a value of the record, such as its colour; else it is one if written small, or written large
    and in the catalogue rather a word of titles than a value.
    """
    if not word.isalpha() or word in STOP_WORDS or word in usual:
        return False
    told = [value for key, value in chunk.attributes.items() if key not in IDENTIFIERS]
    values = {_spelt(said) for value in told for said in stemmed(shown(value))}
    return not set(map(_spelt, stemmed(word))) & values and (word.islower() or _names_things(word, facts))


def _names_things(word: str, facts: ProductFacts) -> bool:
    """Tell whether a word stands in titles at least three times as often as in values."""
    said = stemmed(word)[0]
    titled = facts.part("title").counts.get(said, 0)
    return titled >= _OFTEN and titled > 3 * facts.part("values").counts.get(said, 0)


def _spelt(word: str) -> str:
    return _SPELT.get(word, word)


def _title(chunk: Stored) -> str:
    return chunk.path[0] if chunk.path else chunk.title
