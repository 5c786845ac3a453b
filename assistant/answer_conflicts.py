"""Answer conflicts: other documents, or earlier versions, that say otherwise than what an answer rests on.

Reported beside the answer, never averaged into it. Each sentence that an answer cites is held against the sentences of
other documents (what was found for the question, and what a search for the sentence itself finds), and against earlier
versions of its own document. All of it is searched under the asker's own conditions, and both sides are cited. Rules:
where another document also says the same at least as closely, there is no conflict; a question that names one document
asks for that one alone; records are compared only where they are of one product; doubt means no conflict. What counts
as a difference is decided in `assistant.differences`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from assistant.answer import Citation, Conflict, ConflictBetween, ConflictSide
from assistant.citations import CitationList
from assistant.differences import SAME_SUBJECT, VALUES, Difference, alike, difference
from assistant.facts import facts_of
from assistant.guards import guard_passages
from assistant.named_documents import documents_pointed_at
from assistant.respond import Checked
from assistant.retrieve import Passage, RetrievalTools, Scope, check_access
from assistant.support import Weigh, Window
from ingest.index import NO_END, Condition, Stored, day_number, readable_by
from ingest.versions import ALWAYS
from ingest.words import split_lines, split_sentences

_MOST_CONFLICTS = 3
_SEARCHED = 8  # chunks of a search for one sentence
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Elsewhere:
    """Where else the documents may speak of it: the Passages found for a question, and the index as the asker sees it.

    The Passages are those that guards let through.
    """

    passages: Sequence[Passage]
    tools: RetrievalTools
    scope: Scope


@dataclass(frozen=True)
class _Stated:
    """A sentence that the answer cites, and the number of its Citation."""

    window: Window
    number: int


@dataclass(frozen=True)
class _Dissent:
    stated: _Stated
    other: Window
    difference: Difference


def find_conflicts(
    question: str, checked: Checked, elsewhere: Elsewhere, *, citations: CitationList
) -> tuple[Conflict, ...]:
    """Return at most three Conflicts with what an answer cites, the closest first, both sides cited.

    The Citations of the other sides are added to `citations`. Raises ProvenantError where the index gives a chunk that
    the asker may not read.
    """
    stated = list(_stated(checked, elsewhere.passages, citations))
    found: list[Conflict] = []
    if len(documents_pointed_at(question, elsewhere.tools.summary)) != 1:
        dissents = _dissents(stated, elsewhere, _in_other_documents)
        found += _reported(dissents, "documents", citations)
    found += _reported(_dissents(stated, elsewhere, _in_earlier_versions), "versions", citations)
    return tuple(found[:_MOST_CONFLICTS])


def _stated(checked: Checked, passages: Sequence[Passage], citations: CitationList) -> Iterator[_Stated]:
    """Yield the sentences under an answer's Citations."""
    cited = {citation.number: citation for citation in citations.citations}
    for number in dict.fromkeys(number for sentence in checked.sentences for number in sentence.citations):
        citation = cited[number]
        passage = next((one for one in passages if _holds(one.chunk, citation)), None)
        for window in _sentences(passage) if passage is not None else ():
            if window.start < citation.char_end and citation.char_start < window.end:
                yield _Stated(window, number)


def _holds(chunk: Stored, citation: Citation) -> bool:
    same = (chunk.document, chunk.version) == (citation.document, citation.version)
    return same and chunk.start <= citation.char_start and citation.char_end <= chunk.end


def _sentences(passage: Passage) -> Iterator[Window]:
    """Yield the sentences of a Passage, or the lines of a table or record, each by itself."""
    text, base = passage.chunk.text, passage.chunk.start
    for start, end in split_sentences(text) if passage.chunk.kind == "clause" else split_lines(text):
        yield Window(passage, base + start, base + end, text[start:end])


def _in_other_documents(stated: _Stated, elsewhere: Elsewhere) -> list[Passage]:
    """Return Passages of other documents that may say the same or otherwise."""
    document = stated.window.passage.chunk.document
    conditions = (*elsewhere.scope.conditions(), Condition("document", "none", (document,)))
    found = _search(stated.window.text, elsewhere, conditions)
    known = {passage.chunk.id for passage in found}
    among = [one for one in elsewhere.passages if one.chunk.document != document and one.chunk.id not in known]
    return [*found, *among]


def _in_earlier_versions(stated: _Stated, elsewhere: Elsewhere) -> list[Passage]:
    """Return Passages of versions of the same document that were in force before the one cited."""
    chunk, scope = stated.window.passage.chunk, elsewhere.scope
    conditions = (
        readable_by(scope.labels),
        Condition("document", "=", chunk.document),
        Condition("version", "none", (chunk.version, *scope.withdrawn)),
        Condition("effective_to", "<=", chunk.effective_from),
        *scope.filters,
    )
    if not elsewhere.tools.index.count(conditions):
        return []
    found = _search(stated.window.text, elsewhere, conditions)
    return [one for one in found if one.chunk.effective_from < one.chunk.effective_to]  # else it never was in force


