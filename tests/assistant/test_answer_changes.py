"""What a new index changes: places kept, lost and found by address; answers told apart by what a person notices."""

from __future__ import annotations

from typing import Any

from assistant.answer_changes import (
    AnswerSketch,
    FoundPlace,
    answers_part,
    compare_answers,
    compare_places,
    describe_loss,
    find_place,
    places_part,
    with_places,
)
from assistant.golden import GoldenQuestion


def question(name: str, *, quote: str = "at most 120 dollars", answerable: bool = True) -> GoldenQuestion:
    evidence = ({"document": "travel.md", "quote": quote},) if answerable else ()
    return GoldenQuestion(name, f"What of {name}?", (), answerable, evidence)


def passage(text: str, *, clause: str = "", path: tuple[str, ...] = (), document: str = "travel.md") -> dict[str, Any]:
    place = {"page": None, "char_start": 0, "char_end": len(text), "kind": "clause"}
    return {"document": document, "clause": clause, "path": list(path), "text": text, **place}


def test_only_answerable_questions_with_evidence_have_a_place() -> None:
    assert [one.id for one in with_places([question("a"), question("b", answerable=False)])] == ["a"]


def test_a_place_is_its_evidence_or_the_address_it_had() -> None:
    asked = question("a")
    found = [passage("Trains."), passage("Hotels cost at most 120 dollars.", path=("Lodging",))]
    before = find_place(asked, found)
    assert before == FoundPlace(2, "travel.md", "", ("Lodging",))
    edited = [passage("Hotels cost at most 150 dollars.", path=("Lodging",))]
    assert find_place(asked, edited) is None
    assert find_place(asked, edited, before=before) == FoundPlace(1, "travel.md", "", ("Lodging",))
    assert find_place(asked, [passage("Other.", path=("Lodging",), document="b.md")], before=before) is None
    assert find_place(asked, [passage("Other.")], before=FoundPlace(1, "travel.md", "", ())) is None


def test_a_drop_is_what_was_lost_less_what_was_gained() -> None:
    asked = [question(name) for name in "abcd"]
    place = FoundPlace(3, "travel.md", "1", ())
    before: dict[str, FoundPlace | None] = {"a": place, "b": place, "c": None, "d": place}
    after: dict[str, FoundPlace | None] = {"a": None, "b": None, "c": place, "d": place}
    changes = compare_places(asked, before, after, first=8)
    assert (changes.asked, changes.found_before, changes.found_after, changes.drop) == (4, 3, 2, 0.25)
    assert [(one.id, one.document, one.rank_before) for one in changes.lost] == [
        ("a", "travel.md", 3),
        ("b", "travel.md", 3),
    ]
    said = describe_loss(changes, margin=0.05)
    assert "of 4 golden questions 3 find their place in the live index and 2 in the new one" in said
    assert (
        "a drop of 25% where 5% is allowed. Lost: “What of a?” (travel.md: rank 3, now not found); “What of b?" in said
    )
    part = places_part(changes, digest="sha256:1", left_out=7, accepted="")
    assert part.lines[0] == "golden questions: 2 of 4 find their place (3 before)"
    assert part.lines[-1] == "  7 further golden questions were not asked"


def test_the_first_index_has_nothing_to_lose() -> None:
    changes = compare_places([question("a")], {}, {"a": None}, first=8)
    assert (changes.drop, changes.lost) == (0.0, ())
    assert compare_places([], {}, {}, first=8).drop == 0.0


def test_a_place_just_below_the_first_has_slipped_and_is_not_lost() -> None:
    asked = [question(name) for name in "abc"]
    eighth, ninth, third = (FoundPlace(rank, "travel.md", "1", ()) for rank in (8, 9, 3))
    fell = compare_places([question("c")], {"c": third}, {"c": ninth}, first=8)
    assert (fell.found_after, [one.id for one in fell.lost]) == (0, ["c"])  # beyond twice the rank it had
    changes = compare_places(asked, {"a": eighth, "b": ninth, "c": third}, {"a": ninth, "b": None, "c": third}, first=8)
    assert (changes.found_before, changes.found_after, changes.lost, changes.drop) == (2, 2, (), 0.0)
    assert [(one.id, one.rank_before, one.rank_after) for one in changes.slipped] == [("a", 8, 9)]
    part = places_part(changes, digest="", left_out=0, accepted="")
    assert part.lines[1] == "  slipped a little: “What of a?” (travel.md: rank 8, now 9)"


def test_answers_differ_by_refusal_place_and_words() -> None:
    refused = AnswerSketch("", True, ())
    old = AnswerSketch("120 dollars. [1]", False, ("travel.md, Lodging",))
    moved = AnswerSketch("120 dollars. [1]", False, ("travel.md, Hotels",))
    reworded = AnswerSketch("150 dollars. [1]", False, ("travel.md, Lodging",))
    asked = [question(name) for name in "abcde"]
    before = {"a": old, "b": refused, "c": old, "d": old, "e": old}
    after = {"a": refused, "b": old, "c": moved, "d": reworded, "e": old}
    changes = compare_answers(asked, before, after)
    assert [(one.id, one.what) for one in changes] == [
        ("a", "refused"),
        ("b", "answered"),
        ("c", "place"),
        ("d", "words"),
    ]
    part = answers_part(changes, asked=5)
    assert part.lines == (
        "golden answers: 4 of 5 would now be answered differently",
        "  “What of a?” is refused now; it was answered “120 dollars. [1]”",
        "  “What of b?” is answered now: “120 dollars. [1]”",
        "  “What of c?” cites travel.md, Hotels now, and travel.md, Lodging before",
        "  “What of d?” is answered “150 dollars. [1]” now, and “120 dollars. [1]” before",
    )
    assert part.value["changed"][3]["after"]["answer"] == "150 dollars. [1]"
