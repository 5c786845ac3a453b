"""Read a Word document (.docx) into a ParsedDocument: headings, numbers, tables in place, footnotes.

Headings come from styles and outline levels, else from how lines are set; the numbers that Word counts are written
before their paragraphs as printed. A footnote stands below the paragraph that refers to it. Left out: headers and
footers, comments, tracked deletions, and hidden text, which is named in a warning. There are no pages: Word decides
them when it prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.documents import ParsedDocument
from ingest.parse.docx_numbers import BULLET, Numbers, W, value_of, whole_number
from ingest.parse.package import Kind, check_package, library, refusing
from ingest.parse.writing import Look, Writing, is_table

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
WORD = Kind("Word document", ".docx", "word/document.xml", "docx", "python-docx")
_HEADING_STYLE = re.compile(r"heading (?P<level>[1-9])$", re.I)
_CONTENTS_STYLE = re.compile(r"(?:toc|table of figures)\b", re.I)
_BODY_LEVEL = 9  # the outline level of what is no heading
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # the same again, for old programs
_LEFT_OUT = {"del", "moveFrom", "pPr", "rPr", "delText", "instrText", "delInstrText", "Fallback", "txbxContent", "rt"}
_WRAPPERS = {"sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"}
_OFF = {"0", "false", "off"}


@dataclass(frozen=True)
class _Style:
    """A paragraph style with what it inherits; `list_id` is "" where it has no number."""

    name: str = ""
    level: int = 0
    bold: bool = False
    size: float = 0.0
    list_id: str = ""
    list_level: int | None = None


@dataclass
class _Reader:
    """Walks the body once and writes what it meets."""

    styles: Mapping[str, _Style]
    default: str
    numbers: Numbers
    notes: Mapping[tuple[str, str], str]
    writing: Writing = field(default_factory=Writing)
    title: str = ""
    hidden: bool = False
    noted: int = 0

    def blocks(self, parent: Any) -> None:
        """Write the paragraphs and tables below an element, in order."""
        for child in parent:
            name = _local(child)
            if name == "p":
                self._paragraph(child)
            elif name == "tbl":
                self._table(child)
            elif name in _WRAPPERS:
                self.blocks(child)

    def _paragraph(self, paragraph: Any) -> None:
        style_id = _style_id(paragraph) or self.default
        style = self.styles.get(style_id, _Style())
        notes: list[str] = []
        text = "".join(self._pieces(paragraph, notes)).strip()
        number = self._number(paragraph, style_id, style)  # an empty paragraph counts too
        if text:
            self._write(paragraph, style, f"{number} {text}".strip())
        for note in notes:
            self.writing.block(note, Look(plain=True), close=True)
        for box in _text_boxes(paragraph):
            self.blocks(box)

    def _write(self, paragraph: Any, style: _Style, text: str) -> None:
        if style.name.casefold() == "title" and not self.title:
            self.title = text
        level = _outline_level(paragraph, style)
        bullet = text.startswith(BULLET)
        plain = bullet or bool(_CONTENTS_STYLE.match(style.name))
        size, bold = _set_like(paragraph, style)
        self.writing.block(text, Look(level, bold, size, plain), close=bullet)

    def _number(self, paragraph: Any, style_id: str, style: _Style) -> str:
        """Return the number that Word prints before a paragraph, "" where none is."""
        properties = paragraph.find(f"{W}pPr/{W}numPr")
        if paragraph.find(f"{W}pPr/{W}rPr/{W}del") is not None:  # its end was deleted: it is one with the next
            return ""
        direct = value_of(properties, "numId") if properties is not None else ""
        list_id = direct or style.list_id
        if not list_id:
            return ""
        stated = value_of(properties, "ilvl") if properties is not None else ""
        if stated:
            level = whole_number(stated, 0)
        elif style.list_level is not None:
            level = style.list_level
        else:
            level = self.numbers.level_of_style(list_id, style_id)
        return self.numbers.following(list_id, level)

    def _pieces(self, element: Any, notes: list[str]) -> Iterator[str]:
        """Yield the visible text below an element; the text of footnotes met on the way goes to `notes`."""
        for child in element:
            name = _local(child)
            if name == "t":
                yield child.text or ""
            elif name in _SIGNS:
                yield _SIGNS[name]
            elif name in {"footnoteReference", "endnoteReference"}:
                yield self._note(name.removesuffix("Reference"), child.get(f"{W}id", ""), notes)
            elif name == "r" and _is_on(child.find(f"{W}rPr/{W}vanish")):
                self.hidden = self.hidden or any(_local(one) == "t" for one in child)
            elif name not in _LEFT_OUT:
                yield from self._pieces(child, notes)

    def _note(self, kind: str, note_id: str, notes: list[str]) -> str:
        text = self.notes.get((kind, note_id), "")
        if not text:
            return ""
        self.noted += 1
        notes.append(f"[{self.noted}] {text}")
        return f" [{self.noted}]"

    def _table(self, table: Any) -> None:
        rows = [list(_cells(row)) for row in _below(table, "tr") if row.find(f"{W}trPr/{W}del") is None]
        notes: list[str] = []
        texts = [[cell for one in row for cell in self._cell(one, notes)] for row in rows]
        if is_table(texts):
            self.writing.table(texts)
            for note in notes:
                self.writing.block(note, Look(plain=True), close=True)
            return
        self.noted -= len(notes)
        for row in rows:
            for one in row:
                self.blocks(one)

    def _cell(self, cell: Any, notes: list[str]) -> list[str]:
        """Return the text of a cell, and an empty one for each further column that it spans."""
        spanned = min(whole_number(_property(cell, "gridSpan"), 1), 100) - 1
        merged = cell.find(f"{W}tcPr/{W}vMerge")
        if merged is not None and merged.get(f"{W}val", "continue") == "continue":
            return [""] * (spanned + 1)
        shown = (one for one in cell.iter(f"{W}p") if next(one.iterancestors(_FALLBACK), None) is None)
        text = " ".join(self._numbered(one, "".join(self._pieces(one, notes))) for one in shown)
        return [text, *[""] * spanned]

    def _numbered(self, paragraph: Any, text: str) -> str:
        style_id = _style_id(paragraph) or self.default
        return f"{self._number(paragraph, style_id, self.styles.get(style_id, _Style()))} {text}".strip()


_SIGNS = {"tab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": " "}


def parse_docx(path: Path) -> ParsedDocument:
    """Read a Word document. Raises BadInput where it is empty, damaged, locked, too large, or holds no text."""
    check_package(path, WORD)
    docx = library(WORD.module, WORD.distribution)
    with refusing(path, WORD), path.open("rb") as file:
        document = docx.Document(file)
        styles, default = _read_styles(document.styles.element)
        reader = _Reader(styles, default, Numbers.of(_numbering(document)), _read_notes(document))
        reader.blocks(document.element.body)
        stated = reader.title or document.core_properties.title or ""
    warnings = ["hidden text was left out"] if reader.hidden else []
    return reader.writing.finish(path, media_type=MEDIA_TYPE, stated=stated, warnings=warnings)


def _numbering(document: Any) -> Any | None:
    related = (one for one in document.part.rels.values() if one.reltype.endswith("/numbering") and not one.is_external)
    found = next(related, None)
    return None if found is None else found.target_part.element


def _read_notes(document: Any) -> dict[tuple[str, str], str]:
    """Return the text of footnotes and endnotes by kind and id."""
    from docx.oxml import parse_xml

    notes = {}
    for related in document.part.rels.values():
        kind = related.reltype.rsplit("/", 1)[-1]
        if kind not in {"footnotes", "endnotes"} or related.is_external:
            continue
        kind = kind.removesuffix("s")
        for note in parse_xml(related.target_part.blob).iter(f"{W}{kind}"):
            if note.get(f"{W}type") is None:  # the others are rules between text and notes
                text = " ".join("".join(_plain_pieces(one)) for one in note.iter(f"{W}p"))
                notes[kind, note.get(f"{W}id", "")] = " ".join(text.split())
    return notes


def _plain_pieces(element: Any) -> Iterator[str]:
    return _Reader({}, "", Numbers.of(None), {})._pieces(element, [])


def _read_styles(root: Any) -> tuple[dict[str, _Style], str]:
    """Return all paragraph styles by their id, each with what it inherits, and the id of the default one."""
    found = {one.get(f"{W}styleId", ""): one for one in root.iter(f"{W}style") if one.get(f"{W}type") == "paragraph"}
    default = next((name for name, one in found.items() if one.get(f"{W}default") not in {None, *_OFF}), "")
    usual = root.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr")
    size = _size(usual) if usual is not None else 0.0
    return {name: _inherited(name, found, size) for name in found}, default


def _inherited(name: str, found: Mapping[str, Any], size: float) -> _Style:
    chain: list[Any] = []
    here = name
    while here in found and found[here] not in chain:
        chain.append(found[here])
        here = value_of(found[here], "basedOn")
    style = _Style(size=size)
    for one in reversed(chain):
        style = _with(style, one)
    return style


def _with(above: _Style, one: Any) -> _Style:
    """Return a style as one that is based on another states it."""
    name = value_of(one, "name")
    heading = _HEADING_STYLE.match(name)
    outline = one.find(f"{W}pPr/{W}outlineLvl")
    level = int(heading["level"]) if heading else above.level
    if outline is not None:
        level = _level(outline.get(f"{W}val", ""))
    bold = one.find(f"{W}rPr/{W}b")
    runs = one.find(f"{W}rPr")
    number = one.find(f"{W}pPr/{W}numPr")
    stated = value_of(number, "ilvl") if number is not None else ""
    return _Style(
        name=name,
        level=level,
        bold=above.bold if bold is None else _is_on(bold),
        size=(_size(runs) if runs is not None else 0.0) or above.size,
        list_id=(value_of(number, "numId") if number is not None else "") or above.list_id,
        list_level=whole_number(stated, 0) if stated else (above.list_level if number is None else None),
    )


def _outline_level(paragraph: Any, style: _Style) -> int:
    stated = paragraph.find(f"{W}pPr/{W}outlineLvl")
    return style.level if stated is None else _level(stated.get(f"{W}val", ""))


def _level(value: str) -> int:
    """Return an outline level, counted from 0 in the file, as a heading level; 0 for body text."""
    level = whole_number(value, _BODY_LEVEL)
    return level + 1 if 0 <= level < _BODY_LEVEL else 0


def _set_like(paragraph: Any, style: _Style) -> tuple[float, bool]:
    """Return the size of a paragraph's first run with text and whether all such runs are bold."""
    runs = [run for run in paragraph.iter(f"{W}r") if any((t.text or "").strip() for t in run.iter(f"{W}t"))]
    properties = [run.find(f"{W}rPr") for run in runs]
    bold = [None if one is None else one.find(f"{W}b") for one in properties]
    first = properties[0] if properties else None
    size = (_size(first) if first is not None else 0.0) or style.size
    return size, bool(runs) and all(style.bold if one is None else _is_on(one) for one in bold)


