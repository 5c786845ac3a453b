"""Make a base model servable: GGUF to safetensors once, then NF4 with double quantization.

The result has `base/` (half precision, where training starts from) and `nf4/` (what is served), each with the
tokenizer. It knows formats and refuses to know prompts. Rules: a GGUF whose word splitting is not known here is
refused, because a wrong one changes answers without any error; what is quantized is the base in float32, so the
result does not depend on the machine's half-precision arithmetic; nothing is fetched here.
"""

from __future__ import annotations

import errno
import importlib.util
import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version
from pathlib import Path
from typing import Any

from assistant.reader_convert import convert_reader
from governance.errors import BadInput, ProvenantError
from governance.model_catalogue import ModelKind, find_entry
from governance.model_pull import Convert, LocalModel, pull_model, register_folder
from governance.models import Manifest, Setting
from ingest.embed_convert import convert_embedder
from ingest.model_noise import quiet_libraries

Progress = Callable[[str], None]

BASE_FOLDER = "base"
QUANTIZED_FOLDER = "nf4"
GGUF_FILE = "model.gguf"
PLAIN_TEMPLATE = (
    "{{ bos_token or '' }}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)
"""For a base model that states none: roles by name, one message to a line."""

_NEEDED = {"llm": ("gguf", "bitsandbytes"), "embedder": ("onnx",), "reader": ("onnx",)}


def pull(name: str, models_root: Path, progress: Progress) -> Manifest:
    """Fetch and convert a model of the catalogue into the model folder; an intact one is left as it is.

    Raises NotFound for an unknown name and the errors of `pull_model`.
    """
    entry = find_entry(name)
    return pull_model(entry, models_root, convert=converter_for(entry.kind), progress=progress)


def pull_folder(local: LocalModel, models_root: Path, progress: Progress) -> Manifest:
    """Copy and convert a local model into the model folder. Raises BadInput naming what the folder lacks."""
    return register_folder(local, models_root, convert=converter_for(local.kind), progress=progress)


def converter_for(kind: ModelKind) -> Convert:
    """Return the conversion for a kind of model. Raises ProvenantError where its libraries are not installed."""
    missing = [module for module in _NEEDED[kind] if importlib.util.find_spec(module) is None]
    if missing:
        raise ProvenantError(
            f"Converting a model of kind {kind} needs {', '.join(missing)}, not installed here; "
            "run `pip install 'provenant[models]'`, then pull again."
        )
    return {"llm": convert_llm, "embedder": convert_embedder, "reader": convert_reader}[kind]


def convert_llm(raw: Path, out: Path) -> dict[str, Setting]:
    """Make `out/base` and `out/nf4` of a GGUF or of a folder like a hub snapshot, and return the settings used.

    Raises BadInput for a GGUF whose tokenizer is not known here and for a folder that is no causal language model.
    """
    base, quantized = out / BASE_FOLDER, out / QUANTIZED_FOLDER
    out.mkdir(parents=True, exist_ok=True)
    with quiet_libraries(), _full_disk_as_oserror():
        if (raw / GGUF_FILE).is_file():
            source_format = f"gguf {_dequantize(raw / GGUF_FILE, base)}"
        else:
            source_format = "safetensors"
            _move_snapshot(raw, base)
        _quantize(base, quantized)
    return {
        "source_format": source_format,
        "quantization": "nf4-dq",
        "blocksize": 64,
        "compute": "float32",
        "torch": version("torch"),
        "transformers": version("transformers"),
        "bitsandbytes": version("bitsandbytes"),
    }


def _dequantize(gguf_file: Path, base: Path) -> str:
    """Write a GGUF as bfloat16 safetensors with its tokenizer, and return how its words are split."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    splitting = _word_splitting(gguf_file)
    tokenizer = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name, local_files_only=True)
    _set_word_splitting(tokenizer, splitting)
    with redirect_stderr(io.StringIO()):  # its progress bar has no other switch
        model = AutoModelForCausalLM.from_pretrained(
            gguf_file.parent,
            gguf_file=gguf_file.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
            local_files_only=True,
        )
    model.save_pretrained(base)
    _save_tokenizer(tokenizer, base)
    return splitting


def _word_splitting(gguf_file: Path) -> str:
    """Return the name of the word splitting that a GGUF states, such as "smollm"."""
    from gguf import GGUFReader

    fields = GGUFReader(str(gguf_file)).fields
    stated = [str(fields[key].contents()) for key in ("tokenizer.ggml.model", "tokenizer.ggml.pre") if key in fields]
    return "/".join(stated)


def _set_word_splitting(tokenizer: Any, splitting: str) -> None:
    """Give a GGUF tokenizer the word splitting of its model, which transformers leaves at the one of GPT-2.

    For SmolLM that loses the split before each digit: a list after an empty line becomes other tokens than the model
    was trained on.
    """
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    if splitting == "gpt2/smollm":
        words = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
        tokenizer.backend_tokenizer.pre_tokenizer = words
    elif splitting not in {"gpt2/gpt-2", "gpt2", "llama", "llama/default"}:
        raise BadInput(f"The GGUF splits words by {splitting!r}, which is not known here; use its safetensors instead.")


def _move_snapshot(raw: Path, base: Path) -> None:
    from transformers import AutoTokenizer

    base.mkdir()
    for path in sorted(raw.iterdir()):
        if path.name != "terms":
            shutil.move(path, base / path.name)
    with _unreadable_as_bad_input("tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    if not tokenizer.chat_template:
        _save_tokenizer(tokenizer, base)


def _save_tokenizer(tokenizer: Any, folder: Path) -> None:
    if not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_TEMPLATE
    tokenizer.save_pretrained(folder)


def _quantize(base: Path, target: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    with _unreadable_as_bad_input("causal language model"):
        stored_dtype = AutoConfig.from_pretrained(base, local_files_only=True).dtype or torch.float32
        model = AutoModelForCausalLM.from_pretrained(
            base,
            quantization_config=settings,
            dtype=torch.float32,
            device_map={"": "cpu"},
            local_files_only=True,
            use_safetensors=True,
        )
    for parameter in model.parameters():
        if parameter.dtype == torch.float32:  # embeddings and norms, back to how the base has them
            parameter.data = parameter.data.to(stored_dtype)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(base, local_files_only=True).save_pretrained(target)


@contextmanager
def _unreadable_as_bad_input(wanted: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise BadInput(f"The folder has no {wanted} that can be loaded here ({reason}); name another.") from error


@contextmanager
def _full_disk_as_oserror() -> Iterator[None]:
    """Let a full disk be an OSError here too: safetensors has its own class for it."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        if "No space left" in str(error):
            raise OSError(errno.ENOSPC, "No space left on device") from error
        raise
