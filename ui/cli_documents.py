"""Commands on what was ingested: documents list, show, text, diff, withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from governance.errors import BadInput, NotFound
from ui.cli_corpus import AsJson, Collection
from ui.terminal import print_json, print_line

if TYPE_CHECKING:
    from assistant.version_diff import ClauseChange
    from ingest.versions import Corpus, Version

documents = typer.Typer(help="What was ingested: list, show, text, diff, withdraw.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(documents, name="documents")


@documents.command("list")
def list_documents(collection: Collection, as_json: AsJson = False) -> None:
    """List the documents of a collection with their versions."""
    from ingest.versions import read_corpus
    from ui.installation import Installation

    with Installation().store.session() as session:
        corpus = read_corpus(session, collection)
    _known(corpus, collection)
    versions = [version for found in corpus.values() for version in found]
    if as_json:
        print_json({"documents": [_version_value(version) for version in versions]})
        return
    for version in versions:
        pages = f"{version.pages} pages" if version.pages else f"{version.characters:,} characters"
        print_line(f"{version.document}  {version.digest[7:19]}  {version.status}  {pages}, {version.chunks} chunks")


@documents.command("show")
def show_document(document: str, collection: Collection, as_json: AsJson = False) -> None:
    """Show the versions of a document."""
    from ingest.versions import ALWAYS, read_corpus
    from ui.installation import Installation

    with Installation().store.session() as session:
        corpus = read_corpus(session, collection)
    versions = _versions_of(corpus, document, collection)
    if as_json:
        print_json({"versions": [_version_value(version) for version in versions]})
        return
    for version in versions:
        print_line(f"{version.title} ({version.media_type})")
        since = "the beginning" if version.effective_from == ALWAYS else str(version.effective_from)
        until = version.effective_to or "-"
        print_line(f"  version {version.digest}, {version.status}, in force from {since} to {until}")
        print_line(f"  labels {', '.join(version.labels) or '-'}; {version.pages} pages, {version.chunks} chunks")
        for warning in version.warnings:
            print_line(f"  warning: {warning}")


@documents.command("text")
def document_text(
    document: str,
    collection: Collection,
    version: Annotated[str, typer.Option(help="Version digest or its first characters; default: the active one.")] = "",
) -> None:
    """Print a document's extracted text exactly; character offsets of citations count in it."""
    import sys

    from ingest.versions import read_corpus
    from ui.installation import Installation

    installation = Installation()
    with installation.store.session() as session:
        versions = _versions_of(read_corpus(session, collection), document, collection)
    active = [one for one in versions if one.status == "active"] or list(versions[-1:])
    chosen = _version_named(versions, version) if version else active[0]
    text = installation.service.texts.parsed(document, chosen.digest).text
    sys.stdout.buffer.write(text.encode("utf-8"))


@documents.command("diff")
def diff_document(
    document: str,
    collection: Collection,
    before: Annotated[str, typer.Option("--from", help="Older version; default: the one before the newest.")] = "",
    after: Annotated[str, typer.Option("--to", help="Newer version; default: the newest.")] = "",
    as_json: AsJson = False,
) -> None:
    """Compare two versions of a document, Clause by Clause: changed, added, removed, moved."""
    from assistant.version_diff import counts_of, diff_versions
    from ingest.versions import read_corpus
    from ui.installation import Installation

    installation = Installation()
    with installation.store.session() as session:
        versions = _versions_of(read_corpus(session, collection), document, collection)
    if len(versions) < 2 and not (before and after):
        raise BadInput(f"{document} has one version only, two were expected; ingest a changed file under this name.")
    old = _version_named(versions, before) if before else versions[-2]
    new = _version_named(versions, after) if after else versions[-1]
    texts = installation.service.texts
    changes = diff_versions(texts.parsed(document, old.digest), texts.parsed(document, new.digest))
    counts = counts_of(changes)
    if as_json:
        sides = {"before": old.digest, "after": new.digest}
        told = [change.to_value() for change in changes if change.fate != "unchanged"]
        print_json({"document": document, **sides, "counts": counts, "changes": told})
        return
    print_line(f"{document}: {old.digest[7:19]} -> {new.digest[7:19]}")
    print_line("  " + ", ".join(f"{count} {fate}" for fate, count in counts.items()))
    for change in changes:
        _tell_change(change)


@documents.command("withdraw")
def withdraw_document(
    document: str,
    collection: Collection,
    version: Annotated[str, typer.Option(help="One version; default: all.")] = "",
    as_json: AsJson = False,
) -> None:
    """Withdraw a document: no release answers from it any more, older ones included."""
    from ingest.publish import withdraw
    from ui.installation import Installation

    installation = Installation()
    manifest = withdraw(document, collection, installation.ingest_tools(lambda _: None), version=version)
    if as_json:
        print_json({"document": document, "status": "withdrawn", "release_id": manifest.id})
    else:
        print_line(f"{document} is withdrawn; release {manifest.id} is live")


def _known(corpus: Corpus, collection: str) -> None:
    if not corpus:
        raise NotFound(f"There is no collection {collection!r}, or nothing was ingested into it yet.")


def _versions_of(corpus: Corpus, document: str, collection: str) -> tuple[Version, ...]:
    _known(corpus, collection)
    if document not in corpus:
        raise NotFound(f"There is no document {document!r} in {collection}; `provenant documents list` names them.")
    return corpus[document]


def _version_named(versions: Sequence[Version], named: str) -> Version:
    prefix = named.removeprefix("sha256:")
    found = [one for one in versions if prefix and one.digest.removeprefix("sha256:").startswith(prefix)]
    if not found:
        raise NotFound(f"{versions[0].document} has no version {named}; `provenant documents show` names them.")
    return found[0]


def _tell_change(change: ClauseChange) -> None:
    """Print what became of a Clause, with its words where these changed."""
    from assistant.clause_diff import marked, shortened

    part = change.after or change.before
    if part is None or change.fate == "unchanged":
        return
    page = f", page {part.page}" if part.page else ""
    print_line(f"{change.fate}: {part.name or ' > '.join(part.path) or 'the beginning'}{page}")
    if change.fate == "moved" and change.before is not None:
        print_line(f"  was {change.before.name}")
    if change.fate == "changed":
        print_line(f"  {marked(shortened(change.difference))}")


def _version_value(version: Version) -> dict[str, object]:
    return {name: str(value) if isinstance(value, date) else value for name, value in asdict(version).items()}
