"""Building and checking a Generation: streamed, sampled, refused where it does not find what it holds. Real engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from governance.errors import ProvenantError
from ingest.chunks import Chunk
from ingest.generation_build import build_generation, survey_entries
from ingest.generation_checks import find_fault
from ingest.index import Entry, Standing
from ingest.index_edge import EdgeEngine
from ingest.summary import gather_summary, read_summary, summary_path
from tests.fakes import WordEmbedder

ALWAYS = Standing((), active=True, effective_from=date(1, 1, 1), effective_to=None)


@dataclass
class Passing:
    """Entries made anew for each pass; counts how many are alive at once and how often they were gone through."""

    number: int
    passes: int = 0

    def __iter__(self) -> Iterator[Entry]:
        self.passes += 1
        embedder = WordEmbedder()
        for place in range(self.number):
            text = f"Rule {place} allows {place * 7} dollars for purpose p{place % 37} q{place % 13}."
            yield Entry(chunk(place, text), ALWAYS, embedder.embed([text])[0])


def chunk(place: int, text: str) -> Chunk:
    digest = f"sha256:{place:032x}{0:032x}"
    return Chunk(digest, "rules.txt", "v", "Rules", str(place), (), "clause", None, place, place + 1, text, text)


def test_entries_are_streamed_and_the_index_finds_its_sample(tmp_path: Path) -> None:
    entries, engine = Passing(900), EdgeEngine(tmp_path / "generations")
    assert build_generation("g", entries, engine, tmp_path) == 900
    assert entries.passes <= 4  # the survey, the mean length, the dimension, the points
    kept = read_summary(summary_path(tmp_path, "g"))
    assert kept.vocabulary == gather_summary(entry.chunk for entry in Passing(900)).vocabulary


def test_the_sample_is_even_and_the_same_every_time() -> None:
    first, again = survey_entries(Passing(2000)), survey_entries(Passing(2000))
    places = [entry.chunk.start for entry in first.sample]
    assert places == [entry.chunk.start for entry in again.sample]
    assert (first.count, len(set(places))) == (2000, 32)
    assert 500 < sum(places) / len(places) < 1500
    assert all(entry.vector.base is None for entry in first.sample)


def test_an_empty_corpus_is_a_whole_generation(tmp_path: Path) -> None:
    assert build_generation("g", [], EdgeEngine(tmp_path / "generations"), tmp_path) == 0


class Turned(EdgeEngine):
    """Stores each chunk's payload with another's vector, or with another's words."""

    def __init__(self, root: Path, *, words: bool) -> None:
        super().__init__(root)
        self.words = words

    def build(self, generation: str, entries: Iterable[Entry]) -> int:
        held = list(entries)
        others = held[len(held) // 2 :] + held[: len(held) // 2]
        if self.words:
            mixed = [
                replace(one, chunk=replace(one.chunk, indexed_text=other.chunk.text))
                for one, other in zip(held, others, strict=True)
            ]
        else:
            mixed = [replace(one, vector=other.vector) for one, other in zip(held, others, strict=True)]
        return super().build(generation, mixed)


@pytest.mark.parametrize(("words", "by"), [(False, "by vector"), (True, "by words")])
def test_chunks_that_do_not_find_themselves_fail_the_build(tmp_path: Path, words: bool, by: str) -> None:
    engine = Turned(tmp_path / "generations", words=words)
    with pytest.raises(ProvenantError, match=f"sampled chunks are not among .* {by}; a chunk of rules.txt does not"):
        build_generation("g", Passing(400), engine, tmp_path)
    assert not engine.exists("g")


def test_equal_chunks_in_any_number_find_themselves(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    same = [Entry(chunk(place, "All rights reserved."), ALWAYS, embedder.embed(["rights"])[0]) for place in range(60)]
    engine = EdgeEngine(tmp_path / "generations")
    assert build_generation("g", same, engine, tmp_path) == 60
    index = engine.open("g")
    assert find_fault(index, points=60, sample=same[:3]) == ""
    assert "60 points instead of 61" in find_fault(index, points=61, sample=[])
    index.close()


def test_a_whole_generation_left_by_a_killed_run_is_checked_and_kept(tmp_path: Path) -> None:
    engine = EdgeEngine(tmp_path / "generations")
    engine.build("g", Passing(40))
    entries = Passing(40)
    assert build_generation("g", entries, engine, tmp_path) == 40
    assert entries.passes == 1
    with pytest.raises(ProvenantError, match="40 points instead of 41"):
        build_generation("g", Passing(41), engine, tmp_path)


def test_vectors_of_the_sample_are_numbers_of_their_own() -> None:
    rows = np.eye(4, dtype=np.float32)
    entries = [Entry(chunk(place, f"word{place}"), ALWAYS, rows[place]) for place in range(4)]
    assert not any(np.shares_memory(entry.vector, rows) for entry in survey_entries(entries).sample)


def test_a_long_form_finds_itself_though_shorter_ones_are_worded_alike(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    texts = ["Case one costs a dollar."] * 30 + [f"Case one costs a dollar. {' '.join(f'x{n}' for n in range(40))}"]
    texts = [f"{text} v{place}" for place, text in enumerate(texts)]
    alike = [
        Entry(chunk(place, text), ALWAYS, embedder.embed([text])[0] + np.float32(place))
        for place, text in enumerate(texts)
    ]
    asked = replace(alike[-1].chunk, indexed_text="Case one costs a dollar.")
    engine = EdgeEngine(tmp_path / "generations")
    engine.build("g", alike)
    index = engine.open("g")
    assert find_fault(index, points=31, sample=[replace(alike[-1], chunk=asked)]) == ""
    index.close()
