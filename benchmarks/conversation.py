"""Conversation: follow-ups rewritten, topic changes left alone, and what is asked back.

    python -m benchmarks.conversation mtrag FOLDER --work FOLDER [--vectors FILE.npy] [--out FILE]
    python -m benchmarks.conversation samples --golden FOLDER --questions FILE --collection NAME [--out FILE]

`mtrag` reads MTRAG's corpus.jsonl and tasks_un.jsonl (Katsis et al. 2025): one index over all its passages, BM25 and
embedding fused, recall@5 and nDCG@5 of the gold passages for the last message alone, with the message before it, all
user messages joined, and the rewrite. Half 0 of the conversations (first byte of the SHA-256 of their id, modulo 2) is
where rules were made, half 1 the held-out half. A topic change is made by ending a conversation with the first question
of another one of the same collection; it should stay as it is. MTRAG's tasks hold no citations, so that only what the
user typed is taken along there.

`samples` measures a home with the samples ingested (PROVENANT_HOME): the share of GOLDEN/underspecified.jsonl and of
the golden questions that are asked back, and where the evidence stands for each of GOLDEN/follow_ups.jsonl.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from assistant.answer import passage_value
from assistant.bootstrap import intervals_of_means
from assistant.clarification import clarify
from assistant.conversation import CitedPlace, EarlierTurn, is_chat, rewrite
from assistant.golden import GoldenQuestion, holds_evidence, read_questions
from assistant.questions import Query
from assistant.retrieve import Passage, Scope, fuse, retrieve
from assistant.service import AssistantService
from benchmarks.measured import figure, write_result
from governance.access import local_owner
from governance.digests import digest_value
from governance.settings import load_settings
from governance.store import open_store
from ingest.chunks import Chunk
from ingest.embed import Embedder, load_embedder
from ingest.index import Entry, Index, Standing
from ingest.index_edge import EdgeEngine

GENERATION = "conversation"
BATCH_TEXTS, CANDIDATES, DEPTH = 64, 100, 5
Row = Mapping[str, Any]
Ask = Callable[[str, Sequence[str]], str]  # last message, messages before it -> query
Find = Callable[[str], list[Passage]]


@dataclass(frozen=True)
class Task:
    """The user's messages of a conversation, the last one asking, with the ids of the passages that answer it."""

    conversation: str
    collection: str
    kind: str
    messages: tuple[str, ...]
    gold: frozenset[str]

    @property
    def half(self) -> int:
        return hashlib.sha256(self.conversation.encode()).digest()[0] % 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    mtrag = parts.add_parser("mtrag")
    mtrag.add_argument("folder", type=Path)
    mtrag.add_argument("--work", type=Path, required=True)
    mtrag.add_argument("--vectors", type=Path)
    samples = parts.add_parser("samples")
    samples.add_argument("--golden", type=Path, default=Path("tests/golden"))
    samples.add_argument("--questions", type=Path, default=Path("samples/questions.jsonl"))
    samples.add_argument("--collection", default="samples")
    for part in (mtrag, samples):
        part.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.part == "mtrag":
        figures = measure_mtrag(arguments.folder, arguments.work, arguments.vectors)
    else:
        figures = measure_samples(arguments.golden, arguments.questions, arguments.collection)
    if arguments.out:
        write_result(arguments.out, figures)


def rewritten(last: str, before: Sequence[str]) -> str:
    turns: list[EarlierTurn] = []
    for message in before:
        turns.append(EarlierTurn(message, rewrite(message, turns).query.text))
    return rewrite(last, turns).query.text


WAYS: Mapping[str, Ask] = {
    "last message": lambda last, _: last,
    "last two": lambda last, before: " ".join([*before[-1:], last]),
    "all joined": lambda last, before: " ".join([*before, last]),
    "rewrite": rewritten,
}


