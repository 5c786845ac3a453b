"""The topic library is whole, its phrase language means what it says, and a person's file joins it."""

from __future__ import annotations

import pytest

from assistant.clause_scoring import Candidate, default_threshold, heading_match, measure, score_signals
from assistant.clause_topics import Topic, compile_phrase, find_topic, load_topics, readable, topic_of_text
from governance.errors import BadInput, NotFound


def test_library_has_the_41_categories_and_more() -> None:
    topics = load_topics()
    assert len(topics) >= 53
    assert {"Governing Law", "Anti-Assignment", "Source Code Escrow", "Force Majeure"} <= set(topics)
    assert all(topic.description for topic in topics.values())


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("govern* ... by ... law*", "shall be governed and construed by the substantive laws of", True),
        ("govern* ... by ... law*", "is governed. It is made by law", False),
        ("(may|shall) not ... assign*", "Licensee MAY NOT, in any way, assign", True),
        ("exclusive right", "a non-exclusive right", False),
        ("% of ... sales", "5% of the net sales", True),
        ("work (made )?for hire", "a work for hire", True),
    ],
)
def test_phrases_match_within_a_sentence(phrase: str, text: str, found: bool) -> None:
    assert (compile_phrase(phrase).search(readable(text)) is not None) is found


def test_topic_is_found_by_name_or_by_its_own_heading() -> None:
    topics = load_topics()
    assert find_topic("governing law", topics).name == "Governing Law"
    assert find_topic("Audit", topics).name == "Audit Rights"
    with pytest.raises(NotFound, match=r"near it are .*Governing Law"):
        find_topic("law", topics)
    with pytest.raises(NotFound, match="clauses topics"):
        find_topic("zebra", topics)


def test_free_text_takes_the_signals_of_the_topic_it_names() -> None:
    topics = load_topics()
    assert topic_of_text("allows assignment without consent", topics).phrases == topics["Anti-Assignment"].phrases
    assert topic_of_text("zebra crossings", topics).is_free_text


def test_a_file_adds_and_replaces_topics() -> None:
    added = load_topics('[[topic]]\nname = "Parking"\ndescription = "Where cars stand."\nphrases = ["park* ... car*"]')
    assert added["Parking"].phrases == ("park* ... car*",)
    assert "Governing Law" in added


@pytest.mark.parametrize(
    "text",
    ["not toml [", '[[topic]]\nname = "x"', '[[topic]]\nname = "x"\ndescription = "y"\ncolour = "red"'],
)
def test_a_damaged_file_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(BadInput, match=r"name and a description"):
        load_topics(text)
    with pytest.raises(BadInput, match="brackets"):
        compile_phrase("(open")


def test_score_rises_with_each_signal() -> None:
    topic = load_topics()["Governing Law"]
    law = "This Agreement shall be governed by the laws of Texas."
    scores = score_signals(
        topic,
        [
            Candidate(("Support",), "Support is given by telephone.", 0.1),
            Candidate(("Support",), law, 0.1),
            Candidate(("2 Governing Law",), law, 0.1),
            Candidate(("2 Governing Law",), law, 0.5),
        ],
        weigh=lambda _: 1.0,
    )
    assert scores == sorted(scores)
    assert scores[0] < default_threshold(topic) < scores[2]
    assert len(measure(topic, Candidate((), law, 0.0), weigh=lambda _: 1.0)) == 8


def test_heading_counts_its_own_before_its_parents() -> None:
    topic = Topic("Indemnity", "Who pays.", headings=("indemnification",))
    assert heading_match(topic, ("8. Indemnification",)) == 1.0
    assert heading_match(topic, ("8. Indemnification", "8.1")) == 0.5
    assert heading_match(topic, ("Insurance", "Indemnification and insurance")) == 0.5
    assert heading_match(topic, ()) == 0.0
