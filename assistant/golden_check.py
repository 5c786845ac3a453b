"""The golden check: may a new index answer in place of the live one, and what will it answer differently.

    search the questions in both indexes, before the switch  -> a Verdict: too many lost their place, or go on
    answer them by the live release before and the new one after the switch -> the answers that changed

Answers are those of the product's own way without a language model: the best quote that stands at its place, a record's
own lines, or a refusal. They are deterministic, need milliseconds, and leave no trace. Both indexes are closed before
the check ends, so that whoever serves can open them; one that a server has open is read from a copy.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from assistant.answer import Answer, Citation, passage_value
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
from assistant.generation import Decoding, Generation, GenerationStream, Message, ModelIdentity
from assistant.golden import Found, GoldenQuestion
from assistant.golden_sets import GoldenSet
from assistant.local_models import Models
from assistant.questions import Query
from assistant.reader import Reader, Reading
from assistant.retrieve import Scope, retrieve
from assistant.service import AssistantService
from assistant.turn import AskRequest
from governance.access import Principal
from governance.digests import digest_value
from governance.errors import Damaged, NotFound
from ingest.embed import Embedder
from ingest.generation_checks import Candidate, Verdict
from ingest.index_borrow import BorrowingEngine
from ingest.ingest_report import ReportPart

_DEEPER = 2  # times the passages that retrieval returns: how far down a place is looked for


class SilentEngine:
    """A language model that writes nothing, so that what remains is what the documents say word for word."""

    identity = ModelIdentity("none", "none", "none", "none", "none")

    def count_tokens(self, text: str) -> int:
        """Return the number of words: only what fits a prompt depends on it, and there is no prompt."""
        return len(text.split())

    def render(self, messages: Sequence[Message]) -> str:  # noqa: ARG002
        """Return nothing."""
        return ""

    def stream(self, prompt: str, *, decoding: Decoding, stop: threading.Event | None = None) -> GenerationStream:  # noqa: ARG002
        """Write nothing, to the end."""

        def pieces(stream: GenerationStream) -> Iterator[str]:
            stream.result = Generation("", 0, 0, 0.0, 0.0, "stop")
            yield from ()

        return GenerationStream(0, pieces)


class RememberingReader:
    """A reader that reads no text twice for one question: most passages of two indexes are the same."""

    def __init__(self, reader: Reader) -> None:
        self.name, self.digest = reader.name, reader.digest
        self._reader = reader
        self._read: dict[str, Reading] = {}

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[Reading]:
        """Return a Reading for each (heading, text)."""
        keys = [digest_value([question, *passage]) for passage in passages]
        new = {key: passage for key, passage in zip(keys, passages, strict=True) if key not in self._read}
        self._read |= zip(new, self._reader.read(question, list(new.values())), strict=True) if new else ()
        return [self._read[key] for key in keys]


@dataclass(frozen=True)
class QuotingModels:
    """The models of an installation, except that nothing is written and no text is read twice."""

    models: Models
    engine: SilentEngine = field(default_factory=SilentEngine)

    @property
    def embedder(self) -> Embedder:
        """Return the embedder that serves."""
        return self.models.embedder

    @cached_property
    def reader(self) -> Reader | None:
        """Return the reader that serves, remembering what it read."""
        return RememberingReader(self.models.reader) if self.models.reader else None

    @property
    def identity(self) -> ModelIdentity:
        """Return what the language model is that serves: a release is named by it."""
        return self.models.identity


class GoldenCheck:
    """Asks the golden questions of one collection around one ingest."""

    def __init__(self, service: AssistantService, golden: GoldenSet, principal: Principal, *, accept: bool) -> None:
        settings = service.settings
        self._engine = BorrowingEngine(service.index_engine, settings.home)
        self._service = AssistantService(
            settings, service.store, models=QuotingModels(service.models), index_engine=self._engine
        )
        self._digest, self._accept, self._principal = golden.digest, accept, principal
        self._asked = golden.questions[: settings.index.golden_questions]
        self._left_out = len(golden.questions) - len(self._asked)
        self._before: Mapping[str, AnswerSketch] = {}

    def check(self, candidate: Candidate) -> Verdict:
        """Compare where the questions find their evidence, and remember what the live release answers."""
        margin = self._service.settings.index.golden_margin
        questions = with_places(self._asked)
        with self._indexes_closed():
            before = self._look_at_live(questions, candidate)
            after = self._places(questions, candidate, candidate.generation, before=before)
        first = self._service.settings.retrieval.top_k
        changes = compare_places(questions, before, after, first=first)
        loss = describe_loss(changes, margin=margin) if changes.drop > margin else ""
        if loss and not self._accept:
            return Verdict(
                f"{loss}. The live release is as it was; mend the documents or the questions, or run the ingest again "
                "with --accept-changes."
            )
        part = places_part(changes, digest=self._digest, left_out=self._left_out, accepted=loss)
        return Verdict(parts=(part,))

    def answer_changes(self, collection: str, release_id: str) -> tuple[ReportPart, ...]:
        """Return which questions the new release answers differently; nothing without one before."""
        if not self._before:
            return ()
        with self._indexes_closed():
            after = self._answers(collection, release_id)
        changes = compare_answers(self._asked, self._before, after)
        return (answers_part(changes, asked=len(self._asked)),)

    def _look_at_live(self, questions: Sequence[GoldenQuestion], candidate: Candidate) -> dict[str, FoundPlace | None]:
        """Return where the live index has the evidence and remember its answers; nothing where it cannot be opened.

        An ingest is how a lost or damaged index is mended, so neither may stop it.
        """
        if not candidate.live:
            return {}
        try:
            places = self._places(questions, candidate, candidate.live)
            self._before = self._answers(candidate.collection, self._service.release().id)
        except (NotFound, Damaged):
            self._before = {}
            return {}
        return places

    def _places(
        self,
        questions: Sequence[GoldenQuestion],
        candidate: Candidate,
        generation: str,
        *,
        before: Mapping[str, FoundPlace | None] | None = None,
    ) -> dict[str, FoundPlace | None]:
        known = before or {}
        places = {}
        for question in questions:
            found = self._search(question.question, candidate.collection, generation)
            places[question.id] = find_place(question, found, before=known.get(question.id))
        return places

    def _search(self, question: str, collection: str, generation: str) -> list[Found]:
        withdrawn = self._service.texts.withdrawn(collection)
        scope = Scope(self._principal.labels, withdrawn=withdrawn)
        depth = _DEEPER * self._service.settings.retrieval.top_k
        with self._service.generations.use(generation) as opened:
            passages = retrieve(question, tools=self._service.retrieval_tools(opened, top_k=depth), scope=scope)
        return [passage_value(passage) for passage in passages]

    def _answers(self, collection: str, release_id: str) -> dict[str, AnswerSketch]:
        answers = {}
        for question in self._asked:
            request = AskRequest(question.question, collection, self._principal, release_id=release_id)
            answer, _ = self._service.answer_again(request, Query(question.question, rewritten=False))
            answers[question.id] = _sketch(answer)
        return answers

    @contextmanager
    def _indexes_closed(self) -> Iterator[None]:
        """Close what the block opened: a Generation has one owner, and whoever serves must be able to open it."""
        try:
            yield
        finally:
            self._service.generations.close()
            self._engine.give_back()


def _sketch(answer: Answer) -> AnswerSketch:
    places = dict.fromkeys(_place(citation) for citation in answer.citations)
    return AnswerSketch(answer.answer, answer.abstained, tuple(places))


def _place(citation: Citation) -> str:
    page = f"page {citation.page}" if citation.page is not None else ""
    return ", ".join(part for part in (citation.document, page, citation.clause, *citation.path[-1:]) if part)
