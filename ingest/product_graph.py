"""The product graph: how the records of a catalogue hang together, read from what they state.

    brand        a record and its maker
    category     a record and its kind
    compatible   an attribute about compatibility, or "compatible with", "fits", "works with" in words, names a product
    accessory    the title says what it is made for: "case for HP 250 G7"
    replaces     "replaces", "replacement for", "successor of", or an attribute that says so, names a product
    variant      records of one group, or of one title but for their own model and colour

An edge names its target as the record does, and the record of that name where the catalogue has it. Nothing is inferred
from likeness of products: an edge can be shown where it stands. `fitting_keys` gives the names by which the index finds
what fits a product. Pure functions; no list of makers, models or kinds is written by hand.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ingest.documents import AttributeValue, ParsedDocument
from ingest.product_facts import describe
from ingest.units import read_measure
from ingest.words import words

EdgeKind = Literal["brand", "category", "compatible", "accessory", "replaces", "variant"]
_MAKERS = ("brand", "supplier", "manufacturer", "maker", "vendor")
_KINDS = ("product_type", "category", "product_category", "type")
_MODELS = ("name", "model", "mpn", "part_number", "oem_code")
IDENTIFIERS = (
    "id",
    "sku",
    "ean",
    "gtin",
    "upc",
    "mpn",
    "asin",
    "article_number",
    "part_number",
    "product_id",
    "item_id",
    "item_number",
    "name",
    "model",
)
_GROUPS = ("item_group_id", "parent_id", "parent_sku", "variant_of", "group_id")
_FITTING = re.compile(r"compatib")
_NO_PRODUCT = re.compile(r"operating_system|brand_|_standard")
_REPLACES = re.compile(r"^(?:replaces|replacement_for|supersedes|predecessor|successor_(?:of|to))")
_COLOURS = re.compile(r"colou?r|farbe")
_WORDING: tuple[tuple[EdgeKind, re.Pattern[str]], ...] = (
    ("replaces", re.compile(r"\b(?:replaces|replacement for|supersedes|successor (?:of|to)|equivalent to)\s+", re.I)),
    (
        "compatible",
        re.compile(r"\b(?:compatible with|fits|suitable for|designed for|works with|for use with)\s+", re.I),
    ),
)
_FOR = re.compile(r"\bfor\s+", re.IGNORECASE)
_END = re.compile(r"[;()\n]|\.(?:\s|$)|\s-\s|\b(?:with|which|that)\b")
_ITEMS = re.compile(r"[,;/]\s*|\s+(?:and|or)\s+|\\n")
_RUN = re.compile(r"[^\W_]+")
_MOST_RUNS = 4  # of one name: "M 351 A" is three
_SHORTEST_KEY = 2
_MOST_KEYS = 600  # of one record
_FEWEST_DIGITS = 6
_LONGEST_NAME, _LONGEST_TAIL = 80, 400
_MOST_NAMED_ALIKE = 3
_MOST_VARIANTS = 30


@dataclass(frozen=True)
class Edge:
    """What a record states of another: `target` as it is named, `target_record` its id where the catalogue has it.

    `states` is the attribute that says it, or title, description or group.
    """

    kind: EdgeKind
    record: str
    target: str
    states: str
    target_record: str = ""


@dataclass(frozen=True)
class _Node:
    id: str
    title: str
    description: str
    attributes: Mapping[str, AttributeValue]

    @property
    def maker(self) -> str:
        return next((str(self.attributes[key]) for key in _MAKERS if self.attributes.get(key)), "")


def squashed(text: str) -> str:
    """Return the letters and digits of a text alone, case folded: how part numbers are compared."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def fitting_keys(title: str, text: str, attributes: Mapping[str, AttributeValue]) -> frozenset[str]:
    """Return every name with a digit in what a record's first slice states that it fits, as `squashed` writes it."""
    if not text.startswith(title):
        return frozenset()
    node = _Node("", title, describe(title, text, attributes), attributes)
    keys: dict[str, None] = {}
    for kind, target, _ in _stated(node):
        if kind in {"compatible", "accessory"}:
            keys.update(dict.fromkeys(_keys_of(target)))
        if len(keys) > _MOST_KEYS:
            break
    return frozenset(keys)


