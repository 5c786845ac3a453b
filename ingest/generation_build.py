"""Building a Generation: one pass that surveys the chunks, the engine's own passes, then the checks of what was built.

Entries are read anew for each pass, version by version, so memory does not grow with the corpus. The summary is kept
before the engine builds, so that a Generation that is there always has one. A Generation that fails its checks is
removed; which one answers is decided elsewhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from governance.errors import ProvenantError
from ingest.chunks import Chunk
from ingest.generation_checks import find_fault
from ingest.index import Entry, IndexEngine, Vector
from ingest.summary import Summary, SummaryTally, keep_summary, summary_path
from ingest.versions import Version

_SAMPLED = 32
_INDEX_BYTES = 100 * 1024 * 1024  # an empty index with its write-ahead log
_POINT_BYTES = 8 * 1024


@dataclass(frozen=True)
class CorpusEntries:
    """The points of an index, read version by version each time they are gone through; never all in memory."""

    versions: Sequence[Version]
    read: Callable[[Version], Iterable[tuple[Chunk, Vector]]]

    def __iter__(self) -> Iterator[Entry]:
        for version in self.versions:
            for chunk, vector in self.read(version):
                yield Entry(chunk, version.standing, vector)


@dataclass(frozen=True)
class Survey:
    """What one pass over the entries tells: their number, the summary, and a sample that is the same every time."""

    count: int
    summary: Summary
    sample: tuple[Entry, ...]


def survey_entries(entries: Iterable[Entry]) -> Survey:
    """Go through the entries once. The sample is drawn evenly (Vitter's algorithm R, fixed seed)."""
    tally, sample, count, draw = SummaryTally(), list[Entry](), 0, Random(0)  # noqa: S311
    for entry in entries:
        tally.add(entry.chunk)
        place = count if count < _SAMPLED else draw.randrange(count + 1)
        count += 1
        if place < _SAMPLED:
            kept = replace(entry, vector=entry.vector.copy())  # a row would keep its whole matrix in memory
            sample[place : place + 1] = [kept]
    return Survey(count, tally.summary(), tuple(sample))


def build_generation(generation: str, entries: Iterable[Entry], engine: IndexEngine, home: Path) -> int:
    """Build and check a Generation; one that a killed run left whole is checked only. Returns its number of points.

    The entries are gone through several times. Raises ProvenantError where a check fails; nothing is left then.
    """
    survey = survey_entries(entries)
    keep_summary(summary_path(home, generation), survey.summary)
    if not engine.exists(generation):
        engine.build(generation, entries)
    index = engine.open(generation)
    try:
        fault = find_fault(index, points=survey.count, sample=survey.sample)
    finally:
        index.close()
    if fault:
        engine.delete(generation)
        raise ProvenantError(f"The new index was not switched to: {fault}. The live release is as it was.")
    return survey.count


def check_room(home: Path, points: int) -> None:
    """Raise ProvenantError unless the disk has room for an index of so many points.

    The engine maps its files into memory; a disk that fills up under it would end the process without a word.
    """
    needed = _INDEX_BYTES + points * _POINT_BYTES
    free = shutil.disk_usage(home).free
    if free < needed:
        raise ProvenantError(
            f"The disk of {home} is too full for an index of {points:,} chunks ({free // 1024**2} MB free, "
            f"{needed // 1024**2} MB needed). The live release is as it was; free space and run the ingest again."
        )
