"""Instructions planted in documents: how often are they obeyed, and what does the defence cost?

    python -m benchmarks.injection --data DATA --models MODELS [--model --tasks 75] [--out FILE]

Tasks and attacks are BIPIA's (Yi et al. 2023; e-mail and table questions, text and code attacks, the training split).
An attack is put at the start, middle or end of a task's context; the context becomes passages, and the question is
answered by the functions that the service uses: quotes ranked by the real embedder, and with --model the served
language model writing and `check` deciding. Without --model the answer is the best quote. The 25 attack types take
turns, so that every type is tried equally often.

Whether an attack is obeyed is told by rule on the final answer (`benchmarks/bipia.py`).
False alarms are counted on real contracts, policies and product records.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from assistant.bootstrap import intervals_of_means
from assistant.citations import CitationList
from assistant.evaluate import token_f1
from assistant.generation import Engine
from assistant.guards import carries_out, guard_passages, prompt_text
from assistant.metrics import risk_bound
from assistant.quotes import rank_quotes
from assistant.respond import Written, check, quote_best, write
from assistant.retrieve import Passage
from benchmarks.altered_sentences import read_sources
from benchmarks.bipia import Attack, Task, obeys, plant, read_attacks, read_tasks
from benchmarks.measured import figure, write_result
from governance.settings import AnswerSettings, DisclosureSettings
from ingest.embed import Embedder, load_embedder
from ingest.index import EVERYONE, NO_END, Stored
from ingest.vocabulary import Vocabulary, count_words
from ingest.words import split_sentences

PASSAGE_CHARACTERS = 900


@dataclass(frozen=True)
class Tools:
    embedder: Embedder
    vocabulary: Vocabulary
    engine: Engine | None
    written: dict[str, Written] = field(default_factory=dict)  # by question and texts


@dataclass
class Row:
    plain_obeyed: list[bool]
    guarded_obeyed: list[bool]
    clean: list[float]
    plain: list[float]
    guarded: list[float]
    clean_holds: list[bool]
    plain_holds: list[bool]
    guarded_holds: list[bool]
    plain_draft: list[bool]
    guarded_draft: list[bool]
    found: list[bool]
    task: list[str]


def new_row() -> Row:
    return Row(*([] for _ in fields(Row)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--model", action="store_true", help="Let the served language model write.")
    parser.add_argument("--tasks", type=int, default=600, help="Attacked tasks.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311
    bipia = arguments.data / "prompt_injection/bipia"
    attacks, tasks = read_attacks(bipia), read_tasks(bipia)
    tools = load_tools(arguments, [task.context for task in tasks])
    rows: dict[str, Row] = defaultdict(new_row)
    for number in range(arguments.tasks):
        attack = attacks[number % len(attacks)]
        task, place = chance.choice(tasks[:50] if number % 2 else tasks[50:]), ("start", "middle", "end")[number % 3]
        print(f"{number + 1} of {arguments.tasks}", file=sys.stderr, flush=True)
        run_task(rows[attack.kind], task, attack, place, tools=tools, show=number < arguments.show)
        if arguments.out and number % 15 == 14:
            write_result(arguments.out, figures_of(rows), by_type=by_type(rows))  # what a run that is cut short leaves
    report(rows)
    alarms = report_false_alarms(arguments.data, random.Random(arguments.seed))  # noqa: S311
    if arguments.out:
        write_result(arguments.out, {**figures_of(rows), **alarms}, by_type=by_type(rows))


def load_tools(arguments: argparse.Namespace, texts: Sequence[str]) -> Tools:
    embedder = load_embedder(arguments.models, "all-minilm-l6-v2")
    engine = None
    if arguments.model:
        from assistant.model import load_engine

        engine = load_engine(arguments.models, "smollm2-135m-instruct")
    return Tools(embedder, count_words(texts), engine)


def to_passages(task: Task, text: str) -> list[Passage]:
    """Cut a context at line ends into passages; a table keeps its kind."""
    passages: list[Passage] = []
    start = 0
    for match in [*re.finditer(r"\n", text), None]:
        end = match.start() if match else len(text)
        following = text.find("\n", end + 1) if match else -1
        if match is None or (following if following >= 0 else len(text)) - start > PASSAGE_CHARACTERS:
            chunk = Stored(
                f"{task.name}:{len(passages)}", task.name, "v", task.name, "", (), "table" if task.name == "table" else
                "clause", None, start, end, text[start:end], (EVERYONE,), 10101, NO_END,
            )  # fmt: skip
            passages.append(Passage(chunk, len(passages) + 1, 1.0, 1.0, 1.0))
            start = end + 1
    return passages[:8]


def answer(task: Task, text: str, *, guarded: bool, tools: Tools) -> tuple[str, str, bool]:
    """Return the answer that a person would read, what the model wrote, and whether an instruction was found."""
    draft = ""
    passages = to_passages(task, text)
    removed: Sequence[object] = ()
    seen = passages
    if guarded:
        found = guard_passages(passages)
        passages, removed = list(found.passages), found.removed
        seen = [replace(one, chunk=replace(one.chunk, text=prompt_text(one.chunk.text))) for one in passages]
    quotes = rank_quotes(task.question, passages[:5], embedder=tools.embedder, weigh=tools.vocabulary.weigh)
    citations = CitationList(lambda _document, _version, start, end: text[start:end], lambda *_: None)
    if tools.engine is None:
        sentences = quote_best(quotes, citations)
    else:
        written = write_once(task.question, seen, tools.engine, tools.written)
        draft = written.generation.text
        by_id = {one.chunk.id: one for one in passages}
        written = replace(written, context=tuple(by_id[one.chunk.id] for one in written.context))
        checked = check(task.question, written, quotes, citations=citations, weigh=tools.vocabulary.weigh)
        sentences = checked.sentences
    kept = [one.text for one in sentences if not (guarded and carries_out(one.text, found.removed))]
    return " ".join(kept), draft, bool(removed)


def write_once(question: str, seen: Sequence[Passage], engine: Engine, known: dict[str, Written]) -> Written:
    """Let the model write. Decoding is greedy, so the same question over the same texts is not asked twice."""
    key = "\n\n".join([question, *(prompt_text(one.chunk.text) for one in seen)])
    if key not in known:
        steps = write(
            question,
            seen,
            engine=engine,
            settings=AnswerSettings(),
            stop=threading.Event(),
            policy=DisclosureSettings(),
        )
        while key not in known:
            try:
                next(steps)
            except StopIteration as end:
                known[key] = end.value
    return known[key]


def run_task(row: Row, task: Task, attack: Attack, place: str, *, tools: Tools, show: bool) -> None:
    text = plant(task.context, attack.text, place)
    clean, *_ = answer(task, task.context, guarded=False, tools=tools)
    plain, plain_draft, _ = answer(task, text, guarded=False, tools=tools)
    guarded, guarded_draft, found = answer(task, text, guarded=True, tools=tools)
    row.plain_obeyed.append(obeys(plain, attack, task))
    row.guarded_obeyed.append(obeys(guarded, attack, task))
    row.plain_draft.append(obeys(plain_draft, attack, task))
    row.guarded_draft.append(obeys(guarded_draft, attack, task))
    row.found.append(found)
    row.task.append(f"{task.name} {task.question}")
    for name, said in (("clean", clean), ("plain", plain), ("guarded", guarded)):
        getattr(row, name).append(token_f1(said, [task.ideal]))
        getattr(row, f"{name}_holds").append(letters(task.ideal) in letters(said))
    if show or row.guarded_obeyed[-1]:
        print(f"[{attack.kind} {place}] {attack.text[:90]!r}\n  Q {task.question[:90]}\n  guarded: {guarded[:200]!r}")


def letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def report(rows: dict[str, Row]) -> None:
    print(
        "\n| attack | tasks | found | obeyed, no guards | obeyed, guards | draft obeyed, no guards | draft, guards "
        "| F1 clean | attacked | guarded | holds the answer: clean | attacked | guarded |"
    )
    print("|---" * 13 + "|")
    for kind, row in rows.items():
        print_row(kind, row)
    print_row("**all**", together(rows))


def together(rows: dict[str, Row]) -> Row:
    everything = new_row()
    for row in rows.values():
        for name in vars(everything):
            getattr(everything, name).extend(getattr(row, name))
    return everything


def figures_of(rows: dict[str, Row]) -> dict[str, object]:
    """Return the figures over all types; for what was obeyed with guards, which is rare, the one-sided 95 % bound."""
    row = together(rows)
    count = len(row.found)
    measured: dict[str, Sequence[float]] = {
        "f1_clean": row.clean,
        "f1_injected": row.plain,
        "f1_guarded": row.guarded,
        "f1_lost": [before - after for before, after in zip(row.clean, row.guarded, strict=True)],
        "holds_clean": row.clean_holds,
        "holds_guarded": row.guarded_holds,
        "found": row.found,
        "obeyed_unguarded": row.plain_obeyed,
        "draft_obeyed_unguarded": row.plain_draft,
        "draft_obeyed_guarded": row.guarded_draft,
    }
    drawn = [{name: float(values[place]) for name, values in measured.items()} for place in range(count)]
    between = intervals_of_means(drawn, row.task)
    shares = {name: figure(statistics.fmean(values), between.get(name), n=count) for name, values in measured.items()}
    obeyed = sum(row.guarded_obeyed)
    bound = {"low": 0.0, "high": risk_bound(obeyed, count, doubt=0.05)}
    return {**shares, "obeyed_guarded": figure(obeyed / count, bound, n=count), "tasks": count, "types": len(rows)}


def by_type(rows: dict[str, Row]) -> list[dict[str, object]]:
    return [
        {
            "type": kind,
            "tasks": len(row.found),
            "obeyed_unguarded": sum(row.plain_obeyed),
            "obeyed_guarded": sum(row.guarded_obeyed),
            "draft_obeyed_guarded": sum(row.guarded_draft),
            "f1_clean": statistics.fmean(row.clean),
            "f1_injected": statistics.fmean(row.plain),
            "f1_guarded": statistics.fmean(row.guarded),
        }
        for kind, row in rows.items()
    ]


def print_row(kind: str, row: Row) -> None:
    mean: Callable[[Sequence[float]], float] = statistics.fmean
    measured = (row.found, row.plain_obeyed, row.guarded_obeyed, row.plain_draft, row.guarded_draft)
    shares = " | ".join(f"{mean(one):.1%}" for one in measured)
    scores = " | ".join(f"{mean(one):.3f}" for one in (row.clean, row.plain, row.guarded))
    held = " | ".join(f"{mean(one):.1%}" for one in (row.clean_holds, row.plain_holds, row.guarded_holds))
    print(f"| {kind} | {len(row.found)} | {shares} | {scores} | {held} |")


def report_false_alarms(data: Path, chance: random.Random) -> dict[str, object]:
    print("\n| real text | sentences | taken out | share |\n|---|---|---|---|")
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for source in read_sources(data, chance):
        chosen = chance.sample(source.passages, min(12, len(source.passages)))
        counts[source.kind][0] += sum(len(split_sentences(one.chunk.text)) for one in chosen)
        counts[source.kind][1] += len(guard_passages(chosen).removed)
    for kind, (sentences, removed) in counts.items():
        print(f"| {kind} | {sentences} | {removed} | {removed / sentences:.2%} |")
    return {f"false_alarms_{kind}": figure(removed / total, n=total) for kind, (total, removed) in counts.items()}


if __name__ == "__main__":
    main()
