"""The command line: `provenant`.

Commands parse, call the service layer and print; nothing is decided here. Their names and JSON are a contract. Heavy
parts (torch, gradio, the index engine) load only in the commands that need them.
"""

from __future__ import annotations

import typer

from ui import (
    cli_answers,
    cli_catalogue,
    cli_clauses,
    cli_corpus,
    cli_documents,
    cli_evaluate,
    cli_finetune,
    cli_jobs,
    cli_releases,
    cli_sources,
    cli_system,
    cli_uploads,
)
from ui.terminal import errors_as_sentences

app = typer.Typer(
    name="provenant",
    help="A knowledge assistant whose answers can be defended: cited, traced, released, reversible.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_ALL = (
    cli_corpus,
    cli_sources,
    cli_uploads,
    cli_jobs,
    cli_answers,
    cli_documents,
    cli_catalogue,
    cli_clauses,
    cli_evaluate,
    cli_finetune,
    cli_releases,
    cli_system,
)
for commands in _ALL:
    commands.register(app)


def main() -> None:
    """Run the command line; errors end as one sentence with their exit code."""
    with errors_as_sentences():
        app()
