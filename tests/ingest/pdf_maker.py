"""Writes small PDFs for tests: lines of text at places, rules, pages; nothing else.

    make_pdf(path, [Sheet(words=[Words("1 Scope", 72, 700, size=14, bold=True)], rules=[(72, 600, 300, 600)])])

Words are in Latin-1 and one of two standard fonts; a rule is (x0, y0, x1, y1) in points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Words:
    text: str
    x: float
    y: float
    size: float = 11
    bold: bool = False


@dataclass(frozen=True)
class Sheet:
    words: Sequence[Words] = ()
    rules: Sequence[tuple[float, float, float, float]] = ()
    width: float = 612
    height: float = 792
    rotate: int = 0
    crop: tuple[float, float, float, float] | None = None
    raw: str = field(default="")


def paragraph(*lines: str, top: float = 700, size: float = 11, x: float = 72) -> list[Words]:
    """One Words a line, 14 points apart."""
    return [Words(line, x, top - 14 * number, size) for number, line in enumerate(lines)]


def table(rows: Sequence[Sequence[str]], *, top: float, lefts: Sequence[float], height: float = 20) -> Sheet:
    """Rows of cells with a rule around each; `lefts` has one more place than there are columns."""
    words = [
        Words(cell, lefts[column] + 4, top - height * row - 14)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
        if cell
    ]
    bottom = top - height * len(rows)
    across = [(lefts[0], top - height * row, lefts[-1], top - height * row) for row in range(len(rows) + 1)]
    down = [(left, bottom, left, top) for left in lefts]
    return Sheet(words, [*across, *down])


def make_pdf(path: Path, sheets: Sequence[Sheet], *, title: str = "", garbled: bool = False) -> Path:
    """Write the PDF and return its path. `garbled`: the text of what is not bold is wrong, its looks are right."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", _font("Helvetica"), _font("Helvetica-Bold")]
    objects.append(f"<< /Title ({title}) >>")
    if garbled:
        objects[2] = objects[2].replace(" >>", " /ToUnicode 6 0 R >>")
        objects.append(f"<< /Length {len(_WRONG_LETTERS)} >>\nstream\n{_WRONG_LETTERS}\nendstream")
    kids = []
    for sheet in sheets:
        content = _content(sheet)
        kids.append(f"{len(objects) + 2} 0 R")
        objects.append(f"<< /Length {len(content.encode('latin-1'))} >>\nstream\n{content}\nendstream")
        objects.append(_page(sheet, len(objects)))
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    path.write_bytes(_file(objects))
    return path


_WRONG_LETTERS = """/CIDInit /ProcSet findresource begin begincmap
1 begincodespacerange <00> <FF> endcodespacerange
1 beginbfrange <20> <7E> <003D> endbfrange
endcmap end"""


def _font(name: str) -> str:
    return f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>"


def _page(sheet: Sheet, content: int) -> str:
    crop = f" /CropBox [{' '.join(map(str, sheet.crop))}]" if sheet.crop else ""
    return (
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {sheet.width} {sheet.height}]{crop} /Rotate {sheet.rotate} "
        f"/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> /Contents {content} 0 R >>"
    )


def _content(sheet: Sheet) -> str:
    parts = [sheet.raw] if sheet.raw else []
    for words in sheet.words:
        text = words.text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        font = "F2" if words.bold else "F1"
        parts.append(f"BT /{font} {words.size} Tf 1 0 0 1 {words.x} {words.y} Tm ({text}) Tj ET")
    parts.extend(f"{x0} {y0} m {x1} {y1} l S" for x0, y0, x1, y1 in sheet.rules)
    return "\n".join(parts)


def _file(objects: Sequence[str]) -> bytes:
    written = b"%PDF-1.7\n"
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(written))
        written += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    xref = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(f"{place:010} 00000 n \n" for place in places)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 5 0 R >>\nstartxref\n{len(written)}\n%%EOF\n"
    return written + xref.encode("latin-1") + trailer.encode("latin-1")
