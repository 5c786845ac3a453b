"""What changed: drafts of what two versions of a document say differently, and of what two documents of a family do.

An earlier version is asked as of its day and the present one as of now, in the same words: the two answers differ by
what is shown alone. Documents of one family (names equal but for version marks) are both in force; there the answer
gives both sentences or values, a line each. It knows chunks and refuses to know the index.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from assistant.clause_facts import find_facts
from finetune.example_checks import SEPARATOR, family_of
from finetune.example_questions import Draft, Templates, drafts_of
from finetune.examples import Kind
from ingest.index import NO_END, Stored
from ingest.words import split_sentences

_ALIKE = 0.7
_MOST_PARTNERS = 40  # chunks under one heading; more say nothing by their heading


def changed(chunks: Sequence[Stored], templates: Templates, draw: random.Random) -> Iterator[Draft]:
    """Yield the same question of an earlier version and of the present one, where they answer it differently."""
    present = _by_place(chunk for chunk in chunks if chunk.effective_to == NO_END)
    for old in (chunk for chunk in chunks if chunk.effective_to != NO_END):
        for draft in drafts_of(old, templates, draw):
            for new in present.get(_place(old), [])[:_MOST_PARTNERS]:
                said = _said_anew(draft, new)
                if said:
                    kind: Kind = "attribute_change" if old.kind == "record" else "version_conflict"
                    yield replace(draft, kind=kind, origin=f"{draft.origin}, earlier version")
                    yield replace(draft, kind=kind, chunk=new, target=said, origin=f"{draft.origin}, present version")


def at_odds(chunks: Iterable[Stored], templates: Templates, draw: random.Random) -> Iterator[Draft]:
    """Yield questions that two documents of one family, both in force, answer differently."""
    prose = [chunk for chunk in chunks if chunk.effective_to == NO_END and chunk.kind == "clause"]
    families: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    for chunk in prose:
        families[family_of(chunk.document), _heading(chunk)].append(chunk)
    for chunk in prose:
        partners = families[family_of(chunk.document), _heading(chunk)]
        others = [other for other in partners if other.document > chunk.document][:_MOST_PARTNERS]
        for draft in drafts_of(chunk, templates, draw) if others else ():
            for other in others:
                said = _said_anew(draft, other)
                if said:
                    both = f"{draft.target}{SEPARATOR}{said}"
                    yield replace(draft, kind="version_conflict", target=both, second=other, origin="two in force")


def _said_anew(draft: Draft, chunk: Stored) -> str:
    """Return what a chunk says in place of a draft's answer, "" where it says the same or nothing like it."""
    if chunk.kind == "record":
        name = draft.target.split(": ")[0]
        lines = [line for line in chunk.text.split("\n") if line.startswith(f"{name}: ")]
        return lines[0] if len(lines) == 1 and lines[0] != draft.target else ""
    sentence = _sentence_of(draft)
    for start, end in split_sentences(chunk.text) if chunk.kind == "clause" else ():
        said = chunk.text[start:end]
        if _states(said) != _states(sentence) and _alike(said, sentence):
            return said if draft.target == sentence else _value_in(said, draft.target)
    return ""


def _sentence_of(draft: Draft) -> str:
    """Return the sentence that an answer stands in, which may be all of it."""
    text = draft.chunk.text
    spans = split_sentences(text) if draft.chunk.kind == "clause" else []
    return next((text[start:end] for start, end in spans if draft.target in text[start:end]), draft.target)


def _value_in(sentence: str, value: str) -> str:
    """Return what a sentence gives in place of a value: its one fact of the same kind, "" where it is the same."""
    kinds = {fact.kind for fact in find_facts(value)}
    found = [fact.text for fact in find_facts(sentence) if fact.kind in kinds]
    return found[0] if len(found) == 1 and found[0] != value else ""


def _states(text: str) -> set[tuple[str, str]]:
    return {(fact.kind, fact.value) for fact in find_facts(text)}


def _alike(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 0.5 * max(len(one), len(other)):
        return False
    return SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio() >= _ALIKE


def _by_place(chunks: Iterable[Stored]) -> dict[tuple[str, str], list[Stored]]:
    found: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    for chunk in chunks:
        found[_place(chunk)].append(chunk)
    return found


def _place(chunk: Stored) -> tuple[str, str]:
    return chunk.document, chunk.clause if chunk.kind == "record" else _heading(chunk)


def _heading(chunk: Stored) -> str:
    return chunk.path[-1].casefold() if chunk.path else ""
