"""Ragas by name: its faithfulness, context precision and context recall, where a judge model is configured.

The figures of `assistant.evaluate` need no judge; these do, and carry Ragas' names so that they can stand beside other
people's (Es et al. 2024; definitions of ragas 0.4). It knows answers as JSON and refuses to know how they were made.
Rules: no address is known by default, so that nothing leaves the machine unasked; Ragas (Apache-2.0) is an extra and is
imported only here, when a judge is opened; refusals are not judged, as there is no claim in them; a question without an
accepted answer is judged for faithfulness alone.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from assistant.golden import GoldenQuestion
from assistant.metrics import without_marks
from assistant.scorecard import Scored, summarise
from governance.errors import BadInput, NotFound
from governance.settings import JudgeSettings

Load = Callable[[str], Any]  # a module by its name
_METRICS = {"faithfulness": "Faithfulness", "context_precision": "ContextPrecision", "context_recall": "ContextRecall"}


@dataclass(frozen=True)
class JudgedAnswer:
    """What a judge is shown: question, answer, the texts it was made from, and an accepted answer or ""."""

    question: str
    answer: str
    contexts: tuple[str, ...]
    reference: str


class Judge(Protocol):
    """What scores an answer by Ragas' names."""

    def score(self, answer: JudgedAnswer) -> Mapping[str, float]:
        """Return faithfulness and, where there is a reference, context_precision and context_recall, each 0 to 1."""


class RagasJudge:
    """Ragas' own metrics over one model behind an OpenAI-compatible address."""

    def __init__(self, metrics: Mapping[str, Any]) -> None:
        self._metrics = metrics
        self._runner = asyncio.Runner()

    def score(self, answer: JudgedAnswer) -> Mapping[str, float]:
        """Ask the judge once for each metric that the answer allows."""
        shown = {"user_input": answer.question, "retrieved_contexts": list(answer.contexts)}
        scores = {"faithfulness": self._ask("faithfulness", {**shown, "response": answer.answer})}
        if answer.reference:
            for name in ("context_precision", "context_recall"):
                scores[name] = self._ask(name, {**shown, "reference": answer.reference})
        return scores

    def _ask(self, name: str, shown: Mapping[str, Any]) -> float:
        return float(self._runner.run(self._metrics[name].ascore(**shown)).value)


def open_judge(settings: JudgeSettings, *, load: Load = importlib.import_module) -> RagasJudge:
    """Return Ragas over the configured model. Raises BadInput without one, NotFound where Ragas is not installed."""
    if not settings.url or not settings.model:
        raise BadInput(
            "No judge is configured: set PROVENANT_JUDGE__URL to an OpenAI-compatible address and "
            "PROVENANT_JUDGE__MODEL to its model, or leave --judge away; the other figures need no judge."
        )
    try:
        openai, llms, collections = (load(name) for name in ("openai", "ragas.llms", "ragas.metrics.collections"))
    except ImportError as error:
        raise NotFound(
            f"--judge needs Ragas, and {error.name or 'it'} is not installed; run `pip install 'provenant[judge]'`."
        ) from error
    client = openai.AsyncOpenAI(base_url=settings.url, api_key=settings.token.get_secret_value() or "none")
    model = llms.llm_factory(settings.model, client=client)
    return RagasJudge({name: getattr(collections, kind)(llm=model) for name, kind in _METRICS.items()})


def judge_answers(
    questions: Sequence[GoldenQuestion], answers: Sequence[Mapping[str, Any]], judge: Judge
) -> dict[str, Any]:
    """Return the means as `ragas_NAME` with their intervals, over the answers that are no refusals.

    `answers` are those to `questions`, in the same order, as `assistant.answer.Answer.to_value` gives them.
    """
    scored = []
    for question, answer in zip(questions, answers, strict=True):
        if not answer["abstained"]:
            scores = judge.score(_shown(question, answer))
            named = {f"ragas_{name}": value for name, value in scores.items()}
            scored.append(Scored(question.cluster, named, question.kind, question.split))
    return {"judged": len(scored), **summarise(scored, headline=())}


def _shown(question: GoldenQuestion, answer: Mapping[str, Any]) -> JudgedAnswer:
    texts = tuple(str(passage["text"]) for passage in answer["passages"])
    reference = question.answers[0] if question.answerable and question.answers else ""
    return JudgedAnswer(question.question, without_marks(str(answer["answer"])), texts, reference)
