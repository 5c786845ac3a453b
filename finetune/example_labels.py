"""Labels by people: examples out as CSV with a guideline, labels back in, and how far two people agree.

A row asks whether the answer is right for what is shown: `right`, `wrong`, or `unclear`. It knows examples and labels
and refuses to know who labelled. Rules: labels are made under a guideline by version, and those of another version are
refused; agreement is Cohen's kappa (Cohen 1960) over the rows that both labelled; an example that somebody calls wrong
is not trained on.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from finetune.examples import TrainingExample
from governance.errors import BadInput

GUIDELINE_VERSION = 1
GUIDELINE = (
    "right: the answer follows from the passages alone and answers the whole question; for a refusal, no passage "
    "answers. wrong: another answer stands there, part of the answer is missing, or the question cannot be understood. "
    "unclear: you would have to ask somebody. Judge by the passages, not by what you know."
)
LABELS = ("right", "wrong", "unclear")
_FIELDS = ("guideline", "id", "question", "passages", "answer", "label")


def export_labels(path: Path, examples: Iterable[TrainingExample]) -> None:
    """Write a CSV with a row for each example, its `label` empty, and the guideline beside it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for one in examples:
        passages = "\n\n".join(f"{passage.source}:\n{passage.text}" for passage in one.passages)
        row = [GUIDELINE_VERSION, one.id, one.question, passages, one.target, ""]
        writer.writerow(dict(zip(_FIELDS, row, strict=True)))
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    path.with_suffix(".guideline.txt").write_text(f"Version {GUIDELINE_VERSION}\n{GUIDELINE}\n", encoding="utf-8")


def import_labels(path: Path) -> dict[str, str]:
    """Return the labels by example id, rows without one left out. Raises BadInput naming the row that is wrong."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read as labels ({error}); the CSV that was exported was expected.") from error
    labels = {}
    for number, row in enumerate(rows, start=2):
        label = (row.get("label") or "").strip().casefold()
        if str(row.get("guideline")) != str(GUIDELINE_VERSION) or label not in {"", *LABELS} or not row.get("id"):
            raise BadInput(
                f"Row {number} of {path.name} has label {label!r} under guideline {row.get('guideline')!r}; one of "
                f"{', '.join(LABELS)} under guideline {GUIDELINE_VERSION} was expected; export it anew or correct it."
            )
        if label:
            labels[str(row["id"])] = label
    return labels


def agreement(one: Mapping[str, str], other: Mapping[str, str]) -> float:
    """Return Cohen's kappa of two labellers, -1 to 1. Raises BadInput where they labelled nothing in common."""
    both = sorted(one.keys() & other.keys())
    if not both:
        raise BadInput(
            "The two sets of labels have no example in common, so they cannot agree; export one set to both."
        )
    observed = sum(one[key] == other[key] for key in both) / len(both)
    first, second = Counter(one[key] for key in both), Counter(other[key] for key in both)
    expected = sum(first[label] * second[label] for label in LABELS) / len(both) ** 2
    return 1.0 if expected == 1 else (observed - expected) / (1 - expected)


def without_wrong(examples: Sequence[TrainingExample], *labelled: Mapping[str, str]) -> list[TrainingExample]:
    """Return the examples that nobody called wrong."""
    wrong = {key for labels in labelled for key, label in labels.items() if label == "wrong"}
    return [one for one in examples if one.id not in wrong]
