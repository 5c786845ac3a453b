"""Product requests: what a question asks of the catalogue, read from its form.

An attribute of a product, which product a number names, what fits a product, a comparison, a summary, a list within
limits or the cheapest of a kind. A question may be read in several ways; they come in the order in which they are to
be tried, and a question of none of these forms gives none, so that the usual way of answering takes over. It refuses
to know whether such a product exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assistant.product_attributes import is_attribute
from assistant.product_kinds import Wanted, read_listing
from assistant.product_limits import Limit
from assistant.product_names import SENTENCE_END, has_digit, names_of, one_of, subject_of
from ingest.product_facts import ProductFacts

RequestKind = Literal["attribute", "identify", "fits", "compare", "summary", "list"]
_FLAGS = re.IGNORECASE
_COMPARE = (
    re.compile(
        r"^\s*(?:please\s+)?compare\s+(?P<first>.+?)\s+(?:and|with|to|against|versus|vs\.?)\s+(?P<second>.+)", _FLAGS
    ),
    re.compile(r"\bdifferences?\s+between\s+(?P<first>.+?)\s+and\s+(?P<second>.+)", _FLAGS),
    re.compile(r"^\s*(?P<first>.+?)\s+(?:versus|vs\.?)\s+(?P<second>.+)", _FLAGS),
)
_COMPARED_ON = re.compile(r"\s+(?:on|by|in terms of|regarding)\s+(?P<asked>(?:the\s+|their\s+)?[^?]+)$", _FLAGS)
_SUMMARY = re.compile(
    r"^\s*(?:please\s+)?(?:summari[sz]e|(?:give\s+me\s+)?(?:a|the)\s+summary\s+of|describe|tell\s+me\s+about)\s+(?P<first>.+)",
    _FLAGS,
)
_PRICE = (
    re.compile(r"\bwhat\s+(?:does|do)\s+(?P<first>.+?)\s+cost\s*\??$", _FLAGS),
    re.compile(r"\bhow\s+much\s+(?:does|do|will|would)\s+(?P<first>.+?)\s+cost\s*\??$", _FLAGS),
    re.compile(r"^\s*how\s+much\s+(?:is|are)\s+(?P<first>.+?)\s*\??$", _FLAGS),
    re.compile(r"\b(?:how\s+much|what)\s+(?:[\w']+\s+){1,4}(?:pay|charge|ask|quote)\s+for\s+(?P<first>.+)$", _FLAGS),
    re.compile(r"^\s*(?:the\s+)?price\s+(?:of|for)\s+(?P<first>.+?)(?:\s+please)?\s*[?.]?$", _FLAGS),
)
_LEAD = re.compile(
    r"^\W*(?:.*?\b(?:what(?:['’]s|\s+is|\s+are)|which|tell\s+(?:me|us)|show(?:\s+me)?|needs?|wants?(?:\s+to\s+know)?|know|"
    r"give\s+me|find|asks?\s+for|looking\s+for|state)\s+)?(?:the\s+|its\s+)?",
    _FLAGS,
)
_TIES = re.compile(r"\s+(?:of|for|on|in)\s+", _FLAGS)
_PARTS = re.compile(r"\s+(?:of|on|in)\s+", _FLAGS)
_HAS = (
    re.compile(
        r"\bhow\s+many\s+(?P<asked>.+?)\s+(?:are\s+(?:there\s+)?(?:on|in)|does|do|can|has|have|is|on|in)\s+(?P<first>.+)$",
        _FLAGS,
    ),
    re.compile(
        r"\b(?:what|which)\s+(?P<asked>.+?)\s+(?:(?:are|is)\s+there\s+(?:for|on|in)|does|do|has|have|is|can)\s+(?P<first>.+)$",
        _FLAGS,
    ),
    re.compile(
        r"^\s*(?:does|do|has|can|is)\s+(?P<first>.+?)\s+(?:have|supports?|include|come\s+with|offer|feature)\s+"
        r"(?:an?\s+|the\s+|any\s+)?(?P<asked>.+)$",
        _FLAGS,
    ),
)
_NOUNS = {
    "heavy": "weight",
    "wide": "width",
    "deep": "depth",
    "tall": "height",
    "high": "height",
    "long": "length",
    "bright": "brightness",
    "big": "capacity",
    "large": "capacity",
}
_HOW = re.compile(
    rf"\bhow\s+(?P<how>{'|'.join(_NOUNS)})\s+(?:is|are)\s+(?:the\s+(?P<part>[a-z\s-]+?)\s+(?:of|on|in)\s+)?(?P<first>.+)$",
    _FLAGS,
)
_WEIGHS = re.compile(r"\bhow\s+much\s+(?:does|do)\s+(?P<first>.+?)\s+weigh\b", _FLAGS)
_IDENTIFY = (
    re.compile(
        r"\bwhich\s+(?:product|item|article|record|one)\s+(?:has|have|is|carries|bears|goes\s+by|with)\s+(?P<first>.+)$",
        _FLAGS,
    ),
    re.compile(r"\bscanned\s+(?P<first>[^\s,]+(?:\s+[^\s,]*\d[^\s,]*)?)", _FLAGS),
    re.compile(r"^\s*what(?:['’]s|\s+is)\s+(?P<first>.+)$", _FLAGS),
)
_NUMBER_WORDS = re.compile(
    r"^(?:(?:the|an?|product|item|article|part|model|order|with|ean|gtin|upc|sku|id|bar\s?code|code|number|no\.?)\b[\s:#]*)+",
    _FLAGS,
)
_FITS = (
    re.compile(
        r"\b(?:which|what)\s+(?P<asked>[^?.]+?)\s+(?:(?:do|does|did)\s+(?:we|you|they|i)\s+(?:have|carry|sell|stock|offer|need|use|want)\s+)?(?:that\s+|which\s+)?"
        r"(?:fits?|suits?|goes\s+into|go\s+into|works?\s+(?:with|in)|(?:is|are)\s+(?:there\s+for|for|compatible\s+with)|for)\s+(?P<first>[^?]+)",
        _FLAGS,
    ),
    re.compile(
        r"\b(?:which|what)\s+(?P<asked>[^?.]+?)\s+(?:does|do)\s+(?P<first>[^?]+?)\s+(?:take|need|use|require)\b", _FLAGS
    ),
    re.compile(
        r"\b(?:looking\s+for|needs?|wants?|is\s+there|are\s+there|have\s+you|have|do\s+(?:we|you)\s+(?:have|carry|sell|stock))\s+"
        r"(?:any\s+|an?\s+(?:new\s+)?)?(?P<asked>[^?.]+?)\s+(?:for|that\s+fits?|to\s+fit)\s+(?P<first>[^?]+)",
        _FLAGS,
    ),
    re.compile(
        r"\b(?:the|an?|my|our)\s+(?P<asked>[a-z\s-]{1,40}?)\s+(?:in|of|for)\s+(?P<first>[^?.]{1,80}?)\s+(?:is|has|needs)\b"
        r"[^?]{0,120}\b(?:which|what|fits?)\b",
        _FLAGS,
    ),
    re.compile(
        r"\b(?:has|have|own)\s+(?P<first>[^?.]+?)\s+and\s+(?:needs?|wants?|is\s+looking\s+for)\s+(?:an?\s+)?(?:new\s+)?(?P<asked>[^?.]+)",
        _FLAGS,
    ),
)
_TAKES = (
    re.compile(
        r"\b(?:which|what)\s+(?P<kind>[^?]+?)\s+(?:takes?|uses?|accepts?|works?\s+with|(?:is|are)\s+compatible\s+with)\s+(?P<first>.+)$",
        _FLAGS,
    ),
    re.compile(r"\bwhat\s+(?:does|do|is|are)\s+(?P<first>.+?)\s+(?:fit|compatible\s+with)\b", _FLAGS),
)
_VERB = re.compile(r"\b(?:is|are|do|does|there|fits?|you|we)\b", _FLAGS)
_MOST_ASKED_WORDS = 8
_MOST_CHARACTERS = 400  # of a question about products; longer ones are something else
_MOST_KIND_WORDS = 5
_NO_KIND = re.compile(r"\b(?:of|the|to|is|are|does|do)\b", _FLAGS)


@dataclass(frozen=True)
class Request:
    """What a question asks of the catalogue: `subjects` are the products as the person named them."""

    kind: RequestKind
    subjects: tuple[str, ...]
    asked: str = ""
    limits: tuple[Limit, ...] = ()
    wanted: Wanted = ""


def read_request(question: str, facts: ProductFacts) -> Request | None:
    """Return what a question most likely asks of the catalogue, None where it has none of the forms known."""
    return next(read_requests(question, facts), None)


def read_requests(question: str, facts: ProductFacts) -> Iterator[Request]:
    """Yield the ways in which a question can be read, the likeliest first; none of a long text."""
    if len(question) > _MOST_CHARACTERS:
        return
    yield from _read_whole(question)
    for one in read_listing(question, facts):
        subjects = (one.kind, one.device) if one.device else (one.kind,)
        yield Request("list", subjects, one.asked, one.limits, one.wanted)
    sentences = SENTENCE_END.split(question)
    for sentence in sentences:
        yield from _read_number(sentence)
    for sentence in sentences:
        yield from _read_attribute(sentence, facts)
    yield from _read_fits(question)


def _read_whole(question: str) -> Iterator[Request]:
    for pattern in _COMPARE:
        if found := pattern.search(question):
            asked = _COMPARED_ON.search(found["second"])
            second = found["second"][: asked.start()] if asked else found["second"]
            yield Request(
                "compare",
                (subject_of(found["first"]), subject_of(second)),
                asked=subject_of(asked["asked"]) if asked else "",
            )
            return
    if found := _SUMMARY.search(question):
        yield Request("summary", (subject_of(found["first"]),))


def _read_attribute(sentence: str, facts: ProductFacts) -> Iterator[Request]:
    """Yield the attribute of the product asked for; a price has its own ways of being asked."""
    for pattern in _PRICE:
        found = pattern.search(sentence)
        if found and is_attribute("price", facts):
            yield Request("attribute", (subject_of(found["first"]),), asked="price")
            return
    if found := _WEIGHS.search(sentence):
        yield Request("attribute", (subject_of(found["first"]),), asked="weight")
        return
    if found := _HOW.search(sentence):
        noun = _NOUNS[found["how"].casefold()]
        asked = f"{found['part']} {noun}" if found["part"] else noun
        yield Request("attribute", (subject_of(found["first"]),), asked=asked)
        return
    yield from _read_tied(sentence, facts)
    for pattern in _HAS:
        found = pattern.search(sentence)
        if found and _may_be_asked(found["asked"], facts):
            yield Request("attribute", (subject_of(found["first"]),), asked=subject_of(found["asked"]))
            return


def _read_tied(sentence: str, facts: ProductFacts) -> Iterator[Request]:
    """Yield "the weight of the L24": cut at each word that ties, as long as an attribute stands before it."""
    lead = _LEAD.match(sentence)
    body = sentence[lead.end() :] if lead else sentence
    for tie in _TIES.finditer(body):
        asked, subject = body[: tie.start()], body[tie.end() :]
        if len(asked.split()) > _MOST_ASKED_WORDS:
            return
        if _may_be_asked(asked, facts) and subject_of(subject):
            yield _part_of(subject_of(asked), subject_of(subject))
            return


def _part_of(asked: str, subject: str) -> Request:
    """Return "the weight of the box of the L24" as the box weight of the L24, which is not its weight."""
    inner = _PARTS.search(subject)
    if inner and not names_of(subject[: inner.start()]):
        return Request("attribute", (subject_of(subject[inner.end() :]),), asked=f"{subject[: inner.start()]} {asked}")
    return Request("attribute", (subject,), asked=asked)


def _may_be_asked(asked: str, facts: ProductFacts) -> bool:
    return not _VERB.search(asked) and is_attribute(subject_of(asked), facts)


def _read_number(sentence: str) -> Iterator[Request]:
    """Yield which product a part number or barcode names; all words of it must be names."""
    for pattern in _IDENTIFY:
        if found := pattern.search(sentence):
            name = subject_of(_NUMBER_WORDS.sub("", found["first"].split(", ")[0]))
            if has_digit(name) and len(names_of(name)) == len(name.split()):
                yield Request("identify", (name,))
                return


def _read_fits(question: str) -> Iterator[Request]:
    """Yield what fits the product named; then what the product named fits."""
    for pattern in _FITS:
        for found in pattern.finditer(question):
            asked, device = subject_of(found["asked"]), subject_of(found["first"])
            if _is_kind(asked) and any(has_digit(name) for name in names_of(device)):
                yield Request("fits", (device,), asked=asked)
    for pattern in _TAKES:
        if (taken := pattern.search(question)) and any(has_digit(name) for name in names_of(taken["first"])):
            yield Request("attribute", (subject_of(taken["first"]),), asked="compatibility")


def _is_kind(asked: str) -> bool:
    """Tell whether words can name a kind of thing: few, and not "the weight of the toner"."""
    return bool(one_of(asked)) and len(asked.split()) <= _MOST_KIND_WORDS and not _NO_KIND.search(asked)
