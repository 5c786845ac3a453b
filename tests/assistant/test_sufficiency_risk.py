"""A threshold for a stated risk: exact bounds, and no threshold where none is shown to hold."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.metrics import risk_bound, risk_coverage, threshold_for_risk


def test_bound_without_an_error_is_that_of_the_rule_of_three() -> None:
    assert risk_bound(0, 59, doubt=0.05) == pytest.approx(1 - 0.05 ** (1 / 59))


def test_bound_is_that_of_clopper_and_pearson() -> None:
    assert risk_bound(2, 100, doubt=0.05) == pytest.approx(0.0616, abs=1e-4)
    assert risk_bound(0, 0, doubt=0.05) == 1.0
    assert risk_bound(5, 5, doubt=0.05) == 1.0


def test_no_threshold_is_given_where_too_few_questions_show_it() -> None:
    assert threshold_for_risk(risk_coverage(np.linspace(0, 1, 20), np.zeros(20)), 0.05) is None


def test_threshold_stops_where_errors_begin() -> None:
    confidence = np.linspace(1, 0, 200)
    wrong = np.arange(200) >= 100
    threshold = threshold_for_risk(risk_coverage(confidence, wrong), 0.05)
    assert threshold is not None
    accepted = confidence >= threshold
    assert 90 < accepted.sum() <= 104
    assert wrong[accepted].mean() <= 0.05


def test_stated_risk_is_exceeded_no_more_often_than_the_doubt() -> None:
    generator = np.random.default_rng(3)
    exceeded = 0
    for _ in range(200):
        confidence = generator.random(300)
        wrong = generator.random(300) > confidence
        threshold = threshold_for_risk(risk_coverage(confidence, wrong), 0.2, doubt=0.1)
        exceeded += threshold is not None and (1 - threshold) / 2 > 0.2  # the true risk above a threshold
    assert exceeded <= 30  # 20 expected at most; 30 is over two standard deviations above
