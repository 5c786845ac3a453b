# ruff: noqa: ARG001, S311, PIE800 (every change has one signature; chance is seeded; tables are read by row)
"""How often is an altered sentence shown as supported, and how often a true one?

    python -m benchmarks.altered_sentences --data DATA --half test [--out FILE]

Sentences of contracts (CUAD), policies and product records get one alteration each (number, date, unit, name,
negation, modality, comparison) and are checked against the passage they come from and its neighbours, as
an answer is. True sentences are checked word for word and in light paraphrases by rule. Documents are split in two
halves by name: one to develop on, one to report. Seeded; no model.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from assistant.facts import facts_of
from assistant.metrics import risk_bound
from assistant.retrieve import Passage
from assistant.support import check_sentence
from benchmarks.measured import Figure, figure, write_result
from ingest.index import EVERYONE, NO_END, Stored
from ingest.vocabulary import Vocabulary, count_words
from ingest.words import split_lines, split_sentences

PASSAGE_CHARACTERS = 900
Alter = Callable[[str, random.Random, "Source"], str | None]


@dataclass(frozen=True)
class Source:
    """A document: its half, its kind and its passages."""

    name: str
    kind: str
    passages: tuple[Passage, ...]


@dataclass(frozen=True)
class Case:
    """A sentence with the passages it is checked against."""

    source: Source
    sentence: str
    passages: tuple[Passage, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Folder with contracts/, policies/ and products/.")
    parser.add_argument("--half", choices=["dev", "test"], default="test")
    parser.add_argument("--each", type=int, default=160, help="Altered sentences of each kind.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show", type=int, default=0, help="Print that many failures of each kind.")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    sources = [source for source in read_sources(arguments.data, chance) if half_of(source.name) == arguments.half]
    vocabulary = count_words(passage.chunk.text for source in sources for passage in source.passages)
    cases = list(read_cases(sources, chance))
    print(f"{arguments.half} half: {len(sources)} documents, {len(cases)} sentences, seed {arguments.seed}")
    altered = measure(cases, ALTERATIONS, vocabulary, arguments)
    report("altered", altered)
    true = measure(cases, TRUE_FORMS, vocabulary, arguments)
    report("true", true)
    if arguments.out:
        figures = {"altered_shown_as_supported": share_supported(list(altered.values())), "documents": len(sources)}
        figures |= {f"true: {kind}": share_supported([row]) for kind, row in true.items()}
        write_result(arguments.out, {**figures, **{f"altered: {k}": share_supported([r]) for k, r in altered.items()}})


def half_of(name: str) -> str:
    return "dev" if hashlib.sha256(name.encode()).digest()[0] % 2 else "test"


def read_sources(data: Path, chance: random.Random) -> Iterator[Source]:
    contracts = sorted((data / "contracts/cuad/txt").glob("*.txt"))
    handbook = sorted((data / "policies/18f-handbook/pages").rglob("*.md"))
    for path in [
        *chance.sample(contracts, min(120, len(contracts))),
        *chance.sample(handbook, min(120, len(handbook))),
    ]:
        text = path.read_text(encoding="utf-8", errors="replace")[:60000]
        yield cut_source(path.stem, "contract" if path in contracts else "policy", text)
    policies: dict[str, list[str]] = defaultdict(list)
    for line in (data / "policies/policyqa/dev_passages.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        policies[row["policy"]].append(row["text"])
    for name, texts in policies.items():
        yield cut_source(name, "policy", "\n\n".join(texts))
    lines = (data / "products/chorus_icecat/corpus.jsonl").read_text(encoding="utf-8").splitlines()
    for line in chance.sample(lines, 400):
        yield product(json.loads(line))


def cut_source(name: str, kind: str, text: str) -> Source:
    spans, start, passages = split_sentences(text), None, []
    for (first, end), following in zip(spans, [*spans[1:], None], strict=True):
        start = first if start is None else start
        if following is None or following[1] - start > PASSAGE_CHARACTERS:
            passages.append(make_passage(name, "clause", text[start:end], len(passages) + 1))
            start = None
    return Source(name, kind, tuple(passages))


def product(row: dict[str, object]) -> Source:
    title = str(row["title"])
    metadata = row["metadata"]
    assert isinstance(metadata, dict)
    attributes = {**metadata.get("attributes", {}), "price": f"{metadata.get('price_cents', 0) / 100:.2f} EUR"}
    text = "\n".join([title, *(f"{key.capitalize()}: {value}" for key, value in attributes.items()), str(row["text"])])
    return Source(str(row["_id"]), "product", (make_passage(title, "record", text, 1),))


def make_passage(name: str, kind: str, text: str, rank: int) -> Passage:
    path = (name,) if kind == "record" else ()
    stored = Stored(
        f"{name}:{rank}", name, "v", name, "", path, kind, None, 0, len(text), text, (EVERYONE,), 10101, NO_END
    )
    return Passage(stored, rank, 1.0, 1.0, 1.0)


def read_cases(sources: Sequence[Source], chance: random.Random) -> Iterator[Case]:
    for source in sources:
        places = chance.sample(range(len(source.passages)), min(12, len(source.passages)))
        for place in places:
            passage = source.passages[place]
            near = source.passages[max(0, place - 1) : place + 3]
            split = split_lines if source.kind == "product" else split_sentences
            for start, end in split(passage.chunk.text):
                sentence = " ".join(passage.chunk.text[start:end].split())
                if is_usable(sentence, source.kind):
                    yield Case(source, sentence, near)


def is_usable(sentence: str, kind: str) -> bool:
    if kind == "product":
        return ":" in sentence and 12 <= len(sentence) <= 200
    lower = sum(word.islower() for word in sentence.split())
    return 6 <= len(sentence.split()) <= 60 and sentence.endswith(".") and lower >= 4 and sentence[0].isupper()


# ---- alterations: each changes one fact, or returns None where there is none


def alter_number(sentence: str, chance: random.Random, source: Source) -> str | None:
    found = list(re.finditer(r"(?<![\w.,-])\d[\d,]*(?:\.\d+)?(?![\w-])", sentence))
    if not found:
        return alter_number_word(sentence, chance)
    match = chance.choice(found)
    value = match.group().replace(",", "")
    others = [one for one in re.findall(r"\b\d+\b", sentence) if one != value]
    new = chance.choice(
        [str(int(float(value)) + chance.choice([1, 2, 5, 10, 30])), value + "0", *others[:1]]
        if "." not in value
        else [f"{float(value) + chance.choice([0.1, 1, 10]):.2f}"]
    )
    return sentence[: match.start()] + new + sentence[match.end() :]


def alter_number_word(sentence: str, chance: random.Random) -> str | None:
    names = "two three four five six seven eight nine ten fifteen twenty thirty forty sixty ninety".split()
    found = list(re.finditer(r"\b(" + "|".join(names) + r")\b(?! \()", sentence))
    if not found:
        return None
    match = chance.choice(found)
    return sentence[: match.start()] + chance.choice([n for n in names if n != match.group()]) + sentence[match.end() :]


MONTHS = "January February March April May June July August September October November December".split()


def alter_date(sentence: str, chance: random.Random, source: Source) -> str | None:
    found = list(re.finditer(rf"\b(?:{'|'.join(MONTHS)})\b(?= \d)|(?<=\d )(?:{'|'.join(MONTHS)})\b", sentence))
    years = list(re.finditer(r"\b(?:19|20)\d\d\b", sentence))
    if not found and not years:
        return None
    match = chance.choice([*found, *years])
    new = (
        str(int(match.group()) + chance.choice([-1, 1, 2, 10]))
        if match.group().isdigit()
        else chance.choice([month for month in MONTHS if month != match.group()])
    )
    return sentence[: match.start()] + new + sentence[match.end() :]


UNIT_SWAPS = {
    **{"days": "months", "day": "month", "months": "years", "month": "week", "years": "months", "year": "month"},
    **{"weeks": "days", "hours": "days", "minutes": "hours", "percent": "dollars", "dollars": "euros"},
    **{"GB": "MB", "MB": "GB", "mm": "cm", "cm": "mm", "kg": "g", "W": "kW", "g": "kg", "EUR": "USD", "MHz": "GHz"},
    **{"GHz": "MHz", "pages": "copies", "m": "km", "V": "W"},
}


def alter_unit(sentence: str, chance: random.Random, source: Source) -> str | None:
    number = r"(?:\d|\b(?:one|two|three|four|five|six|ten|thirty|sixty|ninety)|\d\))"
    units = "|".join(sorted(UNIT_SWAPS, key=len, reverse=True))
    found = list(re.finditer(rf"{number}[ -](?:business |calendar )?(?P<unit>{units})\b", sentence))
    signs = list(re.finditer(r"(?P<unit>\$)(?=\d)", sentence))
    if not found and not signs:
        return None
    match = chance.choice([*found, *signs])
    new = UNIT_SWAPS.get(match["unit"], "€")
    return sentence[: match.start("unit")] + new + sentence[match.end("unit") :]


ROLES = (
    "Company|Customer|Supplier|Provider|Recipient|Licensor|Licensee|Distributor|Seller|Buyer|Purchaser|Consultant|"
    "Contractor|Client|Agent|Franchisee|Franchisor|Party|Parties|Bank|Affiliate|Manufacturer|Executive|Employee|"
    "employees|supervisor|manager|users|customers|visitors|children|parents|Vendor|Publisher|Developer|Reseller"
).split("|")
PRONOUN_SWAPS = {"we": "you", "We": "You", "you": "we", "You": "We", "our": "your", "your": "our", "Our": "Your"}


def alter_name(sentence: str, chance: random.Random, source: Source) -> str | None:
    held = list(re.finditer(rf"\b(?:{'|'.join(ROLES)})\b", sentence))
    names = list(re.finditer(r"(?<=[a-z,] )[A-Z][a-z]{3,}(?: [A-Z][a-z]{2,})*\b", sentence))
    pronouns = list(re.finditer(rf"\b(?:{'|'.join(PRONOUN_SWAPS)})\b", sentence))
    if not held and not names and not pronouns:
        return None
    match = chance.choice(held or names or pronouns)
    others = nearby_names(source, match.group()) or [role for role in ROLES[:20] if role != match.group()]
    new = PRONOUN_SWAPS.get(match.group()) or chance.choice(others)
    return sentence[: match.start()] + new + sentence[match.end() :]


def nearby_names(source: Source, name: str) -> list[str]:
    """Return other parties that the same document names: the hardest swap."""
    text = " ".join(passage.chunk.text for passage in source.passages[:6])
    counts = Counter(re.findall(rf"\b(?:{'|'.join(ROLES)})\b", text))
    return [one for one, _ in counts.most_common(5) if one.rstrip("s") != name.rstrip("s")]


def alter_swap(sentence: str, chance: random.Random, source: Source) -> str | None:
    """Let two parties of a sentence change places."""
    held = list(re.finditer(rf"\b(?:{'|'.join(ROLES)}|we|you|We|You)\b", sentence))
    pairs = [(a, b) for a, b in pairwise(held) if a.group().casefold() != b.group().casefold()]
    pairs = [(a, b) for a, b in pairs if not re.fullmatch(r"\W+(?:(?:and|or)\W+)?", sentence[a.end() : b.start()])]
    if not pairs:
        return None
    a, b = chance.choice(pairs)
    return sentence[: a.start()] + b.group() + sentence[a.end() : b.start()] + a.group() + sentence[b.end() :]


def insert_negation(sentence: str, chance: random.Random, source: Source) -> str | None:
    found = list(re.finditer(r"\b(shall|may|must|will|should|can|is|are|was|were)\b(?! (?:not|be not|only))", sentence))
    if not found:
        return None
    match = chance.choice(found)
    return sentence[: match.end()] + " not" + sentence[match.end() :]


def remove_negation(sentence: str, chance: random.Random, source: Source) -> str | None:
    found = list(
        re.finditer(
            r"\bcannot\b|\b(?:do|does|did) not\b|\bnot\b|\bnever\b|\bno(?= [a-z])|\bwithout\b|\bNo(?= [a-z])", sentence
        )
    )
    if not found:
        return None
    match = chance.choice(found)
    new = {"cannot": "can", "without": "with", "no": "any", "No": "Any"}.get(match.group(), "")
    return re.sub(r"\s+", " ", sentence[: match.start()] + new + sentence[match.end() :])


MODAL_SWAPS = {"shall": "may", "must": "may", "may": "must", "will": "may", "should": "must", "can": "must"}


def alter_modality(sentence: str, chance: random.Random, source: Source) -> str | None:
    found = list(re.finditer(rf"\b(?:{'|'.join(MODAL_SWAPS)})\b(?! not)", sentence))
    if not found:
        return None
    match = chance.choice(found)
    return sentence[: match.start()] + MODAL_SWAPS[match.group()] + sentence[match.end() :]


COMPARISON_SWAPS = {
    **{"at least": "at most", "at most": "at least", "more than": "less than", "less than": "more than"},
    **{"before": "after", "after": "before", "prior to": "after", "within": "after", "greater": "lower"},
    **{"higher": "lower", "lower": "higher", "increase": "decrease", "maximum": "minimum", "minimum": "maximum"},
    **{"only": "also", "up to": "at least", "except": "including", "including": "excluding", "until": "from"},
    **{"earlier": "later", "later": "earlier", "all": "some", "any": "no", "during": "after", "unless": "if"},
    **{"exclusive": "nonexclusive", "written": "oral", "internal": "external", "not exceed": "exceed"},
}


def alter_comparison(sentence: str, chance: random.Random, source: Source) -> str | None:
    found = list(re.finditer(rf"\b(?:{'|'.join(COMPARISON_SWAPS)})\b", sentence))
    if not found:
        return None
    match = chance.choice(found)
    return sentence[: match.start()] + COMPARISON_SWAPS[match.group()] + sentence[match.end() :]


def changed(before: str, after: str) -> bool:
    return [fact.value for fact in facts_of(before)] != [fact.value for fact in facts_of(after)]


ALTERATIONS: dict[str, Alter] = {
    "number": alter_number,
    "date": alter_date,
    "unit": alter_unit,
    "name replaced": alter_name,
    "parties swapped": alter_swap,
    "negation inserted": insert_negation,
    "negation removed": remove_negation,
    "modality": alter_modality,
    "comparison, limit, order": alter_comparison,
}

# ---- true forms: the same thing said, word for word or lightly otherwise


def keep_words(sentence: str, chance: random.Random, source: Source) -> str | None:
    return sentence


def lead_in(sentence: str, chance: random.Random, source: Source) -> str | None:
    if source.kind == "product" or not re.match(r"(?:The|This|Each|Any|All|You|We|If|In) ", sentence):
        return None
    lead = chance.choice(["According to the document, ", "The passage states that ", "Under the agreement, "])
    return lead + sentence[0].lower() + sentence[1:]


def restyle_numbers(sentence: str, chance: random.Random, source: Source) -> str | None:
    digits = {
        "two": "2",
        "three": "3",
        "four": "4",
        "five": "5",
        "six": "6",
        "ten": "10",
        "thirty": "30",
        "sixty": "60",
    }
    plain = re.sub(r"(?<!and )\b(?!hundred|thousand|million)[A-Za-z-]+ \((\d+)\)", r"\1", sentence)
    plain = re.sub(rf"\b({'|'.join(digits)})\b", lambda match: digits[match.group()], plain)
    plain = re.sub(
        r"(?<!US)\$(\d[\d,]*)\b(?![.,]?\d| (?:million|billion))", lambda m: f"{m[1].replace(',', '')} dollars", plain
    )
    plain = re.sub(r"(\d)%(?![\w])", r"\1 percent", plain)
    return plain if plain != sentence else None


def restyle_dates(sentence: str, chance: random.Random, source: Source) -> str | None:
    plain = re.sub(
        rf"\b({'|'.join(MONTHS)}) (\d{{1,2}}), ((?:19|20)\d\d)\b",
        lambda match: chance.choice(
            [f"{match[3]}-{MONTHS.index(match[1]) + 1:02d}-{int(match[2]):02d}", f"{match[2]} {match[1]} {match[3]}"]
        ),
        sentence,
    )
    return plain if plain != sentence else None


PLAIN_WORDS = (
    (r"\bshall not\b", "must not"),
    (r"\bshall\b", "must"),
    (r"\bprior to\b", "before"),
    (r"\bcommence\b", "begin"),
    (r"\butilize\b", "use"),
    (r"\bsuch\b", "the"),
    (r"\bpurchase\b", "buy"),
    (r"\bdo not\b", "don't"),
    (r"\bis not\b", "isn't"),
    (r"\bpursuant to\b", "under"),
    (r"\bin the event that\b", "if"),
    (r"\bobtain\b", "get"),
    (r"\bregarding\b", "about"),
    (r"\bassist\b", "help"),
    (r"\bis required to\b", "must"),
)


def plain_words(sentence: str, chance: random.Random, source: Source) -> str | None:
    plain = sentence
    for old, new in PLAIN_WORDS:
        plain = re.sub(old, new, plain)
    return plain if plain != sentence else None


OTHER_WORDS = (
    (r"\bimmediately\b", "at once"),
    (r"\badditional\b", "further"),
    (r"\bcollect\b", "gather"),
    (r"\bterminated?\b", "ended"),
    (r"\bensure\b", "make sure"),
    (r"\bdisclose\b", "reveal"),
    (r"\breceive\b", "accept"),
    (r"\bin addition\b", "moreover"),
    (r"\bsubmit\b", "hand in"),
    (r"\bcomplete\b", "finish"),
)


def other_words(sentence: str, chance: random.Random, source: Source) -> str | None:
    """Use words that the product's own list of equal words does not hold."""
    plain = sentence
    for old, new in OTHER_WORDS:
        plain = re.sub(old, new, plain)
    return plain if plain != sentence else None


