# ruff: noqa: S311 (chance is seeded)
"""How often is a document that says otherwise reported beside an answer, and how often is one reported wrongly?

    .venv/bin/python -m benchmarks.answer_conflicts --corpus samples/corpus [--show 3]

Every policy and contract of a corpus gets an altered copy: single sentences, far apart, with one number, date, unit,
negation or modality changed each. The copy stands beside the original under another name (`documents`), or before it as
an earlier version (`versions`). Each altered sentence is then cited from the original, as an answer would cite it, and
`find_conflicts` is asked who says otherwise. Found is a Conflict whose other side is the altered sentence. False alarms
are Conflicts reported for sentences that were copied unaltered. The real index and parsers, no model; seeded.
The report of `provenant clauses conflicts` is held against the same pairs.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assistant.answer import AnswerSentence, Conflict
from assistant.answer_conflicts import Elsewhere, find_conflicts
from assistant.citations import CitationList
from assistant.clause_scope import ClauseScope
from assistant.conflicts import report_conflicts
from assistant.generation import ModelIdentity
from assistant.generations import OpenGeneration
from assistant.respond import Checked
from assistant.retrieve import Passage, RetrievalTools, Scope
from assistant.service import AssistantService
from assistant.support import Window
from benchmarks.altered_documents import KINDS, Altered, alter_all
from governance.access import Principal
from governance.settings import Settings, load_settings
from governance.store import open_store
from ingest.artefacts import Artefacts
from ingest.index_edge import EdgeEngine
from ingest.parse import parse_file
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools

Between = Literal["documents", "versions"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path("samples/corpus"))
    parser.add_argument("--most", type=int, default=40, help="Altered sentences of one document.")
    parser.add_argument("--unaltered", type=int, default=600, help="Unaltered sentences asked about.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show", type=int, default=0, help="Print that many misses of each kind.")
    arguments = parser.parse_args()
    texts = {path.stem: parse_file(path).text for path in sorted(arguments.corpus.rglob("*")) if is_text(path)}
    altered, copies = alter_all(texts, most=arguments.most, seed=arguments.seed)
    kept = random.Random(arguments.seed).sample([one for one in altered if one.kind == "none"], arguments.unaltered)
    asked = [*(one for one in altered if one.kind != "none"), *kept]
    print(f"{len(texts)} documents, {len(asked) - len(kept)} altered sentences, {len(kept)} unaltered ones")
    for between in ("documents", "versions"):
        with tempfile.TemporaryDirectory() as folder:
            measure(between, asked, (texts, copies), folder=Path(folder), show=arguments.show)


def is_text(path: Path) -> bool:
    return path.suffix in {".pdf", ".md", ".txt"}


@dataclass
class NoModels:
    """Models that write nothing and see no likeness: conflicts are searched by words."""

    name: str = "none"
    digest: str = "sha256:none"
    dimension: int = 4
    max_tokens: int = 256
    reader: None = None

    @property
    def embedder(self) -> NoModels:
        return self

    @property
    def engine(self) -> Any:
        return None

    @cached_property
    def identity(self) -> ModelIdentity:
        return ModelIdentity("none", "sha256:none", "none", "sha256:0", "sha256:0")

    def count_tokens(self, text: str) -> int:
        return len(self.token_offsets(text))

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(texts), 4), 0.5, dtype=np.float32)


def measure(
    between: Between,
    asked: Sequence[Altered],
    written: tuple[dict[str, str], dict[str, str]],
    *,
    folder: Path,
    show: int,
) -> None:
    settings = load_settings().model_copy(update={"home": folder / "home"})
    service = AssistantService(settings, open_store(settings), models=NoModels())
    try:
        index_both(between, written, service, settings, folder / "texts")
        with service.open_generation(service.release(), "c") as generation:
            report(between, list(judged(asked, service, generation)), between, show=show)
        report_of_clauses(service, asked, between)
    finally:
        service.close()


def index_both(
    between: Between,
    written: tuple[dict[str, str], dict[str, str]],
    service: AssistantService,
    settings: Settings,
    folder: Path,
) -> None:
    originals, copies = written
    artefacts = Artefacts(settings.home / "documents")
    engine = service.index_engine
    assert isinstance(engine, EdgeEngine)
    tools = IngestTools(service.store, engine, NoModels(), artefacts, settings, service.answering())
    folder.mkdir()
    if between == "documents":
        copies = {f"{name}-revised": text for name, text in copies.items()}
        steps: list[tuple[dict[str, str], date | None]] = [({**originals, **copies}, None)]
    else:
        steps = [(copies, date(2020, 1, 1)), (originals, date(2025, 1, 1))]
    for texts, effective in steps:
        for name, text in texts.items():
            (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        run_ingest(IngestRequest((folder,), "c", effective=effective), tools)


def report_of_clauses(service: AssistantService, asked: Sequence[Altered], between: Between) -> None:
    scope = ClauseScope("c", Principal("owner", "owner", ()), all_versions=between == "versions")
    rows = report_conflicts(service, scope)["rows"]
    pairs = [{" ".join(row[side]["quote"].split()) for side in ("first", "second")} for row in rows]
    altered = [one for one in asked if one.kind != "none"]
    hits = sum(any({one.before, one.after} == pair for pair in pairs) for one in altered)
    others = [pair for pair in pairs if not any(one.before in pair or one.after in pair for one in altered)]
    print(
        f"clauses conflicts: {hits} of {len(altered)} altered sentences; {len(rows)} rows, {len(others)} of them others"
    )
    for pair in others[:10]:
        print("    " + "\n      + ".join(sorted(pair)))


Judged = tuple[Altered, Sequence[Conflict] | None, float]  # None where the index cut the sentence; seconds


def judged(asked: Sequence[Altered], service: AssistantService, generation: OpenGeneration) -> Iterator[Judged]:
    """Yield what is reported for each sentence when it is cited from the original."""
    tools = RetrievalTools(generation.index, NoModels(), service.settings.retrieval, summary=generation.summary)
    scope = Scope()
    chunks = [chunk for chunk in generation.index.scroll(scope.conditions()) if chunk.kind == "clause"]
    for one in asked:
        place = None
        words = re.compile(r"\s+".join(map(re.escape, one.before.split())))
        for chunk in chunks:
            place = words.search(chunk.text) if chunk.document == f"{one.document}.txt" else None
            if place is not None:
                break
        if place is None:
            yield one, None, 0.0
            continue
        passage = Passage(chunk, 1, 1.0, 1.0, 1.0)
        window = Window(passage, chunk.start + place.start(), chunk.start + place.end(), place.group())
        citations = CitationList(service.texts.span, service.texts.page_at)
        number = citations.cite(window, score=1.0)
        assert number is not None
        checked = Checked(one.before, "verbatim", (AnswerSentence(one.before, "supported", (number,)),), ())
        started = time.perf_counter()
        found = find_conflicts("", checked, Elsewhere((passage,), tools, scope), citations=citations)
        yield one, found, time.perf_counter() - started


def report(title: str, rows: Sequence[Judged], between: Between, *, show: int) -> None:
    print(f"\n| {title} | sentences | reported | share |\n|---|---|---|---|")
    total, hits = 0, 0
    for kind in KINDS:
        of_kind = [(one, found) for one, found, _ in rows if one.kind == kind and found is not None]
        missed = [(one, found) for one, found in of_kind if not any(is_hit(one, two) for two in found)]
        total, hits = total + len(of_kind), hits + len(of_kind) - len(missed)
        print(f"| {kind} | {len(of_kind)} | {len(of_kind) - len(missed)} | {share(missed, of_kind)} |")
        for one, _ in missed[:show]:
            print(f"    missed in {one.document}\n      - {one.before}\n      + {one.after}")
    print(f"| **all** | {total} | {hits} | {hits / max(1, total):.1%} |")
    kept = [(one, found) for one, found, _ in rows if one.kind == "none" and found is not None]
    alarms = [(one, two) for one, found in kept for two in found]
    own = sum(two.between == between and one.document in two.second.document for one, two in alarms)
    print(f"unaltered: {len(kept)}, alarms {len(alarms)}, of these against their own copy {own}")
    for one, two in alarms[:40]:
        print(f"    [{two.about}] {two.statement}\n      - {one.before}\n      + {' '.join(two.second.quote.split())}")
    seconds = sorted(one[2] for one in rows if one[1] is not None)
    print(f"cut by the index and left out: {sum(found is None for _, found, _ in rows)}")
    print(
        f"milliseconds, median and 95th: {1000 * seconds[len(seconds) // 2]:.1f}, "
        f"{1000 * seconds[int(len(seconds) * 0.95)]:.1f}"
    )


def share(missed: Sequence[object], of_kind: Sequence[object]) -> str:
    return f"{1 - len(missed) / len(of_kind):.1%}" if of_kind else "-"


def is_hit(one: Altered, conflict: Conflict) -> bool:
    quote = " ".join(conflict.second.quote.split())
    return (quote in one.after or one.after in quote) and one.document in conflict.second.document


if __name__ == "__main__":
    main()
