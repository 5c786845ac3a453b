"""The served NF4 model beside its peers, on the same prompts in the same run, and one user beside sixteen.

    python -m benchmarks.serving_speed [--parts speed equality users] [--gguf FILE] [--out FILE]

Peers: `generate` of transformers on the same NF4 weights in float32, the same with prompt lookup, and llama.cpp
(xllamacpp) on the Q4_1 file of the same model where both are there. Prompts are the real ones of golden questions over
the samples that `make run` ingested. Each engine is loaded in a process of its own (peak RSS is its own) and they are
asked in turns: one prompt to each, then the next, so that what else the machine does meets all alike. Medians.

`equality`: tokens of whole answers against `generate` with float32 in every product. `users`: one against sixteen,
(a) decoding only, at a short prompt and at the served length, counted while all are decoding; (b) whole answers to
sixteen different served prompts.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measured import ROOT, figure, write_result

QUESTIONS = ROOT / "samples" / "questions.jsonl"
SPEED_TOKENS, EQUAL_TOKENS, USERS = 80, 64, 16
LONG_CONTEXT_TOKENS, LONG_PROMPT_TOKENS = 760, 875
LABELS = {
    "ours": "served (compiled step, drafts)",
    "generate": "transformers generate, NF4 float32",
    "lookup": "the same, prompt lookup",
    "llama.cpp": "llama.cpp, Q4_1",
}


class Engine:
    """A process that answers; see `serving_engines`."""

    def __init__(self, name: str, model: Path, gguf: Path | None) -> None:
        command = [sys.executable, "-m", "benchmarks.serving_engines", name, str(model), str(gguf)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        )
        self.load_seconds = float(self._read()["load_seconds"])

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)

    def _read(self) -> dict[str, Any]:
        """Return the next answer; what a library prints stands on other lines."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise RuntimeError(f"The engine's process ended with {self.process.wait()}; run it by itself to see why.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["speed", "equality", "users"])
    parser.add_argument("--prompts", type=int, default=7, help="prompts whose answers are timed, each once an engine")
    parser.add_argument("--equal", type=int, default=32, help="prompts whose tokens are compared")
    parser.add_argument("--collection", default="samples")
    parser.add_argument("--gguf", type=Path, help="the Q4_1 file of the same model, for llama.cpp")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    asked = collect_prompts(arguments.collection, max(arguments.equal, USERS + 5, arguments.prompts))
    figures: dict[str, Any] = {}
    if "speed" in arguments.parts:
        figures |= measure_speed(asked.model, arguments.gguf, asked.long[: arguments.prompts])
    if "equality" in arguments.parts:
        figures |= measure_equality(asked.model, asked.served[: arguments.equal])
    if "users" in arguments.parts:
        figures |= measure_users(asked)
    if arguments.out:
        write_result(arguments.out, figures)


@dataclass(frozen=True)
class Asked:
    """The model's folder and the prompts: as served, of about 875 tokens, and about the same long passages."""

    model: Path
    served: list[str]
    long: list[str]
    same: list[str]


