"""Measure abstention on golden questions, ClapNQ, MTRAG or a collection of contracts, judged by the code that serves.

    .venv/bin/python -m benchmarks.abstention QUESTIONS.jsonl ROWS.jsonl --corpus CORPUS.jsonl     # clapnq, mtrag
    .venv/bin/python -m benchmarks.abstention QUESTIONS.jsonl ROWS.jsonl --collection lbr          # cuad
    .venv/bin/python -m benchmarks.abstention samples/questions.jsonl ROWS.jsonl --collection samples
    .venv/bin/python -m benchmarks.abstention --report ROWS.jsonl ...

QUESTIONS come from `benchmarks/abstention_questions.py`. Each is rewritten, searched, measured and judged as served;
what was measured goes to ROWS with the reader's digest. Rows that are there already are kept where reader and features
are the same, so a run that was stopped goes on; all others are measured again. `--report` judges measured rows anew
with the weights that are served.

For each half: AUROC, AURC, coverage at 5 % risk, ECE, Brier with 95 % intervals over documents, beside the AUROC of
single scores. Risk is the share of answered questions that are unanswerable, or whose right passage is not among the
first `DEPTH`; `answerable@5%risk` is the coverage where only the unanswerable count as errors. Coverage hangs on how
many are unanswerable, so it is given as drawn and weighed to each of `MIXES`. Underspecified and partly answerable
questions are left out of these figures and reported as shares answered.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant import metrics
from assistant.answer import passage_value
from assistant.bootstrap import Chosen, intervals_of
from assistant.conversation import EarlierTurn, rewrite
from assistant.evaluate_ranking import RankingTask, temporary_index
from assistant.golden import holds_piece
from assistant.guards import guard_passages
from assistant.quotes import rank_quotes
from assistant.retrieve import RetrievalTools, Scope, retrieve_for_answer
from assistant.sufficiency import Features, Thresholds, judge, measure
from benchmarks.abstention_questions import Row, read_lines
from benchmarks.measured import Figure, figure, write_result
from ingest.summary import gather_summary
from ui.installation import Installation

DEPTH = 5
STATED_RISKS = (0.05, 0.1, 0.2)
DOUBT = 0.1  # how often a threshold may break its stated risk
QUOTED = 5  # passages that quotes are taken from, as the service does
MIXES = {"a quarter": 0.25, "half": 0.5, "CUAD's own": 0.7}  # shares of unanswerable questions
SINGLE = ("cosine", "words", "fused", "reader_answers", "reader_relevance")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path)
    parser.add_argument("rows", type=Path, nargs="*")
    parser.add_argument("--report", action="store_true", help="all files are rows that were measured already")
    parser.add_argument("--corpus", type=Path, help="JSONL of passages, indexed in a temporary place")
    parser.add_argument("--collection", default="lbr")
    parser.add_argument("--every", type=int, default=1, help="take one question in so many")
    parser.add_argument("--out", type=Path, help="write the figures of the test half here")
    arguments = parser.parse_args()
    if not arguments.report and len(arguments.rows) != 1:
        parser.error("give the questions and one file for the rows")
    rows = measured_before(arguments) if arguments.report else measured_now(arguments)
    report(rows)
    if arguments.out:
        write_result(arguments.out, stored_figures([row for row in rows if row["split"] == "test"]))


def measured_before(arguments: argparse.Namespace) -> list[Row]:
    return [judged_again(row) for file in (arguments.questions, *arguments.rows) for row in read_lines(file)]


def measured_now(arguments: argparse.Namespace) -> list[Row]:
    questions = [as_row(question) for question in read_lines(arguments.questions)][:: arguments.every]
    with opened_tools(Installation(), arguments.corpus, arguments.collection) as tools:
        measure_all(questions, tools, arguments.rows[0])
    return list(read_lines(arguments.rows[0]))


def stored_figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the figures of some rows with their intervals, and by how much AUROC exceeds the best single score's."""
    plain = [row for row in rows if row["label"] in {"answerable", "unanswerable"}]
    figures = figures_of(plain)
    intervals = intervals_of(figures, [row["document"] for row in plain])
    values = figures(np.arange(len(plain)))
    best = max(values[f"auroc of {name}"] for name in SINGLE)
    stored: dict[str, Figure] = {
        name.strip(): figure(value, intervals.get(name), n=len(plain)) for name, value in values.items()
    }
    return {**stored, "auroc over the best single score": figure(values["auroc"] - best, n=len(plain))}


