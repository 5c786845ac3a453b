"""How far chosen tokens lie below the maximum of an exact forward pass, teacher-forced on the same tokens.

It knows transformers' own decoder layer and refuses to know our decoding: nothing of `assistant` is used. Rules: the
weights are those that are stored (NF4 numbers times their scales, not rounded again) plus the adapter, everything is
float32 with TF32 off, one layer is unpacked at a time, so that an 8B model needs 2 GiB beside itself.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

_PROJECTIONS = {"self_attn": ("q_proj", "k_proj", "v_proj", "o_proj"), "mlp": ("gate_proj", "up_proj", "down_proj")}
_NORMS = ("input_layernorm", "post_attention_layernorm")


def teacher_forced_gaps(
    model: Any, prompts: Sequence[Sequence[int]], tokens: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """Return figures, in logits, of the chosen tokens of each prompt and of the reference's logits at their places.

    A gap is the reference's maximum minus its logit of the chosen token. The standard deviation of the logits and the
    mean distance of the two largest tell what a gap means: both grow with the weights.
    """
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    gaps, spreads, margins = [], [], []
    with torch.no_grad(), _exact_products():
        states = exact_states(causal, [[*prompt, *chosen] for prompt, chosen in zip(prompts, tokens, strict=True)])
        head = causal.lm_head.weight.float()
        for prompt, chosen, state in zip(prompts, tokens, states, strict=True):
            logits = state[len(prompt) - 1 : -1] @ head.T
            best = logits.topk(2).values
            gaps.append(best[:, 0] - logits.gather(1, torch.tensor(chosen, device=head.device)[:, None])[:, 0])
            spreads.append(logits.std(-1))
            margins.append(best[:, 0] - best[:, 1])
    return _figures(torch.cat(gaps), torch.cat(spreads), torch.cat(margins))


def exact_states(causal: Any, sequences: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """Return the normed last states of each sequence, (tokens, hidden) float32."""
    inner = causal.model
    device = inner.embed_tokens.weight.device
    states = [inner.embed_tokens.weight[torch.tensor(ids, device=device)].float()[None] for ids in sequences]
    config = copy.deepcopy(causal.config)
    config._attn_implementation = "eager"
    with torch.device(device):
        exact = type(inner.layers[0])(config, 0).float().eval()
    for layer in inner.layers:
        _copy_layer(layer, exact)
        for number, state in enumerate(states):
            states[number] = exact(state, attention_mask=_causal_mask(state), position_embeddings=_turns(inner, state))
    epsilon, scale = causal.config.rms_norm_eps, inner.norm.weight.float()
    return [(x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * scale)[0] for x in states]


def exact_weight(module: Any) -> torch.Tensor:
    """Return a linear layer's weight, (columns, depth) float32, with its active adapter added."""
    base = getattr(module, "base_layer", module)
    weight = _unpacked(base.weight) if hasattr(base.weight, "quant_state") else base.weight.detach().float()
    for name in getattr(module, "active_adapters", ()):
        if name in getattr(module, "lora_A", {}):
            low, up = module.lora_A[name].weight.detach().float(), module.lora_B[name].weight.detach().float()
            weight = weight + module.scaling[name] * (up @ low)
    return weight


def _unpacked(weight: Any) -> torch.Tensor:
    """Return an NF4 weight's numbers; the high half of a byte is the earlier one."""
    from bitsandbytes import functional

    state = weight.quant_state
    scales = state.absmax
    if state.nested:
        scales = functional.dequantize_blockwise(state.absmax, state.state2).float() + state.offset
    packed = weight.data.view(torch.uint8).view(-1)
    places = torch.stack((packed >> 4, packed & 15), dim=1).view(-1, state.blocksize).int()
    numbers = state.code.float()[places] * scales.float().view(-1, 1)
    unpacked: torch.Tensor = numbers.view(tuple(state.shape))
    return unpacked


def _copy_layer(layer: Any, exact: Any) -> None:
    for part, names in _PROJECTIONS.items():
        for name in names:
            getattr(getattr(exact, part), name).weight.copy_(exact_weight(getattr(getattr(layer, part), name)))
    for name in _NORMS:
        getattr(exact, name).weight.copy_(getattr(layer, name).weight)


def _causal_mask(state: torch.Tensor) -> torch.Tensor:
    tokens = state.shape[1]
    return torch.full((1, 1, tokens, tokens), float("-inf"), device=state.device).triu(1)


def _turns(inner: Any, state: torch.Tensor) -> Any:
    return inner.rotary_emb(state, torch.arange(state.shape[1], device=state.device)[None])


@contextmanager
def _exact_products() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _figures(gaps: torch.Tensor, spreads: torch.Tensor, margins: torch.Tensor) -> dict[str, Any]:
    return {
        "gap_max": round(float(gaps.max()), 4),
        "gap_p99": round(float(gaps.quantile(0.99)), 4),
        "gap_over_0.05": round(float((gaps > 0.05).float().mean()), 5),
        "tokens_checked": len(gaps),
        "logit_std": round(float(spreads.mean()), 3),
        "margin_mean": round(float(margins.mean()), 3),
    }
