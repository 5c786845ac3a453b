"""The reader's labelled groups as training examples: a question, the passage that holds the marked span, near misses.

The groups come from sets whose answers people marked (`reader_contracts`, `reader_tables`, `reader_products`). It knows
groups and a token budget, and refuses to know the sets. Rules: the Context fits the budget that is served, so what
does not fit is left out; an answer is one marked span, whole, that stands once in what is shown; a passage of unknown
label is shown only where the question names what it is about, so that the passage cannot answer by accident.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from assistant.guards import prompt_text
from assistant.respond import MOST_PASSAGES
from finetune.examples import REFUSAL, ExamplePassage, Kind, TrainingExample, named
from finetune.reader_groups import ANSWERS, ANSWERS_NOT, UNKNOWN, Candidate, Group, Span
from ingest.chunks import readable_name

MOST_SPAN_CHARACTERS = 300
_SOURCE_TOKENS = 24  # the line that names a passage's source, as the served Context counts it
_KINDS: dict[str, Kind] = {"definition": "definition", "tatqa": "table", "product": "attribute"}
_PRODUCT = "product/"
_NAMES_ITS_SUBJECT = {"product"}
_SENTENCE_ENDS = frozenset('.;:"”)')
_LETTER_OR_DIGIT = re.compile(r"\w")


@dataclass(frozen=True)
class Room:
    """What fits: tokens for the passages of a prompt, and how tokens are counted."""

    tokens: int
    count: Callable[[str], int]


def group_examples(groups: Iterable[Group], *, room: Room, draw: random.Random) -> Iterator[TrainingExample]:
    """Yield for each group an example with its answer, or one whose answer is the refusal where it has none.

    Every third group with an answer is also shown without the passage that answers.
    """
    for group in groups:
        right = [one for one in group.candidates if one.label == ANSWERS]
        if right:
            made = _answered(group, right, room, draw)
            yield from [made] if made else []
        if not right or draw.random() < 1 / 3:
            missed = _example(group, [], REFUSAL, room, draw)
            yield from [missed] if missed else []


def _answered(group: Group, right: Sequence[Candidate], room: Room, draw: random.Random) -> TrainingExample | None:
    """Return the example of the first passage that holds one span whole."""
    for candidate in right:
        text = candidate.passage.text
        whole = [span for span in candidate.spans if _is_answer(text, span, group.source)]
        if len(candidate.spans) == 1 and whole:
            start, end = whole[0]
            return _example(group, [candidate], text[start:end].strip(), room, draw)
    return None


def _is_answer(text: str, span: Span, source: str) -> bool:
    """Tell whether a span is a whole answer: of usual length, and not cut by an edge of its passage."""
    start, end = span
    said = text[start:end].strip()
    begins = start > 0 or said[:1].isupper() or said[:1].isdigit()
    ends = end < len(text) or said[-1:] in _SENTENCE_ENDS or source == "product"
    usual = len(said) <= MOST_SPAN_CHARACTERS and "\n\n" not in said  # an empty line ends what is served
    return usual and bool(_LETTER_OR_DIGIT.search(said)) and begins and ends


def _example(
    group: Group, right: Sequence[Candidate], target: str, room: Room, draw: random.Random
) -> TrainingExample | None:
    shown = _shown(group, right, room, draw)
    passages = tuple(_passage(one) for one in shown)
    stands = sum(prompt_text(passage.text).count(target) for passage in passages)
    if not shown or stands != len(right):  # an answer stands once
        return None
    made = TrainingExample(
        id="",
        kind=_KINDS.get(group.source, "labelled") if right else "unanswerable",
        question=group.question,
        passages=passages,
        target=target,
        abstains=not right,
        document=group.document,
        origin=f"{group.source}: {'marked' if right else 'without the answer'}",
    )
    return named(made)


def _shown(group: Group, right: Sequence[Candidate], room: Room, draw: random.Random) -> list[Candidate]:
    """Return the passages that fit beside the one that answers, in the order of a search that is often right."""
    labels = {ANSWERS_NOT, UNKNOWN} if group.source in _NAMES_ITS_SUBJECT else {ANSWERS_NOT}
    others = [one for one in group.candidates if one.label in labels]
    draw.shuffle(others)
    kept: list[Candidate] = []
    left = room.tokens
    for one in [*right, *others][: draw.randint(1, MOST_PASSAGES)]:
        cost = room.count(one.passage.text) + _SOURCE_TOKENS
        if cost <= left:
            kept.append(one)
            left -= cost
    draw.shuffle(kept)
    return kept


def _passage(candidate: Candidate) -> ExamplePassage:
    passage = candidate.passage
    document = passage.document
    source = _source(passage.heading, document)
    return ExamplePassage(f"{document}#{passage.key}", document, "", source, passage.text)


def _source(heading: str, document: str) -> str:
    """Return the line above a passage as the prompt shows it: the title, then the nearest headings."""
    if document.startswith(_PRODUCT):
        return f"products > {document.removeprefix(_PRODUCT)}"
    names = heading.split("\n", maxsplit=1)[0].split(" | ")
    if len(names) > 1 and names[0] == readable_name(document):
        names = names[1:]
    return " > ".join(dict.fromkeys(name for name in [names[0], *names[1:][-2:]] if name)) or readable_name(document)
