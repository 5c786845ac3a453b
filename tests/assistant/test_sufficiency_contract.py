"""What a question about a contract asks for: how usual it is, whether it stands there, and how that is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assistant.clause_topics import load_topics
from assistant.quotes import rank_quotes
from assistant.retrieve import Passage
from assistant.service import AssistantService
from assistant.sufficiency import Features, Thresholds, judge, measure
from assistant.sufficiency_contract import clause_signs, is_contract, topic_weights, usual_shares
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from ingest.words import stems
from tests.assistant.passages import passage

TOPICS = load_topics()
GOVERNED = "This Agreement shall be governed by the laws of the State of Ohio."
PLAIN = "The Supplier shall deliver the goods on Mondays."


def signs(question: str, *texts: str) -> tuple[float, float]:
    found = clause_signs(stems(question), texts, topics=TOPICS)
    return found.usual, found.worded


def test_every_share_is_that_of_a_topic() -> None:
    assert len(usual_shares()) == 41
    assert set(usual_shares()) <= set(TOPICS)
    assert all(0 < share <= 1 for share in usual_shares().values())


def test_a_usual_clause_speaks_for_an_answer_and_a_rare_one_against() -> None:
    law, _ = signs("Which state's law governs the contract?", PLAIN)
    escrow, _ = signs("Is the source code deposited in escrow?", PLAIN)
    assert law > 0 > escrow


def test_wording_counts_where_it_stands_and_not_where_it_does_not() -> None:
    asked = "Which state's law governs the contract?"
    assert signs(asked, PLAIN, GOVERNED)[1] > 0.9
    assert signs(asked, PLAIN)[1] == 0.0


def test_a_question_without_known_words_is_neither_usual_nor_rare_by_itself() -> None:
    weights = topic_weights(stems("zebra crossing"), tuple(TOPICS.values()))
    assert sum(weights.values()) == pytest.approx(1.0)
    assert len(set(weights.values())) == 1


def test_a_contract_is_told_by_its_title_or_name_and_never_a_record() -> None:
    assert is_contract(passage("x", title="Supply Agreement").chunk)
    assert is_contract(passage("x", title="", document="acme-software-license.pdf").chunk)
    assert not is_contract(passage("x", title="Travel policy").chunk)
    assert not is_contract(passage("x", title="Supply Agreement", kind="record").chunk)


def test_clauses_weigh_nothing_on_what_is_no_contract() -> None:
    features = Features(0.6, 0.6, 0.8, 1.0, 1.0, 1.0, 0.2, 0.2, 0.6)
    without = Thresholds(contract=0.0, usual=0.0, worded=0.0)
    assert judge(features, Thresholds()).probability == judge(features, without).probability


def test_the_threshold_of_the_release_decides() -> None:
    features = Features(0.6, 0.6, 0.8, 1.0, 1.0, 1.0, 0.2, 0.2, 0.6)
    probability = judge(features, Thresholds()).probability
    assert judge(features, Thresholds(answer_from=probability - 0.01)).enough
    refused = judge(features, Thresholds(answer_from=probability + 0.01))
    assert not refused.enough
    assert refused.reason


def test_the_whole_contract_is_looked_through_and_not_only_what_was_retrieved(
    service: AssistantService, corpus: Path, tools: IngestTools
) -> None:
    (corpus / "supply-agreement.md").write_text(f"# Supply Agreement\n\n## Goods\n\n{PLAIN}\n\n## Law\n\n{GOVERNED}\n")
    run_ingest(IngestRequest((corpus,), "c"), replace(tools, answering=service.answering()))
    with service.open_generation(service.release(), "c") as generation:
        chunks = [one for one in generation.index.scroll() if one.document == "supply-agreement.md"]
        goods = [Passage(one, 1, 1.0, 0.5, 5.0) for one in chunks if PLAIN in one.text]
        vocabulary = generation.summary.vocabulary
        asked = "Which state's law governs the supply agreement?"
        quotes = rank_quotes(asked, goods, embedder=service.models.embedder, weigh=vocabulary.weigh)
        features, _ = measure(asked, goods, quotes, index=generation.index, vocabulary=vocabulary)
    assert (features.contract, features.passage_closeness) == (1.0, 0.5)
    assert features.usual > 0
    assert features.worded > 0.9
