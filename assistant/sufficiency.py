"""Sufficiency: can the documents answer this? Judged before anything is generated, on every turn.

Closeness alone does not tell: a near miss ("the fee for early termination" of a contract that has none) is as close as
a hit. So the judgement also asks what the reader made of the first Passages, whether what was named stands in what was
found, and whether what was asked beside the names occurs in that document or record at all; of a contract also how
usual the clause is and whether its wording stands there (`sufficiency_contract`). The features go through one logistic
model whose weights and threshold stand in every release; `benchmarks/fit_sufficiency.py` fits them on labelled
questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assistant.questions import holds_kind, names_in
from assistant.quotes import Quote
from assistant.retrieve import Passage
from assistant.sufficiency_contract import ClauseSigns, clause_signs, is_contract, library
from ingest.chunks import readable_name
from ingest.index import Condition, Index
from ingest.product_graph import squashed
from ingest.vocabulary import Vocabulary
from ingest.words import content_words, stem, stems

_FRAME_WORDS = frozenset(
    "many much number part parts customer ask asks need needs needed look looking give tell quote fit fits take takes "
    "carry goes go going get new want wants use long often far early soon big maximum minimum pay pays paid charge "
    "charges cost costs someone product thing kind type exactly name called know please show find list".split()
)
_KIND_AMONG = 4
_FOUND_AMONG = 8
_READ_AMONG = 5
_LOGIT_SCALE = 8.0


@dataclass(frozen=True)
class Features:
    """What the judgement looks at; each from 0 (nothing speaks for an answer) to about 1; what is read also below 0.

    The last four speak of contracts: 0 of all other documents; `usual` is below 0 where few contracts have the clause.
    """

    closeness: float
    rest_closeness: float
    quote_score: float
    named: float
    asked: float
    kind: float
    reading: float
    relevance: float
    passage_closeness: float = 0.0
    contract: float = 0.0
    usual: float = 0.0
    worded: float = 0.0
    clause_relevance: float = 0.0


@dataclass(frozen=True)
class Thresholds:
    """A logistic model over the Features and the probability under which the assistant abstains."""

    intercept: float = -5.60
    closeness: float = 1.26
    rest_closeness: float = 1.47
    quote_score: float = 1.77
    named: float = 2.39
    asked: float = 1.21
    kind: float = 0.66
    reading: float = 0.41
    relevance: float = 0.39
    passage_closeness: float = 0.71
    contract: float = 0.27
    usual: float = 2.56
    worded: float = 1.58
    clause_relevance: float = 1.48
    answer_from: float = 0.74

    def to_value(self) -> dict[str, Any]:
        """Return the JSON form that stands in a release."""
        return asdict(self)


@dataclass(frozen=True)
class Sufficiency:
    """The judgement: a probability that the documents answer, the Features, and a reason when they do not."""

    probability: float
    enough: bool
    features: Features
    reason: str


def judge(features: Features, thresholds: Thresholds, *, missing: Sequence[str] = ()) -> Sufficiency:
    """Return the judgement for some Features; `missing` are names in the question that were not found."""
    weighed = sum(getattr(thresholds, name) * value for name, value in asdict(features).items())
    probability = 1 / (1 + math.exp(-(thresholds.intercept + weighed)))
    enough = probability >= thresholds.answer_from
    return Sufficiency(round(probability, 4), enough, features, "" if enough else reason_of(features, missing))


def measure(
    question: str, passages: Sequence[Passage], quotes: Sequence[Quote], *, index: Index, vocabulary: Vocabulary
) -> tuple[Features, tuple[str, ...]]:
    """Return the Features of a question with what was found for it, and the names that were not found."""
    if not passages or not quotes:
        return Features(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), ()
    first = passages[0]
    names = names_in(question)
    missing = tuple(name for name in names if not _stands_in(name, passages))
    asked = _asked_words(question, first)
    signs = _contract_signs(question, first, index=index)
    relevance = _highest([one.reading.relevance for one in passages[:_FOUND_AMONG] if one.reading])
    return Features(
        closeness=round(max(quote.closeness for quote in quotes), 4),
        rest_closeness=round(max(quote.rest_closeness for quote in quotes), 4),
        quote_score=round(quotes[0].score, 4),
        named=round(1 - len(missing) / len(names), 4) if names else 1.0,
        asked=round(_share_present(asked, first, index=index, vocabulary=vocabulary), 4),
        kind=1.0 if any(holds_kind(question, quote.window.text) for quote in quotes[:_KIND_AMONG]) else 0.0,
        reading=_highest([one.reading.answers for one in passages[:_READ_AMONG] if one.reading]),
        relevance=relevance,
        passage_closeness=round(max(passage.dense_score for passage in passages[:_FOUND_AMONG]), 4),
        contract=1.0 if signs else 0.0,
        usual=signs.usual if signs else 0.0,
        worded=signs.worded if signs else 0.0,
        clause_relevance=relevance if signs else 0.0,
    ), missing


def _highest(logits: Sequence[float]) -> float:
    """Return the highest of the reader's logits on a scale of about 1; 0 where nothing was read."""
    return round(max(logits, default=0.0) / _LOGIT_SCALE, 4)


