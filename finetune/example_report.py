"""The report on a folder of examples: lengths, kinds, repeats, personal data, and what was taken out, with pictures.

Writes `report.md` and two SVG pictures beside the examples, and `card.md`, the data card. It knows examples and a
tokenizer's count, and refuses to judge them. Personal data are found by form alone (`assistant.disclosure`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

from assistant.disclosure import find_disclosures
from finetune.example_checks import plain, stands
from finetune.examples import ExampleSet, TrainingExample, example_messages

REPORT, CARD = "report.md", "card.md"
_BIN_TOKENS = 100
_BAR, _WIDTH, _LABEL = 22, 420, 190


def write_report(folder: Path, examples: ExampleSet, *, count_tokens: Callable[[str], int]) -> None:
    """Write the report, its pictures and the data card into the folder of the examples."""
    everything = [*examples.train, *examples.held_out]
    kinds = Counter(str(one.kind) for one in everything)
    lengths = Counter(_tokens(one, count_tokens) // _BIN_TOKENS * _BIN_TOKENS for one in everything)
    bins = {f"{start} to {start + _BIN_TOKENS - 1} tokens": lengths[start] for start in sorted(lengths)}
    _write(folder / "kinds.svg", draw_bars("Examples by kind", dict(kinds.most_common())))
    _write(folder / "lengths.svg", draw_bars("Prompt and answer together", bins))
    _write(folder / REPORT, _report(examples, everything, kinds, bins))
    _write(folder / CARD, _card(examples))


def draw_bars(title: str, values: Mapping[str, int]) -> str:
    """Return an SVG of horizontal bars, one a value, in the order given."""
    most = max(values.values(), default=1)
    rows = []
    for number, (name, value) in enumerate(values.items()):
        top = 40 + number * _BAR
        rows.append(
            f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LABEL}" y="{top}" width="{_WIDTH * value / most:.1f}" height="{_BAR - 6}" fill="#2b6cb0"/>'
            f'<text x="{_LABEL + _WIDTH * value / most + 6:.1f}" y="{top + 14}">{value:,}</text>'
        )
    size = f'width="{_LABEL + _WIDTH + 70}" height="{50 + len(values) * _BAR}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" role="img">'
    named = f'<title>{escape(title)}</title><text x="10" y="20" font-size="14">{escape(title)}</text>'
    return f"{head}{named}{''.join(rows)}</svg>\n"


def _report(
    examples: ExampleSet, everything: Sequence[TrainingExample], kinds: Mapping[str, int], bins: Mapping[str, int]
) -> str:
    personal = Counter(
        str(found.kind) for one in everything for passage in one.passages for found in find_disclosures(passage.text)
    )
    in_answers = Counter(str(found.kind) for one in everything for found in find_disclosures(one.target))
    asked = Counter(plain(one.question) for one in everything)
    loose = sum(not one.abstains and not stands(one.target, one.passages) for one in everything)
    taken = examples.manifest.get("taken_out", {})
    return "\n".join(
        [
            "# Quality of the training examples",
            "",
            f"{len(examples.train):,} to learn from, {len(examples.held_out):,} held out by document, "
            f"{sum(one.abstains for one in everything):,} refusals.",
            "",
            "![kinds](kinds.svg)",
            "![lengths](lengths.svg)",
            "",
            *_table("kind", kinds),
            *_table("length", bins),
            *_table("taken out, and why", taken),
            *_table("personal data in passages", personal),
            *_table("personal data in answers", in_answers),
            f"Questions asked more than once: {sum(count - 1 for count in asked.values()):,}. "
            f"Answers that do not stand in their passages: {loose:,}.",
            "",
        ]
    )


def _card(examples: ExampleSet) -> str:
    manifest = examples.manifest
    lines = [f"- {name}: {manifest[name]}" for name in sorted(manifest) if not isinstance(manifest[name], dict)]
    return "\n".join(
        [
            "# Data card",
            "",
            "Questions with passages and the answer to give, made by rule from a collection and from labelled sets; no "
            "hosted model took part. Answers are words of the passages, or the refusal. The passages stay under the "
            "licences of their documents. Known limits: the questions repeat words of the documents more than people "
            "do; a passage shown beside a refusal may answer in words that no check recognised.",
            "",
            *lines,
            "",
        ]
    )


def _table(name: str, values: Mapping[str, int]) -> list[str]:
    rows = [f"| {key} | {value:,} |" for key, value in values.items()]
    return [f"| {name} | examples |", "|---|---|", *(rows or ["| none | 0 |"]), ""]


def _tokens(example: TrainingExample, count_tokens: Callable[[str], int]) -> int:
    said = "\n".join([*(message.content for message in example_messages(example)), example.target])
    return count_tokens(said)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")
