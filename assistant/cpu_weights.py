"""The weights of a Llama in NF4 as the CPU decoder reads them: sixteen rows side by side, still four bits each.

It knows the stored format (safetensors, bitsandbytes' NF4 with double quantization) and refuses to know arithmetic.
Rules: codes are moved, never rounded again; a model that this layout cannot hold is None, and then transformers
serves it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"U8": np.uint8, "F32": np.float32, "BF16": np.uint16, "F16": np.float16}
_BLOCK, _LANES = 64, 16
_LONGEST_WINDOW = 8192


@dataclass(frozen=True)
class Shape:
    """What the configuration says of a Llama."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    inner: int
    vocabulary: int
    window: int
    epsilon: float
    theta: float


@dataclass(frozen=True)
class Packed:
    """One matrix of every layer: codes (layers, tiles, blocks, 8, 16), scales (layers, tiles, blocks, 16)."""

    codes: NDArray[np.uint32]
    scales: NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """All of a model. `embeddings` are bfloat16 as stored, `rows` the same as (tiles, pairs, 16)."""

    shape: Shape
    table: NDArray[np.float32]
    matrices: Mapping[str, Packed]
    norms: NDArray[np.float32]  # (2 * layers + 1, hidden)
    embeddings: NDArray[np.uint16]
    rows: NDArray[np.uint32]


def read_weights(folder: Path) -> Weights | None:
    """Return the weights of a model folder, or None where it is no Llama of this kind."""
    shape = _read_shape(json.loads((folder / "config.json").read_text()))
    file = folder / "model.safetensors"
    if shape is None or not file.is_file():
        return None
    stored = _open_tensors(file)
    embeddings = stored["model.embed_tokens.weight"]
    if embeddings.dtype != np.uint16 or any(name.endswith(".bias") for name in stored):
        return None
    norms = [f"model.layers.{layer}.{name}_layernorm.weight" for layer in range(shape.layers) for name in _NORMS]
    return Weights(
        shape,
        np.array(stored["model.layers.0.mlp.up_proj.weight.quant_map"], dtype=np.float32),
        {name: _pack(stored, shape, parts) for name, parts in PARTS.items()},
        np.stack([_widen(stored[name]) for name in (*norms, "model.norm.weight")]),
        np.array(embeddings),
        _pack_rows(embeddings),
    )


_NORMS = ("input", "post_attention")
PARTS = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}


def _read_shape(config: Mapping[str, Any]) -> Shape | None:
    quantization = config.get("quantization_config", {})
    rope = config.get("rope_parameters") or {}
    usual = (
        config.get("model_type") == "llama"
        and config.get("tie_word_embeddings")
        and quantization.get("bnb_4bit_quant_type") == "nf4"
        and quantization.get("bnb_4bit_use_double_quant")
        and rope.get("rope_type") == "default"
        and config.get("hidden_act") == "silu"
    )
    if not usual:
        return None
    shape = Shape(
        config["num_hidden_layers"],
        config["hidden_size"],
        config["num_attention_heads"],
        config["num_key_value_heads"],
        config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"],
        config["intermediate_size"],
        config["vocab_size"],
        config["max_position_embeddings"],
        config["rms_norm_eps"],
        rope["rope_theta"],
    )
    rows = (shape.hidden, shape.heads * shape.head, shape.inner, shape.vocabulary, shape.kv_heads * shape.head * 4)
    fits = all(size % 64 == 0 for size in rows) and shape.window <= _LONGEST_WINDOW
    fits = fits and shape.head == 64 and shape.heads <= 3 * shape.kv_heads
    return shape if fits else None


def _open_tensors(file: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a safetensors file, mapped and not read."""
    content: NDArray[np.uint8] = np.memmap(file, dtype=np.uint8, mode="r")
    begin = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8:begin].tobytes())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        tensors[name] = content[begin + first : begin + last].view(_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def _widen(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return bfloat16, given as 16-bit patterns, or any other floats, as float32."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


def _pack(stored: Mapping[str, NDArray[Any]], shape: Shape, parts: tuple[str, ...]) -> Packed:
    codes, scales = [], []
    for layer in range(shape.layers):
        found = [_codes_and_scales(stored, f"model.layers.{layer}.{part}.weight") for part in parts]
        codes.append(_tile_codes(np.concatenate([one[0] for one in found])))
        scales.append(_tile_scales(np.concatenate([one[1] for one in found])))
    return Packed(np.stack(codes), np.stack(scales))


def _codes_and_scales(stored: Mapping[str, NDArray[Any]], name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return codes (rows, inputs) and scales (rows, blocks) of a matrix."""
    state = json.loads(stored[f"{name}.quant_state.bitsandbytes__nf4"].tobytes())
    rows, inputs = state["shape"]
    packed = stored[name].reshape(-1)
    codes = np.stack([packed >> 4, packed & 15], axis=1).reshape(rows, inputs)
    quantized = stored[f"{name}.absmax"].reshape(-1)
    outer = np.repeat(stored[f"{name}.nested_absmax"], state["nested_blocksize"])[: len(quantized)]
    scales = stored[f"{name}.nested_quant_map"][quantized] * outer + np.float32(state["nested_offset"])
    return codes, scales.astype(np.float32).reshape(rows, inputs // _BLOCK)


def _tile_codes(codes: NDArray[np.uint8]) -> NDArray[np.uint32]:
    rows, inputs = codes.shape
    tiles = codes.reshape(rows // _LANES, _LANES, inputs // 8, 8).astype(np.uint32)
    words = (tiles << (4 * np.arange(8, dtype=np.uint32))).sum(axis=3, dtype=np.uint32)
    return np.ascontiguousarray(words.transpose(0, 2, 1))  # (tiles, inputs / 8, 16)


def _tile_scales(scales: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, blocks = scales.shape
    return np.ascontiguousarray(scales.reshape(rows // _LANES, _LANES, blocks).transpose(0, 2, 1))


def _pack_rows(embeddings: NDArray[np.uint16]) -> NDArray[np.uint32]:
    rows, inputs = embeddings.shape
    pairs = np.ascontiguousarray(embeddings).view(np.uint32).reshape(rows // _LANES, _LANES, inputs // 2)
    return np.ascontiguousarray(pairs.transpose(0, 2, 1))
