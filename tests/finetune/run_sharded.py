"""One of several processes that hold a base together: `torchrun -m tests.finetune.run_sharded BASE`.

Each compares what it holds and computes with the same model held whole, and fails where a bit differs.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch

from finetune.base_folder import FolderSource
from finetune.model import AdapterModel
from finetune.packing import make_pack
from finetune.recipe import Kept, Quantization, Recipe
from finetune.shards import Gathering, Shard
from finetune.workers import Workers, join_workers
from tests.finetune.tiny_llama import documents

PLAIN = Recipe(quantization="float32", rank=4, kept_share=0.5)
QUANTIZATIONS: tuple[Quantization, ...] = ("nf4", "nf4_dq", "bf16", "float32")
LEVELS: tuple[Kept, ...] = ("all", "selective", "none")


def main() -> None:
    """Compare tensors, then models."""
    folder = Path(sys.argv[1])
    workers = join_workers("cpu", in_step=True)
    try:
        _compare_tensors(workers)
        for quantization, kept in product(QUANTIZATIONS, LEVELS):
            _compare_models(folder, replace(PLAIN, quantization=quantization, keep_activations=kept), workers)
        _compare_models(folder, replace(PLAIN, quantization="nf4_dq", dora=True), workers)
        _compare_models(folder, replace(PLAIN, targets="attention"), workers)
    finally:
        workers.leave()
    threads = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    assert not [name for name in threads if "gloo" in name], threads


def _compare_tensors(workers: Workers) -> None:
    """Sizes that no number of processes divides, and tensors smaller than a part's padding."""
    chance = torch.Generator().manual_seed(3)
    sizes = [(7, 33), (1, 1), (5, 64), (130, 3)]
    dtypes = [torch.uint8, torch.float32, torch.bfloat16, torch.float16]
    gathering = Gathering(workers, device="cpu")
    all_tensors = [
        [(100 * torch.rand(size, generator=chance)).to(dtype) for size, dtype in zip(sizes, order, strict=True)]
        for order in (dtypes, dtypes[::-1])
    ]
    shards = [Shard(tensors, gathering) for tensors in all_tensors]
    for shard, tensors in zip([*shards, shards[0]], [*all_tensors, all_tensors[0]], strict=True):
        for found, expected in zip(shard.tensors(), tensors, strict=True):
            assert found.dtype == expected.dtype
            assert torch.equal(found, expected)


def _compare_models(folder: Path, recipe: Recipe, workers: Workers) -> None:
    pack = make_pack(documents(4, seed=workers.rank), device="cpu")
    whole, spread = (_model(folder, replace(recipe, shard_base=sharded), workers) for sharded in (False, True))
    results = [model.learn(pack, weight=0.1) for model in (whole, spread)]
    assert torch.equal(results[0].losses, results[1].losses), recipe
    for expected, found in zip(whole.adapter.gradients(), spread.adapter.gradients(), strict=True):
        assert float(expected.abs().sum()) > 0
        assert torch.equal(expected, found), recipe
    assert torch.equal(whole.measure(pack).losses, spread.measure(pack).losses), recipe


def _model(folder: Path, recipe: Recipe, workers: Workers) -> AdapterModel:
    model = AdapterModel(FolderSource(folder, recipe.quantization, "cpu"), recipe, device="cpu", workers=workers)
    model.start(0)
    with torch.no_grad():
        model.adapter.flat["up"].fill_(0.01)
    model.refresh()
    return model


if __name__ == "__main__":
    main()
