# ruff: noqa: S311 (chance is seeded)
"""Copies of documents in which single sentences say otherwise: one number, date, unit, negation or modality each.

Seeded, no model. The alterations of sentences are those of `altered_sentences`; counts are changed in digits and words
at once ("thirty (30) days"), and the numbers of sections, tables and tiers are left alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.altered_sentences import (
    MONTHS,
    alter_date,
    alter_modality,
    alter_unit,
    changed,
    insert_negation,
    is_usable,
    remove_negation,
)
from ingest.words import split_sentences

APART = 3  # sentences left as they are after each altered one, one where values are at hand


@dataclass(frozen=True)
class Altered:
    """A sentence of a document before and after; kind "none" where it was left as it is."""

    document: str
    kind: str
    before: str
    after: str


def alter_all(texts: Mapping[str, str], *, most: int, seed: int) -> tuple[list[Altered], dict[str, str]]:
    """Return the sentences of all texts, altered or not, and the altered copies."""
    altered: list[Altered] = []
    copies = {}
    for name, text in texts.items():
        found = list(alter_text(name, text, most=most, chance=Random(f"{seed} {name}")))
        copies[name] = rewritten(text, found)
        altered += [one for _, one in found]
    return altered, copies


def alter_text(name: str, text: str, *, most: int, chance: Random) -> Iterator[tuple[tuple[int, int], Altered]]:
    """Yield the usable sentences with their places; at most `most` are altered, values first, then rules by turns."""
    wait, made = 0, Counter[str]()
    for start, end in split_sentences(text):
        before = " ".join(text[start:end].split())
        if not is_usable(before, "policy") or text.count(before[:40]) > 1:
            continue
        wait -= 1
        kinds = ALL if wait < 0 else VALUES if wait < APART - 1 else ()
        one = alter(before, kinds, made, chance) if made.total() < most else None
        if one is not None:
            made[one[0]] += 1
            wait = APART
        kind, after = one or ("none", before)
        yield (start, end), Altered(name, kind, before, after)


def alter(sentence: str, kinds: Sequence[str], made: Counter[str], chance: Random) -> tuple[str, str] | None:
    for kind in sorted(kinds, key=lambda one: (one in RULES, made[one], kinds.index(one))):
        after = KINDS[kind](sentence, chance, None)  # type: ignore[arg-type]
        if after is not None and changed(sentence, after):
            return kind, after
    return None


LABELLED = (
    r"(?:[Ss]ections?|[Aa]rticles?|[Cc]lauses?|[Ee]xhibits?|[Tt]ables?|[Ff]igures?|[Aa]ppendix|[Ss]chedules?|[Pp]arts?|"
    r"[Pp]aragraphs?|[Tt]iers?|[Ii]tems?|[Ll]evels?|[Cc]hapters?|[Pp]ages?|[Ss]teps?|[Rr]ules?|[Vv]ersions?|[A-Z]{2,}|"
    r"and|or|to) $"
)
WORDS = "one two three four five six seven eight nine ten fifteen twenty thirty forty fifty sixty ninety".split()
COUNTS = dict(zip(WORDS, [*range(1, 11), 15, 20, 30, 40, 50, 60, 90], strict=True))


def alter_count(sentence: str, chance: Random, _: object) -> str | None:
    """Change a count, amount or length, in digits, in words, or in both ("thirty (30) days")."""
    words = "|".join(WORDS[1:])
    found = [
        match
        for match in re.finditer(
            rf"\b(?P<word>{words})\b(?: \((?P<again>\d+)\))?|(?<![\w.,/-])(?P<digits>\d[\d,]*)(?![\w-]|[.,]\d)",
            sentence,
            re.IGNORECASE,
        )
        if match.start()
        and not re.search(LABELLED, sentence[: match.start()])
        and not re.fullmatch(r"(?:19|20)\d\d", match.group())
        and not re.search(rf"(?:{'|'.join(MONTHS)}) $", sentence[: match.start()])
        and not (match["word"] is None and sentence[: match.start()].endswith("("))
    ]
    if not found:
        return None
    match = chance.choice(found)
    if match["word"]:
        new = chance.choice([word for word in WORDS[1:] if word != match["word"].casefold()])
        new = f"{new} ({COUNTS[new]})" if match["again"] else new
    else:
        new = str(int(match["digits"].replace(",", "")) + chance.choice([1, 2, 5, 10, 30]))
    return sentence[: match.start()] + new + sentence[match.end() :]


VALUES = ("date", "unit", "count")
RULES = ("negation inserted", "negation removed", "modality")
ALL = (*VALUES, *RULES)
KINDS = {
    "count": alter_count,
    "date": alter_date,
    "unit": alter_unit,
    "negation inserted": insert_negation,
    "negation removed": remove_negation,
    "modality": alter_modality,
}


def rewritten(text: str, found: Sequence[tuple[tuple[int, int], Altered]]) -> str:
    for (start, end), one in reversed(found):
        if one.kind != "none":
            text = text[:start] + one.after + text[end:]
    return text


def alter_quote(text: str, quote: str, document: str, chance: Random) -> tuple[str, Altered] | None:
    """Alter the first sentence that a piece of evidence stands in and that holds something to alter."""
    place = re.search(r"\s+".join(map(re.escape, quote.split())), text)
    for start, end in split_sentences(text) if place else ():
        if place and start < place.end() and place.start() < end:
            before = " ".join(text[start:end].split())
            changed_to = alter(before, ALL, Counter(), chance)
            if changed_to is not None:
                kind, after = changed_to
                return text[:start] + after + text[end:], Altered(document, kind, before, after)
    return None
