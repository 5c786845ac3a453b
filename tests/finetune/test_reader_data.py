"""Training groups are well formed, their spans point at answers, and no document stands in two splits."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import pytest

from finetune.reader_data import SOURCES, main, make_data, split_of
from finetune.reader_groups import ANSWERS, ANSWERS_NOT, UNKNOWN, Group, GroupFile, read_groups, write_groups
from finetune.reader_manifest import count_groups
from finetune.reader_material import Material
from finetune.reader_questions import load_phrasings
from governance.errors import BadInput
from tests.fakes import WordEmbedder
from tests.finetune.labelled_sets import SAMPLE, TITLE, write_samples, write_sets


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    root = tmp_path_factory.mktemp("sets")
    write_sets(root / "data")
    write_samples(root / "samples")
    return Material(root / "data", root / "samples", WordEmbedder())


@pytest.fixture(scope="module")
def data(material: Material) -> GroupFile:
    return make_data(material)


@pytest.fixture(scope="module")
def groups(data: GroupFile) -> list[Group]:
    return list(data.groups)


def test_every_source_gives_groups_and_states_its_licence(groups: list[Group]) -> None:
    assert {group.source for group in groups} == set(SOURCES)


def test_groups_are_well_formed(groups: list[Group]) -> None:
    for group in groups:
        assert group.question
        assert group.candidates
        assert {one.label for one in group.candidates} <= {ANSWERS, ANSWERS_NOT, UNKNOWN}
        for one in group.candidates:
            assert one.passage.text
            assert one.label == ANSWERS or not one.spans


def test_no_document_stands_in_two_splits(groups: list[Group]) -> None:
    splits = defaultdict(set)
    for group in groups:
        splits[group.document].add(group.split)
        for one in group.candidates:  # near misses of other documents too
            splits[one.passage.document].add(group.split)
    assert all(len(found) == 1 for found in splits.values())
    assert len({split for found in splits.values() for split in found}) == 3


def test_spans_point_at_the_answer(groups: list[Group]) -> None:
    expected = {
        "lbr_cuad": "laws of the State of",
        "lbr_contractnli": "laws of the State of",
        "definition": "means the goods of order",
        "tatqa": "1,234",
    }
    seen = set()
    for group in groups:
        answers = [one.passage.text[start:end] for one in group.candidates for start, end in one.spans]
        if group.source in expected:
            assert answers
            assert all(expected[group.source] in answer for answer in answers)
            seen.add(group.source)
        if group.source == "cuad":
            assert all("laws of the State of" in answer or answer == TITLE for answer in answers)
        if group.source == "product":
            assert all(answer.split(":")[0].lower() in group.question.lower() for answer in answers)
    assert seen == set(expected)


def test_what_a_contract_does_not_hold_has_near_misses_only(groups: list[Group]) -> None:
    unanswered = [
        group for group in groups if group.source == "cuad" and not any(one.spans for one in group.candidates)
    ]
    assert unanswered
    assert all(one.label == ANSWERS_NOT for group in unanswered for one in group.candidates)


def test_heading_is_cut_out_of_the_passage_it_asks_for(groups: list[Group]) -> None:
    for group in groups:
        if group.source == "heading" and group.document.startswith("18f/"):
            right = group.candidates[0]
            assert right.label == ANSWERS
            assert "Requesting" not in right.passage.text
            assert "Approval of" not in right.passage.text


def test_what_the_samples_show_is_left_out(groups: list[Group]) -> None:
    documents = {one.passage.document for group in groups for one in group.candidates}
    assert not any(SAMPLE in document or "leave" in document for document in documents)
    assert "product/Maker0 USB cable model 0" not in documents
    assert any(document.startswith("product/Maker") for document in documents)


def test_product_question_asks_what_the_record_states_or_states_nothing_alike(groups: list[Group]) -> None:
    labels = {group.candidates[0].label for group in groups if group.source == "product"}
    assert labels == {ANSWERS, ANSWERS_NOT}
    for group in groups:
        if group.source == "product" and group.candidates[0].label == ANSWERS_NOT:
            assert "height" in group.question.lower()
            assert "height" not in group.candidates[0].passage.text.lower()


def test_building_again_gives_equal_groups_and_another_seed_others(groups: list[Group], material: Material) -> None:
    assert list(make_data(material).groups) == groups
    other = Material(material.data, material.samples, material.tokens, seed=8)
    assert list(make_data(other).groups) != groups


def test_groups_of_marked_documents_know_what_touches_an_answer(data: GroupFile) -> None:
    marked = [group for group in data.groups if group.touched is not None]
    assert {group.source for group in marked} == {"cuad", "lbr_cuad", "lbr_contractnli", "definition"}
    for group in marked:
        whole = data.documents[group.document]
        touched = {whole[number] for number in group.touched or ()}
        assert {one.passage for one in group.candidates if one.label == ANSWERS} <= touched
        assert not touched & {one.passage for one in group.candidates if one.label == ANSWERS_NOT}


def test_written_groups_come_back_equal(data: GroupFile, tmp_path: Path) -> None:
    path = tmp_path / "groups.jsonl"
    write_groups(path, data)
    read = read_groups(path)
    assert read == data
    again = tmp_path / "again.jsonl"
    write_groups(again, read)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("stored", ["", "{}\n", '{"sources": {}, "passages": {}}\n{"question": 1}\n', "no JSON"])
def test_damaged_file_is_refused(stored: str, tmp_path: Path) -> None:
    path = tmp_path / "groups.jsonl"
    path.write_text(stored)
    with pytest.raises(BadInput, match=r"finetune\.reader_data"):
        read_groups(path)


def test_missing_set_is_named(material: Material, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"docs\.jsonl"):
        make_data(Material(tmp_path, material.samples, material.tokens))


def test_category_without_a_wording_is_refused() -> None:
    with pytest.raises(BadInput, match="'Weather'"):
        load_phrasings().of_category("Weather")


def test_split_of_a_contract_is_the_same_in_every_set_that_holds_it() -> None:
    assert split_of("cuad/Some Agreement.txt") == split_of("Some Agreement.pdf") == split_of("Some Agreement.txt")


def test_split_is_three_to_one_to_one() -> None:
    counts: dict[str, int] = defaultdict(int)
    for number in range(2000):
        counts[split_of(f"contractnli/{number}.txt")] += 1
    assert 1100 < counts["train"] < 1300
    assert 300 < counts["dev"] < 500
    assert 300 < counts["test"] < 500


@pytest.mark.models
def test_command_writes_the_groups(
    material: Material, models_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "groups.jsonl"
    arguments = ["reader_data", str(material.data), str(out), "--samples", str(material.samples)]
    monkeypatch.setattr(sys, "argv", arguments)
    main()
    assert set(count_groups(read_groups(out).groups)) == set(SOURCES)


@pytest.mark.models
def test_command_says_what_is_missing(
    models_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reader_data", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "cannot be read" in capsys.readouterr().err
