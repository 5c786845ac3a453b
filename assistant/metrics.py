"""Metrics: pure functions from ranks, spans, words and probabilities to numbers.

Each follows the definition that its docstring names, so that a figure can be compared with a published one. It knows
no question, no document and no model. Shares and probabilities run from 0 to 1; equal scores never get an order that
they do not have, so a number depends on the values alone and not on the order in which they come.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]  # (questions,)
Span = tuple[str, int, int]  # document, first code point, one past the last
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_SIGNS_OF_SHORT = 4
_MARKERS = re.compile(r"\s*\[\d+\]")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def ndcg(gains: Sequence[float], ideal: Iterable[float], *, k: int) -> float:
    """Return the normalised discounted cumulative gain of the first `k` ranks, as trec_eval computes it.

    `gains` are the gains found, by rank; `ideal` are all gains there are, in any order. A gain is divided by
    log2(rank + 1) (Jarvelin and Kekalainen 2002). 0 where there is nothing to gain.
    """
    best = _discounted(sorted(ideal, reverse=True)[:k])
    return _discounted(gains[:k]) / best if best else 0.0


def reciprocal_rank(relevant: Sequence[bool], *, k: int) -> float:
    """Return 1 / rank of the first relevant result among the first `k`, 0 where there is none."""
    return next((1 / rank for rank, hit in enumerate(relevant[:k], start=1) if hit), 0.0)


def recall_at(relevant: Sequence[bool], *, k: int, total: int) -> float:
    """Return the share of `total` relevant results that stand among the first `k`."""
    return sum(relevant[:k]) / total if total else 0.0


def average_precision(relevant: Sequence[bool], *, k: int, total: int) -> float:
    """Return the mean of the precisions at each relevant result among the first `k`, over `total` relevant ones."""
    ranks = [rank for rank, hit in enumerate(relevant[:k], start=1) if hit]
    return sum(found / rank for found, rank in enumerate(ranks, start=1)) / total if total else 0.0


def character_overlap(found: Iterable[Span], gold: Iterable[Span]) -> tuple[float, float]:
    """Return precision and recall over characters of the union of found spans against the union of gold spans.

    As LegalBench-RAG defines them (Pipitone and Houir Alami 2024); a character that two spans hold counts once.
    """
    found_spans, gold_spans = _united(found), _united(gold)
    common = sum(
        max(0, min(end, last) - max(start, first))
        for document, spans in found_spans.items()
        for start, end in spans
        for first, last in gold_spans.get(document, [])
    )
    found_length, gold_length = _length(found_spans), _length(gold_spans)
    return (common / found_length if found_length else 0.0), (common / gold_length if gold_length else 0.0)


def without_marks(text: str) -> str:
    """Return an answer without its citation marks ("[1]")."""
    return _MARKERS.sub("", text)


def normalise_answer(text: str) -> str:
    """Return an answer as SQuAD compares it: lower case, without citation marks, punctuation, articles, extra space."""
    plain = without_marks(text).lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def exact_match(answer: str, accepted: Iterable[str]) -> float:
    """Return 1 where an answer equals an accepted one as SQuAD compares them (Rajpurkar et al. 2016), else 0."""
    said = normalise_answer(answer)
    return float(any(normalise_answer(one) == said for one in accepted))


def token_f1(answer: str, accepted: Iterable[str]) -> float:
    """Return the best F1 over words between an answer and the accepted ones (SQuAD, Rajpurkar et al. 2016)."""
    said = normalise_answer(answer).split()
    return max((_f1(said, normalise_answer(one).split()) for one in accepted), default=0.0)


def normalised_match(answer: str, accepted: Iterable[str]) -> float:
    """Return 1 where an answer equals an accepted one by letters and digits alone, else 0."""
    said = letters(without_marks(answer))
    return float(any(letters(one) == said for one in accepted if letters(one)))


def answer_contained(answer: str, accepted: Iterable[str]) -> float:
    """Return 1 where an accepted answer stands in an answer by letters and digits alone, else 0.

    Accepted answers of fewer than four signs must stand there as words of their own: "5" is not in "2015".
    """
    said = letters(without_marks(answer))
    said_words = f" {normalise_answer(answer)} "
    return float(
        any(
            letters(one) in said if len(letters(one)) >= _SIGNS_OF_SHORT else f" {normalise_answer(one)} " in said_words
            for one in accepted
            if letters(one)
        )
    )


def letters(text: str) -> str:
    """Return the letters and digits of a text alone, case folded."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def word_precision(answer: str, sources: Iterable[str]) -> float:
    """Return the share of an answer's words that stand in its sources (K-Precision, Adlakha et al. 2024)."""
    said = Counter(normalise_answer(answer).split())
    held = Counter(word for source in sources for word in normalise_answer(source).split())
    return sum((said & held).values()) / said.total() if said else 0.0


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Return the probability that a positive scores above a negative, ties half; NaN where one kind is missing."""
    values, wanted = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    positives, negatives = int(wanted.sum()), int((~wanted).sum())
    if not positives or not negatives:
        return math.nan
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # mean rank of each group of ties, from 1
    above = float(ranks[wanted].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


@dataclass(frozen=True)
class RiskCoverage:
    """The points that thresholds on a confidence can reach, strictest first; arrays of equal length.

    `coverage` is the share accepted, `risk` the share of wrong ones among them, `accepted` and `wrong` their numbers.
    """

    thresholds: Numbers
    coverage: Numbers
    risk: Numbers
    accepted: Numbers
    wrong: Numbers


def risk_coverage(confidence: ArrayLike, is_wrong: ArrayLike, *, weights: ArrayLike | None = None) -> RiskCoverage:
    """Return risk and coverage at each different confidence (Geifman and El-Yaniv 2017).

    `weights` say how much each question counts, 1 where they are not given: `accepted` and `wrong` are then sums of
    them, and what rests on numbers of questions (`aurc`, `threshold_for_risk`) may not be taken from such a curve.
    """
    values, errors = np.asarray(confidence, dtype=np.float64), np.asarray(is_wrong, dtype=np.float64)
    counted = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    different, place = np.unique(-values, return_inverse=True)
    size = len(different)
    accepted = np.cumsum(np.bincount(place, weights=counted, minlength=size)).astype(np.float64)
    wrong = np.cumsum(np.bincount(place, weights=errors * counted, minlength=size)).astype(np.float64)
    total = accepted[-1] if size else 1.0
    return RiskCoverage(-different, accepted / total, wrong / accepted, accepted, wrong)


def aurc(curve: RiskCoverage) -> float:
    """Return the area under the risk-coverage curve: the mean risk over the first 1, 2, ... all accepted.

    Within equal confidences the wrong ones are spread evenly, which is the mean over all their orders.
    """
    if not len(curve.accepted):
        return math.nan
    accepted = np.arange(1, int(curve.accepted[-1]) + 1, dtype=np.float64)
    wrong = np.interp(accepted, np.append(0.0, curve.accepted), np.append(0.0, curve.wrong))
    return float(np.mean(wrong / accepted))


def coverage_at_risk(curve: RiskCoverage, most: float) -> float:
    """Return the largest coverage that a threshold reaches at a risk of at most `most`; 0 where none does."""
    return float(np.max(curve.coverage[curve.risk <= most], initial=0.0))


def risk_bound(wrong: int, accepted: int, *, doubt: float) -> float:
    """Return the upper bound of a risk seen as `wrong` of `accepted` (Clopper and Pearson 1934), wrong with `doubt`.

    The bound is the risk at which so few wrong ones come with probability `doubt`; 1 where nothing was accepted.
    """
    if accepted <= wrong:
        return 1.0
    low, high = wrong / accepted, 1.0
    for _ in range(60):  # halving: to within 1e-18
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(wrong, accepted, middle) > doubt else (low, middle)
    return high


def threshold_for_risk(curve: RiskCoverage, most: float, *, doubt: float = 0.1) -> float | None:
    """Return the lowest threshold whose risk is at most `most` but for `doubt`; None where none is shown to be.

    Thresholds are tried from the strictest on and the first that fails ends the search, so that `doubt` holds for the
    one returned (fixed-sequence testing; Angelopoulos et al. 2021, Learn then Test). A threshold that accepts too few
    questions to be tested even without an error is passed over, which depends on their number alone.
    """
    chosen = None
    for threshold, accepted, wrong in zip(curve.thresholds, curve.accepted, curve.wrong, strict=True):
        if risk_bound(0, int(accepted), doubt=doubt) > most:
            continue
        if risk_bound(int(wrong), int(accepted), doubt=doubt) > most:
            break
        chosen = float(threshold)
    return chosen


def brier(probabilities: ArrayLike, outcomes: ArrayLike) -> float:
    """Return the mean squared distance of probabilities from outcomes of 0 and 1 (Brier 1950)."""
    return float(np.mean((np.asarray(probabilities, dtype=np.float64) - np.asarray(outcomes, dtype=np.float64)) ** 2))


def expected_calibration_error(probabilities: ArrayLike, outcomes: ArrayLike, *, bins: int = 10) -> float:
    """Return the mean distance of confidence from frequency over bins of equal width (Naeini 2015; Guo 2017)."""
    values, came = np.asarray(probabilities, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    place = np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=values - came, minlength=bins)
    return float(np.abs(gaps).sum() / len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies, linear between neighbours; 0 for none."""
    return float(np.quantile(np.asarray(values, dtype=np.float64), share)) if len(values) else 0.0


