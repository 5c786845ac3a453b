"""Metrics equal what one computes by hand, or by following the definition without thought."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from assistant import metrics


def plain_ndcg(gains: list[float], ideal: list[float], k: int) -> float:
    """The definition: the gain of this order over the gain of the best of all orders."""

    def gain_of(order: list[float]) -> float:
        return sum(order[place] / math.log(place + 2, 2) for place in range(min(k, len(order))))

    best = max(gain_of(list(order)) for order in itertools.permutations(ideal))
    return gain_of(gains) / best if best else 0.0


def test_ndcg_by_hand() -> None:
    assert metrics.ndcg([1, 0, 1], [1, 1], k=10) == pytest.approx((1 + 0.5) / (1 + 1 / math.log2(3)))
    assert metrics.ndcg([0, 0, 1], [1], k=2) == 0.0
    assert metrics.ndcg([], [], k=10) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_ndcg_is_that_of_the_definition(seed: int) -> None:
    draw = random.Random(seed)
    ideal = [float(draw.randint(0, 3)) for _ in range(draw.randint(1, 6))]
    gains = [*draw.sample(ideal, draw.randint(0, len(ideal))), *[0.0] * draw.randint(0, 3)]
    draw.shuffle(gains)
    for k in (1, 3, 10):
        assert metrics.ndcg(gains, ideal, k=k) == pytest.approx(plain_ndcg(gains, ideal, k))


def test_ranks_by_hand() -> None:
    hits = [False, True, False, True]
    assert metrics.reciprocal_rank(hits, k=10) == 0.5
    assert metrics.reciprocal_rank(hits, k=1) == 0.0
    assert metrics.recall_at(hits, k=2, total=3) == pytest.approx(1 / 3)
    assert metrics.average_precision(hits, k=10, total=3) == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert metrics.recall_at([], k=5, total=0) == metrics.average_precision([], k=5, total=0) == 0.0


def test_characters_count_once_and_only_in_their_document() -> None:
    gold = [("a", 10, 20), ("a", 15, 30)]
    assert metrics.character_overlap([("a", 0, 15), ("a", 10, 15)], gold) == pytest.approx((5 / 15, 0.25))
    assert metrics.character_overlap([("b", 10, 30)], gold) == (0.0, 0.0)
    assert metrics.character_overlap([], gold) == (0.0, 0.0)
    assert metrics.character_overlap([("a", 0, 40)], gold) == (0.5, 1.0)


@pytest.mark.parametrize("seed", range(20))
def test_character_overlap_is_that_of_sets_of_characters(seed: int) -> None:
    draw = random.Random(seed)

    def spans(number: int) -> list[metrics.Span]:
        starts = [(draw.choice("ab"), draw.randint(0, 30)) for _ in range(number)]
        return [(document, start, start + draw.randint(1, 12)) for document, start in starts]

    found, gold = spans(5), spans(3)
    held, wanted = ({(doc, at) for doc, start, end in some for at in range(start, end)} for some in (found, gold))
    precision, recall = metrics.character_overlap(found, gold)
    assert precision == pytest.approx(len(held & wanted) / len(held))
    assert recall == pytest.approx(len(held & wanted) / len(wanted))


def test_answers_are_compared_as_squad_does() -> None:
    assert metrics.normalise_answer("The  $1,000, a night! [1]") == "1000 night"
    assert metrics.exact_match("The Eiffel Tower. [2]", ["eiffel tower"]) == 1.0
    assert metrics.exact_match("Eiffel", ["eiffel tower"]) == 0.0
    assert metrics.token_f1("the tower of Paris", ["Eiffel tower", "tower of Paris"]) == 1.0
    assert metrics.token_f1("at most 120 dollars [1]", ["120 dollars"]) == pytest.approx(2 / 3)
    assert metrics.token_f1("", ["120"]) == metrics.token_f1("x", []) == 0.0


def test_containment_takes_short_answers_as_words_only() -> None:
    assert metrics.answer_contained("They are 1mm x 5mm in size. [1]", ["1 mm x 5 mm"]) == 1.0
    assert metrics.answer_contained("It opened in 2015.", ["5"]) == 0.0
    assert metrics.answer_contained("It takes 5 days.", ["5"]) == 1.0
    assert metrics.answer_contained("anything", ["", "..."]) == 0.0
    assert metrics.normalised_match("1 mm x 5 mm [1]", ["1mm x 5mm"]) == 1.0
    assert metrics.normalised_match("", [""]) == 0.0


def test_words_of_an_answer_are_looked_up_in_its_sources() -> None:
    assert metrics.word_precision("Rooms cost 90 dollars", ["rooms cost at most", "120 dollars"]) == 0.75
    assert metrics.word_precision("", ["x"]) == 0.0


@pytest.mark.parametrize("seed", range(10))
def test_auroc_is_the_share_of_pairs_in_order(seed: int) -> None:
    draw = random.Random(seed)
    scores = [draw.randint(0, 5) / 5 for _ in range(30)]
    positive = [draw.random() < 0.5 for _ in scores]
    pairs = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high, is_high in zip(scores, positive, strict=True)
        for low, is_low in zip(scores, positive, strict=True)
        if is_high and not is_low
    ]
    assert metrics.auroc(scores, positive) == pytest.approx(sum(pairs) / len(pairs))
    assert math.isnan(metrics.auroc(scores, [True] * len(scores)))


@pytest.mark.parametrize("seed", range(10))
def test_risk_and_coverage_are_those_of_each_threshold(seed: int) -> None:
    draw = random.Random(seed)
    confidence = [draw.randint(0, 4) / 4 for _ in range(7)]
    wrong = [draw.random() < 0.4 for _ in confidence]
    curve = metrics.risk_coverage(confidence, wrong)
    for threshold, coverage, risk in zip(curve.thresholds, curve.coverage, curve.risk, strict=True):
        accepted = [is_wrong for value, is_wrong in zip(confidence, wrong, strict=True) if value >= threshold]
        assert coverage == pytest.approx(len(accepted) / len(wrong))
        assert risk == pytest.approx(sum(accepted) / len(accepted))
    assert list(curve.thresholds) == sorted(set(confidence), reverse=True)
    assert metrics.aurc(curve) == pytest.approx(plain_aurc(confidence, wrong))
    reachable = [coverage for coverage, risk in zip(curve.coverage, curve.risk, strict=True) if risk <= 0.25]
    assert metrics.coverage_at_risk(curve, 0.25) == pytest.approx(max(reachable, default=0.0))


def plain_aurc(confidence: list[float], wrong: list[bool]) -> float:
    """The mean over every order that sorts by confidence of the mean risk of its beginnings."""
    numbers = range(len(wrong))
    areas = [
        np.mean([sum(wrong[place] for place in order[:most]) / most for most in range(1, len(order) + 1)])
        for order in itertools.permutations(numbers)
        if all(confidence[first] >= confidence[second] for first, second in itertools.pairwise(order))
    ]
    return float(np.mean(areas))


def test_no_answer_has_no_area() -> None:
    curve = metrics.risk_coverage([], [])
    assert math.isnan(metrics.aurc(curve))
    assert metrics.coverage_at_risk(curve, 0.05) == 0.0


def test_calibration_by_hand() -> None:
    probabilities, outcomes = [0.9, 0.9, 0.2, 0.0, 1.0], [1, 0, 0, 0, 1]
    assert metrics.brier(probabilities, outcomes) == pytest.approx((0.01 + 0.81 + 0.04) / 5)
    assert metrics.expected_calibration_error(probabilities, outcomes) == pytest.approx((0.8 + 0.2) / 5)
    assert metrics.expected_calibration_error([0.05] * 20, [1] + [0] * 19) == pytest.approx(0.0)


def test_percentiles_are_linear_between_neighbours() -> None:
    assert metrics.percentile([1.0, 2.0, 4.0], 0.5) == 2.0
    assert metrics.percentile([1.0, 2.0], 0.95) == pytest.approx(1.95)
    assert metrics.percentile([], 0.5) == 0.0
