"""Tables: groups from TAT-QA, questions on a financial table with the paragraphs around it.

Source: Zhu et al. 2021. Only answers that stand in the text count here; what must be computed is left out. A passage
that holds the words of an answer but is not where the set says that it comes from is no candidate at all.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from finetune.reader_documents import LabelledDocument, Shelf, sample, whole_passages
from finetune.reader_groups import ANSWERS, ANSWERS_NOT, Candidate, Group, split_in_two
from finetune.reader_material import Material

SOURCES = {"tatqa": "TAT-QA: CC BY 4.0"}
_MOST_TABLE_CHARACTERS = 1800
Row = Mapping[str, Any]


def tatqa_groups(material: Material) -> Iterator[Group]:
    """Yield a group for each question that a span of the table or of a paragraph answers."""
    rows = _read_rows(material)
    documents = {name: _document(name, of_document[0]) for name, of_document in rows.items()}
    draw, shelf = material.draw("tatqa"), Shelf(documents.values())
    for name, of_document in rows.items():
        for row in of_document:
            group = _group(documents[name], row, shelf=shelf, draw=draw)
            yield from [group] if group else []


def _read_rows(material: Material) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in material.rows("finance/tatqa/dev.jsonl"):
        rows[row["doc_id"]].append(row)
    return rows


def _document(name: str, row: Row) -> LabelledDocument:
    table = "\n".join(" | ".join(cells) for cells in row["table"])[:_MOST_TABLE_CHARACTERS]
    texts = [table, *row["paragraphs"]]
    return whole_passages(f"tatqa/{name}", split_in_two(f"tat{name}"), heading="annual report", texts=texts)


def _group(document: LabelledDocument, row: Row, *, shelf: Shelf, draw: random.Random) -> Group | None:
    is_marked = row["answer_type"] in {"span", "multi-span"}
    answers = [answer for answer in row["answers"] if answer] if is_marked else []
    candidates = [one for number in range(len(document.placed)) for one in _candidates(document, number, row, answers)]
    right = [one for one in candidates if one.label == ANSWERS][:2]
    wrong = [one for one in candidates if one.label == ANSWERS_NOT]
    if not right:
        return None
    others = shelf.near_misses(document, row["question"], most=2, draw=draw)
    chosen = [*right, *sample(wrong, 4, draw), *(Candidate(passage, ANSWERS_NOT) for passage in others)]
    return Group(row["question"], "tatqa", document.name, document.split, tuple(chosen))


def _candidates(document: LabelledDocument, number: int, row: Row, answers: list[str]) -> list[Candidate]:
    text = document.placed[number].passage.text
    found = [re.search(re.escape(answer), text) for answer in answers]
    spans = [match.span() for match in found if match]
    if not spans:
        return [document.candidate(number, ANSWERS_NOT)]
    where = row["answer_from"]
    is_there = where == "table-text" or (where == "table") == (number == 0)
    return [document.candidate(number, ANSWERS, spans)] if is_there else []
