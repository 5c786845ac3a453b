"""Attributes that a product's record does not state, although many others state them: questions to refuse."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from assistant.retrieve import Passage
from finetune.example_checks import unit_of
from finetune.example_contexts import shown_as
from finetune.example_questions import Templates
from ingest.index import Stored
from ingest.words import stems

_LEAST_STATED = 15  # records that state an attribute before it is asked of one that does not
_TRIES = 6


def unstated(
    records: Sequence[Stored], templates: Templates, draw: random.Random, *, most: int
) -> Iterator[tuple[str, str]]:
    """Yield at most so many questions, each with the unit of its record; no attribute of a like name is stated."""
    names = Counter(name for record in records for name in _stated(record))
    common = [name for name, count in sorted(names.items()) if count >= _LEAST_STATED]
    slices: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    for record in records:
        slices[record.document, record.clause].append(record)
    chosen = draw.sample(list(slices.values()), min(most, len(slices)))
    for parts in chosen if common else ():
        held = {stem for part in parts for stem in stems(part.text)}
        for _ in range(_TRIES):
            name = draw.choice(common)
            if not held & set(stems(name)):
                product = " ".join(" ".join(parts[0].path).split()[: draw.choice([4, 6, 8])])
                question = templates.ask("attribute", draw, attribute=name.lower(), product=product, title="")
                yield " ".join(question.split()), unit_of(shown_as(Passage(parts[0], 1, 0.0, 0.0, 0.0)))
                break


def _stated(record: Stored) -> set[str]:
    return {line.split(": ")[0] for line in record.text.split("\n") if 3 < line.find(": ") < 40}
