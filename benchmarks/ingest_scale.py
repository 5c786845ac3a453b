"""How ingest grows: an unchanged run, one changed document in 1,000, memory for 20,000 pages, and the cost of a page.

    python -m benchmarks.ingest_scale DATA [--embedder real|fake] [--documents 1000] [--pages 20000]
        [--sizes 1000 3000 10000] [--fake-sizes 1000 10000 100000] [--out FILE] [--picture FILE]

DATA holds real texts: policy PDFs below DATA/policies/pdf and contracts in DATA/contracts/cuad/txt. They are repeated
with variation until there are enough. A contract is cut into documents of about three pages, each with a line of its
own; a PDF gets a comment of its own after its end, so that every copy is another file with the same pages, read and cut
each time. Each measurement is a process in an empty home of its own; memory is that of the process and its parser
together, sampled, and includes pages of files that the engine has mapped. `--embedder fake` takes the tests' bag of
words for everything but `--sizes`: what is then measured is reading, cutting, building and records, without a model,
which makes the shares of an unchanged and of a changed run look worse than they are with one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.ingest_cost_picture import draw_costs
from benchmarks.measured import versions, write_result

COLLECTION = "benchmark"
GOALS = {"times_faster_unchanged": 100.0, "share_of_one_changed": 0.02, "peak_mb": 1536.0}
_PAGE_CHARACTERS = 3000
_DOCUMENT_PAGES = 3
_SAMPLE_SECONDS = 0.1
_REPEATS = 3
_CALIBRATING_PAGES = 200
Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A real file and the number of its pages."""

    path: Path
    pages: int


