"""Clause search: every clause in scope examined, those that match counted, and the rest accounted for.

    scroll all chunks in scope -> clauses -> closeness of all -> score -> threshold -> wording -> evidence

Unlike retrieval there is no "best k": a clause is a match or it is not, by a threshold that the result names. Every
condition (access, dates, withdrawals, filters) is inside the engine's query. The statement of completeness is checked
before it is made: what was scrolled must be what the engine counts, and what was compared must be what was scrolled.
Catalogue records are no clauses and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from assistant.clause_facts import Fact, find_facts
from assistant.clause_scope import (
    ClauseScope,
    ClauseText,
    Examined,
    ExaminedDocument,
    OpenScope,
    Weigh,
    conditions_of,
    counted,
    examined_sentence,
    open_scope,
    place_value,
    scope_value,
)
from assistant.clause_scoring import Candidate, ClauseScorer, default_threshold, score_signals
from assistant.clause_topics import Topic, count_phrases, readable
from assistant.clause_wording import Stance, Verdict, Wanted, judge_wording, read_stances, subject_of, wanted_wording
from assistant.service import AssistantService
from governance.errors import BadInput, ProvenantError
from ingest.words import split_sentences, stems

_SCREEN = 0.02  # what scores less by its signals is not given to a slower scorer
_MOST_EVIDENCE = 3
_BORDERLINE = 1 / 3  # of the threshold
_SAYING = {"opposite": ("says the opposite", "say the opposite"), "open": ("leaves it open", "leave it open")}


@dataclass(frozen=True)
class Evidence:
    """Words that stand at [char_start, char_end) of a version's text."""

    char_start: int
    char_end: int
    page: int | None
    quote: str


@dataclass(frozen=True)
class ClauseMatch:
    """A clause that matches, with why: score, closeness, phrases found, wording, facts, evidence."""

    clause: ClauseText
    text: str
    score: float
    closeness: float
    verdict: Verdict
    stances: tuple[Stance, ...]
    facts: tuple[Fact, ...]
    evidence: tuple[Evidence, ...]

    def to_value(self) -> dict[str, Any]:
        """Return the JSON form."""
        clause = self.clause
        return {
            **place_value(clause),
            "text": self.text,
            "score": round(self.score, 4),
            "closeness": round(self.closeness, 4),
            "verdict": self.verdict,
            "wording": list(dict.fromkeys(stance.label for stance in self.stances)),
            "facts": [{"kind": fact.kind, "value": fact.value, "text": fact.text} for fact in self.facts],
            "evidence": [asdict(one) for one in self.evidence],
        }


@dataclass(frozen=True)
class FindResult:
    """The answer to an exhaustive search.

    `others` are on the subject and say the opposite, or leave it open; `borderline` clauses, best first, with their
    scores, came within a third of the threshold and are no matches: where a missed clause costs more than a look.
    """

    topic: Topic
    wanted: Wanted
    threshold: float
    scorer: str
    examined: Examined
    documents: tuple[ExaminedDocument, ...]
    matches: tuple[ClauseMatch, ...]
    others: tuple[ClauseMatch, ...] = ()
    borderline: tuple[tuple[ClauseText, float], ...] = ()

    @property
    def statement(self) -> str:
        """Return the completeness statement."""
        return _statement(self)

    def to_value(self) -> dict[str, Any]:
        """Return the JSON form."""
        examined = self.examined
        return {
            "topic": self.topic.name,
            "wanted": asdict(self.wanted),
            **scope_value(examined),
            "count": len(self.matches),
            "clauses_examined": len(examined.clauses),
            "chunks_examined": examined.chunks,
            "documents_examined": len(self.documents),
            "documents": [asdict(one) for one in self.documents],
            "documents_with_match": sorted({one.document for one in self.documents if one.matches}),
            "documents_without_match": self.without_match(),
            "not_examined": list(examined.unread),
            "threshold": self.threshold,
            "scorer": self.scorer,
            "statement": self.statement,
            "matches": [match.to_value() for match in self.matches],
            "other_wording": [match.to_value() for match in self.others],
            "borderline": [{**place_value(clause), "score": round(score, 4)} for clause, score in self.borderline],
        }

    def without_match(self) -> list[str]:
        """Return the names of the documents none of whose examined versions has a match."""
        return sorted(
            {one.document for one in self.documents} - {one.document for one in self.documents if one.matches}
        )


