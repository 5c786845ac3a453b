"""The reader while it is trained: a frozen BERT encoder, low-rank updates of its linear layers, and three heads.

Trained are the updates (Hu et al. 2021, LoRA), every layer norm, the token types and the heads; nothing else is
stored. It knows tensors and their names and refuses to know what is read. Rules: the names are those that
`assistant.reader_convert` merges; a fresh update is zero, so training starts from the encoder as it is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.reader_convert import ADAPTER_SCALE, LINEARS, NORMS
from governance.errors import BadInput
from ingest.model_noise import quiet_libraries

if TYPE_CHECKING:
    import torch


def new_reader(base: Path, *, rank: int) -> torch.nn.Module:
    """Return a reader to be trained; it draws its updates and heads from torch's random numbers.

    It maps (ids, types, mask), each (batch, tokens), to scores (batch, 2), the logits of relevance and answerability,
    and to spans (batch, tokens, 2), the logits of start and end. Raises BadInput where `base` holds no BERT encoder.
    """
    import torch

    encoder = _load_encoder(base)
    width = int(encoder.config.hidden_size)
    for _, layer, path in _linears(encoder):
        layer.set_submodule(path, _updated(layer.get_submodule(path), rank))

    class Reader(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.head = torch.nn.Linear(width, width)
            self.out = torch.nn.Linear(width, 2)
            self.span = torch.nn.Linear(width, 2)

        def forward(
            self, ids: torch.Tensor, types: torch.Tensor, mask: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = self.encoder(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state
            return self.out(torch.tanh(self.head(hidden[:, 0]))), self.span(hidden)  # hidden: (batch, tokens, dim)

    reader = Reader()
    for tensor in trained_tensors(reader).values():
        tensor.requires_grad_(True)
    return reader


def trained_tensors(reader: Any) -> dict[str, torch.nn.Parameter]:
    """Return what is trained by its stored name: `lins.0q.a`, `norms.01_w`, `typ`, `head.weight` and so on."""
    found: dict[str, torch.nn.Parameter] = {"typ": reader.encoder.embeddings.token_type_embeddings.weight}
    found |= _norm(reader.encoder.embeddings.LayerNorm, "e")
    for name, layer, path in _linears(reader.encoder):
        update = layer.get_submodule(path)
        found |= {f"lins.{name}.a": update.a, f"lins.{name}.c": update.c}
    for number, layer in enumerate(reader.encoder.encoder.layer):
        for short, path in NORMS.items():
            found |= _norm(layer.get_submodule(path), f"{number}{short}")
    for head in ("head", "out", "span"):
        found |= {f"{head}.{name}": tensor for name, tensor in getattr(reader, head).named_parameters()}
    return found


def merged_copy(reader: torch.nn.Module) -> torch.nn.Module:
    """Return a reader that gives the same logits, its updates merged into the weights: for reading only."""
    import torch

    copied: Any = copy.deepcopy(reader).eval()
    for _, layer, path in _linears(copied.encoder):
        update = layer.get_submodule(path)
        with torch.no_grad():
            update.frozen.weight += ADAPTER_SCALE * update.c @ update.a
        layer.set_submodule(path, update.frozen)
    return copied  # type: ignore[no-any-return]


def save_adapter(reader: torch.nn.Module, path: Path) -> None:
    """Write what was trained in half precision."""
    from safetensors.torch import save_file

    stored = {name: tensor.detach().half().cpu().contiguous() for name, tensor in trained_tensors(reader).items()}
    beside = path.with_name(f"{path.name}.part")
    save_file(stored, beside)
    beside.replace(path)


def load_adapter(base: Path, path: Path) -> torch.nn.Module:
    """Return a reader with a stored adapter in place. Raises BadInput where it is none for this encoder."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored = load_file(path)
        reader = new_reader(base, rank=stored["lins.0q.a"].shape[0])
        tensors = trained_tensors(reader)
        if set(tensors) != set(stored):
            raise ValueError(f"{len(set(tensors) ^ set(stored))} names differ")
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(stored[name].reshape(tensor.shape))
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise BadInput(f"{path} is no adapter for the encoder in {base} ({error}); train one for it.") from error
    return reader


def _load_encoder(base: Path) -> Any:
    import torch
    from transformers import BertModel

    try:
        with quiet_libraries():
            encoder: Any = BertModel.from_pretrained(
                base, add_pooling_layer=False, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
            )
    except (OSError, ValueError) as error:
        raise BadInput(f"{base} holds no BERT encoder ({error}); name a folder with config and weights.") from error
    encoder.requires_grad_(False)
    return encoder


def _linears(encoder: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield the short name, the layer and the path in it of each linear layer."""
    for number, layer in enumerate(encoder.encoder.layer):
        for short, path in LINEARS.items():
            yield f"{number}{short}", layer, path


def _updated(linear: Any, rank: int) -> torch.nn.Module:
    """Return a frozen linear layer with a low-rank update beside it, at first zero."""
    import torch
    from torch.nn.functional import linear as apply

    class Updated(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen = linear
            self.a = torch.nn.Parameter(torch.randn(rank, linear.in_features) / math.sqrt(linear.in_features))
            self.c = torch.nn.Parameter(torch.zeros(linear.out_features, rank))

        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            as_it_was: torch.Tensor = self.frozen(hidden)
            return as_it_was + ADAPTER_SCALE * apply(apply(hidden, self.a), self.c)

    return Updated()


def _norm(norm: Any, name: str) -> dict[str, torch.nn.Parameter]:
    return {f"norms.{name}_w": norm.weight, f"norms.{name}_b": norm.bias}