def _stands_in(name: str, passages: Sequence[Passage]) -> bool:
    """Tell whether a name stands in the record or document that was found first."""
    first = passages[0].chunk
    same = [
        passage.chunk
        for passage in passages[:_FOUND_AMONG]
        if passage.chunk.document == first.document and (first.kind != "record" or passage.chunk.clause == first.clause)
    ]
    said = squashed(" ".join(" ".join([chunk.title, chunk.document, *chunk.path, chunk.text]) for chunk in same))
    return squashed(name) in said


def _asked_words(question: str, first: Passage) -> list[str]:
    """Return the words of a question beside the names of what was found and the words that only frame a question."""
    chunk = first.chunk
    title = " ".join(chunk.path) if chunk.kind == "record" else f"{chunk.title} {readable_name(chunk.document)}"
    named = set(stems(title))
    names = {word for name in names_in(question) for word in content_words(name)}
    return [
        word
        for word in dict.fromkeys(content_words(question))
        if stem(word) not in named and word not in _FRAME_WORDS and word not in names
    ]


def _share_present(asked: Sequence[str], first: Passage, *, index: Index, vocabulary: Vocabulary) -> float:
    """Return the share of the asked words, weighed by rarity, that occur anywhere in the document or record found."""
    conditions = _in_document(first)
    if first.chunk.kind == "record":
        conditions.append(Condition("clause", "=", first.chunk.clause))
    total = sum(vocabulary.weigh(stem(word)) for word in asked)
    present = [word for word in asked if index.search_words(word, conditions=conditions, limit=1)]
    return sum(vocabulary.weigh(stem(word)) for word in present) / total if total else 1.0


def _contract_signs(question: str, first: Passage, *, index: Index) -> ClauseSigns | None:
    """Return what the contract found first says of the clause asked for; None where what was found is no contract."""
    if not is_contract(first.chunk):
        return None
    names = f"{first.chunk.title} {readable_name(first.chunk.document)} {' '.join(names_in(question))}"
    beside = set(stems(names))
    asked = [stem for stem in stems(question) if stem not in beside]
    texts = [chunk.text for chunk in index.scroll(_in_document(first))]
    return clause_signs(asked, texts, topics=library())


def _in_document(first: Passage) -> list[Condition]:
    return [Condition("document", "=", first.chunk.document), Condition("version", "=", first.chunk.version)]


def reason_of(features: Features, missing: Sequence[str] = ()) -> str:
    """Return why the documents do not answer, in a sentence; `missing` are names that were not found."""
    if missing:
        return f"Nothing was found about {', '.join(dict.fromkeys(missing))}."
    if features.closeness < 0.45:
        return "No passage is about this."
    return "Passages on this subject were found, but none that states what was asked."
