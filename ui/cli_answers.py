"""Commands that question the corpus: ask, search, trace."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ui.cli_corpus import AsJson, Collection, parse_day
from ui.terminal import print_json, print_line, tell

As = Annotated[str, typer.Option("--as", help="Act as this user.")]
AsOf = Annotated[str, typer.Option("--as-of", help="Answer as of a day, YYYY-MM-DD.")]
Filters = Annotated[list[str] | None, typer.Option("--filter", help="field=value, field<value, field>=value.")]
trace = typer.Typer(help="Decision traces: show, search, replay, export.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("ask")(ask)
    app.command("search")(search)
    app.add_typer(trace, name="trace")


def ask(
    question: Annotated[str, typer.Argument(help="The question; - reads it from standard input.")],
    collection: Collection,
    principal: As = "",
    as_of: AsOf = "",
    filters: Filters = None,
    release: Annotated[str, typer.Option(help="Ask this release instead of the live one.")] = "",
    conversation: Annotated[str, typer.Option(help="Go on with this conversation.")] = "",
    as_json: AsJson = False,
) -> None:
    """Answer a question with checked citations, or say that the documents do not."""
    from ui.answering import ask_anywhere
    from ui.installation import Installation

    parse_day(as_of)
    body = {
        "question": sys.stdin.read() if question == "-" else question,
        "collection": collection,
        "principal": principal,
        "as_of": as_of or None,
        "filters": filters or [],
        "release_id": release,
        "conversation": conversation,
    }
    answer = _follow(ask_anywhere(Installation(), body), quiet=as_json)
    if as_json:
        print_json(answer)
    else:
        print_answer(answer)


def _follow(events: Iterator[dict[str, Any]], *, quiet: bool) -> dict[str, Any]:
    """Show steps and drafts on stderr while they come and return the answer."""
    answer: dict[str, Any] = {}
    drafting = False
    for event in events:
        if event["type"] == "answer":
            answer = event
        elif quiet:
            continue
        elif event["type"] == "draft":
            sys.stderr.write(event["text"] if drafting else f"  draft: {event['text']}")
            sys.stderr.flush()
            drafting = True
        else:
            sys.stderr.write("\n" if drafting else "")
            drafting = False
            detail = f": {event['detail']}" if event["detail"] else ""
            tell(f"  {event['name']}{detail} ({event['milliseconds'] / 1000:.2f} s)")
    return {name: value for name, value in answer.items() if name != "type"}


def print_answer(answer: dict[str, Any]) -> None:
    """Print an answer as a person reads it: text, sources, where it came from."""
    if answer["abstained"]:
        print_line(f"Not in the documents. {answer['reason']}")
        nearest = answer["passages"][:3]
        if nearest:
            print_line("Nearest passages:")
        for passage in nearest:
            print_line(f"  - {_place(passage)}: {_shortened(passage['text'], 160)}")
    else:
        print_line(answer["answer"])
        print_line()
        for citation in answer["citations"]:
            print_line(f"[{citation['number']}] {_place(citation)}")
            print_line(f"    \u201c{_shortened(citation['quote'], 300)}\u201d")
    asked_back = answer.get("clarification")
    if asked_back:
        print_line()
        print_line(asked_back["question"])
        for option in asked_back["options"]:
            print_line(f"  - {option['question']}")
    for note in answer.get("notes", ()):
        print_line(f"Note: {note}")
    print_line()
    print_line(f"release {answer['release_id']}, trace {answer['trace_id']}")


def _place(found: dict[str, Any]) -> str:
    parts = [found["document"]]
    parts += [f"page {found['page']}"] if found.get("page") else []
    parts += [f"clause {found['clause']}"] if found.get("clause") else []
    parts += [" > ".join(found["path"][-2:])] if found.get("path") else []
    return ", ".join(parts)


def _shortened(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most].rsplit(' ', 1)[0]} ..."


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: Collection,
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=200, help="Passages returned.")] = 8,
    filters: Filters = None,
    as_of: AsOf = "",
    principal: As = "",
    as_json: AsJson = False,
) -> None:
    """Find passages: dense and word search fused, filters inside the query."""
    from ui.answering import search_anywhere
    from ui.installation import Installation

    parse_day(as_of)
    body = {
        "query": query,
        "collection": collection,
        "top_k": top_k,
        "filters": filters or [],
        "as_of": as_of or None,
        "principal": principal,
    }
    passages = search_anywhere(Installation(), body)
    if as_json:
        print_json({"passages": passages})
        return
    if not passages:
        print_line("Nothing was found.")
    for passage in passages:
        print_line(f"{passage['rank']:>2}. {_place(passage)}  ({passage['score']:.3f})")
        print_line(f"    {_shortened(passage['text'], 220)}")


@trace.command("show")
def show_trace(trace_id: str, as_json: AsJson = False) -> None:
    """Show how an answer came about."""
    from assistant.traces import describe_trace
    from governance.trace import find_trace
    from ui.installation import Installation

    with Installation().store.session() as session:
        found = find_trace(session, trace_id)
    if as_json:
        print_json(found.to_value())
    else:
        print_line(describe_trace(found))


@trace.command("search")
def search_for_traces(
    words: Annotated[str, typer.Argument(help="Words of the question.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the latest traces."""
    from governance.trace import search_traces
    from ui.installation import Installation

    with Installation().store.session() as session:
        found = search_traces(session, words=words, limit=limit)
    if as_json:
        print_json({"traces": [one.to_value() for one in found]})
        return
    for one in found:
        outcome = "refused " if one.abstained else "answered"
        print_line(f"{one.id}  {one.created_at:%Y-%m-%d %H:%M}  {outcome}  {one.collection}  {one.question[:80]}")


@trace.command("replay")
def replay_trace(trace_id: str, as_json: AsJson = False) -> None:
    """Make an answer again from its trace and say whether it is identical."""
    from assistant.traces import replay
    from ui.answering import service_of_this_process
    from ui.installation import Installation

    outcome = replay(service_of_this_process(Installation()), trace_id)
    if as_json:
        print_json(outcome)
        return
    print_line("identical" if outcome["identical"] else f"different: {', '.join(outcome['differences'])}")


@trace.command("export")
def export_trace(trace_id: str, out: Annotated[Path, typer.Option(help="File to write.")]) -> None:
    """Write a trace as JSON."""
    from governance.trace import find_trace
    from ui.installation import Installation

    with Installation().store.session() as session:
        found = find_trace(session, trace_id)
    out.write_text(json.dumps(found.to_value(), indent=2, ensure_ascii=False), encoding="utf-8")
    print_line(f"written to {out}")
