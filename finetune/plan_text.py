"""A plan as people read it, and as one JSON object. It decides nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from finetune.plan import Plan, PlanOption
from finetune.plan_memory import ServingMemory, TrainingMemory
from finetune.plan_shape import GIB
from finetune.recipe import recipe_value

_COLUMNS = (
    "base", "method", "weights", "kept", "held", "rank", "train GiB", "tokens/s", "refit", "cost", "adapter MB",
    "serve GiB", "first token", "answer", "score", "state",
)  # fmt: skip


def plan_value(plan: Plan) -> dict[str, Any]:
    """Return a plan as a JSON value; bytes, seconds and tokens by name."""
    chosen = plan.recommended
    return {
        "recommended": None if chosen is None else option_value(chosen),
        "reasons": list(plan.reasons),
        "options": [option_value(option) for option in plan.options],
    }


def option_value(option: PlanOption) -> dict[str, Any]:
    """Return an option as a JSON value."""
    return {
        "base": option.base.name,
        "parameters": option.base.parameters,
        "score": option.base.score,
        "method": option.method,
        "recipe": recipe_value(option.recipe),
        "training_bytes": _bytes(option.memory) | {"allocated": option.memory.allocated, "total": option.memory.total},
        "training": asdict(option.time),
        "adapter_bytes": option.adapter_bytes,
        "serving_bytes": _bytes(option.serving) | {"total": option.serving.total},
        "latency": asdict(option.latency),
        "refused": list(option.refused),
    }


def plan_text(plan: Plan) -> str:
    """Return a plan as a table, the recommendation's memory by what holds it, and the reasons."""
    lines = table([_COLUMNS, *(_row(option) for option in plan.options)])
    if plan.recommended is not None:
        memory = plan.recommended.memory
        parts = ", ".join(f"{name.replace('_', ' ')} {value / GIB:.2f}" for name, value in asdict(memory).items())
        lines += [
            "",
            f"Memory of the recommended training in GiB: {parts}; peak allocated {memory.allocated / GIB:.2f}.",
        ]
    return "\n".join([*lines, "", *(f"- {reason}" for reason in plan.reasons)])


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows, the first of them names, as the lines of a Markdown table with even columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _row(option: PlanOption) -> tuple[str, ...]:
    time, latency = option.time, option.latency
    return (
        option.base.name,
        option.method,
        option.served_as,
        option.recipe.keep_activations,
        "spread" if option.recipe.shard_base else "whole",
        str(option.recipe.rank),
        f"{option.memory.total / GIB:.1f}",
        f"{time.tokens_second:,.0f}",
        _duration(time.seconds),
        "-" if time.cost is None else f"{time.cost:.2f}",
        f"{option.adapter_bytes / 1e6:.1f}",
        f"{option.serving.total / GIB:.1f}",
        f"{latency.first_token_seconds:.2f} s",
        f"{latency.answer_seconds:.2f} s",
        "not measured" if option.base.score is None else f"{option.base.score:.1f}",
        "refused" if option.refused else "fits",
    )


def _duration(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _bytes(memory: TrainingMemory | ServingMemory) -> dict[str, float]:
    return {name: float(value) for name, value in asdict(memory).items()}
