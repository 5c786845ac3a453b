"""Training speed and memory on one GPU, with an 8B-shaped and a 135M-shaped model of random weights.

    python -m benchmarks.train_speed --out FOLDER [--tiny] [--only NAME ...] [--budget SECONDS]

The yardstick is that of the measured baseline: prompts of about 1,250 tokens (lognormal, 300 to 3,500), completions of
about 87 (20 to 250), loss on completions only; tokens are real ones, filler is not counted; useful work is the frozen
products forward and their input gradients, the factors, causal attention within documents and the head on completions.
A step here is one pack: forward, backward, clip, optimizer, factors taken anew. `--tiny` runs all of it on a CPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_report import told_environment
from finetune.base_weights import Nf4, Shape, quantize, read_shape
from finetune.model import AdapterModel
from finetune.optimizers import clip, make_optimizer
from finetune.packing import EncodedExample, Pack, fill_packs, make_pack
from finetune.recipe import Recipe, make_recipe

PEAK_TFLOPS = 755.0  # a bf16 product of 8192 cubed, measured on this card
WARM_STEPS, TIMED_STEPS = 6, 12
GIB = 2**30
COMMON = {"model_type": "llama", "rms_norm_eps": 1e-5, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama-3.1-8b": {
        "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072, "head_dim": 128,
    },
    "smollm2-135m-instruct": {
        "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "intermediate_size": 1536, "vocab_size": 49152, "max_position_embeddings": 8192, "head_dim": 64,
        "tie_word_embeddings": True,
    },
    "tiny": {
        "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 256, "vocab_size": 1024, "max_position_embeddings": 8192, "head_dim": 32,
    },
}  # fmt: skip
PLAIN = Recipe(quantization="nf4", learning_rate=1e-4)
LARGE, SMALL = "llama-3.1-8b", "smollm2-135m-instruct"


@dataclass(frozen=True)
class Variant:
    """A base shape and a recipe under a name."""

    name: str
    base: str
    recipe: Recipe


def variants() -> list[Variant]:
    """Return what is measured, the most telling first."""
    selective = replace(PLAIN, keep_activations="selective")
    rows = [
        ("nf4", LARGE, PLAIN),
        ("nf4 resident", LARGE, replace(PLAIN, resident_copy=True)),
        ("nf4_dq recomputed", LARGE, replace(PLAIN, quantization="nf4_dq", keep_activations="none")),
        ("nf4 selective 0.4", LARGE, selective),
        ("nf4 12288", LARGE, replace(PLAIN, pack_tokens=12288)),
        ("nf4 resident 12288", LARGE, replace(PLAIN, pack_tokens=12288, resident_copy=True)),
        ("nf4_dq selective 0", LARGE, replace(selective, quantization="nf4_dq", kept_share=0.0)),
        ("nf4 4096", LARGE, replace(PLAIN, pack_tokens=4096)),
        ("nf4 r64", LARGE, replace(PLAIN, rank=64)),
        (
            "nf4_dq recomputed 4096",
            LARGE,
            replace(PLAIN, quantization="nf4_dq", keep_activations="none", pack_tokens=4096),
        ),
        ("bf16", LARGE, replace(PLAIN, quantization="bf16")),
        ("135M nf4_dq", SMALL, replace(PLAIN, quantization="nf4_dq", rank=8, learning_rate=1e-3)),
        ("135M bf16", SMALL, replace(PLAIN, quantization="bf16", rank=8, learning_rate=1e-3)),
        ("135M nf4_dq 16384", SMALL, replace(PLAIN, quantization="nf4_dq", rank=8, pack_tokens=16384)),
        (
            "nf4_dq recomputed 7168",
            LARGE,
            replace(PLAIN, quantization="nf4_dq", keep_activations="none", pack_tokens=7168),
        ),
        ("135M bf16 recomputed", SMALL, replace(PLAIN, quantization="bf16", rank=8, keep_activations="none")),
    ]
    return [Variant(name, base, _one_pack(recipe)) for name, base, recipe in rows]


def _one_pack(recipe: Recipe) -> Recipe:
    return replace(recipe, tokens_per_step=recipe.pack_tokens)


class RandomSource:
    """Weights of normal(0, 0.02), made on the device."""

    def __init__(self, name: str, recipe: Recipe, device: str) -> None:
        self.shape = read_shape({**COMMON, **CONFIGS[name]})
        self._recipe, self._device = recipe, device
        self._chance = torch.Generator(device).manual_seed(0)
        hidden, queries = self.shape.hidden, self.shape.heads * self.shape.head_dim
        keys, middle = self.shape.key_heads * self.shape.head_dim, self.shape.middle
        self._sizes = {"q_proj": (queries, hidden), "k_proj": (keys, hidden), "v_proj": (keys, hidden)}
        self._sizes |= {"o_proj": (hidden, queries), "gate_proj": (middle, hidden), "up_proj": (middle, hidden)}
        self._sizes["down_proj"] = (hidden, middle)

    def dense(self, name: str) -> torch.Tensor:
        if "norm" in name:
            return torch.ones(self.shape.hidden, device=self._device)
        return self._drawn(self.shape.vocabulary, self.shape.hidden)

    def linear(self, name: str) -> torch.Tensor | Nf4:
        weight = self._drawn(*self._sizes[name.split(".")[-2]])
        if self._recipe.quantization.startswith("nf4"):
            return quantize(weight, doubly=self._recipe.quantization == "nf4_dq")
        return weight

    def _drawn(self, *size: int) -> torch.Tensor:
        dtype = torch.bfloat16 if self._device.startswith("cuda") else torch.float32
        return torch.randn(size, generator=self._chance, device=self._device, dtype=dtype) * 0.02


def drawn_examples(count: int, vocabulary: int, *, scale: float = 1.0) -> list[EncodedExample]:
    """Return documents with the lengths of the yardstick and random ids."""
    chance = torch.Generator().manual_seed(7)

    def length(middle: float, spread: float, least: int, most: int) -> int:
        drawn = math.exp(math.log(middle) + spread * float(torch.randn((), generator=chance)))
        return max(2, int(min(max(drawn, least), most) * scale))

    found = []
    for number in range(count):
        prompt, completion = length(1120, 0.56, 300, 3500), length(75, 0.6, 20, 250)
        ids = torch.randint(3, vocabulary, (prompt + completion,), generator=chance).tolist()
        found.append(EncodedExample(str(number), tuple(ids), prompt))
    return found


def drawn_packs(variant: Variant, count: int, device: str, *, scale: float) -> list[Pack]:
    """Return full packs of the yardstick's documents."""
    size = variant.recipe.pack_tokens
    examples = drawn_examples(max(40, count * size // 700), int(CONFIGS[variant.base]["vocab_size"]), scale=scale)
    plan = fill_packs([len(one.ids) for one in examples], range(len(examples)), size)
    chosen = plan[: len(plan) - 2]  # the last are not full
    random.Random(7).shuffle(chosen)  # noqa: S311 - the first hold the longest documents
    chosen = chosen[:count]
    return [make_pack([examples[number] for number in one], device=device, fill_to=size) for one in chosen]


def useful_flops(shape: Shape, pack: Pack, rank: int) -> float:
    """Return the least work of one step on a pack: no recomputation, no filler."""
    hidden, middle, queries = shape.hidden, shape.middle, shape.heads * shape.head_dim
    keys = shape.key_heads * shape.head_dim
    linear = shape.layers * (2 * hidden * queries + 2 * hidden * keys + 3 * hidden * middle)
    factors = shape.layers * rank * (2 * (hidden + queries) + 2 * (hidden + keys) + 3 * (hidden + middle))
    real, counted = [], 0
    for length in pack.documents.lengths:
        if counted < pack.tokens:
            real.append(length)
        counted += length
    attention = 6 * shape.layers * queries * sum(length * length for length in real)
    head = 4 * shape.vocabulary * hidden * len(pack.rows)
    return float((4 * linear + 6 * factors) * pack.tokens + attention + head)


class Run:
    """A model and its optimizer, stepped over packs again and again."""

    def __init__(self, variant: Variant, device: str, *, scale: float) -> None:
        self.variant, self.device = variant, device
        self.packs = drawn_packs(variant, 12, device, scale=scale)
        self.model = AdapterModel(RandomSource(variant.base, variant.recipe, device), variant.recipe, device=device)
        self.model.start(0)
        self._optimizer = make_optimizer(self.model.adapter.flat, variant.recipe)
        self.history: list[tuple[float, float]] = []  # loss, gradient norm

    def step(self, number: int) -> float:
        """Do one step and return its seconds."""
        pack = self.packs[number % len(self.packs)]
        _wait(self.device)
        begin = time.perf_counter()
        result = self.model.learn(pack, weight=1 / len(pack.rows))
        norm = clip(self.model.adapter.gradients(), 1.0)
        self._optimizer.step()
        self.model.refresh()
        self.model.adapter.forget_gradients()
        self.history.append((float(result.losses.mean()), float(norm)))
        _wait(self.device)
        return time.perf_counter() - begin

    def figures(self, numbers: Sequence[int], seconds: Sequence[float]) -> dict[str, Any]:
        """Return what some timed steps say."""
        packs = [self.packs[number % len(self.packs)] for number in numbers]
        tokens, total = sum(pack.tokens for pack in packs), sum(seconds)
        useful = sum(useful_flops(self.model.shape, pack, self.variant.recipe.rank) for pack in packs) / total / 1e12
        return {
            "tokens_second": round(tokens / total),
            "step_seconds": round(statistics.median(seconds), 4),
            "useful_tflops": round(useful, 1),
            "share_of_peak": round(useful / PEAK_TFLOPS, 3),
            "completion_share": round(
                sum(len(pack.rows) for pack in packs) / (len(packs) * self.variant.recipe.pack_tokens), 4
            ),
            "filler_share": round(1 - tokens / (len(packs) * self.variant.recipe.pack_tokens), 4),
            "steps": len(packs),
        }


def measured(variant: Variant, device: str, *, scale: float) -> dict[str, Any]:
    """Return one variant's row."""
    begin = time.perf_counter()
    run = Run(variant, device, scale=scale)
    made = time.perf_counter() - begin
    warm = [run.step(number) for number in range(WARM_STEPS)]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    numbers = range(WARM_STEPS, WARM_STEPS + TIMED_STEPS)
    seconds = [run.step(number) for number in numbers]
    row = {"name": variant.name, "base": variant.base, **run.figures(numbers, seconds)}
    if device == "cuda":
        row["peak_gib"] = round(torch.cuda.max_memory_allocated() / GIB, 2)
        row["reserved_gib"] = round(torch.cuda.max_memory_reserved() / GIB, 2)
    first, last = run.history[0], run.history[len(run.packs)]  # the same pack, once around
    row |= {"loss": [round(first[0], 3), round(last[0], 3)], "gradient_norm": [round(first[1], 3), round(last[1], 3)]}
    row |= {"made_seconds": round(made, 1), "first_steps_seconds": [round(one, 2) for one in warm]}
    return {**row, "recipe": asdict(variant.recipe)}


def alternated(device: str, names: Sequence[str], *, scale: float, rounds: int = 5) -> dict[str, Any]:
    """Return the speeds of several variants, both in memory, that take turns on the same packs."""
    runs = [Run(one, device, scale=scale) for one in variants() if one.name in names]
    for run in runs:
        for number in range(3):
            run.step(number)
    speeds: dict[str, list[int]] = {run.variant.name: [] for run in runs}
    for _ in range(rounds):
        for run in runs:
            numbers = range(4, 8)
            seconds = [run.step(number) for number in numbers]
            speeds[run.variant.name].append(run.figures(numbers, seconds)["tokens_second"])
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    return {"name": "alternating " + " / ".join(names), "rounds": speeds, "medians": medians}


def checked(device: str) -> dict[str, Any]:
    """Return how far this device is from float32 on the CPU with equal four-bit weights, in shares of the norm."""
    recipe = make_recipe({"quantization": "nf4", "rank": 8, "pack_tokens": 2048, "tokens_per_step": 2048})
    examples = drawn_examples(6, 1024, scale=0.2)
    models = [
        AdapterModel(_Moved(RandomSource("tiny", recipe, "cpu"), where), recipe, device=where)
        for where in ("cpu", device)
    ]
    results = []
    for model, where in zip(models, ("cpu", device), strict=True):
        model.start(0)
        with torch.no_grad():
            up = model.adapter.flat["up"]
            up.copy_(torch.randn(up.shape, generator=torch.Generator().manual_seed(1)) * 0.02)
        model.refresh()
        pack = make_pack(examples, device=where, fill_to=2048)
        results.append(model.learn(pack, weight=1 / len(pack.rows)))
    errors = {"loss": _error(results[1].losses, results[0].losses)}
    for kind, flat in models[0].adapter.flat.items():
        ours = models[1].adapter.flat[kind].grad
        assert ours is not None
        assert flat.grad is not None
        errors[kind] = _error(ours, flat.grad)
    return {"name": "check against float32", **{name: round(value, 6) for name, value in errors.items()}}


class _Moved:
    """The weights of another source, on another device."""

    def __init__(self, source: RandomSource, device: str) -> None:
        self.shape, self._source, self._device = source.shape, source, device

    def dense(self, name: str) -> torch.Tensor:
        return self._source.dense(name).to(self._device)

    def linear(self, name: str) -> torch.Tensor | Nf4:
        weight = self._source.linear(name)
        if not isinstance(weight, Nf4):
            return weight.to(self._device)
        assert isinstance(weight.scales, torch.Tensor)
        return Nf4(*(part.to(self._device) for part in (weight.packed, weight.scales, weight.code)))


def kernels_checked(device: str) -> dict[str, Any]:
    """Return how far the kernels are from the functions they stand for, as the largest difference."""
    if device == "cpu":
        return {"name": "kernels", "skipped": "they run on CUDA only"}
    from finetune import elementwise, kernels

    weight = quantize(torch.randn(512, 4096, device=device), doubly=False)
    assert isinstance(weight.scales, torch.Tensor)
    shifts = torch.tensor([4, 0], dtype=torch.uint8, device=device)
    read = (weight.packed, weight.scales.view(512, -1), weight.code, shifts)
    pages = [torch.full((512, 4160), 9.0, device=device, dtype=torch.bfloat16) for _ in range(2)]
    gate_up = torch.randn(300, 2816, device=device, dtype=torch.bfloat16)
    gradient = torch.randn(300, 1408, device=device, dtype=torch.bfloat16)
    wide = [torch.full((300, 2880), 9.0, device=device, dtype=torch.bfloat16) for _ in range(2)]
    again = [torch.empty(300, 1408, device=device, dtype=torch.bfloat16) for _ in range(2)]
    for module, page, out, second in zip((kernels, elementwise), pages, wide, again, strict=True):
        module.unpack(*read, page[:, :4096])
        module.swiglu_backward(gradient, gate_up, out[:, :2816], second)
    pairs = {"unpack": pages, "swiglu gradient": wide, "swiglu again": again}
    return {"name": "kernels", **{name: float((one - two).abs().max()) for name, (one, two) in pairs.items()}}


def _error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.cpu().float() - expected).norm() / expected.norm())