def as_row(question: Row) -> Row:
    """Return a question with what golden questions leave out: its label, and the document or itself to draw by."""
    evidence = question.get("evidence") or [{"document": f"question {question['id']}"}]
    label = "answerable" if question["answerable"] else "unanswerable"
    return {"label": label, "document": evidence[0]["document"], "kind": "", **question}


def measure_all(questions: Sequence[Row], tools: RetrievalTools, rows: Path) -> None:
    """Write a row for each question; rows of this reader with these features that the file holds are kept."""
    digest = tools.reader.digest if tools.reader else ""
    names = {field.name for field in fields(Features)}
    before = list(read_lines(rows)) if rows.exists() else []
    kept = {row["id"]: row for row in before if row["reader"] == digest and set(row["features"]) == names}
    with rows.open("w", encoding="utf-8") as file:
        for row in kept.values():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        for question in questions:
            if question["id"] not in kept:
                row = {**judged(question, tools), "reader": digest}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()


@contextmanager
def opened_tools(installation: Installation, corpus: Path | None, collection: str) -> Iterator[RetrievalTools]:
    """Hold open what retrieval works with: a temporary index of a corpus, or a collection of this home."""
    service = installation.service
    if corpus is None:
        with service.open_generation(service.release(), collection) as generation:
            yield service.retrieval_tools(generation)
        return
    texts = {row["_id"]: (row["title"], row["text"]) for row in read_lines(corpus)}
    embedder, reader = service.models.embedder, service.models.reader
    with temporary_index(RankingTask(texts, {}, {}), embedder=embedder, tell=lambda _share, _text: None) as index:
        summary = gather_summary(index.scroll())
        yield RetrievalTools(index, embedder, installation.settings.retrieval, summary=summary, reader=reader)


def judged(question: Row, tools: RetrievalTools) -> Row:
    """Return a question with its Features, the probability and single scores, measured as the service does."""
    query = as_served(question["question"], question.get("before", ()))
    passages = retrieve_for_answer(query, tools=tools, scope=Scope())
    vocabulary = tools.summary.vocabulary
    kept = guard_passages(passages).passages
    quotes = rank_quotes(query, kept[:QUOTED], embedder=tools.embedder, weigh=vocabulary.weigh)
    features, missing = measure(query, kept, quotes, index=tools.index, vocabulary=vocabulary)
    judgement = judge(features, Thresholds(), missing=missing)
    found = [passage_value(passage) for passage in passages[:DEPTH]]
    readings = [passage.reading for passage in passages if passage.reading]
    return {
        **{name: question[name] for name in ("id", "kind", "split", "document", "answerable", "label")},
        "query": query,
        "found": any(holds_piece(one, piece) for one in found for piece in question["evidence"]),
        "probability": judgement.probability,
        "enough": judgement.enough,
        "reason": judgement.reason,
        "features": asdict(features),
        "cosine": max((passage.dense_score for passage in passages), default=0.0),
        "words": max((passage.words_score for passage in passages), default=0.0),
        "fused": passages[0].score if passages else 0.0,
        "reader_answers": max((reading.answers for reading in readings), default=-99.0),
        "reader_relevance": max((reading.relevance for reading in readings), default=-99.0),
    }


def judged_again(row: Row) -> Row:
    """Return a measured row with the probability and the verdict of the weights that are served now."""
    judgement = judge(Features(**row["features"]), Thresholds())
    return {**row, "probability": judgement.probability, "enough": judgement.enough}


def as_served(question: str, before: Sequence[str]) -> str:
    """Return what is searched: the question completed from what was typed before, itself rewritten in turn."""
    turns: list[EarlierTurn] = []
    for message in before:
        turns.append(EarlierTurn(message, rewrite(message, turns).query.text))
    return rewrite(question, turns).query.text


