"""The summary of an index Generation: what is known of the whole of it, kept beside it in one small file.

How rare each word is (Vocabulary), what names each document (DocumentNames) and what the catalogues hold
(ProductFacts). Made when a Generation is built. It decides nothing about access; a summary that is missing or damaged
is made again from the index.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from governance.errors import Damaged
from ingest.chunks import Chunk
from ingest.document_names import DocumentNames, NameTally
from ingest.index import Stored
from ingest.product_facts import FactTally, PartFacts, ProductFacts
from ingest.vocabulary import Vocabulary, WordTally


@dataclass(frozen=True)
class Summary:
    """What is known of a whole Generation."""

    vocabulary: Vocabulary
    names: DocumentNames
    products: ProductFacts


def gather_summary(chunks: Iterable[Chunk | Stored]) -> Summary:
    """Read all chunks of a Generation once."""
    tally = SummaryTally()
    for chunk in chunks:
        tally.add(chunk)
    return tally.summary()


class SummaryTally:
    """Gathers a summary while the chunks pass by; none of them is held."""

    def __init__(self) -> None:
        self._words, self._names, self._facts = WordTally(), NameTally(), FactTally()

    def add(self, chunk: Chunk | Stored) -> None:
        """Read one chunk."""
        self._words.add(chunk.indexed_text if isinstance(chunk, Chunk) else chunk.text)
        self._names.add(chunk)
        self._facts.add_chunk(chunk)

    def summary(self) -> Summary:
        """Return what was gathered."""
        return Summary(self._words.vocabulary(), self._names.names(), self._facts.facts())


def summary_path(home: Path, generation: str) -> Path:
    """Return where the summary of a Generation is kept."""
    return home / "summaries" / f"{generation}.json.gz"


def keep_summary(path: Path, summary: Summary) -> None:
    """Write a summary aside and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with gzip.open(aside, "wt", encoding="utf-8", compresslevel=3) as file:
        json.dump(asdict(summary), file, ensure_ascii=False)
    aside.rename(path)


def read_summary(path: Path) -> Summary:
    """Read a summary. Raises FileNotFoundError where there is none, Damaged where it cannot be read."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            value = json.load(file)
        products = value["products"]
        parts = {name: PartFacts(**part) for name, part in products.pop("parts").items()}
        return Summary(
            Vocabulary(**value["vocabulary"]),
            DocumentNames(**value["names"]),
            ProductFacts(parts=parts, **products),
        )
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"The summary {path.name} cannot be read ({error}). Run the ingest again.") from error
