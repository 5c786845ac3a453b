"""Real questions with their whole traces, discussed: writes docs/traces.md.

    python -m benchmarks.traces [--out docs/traces.md]        # PROVENANT_HOME with samples/corpus in `samples`

`traces.toml` names the questions, golden ones by their id, and holds what is said about each; a trace is printed as
`provenant trace show` prints it, with at most `MOST_PASSAGES` of its passages. A question with `after` is asked in
the conversation that the question before it began. Documents of `traces.toml` are ingested into a collection of their
own. Each entry says what is expected to come of it: where something else comes, the page is not written, since its
discussion would speak of another answer; the command says which entry to read again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assistant.answer import Answer
from assistant.golden import GoldenQuestion, read_questions
from assistant.traces import describe_trace
from assistant.turn import AskRequest
from benchmarks.measured import ROOT
from governance.trace import find_trace
from ingest.pipeline import IngestRequest
from ui.installation import Installation

ENTRIES = Path(__file__).with_suffix(".toml")
MOST_PASSAGES = 5
PLANTED = "planted"


@dataclass(frozen=True)
class Entry:
    """One question of the page. `expect` is answered or refused; `says` must stand in the answer where it is given."""

    title: str
    discussion: str
    expect: str
    question: str = ""
    id: str = ""
    after: str = ""
    collection: str = "samples"
    says: str = ""

    def is_met(self, answer: Answer) -> bool:
        return answer.abstained == (self.expect == "refused") and self.says.casefold() in answer.answer.casefold()


@dataclass(frozen=True)
class Asked:
    """An entry with what came of it."""

    entry: Entry
    golden: GoldenQuestion | None
    answer: Answer
    trace: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "traces.md")
    parser.add_argument("--anyway", action="store_true", help="write the page though something else came")
    arguments = parser.parse_args()
    value = tomllib.loads(ENTRIES.read_text(encoding="utf-8"))
    golden = {one.id: one for one in read_questions(ROOT / "samples" / "questions.jsonl")}
    installation = Installation()
    try:
        plant(installation, value.get("document", []))
        asked = [ask(installation, Entry(**one), golden) for one in value["trace"]]
    finally:
        installation.service.close()
    unmet = [one for one in asked if not one.entry.is_met(one.answer)]
    for one in unmet:
        said = f"{one.answer.answer} {one.answer.reason}".strip()
        print(f"{one.entry.title!r}: {one.entry.expect} was expected, and this came: {said[:300]}", file=sys.stderr)
    if unmet and not arguments.anyway:
        print(f"{arguments.out} was not written; read these entries of {ENTRIES.name} again.", file=sys.stderr)
        return 1
    arguments.out.write_text(render(value["opening"], asked), encoding="utf-8")
    print(f"{arguments.out}: {len(asked)} traces")
    return 0


def plant(installation: Installation, documents: Sequence[Mapping[str, str]]) -> None:
    """Ingest the documents of the list into a collection of their own."""
    with tempfile.TemporaryDirectory() as folder:
        for one in documents:
            (Path(folder) / one["name"]).write_text(one["text"], encoding="utf-8")
        installation.ingest(IngestRequest((Path(folder),), PLANTED), lambda *_: None)


def ask(installation: Installation, entry: Entry, golden: Mapping[str, GoldenQuestion]) -> Asked:
    """Ask an entry's question, after the one before it where it is a follow-up, and read its trace."""
    known = golden.get(entry.id)
    request = AskRequest(
        entry.question or (known.question if known else ""), entry.collection, installation.principal()
    )
    if entry.after:
        before = answer_to(installation, replace(request, question=golden[entry.after].question))
        request = replace(request, conversation=before.conversation)
    answer = answer_to(installation, request)
    with installation.store.session() as session:
        trace = describe_trace(find_trace(session, answer.trace_id))
    return Asked(entry, known, answer, trace)


def answer_to(installation: Installation, request: AskRequest) -> Answer:
    *_, last = installation.service.ask(request)
    if not isinstance(last, Answer):
        raise TypeError("An ask ended without an answer.")
    return last


def render(opening: str, asked: Sequence[Asked]) -> str:
    """Return the page: for each entry the question, what is known of its answer, the trace, the discussion."""
    parts = ["# Ten questions and their traces", opening.strip()]
    for number, one in enumerate(asked, start=1):
        parts += [f"## {number}. {one.entry.title}", heading(one), f"```text\n{shortened(one.trace)}\n```"]
        parts.append(one.entry.discussion.strip())
    return "\n\n".join(parts) + "\n"


def heading(one: Asked) -> str:
    asked = f"*{one.answer.question}*"
    if one.entry.after:
        asked += f" (asked after {one.entry.after})"
    if one.golden is None:
        return asked
    accepted = "; ".join(one.golden.answers) or "the documents do not say"
    return f"{asked} ({one.golden.id}, half: {one.golden.split}; accepted: {accepted})"


def shortened(trace: str) -> str:
    """Leave out the passages after the first few, and say how many."""
    lines: list[str] = []
    passages = 0
    for line in trace.split("\n"):
        rank = line.strip().split(".")[0]
        if line.startswith(" " * 11) and rank.isdigit() and line.strip().startswith(f"{passages + 1}. "):
            passages += 1
            if passages > MOST_PASSAGES:
                continue
        elif passages > MOST_PASSAGES:
            lines.append(f"{' ' * 11}and {passages - MOST_PASSAGES} more")
            passages = 0
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
