"""What a new index changes for golden questions: which lose their place, and which would be answered differently.

Pure comparisons of what two indexes gave for the same questions. A question keeps its place where some passage holds
its evidence, or where a passage of the same document stands under the clause and headings that held it before: an
edited sentence is still found, and its new wording is told as a changed answer. A place that slips from the first
Passages (those that retrieval returns) to just below them is told, and counts as lost beyond twice the rank it had: an
edit elsewhere moves the last of them by chance, and not the second. Answers are compared by what a person
would notice: answered or refused, the words, and the document, page and clause cited; a new version alone is no change.
It searches nothing and answers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from assistant.golden import Found, GoldenQuestion, holds_evidence
from ingest.ingest_report import ReportPart

Search = Callable[[str], Sequence[Found]]
_MOST_NAMED = 5
_MOST_CHARACTERS = 100


@dataclass(frozen=True)
class FoundPlace:
    """Where the evidence of a question was found: the rank (from 1) and the address of the passage."""

    rank: int
    document: str
    clause: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class MovedPlace:
    """A question whose evidence the live index has among the first and the new one further down, or not (0)."""

    id: str
    question: str
    document: str
    rank_before: int
    rank_after: int


@dataclass(frozen=True)
class PlaceChanges:
    """How many of the questions asked find their evidence before (0 where nothing answered yet) and after.

    What `slipped` counts as found; what is `lost` does not.
    """

    asked: int
    found_before: int
    found_after: int
    lost: tuple[MovedPlace, ...] = ()
    slipped: tuple[MovedPlace, ...] = ()

    @property
    def drop(self) -> float:
        """Return the share of the questions that are found no more, those newly found set against them."""
        return max(0, self.found_before - self.found_after) / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class AnswerSketch:
    """What a person notices of an answer: the words ("" for a refusal) and the places cited."""

    answer: str
    abstained: bool
    places: tuple[str, ...]


@dataclass(frozen=True)
class AnswerChange:
    """A question that is answered differently, and in what: "answered", "refused", "place" or "words"."""

    id: str
    question: str
    what: str
    before: AnswerSketch
    after: AnswerSketch


def with_places(questions: Sequence[GoldenQuestion]) -> list[GoldenQuestion]:
    """Return the questions whose place is known: those that can be answered and name their evidence."""
    return [question for question in questions if question.answerable and question.evidence]


def find_place(
    question: GoldenQuestion, found: Sequence[Found], *, before: FoundPlace | None = None
) -> FoundPlace | None:
    """Return the first passage that holds a question's evidence or stands where it stood before, None for none."""
    for rank, passage in enumerate(found, start=1):
        place = FoundPlace(rank, passage["document"], passage["clause"], tuple(passage["path"]))
        if holds_evidence(passage, question) or (before is not None and _same_address(place, before)):
            return place
    return None


def compare_places(
    questions: Sequence[GoldenQuestion],
    before: Mapping[str, FoundPlace | None],
    after: Mapping[str, FoundPlace | None],
    *,
    first: int,
) -> PlaceChanges:
    """Compare where questions find their evidence, by their ids; `before` is empty where nothing answered yet.

    The places were looked for below the `first` ranks too, which are the ones that retrieval returns.
    """

    def rank(found: Mapping[str, FoundPlace | None], question: GoldenQuestion) -> int:
        place = found.get(question.id)
        return place.rank if place is not None else 0

    moved = [
        MovedPlace(one.id, one.question, place.document, place.rank, rank(after, one))
        for one in questions
        if (place := before.get(one.id)) is not None and place.rank <= first and not 0 < rank(after, one) <= first
    ]
    found_before, found_after = (sum(0 < rank(found, one) <= first for one in questions) for found in (before, after))
    slipped = tuple(one for one in moved if 0 < one.rank_after <= 2 * one.rank_before)
    lost = tuple(one for one in moved if one not in slipped)
    return PlaceChanges(len(questions), found_before, found_after + len(slipped), lost, slipped)


def describe_loss(changes: PlaceChanges, *, margin: float) -> str:
    """Return why a new index may not answer: the drop, the margin, and the questions that lost their place."""
    named = "; ".join(_named(one) for one in changes.lost[:_MOST_NAMED])
    more = len(changes.lost) - _MOST_NAMED
    return (
        f"of {changes.asked} golden questions {changes.found_before} find their place in the live index and "
        f"{changes.found_after} in the new one, a drop of {changes.drop:.0%} where {margin:.0%} is allowed. "
        f"Lost: {named}{f'; and {more} more' if more > 0 else ''}"
    )


def places_part(changes: PlaceChanges, *, digest: str, left_out: int, accepted: str) -> ReportPart:
    """Return the places as a part of the ingest report; `accepted` is the loss that the owner went on with, or ""."""
    value = {**asdict(changes), "questions": digest, "not_asked": left_out, "accepted": accepted}
    line = f"golden questions: {changes.found_after} of {changes.asked} find their place"
    lines = [f"{line} ({changes.found_before} before)" if changes.found_before else line]
    lines += [f"  lost its place: {_named(one)}" for one in changes.lost]
    lines += [f"  slipped a little: {_named(one)}" for one in changes.slipped]
    lines += [f"  accepted by the owner: {accepted}"] if accepted else []
    lines += [f"  {left_out} further golden questions were not asked"] if left_out else []
    return ReportPart("golden_places", value, tuple(lines))


def compare_answers(
    questions: Sequence[GoldenQuestion], before: Mapping[str, AnswerSketch], after: Mapping[str, AnswerSketch]
) -> list[AnswerChange]:
    """Return the questions that are answered differently, in their order."""
    pairs = [(question, before[question.id], after[question.id]) for question in questions if question.id in before]
    return [
        AnswerChange(question.id, question.question, what, old, new)
        for question, old, new in pairs
        if (what := _difference(old, new))
    ]


def answers_part(changes: Sequence[AnswerChange], *, asked: int) -> ReportPart:
    """Return the changed answers as a part of the ingest report."""
    value = {"asked": asked, "changed": [asdict(change) for change in changes]}
    lines = [f"golden answers: {len(changes)} of {asked} would now be answered differently"]
    lines += [f"  {_shown(one.question)} {_said(one)}" for one in changes]
    return ReportPart("golden_answers", value, tuple(lines))


def _named(moved: MovedPlace) -> str:
    now = f"now {moved.rank_after}" if moved.rank_after else "now not found"
    return f"{_shown(moved.question)} ({moved.document}: rank {moved.rank_before}, {now})"


def _same_address(place: FoundPlace, before: FoundPlace) -> bool:
    """Tell whether a passage stands where another stood; one without number and headings has no address."""
    address = (place.document, place.clause, place.path)
    return bool(place.clause or place.path) and address == (before.document, before.clause, before.path)


def _difference(old: AnswerSketch, new: AnswerSketch) -> str:
    if old.abstained != new.abstained:
        return "refused" if new.abstained else "answered"
    if old.places != new.places:
        return "place"
    return "words" if old.answer != new.answer else ""


def _said(change: AnswerChange) -> str:
    before, after = change.before, change.after
    match change.what:
        case "refused":
            return f"is refused now; it was answered {_shown(before.answer)}"
        case "answered":
            return f"is answered now: {_shown(after.answer)}"
        case "place" if before.answer == after.answer:
            return f"cites {'; '.join(after.places)} now, and {'; '.join(before.places)} before"
    return f"is answered {_shown(after.answer)} now, and {_shown(before.answer)} before"


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return f"“{line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 1] + '…'}”"
