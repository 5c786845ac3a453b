"""The data of the shipped adapter: what figures are reported on is shown nowhere else, and the folders are whole."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.adapter_data import SOURCES, TEST_FOLDER, main, make_adapter_data
from finetune.example_checks import Avoided, stands
from finetune.example_groups import Room
from finetune.example_windows import window_part
from finetune.examples import HELD_OUT, MANIFEST, TRAIN, ExampleSet, TrainingExample, named, read_examples
from finetune.reader_groups import split_of
from finetune.reader_material import Material
from governance.errors import BadInput
from tests.fakes import WordEmbedder
from tests.finetune.labelled_sets import SAMPLE, write_samples, write_sets
from tests.finetune.served_tiny import tiny_examples

CONTRACTS = [f"Maker{number}_EX-10_Supply Agreement" for number in range(32)]  # some of each part
ROOM = Room(600, lambda text: len(text.split()))


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    root = tmp_path_factory.mktemp("sets")
    write_sets(root / "data", CONTRACTS)
    write_samples(root / "samples")
    return Material(root / "data", root / "samples", WordEmbedder())


@pytest.fixture(scope="module")
def out(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(material, tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def data(out: Path) -> ExampleSet:
    return read_examples(out)


@pytest.fixture(scope="module")
def reported(out: Path) -> tuple[TrainingExample, ...]:
    return read_examples(out / TEST_FOLDER).held_out


def make(material: Material, out: Path, *, avoid: Iterable[str] = (), made: Sequence[ExampleSet] = ()) -> Path:
    make_adapter_data(material, ROOM, avoided=Avoided(avoid), made=made, out=out)
    return out


def shown(examples: Iterable[TrainingExample]) -> set[str]:
    """Return the documents asked about or shown in a passage."""
    return {name for one in examples for name in (one.document, *(passage.document for passage in one.passages))}


def contracts(examples: Iterable[TrainingExample]) -> set[str]:
    return {name for name in shown(examples) if name.startswith("cuad/")}


def test_contracts_that_figures_are_reported_on_are_shown_nowhere_else(
    out: Path, data: ExampleSet, reported: tuple[TrainingExample, ...]
) -> None:
    reported_on = {f"cuad/{name}.txt" for name in CONTRACTS if window_part(f"cuad/{name}.txt") == "test"}
    assert shown(reported) == reported_on
    assert not reported_on & shown([*data.train, *data.held_out, *read_examples(out / TEST_FOLDER).train])


def test_nothing_is_learnt_of_the_contracts_that_the_reader_is_tested_on(data: ExampleSet) -> None:
    assert contracts(data.train)
    assert not any(split_of(name) == "test" for name in contracts(data.train))
    assert {window_part(name) for name in contracts(data.held_out)} == {"dev"}


def test_no_document_is_learnt_from_and_held_out(data: ExampleSet) -> None:
    assert not shown(data.train) & shown(data.held_out)


def test_what_the_samples_show_is_left_out(data: ExampleSet, reported: tuple[TrainingExample, ...]) -> None:
    everything = shown([*data.train, *data.held_out, *reported])
    assert not any(SAMPLE in name for name in everything)
    assert "product/Maker0 USB cable model 0" not in everything
    assert any(name.startswith("product/Maker") for name in everything)


def test_every_set_teaches_something_and_states_its_licence(data: ExampleSet) -> None:
    assert {one.origin.split(":")[0] for one in data.train} == set(SOURCES)
    assert data.manifest["sources"] == SOURCES
    assert all(SOURCES.values())


def test_answers_stand_in_what_is_shown_and_refusals_keep_to_their_share(data: ExampleSet) -> None:
    for side in (data.train, data.held_out):
        assert all(stands(one.target, one.passages) for one in side if not one.abstains)
        assert 0.1 < sum(one.abstains for one in side) / len(side) <= 0.45
    assert data.manifest["abstaining"] == pytest.approx(sum(one.abstains for one in data.train) / len(data.train), 0.01)


def test_what_nearly_asks_an_evaluation_question_is_left_out_and_counted(
    material: Material, data: ExampleSet, tmp_path: Path
) -> None:
    asked = next(one.question for one in data.train if one.origin.startswith("cuad windows"))
    avoided = Avoided([asked])
    kept = read_examples(make(material, tmp_path, avoid=[asked]))
    assert any(avoided.is_near(one.question) for one in data.train)
    assert not any(avoided.is_near(one.question) for one in [*kept.train, *kept.held_out])
    assert kept.manifest["taken_out"]["near an evaluation question"] > 0
    assert "near an evaluation question" not in data.manifest["taken_out"]


def test_refusals_beyond_their_share_are_left_out(material: Material, data: ExampleSet, tmp_path: Path) -> None:
    refusal = next(one for one in data.train if one.abstains)
    many = tuple(named(replace(refusal, question=f"{refusal.question} {number}")) for number in range(600))
    found = read_examples(make(material, tmp_path, made=[replace(data, train=many, held_out=())]))
    assert sum(one.abstains for one in found.train) / len(found.train) == pytest.approx(0.45, abs=0.005)
    assert found.manifest["taken_out"]["refusal beyond the share asked for"] > 300


def test_folders_made_of_collections_are_taken_as_they_are_split(material: Material, tmp_path: Path) -> None:
    collection = tiny_examples(tmp_path / "collection")
    found = read_examples(make(material, tmp_path / "out", made=[collection]))
    answered = {one.id for one in collection.train if not one.abstains}
    held = {one.id for one in collection.held_out if not one.abstains}
    assert answered <= {one.id for one in found.train}
    assert held <= {one.id for one in found.held_out}


def test_the_manifest_names_each_folder_made_of_a_collection_with_its_sources(
    material: Material, data: ExampleSet, tmp_path: Path
) -> None:
    collection = tiny_examples(tmp_path / "collection")
    handbook = {"handbook": "Handbook: CC0 1.0"}
    stated = replace(collection, manifest={**collection.manifest, "collection": "policies", "sources": handbook})
    found = make(material, tmp_path / "out", made=[collection, stated])
    assert read_examples(found).manifest["made"] == [
        {"collection": "", "digest": collection.digest},
        {"collection": "policies", "digest": collection.digest, "sources": handbook},
    ]
    assert read_examples(found / TEST_FOLDER).manifest["made"] == []
    assert data.manifest["made"] == []


def test_the_same_sets_and_seed_give_the_same_bytes_and_another_seed_others(
    material: Material, out: Path, tmp_path: Path
) -> None:
    again = make(material, tmp_path / "again")
    names = [f"{folder}{name}" for folder in ("", f"{TEST_FOLDER}/") for name in (TRAIN, HELD_OUT, MANIFEST)]
    assert [(again / name).read_bytes() for name in names] == [(out / name).read_bytes() for name in names]
    other = make(Material(material.data, material.samples, material.tokens, seed=8), tmp_path / "other")
    assert (other / TRAIN).read_bytes() != (out / TRAIN).read_bytes()


def test_a_set_that_is_missing_is_named(material: Material, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"qa\.jsonl"):
        make(Material(tmp_path, material.samples, material.tokens), tmp_path / "out")


@pytest.mark.models
def test_the_command_writes_both_folders(
    material: Material, models_root: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_examples(tmp_path / "collection")
    arguments = ["adapter_data", material.data, tmp_path / "out", "--samples", material.samples]
    arguments += ["--made", tmp_path / "collection"]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    main()
    assert any(one.origin == "test" for one in read_examples(tmp_path / "out").train)
    assert read_examples(tmp_path / "out" / TEST_FOLDER).held_out


@pytest.mark.models
def test_the_command_says_what_is_missing(
    models_root: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["adapter_data", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "cannot be read" in capsys.readouterr().err
