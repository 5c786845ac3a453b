"""Fit an adapter: one straight line from examples to a folder that can be served.

Encode, plan the steps, then for each step: losses and gradients of its packs, their sum over all processes, clip,
optimizer; now and then held-out figures and a checkpoint; at the end the adapter's folder. It knows recipes, examples
and the model of `model`; who records a run is behind RunLog. Rules: everything after the seed is decided by the recipe,
the data and the base, so that a killed run that goes on gives the same bytes on a CPU; a loss that is no number ends
the run with the last good numbers kept; times never enter the adapter's folder.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from assistant.model import identify
from assistant.model_convert import BASE_FOLDER
from finetune.adapters import OpenedAdapter, write_adapter
from finetune.base_folder import FolderSource
from finetune.checkpoints import (
    Checkpoint,
    newest_checkpoint,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from finetune.encoding import Encoder
from finetune.eva import start_from_inputs
from finetune.examples import LEAST_EXAMPLES, ExampleSet, document_digests
from finetune.held_out import HeldOut, measure_held_out
from finetune.model import AdapterModel
from finetune.optimizers import clip, make_optimizer, rate_share, set_rate
from finetune.pace import Pace, duration, memory_gib
from finetune.packing import Pack, StepPlan, make_pack, plan_steps, refuse_long
from finetune.recipe import Recipe, recipe_digest, recipe_value, refuse_contradiction
from finetune.spikes import count_spikes
from finetune.workers import Workers, join_workers, own_device
from governance.errors import BadInput, ProvenantError
from governance.models import Manifest

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER, CHECKPOINTS = "adapter", "checkpoints"
_EVA_PACKS = 2
Say = Callable[[str], None]


class RunLog(Protocol):
    """Whoever records a run."""

    def start(
        self,
        *,
        recipe: Mapping[str, Any],
        recipe_digest: str,
        data_digest: str,
        base: Mapping[str, str],
        seed: int,
        resumed: bool,
    ) -> None:
        """Hear what begins."""

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Hear the figures of a step."""

    def finish(
        self,
        metrics: Mapping[str, Any],
        *,
        status: Literal["running", "finished", "stopped", "failed"] = "finished",
        reason: str = "",
        adapter: str = "",
    ) -> None:
        """Hear how it ended."""


