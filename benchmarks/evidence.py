"""The evidence: one page with every figure beside its goal, the published figure and the peer's.

    python -m benchmarks.evidence                     # run what has no result yet, then render docs/evidence.md
    python -m benchmarks.evidence --render            # render only
    python -m benchmarks.evidence --run NAME ...      # run these again first; `all` for every one
    python -m benchmarks.evidence --take NAME FILE    # take in what a run left on another machine

`evidence.toml` names the runs (a command each) and the rows of the table; a run leaves `results/NAME.json`. Commands
stand on the data that DATA of the page means (EVIDENCE_DATA), indexes are made below EVIDENCE_WORK. A run that needs
another machine (`by_hand`) is never started here. The page is rendered from the stored results alone, between its
markers, so that the same results give the same page; figures of another commit or machine than most are dated. The
page that sets LoRA beside QLoRA (`docs/lora-or-qlora.md`) is rendered with it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.evidence_page import Result, Row, render_page
from benchmarks.measured import RESULTS, ROOT, figures_of_evaluation, write_value
from benchmarks.method_page import render_method_page
from finetune.plan_shape import load_constants
from governance.errors import BadInput, ProvenantError
from governance.settings import load_settings

PLAN = Path(__file__).with_suffix(".toml")
PAGE = ROOT / "docs" / "evidence.md"
METHODS = ROOT / "docs" / "lora-or-qlora.md"


@dataclass(frozen=True)
class Run:
    """A command that measures. `home` names the index that it works on; `needs` are folders that must be there."""

    name: str
    command: str
    home: str = ""
    needs: tuple[str, ...] = ()
    by_hand: bool = False


@dataclass(frozen=True)
class Plan:
    """All runs by name, the rows of the table in order, and the commands that make each home."""

    runs: Mapping[str, Run]
    rows: Sequence[Row]
    homes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--take", nargs=2, metavar=("NAME", "FILE"))
    parser.add_argument("--commit", default="", help="of what is taken in, where its file does not say")
    parser.add_argument("--render", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    try:
        plan = read_plan(PLAN)
        failed: list[str] = []
        if arguments.take:
            take(plan, arguments.take[0], Path(arguments.take[1]), commit=arguments.commit)
        elif not arguments.render:
            failed = run_all(chosen(plan, arguments.run), plan)
        results = read_results(RESULTS, plan.runs)
        PAGE.write_text(render_page(PAGE.read_text(encoding="utf-8"), plan.rows, results), encoding="utf-8")
        compared = render_method_page(METHODS.read_text(encoding="utf-8"), results, load_constants())
        METHODS.write_text(compared, encoding="utf-8")
    except ProvenantError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{PAGE.relative_to(ROOT)} rendered from {len(results)} of {len(plan.runs)} results")
    return 1 if failed else 0


def read_plan(path: Path) -> Plan:
    """Read the runs and rows. Raises BadInput where a row names a run that is not there."""
    value = tomllib.loads(path.read_text(encoding="utf-8"))
    runs = {one["name"]: Run(**{**one, "needs": tuple(one.get("needs", ()))}) for one in value["run"]}
    rows = [Row.from_value(one) for one in value["row"]]
    for row in rows:
        for place in (row.ours, row.divided_by, row.peer, row.hybrid):
            if place and place[0] not in runs:
                raise BadInput(
                    f"The row {row.benchmark!r} names the run {place[0]!r}, which {path.name} lacks; add it."
                )
    return Plan(runs, rows, value.get("homes", {}))


def chosen(plan: Plan, names: Sequence[str]) -> list[Run]:
    """Return the runs named, or those without a result. Raises BadInput for a name that is unknown."""
    able = [run for run in plan.runs.values() if not run.by_hand]
    if "all" in names:
        return able
    unknown = [name for name in names if name not in plan.runs]
    if unknown:
        raise BadInput(f"There is no run {unknown[0]!r}; there is {', '.join(plan.runs)}.")
    if names:
        return [plan.runs[name] for name in names]
    return [run for run in able if not (RESULTS / f"{run.name}.json").is_file()]


def run_all(runs: Sequence[Run], plan: Plan) -> list[str]:
    """Run one after the other; return the names of those that failed, each told on stderr."""
    failed = []
    for run in runs:
        missing = [need for need in run.needs if not Path(place_names(need)).exists()]
        if missing:
            print(f"{run.name}: skipped, since {missing[0]} is not there; unpack it or set it.", file=sys.stderr)
            failed.append(run.name)
            continue
        print(f"{run.name}: {run.command}", file=sys.stderr, flush=True)
        if not measure(run, plan):
            print(f"{run.name}: failed; its last result, if any, was kept.", file=sys.stderr)
            failed.append(run.name)
    return failed


def measure(run: Run, plan: Plan) -> bool:
    """Run a command and keep its result; what `provenant evaluate --json` prints is turned into one."""
    environment = {**os.environ}
    if run.home:
        environment["PROVENANT_HOME"] = str(open_home(run.home, plan))
    fresh = RESULTS / f"{run.name}.json.new"
    ran = subprocess.run(
        to_words(run.command.replace("{out}", str(fresh))),
        cwd=ROOT,
        env=environment,
        stdout=None if "{out}" in run.command else subprocess.PIPE,
        check=False,
    )
    if ran.returncode != 0:
        fresh.unlink(missing_ok=True)
        return False
    printed = {"figures": figures_of_evaluation(json.loads(ran.stdout))} if ran.stdout else None
    stored = printed or json.loads(fresh.read_text(encoding="utf-8"))
    write_value(fresh, stored, command=run.command)
    fresh.replace(RESULTS / f"{run.name}.json")
    return True


def take(plan: Plan, name: str, path: Path, *, commit: str) -> None:
    """Keep a result made elsewhere: its JSON, what `provenant evaluate --json` printed, or rows of `gpu_decoding`."""
    if name not in plan.runs or not path.is_file():
        raise BadInput(f"{name!r} with {path} cannot be taken in; name a run of {PLAN.name} and a file that is there.")
    value = as_result(json.loads(path.read_text(encoding="utf-8")))
    made = {"date": f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d}", "commit": commit}
    write_value(RESULTS / f"{name}.json", made | value, command=value.get("command") or plan.runs[name].command)


def as_result(value: Any) -> dict[str, Any]:
    """Return what a benchmark wrote or printed in the common form, which it may have already."""
    if isinstance(value, list):
        return of_rows(value)
    return value if "figures" in value else {"figures": figures_of_evaluation(value)}


def of_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows of `gpu_decoding` as a result, named by weights, engine and batch, with the first row's machine."""
    environment = dict(rows[0]["environment"])
    machine = {"gpu": environment.pop("device")}
    figures = {
        f"{row['weights']}, {row['engine']}, batch {row['batch']}": {
            name: held for name, held in row.items() if isinstance(held, int | float) and not isinstance(held, bool)
        }
        for row in rows
        if "engine" in row and "decode_tok_s" in row
    }
    return {"figures": figures, "machine": machine, "versions": environment}