def collect_prompts(collection: str, count: int) -> Asked:
    """Return prompts of golden questions; the long ones have more passages than are served by default."""
    from assistant.evaluate import read_questions
    from assistant.prompt import build_messages
    from assistant.retrieve import Passage, Scope, fit_context, retrieve_for_answer
    from ui.installation import Installation

    service = Installation().service
    settings, engine = service.settings, service.models.engine
    questions = [one.question for one in read_questions(QUESTIONS) if one.answerable]
    chosen = questions[:: max(1, len(questions) // count)][:count]
    served: list[list[Passage]] = []
    long: list[list[Passage]] = []
    with service.open_generation(service.release(), collection) as generation:
        tools = service.retrieval_tools(generation)
        for question in chosen:
            passages = retrieve_for_answer(question, tools=tools, scope=Scope())
            for contexts, budget, most in (
                (served, settings.answer.context_tokens, 4),
                (long, LONG_CONTEXT_TOKENS, len(passages)),
            ):
                contexts.append(fit_context(passages, count_tokens=engine.count_tokens, budget=budget, most=most))

    def render(contexts: list[list[Passage]]) -> list[str]:
        return [engine.render(build_messages(*pair)) for pair in zip(chosen, contexts, strict=True)]

    prompts = sorted(render(long), key=lambda prompt: abs(engine.count_tokens(prompt) - LONG_PROMPT_TOKENS))
    longest = max(long, key=lambda context: sum(engine.count_tokens(one.chunk.text) for one in context))
    same = [engine.render(build_messages(question, longest)) for question in chosen[:USERS]]
    print("tokens of the long prompts:", [engine.count_tokens(prompt) for prompt in prompts])
    service.close()
    return Asked(settings.models / settings.answer.model, render(served), prompts, same)


def measure_speed(model: Path, gguf: Path | None, prompts: Sequence[str]) -> dict[str, Any]:
    names = ["ours", "generate", "lookup"]
    if gguf and gguf.is_file() and importlib.util.find_spec("xllamacpp"):
        names.append("llama.cpp")
    else:
        print("llama.cpp is left out: it needs the package xllamacpp and --gguf FILE.")
    engines = {name: Engine(name, model, gguf) for name in names}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for engine in engines.values():
        engine.ask(prompt="The notice period is", new_tokens=4, to_end=False)
    for prompt in prompts:
        for name, engine in engines.items():
            rows[name].append(engine.ask(prompt=prompt, new_tokens=SPEED_TOKENS, to_end=False))
    print(f"\n{len(prompts)} prompts, {SPEED_TOKENS} new tokens, medians\n")
    print("| engine | load s | first token s | tokens/s after it | whole answer s | peak RSS MB |\n" + "|---" * 6 + "|")
    found = {name: speed_row(engine, rows[name]) for name, engine in engines.items()}
    for name, row in found.items():
        print(f"| {LABELS[name]} | " + " | ".join(f"{value:.2f}" for value in row.values()) + " |")
        engines[name].close()
    return flatten(found, len(prompts)) | ratios(rows)


def speed_row(engine: Engine, answers: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    rates = [(len(one["tokens"]) - 1) / (one["whole"] - one["first"]) for one in answers]
    return {
        "load_seconds": engine.load_seconds,
        "first_token_seconds": statistics.median(one["first"] for one in answers),
        "tokens_per_second": statistics.median(rates),
        "whole_seconds": statistics.median(one["whole"] for one in answers),
        "peak_mb": float(engine.ask()["peak_mb"]),
    }


def ratios(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return how many times faster ours is, prompt by prompt: the median, and the range as its interval."""
    figures = {}
    for name in [name for name in rows if name != "ours"]:
        each = [peer["whole"] / own["whole"] for peer, own in zip(rows[name], rows["ours"], strict=True)]
        figures[f"times_faster_than_{name}"] = figure(
            statistics.median(each), {"low": min(each), "high": max(each)}, n=len(each)
        )
        print(f"whole answer {statistics.median(each):.2f} times faster than {name} ({min(each):.2f}-{max(each):.2f})")
    return figures


def measure_equality(model: Path, prompts: Sequence[str]) -> dict[str, Any]:
    ours, reference = Engine("ours", model, None), Engine("reference", model, None)
    order = {"new_tokens": EQUAL_TOKENS, "to_end": True}
    equal = [ours.ask(prompt=one, **order)["tokens"] == reference.ask(prompt=one, **order)["tokens"] for one in prompts]
    ours.close()
    reference.close()
    print(f"\ntokens equal those of float32 generate on {sum(equal)} of {len(equal)} prompts")
    return {"equal_prompts": sum(equal), "compared_prompts": len(equal)}


def measure_users(asked: Asked) -> dict[str, Any]:
    """One user (the median of five answers) against sixteen; what is asked alone is not asked again."""
    engine = Engine("ours", asked.model, None)
    short = [f"Question {number}: how long is the notice period? Answer:" for number in range(USERS + 5)]
    decode, whole = "decode_tokens_per_second", "whole_tokens_per_second"
    kinds = {
        "decode_short": (short[USERS:], short[:USERS], 200, decode),
        "decode_served": (asked.same[:5], asked.same, 200, decode),
        "answers_served": (asked.long[USERS:][:5], asked.long[:USERS], SPEED_TOKENS, whole),
    }
    figures: dict[str, Any] = {}
    print(f"\n| | one, tokens/s | {USERS} users, tokens/s | ratio | median first token s | longest pause s |")
    print("|---" * 6 + "|")
    for kind, (alone, together, new_tokens, rate) in kinds.items():
        one = statistics.median(engine.ask(prompts=[prompt], new_tokens=new_tokens)[rate] for prompt in alone)
        many = engine.ask(prompts=list(together), new_tokens=new_tokens)
        late = f"{many['median_first_seconds']:.2f} | {many['longest_pause_seconds']:.2f}"
        print(f"| {kind} | {one:.0f} | {many[rate]:.0f} | {many[rate] / one:.2f} | {late} |")
        figures |= {f"{kind}_one": one, f"{kind}_{USERS}": many[rate], f"{kind}_ratio": many[rate] / one}
        figures[f"{kind}_longest_pause_seconds"] = many["longest_pause_seconds"]
    engine.close()
    return figures


def flatten(rows: Mapping[str, Mapping[str, float]], n: int) -> dict[str, Any]:
    return {f"{engine}_{name}": figure(value, n=n) for engine, row in rows.items() for name, value in row.items()}


if __name__ == "__main__":
    main()
