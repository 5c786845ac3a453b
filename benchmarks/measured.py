"""What was measured: one JSON file for each benchmark, with the machine, the versions, the commit and the command.

A figure is a number, or {"value", "low", "high", "n"} where it has a 95 % interval. This module knows no benchmark: it
turns what a run found into the common form and writes it. Paths of this machine are shortened to names in the command,
since a result is read on other machines.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parent.parent
_CODE = ("*.py", "*.toml", "assistant/weights")  # a result that changed does not make the next one of another commit
Figure = float | int | Mapping[str, float | int]
VERSIONED = ("torch", "transformers", "onnxruntime", "qdrant-edge-py", "bitsandbytes", "numpy", "llama-index-core")


def figure(value: float, between: Mapping[str, float] | None = None, *, n: int = 0) -> dict[str, float | int]:
    """Return a figure with its interval ({"low", "high"}) and the number of cases it rests on, where known."""
    found: dict[str, float | int] = {"value": value}
    if between:
        found |= {"low": between["low"], "high": between["high"]}
    return found | ({"n": n} if n else {})


def figures_of_evaluation(evaluated: Mapping[str, Any]) -> dict[str, Figure]:
    """Return the figures of what `provenant evaluate --json` printed, each with its interval."""
    intervals, counts = evaluated.get("intervals", {}), evaluated.get("counts", {})
    return {
        name: figure(float(value), intervals.get(name), n=counts.get(name, 0))
        for name, value in evaluated.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def write_result(path: Path, figures: Mapping[str, Any], *, command: str = "", **more: Any) -> None:
    """Write a result. `command` is what was typed, this process's own command line where it is left out."""
    write_value(path, {"figures": figures, **more}, command=command or "python -m " + command_line())


def write_value(path: Path, value: Mapping[str, Any], *, command: str) -> None:
    """Write a result that may state its own machine and versions already."""
    known = {"machine": machine(), "versions": versions(), "commit": commit(), "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    text = json.dumps({**known, **value, "command": shorten(command)}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, memory in GiB, Python."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    named = re.search(r"model name\s*:\s*(.+)", text)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": named[1] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "python": platform.python_version(),
    }


def versions(names: Sequence[str] = VERSIONED) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Return the short commit of the tree, with `+` where code differs from it; "" outside a repository."""
    head = _git("rev-parse", "--short", "HEAD")
    same = _git("diff", "--quiet", "HEAD", "--", *_CODE)
    return "" if head.returncode else head.stdout.strip() + ("+" if same.returncode else "")


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607


def command_line() -> str:
    """Return this process's module and arguments."""
    path = Path(sys.argv[0])
    return " ".join([f"{path.parent.name}.{path.stem}", *sys.argv[1:]])


def shorten(command: str) -> str:
    """Return a command with the folders of this machine replaced by names, without the place of its result."""
    places = {
        os.environ.get("PROVENANT_MODELS", ""): "MODELS",
        os.environ.get("EVIDENCE_DATA", ""): "DATA",
        os.environ.get("EVIDENCE_WORK", ""): "WORK",
    }
    for place, name in sorted(places.items(), key=lambda pair: -len(pair[0])):
        command = command.replace(place, name) if place else command
    return re.sub(r" --out \S+", "", command)
