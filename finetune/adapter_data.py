"""The examples of the adapter that is shipped: labelled sets whose licences allow it, and what collections gave.

    python -m finetune.adapter_data DATA_FOLDER OUT_FOLDER [--made FOLDER ...] [--questions FILE]

OUT_FOLDER gets the examples to learn from and, held out, those for early stopping; OUT_FOLDER/floor_test the 500
questions that figures are reported on, of contracts that nothing else shows, and beside them those of the contracts
for early stopping, on which `finetune compare --fit-refusal` fits when to refuse. It knows the labelled sets by the
reader's modules. Rules: contracts of the reader's test part are never trained on; documents that the samples show are
left out, and so is what nearly asks an evaluation question; folders in `--made` are taken as they are split, and the
manifest names each.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from assistant.golden import read_questions
from finetune import example_windows, reader_contracts, reader_products, reader_tables
from finetune.example_checks import Avoided, Taken, balanced, without_disagreement, without_near, without_repeats
from finetune.example_groups import Room, group_examples
from finetune.example_sources import made_statement
from finetune.example_windows import Contract, read_window_contracts, window_examples, window_part, window_test
from finetune.examples import ExampleSet, TrainingExample, read_examples, write_examples
from finetune.reader_groups import Group, Split
from finetune.reader_material import Material
from finetune.reader_questions import Phrasings, load_phrasings
from governance.errors import ProvenantError
from governance.models import open_model
from governance.settings import load_settings
from ingest.embed import load_embedder

SOURCES = {
    "cuad windows": example_windows.SOURCE,
    **reader_contracts.SOURCES,
    **reader_tables.SOURCES,
    **reader_products.SOURCES,
}
TEST_FOLDER = "floor_test"
_SAMPLES = Path(__file__).parent.parent / "samples"
_QUESTIONS = 500
_ABSTAINING = 0.45
_FROM_GROUPS = 10_000
_HELD_OUT = 600
_WINDOW_TURNS = 2


def make_adapter_data(
    material: Material, room: Room, *, avoided: Avoided, made: Sequence[ExampleSet], out: Path
) -> None:
    """Write the folder and its test. Raises BadInput where a set is missing."""
    contracts = read_window_contracts(material)
    taken = Taken()
    test = window_test(material, contracts, part="test", questions=_QUESTIONS)
    fitting = window_test(material, contracts, part="dev", questions=_QUESTIONS)
    write_examples(out / TEST_FOLDER, train=fitting, held_out=test, manifest=_manifest(material, Taken(), test))
    phrasings, groups = load_phrasings(), _groups(material)
    sides: list[list[TrainingExample]] = []
    for is_held in (False, True):
        of_groups = [group for group in groups if _side(group) == ("held" if is_held else "train")]
        examples = [
            *_windows(material, contracts, phrasings, part="dev" if is_held else "train"),
            *_drawn(material, group_examples(of_groups, room=room, draw=material.draw("groups")), _FROM_GROUPS),
            *(one for folder in made for one in (folder.held_out if is_held else folder.train)),
        ]
        sides.append(_checked(examples, material, avoided, taken))
    train, held_out = sides[0], _drawn(material, sides[1], _HELD_OUT)
    write_examples(out, train=train, held_out=held_out, manifest=_manifest(material, taken, train, made))


def _windows(
    material: Material, contracts: Sequence[Contract], phrasings: Phrasings, *, part: Split
) -> Iterator[TrainingExample]:
    for turn in range(_WINDOW_TURNS):
        yield from window_examples(material, contracts, phrasings, part=part, turn=turn)


def _checked(
    examples: Sequence[TrainingExample], material: Material, avoided: Avoided, taken: Taken
) -> list[TrainingExample]:
    kept = without_disagreement(without_repeats(without_near(examples, avoided, taken), taken), taken)
    chosen = balanced(kept, abstaining=_ABSTAINING, draw=material.draw("balance"), taken=taken)
    return sorted(chosen, key=lambda one: (one.document, one.id))


def _groups(material: Material) -> list[Group]:
    phrasings = load_phrasings()
    contracts, agreements = reader_contracts.read_contracts(material), reader_contracts.read_agreements(material)
    return [
        *reader_contracts.cuad_groups(material, contracts, phrasings),
        *reader_contracts.legalbench_groups(material, contracts, agreements),
        *reader_contracts.definition_groups(material, contracts, phrasings),
        *reader_tables.tatqa_groups(material),
        *reader_products.product_groups(material, phrasings),
    ]


def _side(group: Group) -> str:
    """Return where a group stands: `train`, `held` for early stopping, or `test`, which is shown nowhere."""
    if group.split != "test":
        return "train"
    return "test" if group.document.startswith("cuad/") and window_part(group.document) == "test" else "held"


def _drawn(material: Material, examples: Iterable[TrainingExample], most: int) -> list[TrainingExample]:
    """Return at most so many examples, those with an answer and those without in the share asked for."""
    everything = list(examples)
    draw = material.draw("drawn")
    draw.shuffle(everything)
    refusals = [one for one in everything if one.abstains][: int(most * _ABSTAINING)]
    answers = [one for one in everything if not one.abstains][: most - len(refusals)]
    return sorted([*answers, *refusals], key=lambda one: (one.document, one.id))


def _manifest(
    material: Material, taken: Taken, examples: Sequence[TrainingExample], made: Sequence[ExampleSet] = ()
) -> dict[str, object]:
    return {
        "made_by": "python -m finetune.adapter_data",
        "seed": material.seed,
        "sources": SOURCES,
        "made": [made_statement(folder.manifest) for folder in made],
        "taken_out": dict(sorted(taken.counts.items())),
        "abstaining": round(sum(one.abstains for one in examples) / max(1, len(examples)), 4),
        "documents": len({one.document for one in examples}),
    }


def _counter(models: Path, name: str) -> Callable[[str], int]:
    """Return what counts the tokens of the base model, without loading it."""
    from tokenizers import Tokenizer

    folder, _ = open_model(models, name, "llm")
    tokenizer = Tokenizer.from_file(str(next(folder.rglob("tokenizer.json"))))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _read_avoided(paths: Sequence[Path]) -> Avoided:
    return Avoided(question.question for path in paths for question in read_questions(path))


def main() -> None:
    """Write the examples of the shipped adapter from a folder of labelled sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA_FOLDER")
    parser.add_argument("out", type=Path, metavar="OUT_FOLDER")
    parser.add_argument("--made", type=Path, nargs="*", default=[], help="folders that `provenant finetune data` wrote")
    parser.add_argument("--questions", type=Path, nargs="*", default=[_SAMPLES / "questions.jsonl"])
    parser.add_argument("--samples", type=Path, default=_SAMPLES, help="what must stay out of the training data")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        tokens = load_embedder(settings.models, settings.ingest.embedder)
        material = Material(arguments.data, arguments.samples, tokens, arguments.seed)
        room = Room(settings.answer.context_tokens, _counter(settings.models, settings.answer.model))
        made = [read_examples(folder) for folder in arguments.made]
        avoided = _read_avoided(arguments.questions)
        make_adapter_data(material, room, avoided=avoided, made=made, out=arguments.out)
    except ProvenantError as error:
        parser.exit(error.exit_code, f"{error}\n")


if __name__ == "__main__":
    main()
