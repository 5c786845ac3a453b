"""Golden questions: what is asked, what is known of the answer, and whether a place that was found is the right one.

A question's evidence is a document with a page, a character span, a clause or a quote; a passage or a citation counts
where it holds that place, and a piece that names a document alone is held by all of it. Several pieces of evidence are
read as places that each state the answer. Nothing is measured here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from assistant.metrics import Span, letters
from governance.errors import BadInput

Found = Mapping[str, Any]  # a passage or citation as JSON
_QUOTE_LETTERS = 40
_LEAST_LETTERS = 12
_CATALOGUES = {".csv", ".tsv", ".json", ".jsonl"}


@dataclass(frozen=True)
class GoldenQuestion:
    """A question with what is known of its answer."""

    id: str
    question: str
    answers: tuple[str, ...]
    answerable: bool
    evidence: tuple[Mapping[str, Any], ...]
    kind: str = ""
    split: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cluster(self) -> str:
        """Return what the question is about: its document, a catalogue's record, or itself where it has no evidence."""
        if not self.evidence:
            return f"question {self.id}"
        first = self.evidence[0]
        document = str(first["document"])
        is_record = PurePosixPath(document).suffix.lower() in _CATALOGUES
        return f"{document} {first.get('clause', '')}" if is_record else document

    @property
    def spans(self) -> tuple[Span, ...]:
        """Return the evidence as character spans, or nothing where some piece of it has none."""
        if not all("char_start" in one for one in self.evidence):
            return ()
        return tuple((str(one["document"]), int(one["char_start"]), int(one["char_end"])) for one in self.evidence)


def read_questions(path: Path, *, split: str = "") -> list[GoldenQuestion]:
    """Read a JSONL of questions. Raises BadInput naming the line that is wrong, or for a file without questions."""
    if path.is_dir():
        raise BadInput(
            f"{path} is a folder, and a JSONL of questions was expected; a BEIR folder measures retrieval only."
        )
    if not path.is_file():
        raise BadInput(f"There is no file {path}; give the JSONL of questions with --data.")
    questions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            questions.append(_question(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(
                f"Line {number} of {path.name} is not a question ({type(error).__name__}: {error}); it needs id, "
                "question, answers, answerable and evidence."
            ) from error
    chosen = [question for question in questions if not split or question.split == split]
    if not chosen:
        raise BadInput(f"{path.name} holds no question{f' of split {split!r}' if split else ''}.")
    return chosen


def holds_evidence(found: Found, question: GoldenQuestion) -> bool:
    """Tell whether a passage or citation holds some piece of a question's evidence."""
    return any(holds_piece(found, evidence) for evidence in question.evidence)


def holds_piece(found: Found, evidence: Mapping[str, Any]) -> bool:
    """Tell whether a passage or citation holds one piece of evidence; a citation may also quote a part of it."""
    if found["document"] != evidence["document"]:
        return False
    if found["page"] is None and "clause" in evidence and "page" not in evidence and found.get("kind") == "record":
        return bool(found["clause"] == evidence["clause"])
    if "char_start" in evidence:
        return bool(found["char_start"] < evidence["char_end"] and evidence["char_start"] < found["char_end"])
    if "quote" in evidence:
        return _shares_quote(found, letters(evidence["quote"]))
    named = [name for name in ("page", "clause") if name in evidence][:1]
    return all(found[name] == evidence[name] for name in named)


def is_right_document(found: Found, question: GoldenQuestion) -> bool:
    """Tell whether a passage comes from a document of the evidence; a catalogue counts by its record."""
    return any(
        found["document"] == evidence["document"]
        and (found.get("kind", "record") != "record" or evidence.get("clause", found["clause"]) == found["clause"])
        for evidence in question.evidence
    )


def kind_of_citation(citation: Found) -> str:
    """Return "record" for a citation of a catalogue, else "clause": a citation does not say which it is."""
    suffix = PurePosixPath(citation["document"]).suffix.lower()
    return "record" if citation["page"] is None and suffix in _CATALOGUES else "clause"


def gains(found: Sequence[Found], question: GoldenQuestion) -> list[float]:
    """Return for each rank how many pieces of evidence stand there that stood at no better rank."""
    left = list(question.evidence)
    counts = []
    for one in found:
        held = [piece for piece in left if holds_piece(one, piece)]
        left = [piece for piece in left if piece not in held]
        counts.append(float(len(held)))
    return counts


def _shares_quote(found: Found, quote: str) -> bool:
    held = letters(found.get("text") or found.get("quote", ""))
    if quote[:_QUOTE_LETTERS] in held or quote[-_QUOTE_LETTERS:] in held:
        return True
    return "quote" in found and len(held) >= _LEAST_LETTERS and held in quote


def _question(value: Mapping[str, Any]) -> GoldenQuestion:
    evidence = tuple(value["evidence"])
    for piece in evidence:
        _check_piece(piece)
    return GoldenQuestion(
        id=str(value["id"]),
        question=str(value["question"]),
        answers=tuple(str(answer) for answer in value["answers"]),
        answerable=bool(value["answerable"]),
        evidence=evidence,
        kind=str(value.get("kind", "")),
        split=str(value.get("split", "")),
    )


def _check_piece(piece: Mapping[str, Any]) -> None:
    if not isinstance(piece["document"], str):
        raise TypeError("the document of a piece of evidence is not a text")
    if ("char_start" in piece) != ("char_end" in piece):
        raise ValueError("a piece of evidence has char_start or char_end alone")
