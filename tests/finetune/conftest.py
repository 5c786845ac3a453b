"""A tiny encoder with random weights, and groups small enough to learn in a few steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from finetune.reader_groups import ANSWERS, ANSWERS_NOT, Candidate, Group, GroupFile, Passage, Split, write_groups

THINGS = ("hotels", "flights", "meals", "taxis", "trains", "phones", "gifts", "books", "desks", "chairs")
WORDS = ("the", "limit", "for", "is", "what", "dollars", "travel", "policy", "are", "never", "paid", ".", "?")
SIGNS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BERT encoder of 2 layers and 32 numbers, and its tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("base")
    vocabulary = [*SIGNS, *WORDS, *THINGS, *(str(100 + number) for number in range(len(THINGS)))]
    sizes = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(vocab_size=len(vocabulary), initializer_range=0.2, **sizes)
        encoder = BertModel(config, add_pooling_layer=False)
        with torch.no_grad():
            for parameter in encoder.parameters():  # so that a bias or a norm left out would show
                parameter.add_(0.1 * torch.randn_like(parameter))
    encoder.save_pretrained(folder)
    _write_tokenizer(folder / "tokenizer.json", vocabulary)
    return folder


def _write_tokenizer(path: Path, vocabulary: list[str]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(vocabulary)}, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(path))


def tiny_group(number: int, split: Split) -> Group:
    """Return a question on one thing, a passage that states its limit and one that states nothing."""
    thing = THINGS[number % len(THINGS)]
    document = f"travel/{split}/{number}"
    answer = str(100 + number % len(THINGS))
    text = f"The limit for {thing} is {answer} dollars."
    at = text.index(answer)
    right = Candidate(Passage("Travel policy", text, document), ANSWERS, ((at, at + len(answer)),))
    wrong = Candidate(Passage("Travel policy", f"The {thing} are never paid.", document), ANSWERS_NOT)
    return Group(f"What is the limit for {thing}?", "cuad", document, split, (wrong, right), touched=(1,))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file of ten groups to train on and ten to test on."""
    path = tmp_path_factory.mktemp("data") / "groups.jsonl"
    groups = [tiny_group(number, split) for split in ("train", "test") for number in range(10)]
    documents = {group.document: tuple(one.passage for one in group.candidates) for group in groups}
    write_groups(path, GroupFile({"cuad": "made for this test"}, tuple(groups), documents))
    return path


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write JSON lines, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
