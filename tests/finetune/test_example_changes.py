"""What changed is asked twice in the same words, and what did not change is not asked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from assistant.service import AssistantService
from finetune.example_changes import at_odds, changed
from finetune.example_checks import Taken
from finetune.example_contexts import Contexts
from finetune.example_questions import Draft, load_templates
from ingest.index import NO_END, Stored
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from tests.assistant.conftest import OWNER, TRAVEL, corpus, models, service
from tests.assistant.passages import passage

__all__ = ["corpus", "models", "service"]  # fixtures
EARLIER, PRESENT = "Hotel rooms cost at most 120 dollars a night.", "Hotel rooms cost at most 150 dollars a night."
THEN, NOW = "120 dollars", "150 dollars"
ALIKE = "Receipts must be kept for six (6) years."
GOODS = "id,title,price_eur\nA1,USB cable black,7\nA2,Network hub,20\n"
CHANGED_ON = 20260101


@pytest.fixture
def contexts(service: AssistantService, tools: IngestTools, corpus: Path) -> Iterator[Contexts]:
    """The corpus with a second version of a policy and of a catalogue."""
    (corpus / "travel.md").write_text(TRAVEL.replace("120", "150"))
    (corpus / "goods.csv").write_text(GOODS)
    request = IngestRequest((corpus,), "c", effective=date(2026, 1, 1))
    run_ingest(request, replace(tools, answering=service.answering()))
    with service.open_generation(service.release(), "c") as generation:
        yield Contexts(service, generation, "c", OWNER)


def chunk(text: str, *, ends: int = NO_END, heading: str = "Lodging", **values: Any) -> Stored:
    return passage(text, path=("Travel policy", heading), effective_to=ends, **values).chunk


def asked_of_changes(*chunks: Stored) -> list[Draft]:
    return list(changed(chunks, load_templates(), random.Random(1)))


def asked_of_odds(*chunks: Stored) -> list[Draft]:
    return list(at_odds(chunks, load_templates(), random.Random(1)))


def test_what_two_versions_say_differently_is_asked_of_both_in_the_same_words(contexts: Contexts) -> None:
    found = asked_of_changes(*contexts.readable())
    by_kind = {kind: [one for one in found if one.kind == kind] for kind in ("attribute_change", "version_conflict")}
    assert [one.target for one in by_kind["attribute_change"]] == ["Price: 5.00 EUR", "Price: 7.00 EUR"]
    assert {one.chunk.clause for one in by_kind["attribute_change"]} == {"A1"}
    assert [one.target for one in by_kind["version_conflict"]] == [THEN, NOW]
    assert {one.chunk.document for one in by_kind["version_conflict"]} == {"travel.md"}
    for old, new in by_kind.values():
        assert old.question == new.question
        assert (old.chunk.effective_to, new.chunk.effective_to) == (CHANGED_ON, NO_END)
        assert old.origin.endswith("earlier version")
        assert new.origin.endswith("present version")


def test_examples_of_a_change_show_the_version_that_was_in_force_on_the_day_asked_of(contexts: Contexts) -> None:
    made = [
        example
        for draft in asked_of_changes(*contexts.readable())
        for example in contexts.examples(draft, Taken(), near_miss=False)
    ]
    shown = {one.target: " ".join(passage.text for passage in one.passages) for one in made}
    assert EARLIER in shown[THEN]
    assert PRESENT not in shown[THEN]
    assert PRESENT in shown[NOW]
    assert EARLIER not in shown[NOW]
    assert {one.kind for one in made} == {"version_conflict", "attribute_change"}


def test_two_documents_of_a_family_that_are_both_in_force_give_both_sentences() -> None:
    first, second = (
        chunk(f"{EARLIER} {ALIKE}", document="rules v1.md"),
        chunk(f"{ALIKE} {PRESENT}", document="rules v2.md"),
    )
    for chunks in ((first, second), (second, first)):  # once, whichever comes first
        [draft] = asked_of_odds(*chunks)
        assert draft.target.split("\n") == [THEN, NOW]
        assert (draft.chunk, draft.second, draft.kind) == (first, second, "version_conflict")


@pytest.mark.parametrize(
    "present",
    [
        chunk("Per night, hotel rooms cost at most 120 dollars."),
        chunk("Hotel rooms cost at most USD 120 a night."),
        chunk("Each of the meals that a traveller eats on the way is paid up to 30 dollars on any one day."),
        chunk(PRESENT, heading="Air"),
        chunk(PRESENT, document="other.pdf"),
        chunk(PRESENT, ends=20270101),
    ],
    ids=["other words", "same amount", "other matter", "other heading", "other document", "not in force"],
)
def test_what_is_said_alike_or_of_something_else_is_no_change(present: Stored) -> None:
    earlier = chunk(EARLIER, ends=CHANGED_ON)
    assert asked_of_changes(earlier, chunk(PRESENT))
    assert asked_of_changes(earlier, present) == []


def test_an_attribute_that_is_gone_stated_twice_or_as_before_is_no_change() -> None:
    def record(*lines: str, ends: int = NO_END) -> Stored:
        return chunk("\n".join(["USB cable", *lines]), ends=ends, kind="record", clause="A1", document="goods.csv")

    earlier = record("Price: 5 EUR", ends=CHANGED_ON)
    assert len(asked_of_changes(earlier, record("Price: 7 EUR"))) == 2
    for lines in (["Price: 5 EUR"], ["Colour: black"], ["Price: 7 EUR", "Price: 8 EUR"], ["Price net: 7 EUR"]):
        assert asked_of_changes(earlier, record(*lines)) == []


def test_documents_of_other_families_and_versions_out_of_force_are_not_at_odds() -> None:
    rules = chunk(EARLIER, document="rules v1.md")
    assert asked_of_odds(rules, chunk(PRESENT, document="rules v2.md"))
    assert asked_of_odds(rules, chunk(PRESENT, document="manual.md")) == []
    assert asked_of_odds(rules, chunk(PRESENT, document="rules v2.md", ends=CHANGED_ON)) == []
    assert asked_of_odds(rules, chunk(EARLIER, document="rules v2.md")) == []


def test_the_same_chunks_and_seed_give_the_same_drafts() -> None:
    chunks = [
        *(chunk(text, document="rules v1.md", ends=ends) for text, ends in ((EARLIER, CHANGED_ON), (PRESENT, NO_END))),
        chunk(EARLIER, document="rules v2.md"),
    ]
    assert asked_of_changes(*chunks) == asked_of_changes(*chunks) != []
    assert asked_of_odds(*chunks) == asked_of_odds(*chunks) != []
