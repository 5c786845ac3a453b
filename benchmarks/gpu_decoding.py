"""Measure decoding on one GPU: transformers' own `generate` and ours, in one process on the same weights.

    python3 -m benchmarks.gpu_decoding --out RESULTS.json                 # 8B shape, random weights, one H100
    python3 -m benchmarks.gpu_decoding --out RESULTS.json --model FOLDER  # and the check on a real NF4 model
    python3 -m benchmarks.gpu_decoding --out RESULTS.json --tiny          # dry run on a CPU
    python3 -m benchmarks.gpu_decoding --out RESULTS.json --only ours,generate --rounds 2

Decode tokens/s of `generate` is users x new tokens over (time for all tokens - time for the first one), the median of
the rounds; ours is timed over the steps alone, each step's tokens read one step later, as when serving. Gaps are in
logits against a float32 reference on the exact weights (`gpu_reference`), for `generate`'s tokens as for ours. Random
weights have two nearly equal largest logits more often than a trained model; the head's scale is a trained one's, and
the spread of the logits and the mean margin stand beside the gaps.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from assistant.gpu_decoding import ContinuousBatch
from assistant.gpu_steps import Decoder, new_decoder
from assistant.gpu_weights import read_weights
from benchmarks import gpu_models
from benchmarks.gpu_models import Shape
from benchmarks.gpu_reference import teacher_forced_gaps
from benchmarks.gpu_report import Report, free, peak_gib, synchronize, told_environment

ENGINES = (
    "ours",
    "generate",
    "continuous",
    "ours-without-triton",
    "generate-nf4",
    "generate-bf16",
    "ours-bf16",
)


def seconds_of(work: Callable[[], Any]) -> float:
    synchronize()
    begin = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - begin


def figures(shape: Shape, batch: int, prefill_seconds: float, decode_seconds: float) -> dict[str, Any]:
    return {
        "batch": batch,
        "prefill_tok_s": round(batch * shape.prompt_tokens / prefill_seconds),
        "decode_tok_s": round(batch * shape.new_tokens / decode_seconds, 1),
        "ms_per_step": round(decode_seconds / shape.new_tokens * 1e3, 2),
        "peak_gib": peak_gib(),
    }


def measure_generate(report: Report, model: Any, shape: Shape, *, weights: str, rounds: int) -> None:
    for batch in shape.batches:
        free()
        ids = torch.tensor(gpu_models.random_prompts(shape, batch), device=shape.device)
        made: list[Any] = []

        def generate(count: int, ids: Any = ids, made: list[Any] = made) -> None:
            from transformers import GenerationConfig

            config = GenerationConfig(
                max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=0, eos_token_id=1
            )
            made[:] = [model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)]

        generate(4)
        prefill, decode = [], []
        for _ in range(rounds):
            prefill.append(seconds_of(lambda: generate(1)))
            decode.append(seconds_of(lambda: generate(shape.new_tokens + 1)) - prefill[-1])
        row = figures(shape, batch, statistics.median(prefill), statistics.median(decode))
        tokens = made[0][:, shape.prompt_tokens :].tolist()
        gaps = teacher_forced_gaps(model, gpu_models.random_prompts(shape, batch), tokens)
        report.add(weights=weights, engine="generate", **row, **gaps, ms_rounds=in_milliseconds(decode, shape))


def in_milliseconds(decode_seconds: Sequence[float], shape: Shape) -> list[float]:
    return [round(seconds / shape.new_tokens * 1e3, 2) for seconds in decode_seconds]


def measure_ours(
    report: Report, model: Any, shape: Shape, *, weights: str, rounds: int, fused: bool | None = None
) -> None:
    for batch in shape.batches if fused is not False else shape.batches[:1]:
        free()
        begin = time.perf_counter()
        decoder = new_decoder(read_weights(model, context_tokens=shape.context_tokens), slots=batch, fused=fused)
        if fused is not False:
            decoder.prepare([batch])
        prompts = gpu_models.random_prompts(shape, batch)
        tokens = decode_once(decoder, prompts, shape.new_tokens)[2]
        start_seconds = time.perf_counter() - begin
        timed = [decode_once(decoder, prompts, shape.new_tokens) for _ in range(rounds)]
        row = figures(shape, batch, statistics.median(t[0] for t in timed), statistics.median(t[1] for t in timed))
        gaps = teacher_forced_gaps(model, prompts, tokens)
        same = all(t[2] == tokens for t in timed)
        extra = {
            "ms_rounds": in_milliseconds([t[1] for t in timed], shape),
            "start_s": round(start_seconds, 1),
            "rounds_agree": same,
        }
        engine = "ours" if fused is not False else "ours without Triton"
        report.add(
            weights=weights, engine=engine, **row, **gaps, **extra, notes=getattr(decoder.operations, "notes", [])
        )
        del decoder


def decode_once(decoder: Decoder, prompts: Sequence[Sequence[int]], count: int) -> tuple[float, float, list[list[int]]]:
    """Return the seconds of reading the prompts, those of `count` steps, and the tokens chosen."""
    slots = list(range(len(prompts)))
    first: list[Any] = []
    prefill = seconds_of(
        lambda: first.extend(decoder.read_prompt(s, prompt, start=0, is_last=True) for s, prompt in enumerate(prompts))
    )
    tokens = [readback.read() for readback in first]

    def steps() -> None:
        waiting = decoder.step(slots, len(prompts[0]))
        for number in range(1, count):
            launched = decoder.step(slots, len(prompts[0]) + number)
            keep(waiting.read())
            waiting = launched
        keep(waiting.read())

    def keep(chosen: list[int]) -> None:
        for mine, token in zip(tokens, chosen, strict=True):
            mine.append(token)

    return prefill, seconds_of(steps), tokens


def measure_continuous(report: Report, model: Any, shape: Shape) -> None:
    """Serve twice as many users as there are slots, of different lengths, and time the whole."""
    slots = shape.batches[-1]
    decoder = new_decoder(read_weights(model, context_tokens=shape.context_tokens), slots=slots)
    decoder.prepare([1 << power for power in range(slots.bit_length())])
    batch = ContinuousBatch(decoder)
    prompts = gpu_models.random_prompts(shape, 2 * slots)
    answers: dict[int, list[int]] = {}
    texts = {}

    def serve() -> None:
        for number, prompt in enumerate(prompts):
            text = prompt[: max(1, len(prompt) * (1 + number % 4) // 4)]
            texts[batch.submit(text, max_new_tokens=shape.new_tokens // 2 + number % 3 * shape.new_tokens // 4)] = text
        for produced in batch.run():
            answers.setdefault(produced.user, []).append(produced.token)

    seconds, peak = seconds_of(serve), peak_gib()
    users = sorted(answers)
    gaps = teacher_forced_gaps(model, [texts[user] for user in users], [answers[user] for user in users])
    made = sum(len(tokens) for tokens in answers.values())
    read = sum(len(text) for text in texts.values())
    row = {
        "decode_tok_s": round(made / seconds, 1),
        "prefill_tok_s": round(read / seconds),
        "seconds": round(seconds, 2),
    }
    engine = f"continuous, {len(users)} users"
    report.add(weights="NF4+LoRA", engine=engine, batch=slots, **row, **gaps, peak_gib=peak)


def check_real_model(report: Report, folder: Path, shape: Shape) -> None:
    """Check a model of a folder, alone and with a random adapter, on texts of this repository."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, device_map={"": shape.device}, local_files_only=True).eval()
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(shape.dtype)
    for module in model.modules():
        if hasattr(module, "compute_dtype"):
            module.compute_dtype = shape.dtype
            module.support_avx512bf16_for_cpu = False
    texts = sorted(Path("docs").rglob("*.md"))[: 16 if shape.device == "cuda" else 2]
    prompts = [tokenizer(text.read_text(encoding="utf-8"))["input_ids"][:300] for text in texts]
    count = 100 if shape.device == "cuda" else 5
    check_texts(report, model, prompts, count, weights="real NF4")
    check_texts(report, gpu_models.attach_adapter(model, scale=0.005), prompts, count, weights="real NF4+LoRA")


