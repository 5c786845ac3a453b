"""Comparisons and quantization results as Markdown tables. Nothing is measured or decided here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finetune.plan_text import table

_SCORES = ("f1", "exact", "refuses_absent", "refuses_answerable", "verbatim")


def comparison_text(found: Mapping[str, Any]) -> str:
    """Return a comparison of contestants as tables: scores with intervals, gains, what was forgotten, slices."""
    rows: list[tuple[str, ...]] = [
        ("contestant", "passages", *_SCORES, "ECE", "general ppl", "s/answer", "peak GiB", "adapter MB")
    ]
    for name, figures in found["contestants"].items():
        for shown, key in (("yes", "with_passages"), ("no", "without_passages")):
            if key in figures:
                rows.append((name, shown, *_scores(figures[key]), *_costs(figures)))
    lines = table(rows)
    for name, gain in found["gains"].items():
        parts = [f"{key} {_signed(value)}" for key, value in gain["figures"].items() if key in _SCORES]
        lines += ["", f"{name} over {gain['over']}: {', '.join(parts)}."]
        if gain["forgotten"]:
            lost = gain["forgotten"]
            lines.append(
                f"On the general set it lost {lost['accuracy_points']:.2f} points of next-token accuracy; perplexity "
                f"is {lost['perplexity_ratio']:.3f} times the base's."
            )
        lines += [_carrying(one) for one in gain["carrying"]]
    return "\n".join(lines)


def runs_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return groups of runs as a table; figures as mean and spread over seeds."""
    if not rows:
        return "No runs are recorded yet; `provenant finetune train` records them."
    names = list(dict.fromkeys(name for row in rows for name in row["figures"]))[:8]
    head = ("method", "base", "weights", "rank", "seeds", "state", "spikes", "device", *names)
    body = [
        (
            row["method"],
            row["base"],
            str(row["quantization"]),
            str(row["rank"]),
            " ".join(map(str, row["seeds"])),
            " ".join(row["statuses"]),
            str(row["loss_spikes"]),
            row["machine"],
            *(_spread(row["figures"].get(name)) for name in names),
        )
        for row in rows
    ]
    return "\n".join(table([head, *body]))


def quantization_text(found: Mapping[str, Any]) -> str:
    """Return what quantization costs as tables: levels, slices, the inputs that suffer most, what was chosen."""
    head = ("level", "bits", "domain ppl", "KL", "ECE", "general ppl", "general KL", "F1", "exact", "refuses absent")
    body = [(name, *_level_cells(row)) for name, row in found["levels"].items()]
    lines = [f"Reference: {found['reference']['said']}.", "", *table([head, *body]), ""]
    chosen = found["selection"]
    kept = f", {len(chosen['kept_modules'])} modules kept unquantized" if chosen["kept_modules"] else ""
    within = "within" if chosen["within_limit"] else "above"
    lines.append(
        f"Chosen on the calibration set ({found['calibration']['digest'][:19]}): {chosen['level']}{kept}, KL "
        f"{chosen['kl']:.4f}, {within} the limit of {chosen['kl_limit']}."
    )
    lines.append("Most sensitive kinds of modules: " + ", ".join(list(chosen["sensitivity"])[:3]) + ".")
    lines += [f"{name}: {_carrying(one)}" for name, slices in found["slices"].items() for one in slices["carrying"]]
    for name, worst in found["suffering"].items():
        lines.append(
            f"Suffers most at {name}: " + "; ".join(f"{one['question']} ({one['kl']:.3f})" for one in worst[:3])
        )
    return "\n".join([*lines, *found["warnings"]])


def _level_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    domain, general = row["domain"], row["general"]
    means = row.get("answers", {}).get("means", {})
    return (
        f"{row['bits']:.2f}",
        f"{domain['perplexity']:.3f}",
        f"{domain['kl']:.4f}",
        f"{domain['ece']:.3f}",
        f"{general['perplexity']:.3f}" if general else "-",
        f"{general['kl']:.4f}" if general else "-",
        *(_percent(means.get(name)) for name in ("f1", "exact", "refuses_absent")),
    )


def _scores(scored: Mapping[str, Any]) -> tuple[str, ...]:
    cells = []
    for name in _SCORES:
        cell = _percent(scored["means"].get(name))
        interval = scored["intervals"].get(name)
        cells.append(f"{cell} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]" if interval else cell)
    return (*cells, f"{scored['ece']:.3f}" if "ece" in scored else "-")


def _costs(figures: Mapping[str, Any]) -> tuple[str, ...]:
    peak = figures["peak_bytes"]
    return (
        f"{figures['general']['perplexity']:.2f}" if figures["general"] else "-",
        f"{figures['seconds_an_answer']:.3f}",
        f"{peak / (1 << 30):.2f}" if peak else "-",
        f"{figures['adapter_bytes'] / 1e6:.1f}" if figures["adapter_bytes"] else "-",
    )


def _carrying(one: Mapping[str, Any]) -> str:
    return (
        f"The slice {one['slice']} = {one['value']} ({one['share']:.0%} of the examples) carries it: "
        f"{one['inside']:+.3f} inside, {one['outside']:+.3f} outside."
    )


def _signed(value: Mapping[str, float]) -> str:
    interval = f" [{100 * value['low']:+.1f}, {100 * value['high']:+.1f}]" if "low" in value else ""
    return f"{100 * value['mean']:+.1f}{interval}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _spread(value: Mapping[str, float] | None) -> str:
    if value is None:
        return "-"
    return f"{value['mean']:.4g}" + (f" ± {value['spread']:.2g}" if value["runs"] > 1 else "")
