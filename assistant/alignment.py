"""Alignment: a sentence laid beside a window of the evidence, and what every difference means.

Tokens come from `assistant.facts`. Equal runs are found in order; what lies between two of them is a word said
otherwise, a word added, or words left out. Rules, doubt meaning no: a differing number, date, unit, name or word of
negation, modality, comparison, limit or order in time is a conflict; so is a negation or limit that stands beside the
words used and was left out. What may be left out holds none of these and ends no sentence. One part may be moved
("within 30 days, A pays" and "A pays within 30 days") when both parts are otherwise whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Literal

from assistant.facts import Fact

Conflict = Literal["number", "date", "unit", "negation", "modality", "comparison", "limit", "order", "name"]
Verdict = Literal["same", "other", "conflict"]

_MOST_SKIPPED = 14
_BESIDE = 3
_DECIDING = {"negation", "modality", "comparison", "limit", "order"}
_GUARDED = {"negation", "limit"}
_PRONOUNS = {"we", "you"}
_FRAME = frozenset(
    "according accord passage document text state say mention note say therefore thus however under here policy "
    "agreement answer stat says states stated per section also about if".split()
)


@dataclass(frozen=True)
class Comparison:
    """A verdict with its reason; `unsaid` are the stems that the sentence adds."""

    verdict: Verdict
    reason: str = ""
    conflict: Conflict | Literal[""] = ""
    unsaid: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Gap:
    """What a sentence has (`extra`) and what the window has (`skipped`) between two equal runs, or at an edge."""

    extra: Sequence[Fact]
    skipped: Sequence[Fact]
    edge: Literal["", "start", "end"]
    following: Fact | None  # the window's token after the gap
    broken: bool  # the sentence itself ends here
    overrun: bool = False  # an equal run goes on over the end of a sentence of the window


def compare(
    sentence: Sequence[Fact], window: Sequence[Fact], *, named: AbstractSet[str], record: bool = False
) -> Comparison:
    """Return what the differences mean; `named` are stems of the title and headings over the window.

    In a record the product's name stands over every line, so it may replace words there.
    """
    unsaid: list[str] = []
    found = Comparison("same")
    held = {fact.value for fact in window}
    for gap in _gaps(_alike(sentence, window), window):
        one = _moved(gap, held - named if record else held) or _judge(gap, named=named, record=record)
        unsaid += one.unsaid
        if one.verdict == "conflict":
            return one
        found = one if one.verdict == "other" and found.verdict == "same" else found
    return replace(found, unsaid=tuple(unsaid))


def compare_turned(sentence: Sequence[Fact], window: Sequence[Fact], *, named: AbstractSet[str]) -> bool:
    """Tell whether a sentence says the same with one part moved from its front to its end, and adds nothing."""
    alike = _alike(sentence, window)
    for cut in _cuts(alike, window):
        turned = [*alike[cut:], *alike[:cut]]
        if not _is_movable(alike[:cut]) and not _is_movable(alike[cut:]):
            continue
        gaps = list(_gaps(turned, window))
        if any(gap.extra for gap in gaps):
            continue
        if all(_judge(gap, named=named, record=False).verdict == "same" for gap in gaps):
            return True
    return False


def _cuts(sentence: Sequence[Fact], window: Sequence[Fact]) -> Iterator[int]:
    """Yield the places where a sentence's neighbours do not follow each other in the window."""
    pairs = {(first.value, then.value) for first, then in itertools.pairwise(window)}
    for place in range(2, len(sentence) - 1):
        if (sentence[place - 1].value, sentence[place].value) not in pairs:
            yield place


def _is_movable(part: Sequence[Fact]) -> bool:
    """Tell whether a part can move: several words that are not just a name, or a time or amount."""
    return len(part) >= 2 and not all(fact.named or fact.kind == "joint" for fact in part)


def _alike(sentence: Sequence[Fact], window: Sequence[Fact]) -> list[Fact]:
    """Return the sentence with words replaced by the window's form of the same word ("terminating", "termination")."""
    held = {fact.value for fact in window}
    forms = [fact for fact in window if fact.kind == "word"]
    return [
        fact if fact.kind != "word" or fact.value in held else replace(fact, value=_form(fact, forms) or fact.value)
        for fact in sentence
    ]


def _form(fact: Fact, forms: Sequence[Fact]) -> str:
    return next((form.value for form in forms if _same_word(fact.said.casefold(), form.said.casefold())), "")


