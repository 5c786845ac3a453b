"""Compare a base with its adapters: the same examples, the same passages, the same decoding; gate and fallback off.

Each contestant answers the held-out examples with the passages in the prompt and, where asked, without them; what it
has forgotten is measured on a general set. It knows answers and figures and refuses to know how an adapter was made.
Rules: intervals are over documents; a gain is measured example by example against the base; a gain that a slice carries
is said; groups of runs that differ by seed alone give a spread, and their method is what their recipe says.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from finetune.answering import Answered, Answerer, Prompt
from finetune.examples import TrainingExample, example_messages
from finetune.quantize import BaseModel, encode_text
from finetune.quantize_measure import measure_texts, summary
from finetune.refusal import fit_threshold
from finetune.runs import RunRecord, Values
from finetune.scores import ScoredAnswer, carrying_slices, difference, score, shown_texts, slices

Say = Callable[[float, str], None]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Contestant:
    """A model by the name it has in the table; `method` and `adapter_bytes` are said there."""

    name: str
    loaded: BaseModel
    method: str = ""
    adapter_bytes: int = 0


@dataclass(frozen=True)
class Contest:
    """What all answer: examples and general texts; `held` keeps answers to runs of the passages for all of them.

    With `fit_on`, examples of the training side, each fits its own threshold of refusing there; held answers only.
    """

    examples: Sequence[TrainingExample]
    general: Sequence[tuple[str, str]]
    held: bool = False
    without_passages: bool = False
    batch: int = 16
    max_new_tokens: int = 64
    fit_on: Sequence[TrainingExample] = ()


@dataclass(frozen=True)
class Outcome:
    """What one contestant did: answers with and without passages, and all figures as a JSON value."""

    name: str
    answers: tuple[ScoredAnswer, ...]
    figures: Values


def run_contestant(contestant: Contestant, contest: Contest, say: Say, *, clock: Clock = time.perf_counter) -> Outcome:
    """Return the answers and figures of one contestant."""
    loaded = contestant.loaded
    _forget_peak(loaded.model)
    answerer = Answerer(
        loaded.model,
        loaded.tokenizer,
        held=contest.held,
        batch=contest.batch,
        max_new_tokens=contest.max_new_tokens,
    )
    if contest.held and contest.fit_on:
        answerer = replace(answerer, refuse_above=_fitted(answerer, contest.fit_on))
    started = clock()
    said = answerer.answer([_prompt(one) for one in contest.examples], say)
    seconds = clock() - started
    answers = _scored(contest.examples, said)
    figures: dict[str, Any] = {
        "said": loaded.said,
        "method": contestant.method,
        "adapter_bytes": contestant.adapter_bytes,
        "with_passages": score(answers),
        "seconds_an_answer": seconds / max(1, len(answers)),
        "tokens_second": sum(given.tokens for given in said) / seconds if seconds else 0.0,
        "refuse_above": answerer.refuse_above,
        "peak_bytes": _peak(loaded.model),
    }
    if contest.without_passages:
        bare = [replace(one, passages=()) for one in contest.examples]
        free = replace(answerer, held=False)
        alone = free.answer([_prompt(one) for one in bare], say)
        figures["without_passages"] = score(_scored(contest.examples, alone))
    texts = [encode_text(loaded.tokenizer, *one) for one in contest.general]
    figures["general"] = summary(measure_texts(loaded.model, texts, None))
    return Outcome(contestant.name, tuple(answers), figures)


def compare(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the table's figures: each contestant, and its gain over the first one with the slices that carry it."""
    base = outcomes[0]
    found: dict[str, Any] = {"contestants": {one.name: dict(one.figures) for one in outcomes}, "gains": {}}
    for one in outcomes[1:]:
        gain = difference(one.answers, base.answers)
        each = [
            ours.row()["right"] - theirs.row()["right"] for ours, theirs in zip(one.answers, base.answers, strict=True)
        ]
        found["gains"][one.name] = {
            "over": base.name,
            "figures": gain,
            "carrying": carrying_slices(each, slices([answer.example for answer in one.answers])),
            "forgotten": forgotten(one.figures["general"], base.figures["general"]),
        }
    return found


def forgotten(after: Values, before: Values) -> dict[str, float]:
    """Return what a model lost on the general set: points of next-token accuracy, and the ratio of perplexities."""
    if not after or not before:
        return {}
    return {
        "accuracy_points": 100 * (before["token_accuracy"] - after["token_accuracy"]),
        "perplexity_ratio": after["perplexity"] / before["perplexity"],
    }


def compare_runs(records: Iterable[RunRecord]) -> list[dict[str, Any]]:
    """Return a row for each group of runs that differ by seed alone: means, spread over seeds, loss spikes."""
    groups: dict[tuple[Any, ...], list[RunRecord]] = {}
    for record in records:
        recipe = tuple(sorted((name, str(value)) for name, value in record.recipe.items() if name != "seed"))
        groups.setdefault((record.base.get("name", ""), record.data_digest, recipe), []).append(record)
    return [_group_row(runs) for runs in groups.values()]


def method_of(recipe: Values) -> str:
    """Return what a recipe is called: QLoRA over four bits, else LoRA."""
    return "QLoRA" if str(recipe.get("quantization", "")).startswith("nf4") else "LoRA"


def _group_row(runs: Sequence[RunRecord]) -> dict[str, Any]:
    first = runs[0]
    figures: dict[str, dict[str, float]] = {}
    numbers = [{name: value for name, value in run.metrics.items() if _is_number(value)} for run in runs]
    for name in dict.fromkeys(name for one in numbers for name in one):
        values = [float(one[name]) for one in numbers if name in one]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        figures[name] = {"mean": statistics.fmean(values), "spread": spread, "runs": len(values)}
    return {
        "ids": [run.id for run in runs],
        "method": method_of(first.recipe),
        "base": first.base.get("name", ""),
        "quantization": first.recipe.get("quantization", ""),
        "rank": first.recipe.get("rank", ""),
        "data": first.data_digest,
        "seeds": sorted({run.seed for run in runs}),
        "statuses": sorted({run.status for run in runs}),
        "loss_spikes": sum(run.loss_spikes() for run in runs),
        "machine": first.machine.get("device", ""),
        "figures": figures,
    }


def _fitted(answerer: Answerer, examples: Sequence[TrainingExample]) -> float:
    """Return the threshold of refusing that these examples give; one token of each answer tells."""
    told = replace(answerer, max_new_tokens=1).answer([_prompt(one) for one in examples])
    return fit_threshold([one.refusal_odds for one in told], [one.abstains for one in examples])


def _prompt(example: TrainingExample) -> Prompt:
    return Prompt(example_messages(example), shown_texts(example))


def _scored(examples: Sequence[TrainingExample], said: Sequence[Answered]) -> list[ScoredAnswer]:
    return [ScoredAnswer(one, given.text, given.confidence) for one, given in zip(examples, said, strict=True)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _forget_peak(model: Any) -> None:
    if model.device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(model.device)


def _peak(model: Any) -> int:
    """Return the most memory that torch had on the model's device, in bytes; 0 on a CPU, which does not say."""
    if model.device.type != "cuda":
        return 0
    import torch

    return int(torch.cuda.max_memory_allocated(model.device))
