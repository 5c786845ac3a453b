"""Headings: the heading of a passage asked as a question, of handbook pages, policies and contracts.

The heading is cut out of the passage, so that it is found by what it says. Nobody marked these, so other passages are
UNKNOWN and no span is given: they teach the order of passages alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.reader_documents import LabelledDocument, Placed, Shelf, cut_parsed
from finetune.reader_groups import ANSWERS, UNKNOWN, Candidate, Group, Passage, split_in_two
from finetune.reader_material import Material
from finetune.reader_questions import Phrasings
from governance.errors import ProvenantError
from ingest.documents import ParsedDocument
from ingest.parse import parse_file
from ingest.words import content_words

SOURCES = {"heading": "18F handbook: CC0 1.0; GSA and NIST policies: public domain; CUAD v1: CC BY 4.0"}
_SHARE_OF_PAGES = 0.9
_SHARE_OF_POLICIES = 0.7
_SHARE_OF_CONTRACTS = 0.12
_LEAST_PAGE_CHARACTERS = 300
_LEAST_BODY_CHARACTERS = 120
_MOST_BEFORE_HEADING_CHARACTERS = 12
_LEADING_NUMBER = re.compile(r"^[\dA-Za-z]{0,4}[.)\d]*\s+")


def heading_groups(material: Material, contracts: Iterable[LabelledDocument], phrasings: Phrasings) -> Iterator[Group]:
    """Yield a group for most headings of the handbook and the policies and for some of the contracts."""
    draw = material.draw("heading")
    for documents, share in (
        (list(_read_pages(material)), _SHARE_OF_PAGES),
        (list(_read_policies(material)), _SHARE_OF_POLICIES),
        (list(contracts), _SHARE_OF_CONTRACTS),
    ):
        asking = _Asking(draw, Shelf(documents), phrasings.heading, share)
        for document in documents:
            yield from asking.groups_of(document)


@dataclass(frozen=True)
class _Asking:
    draw: random.Random
    shelf: Shelf
    templates: Sequence[str]
    share: float

    def groups_of(self, document: LabelledDocument) -> Iterator[Group]:
        """Yield a group for a share of the headings of a document, each heading once."""
        seen = set()
        for placed in document.placed:
            heading = _heading(placed)
            if not 6 <= len(heading) <= 60 or heading in seen or not content_words(heading):
                continue
            seen.add(heading)
            body = _without_heading(placed.passage.text, heading)
            if self.draw.random() < self.share and len(body) >= _LEAST_BODY_CHARACTERS:
                yield self._group(document, placed, heading=heading, body=body)

    def _group(self, document: LabelledDocument, placed: Placed, *, heading: str, body: str) -> Group:
        above = " | ".join(_headings(placed)[:-1])
        others = [
            document.placed[number].passage
            for number in document.ranked(heading)
            if document.placed[number].passage.heading != placed.passage.heading
        ][:4]
        others += self.shelf.near_misses(document, heading, most=2, draw=self.draw)
        named = heading.lower() if self.draw.random() < 0.5 else heading
        question = self.draw.choice(self.templates).format(heading=named)
        candidates = [Candidate(Passage(above, body, document.name), ANSWERS)]
        candidates += [Candidate(passage, UNKNOWN) for passage in others]
        return Group(question, "heading", document.name, document.split, tuple(candidates))


def _read_pages(material: Material) -> Iterator[LabelledDocument]:
    """Yield the pages of the handbook that can be read, without those of the samples and the very short."""
    folder = material.data / "policies" / "18f-handbook"
    for path in sorted((folder / "pages").rglob("*.md")):
        if material.is_sample(path.name):
            continue
        parsed = _parsed(path)
        if parsed is not None and len(parsed.text) >= _LEAST_PAGE_CHARACTERS:
            name = f"18f/{path.relative_to(folder).as_posix()}"
            yield cut_parsed(parsed, name=name, split=split_in_two(f"18f{path.stem}"), tokens=material.tokens)


def _read_policies(material: Material) -> Iterator[LabelledDocument]:
    """Yield the policies that can be read, without those of the samples."""
    folder = material.data / "policies" / "pdf"
    for path in sorted(folder.rglob("*.pdf")):
        parsed = None if material.is_sample(path.name) else _parsed(path)
        if parsed is not None:
            name = f"policy/{path.relative_to(folder).as_posix()}"
            yield cut_parsed(parsed, name=name, split=split_in_two(f"policy{path.stem}"), tokens=material.tokens)


def _parsed(path: Path) -> ParsedDocument | None:
    try:
        return parse_file(path)
    except ProvenantError:  # a page that is only a redirect, say, or a scan
        return None


def _headings(placed: Placed) -> list[str]:
    return placed.passage.heading.split("\n")[0].split(" | ")


def _heading(placed: Placed) -> str:
    headings = _headings(placed)
    return _LEADING_NUMBER.sub("", headings[-1]) if len(headings) > 1 else ""


def _without_heading(text: str, heading: str) -> str:
    """Return a text from behind its heading on, where it begins with it, perhaps after a number or a mark."""
    at = text.find(heading, 0, len(heading) + _MOST_BEFORE_HEADING_CHARACTERS)
    return text.strip() if at < 0 else text[at + len(heading) :].strip(" .:\n")