def _same_word(one: str, other: str) -> bool:
    """Tell whether two words share a long beginning; words for persons ("lessor", "lessee") never do."""
    if _is_person(one) != _is_person(other) or (_is_person(one) and one.rstrip("s") != other.rstrip("s")):
        return False
    shorter, longer = sorted((one, other), key=len)
    least = max(5, round(0.75 * len(longer)))
    return len(shorter) >= least and shorter[:least] == longer[:least] and one.isalpha() and other.isalpha()


def _is_person(word: str) -> bool:
    return word.rstrip("s").endswith(("er", "or", "ee", "ant", "ent"))


def _runs_over(sentence: Sequence[Fact], window: Sequence[Fact]) -> bool:
    """Tell whether an equal run goes on over the end of a sentence of the window where the sentence does not end."""
    return any(theirs.after == 2 and mine.after == 0 for mine, theirs in zip(sentence[1:], window[1:], strict=True))


def _gaps(sentence: Sequence[Fact], window: Sequence[Fact]) -> Iterator[_Gap]:
    a, b = [fact.value for fact in sentence], [fact.value for fact in window]
    blocks = [block for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks() if block.size]
    if not blocks:
        yield _Gap(sentence, window, "", None, broken=False)
        return
    first, last = blocks[0], blocks[-1]
    over = any(
        _runs_over(sentence[block.a : block.a + block.size], window[block.b : block.b + block.size]) for block in blocks
    )
    yield _Gap(sentence[: first.a], window[: first.b], "start", window[first.b], broken=False, overrun=over)
    for block, then in itertools.pairwise(blocks):
        extra, skipped = sentence[block.a + block.size : then.a], window[block.b + block.size : then.b]
        broken = any(fact.after == 2 for fact in sentence[block.a + block.size : then.a + 1])
        yield _Gap(extra, skipped, "", window[then.b], broken=broken)
    yield _Gap(sentence[last.a + last.size :], window[last.b + last.size :], "end", None, broken=False)


def _judge(gap: _Gap, *, named: AbstractSet[str], record: bool) -> Comparison:
    skipped = _beside(gap)
    extra = [
        fact for fact in gap.extra if fact.kind != "joint" and not _stands_over(fact, named, skipped, record=record)
    ]
    if gap.overrun:
        return Comparison("other", "it joins parts of two sentences of the passage")
    if not extra:
        return _judge_joints(gap) or _judge_skipped(gap, skipped)
    deciding = _deciding_difference(extra, skipped)
    if deciding is not None:
        return deciding
    if any(fact.kind != "joint" for fact in skipped):
        return _said_otherwise(extra, skipped)
    return _judge_added(extra, named)


def _moved(gap: _Gap, held: AbstractSet[str]) -> Comparison | None:
    """Return that a word stands elsewhere in the window: the same words can be put together to say something else."""
    moved = [fact for fact in gap.extra if fact.kind == "word" and fact.value in held]
    if not moved or any(fact.kind != "word" for fact in gap.extra):
        return None
    reason = f"“{moved[0].said}” stands elsewhere in the passage"
    if moved[0].named or moved[0].value in _PRONOUNS:
        return Comparison("conflict", reason, "name")
    return Comparison("other", reason)


def _stands_over(fact: Fact, named: AbstractSet[str], skipped: Sequence[Fact], *, record: bool) -> bool:
    """Tell whether a word may come from the title or headings and not from the window.

    Not where it takes another word's place, unless it says who "we" are; a record's may, but for an amount.
    """
    if fact.value not in named:
        return False
    if fact.kind in {"number", "date"} and (not record or any(one.kind == fact.kind for one in skipped)):
        return False
    return record or _is_only_pronouns(skipped) or not (fact.named or skipped)


def _is_only_pronouns(skipped: Sequence[Fact]) -> bool:
    return bool(skipped) and all(fact.value in _PRONOUNS for fact in skipped)


def _beside(gap: _Gap) -> Sequence[Fact]:
    """Return what the window has at a gap: all of it inside, only what stands next to the used words at an edge."""
    if not gap.edge:
        return gap.skipped
    if gap.edge == "end":
        kept: list[Fact] = []
        for fact in gap.skipped[:_BESIDE]:
            if fact.after == 2:
                break
            kept.append(fact)
        return kept
    before: list[Fact] = []
    stops_at = 2 if gap.extra else 1  # a word said otherwise may stand before a comma
    ends = gap.following is not None and gap.following.after >= stops_at
    for fact in reversed(gap.skipped[-_BESIDE:]):
        if ends:
            break
        before.insert(0, fact)
        ends = fact.after >= stops_at
    return before


