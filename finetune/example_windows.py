"""Labelled contracts as examples: three windows of one contract, the marked span in one of them or in none.

CUAD marks 41 categories in each contract (Hendrycks et al. 2021, CC BY 4.0). A window is 900 characters, cut at white
space. It knows that set's files, and refuses to know how the examples are used. Rules: a window that answers holds one
marked span of its category, whole, and no part of another, so that there is one right answer, and its words stand once
in what is shown; the other windows touch no span of the category and are of those of the same contract that share the
most words with the question; where the contract marks nothing, or where the window that answers was left out, the
answer is the refusal.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.guards import prompt_text
from finetune.examples import REFUSAL, ExamplePassage, TrainingExample, named
from finetune.reader_documents import LabelledDocument, Placed, sample
from finetune.reader_groups import Passage, Span, Split, part_of, split_of
from finetune.reader_material import Material
from finetune.reader_questions import Phrasings
from governance.digests import digest_text
from ingest.parse.text import structure_text

WINDOW_CHARACTERS = 900
WINDOWS = 3
MOST_SPAN_CHARACTERS = 300  # about 64 tokens, the longest answer that is served
SOURCE = "CUAD v1: CC BY 4.0"
_CUAD = "contracts/cuad"
_HARD = 12  # the windows most like the question, of which near misses are drawn
_TRIES = 8
_TITLE_CHARACTERS = 80
_ALWAYS_THERE = frozenset({"Document Name", "Parties", "Agreement Date"})  # a window left out leaves other traces
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Contract:
    """A contract with its text cut into windows side by side; `spans` are the marked ones by category."""

    name: str
    digest: str
    title: str
    text: str
    tiles: LabelledDocument
    spans: Mapping[str, tuple[Span, ...]]

    def passage(self, window: Span) -> ExamplePassage:
        """Return a window as a prompt shows it."""
        start, end = window
        place = f"{self.name}#{start}-{end}"
        return ExamplePassage(place, self.name, self.digest, self.title, self.text[start:end])


@dataclass(frozen=True)
class Asked:
    """A category asked of a contract in some words."""

    contract: Contract
    category: str
    question: str

    @property
    def spans(self) -> tuple[Span, ...]:
        """The spans of the contract that answer; none where it marks nothing."""
        return self.contract.spans[self.category]


def window_part(name: str) -> Split:
    """Return where a contract stands: `test` for the questions figures are reported on, `dev` for early stopping.

    Both are of the reader's test part, so that neither model has seen what the whole is measured on. Five in eight of
    that fifth, an eighth of all contracts, are `test`.
    """
    if split_of(name) != "test":
        return "train"
    return "test" if part_of(f"window{name}", parts=8) < 5 else "dev"


def read_window_contracts(material: Material) -> list[Contract]:
    """Return the CUAD contracts, those of the samples left out. Raises BadInput where the set is not there."""
    rows: dict[str, dict[str, tuple[Span, ...]]] = defaultdict(dict)
    for row in material.rows(f"{_CUAD}/qa.jsonl"):
        spans = tuple(sorted({(start, end) for start, end in row.get("spans") or []}))
        if row["is_impossible"] or spans:
            rows[row["doc_id"]][row["category"]] = spans
    contracts = []
    for row in material.rows(f"{_CUAD}/docs.jsonl"):
        name = f"cuad/{row['doc_id']}.txt"
        if not material.is_sample(name):
            contracts.append(_contract(name, material.text(f"{_CUAD}/{row['txt']}"), rows[row["doc_id"]]))
    return contracts


def answered(asked: Asked, draw: random.Random) -> TrainingExample | None:
    """Return an example whose answer is a marked span; None where no window can hold one of them alone."""
    short = [span for span in asked.spans if _is_answer(asked.contract.text[span[0] : span[1]])]
    draw.shuffle(short)
    for span in short:
        for _ in range(_TRIES):
            window = _window_around(asked.contract.text, span, draw)
            if _holds_alone(window, span, asked.spans):
                return _example(asked, draw, window=window, target=asked.contract.text[span[0] : span[1]])
    return None


def unanswered(asked: Asked, draw: random.Random) -> TrainingExample | None:
    """Return an example of windows that touch no marked span; None for what is always stated somewhere beside."""
    if asked.spans and asked.category in _ALWAYS_THERE:
        return None
    return _example(asked, draw, window=None, target=REFUSAL)


def wordings_of(category: str, details: Mapping[str, str], phrasings: Phrasings) -> list[str]:
    """Return how a category is asked: CUAD's own question first, then this project's wordings."""
    return [details[category], *phrasings.of_category(category)]


def read_details(material: Material) -> dict[str, str]:
    """Return CUAD's own question by category, its first sentence."""
    rows = material.rows(f"{_CUAD}/categories.jsonl")
    whole = {row["category"]: " ".join(row["question"].split("Details:")[-1].split()) for row in rows}
    return {
        category: text.split("? ")[0].rstrip("?") + "?" if "?" in text else text for category, text in whole.items()
    }


