"""Mine near misses: the passages of a document that a trained reader takes for answers although they are none.

Word overlap finds the passages that speak of the same thing; a reader errs on others. It knows scores and labels.
Rules: only where the answers of a document were marked throughout; a passage that touches an answer is never a near
miss; what answers, and what is unknown, stays as it was; without randomness.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from finetune.reader_groups import ANSWERS_NOT, Candidate, Group
from finetune.reader_scores import Documents, Scores

_BY_ANSWER = 4
_BY_RELEVANCE = 2
_KEPT = 2  # of the near misses that word overlap found


def mined(group: Group, scores: Scores, documents: Documents) -> Group:
    """Return a group whose near misses are those that a reader finds hardest; `scores` are (passages, 2)."""
    passages = documents[group.document]
    hardest = [passages[number] for number in _hardest(scores, set(group.touched or ()))]
    others = [one for one in group.candidates if one.label == ANSWERS_NOT]
    kept = [one for one in others if one.passage not in hardest][:_KEPT]
    rest = [one for one in group.candidates if one.label != ANSWERS_NOT]
    return replace(group, candidates=(*rest, *(Candidate(one, ANSWERS_NOT) for one in hardest), *kept))


def to_mine(groups: Sequence[Group]) -> list[int]:
    """Return the numbers of the groups of documents whose answers were marked throughout."""
    return [number for number, group in enumerate(groups) if group.touched is not None]


def _hardest(scores: Scores, touched: set[int]) -> Iterator[int]:
    relevance, answers = scores.T
    found: dict[int, None] = {}
    for column, most in ((answers, _BY_ANSWER), (relevance, _BY_RELEVANCE)):
        ordered = np.argsort(-column, kind="stable").tolist()
        found |= dict.fromkeys([number for number in ordered if number not in touched and number not in found][:most])
    return iter(found)
