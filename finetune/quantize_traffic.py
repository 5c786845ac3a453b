"""Whether calibration texts are like the traffic: distances in length and in words, and a warning in a sentence.

It knows texts only. Length distance is the largest gap between the two cumulative distributions (Kolmogorov-Smirnov);
vocabulary distance is the Jensen-Shannon divergence in bits between their word frequencies, from 0 to 1.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

LENGTH_LIMIT = 0.35
WORDS_LIMIT = 0.45
LEAST_TEXTS = 20
_WORDS = re.compile(r"\w+")


def distances(calibration: Sequence[str], traffic: Sequence[str]) -> dict[str, float]:
    """Return `length` and `words`, each from 0 (alike) to 1; none where a side has no text."""
    if not calibration or not traffic:
        return {}
    return {"length": _length_distance(calibration, traffic), "words": _word_distance(calibration, traffic)}


def traffic_warnings(calibration: Sequence[str], traffic: Sequence[str]) -> list[str]:
    """Return a sentence for each way in which calibration texts are unlike the traffic, or too few to tell."""
    if not traffic:
        return ["No traffic was given, so nothing says that the calibration texts are like it; give --traffic."]
    found = distances(calibration, traffic)
    warnings = []
    if min(len(calibration), len(traffic)) < LEAST_TEXTS:
        warnings.append(
            f"{len(calibration)} calibration texts and {len(traffic)} of traffic are too few to compare, expected "
            f"{LEAST_TEXTS} of each; give more."
        )
    for name, limit, unlike in (("length", LENGTH_LIMIT, "as long"), ("words", WORDS_LIMIT, "in the same words")):
        if found.get(name, 1.0) > limit:
            warnings.append(
                f"The calibration texts are not {unlike} as the traffic (distance {found.get(name, 1.0):.2f}, expected "
                f"at most {limit}); take calibration data from what is really asked."
            )
    return warnings


def _length_distance(calibration: Sequence[str], traffic: Sequence[str]) -> float:
    ours, theirs = (np.sort([len(text) for text in texts]) for texts in (calibration, traffic))
    every = np.concatenate([ours, theirs])
    gaps = np.searchsorted(ours, every, "right") / len(ours) - np.searchsorted(theirs, every, "right") / len(theirs)
    return float(np.abs(gaps).max())


def _word_distance(calibration: Sequence[str], traffic: Sequence[str]) -> float:
    ours, theirs = (Counter(_WORDS.findall(" ".join(texts).lower())) for texts in (calibration, traffic))
    own, other = ours.total(), theirs.total()
    if not own or not other:
        return 1.0
    bits = 0.0
    for word in {*ours, *theirs}:
        first, second = ours[word] / own, theirs[word] / other
        middle = (first + second) / 2
        bits += sum(0.5 * share * math.log2(share / middle) for share in (first, second) if share)
    return bits
