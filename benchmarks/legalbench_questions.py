"""Turn LegalBench-RAG's questions into golden questions, split by document as the reader's training data is.

    python benchmarks/legalbench_questions.py DATA/contracts OUT

Writes OUT/corpus (the texts of the development and test documents, to be ingested by their relative names) and
OUT/questions.jsonl (split `dev` or `test`, kind `contractnli` or `cuad`). Documents that the reader was trained on are
in neither.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune.reader_data import split_of


def main() -> None:
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    rows = [row for row in read_rows(data / "legalbench_rag") if row["split"] != "train"]
    for document in {row["evidence"][0]["document"] for row in rows}:
        target = out / "corpus" / document
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(text_of(data, document), target)
    with (out / "questions.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    print(f"{len(rows)} questions")


def read_rows(folder: Path) -> Iterator[dict[str, Any]]:
    for name, kind in (("contractnli.jsonl", "contractnli"), ("cuad_rebuilt.jsonl", "cuad")):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            value = json.loads(line)
            document = value["doc_id"]
            yield {
                "id": value["id"],
                "kind": kind,
                "split": split_of(document),
                "question": value["question"],
                "answers": value["answers"],
                "answerable": True,
                "evidence": [
                    {"document": document, "char_start": start, "char_end": end} for start, end in value["spans"]
                ],
            }


def text_of(data: Path, document: str) -> Path:
    stored = data / "legalbench_rag" / "corpus" / document
    return stored if stored.exists() else data / "cuad" / "txt" / Path(document).name


if __name__ == "__main__":
    main()
