"""Exhaustive clause search on the real engine: everything in scope is examined, counted, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from assistant.clause_scope import ClauseScope, group_clauses, open_scope
from assistant.clause_topics import Topic, load_topics, topic_of_text
from assistant.clauses import FindResult, find_clauses
from assistant.service import AssistantService
from governance.access import Principal
from governance.errors import BadInput, NotFound
from governance.settings import Settings
from governance.store import Store
from ingest.index import Condition
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from ingest.withdrawal import withdraw
from tests.assistant.clause_corpus import ACME, write_agreements
from tests.assistant.conftest import OWNER, ScriptedModels

TODAY = date(2026, 11, 25)
TOPICS = load_topics()


@pytest.fixture
def agreements(
    settings: Settings, store: Store, models: ScriptedModels, tools: IngestTools, tmp_path: Path
) -> Iterator[AssistantService]:
    made = AssistantService(settings, store, models=models, index_engine=tools.engine)
    run_ingest(
        IngestRequest((write_agreements(tmp_path / "agreements"),), "a"), replace(tools, answering=made.answering())
    )
    yield made
    made.close()


def scope(**values: object) -> ClauseScope:
    return ClauseScope(**{"collection": "a", "principal": OWNER, "as_of": TODAY, **values})  # type: ignore[arg-type]


def find(service: AssistantService, text: str, **values: object) -> FindResult:
    topic = TOPICS.get(text) or topic_of_text(text, TOPICS)
    return find_clauses(service, topic, scope(**values))


def test_every_clause_is_examined_and_the_statement_says_so(agreements: AssistantService) -> None:
    result = find(agreements, "Governing Law")
    assert [match.clause.document for match in result.matches] == ["acme.md", "boreal.md", "cedar.md"]
    with open_scope(agreements, scope()) as opened:
        assert opened.examined.chunks == opened.index.count([Condition("kind", "any", ("clause", "table"))])
    examined = len(result.examined.clauses)
    assert result.statement == (f"All {examined} clauses of 3 documents in force on 2026-11-25 were examined; 3 match.")
    value = result.to_value()
    assert (value["count"], value["documents_examined"], value["clauses_examined"]) == (3, 3, examined)
    assert sum(document["clauses"] for document in value["documents"]) == examined
    assert value["documents_without_match"] == []


def test_catalogue_records_are_no_clauses(agreements: AssistantService) -> None:
    result = find(agreements, "assignment")
    assert "goods.csv" not in {document.document for document in result.documents}


def test_a_document_without_a_match_is_named(agreements: AssistantService) -> None:
    result = find(agreements, "Anti-Assignment")
    assert result.without_match() == ["cedar.md"]
    assert [document.matches for document in result.documents] == [1, 1, 0]


def test_polarity_divides_matches_and_drops_none(agreements: AssistantService) -> None:
    result = find(agreements, "every clause that allows assignment without consent")
    assert [match.clause.document for match in result.matches] == ["boreal.md"]
    assert [(match.clause.document, match.verdict) for match in result.others] == [("acme.md", "opposite")]
    assert "1 match" in result.statement
    assert "1 more is on the subject and says the opposite." in result.statement
    turned = find(agreements, "prohibits assignment without consent")
    assert [match.clause.document for match in turned.matches] == ["acme.md", "boreal.md"]


def test_evidence_stands_at_its_place_in_the_version(agreements: AssistantService) -> None:
    for match in find(agreements, "Governing Law").matches:
        text = agreements.texts.parsed(match.clause.document, match.clause.version).text
        assert match.text == text[match.clause.start : match.clause.end]
        for one in match.evidence:
            assert text[one.char_start : one.char_end] == one.quote
        assert "laws of" in match.evidence[0].quote
    assert [fact.value for fact in match.facts if fact.kind == "law"] == ["England"]


def test_only_versions_in_force_count_unless_all_are_asked_for(
    agreements: AssistantService, tools: IngestTools, tmp_path: Path
) -> None:
    (tmp_path / "agreements" / "acme.md").write_text(ACME.replace("Texas", "Nevada"), encoding="utf-8")
    later = IngestRequest((tmp_path / "agreements",), "a", None, date(2027, 1, 1))
    run_ingest(later, replace(tools, answering=agreements.answering()))
    assert _laws(find(agreements, "Governing Law")) == ["Texas"]  # the others' date moved with the new ingest
    assert _laws(find(agreements, "Governing Law", as_of=date(2027, 6, 1))) == ["Nevada", "Texas", "England"]
    every = find(agreements, "Governing Law", as_of=None, all_versions=True)
    assert sorted(_laws(every)) == ["England", "Nevada", "Texas", "Texas"]
    assert "in all 4 indexed versions" in every.statement


def _laws(result: FindResult) -> list[str]:
    return [fact.value for match in result.matches for fact in match.facts if fact.kind == "law"]


def test_what_may_not_be_read_or_was_withdrawn_is_not_examined(
    agreements: AssistantService, tools: IngestTools, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "secret.md").write_text(ACME, encoding="utf-8")
    ours = replace(tools, answering=agreements.answering())
    run_ingest(IngestRequest((secret,), "a", ("legal",)), ours)
    stranger = Principal("eve", "agent", ())
    assert "secret.md" not in {one.document for one in find(agreements, "Governing Law", principal=stranger).documents}
    lawyer = Principal("ann", "agent", ("legal",))
    assert "secret.md" in {one.document for one in find(agreements, "Governing Law", principal=lawyer).documents}
    withdraw("cedar.md", "a", ours)
    assert _laws(find(agreements, "Governing Law", principal=stranger)) == ["Texas", "Texas"]


def test_nothing_in_scope_is_said_plainly(agreements: AssistantService) -> None:
    none = (Condition("document", "=", "none.md"),)
    result = find(agreements, "Governing Law", filters=none)
    assert result.matches == ()
    assert result.statement.startswith("No clause is in scope")


def test_borderline_clauses_are_listed_below_the_threshold(agreements: AssistantService) -> None:
    strict = find_clauses(agreements, TOPICS["Governing Law"], scope(), threshold=1.0)
    assert strict.matches == ()
    assert len(strict.borderline) == 3
    assert all(score < 1.0 for _, score in strict.borderline)


def test_a_threshold_out_of_range_and_an_unknown_collection_are_refused(agreements: AssistantService) -> None:
    with pytest.raises(BadInput, match="between 0 and 1"):
        find_clauses(agreements, TOPICS["Insurance"], scope(), threshold=2.0)
    with pytest.raises(NotFound, match="no collection"):
        find(agreements, "Insurance", collection="none")


class SupportScorer:
    """Finds nothing but telephone support."""

    name = "support only"

    def __init__(self) -> None:
        self.read: list[str] = []

    def score(self, topic: Topic, texts: Sequence[str]) -> list[float]:
        self.read = list(texts)
        return [1.0 if "telephone" in text else 0.0 for text in texts]


def test_another_scorer_takes_the_place_of_the_default(agreements: AssistantService) -> None:
    scorer = SupportScorer()
    result = find_clauses(agreements, Topic("support", "support by telephone on business days"), scope(), scorer=scorer)
    assert [match.clause.document for match in result.matches] == ["cedar.md"]
    assert result.to_value()["scorer"] == "support only"
    assert scorer.read[0].count("\n") >= 1


def test_chunks_join_to_clauses_that_keep_their_offsets(agreements: AssistantService) -> None:
    with open_scope(agreements, scope()) as opened:
        for clause in opened.examined.clauses:
            text = agreements.texts.span(clause.document, clause.version, clause.start, clause.end)
            assert len(clause.text) == len(text)
            assert clause.text.split() == text.split()
    assert group_clauses([]) == ()