def _at_most(wrong: int, accepted: int, risk: float) -> float:
    """Return the probability of at most `wrong` errors among `accepted` at a risk between 0 and 1."""
    if risk <= 0 or risk >= 1:
        return float(risk <= 0)
    logs = [
        math.lgamma(accepted + 1) - math.lgamma(number + 1) - math.lgamma(accepted - number + 1)
        + number * math.log(risk) + (accepted - number) * math.log1p(-risk)
        for number in range(wrong + 1)
    ]  # fmt: skip
    return math.fsum(map(math.exp, logs))


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _united(spans: Iterable[Span]) -> dict[str, list[tuple[int, int]]]:
    """Return the spans of each document in order, those that touch or overlap joined."""
    united: dict[str, list[tuple[int, int]]] = {}
    for document, start, end in sorted(spans):
        kept = united.setdefault(document, [])
        if kept and start <= kept[-1][1]:
            kept[-1] = (kept[-1][0], max(kept[-1][1], end))
        else:
            kept.append((start, end))
    return united


def _length(spans: Mapping[str, Sequence[tuple[int, int]]]) -> int:
    return sum(end - start for document in spans.values() for start, end in document)


def _f1(said: Sequence[str], accepted: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(accepted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(accepted)
    return 2 * precision * recall / (precision + recall)
