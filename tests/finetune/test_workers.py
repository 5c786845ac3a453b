"""Packs are given out once each, and processes that need each other go on equally often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune.workers import Workers


@given(st.integers(0, 9), st.integers(1, 4))
def test_every_item_counts_once_and_in_step_all_processes_have_equally_many(items: int, processes: int) -> None:
    for in_step in (False, True):
        shares = [Workers(rank, processes, in_step).share(range(items)) for rank in range(processes)]
        assert sorted(item for share in shares for item, counts in share if counts) == list(range(items))
        if in_step:
            assert len({len(share) for share in shares}) == 1


def test_a_process_without_an_item_left_has_the_one_that_another_has_at_that_time() -> None:
    first, second = (Workers(rank, 2, in_step=True).share("abc") for rank in range(2))
    assert first == [("a", True), ("c", True)]
    assert second == [("b", True), ("c", False)]
    assert Workers(1, 2).share("abc") == [("b", True)]
