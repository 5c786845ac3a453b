"""What the reader is trained on: order, answerability and place, in one sum.

- ranking: listwise softmax, each passage that answers against the near misses of its group;
- answering: binary cross-entropy over the passages whose label is known;
- span: cross-entropy of start and of end over the tokens of heading and text, where a span is marked.

It knows logits and labels, never a text. Rule: a part that a batch says nothing about counts zero, never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.reader_batches import NO_SPAN, Batch

if TYPE_CHECKING:
    import torch

SPAN_WEIGHT = 0.5
_OUT = -1e4  # a logit that never wins


@dataclass(frozen=True)
class Losses:
    """The three parts as scalars."""

    ranking: torch.Tensor
    answering: torch.Tensor
    span: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """What is minimised."""
        return self.ranking + self.answering + SPAN_WEIGHT * self.span


def measure_losses(scores: torch.Tensor, spans: torch.Tensor, batch: Batch) -> Losses:
    """Return the losses of scores (rows, 2) and span logits (rows, tokens, 2)."""
    return Losses(
        ranking=_ranking(scores[:, 0].float(), batch),
        answering=_answering(scores[:, 1].float(), batch.labels),
        span=_span(mask_spans(spans, batch), batch),
    )


def mask_spans(spans: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return span logits in float32, those of the question and of the padding out of reach."""
    outside = ~batch.mask | (batch.types == 0)  # (rows, tokens)
    return spans.float().masked_fill(outside[..., None], _OUT)


def _ranking(relevance: torch.Tensor, batch: Batch) -> torch.Tensor:
    from torch.nn.functional import log_softmax

    listed = relevance[batch.ranks].masked_fill(~batch.ranked, _OUT)  # (lists, 1 + near misses)
    return -log_softmax(listed, dim=1)[:, 0].sum() / max(1, len(listed))


def _answering(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import binary_cross_entropy_with_logits

    known = (labels >= 0).float()
    each = binary_cross_entropy_with_logits(answers, labels.clamp(min=0).float(), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def _span(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    from torch.nn.functional import cross_entropy

    marked = (batch.starts != NO_SPAN).sum().clamp(min=1)
    parts = [
        cross_entropy(logits[..., number], tokens, ignore_index=NO_SPAN, reduction="sum")
        for number, tokens in enumerate((batch.starts, batch.ends))
    ]
    return (parts[0] + parts[1]) / marked
