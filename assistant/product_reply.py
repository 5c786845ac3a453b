"""Product replies: answers about catalogue records, composed without the model and cited line by line.

A question is read in each of its ways (`product_requests`), the records it names are found (`product_records`), and
what they state is laid out as their own lines (`product_answers`). A record that goes by the name but does not state
the attribute gives an Abstention that says so. Where no record fits, or several do and the question does not tell them
apart, there is no reply, and the usual way of answering takes over. Nothing is stated that has no Citation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from assistant.answer import AnswerSentence
from assistant.citations import CitationList
from assistant.guards import guard_passages
from assistant.product_answers import Row, attribute_lines, compare, lines_asked, says, summarise, title_line
from assistant.product_attributes import is_label
from assistant.product_fits import find_fitting
from assistant.product_lists import list_records
from assistant.product_names import Words, is_model, names_of
from assistant.product_records import Catalogue, Found, ReadParsed, short_name
from assistant.product_requests import Request, RequestKind, read_requests
from assistant.product_said import Reply, Said, line_said, refusal
from assistant.respond import Checked
from assistant.retrieve import Passage, RetrievalTools, Scope
from assistant.support import Window
from ingest.product_facts import stemmed

if TYPE_CHECKING:
    from assistant.turn import Turn

_SURE, _UNSURE = 0.97, 0.03
_MOST_NAMED = 3
_MOST_ROWS = 10
_FEWEST_DIGITS = 8


def answer_from_records(turn: Turn, tools: RetrievalTools, scope: Scope, read_parsed: ReadParsed) -> None:
    """Judge a turn by the records its question names: the reply, if any, takes the place of what was judged before."""
    may_refuse = _on_records_alone(turn.query.text, turn.passages)
    reply = reply_to(turn.query.text, Catalogue(tools, scope, read_parsed), may_refuse=may_refuse)
    if reply is None or turn.sufficiency is None:
        return
    enough = not reply.reason
    probability = _SURE if enough else _UNSURE
    turn.sufficiency = replace(turn.sufficiency, enough=enough, probability=probability, reason=reply.reason)
    turn.reply, turn.clarification = reply, None
    chunks = {one.passage.chunk.id: one.passage for one in reply.records}
    passages = [*chunks.values(), *(one for one in turn.passages if one.chunk.id not in chunks)]
    turn.passages = tuple(replace(one, rank=rank) for rank, one in enumerate(passages, start=1))
    turn.guarded = guard_passages(turn.passages)


def _on_records_alone(question: str, passages: Sequence[Passage]) -> bool:
    """Tell whether a record was found first, and no clause that names the product: a manual may state what it lacks."""
    if passages and passages[0].chunk.kind != "record":
        return False
    models = [name for name in names_of(question) if is_model(name)]
    clauses = [
        Words(" ".join([one.chunk.title, *one.chunk.path, one.chunk.text]))
        for one in passages
        if one.chunk.kind != "record"
    ]
    return not models or not any(all(words.hold(name) for name in models) for words in clauses)


def reply_to(question: str, catalogue: Catalogue, *, may_refuse: bool = True) -> Reply | None:
    """Return the reply to a question, or None where it asks nothing of the catalogue that a record states.

    With `may_refuse`, an Abstention is made of what no record states; else that is left to the usual way of answering.
    """
    if not catalogue.facts.records:
        return None
    refused: Reply | None = None
    for request in read_requests(question, catalogue.facts):
        reply = _REPLIES[request.kind](request, catalogue)
        if reply is not None and not reply.reason:
            return reply
        refused = refused or reply
    return refused if may_refuse else None


def cite_reply(reply: Reply, citations: CitationList) -> Checked:
    """Return a reply with a Citation for each line it states; a sentence with a line not at its place is dropped."""
    sentences = []
    for said in reply.said:
        numbers = [
            citations.cite(Window(found.passage, line.start, line.end, line.text), score=1.0)
            for found, line in said.lines
        ]
        known = [number for number in numbers if number is not None]
        if known and len(known) == len(numbers):
            sentences.append(AnswerSentence(said.text, "supported", tuple(dict.fromkeys(known))))
    lines = [f"{one.text} {''.join(f'[{number}]' for number in one.citations)}" for one in sentences]
    return Checked("\n".join(lines), "record" if sentences else "none", tuple(sentences), ())


def _attribute(request: Request, catalogue: Catalogue) -> Reply | None:
    subject, asked = request.subjects[0], request.asked
    named = catalogue.named(subject)
    if not named:
        return _unknown(subject, catalogue)
    if len(named) > _MOST_NAMED:
        return None
    stated = [(one, line) for one in named for line in lines_asked(asked, one.record, catalogue.facts)]
    said = tuple(line_said(one, line) for one, line in stated if one.may_show(line))
    if stated:
        return Reply(said) if said else None
    if any(says(asked, one.record) for one in named) or not is_label(asked, catalogue.facts):
        return None
    return _not_stated(asked, named)


def _not_stated(asked: str, named: Sequence[Found]) -> Reply:
    names = " and ".join(short_name(one.record) for one in named)
    record, does = ("records", "do not state their") if len(named) > 1 else ("record", "does not state its")
    return refusal(f"The {record} of {names} {does} {asked}.", named)


def _unknown(subject: str, catalogue: Catalogue) -> Reply | None:
    """Refuse a model that no record goes by; what is named otherwise may stand somewhere else."""
    unknown = catalogue.unknown_models(subject)
    return refusal(f"No record of the catalogue goes by the name {subject}.") if unknown else None


def _identify(request: Request, catalogue: Catalogue) -> Reply | None:
    name = request.subjects[0]
    said = []
    for found, keys in catalogue.identified(name)[:_MOST_NAMED]:
        lines = [line for line in attribute_lines(found.record) if line.key in keys][:1]
        shown = (title_line(found.record), *lines)
        if all(found.may_show(line) for line in shown):
            text = "; ".join(line.text for line in shown)
            said.append(Said(text, tuple((found, line) for line in shown)))
    if not said and name.isdigit() and len(name) >= _FEWEST_DIGITS:
        return refusal(f"No record of the catalogue has the number {name}.")
    return Reply(tuple(said)) if said else None


def _compare(request: Request, catalogue: Catalogue) -> Reply | None:
    named = [catalogue.named(subject) for subject in request.subjects]
    for subject, found in zip(request.subjects, named, strict=True):
        if not found:
            return _unknown(subject, catalogue)
    if any(len(found) > 1 for found in named):
        return None
    first, second = named[0][0], named[1][0]
    rows = compare(first.record, second.record)
    chosen = _rows_asked(request.asked, rows, (first, second), catalogue)
    if not chosen:
        return _not_stated(request.asked, [first, second]) if request.asked else None
    titles = tuple((one, title_line(one.record)) for one in (first, second))
    opening = f"{titles[0][1].text} (A) and {titles[1][1].text} (B), {len(chosen)} of {len(rows)} attributes:"
    return Reply((Said(opening, titles), *(_row_said(row, first, second) for row in chosen)))


def _rows_asked(asked: str, rows: Sequence[Row], pair: tuple[Found, Found], catalogue: Catalogue) -> list[Row]:
    """Return the rows of the attributes asked for; of all, those that matter most for either record."""
    first, second = pair
    if asked:
        parts = [part for part in asked.replace(" and ", ",").split(",") if stemmed(part)]
        lines = [line for part in parts for one in pair for line in lines_asked(part, one.record, catalogue.facts)]
        keys = {line.key for line in lines}
    else:
        keys = {line.key for one in pair for line in summarise(one.record, catalogue.facts) if line.key}
    kept = [row for row in rows if _key_of(row) in keys and _may_show(row, first, second)]
    return kept if asked else kept[:_MOST_ROWS]


def _key_of(row: Row) -> str:
    line = row.first or row.second
    return line.key if line else ""


def _may_show(row: Row, first: Found, second: Found) -> bool:
    return all(line is None or one.may_show(line) for one, line in ((first, row.first), (second, row.second)))


def _row_said(row: Row, first: Found, second: Found) -> Said:
    cells = ((first, row.first), (second, row.second))
    values = [line.shown if line else "not stated" for _, line in cells]
    cited = tuple((one, line) for one, line in cells if line is not None)
    return Said(f"{row.label}: {values[0]} (A), {values[1]} (B)", cited)


def _summary(request: Request, catalogue: Catalogue) -> Reply | None:
    named = catalogue.named(request.subjects[0])
    if len(named) != 1:
        return None if named else _unknown(request.subjects[0], catalogue)
    found = named[0]
    lines = [line for line in summarise(found.record, catalogue.facts) if found.may_show(line)]
    return Reply(tuple(Said(line.text, ((found, line),)) for line in lines))


_REPLIES: Mapping[RequestKind, Callable[[Request, Catalogue], Reply | None]] = {
    "attribute": _attribute,
    "identify": _identify,
    "fits": find_fitting,
    "compare": _compare,
    "summary": _summary,
    "list": list_records,
}