def identifier_keys(record: str, attributes: Mapping[str, AttributeValue]) -> list[str]:
    """Return the id, the identifiers and models of a record, squashed, with its maker in front and without."""
    maker = squashed(next((str(attributes[key]) for key in _MAKERS if attributes.get(key)), ""))
    shown = (_as_text(attributes[key]) for key in IDENTIFIERS if key in attributes)
    keys = [key for text in (record, *shown) if (key := squashed(text))]
    return sorted({*keys, *(maker + key for key in keys), *(key.removeprefix(maker) for key in keys if key != maker)})


def _as_text(value: AttributeValue) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def fitting_key(name: str) -> str:
    """Return a name as `fitting_keys` holds it, "" where it is too short or without a digit."""
    key = squashed(name)
    return key if len(key) >= _SHORTEST_KEY and any(sign.isdigit() for sign in key) else ""


def derive_edges(parsed: ParsedDocument) -> list[Edge]:
    """Return the edges that the records of a catalogue state, in a fixed order."""
    nodes = [
        _Node(clause.number, clause.path[0], describe(clause.path[0], text, clause.attributes), clause.attributes)
        for clause in parsed.clauses
        if clause.kind == "record" and clause.path and (text := parsed.text[clause.start : clause.end])
    ]
    named = _records_by_name(nodes)
    edges = [*(edge for node in nodes for edge in _edges_of(node, named)), *_variants(nodes)]
    return sorted(set(edges), key=lambda one: (one.record, one.kind, one.target, one.target_record, one.states))


def _edges_of(node: _Node, named: Mapping[str, Sequence[str]]) -> Iterator[Edge]:
    if node.maker:
        yield Edge("brand", node.id, node.maker, next(key for key in _MAKERS if node.attributes.get(key)))
    kind = next((key for key in _KINDS if isinstance(node.attributes.get(key), str)), "")
    if kind:
        yield Edge("category", node.id, str(node.attributes[kind]), kind)
    for edge_kind, target, states in _stated(node):
        edge = Edge(edge_kind, node.id, target, states)
        found = [one for one in _resolve(target, node.maker, named) if one != node.id]
        yield from (replace(edge, target_record=one) for one in found) if found else (edge,)


def _stated(node: _Node) -> Iterator[tuple[EdgeKind, str, str]]:
    """Yield what a record states of other products: the kind of edge, the product as named, and where that stands."""
    own = {squashed(str(node.attributes[key])) for key in _MODELS if key in node.attributes}
    for key, value in node.attributes.items():
        fits = _FITTING.search(key) and not _NO_PRODUCT.search(key)
        if isinstance(value, str) and (fits or _REPLACES.match(key)):
            kind: EdgeKind = "compatible" if fits else "replaces"
            yield from ((kind, name, key) for name in _names(value, listed=True))
    for states, text in (("title", node.title), ("description", node.description)):
        named = _worded(text, in_title=states == "title")
        yield from ((kind, name, states) for kind, name in named if not own & set(_keys_of(name)))


def _worded(text: str, *, in_title: bool) -> Iterator[tuple[EdgeKind, str]]:
    """Yield the products that words name; in a title "for" names what a thing is made for, elsewhere what it fits."""
    taken: list[tuple[int, int]] = []
    made_for: EdgeKind = "accessory" if in_title else "compatible"
    for kind, pattern in (*_WORDING, (made_for, _FOR)):
        for found in pattern.finditer(text):
            if any(start <= found.start() < end for start, end in taken):
                continue
            tail = _END.split(text[found.end() : found.end() + _LONGEST_TAIL], maxsplit=1)[0]
            taken.append((found.start(), found.end() + len(tail)))
            yield from ((kind, name) for name in _names(tail, listed=False))