def drop_brackets(sentence: str, chance: random.Random, source: Source) -> str | None:
    plain = re.sub(r" \([^()]{3,80}\)", "", sentence, count=1)
    return plain if plain != sentence and source.kind != "product" else None


def drop_end(sentence: str, chance: random.Random, source: Source) -> str | None:
    """Leave the last part after a comma out, where it makes no exception."""
    match = re.match(
        r"(.{60,}?), (?!(?:and|or|provided|except|unless|but|if|which|including|other|so)\b)[^,]+\.$", sentence
    )
    return f"{match[1]}." if match and source.kind != "product" else None


def move_front(sentence: str, chance: random.Random, source: Source) -> str | None:
    """Let "Within 30 days, A pays." become "A pays within 30 days."."""
    match = re.match(
        r"((?:Within|Upon|During|After|Before|If|When|For|In|At) [^,]{12,90}), ([^,]{20,160})\.$", sentence
    )
    if not match or source.kind == "product":
        return None
    rest = match[2] if match[2][:2].istitle() else match[2][0].upper() + match[2][1:]
    return f"{rest} {match[1][0].lower()}{match[1][1:]}."


def record_sentence(sentence: str, chance: random.Random, source: Source) -> str | None:
    """Say an attribute of a record as a sentence: "The price of X is 5 EUR."."""
    if source.kind != "product":
        return None
    key, value = sentence.split(":", 1)
    return f"The {key.lower()} of the {source.passages[0].chunk.title} is {value.strip()}."