def check_texts(report: Report, model: Any, prompts: Sequence[Sequence[int]], count: int, *, weights: str) -> None:
    decoder = new_decoder(read_weights(model, context_tokens=512), slots=len(prompts))
    decoder.prepare([1 << power for power in range(len(prompts).bit_length())])
    batch = ContinuousBatch(decoder)
    answers: dict[int, list[int]] = {}
    for prompt in prompts:
        batch.submit(prompt, max_new_tokens=count)
    for produced in batch.run():
        answers.setdefault(produced.user, []).append(produced.token)
    tokens = [answers[user] for user in range(len(prompts))]
    report.add(weights=weights, engine="ours", batch=len(prompts), **teacher_forced_gaps(model, prompts, tokens))
    theirs = []
    for prompt in prompts[:4]:
        ids = torch.tensor([list(prompt)], device=model.device)
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
        )
        theirs.append(out[0, len(prompt) :].tolist())
    same = sum(mine == their for mine, their in zip(tokens, theirs, strict=False))
    gaps = teacher_forced_gaps(model, prompts[:4], theirs)
    report.add(weights=weights, engine="generate", batch=1, **gaps, answers_equal=f"{same} of {len(theirs)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="folder of a real Llama model in NF4")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--only", default=",".join(ENGINES), help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget-seconds", type=float, default=400.0, help="no section begins later than this")
    arguments = parser.parse_args()
    chosen = tuple(arguments.only.split(","))
    if unknown := [name for name in chosen if name not in ENGINES]:
        parser.error(f"--only names {', '.join(unknown)}; expected some of {', '.join(ENGINES)}")
    shape = gpu_models.tiny() if arguments.tiny else gpu_models.llama_8b()
    report = Report(arguments.out, arguments.budget_seconds)
    report.add(environment=told_environment(), torch_threads=torch.get_num_threads())
    measure_all(report, shape, arguments.rounds, chosen)
    if arguments.model:
        report.section("real model", lambda: check_real_model(report, arguments.model, shape))
    report.table()


def measure_all(report: Report, shape: Shape, rounds: int, chosen: Sequence[str]) -> None:
    """Measure the chosen engines: first NF4 with an adapter, then bfloat16."""
    if set(chosen) - {"generate-bf16", "ours-bf16"}:
        measure_nf4(report, shape, rounds, chosen)
        free()
    if {"generate-bf16", "ours-bf16"} & set(chosen):
        measure_bfloat16(report, shape, rounds, chosen)


def measure_nf4(report: Report, shape: Shape, rounds: int, chosen: Sequence[str]) -> None:
    plain = made(report, "NF4", lambda: gpu_models.quantize(gpu_models.random_model(shape)))
    if "generate-nf4" in chosen:
        report.section("generate NF4", lambda: measure_generate(report, plain, shape, weights="NF4", rounds=rounds))
    model = made(report, "NF4+LoRA", lambda: gpu_models.attach_adapter(plain))
    works: dict[str, Callable[[], None]] = {
        "ours": lambda: measure_ours(report, model, shape, weights="NF4+LoRA", rounds=rounds),
        "ours-without-triton": lambda: measure_ours(report, model, shape, weights="NF4+LoRA", rounds=1, fused=False),
        "generate": lambda: measure_generate(report, model, shape, weights="NF4+LoRA", rounds=rounds),
        "continuous": lambda: measure_continuous(report, model, shape),
    }
    do_chosen(report, works, chosen)


def measure_bfloat16(report: Report, shape: Shape, rounds: int, chosen: Sequence[str]) -> None:
    model = made(report, "bf16", lambda: gpu_models.random_model(shape))
    works: dict[str, Callable[[], None]] = {
        "generate-bf16": lambda: measure_generate(report, model, shape, weights="bf16", rounds=rounds),
        "ours-bf16": lambda: measure_ours(report, model, shape, weights="bf16", rounds=rounds),
    }
    do_chosen(report, works, chosen)


def do_chosen(report: Report, works: dict[str, Callable[[], None]], chosen: Sequence[str]) -> None:
    for name, work in works.items():
        if name in chosen:
            report.section(name, work)


def made(report: Report, name: str, work: Callable[[], Any]) -> Any:
    """Return what `work` makes, or None where it failed; that is told, and so are the sections that need it."""
    holder: list[Any] = [None]
    report.section(f"make {name}", lambda: holder.insert(0, work()))
    return holder[0]


if __name__ == "__main__":
    main()
