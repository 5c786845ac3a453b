"""The evidence page: stored results put into the tables of `docs/evidence.md`.

It runs nothing and reads no file. Rules: what stands outside the markers is never touched; a row without a result says
so; a figure of another commit or machine than most results carries its date; whether a goal is met is computed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from governance.errors import BadInput

Place = tuple[str, ...]  # the run, then the way to the figure in its JSON
HEAD = "| | measured | ours [95 %] | n | goal | | published | plain LlamaIndex | LlamaIndex hybrid |"
MISSING = "not measured"


@dataclass(frozen=True)
class Row:
    """A line of the table: a figure of ours with what stands beside it."""

    area: str
    benchmark: str
    ours: Place
    style: str = "share"
    divided_by: Place = ()
    at_least: float | None = None
    at_most: float | None = None
    published: str = ""
    peer: Place = ()
    hybrid: Place = ()

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Row:
        places = {name: tuple(value[name]) for name in ("ours", "divided_by", "peer", "hybrid") if name in value}
        return cls(**{**value, **places})


@dataclass(frozen=True)
class Result:
    """What one run left behind."""

    COMMON: ClassVar = ("figures", "machine", "versions", "commit", "date", "command")

    figures: Mapping[str, Any]
    machine: str
    versions: Mapping[str, str]
    commit: str
    date: str
    command: str
    more: Mapping[str, Any]

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Result:
        machine = value["machine"]
        return cls(
            figures=value["figures"],
            machine=machine if isinstance(machine, str) else machine_words(machine),
            versions=value.get("versions", {}),
            commit=value.get("commit", ""),
            date=value.get("date", ""),
            command=value.get("command", ""),
            more={name: held for name, held in value.items() if name not in cls.COMMON},
        )

    @property
    def base(self) -> tuple[str, str]:
        return self.commit, self.machine


def machine_words(machine: Mapping[str, Any]) -> str:
    parts = [str(machine.get("gpu") or machine.get("device") or machine.get("processor") or machine.get("cpu") or "")]
    for name, unit in (("cores", "cores"), ("memory_gib", "GiB")):
        if name in machine:
            parts.append(f"{machine[name]} {unit}")
    return ", ".join(part for part in parts if part)


def render_page(page: str, rows: Sequence[Row], results: Mapping[str, Result]) -> str:
    """Return the page with its marked blocks made anew. Raises BadInput where a marker is missing."""
    base = base_of(results)
    blocks = {
        "table": table(rows, results, base),
        "injection": injection_table(results),
        "runs": runs_table(results, base),
    }
    return fill_markers(page, blocks)


def fill_markers(page: str, blocks: Mapping[str, Sequence[str]]) -> str:
    """Return a page with the lines of each block between its markers. Raises BadInput where a marker is missing."""
    for name, lines in blocks.items():
        opening, closing = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if page.count(opening) != 1 or page.count(closing) != 1:
            raise BadInput(f"The page needs the markers {opening} and {closing} once each; put them where it belongs.")
        before, rest = page.split(opening)
        page = before + opening + "\n" + "\n".join(lines) + "\n" + closing + rest.split(closing)[1]
    return page


def base_of(results: Mapping[str, Result]) -> tuple[str, str]:
    """Return the commit and machine of most results, the later date deciding between equals."""
    counts = Counter(result.base for result in results.values())
    dates: dict[tuple[str, str], str] = {}
    for result in results.values():
        dates[result.base] = max(result.date, dates.get(result.base, ""))
    return max(counts, key=lambda base: (counts[base], dates[base], base), default=("", ""))


def table(rows: Sequence[Row], results: Mapping[str, Result], base: tuple[str, str]) -> list[str]:
    lines = [HEAD, "|---" * 9 + "|"]
    last = ""
    for row in rows:
        lines.append(table_line(row, results, base, area=row.area if row.area != last else ""))
        last = row.area
    return lines


def table_line(row: Row, results: Mapping[str, Result], base: tuple[str, str], *, area: str) -> str:
    result = results.get(row.ours[0])
    figure = figure_at(row.ours, results, row.divided_by)
    value = figure.get("value")
    told = MISSING if value is None else show(figure, row.style) + dated(result, base)
    cells = [
        f"**{area}**" if area else "",
        row.benchmark,
        told,
        str(figure.get("n", "")),
        goal_words(row),
        verdict(row, value),
        row.published,
        *(peer_words(place, results, row.style) for place in (row.peer, row.hybrid)),
    ]
    return "| " + " | ".join(cells) + " |"


def figure_at(place: Place, results: Mapping[str, Result], divided_by: Place = ()) -> dict[str, float]:
    """Return the figure at a place as {"value", ...}, empty where it was not measured."""
    if not place or place[0] not in results:
        return {}
    found: Any = results[place[0]].figures
    for name in place[1:]:
        found = found.get(name) if isinstance(found, Mapping) else None
    if found is None:
        return {}
    figure = dict(found) if isinstance(found, Mapping) else {"value": float(found)}
    if divided_by:
        other = figure_at(divided_by, results)
        return {"value": figure["value"] / other["value"]} if other else {}
    return figure


def show(figure: Mapping[str, float], style: str) -> str:
    between = f" [{number(figure['low'], style)}, {number(figure['high'], style)}]" if "low" in figure else ""
    return number(figure["value"], style) + between


def number(value: float, style: str) -> str:
    match style:
        case "share":
            return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"
        case "percent":
            return f"{100 * value:.1f} %"
        case "times":
            return f"{value:.1f} x"
        case _:
            is_count = not style and float(value).is_integer()
            decimals = 0 if value >= 100 or is_count else 1 if value >= 10 else 2
            return f"{value:,.{decimals}f}" + (f" {style}" if style else "")


def goal_words(row: Row) -> str:
    goals = ((">=", row.at_least), ("<=", row.at_most))
    return " and ".join(f"{sign} {number(goal, row.style)}" for sign, goal in goals if goal is not None)


def verdict(row: Row, value: float | None) -> str:
    if value is None or (row.at_least is None and row.at_most is None):
        return ""
    met = (row.at_least is None or value >= row.at_least) and (row.at_most is None or value <= row.at_most)
    return "met" if met else "**missed**"


def peer_words(place: Place, results: Mapping[str, Result], style: str) -> str:
    figure = figure_at(place, results)
    return number(figure["value"], style) if figure else ("" if not place else MISSING)


def dated(result: Result | None, base: tuple[str, str]) -> str:
    if result is None or result.base == base:
        return ""
    differs = [*([result.commit or "commit not kept"] if result.commit != base[0] else [])]
    differs += [result.machine] if result.machine != base[1] else []
    return f" ({', '.join([result.date or 'date not kept', *differs])})"


def injection_table(results: Mapping[str, Result]) -> list[str]:
    """Return attacks obeyed by type: by the quoting path and with the model writing."""
    quotes, model = (
        {row["type"]: row for row in results[name].more["by_type"]} if name in results else {}
        for name in ("injection_quotes", "injection_model")
    )
    lines = [
        "| attack | quoting: obeyed, no guards | with guards | model: obeyed, no guards | with guards | F1 clean "
        "| F1 injected, guards |",
        "|---" * 7 + "|",
    ]
    for kind in dict.fromkeys([*quotes, *model]):
        cells = [kind, *obeyed_cells(quotes.get(kind)), *obeyed_cells(model.get(kind))]
        written = model.get(kind)
        cells += [f"{written['f1_clean']:.2f}", f"{written['f1_guarded']:.2f}"] if written else ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def obeyed_cells(row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return ["", ""]
    return [f"{row[name]} of {row['tasks']}" for name in ("obeyed_unguarded", "obeyed_guarded")]


def runs_table(results: Mapping[str, Result], base: tuple[str, str]) -> list[str]:
    """Return where each figure comes from, then the machines and versions."""
    lines = [
        f"Figures without a date: commit {base[0]}, {base[1]}.",
        "",
        "| result | date | command |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {one.date} | `{one.command}` |" for name, one in sorted(results.items())]
    held: dict[str, set[str]] = {}
    for one in results.values():
        for name, value in one.versions.items():
            held.setdefault(re.sub(r"[^\w.-]", "", name), set()).add(str(value))
    versions = ", ".join(f"{name} {' / '.join(sorted(found))}" for name, found in sorted(held.items()))
    return [*lines, "", f"Versions: {versions}."]
