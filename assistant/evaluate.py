"""Evaluate: numbers for retrieval, answers and refusals on labelled questions.

Deterministic, without a judge model. A question's evidence is a document with a page, a character span, a clause or a
quote; a passage counts where it holds that place. Metrics carry their usual names; each is a share from 0 to 1.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governance.errors import BadInput
from ingest.words import words

Found = Mapping[str, Any]  # a passage or citation as JSON
Search = Callable[[str], Sequence[Found]]
AskForValue = Callable[[str], Mapping[str, Any]]
ReadSpan = Callable[[str, str, int, int], str]
_QUOTE_LETTERS = 40


@dataclass(frozen=True)
class GoldenQuestion:
    """A question with what is known of its answer."""

    id: str
    question: str
    answers: tuple[str, ...]
    answerable: bool
    evidence: tuple[Mapping[str, Any], ...]
    kind: str = ""
    split: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_questions(path: Path, *, split: str = "") -> list[GoldenQuestion]:
    """Read a JSONL of questions. Raises BadInput naming the line that is wrong, or for a file without questions."""
    if not path.is_file():
        raise BadInput(f"There is no file {path}; give the JSONL of questions with --data.")
    questions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            questions.append(_question(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(
                f"Line {number} of {path.name} is not a question ({type(error).__name__}: {error}); it needs id, "
                "question, answers, answerable and evidence."
            ) from error
    chosen = [question for question in questions if not split or question.split == split]
    if not chosen:
        raise BadInput(f"{path.name} holds no question{f' of split {split!r}' if split else ''}.")
    return chosen


def measure_retrieval(questions: Sequence[GoldenQuestion], search: Search) -> dict[str, Any]:
    """Return right document at rank 1, recall of the evidence at k, and MRR, over the answerable questions."""
    rows: list[dict[str, float]] = []
    kinds: list[str] = []
    for question in (one for one in questions if one.answerable):
        found = search(question.question)
        places = [rank for rank, passage in enumerate(found, start=1) if holds_evidence(passage, question)]
        row = {f"recall@{k}": float(any(rank <= k for rank in places)) for k in (1, 3, 5, 10)}
        row["right_document@1"] = float(bool(found) and is_right_document(found[0], question))
        row["mrr"] = 1 / places[0] if places else 0.0
        rows.append(row)
        kinds.append(question.kind)
    return {"questions": len(rows), **_means(rows), **_by_kind(rows, kinds, ("right_document@1", "recall@5"))}


def measure_answers(questions: Sequence[GoldenQuestion], ask: AskForValue, read_span: ReadSpan) -> dict[str, Any]:
    """Return how good the answers are, refusals included; quotes are compared with the stored texts."""
    rows: list[dict[str, float]] = []
    kinds: list[str] = []
    refused: list[float] = []
    quotes: list[float] = []
    seconds: list[float] = []
    for question in questions:
        answer = ask(question.question)
        seconds.append(answer["timings_ms"]["total"] / 1000)
        quotes += [float(_at_its_place(citation, read_span)) for citation in answer["citations"]]
        if question.answerable:
            rows.append(_answer_row(question, answer))
            kinds.append(question.kind)
        else:
            refused.append(float(answer["abstained"]))
    return {
        "questions": len(questions),
        **_means(rows),
        **_by_kind(rows, kinds, ("answer_contained", "right_document")),
        "refused_unanswerable": statistics.fmean(refused) if refused else 0.0,
        "quote_at_place": statistics.fmean(quotes) if quotes else 0.0,
        "quotes": len(quotes),
        "seconds_p50": statistics.median(seconds),
    }


def measure_abstention(questions: Sequence[GoldenQuestion], ask: AskForValue) -> dict[str, Any]:
    """Return the share of refusals on unanswerable and on answerable questions."""
    refused = {
        wanted: [float(ask(one.question)["abstained"]) for one in questions if one.answerable is wanted]
        for wanted in (True, False)
    }
    return {
        "answerable": len(refused[True]),
        "unanswerable": len(refused[False]),
        "refused_answerable": statistics.fmean(refused[True] or [0.0]),
        "refused_unanswerable": statistics.fmean(refused[False] or [0.0]),
    }


def holds_evidence(found: Found, question: GoldenQuestion) -> bool:
    """Tell whether a passage or citation holds some piece of a question's evidence."""
    return any(_holds(found, evidence) for evidence in question.evidence)


def is_right_document(found: Found, question: GoldenQuestion) -> bool:
    """Tell whether a passage comes from a document of the evidence; a catalogue counts by its record."""
    return any(
        found["document"] == evidence["document"]
        and (found.get("kind", "record") != "record" or evidence.get("clause", found["clause"]) == found["clause"])
        for evidence in question.evidence
    )


def token_f1(answer: str, accepted: Sequence[str]) -> float:
    """Return the best F1 over words between an answer and the accepted ones (SQuAD, Rajpurkar et al. 2016)."""
    return max((_f1(words(answer), words(one)) for one in accepted), default=0.0)


def _holds(found: Found, evidence: Mapping[str, Any]) -> bool:
    if found["document"] != evidence["document"]:
        return False
    if found["page"] is None and "clause" in evidence and "page" not in evidence and found.get("kind") == "record":
        return bool(found["clause"] == evidence["clause"])
    if "char_start" in evidence:
        return bool(found["char_start"] < evidence["char_end"] and evidence["char_start"] < found["char_end"])
    if "quote" in evidence:
        held, quote = _letters(found.get("text") or found.get("quote", "")), _letters(evidence["quote"])
        return quote[:_QUOTE_LETTERS] in held or quote[-_QUOTE_LETTERS:] in held
    return bool(found["page"] == evidence.get("page"))


def _answer_row(question: GoldenQuestion, answer: Mapping[str, Any]) -> dict[str, float]:
    said = _letters(answer["answer"])
    cited = answer["citations"]
    right = [citation for citation in cited if is_right_document({**citation, "kind": _kind(citation)}, question)]
    pages = {evidence.get("page") for evidence in question.evidence}
    return {
        "answered": float(not answer["abstained"]),
        "answer_contained": float(any(_letters(accepted) in said for accepted in question.answers)),
        "answer_f1": token_f1(answer["answer"], question.answers),
        "right_document": float(bool(right)),
        "right_page": float(any(citation["page"] in pages for citation in right)),
    }


def _kind(citation: Found) -> str:
    return "clause" if citation["page"] is not None or citation["document"].endswith((".md", ".txt")) else "record"


def _at_its_place(citation: Found, read_span: ReadSpan) -> bool:
    text = read_span(citation["document"], citation["version"], citation["char_start"], citation["char_end"])
    return bool(text == citation["quote"])


def _question(value: Mapping[str, Any]) -> GoldenQuestion:
    return GoldenQuestion(
        id=str(value["id"]),
        question=str(value["question"]),
        answers=tuple(str(answer) for answer in value["answers"]),
        answerable=bool(value["answerable"]),
        evidence=tuple(value["evidence"]),
        kind=str(value.get("kind", "")),
        split=str(value.get("split", "")),
    )


def _letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _f1(said: Sequence[str], accepted: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(accepted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(accepted)
    return 2 * precision * recall / (precision + recall)


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]} if rows else {}


def _by_kind(rows: Sequence[Mapping[str, float]], kinds: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for kind in sorted(set(kinds) - {""}):
        mine = [row for row, one in zip(rows, kinds, strict=True) if one == kind]
        found |= {f"{name}/{kind}": statistics.fmean(row[name] for row in mine) for name in names}
    return found
