"""Product identifiers: the records that a query names by SKU, EAN, part or model number, looked up and not searched.

Every run of up to six words of a query that can be an identifier is asked of the index at once, under the asker's
conditions: "HL 4000CN" finds the record whose model is HL-4000CN, wherever it stands in the query and however many
records share its words. In prose a run counts only where it can hardly be anything else: letters and digits, five signs
or more, or six digits. A query that is nothing but an identifier may be any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice

from ingest.index import Condition, Index, Stored
from ingest.product_graph import identifier_keys

_RUN = re.compile(r"[^\W_]+")
_MOST_WORDS = 6
_SHORTEST, _FEWEST_DIGITS = 5, 6
_LONGEST = 60
_MOST_RUNS, _MOST_FOUND = 600, 40

Span = tuple[int, int]  # of words in a query


def identifier_runs(query: str) -> dict[str, Span]:
    """Return what in a query can be an identifier, squashed, with the words that it is made of."""
    words = [word.casefold() for word in _RUN.findall(query)]
    whole = "".join(words)
    found: dict[str, Span] = {whole: (0, len(words))} if 0 < len(whole) <= _LONGEST else {}
    for start in range(len(words)):
        for end in range(start + 1, min(start + _MOST_WORDS, len(words)) + 1):
            run = "".join(words[start:end])
            if _can_only_identify(run) and len(found) < _MOST_RUNS:
                found.setdefault(run, (start, end))
    return found


def find_identified(query: str, index: Index, conditions: Sequence[Condition]) -> list[Stored]:
    """Return the first slice of each record that a query names by an identifier, whole.

    A record whose number is only a part of another's that is named ("BCI-6C" in "BCI-6C Cyan") is left out.
    """
    runs = identifier_runs(query)
    if not runs:
        return []
    named = Condition("identifiers", "any", tuple(runs))
    found = list(islice(index.scroll((*conditions, named)), _MOST_FOUND + 1))
    if len(found) > _MOST_FOUND:  # what so many go by tells none of them apart
        return []
    spans = [_longest(runs, chunk) for chunk in found]
    return [chunk for chunk, span in zip(found, spans, strict=True) if not any(_within(span, one) for one in spans)]


def _longest(runs: Mapping[str, Span], chunk: Stored) -> Span:
    held = [runs[key] for key in identifier_keys(chunk.clause, chunk.attributes) if key in runs]
    return max(held, key=lambda span: span[1] - span[0], default=(0, 0))


def _within(span: Span, other: Span) -> bool:
    return span != other and other[0] <= span[0] and span[1] <= other[1]


def _can_only_identify(run: str) -> bool:
    digits = sum(sign.isdigit() for sign in run)
    if digits == len(run):
        return digits >= _FEWEST_DIGITS
    return digits > 0 and _SHORTEST <= len(run) <= _LONGEST
