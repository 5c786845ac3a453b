"""kill -9 at random moments of ingest, switch and prune; after a restart the index must equal an undisturbed one.

    python -m benchmarks.kill_nine [--rounds 100] [--seed 7] [--documents 24] [--out FILE]

A home holds a collection with several Generations. A child process ingests a changed folder, switches back, switches
forth and prunes; the parent kills it at a moment of its own, looks whether what answers is a whole Generation (the old
one or the new), starts the child again, lets it finish and compares with a home whose child was never killed: a Digest
over every point's payload and vectors, the records, the Generations on disk, and what was left lying about. Every
second moment is drawn from the whole run, the others from one phase of it, so that short phases are hit as well. The
embedder is the tests' own bag of words, so that a round takes seconds; everything else is what is shipped.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.measured import versions, write_result
from governance.digests import digest_text, digest_value
from governance.release import live_release
from governance.settings import load_settings
from governance.store import open_store
from ingest.artefacts import Artefacts
from ingest.generation_checks import Candidate, Verdict, let_answer
from ingest.index import Entry, Index
from ingest.index_edge import EdgeEngine
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools, prune_generations, switch_generation
from ingest.versions import read_corpus

COLLECTION = "c"
KEPT = 2
_EARLIER = 4  # Generations before the one that answers when the child starts
_SECONDS_FOR_WORKERS = 5.0
_SECONDS_FOR_A_CHILD = 300.0
Note = Callable[[str], None]


class NotedEngine:
    """The embedded engine, telling what it is at."""

    name = EdgeEngine.name

    def __init__(self, root: Path, note: Note) -> None:
        self._engine = EdgeEngine(root)
        self._note = note

    def build(self, generation: str, entries: Iterable[Entry]) -> int:
        self._note("build")
        built = self._engine.build(generation, entries)
        self._note("validate")
        return built

    def open(self, generation: str) -> Index:
        return self._engine.open(generation)

    def exists(self, generation: str) -> bool:
        return self._engine.exists(generation)

    def delete(self, generation: str) -> None:
        self._note("prune")
        self._engine.delete(generation)


@dataclass(frozen=True)
class State:
    """What is compared: the points of the Generation that answers, the records, and which Generations there are.

    `left_over` are files and folders that a killed process had not finished; they are counted and not compared.
    """

    points: str
    records: str
    generations: tuple[str, ...]
    left_over: tuple[str, ...] = field(default=(), compare=False)


@dataclass
class Tally:
    """What became of all rounds."""

    equal: int = 0
    whole_after_kill: int = 0
    ended_before: int = 0
    processes_left: int = 0
    files_left: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    unlike: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Moment:
    """When to kill: so many seconds after the phase of this number began, 0 being the start."""

    seconds: float
    phase: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--documents", type=int, default=24)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        work(arguments.child)
        return
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        tally = run_rounds(Path(scratch), arguments.rounds, seed=arguments.seed, documents=arguments.documents)
    figures = figures_of(tally, arguments.rounds, seconds=time.monotonic() - started)
    report(tally, figures)
    if arguments.out:
        more = {"phases": dict(tally.phases.most_common()), "embedder": "bag of words (tests)"}
        known = versions(("qdrant-edge-py", "sqlalchemy", "numpy"))
        write_result(arguments.out, figures, command="python -m benchmarks.kill_nine", versions=known, **more)
    sys.exit(0 if tally.equal == tally.whole_after_kill == arguments.rounds and not tally.processes_left else 1)


def run_rounds(scratch: Path, rounds: int, *, seed: int, documents: int) -> Tally:
    """Run all rounds below a folder and return what became of them."""
    folder, template = scratch / "folder", scratch / "template"
    old = prepare(folder, template, documents=documents)
    undisturbed = scratch / "undisturbed"
    shutil.copytree(template, undisturbed)
    timeline = run_child(undisturbed, folder)[1]
    expected = read_state(undisturbed)
    draw, tally = random.Random(seed), Tally()  # noqa: S311  (no secret)
    for number in range(rounds):
        home = scratch / f"home-{number}"
        shutil.copytree(template, home)
        moment = draw_moment(timeline, draw, in_a_phase=number % 2 == 1)
        run_round(home, folder, moment, (old, expected), tally)
        shutil.rmtree(home)
    return tally


def run_round(home: Path, folder: Path, moment: Moment, known: tuple[State, State], tally: Tally) -> None:
    """Kill once, look, restart, compare."""
    old, expected = known
    phase, _, left = run_child(home, folder, moment)
    tally.phases[phase] += 1
    tally.ended_before += phase == "ended"
    tally.processes_left += left
    tally.whole_after_kill += read_state(home).points in {old.points, expected.points}
    run_child(home, folder)
    found = read_state(home)
    tally.equal += found == expected
    tally.files_left += len(found.left_over)
    if found != expected:
        differing = [name for name in State.__annotations__ if getattr(found, name) != getattr(expected, name)]
        differing = [name for name in differing if name != "left_over"]
        tally.unlike.append(f"{moment} in {phase}: {', '.join(differing)} differ")
        print(tally.unlike[-1], file=sys.stderr)


def prepare(folder: Path, home: Path, *, documents: int) -> State:
    """Make a home with several Generations and a folder that has changed since; return what answers in it."""
    folder.mkdir(parents=True)
    with tools_of(home, lambda _: None, kept=_EARLIER + 1) as tools:
        for edition in range(_EARLIER + 1):
            write_folder(folder, documents, edition=edition)
            run_ingest(IngestRequest((folder,), COLLECTION), tools)
    write_folder(folder, documents, edition=_EARLIER + 1)
    (folder / "rule-000.txt").unlink()
    (folder / "rule-001.txt").rename(folder / "moved-001.txt")
    return read_state(home)


def write_folder(folder: Path, documents: int, *, edition: int) -> None:
    """Write the texts of an edition; every third changes with each."""
    for number in range(documents):
        said = edition if number % 3 == 0 else 0
        lines = [
            f"Rule {number}.{line} allows {number * line + said} dollars for purpose {line}." for line in range(20)
        ]
        (folder / f"rule-{number:03}.txt").write_text("\n\n".join([f"Rule book {number}", *lines]))


class tools_of:  # noqa: N801  (a context manager)
    """Give the ingest tools of a home and close its records at the end."""

    def __init__(self, home: Path, note: Note, *, kept: int = KEPT) -> None:
        from tests.fakes import WordEmbedder

        os.environ["PROVENANT_HOME"] = str(home)
        settings = load_settings()
        settings = settings.model_copy(update={"index": settings.index.model_copy(update={"keep_generations": kept})})
        self.tools = IngestTools(
            store=open_store(settings),
            engine=NotedEngine(settings.home / "generations", note),
            embedder=WordEmbedder(),
            artefacts=Artefacts(settings.home / "documents"),
            settings=settings,
            answering={"prompt": "benchmark"},
            check=_noted_check(note),
        )

    def __enter__(self) -> IngestTools:
        return self.tools

    def __exit__(self, *_: object) -> None:
        self.tools.store.close()


def _noted_check(note: Note) -> Callable[[Candidate], Verdict]:
    def check(candidate: Candidate) -> Verdict:
        note("write records and switch")
        return let_answer(candidate)

    return check


def work(folder: Path) -> None:
    """Be the child: ingest, switch back and forth, prune, telling each phase on stdout as it begins."""
    home = Path(os.environ["PROVENANT_HOME"])

    def note(phase: str) -> None:
        os.write(1, (json.dumps([time.monotonic(), phase]) + "\n").encode())

    with tools_of(home, note) as tools:
        note("start")
        telling = replace(tools, tell=lambda at: note("survey" if at.message == "building the index" else "read"))
        with tools.store.session() as session:
            live = live_release(session)
        before = live.collections[COLLECTION].generation if live else ""
        report = run_ingest(IngestRequest((folder,), COLLECTION), telling)
        for generation in (before, report.generation):
            note("switch")
            if tools.engine.exists(generation):
                switch_generation(generation, tools)
        note("prune")
        prune_generations(tools)
        note("ended")


def run_child(home: Path, folder: Path, moment: Moment | None = None) -> tuple[str, list[tuple[float, str]], int]:
    """Run the child, killing it at a moment where one is given.

    Returns its last phase, all phases with their seconds since the start, and how many of its processes were left.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.kill_nine", "--child", str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PROVENANT_HOME": str(home)},
        cwd=Path(__file__).parent.parent,
    )
    assert child.stdout is not None
    lines = _Lines(child.stdout.fileno())
    if moment is not None:
        _wait_for(lines, moment)
        workers = _children(child.pid)
        child.send_signal(signal.SIGKILL)
        code = child.wait()
    else:
        workers = []
        lines.read_until(lambda said: said == "", _SECONDS_FOR_A_CHILD)
        code = child.wait()
    lines.read_until(lambda said: said == "", 1.0)
    child.stdout.close()
    if moment is None and code != 0:
        raise SystemExit(f"The child ended with {code}; run it by hand: --child {folder} with PROVENANT_HOME={home}.")
    phases = [(at - lines.phases[0][0], phase) for at, phase in lines.phases]
    return (phases[-1][1] if phases else "start"), phases, _still_there(workers)


