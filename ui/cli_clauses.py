"""Commands for clause work: find, compare, standard, conflicts, obligations, topics.

Each examines every clause in scope, says so with a count, and can be exported with its evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.errors import BadInput
from ui.cli_answers import As, Filters
from ui.cli_corpus import AsJson, Collection, parse_day
from ui.terminal import print_json, print_line, tell

if TYPE_CHECKING:
    from assistant.clause_export import ClauseWork

clauses = typer.Typer(
    help="Every clause that ...: find, compare, standard, conflicts, obligations.", no_args_is_help=True
)

AsOf = Annotated[str, typer.Option("--as-of", help="Versions in force on a day, YYYY-MM-DD; today when left out.")]
AllVersions = Annotated[bool, typer.Option("--all-versions", help="Every indexed version, whatever the day.")]
Export = Annotated[
    Path | None, typer.Option("--export", help="Write to FILE.csv, FILE.json or FILE.pdf, with evidence.")
]
Documents = Annotated[list[str] | None, typer.Option("--document", "-d", help="Only this document; may be repeated.")]
TopicName = Annotated[str, typer.Option("--topic", help="A topic of the library (see `clauses topics`).")]
TopicsFile = Annotated[Path | None, typer.Option("--topics-file", help="TOML of more topics.")]
Text = Annotated[str, typer.Argument(help="What the clauses say; or give --topic.")]
_QUOTE_LENGTH = 260
_MOST_BORDERLINE = 10


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(clauses, name="clauses")


@clauses.command("find")
def find(
    collection: Collection,
    text: Text = "",
    topic: TopicName = "",
    documents: Documents = None,
    threshold: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Least score of a match.")] = None,
    as_of: AsOf = "",
    all_versions: AllVersions = False,
    filters: Filters = None,
    principal: As = "",
    topics_file: TopicsFile = None,
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Find every clause that is about a text or topic, with a count and a statement of completeness."""
    body = {"text": text, "topic": topic, "threshold": threshold, "topics": _read(topics_file)}
    scope = _scope(collection, documents, as_of, all_versions, filters, principal)
    _finish("find", {**body, **scope}, export, as_json, print_found)


@clauses.command("compare")
def compare(
    collection: Collection,
    text: Text = "",
    topic: TopicName = "",
    documents: Documents = None,
    as_of: AsOf = "",
    all_versions: AllVersions = False,
    filters: Filters = None,
    principal: As = "",
    topics_file: TopicsFile = None,
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Compare one kind of clause across documents; with two --document, show the difference by words."""
    body = {"text": text, "topic": topic, "topics": _read(topics_file)}
    scope = _scope(collection, documents, as_of, all_versions, filters, principal)
    _finish("compare", {**body, **scope}, export, as_json, print_compared)


@clauses.command("standard")
def standard(
    collection: Collection,
    documents: Documents = None,
    library: Annotated[Path | None, typer.Option("--library", help="TOML of your own standard clauses.")] = None,
    as_of: AsOf = "",
    all_versions: AllVersions = False,
    filters: Filters = None,
    principal: As = "",
    topics_file: TopicsFile = None,
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Hold contracts against the standard clauses: present, deviating (how), missing."""
    body = {"standard": _read(library), "topics": _read(topics_file)}
    scope = _scope(collection, documents, as_of, all_versions, filters, principal)
    _finish("standard", {**body, **scope}, export, as_json, print_standard)


@clauses.command("conflicts")
def conflicts(
    collection: Collection,
    documents: Documents = None,
    as_of: AsOf = "",
    all_versions: AllVersions = False,
    filters: Filters = None,
    principal: As = "",
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """Report sentences of different documents that state different terms or opposite duties on one subject."""
    body = _scope(collection, documents, as_of, all_versions, filters, principal)
    _finish("conflicts", body, export, as_json, print_conflicts)


@clauses.command("obligations")
def obligations(
    collection: Collection,
    documents: Documents = None,
    party: Annotated[str, typer.Option(help="Only duties of this party.")] = "",
    dated: Annotated[bool, typer.Option("--dated", help="Only those with a date or period.")] = False,
    as_of: AsOf = "",
    all_versions: AllVersions = False,
    filters: Filters = None,
    principal: As = "",
    export: Export = None,
    as_json: AsJson = False,
) -> None:
    """List who must, must not or may do what by when, as a table."""
    scope = _scope(collection, documents, as_of, all_versions, filters, principal)
    _finish("obligations", {"party": party, "dated": dated, **scope}, export, as_json, print_obligations)


@clauses.command("topics")
def topics(topics_file: TopicsFile = None, as_json: AsJson = False) -> None:
    """List the topics of the library."""
    from assistant.clause_api import topics_value

    value = topics_value(_read(topics_file))
    if as_json:
        print_json(value)
        return
    for one in value["topics"]:
        print_line(f"{one['name']:<36} {one['description']}")


def clauses_anywhere(work: ClauseWork, body: dict[str, Any]) -> dict[str, Any]:
    """Return the result of clause work: through the server that owns the index, else done in this process."""
    from assistant.clause_requests import ClauseBody, do_clause_work
    from assistant.client import find_server
    from ui.installation import Installation

    installation = Installation()
    server = find_server(installation.settings)
    if server is not None:
        return server.post(f"/api/clauses/{work}", body)
    return do_clause_work(installation.service, work, ClauseBody(**body))


def _scope(
    collection: str,
    documents: list[str] | None,
    as_of: str,
    all_versions: bool,
    filters: list[str] | None,
    principal: str,
) -> dict[str, Any]:
    if as_of and all_versions:
        raise BadInput("--as-of and --all-versions exclude each other; give one of them.")
    day = None if all_versions else parse_day(as_of) or date.today()
    return {
        "collection": collection,
        "documents": documents or [],
        "as_of": day.isoformat() if day else None,
        "all_versions": all_versions,
        "filters": filters or [],
        "principal": principal,
    }


def _finish(
    work: ClauseWork,
    body: dict[str, Any],
    export: Path | None,
    as_json: bool,
    show: Callable[[dict[str, Any]], None],
) -> None:
    from assistant.clause_export import check_ending
    from assistant.clause_export import export as write

    if export is not None:
        check_ending(export)
    value = clauses_anywhere(work, body)
    if export is not None:
        write(work, value, export)
        tell(f"written to {export}")
    if as_json:
        print_json(value)
    else:
        show(value)


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}); give a TOML file in UTF-8.") from error


