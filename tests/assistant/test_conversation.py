"""Follow-ups are completed with what was said, topic changes are left alone, and unclear questions are asked back."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from assistant.clarification import clarify
from assistant.conversation import (
    CitedPlace,
    EarlierTurn,
    condense,
    earlier_turn,
    is_chat,
    phrases,
    points_back,
    rewrite,
)
from assistant.questions import Query
from assistant.retrieve import Passage
from ingest.document_names import DocumentNames, gather_names
from ingest.words import stems
from tests.assistant.passages import passage

CARD = "What is the hotel limit of the travel card?"
CANON = EarlierTurn("How many pixels has the Canon EOS 7D?", "How many pixels has the Canon EOS 7D?")
RESELLER = CitedPlace("contracts/todos-reseller-agreement.pdf", "RESELLER AGREEMENT", ("9 Warranty",))
SUPPLY = CitedPlace("contracts/hovione-supply-agreement.pdf", "SUPPLY AGREEMENT", ("4 Price",))


def turn(question: str, *cited: CitedPlace) -> EarlierTurn:
    return EarlierTurn(question, question, cited)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("And for contractors?", "And for contractors (hotel limit, travel card)?"),
        ("How long is it valid?", "How long is it valid (hotel limit, travel card)?"),
        ("Why?", "Why (hotel limit, travel card)?"),
        ("How do I renew the card?", "How do I renew the card (hotel limit, travel card)?"),
        ("What does the leave policy say about donating hours to colleagues?", None),
        ("What is a sandbox?", None),
        ("Is it possible to donate leave hours to another employee?", None),
        ("Thank you!", None),
    ],
)
def test_follow_ups_take_the_topic_along(question: str, expected: str | None) -> None:
    query = condense(question, [CARD])
    assert query.text == (expected or question)
    assert query.rewritten is (expected is not None)


@pytest.mark.parametrize("question", ["And for contractors?", "How long is it valid?", "Why?"])
def test_first_question_is_never_rewritten(question: str) -> None:
    assert condense(question, []) == Query(question, rewritten=False)


def test_only_the_named_thing_is_taken_along_when_something_else_is_asked_of_it() -> None:
    assert rewrite("And its price?", [CANON]).query.text == "And its price (Canon EOS 7D)?"


def test_greetings_between_questions_are_passed_over() -> None:
    found = rewrite("And its price?", [CANON, turn("Thank you very much!"), turn("That is fine.")])
    assert found.query.text == "And its price (Canon EOS 7D)?"


def test_topic_reaches_through_turns_that_leaned_themselves() -> None:
    first = rewrite("Is it heavy?", [CANON])
    second = rewrite("And its price?", [CANON, EarlierTurn("Is it heavy?", first.query.text)])
    assert "Canon EOS 7D" in second.query.text


def test_the_only_document_cited_is_named() -> None:
    found = rewrite("And how long is the warranty?", [turn("How much notice comes before an audit?", RESELLER)])
    assert "Todos Reseller Agreement" in found.query.text
    assert {addition.source for addition in found.added} == {"the last question", "the answer's citation"}


def test_of_several_documents_cited_none_is_picked() -> None:
    found = rewrite("And how long is the warranty?", [turn("How much notice comes first?", RESELLER, SUPPLY)])
    assert "Agreement" not in found.query.text


@pytest.mark.parametrize(
    ("which", "name"),
    [("second one", "Hovione Supply Agreement"), ("first", "Todos Reseller Agreement"), ("last", "Hovione Supply")],
)
def test_the_second_one_is_the_second_place_cited(which: str, name: str) -> None:
    found = rewrite(f"What about the {which}?", [turn("Which deals have a warranty?", RESELLER, SUPPLY)])
    assert name in found.query.text
    assert [addition.source for addition in found.added] == ["the last answer's citations"]


@pytest.mark.parametrize("question", ["And for contractors?", "What about the second one?", "Who signs it?", "Why?"])
def test_every_word_added_was_typed_or_cited(question: str) -> None:
    earlier = [turn(CARD), turn("Which deals does Acme have a warranty in?", RESELLER, SUPPLY)]
    said = " ".join([one.question for one in earlier] + [f"{c.name} {c.title}" for one in earlier for c in one.cited])
    added = stems(" ".join(addition.words for addition in rewrite(question, earlier).added))
    assert added
    assert set(added) <= set(stems(said))


def test_rewriting_says_what_was_added_and_why() -> None:
    shown = rewrite("How long is it valid?", [turn(CARD)]).shown
    assert shown.startswith("Read as: How long is it valid (hotel limit, travel card)?")
    assert "“it” stands for something said before" in shown
    assert "the last question" in shown
    assert rewrite(CARD, []).shown == ""


def test_another_topic_is_left_alone_even_if_it_points() -> None:
    question = "What facilities does this library provide to young readers?"
    assert not rewrite(question, [turn(CARD)]).query.rewritten


def test_additions_stay_few() -> None:
    long = "Which alpha bravo charlie delta echo foxtrot of golf hotel india with juliet kilo lima for mike november?"
    added = rewrite("Why?", [turn(long)]).added
    assert 0 < sum(len(addition.words.split()) for addition in added) <= 10


@pytest.mark.parametrize(
    ("question", "pointer"),
    [
        ("How long is it valid?", "it"),
        ("Does this apply to contractors?", "this"),
        ("Why is that?", "that"),
        ("Can I open an account there?", "there"),
        ("Is it true that hotels are capped?", ""),
        ("What is the fee that applies to audits?", ""),
        ("Is there a fee?", ""),
        ("I scanned 8710103359241. What is it?", ""),
        ("How many years must the buyer and seller keep secrets after their agreement ends?", ""),
    ],
)
def test_pointers_are_told_from_other_uses(question: str, pointer: str) -> None:
    assert points_back(question) == pointer


@pytest.mark.parametrize(("text", "chat"), [("Thanks!", True), ("Oh, I see. Thank you.", True), ("Fees?", False)])
def test_chat_is_told_from_questions(text: str, chat: bool) -> None:
    assert is_chat(text) is chat


@pytest.mark.parametrize(
    "text", ["thanks for " * 360 + "x", "that " * 800, "it is " * 600, "ok, " * 999 + "why", "a' " * 1300]
)
def test_no_wording_makes_the_rules_slow(text: str) -> None:
    started = time.perf_counter()
    for written in (text, text[:160]):
        rewrite(written, [turn(CARD), turn(written)])
        ask(written, ALIKE)
    assert time.perf_counter() - started < 1.0


def test_phrases_end_at_words_that_carry_nothing() -> None:
    assert phrases("What does B & C General Warehouse ask per kilo?") == ["General Warehouse", "kilo"]
    assert phrases("Which notes don't fit the EOS 7D kit's bag?") == ["notes", "fit", "EOS 7D kit", "bag"]


def test_an_earlier_turn_is_read_from_its_trace() -> None:
    cited = {"document": "goods.csv", "title": "goods", "path": ["USB cable black"], "page": None}
    found = earlier_turn("How much?", {"query": "How much (cable)?", "citations": [cited]})
    assert found == EarlierTurn(
        "How much?", "How much (cable)?", (CitedPlace("goods.csv", "goods", ("USB cable black",), is_record=True),)
    )
    assert found.cited[0].name == "USB Cable Black"


def contracts(
    *names: str, text: str = "Either party may terminate on notice; the notice period is thirty days."
) -> list[Passage]:
    return [
        passage(text, rank=rank, title="AGREEMENT", document=f"contracts/{name}.pdf", start=5000, path=("9 Term",))
        for rank, name in enumerate(names, start=1)
    ]


ALIKE = contracts("acme-supply-agreement", "bolt-hosting-agreement", "cano-sponsorship-agreement")


def names_of(passages: list[Passage]) -> DocumentNames:
    return gather_names([one.chunk for one in passages])


def ask(question: str, passages: list[Passage], *, rewritten: bool = False) -> str | None:
    found = clarify(Query(question, rewritten), passages, names_of(passages))
    return found.question if found else None


def test_several_documents_with_an_answer_are_asked_back() -> None:
    found = clarify(Query("What is the notice period?", rewritten=False), ALIKE, names_of(ALIKE))
    assert found is not None
    assert found.question == (
        "Which agreement do you mean: Acme Supply Agreement, Bolt Hosting Agreement or Cano Sponsorship Agreement?"
    )
    assert found.options[1].question == "What is the notice period (Bolt Hosting Agreement)?"


def test_chosen_options_are_not_asked_back_again() -> None:
    found = clarify(Query("What is the notice period?", rewritten=False), ALIKE, names_of(ALIKE))
    assert found is not None
    assert all(ask(option.question, ALIKE) is None for option in found.options)


def test_at_most_four_options_are_given() -> None:
    many = contracts(*(f"{name}-agreement" for name in ("acme", "bolt", "cano", "deer", "ebix", "fox")))
    found = clarify(Query("What is the notice period?", rewritten=False), many, names_of(many))
    assert found is not None
    assert len(found.options) == 4
    assert found.question.endswith("or another?")


@pytest.mark.parametrize(
    "question",
    [
        "What is the notice period of the Acme agreement?",
        "What is the hosting notice period?",
        "Which agreements have a notice period?",
        "What is a notice period?",
        "List all notice periods",
    ],
)
def test_questions_that_name_or_list_are_not_asked_back(question: str) -> None:
    assert ask(question, ALIKE) is None


def test_one_document_in_front_is_not_asked_back() -> None:
    front = [passage("The notice period is thirty days.", rank=rank) for rank in range(1, 5)]
    assert ask("What is the notice period?", [*front, *ALIKE[:1]]) is None


def test_passages_about_something_else_are_no_options() -> None:
    other = contracts("bolt-hosting-agreement", "cano-sponsorship-agreement", text="Fees are due at once.")
    assert ask("What is the notice period?", [ALIKE[0], *other]) is None


def test_a_pointer_is_asked_back_only_where_nothing_was_said_before() -> None:
    assert ask("When is it due?", ALIKE) == "What does “it” stand for?"
    assert ask("When is it due (Acme fee)?", ALIKE, rewritten=True) is None


def test_a_word_alone_is_asked_back_and_a_part_number_is_not() -> None:
    assert (ask("notice", ALIKE) or "").startswith("Which agreement do you mean")
    assert ask("EC.K1400.001", ALIKE) is None


def test_records_are_asked_back_as_products() -> None:
    goods = [
        passage(
            "Toner black", rank=rank, kind="record", document="goods.csv", path=(title,), page=None, clause=str(rank)
        )
        for rank, title in enumerate(("HP toner A", "Xerox toner B", "Dell toner C"), start=1)
    ]
    assert (
        ask("How much is the toner?", goods) == "Which product do you mean: HP Toner A, Xerox Toner B or Dell Toner C?"
    )
    assert ask("How much is the Xerox toner?", goods) is None


def test_nothing_found_is_not_asked_back() -> None:
    assert ask("What is the notice period?", []) is None


def test_every_option_stands_among_the_passages() -> None:
    found = clarify(Query("What is the notice period?", rewritten=False), ALIKE, names_of(ALIKE))
    assert found is not None
    named = {one.chunk.document.split("/")[1].removesuffix(".pdf").replace("-", " ") for one in ALIKE}
    assert {option.label.casefold() for option in found.options} <= named


@pytest.mark.parametrize("name", ["underspecified.jsonl", "follow_ups.jsonl"])
def test_golden_files_can_be_read_and_hold_each_question_once(name: str) -> None:
    lines = (Path(__file__).parents[1] / "golden" / name).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["question"] for row in rows)
