"""Differences: what two sentences on one subject state otherwise: a period, an amount, a date, a rule.

Pure: two sentences in, what is at odds out; it opens no index and knows no document. Two ways to tell. Sentences that
share most of their words, weighed by rarity, are at odds where each gives values of one unit and none is common (but
not where one bounds from above and the other from below), or where one prohibits what the other allows. Sentences that
are the same but for a few words are laid beside each other, and what stands in one place of both is compared. Rules,
doubt meaning no difference: who or what is named must not differ on both sides; numbers without a unit count only in
one place of both, and never as the number of a section, a form or an item.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from assistant.facts import Fact, facts_of
from ingest.words import stem

SAME_SUBJECT = 0.6
SAME_SUBJECT_FOR_RULES = 0.75
NEARLY_SAME = 0.8
_FEWEST_WORDS = 3
_OPPOSITE = frozenset({("may", "prohibited"), ("must", "prohibited"), ("exempt", "must")})
_DAYS = {"second": 1 / 86400, "day": 1.0, "month": 30.4, "quarter": 91.3}
_ABOUT_AS_LONG = 0.035  # twelve months are a year of 365 days
_KINDS = {
    **dict.fromkeys(("second", "day", "month", "quarter", "business-day"), "period"),
    **dict.fromkeys(("usd", "eur", "gbp"), "amount"),
    "%": "percent",
    "date": "date",
    "rule": "rule",
}
VALUES = frozenset({"period", "amount", "percent", "date"})  # what is said of these reads by itself
_ABOVE, _BELOW = frozenset({"<", "<=", "within", "before", "until"}), frozenset({">", ">="})
_NUMBERED = frozenset(
    stem(word)
    for word in (
        "section sections clause article articles table figure page pages form level appendix annex exhibit schedule "
        "chapter part step phase version item paragraph subparagraph number no tier class type category title rule "
        "attachment release line note room suite publication standard topic module"
    ).split()
)
_BEFORE, _AFTER = 1, 4
_INDENT = 2  # signs before the number of an item
_LEADER = "....."
_RULES = frozenset({"modality", "negation", "comparison", "order"})


@dataclass(frozen=True)
class Difference:
    """What is at odds ("period", "amount", "percent", "date", "number", "rule"), in the words of each sentence.

    `closeness` says how alike the subjects are, from 0 to 1.
    """

    about: str
    first: str
    second: str
    closeness: float


def difference(first: str, second: str, *, weigh: Callable[[str], float]) -> Difference | None:
    """Return what two sentences on one subject state differently, None where they agree or cannot be compared.

    `weigh` gives the rarity of a stem.
    """
    if _LEADER in first or _LEADER in second:  # a line of a table of contents states nothing
        return None
    mine, theirs = facts_of(first), facts_of(second)
    closeness = alike(mine, theirs, weigh=weigh)
    if closeness < SAME_SUBJECT or _other_names(mine, theirs):
        return None
    found = _in_place(mine, theirs) if closeness >= NEARLY_SAME else None
    found = found or _values_apart(mine, theirs)
    if found is None and closeness >= SAME_SUBJECT_FOR_RULES:
        found = _opposite(mine, theirs)
    if found is None:
        return None
    about, ours, others = found
    return Difference(about, _words(first, ours), _words(second, others), closeness)


def alike(first: Sequence[Fact], second: Sequence[Fact], *, weigh: Callable[[str], float]) -> float:
    """Return the share of their words that two sentences have in common, weighed by rarity; values do not count."""
    mine, theirs = ({fact.value for fact in facts if fact.kind == "word"} for facts in (first, second))
    if min(len(mine), len(theirs)) < _FEWEST_WORDS:
        return 0.0
    whole = sum(weigh(word) for word in mine | theirs)
    return sum(weigh(word) for word in mine & theirs) / whole if whole else 0.0


_Run = Sequence[Fact]  # tokens that stand together
_Found = tuple[str, Sequence[_Run], Sequence[_Run]]  # about, what the first says, what the second says


def _other_names(first: Sequence[Fact], second: Sequence[Fact]) -> bool:
    """Tell whether each sentence names somebody or something that the other does not hold."""
    mine, theirs = {fact.value for fact in first}, {fact.value for fact in second}
    return any(fact.named and fact.value not in theirs for fact in first) and any(
        fact.named and fact.value not in mine for fact in second
    )


def _values_apart(first: Sequence[Fact], second: Sequence[Fact]) -> _Found | None:
    """Return values of one unit where no value is common and no bound makes them agree."""
    ours, others = _by_unit(first), _by_unit(second)
    for unit in sorted(set(ours) & set(others)):
        if not set(ours[unit]) & set(others[unit]) and not _bounded_apart(first, second):
            mine, theirs = ([[fact] for fact in values[unit].values()] for values in (ours, others))
            return _KINDS.get(unit, "number"), mine, theirs
    return None


def _by_unit(facts: Sequence[Fact]) -> Mapping[str, Mapping[str, Fact]]:
    """Return values by unit; a bare number or an ordinal has no unit and is left out."""
    found: dict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in facts:
        unit = _unit(fact)
        if unit and unit != "th":
            found[unit][fact.value] = fact
    return found


def _unit(fact: Fact) -> str:
    if fact.kind == "date":
        return "date"
    return fact.value.partition(" ")[2] if fact.kind == "number" else ""


def _bounded_apart(first: Sequence[Fact], second: Sequence[Fact]) -> bool:
    """Tell whether one sentence bounds from above and the other from below: both may hold."""
    mine, theirs = ({fact.value for fact in facts if fact.kind in _RULES} for facts in (first, second))
    return any(
        one & _ABOVE and not one & _BELOW and other & _BELOW and not other & _ABOVE
        for one, other in ((mine, theirs), (theirs, mine))
    )


def _opposite(first: Sequence[Fact], second: Sequence[Fact]) -> _Found | None:
    """Return two opposite rules, where each sentence has just one: which of several is meant cannot be told."""
    mine, theirs = ([place for place, fact in enumerate(facts) if fact.kind == "modality"] for facts in (first, second))
    if len(mine) != 1 or len(theirs) != 1:
        return None
    if tuple(sorted((first[mine[0]].value, second[theirs[0]].value))) not in _OPPOSITE:
        return None
    return "rule", [_around(first, mine[0], mine[0] + 1)], [_around(second, theirs[0], theirs[0] + 1)]


def _in_place(first: Sequence[Fact], second: Sequence[Fact]) -> _Found | None:
    """Return the first value, or else the first rule, that differs in one place of two nearly equal sentences."""
    matcher = SequenceMatcher(None, [fact.value for fact in first], [fact.value for fact in second], autojunk=False)
    gaps = [(slice(a, b), slice(c, d)) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]
    for compare in (_values_at, _rules_at):
        for mine, theirs in gaps:
            found = compare(first, second, mine, theirs)
            if found is not None:
                return found
    return None


def _values_at(first: Sequence[Fact], second: Sequence[Fact], mine: slice, theirs: slice) -> _Found | None:
    """Return values of one kind that stand in the same place; where their numbers differ it cannot be told which."""
    ours, others = _values_in(first, mine), _values_in(second, theirs)
    for one, other in zip(ours, others, strict=True) if len(ours) == len(others) else ():
        about = _about(first[one], second[other])
        if about and not _about_as_long(first[one], second[other]):
            return about, [_counted(first, one)], [_counted(second, other)]
    return None


def _values_in(facts: Sequence[Fact], places: slice) -> list[int]:
    """Return the places of the values in a gap."""
    among = range(places.start, places.stop)
    return [place for place in among if facts[place].kind in {"number", "date"} and not _is_label(facts, place)]


def _counted(facts: Sequence[Fact], place: int) -> _Run:
    """Return a value, with the words after it that say of what, where it has no unit of its own."""
    return facts[place : place + 1] if _unit(facts[place]) else facts[place : place + _AFTER // 2 + 1]


def _is_label(facts: Sequence[Fact], place: int) -> bool:
    """Tell whether a number names something ("Section 4.2", "FIPS 199", the number of an item) and counts nothing."""
    if facts[place].kind != "number" or _unit(facts[place]):
        return False
    if not place:
        return facts[place].start <= _INDENT
    before = facts[place - 1]
    if before.value in _NUMBERED or (before.kind == "number" and not _unit(before)):
        return True
    return before.kind == "word" and before.said.isupper() and len(before.said) > 1


def _about(one: Fact, other: Fact) -> str:
    """Return what two values are values of, "" where they are not of one kind."""
    units = _unit(one), _unit(other)
    kinds = [_KINDS.get(unit, "number") for unit in units]
    same = units[0] == units[1] or (kinds[0] == kinds[1] and kinds[0] != "number")
    same = same or (all(units) and one.value.split()[0] == other.value.split()[0])  # 5 mm and 5 cm
    return kinds[0] if same and one.value != other.value else ""


def _about_as_long(one: Fact, other: Fact) -> bool:
    units = _unit(one), _unit(other)
    if units[0] == units[1] or not all(unit in _DAYS for unit in units):
        return False
    days = [float(fact.value.split()[0]) * _DAYS[unit] for fact, unit in zip((one, other), units, strict=True)]
    return abs(days[0] - days[1]) <= _ABOUT_AS_LONG * max(days)


def _rules_at(first: Sequence[Fact], second: Sequence[Fact], mine: slice, theirs: slice) -> _Found | None:
    """Return rules that stand in the same place and exclude each other, or a negation that only one has."""
    ours, others = ([fact for fact in facts if fact.kind in _RULES] for facts in (first[mine], second[theirs]))
    if not _excluding(ours, others):
        return None
    return "rule", [_around(first, mine.start, mine.stop)], [_around(second, theirs.start, theirs.stop)]


def _excluding(ours: Sequence[Fact], others: Sequence[Fact]) -> bool:
    if len(ours) > 1 or len(others) > 1:
        return False
    if not ours or not others:
        return any(fact.kind == "negation" for fact in (*ours, *others))
    one, other = ours[0], others[0]
    if one.kind != other.kind or one.kind == "negation":
        return False
    return one.value != other.value and "would" not in {one.value, other.value}


def _around(facts: Sequence[Fact], start: int, stop: int) -> _Run:
    """Return a run of tokens with its neighbours, for a person to see what is ruled."""
    return facts[max(0, start - _BEFORE) : stop + _AFTER]


def _words(text: str, runs: Sequence[_Run]) -> str:
    """Return the words of some runs as the sentence has them."""
    return ", ".join(" ".join(text[run[0].start : _end(text, run[-1])].split()) for run in runs)


def _end(text: str, fact: Fact) -> int:
    """Return the place after a token, which was read without white space and hyphens: "30-day" as "30 day"."""
    place = fact.start
    for sign in fact.said:
        place = place if sign.isspace() else text.index(sign, place) + 1
    return place
