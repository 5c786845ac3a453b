"""Evaluation counts what it says it counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from assistant.answer import Answer, passage_value
from assistant.evaluate import GoldenQuestion, measure_abstention, measure_answers, measure_retrieval
from assistant.risk_picture import draw_risk_coverage
from assistant.service import AssistantService, SearchRequest
from assistant.turn import AskRequest
from tests.assistant.conftest import OWNER, TRAVEL

TEXT = "Hotel rooms cost at most 120 dollars a night."
EVIDENCE = {"document": "travel.pdf", "page": 3, "quote": TEXT}
ANSWERABLE = GoldenQuestion("1", "hotel?", ("120 dollars",), answerable=True, evidence=(EVIDENCE,), kind="policy")
UNANSWERABLE = GoldenQuestion("2", "weather?", (), answerable=False, evidence=(), kind="unanswerable")


def passage(**values: Any) -> dict[str, Any]:
    base = {"document": "travel.pdf", "page": 3, "clause": "4", "kind": "clause", "char_start": 0, "char_end": 45}
    return {**base, "text": TEXT, **values}


def answer(text: str, *, citations: list[dict[str, Any]] | None = None, **values: Any) -> dict[str, Any]:
    base = {"answer": text, "abstained": not text, "citations": citations or [], "timings_ms": {"total": 1000.0}}
    return {**base, **values}


def citation(**values: Any) -> dict[str, Any]:
    place = {"document": "travel.pdf", "page": 3, "clause": "4", "char_start": 0, "char_end": 45}
    return {**place, "version": "v", "quote": TEXT, **values}


def test_retrieval_metrics_by_hand() -> None:
    found = [passage(text="other"), passage(), passage(document="b.pdf")]
    metrics = measure_retrieval([ANSWERABLE, UNANSWERABLE], lambda _: found, clock=iter((0.0, 2.0)).__next__)
    assert metrics["questions"] == 1
    assert (metrics["recall@1"], metrics["recall@3"], metrics["mrr"]) == (0.0, 1.0, 0.5)
    assert metrics["ndcg@10"] == pytest.approx(0.6309, abs=1e-4)
    assert metrics["right_document@1"] == metrics["right_document@1/policy"] == 1.0
    assert metrics["seconds_p50"] == 2.0
    assert metrics["intervals"] == {}  # one document
    assert metrics["details"][0]["found"][2]["document"] == "b.pdf"
    assert measure_retrieval([ANSWERABLE], lambda _: [])["mrr"] == 0.0


def test_characters_are_measured_where_all_evidence_has_spans() -> None:
    spans = tuple({"document": "travel.pdf", "char_start": at, "char_end": at + 10} for at in (0, 60))
    question = GoldenQuestion("1", "q", (), answerable=True, evidence=spans)
    found = [passage(char_start=0, char_end=40), passage(char_start=60, char_end=80), passage(document="b.pdf")]
    metrics = measure_retrieval([question], lambda _: found)
    assert (metrics["char_precision@1"], metrics["char_recall@1"]) == (0.25, 0.5)
    assert metrics["char_precision@2"] == pytest.approx(20 / 60)
    assert metrics["char_precision@64"] == pytest.approx(20 / 105)
    assert metrics["char_recall@2"] == metrics["char_recall@64"] == 1.0
    assert "char_recall@1" not in measure_retrieval([ANSWERABLE], lambda _: found)


def test_answer_metrics_by_hand() -> None:
    sentences = [{"support": "supported"}, {"support": "partly"}]
    cited = [citation(), citation(page=9, quote="Something else that is said there")]
    answers = {"hotel?": answer(f"{TEXT} [1]", citations=cited, sentences=sentences), "weather?": answer("")}
    metrics = measure_answers([ANSWERABLE, UNANSWERABLE], lambda q: answers[q], lambda *_: TEXT)
    assert metrics["answered"] == metrics["answer_contained"] == metrics["right_page"] == 1.0
    assert metrics["refused_unanswerable"] == 1.0
    assert metrics["refused_answerable"] == metrics["refused_answerable/policy"] == 0.0
    assert (metrics["citation_precision"], metrics["citation_recall"]) == (0.5, 1.0)
    assert (metrics["quote_at_place"], metrics["quotes"]) == (0.5, 2)
    assert (metrics["faithfulness"], metrics["word_precision"]) == (0.5, 1.0)
    assert (metrics["coverage"], metrics["risk"]) == (0.5, 0.0)
    assert (metrics["exact_match"], metrics["normalised_match"]) == (0.0, 0.0)
    assert metrics["answer_f1"] == pytest.approx(2 * 2 / (8 + 2))
    assert metrics["seconds_p95"] == 1.0
    assert metrics["details"][0]["scores"]["answered"] == 1.0


def test_answering_what_the_documents_do_not_say_is_a_risk() -> None:
    metrics = measure_answers([ANSWERABLE, UNANSWERABLE], lambda _: answer("It rains."), lambda *_: "")
    assert (metrics["coverage"], metrics["risk"], metrics["refused_unanswerable"]) == (1.0, 1.0, 0.0)
    assert "quote_at_place" not in metrics


def test_questions_without_accepted_answers_are_judged_by_their_citations_alone() -> None:
    question = GoldenQuestion("1", "q", (), answerable=True, evidence=(EVIDENCE,))
    metrics = measure_answers([question], lambda _: answer("x", citations=[citation()]), lambda *_: TEXT)
    assert metrics["citation_recall"] == 1.0
    assert not {"exact_match", "answer_contained", "risk"}.intersection(metrics)


def test_refusals_are_counted_on_both_sides() -> None:
    metrics = measure_abstention([ANSWERABLE, UNANSWERABLE], lambda _: answer(""))
    assert (metrics["refused_answerable"], metrics["refused_unanswerable"]) == (1.0, 1.0)
    assert (metrics["answerable"], metrics["unanswerable"]) == (1, 1)
    assert not {"auroc", "curve", "risk"}.intersection(metrics)


def judged() -> tuple[list[GoldenQuestion], dict[str, dict[str, Any]]]:
    """Eight questions about four documents; the probabilities put one that cannot be answered before one that can."""
    probabilities = (0.95, 0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.1)
    answerable = (True, True, True, False, True, False, False, False)
    questions = [
        GoldenQuestion(str(number), f"q{number}", ("x",), can, ({"document": f"d{number % 4}"},), split="dev")
        for number, can in enumerate(answerable)
    ]
    answers = {
        f"q{number}": answer("x" if value >= 0.55 else "", sufficiency=value)
        for number, value in enumerate(probabilities)
    }
    return questions, answers


def test_probabilities_are_measured_by_hand() -> None:
    questions, answers = judged()
    metrics = measure_abstention(questions, lambda question: answers[question])
    assert metrics["auroc"] == 15 / 16
    assert metrics["aurc"] == pytest.approx((0 + 0 + 0 + 1 / 4 + 1 / 5 + 2 / 6 + 3 / 7 + 4 / 8) / 8)
    assert metrics["coverage@5%risk"] == 3 / 8
    assert metrics["brier"] == pytest.approx((0.05**2 + 0.1**2 + 0.2**2 + 0.7**2 + 2 * 0.4**2 + 0.3**2 + 0.1**2) / 8)
    assert (metrics["coverage"], metrics["risk"]) == (5 / 8, 1 / 5)
    assert metrics["curve"][0] == {"threshold": 0.95, "coverage": 1 / 8, "risk": 0.0}
    assert {"auroc", "aurc", "coverage@5%risk", "ece", "brier", "coverage"} <= set(metrics["intervals"])
    assert metrics["intervals"]["aurc"]["low"] <= metrics["aurc"] <= metrics["intervals"]["aurc"]["high"]


def test_the_same_answers_give_the_same_figures() -> None:
    questions, answers = judged()
    one, other = (measure_abstention(questions, lambda question: answers[question]) for _ in range(2))
    assert json.dumps(one) == json.dumps(other)


def test_one_missing_probability_leaves_the_probabilities_out() -> None:
    questions, answers = judged()
    answers["q3"].pop("sufficiency")
    metrics = measure_abstention(questions, lambda question: answers[question])
    assert "auroc" not in metrics
    assert metrics["risk"] == 1 / 5


def test_the_picture_is_a_drawing_of_the_curve_for_both_backgrounds() -> None:
    questions, answers = judged()
    drawn = draw_risk_coverage(measure_abstention(questions, lambda question: answers[question]))
    root = ET.fromstring(drawn)
    line = root.find("{http://www.w3.org/2000/svg}polyline")
    assert line is not None
    assert len(line.attrib["points"].split()) == 8
    assert "prefers-color-scheme: dark" in drawn
    assert "as served: 62% answered, risk 20.0%" in drawn
    assert "AURC 0.214; coverage 0.38 at 5% risk" in drawn


def test_the_real_service_is_measured(service: AssistantService) -> None:
    evidence = {"document": "travel.md", "char_start": TRAVEL.index("Hotel"), "char_end": TRAVEL.index("Receipts") - 1}
    hotel = "How much do hotel rooms cost at most a night?"
    known = GoldenQuestion("1", hotel, ("120 dollars",), answerable=True, evidence=(evidence,))
    unknown = GoldenQuestion("2", "Who won the football World Cup in Qatar?", (), answerable=False, evidence=())

    def search(query: str) -> list[dict[str, Any]]:
        return [passage_value(found) for found in service.search(SearchRequest(query, "c", OWNER, top_k=64))]

    def ask(question: str) -> Mapping[str, Any]:
        *_, last = service.ask(AskRequest(question, "c", OWNER))
        assert isinstance(last, Answer)
        return last.to_value()

    retrieval = measure_retrieval([known, unknown], search)
    assert retrieval["right_document@1"] == retrieval["char_recall@64"] == 1.0
    metrics = measure_answers([known, unknown], ask, service.texts.span)
    assert metrics["answer_contained"] == metrics["quote_at_place"] == metrics["citation_precision"] == 1.0
    assert metrics["refused_unanswerable"] == 1.0
    assert measure_abstention([known, unknown], ask)["refused_answerable"] == 0.0