TRUE_FORMS: dict[str, Alter] = {
    "word for word": keep_words,
    "lead-in added": lead_in,
    "numbers restyled": restyle_numbers,
    "dates restyled": restyle_dates,
    "plainer words": plain_words,
    "words it does not know": other_words,
    "brackets dropped": drop_brackets,
    "end dropped": drop_end,
    "front moved": move_front,
    "record as sentence": record_sentence,
}


@dataclass
class Row:
    """Counts of one kind, and sentences that came out wrong."""

    checked: int
    supported: int
    partly: int
    examples: list[tuple[str, str, str]]


def measure(
    cases: Sequence[Case], changes: dict[str, Alter], vocabulary: Vocabulary, arguments: argparse.Namespace
) -> dict[str, Row]:
    rows = {}
    for kind, change in changes.items():
        chance = random.Random(f"{arguments.seed} {kind}")
        rows[kind] = measure_kind(cases, change, vocabulary, chance=chance, arguments=arguments)
    return rows


def measure_kind(
    cases: Sequence[Case],
    change: Alter,
    vocabulary: Vocabulary,
    *,
    chance: random.Random,
    arguments: argparse.Namespace,
) -> Row:
    row = Row(0, 0, 0, [])
    for case in chance.sample(cases, len(cases)):
        if row.checked >= arguments.each:
            break
        said = change(case.sentence, chance, case.source)
        if said is None or (change in ALTERATIONS.values() and not changed(case.sentence, said)):
            continue
        finding = check_sentence(said, case.passages, weigh=vocabulary.weigh)
        row.checked += 1
        row.supported += finding.support == "supported"
        row.partly += finding.support == "partly"
        if (finding.support == "supported") is (change in ALTERATIONS.values()):
            row.examples.append((case.sentence, said, f"{finding.support}: {finding.reason}"))
    row.examples = row.examples[: arguments.show]
    return row


def share_supported(rows: Sequence[Row]) -> Figure:
    """Return the share shown as supported, up to its 95 % upper bound (one-sided, as errors are rare)."""
    checked, supported = sum(row.checked for row in rows), sum(row.supported for row in rows)
    between = {"low": 0.0, "high": risk_bound(supported, checked, doubt=0.05)} if supported * 2 < checked else None
    return figure(supported / max(1, checked), between, n=checked)


def report(title: str, rows: dict[str, Row]) -> None:
    print(f"\n| {title} | sentences | supported | partly | share supported |\n|---|---|---|---|---|")
    for kind, row in rows.items():
        share = row.supported / max(1, row.checked)
        print(f"| {kind} | {row.checked} | {row.supported} | {row.partly} | {share:.1%} |")
    checked, supported = (sum(getattr(row, name) for row in rows.values()) for name in ("checked", "supported"))
    partly = sum(row.partly for row in rows.values())
    print(f"| **all** | {checked} | {supported} | {partly} | {supported / max(1, checked):.1%} |")
    for kind, row in rows.items():
        for before, after, verdict in row.examples:
            print(f"\n[{kind}] {verdict}\n  - {before}\n  + {after}")


if __name__ == "__main__":
    main()