def measure_mtrag(folder: Path, work: Path, kept: Path | None) -> dict[str, Any]:
    """Print what is found on both halves and return the figures of the half held out."""
    figures: dict[str, Any] = {}
    tasks = [to_task(row) for row in read(folder / "tasks_un.jsonl")]
    embedder = load_embedder(load_settings().models, "all-minilm-l6-v2")
    index = build(list(read(folder / "corpus.jsonl")), embedder, work, kept)
    try:
        for half in (0, 1):
            chosen = [task for task in tasks if task.half == half]
            print(f"\nhalf {half}: {len(chosen)} conversations, {'rules made here' if half == 0 else 'held out'}")
            figures = {**report_ranking(chosen, index, embedder), **report_topic_changes(chosen)}
    finally:
        index.close()
    return figures


def read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def to_task(row: Row) -> Task:
    messages = tuple(one["content"].strip() for one in row["messages"] if one["role"] == "user")
    label = row["multi_turn"][0]
    changed = "Topic change" if label == "N/A" else label
    kind = "First turn" if row["turn"] == 1 else changed
    return Task(row["conversation"], row["collection"], kind, messages, frozenset(row["gold_passages"]))


def build(rows: Sequence[Row], embedder: Embedder, work: Path, kept: Path | None) -> Index:
    chunks = [to_chunk(row) for row in rows]
    if kept is not None and kept.is_file():
        vectors = np.load(kept)
    else:
        texts = [chunk.indexed_text for chunk in chunks]
        batches = [embedder.embed(texts[first : first + BATCH_TEXTS]) for first in range(0, len(texts), BATCH_TEXTS)]
        vectors = np.concatenate(batches)
        if kept is not None:
            np.save(kept, vectors)
    standing = Standing(labels=(), active=True, effective_from=date(1, 1, 1), effective_to=None)
    engine = EdgeEngine(work)
    engine.build(GENERATION, [Entry(one, standing, vector) for one, vector in zip(chunks, vectors, strict=True)])
    return engine.open(GENERATION)


def to_chunk(row: Row) -> Chunk:
    text = f"{row['title']}\n{row['text']}".strip()
    key, end = row["_id"], len(text)
    return Chunk(digest_value(["mtrag", key]), key, "", row["title"], "", (), "clause", None, 0, end, text, text)


def report_ranking(tasks: Sequence[Task], index: Index, embedder: Embedder) -> dict[str, Any]:
    """Print the table and return recall@5 of follow-ups and clarifications for each way of asking."""
    conditions = Scope().conditions()
    figures: dict[str, Any] = {}
    for name, ask in WAYS.items():
        rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for task in tasks:
            if not task.gold:
                continue
            query = ask(task.messages[-1], task.messages[:-1])
            dense = index.search_dense(embedder.embed([query])[0], conditions=conditions, limit=CANDIDATES)
            by_words = index.search_words(query, conditions=conditions, limit=CANDIDATES)
            found = [one.chunk.document for one in fuse(dense, by_words)[:DEPTH]]
            scores = score(found, task.gold)
            rows[task.kind].append(scores)
            if task.kind in {"Follow-up", "Clarification"}:
                rows["both"].append(scores)
        shown = [f"{kind} ({len(held)}) {mean(held)}" for kind, held in sorted(rows.items())]
        print(f"  {name:13}{'; '.join(shown)}")
        figures[f"recall@5, {name}"] = recall_of(rows["both"])
    return figures


def recall_of(rows: Sequence[tuple[float, float]]) -> dict[str, float | int]:
    """Return recall@5 with its interval; each conversation stands for itself."""
    drawn = [{"recall": recall} for recall, _ in rows]
    between = intervals_of_means(drawn, [str(number) for number in range(len(rows))])
    return figure(float(np.mean([recall for recall, _ in rows])), between.get("recall"), n=len(rows))


def score(found: Sequence[str], gold: frozenset[str]) -> tuple[float, float]:
    """Return recall@5 and nDCG@5 with linear gains."""
    gain = sum(1 / math.log2(rank + 1) for rank, one in enumerate(found, start=1) if one in gold)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(DEPTH, len(gold)) + 1))
    return len(gold.intersection(found)) / len(gold), gain / best


def mean(rows: Sequence[tuple[float, float]]) -> str:
    recall, gain = np.mean(rows, axis=0)
    return f"R@5 {recall:.3f} nDCG@5 {gain:.3f}"


