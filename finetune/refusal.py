"""Where to refuse: a threshold on the log odds of refusing, fitted on examples that are not the measured ones.

It knows numbers only. Rule: the threshold stands halfway between two examples, where the shares of right refusals and
of right answers sum to the most (Youden 1950); of equal ones the lowest wins, so that doubt refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

from governance.errors import BadInput


def fit_threshold(odds: Sequence[float], absent: Sequence[bool]) -> float:
    """Return the log odds above which to refuse. Raises BadInput where one of the two kinds is missing."""
    positives = sum(absent)
    negatives = len(absent) - positives
    if not positives or not negatives:
        raise BadInput(
            f"A refusal is fitted on answerable and absent examples, and there are {negatives} and {positives}; give "
            "data with both kinds."
        )
    pairs = sorted(zip(odds, absent, strict=True))
    caught, wrong = positives, negatives  # refused by a threshold below all
    best, threshold = 0.0, pairs[0][0] - 1.0
    for number, (value, is_absent) in enumerate(pairs):
        caught -= is_absent
        wrong -= not is_absent
        following = pairs[number + 1][0] if number + 1 < len(pairs) else value + 2.0
        gain = caught / positives - wrong / negatives
        if gain > best and following > value:
            best, threshold = gain, (value + following) / 2
    return threshold
