"""Groups: a question with passages that answer it and passages that do not, and the file they are kept in.

It knows texts, labels and splits, never a tensor and never where a set came from. Rules: the split is by document and
by digest of its name, so that nothing a figure is reported on was ever trained on; a span points into the text of its
own passage. The file is JSON lines: first {"sources", "passages", "documents"}, then one group to a line, its
candidates by key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeAlias

from governance.errors import BadInput

Split: TypeAlias = Literal["train", "dev", "test"]
Span: TypeAlias = tuple[int, int]  # first code point, one past the last
Label: TypeAlias = Literal[1, 0, -1]
ANSWERS: Label = 1
ANSWERS_NOT: Label = 0
UNKNOWN: Label = -1  # ranked below what answers, never held against answerability: perhaps it answers a little


@dataclass(frozen=True)
class Passage:
    """A text with the heading that stands over it, "" where there is none, and the labelled document it is of."""

    heading: str
    text: str
    document: str

    @cached_property
    def key(self) -> str:
        """A short name by content."""
        whole = "\0".join((self.heading, self.text, self.document))
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Candidate:
    """A passage of a group. `spans` are code points of its text, none where it does not answer or nobody marked it."""

    passage: Passage
    label: Label
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Group:
    """A question asked of one document, with its candidates.

    `touched` are the numbers of the passages of the document that hold part of an answer, None where its answers were
    not marked throughout: all other passages are known not to answer.
    """

    question: str
    source: str
    document: str
    split: Split
    candidates: tuple[Candidate, ...]
    touched: tuple[int, ...] | None = None


@dataclass(frozen=True)
class GroupFile:
    """What a data file holds: the groups, the licence of each source by its name, whole documents by theirs."""

    sources: Mapping[str, str]
    groups: tuple[Group, ...]
    documents: Mapping[str, tuple[Passage, ...]]


def split_of(document: str) -> Split:
    """Return the part that a labelled contract belongs to, by the digest of its name: 3/5 train, 1/5 dev, 1/5 test."""
    path = PurePosixPath(document)
    part = part_of(f"nli{document}" if path.parts[0] == "contractnli" else f"cuad{path.stem}")
    return "test" if part == 0 else "dev" if part == 1 else "train"


def split_in_two(key: str, *, parts: int = 5) -> Split:
    """Return the part of a document of a set that is not tuned on: one of `parts` is test, the others train."""
    return "test" if part_of(key, parts=parts) == 0 else "train"


def part_of(key: str, *, parts: int = 5) -> int:
    """Return a number below `parts` that depends on the key alone."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % parts


def write_groups(path: Path, data: GroupFile) -> None:
    """Write a data file. Equal data give equal bytes."""
    passages = {one.passage.key: one.passage for group in data.groups for one in group.candidates}
    passages |= {passage.key: passage for whole in data.documents.values() for passage in whole}
    texts = {key: [passage.heading, passage.text, passage.document] for key, passage in passages.items()}
    documents = {name: [passage.key for passage in whole] for name, whole in data.documents.items()}
    with path.open("w", encoding="utf-8") as file:
        file.write(_line({"sources": dict(data.sources), "passages": texts, "documents": documents}))
        file.writelines(_line(_group_value(group)) for group in data.groups)


def read_groups(path: Path) -> GroupFile:
    """Read a data file. Raises BadInput where there is none or where a line is not what `write_groups` writes."""
    try:
        with path.open(encoding="utf-8") as file:
            head = json.loads(next(file))
            passages = {key: Passage(*texts) for key, texts in head["passages"].items()}
            documents = {name: tuple(passages[key] for key in keys) for name, keys in head["documents"].items()}
            groups = tuple(_read_group(json.loads(line), passages) for line in file)
            return GroupFile(head["sources"], groups, documents)
    except (OSError, StopIteration, KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{path} is no file of training groups ({error!r}); make one with `python -m finetune.reader_data`."
        ) from error


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _group_value(group: Group) -> dict[str, object]:
    return {
        "question": group.question,
        "source": group.source,
        "document": group.document,
        "split": group.split,
        "candidates": [[one.passage.key, one.label, one.spans] for one in group.candidates],
        "touched": group.touched,
    }


def _read_group(value: dict[str, Any], passages: Mapping[str, Passage]) -> Group:
    candidates = tuple(
        Candidate(passages[key], label, tuple((start, end) for start, end in spans))
        for key, label, spans in value["candidates"]
    )
    touched = None if value["touched"] is None else tuple(value["touched"])
    return Group(value["question"], value["source"], value["document"], value["split"], candidates, touched)