class _Lines:
    """The phases that a child tells, read as they come."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.phases: list[tuple[float, str]] = []

    def read_until(self, wanted: Callable[[str], bool], seconds: float) -> bool:
        """Read until a phase is the wanted one ("" stands for the end); tell whether it came in time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._descriptor], [], [], left)[0]:
                break
            data = os.read(self._descriptor, 1 << 16)
            if not data:
                return wanted("")
            *whole, self._rest = (self._rest + data).split(b"\n")
            told = [json.loads(line) for line in whole]
            self.phases += [(at, phase) for at, phase in told]
            if any(wanted(phase) for _, phase in told):
                return True
        return False


def _wait_for(lines: _Lines, moment: Moment) -> None:
    lines.read_until(lambda _: len(merged(lines.phases)) > moment.phase, _SECONDS_FOR_A_CHILD)
    begun = merged(lines.phases)
    at = begun[moment.phase][0] if len(begun) > moment.phase else 0.0
    lines.read_until(lambda said: said == "", max(0.0, at + moment.seconds - time.monotonic()))


def draw_moment(timeline: Sequence[tuple[float, str]], draw: random.Random, *, in_a_phase: bool) -> Moment:
    """Return a moment of the whole run, or of one phase; `timeline` is that of the undisturbed run."""
    if not in_a_phase:
        return Moment(draw.uniform(0.0, timeline[-1][0]))
    begun = merged(timeline)
    phase = draw.choice(sorted({name for _, name in begun[:-1]}))
    number = draw.choice([place for place, (_, name) in enumerate(begun[:-1]) if name == phase])
    return Moment(draw.uniform(0.0, begun[number + 1][0] - begun[number][0]), number)