class PeakMemory:
    """Samples the resident megabytes of this process and of those it started, and keeps the largest sum."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self.megabytes = max(self.megabytes, sum(map(_resident_megabytes, [os.getpid(), *_children()])))
            if self._done.wait(_SAMPLE_SECONDS):
                return


def main() -> None:
    arguments = _parse_arguments()
    if arguments.child:
        print(json.dumps(measure(json.loads(arguments.child))))
        return
    rows = measure_all(arguments)
    figures = figures_of(rows)
    report(rows, figures)
    if arguments.picture:
        arguments.picture.write_text(draw_costs(cost_lines(rows)), encoding="utf-8")
    if arguments.out:
        command = f"python -m benchmarks.ingest_scale {arguments.data.name} --embedder {arguments.embedder}"
        known = versions(("qdrant-edge-py", "onnxruntime", "pypdfium2", "sqlalchemy", "numpy"))
        write_result(arguments.out, figures, command=command, versions=known, rows=rows, goals=GOALS)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--embedder", choices=("real", "fake"), default="real", help="for all but the sizes")
    parser.add_argument("--documents", type=int, default=1000, help="one of which changes; 0 leaves this out")
    parser.add_argument("--pages", type=int, default=20_000, help="whose memory is measured; 0 leaves this out")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 3000, 10_000], help="in chunks, real embedder")
    parser.add_argument("--fake-sizes", type=int, nargs="*", default=[1000, 10_000, 30_000, 100_000], help="in chunks")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure_all(arguments: argparse.Namespace) -> list[Row]:
    """Run every measurement in a process of its own, printing each as it ends."""
    rows: list[Row] = []
    data, embedder = str(arguments.data.resolve()), arguments.embedder
    if arguments.documents:
        rows.append(run_apart({"what": "again", "documents": arguments.documents, "embedder": embedder, "data": data}))
    if arguments.pages:
        rows.append(run_apart({"what": "memory", "pages": arguments.pages, "embedder": embedder, "data": data}))
    for name, sizes in (("real", arguments.sizes), ("fake", arguments.fake_sizes)):
        chunks_a_page = _calibrate(data) if sizes else 1.0
        for chunks in sizes:
            pages = math.ceil(chunks / chunks_a_page)
            rows.append(run_apart({"what": "cost", "pages": pages, "embedder": name, "data": data}))
    return rows


def _calibrate(data: str) -> float:
    """Return the chunks of a page of these PDFs."""
    row = run_apart({"what": "cost", "pages": _CALIBRATING_PAGES, "embedder": "fake", "data": data})
    return float(row["chunks"] / row["pages"])


def run_apart(task: Row) -> Row:
    """Run one measurement in a process and an empty home of its own."""
    with tempfile.TemporaryDirectory() as home:
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.ingest_scale", task["data"], "--child", json.dumps(task)],
            env={**os.environ, "PROVENANT_HOME": home, "TOKENIZERS_PARALLELISM": "false"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    shown = {name: value for name, value in task.items() if name != "data"}
    row: Row = {**shown, **json.loads(ran.stdout.strip().split("\n")[-1])}
    print(row, file=sys.stderr)
    return row


def measure(task: Row) -> Row:
    """Be the child: make the files, measure."""
    data = Path(task["data"])
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "folder"
        folder.mkdir()
        if task["what"] == "again":
            write_documents(folder, data, task["documents"])
            return measure_again(folder, task["embedder"])
        pages = write_pdfs(folder, data, task["pages"])
        return measure_once(folder, task["embedder"]) | {"pages": pages}


def measure_again(folder: Path, embedder: str) -> Row:
    """Ingest, ingest again unchanged, then with one document changed: medians of three but for the first."""
    ingest = _ingest_of(embedder)
    first = ingest(folder)
    unchanged = statistics.median(ingest(folder)["seconds"] for _ in range(_REPEATS))
    changed = []
    for number in range(_REPEATS):
        path = sorted(folder.iterdir())[number * 7]
        path.write_text(path.read_text(encoding="utf-8") + f"\n\nAmendment {number} takes effect at once.\n")
        changed.append(ingest(folder))
    middle = sorted(changed, key=lambda one: one["seconds"])[len(changed) // 2]
    return {
        "chunks": first["chunks"],
        "first_seconds": first["seconds"],
        "unchanged_seconds": unchanged,
        "changed_seconds": middle["seconds"],
        "changed_reading_seconds": middle["reading_seconds"],
        "changed_publishing_seconds": middle["publishing_seconds"],
    }


def measure_once(folder: Path, embedder: str) -> Row:
    """Ingest once and return the seconds and the peak memory."""
    ingest = _ingest_of(embedder)
    with PeakMemory() as peak:
        row = ingest(folder)
    return {**row, "peak_mb": round(peak.megabytes, 1)}


def _ingest_of(embedder: str) -> Any:
    """Return what ingests a folder and tells how long reading and publishing took."""
    from ingest.pipeline import IngestRequest, run_ingest
    from ui.installation import Installation

    installation = Installation()
    told: list[tuple[float, str]] = []
    tools = installation.ingest_tools(lambda at: told.append((time.monotonic(), at.message)))
    if embedder == "fake":
        from tests.fakes import WordEmbedder

        tools = replace(tools, embedder=WordEmbedder())
    tools.embedder.embed(["the model is loaded before the clock starts"])

    def ingest(folder: Path) -> Row:
        told.clear()
        started = time.monotonic()
        report = run_ingest(IngestRequest((folder,), COLLECTION), tools)
        ended = time.monotonic()
        building = next((at for at, message in told if message == "building the index"), ended)
        return {
            "chunks": report.points,
            "seconds": round(ended - started, 3),
            "reading_seconds": round(building - started, 3),
            "publishing_seconds": round(ended - building, 3),
        }

    return ingest


def write_documents(folder: Path, data: Path, count: int) -> None:
    """Write so many documents of about three pages, cut from contracts, each with a line of its own."""
    pieces = _pieces(sorted((data / "contracts" / "cuad" / "txt").glob("*.txt")))
    for number, (name, piece) in zip(range(count), pieces, strict=False):
        text = f"{name}, part {number}\n\n{piece}\n\nThis is copy {number} of the text.\n"
        (folder / f"{number:06}.txt").write_text(text, encoding="utf-8")


def _pieces(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    while True:
        for path in paths:
            text = path.read_text(encoding="utf-8")
            size = _PAGE_CHARACTERS * _DOCUMENT_PAGES
            yield from ((path.stem, text[start : start + size]) for start in range(0, len(text), size))


def write_pdfs(folder: Path, data: Path, pages: int) -> int:
    """Write copies of policy PDFs, each another file by a comment, until there are so many pages; return the number."""
    sources = _readable_pdfs(sorted((data / "policies" / "pdf").rglob("*.pdf")))
    written = copy = 0
    while written < pages:
        for number, source in enumerate(sources):
            if written >= pages:
                break
            varied = source.path.read_bytes() + f"\n% copy {copy}\n".encode("ascii")
            (folder / f"{copy:05}-{number:03}-{source.path.name}").write_bytes(varied)
            written += source.pages
        copy += 1
    return written


def _readable_pdfs(paths: Iterable[Path]) -> list[Source]:
    """Return the PDFs with text on their first pages: pages that need text recognition are measured elsewhere."""
    import pypdfium2

    found = []
    for path in paths:
        with pypdfium2.PdfDocument(path) as document:
            texts = [document[number].get_textpage().get_text_bounded() for number in range(min(3, len(document)))]
            if all(sum(map(str.isalpha, text)) > len(text) / 3 for text in texts):
                found.append(Source(path, len(document)))
    return found


def figures_of(rows: Sequence[Row]) -> dict[str, float]:
    """Return the figures of a result."""
    figures: dict[str, float] = {}
    for row in rows:
        if row["what"] == "again":
            figures["times_faster_unchanged"] = round(row["first_seconds"] / row["unchanged_seconds"], 1)
            figures["share_of_one_changed"] = round(row["changed_seconds"] / row["first_seconds"], 5)
        elif row["what"] == "memory":
            figures |= {"pages": row["pages"], "peak_mb": row["peak_mb"]}
    for name, line in cost_lines(rows).items():
        costs = [cost for _, cost in sorted(line)]
        figures[f"growth_{name.replace(' ', '_')}"] = round(costs[-1] / costs[0], 3)
    return figures


def cost_lines(rows: Sequence[Row]) -> dict[str, list[tuple[float, float]]]:
    """Return the points (chunks, milliseconds a page) of each embedder."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["what"] == "cost":
            name = "with the model" if row["embedder"] == "real" else "without a model"
            lines.setdefault(name, []).append((row["chunks"], 1000 * row["seconds"] / row["pages"]))
    return lines


def report(rows: Sequence[Row], figures: dict[str, float]) -> None:
    """Print the tables."""
    print("\n| embedder | chunks | pages | seconds | ms/page | reading s | publishing s | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        if row["what"] != "again":
            cost = 1000 * row["seconds"] / row["pages"]
            size = f"{row['embedder']} | {row['chunks']:,} | {row['pages']:,} | {row['seconds']:.1f} | {cost:.1f}"
            parts = f"{row['reading_seconds']:.1f} | {row['publishing_seconds']:.1f} | {row['peak_mb']:.0f}"
            print(f"| {size} | {parts} |")
    for row in rows:
        if row["what"] == "again":
            print(f"\n{row}")
    print("\n| what | result | goal |\n|---|---|---|")
    for name, value in figures.items():
        print(f"| {name.replace('_', ' ')} | {value:g} | {GOALS.get(name, '')} |")


def _children() -> list[int]:
    try:
        paths = list(Path("/proc/self/task").glob("*/children"))
        return [int(child) for path in paths for child in path.read_text().split()]
    except OSError:
        return []


def _resident_megabytes(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        return int(status.split("VmRSS:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


if __name__ == "__main__":
    main()
