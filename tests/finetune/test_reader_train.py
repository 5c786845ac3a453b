"""A run learns, is repeatable, resumes nothing, and leaves an adapter that merges into the same reader."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.reader_convert import merged_reader
from finetune import reader_check, reader_train
from finetune.reader_batches import Batch, Encoder, make_batch
from finetune.reader_check import check_reader, token_f1
from finetune.reader_groups import Group, read_groups
from finetune.reader_losses import measure_losses
from finetune.reader_manifest import Files
from finetune.reader_model import load_adapter, new_reader, trained_tensors
from finetune.reader_train import Recipe, make_adapter, repeatable, train_reader
from governance.digests import digest_file
from governance.errors import BadInput
from tests.finetune.conftest import tiny_group

RECIPE = Recipe(steps=6, rank=4, learning_rate=1e-2, warmup_steps=1, groups_per_step=4)


def silent(line: str) -> None:
    """Say nothing."""


def trained(files: Files, recipe: Recipe = RECIPE) -> bytes:
    make_adapter(files, recipe=recipe, say=silent)
    return files.adapter.read_bytes()


@pytest.fixture
def files(tiny_base: Path, tiny_data: Path, tmp_path: Path) -> Files:
    return Files(tiny_data, tiny_base, tmp_path / "reader.safetensors")


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> Encoder:
    return Encoder(tiny_base / "tokenizer.json")


def a_batch(encoder: Encoder, groups: list[Group]) -> Batch:
    encoder.prepare(groups)
    return make_batch(groups, encoder, pick=lambda spans: spans[0])


def losses_of(reader: torch.nn.Module, batch: Batch) -> dict[str, float]:
    """Return the losses of a reader that does not learn from them."""
    with torch.no_grad():
        scores, spans = reader.eval()(batch.ids, batch.types, batch.mask)
        losses = measure_losses(scores, spans, batch)
    return {name: float(getattr(losses, name)) for name in ("ranking", "answering", "span", "total")}


def test_fresh_reader_hides_nothing_of_its_base(tiny_base: Path, encoder: Encoder) -> None:
    from transformers import BertModel

    batch = a_batch(encoder, [tiny_group(0, "train")])
    base = BertModel.from_pretrained(tiny_base, add_pooling_layer=False).eval()
    reader: Any = new_reader(tiny_base, rank=4).eval()
    inputs = {"input_ids": batch.ids, "token_type_ids": batch.types, "attention_mask": batch.mask}
    with torch.no_grad():
        assert torch.equal(reader.encoder(**inputs).last_hidden_state, base(**inputs).last_hidden_state)


def test_only_what_is_stored_is_trained(tiny_base: Path) -> None:
    reader = new_reader(tiny_base, rank=4)
    learning = {id(tensor) for tensor in reader.parameters() if tensor.requires_grad}
    assert learning == {id(tensor) for tensor in trained_tensors(reader).values()}


def test_training_lowers_the_loss(tiny_base: Path, tiny_data: Path, encoder: Encoder) -> None:
    groups = [group for group in read_groups(tiny_data).groups if group.split == "train"]
    batch = a_batch(encoder, groups)
    with repeatable(0):
        reader = new_reader(tiny_base, rank=4)
        before = losses_of(reader, batch)
        progress = train_reader(reader, groups, encoder, recipe=replace(RECIPE, steps=40), say=silent)
        after = losses_of(reader, batch)
    assert progress.steps == 40
    assert after["total"] < 0.7 * before["total"]
    assert after["ranking"] < before["ranking"]
    assert after["answering"] < before["answering"]
    assert after["span"] < before["span"]


def test_merged_reader_equals_the_one_that_was_trained(files: Files, encoder: Encoder) -> None:
    trained(files)
    unmerged = load_adapter(files.base, files.adapter).eval()
    merged = merged_reader(files.base, files.adapter)
    for number in range(3):
        group = tiny_group(number, "test")
        batch = a_batch(encoder, [replace(group, candidates=group.candidates[:1])])
        length = int(batch.mask.sum())  # the merged one takes rows without padding
        with torch.no_grad():
            scores, spans = unmerged(batch.ids, batch.types, batch.mask)
            merged_scores, merged_spans = merged(batch.ids[:, :length], batch.types[:, :length])
        assert torch.allclose(scores, merged_scores, atol=1e-5)
        assert torch.allclose(spans[:, :length], merged_spans, atol=1e-5)


def test_trained_adapter_differs_from_a_fresh_one_in_every_tensor(files: Files) -> None:
    trained(files)
    with repeatable(RECIPE.seed):
        fresh = trained_tensors(new_reader(files.base, rank=RECIPE.rank))
    learned = trained_tensors(load_adapter(files.base, files.adapter))
    assert [name for name, tensor in learned.items() if torch.equal(tensor, fresh[name].half().float())] == []


def test_same_seed_gives_the_same_bytes_and_another_seed_others(files: Files, tmp_path: Path) -> None:
    first = trained(files)
    second = trained(replace(files, adapter=tmp_path / "again.safetensors"))
    other = trained(replace(files, adapter=tmp_path / "other.safetensors"), replace(RECIPE, seed=1))
    assert first == second
    assert first != other


def test_workers_change_who_draws_and_never_what(files: Files, tmp_path: Path) -> None:
    alone = trained(files)
    assert trained(replace(files, adapter=tmp_path / "w.safetensors"), replace(RECIPE, workers=1)) == alone


def test_run_resumes_nothing(files: Files) -> None:
    files.adapter.write_bytes(b"left by another run")
    first = trained(files)
    assert trained(files) == first


def test_time_ends_a_run(files: Files) -> None:
    manifest = make_adapter(files, recipe=replace(RECIPE, steps=1000, seconds=0.0001), say=silent)
    assert json.loads(manifest.read_text())["run"]["steps"] == 1


def test_manifest_says_what_was_done(files: Files) -> None:
    manifest = make_adapter(files, recipe=RECIPE, say=silent)
    assert manifest == files.adapter.with_suffix(".json")
    value = json.loads(manifest.read_text())
    assert value["adapter"] == digest_file(files.adapter)
    assert value["data"]["digest"] == digest_file(files.data)
    assert value["data"]["groups"] == {"cuad": {"test": 10, "train": 10}}
    assert value["data"]["sources"] == {"cuad": "made for this test"}
    assert value["recipe"]["seed"] == 0
    assert value["recipe"]["rank"] == 4
    assert set(value["losses"]) == {"ranking", "answering", "span"}
    assert value["test"]["cuad"]["groups"] == 10
    assert value["versions"]["torch"]


def test_batch_that_says_nothing_counts_zero(tiny_base: Path, encoder: Encoder) -> None:
    group = tiny_group(0, "train")
    unknown = replace(group, candidates=tuple(replace(one, label=-1, spans=()) for one in group.candidates))
    batch = a_batch(encoder, [unknown])
    assert losses_of(new_reader(tiny_base, rank=4), batch)["total"] == 0.0


def test_figure_that_a_source_cannot_give_is_absent(tiny_base: Path, encoder: Encoder) -> None:
    reader = new_reader(tiny_base, rank=4)
    group = tiny_group(0, "test")
    only = replace(group, source="product", candidates=group.candidates[:1])
    figures = check_reader(reader, [only], encoder, device="cpu")
    assert (figures["product"].precision_at_1, figures["product"].auroc, figures["product"].span_f1) == (None,) * 3
    assert reader.training


@pytest.mark.parametrize(
    ("found", "marked", "f1"),
    [
        ((3, 5), (3, 5), 1.0),
        ((3, 5), (5, 7), 1 / 3),
        ((5, 3), (3, 5), 0.0),
        ((0, 1), (5, 7), 0.0),
        ((4, 4), (3, 5), 0.5),
    ],
)
def test_span_f1_is_over_tokens(found: tuple[int, int], marked: tuple[int, int], f1: float) -> None:
    assert token_f1(found, marked) == pytest.approx(f1)


def test_data_without_training_groups_is_refused(tiny_base: Path, encoder: Encoder) -> None:
    with pytest.raises(BadInput, match="for training"):
        train_reader(new_reader(tiny_base, rank=4), [], encoder, recipe=RECIPE, say=silent)


def test_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no BERT encoder"):
        new_reader(tmp_path, rank=4)


def test_file_that_is_no_adapter_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "reader.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadInput, match="no adapter"):
        load_adapter(tiny_base, tmp_path / "reader.safetensors")


def test_commands_train_and_check(
    files: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(files.data), "--base", str(files.base)]
    steps = ["--out", str(files.adapter), "--steps", "2", "--rank", "2"]
    monkeypatch.setattr(sys, "argv", ["reader_train", *paths, *steps])
    reader_train.main()
    monkeypatch.setattr(sys, "argv", ["reader_check", *paths, "--adapter", str(files.adapter)])
    reader_check.main()
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(files.adapter.with_suffix(".json").read_text())["test"]
