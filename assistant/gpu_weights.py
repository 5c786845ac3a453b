"""The weights of a Llama-family model as fast decoding reads them.

It knows modules of transformers, NF4 weights of bitsandbytes and unmerged LoRA layers of PEFT by their form, imports
none of these, and refuses to know prompts, users or kernels. Rules: projections that read the same input become one
(query, key, value; gate, up), and the modules are pointed at the joined bytes, so that the model still works and
nothing is held twice; the adapter stays apart from the base weights; numbers are read as they are stored, not as a
short type would round them again; whatever cannot be computed exactly as the model does is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from governance.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_RANK = 16  # tensor cores multiply in sixteens; smaller adapters are padded with zeros
_FIXED_ROPES = ("default", "linear", "llama3", "yarn")


@dataclass(frozen=True)
class Nf4Weight:
    """Weight of (columns, depth) numbers in 4 bits, with its scales decoded."""

    packed: Tensor  # (columns, depth / 2) uint8; the high half of a byte is the earlier number
    absmax: Tensor  # (columns, depth / block_size) float32
    code: Tensor  # (16,) float32
    block_size: int
    quant_type: str


@dataclass(frozen=True)
class Adapter:
    """LoRA of one joined projection: segment s adds `x low[s].T up[s].T`, with the scaling inside `up`."""

    low: Tensor  # (segments * rank, depth)
    up: Tensor  # (columns, rank)
    ends: tuple[int, ...]  # columns where segments end
    rank: int


@dataclass(frozen=True)
class Projection:
    """One joined linear layer."""

    weight: Nf4Weight | Tensor
    adapter: Adapter | None
    columns: int
    depth: int


@dataclass(frozen=True)
class Layer:
    """One decoder layer."""

    attention_norm: Tensor  # (hidden,)
    attention_in: Projection  # query, key, value
    attention_out: Projection
    mlp_norm: Tensor  # (hidden,)
    mlp_in: Projection  # gate, up
    mlp_out: Projection


@dataclass(frozen=True)
class Geometry:
    """Sizes that every operation needs."""

    heads: int
    key_heads: int
    head_dim: int
    epsilon: float

    @property
    def group(self) -> int:
        """Return how many query heads share a key head."""
        return self.heads // self.key_heads


@dataclass(frozen=True)
class Weights:
    """A whole model."""

    geometry: Geometry
    embedding: Tensor  # (vocabulary, hidden)
    layers: tuple[Layer, ...]
    final_norm: Tensor  # (hidden,)
    head: Tensor  # (vocabulary, hidden)
    cosines: Tensor  # (context, head_dim / 2) float32
    sines: Tensor  # (context, head_dim / 2) float32

    @property
    def operand_type(self) -> Any:
        """Return the type in which products read their input and the cache holds keys and values."""
        return operand_type(self.embedding)


def operand_type(like: Tensor) -> Any:
    """Return float32 for a float32 model, else float16: as fast as bfloat16, with 11 bits of a number for 8."""
    import torch

    return torch.float32 if like.dtype == torch.float32 else torch.float16


def read_weights(model: Any, *, context_tokens: int, with_adapter: bool = True) -> Weights:
    """Return the weights of a Llama model of transformers, plain or NF4, alone or inside a PEFT model.

    The model's joined projections share their bytes with the result. Raises BadInput where the model is of another
    family or an adapter is of a kind that is not computed here.
    """
    import torch

    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = causal.config
    _refuse_other_families(config, causal)
    dtype = operand_type(causal.model.embed_tokens.weight) if with_adapter else None
    with torch.no_grad():
        cosines, sines = _rope_tables(causal.model.rotary_emb, context_tokens, causal.model.embed_tokens.weight.device)
        return Weights(
            geometry=Geometry(
                heads=config.num_attention_heads,
                key_heads=config.num_key_value_heads,
                head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
                epsilon=config.rms_norm_eps,
            ),
            embedding=causal.model.embed_tokens.weight.detach(),
            layers=tuple(_read_layer(layer, dtype) for layer in causal.model.layers),
            final_norm=causal.model.norm.weight.detach(),
            head=causal.lm_head.weight.detach(),
            cosines=cosines,
            sines=sines,
        )


def dequantized(weight: Nf4Weight, dtype: Any) -> Tensor:
    """Return a weight's numbers, (columns, depth), as bitsandbytes makes them."""
    import torch

    columns, half = weight.packed.shape
    numbers: Tensor = torch.ops.bitsandbytes.dequantize_4bit(
        weight.packed.view(-1, 1),
        weight.absmax.view(-1),
        weight.block_size,
        weight.quant_type,
        [columns, 2 * half],
        dtype,
    )
    return numbers


def _refuse_other_families(config: Any, causal: Any) -> None:
    if config.model_type != "llama":
        raise BadInput(
            f"The model is of the family {config.model_type}; fast decoding reads llama: use its own generate."
        )
    rope = causal.model.rotary_emb.rope_type
    if rope not in _FIXED_ROPES:
        raise BadInput(f"The model turns positions by {rope}, which depends on the length: use its own generate.")
    for name, module in (("embedding", causal.model.embed_tokens), ("head", causal.lm_head)):
        if hasattr(module, "base_layer") or hasattr(module.weight, "quant_state"):
            raise BadInput(f"The model's {name} is adapted or quantized; expected a plain one: use its own generate.")


