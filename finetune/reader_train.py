"""Train the reader: groups of a data file to the adapter that `assistant.reader_convert` merges.

    python -m finetune.reader_train DATA_FILE --base FOLDER --out FILE [--steps N] [--seconds S] [--rank R] [--seed N]
                                    [--mine-with ADAPTER]

AdamW; the learning rate rises over 300 steps and falls to a hundredth, linearly in steps, or in time where --seconds
ends a run first. bf16 on CUDA, float32 on the CPU. Rules: only groups of `train` are trained on; a run starts from the
base and resumes nothing; the same seed on the same device gives the same bytes, unless --seconds is given, because
then the clock decides. With --mine-with an earlier adapter first finds the near misses (`reader_mine`). A manifest is
written beside the adapter.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.reader_batches import Batch, DrawnBatches, Encoder, Sizes
from finetune.reader_check import check_documents, check_reader, figures_value
from finetune.reader_groups import Group, read_groups
from finetune.reader_losses import Losses, measure_losses
from finetune.reader_manifest import Files, Outcome, write_manifest
from finetune.reader_mine import mined, to_mine
from finetune.reader_model import load_adapter, new_reader, save_adapter, trained_tensors
from finetune.reader_scores import Documents, score_documents
from governance.errors import BadInput, ProvenantError

if TYPE_CHECKING:
    import torch

SOURCE_WEIGHTS = {
    "cuad": 0.5,
    "lbr_cuad": 0.7,
    "lbr_contractnli": 1.5,
    "definition": 1.0,
    "tatqa": 1.5,
    "heading": 0.7,
    "product": 0.6,
}
_REPORTED_STEPS = 500
_LEAST_RATE = 0.01  # of the full learning rate
_LARGEST_GRADIENT = 1.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """How to train. `seconds` ends a run by the clock; `workers` only changes who draws a batch, never which."""

    steps: int = 5500
    seconds: float | None = None
    rank: int = 32
    seed: int = 0
    learning_rate: float = 1e-3  # of the low-rank updates; norms, token types and heads learn at half of it
    warmup_steps: int = 300
    weight_decay: float = 0.01
    groups_per_step: int = 20
    mined_share: float = 0.5  # of the groups whose near misses an earlier adapter finds; the others keep theirs
    workers: int = 0
    source_weights: Mapping[str, float] = field(default_factory=lambda: dict(SOURCE_WEIGHTS))


@dataclass(frozen=True)
class Progress:
    """Where a run stands: steps done, seconds since its start, mean losses of the last (at most 500) steps."""

    steps: int
    seconds: float
    losses: Mapping[str, float]


def train_reader(
    reader: torch.nn.Module, groups: list[Group], encoder: Encoder, *, recipe: Recipe, say: Say
) -> Progress:
    """Train a reader on the device it is on and return where the run ended. Raises BadInput where nothing trains."""
    if not groups:
        raise BadInput(
            "No group of the data file is for training; make it again with `python -m finetune.reader_data`."
        )
    encoder.prepare(groups)
    sizes = Sizes(recipe.steps, recipe.groups_per_step, recipe.seed)
    drawn = DrawnBatches(groups, encoder, weights=recipe.source_weights, sizes=sizes)
    device = next(reader.parameters()).device.type
    run = _Run(reader, recipe)
    reader.train()
    for batch in _loaded(drawn, workers=recipe.workers, pinned=device == "cuda"):
        run.step(batch.to(device), device)
        if run.steps % _REPORTED_STEPS == 0:
            say(f"{run.steps} steps, {run.seconds:.0f} s, {run.progress().losses}")
        if recipe.seconds is not None and run.seconds > recipe.seconds:
            break
    reader.eval()
    return run.progress()


class _Run:
    """The optimizer of a run and what it did so far."""

    def __init__(self, reader: torch.nn.Module, recipe: Recipe) -> None:
        import torch

        trained = trained_tensors(reader)
        updates = [tensor for name, tensor in trained.items() if name.startswith("lins.")]
        others = [tensor for name, tensor in trained.items() if not name.startswith("lins.")]
        self._reader = reader
        self._recipe = recipe
        self._tensors = [*updates, *others]
        self._rates = (recipe.learning_rate, recipe.learning_rate / 2)
        self._optimizer = torch.optim.AdamW(
            [{"params": updates}, {"params": others}],
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        self._last: deque[torch.Tensor] = deque(maxlen=_REPORTED_STEPS)
        self._started = time.monotonic()
        self.steps = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def step(self, batch: Batch, device: str) -> None:
        import torch

        share = self._share_of_rate()
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            scores, spans = self._reader(batch.ids, batch.types, batch.mask)
        losses = measure_losses(scores, spans, batch)
        self._optimizer.zero_grad()
        losses.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._tensors, _LARGEST_GRADIENT)
        self._optimizer.step()
        self._last.append(_detached(losses))
        self.steps += 1

    def progress(self) -> Progress:
        import torch

        means = torch.stack(tuple(self._last)).mean(dim=0).tolist()
        named = zip(("ranking", "answering", "span"), means, strict=True)
        return Progress(self.steps, self.seconds, {name: round(mean, 4) for name, mean in named})

    def _share_of_rate(self) -> float:
        done = self.steps / self._recipe.steps
        if self._recipe.seconds is not None:
            done = max(done, self.seconds / self._recipe.seconds)
        return min(1.0, (self.steps + 1) / max(1, self._recipe.warmup_steps)) * max(_LEAST_RATE, 1 - done)


def _detached(losses: Losses) -> torch.Tensor:
    import torch

    return torch.stack((losses.ranking, losses.answering, losses.span)).detach()  # (3,)


def _loaded(drawn: DrawnBatches, *, workers: int, pinned: bool) -> Iterator[Batch]:
    from torch.utils.data import DataLoader

    dataset: Any = drawn
    ahead = 8 if workers else None
    yield from DataLoader(
        dataset, batch_size=None, shuffle=False, num_workers=workers, pin_memory=pinned, prefetch_factor=ahead
    )


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Seed torch and let it use only algorithms that give the same bits again, as long as the block runs."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    filling: Any = torch.utils.deterministic
    filling.fill_uninitialized_memory = False  # it takes a seventh of a step, and nothing here is read uninitialized
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def make_adapter(files: Files, *, recipe: Recipe, say: Say) -> Path:
    """Train on a data file, write the adapter and its manifest, and return the path of the manifest."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    data = read_groups(files.data)
    encoder = Encoder(files.base / "tokenizer.json")
    train = [group for group in data.groups if group.split == "train"]
    with repeatable(recipe.seed):
        if files.miner:
            miner = load_adapter(files.base, files.miner).to(device)
            train = _with_mined(train, data.documents, miner, encoder, recipe)
            say("near misses mined")
        reader = new_reader(files.base, rank=recipe.rank).to(device)
        progress = train_reader(reader, train, encoder, recipe=recipe, say=say)
        save_adapter(reader, files.adapter)
        test = [group for group in data.groups if group.split == "test"]
        stored = load_adapter(files.base, files.adapter).to(device)  # in half precision: what will be merged
        figures = figures_value(check_reader(stored, test, encoder, device=device))
        figures["documents"] = check_documents(stored, test, data.documents, encoder, workers=recipe.workers)
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    outcome = Outcome(progress.steps, progress.seconds, name, progress.losses, figures)
    return write_manifest(files, data, recipe=asdict(recipe), outcome=outcome)