def window_test(
    material: Material, contracts: Sequence[Contract], *, part: Split, questions: int
) -> list[TrainingExample]:
    """Return at most so many questions by CUAD's own wording on the contracts of a part, half of them answered."""
    draw, details = material.draw(f"window-{part}"), read_details(material)
    everything = [
        Asked(contract, category, details[category])
        for contract in contracts
        if window_part(contract.name) == part
        for category in sorted(contract.spans)
    ]
    draw.shuffle(everything)
    found = (answered(asked, draw) for asked in everything if asked.spans)
    right = [one for one in found if one][: questions // 2]
    missing = (unanswered(asked, draw) for asked in everything if not asked.spans)
    return [*right, *[one for one in missing if one][: questions - len(right)]]


def window_examples(
    material: Material, contracts: Sequence[Contract], phrasings: Phrasings, *, part: Split, turn: int = 0
) -> Iterator[TrainingExample]:
    """Yield examples on the contracts of a part; each `turn` draws other windows and wordings.

    Each marked category is asked in three wordings with its span, and once with the span's window left out; of what is
    not marked, two in five are asked.
    """
    draw, details = material.draw(f"window-{part}-{turn}"), read_details(material)
    for contract in contracts:
        for category, spans in sorted(contract.spans.items()) if window_part(contract.name) == part else ():
            wordings = wordings_of(category, details, phrasings)
            asked = [Asked(contract, category, wording) for wording in _drawn(wordings, draw)]
            if spans:
                yield from _made(asked, draw)
            elif draw.random() < _SHARE_NOT_MARKED:
                yield from [one for one in [unanswered(asked[0], draw)] if one]


_SHARE_NOT_MARKED = 0.4


def _made(asked: Sequence[Asked], draw: random.Random) -> Iterator[TrainingExample]:
    for one in asked:
        example = answered(one, draw)
        yield from [example] if example else []
    left_out = unanswered(draw.choice(asked), draw)
    yield from [left_out] if left_out else []


def _drawn(wordings: Sequence[str], draw: random.Random) -> list[str]:
    """Return CUAD's own wording and two others, in any order."""
    drawn = [wordings[0], *sample(wordings[1:], 2, draw)]
    draw.shuffle(drawn)
    return drawn


def _contract(name: str, text: str, spans: Mapping[str, tuple[Span, ...]]) -> Contract:
    title = structure_text(text, name=Path(name).stem, media_type="text/plain").title[:_TITLE_CHARACTERS].strip()
    placed = tuple(
        Placed(Passage(title, text[start:end], name), start, end) for start, end in _tiles(text, WINDOW_CHARACTERS)
    )
    document = LabelledDocument(name, window_part(name), placed)
    trimmed = {category: tuple(_trimmed(text, span) for span in found) for category, found in spans.items()}
    return Contract(name, digest_text(text), title, text, document, trimmed)


def _tiles(text: str, size: int) -> Iterator[Span]:
    start = 0
    while start < len(text):
        end = _at_space(text, min(start + size, len(text)), least=start + size // 2)
        if text[start:end].strip():
            yield _trimmed(text, (start, end))
        start = end


def _at_space(text: str, end: int, *, least: int) -> int:
    """Return the last place up to `end` that cuts no word, or `end` where there is none behind `least`."""
    if end >= len(text):
        return len(text)
    at = end
    while at > least and not text[at].isspace():
        at -= 1
    return at if at > least else end


def _trimmed(text: str, span: Span) -> Span:
    start, end = span
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _window_around(text: str, span: Span, draw: random.Random) -> Span:
    """Return a window of the usual size that holds a span, at a place drawn among those possible."""
    first = draw.randint(max(0, span[1] - WINDOW_CHARACTERS), span[0])
    while first > 0 and first < span[0] and not text[first - 1].isspace():
        first += 1
    end = _at_space(text, min(first + WINDOW_CHARACTERS, len(text)), least=span[1])
    return _trimmed(text, (first, max(end, span[1])))


def _holds_alone(window: Span, span: Span, spans: Sequence[Span]) -> bool:
    if not (window[0] <= span[0] and span[1] <= window[1]) or span[1] <= span[0]:
        return False
    return not any(_touch(window, other) for other in spans if other != span)


def _is_answer(text: str) -> bool:
    """Tell whether a marked span answers by itself: not too long, and no lone word such as the role of a party."""
    alone = len(text.split()) < 2 and not any(sign.isdigit() for sign in text)
    return not alone and len(text) <= MOST_SPAN_CHARACTERS and "\n\n" not in text


def _touch(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _example(asked: Asked, draw: random.Random, *, window: Span | None, target: str) -> TrainingExample | None:
    """Return the example of a window that answers, or of none, beside near misses; None where there are too few."""
    wanted = WINDOWS - (window is not None)
    misses = _near_misses(asked, window, draw)[:wanted]
    shown = [*([window] if window else []), *misses]
    draw.shuffle(shown)
    passages = tuple(asked.contract.passage(one) for one in shown)
    stands = sum(prompt_text(passage.text).count(target) for passage in passages)
    if len(shown) < WINDOWS or stands != (window is not None):  # an answer stands once
        return None
    made = TrainingExample(
        id="",
        kind="labelled" if window else "unanswerable",
        question=asked.question,
        passages=passages,
        target=target,
        abstains=window is None,
        document=asked.contract.name,
        origin=_origin(asked, window),
    )
    return named(made)


def _origin(asked: Asked, window: Span | None) -> str:
    how = "marked" if window else "window left out" if asked.spans else "not marked"
    return f"cuad windows: {asked.category}, {how}"


def _near_misses(asked: Asked, window: Span | None, draw: random.Random) -> list[Span]:
    """Return the windows most like the question that hold no part of an answer, the drawn ones first."""
    tiles = asked.contract.tiles
    ranked = [(tiles.placed[number].start, tiles.placed[number].end) for number in tiles.ranked(asked.question)]
    taken = [*asked.spans, *([window] if window else [])]
    free = [tile for tile in ranked if not any(_touch(tile, other) for other in taken)]
    return sample(free[:_HARD], WINDOWS, draw)
