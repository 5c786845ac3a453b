"""Lists of products: the records of a kind within limits, and the least or most of a kind, with their count.

The limits go into the engine's query. The count is of all records examined, and a list says so where there may be
more; the least or most is never told of a part. A record that does not state an attribute is neither counted nor
ranked. What is read as a kind, and which records are of it, is decided in `product_kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant.product_answers import Line, attribute_lines, within
from assistant.product_attributes import label_of, labels_asked
from assistant.product_fits import fitting_records
from assistant.product_kinds import of_kind
from assistant.product_limits import Limit, number_in, stated_by
from assistant.product_records import Catalogue, Found
from assistant.product_requests import Request
from assistant.product_said import Reply, Said, refusal
from ingest.index import Stored
from ingest.product_facts import ProductFacts

_MOST_SHOWN, _MOST_AT_AN_END = 5, 3  # the end of a scale with what comes next


def list_records(request: Request, catalogue: Catalogue) -> Reply | None:
    """Return the records of a kind within limits or at an end of a scale; an Abstention where the kind has none."""
    ranked = _ranked_by(request, catalogue.facts)
    if not ranked:
        return None
    found = _fitting(request, catalogue) if len(request.subjects) > 1 else _of_kind(request, catalogue)
    numbers = {one.id: number_in(one.attributes, *ranked) for one in found.chunks}
    members = [one for one in found.chunks if numbers[one.id] is not None]
    if not members:
        return _none_within(request, catalogue)
    if request.wanted and not found.complete:
        return None
    sign = -1 if request.wanted == "most" else 1
    members.sort(key=lambda one: (sign * (numbers[one.id] or 0.0), one.clause))
    most = _MOST_AT_AN_END if request.wanted else _MOST_SHOWN
    scales = list(dict.fromkeys([*((limit.attribute, limit.measure) for limit in request.limits), ranked]))
    listed = [
        lines
        for one in catalogue.read_chunks(members[:most])
        if (lines := _lines(one, scales, request.limits, found.states))
    ]
    if not listed:
        return None
    opening = _opening(request, label_of(ranked[0]), len(members), complete=found.complete, shown=len(listed))
    cited = tuple(pair for one in listed for pair in one)
    return Reply((Said(opening, cited), *(_listed(one) for one in listed)))


@dataclass(frozen=True)
class _Members:
    """One chunk of each record of a kind, whether these are all, and the lines that state a fit, by chunk."""

    chunks: list[Stored]
    complete: bool
    states: Mapping[str, Line]


def _of_kind(request: Request, catalogue: Catalogue) -> _Members:
    kind = request.subjects[0]
    chunks, complete = catalogue.by_words(kind, [limit.condition() for limit in request.limits])
    return _Members(of_kind(kind, chunks, catalogue.facts), complete, {})


def _fitting(request: Request, catalogue: Catalogue) -> _Members:
    kind, device = request.subjects
    found = fitting_records(kind, device, catalogue)
    within_all = [
        (one, line) for one, line in found if all(limit.met_by(one.record.attributes) for limit in request.limits)
    ]
    return _Members(
        [one.passage.chunk for one, _ in within_all], True, {one.passage.chunk.id: line for one, line in within_all}
    )


def _ranked_by(request: Request, facts: ProductFacts) -> tuple[str, str] | None:
    """Return the attribute that orders the list, and its measure: the one asked for, else that of the first limit."""
    if not request.asked:
        first = request.limits[0] if request.limits else None
        return (first.attribute, first.measure) if first else None
    counts = {(name, ""): count for name, count in facts.numeric.items()}
    counts |= {(measure.rpartition("_")[0], measure): sum(by.values()) for measure, by in facts.measures.items()}
    scales = sorted(counts, key=lambda scale: (-counts[scale], scale))
    places = labels_asked(request.asked, [label_of(name) for name, _ in scales], title="", facts=facts)
    return scales[min(places)] if places else None


def _lines(
    found: Found, scales: Sequence[tuple[str, str]], limits: Sequence[Limit], states: Mapping[str, Line]
) -> list[tuple[Found, Line]]:
    """Return the lines that show why a record is listed; none where one of them is missing or kept back."""
    held = {line.key: line for line in attribute_lines(found.record)}
    keys = list(dict.fromkeys(stated_by(found.record.attributes, *scale) for scale in scales))
    lines = [held[key] for key in keys if key in held]
    whole = len(lines) == len(keys) and bool(within([found.record], limits) if limits else True)
    lines += [states[found.passage.chunk.id]] if found.passage.chunk.id in states else []
    return [(found, line) for line in lines] if whole and all(found.may_show(line) for line in lines) else []


def _listed(lines: Sequence[tuple[Found, Line]]) -> Said:
    found = lines[0][0]
    return Said(f"{found.record.title}: {'; '.join(line.text for _, line in lines)}", tuple(lines))


def _opening(request: Request, ranked: str, count: int, *, complete: bool, shown: int) -> str:
    number = f"{count}" if complete else f"At least {count}"
    records = "record" if count == 1 else "records"
    kind, limits = request.subjects[0], _conditions_said(request)
    if request.wanted:
        least = "lowest" if request.wanted == "least" else "highest"
        return f"Of {number} {records} of the catalogue for “{kind}”{limits}, the {least} {ranked} first:"
    first = f"; the {shown} with the lowest {ranked}" if count > shown else ""
    return f"{number} {records} of the catalogue for “{kind}”{limits}{first}:"


def _conditions_said(request: Request) -> str:
    said = [
        f"{label_of(limit.attribute)} {limit.operator} {limit.said or f'{limit.value:g}'}" for limit in request.limits
    ]
    fits = f" that fit {request.subjects[1]}" if len(request.subjects) > 1 else ""
    return f"{fits} with {' and '.join(said)}" if said else fits


def _none_within(request: Request, catalogue: Catalogue) -> Reply | None:
    """Refuse limits that no record of a kind meets; a kind that the catalogue does not have is no request of it."""
    kind = request.subjects[0]
    some = of_kind(kind, catalogue.by_words(kind)[0], catalogue.facts)
    if not some or not (request.limits or len(request.subjects) > 1):
        return None
    unpriced = any(
        "price" in limit.attribute and limit.attribute not in catalogue.facts.numeric for limit in request.limits
    )
    prices = " Its prices are in another currency; currencies are never converted." if unpriced else ""
    return refusal(f"No record of the catalogue for “{kind}”{_conditions_said(request)} was found.{prices}")
