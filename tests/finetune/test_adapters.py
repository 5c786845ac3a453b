"""An adapter's folder: PEFT reads it, and what does not belong together is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.adapters import MANIFEST, WEIGHTS, OpenedAdapter, load_factors, open_adapter, read_adapter, write_adapter
from finetune.packing import make_pack
from finetune.recipe import Recipe
from governance.errors import BadInput, Damaged
from governance.models import Manifest, StoredFile, describe_folder
from tests.finetune.tiny_llama import adapter_model, documents, write_served_llama

RECIPE = Recipe(quantization="float32", rank=4, alpha=8.0)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_served_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def manifest(base: Path) -> Manifest:
    return Manifest("tiny", "llm", "here", "1", "CC0-1.0", "sha256:0", {}, describe_folder(base))


def written(base: Path, manifest: Manifest, folder: Path, recipe: Recipe = RECIPE) -> OpenedAdapter:
    model = adapter_model(base, recipe)
    return write_adapter(
        folder,
        model.adapter,
        recipe,
        base=base,
        base_manifest=manifest,
        data={"digest": "sha256:1"},
        metrics={"steps": 1},
    )


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("change", [{}, {"dora": True}, {"rslora": True}, {"targets": "mlp"}], ids=str)
def test_peft_gives_the_logits_of_training(base: Path, manifest: Manifest, tmp_path: Path, change: Any) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    recipe = replace(RECIPE, **change)
    opened = written(base, manifest, tmp_path / "adapter", recipe)
    model = adapter_model(base, recipe)
    plain = AutoModelForCausalLM.from_pretrained(base / "base", dtype=torch.float32)
    adapted = PeftModel.from_pretrained(plain, opened.folder).eval()
    for one in documents(3):
        theirs = adapted(input_ids=torch.tensor([one.ids])).logits[0, one.prompt_tokens - 1 : -1]
        assert torch.allclose(model.logits(make_pack([one], device="cpu")), theirs, atol=2e-5)


def test_what_was_written_is_opened_and_loads_back(base: Path, manifest: Manifest, tmp_path: Path) -> None:
    opened = open_adapter(written(base, manifest, tmp_path / "adapter").folder, manifest, quantization="float32")
    again = adapter_model(base, RECIPE, shaken=False)
    load_factors(again.adapter, opened.tensors())
    expected = adapter_model(base, RECIPE).adapter.state()
    assert all(torch.equal(again.adapter.state()[kind], expected[kind]) for kind in expected)


def test_numbers_in_half_precision_take_half_the_space(base: Path, manifest: Manifest, tmp_path: Path) -> None:
    whole = written(base, manifest, tmp_path / "whole")
    half = written(base, manifest, tmp_path / "half", replace(RECIPE, stored="float16"))
    again = adapter_model(base, RECIPE, shaken=False)
    load_factors(again.adapter, read_adapter(half.folder).tensors())
    expected = adapter_model(base, RECIPE).adapter.state()
    assert all(torch.allclose(again.adapter.state()[kind], expected[kind], rtol=1e-3, atol=1e-6) for kind in expected)
    sizes = [sum(one.numel() * one.element_size() for one in opened.tensors().values()) for opened in (whole, half)]
    assert sizes[0] == 2 * sizes[1]


@pytest.mark.parametrize("name", [WEIGHTS, "chat_template.jinja", "adapter_config.json"])
def test_a_file_with_other_bytes_is_refused_by_name(base: Path, manifest: Manifest, tmp_path: Path, name: str) -> None:
    folder = written(base, manifest, tmp_path / "adapter").folder
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(Damaged, match=name):
        read_adapter(folder)


def test_a_file_too_many_or_too_few_is_refused(base: Path, manifest: Manifest, tmp_path: Path) -> None:
    folder = written(base, manifest, tmp_path / "adapter").folder
    shutil.copytree(folder, tmp_path / "less")
    (folder / "more.bin").write_bytes(b"x")
    (tmp_path / "less" / "tokenizer.json").unlink()
    for damaged, name in ((folder, "more.bin"), (tmp_path / "less", "tokenizer.json")):
        with pytest.raises(Damaged, match=name):
            read_adapter(damaged)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"digest": 1, "format": 1}'])
def test_a_manifest_that_is_none_is_refused(base: Path, manifest: Manifest, tmp_path: Path, text: str) -> None:
    folder = written(base, manifest, tmp_path / "adapter").folder
    (folder / MANIFEST).write_text(text)
    with pytest.raises(Damaged, match=MANIFEST):
        read_adapter(folder)


def test_a_manifest_that_says_more_than_was_signed_is_refused(base: Path, manifest: Manifest, tmp_path: Path) -> None:
    folder = written(base, manifest, tmp_path / "adapter").folder
    value = json.loads((folder / MANIFEST).read_text())
    value["files"]["more.bin"] = "sha256:0"
    (folder / MANIFEST).write_text(json.dumps(value))
    with pytest.raises(Damaged):
        read_adapter(folder)


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"manifest\.json"):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    ("changed", "named"),
    [("base/model.safetensors", "base"), ("base/tokenizer.json", "base"), ("nf4/tokenizer.json", "base")],
)
def test_another_base_is_refused(base: Path, manifest: Manifest, tmp_path: Path, changed: str, named: str) -> None:
    folder = written(base, manifest, tmp_path / "adapter").folder
    other = replace(manifest, files={**manifest.files, changed: StoredFile(1, "sha256:other")})
    with pytest.raises(BadInput, match=f"fitted with the {named}"):
        open_adapter(folder, other)


def test_another_quantization_and_another_prompt_are_refused(
    base: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(base, manifest, tmp_path / "adapter").folder
    with pytest.raises(BadInput, match="quantization"):
        open_adapter(folder, manifest, quantization="nf4_dq")
    monkeypatch.setattr("assistant.adapter.PROMPT_DIGEST", "sha256:another")
    with pytest.raises(BadInput, match="prompt"):
        open_adapter(folder, manifest)
