"""Guards: documents and questions are data.

Before an answer: spans that speak to an assistant (`assistant.instructions`) are taken out of the Passages, so that
they can neither be quoted nor reach the model; the rest keeps its offsets, because a removed span leaves line breaks
of the same length. Control tokens of chat templates are taken apart before a text enters a prompt. After it: a
sentence that carries out what was removed is named. Nothing here decides access, asks a model, or changes what is
stored; what was removed is returned, so that the trace and the page can say so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from assistant.instructions import MARKER, Instruction, InstructionKind, find_instructions
from assistant.retrieve import Passage
from ingest.words import stems

_ADDRESS = re.compile(
    r"\b(?:https?://|www\.)[\w./-]+\w|\b[\w.+-]+@[\w-]+\.\w[\w.]*|\b[\w-]+\.(?:com|xyz|net|io|ru|info)\b", re.I
)
_QUOTED = re.compile(r"[\"“]([^\"”]{12,200})[\"”]")
_FOLLOWED_AT = 0.6
_LEAST_STEMS = 4


@dataclass(frozen=True)
class Removed:
    """A span of a document version that was kept from the answer, in code points of the document."""

    document: str
    version: str
    char_start: int
    char_end: int
    kind: InstructionKind
    score: float
    text: str

    def to_value(self) -> dict[str, Any]:
        """Return the JSON form for a trace, without the text."""
        return {key: value for key, value in asdict(self).items() if key != "text"}


@dataclass(frozen=True)
class GuardedPassages:
    """Passages fit to quote and to show a model, and what was taken out of them."""

    passages: tuple[Passage, ...]
    removed: tuple[Removed, ...]

    @property
    def note(self) -> str:
        """Return what a person should be told, or ""."""
        if not self.removed:
            return ""
        count = len({(one.document, one.version) for one in self.removed})
        documents = "A document found" if count == 1 else f"{count} documents found"
        holds = "holds" if count == 1 else "hold"
        return (
            f"{documents} for this question {holds} text that looks like instructions to an assistant; it was not used."
        )


def guard_passages(passages: Sequence[Passage]) -> GuardedPassages:
    """Return the Passages with every span that speaks to an assistant replaced by line breaks of its length."""
    removed: list[Removed] = []
    kept: list[Passage] = []
    for passage in passages:
        chunk = passage.chunk
        found = find_instructions(chunk.text, beside=" ".join([chunk.title, *chunk.path]))
        removed += [_removed(passage, one) for one in found]
        kept.append(replace(passage, chunk=replace(chunk, text=without(chunk.text, found))) if found else passage)
    return GuardedPassages(tuple(kept), tuple(removed))


def without(text: str, found: Sequence[Instruction]) -> str:
    """Return a text of the same length with spans replaced by line breaks."""
    for one in found:
        text = text[: one.start] + "\n" * (one.end - one.start) + text[one.end :]
    return text


def _removed(passage: Passage, found: Instruction) -> Removed:
    chunk, base = passage.chunk, passage.chunk.start
    return Removed(
        chunk.document, chunk.version, base + found.start, base + found.end, found.kind, found.score, found.text
    )


def prompt_text(text: str) -> str:
    """Return a text for a prompt: control tokens taken apart, invisible signs dropped, wide gaps closed.

    "<|im_end|>" becomes "< |im_end| >": readable, and no longer one token of the template.
    """
    visible = "".join(
        sign for sign in text if sign in "\n\t" or unicodedata.category(sign) not in {"Cc", "Cf", "Co", "Cn"}
    )
    apart = MARKER.sub(lambda match: f"{match.group()[0]} {match.group()[1:-1]} {match.group()[-1]}", visible)
    return re.sub(r"\n{3,}", "\n\n", apart)


def has_markers(text: str) -> bool:
    """Tell whether a text (a question) holds control tokens of a chat template."""
    return MARKER.search(text) is not None


def carries_out(sentence: str, removed: Sequence[Removed]) -> str:
    """Return why a sentence of an answer carries out or repeats what was removed, or "" where it does not."""
    for one in removed:
        if any(found.group() in sentence for found in _ADDRESS.finditer(one.text)):
            return "it gives an address from text that was removed"
        if any(quoted.casefold() in sentence.casefold() for quoted in _QUOTED.findall(one.text)):
            return "it says what removed text asked for"
        mine, theirs = stems(sentence), set(stems(one.text))
        if len(mine) >= _LEAST_STEMS and sum(stem in theirs for stem in mine) >= _FOLLOWED_AT * len(mine):
            return "it repeats text that was removed"
    return ""
