"""Fitting and measuring: steps that do not disturb each other, weights of a mix, and rows that are kept."""

from __future__ import annotations

from dataclasses import asdict
from itertools import product

import numpy as np
import pytest

from assistant.metrics import coverage_at_risk, risk_coverage
from assistant.sufficiency import Features, Thresholds, judge
from benchmarks.abstention import as_row, coverage_in_mix, judged_again
from benchmarks.abstention_questions import Row
from benchmarks.fit_sufficiency import GENERAL, Sample, fit, mixed, solve

NOTHING = dict.fromkeys(asdict(Features(*[0.0] * 8)), 0.0)


def row(*, answerable: bool, kind: str = "golden", **features: float) -> Row:
    return {
        "answerable": answerable,
        "kind": kind,
        "split": "dev",
        "label": "answerable" if answerable else "unanswerable",
        "features": {**NOTHING, **features},
    }


def golden() -> list[Row]:
    levels = [(value, contract) for value, contract in product((0.1, 0.3, 0.6, 0.9), (0.0, 1.0))] * 5
    return [row(answerable=value > 0.2, relevance=value, contract=contract) for value, contract in levels]


def test_half_the_weight_is_that_of_a_mix_with_half_unanswerable() -> None:
    values, truth = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, True, False])
    assert coverage_in_mix(values, truth, ~truth, 0.5) == pytest.approx(0.5)
    assert coverage_in_mix(values, truth, ~truth, 0.25) == pytest.approx(0.75)
    everything = np.array([True] * 4)
    assert np.isnan(coverage_in_mix(values, everything, ~everything, 0.5))


def test_weights_of_one_change_no_curve() -> None:
    values, wrong = [0.9, 0.5, 0.5, 0.1], [False, True, False, True]
    plain, weighed = risk_coverage(values, wrong), risk_coverage(values, wrong, weights=[2.0] * 4)
    assert plain.risk.tolist() == weighed.risk.tolist()
    assert coverage_at_risk(plain, 0.4) == coverage_at_risk(weighed, 0.4) == 0.75


def test_rows_are_weighed_to_a_quarter_unanswerable() -> None:
    weights = mixed([row(answerable=True), *[row(answerable=False)] * 3])
    assert weights.sum() == pytest.approx(4)
    assert weights[0] == pytest.approx(3)


def test_a_logistic_regression_finds_what_made_the_data() -> None:
    generator = np.random.default_rng(5)
    features = np.column_stack([np.ones(20000), generator.normal(size=20000)])
    truth = generator.random(20000) < 1 / (1 + np.exp(-(features @ np.array([0.5, -1.5]))))
    found = solve(Sample(features, truth, np.ones(20000), np.zeros(20000)), ridge=np.zeros(2))
    assert found == pytest.approx([0.5, -1.5], abs=0.06)


def test_contracts_leave_the_weights_of_other_documents_as_they_are() -> None:
    cuad = [row(answerable=usual > 0, kind="cuad", contract=1.0, usual=usual) for usual in (-0.5, -0.2, 0.2, 0.5)] * 5
    alone, both = fit({"golden": golden()}, golden="golden"), fit({"golden": golden(), "cuad": cuad}, golden="golden")
    assert [getattr(alone, name) for name in GENERAL] == [getattr(both, name) for name in GENERAL]
    assert alone.usual == 0.0
    assert both.usual > 0
    assert fit({"golden": golden(), "cuad": cuad}, golden="golden") == both


def test_a_golden_question_without_evidence_is_drawn_by_itself() -> None:
    asked = as_row({"id": "g7", "question": "?", "answerable": False, "evidence": []})
    assert (asked["document"], asked["label"]) == ("question g7", "unanswerable")


def test_measured_rows_are_judged_by_the_weights_served_now() -> None:
    good = judged_again({**row(answerable=True), "features": {**NOTHING, **dict.fromkeys(GENERAL, 1.0)}})
    assert good["enough"]
    assert good["probability"] == judge(Features(**good["features"]), Thresholds()).probability
    assert not judged_again(row(answerable=True))["enough"]


def test_other_sets_move_what_speaks_of_all_documents_only_where_they_are_pooled() -> None:
    others = [row(answerable=value < 0.5, kind="clapnq", relevance=value) for value in (0.2, 0.4, 0.6, 0.8)] * 20
    sets = {"golden": golden(), "clapnq": others}
    assert fit(sets, golden="golden") == fit({"golden": golden()}, golden="golden")
    assert fit(sets, golden="golden", pool=True).relevance < fit(sets, golden="golden").relevance
