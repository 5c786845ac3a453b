"""A whole run on a tiny base: to the folder, through kill -9 and over two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.adapter_card import CARD
from finetune.adapters import WEIGHTS, open_adapter
from finetune.checkpoints import TENSORS
from finetune.examples import REFUSAL, ExamplePassage, ExampleSet, TrainingExample, named
from finetune.recipe import Recipe
from finetune.train import ADAPTER, CHECKPOINTS, Base, train_adapter
from governance.digests import digest_file, digest_text
from governance.errors import BadInput, Damaged, ProvenantError
from governance.models import Manifest, describe_folder
from tests.finetune.tiny_llama import write_served_llama

RECIPE = Recipe(
    quantization="float32",
    rank=4,
    learning_rate=0.02,
    epochs=3,
    tokens_per_step=4096,
    pack_tokens=2048,
    evaluate_every=2,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = write_served_llama(tmp_path_factory.mktemp("models") / "tiny")
    manifest = Manifest(
        name="tiny", kind="llm", source="made here", revision="1", licence="CC0-1.0", made_from="sha256:0",
        conversion={"quantization": "none"}, files=describe_folder(folder),
    )  # fmt: skip
    return Base(folder, manifest)


def example(number: int) -> TrainingExample:
    thing, limit = f"thing {number % 7}", str(10 + number % 7)
    absent = number % 3 == 0
    text = "nothing is paid" if absent else f"the limit for {thing} is {limit}"
    passage = ExamplePassage("c", f"d{number}", "", "policy", text)
    question = f"what is the limit for {thing} ?"
    target = REFUSAL if absent else limit
    return named(
        TrainingExample(
            "", "unanswerable" if absent else "clause", question, (passage,), target, absent, f"d{number}", ""
        )
    )


def example_set(count: int = 24) -> ExampleSet:
    train = tuple(example(number) for number in range(count))
    held_out = tuple(example(100 + number) for number in range(6))
    return ExampleSet(train, held_out, {}, digest_text("".join(one.id for one in (*train, *held_out))))


class Recorder:
    """A RunLog that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, dict[str, Any]]] = []
        self.started: dict[str, Any] = {}
        self.ended: dict[str, Any] = {}

    def start(self, **values: Any) -> None:
        self.started = values

    def log(self, step: int, values: Any) -> None:
        self.lines.append((step, dict(values)))

    def finish(self, metrics: Any, **values: Any) -> None:
        self.ended = {"metrics": dict(metrics), "status": "finished", **values}


def test_a_run_lowers_the_loss_and_leaves_an_adapter_that_opens(base: Base, tmp_path: Path) -> None:
    log, said = Recorder(), list[str]()
    trained = train_adapter(
        example_set(), base=base, recipe=replace(RECIPE, epochs=6), out=tmp_path, say=said.append, log=log
    )

    opened = open_adapter(trained.folder, base.manifest, quantization="float32")
    assert trained.losses[-1] < 0.7 * trained.losses[0]
    assert opened.manifest.metrics["held_out_loss"] > 0
    assert opened.manifest.metrics["loss_spikes"] == 0
    assert example_set().digest in (opened.folder / CARD).read_text()
    assert {"loss", "gradient_norm", "tokens_second", "memory_gib"} <= set(log.lines[0][1])
    assert log.ended["status"] == "finished"
    assert log.started["resumed"] is False
    assert any("tokens/s" in line and "left" in line for line in said)


@pytest.mark.parametrize("optimizer", ["adamw", "adamw8bit"])
def test_two_runs_with_one_seed_give_equal_bytes(base: Base, tmp_path: Path, optimizer: Any) -> None:
    recipe = replace(RECIPE, quantization="nf4", deterministic=True, optimizer=optimizer)
    folders = [train_adapter(example_set(), base=base, recipe=recipe, out=tmp_path / str(n)).folder for n in range(2)]
    other = train_adapter(example_set(), base=base, recipe=replace(recipe, seed=1), out=tmp_path / "2").folder

    names = sorted(path.name for path in folders[0].iterdir())
    assert [digest_file(folders[0] / name) for name in names] == [digest_file(folders[1] / name) for name in names]
    assert digest_file(folders[0] / WEIGHTS) != digest_file(other / WEIGHTS)


