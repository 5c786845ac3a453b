"""Intervals draw whole documents, are the same each time, and are as wide as theory says."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.bootstrap import Chosen, intervals_of, intervals_of_means
from assistant.scorecard import Scored, summarise


def test_interval_of_a_share_is_as_wide_as_theory_says() -> None:
    rows = [{"hit": float(number % 2)} for number in range(400)]
    found = intervals_of_means(rows, [str(number) for number in range(400)])["hit"]
    half = 1.96 * (0.25 / 400) ** 0.5
    assert found["low"] == pytest.approx(0.5 - half, abs=0.008)
    assert found["high"] == pytest.approx(0.5 + half, abs=0.008)


def test_questions_of_one_document_are_drawn_together() -> None:
    rows = [{"hit": float(number < 200)} for number in range(400)]
    alone = intervals_of_means(rows, [str(number) for number in range(400)])["hit"]
    together = intervals_of_means(rows, [str(number // 40) for number in range(400)])["hit"]
    assert together["high"] - together["low"] > 4 * (alone["high"] - alone["low"])


def test_the_same_rows_give_the_same_interval_and_another_seed_another() -> None:
    generator = np.random.default_rng(1)
    rows = [{"score": float(value)} for value in generator.random(50)]
    clusters = [str(number % 20) for number in range(50)]
    assert intervals_of_means(rows, clusters) == intervals_of_means(rows, clusters)
    assert intervals_of_means(rows, clusters, seed=7) != intervals_of_means(rows, clusters)


def test_both_ways_agree_on_a_mean() -> None:
    values = np.random.default_rng(2).random(60)
    clusters = [str(number % 15) for number in range(60)]

    def mean(chosen: Chosen) -> dict[str, float]:
        return {"score": float(values[chosen].mean())}

    by_rows = intervals_of_means([{"score": float(value)} for value in values], clusters)["score"]
    by_function = intervals_of(mean, clusters)["score"]
    assert by_function["low"] == pytest.approx(by_rows["low"])
    assert by_function["high"] == pytest.approx(by_rows["high"])


def test_one_document_gives_no_interval() -> None:
    rows = [{"hit": 1.0}, {"hit": 0.0}]
    assert intervals_of_means(rows, ["a", "a"]) == {}
    assert intervals_of(lambda _: {"hit": 1.0}, ["a", "a"]) == {}
    assert intervals_of_means([], []) == intervals_of(lambda _: {}, []) == {}
    assert intervals_of_means([{"hit": 1.0}, {}], ["a", "b"]) == {}


def test_a_missing_score_has_no_part_in_the_mean() -> None:
    scored = [
        Scored("a", {"hit": 1.0, "only": 0.5}, "policy", "dev"),
        Scored("b", {"hit": 0.0}, "product", "test"),
        Scored("c", {"hit": 1.0, "only": 1.0}, "product", "test"),
    ]
    summary = summarise(scored, headline=("hit",))
    assert summary["hit"] == pytest.approx(2 / 3)
    assert summary["only"] == 0.75
    assert (summary["hit/policy"], summary["hit/product"], summary["hit/split=test"]) == (1.0, 0.5, 0.5)
    assert list(summary)[:2] == ["hit", "only"]
    assert set(summary["intervals"]) == {"hit", "only", "hit/product", "hit/split=test"}
    assert "hit/split=dev" not in summarise(scored[:1], headline=("hit",))
