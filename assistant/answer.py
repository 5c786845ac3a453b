"""Answers: what a person reads, and the events that lead to it.

An Answer is made of sentences, each with its Support mark and its Citations; every Citation's quote stands at the
stated place of the stated version. While it is made, Steps say what is being done and Drafts carry the model's words
as they come; the Answer that ends the stream is what was checked, and replaces the Drafts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from assistant.clarification import Clarification
from assistant.retrieve import Passage

Support = Literal["supported", "partly", "unsupported"]
StepName = Literal["condense", "retrieve", "judge", "write", "check"]
Wording = Literal["model", "verbatim", "record", "none"]
ConflictBetween = Literal["documents", "versions"]


@dataclass(frozen=True)
class Citation:
    """A span of a document version, in code points, that an answer rests on."""

    number: int
    document: str
    version: str
    title: str
    page: int | None
    clause: str
    path: tuple[str, ...]
    char_start: int
    char_end: int
    quote: str
    score: float


@dataclass(frozen=True)
class AnswerSentence:
    """A sentence of the answer, how well it is supported, and the numbers of its Citations."""

    text: str
    support: Support
    citations: tuple[int, ...]


@dataclass(frozen=True)
class ConflictSide:
    """What one version of a document says: the words at odds, the sentence they stand in, and its Citation's number.

    The version is in force from `effective_from` until before `effective_to`, dates or "" where open.
    """

    document: str
    version: str
    title: str
    said: str
    quote: str
    citation: int
    effective_from: str
    effective_to: str


@dataclass(frozen=True)
class Conflict:
    """Another document, or an earlier version, says otherwise than what the answer rests on, which comes `first`.

    `about` is what is at odds: "period", "amount", "percent", "date", "number" or "rule". The `statement` is the line
    that stands below the answer's sentences.
    """

    about: str
    between: ConflictBetween
    first: ConflictSide
    second: ConflictSide
    statement: str


@dataclass(frozen=True)
class Usage:
    """Tokens read and written by the model."""

    prompt_tokens: int = 0
    new_tokens: int = 0


@dataclass(frozen=True)
class Answer:
    """The end of an ask: an answer with evidence, or an Abstention with a reason and the nearest Passages."""

    answer: str
    abstained: bool
    reason: str
    wording: Wording
    citations: tuple[Citation, ...]
    sentences: tuple[AnswerSentence, ...]
    passages: tuple[Passage, ...]
    question: str
    query: str
    collection: str
    conversation: str
    release_id: str
    trace_id: str
    sufficiency: float = 0.0  # the probability, from 0 to 1, that the documents answer
    notes: tuple[str, ...] = ()  # what a person should know beside the answer
    timings_ms: dict[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    read_as: str = ""  # "Read as: ..." where a follow-up was completed, for the asker
    clarification: Clarification | None = None  # asked back: in place of a refusal, or beside an answer
    conflicts: tuple[Conflict, ...] = ()  # who says otherwise; each statement is a line of the answer

    def to_value(self) -> dict[str, Any]:
        """Return the JSON form of the command line and the API."""
        value = asdict(self)
        value["passages"] = [passage_value(passage) for passage in self.passages]
        return value


@dataclass(frozen=True)
class Step:
    """A step that ended, for a person to follow."""

    name: StepName
    detail: str
    milliseconds: float


@dataclass(frozen=True)
class Draft:
    """A piece of the model's wording, not checked yet."""

    text: str


AskEvent = Step | Draft | Answer


def passage_value(passage: Passage) -> dict[str, Any]:
    """Return the JSON form of a Passage, as `search --json` prints it."""
    chunk = passage.chunk
    return {
        "rank": passage.rank,
        "score": passage.score,
        "dense_score": passage.dense_score,
        "words_score": passage.words_score,
        "relevance": round(passage.reading.relevance, 4) if passage.reading else None,
        "id": chunk.id,
        "document": chunk.document,
        "version": chunk.version,
        "title": chunk.title,
        "page": chunk.page,
        "clause": chunk.clause,
        "path": list(chunk.path),
        "kind": chunk.kind,
        "char_start": chunk.start,
        "char_end": chunk.end,
        "text": chunk.text,
    }


def event_value(event: AskEvent) -> dict[str, Any]:
    """Return the JSON form of an event, as it travels over HTTP; `type` is step, draft or answer."""
    match event:
        case Step():
            return {"type": "step", **asdict(event)}
        case Draft():
            return {"type": "draft", "text": event.text}
        case Answer():
            return {"type": "answer", **event.to_value()}
