"""What frozen weights are to training: the sizes of a model, and NF4 as bitsandbytes makes it.

It knows configurations and numbers; it refuses to know files (`base_folder`), adapters and data. Rule: a family or an
option that the training pass does not compute is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from governance.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 64
FAMILIES = ("llama", "mistral")
_FIXED_ROPES = ("default", "linear", "llama3", "yarn")
_STATED = {
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "middle": "intermediate_size",
    "vocabulary": "vocab_size",
    "window_tokens": "max_position_embeddings",
}


@dataclass(frozen=True)
class Sizes:
    """Sizes of a decoder of any family: numbers of layers and heads, widths, and the window in tokens.

    `tied` says whether the head is the embedding.
    """

    hidden: int
    layers: int
    heads: int
    key_heads: int
    head_dim: int
    middle: int
    vocabulary: int
    tied: bool
    window_tokens: int


@dataclass(frozen=True)
class Shape(Sizes):
    """What training computes with beside the sizes; `frequencies` are the rope's, (head_dim / 2,) float32."""

    epsilon: float
    frequencies: Tensor
    rope_scaling: float = 1.0


@dataclass(frozen=True)
class DoubleScales:
    """Scales in 8 bits with scales of their own."""

    codes: Tensor  # (rows * blocks,) uint8
    absmax: Tensor  # float32
    values: Tensor  # (256,) float32
    block: int
    offset: float

    def decoded(self) -> Tensor:
        """Return the scales in float32, (rows * blocks,)."""
        import torch

        plain: Tensor = torch.ops.bitsandbytes.dequantize_blockwise(
            self.codes, self.absmax, self.values, self.block, torch.float32
        )
        return plain + self.offset


@dataclass(frozen=True)
class Nf4:
    """A (rows, columns) weight in four bits, in blocks of 64 along its rows."""

    packed: Tensor  # (rows, columns / 2) uint8
    scales: Tensor | DoubleScales  # (rows * columns / 64,)
    code: Tensor  # (16,) float32


class WeightSource(Protocol):
    """Where weights come from, by the names that transformers gives them."""

    shape: Shape

    def dense(self, name: str) -> Tensor:
        """Return an embedding, norm or head weight."""

    def linear(self, name: str) -> Tensor | Nf4:
        """Return a projection, quantized or not."""


def quantize(weight: Tensor, *, doubly: bool) -> Nf4:
    """Return a (rows, columns) weight in NF4, quantized from float32, with plain or double-quantized scales."""
    import bitsandbytes.functional as four_bit

    packed, state = four_bit.quantize_4bit(
        weight.float(), blocksize=BLOCK, quant_type="nf4", compress_statistics=doubly
    )
    scales = (
        DoubleScales(state.absmax, state.state2.absmax, state.state2.code, state.state2.blocksize, float(state.offset))
        if doubly
        else state.absmax
    )
    return Nf4(packed.view(weight.shape[0], -1), scales, state.code.float())


def read_shape(config: Mapping[str, Any]) -> Shape:
    """Return the sizes of a model's configuration. Raises BadInput for what the training pass does not compute."""
    _refuse_others(config)
    sizes = read_sizes(config)
    frequencies, scaling = _rope(config)
    return Shape(
        **asdict(sizes),
        epsilon=float(config["rms_norm_eps"]),
        frequencies=frequencies,
        rope_scaling=scaling,
    )


def read_sizes(config: Mapping[str, Any], *, named: str = "The config.json of the base") -> Sizes:
    """Return the sizes that a model's configuration states.

    Raises BadInput naming what is missing, no number or below 1; `named` is what the sentence calls the configuration.
    """
    try:
        stated = {ours: int(config[theirs]) for ours, theirs in _STATED.items()}
        key_heads = int(config.get("num_key_value_heads") or stated["heads"])
        head_dim = int(config.get("head_dim") or stated["hidden"] // max(1, stated["heads"]))
    except KeyError as error:
        raise BadInput(
            f"{named} does not state {error}, a size of a language model; add it or name another."
        ) from error
    except (TypeError, ValueError) as error:
        raise BadInput(f"{named} states a size that is no number ({error}); correct it or name another.") from error
    sizes = {**stated, "key_heads": key_heads, "head_dim": head_dim}
    if min(sizes.values()) < 1:
        raise BadInput(f"{named} states a size below 1 ({sizes}); expected sizes of a language model.")
    return Sizes(**sizes, tied=bool(config.get("tie_word_embeddings", False)))


def _refuse_others(config: Mapping[str, Any]) -> None:
    family = config.get("model_type")
    if family not in FAMILIES:
        raise BadInput(
            f"The base is of the family {family!r}; training computes {' and '.join(FAMILIES)}: name another."
        )
    if config.get("attention_bias") or config.get("mlp_bias") or config.get("hidden_act", "silu") != "silu":
        raise BadInput(
            "The base has biases or another activation than silu, which training does not compute: name another."
        )
    window = config.get("sliding_window")
    if window and window < config.get("max_position_embeddings", 0):
        raise BadInput(f"The base attends to {window} tokens only, which training does not compute: name another base.")


def _rope(config: Mapping[str, Any]) -> tuple[Tensor, float]:
    """Return the rope's frequencies and scaling, as transformers computes them."""
    from transformers import AutoConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    known = {key: value for key, value in config.items() if key not in {"model_type", "quantization_config"}}
    rotary = LlamaRotaryEmbedding(AutoConfig.for_model(config["model_type"], **known))
    if rotary.rope_type not in _FIXED_ROPES:
        raise BadInput(
            f"The base turns positions by {rotary.rope_type}, which depends on the length: name another base."
        )
    return rotary.inv_freq.float(), float(rotary.attention_scaling)