def _names(text: str, *, listed: bool) -> Iterator[str]:
    """Yield the items of a list that can name a product: those with a digit and a letter, or a long number.

    In a sentence a quantity is none ("for 230 V"); in a list of products 1005w is one.
    """
    for item in _ITEMS.split(text):
        name = item.strip(" .:-\"'")
        key = squashed(name)
        digits = sum(sign.isdigit() for sign in key)
        named = digits and (digits < len(key) or digits >= 3) and len(key) >= _SHORTEST_KEY
        if named and (listed or read_measure(name, ".") is None):
            yield name[:_LONGEST_NAME]


def _keys_of(name: str) -> Iterator[str]:
    runs = _RUN.findall(name.casefold())
    for start in range(len(runs)):
        for end in range(start + 1, min(start + _MOST_RUNS, len(runs)) + 1):
            key = "".join(runs[start:end])
            if len(key) >= _SHORTEST_KEY and any(sign.isdigit() for sign in key):
                yield key


def _records_by_name(nodes: Sequence[_Node]) -> dict[str, list[str]]:
    """Return the records by every name that is theirs alone to go by: model, maker and model, head of the title."""
    named: dict[str, dict[str, None]] = defaultdict(dict)
    for node in nodes:
        for name in _names_of_record(node):
            named[name].setdefault(node.id)
    return {name: list(ids) for name, ids in named.items() if len(ids) <= _MOST_NAMED_ALIKE}


def _names_of_record(node: _Node) -> Iterator[str]:
    maker = squashed(node.maker)
    models = [squashed(str(node.attributes[key])) for key in _MODELS if key in node.attributes]
    own = _FOR.split(node.title, maxsplit=1)[0]
    runs = _RUN.findall(own.casefold())
    is_made_for_others = any(kind in {"compatible", "accessory"} for kind, _, _ in _stated(node))
    heads = [] if is_made_for_others else ["".join(runs[:end]) for end in range(2, len(runs) + 1)]
    for name in dict.fromkeys([*models, *(maker + model for model in models), *heads]):
        for one in (name, name.removeprefix(maker)):
            if len(one) >= 3 and any(sign.isdigit() for sign in one):
                yield one


def _resolve(target: str, maker: str, named: Mapping[str, Sequence[str]]) -> Sequence[str]:
    key = squashed(target)
    if key.isdigit() and len(key) < _FEWEST_DIGITS:  # "8500" behind "DFX-5000" names no product by itself
        return ()
    return named.get(squashed(maker) + key) or named.get(key) or ()


def _variants(nodes: Sequence[_Node]) -> Iterator[Edge]:
    """Yield an edge from each record of a group to the group's first record."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for node in nodes:
        for key in _group_keys(node):
            groups[key].append(node.id)
    for key, ids in groups.items():
        first, *others = sorted(ids)
        if len(ids) <= _MOST_VARIANTS:
            yield from (Edge("variant", one, key[1], "group", first) for one in others)


def _group_keys(node: _Node) -> Iterable[tuple[str, ...]]:
    """Return the groups of a record: the one it names, and records of its maker and title but for model and colour."""
    for key in _GROUPS:
        if node.attributes.get(key):
            return [(key, str(node.attributes[key]))]
    colours = {word for key, value in node.attributes.items() if _COLOURS.search(key) for word in words(str(value))}
    own = {squashed(str(node.attributes[key])) for key in _MODELS if key in node.attributes}
    said = [word for word in node.title.split() if squashed(word) not in own and squashed(word)]
    kept = [word for word in said if not set(words(word)) or not set(words(word)) <= colours]
    if len(kept) == len(said) or len(kept) < 2:  # without a colour of its own, one title is one product
        return []
    fits = next((str(value) for key, value in node.attributes.items() if _FITTING.search(key)), "")
    if not fits and not any(sign.isdigit() for word in kept for sign in word):
        return []  # "HP toner cartridge" says too little to tell one product from another
    return [(node.maker.casefold(), " ".join(kept), fits)]
