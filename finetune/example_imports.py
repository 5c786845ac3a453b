"""Examples from people: labelled sets of questions, and answers that a person reviewed.

A labelled set is the answers JSONL of `provenant evaluate` (`id`, `question`, `answers`, `answerable`, `evidence`); a
file of decisions has `question`, `decision` ("correct" or "abstain") and, where corrected, `answer`. It knows these two
forms and the live Contexts. Rules: an answer that does not stand in what the search shows is taken out and counted,
never learnt; what a person rejected without saying what is right teaches nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assistant.golden import GoldenQuestion, read_questions
from finetune.example_checks import Taken, squeezed, unit_of
from finetune.example_contexts import Contexts
from finetune.examples import REFUSAL, ExamplePassage, Kind, TrainingExample, named
from governance.errors import BadInput


def imported_questions(path: Path, contexts: Contexts, taken: Taken) -> list[TrainingExample]:
    """Return the examples of a labelled set. Raises BadInput where it is none."""
    made = []
    for question in read_questions(path):
        answers = question.answers if question.answerable else ()
        document = str(question.evidence[0]["document"]) if question.evidence else ""
        if question.answerable and not answers:
            taken.out("labelled without an answer")
            continue
        made += _example(
            _said(question), answers, document, origin=f"labelled: {path.name}", contexts=contexts, taken=taken
        )
    return made


def imported_decisions(path: Path, contexts: Contexts, taken: Taken) -> list[TrainingExample]:
    """Return the examples of reviewed answers. Raises BadInput naming the line that is wrong."""
    made = []
    for number, line in enumerate(_read(path).split("\n"), start=1):
        try:
            row: Mapping[str, Any] = json.loads(line) if line.strip() else {"decision": "skip", "question": ""}
            decision, asked = str(row["decision"]), str(row["question"])
            answers = (str(row["answer"]),) if decision == "correct" else ()
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"Line {number} of {path.name} is no reviewed answer ({error!r}); question, decision and, for "
                '"correct", answer were expected.'
            ) from error
        if decision in {"correct", "abstain"}:
            made += _example(asked, answers, "", origin=f"reviewed: {path.name}", contexts=contexts, taken=taken)
        elif line.strip():
            taken.out("rejected without a right answer")
    return made


def _example(
    question: str, answers: tuple[str, ...], document: str, *, origin: str, contexts: Contexts, taken: Taken
) -> list[TrainingExample]:
    shown = contexts.context(contexts.find(question))
    target, gold = _place_of(answers, shown) if answers else (REFUSAL, None)
    if answers and gold is None:
        taken.out("answer of a person not shown as it stands")
        return []
    where = unit_of(gold) if gold else document or f"asked: {question}"
    kind: Kind = "labelled" if answers else "unanswerable"
    generation = contexts.generation.name
    return [named(TrainingExample("", kind, question, shown, target, not answers, where, origin, generation))]


def _place_of(answers: tuple[str, ...], shown: tuple[ExamplePassage, ...]) -> tuple[str, ExamplePassage | None]:
    """Return the first accepted answer that stands in a passage, and the passage."""
    for answer in answers:
        for passage in shown:
            if squeezed(answer) in squeezed(passage.text):
                return answer, passage
    return "", None


def _said(question: GoldenQuestion) -> str:
    return " ".join(question.question.split())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}); a JSONL of reviewed answers was expected.") from error
