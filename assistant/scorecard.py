"""Scorecard: the scores of single questions, and what they come to over all, by kind, by split, with intervals.

The means stand at the top under their usual names, as `name/KIND` for a kind and as `name/split=SPLIT` where a file
holds several splits; `counts` and `intervals` hold under the same names how many cases a mean rests on and its 95 %
interval. It knows no metric by name.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.bootstrap import intervals_of_means


@dataclass(frozen=True)
class Scored:
    """The scores of one question and the cluster, kind and split it belongs to; a score that has no sense is absent."""

    cluster: str
    scores: Mapping[str, float]
    kind: str = ""
    split: str = ""


def summarise(scored: Sequence[Scored], *, headline: Sequence[str]) -> dict[str, Any]:
    """Return the mean of each score, those of the `headline` also by kind and by split, their counts and intervals."""
    rows = [{**one.scores, **_of_groups(one, headline, by_split=_has_splits(scored))} for one in scored]
    names = sorted({name for row in rows for name in row}, key=_order(rows))
    means = {name: statistics.fmean(row[name] for row in rows if name in row) for name in names}
    counts = {name: sum(name in row for row in rows) for name in names}
    intervals = intervals_of_means(rows, [one.cluster for one in scored])
    return {**means, "counts": counts, "intervals": intervals}


def _of_groups(one: Scored, headline: Sequence[str], *, by_split: bool) -> dict[str, float]:
    groups = [group for group in (one.kind, f"split={one.split}" if by_split and one.split else "") if group]
    return {f"{name}/{group}": one.scores[name] for group in groups for name in headline if name in one.scores}


def _has_splits(scored: Sequence[Scored]) -> bool:
    return len({one.split for one in scored}) > 1


def _order(rows: Sequence[Mapping[str, float]]) -> Any:
    """Return a sort key: figures over all in the order they were made, then those of groups by their names."""
    places = {name: number for number, name in enumerate(dict.fromkeys(name for row in rows for name in row))}
    return lambda name: (1, name) if "/" in name else (0, f"{places[name]:06}")
