"""Parsers: one file in, one ParsedDocument out.

    pdf        pages, reading order, headings, clause numbers, tables       .pdf
    text       plain text and Markdown                                      .txt .md
    catalog    one record for each product                                  .csv .tsv .json .jsonl
    picture    draws a PDF page with a marked span
    (other formats come through the LlamaIndex door, `ingest.llama`)

A parser knows one file. It sets no name, version, date or access label.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from governance.digests import digest_value, short
from governance.errors import BadInput
from ingest.documents import ParsedDocument
from ingest.parse.catalog import parse_catalog
from ingest.parse.pdf import parse_pdf
from ingest.parse.text import parse_markdown, parse_text

PARSER_VERSION = 1
PARSER = short(digest_value({"parser": PARSER_VERSION}), 16)

_PARSERS: dict[str, Callable[[Path], ParsedDocument]] = {
    ".pdf": parse_pdf,
    ".md": parse_markdown,
    ".markdown": parse_markdown,
    ".txt": parse_text,
    ".text": parse_text,
    ".csv": parse_catalog,
    ".tsv": parse_catalog,
    ".json": parse_catalog,
    ".jsonl": parse_catalog,
}


def parse_file(path: Path) -> ParsedDocument:
    """Parse a file by its ending. Raises BadInput, with the reason, where it cannot be read."""
    parser = _PARSERS.get(path.suffix.lower())
    if parser is not None:
        return parser(path)
    from ingest.llama import parse_with_llama, reads

    if reads(path):
        return parse_with_llama(path)
    known = " ".join(sorted(_PARSERS))
    raise BadInput(f"Files ending in {path.suffix or 'nothing'} are not read; {known} .docx .rtf are.")
