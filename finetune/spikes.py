"""Loss spikes: how often the loss of a run left its course.

It knows a row of losses and nothing of the run. Rules: what the noise of the curve explains is no spike, and one odd
batch is none; a rise counts once, however long it lasts; a loss that is no number counts by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

_RECENT_STEPS = 10
_COURSE_STEPS = 50
_LEAST_STEPS = 20  # a mean of fewer says nothing yet
_RISE = math.log(1.5)
_NOISE = 6.0  # standard errors
_LEAST_LOSS = 1e-3  # nats a token; below that a loss is as good as none


def count_spikes(losses: Sequence[Any]) -> int:
    """Return how many losses are no number, and how often the others rose out of their course.

    The mean of the last ten has to rise above 1.5 times the lowest mean of fifty so far, and by more than six standard
    errors of a mean of ten; the rise ends where the means of ten and of fifty are below 1.5 times again. Means are
    geometric, since the noise of a loss multiplies: in runs on short answers the logarithm of a loss near .02 has a
    standard deviation of .55 from step to step, whatever came before, and a fifth of all losses stand above 1.5 times
    the median of the five before. Six standard errors because the highest of some thousand means lies between three
    and four above its expectation and the course, the lowest of as many, one or two below; OLMo-core's stability
    monitor, which looks at single losses, takes six standard deviations too. The noise is taken from the differences
    of neighbours, which a falling loss does not widen. Fewer than twenty steps cannot be judged.
    """
    logarithms = [math.log(max(loss, _LEAST_LOSS)) for loss in losses if _is_number(loss)]
    return len(losses) - len(logarithms) + _count_rises(logarithms)


def _count_rises(logarithms: Sequence[float]) -> int:
    rises, is_above = 0, False
    course = limit = math.inf
    for end in range(_LEAST_STEPS, len(logarithms) + 1):
        window = logarithms[max(0, end - _COURSE_STEPS) : end]
        recent, level = fmean(window[-_RECENT_STEPS:]), fmean(window)
        was_above, is_above = is_above, recent > limit or (is_above and max(recent, level) > course + _RISE)
        rises += is_above and not was_above
        if level < course:
            course, limit = level, level + max(_RISE, _NOISE * _deviation(window) / math.sqrt(_RECENT_STEPS))
    return rises


def _deviation(window: Sequence[float]) -> float:
    """Return the standard deviation from step to step: of differences of neighbours, by the square root of two."""
    squares = [(after - before) ** 2 for before, after in pairwise(window)]
    return math.sqrt(fmean(squares) / 2)


def _is_number(loss: Any) -> bool:
    return isinstance(loss, int | float) and math.isfinite(loss)
