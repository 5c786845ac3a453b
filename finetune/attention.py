"""Causal attention within the documents of a pack, by the fastest exact means at hand.

On CUDA one kernel for all documents (torch's variable-length attention), elsewhere torch's own attention for each. It
knows queries, keys, values and where documents begin. Rule: a token sees nothing of another document, whatever stands
beside it in the pack; so a pack costs the sum of its documents' squares and not the square of its length.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Documents:
    """The documents of a pack: their lengths in tokens and, on the device, where each begins and the last ends."""

    lengths: tuple[int, ...]
    bounds: Tensor  # (documents + 1,) int32

    @property
    def longest(self) -> int:
        """Length of the longest document in tokens."""
        return max(self.lengths)


def attend(queries: Tensor, keys: Tensor, values: Tensor, documents: Documents) -> Tensor:
    """Return (tokens, heads, head_dim); queries are of that form, keys and values (tokens, key_heads, head_dim)."""
    if not queries.is_cuda:
        return _attend_each(queries, keys, values, documents)
    from torch.nn.attention.varlen import varlen_attn

    longest = documents.longest
    found: Any = varlen_attn(queries, keys, values, documents.bounds, documents.bounds, longest, longest, **_options())
    attended: Tensor = found
    return attended


@lru_cache(maxsize=1)
def _options() -> dict[str, Any]:
    """Return how the installed torch wants to hear of causal attention with shared key heads."""
    from torch.nn.attention.varlen import varlen_attn

    known = inspect.signature(varlen_attn).parameters
    options: dict[str, Any] = {"window_size": (-1, 0)} if "window_size" in known else {"is_causal": True}
    return options | ({"enable_gqa": True} if "enable_gqa" in known else {})


def _attend_each(queries: Tensor, keys: Tensor, values: Tensor, documents: Documents) -> Tensor:
    import torch
    from torch.nn.functional import scaled_dot_product_attention as attention

    pieces, at = [], 0
    for length in documents.lengths:
        one, at = slice(at, at + length), at + length
        query, key, value = (part[one].transpose(0, 1)[None] for part in (queries, keys, values))
        pieces.append(attention(query, key, value, is_causal=True, enable_gqa=True)[0].transpose(0, 1))
    return torch.cat(pieces)