def print_found(value: dict[str, Any]) -> None:
    """Print matches by document, then those that say otherwise, then what has none."""
    print_line(value["statement"])
    _print_matches(value["matches"])
    for verdict, title in (
        ("opposite", "On the subject, and say the opposite:"),
        ("open", "On the subject, and leave it open:"),
    ):
        others = [match for match in value["other_wording"] if match["verdict"] == verdict]
        if others:
            print_line(f"\n{title}")
            _print_matches(others)
    print_line()
    if value["documents_without_match"]:
        print_line(
            f"No match in {len(value['documents_without_match'])}: {', '.join(value['documents_without_match'])}"
        )
    if not value["matches"] and not value["other_wording"]:
        print_line("Nothing reaches the threshold; --topic (see `clauses topics`) or a lower --threshold finds more.")
    print_line(f"A clause matches from a score of {value['threshold']:.2f} ({value['scorer']}).")
    near = value["borderline"]
    if near:
        print_line(f"Just below it, worth a look ({len(near)}):")
    for clause in near[:_MOST_BORDERLINE]:
        print_line(f"  {clause['score']:.2f}  {clause['document']}, {_place(clause)}")
    if len(near) > _MOST_BORDERLINE:
        print_line(f"  and {len(near) - _MOST_BORDERLINE} more (--json lists them)")
    _print_end(value)


def _print_matches(matches: list[dict[str, Any]]) -> None:
    document = ""
    for number, match in enumerate(matches, start=1):
        if match["document"] != document:
            document = match["document"]
            print_line(f"\n{document}{_since(match)}")
        print_line(f"{number:>4}. {_place(match)}  ({match['score']:.2f})")
        for quote in match["evidence"][:2]:
            print_line(f"      \u201c{_shortened(quote['quote'])}\u201d")
        notes = [*match["wording"], *dict.fromkeys(fact["value"] for fact in match["facts"])]
        if notes:
            print_line(f"      {'; '.join(notes[:8])}")