def _size(properties: Any) -> float:
    return whole_number(value_of(properties, "sz"), 0) / 2  # half points in the file


def _is_on(element: Any | None) -> bool:
    return element is not None and element.get(f"{W}val", "1") not in _OFF


def _local(element: Any) -> str:
    tag = element.tag
    return tag.rsplit("}", 1)[-1] if isinstance(tag, str) else ""


def _style_id(paragraph: Any) -> str:
    properties = paragraph.find(f"{W}pPr")
    return "" if properties is None else value_of(properties, "pStyle")


def _property(cell: Any, name: str) -> str:
    properties = cell.find(f"{W}tcPr")
    return "" if properties is None else value_of(properties, name)


def _cells(row: Any) -> Iterator[Any]:
    return _below(row, "tc")


def _below(parent: Any, name: str) -> Iterator[Any]:
    """Yield the children of a name, also those in content controls and tracked insertions."""
    for child in parent:
        if _local(child) == name:
            yield child
        elif _local(child) in _WRAPPERS:
            yield from _below(child, name)


def _text_boxes(paragraph: Any) -> Iterator[Any]:
    """Yield the outermost text boxes in a paragraph, each once: older programs get a copy as a fallback."""
    for child in paragraph:
        name = _local(child)
        if name == "txbxContent":
            yield child
        elif name not in {"Fallback", "del", "moveFrom"}:
            yield from _text_boxes(child)