def find_clauses(
    service: AssistantService,
    topic: Topic,
    scope: ClauseScope,
    *,
    threshold: float | None = None,
    scorer: ClauseScorer | None = None,
) -> FindResult:
    """Return every clause in scope that is what a topic looks for.

    A free text's qualifiers ("allows", "without consent") are judged on the wording, not by closeness. Raises BadInput
    for a threshold outside 0 to 1, NotFound for an unknown collection.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise BadInput(f"The threshold {threshold} is not between 0 and 1.")
    wanted = wanted_wording(topic.description) if topic.name == topic.description else Wanted()
    looked_for = _subject(topic) if wanted else topic
    least = default_threshold(topic) if threshold is None else threshold
    with open_scope(service, scope) as opened:
        scored = score_all(service, looked_for, opened, scorer=scorer)
    examined = opened.examined
    found = [
        make_match(service, looked_for, clause, scores=scores, wanted=wanted)
        for clause, scores in zip(examined.clauses, scored, strict=True)
        if scores[0] >= least
    ]
    matches = tuple(match for match in found if match.verdict == "agrees")
    others = tuple(match for match in found if match.verdict != "agrees")
    documents = tuple(_counted(document, matches) for document in examined.documents)
    name = scorer.name if scorer else "wording and closeness"
    near = [
        (clause, scores[0])
        for clause, scores in zip(examined.clauses, scored, strict=True)
        if least * _BORDERLINE <= scores[0] < least
    ]
    borderline = tuple(sorted(near, key=lambda one: -one[1]))
    return FindResult(topic, wanted, least, name, examined, documents, matches, others, borderline)


def score_all(
    service: AssistantService, topic: Topic, opened: OpenScope, *, scorer: ClauseScorer | None = None
) -> list[tuple[float, float]]:
    """Return score and closeness to a topic of every clause in scope."""
    closeness = closeness_of(service, topic, opened)
    clauses = opened.examined.clauses
    scores = _scores(topic, clauses, closeness, weigh=opened.weigh, scorer=scorer)
    return list(zip(scores, closeness, strict=True))


def closeness_of(service: AssistantService, topic: Topic, opened: OpenScope) -> list[float]:
    """Return for each clause the cosine of its closest chunk to a topic's description, from the index's own vectors."""
    examined = opened.examined
    if not examined.clauses:
        return []
    vector = service.models.embedder.embed([topic.description])[0]
    conditions = conditions_of(service, examined.scope)
    found = opened.index.search_dense(vector, conditions=conditions, limit=examined.chunks + 1)
    near = {chunk.id: chunk.score for chunk in found}
    missing = sum(chunk not in near for clause in examined.clauses for chunk in clause.chunks)
    if missing:
        raise ProvenantError(
            f"{missing:,} of {examined.chunks:,} chunks were not compared; nothing is said of the rest."
        )
    return [max(near[chunk] for chunk in clause.chunks) for clause in examined.clauses]


def make_match(
    service: AssistantService,
    topic: Topic,
    clause: ClauseText,
    *,
    scores: tuple[float, float],
    wanted: Wanted,
) -> ClauseMatch:
    """Return a clause as a match, with evidence from the version's own text; `scores` are its own and closeness."""
    text = service.texts.span(clause.document, clause.version, clause.start, clause.end)
    places = telling_sentences(topic, text)
    stances = tuple(
        stance
        for stance in read_stances(text)
        if any(stance.start < end and stance.end > start for start, end in places)
    )
    evidence = tuple(evidence_at(service, clause, text, place) for place in places)
    verdict = judge_wording(stances, wanted) if wanted else "agrees"
    return ClauseMatch(clause, text, *scores, verdict, stances, tuple(find_facts(text)), evidence)


def evidence_at(service: AssistantService, clause: ClauseText, text: str, place: tuple[int, int]) -> Evidence:
    """Return the words at a place of a clause's text as evidence, at its place in the document."""
    start = clause.start + place[0]
    page = service.texts.page_at(clause.document, clause.version, start)
    return Evidence(start, clause.start + place[1], page, text[place[0] : place[1]])


def telling_sentences(topic: Topic, text: str) -> list[tuple[int, int]]:
    """Return the places of the sentences that say the topic (at most 3, in order), else the one that shares most."""
    sentences = split_sentences(text)
    counted = [(count_phrases(topic.phrases, readable(text[start:end])), start, end) for start, end in sentences]
    telling = sorted(sorted(counted, key=lambda one: (-one[0], one[1]))[:_MOST_EVIDENCE], key=lambda one: one[1])
    places = [(start, end) for count, start, end in telling if count]
    if places or not sentences:
        return places
    wanted = set(stems(topic.description))
    return [max(sentences, key=lambda place: len(wanted & set(stems(text[place[0] : place[1]]))))]


def _scores(
    topic: Topic,
    clauses: Sequence[ClauseText],
    closeness: Sequence[float],
    *,
    weigh: Weigh,
    scorer: ClauseScorer | None,
) -> list[float]:
    candidates = [Candidate(one.path, one.text, close) for one, close in zip(clauses, closeness, strict=True)]
    scores = score_signals(topic, candidates, weigh=weigh)
    if scorer is None:
        return scores
    places = [place for place, score in enumerate(scores) if score >= _SCREEN]
    again = scorer.score(topic, [f"{clauses[place].heading}\n{clauses[place].text}" for place in places])
    better = dict(zip(places, again, strict=True))
    return [better.get(place, 0.0) for place in range(len(scores))]


def _subject(topic: Topic) -> Topic:
    """Return a free-text topic that looks for its subject alone; what it asks of the wording is judged by rule."""
    subject = subject_of(topic.description)
    if not stems(subject):
        return topic
    return Topic(subject, subject, topic.phrases, topic.hints, topic.headings, topic.against, topic.threshold)


def _counted(document: ExaminedDocument, matches: Sequence[ClauseMatch]) -> ExaminedDocument:
    mine = [
        match
        for match in matches
        if (match.clause.document, match.clause.version) == (document.document, document.version)
    ]
    return replace(document, matches=len(mine))


def _statement(result: FindResult) -> str:
    examined = result.examined
    if not examined.clauses:
        return "No clause is in scope: nothing in the collection is readable, in force and meets the filters."
    matching = len(result.matches)
    parts = [f"{examined_sentence(examined)} were examined; {matching:,} match{'es' if matching == 1 else ''}."]
    for verdict, saying in _SAYING.items():
        more = sum(match.verdict == verdict for match in result.others)
        if more:
            parts.append(f"{more:,} more {'are' if more > 1 else 'is'} on the subject and {saying[more > 1]}.")
    if examined.unread:
        parts.append(f"Not examined: {counted(len(examined.unread), 'part')} without text, named below.")
    return " ".join(parts)
