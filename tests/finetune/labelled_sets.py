"""A folder of labelled sets in the form of the real ones, a few documents of each, and samples to leave out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.finetune.conftest import write_rows

SAMPLE = "SampleInc_EX-10_Supply Agreement"
CONTRACTS = [f"Maker{number}_EX-10_Supply Agreement" for number in range(12)]
AGREEMENTS = [f"contractnli/NDA{number}.txt" for number in range(8)]
FILLER = (
    "The supplier shall keep the goods in good order and hand over every document that the buyer needs for customs. "
    "Deliveries are made on working days and each delivery is recorded by both parties in writing. "
)
LAW = "This Agreement is governed by the laws of the State of {state}."
TITLE = "SUPPLY AGREEMENT"


def contract(number: int) -> str:
    """Return a contract with a governing law, a term and a definition, long enough for several passages."""
    return "\n\n".join(
        [
            TITLE,
            f"1. Delivery and Acceptance. {FILLER * 3}",
            f'2. Defined Terms. "Goods{number}" means the goods of order {number}. {FILLER * 2}',
            f"3. Warranty of Quality. {FILLER * 3}",
            f"4. Governing Law. {LAW.format(state=f'State{number}')}",
            f"5. Insurance Cover. {FILLER * 3}",
        ]
    )


def write_sets(data: Path, contracts: Sequence[str] = CONTRACTS) -> None:
    """Write every set below a folder."""
    _write_cuad(data / "contracts" / "cuad", contracts)
    _write_legalbench(data / "contracts" / "legalbench_rag", contracts)
    _write_policies(data / "policies")
    _write_tables(data / "finance" / "tatqa" / "dev.jsonl")
    _write_products(data / "products" / "chorus_icecat" / "products.csv", range(120))


def write_samples(samples: Path) -> None:
    """Write samples that show one contract, one handbook page and one product of the sets."""
    (samples / "corpus" / "products").mkdir(parents=True)
    names = (f"{SAMPLE}.pdf", "pages/leave.md")
    (samples / "ATTRIBUTION.md").write_text("".join(f"- Original file: `{name}`\n" for name in names))
    _write_products(samples / "corpus" / "products" / "catalogue.csv", range(1))


def _span(text: str, answer: str) -> list[int]:
    return [text.index(answer), text.index(answer) + len(answer)]


def _answered(document: str, category: str, text: str, answer: str) -> dict[str, object]:
    spans = [_span(text, answer)]
    return {"doc_id": document, "category": category, "answers": [answer], "spans": spans, "is_impossible": False}


def _write_cuad(folder: Path, contracts: Sequence[str]) -> None:
    documents, rows = [], []
    (folder / "txt").mkdir(parents=True)
    for number, name in enumerate([*contracts, SAMPLE]):
        text = contract(number)
        (folder / "txt" / f"{name}.txt").write_text(text)
        documents.append({"doc_id": name, "txt": f"txt/{name}.txt"})
        rows.append(_answered(name, "Document Name", text, TITLE))
        rows.append(_answered(name, "Governing Law", text, LAW.format(state=f"State{number}")))
        absent: dict[str, Any] = {"doc_id": name, "category": "Audit Rights", "answers": [], "is_impossible": True}
        rows.append(absent)
    categories = ("Document Name", "Governing Law", "Audit Rights")
    write_rows(folder / "docs.jsonl", documents)
    write_rows(folder / "qa.jsonl", rows)
    write_rows(folder / "categories.jsonl", [{"category": one, "question": f"Details: {one}?"} for one in categories])


def _write_legalbench(folder: Path, contracts: Sequence[str]) -> None:
    (folder / "corpus" / "contractnli").mkdir(parents=True)
    nli, cuad = [], []
    for number, name in enumerate(AGREEMENTS):
        text = contract(number)
        (folder / "corpus" / name).write_text(text)
        nli.append(_legalbench_row(name, text, LAW.format(state=f"State{number}")))
    for number, name in enumerate([*contracts, SAMPLE]):
        cuad.append(_legalbench_row(f"cuad/{name}.txt", contract(number), LAW.format(state=f"State{number}")))
    write_rows(folder / "contractnli.jsonl", nli)
    write_rows(folder / "cuad_rebuilt.jsonl", cuad)


def _legalbench_row(document: str, text: str, answer: str) -> dict[str, object]:
    question = "Consider the Supply Agreement; Which law governs?"
    return {"doc_id": document, "question": question, "answers": [answer], "spans": [_span(text, answer)]}


def _write_policies(folder: Path) -> None:
    passages, questions = [], []
    for site in range(10):
        for number in range(6):
            text = f"Site {site} keeps cookies of kind {number} for {number + 2} days."
            identity = f"{site}#{number}"
            passages.append({"passage_id": identity, "policy": f"site{site}.com", "text": text})
        text, answer = f"Site {site} keeps cookies of kind 3 for 5 days.", "5 days"
        row = {"question": "How long are cookies of kind 3 kept?", "answers": [answer], "spans": [_span(text, answer)]}
        questions.append({**row, "doc_id": f"site{site}.com", "passage_id": f"{site}#3"})
    write_rows(folder / "policyqa" / "dev_passages.jsonl", passages)
    write_rows(folder / "policyqa" / "dev.jsonl", questions)
    pages = folder / "18f-handbook" / "pages"
    pages.mkdir(parents=True)
    for name in ("leave", *(f"page{number}" for number in range(8))):
        sections = "".join(f"## {part} of the {name}\n\n{FILLER * 2}\n\n" for part in ("Requesting", "Approval"))
        (pages / f"{name}.md").write_text(f"# The {name}\n\n{FILLER}\n\n{sections}")
    (pages / "empty.md").write_text("")


def _write_tables(path: Path) -> None:
    rows: list[dict[str, object]] = []
    for number in range(10):
        document = {
            "doc_id": f"report{number}",
            "table": [["", "2019"], ["Sales", f"{number}1,234"]],
            "paragraphs": [f"Sales of firm {number} are of fixed price.", f"Firm {number} has {number}7 staff."],
        }
        table = {"question": "What were the sales?", "answers": [f"{number}1,234"], "answer_type": "span"}
        rows.append({**document, **table, "answer_from": "table"})
        computed = {"question": "By how much did sales grow?", "answers": ["12"], "answer_type": "arithmetic"}
        rows.append({**document, **computed, "answer_from": "table"})
    write_rows(path, rows)


def _write_products(path: Path, numbers: range) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["id,title,price_eur,attributes_json"]
    for number in numbers:
        attributes = {"colour": "black", "weight": number + 10} | ({"height": number + 1} if number % 2 else {})
        stored = json.dumps(attributes).replace('"', '""')
        lines.append(f'{number},Maker{number % 7} USB cable model {number},{number + 5},"{stored}"')
    path.write_text("\n".join(lines) + "\n")
