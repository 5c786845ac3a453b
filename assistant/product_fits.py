"""What fits a product: the records that state it, never one that merely looks alike.

A record counts where a line about compatibility, its description or its title holds every word with a digit of the
product named, whole (`product_names`), where the other names stand somewhere in it, and where it is the kind of thing
asked for. That line is cited. Records of the kind that do not name the product are not offered. Candidates are found
by the edges of the product graph in the index, however many records share the words, and by words.
"""

from __future__ import annotations

from collections.abc import Sequence

from assistant.product_answers import Line, Record, attribute_lines, description_line, title_line
from assistant.product_names import Words, fitting_values, has_digit, is_fitting, names_of, one_of
from assistant.product_records import Catalogue, Found
from assistant.product_requests import Request
from assistant.product_said import Reply, Said, line_said, refusal
from ingest.index import Stored
from ingest.product_facts import stemmed

_EXAMINED = 300  # chunks
_MOST_SHOWN = 6
_KINDS_KNOWN = 2
_TYPES = ("type", "product_type", "category", "product_category")


def find_fitting(request: Request, catalogue: Catalogue) -> Reply | None:
    """Return the records that state a fit, with their count; an Abstention where the catalogue's kind has none."""
    device, asked = request.subjects[0], request.asked
    fitting = fitting_records(asked, device, catalogue)
    if fitting:
        return _said(asked, device, fitting)
    counts = catalogue.facts.part("title").counts
    known = max(counts.get(word, 0) for word in (stemmed(asked)[-1], one_of(asked)[-1])) >= _KINDS_KNOWN
    return refusal(f"No record of the catalogue for “{asked}” states that it fits {device}.") if known else None


def fitting_records(asked: str, device: str, catalogue: Catalogue) -> list[tuple[Found, Line]]:
    """Return the records of a kind that state that they fit a product, each with the line that states it."""
    head = one_of(asked)[-1]
    chunks, _ = catalogue.by_words(f"{asked} {device}", limit=_EXAMINED)
    digits = [name for name in names_of(device) if has_digit(name)]
    stating = {(one.document, one.clause): one for one in catalogue.stating_fit(digits, limit=_EXAMINED)}
    likely = {(one.document, one.clause): one for one in chunks if _may_name(digits, one)} | stating
    fitting = [
        (found, line)
        for found in catalogue.read_chunks(likely.values())
        if (line := _evidence(names_of(device), head, found.record)) is not None and found.may_show(line)
    ]
    return _of_kind(asked, fitting)


def _may_name(digits: Sequence[str], chunk: Stored) -> bool:
    words = Words("\n".join([*chunk.path, chunk.text, *fitting_values(chunk.attributes)]))
    return all(words.hold(name) for name in digits)


def _evidence(names: Sequence[str], head: str, record: Record) -> Line | None:
    """Return the line of a record that states the fit, None where none does."""
    description = description_line(record)
    title = title_line(record)
    fitting = [line for line in attribute_lines(record) if is_fitting(line.key)]
    about = [record.title, *(str(record.attributes[key]) for key in _TYPES if key in record.attributes)]
    told = [description.text] if description else []
    makers = [str(record.attributes[key]) for key in ("supplier", "brand", "manufacturer") if key in record.attributes]
    anywhere = Words("\n".join([*about, *told, *makers, *(line.shown for line in fitting)]))
    if not all(anywhere.hold(name) for name in names):
        return None
    is_kind = head in one_of(" ".join(about))
    lines = [*fitting, *([description] if description else []), title] if is_kind else fitting
    if not is_kind and head not in one_of(" ".join(told)):
        return None
    digits = [name for name in names if has_digit(name)]
    return next((line for line in lines if all(Words(line.text).hold(name) for name in digits)), None)


def _of_kind(asked: str, fitting: Sequence[tuple[Found, Line]]) -> list[tuple[Found, Line]]:
    """Return those that hold most of the words of what was asked for: "black toner" is no yellow one."""
    wanted = set(one_of(asked))
    counts = [len(wanted & set(one_of(found.record.text))) for found, _ in fitting]
    most = max(counts, default=0)
    kept = [one for one, count in zip(fitting, counts, strict=True) if count == most]
    return sorted(kept, key=lambda one: (one[0].record.title, one[0].record.clause))


def _said(asked: str, device: str, fitting: Sequence[tuple[Found, Line]]) -> Reply:
    if len(fitting) == 1:
        return Reply((line_said(*fitting[0]),))
    shown = fitting[:_MOST_SHOWN]
    first = f"; the first {len(shown)}" if len(fitting) > len(shown) else ""
    opening = f"{len(fitting)} records of the catalogue for “{asked}” state that they fit {device}{first}:"
    return Reply((Said(opening, tuple(shown)), *(line_said(found, line) for found, line in shown)))
