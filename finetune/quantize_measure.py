"""How far a model's next-token probabilities are from a reference's, text by text.

It knows token ids, probabilities and which positions count, and refuses to know where texts come from. Rules: the
reference is computed once and kept in memory as float32 logs; KL is of the reference against the other (nats a token);
calibration is of the likeliest token: its probability against whether it is the right one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assistant.metrics import expected_calibration_error

if TYPE_CHECKING:
    from torch import Tensor

MOST_POSITIONS = 48


@dataclass(frozen=True)
class Measured:
    """A text as tokens: those from `first` on are measured, at most 48 of them."""

    name: str
    ids: tuple[int, ...]
    first: int

    @property
    def rows(self) -> range:
        """The positions whose next token is measured."""
        return range(self.first - 1, min(len(self.ids) - 1, self.first - 1 + MOST_POSITIONS))


@dataclass(frozen=True)
class TextFigures:
    """Of one text: mean loss and KL in nats a token, the likeliest tokens' probabilities and whether each is right."""

    name: str
    tokens: int
    loss: float
    kl: float
    confidences: tuple[float, ...]
    hits: tuple[bool, ...]


def logs_of(model: Any, text: Measured) -> Tensor:
    """Return the log probabilities of the measured positions, (positions, vocabulary), float32 on the CPU."""
    import torch

    with torch.inference_mode():
        ids = torch.tensor([text.ids[: text.rows.stop + 1]], device=model.device)
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=len(text.rows) + 1).logits[0, :-1]
        return torch.log_softmax(logits.float(), dim=-1).cpu()


def measure_texts(
    model: Any,
    texts: Sequence[Measured],
    reference: Sequence[Tensor] | None,
    say: Callable[[float, str], None] | None = None,
) -> list[TextFigures]:
    """Return the figures of each text; without a reference KL is 0."""
    found = []
    for number, text in enumerate(texts):
        logs = logs_of(model, text)
        kl = 0.0
        if reference is not None:
            before = reference[number]
            kl = float((before.exp() * (before - logs)).sum(-1).clamp(min=0).mean())
        found.append(_figures(text, logs, kl))
        if say is not None:
            say((number + 1) / len(texts), text.name)
    return found


def _figures(text: Measured, logs: Tensor, kl: float) -> TextFigures:
    import torch

    right = torch.tensor([text.ids[row + 1] for row in text.rows])
    best, place = logs.max(dim=-1)
    return TextFigures(
        name=text.name,
        tokens=len(right),
        loss=float(-logs[torch.arange(len(right)), right].mean()),
        kl=kl,
        confidences=tuple(best.exp().tolist()),
        hits=tuple((place == right).tolist()),
    )


def summary(figures: Sequence[TextFigures]) -> dict[str, float]:
    """Return perplexity, KL, accuracy of the next token and its calibration over all measured tokens."""
    tokens = sum(one.tokens for one in figures)
    if not tokens:
        return {}
    confidences = [value for one in figures for value in one.confidences]
    hits = [hit for one in figures for hit in one.hits]
    return {
        "perplexity": math.exp(min(50.0, sum(one.loss * one.tokens for one in figures) / tokens)),
        "kl": sum(one.kl * one.tokens for one in figures) / tokens,
        "token_accuracy": sum(hits) / tokens,
        "ece": expected_calibration_error(confidences, hits),
        "tokens": float(tokens),
    }
