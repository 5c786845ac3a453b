"""How well a document was read: measures of its text and structure, and one verdict with its reason.

Measured from the stored ParsedDocument alone, so that every format has a report, and so has a document that was read
before there were reports. Refuses to know where the file came from and what it says. A verdict judges the reading,
never the document:

    bad           a reader would be misled: half of the pages are missing or garbled, or the text is full of odd signs
    look at it    something is missing or uncertain, and the reason says what
    good          nothing of the kind was seen
"""

from __future__ import annotations

import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Literal

from ingest.documents import ParsedDocument
from ingest.language import NAMES, language_of

Verdict = Literal["bad", "look at it", "good"]
VERDICTS: tuple[Verdict, ...] = ("bad", "look at it", "good")  # the worst first
_LOST_BAD = 0.5  # of the pages
_ODD_BAD, _ODD_LOOK = 0.05, 0.005  # of the characters
_CONFIDENCE_BAD, _CONFIDENCE_LOOK = 0.6, 0.85
_LEFT_OUT_LOOK = 0.25
_LONG_CLAUSE_LOOK = 20_000  # characters: some seven pages without a heading or a number
_HEADINGS_LOOK, _LONG_DOCUMENT = 0.5, 20_000
_LANGUAGE_CHARACTERS, _LEAST_SHORT_WORDS = 20_000, 0.08
_ODD_CATEGORIES = ("Cc", "Co", "Cn")  # control, private use, no character at all


@dataclass(frozen=True)
class Quality:
    """The measures of one document; shares are of 1, pages are counted, `confidence` is None without recognition.

    `empty_pages` have no text; `lost_pages` are pages with something to read that was not: an image, a page that could
    not be loaded, text in no language. `odd_share` counts private use, replacement and control characters. `tables_in`
    grids were seen on the pages and `tables_out` Clauses are tables. `column_pages` have two columns. `longest_clause`
    counts the characters under one number and path. `heading_share` is that of the text below a heading. `language` is
    an ISO 639-1 code, "" where it cannot be told. `records` counts catalogue records, which have no headings.
    """

    pages: int
    empty_pages: int
    lost_pages: int
    recognized_pages: int
    confidence: float | None
    characters: int
    odd_share: float
    tables_in: int
    tables_out: int
    column_pages: int
    footnotes: int
    left_out_share: float
    longest_clause: int
    heading_share: float
    language: str
    records: int

    @property
    def verdict(self) -> Verdict:
        """The verdict in one word or three."""
        return self._judged[0]

    @property
    def reason(self) -> str:
        """Why it is not good, all of it in one line; "" where it is."""
        return self._judged[1]

    @property
    def _judged(self) -> tuple[Verdict, str]:
        found = list(_findings(self))
        verdict: Verdict = min((verdict for verdict, _ in found), key=VERDICTS.index, default="good")
        ordered = sorted(found, key=lambda one: VERDICTS.index(one[0]))
        return verdict, "; ".join(reason for _, reason in ordered)

    def to_value(self) -> dict[str, Any]:
        """Return the verdict, its reason and all measures as JSON values."""
        return {"verdict": self.verdict, "reason": self.reason, **asdict(self)}

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Quality:
        """Read what `to_value` gave. Raises TypeError where it is of another form."""
        return cls(**{name: part for name, part in value.items() if name not in ("verdict", "reason")})


def measure_quality(parsed: ParsedDocument) -> Quality:
    """Measure how well a document was read."""
    reading, text = parsed.reading, parsed.text
    signs = sum(map(len, text.split()))
    tables = sum(1 for clause in parsed.clauses if clause.kind == "table")
    confidences = [confidence for _, confidence in reading.recognized]
    return Quality(
        pages=len(parsed.pages),
        empty_pages=sum(1 for page in parsed.pages if not text[page.start : page.end].strip()),
        lost_pages=len({*reading.unread, *reading.images, *reading.garbled}),
        recognized_pages=len(confidences),
        confidence=round(statistics.mean(confidences), 3) if confidences else None,
        characters=signs,
        odd_share=_share(sum(count for sign, count in Counter(text).items() if _is_odd(sign)), signs),
        tables_in=tables if reading.tables_seen is None else reading.tables_seen,
        tables_out=tables,
        column_pages=len(reading.columns),
        footnotes=len(parsed.notes),
        left_out_share=_share(reading.left_out, reading.left_out + signs),
        longest_clause=max(_clause_lengths(parsed), default=0),
        heading_share=_heading_share(parsed),
        language=_language(text),
        records=sum(1 for clause in parsed.clauses if clause.kind == "record"),
    )


def _findings(quality: Quality) -> Iterator[tuple[Verdict, str]]:
    """Yield what is wrong with a reading and how bad that is."""
    if quality.lost_pages:
        verdict: Verdict = "bad" if quality.lost_pages >= _LOST_BAD * quality.pages else "look at it"
        yield verdict, f"{quality.lost_pages} of {quality.pages} pages have no text that can be used"
    if quality.odd_share >= _ODD_LOOK:
        verdict = "bad" if quality.odd_share >= _ODD_BAD else "look at it"
        yield verdict, f"{quality.odd_share:.1%} of the characters are no letters or signs of any language"
    if quality.confidence is not None and quality.confidence < _CONFIDENCE_LOOK:
        verdict = "bad" if quality.confidence < _CONFIDENCE_BAD else "look at it"
        yield verdict, f"text recognition is {quality.confidence:.0%} sure of {quality.recognized_pages} pages"
    yield from (("look at it", reason) for reason in _structure_findings(quality))


def _structure_findings(quality: Quality) -> Iterator[str]:
    if quality.left_out_share >= _LEFT_OUT_LOOK:
        yield f"{quality.left_out_share:.0%} of the text was left out as running headers and footers"
    if quality.longest_clause >= _LONG_CLAUSE_LOOK:
        yield f"{quality.longest_clause:,} characters stand under one heading"
    elif not quality.records and quality.characters > _LONG_DOCUMENT and quality.heading_share < _HEADINGS_LOOK:
        yield f"only {quality.heading_share:.0%} of the text stands below a heading"
    if quality.language not in ("", "en"):
        yield f"it is in {NAMES[quality.language]}, which the search by meaning does not know"


def _share(part: int, whole: int) -> float:
    return round(part / whole, 5) if whole else 0.0


def _is_odd(sign: str) -> bool:
    return sign == "\ufffd" or (sign > "~" and unicodedata.category(sign) in _ODD_CATEGORIES) or sign < "\n"


def _clause_lengths(parsed: ParsedDocument) -> Iterator[int]:
    """Yield the characters of each run of prose Clauses with one number and path: a long one is stored in parts."""
    prose = (clause for clause in parsed.clauses if clause.kind == "clause")
    for _, parts in groupby(prose, key=lambda clause: (clause.number, clause.path)):
        yield sum(part.end - part.start for part in parts)


def _heading_share(parsed: ParsedDocument) -> float:
    """Return the share of the Clauses' characters that stand below more than the document's title."""
    under = sum(clause.end - clause.start for clause in parsed.clauses if clause.path not in ((), (parsed.title,)))
    return _share(under, sum(clause.end - clause.start for clause in parsed.clauses))


def _language(text: str) -> str:
    first = max(0, (len(text) - _LANGUAGE_CHARACTERS) // 2)
    return language_of(text[first : first + _LANGUAGE_CHARACTERS], least_share=_LEAST_SHORT_WORDS)
