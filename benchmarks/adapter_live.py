"""An adapter beside its base with the live retriever: the model alone, refusal gate and verbatim fallback off for both.

    python -m benchmarks.adapter_live QUESTIONS.jsonl --collection NAME [--split test] [--most 150] [--adapter packaged]
        [--out FILE]

Each question is searched as it is served, the Context is put into the served prompt, and both models write greedily on
the served engine. Of the answerable questions, a refusal counting as wrong: `f1` and `exact` (SQuAD, best of the
accepted answers), `contained` (an accepted answer stands in what is said). Of the answers given: `verbatim` (stands in
a passage letter by letter), `citation_precision` (the passage that supports it best holds evidence; without support it
does not). Shares of refusals: `refuses_answerable`, `refuses_unanswerable`. `gain` is adapter less base, question by
question. 95 % intervals by bootstrap over documents. `shown` is the share of answerable questions whose Context holds
evidence: what neither model can pass.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from assistant.answer import passage_value
from assistant.bootstrap import intervals_of_means
from assistant.generation import Engine
from assistant.golden import GoldenQuestion, holds_evidence, read_questions
from assistant.metrics import answer_contained, exact_match, token_f1
from assistant.model import load_engine
from assistant.prompt import build_messages
from assistant.respond import MOST_PASSAGES, decoding_of
from assistant.retrieve import Passage, fit_context
from assistant.support import check_sentence
from assistant.verbatim import is_verbatim
from benchmarks.measured import figure, write_result
from finetune.example_contexts import Contexts
from finetune.scores import refuses
from ui.installation import Installation

Row = dict[str, float]
BASE, ADAPTER, GAIN = "base", "adapter", "gain"


def main() -> None:
    arguments = _arguments()
    installation = Installation()
    service, settings = installation.service, installation.settings
    engines = {
        BASE: load_engine(settings.models, settings.answer.model),
        ADAPTER: load_engine(settings.models, settings.answer.model, adapter=arguments.adapter),
    }
    questions = drawn(read_questions(arguments.questions, split=arguments.split), arguments.most)
    rows: dict[str, list[Row]] = {BASE: [], ADAPTER: [], GAIN: []}
    shown: list[Row] = []
    with service.open_generation(service.release(), arguments.collection) as generation:
        contexts = Contexts(service, generation, arguments.collection, installation.principal())
        for number, question in enumerate(questions, start=1):
            context = fit_context(
                contexts.find(question.question),
                count_tokens=engines[BASE].count_tokens,
                budget=settings.answer.context_tokens,
                most=MOST_PASSAGES,
            )
            if question.answerable:
                held = any(holds_evidence(passage_value(one), question) for one in context)
                shown.append({"shown": float(held)})
            for name, engine in engines.items():
                said = written(engine, question.question, context, installation)
                rows[name].append(scored(question, said, context))
                if arguments.tell:
                    print(f"{number} {question.id} {name}: {said!r}", flush=True)
            rows[GAIN].append(gained(rows[ADAPTER][-1], rows[BASE][-1]))
    for engine in engines.values():
        engine.close()
    figures = figures_of(rows, [question.cluster for question in questions])
    answerable = [question.cluster for question in questions if question.answerable]
    figures |= {
        name.removeprefix("context "): value for name, value in figures_of({"context": shown}, answerable).items()
    }
    for name, value in figures.items():
        print(f"{name:32} {value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}] of {value['n']}")
    if arguments.out:
        adapter = engines[ADAPTER].identity.adapter
        write_result(arguments.out, figures, questions=len(questions), adapter=adapter)


def drawn(questions: Sequence[GoldenQuestion], most: int) -> list[GoldenQuestion]:
    """Return at most so many questions, drawn at random, in their order."""
    if most >= len(questions):
        return list(questions)
    chosen = set(random.Random(7).sample(range(len(questions)), most))  # noqa: S311 - no secret
    return [question for number, question in enumerate(questions) if number in chosen]


def written(engine: Engine, question: str, context: Sequence[Passage], installation: Installation) -> str:
    """Return what a model says to the served prompt."""
    prompt = engine.render(build_messages(question, context))
    with engine.stream(prompt, decoding=decoding_of(installation.settings.answer)) as stream:
        return stream.finish().text.strip()


def scored(question: GoldenQuestion, said: str, context: Sequence[Passage]) -> Row:
    """Return the figures of one answer; what does not apply is left out."""
    refused = refuses(said)
    if not question.answerable:
        return {"refuses_unanswerable": float(refused)}
    row = {"refuses_answerable": float(refused), "f1": 0.0, "exact": 0.0, "contained": 0.0}
    if refused:
        return row
    row["f1"] = token_f1(said, question.answers)
    row["exact"] = exact_match(said, question.answers)
    row["contained"] = answer_contained(said, question.answers)
    row["verbatim"] = float(is_verbatim(said, [passage.chunk.text for passage in context]))
    row["citation_precision"] = float(_cites_evidence(question, said, context))
    return row


def gained(ours: Row, theirs: Row) -> Row:
    """Return how much more of each figure that both have."""
    return {name: value - theirs[name] for name, value in ours.items() if name in theirs}


def figures_of(rows: Mapping[str, Sequence[Row]], documents: Sequence[str]) -> dict[str, dict[str, float | int]]:
    """Return means with intervals by "contestant figure"."""
    found = {}
    for contestant, ones in rows.items():
        between = intervals_of_means(ones, documents)
        for name in dict.fromkeys(name for one in ones for name in one):
            values = [one[name] for one in ones if name in one]
            found[f"{contestant} {name}"] = figure(sum(values) / len(values), between.get(name), n=len(values))
    return found


def _cites_evidence(question: GoldenQuestion, said: str, context: Sequence[Passage]) -> bool:
    """Tell whether the passage that a saying would be cited from holds evidence."""
    copied = [one for one in context if is_verbatim(said, [one.chunk.text])]
    window = check_sentence(said, context, weigh=len).window
    best = copied[0] if copied else window.passage if window else None
    return best is not None and holds_evidence(passage_value(best), question)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--collection", required=True)
    parser.add_argument("--split", default="")
    parser.add_argument("--most", type=int, default=10_000)
    parser.add_argument("--adapter", default="packaged")
    parser.add_argument("--tell", action="store_true", help="print what is said")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
