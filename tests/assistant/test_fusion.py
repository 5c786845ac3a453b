"""Fusion by hand: places within three deviations, reciprocal ranks, and what no search found."""

from __future__ import annotations

import pytest

from assistant.fusion import fuse_scores
from governance.settings import Fusion


def test_distribution_gives_nothing_for_what_a_search_did_not_find() -> None:
    deviation = (0.32 / 3) ** 0.5
    fused = fuse_scores({"a": 0.9, "b": 0.5, "c": 0.1}, {"b": 7.0, "d": 7.0}, how="distribution")
    assert fused["a"] == pytest.approx((0.4 + 3 * deviation) / (6 * deviation))
    assert (fused["b"], fused["d"]) == pytest.approx((1.0, 0.5))  # equal scores stand in the middle


def test_both_counts_no_shared_word_as_zero() -> None:
    fused = fuse_scores({"a": 0.9, "b": 0.1}, {"b": 4.0}, how="both")
    assert fused["a"] == pytest.approx(fused["b"]) == pytest.approx(1.0)


def test_rank_sums_reciprocal_ranks_whatever_the_scores() -> None:
    assert fuse_scores({"a": 0.9, "b": 0.5}, {"b": 9.0}, how="rank") == pytest.approx(
        {"a": 1 / 61, "b": 1 / 62 + 1 / 61}
    )


@pytest.mark.parametrize("how", ["distribution", "both", "rank"])
def test_two_empty_lists_fuse_to_nothing(how: Fusion) -> None:
    assert fuse_scores({}, {}, how=how) == {}
