"""Check a reader on groups it was not trained on: by source, how often it is right and how sure it should be.

    python -m finetune.reader_check DATA_FILE --base FOLDER --adapter FILE [--split test] [--groups N]

- precision_at_1: share of the groups, with an answering passage and others, whose best ranked passage answers;
- auroc: of the answerability logit, over the passages whose label is known;
- span_f1: mean F1 over tokens of the best start and end against the first marked span.
- documents: auroc of the highest answerability of all passages of a document, over questions of known answer.

A figure that a source cannot give is absent, never zero. Only the first window of a passage is read here.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from assistant.metrics import auroc
from finetune.reader_batches import NO_SPAN, Encoder, make_batch
from finetune.reader_groups import ANSWERS, UNKNOWN, Group, Split, read_groups
from finetune.reader_losses import mask_spans
from finetune.reader_model import load_adapter
from finetune.reader_scores import Documents, score_documents
from governance.errors import ProvenantError

if TYPE_CHECKING:
    import torch

_GROUPS_AT_ONCE = 40
GROUPS_OF_A_SOURCE = 250
_DOCUMENT_QUESTIONS = 2000


@dataclass(frozen=True)
class Figures:
    """What was measured on the groups of a source; None where the source has nothing to measure it on."""

    groups: int
    precision_at_1: float | None
    auroc: float | None
    span_f1: float | None


@dataclass
class _Tally:
    first_right: list[bool] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    span_f1: list[float] = field(default_factory=list)

    def figures(self, groups: int) -> Figures:
        both = len(set(self.labels)) == 2
        area = round(auroc(self.answers, self.labels), 3) if both else None
        return Figures(groups, _mean(self.first_right), area, _mean(self.span_f1))


def check_reader(
    reader: torch.nn.Module, groups: Sequence[Group], encoder: Encoder, *, device: str, most: int = GROUPS_OF_A_SOURCE
) -> dict[str, Figures]:
    """Return the figures by source, on at most `most` groups of each, always the same ones."""
    import torch

    by_source: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        by_source[group.source].append(group)
    was_training = reader.training
    reader.eval()
    with torch.no_grad():
        found = {
            source: _check(reader, _drawn(of_source, most), encoder, device=device)
            for source, of_source in by_source.items()
        }
    reader.train(was_training)
    return found


def check_documents(
    reader: torch.nn.Module, groups: Sequence[Group], documents: Documents, encoder: Encoder, *, workers: int = 0
) -> dict[str, float | int | None]:
    """Return by how much the best passage tells documents that answer from those that do not, CUAD's categories."""
    asked = _drawn([group for group in groups if group.source == "cuad"], _DOCUMENT_QUESTIONS)
    best, labels = [], []
    for group, scores in score_documents(reader, asked, documents, encoder, workers=workers):
        best.append(float(scores[:, 1].max()))
        labels.append(int(any(one.label == ANSWERS for one in group.candidates)))
    both = len(set(labels)) == 2
    return {"groups": len(labels), "auroc": round(auroc(best, labels), 4) if both else None}


def _drawn(groups: Sequence[Group], most: int) -> list[Group]:
    return random.Random(1).sample(groups, min(most, len(groups)))  # noqa: S311  (no secret)


def _check(reader: torch.nn.Module, groups: Sequence[Group], encoder: Encoder, *, device: str) -> Figures:
    tally = _Tally()
    encoder.prepare(groups)
    for at in range(0, len(groups), _GROUPS_AT_ONCE):
        part = groups[at : at + _GROUPS_AT_ONCE]
        scores, f1 = _read(reader, part, encoder, device=device)
        tally.span_f1 += f1
        first = 0
        for group in part:
            _count(tally, group, scores[first : first + len(group.candidates)])
            first += len(group.candidates)
    return tally.figures(len(groups))


def _read(
    reader: torch.nn.Module, groups: Sequence[Group], encoder: Encoder, *, device: str
) -> tuple[list[list[float]], list[float]]:
    """Return scores (rows, 2) and the F1 of each row with a marked span."""
    import torch

    batch = make_batch(groups, encoder, pick=lambda spans: spans[0]).to(device)
    with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
        scores, spans = reader(batch.ids, batch.types, batch.mask)
    found = mask_spans(spans, batch).argmax(dim=1).tolist()  # (rows, 2)
    marked = list(zip(batch.starts.tolist(), batch.ends.tolist(), strict=True))
    f1 = [token_f1(best, span) for best, span in zip(found, marked, strict=True) if span[0] != NO_SPAN]
    rows: list[list[float]] = scores.float().tolist()
    return rows, f1


def _count(tally: _Tally, group: Group, scores: Sequence[Sequence[float]]) -> None:
    labels = [candidate.label for candidate in group.candidates]
    if ANSWERS in labels and len(labels) > 1:
        best = max(range(len(labels)), key=lambda number: scores[number][0])
        tally.first_right.append(labels[best] == ANSWERS)
    known = [(row[1], label) for row, label in zip(scores, labels, strict=True) if label != UNKNOWN]
    tally.answers += [answers for answers, _ in known]
    tally.labels += [label for _, label in known]


def token_f1(found: Sequence[int], marked: Sequence[int]) -> float:
    """Return the F1 of two spans of (first, last) tokens; an end before its start is a span of no token."""
    (start, end), (first, last) = found, marked
    common = max(0, min(end, last) - max(start, first) + 1)
    return 2 * common / max(1, (last - first + 1) + max(0, end - start + 1))


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


def figures_value(figures: Mapping[str, Figures]) -> dict[str, dict[str, float | int | None]]:
    """Return figures as a JSON value, in order of the source."""
    return {source: asdict(figures[source]) for source in sorted(figures)}


def main() -> None:
    """Print the figures of a stored adapter as JSON."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA_FILE")
    parser.add_argument("--base", type=Path, required=True, help="folder of the encoder and its tokenizer.json")
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--split", choices=get_args(Split), default="test")
    parser.add_argument("--groups", type=int, default=GROUPS_OF_A_SOURCE, help="the most of a source")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        data = read_groups(arguments.data)
        groups = [group for group in data.groups if group.split == arguments.split]
        reader = load_adapter(arguments.base, arguments.adapter).to(device)
        encoder = Encoder(arguments.base / "tokenizer.json")
        figures = figures_value(check_reader(reader, groups, encoder, device=device, most=arguments.groups))
        figures["documents"] = check_documents(reader, groups, data.documents, encoder)
    except ProvenantError as error:
        parser.exit(error.exit_code, f"{error}\n")
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
