"""Catalogue filters and exact numbers on Chorus (Icecat): against a reference that looks at every record.

    python -m benchmarks.catalog_filters FOLDER --work FOLDER [--records N] [--filters N] [--queries N] [--out FILE]

FOLDER holds products.csv. Its weights, widths, heights, depths and cable lengths are bare numbers in g, mm and m; they
are written anew as a shop would, each in a unit drawn by lot ("1.2 kg", "11.3in"), read by the catalogue parser and
indexed by the embedded engine. The reference holds the numbers as exact fractions and its own table of units; it shares
no code with what is measured. Filters of one or two conditions (quantities in any unit, prices, numbers, texts, yes or
no) must find exactly the records of the reference. Queries by id, EAN and model number, alone and inside prose, must
have a record of that number at rank 1. Of a device that compatibility lists name, all records must be found. By default
nothing is embedded, since none of it may depend on vectors; `--embedder model` takes the real embedder.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.product_filters import resolve_filters
from assistant.product_records import Catalogue
from assistant.retrieve import RetrievalTools, Scope, retrieve
from benchmarks.measured import figure, write_result
from benchmarks.product_search import build, record_chunks
from governance.settings import RetrievalSettings, Settings
from ingest.documents import ParsedDocument
from ingest.embed import Embedder, load_embedder
from ingest.index import parse_filter
from ingest.summary import gather_summary

SEED = 20
MOST_WORDS = 3  # of a model number
MASS = {"mg": Fraction(1, 1000), "g": Fraction(1), "kg": Fraction(1000)}
LENGTH = {"mm": Fraction(1), "cm": Fraction(10), "m": Fraction(1000), "in": Fraction(254, 10)}
QUANTITIES: Mapping[str, tuple[str, Mapping[str, Fraction]]] = {
    "weight": ("g", MASS),
    "package weight": ("g", MASS),
    "width": ("mm", LENGTH),
    "height": ("mm", LENGTH),
    "depth": ("mm", LENGTH),
    "cable length": ("m", LENGTH),
}
NUMBERS = ("display diagonal", "processor frequency", "quantity per pack", "usb 2 0 ports quantity")
TEXTS = ("product colour", "printing colours", "country of origin", "type", "processor family", "supplier")
FLAGS = ("touchscreen", "bluetooth", "wi fi", "ethernet lan", "rohs compliance")
PROSE = (
    "Do we have {} in stock?",
    "a customer asks what {} costs and whether it is black",
    "Please tell me about the product with number {}, thank you",
)
HOLDS: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "=": lambda one, other: one == other,
}

Truth = dict[str, dict[str, Fraction | str | bool]]  # id -> attribute -> value, quantities in g or mm


@dataclass(frozen=True)
class Asked:
    """One condition as it is typed, and the records that meet it by the reference."""

    text: str
    ids: frozenset[str]


class NoVectors:
    """An embedder for what does not depend on vectors: the same one for every text."""

    name, digest, dimension, max_tokens = "none", "none", 4, 512

    def count_tokens(self, text: str) -> int:
        return len(self.token_offsets(text))

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in re.finditer(r"\S+", text)]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.tile(np.array([[1, 0, 0, 0]], dtype=np.float32), (len(texts), 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--records", type=int, default=0, help="the first N; default all")
    parser.add_argument("--filters", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=500, help="records to ask for by each number, in each way")
    parser.add_argument("--embedder", choices=("none", "model"), default="none")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    chance = random.Random(SEED)  # noqa: S311  a lot that can be drawn again
    rows = read_rows(arguments.folder / "products.csv", arguments.records)
    truth = write_catalogue(rows, arguments.work / "shop.csv", chance)
    chunks = record_chunks(arguments.work / "shop.csv")
    embedder: Embedder = NoVectors()
    if arguments.embedder == "model":
        embedder = load_embedder(Settings().models, "all-minilm-l6-v2")
    texts = [chunk.indexed_text for chunk in chunks]
    vectors = np.concatenate([embedder.embed(texts[first : first + 512]) for first in range(0, len(texts), 512)])
    summary = gather_summary(chunks)
    index = build(chunks, vectors, arguments.work / "index")
    tools = RetrievalTools(index, embedder, RetrievalSettings(), summary=summary)
    try:
        filters = check_filters(truth, tools, arguments.filters, chance)
        numbers = check_numbers(rows, tools, arguments.queries, chance)
        fitting = check_fits(rows, tools, arguments.queries, chance)
    finally:
        index.close()
    figures = {"records": len(chunks), **filters, **numbers, **fitting}
    print(json.dumps(figures, indent=1))
    if arguments.out:
        write_result(arguments.out, figures)


def read_rows(path: Path, most: int) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return rows[:most] if most else rows


def write_catalogue(rows: Sequence[dict[str, str]], path: Path, chance: random.Random) -> Truth:
    """Write the catalogue with units by lot, and return what each record states, as read from what was written."""
    truth: Truth = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        for row in rows:
            held = json.loads(row["attributes_json"] or "{}")
            stated: dict[str, Fraction | str | bool] = {"supplier": row["supplier"]}
            if row["price_eur"]:
                stated["price_eur"] = Fraction(row["price_eur"])
            for name in list(held):
                if name in QUANTITIES and isinstance(held[name], float):
                    held[name], stated[name] = _written(held[name], name, chance)
                elif name in (*NUMBERS, *TEXTS, *FLAGS):
                    value = held[name]
                    stated[name] = Fraction(repr(value)) if isinstance(value, float) else value
            writer.writerow({**row, "attributes_json": json.dumps(held)})
            truth[row["id"]] = stated
    return truth


def _written(value: float, name: str, chance: random.Random) -> tuple[str, Fraction]:
    source, units = QUANTITIES[name]
    exact = Fraction(repr(value)) * (units[source])
    unit = chance.choice(list(units))
    shown = _decimal(exact / units[unit])
    return f"{shown}{chance.choice((' ', ''))}{unit}", Fraction(shown) * units[unit]


def _decimal(value: Fraction, places: int = 6) -> str:
    digits = f"{round(value * 10**places):0{places + 1}d}"
    return f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")


def check_filters(truth: Truth, tools: RetrievalTools, count: int, chance: random.Random) -> dict[str, object]:
    """Return the share of filters that find exactly the records of the reference, and how many these were."""
    conditions = asked(truth, chance)
    right = matched = 0
    wrong: list[str] = []
    for _ in range(count):
        chosen = [next(conditions) for _ in range(chance.choice((1, 1, 2)))]
        expected = frozenset.intersection(*(one.ids for one in chosen))
        filters = resolve_filters([parse_filter(one.text) for one in chosen], tools.summary.products)
        found = {chunk.clause for chunk in tools.index.scroll((*Scope().conditions(), *filters))}
        matched += len(expected)
        right += found == expected
        if found != expected:
            wrong.append(f"{' and '.join(one.text for one in chosen)}: {len(found)} instead of {len(expected)}")
    print("\n".join(wrong[:10]))
    return {"filters exact": figure(right / count, n=count), "records per filter": round(matched / count, 1)}


def asked(truth: Truth, chance: random.Random) -> Iterator[Asked]:
    """Yield conditions by lot; bounds are values that occur, so that equal ones count."""
    held: dict[str, dict[str, Fraction | str | bool]] = {}
    for identity, stated in truth.items():
        for name, value in stated.items():
            held.setdefault(name, {})[identity] = value
    names = [name for name in (*QUANTITIES, *NUMBERS, *TEXTS, *FLAGS, "price_eur") if held.get(name)]
    while True:
        name = chance.choice(names)
        values = held[name]
        bound = values[chance.choice(list(values))]
        field = name.replace(" ", "_")
        if isinstance(bound, Fraction):
            operator = chance.choice(list(HOLDS))
            text, bound = _bound(name, bound, chance)
            holds = HOLDS[operator]
            ids = {key for key, value in values.items() if isinstance(value, Fraction) and holds(value, bound)}
            yield Asked(f"{field}{operator}{text}", frozenset(ids))
        elif not isinstance(bound, str) or not set(bound) & set("<>="):
            text = str(bound).casefold() if isinstance(bound, bool) else bound
            same = {key for key, value in values.items() if value == bound and isinstance(value, type(bound))}
            yield Asked(f"{field}={text}", frozenset(same))


def _bound(name: str, value: Fraction, chance: random.Random) -> tuple[str, Fraction]:
    """Return a bound as it is typed, and what it is worth."""
    if name not in QUANTITIES:
        shown = _decimal(value)
        money = name == "price_eur" and chance.random() < 0.5
        return (f"{shown} EUR" if money else shown), Fraction(shown)
    units = QUANTITIES[name][1]
    unit = chance.choice(list(units))
    shown = _decimal(value / units[unit])
    return f"{shown} {unit}", Fraction(shown) * units[unit]


def check_numbers(
    rows: Sequence[dict[str, str]], tools: RetrievalTools, count: int, chance: random.Random
) -> dict[str, object]:
    """Return for each number, alone and inside prose, how often a record that goes by it is first."""
    figures: dict[str, object] = {}
    for key, label in (("id", "id"), ("ean", "EAN"), ("name", "model")):
        having: dict[str, set[str]] = {}
        for row in rows:
            if _is_number(row[key]):
                having.setdefault(_squashed(row[key]), set()).add(row["id"])
        chosen = chance.sample([row for row in rows if _is_number(row[key])], min(count, len(rows)))
        for way in ("alone", "in prose"):
            right = 0
            for row in chosen:
                query = row[key] if way == "alone" else chance.choice(PROSE).format(row[key])
                found = retrieve(query, tools=tools, scope=Scope())
                first = bool(found) and found[0].chunk.clause in having[_squashed(row[key])]
                right += first
                if not first:
                    print(f"not first: {query!r} ({row['id']})", found[0].chunk.clause if found else "-")
            figures[f"{label} {way}, first"] = figure(right / len(chosen), n=len(chosen))
    return figures


def check_fits(
    rows: Sequence[dict[str, str]], tools: RetrievalTools, count: int, chance: random.Random
) -> dict[str, object]:
    """Return how often all records that list a device in their compatibility are found by the graph's keys.

    The device is asked for by its words with a digit, as a person does; the reference reads every list.
    """
    listing: dict[str, set[str]] = {}
    for row in rows:
        listed = json.loads(row["attributes_json"] or "{}").get("compatibility")
        for item in re.split(r"[,;]", listed) if isinstance(listed, str) else ():
            if not re.search(r"[/\\]", item) and re.search(r"[a-zA-Z]\w*\d|\d\w*[a-zA-Z]|\d{3}", item):
                listing.setdefault(item.strip(), set()).add(row["id"])
    catalogue = Catalogue(tools, Scope(), _no_texts)
    devices = chance.sample(sorted(listing), min(count, len(listing)))
    right = 0
    for device in devices:
        names = [word for word in device.split() if any(sign.isdigit() for sign in word)]
        found = {chunk.clause for chunk in catalogue.stating_fit(names)}
        right += listing[device] <= found
        if not listing[device] <= found:
            print(f"not all that fit {device!r}: {len(listing[device] - found)} missing")
    return {"all that fit found": figure(right / len(devices), n=len(devices))}


def _no_texts(document: str, version: str) -> ParsedDocument:
    raise NotImplementedError(f"{document} {version} is not read here")


def _is_number(text: str) -> bool:
    """Tell whether a value is a number and no name: a model called "Basic", "L2" or "Fiber Patch Cable, 5M" is none."""
    key = _squashed(text)
    return (
        len(text.split()) <= MOST_WORDS
        and len(key) >= 5
        and any(sign.isdigit() for sign in key)
        and (not key.isdigit() or len(key) >= 6)
    )


def _squashed(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


if __name__ == "__main__":
    main()
