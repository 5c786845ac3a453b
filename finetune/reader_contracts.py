"""Contracts: groups from CUAD, from LegalBench-RAG, and from the definitions that contracts state.

CUAD marks 41 categories in each contract, so a category that is not marked is a question that the contract does not
answer. Sources: Hendrycks et al. 2021 (CUAD), Koreeda and Manning 2021 (ContractNLI), Pipitone and Houir Alami 2024
(LegalBench-RAG). It knows these sets' files; how candidates are chosen is `reader_documents`' matter.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.reader_documents import LabelledDocument, Picking, Shelf, cut_text, group_of_spans, sample
from finetune.reader_groups import ANSWERS, ANSWERS_NOT, Group, Span, split_of
from finetune.reader_material import Material
from finetune.reader_questions import Phrasings

SOURCES = {
    "cuad": "CUAD v1: CC BY 4.0",
    "lbr_cuad": "LegalBench-RAG on CUAD: CC BY 4.0",
    "lbr_contractnli": "LegalBench-RAG on ContractNLI: CC BY 4.0",
    "definition": "CUAD v1: CC BY 4.0",
}
_CUAD = "contracts/cuad"
_LEGALBENCH = "contracts/legalbench_rag"
_SHARE_OF_DEFINITIONS = 0.35
_DEFINITION = re.compile(
    r"[“\"]([A-Z][\w \-]{2,40})[”\"],?\s+(?:means|shall mean|refers to|is defined as)\b"  # “Term” means
)
Contracts = Mapping[str, LabelledDocument]
Row = Mapping[str, Any]


def read_contracts(material: Material) -> dict[str, LabelledDocument]:
    """Return the CUAD contracts by logical name, those of the samples and those that reading would move left out."""
    contracts = {}
    for row in material.rows(f"{_CUAD}/docs.jsonl"):
        name = f"cuad/{row['doc_id']}.txt"
        text = material.text(f"{_CUAD}/{row['txt']}")
        if "\r" in text or material.is_sample(name):
            continue
        document = cut_text(text, name=name, split=split_of(name), tokens=material.tokens)
        if document is not None:
            contracts[name] = document
    return contracts


def cuad_groups(material: Material, contracts: Contracts, phrasings: Phrasings) -> Iterator[Group]:
    """Yield a group for three wordings of each category that a contract marks, for one of each that it does not."""
    draw, shelf = material.draw("cuad"), Shelf(contracts.values())
    details = {
        row["category"]: row["question"].split("Details:")[-1].strip()
        for row in material.rows(f"{_CUAD}/categories.jsonl")
    }
    for name, rows in _by_contract(material, contracts).items():
        manner = _manner(rows)
        for row in rows:
            category, spans = row["category"], _spans(row)
            if not row["is_impossible"] and not spans:
                continue
            wordings = [*phrasings.of_category(category), details[category], category]
            pick = Picking(draw, shelf, near_misses=4 if spans else 3)
            for wording in sample(wordings, 3 if spans else 1, draw):
                question = manner.asked(wording, draw)
                made = group_of_spans(contracts[name], question, spans, source="cuad", pick=pick)
                yield from [made] if made else []


def legalbench_groups(material: Material, contracts: Contracts, agreements: Contracts) -> Iterator[Group]:
    """Yield the groups of LegalBench-RAG's questions; ContractNLI's are also asked without their first half."""
    pick = Picking(material.draw("lbr_cuad"), Shelf(contracts.values()))
    for row in material.rows(f"{_LEGALBENCH}/cuad_rebuilt.jsonl"):
        yield from _legalbench(contracts, row, [row["question"]], source="lbr_cuad", pick=pick)
    pick = Picking(material.draw("lbr_contractnli"), Shelf(agreements.values()))
    for row in material.rows(f"{_LEGALBENCH}/contractnli.jsonl"):
        wordings = [row["question"], row["question"].split("; ", 1)[-1]]
        yield from _legalbench(agreements, row, wordings, source="lbr_contractnli", pick=pick)


def definition_groups(material: Material, contracts: Contracts, phrasings: Phrasings) -> Iterator[Group]:
    """Yield a group for some of the terms that contracts define; passages that define the same term are left out."""
    draw = material.draw("definition")
    for document in contracts.values():
        for number, placed in enumerate(document.placed):
            found = _DEFINITION.search(placed.passage.text)
            if found is None or draw.random() >= _SHARE_OF_DEFINITIONS:
                continue
            question = draw.choice(phrasings.definition).format(term=found.group(1))
            touched = _holding(document, found.group()[:20])
            others = [other for other in document.ranked(question) if other not in touched]
            span = (found.start(), _sentence_end(placed.passage.text, found.end()))
            candidates = [document.candidate(number, ANSWERS, [span])]
            candidates += [document.candidate(other, ANSWERS_NOT) for other in sample(others[:8], 5, draw)]
            yield Group(question, "definition", document.name, document.split, tuple(candidates), touched)


def read_agreements(material: Material) -> dict[str, LabelledDocument]:
    """Return the ContractNLI agreements by logical name, those that reading would move left out."""
    agreements = {}
    for name in dict.fromkeys(row["doc_id"] for row in material.rows(f"{_LEGALBENCH}/contractnli.jsonl")):
        text = material.text(f"{_LEGALBENCH}/corpus/{name}")
        document = cut_text(text, name=name, split=split_of(name), tokens=material.tokens)
        if document is not None:
            agreements[name] = document
    return agreements


@dataclass(frozen=True)
class _Manner:
    """How a contract is named in a question: by its parties and its title."""

    parties: Sequence[str]
    title: str

    def asked(self, question: str, draw: random.Random) -> str:
        style, asked = draw.random(), question.rstrip("?")
        if style < 0.2 and self.parties:
            return f"{asked} in the {self.title} with {draw.choice(self.parties)}?"
        if style < 0.35 and self.parties:
            return f"In the {' / '.join(self.parties)} {self.title.lower()}: {question[0].lower()}{question[1:]}"
        if style < 0.5 and self.parties:
            return f"{asked} under {draw.choice(self.parties)}'s {draw.choice([self.title, self.title.lower()])}?"
        return f"Consider the {self.title}; {question}" if style < 0.6 else question


def _manner(rows: Sequence[Row]) -> _Manner:
    answers = {row["category"]: row["answers"] for row in rows if not row["is_impossible"]}
    parties = [name for name in answers.get("Parties", []) if len(name) > 6 and name[0].isupper()][:2]
    titles = answers.get("Document Name", [])
    return _Manner(parties, titles[0].title() if titles else "agreement")


def _by_contract(material: Material, contracts: Contracts) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in material.rows(f"{_CUAD}/qa.jsonl"):
        name = f"cuad/{row['doc_id']}.txt"
        if name in contracts:
            rows[name].append(row)
    return rows


def _legalbench(
    documents: Contracts, row: Row, wordings: Sequence[str], *, source: str, pick: Picking
) -> Iterator[Group]:
    document = documents.get(row["doc_id"])
    for wording in wordings if document else ():
        made = document and group_of_spans(document, wording, _spans(row), source=source, pick=pick)
        yield from [made] if made else []


def _holding(document: LabelledDocument, words: str) -> tuple[int, ...]:
    return tuple(number for number, placed in enumerate(document.placed) if words in placed.passage.text)


def _spans(row: Row) -> list[Span]:
    return [(start, end) for start, end in row.get("spans") or []]


def _sentence_end(text: str, at: int) -> int:
    stop = text.find(".", at)
    return len(text) if stop < 0 else stop + 1
