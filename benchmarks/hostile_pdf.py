"""Damaged, locked and odd PDFs through the isolated parser: what is read, what is refused and why.

    python -m benchmarks.hostile_pdf FOLDER [--megabytes 1024] [--seconds 60] [--out FILE]    # the PDFs below FOLDER

One run with the caps of an ingest. A crash, a hang and a file that needs too much memory are refusals too, and are
counted apart; processes left are workers that still run when everything is closed.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measured import versions, write_result
from governance.errors import BadInput
from ingest.isolation import Caps, IsolatedParser

_LOSSES = {
    "crashed": re.compile(r"the reader (?:crashed|was killed|ended|stopped)"),
    "failed": re.compile(r"the reader (?:failed|gave)"),
    "took too long": re.compile(r" took longer than "),
    "too much memory": re.compile(r" needed more than .* MB to be read"),
}


@dataclass
class Found:
    """What became of all files."""

    read: int = 0
    pages: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    peak_megabytes: int = 0
    workers: set[int] = field(default_factory=set)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=Caps.megabytes)
    parser.add_argument("--seconds", type=int, default=Caps.seconds)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.rglob("*") if path.is_file() and path.suffix.lower() == ".pdf")
    caps = Caps(megabytes=arguments.megabytes, seconds=arguments.seconds)
    started = time.monotonic()
    found = read_all(paths, caps)
    figures = figures_of(found, files=len(paths), seconds=time.monotonic() - started)
    report(found, figures)
    if arguments.out:
        more = {"reasons": dict(found.reasons.most_common()), "losses": dict(found.losses), "caps": asdict(caps)}
        command = f"python -m benchmarks.hostile_pdf {arguments.folder.name}"
        write_result(arguments.out, figures, command=command, versions=versions(("pypdfium2",)), **more)


def read_all(paths: list[Path], caps: Caps) -> Found:
    found = Found()
    with IsolatedParser(caps) as parser:
        for path in paths:
            started = time.monotonic()
            try:
                found.pages += len(parser.parse(path).pages)
                found.read += 1
            except BadInput as error:
                count_refusal(found, path.name, str(error))
            found.slowest_seconds = max(found.slowest_seconds, time.monotonic() - started)
            if parser.process_id is not None:
                found.workers.add(parser.process_id)
                found.peak_megabytes = max(found.peak_megabytes, peak_megabytes(parser.process_id))
    return found


def count_refusal(found: Found, name: str, sentence: str) -> None:
    """Count a refusal under its sentence without the file's name and figures, and among the losses if it is one."""
    reason = re.sub(r"\d[\d,]*", "N", sentence.replace(name, "FILE"))
    found.reasons[re.sub(r"\(\w+: .*\)", "(ERROR)", reason)] += 1
    for loss, pattern in _LOSSES.items():
        if pattern.search(sentence):
            found.losses[loss] += 1
            print(f"{loss}: {sentence}")


def figures_of(found: Found, *, files: int, seconds: float) -> dict[str, float]:
    return {
        "files": files,
        "read": found.read,
        "refused": files - found.read,
        **{loss.replace(" ", "_"): found.losses[loss] for loss in _LOSSES},
        "processes_left": sum(Path(f"/proc/{worker}").exists() for worker in found.workers),
        "workers": len(found.workers),
        "pages": found.pages,
        "seconds": round(seconds, 1),
        "slowest_seconds": round(found.slowest_seconds, 2),
        "peak_worker_mb": found.peak_megabytes,
    }


def peak_megabytes(process_id: int) -> int:
    """Return the largest resident size that a worker has had."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) // 1024
    except (OSError, IndexError):
        return 0


def report(found: Found, figures: dict[str, float]) -> None:
    print("\n| reason | files |\n|---|---|")
    for reason, count in found.reasons.most_common():
        print(f"| {reason} | {count} |")
    print("\n| what | result |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name.replace('_', ' ')} | {value:g} |")


if __name__ == "__main__":
    main()
