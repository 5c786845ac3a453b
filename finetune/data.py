"""Make the training examples of a collection: `provenant finetune data`.

    chunks -> drafts (questions by rule) -> live search, round trip -> examples and near misses
           -> labelled sets and reviewed decisions beside them -> checks -> split by document -> files and report

It puts the steps together and knows none of their rules. The same collection, settings and seed give the same bytes.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.golden import read_questions
from assistant.service import AssistantService
from finetune.example_changes import at_odds, changed
from finetune.example_checks import (
    Avoided,
    Taken,
    balanced,
    split_by_document,
    without_disagreement,
    without_near,
    without_repeats,
)
from finetune.example_contexts import Contexts
from finetune.example_imports import imported_decisions, imported_questions
from finetune.example_questions import Draft, Templates, drafts_of, load_templates, pairs
from finetune.example_report import write_report
from finetune.example_standard import standard_examples
from finetune.example_unstated import unstated
from finetune.examples import ExampleSet, TrainingExample, write_examples
from governance.access import Principal
from governance.errors import BadInput
from governance.version import CODE_VERSION
from ingest.index import NO_END, Stored

_ABSTAINING = 0.45
_NEAR_MISS_SHARE = 0.6  # of the drafts that are also shown without their answer
_OUT_OF_SCOPE_SHARE = 0.04
_UNSTATED_SHARE = 0.06
_MULTI_SHARE = 0.15  # of the drafts asked for; most are dropped, since both answers have to be shown
_DRAFTS_FOR_ONE = 2.5  # drafts for each example asked for: about two in three are dropped by the round trip
_MOST_OF_A_CHUNK = 3
_STANDARD_SHARE = 0.1


@dataclass(frozen=True)
class DataRequest:
    """What to make examples of.

    `limit` is the most examples made of the collection, None for all; `avoid` are JSONL files of evaluation questions
    to stay away from; `labelled` are answers JSONL files to import; `decisions` are exports of reviewed answers.
    """

    collection: str
    principal: Principal
    limit: int | None = None
    seed: int = 7
    avoid: tuple[Path, ...] = ()
    labelled: tuple[Path, ...] = ()
    decisions: tuple[Path, ...] = ()


Say = Callable[[float, str], None]


def make_examples(service: AssistantService, request: DataRequest, *, out: Path, say: Say) -> ExampleSet:
    """Make the examples of a collection, write them and their report to `out`, and return them.

    `say` gets the share done (0 to 1) and what is being done. Raises BadInput, NotFound, Busy.
    """
    if request.limit is not None and request.limit < 1:
        raise BadInput(f"A limit of {request.limit} examples leaves none; give at least 2, or no limit.")
    avoided = Avoided(question.question for path in request.avoid for question in read_questions(path))
    taken, release = Taken(), service.release()
    say(0.0, f"reading {request.collection}")
    with service.open_generation(release, request.collection) as generation:
        contexts = Contexts(service, generation, request.collection, request.principal)
        making = _Making(contexts, load_templates(), taken, request)
        examples = [*making.from_corpus(say), *making.from_people(say)]
    kept = without_disagreement(without_repeats(without_near(examples, avoided, taken), taken), taken)
    train, held_out = split_by_document(kept, seed=request.seed, taken=taken)
    draw = _draw(request, "balance")
    train = balanced(train, abstaining=_ABSTAINING, draw=draw, taken=taken)
    manifest = _manifest(request, making, generation.name)
    say(0.98, "writing")
    written = write_examples(out, train=_ordered(train), held_out=_ordered(held_out), manifest=manifest)
    write_report(out, written, count_tokens=service.models.engine.count_tokens)
    say(1.0, f"{len(train)} examples to learn from, {len(held_out)} held out")
    return written


class _Making:
    """The examples of one collection, source by source."""

    def __init__(self, contexts: Contexts, templates: Templates, taken: Taken, request: DataRequest) -> None:
        self.contexts = contexts
        self.templates = templates
        self.taken = taken
        self.request = request
        self.drafted: Counter[str] = Counter()

    def from_corpus(self, say: Say) -> list[TrainingExample]:
        """Return examples of the collection's own texts, at most the limit."""
        chunks = self._chunks()
        drafts = self._drafts(chunks)
        limit = self.request.limit or math.inf
        draw = _draw(self.request, "near misses")
        made: list[TrainingExample] = []
        made += self._beside(chunks, limit)
        standard = standard_examples(self.contexts, chunks, self.templates, _draw(self.request, "standard"), self.taken)
        made += standard[: int(min(limit, len(standard) / _STANDARD_SHARE) * _STANDARD_SHARE)]
        for number, draft in enumerate(drafts, start=1):
            if len(made) >= limit:
                break
            made += self.contexts.examples(draft, self.taken, near_miss=draw.random() < _NEAR_MISS_SHARE)
            share = max(number / len(drafts), len(made) / limit)
            say(0.02 + 0.9 * share, f"{number} of {len(drafts)} questions asked, {len(made)} examples")
        return made if limit is math.inf else made[: int(limit)]

    def from_people(self, say: Say) -> list[TrainingExample]:
        """Return what labelled sets and reviewed decisions hold."""
        made: list[TrainingExample] = []
        for path in self.request.labelled:
            say(0.93, f"importing {path.name}")
            made += imported_questions(path, self.contexts, self.taken)
        for path in self.request.decisions:
            say(0.96, f"importing {path.name}")
            made += imported_decisions(path, self.contexts, self.taken)
        return made

    def _chunks(self) -> list[Stored]:
        """Return the chunks that the asker may read, of all versions, in the order of their places."""
        found = self.contexts.readable()
        if not found:
            raise BadInput(
                f"The collection {self.request.collection!r} holds no text that {self.request.principal.name} may "
                "read; ingest documents, or ask as somebody who may."
            )
        return sorted(found, key=lambda chunk: (chunk.document, chunk.version, chunk.start))

    def _drafts(self, chunks: Sequence[Stored]) -> list[Draft]:
        """Return what to ask, in an order that mixes kinds and documents."""
        draw = _draw(self.request, "drafts")
        live = [chunk for chunk in chunks if chunk.effective_to == NO_END]
        own: list[Draft] = []
        for chunk in live:
            found = list(drafts_of(chunk, self.templates, draw))
            own += draw.sample(found, min(len(found), _MOST_OF_A_CHUNK))
        most = len(own) if self.request.limit is None else int(self.request.limit * _DRAFTS_FOR_ONE)
        differ = [*changed(chunks, self.templates, draw), *at_odds(chunks, self.templates, draw)]
        several = list(pairs(own, draw, most=int(most * _MULTI_SHARE)))
        mixed = _mixed([*own, *differ, *several], draw)[:most]
        self.drafted.update(draft.kind for draft in mixed)
        return mixed

    def _beside(self, chunks: Sequence[Stored], limit: float) -> Iterator[TrainingExample]:
        """Yield questions that nothing here answers: attributes not stated, and what no collection is about."""
        draw = _draw(self.request, "beside")
        asked = self.templates.out_of_scope
        draw.shuffle(asked)
        for question in asked[: math.ceil(min(limit * _OUT_OF_SCOPE_SHARE, len(asked)))]:
            document = f"out of scope: {question}"
            yield self.contexts.refusal(question, kind="out_of_scope", document=document, origin="asked by nobody here")
        records = [chunk for chunk in chunks if chunk.kind == "record" and chunk.effective_to == NO_END]
        most = math.ceil(min(limit, len(records)) * _UNSTATED_SHARE)
        for question, document in unstated(records, self.templates, draw, most=most):
            yield self.contexts.refusal(question, kind="unanswerable", document=document, origin="attribute not stated")


