"""Steps of an optimizer: LoRA+ rates as PEFT has them, clipping, the warm-up."""

from __future__ import annotations

import itertools

import pytest
import torch

from finetune.optimizers import clip, make_optimizer, rate_share, set_rate
from finetune.recipe import Recipe


def test_b_learns_faster_than_a_by_the_ratio_as_in_peft() -> None:
    from peft import LoraConfig, get_peft_model
    from peft.optimizers import create_loraplus_optimizer

    model = get_peft_model(torch.nn.Sequential(torch.nn.Linear(8, 8)), LoraConfig(r=2, target_modules=["0"]))
    theirs = create_loraplus_optimizer(model, torch.optim.AdamW, lr=0.01, loraplus_lr_ratio=16.0)
    rates = {group["lr"] for group in theirs.param_groups if group["params"]}
    flat = {kind: torch.zeros(4, requires_grad=True) for kind in ("low", "up")}
    ours = make_optimizer(flat, Recipe(learning_rate=0.01, lora_plus_ratio=16.0))
    assert {group["lr"] for group in ours.param_groups} == rates == {0.01, 0.16}
    set_rate(ours, 0.5)
    assert [group["lr"] for group in ours.param_groups] == [0.005, 0.08]


def test_clipping_takes_the_norm_of_all_gradients_together() -> None:
    ours = [torch.full((4,), 3.0), torch.full((9,), 2.0)]
    theirs = [torch.nn.Parameter(torch.zeros_like(one)) for one in ours]
    for parameter, gradient in zip(theirs, ours, strict=True):
        parameter.grad = gradient.clone()
    expected = torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    assert float(clip(ours, 1.0)) == pytest.approx(float(expected))
    for gradient, parameter in zip(ours, theirs, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(gradient, parameter.grad)


def test_the_rate_rises_over_the_warm_up_and_falls_to_nothing() -> None:
    shares = [rate_share(step, 100, 0.1) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == shares[9] == 1.0
    assert shares[-1] == pytest.approx(1 / 90)
    assert all(one > two for one, two in itertools.pairwise(shares[10:]))
