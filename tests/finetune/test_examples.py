"""Training examples: made from a collection through the live search, split, checked, kept, and refused when damaged."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.prompt import build_messages
from assistant.respond import MOST_PASSAGES
from assistant.service import AssistantService
from finetune.data import DataRequest, make_examples
from finetune.example_checks import (
    Avoided,
    Taken,
    balanced,
    split_by_document,
    stands,
    without_disagreement,
    without_near,
    without_repeats,
)
from finetune.example_labels import GUIDELINE, agreement, export_labels, import_labels, without_wrong
from finetune.example_report import draw_bars
from finetune.example_windows import read_details, read_window_contracts, window_examples, window_part, window_test
from finetune.examples import (
    MANIFEST,
    REFUSAL,
    TRAIN,
    ExamplePassage,
    TrainingExample,
    example_messages,
    named,
    read_examples,
    write_examples,
)
from finetune.reader_material import Material
from finetune.reader_questions import load_phrasings
from governance.errors import BadInput
from tests.assistant.conftest import OWNER, corpus, models, service
from tests.fakes import WordEmbedder
from tests.finetune.labelled_sets import write_samples, write_sets

__all__ = ["corpus", "models", "service"]  # fixtures
QUESTION = "How much do hotel rooms cost at most a night?"
ANSWER = "Hotel rooms cost at most 120 dollars a night."


def example(question: str = QUESTION, target: str = ANSWER, document: str = "travel.md") -> TrainingExample:
    passage = ExamplePassage("c1", document, "sha256:1", "Travel policy > Lodging", f"{ANSWER} Taxis are paid.")
    return named(
        TrainingExample("", "clause", question, (passage,), target, target == REFUSAL, document, "made for this test")
    )


def many(number: int) -> list[TrainingExample]:
    return [example(f"{QUESTION} {one}", document=f"policy {chr(97 + one)}.md") for one in range(number)]


def quiet(share: float, said: str) -> None:
    assert 0 <= share <= 1
    assert said


def test_a_folder_reads_back_as_it_was_written_and_equal_examples_give_equal_bytes(tmp_path: Path) -> None:
    written = write_examples(tmp_path / "a", train=many(3), held_out=many(1), manifest={"seed": 1})
    assert read_examples(tmp_path / "a") == written
    write_examples(tmp_path / "b", train=many(3), held_out=many(1), manifest={"seed": 1})
    for name in (TRAIN, MANIFEST):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_folder_that_is_damaged_empty_or_of_another_prompt_is_refused(tmp_path: Path) -> None:
    write_examples(tmp_path, train=many(3), held_out=[], manifest={})
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / TRAIN).write_text((tmp_path / TRAIN).read_text().replace("120", "130"))
    with pytest.raises(BadInput, match="not those that manifest"):
        read_examples(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "prompt": "sha256:other"}))
    with pytest.raises(BadInput, match="another prompt"):
        read_examples(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(BadInput, match="no manifest"):
        read_examples(tmp_path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_examples(tmp_path / "nowhere")
    for train in ([], many(1)):
        with pytest.raises(BadInput, match="at least 2"):
            write_examples(tmp_path, train=train, held_out=[], manifest={})


def test_the_prompt_of_an_example_is_the_served_one(service: AssistantService, tmp_path: Path) -> None:
    made = make_examples(service, DataRequest("c", OWNER), out=tmp_path / "out", say=quiet)
    everything = [*made.train, *made.held_out]
    one = next(one for one in everything if one.target == "120 dollars")  # the value that its sentence states
    from finetune.example_contexts import Contexts

    with service.open_generation(service.release(), "c") as generation:
        contexts = Contexts(service, generation, "c", OWNER)
        found = contexts.find(one.question)
        shown = [passage for passage in found if passage.chunk.id in {kept.chunk_id for kept in one.passages}]
    assert example_messages(one) == build_messages(one.question, shown)
    assert one.generation == made.manifest["generation"]
    assert all(passage.digest.startswith("sha256:") for passage in one.passages)
    assert all(stands(one.target, one.passages) for one in everything if not one.abstains)
    assert any(one.kind == "attribute" for one in everything)
    assert any(one.kind == "out_of_scope" for one in everything)
    assert (tmp_path / "out" / "report.md").read_text().startswith("# Quality")
    assert (tmp_path / "out" / "card.md").is_file()


def test_the_same_collection_and_seed_give_the_same_bytes(service: AssistantService, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_examples(service, DataRequest("c", OWNER, limit=30), out=tmp_path / name, say=quiet)
    assert (tmp_path / "a" / TRAIN).read_bytes() == (tmp_path / "b" / TRAIN).read_bytes()


def test_labelled_sets_and_reviewed_answers_are_imported(service: AssistantService, tmp_path: Path) -> None:
    labelled, reviewed = tmp_path / "labelled.jsonl", tmp_path / "reviewed.jsonl"
    row = {"id": "1", "question": "hotel rooms cost?", "answers": ["120 dollars"], "answerable": True, "evidence": []}
    labelled.write_text(json.dumps(row))
    reviewed.write_text(json.dumps({"question": "Who pays for my dog?", "decision": "abstain"}) + "\n")
    request = DataRequest("c", OWNER, labelled=(labelled,), decisions=(reviewed,))
    made = make_examples(service, request, out=tmp_path / "out", say=quiet)
    by_question = {one.question: one for one in [*made.train, *made.held_out]}
    assert by_question["hotel rooms cost?"].target == "120 dollars"
    reviewed.write_text("{}")
    with pytest.raises(BadInput, match="Line 1 of reviewed"):
        make_examples(service, request, out=tmp_path / "out", say=quiet)


def test_a_limit_below_one_is_refused(service: AssistantService, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="leaves none"):
        make_examples(service, DataRequest("c", OWNER, limit=0), out=tmp_path, say=quiet)


def test_as_many_passages_are_shown_as_an_answer_gets(service: AssistantService) -> None:
    from finetune.example_contexts import Contexts

    with service.open_generation(service.release(), "c") as generation:
        contexts = Contexts(service, generation, "c", OWNER)
        found = contexts.find(QUESTION)[0]
    more = [replace(found, chunk=replace(found.chunk, text=f"Rule {number}.")) for number in range(MOST_PASSAGES + 1)]
    assert len(contexts.context(more)) == MOST_PASSAGES


def test_questions_near_those_of_an_evaluation_are_taken_out_and_counted() -> None:
    taken = Taken()
    avoided = Avoided(["how much do the hotel rooms cost at most, a night"])
    assert without_near([example(), example("Are taxis paid?")], avoided, taken) == [example("Are taxis paid?")]
    assert taken.counts == {"near an evaluation question": 1}


def test_repeats_and_refusals_that_show_the_answer_are_taken_out() -> None:
    taken = Taken()
    denial = replace(example(target=REFUSAL), kind="unanswerable")
    assert without_disagreement(without_repeats([example(), example(), denial], taken), taken) == [example()]
    assert taken.counts == {"said twice": 1, "refusal although the answer is shown": 1}


def test_no_document_stands_on_both_sides_of_the_split() -> None:
    train, held_out = split_by_document(many(26), share=0.3, seed=1, taken=Taken())
    assert train
    assert held_out
    shown = [{passage.document for one in side for passage in one.passages} for side in (train, held_out)]
    assert not shown[0] & shown[1]
    editions = [example(document=f"rules v{number}.0.md") for number in range(6)]
    assert sorted(map(len, split_by_document(editions, share=0.5, seed=1, taken=Taken()))) == [0, 6]


def test_refusals_beyond_their_share_are_left_out() -> None:
    refusals = [example(f"What of {word}?", REFUSAL) for word in ("dogs", "cats", "birds", "fish")]
    kept = balanced([*many(2), *refusals], abstaining=0.5, draw=random.Random(1), taken=Taken())
    assert sum(one.abstains for one in kept) == 2


def test_a_window_that_answers_holds_its_span_once_and_the_test_contracts_are_shown_nowhere_else(
    tmp_path: Path,
) -> None:
    write_sets(tmp_path / "data")
    write_samples(tmp_path / "samples")
    material = Material(tmp_path / "data", tmp_path / "samples", WordEmbedder())
    contracts = read_window_contracts(material)
    assert not any("SampleInc" in contract.name for contract in contracts)
    assert read_details(material)["Audit Rights"].endswith("?")
    parts = {contract.name: window_part(contract.name) for contract in contracts}
    test = window_test(material, contracts, part="test", questions=10)
    train = list(window_examples(material, contracts, load_phrasings(), part="train"))
    assert {parts[one.document] for one in test} <= {"test"}
    assert {parts[one.document] for one in train} == {"train"}
    for one in [*test, *train]:
        said = sum(passage.text.count(one.target) for passage in one.passages)
        assert said == (0 if one.abstains else 1)


def test_a_picture_escapes_what_it_shows() -> None:
    assert "<b>" not in draw_bars("t", {"<b>": 1})


def test_labels_come_back_as_they_were_given_and_agreement_is_cohens_kappa(tmp_path: Path) -> None:
    examples = many(4)
    path = tmp_path / "labels.csv"
    export_labels(path, examples)
    assert import_labels(path) == {}
    assert GUIDELINE in (tmp_path / "labels.guideline.txt").read_text()
    assert path.read_text().startswith("guideline,id,question")
    ids = [one.id for one in examples]
    first = dict(zip(ids, ["right", "right", "wrong", "wrong"], strict=True))
    second = dict(zip(ids, ["right", "wrong", "wrong", "wrong"], strict=True))
    assert agreement(first, second) == pytest.approx(0.5)
    assert agreement(first, first) == 1.0
    assert [one.id for one in without_wrong(examples, first, second)] == [ids[0]]
    with pytest.raises(BadInput, match="no example in common"):
        agreement(first, {"other": "right"})


def test_labels_under_another_guideline_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("guideline,id,question,passages,answer,label\n0,a,q,p,x,right\n")
    with pytest.raises(BadInput, match="Row 2 of labels"):
        import_labels(path)
    path.write_text("guideline,id,question,passages,answer,label\n1,a,q,p,x,Right\n")
    assert import_labels(path) == {"a": "right"}