def report(rows: Sequence[Row]) -> None:
    for split in sorted({row["split"] for row in rows}):
        half = [row for row in rows if row["split"] == split]
        plain = [row for row in half if row["label"] in {"answerable", "unanswerable"}]
        figures = figures_of(plain)
        values = figures(np.arange(len(plain)))
        intervals = intervals_of(figures, [row["document"] for row in plain])
        print(f"{split}: {len(plain)} questions, {sum(row['answerable'] for row in plain)} answerable")
        for name, value in values.items():
            between = intervals.get(name)
            print(f"  {name:24} {value:.3f}" + (f"  [{between['low']:.3f}, {between['high']:.3f}]" if between else ""))
        for label in sorted({row["label"] for row in half}):
            answered = [row["enough"] for row in half if row["label"] == label]
            print(f"  answered {sum(answered)} of {len(answered)}: {label}")
    report_thresholds(rows)


def report_thresholds(rows: Sequence[Row]) -> None:
    """Print what thresholds chosen on the development half for a stated risk come to on the test half."""
    halves = {}
    for split in ("dev", "test"):
        plain = [row for row in rows if row["split"] == split and row["label"] in {"answerable", "unanswerable"}]
        wrong = np.array([not (row["answerable"] and row["found"]) for row in plain], dtype=bool)
        halves[split] = np.array([row["probability"] for row in plain], dtype=np.float64), wrong
    for most in STATED_RISKS:
        threshold = metrics.threshold_for_risk(metrics.risk_coverage(*halves["dev"]), most, doubt=DOUBT)
        if threshold is None:
            print(f"  risk {most:.0%}: too few development questions, or too many errors, to show any threshold")
            continue
        values, wrong = halves["test"]
        accepted = values >= threshold
        risk = f"{wrong[accepted].mean():.3f}" if accepted.any() else "none"
        print(f"  risk {most:.0%}: threshold {threshold:.4f}; test half coverage {accepted.mean():.3f}, risk {risk}")


def figures_of(rows: Sequence[Row]) -> Callable[[Chosen], dict[str, float]]:
    """Return what gives the figures of the rows chosen."""
    probability = np.array([row["probability"] for row in rows], dtype=np.float64)
    answerable = np.array([row["answerable"] for row in rows], dtype=bool)
    missed = np.array([not (row["answerable"] and row["found"]) for row in rows], dtype=bool)
    single: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in SINGLE}

    def figures(chosen: Chosen) -> dict[str, float]:
        values, truth, wrong = probability[chosen], answerable[chosen], missed[chosen]
        curve = metrics.risk_coverage(values, wrong)
        lenient = metrics.risk_coverage(values, ~truth)
        return {
            "auroc": metrics.auroc(values, truth),
            **{f"auroc of {name}": metrics.auroc(scores[chosen], truth) for name, scores in single.items()},
            "aurc": metrics.aurc(curve),
            "coverage@5%risk": metrics.coverage_at_risk(curve, STATED_RISKS[0]),
            **{f"  {name} unanswerable": coverage_in_mix(values, truth, wrong, mix) for name, mix in MIXES.items()},
            "answerable@5%risk": metrics.coverage_at_risk(lenient, STATED_RISKS[0]),
            **{f"  ({name})": coverage_in_mix(values, truth, ~truth, mix) for name, mix in MIXES.items()},
            "ece": metrics.expected_calibration_error(values, truth),
            "brier": metrics.brier(values, truth),
        }

    return figures


def coverage_in_mix(
    values: metrics.Numbers, truth: NDArray[np.bool_], wrong: NDArray[np.bool_], unanswerable: float
) -> float:
    """Return the coverage at 5 % risk were a share of the questions unanswerable; NaN where one kind is missing."""
    if truth.all() or not truth.any():
        return math.nan
    weights = np.where(truth, (1 - unanswerable) / truth.sum(), unanswerable / (~truth).sum())
    return metrics.coverage_at_risk(metrics.risk_coverage(values, wrong, weights=weights), STATED_RISKS[0])


if __name__ == "__main__":
    main()
