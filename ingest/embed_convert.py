"""Make an embedder ready for the CPU: export the encoder to ONNX once and quantize its weights to int8.

It knows the files of a sentence-transformers folder and refuses to know what is embedded with it. Rules: only the
constant matrices of MatMul become int8, one scale per column, so that activations are quantized as they come; the
original weights stay beside the result, because they are the reference and serve on a GPU; a pooling that the CPU
embedder does not do is refused here and not found out later.
"""

from __future__ import annotations

import json
import shutil
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from governance.errors import BadInput
from ingest.model_noise import quiet_libraries

if TYPE_CHECKING:
    import torch

ONNX_FILE = "model.int8.onnx"
OPSET = 17
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


def convert_embedder(raw: Path, out: Path) -> dict[str, str | int | bool]:
    """Move the raw files to `out`, add the int8 ONNX encoder, and return the settings it was made with.

    `raw` is a sentence-transformers folder. Raises BadInput where its pooling is neither mean nor first token.
    """
    pooling = read_pooling(raw)
    out.mkdir(parents=True, exist_ok=True)
    exact = out / "model.fp32.onnx"
    with quiet_libraries("root"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecation and of every traced condition
        _export_encoder(raw, exact)
        quantize_encoder(exact, out / ONNX_FILE)
    exact.unlink()
    for path in sorted(raw.iterdir()):
        if path.name != "terms":
            shutil.move(path, out / path.name)
    return {
        "format": "onnx-int8",
        "opset": OPSET,
        "per_channel": True,
        "pooling": pooling,
        "window_tokens": read_window(out),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "onnxruntime": version("onnxruntime"),
    }


def read_pooling(folder: Path) -> str:
    """Return "mean" or "cls", as the folder's pooling configuration says ("mean" where there is none)."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    stored = json.loads(path.read_text(encoding="utf-8"))
    chosen = [key for key, value in stored.items() if key.startswith("pooling_mode") and value is True]
    named = [_POOLINGS.get(key, key) for key in chosen] or [str(stored.get("pooling_mode", "mean"))]
    if len(named) != 1 or named[0] not in {"mean", "cls"}:
        raise BadInput(f"{path} pools by {', '.join(named)}, expected mean or cls alone; take another embedder.")
    return str(named[0])


def read_window(folder: Path) -> int:
    """Return how many tokens, special ones included, the embedder reads at once."""
    path = folder / "sentence_bert_config.json"
    if path.is_file():
        stated = json.loads(path.read_text(encoding="utf-8")).get("max_seq_length")
        if stated:
            return int(stated)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return min(int(config.get("max_position_embeddings", 512)), 512)


def _export_encoder(folder: Path, target: Path) -> None:
    import torch
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True, use_safetensors=True
    )
    ids = torch.ones(2, 8, dtype=torch.long)  # (batch, tokens): an example to trace, both axes stay free
    mask = torch.ones(2, 8, dtype=torch.long)
    mask[1, 5:] = 0
    names = ("input_ids", "attention_mask", "last_hidden_state")
    torch.onnx.export(
        _last_hidden_state(encoder.eval()),
        (ids, mask),
        str(target),
        input_names=list(names[:2]),
        output_names=list(names[2:]),
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names},
        opset_version=OPSET,
        dynamo=False,
    )


def _last_hidden_state(encoder: torch.nn.Module) -> torch.nn.Module:
    import torch

    class LastHiddenState(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            output = self.encoder(input_ids=input_ids, attention_mask=attention_mask, return_dict=True)
            hidden: torch.Tensor = output.last_hidden_state  # (batch, tokens, dim)
            return hidden

    return LastHiddenState()


def quantize_encoder(exact: Path, target: Path) -> None:
    """Write an ONNX model with the constant matrices of its MatMul nodes in int8, one scale per column."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(exact), str(target), weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"]
    )
