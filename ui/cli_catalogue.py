"""Commands on catalogues: changes of each ingest, and the product graph around a record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from governance.errors import NotFound
from ui.cli_corpus import AsJson, Collection, parse_day
from ui.terminal import print_json, print_line

if TYPE_CHECKING:
    from ingest.artefacts import Artefacts
    from ingest.catalog_changes import CatalogChanges, RecordChange
    from ingest.documents import ParsedDocument
    from ingest.product_graph import Edge
    from ingest.version_changes import CatalogChange
    from ui.installation import Installation

catalogue = typer.Typer(help="Product catalogues: changes, graph.", no_args_is_help=True)
_MOST_SHOWN = 20
Since = Annotated[str, typer.Option(help="First day, YYYY-MM-DD (UTC); default: all.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(catalogue, name="catalogue")


@catalogue.command("changes")
def list_changes(
    collection: Collection,
    since: Since = "",
    document: Annotated[str, typer.Option(help="One catalogue; default: all.")] = "",
    as_json: AsJson = False,
) -> None:
    """List what each ingest changed: products new and discontinued, prices, attributes, edges of the graph."""
    from ingest.version_changes import compare_readings, read_changes
    from ui.installation import Installation

    installation = Installation()
    _known(installation, collection)
    with installation.store.session() as session:
        stored = read_changes(session, collection, since=parse_day(since))
    chosen = [one for one in stored if not document or one.document == document]
    found = list(compare_readings(chosen, _artefacts(installation)))
    if as_json:
        print_json({"collection": collection, "ingests": [_value(one) for one in found]})
        return
    for one in found:
        _tell(one)
    if not found:
        print_line("No catalogue changed; a catalogue's first ingest is no change.")


@catalogue.command("graph")
def show_graph(
    record: Annotated[str, typer.Argument(help="The record's id.")], collection: Collection, as_json: AsJson = False
) -> None:
    """Show what a product states of others and what others state of it: maker, kind, fit, variants, replacements."""
    from ingest.product_graph import derive_edges
    from ui.installation import Installation

    installation = Installation()
    held: list[dict[str, object]] = []
    known = False
    for document, parsed in _catalogues(installation, collection):
        known = known or any(clause.kind == "record" and clause.number == record for clause in parsed.clauses)
        edges = [edge for edge in derive_edges(parsed) if record in {edge.record, edge.target_record}]
        held += [{"document": document, **asdict(edge)} for edge in edges]
        for edge in () if as_json else edges:
            _tell_edge("", edge)
    if not known:
        raise NotFound(f"No catalogue of {collection} has a record {record!r}; give its id as `provenant search` does.")
    if as_json:
        print_json({"record": record, "edges": held})


def _catalogues(installation: Installation, collection: str) -> Iterator[tuple[str, ParsedDocument]]:
    from ingest.version_changes import CATALOG_TYPES
    from ingest.versions import read_corpus

    with installation.store.session() as session:
        corpus = read_corpus(session, collection)
    for document, versions in corpus.items():
        for version in versions:
            if version.status == "active" and version.media_type in CATALOG_TYPES:
                yield document, _artefacts(installation).parsed(version.digest, version.parser)


def _artefacts(installation: Installation) -> Artefacts:
    from ingest.artefacts import Artefacts

    return Artefacts(installation.settings.home / "documents")


def _known(installation: Installation, collection: str) -> None:
    from ingest.versions import read_corpus

    with installation.store.session() as session:
        if not read_corpus(session, collection):
            raise NotFound(f"There is no collection {collection!r}, or nothing was ingested into it yet.")


def _value(one: CatalogChange) -> dict[str, object]:
    change = one.change
    told = {"document": change.document, "at": change.at, "before": change.before.digest, "after": change.after.digest}
    at = change.at.isoformat(timespec="seconds") if change.at else ""
    return {**told, "at": at, **(one.changes.to_value() if one.changes else {"reason": one.reason})}


def _tell(one: CatalogChange) -> None:
    from ingest.catalog_changes import say_counts

    change = one.change
    at = change.at.isoformat(" ", "minutes") if change.at else ""
    sides = " -> ".join(side.digest[7:19] or "-" for side in (change.before, change.after))
    said = (say_counts(one.changes.counts) or "nothing in its records") if one.changes else one.reason
    print_line(f"{at}  {change.document}  {sides}: {said}")
    if one.changes:
        _tell_changes(one.changes)


def _tell_changes(changes: CatalogChanges) -> None:
    for change in changes.records[:_MOST_SHOWN]:
        print_line(f"  {_said(change)}")
    for mark, edges in (("+ ", changes.edges_added), ("- ", changes.edges_removed)):
        for edge in edges[:_MOST_SHOWN]:
            _tell_edge(f"  {mark}", edge)
    left = sum(
        max(0, len(part) - _MOST_SHOWN) for part in (changes.records, changes.edges_added, changes.edges_removed)
    )
    if left:
        print_line(f"  and {left:,} more: --json lists all")


def _said(change: RecordChange) -> str:
    whole = f"{change.kind}: {change.record} {change.title}"
    return (
        f"{whole}: {change.attribute} {_shown(change.before)} -> {_shown(change.after)}" if change.attribute else whole
    )


def _shown(value: object) -> str:
    return "not stated" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _tell_edge(lead: str, edge: Edge) -> None:
    target = f" ({edge.target_record})" if edge.target_record else ""
    print_line(f"{lead}{edge.record} {edge.kind} {edge.target}{target}, stated by its {edge.states.replace('_', ' ')}")
