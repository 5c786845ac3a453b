"""Checks of a new Generation before it may answer: is it whole, does it find what it holds, does it serve as before.

The first two are made here. Its number of points must be that of the chunks, and sampled chunks must come among the
first few for their own text, by vector and by words, as retrieval searches; a chunk whose words stand in many others
(a schedule, a form) must do so within its clause. Whether it serves as well as the
Generation that answers now (golden questions) is for a CandidateCheck, which is handed in by whoever knows questions.
Nothing here switches or removes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ingest.chunks import Chunk
from ingest.index import Condition, Entry, Index, Stored
from ingest.ingest_report import ReportPart

_FIRST_FEW = 10
_LEAST_RECALL = 0.9  # of the sample, by each search; all of it in the corpora measured (docs/adr/0005)
_SAME_VECTOR = np.float32(0.999)
_SAME_WORDS = 0.5  # of the best score, for a chunk of a form; another chunk's words are worth less (tests)


@dataclass(frozen=True)
class Candidate:
    """A whole Generation that does not answer yet, and the one that does (`live`, "" before the first ingest)."""

    collection: str
    generation: str
    live: str


@dataclass(frozen=True)
class Verdict:
    """Why a Candidate may not answer ("" lets it), and what the check found for the report."""

    refused: str = ""
    parts: tuple[ReportPart, ...] = ()


CandidateCheck = Callable[[Candidate], Verdict]


def let_answer(_: Candidate) -> Verdict:
    """Let every Candidate answer: the check where there are no questions to ask."""
    return Verdict()


def find_fault(index: Index, *, points: int, sample: Sequence[Entry]) -> str:
    """Return what is wrong with a new Generation of so many points, "" where it is whole and finds what it holds."""
    held = index.count()
    return f"it holds {held} points instead of {points}" if held != points else _find_lost(index, sample)


def _find_lost(index: Index, sample: Sequence[Entry]) -> str:
    """Return what is wrong with the recall of sampled chunks by their own text, "" where nothing is."""
    searches: tuple[tuple[str, Callable[[Entry], bool]], ...] = (
        ("vector", lambda entry: _found_by_vector(index, entry)),
        ("words", lambda entry: _found_by_words(index, entry)),
    )
    for by, finds in searches:
        lost = [entry.chunk for entry in sample if not finds(entry)]
        if len(sample) - len(lost) < _LEAST_RECALL * len(sample):
            return (
                f"{len(lost)} of {len(sample)} sampled chunks are not among the first {_FIRST_FEW} that their own text "
                f"finds by {by}; a chunk of {lost[0].document} does not find itself"
            )
    return ""


def _found_by_vector(index: Index, entry: Entry) -> bool:
    found = index.search_dense(entry.vector, conditions=[], limit=_FIRST_FEW)
    return _holds([one for one in found if one.score >= _SAME_VECTOR], entry.chunk)


def _found_by_words(index: Index, entry: Entry) -> bool:
    """Tell whether a chunk's words find it: among all chunks or, where many are worded alike, in its own clause.

    There it must be worth about as much as the best of all: a chunk indexed under another's words is not.
    """
    chunk = entry.chunk
    first = index.search_words(chunk.indexed_text, conditions=[], limit=_FIRST_FEW)
    if not first or _holds(first, chunk):
        return bool(first)
    same = [Condition(name, "=", getattr(chunk, name)) for name in ("document", "version", "clause")]
    beside = index.search_words(chunk.indexed_text, conditions=same, limit=_FIRST_FEW)
    return _holds([one for one in beside if one.score >= _SAME_WORDS * first[0].score], chunk)


def _holds(found: Sequence[Stored], chunk: Chunk) -> bool:
    """Tell whether a chunk was found, or one of equal text; a full list of equal scores may hide it."""
    if any(one.id == chunk.id or one.text == chunk.text for one in found):
        return True
    return len(found) == _FIRST_FEW and found[0].score == found[-1].score