def profiled(variant: Variant, device: str, *, scale: float) -> str:
    """Return the table of the kernels of one step."""
    from torch.profiler import ProfilerActivity, profile

    run = Run(variant, device, scale=scale)
    for number in range(3):
        run.step(number)
    kind = ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU
    with profile(activities=[kind]) as recorded:
        run.step(3)
    key = "self_cuda_time_total" if device == "cuda" else "self_cpu_time_total"
    return str(recorded.key_averages().table(sort_by=key, row_limit=30, max_name_column_width=90))


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _free(device: str) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def main() -> None:
    arguments = _arguments()
    device, scale = ("cpu", 0.05) if arguments.tiny else ("cuda", 1.0)
    chosen = [one for one in variants() if not arguments.only or one.name in arguments.only]
    if arguments.tiny:
        chosen = [replace(one, base="tiny", recipe=_shrunk(one.recipe)) for one in chosen]
    arguments.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + arguments.budget
    rows: list[dict[str, Any]] = []
    works: list[tuple[str, Any]] = [("kernels", lambda: kernels_checked(device)), ("check", lambda: checked(device))]
    works += [(one.name, lambda one=one: measured(one, device, scale=scale)) for one in chosen]
    if not arguments.only and not arguments.tiny:
        works.insert(4, ("alternating", lambda: alternated(device, ("nf4", "bf16", "nf4 resident"), scale=scale)))
    for name, work in works:
        if time.monotonic() > deadline:
            break
        try:
            rows.append(work())
        except (RuntimeError, AssertionError) as failure:  # the machine is lent for minutes: the others still count
            rows.append({"name": name, "failed": f"{type(failure).__name__}: {str(failure)[:600]}"})
        print("ROW", json.dumps({key: value for key, value in rows[-1].items() if key != "recipe"}), flush=True)
        _free(device)
        (arguments.out / "train_speed.json").write_text(
            json.dumps({"environment": told_environment(), "rows": rows}, indent=1), encoding="utf-8"
        )
    if arguments.profile:
        (arguments.out / "profile.txt").write_text(profiled(chosen[0], device, scale=scale), encoding="utf-8")
        print((arguments.out / "profile.txt").read_text(encoding="utf-8")[:9000])


def _shrunk(recipe: Recipe) -> Recipe:
    return replace(recipe, rank=4, pack_tokens=recipe.pack_tokens // 16, tokens_per_step=recipe.pack_tokens // 16)


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--budget", type=float, default=400.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
