"""Labelled groups become examples whose answer stands once, whole, in what fits the served Context."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from assistant.respond import MOST_PASSAGES
from finetune.example_checks import stands
from finetune.example_groups import MOST_SPAN_CHARACTERS, Room, group_examples
from finetune.examples import REFUSAL, TrainingExample, named
from finetune.reader_groups import ANSWERS, ANSWERS_NOT, UNKNOWN, Candidate, Group, Label, Passage

LAW = "This Agreement is governed by the laws of Ohio."
TEXT = f"Notices are sent by post. {LAW} Each party bears its costs."


def words(text: str) -> int:
    return len(text.split())


WIDE = Room(1000, words)


def candidate(text: str, answer: str = "", *, label: Label | None = None, document: str = "cuad/a.txt") -> Candidate:
    """Return a passage whose marked span is `answer`, or one that does not answer."""
    spans = ((text.index(answer), text.index(answer) + len(answer)),) if answer else ()
    heading = "Supply Agreement | 4. Law | Governing Law"
    stated: Label = ANSWERS if answer else ANSWERS_NOT
    return Candidate(Passage(heading, text, document), stated if label is None else label, spans)


MISSES = tuple(candidate(f"Clause {number} is on deliveries and says nothing of courts.") for number in range(8))


def group(*candidates: Candidate, source: str = "cuad", document: str = "cuad/a.txt") -> Group:
    return Group("Which law governs?", source, document, "train", candidates)


def made(*groups: Group, room: Room = WIDE, seed: int = 1) -> list[TrainingExample]:
    return list(group_examples(groups, room=room, draw=random.Random(seed)))


def answers(found: Sequence[TrainingExample]) -> list[str]:
    return [one.target for one in found if not one.abstains]


def test_an_answer_is_the_marked_span_and_stands_once_in_what_is_shown() -> None:
    for seed in range(30):
        found = made(group(candidate(TEXT, LAW), *MISSES), seed=seed)
        assert answers(found) == [LAW]
        for one in found:
            assert sum(passage.text.count(LAW) for passage in one.passages) == (not one.abstains)
            assert one.abstains or stands(one.target, one.passages)
            assert 1 <= len(one.passages) <= MOST_PASSAGES
            assert one == named(one)
            assert (one.question, one.document) == ("Which law governs?", "cuad/a.txt")


def test_about_every_third_group_with_an_answer_is_also_shown_without_it() -> None:
    found = made(*(group(candidate(TEXT, LAW), *MISSES) for _ in range(300)))
    refusals = [one for one in found if one.abstains]
    assert len(found) - len(refusals) == 300
    assert 70 <= len(refusals) <= 130
    assert {one.target for one in refusals} == {REFUSAL}
    assert {one.kind for one in refusals} == {"unanswerable"}
    assert {one.origin for one in refusals} == {"cuad: without the answer"}


def test_a_group_without_an_answer_gives_the_refusal_alone() -> None:
    [one] = made(group(*MISSES))
    assert (one.target, one.abstains, one.kind) == (REFUSAL, True, "unanswerable")


def test_the_passage_that_answers_stands_at_any_place() -> None:
    found = [one for seed in range(60) for one in made(group(candidate(TEXT, LAW), *MISSES), seed=seed)]
    places = {next((n for n, passage in enumerate(one.passages) if LAW in passage.text), -1) for one in found}
    assert places == {-1, *range(MOST_PASSAGES)}


@pytest.mark.parametrize(
    ("source", "kind"),
    [("cuad", "labelled"), ("definition", "definition"), ("tatqa", "table"), ("product", "attribute")],
)
def test_the_kind_of_an_example_is_that_of_its_source(source: str, kind: str) -> None:
    found = [one for one in made(group(candidate(TEXT, LAW), source=source)) if not one.abstains]
    assert [one.kind for one in found] == [kind]
    assert found[0].origin == f"{source}: marked"


LONG = f"The fee is {'very ' * (MOST_SPAN_CHARACTERS // 5)}high."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("governed by the laws of Ohio. Each party bears its costs.", "governed by the laws of Ohio."),
        (f"Notices are sent by post. {LAW[:-6]}", LAW[:-6]),
        (f"It is so. {LONG} That is all.", LONG),
        ("It is so. The fee\n\nis high. That is all.", "The fee\n\nis high."),
        ("It is so. --- That is all.", "---"),
        (f"{TEXT} {LAW} So it is.", LAW),
    ],
    ids=["cut at the start", "cut at the end", "too long", "across an empty line", "no word", "stands twice"],
)
def test_a_span_that_is_no_whole_answer_gives_no_answer(text: str, answer: str) -> None:
    assert answers(made(group(candidate(text, answer), *MISSES))) == []


def test_a_value_of_a_product_may_end_its_record_without_a_full_stop() -> None:
    record = candidate("USB cable\nColour: black", "Colour: black", document="product/USB cable")
    assert answers(made(group(record, source="product", document="product/USB cable"))) == ["Colour: black"]
    assert answers(made(group(record, source="cuad"))) == []


def test_two_spans_in_a_passage_are_no_answer_and_the_next_passage_is_tried() -> None:
    several = replace(candidate(TEXT, LAW), spans=((0, 25), (26, 26 + len(LAW))))
    assert answers(made(group(several, *MISSES))) == []
    other = candidate(
        "Notices go out. The law of Iowa applies here. Costs are shared.", "The law of Iowa applies here."
    )
    assert answers(made(group(several, other, *MISSES))) == ["The law of Iowa applies here."]


def test_passages_fit_the_room_and_an_answer_that_does_not_is_left_out() -> None:
    least = words(TEXT) + 24  # and the line that names the source
    groups = [group(candidate(TEXT, LAW), *MISSES) for _ in range(40)]
    found = made(*groups, room=Room(2 * least, words))
    assert {len(one.passages) for one in found} == {1, 2}
    for one in found:
        assert sum(words(passage.text) + 24 for passage in one.passages) <= 2 * least
    assert len(answers(made(*groups, room=Room(least, words)))) == 40
    assert answers(made(*groups, room=Room(least - 1, words))) == []
    assert made(*groups, room=Room(0, words)) == []


def test_a_passage_of_unknown_label_is_shown_only_where_the_question_names_its_subject() -> None:
    unknown = tuple(replace(one, label=UNKNOWN) for one in MISSES)
    assert made(group(*unknown)) == []
    [one] = made(group(*unknown, source="product"))
    assert one.abstains
    for example in made(*(group(candidate(TEXT, LAW), *unknown) for _ in range(20))):
        assert [passage.text for passage in example.passages] == [TEXT]


@pytest.mark.parametrize(
    ("heading", "document", "source"),
    [
        ("Supply Agreement | Law", "cuad/a.txt", "Supply Agreement > Law"),
        ("Supply Agreement | Terms | Law | Courts", "cuad/a.txt", "Supply Agreement > Law > Courts"),
        ("Law | Law", "cuad/a.txt", "Law"),
        ("Law\nof the land", "cuad/a.txt", "Law"),
        ("travel rules | Lodging | Hotels", "travel_rules.md", "Lodging > Hotels"),
        ("", "travel_rules.md", "travel rules"),
        ("", "product/USB cable", "products > USB cable"),
    ],
)
def test_the_line_above_a_passage_is_its_title_and_its_nearest_headings(
    heading: str, document: str, source: str
) -> None:
    shown = Candidate(Passage(heading, MISSES[0].passage.text, document), ANSWERS_NOT)
    [one] = made(group(shown, document=document))
    assert [(passage.source, passage.document) for passage in one.passages] == [(source, document)]


def test_the_same_groups_and_seed_give_the_same_examples() -> None:
    groups = [group(candidate(TEXT, LAW), *MISSES) for _ in range(10)]
    assert made(*groups) == made(*groups)
    assert made(*groups) != made(*groups, seed=2)
