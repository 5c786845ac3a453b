"""Ragas by name: refused without a judge, asked with the names that it knows, means over what is no refusal."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.golden import GoldenQuestion
from assistant.ragas_judge import JudgedAnswer, judge_answers, open_judge
from governance.errors import BadInput, NotFound
from governance.settings import JudgeSettings

CONFIGURED = JudgeSettings(url="http://127.0.0.1:9/v1", model="judge")


def question(number: int, *, answers: tuple[str, ...] = ("30 days",), answerable: bool = True) -> GoldenQuestion:
    evidence = ({"document": f"{number}.pdf", "page": 1},) if answerable else ()
    return GoldenQuestion(str(number), f"How long? {number}", answers, answerable, evidence)


def answer(text: str, *, abstained: bool = False) -> dict[str, Any]:
    return {"answer": text, "abstained": abstained, "passages": [{"text": "It lasts 30 days."}]}


class CountingJudge:
    def __init__(self) -> None:
        self.shown: list[JudgedAnswer] = []

    def score(self, answer: JudgedAnswer) -> Mapping[str, float]:
        self.shown.append(answer)
        return {"faithfulness": 1.0, **({"context_recall": 0.5} if answer.reference else {})}


def test_no_judge_is_asked_where_none_is_configured() -> None:
    with pytest.raises(BadInput, match="PROVENANT_JUDGE__URL"):
        open_judge(JudgeSettings())


def test_the_missing_extra_is_named() -> None:
    def absent(name: str) -> Any:
        raise ImportError(f"No module named {name!r}", name=name)

    with pytest.raises(NotFound, match=r"openai is not installed; run `pip install 'provenant\[judge\]'`"):
        open_judge(CONFIGURED, load=absent)


def test_means_are_taken_over_answers_that_are_no_refusals() -> None:
    judge = CountingJudge()
    questions = [question(1), question(2), question(3, answers=(), answerable=False)]
    answers = [answer("It lasts 30 days. [1]"), answer("", abstained=True), answer("It lasts.")]
    figures = judge_answers(questions, answers, judge)
    assert figures["judged"] == 2
    assert figures["ragas_faithfulness"] == 1.0
    assert figures["ragas_context_recall"] == 0.5
    assert judge.shown[0] == JudgedAnswer("How long? 1", "It lasts 30 days.", ("It lasts 30 days.",), "30 days")
    assert judge.shown[1].reference == ""


class RecordedMetric:
    """Takes the arguments that the metric of this name takes in ragas 0.4."""

    asked: list[tuple[str, set[str]]]

    def __init__(self, llm: Any) -> None:
        self.llm = llm

    async def ascore(self, **shown: Any) -> Any:
        self.asked.append((type(self).__name__, set(shown)))
        return SimpleNamespace(value=0.25)


def test_each_metric_of_ragas_gets_the_arguments_it_knows() -> None:
    asked: list[tuple[str, set[str]]] = []
    kinds = {
        name: type(name, (RecordedMetric,), {"asked": asked})
        for name in ("Faithfulness", "ContextPrecision", "ContextRecall")
    }
    modules = {
        "openai": SimpleNamespace(AsyncOpenAI=lambda **given: given),
        "ragas.llms": SimpleNamespace(llm_factory=lambda model, client: (model, client)),
        "ragas.metrics.collections": SimpleNamespace(**kinds),
    }
    judge = open_judge(CONFIGURED, load=modules.__getitem__)
    scores = judge.score(JudgedAnswer("How long?", "30 days", ("It lasts 30 days.",), "30 days"))
    assert scores == {"faithfulness": 0.25, "context_precision": 0.25, "context_recall": 0.25}
    assert asked == [
        ("Faithfulness", {"user_input", "response", "retrieved_contexts"}),
        ("ContextPrecision", {"user_input", "reference", "retrieved_contexts"}),
        ("ContextRecall", {"user_input", "reference", "retrieved_contexts"}),
    ]