def _search(text: str, elsewhere: Elsewhere, conditions: tuple[Condition, ...]) -> list[Passage]:
    chunks = elsewhere.tools.index.search_words(text, conditions=conditions, limit=_SEARCHED)
    check_access(chunks, elsewhere.scope)
    passages = [Passage(chunk, rank, chunk.score, 0.0, chunk.score) for rank, chunk in enumerate(chunks, start=1)]
    return list(guard_passages(passages).passages)


def _dissents(
    stated: Iterable[_Stated], elsewhere: Elsewhere, look: Callable[[_Stated, Elsewhere], list[Passage]]
) -> list[_Dissent]:
    """Return what says otherwise, one for each other document or version, the closest first."""
    weigh = elsewhere.tools.summary.vocabulary.weigh
    found = [one for sentence in stated for one in _against(sentence, look(sentence, elsewhere), weigh)]
    ordered = sorted(found, key=lambda one: (-one.difference.closeness, one.stated.number, one.other.start))
    best: dict[tuple[str, str], _Dissent] = {}
    for one in ordered:
        best.setdefault((one.other.passage.chunk.document, one.other.passage.chunk.version), one)
    return list(best.values())


def _against(stated: _Stated, passages: Sequence[Passage], weigh: Weigh) -> Iterator[_Dissent]:
    """Yield, for each other version of a text, its closest sentence on the subject where that says otherwise."""
    closest: dict[tuple[str, str], list[tuple[float, Window]]] = defaultdict(list)
    for passage in passages:
        for window in _sentences(passage) if _comparable(stated.window.passage.chunk, passage.chunk) else ():
            closeness = _closeness(stated.window, window, weigh)
            if closeness >= SAME_SUBJECT:
                closest[passage.chunk.document, passage.chunk.version].append((closeness, window))
    for windows in closest.values():
        most = max(closeness for closeness, _ in windows)
        rivals = [window for closeness, window in windows if closeness >= most]
        apart = [difference(_read(stated.window), _read(window), weigh=weigh) for window in rivals]
        if apart[0] is not None and all(apart):
            yield _Dissent(stated, rivals[0], apart[0])


def _comparable(one: Stored, other: Stored) -> bool:
    """Tell whether two chunks can speak of one thing: records only of one product, by name."""
    if "record" not in {one.kind, other.kind}:
        return True
    return one.kind == other.kind and [part.casefold() for part in one.path] == [part.casefold() for part in other.path]


def _closeness(one: Window, other: Window, weigh: Weigh) -> float:
    if one.passage.chunk.kind == "record" and one.text.partition(":")[0] != other.text.partition(":")[0]:
        return 0.0  # another attribute
    return alike(facts_of(_read(one)), facts_of(_read(other)), weigh=weigh)


def _read(window: Window) -> str:
    """Return a sentence as it is compared: a record's line reads only with its product's name."""
    chunk = window.passage.chunk
    return f"{' '.join(chunk.path)}: {window.text}" if chunk.kind == "record" else window.text


def _reported(dissents: Iterable[_Dissent], between: ConflictBetween, citations: CitationList) -> Iterator[Conflict]:
    """Yield Conflicts, both sides cited; what does not stand at its place is left out."""
    for one in dissents:
        number = citations.cite(one.other, score=one.difference.closeness)
        if number is not None:
            first = _side(one.stated.window, one.difference.first, one.stated.number)
            second = _side(one.other, one.difference.second, number)
            about = one.difference.about
            yield Conflict(about, between, first, second, _statement(about, first, second, between))


def _side(window: Window, said: str, citation: int) -> ConflictSide:
    chunk = window.passage.chunk
    since, until = _day(chunk.effective_from), _day(chunk.effective_to)
    return ConflictSide(chunk.document, chunk.version, chunk.title, said, window.text, citation, since, until)


def _statement(about: str, first: ConflictSide, second: ConflictSide, between: ConflictBetween) -> str:
    """Return a conflict as a line of the answer; values stand as they are, other words as quotes."""
    said = [side.said if about in VALUES else f"“{side.said}”" for side in (first, second)]
    said = [f"{words} [{side.citation}]" for words, side in zip(said, (first, second), strict=True)]
    if between == "versions":
        before = f"the version in force before {second.effective_to} said {said[1]}"
        return f"The versions disagree: {_name(first)} says {said[0]}, {before}."
    names = [_name(first), _name(second)]
    if names[0] == names[1]:
        names = [first.document, second.document]
    return f"The documents disagree: {names[0]} says {said[0]}, {names[1]} says {said[1]}."


def _name(side: ConflictSide) -> str:
    name = " ".join((side.title or side.document).split())
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME].rsplit(' ', 1)[0]} ..."


def _day(number: int) -> str:
    """Return a day of the index as a date, "" where it is open."""
    if number in {day_number(ALWAYS), NO_END}:
        return ""
    return f"{number // 10000:04d}-{number // 100 % 100:02d}-{number % 100:02d}"