@dataclass(frozen=True)
class Base:
    """The folder of a pulled base model and its manifest, as `governance.models.open_model` returns them."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True)
class TrainedAdapter:
    """What a run made: the adapter's folder, the steps done, each step's loss, and figures by name."""

    folder: Path
    steps: int
    losses: tuple[float, ...]
    metrics: Mapping[str, float]


@dataclass
class Progress:
    """What a run remembers from step to step, and keeps in its checkpoints."""

    losses: list[float] = field(default_factory=list)
    best_loss: float | None = None
    best_step: int = 0
    evaluations_without_gain: int = 0
    evaluated_at: int = -1


def train_adapter(
    examples: ExampleSet,
    *,
    base: Base,
    recipe: Recipe,
    out: Path,
    resume: bool = False,
    say: Say | None = None,
    log: RunLog | None = None,
) -> TrainedAdapter:
    """Fit an adapter on examples and write it to `out/adapter`; checkpoints lie in `out/checkpoints`.

    Raises BadInput for data, recipe or a folder that cannot be used, Damaged for a checkpoint that is not as written,
    and ProvenantError with advice where memory or disk are full or a loss is no number.
    """
    _refuse_unusable(examples, recipe, out, resume=resume)
    with _told(log), _memory_as_advice(recipe), _determinism(wanted=recipe.deterministic):
        device = own_device()
        workers = join_workers(device, in_step=recipe.shard_base)
        try:
            run = _Run(examples, base, recipe, out, _Surroundings(say or _say_nothing, log, workers, device))
            return run.work(resume=resume)
        finally:
            workers.leave()


@dataclass(frozen=True)
class _Surroundings:
    """Whom a run speaks to, and where it is."""

    say: Say
    log: RunLog | None
    workers: Workers
    device: str


class _Run:
    """One run: its data as ids, its model and optimizer, and how far it is."""

    def __init__(self, examples: ExampleSet, base: Base, recipe: Recipe, out: Path, around: _Surroundings) -> None:
        encoder = Encoder(base.folder / BASE_FOLDER, identify(base.manifest))
        say = around.say if around.workers.first else None
        encoded = encoder.encode_all([*examples.train, *examples.held_out], say=say)
        self._train, self._held_out = encoded[: len(examples.train)], encoded[len(examples.train) :]
        refuse_long(encoded, recipe.pack_tokens)
        self._base, self._recipe, self._out = base, recipe, out
        documents = document_digests(examples.train)
        self._data = {**examples.manifest, "digest": examples.digest, "documents": documents}
        self._say, self._log, self._workers, self._device = around.say, around.log, around.workers, around.device
        self._plan: list[StepPlan] = plan_steps([len(one.ids) for one in self._train], recipe)
        self._model = AdapterModel(
            FolderSource(base.folder, recipe.quantization, self._device),
            recipe,
            device=self._device,
            workers=self._workers,
        )
        self._optimizer = make_optimizer(self._model.adapter.flat, recipe)
        self._work = {"recipe": recipe_digest(recipe), "data": examples.digest, "base": base.manifest.digest}
        self._progress = Progress()
        self._latest: HeldOut | None = None
        self._clock = Pace()

    def work(self, *, resume: bool) -> TrainedAdapter:
        """Do all steps that are left and write the adapter."""
        first = self._begin(resume=resume)
        stopped = self._is_patience_over()
        for step in range(first, first if stopped else len(self._plan)):
            self._step(step)
            if self._pauses_after(step) and self._stops_after(step):
                self._say(f"The held-out loss has not fallen for {self._recipe.patience} evaluations: stopped.")
                break
        return self._end()

    def _begin(self, *, resume: bool) -> int:
        """Start anew or where the newest checkpoint is, and return the first step to do."""
        found = newest_checkpoint(self._out / CHECKPOINTS, self._work) if resume else None
        if self._log and self._workers.first:
            self._log.start(
                recipe=recipe_value(self._recipe), recipe_digest=self._work["recipe"], data_digest=self._work["data"],
                base={"name": self._base.manifest.name, "digest": self._work["base"]},
                seed=self._recipe.seed, resumed=found is not None,
            )  # fmt: skip
        if found is not None:
            self._restore(found)
            restore_optimizer(self._optimizer, found)
            self._progress = Progress(**found.progress)
            self._say(f"Going on after step {found.step} of {len(self._plan)}.")
            return found.step
        self._model.start(self._recipe.seed)
        if self._recipe.init == "eva":
            packs = [self._pack(numbers) for numbers in self._plan[0][:_EVA_PACKS]]
            start_from_inputs(self._model, packs)
        return 0

    def _step(self, step: int) -> None:
        """Do a step: packs, sum, clip, optimizer."""
        plan = self._plan[step]
        tokens = sum(self._train[number].completion_tokens for numbers in plan for number in numbers)
        self._clock.begin()
        self._model.adapter.forget_gradients()
        loss = self._learn(plan, 1.0 / tokens)
        self._workers.add_up([loss, *self._model.adapter.gradients()])
        norm = clip(self._model.adapter.gradients(), self._recipe.clip_norm)
        values = {"loss": float(loss), "gradient_norm": float(norm)}
        if not all(math.isfinite(value) for value in values.values()):
            self._refuse_no_number(step, values)
        share = rate_share(step, len(self._plan), self._recipe.warmup_share)
        set_rate(self._optimizer, share)
        self._optimizer.step()
        self._model.refresh()
        self._progress.losses.append(values["loss"])
        self._tell(step, {**values, "learning_rate": self._recipe.learning_rate * share})

    def _learn(self, plan: StepPlan, weight: float) -> Tensor:
        """Add the gradients of this process's packs; return its part of the mean loss, a scalar."""
        import torch

        loss = torch.zeros((), device=self._device)
        for numbers, counts in self._workers.share(plan):
            each = weight if counts else 0.0
            loss += self._model.learn(self._pack(numbers), weight=each).losses.sum() * each
        return loss

    def _pack(self, numbers: Sequence[int]) -> Pack:
        chosen = [self._train[number] for number in numbers]
        return make_pack(chosen, device=self._device, fill_to=self._model.fill_tokens)

    def _tell(self, step: int, values: Mapping[str, float]) -> None:
        tokens = sum(len(self._train[number].ids) for numbers in self._plan[step] for number in numbers)
        self._clock.add(tokens)
        memory = memory_gib(self._device)
        speed = self._clock.tokens_second()
        if not self._workers.first:
            return
        if self._log:
            self._log.log(step + 1, {**values, "tokens_second": round(speed), "memory_gib": round(memory, 2)})
        if self._clock.may_speak() or step + 1 == len(self._plan):
            left = self._clock.seconds_left(len(self._plan) - step - 1)
            self._say(
                f"step {step + 1}/{len(self._plan)}  loss {values['loss']:.4f}  gradient norm "
                f"{values['gradient_norm']:.3f}  {speed:,.0f} tokens/s  {memory:.1f} GiB  {duration(left)} left"
            )

    def _pauses_after(self, step: int) -> bool:
        every = self._recipe.evaluate_every or max(1, len(self._plan) // 10)
        return (step + 1) % every == 0 or step + 1 == len(self._plan)

    def _stops_after(self, step: int) -> bool:
        """Evaluate where the recipe says so, write a checkpoint, and tell whether the run should stop."""
        last = step + 1 == len(self._plan)
        if self._held_out and (self._recipe.evaluate_every or last):
            self._evaluate(step + 1)
        if self._workers.first:
            self._keep(step + 1)
        self._workers.wait()
        return self._is_patience_over() and not last

    def _is_patience_over(self) -> bool:
        return 0 < self._recipe.patience <= self._progress.evaluations_without_gain

    def _evaluate(self, steps: int) -> None:
        found = measure_held_out(self._model, self._held_out, self._workers)
        self._latest = found
        progress = self._progress
        progress.evaluated_at = steps
        if progress.best_loss is None or found.loss < progress.best_loss:
            progress.best_loss, progress.best_step, progress.evaluations_without_gain = found.loss, steps, 0
        else:
            progress.evaluations_without_gain += 1
        if self._workers.first:
            if self._log:
                self._log.log(steps, found.metrics())
            self._say(f"after step {steps}: " + _figures(found.metrics()))

    def _keep(self, steps: int) -> None:
        tensors, plain = optimizer_tensors(self._optimizer)
        checkpoint = Checkpoint(
            steps, self._work, self._progress.__dict__, {**self._model.adapter.state(), **tensors}, plain
        )
        best = frozenset({self._progress.best_step}) if self._recipe.patience else frozenset[int]()
        write_checkpoint(self._out / CHECKPOINTS, checkpoint, keep=self._recipe.keep_checkpoints, always=best)

    def _restore(self, checkpoint: Checkpoint) -> None:
        self._model.adapter.load(checkpoint.tensors)
        self._model.refresh()

    def _end(self) -> TrainedAdapter:
        """Take the best numbers where the run looked for them, and write the adapter."""
        progress, steps = self._progress, len(self._progress.losses)
        if self._recipe.patience and 0 < progress.best_step < steps:
            path = self._out / CHECKPOINTS / f"step-{progress.best_step:08d}"
            self._restore(read_checkpoint(path, self._work))
            steps, self._latest = progress.best_step, None
        if self._held_out and self._latest is None:
            self._latest = measure_held_out(self._model, self._held_out, self._workers)
        metrics: dict[str, float] = {
            "steps": steps, "first_loss": progress.losses[0], "last_loss": progress.losses[-1],
            "loss_spikes": count_spikes(progress.losses), "trained_numbers": self._model.adapter.count(),
            **(self._latest.metrics() if self._latest else {}),
        }  # fmt: skip
        opened = self._write(metrics) if self._workers.first else None
        folder = opened.folder if opened else self._out / ADAPTER
        timed = {"tokens_second": self._clock.tokens_second(), "peak_memory_gib": memory_gib(self._device)}
        if self._log and self._workers.first:
            self._log.finish({**metrics, **timed}, adapter=str(folder))
        self._workers.wait()
        return TrainedAdapter(folder, steps, tuple(progress.losses), {**metrics, **timed})

    def _write(self, metrics: Mapping[str, float]) -> OpenedAdapter:
        return write_adapter(
            self._out / ADAPTER, self._model.adapter, self._recipe,
            base=self._base.folder, base_manifest=self._base.manifest, data=self._data, metrics=metrics,
        )  # fmt: skip

    def _refuse_no_number(self, step: int, values: Mapping[str, float]) -> None:
        if self._workers.first:
            self._keep(step)
        raise ProvenantError(
            f"In step {step + 1} the loss is {values['loss']} and the gradient norm {values['gradient_norm']}, "
            f"expected numbers; the state after step {step} is kept as a checkpoint: lower learning_rate, or look at "
            "the examples of this step."
        )


def _refuse_unusable(examples: ExampleSet, recipe: Recipe, out: Path, *, resume: bool) -> None:
    refuse_contradiction(recipe)
    if len(examples.train) < LEAST_EXAMPLES:
        raise BadInput(
            f"The data have {len(examples.train)} training example(s), expected at least {LEAST_EXAMPLES}; make more "
            "with `provenant finetune data`."
        )
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; expected a folder to write the adapter to: name another.")
    if not resume and (any((out / CHECKPOINTS).glob("step-*")) or (out / ADAPTER).exists()):
        raise BadInput(f"{out} holds a run already; give --resume to go on, or name another folder.")


@contextmanager
def _told(log: RunLog | None) -> Iterator[None]:
    """Let the record of a run say how it ended when it does not end well."""
    try:
        yield
    except KeyboardInterrupt:
        if log:
            log.finish({}, status="stopped", reason="interrupted; go on with --resume")
        raise
    except ProvenantError as error:
        if log and not isinstance(error, BadInput):
            log.finish({}, status="failed", reason=str(error))
        raise


@contextmanager
def _memory_as_advice(recipe: Recipe) -> Iterator[None]:
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        cheaper = {"all": "keep_activations to selective", "selective": "keep_activations to none", "none": ""}
        steps = [cheaper[recipe.keep_activations], f"pack_tokens below {recipe.pack_tokens}"]
        steps += ["quantization to nf4_dq"] if recipe.quantization in {"bf16", "float32"} else []
        steps += ["resident_copy to false"] if recipe.resident_copy else []
        advice = ", or ".join(step for step in steps if step)
        raise ProvenantError(
            f"The memory is not enough for this recipe; set {advice} (`provenant finetune plan` predicts each), then "
            "go on with --resume or start anew."
        ) from error


@contextmanager
def _determinism(*, wanted: bool) -> Iterator[None]:
    """Let torch take only operations that give equal bits in each run."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(mode=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _figures(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in metrics.items())


def _say_nothing(line: str) -> None:
    del line
