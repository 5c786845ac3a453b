"""Checkpoints are whole or absent, and belong to one run."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune import checkpoints
from finetune.checkpoints import (
    STATE,
    Checkpoint,
    newest_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    write_checkpoint,
)
from finetune.optimizers import make_optimizer
from finetune.recipe import Recipe
from governance.errors import BadInput, Damaged, ProvenantError

WORK = {"recipe": "sha256:1", "data": "sha256:2"}


def checkpoint(step: int, work: dict[str, str] = WORK) -> Checkpoint:
    return Checkpoint(step, work, {"losses": [1.0]}, {"low": torch.arange(4.0)}, {"optimizer.0.step": 3})


def test_the_newest_is_read_back_and_old_ones_go(tmp_path: Path) -> None:
    for step in range(1, 6):
        write_checkpoint(tmp_path, checkpoint(step), keep=2, always=frozenset({2}))
    found = newest_checkpoint(tmp_path, WORK)
    assert found is not None
    assert (found.step, found.plain, found.progress) == (5, {"optimizer.0.step": 3}, {"losses": [1.0]})
    assert torch.equal(found.tensors["low"], torch.arange(4.0))
    assert sorted(path.name[-1] for path in tmp_path.iterdir()) == ["2", "4", "5"]


def test_there_is_none_at_first(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path, WORK) is None


@pytest.mark.parametrize("name", ["recipe", "data"])
def test_one_of_other_work_is_refused(tmp_path: Path, name: str) -> None:
    write_checkpoint(tmp_path, checkpoint(1), keep=2)
    with pytest.raises(BadInput, match=f"another {name}"):
        newest_checkpoint(tmp_path, {**WORK, name: "sha256:9"})


@pytest.mark.parametrize("damage", ["", "{", '{"step": 1}'])
def test_a_damaged_state_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    path = write_checkpoint(tmp_path, checkpoint(1), keep=2)
    (path / STATE).write_text(damage)
    with pytest.raises(Damaged, match="step-00000001"):
        newest_checkpoint(tmp_path, WORK)


def test_a_full_disk_keeps_what_was_there_and_gives_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tmp_path, checkpoint(1), keep=2)

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "_sync", full)
    with pytest.raises(ProvenantError, match="make room"):
        write_checkpoint(tmp_path, checkpoint(2), keep=2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert newest_checkpoint(tmp_path, WORK) is not None


@pytest.mark.parametrize("name", ["adamw", "adamw8bit", "paged_adamw8bit"])
def test_an_optimizer_goes_on_as_if_nothing_had_been(tmp_path: Path, name: Any) -> None:
    def moved(steps: range, tensor: torch.Tensor, optimizer: Any) -> torch.Tensor:
        for step in steps:
            tensor.grad = torch.sin(torch.arange(tensor.numel()) * (step + 1.0))
            optimizer.step()
        return tensor.detach().clone()

    def fresh() -> tuple[torch.Tensor, Any]:
        tensor = torch.zeros(8192, requires_grad=True)
        return tensor, make_optimizer({"low": tensor}, Recipe(optimizer=name))

    tensor, optimizer = fresh()
    whole = moved(range(6), tensor, optimizer)

    tensor, optimizer = fresh()
    half = moved(range(3), tensor, optimizer)
    tensors, plain = optimizer_tensors(optimizer)
    write_checkpoint(tmp_path, Checkpoint(3, WORK, {}, {"low": half, **tensors}, plain), keep=1)
    found = newest_checkpoint(tmp_path, WORK)
    assert found is not None
    tensor, optimizer = fresh()
    with torch.no_grad():
        tensor.copy_(found.tensors["low"])
    restore_optimizer(optimizer, found)
    assert torch.equal(moved(range(3, 6), tensor, optimizer), whole)
