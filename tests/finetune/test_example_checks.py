"""The split by document: a small collection has something held out, a large one is split by the hash share alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from finetune.example_checks import Taken, family_of, split_by_document
from finetune.examples import REFUSAL, ExamplePassage, TrainingExample, named

ANSWER = "Hotel rooms cost at most 120 dollars a night."
Sides = tuple[list[TrainingExample], list[TrainingExample]]


def example(document: str, *, target: str = ANSWER, shown: str = "") -> TrainingExample:
    """Return an example of a document that shows a passage of it, or of another."""
    passage = ExamplePassage(f"{document}#1", shown or document, "", "Travel policy", f"{ANSWER} Taxis are paid.")
    asked = f"How much do hotel rooms cost by {document}?"
    return named(TrainingExample("", "clause", asked, (passage,), target, target == REFUSAL, document, "test"))


def policies(number: int) -> list[TrainingExample]:
    return [example(f"policy {chr(97 + one)}.md") for one in range(number)]


def split(examples: list[TrainingExample], seed: int, share: float = 0.1) -> Sides:
    return split_by_document(examples, share=share, seed=seed, taken=Taken())


def drawn(document: str, seed: int) -> float:
    """Return the number from 0 to 1 that decides on a document, as it has been since the first version."""
    return int(hashlib.sha256(f"{seed}/{family_of(document)}".encode()).hexdigest()[:8], 16) / 16**8


@pytest.mark.parametrize("number", [2, 3, 5])
def test_a_small_collection_always_has_its_first_document_by_hash_held_out(number: int) -> None:
    for seed in range(40):
        _, held_out = split(policies(number), seed)
        first = min(policies(number), key=lambda one: drawn(one.document, seed))
        assert first in held_out


def test_a_small_collection_keeps_something_to_learn_from_where_it_is_held_out_for_want_of_another() -> None:
    for seed in range(40):
        if all(drawn(one.document, seed) >= 0.1 for one in policies(2)):
            assert [len(side) for side in split(policies(2), seed)] == [1, 1]


def test_a_larger_collection_is_split_by_the_share_alone() -> None:
    examples = policies(26)
    for seed in range(20):
        by_share = [one for one in examples if drawn(one.document, seed) < 0.3]
        assert by_share
        assert split(examples, seed, 0.3)[1] == by_share


def test_editions_of_one_document_are_not_torn_apart_to_hold_one_out() -> None:
    editions = [example(f"rules v{number}.0.md") for number in range(6)]
    for seed in range(20):
        assert sorted(map(len, split(editions, seed))) == [0, 6]


def test_what_is_held_out_for_want_of_another_is_a_document_and_not_a_question_beside_the_collection() -> None:
    beside = [
        example(f"out of scope: {word}?", target=REFUSAL, shown="policy a.md") for word in ("dogs", "cats", "tea")
    ]
    for seed in range(40):
        _, held_out = split([*beside, *policies(2)], seed)
        assert any(not one.abstains for one in held_out)


def test_passages_of_the_document_held_out_for_want_of_another_are_shown_on_its_side_only() -> None:
    first, second = (one.passages[0] for one in policies(2))
    both = [replace(one, passages=(first, second)) for one in policies(2)]
    for seed in range(40):
        sides = split(both, seed)
        shown = [{passage.document for one in side for passage in one.passages} for side in sides]
        assert shown[1]
        assert not shown[0] & shown[1]


def test_each_record_of_a_catalogue_counts_as_a_document() -> None:
    passages = [ExamplePassage(f"r{number}", "goods.csv", "", f"Hub {number}", ANSWER) for number in range(2)]
    records = [
        replace(example(f"goods.csv | Hub {number}"), passages=(passage,)) for number, passage in enumerate(passages)
    ]
    for seed in range(20):
        assert split(records, seed)[1]
