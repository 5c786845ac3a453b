"""Scores of whole documents: each passage of a document read against a question that is asked of it.

A passage among thousands that happens to look like an answer is what makes an assistant answer where it should not, so
near misses are chosen, and readers judged, by all passages of a document and not by the few that share its words. It
knows logits and refuses to know what is done with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finetune.reader_batches import Batch, Encoder, make_batch
from finetune.reader_groups import ANSWERS_NOT, Candidate, Group, Passage
from finetune.reader_model import merged_copy

if TYPE_CHECKING:
    import torch

_ROWS = 768  # to a batch; a longer document is a batch of its own
_ROWS_AT_ONCE = 256
Scores = NDArray[np.float32]
Documents = Mapping[str, tuple[Passage, ...]]


def score_documents(
    reader: torch.nn.Module, groups: Sequence[Group], documents: Documents, encoder: Encoder, *, workers: int = 0
) -> Iterator[tuple[Group, Scores]]:
    """Yield each group with the logits (passages of its document, 2) of relevance and answerability, in order."""
    import torch
    from torch.utils.data import DataLoader

    device = next(reader.parameters()).device.type
    whole: Any = _Whole([_asked(group, documents) for group in groups], encoder)
    loaded = DataLoader(
        whole, batch_size=None, num_workers=workers, pin_memory=device == "cuda", prefetch_factor=4 if workers else None
    )
    reading = merged_copy(reader)
    asked = iter(groups)
    for chunk, batch in zip(whole.chunks, loaded, strict=True):
        with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            scores = _read(reading, batch.to(device))
        ends = np.cumsum([len(group.candidates) for group in chunk])[:-1]
        for of_group in np.split(scores.cpu().numpy(), ends):
            yield next(asked), of_group


def _read(reader: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Return scores (rows, 2) in order; rows are read with others of their length, so that little is padded."""
    import torch

    lengths = batch.mask.sum(dim=1)  # (rows,)
    order = lengths.argsort()
    scores = torch.empty((len(order), 2), device=order.device)
    for part in order.split(_ROWS_AT_ONCE):  # type: ignore[no-untyped-call]
        width = int(lengths[part[-1]])
        ids, types, mask = (tensor[part, :width] for tensor in (batch.ids, batch.types, batch.mask))
        scores[part] = reader(ids, types, mask)[0].float()
    return scores


class _Whole:
    """Groups of all passages of their documents, some to a batch."""

    def __init__(self, groups: Sequence[Group], encoder: Encoder) -> None:
        encoder.prepare(groups)
        self._encoder = encoder
        self.chunks: list[list[Group]] = []
        room = 0
        for group in groups:
            if room < len(group.candidates):
                self.chunks.append([])
                room = _ROWS
            self.chunks[-1].append(group)
            room -= len(group.candidates)

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, number: int) -> Batch:
        if number >= len(self):
            raise IndexError(number)
        return make_batch(self.chunks[number], self._encoder, pick=lambda spans: spans[0])


def _asked(group: Group, documents: Documents) -> Group:
    candidates = tuple(Candidate(passage, ANSWERS_NOT) for passage in documents[group.document])
    return Group(group.question, group.source, group.document, group.split, candidates)
