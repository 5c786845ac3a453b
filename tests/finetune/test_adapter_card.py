"""The model card: it says what the manifests say, in bytes that only they decide, and a damaged adapter gets none."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.adapter import PACKAGED_FOLDER, served_adapter
from finetune.adapter_card import CARD, adapter_card, main, rewrite_card
from finetune.adapters import MANIFEST, WEIGHTS, OpenedAdapter, open_adapter, read_adapter, write_adapter
from finetune.examples import ExampleSet, write_examples
from finetune.recipe import Recipe
from governance.digests import digest_file
from governance.errors import BadInput, Damaged
from governance.models import Manifest
from tests.finetune.served_tiny import TINY, tiny_examples, write_tiny_model
from tests.finetune.tiny_llama import adapter_model

RECIPE = Recipe(quantization="nf4_dq", rank=4, alpha=8.0, learning_rate=0.0005)
METRICS: dict[str, Any] = {
    "held_out_loss": 0.08159763,
    "held_out_exact_answerable": 0.5727,
    "steps": 2058,
    "loss_spikes": 7,
}
SOURCES = {"cuad": "CUAD v1: CC BY 4.0", "definition": "CUAD v1: CC BY 4.0", "tatqa": "TAT-QA: CC BY 4.0"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def base(models: Path) -> Manifest:
    return write_tiny_model(models)


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def data(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ExampleSet:
    more = tiny_examples(tmp_path_factory.mktemp("more"), train=1200, held_out=9)
    stated = {"made_by": "python -m finetune.adapter_data", "sources": SOURCES}
    return write_examples(data_folder, train=more.train, held_out=more.held_out, manifest=stated)


def written(
    models: Path, base: Manifest, folder: Path, data: Mapping[str, Any], *, recipe: Recipe = RECIPE, **metrics: Any
) -> OpenedAdapter:
    factors = adapter_model(models / TINY, recipe).adapter
    return write_adapter(folder, factors, recipe, base=models / TINY, base_manifest=base, data=data, metrics=metrics)


@pytest.fixture
def adapter(models: Path, base: Manifest, data: ExampleSet, tmp_path: Path) -> OpenedAdapter:
    return written(models, base, tmp_path / "adapter", data.manifest, **METRICS)


def card(opened: OpenedAdapter) -> str:
    return (opened.folder / CARD).read_text(encoding="utf-8")


def front_matter(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def test_the_card_is_one_of_the_files_that_the_manifest_names(adapter: OpenedAdapter, base: Manifest) -> None:
    opened = open_adapter(adapter.folder, base)
    assert opened.manifest.files[CARD] == digest_file(adapter.folder / CARD)
    assert opened.manifest == adapter.manifest


def test_it_says_what_the_adapter_is(adapter: OpenedAdapter, base: Manifest, data: ExampleSet) -> None:
    text = card(adapter)
    stated = [base.digest, data.digest, adapter.manifest.files[WEIGHTS], "rank 4, alpha 8", "double-quantized"]
    stated += ["`q_proj`", "`down_proj`", "1,200 to learn from, 9 held out", "python -m finetune.adapter_data"]
    stated += ["Not in the documents.", "answer.adapter", "PeftModel.from_pretrained", "general ability"]
    assert [one for one in stated if one not in text] == []


def test_each_source_stands_there_once_with_its_licence(adapter: OpenedAdapter) -> None:
    lines = card(adapter).split("\n")
    assert [line for line in lines if "CC BY" in line] == ["- CUAD v1: CC BY 4.0", "- TAT-QA: CC BY 4.0"]


def test_the_whole_recipe_the_figures_and_the_environment_are_tables(adapter: OpenedAdapter) -> None:
    text = card(adapter)
    rows = dict(line[2:-2].split(" | ") for line in text.split("\n") if line.startswith("| "))
    assert {f"`{name}`" for name in adapter.manifest.recipe} <= set(rows)
    assert rows["`learning_rate`"] == "0.0005"
    assert rows["`dora`"] == "no"
    assert rows["loss, mean over the tokens of the targets, in nats"] == "0.0816"
    assert rows["steps"] == "2,058"
    assert rows["torch"] == adapter.manifest.environment["torch"]


def test_hubs_read_its_front_matter_and_the_licence_is_left_to_the_owner(adapter: OpenedAdapter) -> None:
    found = front_matter(card(adapter))
    assert found["base_model"] == TINY
    assert found["library_name"] == "peft"
    assert "lora" in found["tags"]
    assert "license" not in found
    assert "not stated; it is for the owner" in card(adapter)


def test_a_name_that_yaml_or_a_table_would_read_otherwise_stays_a_name(adapter: OpenedAdapter) -> None:
    odd = replace(adapter.manifest, base='no: "x"', environment={"a|b": "1\n2"})
    text = adapter_card(odd, {"sources": ["one\n# two"]}, licence="other")
    assert front_matter(text)["base_model"] == 'no: "x"'
    assert front_matter(text)["license"] == "other"
    assert "| a\\|b | 1 2 |" in text
    assert "- one # two\n" in text


def test_what_was_not_stated_or_measured_is_not_made_up(models: Path, base: Manifest, tmp_path: Path) -> None:
    text = card(written(models, base, tmp_path / "adapter", {"digest": "sha256:d"}))
    assert "- Sources: not stated" in text
    assert "Nothing was measured on held-out examples." in text
    assert "None" not in text


def test_other_forms_of_an_adapter_are_named(models: Path, base: Manifest, tmp_path: Path) -> None:
    recipe = replace(RECIPE, dora=True, rslora=True, targets="attention", quantization="bf16")
    text = card(written(models, base, tmp_path / "adapter", {"digest": "sha256:d"}, recipe=recipe))
    assert "# DoRA adapter for tiny" in text
    assert "rsLoRA" in text
    assert "on `q_proj`, `k_proj`, `v_proj`, `o_proj`.\n" in text
    assert "bfloat16" in text


def test_equal_runs_give_equal_bytes_whatever_the_folder_is_called(
    adapter: OpenedAdapter, models: Path, base: Manifest, data: ExampleSet, tmp_path: Path
) -> None:
    other = written(models, base, tmp_path / "another name", data.manifest, **METRICS)
    for name in (CARD, MANIFEST):
        assert (other.folder / name).read_bytes() == (adapter.folder / name).read_bytes()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["adapter_card", *map(str, arguments)])
    main()


def test_the_command_adds_what_the_data_do_not_state_and_keeps_all_other_files(
    adapter: OpenedAdapter, base: Manifest, data_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    some = tiny_examples(tmp_path / "some", train=4, held_out=3)
    stated = {"made_by": "provenant finetune data", "collection": "policies"}
    made = write_examples(tmp_path / "made", train=some.train, held_out=some.held_out, manifest=stated)
    arguments = (adapter.folder, "--data", data_folder, "--made", tmp_path / "made")
    more = ("--source", "18F handbook: CC0 1.0", "--licence", "apache-2.0")
    run(monkeypatch, *arguments, *more)

    opened = served_adapter(str(adapter.folder), base)
    assert opened is not None
    text = card(opened)
    assert "- TAT-QA: CC BY 4.0\n- 18F handbook: CC0 1.0\n" in text
    assert f"`provenant finetune data` made of the collection policies: `{made.digest}`" in text
    assert front_matter(text)["license"] == "apache-2.0"
    changed = {name for name, digest in opened.manifest.files.items() if adapter.manifest.files[name] != digest}
    assert changed == {CARD}
    assert replace(opened.manifest, files={}) == replace(adapter.manifest, files={})

    before = (adapter.folder / MANIFEST).read_bytes()
    run(monkeypatch, *arguments, *more)
    assert (adapter.folder / MANIFEST).read_bytes() == before
    assert [path.name for path in adapter.folder.parent.iterdir() if path.name.startswith(".")] == []


def test_the_command_writes_a_card_where_there_was_none(adapter: OpenedAdapter, data: ExampleSet) -> None:
    first = card(adapter)
    (adapter.folder / CARD).unlink()
    files = {name: digest for name, digest in adapter.manifest.files.items() if name != CARD}
    (adapter.folder / MANIFEST).write_text(replace(adapter.manifest, files=files).to_json())
    assert rewrite_card(adapter.folder, data).manifest == adapter.manifest
    assert card(adapter) == first


@pytest.mark.parametrize("name", [WEIGHTS, CARD, "recipe.json"])
def test_a_damaged_adapter_is_refused_and_stays_as_it_is(
    adapter: OpenedAdapter, data_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, name: str
) -> None:
    content = bytearray((adapter.folder / name).read_bytes())
    content[-2] ^= 1
    (adapter.folder / name).write_bytes(content)
    before = {path.name: digest_file(path) for path in adapter.folder.iterdir()}
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, adapter.folder, "--data", data_folder)
    assert ended.value.code == Damaged.exit_code
    assert name in capsys.readouterr().err
    assert {path.name: digest_file(path) for path in adapter.folder.iterdir()} == before


def test_a_manifest_whose_recipe_was_changed_is_refused(adapter: OpenedAdapter, data: ExampleSet) -> None:
    value = json.loads((adapter.folder / MANIFEST).read_text())
    value["recipe"]["rank"] = 64
    (adapter.folder / MANIFEST).write_text(json.dumps(value))
    assert read_adapter(adapter.folder).manifest.recipe["rank"] == 64
    with pytest.raises(Damaged, match="another recipe"):
        rewrite_card(adapter.folder, data)


def test_data_that_it_was_not_fitted_on_are_refused(adapter: OpenedAdapter, data: ExampleSet, tmp_path: Path) -> None:
    other = tiny_examples(tmp_path / "other", train=5)
    with pytest.raises(BadInput, match="was fitted on the data"):
        rewrite_card(adapter.folder, other)
    strange = replace(other, train=tuple(replace(one, id=f"strange {one.id}") for one in other.train))
    with pytest.raises(BadInput, match="No example of the folder"):
        rewrite_card(adapter.folder, data, made=[strange])


def test_the_shipped_adapter_has_a_card_of_its_weights_with_the_sources_of_its_data() -> None:
    shipped = read_adapter(PACKAGED_FOLDER)
    text = card(shipped)
    stated = [shipped.manifest.files[WEIGHTS], shipped.manifest.data_digest, "CUAD v1: CC BY 4.0", "CC0 1.0"]
    assert [one for one in stated if one not in text] == []
