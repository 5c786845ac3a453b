"""A tiny Llama with random weights in the form of a pulled model, and token documents to train on."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from finetune.base_folder import FolderSource
from finetune.model import AdapterModel
from finetune.packing import EncodedExample
from finetune.recipe import Recipe

SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
SIZES |= {"intermediate_size": 128, "vocab_size": 96, "max_position_embeddings": 512, "head_dim": 16}


def write_tiny_llama(folder: Path, **changes: Any) -> Path:
    """Write `base/` of a Llama whose weights are large enough that a wrong term shows."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**{**SIZES, "tie_word_embeddings": False, "initializer_range": 0.15, **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "norm" in name:
                    parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder / "base")
    return folder


def documents(count: int, *, seed: int = 0, shortest: int = 5, longest: int = 40) -> list[EncodedExample]:
    """Return documents of random ids, the last few of each a completion."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        length = chance.randint(shortest, longest)
        ids = tuple(chance.randrange(3, 96) for _ in range(length))
        found.append(EncodedExample(str(number), ids, length - chance.randint(1, 4)))
    return found


def adapter_model(folder: Path, recipe: Recipe, *, shaken: bool = True) -> AdapterModel:
    """Return a model with a new adapter; with `shaken` its B and magnitudes are not where they start."""
    import torch

    model = AdapterModel(FolderSource(folder, recipe.quantization, "cpu"), recipe, device="cpu")
    model.start(recipe.seed)
    if shaken:
        chance = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for kind in set(model.adapter.flat) & {"up", "magnitude"}:
                tensor = model.adapter.flat[kind]
                tensor.add_(0.05 * torch.randn(tensor.shape, generator=chance))
        model.refresh()
    return model


def write_served_llama(folder: Path) -> Path:
    """Write a tiny Llama with a tokenizer and a chat template, in `base/` and `nf4/`, as a pulled model has them."""
    import shutil

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    write_tiny_llama(folder, vocab_size=320, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=2)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<unk>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["the limit for thing is policy question passages not in documents"] * 3, trainer)
    served = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>")
    served.chat_template = (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] }}"
        "{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
    served.save_pretrained(folder / "base")
    (folder / "nf4").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(folder / "base" / name, folder / "nf4" / name)
    return folder
