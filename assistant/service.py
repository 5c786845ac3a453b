"""The assistant as a service: everything the command line, the API and the page can do with questions.

One object for each process, made from Settings; models and index Generations are opened when first needed. It decides
which release answers and what the asker may see, runs the steps in order, and leaves a DecisionTrace for every answer,
abstentions and stopped ones included.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from assistant.answer import Answer, AskEvent, Draft, Step, StepName
from assistant.answer_conflicts import Elsewhere, find_conflicts
from assistant.citations import CitationList
from assistant.clarification import clarify
from assistant.conversation import EarlierTurn, earlier_turn, rewrite
from assistant.documents import DocumentTexts
from assistant.generations import OpenGeneration, OpenGenerations
from assistant.guards import guard_passages
from assistant.local_models import LocalModels, Models
from assistant.product_filters import resolve_filters
from assistant.product_reply import answer_from_records, cite_reply
from assistant.product_said import Reply
from assistant.prompt import PROMPT_DIGEST
from assistant.questions import Query, check_question
from assistant.quotes import rank_quotes
from assistant.respond import check, decoding_of, write
from assistant.retrieve import Passage, RetrievalTools, Scope, retrieve, retrieve_for_answer
from assistant.sufficiency import Thresholds, judge, measure
from assistant.training_data import find_training_data
from assistant.turn import AskRequest, Turn, to_answer, to_trace
from governance.access import Principal
from governance.errors import NotFound, ProvenantError, RefusedByPolicy
from governance.release import ReleaseManifest, find_release, keep_release, live_release, switch_channel
from governance.settings import Settings
from governance.store import Store
from governance.trace import keep_trace, new_trace_id, search_traces
from governance.version import CODE_VERSION
from ingest.index import Condition, IndexEngine, open_engine

_QUOTED_PASSAGES = 5
_HISTORY_TURNS = 6


@dataclass(frozen=True)
class SearchRequest:
    """A search with who searches, where and as of when."""

    query: str
    collection: str
    principal: Principal
    top_k: int = 0
    as_of: date | None = None
    filters: tuple[Condition, ...] = ()


class AssistantService:
    """Answers questions from the live release (or a named one)."""

    def __init__(
        self, settings: Settings, store: Store, *, models: Models | None = None, index_engine: IndexEngine | None = None
    ) -> None:
        self.settings = settings
        self.store = store
        own = LocalModels(settings)  # loads nothing yet; models that were given are closed by who made them
        self.models, self._close_models = models or own, own.close
        self.index_engine = index_engine or open_engine(settings)
        self.thresholds = Thresholds()
        self.texts = DocumentTexts(settings, store)
        self.generations = OpenGenerations(self.index_engine, settings.home, wait_seconds=settings.index.wait_seconds)

    def answering(self) -> dict[str, Any]:
        """Return everything beside the corpus that decides an answer, by digest: the rest of a release's manifest."""
        base = asdict(self.models.identity)
        learned = find_training_data(self.settings.home, base["adapter"]) if base["adapter"] else None
        return {
            "embedder": {"name": self.models.embedder.name, "digest": self.models.embedder.digest},
            "reader": {"name": self.models.reader.name, "digest": self.models.reader.digest}
            if self.models.reader
            else None,
            "adapter": base.pop("adapter") or None,
            "base_model": base,
            "prompt": PROMPT_DIGEST,
            "policy": self.settings.disclosure.model_dump(),
            "thresholds": self.thresholds.to_value(),
            "decoding": asdict(decoding_of(self.settings.answer)),
            "settings": self.settings.digest(),
            "training_data": learned.data if learned else None,
            "scorecard": None,
            "code": CODE_VERSION,
        }

    def release(self, release_id: str = "") -> ReleaseManifest:
        """Return the live release, made anew where models, prompt, settings or code have changed; or a named one.

        Raises NotFound before the first ingest, and RefusedByPolicy for a release that this installation cannot
        reproduce because it names other models, prompt, settings or code.
        """
        answering = self.answering()
        with self.store.session() as session:
            if release_id:
                named = find_release(session, release_id)
                _check_reproducible(named, answering)
                return named
            live = live_release(session)
            if live is None:
                raise NotFound("Nothing has been ingested yet. Run `provenant ingest FOLDER --collection NAME` first.")
            if live.answering != answering:
                live = live.with_answering(answering)
                keep_release(session, live)
                switch_channel(session, live.id)
        self.generations.keep_only({state.generation for state in live.collections.values()})
        return live

    def collections(self) -> list[str]:
        """Return the names of the collections that the live release answers from."""
        with self.store.session() as session:
            live = live_release(session)
        return sorted(live.collections) if live else []

    @contextmanager
    def open_generation(self, release: ReleaseManifest, collection: str) -> Iterator[OpenGeneration]:
        """Hold the Generation of a collection in a release open. Raises NotFound for an unknown collection."""
        state = release.collections.get(collection)
        if state is None:
            names = ", ".join(sorted(release.collections)) or "none yet"
            raise NotFound(f"There is no collection {collection[:60]!r}; there is {names}.")
        with self.generations.use(state.generation) as generation:
            yield generation

    def warm_up(self) -> None:
        """Load the models and open the live Generations. Raises NotFound where models or documents are missing."""
        release = self.release()
        for collection in release.collections:
            with self.open_generation(release, collection):
                pass
        self.models.engine.count_tokens("ready")

    def close(self) -> None:
        """End what is being generated and close the index and the records."""
        self._close_models()
        self.generations.close()
        self.store.close()

    def search(self, request: SearchRequest) -> list[Passage]:
        """Return the Passages for a query. Raises BadInput, NotFound."""
        query = check_question(request.query, most_characters=self.settings.answer.max_question_characters)
        with self.open_generation(self.release(), request.collection) as generation:
            tools = self.retrieval_tools(generation, top_k=request.top_k)
            return retrieve(query, tools=tools, scope=self._scope(request, generation))

    def retrieval_tools(self, generation: OpenGeneration, *, top_k: int = 0) -> RetrievalTools:
        """Return what retrieval works with in an open Generation; `top_k` 0 means the setting."""
        settings = self.settings.retrieval
        if top_k:
            candidates = max(settings.candidates, top_k)
            settings = settings.model_copy(update={"top_k": top_k, "candidates": candidates})
        return RetrievalTools(
            generation.index, self.models.embedder, settings, summary=generation.summary, reader=self.models.reader
        )

    def ask(self, request: AskRequest, *, stop: threading.Event | None = None) -> Iterator[AskEvent]:
        """Yield the Steps, Drafts and at last the Answer to a question, and keep its DecisionTrace."""
        limit = self.settings.answer.max_question_characters
        request = replace(request, question=check_question(request.question, most_characters=limit))
        release = self.release(request.release_id)
        conversation = request.conversation or f"c-{new_trace_id()[2:]}"
        started = time.monotonic()
        reading = rewrite(request.question, self._earlier_turns(request))
        turn = Turn(request, reading.query, release, new_trace_id(), conversation, read_as=reading.shown)
        yield self._step(turn, "condense", started, reading.query.text if reading.query.rewritten else "")
        answer = yield from self._answer(turn, stop or threading.Event())
        with self.store.session() as session:
            keep_trace(session, to_trace(turn, answer))
        yield answer

    def judge(self, request: AskRequest) -> Answer:
        """Say whether the documents can answer a question: no word is written and no trace is left. For measuring."""
        question = check_question(request.question, most_characters=self.settings.answer.max_question_characters)
        turn = Turn(request, Query(question, rewritten=False), self.release(request.release_id), "", "")
        with self.open_generation(turn.release, request.collection) as generation:
            self._retrieve(turn, generation)
            self._judge(turn, generation)
        enough = turn.sufficiency is not None and turn.sufficiency.enough
        return replace(to_answer(turn, stopped=False, policy=self.settings.disclosure), abstained=not enough)

    def answer_again(self, request: AskRequest, query: Query) -> tuple[Answer, str]:
        """Answer a Query without keeping a trace; return the Answer and what the model wrote. For replays."""
        turn = Turn(request, query, self.release(request.release_id), "", "")
        events = self._answer(turn, threading.Event())
        while True:
            try:
                next(events)
            except StopIteration as end:
                answer: Answer = end.value
                return answer, turn.written.generation.text if turn.written else ""

    def _answer(self, turn: Turn, stop: threading.Event) -> Generator[Step | Draft, None, Answer]:
        request = turn.request
        with self.open_generation(turn.release, request.collection) as generation:
            yield self._retrieve(turn, generation)
            yield self._judge(turn, generation)
            if turn.reply is not None and turn.reply.said:
                yield from self._compose(turn, turn.reply)
            elif turn.sufficiency is not None and turn.sufficiency.enough:
                yield from self._write(turn, stop)
                yield self._check(turn, generation)
        return to_answer(turn, stopped=stop.is_set(), policy=self.settings.disclosure)

    def _retrieve(self, turn: Turn, generation: OpenGeneration) -> Step:
        started = time.monotonic()
        scope = self._scope(turn.request, generation)
        turn.passages = tuple(retrieve_for_answer(turn.query.text, tools=self.retrieval_tools(generation), scope=scope))
        turn.guarded = guard_passages(turn.passages)
        documents = len({passage.chunk.document for passage in turn.passages})
        found = f"{len(turn.passages)} passages in {documents} document{'s' if documents != 1 else ''}"
        return self._step(turn, "retrieve", started, found)

    def _judge(self, turn: Turn, generation: OpenGeneration) -> Step:
        started = time.monotonic()
        question, vocabulary = turn.query.text, generation.summary.vocabulary
        passages = turn.guarded.passages
        turn.quotes = tuple(
            rank_quotes(question, passages[:_QUOTED_PASSAGES], embedder=self.models.embedder, weigh=vocabulary.weigh)
        )
        features, missing = measure(question, passages, turn.quotes, index=generation.index, vocabulary=vocabulary)
        turn.sufficiency = judge(features, self.thresholds, missing=missing)
        turn.clarification = clarify(turn.query, passages, generation.summary.names)
        scope = self._scope(turn.request, generation)
        answer_from_records(turn, self.retrieval_tools(generation), scope, self.texts.parsed)
        verdict = "the documents can answer" if turn.sufficiency.enough else "not in the documents"
        return self._step(turn, "judge", started, f"{verdict} ({turn.sufficiency.probability:.0%})")

    def _compose(self, turn: Turn, reply: Reply) -> Iterator[Step]:
        """Lay out what records state, without the model."""
        yield self._step(turn, "write", time.monotonic(), "composed from the catalogue")
        started, citations = time.monotonic(), CitationList(self.texts.span, self.texts.page_at)
        turn.checked, turn.citations = cite_reply(reply, citations), citations.citations
        yield self._step(turn, "check", started, "stated by the record, line by line")

    def _write(self, turn: Turn, stop: threading.Event) -> Generator[Step | Draft, None, None]:
        started = time.monotonic()
        turn.written = yield from write(
            turn.query.text,
            turn.guarded.passages,
            engine=self.models.engine,
            settings=self.settings.answer,
            stop=stop,
            policy=self.settings.disclosure,
        )
        yield self._step(turn, "write", started, f"{turn.written.generation.new_tokens} tokens")

    def _check(self, turn: Turn, generation: OpenGeneration) -> Step:
        started = time.monotonic()
        if turn.written is None:
            raise ProvenantError("Nothing was written that could be checked.")
        citations = CitationList(self.texts.span, self.texts.page_at)
        turn.checked = check(
            turn.query.text,
            turn.written,
            turn.quotes,
            citations=citations,
            weigh=generation.summary.vocabulary.weigh,
            removed=turn.guarded.removed,
        )
        scope = self._scope(turn.request, generation)
        elsewhere = Elsewhere(turn.guarded.passages, self.retrieval_tools(generation), scope)
        turn.conflicts = find_conflicts(turn.query.text, turn.checked, elsewhere, citations=citations)
        turn.citations = citations.citations
        return self._step(turn, "check", started, turn.checked.outcome)

    def _step(self, turn: Turn, name: StepName, started: float, detail: str) -> Step:
        milliseconds = round(1000 * (time.monotonic() - started), 1)
        turn.timings_ms[name] = milliseconds
        return Step(name, detail, milliseconds)

    def _scope(self, request: AskRequest | SearchRequest, generation: OpenGeneration) -> Scope:
        withdrawn = self.texts.withdrawn(request.collection)
        filters = resolve_filters(request.filters, generation.summary.products)
        return Scope(request.principal.labels, request.as_of, filters, withdrawn)

    def _earlier_turns(self, request: AskRequest) -> list[EarlierTurn]:
        """Return the turns of this conversation, oldest first; only the asker's own turns count."""
        if not request.conversation:
            return []
        with self.store.session() as session:
            traces = search_traces(session, conversation=request.conversation, limit=_HISTORY_TURNS)
        mine = [trace for trace in reversed(traces) if trace.principal == request.principal.name]
        return [earlier_turn(trace.question, trace.body) for trace in mine if trace.collection == request.collection]


def _check_reproducible(release: ReleaseManifest, answering: dict[str, Any]) -> None:
    decides = answering.keys() - {"training_data"}  # that is a statement about the adapter, which is compared
    differ = sorted(name for name in decides if release.answering.get(name) != answering[name])
    if differ:
        raise RefusedByPolicy(
            f"Release {release.id} cannot answer here: its {', '.join(differ)} differ from this installation. "
            "Ask the live release, or install what that release names."
        )
