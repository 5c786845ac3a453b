"""Find the terms that a document defines, and give a Clause the definitions of the terms it uses.

Forms that are found: `"Net Sales" means ...` (shall mean, has the meaning, refers to, is defined as), the same without
quotes at the start of a line, `Acme Inc. (the "Company")`, and the rows of a glossary table. A definition is a span of
the text, so it can be cited; nothing is rewritten. Pure: text and Clauses in, spans out; derived when asked for and
stored nowhere. Refuses to know what a term means, and which of two definitions is right: it takes the one that says
"means", else the nearest one above.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ingest.documents import Clause

Form = Literal["means", "named", "glossary"]
_QUOTED = (
    r"(?:“(?P<curly>[^“”]{1,90})[”“]|\"(?P<straight>[^\"“”]{1,90})\""
    r"|‘‘(?P<double>[^‘’]{1,90})’’|‘(?P<single>[^‘’]{1,90})’)"
)
_VERB = (
    r"(?:(?:shall\s+|will\s+)?(?:mean|refer\s+to)|means|refers\s+to"
    r"|(?:has|have|shall\s+have|will\s+have)\s+the\s+meanings?|(?:is|are|shall\s+be)\s+defined\s+(?:as|in|to\s+mean))"
)
_BETWEEN = (  # what may stand between a term and its verb: other names for it, and where it is used
    r"(?:\s*,?\s*(?:\(|\)|(?:as|when)\s+used\s+(?:herein|in\s+this\s+\w+)|(?:\(?\s*(?:or|and)|,|\()\s*(?:the\s+)?(?:terms?\s+)?"
    r"[“\"‘][^“”\"‘’]{1,60}[”\"’]\)?)){0,6}?"
)
_MEANS = re.compile(rf"{_QUOTED}{_BETWEEN},?\s+(?:each\s+|also\s+)?{_VERB}\b")
_BARE = re.compile(
    r"^(?:\(?[\da-zA-Z.]{1,6}[.)]\s+|\d+(?:\.\d+)+\s+|[•▪]\s*)?"
    r"(?P<bare>[A-Z][\w’'/&-]*(?:\s(?:(?:of|and|or|the|for|in|to)\s)?[A-Z0-9][\w’'/&-]*){0,5})"
    r"\s+(?:shall\s+mean|means)\s",
    re.M,
)
_NAMED = re.compile(r"\((?P<inside>[^()]{0,160})\)")
_NAMING = re.compile(  # what may stand before a quoted term in brackets
    r"(?:(?:the|a|an|each|any|and|or|all|both|such|as|in|this|hereinafter|hereafter|herein|sometimes|also|together|together\s+with"
    r"|collectively|individually|jointly|referred|called|known|defined|to|be|is|are|being|its|their|with|foregoing|singly|from|date)"
    r"[\s,:]*)*",
    re.I,
)
_TERM_QUOTED = re.compile(_QUOTED)
_ENTITY_WORDS = 8
_LONGEST_DEFINITION = 2000  # characters
_FEWEST_NAMED_WORDS = 3  # before the brackets; fewer are the end of a name such as "Acme Co."
_LONGEST_NAMED = 600  # characters before the brackets that name what stands before them
_SENTENCE_END = re.compile(r"[.](?=[”\"’)]?(?:\s+[A-Z“\"‘(\d•]|\s*$|\n\s*\n))|;(?=\s*(?:and\s+|or\s+)?\n?\s*[“\"‘])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Inc|Corp|Ltd|Co|Cos|No|Nos|Sec|Secs|Art|Mr|Mrs|Ms|Dr|St|vs?|e\.g|i\.e|etc|approx|Fed|Reg|Stat|Rev|Vol|pp?))$"
)
_GLOSSARY = re.compile(r"\b(?:definitions?|glossary|terms?|acronyms?|abbreviations)\b", re.I)
_SEPARATOR = " | "


@dataclass(frozen=True)
class Definition:
    """A term as printed, and the span [start, end) of the text that defines it; `form` says how it was found."""

    term: str
    start: int
    end: int
    form: Form


def find_definitions(text: str, clauses: Sequence[Clause]) -> tuple[Definition, ...]:
    """Return the definitions of a document in order; a term may have several.

    A definition lies inside one Clause, but for one that ends in a list: it holds the items too, as far as they fit.
    """
    found: list[Definition] = []
    for position, clause in enumerate(clauses):
        if clause.kind == "table":
            found.extend(_glossary_rows(text, clause))
        elif clause.kind == "clause":
            found.extend(_with_items(text, one, clauses, position) for one in _in_prose(text, clause))
    unique = {(definition.term, definition.start): definition for definition in found}
    return tuple(sorted(unique.values(), key=lambda definition: (definition.start, definition.term)))


def definitions_for(text: str, clause: Clause, definitions: Sequence[Definition]) -> tuple[Definition, ...]:
    """Return one definition for each defined term that a Clause uses, in the order of their first use.

    A term counts where it stands as it is defined, capitals included, or in the plural; a longer term hides the
    shorter ones inside it. Terms that the Clause itself defines are left out.
    """
    by_term: dict[str, list[Definition]] = {}
    for definition in definitions:
        by_term.setdefault(definition.term, []).append(definition)
    if not by_term:
        return ()
    sought = re.compile(
        r"(?<!\w)(?:" + "|".join(_spelled(term) for term in sorted(by_term, key=len, reverse=True)) + ")"
    )
    forms = {form: term for term in by_term for form in _forms(term)}
    used = dict.fromkeys(
        forms[words]
        for found in sought.finditer(text, clause.start, clause.end)
        if (words := _one_line(found[0])) in forms
    )
    own = {d.term for d in definitions if clause.start <= d.start < clause.end}
    return tuple(_chosen(by_term[term], clause) for term in used if term not in own)


def clause_of(definition: Definition, clauses: Sequence[Clause]) -> Clause | None:
    """Return the Clause that holds a definition."""
    place = bisect_right(clauses, definition.start, key=lambda clause: clause.start) - 1
    return clauses[place] if place >= 0 and definition.start < clauses[place].end else None


def _chosen(definitions: Sequence[Definition], clause: Clause) -> Definition:
    """Return the definition that says what a term means, else the last one above a Clause, else the first."""
    stated = [definition for definition in definitions if definition.form != "named"] or list(definitions)
    above = [definition for definition in stated if definition.start <= clause.start]
    return above[-1] if above else stated[0]


def _forms(term: str) -> tuple[str, ...]:
    plurals = (f"{term[:-1]}ies",) if term.endswith("y") else (f"{term}es", f"{term}s")
    return (term, *plurals)


def _spelled(term: str) -> str:
    return "|".join(r"\s+".join(map(re.escape, form.split())) + r"(?!\w)" for form in _forms(term)[::-1])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _in_prose(text: str, clause: Clause) -> Iterator[Definition]:
    start, end = clause.start, clause.end
    for found in _MEANS.finditer(text, start, end):
        for term in _terms(found[0]):
            yield Definition(term, found.start(), _definition_end(text, found.end(), end), "means")
    for found in _BARE.finditer(text, start, end):
        if _is_term(found["bare"]):
            yield Definition(found["bare"], found.start("bare"), _definition_end(text, found.end(), end), "means")
    for found in _NAMED.finditer(text, start, end):
        inside = found["inside"]
        first = _TERM_QUOTED.search(inside)
        if first and _NAMING.fullmatch(inside[: first.start()]):
            for term in _terms(inside):
                if not term[0].islower():
                    yield Definition(term, _named_start(text, found.start(), start), found.end(), "named")


def _with_items(text: str, definition: Definition, clauses: Sequence[Clause], position: int) -> Definition:
    """Return a definition that ends in a colon with the Clauses below its own."""
    path, end = clauses[position].path, definition.end
    if definition.form != "means" or not text[:end].endswith(":"):
        return definition
    for below in clauses[position + 1 :]:
        is_item = below.path[: len(path)] == path and below.path != path
        if not is_item or below.end - definition.start > _LONGEST_DEFINITION:
            break
        end = below.end
    return replace(definition, end=end)


def _terms(words: str) -> Iterator[str]:
    for found in _TERM_QUOTED.finditer(words):
        term = _one_line(next(part for part in found.groups() if part is not None)).strip(" ,.;:")
        if _is_term(term):
            yield term


def _is_term(term: str) -> bool:
    """Whether words can be a term: some letters, no sentence, no word that only points somewhere."""
    few = 0 < len(term.split()) <= _ENTITY_WORDS and len(term) <= 80
    return (
        few and any(map(str.isalpha, term)) and term.casefold() not in _NO_TERMS and not re.search(r"[.;:?!]\s", term)
    )


_NO_TERMS = frozenset(
    {"this", "it", "which", "that", "there", "these", "including", "includes", "as is", "a", "b", "c"}
)


def _definition_end(text: str, after: int, clause_end: int) -> int:
    """Return the end of the sentence that goes on at a place, within its Clause."""
    limit = min(clause_end, after + _LONGEST_DEFINITION)
    ends = (found.end() for found in _SENTENCE_END.finditer(text, after, limit) if _is_end(text, found))
    return next(ends, after + len(text[after:limit].rstrip()))


def _is_end(text: str, found: re.Match[str]) -> bool:
    """Whether a full stop or semicolon ends a sentence: "Schedule F." does so before the next defined term."""
    before_term = text[found.end() : found.end() + 8].lstrip()[:1] in ("“", '"', "‘")
    return before_term or not _ABBREVIATION.search(text[max(0, found.start() - 8) : found.start()])


def _named_start(text: str, bracket: int, clause_start: int) -> int:
    """Return the start of the sentence that names something in brackets, no further than a few lines above."""
    first = max(clause_start, bracket - _LONGEST_NAMED)
    starts = [found.end() for found in _SENTENCE_END.finditer(text, first, bracket) if _is_end(text, found)]
    named = [start for start in starts if len(text[start:bracket].split()) >= _FEWEST_NAMED_WORDS]
    start = named[-1] if named else first
    return start + len(text[start:bracket]) - len(text[start:bracket].lstrip(' \n”"'))


def _glossary_rows(text: str, clause: Clause) -> Iterator[Definition]:
    """Yield the rows of a table of two columns under a heading such as Glossary, or with such a header."""
    lines = text[clause.start : clause.end].split("\n")
    rows = [line for line in lines if line.count(_SEPARATOR) == 1]
    headings = (*clause.path[-2:], *(row.partition(_SEPARATOR)[0] for row in rows[:1]))
    headed = any(_GLOSSARY.search(heading) for heading in headings)
    place = clause.start
    for line in lines:
        term, _, meaning = line.partition(_SEPARATOR)
        is_row = headed and line in rows and len(meaning.split()) > 1 and _is_term(term.strip())
        if is_row and not term.strip().endswith(":") and not _GLOSSARY.fullmatch(term.strip()):
            yield Definition(term.strip(), place, place + len(line), "glossary")
        place += len(line) + 1