def _mixed(drafts: Sequence[Draft], draw: random.Random) -> list[Draft]:
    """Return drafts by turns of their kind and origin, so that a limit takes some of each."""
    groups: dict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        groups[f"{draft.kind} {draft.origin}"].append(draft)
    for group in groups.values():
        draw.shuffle(group)
    placed = [(number, name, draft) for name, group in groups.items() for number, draft in enumerate(group)]
    return [draft for _, _, draft in sorted(placed, key=lambda one: one[:2])]


def _ordered(examples: Sequence[TrainingExample]) -> list[TrainingExample]:
    return sorted(examples, key=lambda one: (one.document, one.id))


def _draw(request: DataRequest, purpose: str) -> random.Random:
    return random.Random(f"{request.seed}/{purpose}")  # noqa: S311  (no secret)


def _manifest(request: DataRequest, making: _Making, generation: str) -> dict[str, object]:
    settings = making.contexts.service.settings
    return {
        "made_by": "provenant finetune data",
        "collection": request.collection,
        "generation": generation,
        "release": making.contexts.service.release().id,
        "settings": settings.digest(),
        "code": CODE_VERSION,
        "seed": request.seed,
        "limit": request.limit,
        "wordings": making.templates.version,
        "drafted": dict(sorted(making.drafted.items())),
        "taken_out": dict(sorted(making.taken.counts.items())),
        "imported": [path.name for path in (*request.labelled, *request.decisions)],
        "avoided": [path.name for path in request.avoid],
    }
