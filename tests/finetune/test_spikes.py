"""Loss spikes: rises that the noise of a curve explains are none, those that it does not explain are counted once."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from finetune.spikes import count_spikes

QUIET, NOISY = 0.02, 0.55  # standard deviation of a loss's logarithm; NOISY is that of short answers late in a run


def curve(levels: Sequence[float], noise: float, seed: int = 0) -> list[float]:
    """Return losses about some levels, with noise that multiplies."""
    chance = random.Random(seed)
    return [level * chance.lognormvariate(0.0, noise) for level in levels]


def fall(steps: int, first: float = 1.4, last: float = 0.02) -> list[float]:
    """Return the levels of a run that learns: falling by equal parts."""
    return [first * (last / first) ** (step / (steps - 1)) for step in range(steps)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.0, QUIET, 0.2, NOISY])
def test_a_run_that_learns_has_none_however_noisy_it_is(noise: float, seed: int) -> None:
    assert count_spikes(curve(fall(2000), noise, seed)) == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.0, QUIET, 0.2, NOISY])
def test_a_run_that_diverges_is_seen(noise: float, seed: int) -> None:
    diverging = [*fall(300, last=0.2), *(0.2 + 0.02 * step for step in range(100))]
    assert count_spikes(curve(diverging, noise, seed)) >= 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.0, QUIET, NOISY])
def test_a_rise_that_comes_back_counts_once_and_a_second_one_again(noise: float, seed: int) -> None:
    calm, high = [0.1] * 200, [0.6] * 40
    assert count_spikes(curve([*calm, *high, *calm], noise, seed)) == 1
    assert count_spikes(curve([*calm, *high, *calm, *high, *calm], noise, seed)) == 2


@pytest.mark.parametrize("noise", [QUIET, 0.2, NOISY])
def test_a_loss_that_stays_high_counts_once(noise: float) -> None:
    assert count_spikes(curve([0.1] * 200 + [0.3] * 800, noise)) == 1


def test_a_small_rise_is_noise_in_a_noisy_curve_and_also_too_small_in_a_quiet_one() -> None:
    levels = [0.1] * 200 + [0.14] * 50
    assert count_spikes(curve(levels, QUIET)) == 0
    assert count_spikes(curve(levels, NOISY)) == 0


def test_one_odd_batch_is_no_instability() -> None:
    assert count_spikes([0.1] * 100 + [1.0] + [0.1] * 100) == 0


def test_a_short_run_that_diverges_is_seen_and_a_shorter_one_cannot_be_judged() -> None:
    levels = [*fall(20, first=3.0, last=1.0), *(1.0 + 0.35 * step for step in range(20))]
    assert count_spikes(curve(levels, QUIET)) == 1
    assert count_spikes([1.0] * 9 + [9.0] * 10) == 0
    assert count_spikes([]) == 0


def test_a_loss_of_nothing_hides_nothing_and_starts_nothing() -> None:
    assert count_spikes([0.0] * 50 + [0.0005] * 50) == 0
    assert count_spikes([0.0] * 50 + [0.5] * 50) == 1


def test_each_loss_that_is_no_number_counts() -> None:
    assert count_spikes([1.0, "nan", float("nan"), float("inf"), 1.0]) == 3
    assert count_spikes([1.0] * 30 + ["inf"] + [1.0] * 30) == 1
