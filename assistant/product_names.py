"""Product names: whether a record goes by the names that a question gives.

A name or part number stands in a text where it is a run of whole words of it, punctuation and spaces aside: "HL-4000CN"
stands in "Brother HL4000CN", "18-135mm" in "18-135 mm", and "P1505" does not stand in "P1505n", which is another
product. Every name and every word with a digit must stand in the title, the model, the maker or the identifiers of a
record; what comes after "for" or "compatible with" in a title names another product. Pure functions; nothing here
searches, and no list of makers or models is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from assistant.questions import names_in
from ingest.documents import AttributeValue
from ingest.product_facts import stemmed
from ingest.product_graph import squashed
from ingest.words import content_words, stem

IDENTIFIERS = ("id", "sku", "ean", "gtin", "upc", "mpn", "article_number", "part_number", "name", "model")
_MAKERS = ("supplier", "brand", "manufacturer", "maker", "vendor")
_RUN = re.compile(r"[^\W_]+")
_ANOTHER = re.compile(r"\b(?:for|fits|compatible with|equivalent to|replaces|suitable for)\b", re.IGNORECASE)
_FITTING = re.compile(r"compatib")
SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")
_TRAILING = re.compile(r"(?:\s+please)?[\s?!.,]+$")
_ARTICLE = re.compile(r"^(?:the|an?|our|my|this|that|your)\s+", re.IGNORECASE)
_TAIL = re.compile(
    r"\s+(?:have|has|weigh|cost|use|take|need|manage|deliver|offer|provide|support|hold|come\s+with|"
    r"(?:built|rated|made|meant)\s+for)\b.*$"
)
_POSSESSIVE = re.compile(r"['’]s\b")


@dataclass(frozen=True)
class Words:
    """A text as runs of letters and digits, case folded."""

    text: str

    @cached_property
    def _runs(self) -> tuple[str, frozenset[int]]:
        joined, edges = "", [0]
        for run in _RUN.findall(self.text.casefold()):
            joined += run
            edges.append(len(joined))
        return joined, frozenset(edges)

    def hold(self, name: str) -> bool:
        """Tell whether a name is a run of whole words here."""
        joined, edges = self._runs
        wanted = squashed(name)
        at = joined.find(wanted) if wanted else -1
        while at >= 0:
            if at in edges and at + len(wanted) in edges:
                return True
            at = joined.find(wanted, at + 1)
        return False

    def begin_with(self, name: str) -> bool:
        """Tell whether these words begin with a name."""
        joined, edges = self._runs
        wanted = squashed(name)
        return bool(wanted) and joined.startswith(wanted) and len(wanted) in edges


def subject_of(text: str) -> str:
    """Return what a question is about without its article, what follows it and its end mark."""
    first = SENTENCE_END.split(text.strip())[0]
    return _ARTICLE.sub("", _TRAILING.sub("", _TAIL.sub("", _TRAILING.sub("", first)))).strip()


def names_of(subject: str) -> list[str]:
    """Return the words of a subject that name something: capitalised, or holding a digit."""
    return names_in(f"the {_POSSESSIVE.sub('', subject)}")


def one_of(text: str) -> list[str]:
    """Return the stems of words that name a kind of thing, one of each: "toners" and "toner" are the same."""
    return [stem(re.sub(r"(?<=[^s])s$", "", word)) for word in content_words(text)]


def has_digit(name: str) -> bool:
    """Tell whether a name holds a digit, as models and part numbers do."""
    return any(sign.isdigit() for sign in name)


def is_model(name: str) -> bool:
    """Tell whether a name can only be a model, a part number or a barcode: letters and digits, or many digits."""
    return has_digit(name) and (len(squashed(name)) >= 5 or any(sign.isalpha() for sign in name))


def identity_of(title: str, attributes: Mapping[str, AttributeValue], *, whole: bool) -> str:
    """Return all that names a record; without `whole` only what stands in its title before another product's name."""
    own = title if whole else _before_another(title)
    told = [shown(attributes[key]) for key in (*IDENTIFIERS, *_MAKERS) if key in attributes]
    return "\n".join([own, *(one if whole else _before_another(one) for one in told)])


def goes_by(subject: str, title: str, attributes: Mapping[str, AttributeValue], makers: Sequence[str]) -> bool:
    """Tell whether a record is what a subject names: every name, every word with a digit, and every maker.

    A subject without a digit must have all its words among the record's names. A record that fits the product named,
    and is not that product, needs another word of the subject in its title.
    """
    names = names_of(subject)
    held = Words(identity_of(title, attributes, whole=_ANOTHER.search(subject) is not None))
    if not all(held.hold(name) for name in names):
        return False
    stems = set(stemmed(held.text))
    said = set(stemmed(subject))
    if not any(has_digit(name) for name in names):
        return bool(said) and said <= stems
    if any(set(maker.split()) <= said and not set(maker.split()) <= stems for maker in makers):
        return False
    return not _is_accessory_of(names, subject, title, attributes)


def _is_accessory_of(names: Sequence[str], subject: str, title: str, attributes: Mapping[str, AttributeValue]) -> bool:
    digits = [name for name in names if has_digit(name)]
    fitting = Words("\n".join(fitting_values(attributes)))
    if not all(fitting.hold(name) for name in digits):
        return False
    named = {stem for name in names for stem in stemmed(name)}
    return not (set(stemmed(subject)) - named) & set(stemmed(title))


def fitting_values(attributes: Mapping[str, AttributeValue]) -> list[str]:
    """Return the values that state what a product fits: those of attributes about compatibility."""
    return [str(value) for key, value in attributes.items() if is_fitting(key) and isinstance(value, str)]


def is_fitting(key: str) -> bool:
    """Tell whether an attribute is about compatibility."""
    return _FITTING.search(key) is not None


def closest(subject: str, titles: Sequence[tuple[str, Mapping[str, AttributeValue]]]) -> list[int]:
    """Return the places of the records that a subject names most exactly: by model, at the head of the title, or so."""
    ranks = [_exactness(subject, title, attributes) for title, attributes in titles]
    best = min(ranks, default=0)
    return [place for place, rank in enumerate(ranks) if rank == best]


def _exactness(subject: str, title: str, attributes: Mapping[str, AttributeValue]) -> int:
    wanted = squashed(subject)
    models = [shown(attributes[key]) for key in IDENTIFIERS if key in attributes]
    makers = ["", *(shown(attributes[key]) for key in _MAKERS if key in attributes)]
    if any(wanted in {squashed(maker + model), squashed(model)} for model in models for maker in makers):
        return 0
    if any(name_is(name, models) for name in names_of(subject)):
        return 1
    return 2 if Words(title).begin_with(subject) else 3


def name_is(name: str, models: Sequence[str]) -> bool:
    """Tell whether a name with a digit is one of some models or identifiers, whole."""
    return has_digit(name) and squashed(name) in {squashed(model) for model in models}


def identified_by(name: str, attributes: Mapping[str, AttributeValue]) -> tuple[str, ...]:
    """Return the keys of the identifiers that equal a name, with its maker in front or without."""
    makers = ["", *(shown(attributes[key]) for key in _MAKERS if key in attributes)]
    wanted = squashed(name)
    return tuple(
        key
        for key in IDENTIFIERS
        if key in attributes and wanted in {squashed(maker + shown(attributes[key])) for maker in makers}
    )


def shown(value: AttributeValue) -> str:
    """Return a value as words: 3550.0 is 3550."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _before_another(title: str) -> str:
    found = _ANOTHER.search(title)
    return title[: found.start()] if found and found.start() else title