def _deciding_difference(extra: Sequence[Fact], skipped: Sequence[Fact]) -> Comparison | None:
    """Return the conflict of a gap that holds numbers, dates or deciding words, where there is one."""
    held = {fact.value for fact in skipped}
    for fact in extra:
        if fact.kind in {"number", "date"}:
            return _amount_conflict(fact, skipped)
        if fact.kind in _DECIDING and fact.value not in held:
            return Comparison("conflict", f"the passage does not say “{fact.said}” here", fact.kind)  # type: ignore[arg-type]
    said = {fact.value for fact in extra}
    for fact in skipped:
        if fact.kind in _DECIDING and fact.value not in said:
            return Comparison("conflict", f"the passage says “{fact.said}” here", fact.kind)  # type: ignore[arg-type]
    return None


def _amount_conflict(fact: Fact, skipped: Sequence[Fact]) -> Comparison:
    kind: Conflict = "date" if fact.kind == "date" else "number"
    other = next((one for one in skipped if one.kind == fact.kind), None)
    if other is not None and kind == "number" and fact.value.split()[0] == other.value.split()[0]:
        kind = "unit"
    said = f", it says {other.said}" if other is not None else ""
    return Comparison("conflict", f"the passage does not hold the {kind} {fact.said}{said}", kind)


def _said_otherwise(extra: Sequence[Fact], skipped: Sequence[Fact]) -> Comparison:
    mine, theirs = " ".join(fact.said for fact in extra), " ".join(fact.said for fact in skipped)
    reason = f"the passage says “{theirs[:60]}” where the sentence says “{mine[:60]}”"
    replaced = any(fact.named for fact in skipped) and any(fact.said[:1].isupper() for fact in extra)
    if replaced or any(fact.named or fact.value in _PRONOUNS for fact in extra):
        return Comparison("conflict", reason, "name")
    return Comparison("other", reason, unsaid=tuple(fact.value for fact in extra))


def _judge_added(extra: Sequence[Fact], named: AbstractSet[str]) -> Comparison:
    unknown = [fact for fact in extra if fact.value not in _FRAME and fact.value not in named]
    for fact in unknown:
        if fact.named or fact.value in _PRONOUNS:
            return Comparison("conflict", f"the passage does not name {fact.said} here", "name")
    return Comparison("same", unsaid=tuple(fact.value for fact in unknown))


def _judge_joints(gap: _Gap) -> Comparison | None:
    """Return a conflict where "and" and "or" changed places."""
    mine = {fact.value for fact in gap.extra if fact.kind == "joint"}
    theirs = {fact.value for fact in gap.skipped if fact.kind == "joint"}
    if mine and theirs and not mine & theirs and len(gap.skipped) == 1:
        return Comparison("other", f"the passage says “{gap.skipped[0].said}” here")
    return None


def _judge_skipped(gap: _Gap, skipped: Sequence[Fact]) -> Comparison:
    """Judge words left out: harmless, partly (they narrow what is said), or a conflict (they negate it)."""
    guarded = next((fact for fact in skipped if _turns(fact)), None)
    if gap.edge:
        later = guarded is not None and gap.edge == "end" and (guarded is not skipped[0] or guarded.after > 0)
        if guarded is None or (later and guarded.kind == "negation"):
            return Comparison("same")
        return _left_out(guarded, aside=gap.edge == "end")
    if not skipped:
        return Comparison("same")
    aside = skipped[0].after > 0 and gap.following is not None and gap.following.after > 0
    if guarded is not None:
        return _left_out(guarded, aside=aside)
    return (
        Comparison("other", "words of the passage between these were left out")
        if _narrows(gap, aside)
        else (Comparison("same"))
    )


def _turns(fact: Fact) -> bool:
    return fact.kind in _GUARDED or (fact.kind == "modality" and fact.value in {"prohibited", "exempt", "should not"})


def _left_out(fact: Fact, *, aside: bool) -> Comparison:
    reason = f"the passage says “{fact.said}” here, which was left out"
    return Comparison("other", reason) if aside else Comparison("conflict", reason, fact.kind)  # type: ignore[arg-type]


def _narrows(gap: _Gap, aside: bool) -> bool:
    skipped = gap.skipped
    ends = any(fact.after == 2 for fact in [*skipped, *([gap.following] if gap.following else [])])
    if ends and not gap.broken:
        return True
    if len(skipped) > _MOST_SKIPPED:
        return True
    if aside:
        return False
    before_verb = gap.following is not None and gap.following.kind in {"modality", "negation"}
    return before_verb or any(fact.kind in {"number", "date", "modality", "order"} or fact.named for fact in skipped)
