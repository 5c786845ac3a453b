"""A base that several processes hold together: each a part of the bytes, and the numbers of one that is held whole."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from finetune.base_folder import FolderSource
from finetune.base_weights import Nf4
from finetune.frozen import Workspaces
from finetune.model import AdapterModel
from finetune.recipe import Quantization, Recipe
from finetune.shards import Gathering
from finetune.workers import Workers
from tests.finetune.tiny_llama import write_tiny_llama

SIZES = {"num_hidden_layers": 4, "hidden_size": 128, "intermediate_size": 256, "head_dim": 32}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return halved(write_tiny_llama(tmp_path_factory.mktemp("tiny"), **SIZES))


def halved(folder: Path) -> Path:
    """Store a base in bfloat16, as pulled models are."""
    from safetensors.torch import load_file, save_file

    path = folder / "base" / "model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path, {"format": "pt"})
    return folder


@pytest.mark.slow
def test_three_processes_compute_bit_for_bit_what_a_whole_base_gives(base: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"]
    command = [*torchrun, "-m", "tests.finetune.run_sharded", str(base)]
    ended = subprocess.run(
        command, check=False, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-3000:]


def _held(value: Any) -> Iterator[Tensor]:
    """Yield the tensors that an object holds, buffers that all projections share left out."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _held(inner)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _held(getattr(value, field.name))
    elif not isinstance(value, Workspaces | Gathering) and hasattr(value, "__dict__"):
        yield from _held(vars(value))


def base_bytes(model: AdapterModel) -> int:
    """Return the bytes of memory behind everything that a model's frozen projections hold."""
    storages = [tensor.untyped_storage() for one in model.projections() for tensor in _held(one.frozen)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _part(base: Path, quantization: Quantization, workers: Workers) -> AdapterModel:
    recipe = Recipe(quantization=quantization, rank=4, shard_base=True)
    return AdapterModel(FolderSource(base, quantization, "cpu"), recipe, device="cpu", workers=workers)


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [("nf4", 4 + 32 / 64), ("nf4_dq", 4 + 8 / 64 + 32 / 64 / 256), ("bf16", 16), ("float32", 16)],
)
def test_each_process_holds_its_part_of_the_stored_bytes(base: Path, quantization: Any, bits: float) -> None:
    shape = FolderSource(base, "bf16", "cpu").shape
    numbers = shape.layers * (128 * (4 * 32 + 2 * 2 * 32 + 4 * 32) + 3 * 128 * 256)
    stored = numbers * bits / 8
    around = shape.layers * 4 * (7 * 1100 / 4 + 512)  # tables of scales, padding
    for count in (1, 2, 4) if quantization.startswith("nf4") else (2, 4):
        for rank in range(count):
            held = base_bytes(_part(base, quantization, Workers(rank, count)))
            assert stored / count <= held <= stored / count + around


@pytest.mark.parametrize("quantization", ["nf4", "bf16"])
def test_a_process_alone_holds_the_base_as_without_shards(base: Path, quantization: Any) -> None:
    alone = _part(base, quantization, Workers())
    recipe = replace(alone.recipe, shard_base=False)
    plain = AdapterModel(FolderSource(base, quantization, "cpu"), recipe, device="cpu")
    assert base_bytes(alone) == base_bytes(plain)
    for ours, theirs in zip(alone.projections(), plain.projections(), strict=True):
        assert torch.equal(ours.frozen.weight(), theirs.frozen.weight())


class Watched:
    """A source that remembers how many bytes of its projections were alive at once."""

    def __init__(self, source: FolderSource) -> None:
        self.shape = source.shape
        self.most = 0
        self._source = source
        self._given: list[tuple[weakref.ref[Tensor], int]] = []

    def dense(self, name: str) -> Tensor:
        return self._source.dense(name)

    def linear(self, name: str) -> Tensor | Nf4:
        found = self._source.linear(name)
        tensor = found.packed if isinstance(found, Nf4) else found
        self._given.append((weakref.ref(tensor), tensor.numel() * tensor.element_size()))
        self.most = max(self.most, sum(size for given, size in self._given if given() is not None))
        return found


@pytest.mark.parametrize("quantization", ["nf4", "nf4_dq", "bf16"])
def test_loading_holds_at_most_a_layer_whole(base: Path, quantization: Any) -> None:
    source = Watched(FolderSource(base, quantization, "cpu"))
    recipe = Recipe(quantization=quantization, rank=4, shard_base=True)
    AdapterModel(source, recipe, device="cpu", workers=Workers(0, 2))
    layer = (128 * (4 * 32 + 2 * 2 * 32 + 4 * 32) + 3 * 128 * 256) * (16 if quantization == "bf16" else 4) / 8
    assert 0 < source.most <= layer
