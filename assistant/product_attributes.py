"""Product attributes: which attributes of a record a person means by what was said.

The words asked for must all stand in an attribute's label; the label with the fewest other words wins, so that
"weight" is not answered with "keyboard weight" beside "weight", and a label about the package or the pallet never
answers for the product. People say some things otherwise than catalogues do ("barcode" for EAN): those few are a list
here, and what a unit measures is learned from the catalogue. Pure functions over labels; values are never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ingest.product_facts import ProductFacts, stemmed, unit_name
from ingest.words import words

_SAID_FOR = tuple(
    (re.compile(rf"\b(?:{said})\b", re.IGNORECASE), label)
    for said, label in (
        (r"(?:bar ?code|ean code|ean)(?: numbers?)?", "ean"),
        (r"costs?|charge|list price", "price"),
        (r"pages? (?:a|per|each) month|monthly (?:page )?volume|monthly duty", "maximum duty cycle"),
        (r"inputs?", "ports"),
        (r"autofocus", "auto focus"),
        (r"ram", "internal memory"),
        (r"color", "colour"),
        (r"(?:part|model|article) number", "model"),
        (r"maker|manufacturer|brand", "supplier"),
        (r"release date", "date released"),
        (r"(?:screen|display) size|screen diagonal", "display diagonal"),
    )
)
_ANOTHER_THING = frozenset(
    stem
    for word in "package packaging packing pallet carton box master outer case container shipping".split()
    for stem in stemmed(word)
)
_COUNTING = frozenset(stem for word in "number numbers quantity count amount".split() for stem in stemmed(word))
_LEAST_SHARE = 0.5
_MOST_LINES = 5
_FEWEST_MEASURED = 3


@lru_cache(maxsize=16384)
def label_of(name: str) -> str:
    """Return an attribute's name as words, without the currency of a price."""
    return re.sub(r"(price.*)_[a-z]{3}$", r"\1", name).replace("_", " ")


def is_attribute(asked: str, facts: ProductFacts) -> bool:
    """Tell whether some attribute of the catalogue goes by these words, or is measured in this unit."""
    labels = {_stems(label_of(name)) for name in facts.attributes}
    ways = _ways(asked)
    return any(_agrees(way, label) for way in ways for label in labels) or bool(_measured(asked, facts))


def is_label(asked: str, facts: ProductFacts) -> bool:
    """Tell whether an attribute of the catalogue has exactly this name."""
    wanted = _stems(asked)
    return bool(wanted) and any(_stems(label_of(name)) == wanted for name in facts.attributes)


def labels_asked(asked: str, labels: Sequence[str], *, title: str, facts: ProductFacts) -> list[int]:
    """Return the places of the labels that are asked for, best first; none where no label holds all that was asked.

    A label also counts that lacks words of the question, where those stand in the record's title.
    """
    held = [_stems(label) for label in labels]
    for way in [*_ways(asked), *_measured(asked, facts)]:
        exact = [place for place, label in enumerate(held) if label == way]
        if exact:
            return exact[:1]
    for way in _ways(asked):
        found = _wider(way, held) or _narrower(way, held, set(stemmed(title)))
        if found:
            return found
    return []


def _wider(way: frozenset[str], held: Sequence[frozenset[str]]) -> list[int]:
    """Return the labels that hold all words asked and the fewest others; several of those that all say much more."""
    extra = {
        place: len(label - way)
        for place, label in enumerate(held)
        if way and way < label and not (label - way) & _ANOTHER_THING
    }
    fewest = min(extra.values(), default=0)
    ordered = sorted(extra, key=lambda place: (extra[place], place))
    return [place for place in ordered if extra[place] == fewest or fewest > 1][:_MOST_LINES]


def _narrower(way: frozenset[str], held: Sequence[frozenset[str]], title: set[str]) -> list[int]:
    """Return the longest label among the words asked, where the others name the product."""
    within = {
        place: len(label)
        for place, label in enumerate(held)
        if label and label < way and way - label <= title and 2 * len(label) >= len(way)
    }
    return [max(within, key=lambda place: within[place])] if within else []


def _ways(asked: str) -> list[frozenset[str]]:
    """Return the stems of what was asked, as said and as catalogues say it."""
    ways = [_stems(asked)]
    for said, label in _SAID_FOR:
        if said.search(asked):
            ways.append(_stems(said.sub(label, asked)))
    return [way for way in ways if way]


def _measured(asked: str, facts: ProductFacts) -> list[frozenset[str]]:
    """Return the labels of what is measured in a unit, most frequent first; none where what was asked is no unit."""
    said = words(asked)
    measured = facts.units.get(unit_name(said[0]), {}) if len(said) == 1 else {}
    names = sorted(measured, key=lambda name: (-measured[name], name))
    return [_stems(label_of(name)) for name in names if measured[name] >= _FEWEST_MEASURED]


def _agrees(wanted: frozenset[str], label: frozenset[str]) -> bool:
    """Tell whether two sets of words agree: one holds the other, and they share most (Dice)."""
    if not wanted or not label or not (wanted <= label or label <= wanted):
        return False
    return 2 * len(wanted & label) / (len(wanted) + len(label)) > _LEAST_SHARE


@lru_cache(maxsize=16384)
def _stems(label: str) -> frozenset[str]:
    """Return the stems that tell in a label: single letters and words that only say "how many" are left out."""
    found = frozenset(stem for stem in stemmed(label) if len(stem) > 1)
    return found - _COUNTING or found
