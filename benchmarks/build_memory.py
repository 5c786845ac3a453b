"""Memory of building an index: peak resident memory of this process over the size of the corpus.

    python -m benchmarks.build_memory [--chunks 10000 20000 40000] [--out FILE]

Synthetic documents of 100 chunks (about 900 characters, vectors of 384 numbers drawn at random, so nothing is embedded)
are kept as an ingest keeps them; then a Generation is built and checked from them. Each size runs in a process of its
own, once as the product builds (entries pass by) and once with all entries in a list, as it did before. What the
embedded engine maps of its own files (which the system takes back when it needs the memory) is part of the peak and
stated apart from the process's own memory. Megabytes are 2**20 bytes, looked at every 20 ms; what Python and the
libraries need before the build is stated too.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.measured import ROOT, write_result
from governance.digests import digest_value
from ingest.artefacts import Artefacts, Vector
from ingest.chunks import Chunk
from ingest.generation_build import CorpusEntries, build_generation
from ingest.index_edge import EdgeEngine
from ingest.versions import Version

_CHUNKS_EACH = 100
_DIMENSION = 384
_WORDS = 140
_WAYS = ("streamed", "held")
_MEASURES = {"peak": "VmRSS", "own": "RssAnon", "files": "RssFile"}
_LOOK_SECONDS = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 20_000, 40_000])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", choices=_WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(build(arguments.home, arguments.chunks[0], held=arguments.child == "held")))
        return
    rows = [row for chunks in arguments.chunks for row in measure(chunks)]
    for row in rows:
        print(row)
    if arguments.out:
        figures = {f"{row['way']} {row['chunks']} chunks, {name} MB": row[name] for row in rows for name in _MEASURES}
        write_result(arguments.out, figures, rows=rows)


def measure(chunks: int) -> Iterator[dict[str, object]]:
    """Keep a corpus once, then build it in both ways."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        keep_corpus(Artefacts(home / "documents"), chunks)
        for way in _WAYS:
            command = [sys.executable, "-m", "benchmarks.build_memory", "--child", way, "--home", folder]
            ran = subprocess.run(
                [*command, "--chunks", str(chunks)], cwd=ROOT, capture_output=True, text=True, check=True
            )
            yield {"way": way, "chunks": chunks, **json.loads(ran.stdout)}


def build(home: Path, chunks: int, *, held: bool) -> dict[str, float]:
    """Build a Generation from what is kept and return the peak before and after, and the seconds."""
    artefacts = Artefacts(home / "documents")

    def read(version: Version) -> Iterator[tuple[Chunk, Vector]]:
        if not held:
            return artefacts.each_chunk(version.digest, "chunks") or iter(())
        texts, vectors = artefacts.chunks(version.digest, "chunks") or ([], np.zeros((0, _DIMENSION), np.float32))
        return zip(texts, vectors, strict=True)

    entries = CorpusEntries([version_of(number) for number in range(chunks // _CHUNKS_EACH)], read)
    before, started = resident_megabytes(), time.monotonic()
    engine = EdgeEngine(home / ("held" if held else "streamed"))
    with watched() as peak:
        points = build_generation("g", list(entries) if held else entries, engine, home)
    seconds = round(time.monotonic() - started, 2)
    return {"points": points, "own_before": before["own"], **peak, "seconds": seconds}


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Yield the peaks of a block, which are complete when it has ended."""
    peak, ended = dict.fromkeys(_MEASURES, 0.0), threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            for name, megabytes in resident_megabytes().items():
                peak[name] = max(peak[name], megabytes)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def resident_megabytes() -> dict[str, float]:
    """Return what is resident: in all, the process's own (anonymous), and of files."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    kilobytes = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines) if value.split()}
    return {name: round(int(kilobytes[key]) / 1024, 1) for name, key in _MEASURES.items()}


def keep_corpus(artefacts: Artefacts, chunks: int) -> None:
    """Keep synthetic documents as an ingest does."""
    draw, rows = random.Random(7), np.random.default_rng(7)  # noqa: S311
    vocabulary = [
        f"{a}{b}{c}" for a in ("ba", "ke", "lo", "mi", "nu") for b in "bdfglmnprst" for c in vocabulary_ends()
    ]
    for number in range(chunks // _CHUNKS_EACH):
        version = version_of(number)
        held = [chunk_of(version, place, draw, vocabulary) for place in range(_CHUNKS_EACH)]
        vectors = rows.standard_normal((_CHUNKS_EACH, _DIMENSION), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        artefacts.keep_chunks(version.digest, "chunks", held, vectors)


def vocabulary_ends() -> Sequence[str]:
    return [f"{vowel}{end}" for vowel in "aeiou" for end in ("n", "r", "st", "l", "x", "th")]


def version_of(number: int) -> Version:
    digest = digest_value(["memory", number])
    return Version(f"d{number:06}.txt", digest, "p", "", "text/plain", 1, 1, _CHUNKS_EACH, (), effective_from=date.min)


def chunk_of(version: Version, place: int, draw: random.Random, vocabulary: Sequence[str]) -> Chunk:
    text = " ".join(draw.choices(vocabulary, k=_WORDS))
    clause, path = str(place), ("Heading of the clause",)
    where = (version.document, version.digest, "Title", clause, path, "clause", None, place * 1000, place * 1000 + 900)
    indexed = f"{version.document} | {path[0]}\n{text}"
    return Chunk(digest_value([version.digest, place]), *where, text, indexed)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