def report_topic_changes(tasks: Sequence[Task]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    later = [task for task in tasks if task.kind != "First turn"]
    made = [(first_of_another(task, tasks), task.messages[:-1]) for task in later]
    made = [(last, before) for last, before in made if not is_chat(last)]
    labelled = [(task.messages[-1], task.messages[:-1]) for task in later if task.kind == "Topic change"]
    leaning = [(task.messages[-1], task.messages[:-1]) for task in later if task.kind != "Topic change"]
    for name, pairs in (("made topic changes", made), ("labelled N/A", labelled), ("follow-ups", leaning)):
        kept = sum(rewritten(last, before) == last for last, before in pairs)
        print(f"  {name}: {kept} of {len(pairs)} left as they are ({kept / len(pairs):.1%})")
        figures[f"left alone, {name}"] = figure(kept / len(pairs), n=len(pairs))
    return figures


def first_of_another(task: Task, tasks: Sequence[Task]) -> str:
    others = [one for one in tasks if one.collection == task.collection and one is not task]
    return random.Random(task.conversation).choice(others).messages[0]  # noqa: S311, a seeded draw


def measure_samples(golden: Path, questions: Path, collection: str) -> dict[str, Any]:
    settings = load_settings()
    service = AssistantService(settings, open_store(settings))
    with service.store.session() as session:
        owner = local_owner(session)
    known = {one.id: one for one in read_questions(questions)}
    try:
        with service.open_generation(service.release(), collection) as generation:

            def find(query: str) -> list[Passage]:
                return retrieve(query, tools=service.retrieval_tools(generation), scope=Scope(owner.labels))

            def asked_back(text: str) -> bool:
                return clarify(Query(text, rewritten=False), find(text), generation.summary.names) is not None

            back = report_asking_back(list(known.values()), list(read(golden / "underspecified.jsonl")), asked_back)
            return {**back, **report_follow_ups(list(read(golden / "follow_ups.jsonl")), known, find)}
    finally:
        service.close()


def report_asking_back(
    known: Sequence[GoldenQuestion], rows: Sequence[Row], asked: Callable[[str], bool]
) -> dict[str, Any]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for question in known:
        groups["golden, answerable" if question.answerable else "golden, unanswerable"].append(asked(question.question))
    for row in rows:
        wanted = "underspecified" if row["ask_back"] else "specified"
        groups[f"{wanted}, {row['split']}"].append(asked(row["question"]))
    for name, told in groups.items():
        print(f"asked back {sum(told)} of {len(told)}: {name}")
    return {f"asked back, {name}": figure(sum(told) / len(told), n=len(told)) for name, told in groups.items()}


def report_follow_ups(rows: Sequence[Row], known: Mapping[str, GoldenQuestion], find: Find) -> dict[str, Any]:
    ranks: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        before, wanted = known[row["after"]], known[row["asks"]]
        turn = EarlierTurn(before.question, before.question, (cited_by(before, find),))
        queries = {
            "alone": row["question"],
            "joined": f"{before.question} {row['question']}",
            "rewrite": rewrite(row["question"], [turn]).query.text,
            "golden wording": wanted.question,
        }
        for name, query in queries.items():
            held = [holds_evidence(passage_value(passage), wanted) for passage in find(query)]
            ranks[name].append(held.index(True) + 1 if True in held else 0)
    for name, places in ranks.items():
        shown = ", ".join(f"hit@{k} {sum(0 < place <= k for place in places)}" for k in (1, 5, 8))
        print(f"{name:15} {len(places)} follow-ups: {shown}")
    held = {name: sum(0 < place <= DEPTH for place in places) / len(places) for name, places in ranks.items()}
    return {f"hit@5, {name}": figure(share, n=len(ranks[name])) for name, share in held.items()}


def cited_by(question: GoldenQuestion, find: Find) -> CitedPlace:
    """Return the place that a right answer to a golden question cites."""
    for passage in find(question.question):
        if holds_evidence(passage_value(passage), question):
            chunk = passage.chunk
            return CitedPlace(chunk.document, chunk.title, chunk.path, is_record=chunk.kind == "record")
    return CitedPlace(str(question.evidence[0]["document"]))


if __name__ == "__main__":
    main()
