"""The served NF4 model beside plain `generate` of transformers, on the same prompts in the same run.

    .venv/bin/python benchmarks/serving_speed.py [--rounds 3] [--prompts 6]

Both load the same NF4 weights in float32 compute. Prompts are the real ones of golden questions over the samples that
`make run` ingested. Each engine runs in a process of its own, one after the other, so that peak memory (peak RSS) is
its own; rounds alternate between them. Medians over rounds and prompts.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

QUESTIONS = Path(__file__).parent.parent / "samples" / "questions.jsonl"
NEW_TOKENS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=6)
    parser.add_argument("--collection", default="samples")
    parser.add_argument("--engine", choices=("ours", "generate"))
    arguments = parser.parse_args()
    if arguments.engine:
        prompts = json.load(sys.stdin)
        measure = measure_ours if arguments.engine == "ours" else measure_generate
        print(json.dumps(measure(prompts)))
        return
    prompts = collect_prompts(arguments.collection, arguments.prompts)
    rows: dict[str, list[dict[str, float]]] = {"ours": [], "generate": []}
    for _ in range(arguments.rounds):
        for engine, found in rows.items():
            ran = subprocess.run(
                [sys.executable, __file__, "--engine", engine],
                input=json.dumps(prompts),
                capture_output=True,
                text=True,
                check=True,
            )
            found.append(json.loads(ran.stdout.strip().split("\n")[-1]))
    report(rows, len(prompts))


def collect_prompts(collection: str, count: int) -> list[str]:
    from assistant.evaluate import read_questions
    from assistant.prompt import build_messages
    from assistant.retrieve import Scope, fit_context, retrieve_for_answer
    from ui.installation import Installation

    service = Installation().service
    questions = [one for one in read_questions(QUESTIONS, split="dev") if one.answerable]
    prompts = []
    settings = service.settings
    with service.open_generation(service.release(), collection) as generation:
        for question in questions[:: max(1, len(questions) // count)][:count]:
            passages = retrieve_for_answer(question.question, tools=service.retrieval_tools(generation), scope=Scope())
            engine = service.models.engine
            context = fit_context(
                passages, count_tokens=engine.count_tokens, budget=settings.answer.context_tokens, most=4
            )
            prompts.append(engine.render(build_messages(question.question, context)))
    return prompts


def measure_ours(prompts: list[str]) -> dict[str, float]:
    from assistant.generation import Decoding
    from assistant.model import load_engine
    from governance.settings import load_settings

    settings = load_settings()
    started = time.monotonic()
    engine = load_engine(settings.models, settings.answer.model)
    loaded = time.monotonic() - started
    engine.stream(prompts[0], decoding=Decoding(4)).finish()
    results = [engine.stream(prompt, decoding=Decoding(NEW_TOKENS)).finish() for prompt in prompts]
    return summary(
        loaded,
        [result.first_token_seconds for result in results],
        [(result.new_tokens - 1) / (result.seconds - result.first_token_seconds) for result in results],
        [result.seconds for result in results],
    )


def measure_generate(prompts: list[str]) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.generation.streamers import BaseStreamer

    from governance.settings import load_settings

    class Clock(BaseStreamer):  # type: ignore[misc]
        def __init__(self) -> None:
            self.times: list[float] = []

        def put(self, _: object) -> None:
            self.times.append(time.monotonic())

        def end(self) -> None:
            pass

    settings = load_settings()
    folder = settings.models / settings.answer.model / "nf4"
    started = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    loaded = time.monotonic() - started
    firsts, rates, wholes = [], [], []
    for prompt in (prompts[0], *prompts):
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        clock = Clock()
        started = time.monotonic()
        with torch.inference_mode():
            model.generate(**ids, max_new_tokens=NEW_TOKENS, do_sample=False, streamer=clock)
        ended = time.monotonic()
        tokens = clock.times[1:]  # the first call hands over the prompt
        firsts.append(tokens[0] - started)
        wholes.append(ended - started)
        if len(tokens) > 1:
            rates.append((len(tokens) - 1) / (tokens[-1] - tokens[0]))
    return summary(loaded, firsts[1:], rates[1:], wholes[1:])


def summary(loaded: float, firsts: list[float], rates: list[float], wholes: list[float]) -> dict[str, float]:
    return {
        "load_seconds": loaded,
        "first_token_seconds": statistics.median(firsts),
        "tokens_per_second": statistics.median(rates),
        "whole_seconds": statistics.median(wholes),
        "peak_mb": peak_megabytes(),
    }


def peak_megabytes() -> float:
    """Return the largest resident size of this process; `getrusage` would count its parent's before the start."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def report(rows: dict[str, list[dict[str, float]]], prompts: int) -> None:
    from importlib.metadata import version

    names = ("torch", "transformers", "bitsandbytes")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print(f"{prompts} prompts, {NEW_TOKENS} new tokens at most, medians of {len(rows['ours'])} rounds\n")
    print("| engine | load s | first token s | tokens/s | whole answer s | peak RSS MB |")
    print("|---|---|---|---|---|---|")
    for engine, found in rows.items():
        cells = [statistics.median(row[name] for row in found) for name in found[0]]
        label = "served (greedy loop, prompt lookup)" if engine == "ours" else "transformers generate"
        print(f"| {label} | " + " | ".join(f"{cell:.2f}" for cell in cells[:-1]) + f" | {cells[-1]:.0f} |")


if __name__ == "__main__":
    main()
