"""Several `provenant finetune compare` results as one: means over seeds, their spread, and intervals over documents.

    provenant finetune compare --data SET/floor_test --adapter RUN0/adapter --held --fit-refusal 500 --out C0   # a seed
    python -m benchmarks.adapter_quality "qlora held=C0,C1,C2" "lora held=D0" ... --out FILE

A group is a name and the folders of its seeds' results, each of one base and one adapter. Figures are shares from 0 to
1, named "GROUP FIGURE" and, of the bases, "GROUP base FIGURE"; the interval of a mean over seeds is the mean of the
seeds' intervals (each over documents), `spread` is the standard deviation over seeds, in a figure of its own where
there are several. `forgotten points` are the points of next-token accuracy lost on the general set.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measured import Figure, figure, write_result
from finetune.compare import forgotten
from governance.errors import BadInput

NAMES = ("f1", "exact", "refuses_absent", "refuses_answerable", "verbatim", "right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="+", metavar="NAME=FOLDER,FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--machine", default="", help="the device they were measured on")
    arguments = parser.parse_args()
    figures: dict[str, Figure] = {}
    for group in arguments.groups:
        name, _, folders = group.partition("=")
        figures |= merged(name, [read_result(Path(folder)) for folder in folders.split(",")])
    command = "python -m benchmarks.adapter_quality " + " ".join(
        f'"{group.partition("=")[0]}=..."' for group in arguments.groups
    )
    more = {"machine": {"device": arguments.machine}} if arguments.machine else {}
    write_result(arguments.out, figures, command=command, **more)
    for name, value in figures.items():
        print(f"{name:40} {value}")


def read_result(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of the base and of its adapter. Raises BadInput for a result of another kind."""
    value = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    contestants = list(value["contestants"].values())
    if len(contestants) != 2:
        raise BadInput(f"{folder} compares {len(contestants)} models; one base and one adapter were expected.")
    return contestants[0], contestants[1]


def merged(name: str, results: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Figure]:
    """Return the figures of one group."""
    found: dict[str, Figure] = {}
    for prefix, ones in ((f"{name} base", [results[0][0]]), (name, [adapter for _, adapter in results])):
        for figure_name in NAMES:
            found |= _over_seeds(f"{prefix} {figure_name}", figure_name, [one["with_passages"] for one in ones])
        found[f"{prefix} ece"] = statistics.fmean(one["with_passages"]["ece"] for one in ones)
        found[f"{prefix} general perplexity"] = statistics.fmean(one["general"]["perplexity"] for one in ones)
    lost = [forgotten(adapter["general"], base["general"])["accuracy_points"] for base, adapter in results]
    found[f"{name} forgotten points"] = statistics.fmean(lost)
    found[f"{name} seeds"] = len(results)
    return found


def _over_seeds(key: str, name: str, scores: Sequence[dict[str, Any]]) -> dict[str, Figure]:
    having = [one for one in scores if name in one["means"]]
    if not having:
        return {}
    values = [one["means"][name] for one in having]
    between = {end: statistics.fmean(one["intervals"][name][end] for one in having) for end in ("low", "high")}
    found: dict[str, Figure] = {key: figure(statistics.fmean(values), between, n=having[0]["counts"][name])}
    if len(values) > 1:
        found[f"{key} spread"] = statistics.stdev(values)
    return found


if __name__ == "__main__":
    main()