def _with_mined(
    groups: list[Group], documents: Documents, miner: torch.nn.Module, encoder: Encoder, recipe: Recipe
) -> list[Group]:
    draw = random.Random(f"{recipe.seed}/mined")  # noqa: S311  (no secret)
    chosen = [number for number in to_mine(groups) if draw.random() < recipe.mined_share]
    scored = score_documents(miner, [groups[number] for number in chosen], documents, encoder, workers=recipe.workers)
    found = (mined(group, scores, documents) for group, scores in scored)
    changed = dict(zip(chosen, found, strict=True))
    return [changed.get(number, group) for number, group in enumerate(groups)]


def main() -> None:
    """Train by the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA_FILE")
    parser.add_argument("--base", type=Path, required=True, help="folder of the encoder and its tokenizer.json")
    parser.add_argument("--out", type=Path, required=True, help="the adapter; its manifest ends in .json")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rank", type=int, default=Recipe.rank)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--workers", type=int, default=Recipe.workers, help="processes that draw batches")
    parser.add_argument("--mine-with", type=Path, metavar="ADAPTER", help="an earlier adapter, to find near misses by")
    named = parser.parse_args()
    recipe = Recipe(named.steps, named.seconds, named.rank, named.seed, workers=named.workers)
    try:
        make_adapter(Files(named.data, named.base, named.out, named.mine_with), recipe=recipe, say=_say)
    except ProvenantError as error:
        parser.exit(error.exit_code, f"{error}\n")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
