"""Checks on examples: what may stay, what is taken out and how often, and on which side of the split each stands.

It knows examples and words, and refuses to know where they came from. Rules: a question that is nearly one of the
evaluation's is taken out; so is one asked twice with the same answer and passages, and a refusal whose passages hold
what another example gives as the answer to the same question; a document, or a record of a catalogue, stands on one
side of the split with all its passages, and documents that differ in their version only stand together.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from assistant.guards import prompt_text
from finetune.examples import ExamplePassage, TrainingExample, named
from ingest.words import stems

NEAR = 0.8  # of the stems of both questions together
HELD_OUT_SHARE = 0.1
_CATALOGUES = {".csv", ".tsv", ".json", ".jsonl"}
_IN_CATALOGUE = " | "
_VERSION = re.compile(r"[\W_]*(?:v(?:er(?:sion)?)?[\W_]*)?\d[\d\W_]*")


@dataclass
class Taken:
    """How many were taken out, by why."""

    counts: Counter[str] = field(default_factory=Counter)

    def out(self, why: str, number: int = 1) -> None:
        """Count what was taken out."""
        if number:
            self.counts[why] += number


class Avoided:
    """Questions to stay away from, by their words."""

    def __init__(self, questions: Iterable[str]) -> None:
        self._asked = list({frozenset(stems(question)) for question in questions} - {frozenset()})
        self._holding: dict[str, list[int]] = defaultdict(list)
        for number, asked in enumerate(self._asked):
            for stem in asked:
                self._holding[stem].append(number)

    def is_near(self, question: str) -> bool:
        """Tell whether a question shares at least four in five of the words of one of them."""
        mine = frozenset(stems(question))
        shared = Counter(number for stem in mine for number in self._holding.get(stem, ()))
        return any(count >= NEAR * len(mine | self._asked[number]) for number, count in shared.items())


def without_near(examples: Iterable[TrainingExample], avoided: Avoided, taken: Taken) -> list[TrainingExample]:
    """Return the examples whose question is none of the evaluation's, nearly."""
    examples = list(examples)
    kept = [one for one in examples if not avoided.is_near(one.question)]
    taken.out("near an evaluation question", len(examples) - len(kept))
    return kept


def without_repeats(examples: Iterable[TrainingExample], taken: Taken) -> list[TrainingExample]:
    """Return each example once: equal words in question, answer and passages, in any order of the passages."""
    examples = list(examples)
    kept: dict[tuple[str, ...], TrainingExample] = {}
    for one in examples:
        shown = sorted(passage.text for passage in one.passages)
        kept.setdefault((plain(one.question), plain(one.target), *shown), one)
    taken.out("said twice", len(examples) - len(kept))
    return list(kept.values())


def without_disagreement(examples: Sequence[TrainingExample], taken: Taken) -> list[TrainingExample]:
    """Return the examples without refusals that show what another one gives as the answer to the same question."""
    answers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in examples:
        if not one.abstains:
            answers[plain(one.question), one.document].add(one.target)
    kept = [one for one in examples if not _denies(one, answers)]
    taken.out("refusal although the answer is shown", len(examples) - len(kept))
    return kept


def balanced(
    examples: Sequence[TrainingExample], *, abstaining: float, draw: random.Random, taken: Taken
) -> list[TrainingExample]:
    """Return the examples with at most a share of refusals, those left out drawn at random; order kept."""
    refusals = [number for number, one in enumerate(examples) if one.abstains]
    most = int(abstaining / (1 - abstaining) * (len(examples) - len(refusals)))
    dropped = set(draw.sample(refusals, max(0, len(refusals) - most)))
    taken.out("refusal beyond the share asked for", len(dropped))
    return [one for number, one in enumerate(examples) if number not in dropped]


def split_by_document(
    examples: Iterable[TrainingExample], *, share: float = HELD_OUT_SHARE, seed: int, taken: Taken
) -> tuple[list[TrainingExample], list[TrainingExample]]:
    """Return what is trained on and what is held out: a share of the documents by their hash, at least one of several.

    A passage of the other side is left out of a Context; an example that loses its answer by that is taken out.
    """
    examples = list(examples)
    held = _held_out(examples, share, seed)
    sides: tuple[list[TrainingExample], list[TrainingExample]] = ([], [])
    for one in examples:
        is_held = _unit_key(one.document) in held
        own = tuple(passage for passage in one.passages if (_unit_key(unit_of(passage)) in held) == is_held)
        if not _is_whole(one, own):
            taken.out("answer on the other side of the split")
            continue
        sides[is_held].append(one if own == one.passages else named(replace(one, passages=own)))
    return sides


def unit_of(passage: ExamplePassage) -> str:
    """Return what a passage's split goes by: its document, or its record in a catalogue."""
    is_record = PurePosixPath(passage.document).suffix.lower() in _CATALOGUES
    return f"{passage.document}{_IN_CATALOGUE}{passage.source}" if is_record else passage.document


def family_of(document: str) -> str:
    """Return a logical name without its version marks: what editions of one document have in common."""
    return _VERSION.sub(" ", document.casefold())


def stands(target: str, passages: Iterable[ExamplePassage]) -> bool:
    """Tell whether every sentence of an answer stands in the passages or their sources, as the prompt shows them."""
    shown = [squeezed(f"{passage.source}\n{prompt_text(passage.text)}") for passage in passages]
    return all(any(piece in text for text in shown) for piece in pieces(target))


def pieces(target: str) -> list[str]:
    """Return the parts of an answer, each of which stands in some passage: one, or its lines where it has several."""
    return [piece for piece in (squeezed(line) for line in target.split(SEPARATOR)) if piece]


SEPARATOR = "\n"  # between the parts of an answer that come from different passages


def squeezed(text: str) -> str:
    """Return a text with single spaces."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """Return a text for comparison: case folded, letters and digits by words."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _denies(example: TrainingExample, answers: Mapping[tuple[str, str], set[str]]) -> bool:
    if not example.abstains:
        return False
    said = answers.get((plain(example.question), example.document), set())
    return any(stands(answer, example.passages) for answer in said)


def _held_out(examples: Iterable[TrainingExample], share: float, seed: int) -> set[str]:
    """Return the units that are held out: those drawn below the share, or the first where these are none of several.

    One of several is a unit with whose own passages some example is whole; a question that nothing answers is none.
    """
    drawn: dict[str, float] = {}
    standing: set[str] = set()
    for one in examples:
        unit, shown = _unit_key(one.document), [_unit_key(unit_of(passage)) for passage in one.passages]
        drawn.update((key, _drawn(key, seed)) for key in (unit, *shown))
        own = [passage for passage, key in zip(one.passages, shown, strict=True) if key == unit]
        if own and _is_whole(one, own):
            standing.add(unit)
    held = {key for key, number in drawn.items() if number < share}
    if len(standing) > 1 and not held & standing:
        held.add(min(standing, key=lambda key: drawn[key]))
    return held


def _is_whole(example: TrainingExample, own: Sequence[ExamplePassage]) -> bool:
    """Tell whether an example can be learnt from with these of its passages alone."""
    return (bool(own) or not example.passages) and (example.abstains or stands(example.target, own))


def _unit_key(unit: str) -> str:
    """Return what all that must stand on one side has in common: a record's unit, or the family of a document."""
    return unit if _IN_CATALOGUE in unit else family_of(unit)


def _drawn(key: str, seed: int) -> float:
    """Return a number from 0 to 1 that depends on a unit and the seed alone."""
    return int(hashlib.sha256(f"{seed}/{key}".encode()).hexdigest()[:8], 16) / 16**8