def open_home(name: str, plan: Plan) -> Path:
    """Return a home with its collection, ingested where it is not there yet. Raises BadInput where that fails."""
    home = Path(place_names("WORK")) / "homes" / name
    if not (home / "ready").exists():
        home.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PROVENANT_HOME": str(home)}
        for command in plan.homes[name]:
            ran = subprocess.run(to_words(command), cwd=ROOT, env=environment, check=False)
            if ran.returncode != 0:
                raise BadInput(f"The home {name!r} could not be made by `{command}`; run it by hand to see why.")
        (home / "ready").touch()
    return home


def to_words(command: str) -> list[str]:
    """Return a command as a list; `python` and `provenant` are those of this environment."""
    first, *rest = shlex.split(place_names(command))
    return [sys.executable if first == "python" else str(Path(sys.executable).parent / first), *rest]


def place_names(text: str) -> str:
    """Put this machine's folders in the place of DATA, WORK and MODELS. Raises BadInput where DATA is not set."""
    data, work = os.environ.get("EVIDENCE_DATA", ""), os.environ.get("EVIDENCE_WORK", "/tmp/evidence")  # noqa: S108
    if "DATA" in text and not data:
        raise BadInput("EVIDENCE_DATA is not set; give the folder that the archives of real data were unpacked in.")
    for name, place in (("DATA", data), ("WORK", work), ("MODELS", str(load_settings().models))):
        text = text.replace(name, place)
    return text


def read_results(folder: Path, names: Sequence[str] | Mapping[str, Run]) -> dict[str, Result]:
    """Return the stored results of these runs. Raises BadInput for a file that is no result."""
    found = {}
    for name in names:
        path = folder / f"{name}.json"
        if path.is_file():
            try:
                found[name] = Result.from_value(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(
                    f"{path.name} is not a result ({error}); remove it, and it is measured again."
                ) from error
    return found


if __name__ == "__main__":
    sys.exit(main())
