"""The page that sets LoRA beside QLoRA: stored results and the plan's predictions in the tables of its markers.

It measures nothing. Rules: what was measured and what the plan predicts stand in tables of their own; a figure that no
result holds is said not to be measured; the plan is asked for one base of each size, the same examples everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.evidence_page import MISSING, Place, Result, figure_at, fill_markers, number, show
from finetune.plan import Plan, PlanOption, PlanRequest, make_plan
from finetune.plan_shape import GIB, Constants
from finetune.plan_time import Lengths, ServingLoad
from governance.errors import BadInput

SPEED, QUALITY = "train_speed", "adapter_quality"
BASES = ("llama-3.1-8b", "smollm2-135m-instruct")
LENGTHS = Lengths(median=600, high=1200, completion=20, examples=5000)
LOAD = ServingLoad(prompt_tokens=1000, answer_tokens=64, users=4)


@dataclass(frozen=True)
class Contrast:
    """One thing measured for both methods: where the figures stand, and how they are shown."""

    what: str
    qlora: Place
    lora: Place
    style: str = "share"
    spread: tuple[Place, Place] = ((), ())


def _alternating(name: str) -> Place:
    return (SPEED, "alternating nf4 / bf16 / nf4 resident", "medians", name)


def _quality(what: str, name: str, style: str = "share") -> Contrast:
    qlora, lora = f"qlora held {name}", f"lora held {name}"
    spread = ((QUALITY, f"{qlora} spread"), (QUALITY, f"{lora} spread"))
    return Contrast(what, (QUALITY, qlora), (QUALITY, lora), style, spread)


CONTRASTS = (
    Contrast(
        "8B: tokens/s, median of five alternating rounds", _alternating("nf4"), _alternating("bf16"), style="tokens/s"
    ),
    Contrast("8B: tokens/s with a resident bf16 copy", _alternating("nf4 resident"), (), style="tokens/s"),
    Contrast("8B: peak memory, all kept", (SPEED, "nf4", "peak_gib"), (SPEED, "bf16", "peak_gib"), style="GiB"),
    Contrast("8B: least memory, all recomputed", (SPEED, "nf4_dq recomputed", "peak_gib"), (), style="GiB"),
    Contrast("8B: its speed then", (SPEED, "nf4_dq recomputed", "tokens_second"), (), style="tokens/s"),
    Contrast(
        "135M: tokens/s, packs of 8,192",
        (SPEED, "135M nf4_dq", "tokens_second"),
        (SPEED, "135M bf16", "tokens_second"),
        style="tokens/s",
    ),
    Contrast("135M: peak memory", (SPEED, "135M nf4_dq", "peak_gib"), (SPEED, "135M bf16", "peak_gib"), style="GiB"),
    _quality("135M: answer F1", "f1"),
    _quality("135M: exact", "exact"),
    _quality("135M: refuses what is absent", "refuses_absent"),
    _quality("135M: refuses the answerable", "refuses_answerable"),
    _quality("135M: calibration error (ECE)", "ece"),
    _quality("135M: forgotten, points", "forgotten points", style="points"),
    _quality("135M: seeds behind these figures", "seeds", style=""),
)


def render_method_page(page: str, results: Mapping[str, Result], constants: Constants) -> str:
    """Return the page with its marked tables made anew. Raises BadInput where a marker is missing."""
    return fill_markers(page, {"measured": measured_table(results), "predicted": predicted_table(constants)})


def measured_table(results: Mapping[str, Result]) -> list[str]:
    """Return what was measured for both, with the spread over seeds where there is one."""
    lines = ["| measured | QLoRA (NF4) | LoRA (bf16) |", "|---|---|---|"]
    for one in CONTRASTS:
        cells = [
            _cell(place, spread, one.style, results)
            for place, spread in zip((one.qlora, one.lora), one.spread, strict=True)
        ]
        lines.append(f"| {one.what} | {cells[0]} | {cells[1]} |")
    devices = {name: results[name].machine for name in (SPEED, QUALITY) if name in results}
    sources = [f"`{name}.json`, {machine}, {results[name].date}" for name, machine in devices.items()]
    return [*lines, "", f"From {'; '.join(sources)}." if sources else "Nothing was measured yet."]


def _cell(place: Place, spread: Place, style: str, results: Mapping[str, Result]) -> str:
    if not place:
        return ""
    figure = figure_at(place, results)
    if not figure:
        return MISSING
    between = figure_at(spread, results)
    return show(figure, style) + (f", ± {number(between['value'], style)} over seeds" if between else "")


def predicted_table(constants: Constants) -> list[str]:
    """Return what the plan predicts for each base on each hardware, QLoRA and LoRA beside one another."""
    lines = [
        "| base | hardware | QLoRA: memory, refit, answer | LoRA: memory, refit, answer | the plan takes |",
        "|---|---|---|---|---|",
    ]
    for base in BASES:
        for name, hardware in constants.hardware.items():
            request = PlanRequest(
                bases=(constants.bases[base],),
                hardware=hardware,
                serving=hardware,
                lengths=LENGTHS,
                load=LOAD,
            )
            lines.append(_predicted_line(base, name, make_plan(request, constants)))
    return lines


def _predicted_line(base: str, hardware: str, plan: Plan) -> str:
    taken = f"{plan.recommended.method} ({plan.recommended.served_as})" if plan.recommended else "neither"
    told = [_best_words([one for one in plan.options if one.method == method]) for method in ("QLoRA", "LoRA")]
    return f"| {base} | {hardware} | {told[0]} | {told[1]} | {taken} |"


def _best_words(options: Sequence[PlanOption]) -> str:
    """Return the best option of a method in a few words, or why it does not go."""
    if not options:
        raise BadInput("The plan offers no option of a method that this page compares; read `finetune.plan`.")
    best = options[0]
    if best.refused:
        return f"no: {best.refused[0]}"
    hours = best.time.seconds / 3600
    return (
        f"{best.memory.total / GIB:.1f} GiB ({best.served_as}, {best.recipe.keep_activations} kept), "
        f"{number(hours, 'h')}, {best.latency.answer_seconds:.2f} s"
    )