def print_compared(value: dict[str, Any]) -> None:
    """Print a row for each document, what differs from most, and the difference of two by words."""
    print_line(value["statement"])
    if value["majority"]:
        print_line(f"Most say: {_terms(value['majority'])}")
    for row in value["rows"]:
        clause = row["clause"]
        print_line(f"\n{row['document']}{_since(clause) if clause else ''}")
        if clause is None:
            print_line("  no such clause")
            continue
        others = f"  (the best of {row['matches']})" if row["matches"] > 1 else ""
        print_line(f"  {_place(clause)}{others}")
        quotes = " ".join(one["quote"] for one in clause["evidence"])
        print_line(f"  \u201c{_shortened(quotes)}\u201d")
        print_line(f"  {_terms(row['terms']) or 'no term stated'}")
        for one in row["differs"]:
            print_line(f"  differs: {one}")
    _print_difference(value["difference"])
    _print_end(value)


def print_standard(value: dict[str, Any]) -> None:
    """Print how each document stands to each standard clause."""
    print_line(value["statement"])
    for row in _under_documents(value["rows"]):
        nearest = "nearest: " if row["status"] == "missing" else ""
        place = f"  {nearest}{_place(row['clause'])}" if row["clause"] else ""
        place += "  (not required)" if row["status"] == "missing" and not row["required"] else ""
        grade = f" in {row['deviates_in']}" if row.get("deviates_in") else ""
        print_line(f"  {row['status'] + grade:<18} {row['standard']}{place}")
        for one in row["changes"]:
            own = ", ".join(one["contract"]) or "none stated"
            print_line(f"{'':<21}{one['kind']}: {own}; the standard has {', '.join(one['standard'])}")
    if len({row["document"] for row in value["rows"]}) == 1:
        for row in value["rows"]:
            if row["status"] == "deviates":
                print_line(f"\n{row['standard']}:")
                _print_difference(row["difference"])
    _print_end(value)


def print_conflicts(value: dict[str, Any]) -> None:
    """Print each pair of sentences under what is at odds."""
    print_line(value["statement"])
    for number, row in enumerate(value["rows"], start=1):
        said = " against ".join(", ".join(row[side]["values"]) for side in ("first", "second"))
        print_line(f"\n{number:>3}. {row['about']}: {said}  ({row['closeness']:.2f} alike)")
        for side in ("first", "second"):
            print_line(f"     {row[side]['document']}, {_place(row[side])}{_since(row[side])}")
            print_line(f"       \u201c{_shortened(row[side]['quote'])}\u201d")
    _print_end(value)


def print_obligations(value: dict[str, Any]) -> None:
    """Print a line for each obligation, by document."""
    print_line(value["statement"])
    for row in _under_documents(value["rows"]):
        when = f"  [{'; '.join(one['text'] for one in row['when'])}]" if row["when"] else ""
        print_line(
            f"  {_place(row)}: {row['who'] or '(no subject)'} {row['duty']} {_shortened(row['action'], 120)}{when}"
        )
    _print_end(value)


def _under_documents(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows, printing the name of each document before its first one."""
    document = ""
    for row in rows:
        if row["document"] != document:
            document = row["document"]
            print_line(f"\n{document}")
        yield row


def _print_difference(parts: list[dict[str, Any]]) -> None:
    from assistant.clause_diff import marked

    if parts:
        print_line(f"  {marked(parts)}")  # type: ignore[arg-type]
        print_line("  [-only in the first-] {+only in the second+}")


def _print_end(value: dict[str, Any]) -> None:
    for one in value["not_examined"]:
        print_line(f"Not examined: {one['document']}: {one['notice']}")
    print_line(f"release {value['release_id']}")


def _terms(terms: dict[str, list[str]]) -> str:
    return "; ".join(f"{name} {', '.join(values) or 'none'}" for name, values in terms.items())


def _since(clause: dict[str, Any]) -> str:
    start, end = clause["effective_from"], clause["effective_to"]
    return f" (in force{f' from {start}' if start else ''}{f' until {end}' if end else ''})" if start or end else ""


def _place(clause: dict[str, Any]) -> str:
    parts = [f"page {clause['page']}"] if clause["page"] else []
    parts += [f"clause {clause['clause']}"] if clause["clause"] else []
    heading = clause["path"][-1] if clause["path"] else ""
    parts += (
        [heading.removeprefix(clause["clause"]).strip() or heading] if heading and heading != clause["clause"] else []
    )
    return ", ".join(parts) or f"from character {clause['char_start']}"


def _shortened(text: str, most: int = _QUOTE_LENGTH) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most].rsplit(' ', 1)[0]} ..."
