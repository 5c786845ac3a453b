"""Scores: how well a clause is what a Topic looks for, from 0 to 1.

Signals of the wording (phrases, hints, heading, words covered) and the closeness of the embedding are put together by
a logistic rule, whose weights `benchmarks/clause_search.py` fits on labelled contracts. Anything that scores texts
against a topic (a cross-encoder) can take its place: see `ClauseScorer`. This module opens no index and no document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from assistant.clause_topics import Topic, count_phrases, readable
from ingest.words import split_sentences, stems

FEATURES = ("bias", "phrases", "hints", "heading", "against", "closeness", "coverage", "length")
# Fitted on the tuning half of the labelled contracts; the order is that of FEATURES.
TOPIC_WEIGHTS = (-7.174, 5.429, 1.71, 2.305, -2.144, 5.305, 1.155, 0.083)
TEXT_WEIGHTS = (-8.119, 0.0, 0.0, 0.0, 0.0, 10.377, 5.691, 0.135)
TOPIC_THRESHOLD = 0.23
TEXT_THRESHOLD = 0.11
_USUAL_LENGTH = 500  # characters
_LABEL = re.compile(r"^[\W\d]*(?:(?:article|section|clause|para\w*)\b)?[\W\d]*(?:[ivxl]+[.)]\s)?", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """What is scored: the headings over a clause, its own last; its text; its closest chunk's cosine to the topic."""

    path: tuple[str, ...]
    text: str
    closeness: float


class ClauseScorer(Protocol):
    """Scores texts against a topic, from 0 (is not about it) to 1 (is what it looks for)."""

    @property
    def name(self) -> str:
        """What scores, as the completeness statement names it."""

    def score(self, topic: Topic, texts: Sequence[str]) -> list[float]:
        """Return one score for each text; a text is the clause with its heading on the first line."""


def score_signals(topic: Topic, candidates: Sequence[Candidate], *, weigh: Callable[[str], float]) -> list[float]:
    """Return the score of each candidate by its signals; `weigh` gives the rarity of a stem."""
    weights = TEXT_WEIGHTS if topic.is_free_text else TOPIC_WEIGHTS
    return [
        _logistic(sum(weight * value for weight, value in zip(weights, measure(topic, one, weigh=weigh), strict=True)))
        for one in candidates
    ]


def default_threshold(topic: Topic) -> float:
    """Return the least score of a match: the topic's own, else the one for topics or for free text."""
    return topic.threshold or (TEXT_THRESHOLD if topic.is_free_text else TOPIC_THRESHOLD)


def measure(topic: Topic, candidate: Candidate, *, weigh: Callable[[str], float]) -> tuple[float, ...]:
    """Return the features of a candidate, in the order of FEATURES."""
    text = readable(candidate.text)
    return (
        1.0,
        1.0 - 0.5 ** count_phrases(topic.phrases, text),
        min(1.0, count_phrases(topic.hints, text) / 2),
        heading_match(topic, candidate.path),
        float(count_phrases(topic.against, text) > 0),
        candidate.closeness,
        _best_coverage(topic, candidate.text, weigh),
        math.log(max(len(text), 40) / _USUAL_LENGTH),
    )


def heading_match(topic: Topic, path: Sequence[str]) -> float:
    """Return 1 where a clause's own heading is the topic's, 0.5 where it holds one or its parent's is, else 0."""
    own = _heading_match(topic, path[-1]) if path else 0.0
    parent = _heading_match(topic, path[-2]) if len(path) > 1 else 0.0
    return max(own, parent / 2)


def _heading_match(topic: Topic, heading: str) -> float:
    wanted = [set(stems(one)) for one in topic.headings]
    said = set(stems(_LABEL.sub("", heading)))
    if not said:
        return 0.0
    if said in wanted:
        return 1.0
    return 0.5 if any(one and one <= said for one in wanted) else 0.0


def _best_coverage(topic: Topic, text: str, weigh: Callable[[str], float]) -> float:
    """Return the largest share of the description's words, weighed by rarity, that one sentence covers."""
    wanted = set(stems(topic.description))
    total = sum(weigh(stem) for stem in wanted)
    if not total:
        return 0.0
    sentences = [set(stems(text[start:end])) for start, end in split_sentences(text)]
    return max((sum(weigh(stem) for stem in wanted & said) / total for said in sentences), default=0.0)


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, value))))
