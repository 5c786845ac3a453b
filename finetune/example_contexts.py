"""Contexts of examples: what the live retriever finds for a question, cut to what is served.

A draft becomes an example only where its own question finds its own chunk within the served Context (a round trip).
The same search gives a near miss: the passages without those that hold the answer, to which the answer is the refusal.
It knows an open Generation through the service and refuses to know how questions are made. Rules: the asker's access,
guards, budget and number of passages are those of an answer; what is asked of an earlier version is asked as of its
first day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from assistant.generations import OpenGeneration
from assistant.guards import guard_passages
from assistant.prompt import source_line
from assistant.respond import MOST_PASSAGES
from assistant.retrieve import Passage, Scope, fit_context, retrieve_for_answer
from assistant.service import AssistantService
from finetune.example_checks import Taken, stands, unit_of
from finetune.example_questions import Draft
from finetune.examples import REFUSAL, ExamplePassage, Kind, TrainingExample, named
from governance.access import Principal
from ingest.index import NO_END, Condition, Stored, readable_by
from ingest.words import stems

_SAYS_AS_MUCH = 0.7  # of the stems of an answer: a passage that holds so many may answer too
Found = Sequence[Passage]


@dataclass(frozen=True)
class Contexts:
    """Searches a collection as an answer does."""

    service: AssistantService
    generation: OpenGeneration
    collection: str
    principal: Principal

    def readable(self) -> list[Stored]:
        """Return every chunk that the asker may read, of all versions that were not withdrawn."""
        withdrawn = self.service.texts.withdrawn(self.collection)
        overlay = (Condition("version", "none", withdrawn),) if withdrawn else ()
        return list(self.generation.index.scroll((readable_by(self.principal.labels), *overlay)))

    def find(self, question: str, *, as_of: date | None = None) -> Found:
        """Return the guarded Passages for a question, best first."""
        withdrawn = self.service.texts.withdrawn(self.collection)
        scope = Scope(self.principal.labels, as_of, (), withdrawn)
        tools = self.service.retrieval_tools(self.generation)
        return guard_passages(retrieve_for_answer(question, tools=tools, scope=scope)).passages

    def context(self, found: Found) -> tuple[ExamplePassage, ...]:
        """Return the Passages that fit the served budget."""
        fitting = fit_context(
            found,
            count_tokens=self.service.models.engine.count_tokens,
            budget=self.service.settings.answer.context_tokens,
            most=MOST_PASSAGES,
        )
        return tuple(shown_as(passage) for passage in fitting)

    def examples(self, draft: Draft, taken: Taken, *, near_miss: bool) -> list[TrainingExample]:
        """Return the example of a draft and, where asked for, the near miss; nothing where the round trip fails."""
        found = self.find(draft.question, as_of=_day(draft))
        shown = self.context(found)
        held = {passage.chunk_id for passage in shown}
        if draft.chunk.id not in held:
            taken.out("not found by its own question")
            return []
        if (draft.second and draft.second.id not in held) or not stands(draft.target, shown):
            taken.out("half of the answer not shown" if draft.second else "answer not shown as it stands")
            return []
        made = [self._example(draft, shown, kind=draft.kind, target=draft.target, origin=draft.origin)]
        return [*made, *self._near_miss(draft, found, taken)] if near_miss else made

    def refusal(self, question: str, *, kind: Kind, document: str, origin: str) -> TrainingExample:
        """Return the example of a question that nothing found answers."""
        passages = self.context(self.find(question))
        return named(
            TrainingExample("", kind, question, passages, REFUSAL, True, document, origin, self.generation.name)
        )

    def _near_miss(self, draft: Draft, found: Found, taken: Taken) -> list[TrainingExample]:
        left = [passage for passage in found if not _may_answer(passage, draft)]
        shown = self.context(left)
        if not shown:
            taken.out("no passage left beside the answer")
            return []
        origin = f"{draft.origin}, the answer left out"
        return [self._example(draft, shown, kind="unanswerable", target=REFUSAL, origin=origin)]

    def _example(
        self, draft: Draft, shown: tuple[ExamplePassage, ...], *, kind: Kind, target: str, origin: str
    ) -> TrainingExample:
        gold = next((one for one in shown if one.chunk_id == draft.chunk.id), None)
        document = unit_of(gold) if gold else unit_of(_chunk_shown(draft))
        made = TrainingExample(
            "", kind, draft.question, shown, target, target == REFUSAL, document, origin, self.generation.name
        )
        return named(made)


def _day(draft: Draft) -> date | None:
    """Return the first day of an earlier version, None for what is in force."""
    if draft.chunk.effective_to == NO_END:
        return None
    year, rest = divmod(draft.chunk.effective_from, 10000)
    return date(year, *divmod(rest, 100))


def _may_answer(passage: Passage, draft: Draft) -> bool:
    """Tell whether a passage is of the answer, or says so much of it that it may answer too."""
    own = {draft.chunk.id, draft.second.id if draft.second else ""}
    said, held = set(stems(draft.target)), set(stems(passage.chunk.text))
    same_record = passage.chunk.kind == "record" and passage.chunk.clause == draft.chunk.clause
    answers = passage.reading is not None and passage.reading.answers > 0
    return passage.chunk.id in own or same_record or answers or len(said & held) >= _SAYS_AS_MUCH * max(1, len(said))


def shown_as(passage: Passage) -> ExamplePassage:
    """Return a Passage as an example keeps it."""
    chunk = passage.chunk
    return ExamplePassage(chunk.id, chunk.document, chunk.version, source_line(passage), chunk.text)


def _chunk_shown(draft: Draft) -> ExamplePassage:
    return shown_as(Passage(draft.chunk, 1, 0.0, 0.0, 0.0))
