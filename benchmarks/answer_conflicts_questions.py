# ruff: noqa: S311 (chance is seeded)
"""Which conflicts do the answers to golden questions report, where none is expected and where one is?

    PROVENANT_HOME=HOME .venv/bin/python -m benchmarks.answer_conflicts_questions --questions samples/questions.jsonl

The questions are asked of the first collection of an indexed home, and every Conflict is printed: none is expected
where no document disagrees. With --altered, copies in which the evidence is altered are ingested into that home first
(give it a copy of a home): how many questions report them? A question counts where its answer rests on its evidence or
on the altered evidence. The models are the installed ones, but nothing is written without --model: answers are the
best quotes.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.answer import Answer
from assistant.named_documents import documents_pointed_at
from assistant.service import AssistantService
from assistant.turn import AskRequest
from benchmarks.altered_documents import Altered, alter_quote
from ingest.parse import parse_file
from ingest.pipeline import IngestRequest
from ui.installation import Installation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=Path, default=Path("samples/questions.jsonl"))
    parser.add_argument("--corpus", type=Path, default=Path("samples/corpus"))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--altered", action="store_true", help="Ingest copies with altered evidence first.")
    parser.add_argument("--model", action="store_true", help="Let the installed model write.")
    parser.add_argument("--every", type=int, default=1, help="Ask every so many questions.")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.questions.read_text(encoding="utf-8").splitlines()]
    rows = rows[:: arguments.every]
    ask_golden(rows, alter_evidence(rows, arguments) if arguments.altered else {}, write=arguments.model)


def alter_evidence(rows: Sequence[dict[str, Any]], arguments: argparse.Namespace) -> dict[str, Altered]:
    """Ingest copies of documents in which the evidence of questions is altered, and return the changes by question."""
    texts: dict[str, str] = {}
    made: dict[str, Altered] = {}
    for row in rows:
        for evidence in row["evidence"][:1] if row["kind"] in {"policy", "contract"} else ():
            document = evidence["document"]
            texts.setdefault(document, parse_file(arguments.corpus / document).text)
            chance = random.Random(f"{arguments.seed} {row['id']}")
            found = alter_quote(texts[document], evidence["quote"], document, chance)
            if found is not None:
                texts[document], made[row["id"]] = found
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "other-edition"
        root.mkdir()
        for document, text in texts.items():
            (root / f"{Path(document).stem}.txt").write_text(text, encoding="utf-8")
        installation = Installation()
        service = installation.service
        installation.ingest(IngestRequest((root,), service.collections()[0]), lambda *_: None)
        service.close()
    return made


def ask_golden(rows: Sequence[dict[str, Any]], altered: dict[str, Altered], *, write: bool) -> None:
    from tests.fakes import ScriptedEngine

    installation = Installation()
    service = installation.service
    if not write:
        service.models = QuotesOnly(service.models, ScriptedEngine(""))
    counts = Counter[str]()
    for row in [row for row in rows if not altered or row["id"] in altered]:
        *_, answer = service.ask(AskRequest(row["question"], service.collections()[0], installation.principal()))
        assert isinstance(answer, Answer)
        counts["questions"] += 1
        counts["answered"] += not answer.abstained
        counts["in the model's words"] += answer.wording == "model"
        counts["conflicts reported"] += len(answer.conflicts)
        change = altered.get(row["id"])
        if change is not None:
            rests = any(holds(one.quote, change) for one in answer.citations[:1])
            hit = any(holds(one.first.quote, change) and holds(one.second.quote, change) for one in answer.conflicts)
            counts["rest on the evidence"] += rests
            counts["rest on it and report"] += rests and hit
            counts["rest on it, the question names the document"] += rests and names_one(row["question"], service)
            if rests and not hit:
                print(f"missed {row['id']} ({change.kind}) {row['question']}\n  - {change.before}\n  + {change.after}")
        for one in answer.conflicts:
            print(f"{row['id']} [{one.about}] {row['question']}\n  {one.statement}", flush=True)
            if change is None:
                print(f"  - {' '.join(one.first.quote.split())}\n  + {' '.join(one.second.quote.split())}", flush=True)
    print(", ".join(f"{name} {count}" for name, count in counts.items()))
    service.close()


def holds(quote: str, change: Altered) -> bool:
    said = " ".join(quote.split())
    return any(one in said or said in one for one in (change.before, change.after))


def names_one(question: str, service: AssistantService) -> bool:
    with service.open_generation(service.release(), service.collections()[0]) as generation:
        return len(documents_pointed_at(question, generation.summary)) == 1


@dataclass
class QuotesOnly:
    """The installed models with one that writes nothing: the answer is the best quote."""

    installed: Any
    engine: Any

    @property
    def embedder(self) -> Any:
        return self.installed.embedder

    @property
    def reader(self) -> Any:
        return self.installed.reader

    @property
    def identity(self) -> Any:
        return self.engine.identity


if __name__ == "__main__":
    main()