def _rope_tables(rotary: Any, context_tokens: int, device: Any) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of each position in float32; transformers rounds them to the model's type."""
    import torch

    positions = torch.arange(context_tokens, device=device, dtype=torch.float32)
    angles = positions[:, None] * rotary.inv_freq.to(device=device, dtype=torch.float32)[None, :]
    scaling = float(rotary.attention_scaling)
    return angles.cos() * scaling, angles.sin() * scaling


def _read_layer(layer: Any, dtype: Any) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    return Layer(
        attention_norm=layer.input_layernorm.weight.detach(),
        attention_in=_join([attention.q_proj, attention.k_proj, attention.v_proj], dtype),
        attention_out=_join([attention.o_proj], dtype),
        mlp_norm=layer.post_attention_layernorm.weight.detach(),
        mlp_in=_join([mlp.gate_proj, mlp.up_proj], dtype),
        mlp_out=_join([mlp.down_proj], dtype),
    )


def _join(modules: Sequence[Any], dtype: Any) -> Projection:
    """Join modules that read the same input; `dtype` is the adapter's type, None to leave the adapter out."""
    linears = [getattr(module, "base_layer", module) for module in modules]
    if any(linear.bias is not None for linear in linears):
        raise BadInput("A projection has a bias; fast decoding expects none: use the model's own generate.")
    depth = linears[0].in_features
    columns = [linear.out_features for linear in linears]
    quantized = [hasattr(linear.weight, "quant_state") for linear in linears]
    if any(quantized) != all(quantized):
        raise BadInput("Of projections that read the same input only some are quantized: quantize all or none.")
    weight = _join_nf4(linears, depth) if quantized[0] else _join_dense(linears)
    adapter = _join_adapters(modules, columns, dtype) if dtype is not None else None
    return Projection(weight=weight, adapter=adapter, columns=sum(columns), depth=depth)


def _join_dense(linears: Sequence[Any]) -> Tensor:
    import torch

    if len(linears) == 1:
        alone: Tensor = linears[0].weight.detach()
        return alone
    joined = torch.cat([linear.weight.detach() for linear in linears])
    for linear, piece in zip(linears, torch.split(joined, [linear.out_features for linear in linears]), strict=True):
        linear.weight.data = piece
    return joined


def _join_nf4(linears: Sequence[Any], depth: int) -> Nf4Weight:
    import torch

    states = [linear.weight.quant_state for linear in linears]
    kinds = {(state.blocksize, state.quant_type) for state in states}
    if (
        len(kinds) != 1
        or depth % states[0].blocksize
        or any(getattr(s, "packing_format_for_cpu", False) for s in states)
    ):
        raise BadInput(
            f"Quantized weights of kinds {sorted(kinds)} and depth {depth} do not join: quantize them alike."
        )
    bytes_of = [linear.weight.data.view(torch.uint8).view(-1, depth // 2) for linear in linears]
    packed = bytes_of[0]
    if len(linears) > 1:
        packed = torch.cat(bytes_of)
        for linear, piece in zip(linears, torch.split(packed, [len(rows) for rows in bytes_of]), strict=True):
            linear.weight.data = piece.view(linear.weight.data.dtype).view(linear.weight.data.shape)
    absmax = torch.cat([_decoded_absmax(state).view(-1, depth // state.blocksize) for state in states])
    code = states[0].code.to(torch.float32)
    return Nf4Weight(packed, absmax, code, states[0].blocksize, states[0].quant_type)


def _decoded_absmax(state: Any) -> Tensor:
    """Return a weight's scales in float32; with double quantization they are themselves in 8 bits."""
    import torch

    if not state.nested:
        plain: Tensor = state.absmax.to(torch.float32)
        return plain
    second = state.state2
    decoded: Tensor = torch.ops.bitsandbytes.dequantize_blockwise(
        state.absmax, second.absmax, second.code, second.blocksize, torch.float32
    )
    decoded += state.offset
    return decoded


def _join_adapters(modules: Sequence[Any], columns: Sequence[int], dtype: Any) -> Adapter | None:
    import torch

    pairs = [_adapter_of(module) for module in modules]
    ranks = [pair[0].shape[0] for pair in pairs if pair is not None]
    if not ranks:
        return None
    rank = max(SMALLEST_RANK, 1 << (max(ranks) - 1).bit_length())
    depth = getattr(modules[0], "base_layer", modules[0]).in_features
    device = next(pair[0].device for pair in pairs if pair is not None)
    low = torch.zeros(len(modules) * rank, depth, dtype=dtype, device=device)
    up = torch.zeros(sum(columns), rank, dtype=dtype, device=device)
    ends = tuple(sum(columns[: number + 1]) for number in range(len(columns)))
    for number, pair in enumerate(pairs):
        if pair is not None:
            own = pair[0].shape[0]
            low[number * rank : number * rank + own] = pair[0]
            up[ends[number] - columns[number] : ends[number], :own] = pair[1]
    return Adapter(low=low, up=up, ends=ends, rank=rank)


def _adapter_of(module: Any) -> tuple[Tensor, Tensor] | None:
    """Return A and the scaled B of a module's one active LoRA adapter, or None where it has none."""
    active = [name for name in getattr(module, "active_adapters", ()) if name in getattr(module, "lora_A", {})]
    if not active:
        return None
    name = active[0]
    if len(active) > 1 or module.merged_adapters or name in module.lora_variant or module.lora_bias.get(name):
        raise BadInput("The model has several, merged or special LoRA adapters; expected one plain unmerged one.")
    return module.lora_A[name].weight.detach(), module.lora_B[name].weight.detach() * module.scaling[name]