def merged(phases: Iterable[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the phases without those that only go on."""
    begun: list[tuple[float, str]] = []
    for at, phase in phases:
        if not begun or begun[-1][1] != phase:
            begun.append((at, phase))
    return begun


def read_state(home: Path) -> State:
    """Return what is compared of a home."""
    with tools_of(home, lambda _: None) as tools:
        with tools.store.session() as session:
            live = live_release(session)
            corpus = read_corpus(session, COLLECTION)
        assert live is not None
        generation = live.collections[COLLECTION].generation
        index = tools.engine.open(generation)
        index.close()  # it can be opened as a question would
        records = digest_value([[one.document, one.digest, one.status] for found in corpus.values() for one in found])
        folders = sorted(path.name for path in (home / "generations").iterdir() if tools.engine.exists(path.name))
        left = [path for path in home.rglob("*") if path.suffix in {".building", ".part", ".deleting"}]
        names = tuple(sorted(path.relative_to(home).as_posix() for path in left))
        return State(contents_digest(home / "generations" / generation), records, tuple(folders), names)


def contents_digest(generation: Path) -> str:
    """Return a Digest over all points of a Generation: ids, payloads and vectors, in the order of their ids."""
    import qdrant_edge as edge

    shard = edge.EdgeShard.load(str(generation / "shard"))
    points, offset = [], None
    try:
        while True:
            request = edge.ScrollRequest(offset=offset, limit=500, with_payload=True, with_vector=True)
            records, offset = shard.scroll(request)
            points += [[str(one.id), one.payload, _vectors(one.vector)] for one in records]
            if offset is None:
                break
    finally:
        shard.close()
    return digest_value(sorted(points, key=lambda point: str(point[0])))


def _vectors(stored: Any) -> dict[str, Any]:
    """Return the vectors of a point as JSON: the dense one as it is, the sparse one by index."""
    sparse = stored["words"]
    weights = sorted(zip(sparse.indices, sparse.values, strict=True))
    return {"dense": digest_text(repr(list(stored["dense"]))), "words": digest_text(repr(weights))}


def _children(process: int) -> list[int]:
    """Return the processes that a process started."""
    try:
        paths = list(Path(f"/proc/{process}/task").glob("*/children"))
        return [int(child) for path in paths for child in path.read_text().split()]
    except OSError:
        return []


def _still_there(processes: Sequence[int]) -> int:
    end = time.monotonic() + _SECONDS_FOR_WORKERS
    while (left := [one for one in processes if _lives(one)]) and time.monotonic() < end:
        time.sleep(0.05)
    return len(left)


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def figures_of(tally: Tally, rounds: int, *, seconds: float) -> dict[str, float]:
    """Return the figures of a result."""
    return {
        "rounds": rounds,
        "equal_after_restart": tally.equal,
        "whole_after_kill": tally.whole_after_kill,
        "ended_before_the_kill": tally.ended_before,
        "processes_left": tally.processes_left,
        "unfinished_files_left": tally.files_left,
        "phases_hit": len(tally.phases),
        "seconds": round(seconds, 1),
    }


def report(tally: Tally, figures: dict[str, float]) -> None:
    """Print both tables."""
    print("\n| killed in | times |\n|---|---|")
    for phase, count in tally.phases.most_common():
        print(f"| {phase} | {count} |")
    print("\n| what | result |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name.replace('_', ' ')} | {value:g} |")


if __name__ == "__main__":
    main()