def test_a_run_that_was_killed_goes_on_to_the_bytes_of_one_that_was_not(base: Base, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=12, evaluate_every=1)
    whole = train_adapter(example_set(), base=base, recipe=recipe, out=tmp_path / "whole")
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-m", "tests.finetune.run_tiny", str(base.folder), str(killed)])
    deadline = time.monotonic() + 120
    while not list((killed / CHECKPOINTS).glob("step-0000000[3-9]")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / ADAPTER).exists(), "it ended before it was killed"

    resumed = train_adapter(example_set(), base=base, recipe=recipe, out=killed, resume=True)

    assert resumed.losses == whole.losses
    assert digest_file(resumed.folder / WEIGHTS) == digest_file(whole.folder / WEIGHTS)
    assert digest_file(resumed.folder / "manifest.json") == digest_file(whole.folder / "manifest.json")


def test_two_processes_log_the_losses_of_one(base: Base, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=12, evaluate_every=1)
    alone = train_adapter(example_set(), base=base, recipe=recipe, out=tmp_path / "one")
    run_two(base, tmp_path / "two")

    both = [float(line) for line in (tmp_path / "two" / "losses").read_text().split()]
    assert both == pytest.approx(alone.losses, rel=0.01)


def run_two(base: Base, *arguments: Path) -> None:
    """Let two processes fit together what `run_tiny` says."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "tests.finetune.run_tiny", str(base.folder), *map(str, arguments)]
    subprocess.run(command, check=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)


ODD: dict[str, Any] = {
    "pack_tokens": 1024,
    "tokens_per_step": 3072,
    "epochs": 2,
    "evaluate_every": 2,
    "kept_share": 0.5,
}


@pytest.mark.slow
def test_two_processes_that_share_the_base_fit_the_adapter_of_one(base: Base, tmp_path: Path) -> None:
    """Steps of three packs and of one, and one held-out pack: a process is often left without a pack of its own."""
    recipes = {
        f"{quantization} {kept}": {**ODD, "quantization": quantization, "keep_activations": kept}
        for quantization in ("nf4", "nf4_dq", "bf16", "float32")
        for kept in ("all", "selective", "none")
    }
    recipes["eva and dora"] = {**ODD, "quantization": "nf4_dq", "init": "eva", "dora": True}
    (tmp_path / "recipes").write_text(
        json.dumps(
            {f"spread {name}": {**changes, "shard_base": True} for name, changes in recipes.items()}
            | {f"whole {name}": changes for name, changes in recipes.items()}
        )
    )
    run_two(base, tmp_path, tmp_path / "recipes")

    for name, changes in recipes.items():
        spread, whole = (tmp_path / f"{kind} {name}" for kind in ("spread", "whole"))
        alone = train_adapter(example_set(), base=base, recipe=replace(RECIPE, **changes), out=tmp_path / name)
        losses = [float(line) for line in (spread / "losses").read_text().split()]
        assert losses == pytest.approx(alone.losses, rel=0.01), name
        assert (spread / "losses").read_text() == (whole / "losses").read_text(), name
        assert digest_file(spread / ADAPTER / WEIGHTS) == digest_file(whole / ADAPTER / WEIGHTS), name


def test_a_checkpoint_with_other_bytes_is_refused_by_name(base: Base, tmp_path: Path) -> None:
    train_adapter(example_set(), base=base, recipe=RECIPE, out=tmp_path)
    newest = sorted((tmp_path / CHECKPOINTS).iterdir())[-1]
    bytes_ = bytearray((newest / TENSORS).read_bytes())
    bytes_[-3] ^= 1
    (newest / TENSORS).write_bytes(bytes_)
    with pytest.raises(Damaged, match=newest.name):
        train_adapter(example_set(), base=base, recipe=RECIPE, out=tmp_path, resume=True)


def test_a_checkpoint_of_another_recipe_is_refused(base: Base, tmp_path: Path) -> None:
    train_adapter(example_set(), base=base, recipe=RECIPE, out=tmp_path)
    with pytest.raises(BadInput, match="another recipe"):
        train_adapter(example_set(), base=base, recipe=replace(RECIPE, rank=2), out=tmp_path, resume=True)


def test_a_folder_with_a_run_is_not_overwritten(base: Base, tmp_path: Path) -> None:
    train_adapter(example_set(), base=base, recipe=RECIPE, out=tmp_path)
    with pytest.raises(BadInput, match="--resume"):
        train_adapter(example_set(), base=base, recipe=RECIPE, out=tmp_path)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_examples_are_refused(base: Base, tmp_path: Path, count: int) -> None:
    with pytest.raises(BadInput, match=f"{count} training example"):
        train_adapter(example_set(count), base=base, recipe=RECIPE, out=tmp_path)


def test_an_example_longer_than_a_pack_is_refused_by_name(base: Base, tmp_path: Path) -> None:
    recipe = replace(RECIPE, pack_tokens=16)
    with pytest.raises(BadInput, match="pack_tokens"):
        train_adapter(example_set(), base=base, recipe=recipe, out=tmp_path)


def test_a_loss_that_is_no_number_ends_the_run_with_the_last_good_numbers(base: Base, tmp_path: Path) -> None:
    log = Recorder()
    recipe = replace(RECIPE, learning_rate=1e36, clip_norm=1e30, epochs=6, evaluate_every=0)
    with pytest.raises(ProvenantError, match="expected numbers"):
        train_adapter(example_set(), base=base, recipe=recipe, out=tmp_path, log=log)

    from safetensors.torch import load_file

    newest = sorted((tmp_path / CHECKPOINTS).iterdir())[-1]
    tensors = load_file(newest / TENSORS)
    assert all(bool(torch.isfinite(tensors[kind]).all()) for kind in ("low", "up"))
    assert log.ended["status"] == "failed"


def test_a_run_without_gain_stops_early_and_keeps_its_best(base: Base, tmp_path: Path) -> None:
    recipe = replace(RECIPE, learning_rate=0.5, epochs=12, evaluate_every=1, patience=2)
    said: list[str] = []
    trained = train_adapter(example_set(), base=base, recipe=recipe, out=tmp_path, say=said.append)

    assert any("stopped" in line for line in said)
    assert trained.steps < len(trained.losses)


def test_memory_that_is_not_enough_gives_advice(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*arguments: object, **more: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("finetune.model.AdapterModel.learn", no_memory)
    with pytest.raises(ProvenantError, match="keep_activations to selective"):
        train_adapter(example_set(), base=base, recipe=RECIPE, out=tmp_path)


def test_a_spread_base_of_which_each_process_holds_all_is_refused(base: Base, tmp_path: Path) -> None:
    recipe = replace(RECIPE, shard_base=True, resident_copy=True)
    with pytest.raises(BadInput, match=r"shard_base.*resident_copy"):
        train_adapter(example_set(), base=base, recipe=recipe, out=tmp_path)


def test_one_process_that_shares_its_base_with_nobody_fits_the_same_adapter(base: Base, tmp_path: Path) -> None:
    recipe = replace(RECIPE, quantization="nf4", epochs=1)
    folders = [
        train_adapter(
            example_set(), base=base, recipe=replace(recipe, shard_base=spread), out=tmp_path / str(spread)
        ).folder
        for spread in (False, True)
    ]
    assert digest_file(folders[0] / WEIGHTS) == digest_file(folders[1] / WEIGHTS)


def test_eva_starts_from_the_inputs_and_trains(base: Base, tmp_path: Path) -> None:
    trained = train_adapter(example_set(), base=base, recipe=replace(RECIPE, init="eva"), out=tmp_path)
    assert trained.losses[-1] < trained.losses[0]
