"""Fit the sufficiency weights on the development half of the golden questions and report on both halves.

    .venv/bin/python benchmarks/fit_sufficiency.py --collection samples

Logistic regression (scikit-learn, C = 3, balanced classes). Prints the values for `assistant.sufficiency.Thresholds`
and, for each half, the share of refusals at several thresholds.
"""

from __future__ import annotations

import argparse
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from assistant.evaluate import GoldenQuestion, read_questions
from assistant.quotes import rank_quotes
from assistant.retrieve import Scope, retrieve_for_answer
from assistant.service import AssistantService
from assistant.sufficiency import Features, measure
from ui.installation import Installation

QUESTIONS = Path(__file__).parent.parent / "samples" / "questions.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collection", default="samples")
    parser.add_argument("--data", type=Path, default=QUESTIONS)
    arguments = parser.parse_args()
    questions = read_questions(arguments.data)
    features = measure_all(Installation().service, arguments.collection, questions)
    answerable = np.array([question.answerable for question in questions])
    dev = np.array([question.split == "dev" for question in questions])
    model = LogisticRegression(C=3, class_weight="balanced", max_iter=1000)
    model.fit(features[dev], answerable[dev])
    print(f"intercept: float = {model.intercept_[0]:.2f}")
    for field, weight in zip(fields(Features), model.coef_[0], strict=True):
        print(f"{field.name}: float = {weight:.2f}")
    probability = model.predict_proba(features)[:, 1]
    for name, chosen in (("dev", dev), ("test", ~dev)):
        report(name, probability[chosen], answerable[chosen])


def measure_all(
    service: AssistantService, collection: str, questions: list[GoldenQuestion]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rows = []
    embedder = service.models.embedder
    with service.open_generation(service.release(), collection) as generation:
        index, vocabulary = generation.index, generation.summary.vocabulary
        tools = service.retrieval_tools(generation)
        for question in questions:
            text = question.question
            passages = retrieve_for_answer(text, tools=tools, scope=Scope())
            quotes = rank_quotes(text, passages[:5], embedder=embedder, weigh=vocabulary.weigh)
            rows.append(astuple(measure(text, passages, quotes, index=index, vocabulary=vocabulary)[0]))
    return np.array(rows, dtype=np.float64)


def report(name: str, probability: np.ndarray, answerable: np.ndarray) -> None:  # type: ignore[type-arg]
    print(f"{name}: AUROC {roc_auc_score(answerable, probability):.3f}")
    for threshold in (0.40, 0.45, 0.48, 0.50, 0.52, 0.55, 0.60):
        wrong, right = (np.mean(probability[answerable == kind] < threshold) for kind in (True, False))
        print(f"  threshold {threshold:.2f}: refuses {wrong:.3f} of the answerable, {right:.3f} of the unanswerable")


if __name__ == "__main__":
    main()
