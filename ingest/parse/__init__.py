"""Parsers: one file in, one ParsedDocument out.

    pdf        pages, reading order, headings, clause numbers, tables       .pdf
    text       plain text and Markdown                                      .txt .md
    catalog    one record for each product                                  .csv .tsv .json .jsonl
    docx       Word documents: headings, numbers, tables, footnotes          .docx
    pptx       presentations: a slide is a page                              .pptx
    xlsx       workbooks: tables, catalogues                                 .xlsx .xlsm
    html       web pages                                                     .html .htm .xhtml
    email      e-mail messages, without their attachments                    .eml
    archives   refuses zip archives that must not be opened
    ocr        text recognition, for pages of a PDF without text that can be used
    picture    draws a PDF page with a marked span
    (other formats come through the LlamaIndex door, `ingest.llama`)

A parser knows one file. It sets no name, version, date or access label. A document in a language that the embedder does
not know gets a warning here, whatever its format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath

from governance.digests import digest_value, short
from governance.errors import BadInput
from ingest.catalog_mapping import CATALOG_ENDINGS
from ingest.documents import ParsedDocument
from ingest.language import document_warning
from ingest.parse.archives import check_archive
from ingest.parse.catalog import parse_catalog
from ingest.parse.docx import parse_docx
from ingest.parse.email import parse_email
from ingest.parse.html import parse_html
from ingest.parse.ocr import OcrMode, find_engine
from ingest.parse.pdf import parse_pdf
from ingest.parse.pptx import parse_pptx
from ingest.parse.text import parse_markdown, parse_text
from ingest.parse.xlsx import parse_xlsx

PARSER_VERSION = 2
_CATALOG_VERSION = 1  # 1: mapping files, units, what was guessed is said
_PDF_VERSION = 1  # 1: columns, footnotes, tables without all their rules, what was seen of the pages

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
    ".docx": parse_docx,
    ".pptx": parse_pptx,
    ".xlsx": parse_xlsx,
    ".xlsm": parse_xlsx,
    ".html": parse_html,
    ".htm": parse_html,
    ".xhtml": parse_html,
    ".eml": parse_email,
}


def parser_key(document: str, *, ocr: OcrMode) -> str:
    """Return what decides a parse beside the file, by the document's name: equal keys, equal texts.

    A PDF is read again once text recognition is there, was renewed or is switched off.
    """
    ending = PurePath(document).suffix.lower()
    recognises = ocr == "auto" and _PARSERS.get(ending) is parse_pdf
    engine = find_engine() if recognises else None
    decides: dict[str, str | int] = {"parser": PARSER_VERSION, "as": ending, "ocr": engine.name if engine else ""}
    decides |= {"pdf": _PDF_VERSION} if ending == ".pdf" else {}
    return short(digest_value(decides | ({"catalog": _CATALOG_VERSION} if ending in CATALOG_ENDINGS else {})), 16)


def parse_file(path: Path, *, ocr: OcrMode = "auto", mapping: str = "") -> ParsedDocument:
    """Parse a file by its ending; `mapping` is the text of a catalogue's mapping file, which other files do not have.

    Raises BadInput, with the reason, where it cannot be read.
    """
    check_archive(path)
    parser = _parser_of(path)
    parsed = _parse(path, parser, ocr=ocr, mapping=mapping)
    warning = document_warning(parsed.text)
    return replace(parsed, warnings=(*parsed.warnings, warning)) if warning else parsed


def _parse(path: Path, parser: Callable[[Path], ParsedDocument], *, ocr: OcrMode, mapping: str) -> ParsedDocument:
    if parser is parse_pdf:
        return parse_pdf(path, ocr=ocr)
    if mapping and parser in (parse_catalog, parse_xlsx):
        return parse_xlsx(path, mapping) if parser is parse_xlsx else parse_catalog(path, mapping)
    return parser(path)


def parse_file_without_ocr(path: Path, *, mapping: str = "") -> ParsedDocument:
    """Parse a file as `parse_file` does, and never by text recognition: what `ingest.ocr = "never"` stands for."""
    return parse_file(path, ocr="never", mapping=mapping)


def check_ending(name: str) -> None:
    """Raise BadInput for a file name whose ending no parser reads."""
    _parser_of(Path(name))


def _parser_of(path: Path) -> Callable[[Path], ParsedDocument]:
    parser = _PARSERS.get(path.suffix.lower())
    if parser is not None:
        return parser
    from ingest.llama import LLAMA_ENDINGS, parse_with_llama

    if path.suffix.lower() in LLAMA_ENDINGS:
        return parse_with_llama
    known = " ".join(sorted({*_PARSERS, *LLAMA_ENDINGS}))
    raise BadInput(f"Files ending in {path.suffix or 'nothing'} are not read; {known} are: save it as one of these.")
