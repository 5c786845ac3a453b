"""kill -9 at a few moments of ingest, switch and prune: what answers stays whole, and a restart ends as undisturbed."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from benchmarks.kill_nine import COLLECTION, Moment, contents_digest, draw_moment, merged, prepare, run_rounds
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools

TIMELINE = [
    (0.0, "start"),
    (0.2, "read"),
    (0.5, "read"),
    (1.0, "prune"),
    (1.1, "switch"),
    (1.2, "prune"),
    (1.3, "ended"),
]


def test_moments_are_drawn_from_the_whole_run_or_from_one_phase() -> None:
    assert [phase for _, phase in merged(TIMELINE)] == ["start", "read", "prune", "switch", "prune", "ended"]
    draw = random.Random(3)
    whole = [draw_moment(TIMELINE, draw, in_a_phase=False) for _ in range(200)]
    assert all(moment.phase == 0 and 0 <= moment.seconds <= 1.3 for moment in whole)
    within = [draw_moment(TIMELINE, draw, in_a_phase=True) for _ in range(200)]
    assert {moment.phase for moment in within} == {0, 1, 2, 3, 4}
    assert all(moment.seconds <= 0.8 for moment in within)
    again = random.Random(3)
    assert whole == [draw_moment(TIMELINE, again, in_a_phase=False) for _ in range(200)]


def test_the_digest_of_an_index_is_of_its_contents(tools: IngestTools, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("Everybody may park behind the house.")
    (folder / "b.txt").write_text("Trains are taken second class.")
    root = tools.settings.home / "generations"
    first = run_ingest(IngestRequest((folder,), COLLECTION), tools)
    built = contents_digest(root / first.generation)
    tools.engine.delete(first.generation)
    again = run_ingest(IngestRequest((folder,), COLLECTION), tools)
    assert contents_digest(root / again.generation) == built
    (folder / "b.txt").write_text("Trains are taken first class.")
    other = run_ingest(IngestRequest((folder,), COLLECTION), tools)
    assert contents_digest(root / other.generation) != built


def test_a_generation_that_is_being_removed_is_out_of_sight_at_once(tools: IngestTools, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Everybody may park behind the house.")
    report = run_ingest(IngestRequest((tmp_path / "a.txt",), COLLECTION), tools)
    root = tools.settings.home / "generations"
    shutil.copytree(root / report.generation, root / "c-old.1.deleting")  # as a kill leaves it
    assert not tools.engine.exists("c-old")
    tools.engine.delete(report.generation)
    assert [path.name for path in root.iterdir() if path.is_dir()] == []


@pytest.mark.slow
def test_killed_at_a_few_moments_everything_ends_as_undisturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVENANT_HOME", str(tmp_path / "unused"))
    tally = run_rounds(tmp_path / "scratch", 4, seed=11, documents=6)
    assert tally.unlike == []
    assert (tally.equal, tally.whole_after_kill, tally.processes_left) == (4, 4, 0)
    assert sum(tally.phases.values()) == 4


def test_a_home_is_prepared_with_more_generations_than_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVENANT_HOME", str(tmp_path / "unused"))
    state = prepare(tmp_path / "folder", tmp_path / "home", documents=3)
    assert len(state.generations) == 5
    assert Moment(0.1) == Moment(0.1, 0)
