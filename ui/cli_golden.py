"""Commands on golden questions: those that each new index of a collection must still serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from governance.errors import NotFound
from ui.cli_corpus import AsJson, Collection
from ui.terminal import print_json, print_line, tell

if TYPE_CHECKING:
    from assistant.golden_sets import GoldenSet
    from ui.installation import Installation

golden = typer.Typer(
    help="Golden questions that every new index of a collection must still serve: set, show, remove.",
    no_args_is_help=True,
)


@golden.command("set")
def set_golden(
    file: Annotated[Path, typer.Argument(help="JSONL of questions with evidence, as the other evaluations read it.")],
    collection: Collection,
    split: Annotated[str, typer.Option("--split", help="Only questions of this split.")] = "",
    as_json: AsJson = False,
) -> None:
    """Register the golden questions of a collection, in place of those it had; ingests ask them from now on."""
    from assistant.golden import read_questions
    from assistant.golden_sets import keep_golden
    from ingest.pipeline import check_collection_name
    from ui.installation import Installation

    check_collection_name(collection)
    questions = read_questions(file, split=split)
    installation = Installation()
    kept = keep_golden(installation.settings.home, collection, questions, installation.quotes_of(collection))
    _show(kept, collection, installation, as_json=as_json)


@golden.command("show")
def show_golden(collection: Collection, as_json: AsJson = False) -> None:
    """Show which golden questions a collection has."""
    from assistant.golden_sets import find_golden
    from ui.installation import Installation

    installation = Installation()
    kept = find_golden(installation.settings.home, collection)
    if kept is None:
        raise NotFound(
            f"The collection {collection} has no golden questions; register a JSONL of them with "
            f"`provenant evaluate golden set FILE -c {collection}`."
        )
    if not as_json:
        for question in kept.questions:
            print_line(f"{question.id}  {question.question}")
    _show(kept, collection, installation, as_json=as_json)


@golden.command("remove")
def remove_golden(collection: Collection) -> None:
    """Remove the golden questions of a collection; its ingests are not checked by questions from now on."""
    from assistant.golden_sets import forget_golden
    from ui.installation import Installation

    forget_golden(Installation().settings.home, collection)
    print_line(f"{collection} has no golden questions now")


def _show(kept: GoldenSet, collection: str, installation: Installation, *, as_json: bool) -> None:
    from assistant.answer_changes import with_places

    settings = installation.settings.index
    numbers = {"questions": len(kept.questions), "with_place": len(with_places(kept.questions))}
    asked = min(len(kept.questions), settings.golden_questions)
    if as_json:
        print_json({"collection": collection, "digest": kept.digest, **numbers, "asked": asked})
        return
    print_line(f"{collection}: {numbers['questions']} golden questions, {numbers['with_place']} with a place to find")
    print_line(f"  digest {kept.digest}")
    print_line(
        f"  each ingest asks {asked}; it fails where more than {settings.golden_margin:.0%} of them lose their place"
    )
    if asked < len(kept.questions):
        tell(f"{len(kept.questions) - asked} questions are beyond PROVENANT_INDEX__GOLDEN_QUESTIONS and are not asked")
