"""Write a merged Llama-family model as a GGUF, the file that llama.cpp and its relatives read.

It knows safetensors, a tokenizer file and the names of GGUF, and refuses to know adapters. Rules: only the Llama layout
with a byte-level tokenizer whose word splitting is known is written, anything else is refused rather than written
wrongly; queries and keys are reordered as that format wants; norms stay in float32.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from governance.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_TOP_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def write_gguf(folder: Path, path: Path, *, kind: Literal["F16", "Q8_0"]) -> None:
    """Write the model of a folder. Raises BadInput for a family or a tokenizer that is not written here."""
    import gguf
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") != "llama":
        raise BadInput(f"A GGUF of the family {config.get('model_type')} is not written here, expected llama.")
    writer = gguf.GGUFWriter(path, "llama")
    _write_sizes(writer, config, kind)
    _write_tokenizer(writer, folder, config)
    stored = gguf.GGMLQuantizationType[kind]
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - not a mapping
            values = _reordered(name, file.get_tensor(name).float().numpy(), config)
            _write_tensor(writer, _gguf_name(name), values, stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_sizes(writer: Any, config: dict[str, Any], kind: str) -> None:
    import gguf

    heads, head_dim = config["num_attention_heads"], config.get("head_dim")
    head_dim = head_dim or config["hidden_size"] // heads
    rope = config.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default":
        raise BadInput(f"A GGUF with the rope {rope['rope_type']} is not written here; export the merged form.")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0))
    writer.add_rope_dimension_count(head_dim)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType["MOSTLY_F16" if kind == "F16" else "MOSTLY_Q8_0"])


def _write_tokenizer(writer: Any, folder: Path, config: dict[str, Any]) -> None:
    """Write a byte-level tokenizer that splits digits, as SmolLM's does, with its template."""
    import gguf

    stored = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    words = json.dumps(stored.get("pre_tokenizer") or {})
    if stored["model"].get("type") != "BPE" or "ByteLevel" not in words or '"individual_digits": true' not in words:
        raise BadInput("The tokenizer splits words in a way that is not written as GGUF here; export the merged form.")
    special = {int(token["id"]): token["content"] for token in stored.get("added_tokens", []) if token["special"]}
    vocabulary = {number: token for token, number in stored["model"]["vocab"].items()} | special
    tokens = [vocabulary.get(number, f"<unused{number}>") for number in range(config["vocab_size"])]
    kinds = [gguf.TokenType.CONTROL if number in special else gguf.TokenType.NORMAL for number in range(len(tokens))]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in stored["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    template = folder / "chat_template.jinja"
    if template.is_file():
        writer.add_chat_template(template.read_text(encoding="utf-8"))


def _write_tensor(writer: Any, name: str, values: NDArray[np.float32], stored: Any) -> None:
    import gguf
    import numpy as np

    if values.ndim == 1:
        writer.add_tensor(name, values.astype(np.float32))
    elif stored == gguf.GGMLQuantizationType.F16:
        writer.add_tensor(name, values.astype(np.float16))
    else:
        quantized = gguf.quants.quantize(values, stored)
        writer.add_tensor(name, quantized, raw_dtype=stored)


def _gguf_name(name: str) -> str:
    if name in _TOP_NAMES:
        return _TOP_NAMES[name]
    _, _, number, rest = name.split(".", 3)
    return f"blk.{number}.{_LAYER_NAMES[rest.removesuffix('.weight')]}.weight"


def _reordered(name: str, values: NDArray[np.float32], config: dict[str, Any]) -> NDArray[np.float32]:
    """Return queries and keys with the halves of each head interleaved, as the rope of that format pairs them."""
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for part, count in heads.items():
        if f".{part}." in name:
            rows, columns = values.shape
            return values.reshape(count, 2, rows // count // 2, columns).swapaxes(1, 2).reshape(rows, columns)
    return values
