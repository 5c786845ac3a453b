"""Questions that documents answer or do not answer, from CUAD, ClapNQ and MTRAG, for `benchmarks/abstention.py`.

    .venv/bin/python -m benchmarks.abstention_questions DATA OUT

DATA holds `contracts/cuad`, `contracts/legalbench_rag` and `chat/{clapnq,mtrag}`; writes OUT/cuad.jsonl,
OUT/clapnq.jsonl and OUT/mtrag.jsonl in the form that `provenant evaluate` reads, with `document` (what is drawn
together in a bootstrap), `label` (answerable, unanswerable, partial, underspecified) and `before` (what the asker
typed in earlier turns) beside it.

CUAD (Hendrycks et al. 2021) marks 41 categories in each contract: a category that is not marked is a question that the
contract does not answer. Each is asked of a contract named by a party and its title, in the wordings of
`finetune/reader_questions.toml`; the contracts are the development and test documents of `split_of`, none of which the
reader was trained on, and the same that `benchmarks/legalbench_questions.py` writes to be ingested. ClapNQ and MTRAG
are split in two by the digest of the gold passage's document or of the conversation.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.reader_groups import split_of
from finetune.reader_questions import Phrasings, load_phrasings

Row = dict[str, Any]
NUMBERS: Mapping[str, Mapping[bool, int]] = {"dev": {True: 200, False: 200}, "test": {True: 400, False: 300}}
SEED = 11
_LEFT_OUT = {"Document Name", "Parties"}  # what names the contract in the question
_LEAST_NAME = 7  # letters of a party's name
_STYLES = (
    "{asked} in the {title} with {party}?",
    "In the {party} {title}: {lowered}?",
    "{asked}, according to {party}'s {title}?",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    chat = arguments.data / "chat"
    sets = {
        "cuad": cuad_rows(arguments.data / "contracts", load_phrasings()),
        "clapnq": [clapnq_row(row) for row in read_lines(chat / "clapnq" / "qa.jsonl")],
        "mtrag": [mtrag_row(row) for row in read_lines(chat / "mtrag" / "tasks_un.jsonl")],
    }
    for name, rows in sets.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (arguments.out / f"{name}.jsonl").write_text(text, encoding="utf-8")
        print(f"{name}: {len(rows)} questions, {sum(row['answerable'] for row in rows)} answerable")


def cuad_rows(contracts: Path, phrasings: Phrasings) -> list[Row]:
    """Return the questions of both halves, as many of each kind as `NUMBERS` says, drawn with a seed."""
    draw = random.Random(SEED)  # noqa: S311, a seeded draw
    kept = {row["doc_id"] for row in read_lines(contracts / "legalbench_rag" / "cuad_rebuilt.jsonl")}
    made: dict[tuple[str, bool], list[Row]] = defaultdict(list)
    for document, rows in sorted(by_document(read_lines(contracts / "cuad" / "qa.jsonl")).items()):
        name = f"cuad/{document}.txt"
        if name in kept and split_of(name) != "train":
            for row in questions_of(name, rows, phrasings, draw):
                made[row["split"], row["answerable"]].append(row)
    drawn = []
    for split, numbers in NUMBERS.items():
        for answerable, number in numbers.items():
            drawn += draw.sample(made[split, answerable], min(number, len(made[split, answerable])))
    return drawn


def by_document(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["doc_id"]].append(row)
    return found


def questions_of(name: str, rows: Sequence[Row], phrasings: Phrasings, draw: random.Random) -> Iterator[Row]:
    """Yield a question for each category of a contract; none where no party can name it."""
    answers = {row["category"]: row["answers"] for row in rows if not row["is_impossible"]}
    parties = [one for one in answers.get("Parties", []) if len(one) >= _LEAST_NAME and one[0].isupper()][:2]
    title = (answers.get("Document Name") or ["agreement"])[0].title()
    for row in rows if parties else ():
        spans = row.get("spans") or []
        if row["category"] in _LEFT_OUT or (not row["is_impossible"] and not spans):
            continue
        asked = draw.choice(phrasings.of_category(row["category"])).rstrip("?")
        lowered = asked[0].lower() + asked[1:]
        words = {"asked": asked, "lowered": lowered, "title": title, "party": draw.choice(parties)}
        yield {
            "id": row["id"],
            "kind": "cuad",
            "category": row["category"],
            "split": split_of(name),
            "document": name,
            "question": draw.choice(_STYLES).format(**words),
            "answers": [],
            "answerable": not row["is_impossible"],
            "label": "unanswerable" if row["is_impossible"] else "answerable",
            "evidence": [{"document": name, "char_start": start, "char_end": end} for start, end in spans],
        }


def clapnq_row(row: Mapping[str, Any]) -> Row:
    return {
        "id": row["id"],
        "kind": "clapnq",
        "split": half_of(row["id"]),
        "document": row["gold_passages"][0],
        "question": row["question"],
        "answers": row["answers"],
        "answerable": row["answerable"],
        "label": "answerable" if row["answerable"] else "unanswerable",
        "evidence": [{"document": one} for one in row["gold_passages"]] if row["answerable"] else [],
    }


def mtrag_row(row: Mapping[str, Any]) -> Row:
    """Return a task; what is partly answerable has evidence, and what is underspecified is not answerable as asked."""
    typed = [one["content"].strip() for one in row["messages"] if one["role"] == "user"]
    label = row["answerability"].lower()
    return {
        "id": row["id"],
        "kind": "mtrag",
        "split": half_of(row["conversation"]),
        "document": row["conversation"],
        "question": typed[-1],
        "before": typed[:-1],
        "answers": row["answers"],
        "answerable": label in {"answerable", "partial"},
        "label": label,
        "evidence": [{"document": one} for one in row["gold_passages"]],
    }


def half_of(key: str) -> str:
    """Return the half of a question: the conversations that rewriting was made on (`conversation.py`) are dev."""
    return "test" if hashlib.sha256(key.encode()).digest()[0] % 2 else "dev"


def read_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


if __name__ == "__main__":
    main()
