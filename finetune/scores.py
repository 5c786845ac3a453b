"""Scores of answers to training examples: exact, F1, verbatim, refusals of both kinds, with intervals over documents.

Definitions: exact and F1 as SQuAD has them (`assistant.metrics`), over answerable examples, a refusal there counting
0; "refuses answerable" and "refuses absent" are shares of examples whose answer is the trained refusal (or says that it
finds nothing); "verbatim" is the share of given answers that stand in a passage letter by letter. It knows examples and
answers as text and refuses to know who wrote them. Figures are shares from 0 to 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.bootstrap import intervals_of_means
from assistant.generation import Message
from assistant.guards import prompt_text
from assistant.metrics import exact_match, expected_calibration_error, token_f1
from assistant.verbatim import is_verbatim
from finetune.examples import REFUSAL, TrainingExample, example_messages

Generate = Callable[[Sequence[Message]], str]
_REFUSES = re.compile(r"^\W*(not (in|found in|stated in) the (documents?|passages?)|unanswerable)\b", re.IGNORECASE)
SLICE_NAMES = ("kind", "origin", "length")


@dataclass(frozen=True)
class ScoredAnswer:
    """An answer to an example, with the model's mean probability of its tokens (None where unknown)."""

    example: TrainingExample
    answer: str
    confidence: float | None = None

    @property
    def refuses(self) -> bool:
        """Whether the answer says that the passages have none."""
        return refuses(self.answer)

    def row(self) -> dict[str, float]:
        """Return the figures of this answer by name; a name that does not apply is left out."""
        given = not self.refuses
        row: dict[str, float] = {}
        if self.example.abstains:
            row["refuses_absent"] = float(self.refuses)
        else:
            row["exact"] = exact_match(self.answer, [self.example.target]) if given else 0.0
            row["f1"] = token_f1(self.answer, [self.example.target]) if given else 0.0
            row["refuses_answerable"] = float(self.refuses)
        if given:
            row["verbatim"] = float(is_verbatim(self.answer, shown_texts(self.example)))
        row["right"] = row.get("refuses_absent", row.get("exact", 0.0))
        return row


def refuses(answer: str) -> bool:
    """Return whether an answer is a refusal: empty, the trained sentence, or one close to it."""
    return not answer.strip() or answer.strip() == REFUSAL or bool(_REFUSES.match(answer))


def answer_all(examples: Sequence[TrainingExample], generate: Generate) -> list[ScoredAnswer]:
    """Return the answers of something that answers one prompt at a time."""
    return [ScoredAnswer(example, generate(example_messages(example)).strip()) for example in examples]


def score(answers: Sequence[ScoredAnswer]) -> dict[str, Any]:
    """Return `means`, their 95 % `intervals` over documents, `counts`, and calibration (`ece`) where known."""
    rows = [one.row() for one in answers]
    documents = [one.example.document for one in answers]
    names = dict.fromkeys(name for row in rows for name in row)
    counts = {name: sum(name in row for row in rows) for name in names}
    means = {name: sum(row.get(name, 0.0) for row in rows) / counts[name] for name in names}
    figures: dict[str, Any] = {"means": means, "counts": counts, "documents": len(set(documents))}
    figures["intervals"] = intervals_of_means(rows, documents) if rows else {}
    known = [
        (one.confidence, row["right"]) for one, row in zip(answers, rows, strict=True) if one.confidence is not None
    ]
    if known:
        figures["ece"] = expected_calibration_error(*zip(*known, strict=True))
    return figures


def difference(answers: Sequence[ScoredAnswer], base: Sequence[ScoredAnswer]) -> dict[str, dict[str, float]]:
    """Return by how much figures differ from those of a base on the same examples, with intervals over documents.

    Only figures that both have for an example count (`verbatim` needs an answer from both).
    """
    pairs = list(zip(answers, base, strict=True))
    rows = []
    for ours, theirs in pairs:
        own, other = ours.row(), theirs.row()
        rows.append({name: own[name] - other[name] for name in own if name in other})
    documents = [ours.example.document for ours, _ in pairs]
    intervals = intervals_of_means(rows, documents) if rows else {}
    found = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        found[name] = {"mean": sum(values) / len(values), **intervals.get(name, {})}
    return found


def shown_texts(example: TrainingExample) -> list[str]:
    """Return the passages of an example as the prompt shows them."""
    return [prompt_text(passage.text) for passage in example.passages]


def slices(examples: Sequence[TrainingExample]) -> dict[str, dict[str, list[int]]]:
    """Return the numbers of the examples by kind, origin and length of the prompt (thirds), for each slice of it."""
    lengths = [sum(len(text) for text in shown_texts(example)) for example in examples]
    ordered = sorted(lengths)
    cuts = [ordered[len(ordered) * third // 3] for third in (1, 2)] if ordered else [0, 0]
    found: dict[str, dict[str, list[int]]] = {name: {} for name in SLICE_NAMES}
    for number, example in enumerate(examples):
        length = ("short", "middle", "long")[(lengths[number] >= cuts[0]) + (lengths[number] >= cuts[1])]
        for name, value in (("kind", example.kind), ("origin", example.origin), ("length", length)):
            found[name].setdefault(str(value), []).append(number)
    return found


def carrying_slices(gains: Sequence[float], sliced: Mapping[str, Mapping[str, Sequence[int]]]) -> list[dict[str, Any]]:
    """Return the slices without which a mean gain falls below half of itself, with the gain inside and outside each.

    A slice that holds more than nine tenths of the examples has no outside to compare with and is left out.
    """
    total = sum(gains) / len(gains) if gains else 0.0
    found = []
    for name, values in sliced.items():
        for value, members in values.items():
            if not members or len(members) > 0.9 * len(gains):
                continue
            inside = sum(gains[number] for number in members) / len(members)
            outside = (sum(gains) - inside * len(members)) / (len(gains) - len(members))
            share = len(members) / len(gains)
            if abs(outside) < abs(total) / 2 or outside * total < 0:
                found.append(
                    {"slice": name, "value": value, "share": share, "inside": inside, "outside": outside, "all": total}
                )
    return found
