"""Commands on what was ingested: documents list, show, text, diff, withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from governance.errors import BadInput, NotFound
from ui.cli_corpus import AsJson, Collection
from ui.terminal import print_json, print_line

if TYPE_CHECKING:
    from assistant.version_diff import ClauseChange
    from ingest.quality import Quality
    from ingest.versions import Corpus, Version
    from ui.installation import Installation

Sorting = Literal["name", "quality"]
documents = typer.Typer(help="What was ingested: list, show, text, diff, withdraw.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(documents, name="documents")


@documents.command("list")
def list_documents(
    collection: Collection,
    sort: Annotated[Sorting, typer.Option(help="By name, or by quality: the worst read come first.")] = "name",
    as_json: AsJson = False,
) -> None:
    """List the documents of a collection with their versions and how well each was read."""
    from ingest.versions import read_corpus
    from ui.installation import Installation

    installation = Installation()
    with installation.store.session() as session:
        corpus = read_corpus(session, collection)
    _known(corpus, collection)
    versions = [version for found in corpus.values() for version in found]
    rated = [(version, _quality_of(version, installation)) for version in versions]
    if sort == "quality":
        rated.sort(key=lambda one: _worst_first(one[1]))
    if as_json:
        print_json({"documents": [_version_value(*one) for one in rated]})
        return
    for version, quality in rated:
        pages = f"{version.pages} pages" if version.pages else f"{version.characters:,} characters"
        counts = f"{pages}, {version.chunks} chunks"
        print_line(f"{version.document}  {version.digest[7:19]}  {version.status}  {counts}  {_verdict(quality)}")


@documents.command("show")
def show_document(
    document: str,
    collection: Collection,
    terms: Annotated[bool, typer.Option("--terms", help="List the defined terms with their definitions.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the versions of a document, how well each was read, and the terms it defines."""
    from ingest.versions import current_name, former_names, read_corpus
    from ui.installation import Installation

    installation = Installation()
    with installation.store.session() as session:
        corpus = read_corpus(session, collection)
    told = [_shown(version, installation) for version in _versions_of(corpus, document, collection)]
    if as_json:
        names = {"name": current_name(corpus, document), "former_names": former_names(corpus, document)}
        print_json({**names, "versions": [_version_value(one.version, one.quality, one.terms) for one in told]})
        return
    for name in former_names(corpus, document):
        print_line(f"was {name}")
    for one in told:
        _tell_version(one)
        for term in one.terms or () if terms else ():
            print_line(
                f"    {term['term']} (page {term['page'] or '-'}, clause {term['clause'] or '-'}): {term['text']}"
            )


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
    undo: Annotated[bool, typer.Option("--undo", help="Allow it again; an ingest of its source adds it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Withdraw a document: no release answers from it any more, older ones included."""
    from ui.withdrawing import reinstate_value, tell_withdrawal, withdrawal_value

    make = reinstate_value if undo else withdrawal_value
    value = make(document, collection, version=version)
    print_json(value) if as_json else tell_withdrawal(value)


@dataclass(frozen=True)
class _Shown:
    """A version with its report and the terms it defines, None for either where its text is no longer kept."""

    version: Version
    quality: Quality | None
    terms: list[dict[str, object]] | None


def _shown(version: Version, installation: Installation) -> _Shown:
    quality = _quality_of(version, installation)
    return _Shown(version, quality, None if quality is None else _terms_of(version, installation))


def _quality_of(version: Version, installation: Installation) -> Quality | None:
    """Return how well a version was read, None where its text is no longer kept."""
    from ingest.artefacts import Artefacts

    try:
        return Artefacts(installation.settings.home / "documents").quality(version.digest, version.parser)
    except NotFound:
        return None


def _terms_of(version: Version, installation: Installation) -> list[dict[str, object]]:
    """Return the defined terms of a version as JSON values: term, place, and the words that define it."""
    from ingest.artefacts import Artefacts
    from ingest.definitions import clause_of, find_definitions

    parsed = Artefacts(installation.settings.home / "documents").parsed(version.digest, version.parser)
    terms: list[dict[str, object]] = []
    for one in find_definitions(parsed.text, parsed.clauses):
        clause = clause_of(one, parsed.clauses)
        terms.append(
            {
                "term": one.term,
                "form": one.form,
                "page": parsed.page_at(one.start),
                "clause": clause.number if clause else "",
                "char_start": one.start,
                "char_end": one.end,
                "text": " ".join(parsed.text[one.start : one.end].split()),
            }
        )
    return terms


def _worst_first(quality: Quality | None) -> tuple[int, float, float]:
    """Order reports: by verdict, then by the share of pages lost and of odd characters."""
    from ingest.quality import VERDICTS

    if quality is None:
        return len(VERDICTS), 0.0, 0.0
    lost = quality.lost_pages / quality.pages if quality.pages else 0.0
    return VERDICTS.index(quality.verdict), -lost, -quality.odd_share


def _verdict(quality: Quality | None) -> str:
    if quality is None:
        return "not known: its text is no longer kept"
    return f"{quality.verdict}: {quality.reason}" if quality.reason else quality.verdict


def _tell_version(shown: _Shown) -> None:
    from ingest.versions import ALWAYS

    version = shown.version
    print_line(f"{version.title} ({version.media_type})")
    since = "the beginning" if version.effective_from == ALWAYS else str(version.effective_from)
    print_line(f"  version {version.digest}, {version.status}, in force from {since} to {version.effective_to or '-'}")
    print_line(f"  labels {', '.join(version.labels) or '-'}; {version.pages} pages, {version.chunks} chunks")
    if version.moved_to:
        print_line(f"  moved to {version.moved_to}")
    print_line(f"  quality {_verdict(shown.quality)}")
    if shown.quality is not None:
        for line in _measures(shown.quality):
            print_line(f"    {line}")
    if shown.terms is not None:
        print_line(f"  defined terms {len(shown.terms)}")
    for warning in version.warnings:
        print_line(f"  warning: {warning}")


def _measures(quality: Quality) -> list[str]:
    """Return the lines of a report."""
    sure = f", mean confidence {quality.confidence:.0%}" if quality.confidence is not None else ""
    return [
        f"pages {quality.pages}, without text {quality.empty_pages}, not usable {quality.lost_pages}, "
        f"read by text recognition {quality.recognized_pages}{sure}, of two columns {quality.column_pages}",
        f"tables seen {quality.tables_in}, written {quality.tables_out}; footnotes {quality.footnotes}",
        f"odd characters {quality.odd_share:.2%}, left out as running headers {quality.left_out_share:.1%}, "
        f"below a heading {quality.heading_share:.0%}, longest clause {quality.longest_clause:,} characters, "
        f"language {quality.language or 'not known'}",
    ]


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


def _version_value(
    version: Version, quality: Quality | None, terms: list[dict[str, object]] | None = None
) -> dict[str, object]:
    value = {name: str(part) if isinstance(part, date) else part for name, part in asdict(version).items()}
    report = {} if quality is None else {"quality": quality.to_value()}
    return {**value, **report, **({} if terms is None else {"terms": terms})}
