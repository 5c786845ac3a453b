"""The texts behind Citations: spans, pages, pictures and surroundings of stored document versions.

Read from what ingestion kept under each Digest, so a Citation can be shown as it was when it was made, even after the
source has changed. A few parsed documents stay in memory.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import select

from governance.errors import NotFound
from governance.settings import Settings
from governance.store import DocumentRecord, Store, VersionRecord
from ingest.artefacts import Artefacts
from ingest.documents import ParsedDocument
from ingest.parse.picture import draw_page

_IN_MEMORY = 8
_AROUND = 600
_FIRST_WORD = re.compile(r"^\S*\s+")
_LAST_WORD = re.compile(r"\s+\S*$")


@dataclass(frozen=True)
class Surroundings:
    """A span with the text before and after it."""

    before: str
    span: str
    after: str


class DocumentTexts:
    """Gives texts and pictures of stored versions. Safe to use from several threads."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._artefacts = Artefacts(settings.home / "documents")
        self._store = store
        self._parsed: OrderedDict[tuple[str, str], ParsedDocument] = OrderedDict()
        self._lock = threading.Lock()

    def parsed(self, document: str, version: str) -> ParsedDocument:
        """Return the parsed text of a version. Raises NotFound or Damaged."""
        parser = self._record(document, version).parser  # a version that was read anew has another text
        with self._lock:
            key = (version, parser)
            if key in self._parsed:
                self._parsed.move_to_end(key)
                return self._parsed[key]
        parsed = self._artefacts.parsed(version, parser)
        with self._lock:
            self._parsed[key] = parsed
            while len(self._parsed) > _IN_MEMORY:
                self._parsed.popitem(last=False)
        return parsed

    def span(self, document: str, version: str, start: int, end: int) -> str:
        """Return the text at a place, "" where there is none."""
        return self.parsed(document, version).text[start:end]

    def page_at(self, document: str, version: str, offset: int) -> int | None:
        """Return the page of an offset, None for a source without pages."""
        return self.parsed(document, version).page_at(offset)

    def surroundings(self, document: str, version: str, start: int, end: int) -> Surroundings:
        """Return a span with up to 600 characters on each side, whole words, never beyond its catalogue record."""
        parsed = self.parsed(document, version)
        text = parsed.text
        record = next((one for one in parsed.clauses if one.kind == "record" and one.start <= start < one.end), None)
        first, last = (record.start, record.end) if record else (0, len(text))
        before, after = text[max(first, start - _AROUND) : start], text[end : min(last, end + _AROUND)]
        if start - _AROUND > first:
            before = _FIRST_WORD.sub("", before)
        if end + _AROUND < last:
            after = _LAST_WORD.sub("", after)
        return Surroundings(before, text[start:end], after)

    def is_drawable(self, document: str, version: str, page: int) -> bool:
        """Return whether a page has a size and so a picture: a PDF's has, a slide's is known by its text only."""
        return any(known.number == page and known.width > 0 for known in self.parsed(document, version).pages)

    def picture(self, document: str, version: str, *, page: int, span: tuple[int, int]) -> bytes:
        """Return a page as PNG with a span marked. Raises NotFound where the source has no such page to draw."""
        parsed = self.parsed(document, version)
        if not self.is_drawable(document, version, page):
            raise NotFound(f"{document} has no page {page} that can be drawn.")
        source = self._artefacts.source(version)
        return draw_page(source, page=page, spans=[span], runs=parsed.runs)

    def labels(self, document: str, version: str) -> tuple[str, ...]:
        """Return the access labels of a version, to check who may look at it: those it has now, under any later name.

        Raises NotFound.
        """
        record, names = self._record(document, version), {document}
        while record.moved_to and record.moved_to not in names:
            names.add(record.moved_to)
            record = self._record(record.moved_to, version)
        return tuple(record.labels)

    def withdrawn(self, collection: str) -> tuple[str, ...]:
        """Return the Digests of a collection's withdrawn versions: an overlay on every release, older ones included."""
        query = (
            select(VersionRecord.digest)
            .join(DocumentRecord, DocumentRecord.id == VersionRecord.document_id)
            .where(DocumentRecord.collection == collection, VersionRecord.status == "withdrawn")
        )
        with self._store.session() as session:
            return tuple(sorted(set(session.scalars(query))))

    def _record(self, document: str, version: str) -> VersionRecord:
        query = (
            select(VersionRecord)
            .join(DocumentRecord, DocumentRecord.id == VersionRecord.document_id)
            .where(DocumentRecord.name == document, VersionRecord.digest == version)
        )
        with self._store.session() as session:
            record = session.scalars(query).first()
        if record is None:
            raise NotFound(f"There is no version {version[:19]} of a document {document!r}.")
        return record
