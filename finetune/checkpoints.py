"""Checkpoints of a run: everything that its next step depends on, whole or not there.

A checkpoint is a folder `step-00000120/` with `state.safetensors` (the adapter's flat numbers, the optimizer's) and
`state.json` (where the run is, what it is a run of, the Digest of the other file). It knows tensors and counts, never
a model. Rules: it is written aside, synced and renamed, so that a killed run leaves none half; what differs in recipe,
data, base or bytes is refused by name; the order of the data follows from the seed, so no place in it is kept.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.digests import digest_file, digest_value
from governance.errors import BadInput, Damaged, ProvenantError

if TYPE_CHECKING:
    from torch import Tensor

STATE, TENSORS = "state.json", "state.safetensors"
_PREFIX, _ASIDE = "step-", ".writing"


@dataclass(frozen=True)
class Checkpoint:
    """Where a run is after `step` steps. `work` says what it is a run of; `progress` is what it remembers."""

    step: int
    work: Mapping[str, str]
    progress: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    plain: Mapping[str, Any]  # the optimizer's numbers that are no tensors


def write_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int, always: frozenset[int] = frozenset()) -> Path:
    """Write a checkpoint and remove all but the newest `keep` and those of the steps in `always`.

    Raises ProvenantError with advice where the disk is full.
    """
    from safetensors.torch import save_file

    target = folder / f"{_PREFIX}{checkpoint.step:08d}"
    aside = target.with_name(target.name + _ASIDE)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        with full_disk_as_advice(aside):
            tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in checkpoint.tensors.items()}
            save_file(tensors, aside / TENSORS)
            (aside / STATE).write_text(json.dumps(_stated(checkpoint, aside / TENSORS)) + "\n", encoding="utf-8")
            for name in (TENSORS, STATE):
                _sync(aside / name)
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _remove_old(folder, keep, always)
    return target


def newest_checkpoint(folder: Path, work: Mapping[str, str]) -> Checkpoint | None:
    """Return the newest checkpoint of a run, None where it has none.

    Raises Damaged for bytes that are not as written, BadInput where it belongs to other work.
    """
    found = _checkpoints(folder)
    return read_checkpoint(found[-1], work) if found else None


def read_checkpoint(path: Path, work: Mapping[str, str]) -> Checkpoint:
    """Read a checkpoint. Raises as `newest_checkpoint` does."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    advice = f"remove {path} to go on from the checkpoint before it, or start anew without --resume"
    try:
        stated = json.loads((path / STATE).read_text(encoding="utf-8"))
        own = stated.pop("digest")
        if own != digest_value(stated) or stated["tensors"] != digest_file(path / TENSORS):
            raise ValueError("its digest is another")
        tensors = load_file(path / TENSORS)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise Damaged(f"The checkpoint {path.name} is not what was written ({error}); {advice}.") from error
    for name, expected in work.items():
        if stated["work"].get(name) != expected:
            raise BadInput(
                f"The checkpoint {path.name} is of a run with another {name}; expected the same to go on: give the "
                f"{name} it was begun with, or start anew without --resume in another folder."
            )
    return Checkpoint(stated["step"], stated["work"], stated["progress"], tensors, stated["plain"])


class full_disk_as_advice:  # noqa: N801 - read as a statement
    """Turn a full disk, as Python or safetensors tell of it, into a sentence."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Raise ProvenantError in place of the error of a full disk."""
        if error is None or not _is_full_disk(error):
            return
        raise ProvenantError(
            f"The disk of {self._place.parent} is full; what was complete before is kept: make room and go on with "
            "--resume."
        ) from error


def _is_full_disk(error: BaseException) -> bool:
    return (isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}) or (
        type(error).__name__ == "SafetensorError" and "No space left" in str(error)
    )


def optimizer_tensors(optimizer: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return an optimizer's state as named tensors and named plain numbers."""
    import torch

    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, parameter in enumerate(parameters):
        for name, value in optimizer.state[parameter].items():
            target: dict[str, Any] = tensors if isinstance(value, torch.Tensor) else plain
            target[f"optimizer.{number}.{name}"] = value
    return tensors, plain


def restore_optimizer(optimizer: Any, checkpoint: Checkpoint) -> None:
    """Give an optimizer the state of a checkpoint, each tensor on the device of what it moves."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*checkpoint.tensors.items(), *checkpoint.plain.items()]:
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = value
    for place, parameter in enumerate(parameters):
        own = state.get(place, {})
        optimizer.state[parameter] = {
            name: value.to(parameter.device) if hasattr(value, "to") else value for name, value in own.items()
        }


def _stated(checkpoint: Checkpoint, tensors: Path) -> dict[str, Any]:
    stated = {
        "step": checkpoint.step,
        "work": dict(checkpoint.work),
        "progress": dict(checkpoint.progress),
        "plain": dict(checkpoint.plain),
        "tensors": digest_file(tensors),
    }
    return {**stated, "digest": digest_value(stated)}


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if path.suffix != _ASIDE and path.is_dir())


def _remove_old(folder: Path, keep: int, always: frozenset[int]) -> None:
    wanted = {f"{_PREFIX}{step:08d}" for step in always}
    for path in _checkpoints(folder)[:-keep]:
        if path.name not in wanted:
            shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
