"""Product records: the catalogue records that a question names, within what the asker may see.

Candidates come from the index under the asker's conditions, records alone, and are checked against the access labels
once more. A candidate counts only if it goes by the names that were given (`product_names`). Its whole text is then
read from the stored version, so that every line stands at its place; a line that holds text which speaks to an
assistant is never given out. It refuses to know what is asked about the records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

from assistant.instructions import find_instructions
from assistant.product_answers import Line, Record, read_record, title_line
from assistant.product_names import IDENTIFIERS, Words, closest, goes_by, identified_by, identity_of, is_model, names_of
from assistant.retrieve import Passage, RetrievalTools, Scope, check_access, retrieve
from ingest.documents import ParsedDocument
from ingest.index import Condition, Stored, fits
from ingest.product_facts import ProductFacts
from ingest.product_graph import fitting_key

MOST_EXAMINED = 2000  # chunks
_CANDIDATES = 20
_RECORDS = Condition("kind", "=", "record")
ReadParsed = Callable[[str, str], ParsedDocument]  # document, version -> its parsed text


@dataclass(frozen=True)
class Found:
    """A record with the Passage that found it, and the spans of its text that are kept from answers (code points)."""

    record: Record
    passage: Passage
    kept_back: tuple[tuple[int, int], ...] = ()

    def may_show(self, line: Line) -> bool:
        """Tell whether a line holds nothing that is kept back."""
        return not any(line.start < end and start < line.end for start, end in self.kept_back)


@dataclass(frozen=True)
class Catalogue:
    """The records of a Generation as one asker sees them."""

    tools: RetrievalTools
    scope: Scope
    read_parsed: ReadParsed
    _found: dict[str, list[Passage]] = field(default_factory=dict, repr=False)

    @property
    def facts(self) -> ProductFacts:
        """Return the summary of all records of the Generation."""
        return self.tools.summary.products

    @cached_property
    def _records_alone(self) -> Scope:
        return replace(self.scope, filters=(*self.scope.filters, _RECORDS))

    def named(self, subject: str) -> list[Found]:
        """Return the records that a subject names most exactly; none where no record goes by all its names."""
        held = [one for one in self._candidates(subject) if self._goes_by(subject, one)]
        places = closest(subject, [(title_of(one.chunk), one.chunk.attributes) for one in held])
        return self.read(held[place] for place in places)

    def identified(self, name: str) -> list[tuple[Found, tuple[str, ...]]]:
        """Return the records that have a name as their model or another identifier, each with the keys of those."""
        held = [(one, identified_by(name, one.chunk.attributes)) for one in self._candidates(name)]
        return [(found, keys) for one, keys in held if keys for found in self.read([one])]

    def unknown_models(self, subject: str) -> list[str]:
        """Return the models and part numbers in a subject that no record found for it goes by."""
        models = [name for name in names_of(subject) if is_model(name)]
        held = [
            Words(identity_of(title_of(one.chunk), one.chunk.attributes, whole=True))
            for one in (self._candidates(subject) if models else ())
        ]
        return [name for name in models if not any(words.hold(name) for words in held)]

    def by_words(
        self, text: str, conditions: Sequence[Condition] = (), *, limit: int = MOST_EXAMINED
    ) -> tuple[list[Stored], bool]:
        """Return one chunk of each record that shares words with a text, best first, and whether these are all."""
        conditions = (*self._records_alone.conditions(), *conditions)
        chunks = self.tools.index.search_words(text, conditions=conditions, limit=limit)
        check_access(chunks, self.scope)
        first: dict[tuple[str, str, str], Stored] = {}
        for chunk in chunks:
            first.setdefault((chunk.document, chunk.version, chunk.clause), chunk)
        return list(first.values()), len(chunks) < limit

    def stating_fit(self, names: Sequence[str], *, limit: int = MOST_EXAMINED) -> list[Stored]:
        """Return one chunk of each record that states that it fits a product of all these names with a digit."""
        keys = [key for name in names if (key := fitting_key(name))]
        conditions = (*self._records_alone.conditions(), *(fits(key) for key in keys))
        chunks = list(islice(self.tools.index.scroll(conditions), limit)) if keys else []
        check_access(chunks, self.scope)
        return chunks

    def read(self, found: Iterable[Passage]) -> list[Found]:
        """Return the whole records behind Passages; one whose title is kept back is left out."""
        records = [self._read(passage) for passage in found]
        return [one for one in records if one is not None and one.may_show(title_line(one.record))]

    def read_chunks(self, chunks: Iterable[Stored]) -> list[Found]:
        """Return the whole records behind chunks that a search by words found."""
        return self.read(Passage(chunk, rank, 0.0, 0.0, chunk.score) for rank, chunk in enumerate(chunks, start=1))

    def _candidates(self, subject: str) -> list[Passage]:
        if subject not in self._found:
            settings = self.tools.settings
            candidates = max(settings.candidates, _CANDIDATES)
            settings = settings.model_copy(update={"top_k": _CANDIDATES, "candidates": candidates})
            tools = replace(self.tools, settings=settings, reader=None)
            self._found[subject] = retrieve(subject, tools=tools, scope=self._records_alone)
        return self._found[subject]

    def _goes_by(self, subject: str, passage: Passage) -> bool:
        return goes_by(subject, title_of(passage.chunk), passage.chunk.attributes, tuple(self.facts.makers))

    def _read(self, passage: Passage) -> Found | None:
        chunk = passage.chunk
        parsed = self.read_parsed(chunk.document, chunk.version)
        clause = next((one for one in parsed.clauses if one.start <= chunk.start < one.end), None)
        if clause is None or clause.kind != "record" or clause.number != chunk.clause:
            return None
        record = read_record(parsed, clause, document=chunk.document, version=chunk.version)
        orders = find_instructions(record.text, beside=record.title)
        kept_back = tuple((record.start + one.start, record.start + one.end) for one in orders)
        return Found(record, passage, kept_back)


def short_name(record: Record) -> str:
    """Return how a record is called in a sentence: its title, or maker and model where that is long."""
    if len(record.title) <= 60:
        return record.title
    maker = next((str(record.attributes[key]) for key in ("supplier", "brand") if key in record.attributes), "")
    model = next((str(record.attributes[key]) for key in ("name", "model") if key in record.attributes), "")
    called = model if model.casefold().startswith(maker.casefold()) else f"{maker} {model}"
    return called if model and len(called) < len(record.title) else record.title


def identifiers_of(chunks: Iterable[Stored]) -> frozenset[str]:
    """Return the numbers by which records go, digits alone: what is no payment card, whatever its check digit."""
    numbers = (str(chunk.attributes[key]) for chunk in chunks for key in IDENTIFIERS if key in chunk.attributes)
    return frozenset(number for number in numbers if number.isdigit())


def title_of(chunk: Stored) -> str:
    """Return the title of a record, whichever slice of it was found."""
    return chunk.path[0] if chunk.path else chunk.title
