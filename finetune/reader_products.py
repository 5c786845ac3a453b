"""Products: an attribute that a record states, or one that it does not, asked of a product by a part of its title.

A record that states no attribute of a like name does not answer; records of like products are UNKNOWN for what the
asked one states. Rules: the split is by title; like products come from the same split.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune.reader_documents import sample
from finetune.reader_groups import ANSWERS, ANSWERS_NOT, UNKNOWN, Candidate, Group, Passage, Split, split_in_two
from finetune.reader_material import Material, records
from finetune.reader_questions import Phrasings
from ingest.parse.catalog import parse_catalog
from ingest.words import stems

SOURCES = {"product": "Chorus/Icecat catalogue: Icecat Open Content License (Icecat)"}
_CATALOGUE = "products/chorus_icecat/products.csv"
_RECORDS = 9000
_ASKED = 6000
_MOST_CHARACTERS = 1500
_LAST_START = 1400  # a line that starts later may be cut off
_SHARE_OF_STATED = 0.62
_LEAST_STATED = 15  # records that state an attribute before it is asked of one that does not
_MOST_SHARING = 300  # products that share a word before the word says nothing


@dataclass(frozen=True)
class _Record:
    title: str
    text: str
    split: Split

    @property
    def name(self) -> str:
        return f"product/{self.title}"

    @property
    def passage(self) -> Passage:
        return Passage("", self.text[:_MOST_CHARACTERS], self.name)

    @property
    def lines(self) -> list[str]:
        """The lines that state an attribute, "name: value"."""
        return [line for line in self.text.split("\n")[1:] if ": " in line]


def product_groups(material: Material, phrasings: Phrasings) -> Iterator[Group]:
    """Yield a group for most products: an attribute that is stated, or one that is not."""
    draw = material.draw("product")
    everything = _read_records(material)
    draw.shuffle(everything)
    chosen = everything[:_RECORDS]
    asking = _Asking(draw, phrasings.product, _Likeness(chosen), _common_attributes(everything))
    for number, record in enumerate(chosen[:_ASKED]):
        if record.lines:
            group = asking.group_of(record, number)
            yield from [group] if group else []


class _Likeness:
    """Which records are like another: those that share the most rare words of the title."""

    def __init__(self, chosen: Sequence[_Record]) -> None:
        self._chosen = chosen
        self._sharing: dict[str, list[int]] = defaultdict(list)
        for number, record in enumerate(chosen):
            for stem in dict.fromkeys(stems(record.title)):
                self._sharing[stem].append(number)

    def like(self, number: int) -> list[_Record]:
        """Return at most four records of other titles and the same split, the most alike first."""
        asked = self._chosen[number]
        shared = Counter(
            other
            for stem in dict.fromkeys(stems(asked.title))
            if len(self._sharing[stem]) < _MOST_SHARING
            for other in self._sharing[stem]
        )
        found = (self._chosen[other] for other, _ in shared.most_common())
        return [record for record in found if record.title != asked.title and record.split == asked.split][:4]


@dataclass(frozen=True)
class _Asking:
    draw: random.Random
    templates: Sequence[str]
    likeness: _Likeness
    common: Mapping[str, int]  # records that state an attribute, by its name

    def group_of(self, record: _Record, number: int) -> Group | None:
        title = " ".join(record.title.split()[: self.draw.choice([3, 4, 5, 8])])
        if self.draw.random() < _SHARE_OF_STATED:
            return self._stated(record, number, title)
        return self._not_stated(record, title)

    def _stated(self, record: _Record, number: int, title: str) -> Group | None:
        line = self.draw.choice(record.lines)
        attribute, start = line.split(":")[0], record.text.find(line)
        if not 3 < len(attribute) < 40 or start > _LAST_START:
            return None
        end = min(start + len(line), _MOST_CHARACTERS)
        candidates = [Candidate(record.passage, ANSWERS, ((start, end),))]
        others = sample(self.likeness.like(number), 3, self.draw)
        candidates += [Candidate(other.passage, UNKNOWN) for other in others]
        named = attribute.lower() if self.draw.random() < 0.7 else attribute
        return self._group(record, (named, title), candidates)

    def _not_stated(self, record: _Record, title: str) -> Group | None:
        weights = [math.sqrt(count) for count in self.common.values()]
        attribute = self.draw.choices(list(self.common), weights)[0]
        stated = {stem for line in record.lines for stem in stems(line.split(":")[0])}
        if attribute in {line.split(":")[0] for line in record.lines} or stated & set(stems(attribute)):
            return None
        return self._group(record, (attribute.lower(), title), [Candidate(record.passage, ANSWERS_NOT)])

    def _group(self, record: _Record, named: tuple[str, str], candidates: Sequence[Candidate]) -> Group:
        attribute, title = named
        question = self.draw.choice(self.templates).format(attribute=attribute, title=title)
        return Group(question, "product", record.name, record.split, tuple(candidates))


def _read_records(material: Material) -> list[_Record]:
    found = records(parse_catalog(material.data / _CATALOGUE))
    return [
        _Record(title, text, split_in_two(f"product{title}", parts=10))
        for title, text in found
        if title not in material.sample_titles
    ]


def _common_attributes(everything: Sequence[_Record]) -> dict[str, int]:
    counts = Counter(line.split(":")[0] for record in everything for line in record.lines)
    return {name: count for name, count in counts.items() if count >= _LEAST_STATED and 3 < len(name) < 40}
