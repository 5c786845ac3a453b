"""Fusion: one score a candidate from two lists of scores, of which neither has the other's scale.

Pure functions from scores by id to scores by id; what was searched, and what an id stands for, are not known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from governance.settings import Fusion

_RANK_CONSTANT = 60
Scores = Mapping[str, float]


def fuse_scores(dense: Scores, by_words: Scores, *, how: Fusion) -> dict[str, float]:
    """Return the fused score of every id in either list, higher is better.

    `distribution` sums each score's place within the mean +- 3 standard deviations of its list; `both` does so over
    all candidates, each of which both searches have scored (0 where no word is shared); `rank` sums reciprocal ranks
    with constant 60 (Cormack, Clarke and Buettcher, SIGIR 2009).
    """
    ids = {**by_words, **dense}
    if how == "both":
        dense, by_words = ({key: found.get(key, 0.0) for key in ids} for found in (dense, by_words))
    place = _by_rank if how == "rank" else _by_distribution
    parts = (place(dense), place(by_words))
    return {key: sum(part.get(key, 0.0) for part in parts) for key in ids}


def _by_distribution(found: Scores) -> dict[str, float]:
    if not found:
        return {}
    mean = math.fsum(found.values()) / len(found)
    spread = math.sqrt(math.fsum((score - mean) ** 2 for score in found.values()) / len(found))
    if spread == 0:
        return dict.fromkeys(found, 0.5)
    return {key: (score - mean + 3 * spread) / (6 * spread) for key, score in found.items()}


def _by_rank(found: Scores) -> dict[str, float]:
    ordered = sorted(found, key=lambda key: -found[key])
    return {key: 1 / (_RANK_CONSTANT + rank) for rank, key in enumerate(ordered, start=1)}
