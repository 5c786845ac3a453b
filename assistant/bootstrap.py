"""Bootstrap: how far a figure may be off, by drawing the documents anew (Efron 1979; clusters: Field and Welsh 2007).

Questions about one document fail together, so whole documents are drawn, with replacement, and never single
questions. Seeded: the same rows give the same interval. It knows rows of numbers with a cluster's name and nothing of
what they measure. A figure that rests on fewer than two clusters gets no interval rather than one of width zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
SEED = 20260101
Interval = dict[str, float]  # {"low": ..., "high": ...}, 95 %
Chosen = NDArray[np.intp]  # (questions drawn,), row numbers
_QUANTILES = (0.025, 0.975)


def intervals_of_means(
    rows: Sequence[Mapping[str, float]], clusters: Sequence[str], *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Interval]:
    """Return the 95 % interval of each name's mean; a row without a name has no part in that mean."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        return {}
    places = _places(clusters)
    sums = np.zeros((places.max() + 1, len(names)))  # (clusters, names)
    counts = np.zeros_like(sums)
    np.add.at(sums, places, np.array([[row.get(name, 0.0) for name in names] for row in rows]))
    np.add.at(counts, places, np.array([[name in row for name in names] for row in rows], dtype=float))
    drawn = _draw(len(sums), resamples, seed)  # (resamples, clusters): how often each was drawn
    totals = drawn @ counts
    means = np.divide(drawn @ sums, totals, out=np.full(totals.shape, np.nan), where=totals > 0)
    enough = np.count_nonzero(counts, axis=0) > 1
    return {name: _interval(means[:, number]) for number, name in enumerate(names) if enough[number]}


def intervals_of(
    measure: Callable[[Chosen], Mapping[str, float]],
    clusters: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Interval]:
    """Return the 95 % interval of each figure that `measure` gives for the numbers of the rows drawn.

    For figures that are no means (areas, calibration). NaN stands for a figure that a draw does not allow.
    """
    places = _places(clusters)
    if not len(places) or places.max() < 1:
        return {}
    members = [np.flatnonzero(places == number) for number in range(places.max() + 1)]
    found: dict[str, list[float]] = {}
    for times in _draw(len(members), resamples, seed).astype(int):
        chosen = np.concatenate([np.repeat(members[number], times[number]) for number in np.flatnonzero(times)])
        for name, value in measure(chosen).items():
            found.setdefault(name, []).append(value)
    return {name: _interval(np.array(values)) for name, values in found.items() if not np.all(np.isnan(values))}


def _places(clusters: Sequence[str]) -> NDArray[np.intp]:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    return np.array([numbers[name] for name in clusters], dtype=np.intp)


def _draw(clusters: int, resamples: int, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    return generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples).astype(np.float64)


def _interval(values: NDArray[np.float64]) -> Interval:
    low, high = np.nanquantile(values, _QUANTILES)
    return {"low": float(low), "high": float(high)}
