"""Evaluate: numbers for retrieval, answers and refusals on labelled questions.

Deterministic, without a judge model. Each measure asks every question once and returns its figures under their usual
names, their 95 % intervals (documents drawn anew) under `intervals`, and what was found for each question under
`details`. A figure that has no sense for the questions given (refusals where all can be answered) is left out. It
knows no service: what searches and what answers are handed in, and speak the JSON of the command line.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from assistant import metrics
from assistant.bootstrap import Chosen, intervals_of
from assistant.golden import (
    Found,
    GoldenQuestion,
    gains,
    holds_evidence,
    holds_piece,
    is_right_document,
    kind_of_citation,
    read_questions,
)
from assistant.metrics import token_f1
from assistant.scorecard import Scored, summarise

__all__ = [
    "GoldenQuestion",
    "holds_evidence",
    "is_right_document",
    "measure_abstention",
    "measure_answers",
    "measure_retrieval",
    "read_questions",
    "token_f1",
]
Search = Callable[[str], Sequence[Found]]
AskForValue = Callable[[str], Mapping[str, Any]]
ReadSpan = Callable[[str, str, int, int], str]
Clock = Callable[[], float]  # seconds
CHARACTER_DEPTHS = (1, 2, 4, 8, 16, 32, 64)
RISK_BORNE = 0.05


def measure_retrieval(
    questions: Sequence[GoldenQuestion], search: Search, *, clock: Clock = time.monotonic
) -> dict[str, Any]:
    """Return how well the evidence of the answerable questions is found.

    `right_document@1`; `recall@k`, the share of questions with some of their evidence among the first k passages;
    `mrr`; `ndcg@10`, where each piece of evidence is gained once; and where all evidence of a question is given as
    character spans `char_precision@k` and `char_recall@k` as in LegalBench-RAG.
    """
    scored: list[Scored] = []
    details: list[dict[str, Any]] = []
    seconds: list[float] = []
    for question in (one for one in questions if one.answerable):
        started = clock()
        found = search(question.question)
        seconds.append(clock() - started)
        scores = _retrieval_scores(question, found)
        scored.append(_scored(question, scores))
        places = [
            {name: one[name] for name in ("document", "clause", "page", "char_start", "char_end")} for one in found
        ]
        details.append({**_names(question), **scores, "found": places[:10]})
    headline = ("right_document@1", "recall@5", "char_precision@1", "char_recall@8", "char_recall@64")
    summary = summarise(scored, headline=headline)
    return {"questions": len(scored), **summary, **_latency(seconds), "details": details}


def measure_answers(questions: Sequence[GoldenQuestion], ask: AskForValue, read_span: ReadSpan) -> dict[str, Any]:
    """Return how good the answers are, refusals included; quotes are compared with the stored texts.

    Of the answerable questions, a refusal counting as wrong: `answered`, `exact_match` and `answer_f1` (SQuAD),
    `normalised_match` and `answer_contained` (letters and digits alone), `right_document`, `right_page`,
    `citation_recall` (pieces of evidence cited). Of those answered: `citation_precision` (citations that hold
    evidence). Of all answers: `faithfulness` (sentences that the product's own check calls supported),
    `word_precision` (words that stand in the quotes cited), `risk` (answers without an accepted answer in them) and
    `coverage` (questions answered at all). Of all citations: `quote_at_place`. What is reported beside an answer (who
    says otherwise) counts for `quote_at_place` alone.
    """
    scored: list[Scored] = []
    details: list[dict[str, Any]] = []
    quotes: list[Scored] = []
    seconds: list[float] = []
    for question in questions:
        answer = ask(question.question)
        seconds.append(answer["timings_ms"]["total"] / 1000)
        scores = {**_refusal_scores(question, answer), **_answer_scores(question, answer)}
        scored.append(_scored(question, scores))
        at_place = [{"quote_at_place": float(_at_its_place(one, read_span))} for one in answer["citations"]]
        quotes += [_scored(question, one) for one in at_place]
        details.append({**answer, **_names(question), "scores": scores})
    headline = ("answer_contained", "right_document", "refused_answerable", "refused_unanswerable")
    summary = summarise([*scored, *quotes], headline=headline)
    counts = {"questions": len(questions), "quotes": len(quotes)}
    return {**counts, **summary, **_latency(seconds), "details": details}


def measure_abstention(questions: Sequence[GoldenQuestion], ask: AskForValue) -> dict[str, Any]:
    """Return how refusals fall on the questions that can and cannot be answered.

    Here an error is to answer what the documents do not: `coverage` is the share of questions answered, `risk` the
    share of errors among those. Where every answer carries its `sufficiency`, the probability that the documents
    answer, also `auroc`, `aurc`, `coverage@5%risk`, `ece`, `brier`, and the risk-coverage `curve`.
    """
    scored: list[Scored] = []
    details: list[dict[str, Any]] = []
    seconds: list[float] = []
    for question in questions:
        answer = ask(question.question)
        seconds.append(answer["timings_ms"]["total"] / 1000)
        scores = _refusal_scores(question, answer)
        if not answer["abstained"]:
            scores["risk"] = float(not question.answerable)
        scored.append(_scored(question, scores))
        kept = {"abstained": answer["abstained"], "sufficiency": answer.get("sufficiency")}
        details.append({**_names(question), "answerable": question.answerable, **kept})
    summary = summarise(scored, headline=("refused_answerable", "refused_unanswerable"))
    intervals = summary.pop("intervals")
    judged = _judgement_figures(questions, [one["sufficiency"] for one in details])
    intervals |= judged.pop("intervals", {})
    answerable = sum(question.answerable for question in questions)
    counts = {"answerable": answerable, "unanswerable": len(questions) - answerable}
    return {**counts, **summary, **judged, **_latency(seconds), "intervals": intervals, "details": details}


def _retrieval_scores(question: GoldenQuestion, found: Sequence[Found]) -> dict[str, float]:
    gained = gains(found, question)
    holds = [holds_evidence(passage, question) for passage in found]
    scores = {
        "right_document@1": float(bool(found) and is_right_document(found[0], question)),
        **{f"recall@{k}": float(any(holds[:k])) for k in (1, 3, 5, 10)},
        "mrr": metrics.reciprocal_rank(holds, k=len(holds)),
        "ndcg@10": metrics.ndcg(gained, [1.0] * len(question.evidence), k=10),
    }
    if question.spans:
        spans = [(str(one["document"]), int(one["char_start"]), int(one["char_end"])) for one in found]
        for k in CHARACTER_DEPTHS:
            precision, recall = metrics.character_overlap(spans[:k], question.spans)
            scores |= {f"char_precision@{k}": precision, f"char_recall@{k}": recall}
    return scores


def _refusal_scores(question: GoldenQuestion, answer: Mapping[str, Any]) -> dict[str, float]:
    name = "refused_answerable" if question.answerable else "refused_unanswerable"
    return {name: float(answer["abstained"]), "coverage": float(not answer["abstained"])}


def _answer_scores(question: GoldenQuestion, answer: Mapping[str, Any]) -> dict[str, float]:
    answer = _without_conflicts(answer)
    cited = [{**one, "kind": kind_of_citation(one)} for one in answer["citations"]]
    scores = _wording_scores(question, answer)
    if question.answerable:
        scores |= {"answered": float(not answer["abstained"]), **_citation_scores(question, cited)}
    if not answer["abstained"]:
        scores |= _faithfulness_scores(answer)
        if question.answers or not question.answerable:
            scores["risk"] = 1.0 - scores.get("answer_contained", 0.0)
    return scores


def _without_conflicts(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer without what was reported beside it: the lines on conflicts, and Citations for these alone."""
    said, conflicts = answer["answer"], answer.get("conflicts", ())
    if not conflicts:
        return dict(answer)
    for conflict in conflicts:
        said = said.replace(f"\n{conflict['statement']}", "")
    rested_on = {number for sentence in answer.get("sentences", ()) for number in sentence["citations"]}
    beside = {conflict["second"]["citation"] for conflict in conflicts} - rested_on
    return {**answer, "answer": said, "citations": [one for one in answer["citations"] if one["number"] not in beside]}


def _wording_scores(question: GoldenQuestion, answer: Mapping[str, Any]) -> dict[str, float]:
    if not question.answerable or not question.answers:
        return {}
    said, accepted = answer["answer"], question.answers
    return {
        "exact_match": metrics.exact_match(said, accepted),
        "answer_f1": token_f1(said, accepted),
        "normalised_match": metrics.normalised_match(said, accepted),
        "answer_contained": metrics.answer_contained(said, accepted),
    }


def _citation_scores(question: GoldenQuestion, cited: Sequence[Found]) -> dict[str, float]:
    right = [citation for citation in cited if is_right_document(citation, question)]
    pages = {evidence.get("page") for evidence in question.evidence}
    held = [piece for piece in question.evidence if any(holds_piece(one, piece) for one in cited)]
    scores = {
        "right_document": float(bool(right)),
        "right_page": float(any(citation["page"] in pages for citation in right)),
        "citation_recall": len(held) / len(question.evidence) if question.evidence else 0.0,
    }
    if cited:
        scores["citation_precision"] = sum(holds_evidence(one, question) for one in cited) / len(cited)
    return scores


def _faithfulness_scores(answer: Mapping[str, Any]) -> dict[str, float]:
    marks = [sentence["support"] == "supported" for sentence in answer.get("sentences", ())]
    scores = {"faithfulness": sum(marks) / len(marks)} if marks else {}
    sources = [" ".join([citation["quote"], *citation.get("path", ())]) for citation in answer["citations"]]
    return {**scores, "word_precision": metrics.word_precision(answer["answer"], sources)}


def _judgement_figures(questions: Sequence[GoldenQuestion], sufficiency: Sequence[float | None]) -> dict[str, Any]:
    """Return what the probabilities are worth, or nothing where some answer carries none."""
    known = [value for value in sufficiency if value is not None]
    if not known or len(known) < len(questions):
        return {}
    probabilities = np.array(known, dtype=np.float64)
    answerable = np.array([question.answerable for question in questions])

    def figures(chosen: Chosen) -> dict[str, float]:
        return _figures_of(probabilities[chosen], answerable[chosen])

    values = figures(np.arange(len(questions)))
    curve = metrics.risk_coverage(probabilities, ~answerable)
    points = zip(curve.thresholds.tolist(), curve.coverage.tolist(), curve.risk.tolist(), strict=True)
    return {
        **{name: value for name, value in values.items() if not math.isnan(value)},
        "curve": [{"threshold": at, "coverage": coverage, "risk": risk} for at, coverage, risk in points],
        "intervals": intervals_of(figures, [question.cluster for question in questions]),
    }


def _figures_of(probabilities: metrics.Numbers, answerable: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, float]:
    curve = metrics.risk_coverage(probabilities, ~answerable)
    return {
        "auroc": metrics.auroc(probabilities, answerable),
        "aurc": metrics.aurc(curve),
        f"coverage@{RISK_BORNE:.0%}risk": metrics.coverage_at_risk(curve, RISK_BORNE),
        "ece": metrics.expected_calibration_error(probabilities, answerable),
        "brier": metrics.brier(probabilities, answerable),
    }


def _at_its_place(citation: Found, read_span: ReadSpan) -> bool:
    text = read_span(citation["document"], citation["version"], citation["char_start"], citation["char_end"])
    return bool(text == citation["quote"])


def _scored(question: GoldenQuestion, scores: Mapping[str, float]) -> Scored:
    return Scored(question.cluster, scores, question.kind, question.split)


def _names(question: GoldenQuestion) -> dict[str, Any]:
    return {"id": question.id, "kind": question.kind, "split": question.split, "question": question.question}


def _latency(seconds: Sequence[float]) -> dict[str, float]:
    return {"seconds_p50": metrics.percentile(seconds, 0.5), "seconds_p95": metrics.percentile(seconds, 0.95)}
