"""The golden questions of a collection: the set that its content owner registered, which each new index must serve.

One JSONL for each collection, kept in the home folder and named by its Digest in every report. A piece of evidence
that is a character span is kept as the words that stand there: an edit before them moves the span and not the words.
Only the questions are kept here; what they are good for is told in `golden_check`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.golden import GoldenQuestion, read_questions
from governance.digests import digest_file
from governance.errors import NotFound

QuoteAt = Callable[[str, int, int], str]  # document, start, end: the words that stand there, "" where unknown


@dataclass(frozen=True)
class GoldenSet:
    """The questions of a collection and the Digest of the file that holds them."""

    digest: str
    questions: tuple[GoldenQuestion, ...]


def golden_path(home: Path, collection: str) -> Path:
    """Return where the golden questions of a collection are kept."""
    return home / "golden" / f"{collection}.jsonl"


def keep_golden(home: Path, collection: str, questions: Sequence[GoldenQuestion], quote_at: QuoteAt) -> GoldenSet:
    """Register questions for a collection in place of those it had, and return the set."""
    path = golden_path(home, collection)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(_line(question, quote_at), ensure_ascii=False) + "\n" for question in questions]
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    aside.write_text("".join(lines), encoding="utf-8")
    aside.rename(path)
    return GoldenSet(digest_file(path), tuple(read_questions(path)))


def find_golden(home: Path, collection: str) -> GoldenSet | None:
    """Return the golden questions of a collection, None where none are registered. Raises BadInput for a wrong file."""
    path = golden_path(home, collection)
    return GoldenSet(digest_file(path), tuple(read_questions(path))) if path.is_file() else None


def forget_golden(home: Path, collection: str) -> None:
    """Remove the golden questions of a collection. Raises NotFound where it has none."""
    try:
        golden_path(home, collection).unlink()
    except FileNotFoundError as error:
        raise NotFound(f"The collection {collection} has no golden questions that could be removed.") from error


def _line(question: GoldenQuestion, quote_at: QuoteAt) -> dict[str, Any]:
    return {
        "id": question.id,
        "question": question.question,
        "answers": list(question.answers),
        "answerable": question.answerable,
        "evidence": [_by_words(piece, quote_at) for piece in question.evidence],
        "kind": question.kind,
        "split": question.split,
    }


def _by_words(piece: Mapping[str, Any], quote_at: QuoteAt) -> dict[str, Any]:
    """Return a piece of evidence with the words at its span in place of the span, where they are known."""
    if "char_start" not in piece:
        return dict(piece)
    quote = piece.get("quote") or quote_at(piece["document"], piece["char_start"], piece["char_end"])
    if not quote.strip():
        return dict(piece)
    kept = {name: value for name, value in piece.items() if name not in {"char_start", "char_end"}}
    return {**kept, "quote": quote}
