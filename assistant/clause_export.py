"""Export of clause work with its evidence: CSV for a spreadsheet, JSON whole, PDF to hand on.

Works on the JSON values of the other modules, so that a result that came from a server exports as one made here. Every
row carries its evidence: document, version Digest, page, clause, code point span and quote. In a CSV, a cell that a
spreadsheet would take for a formula gets an apostrophe before it; JSON has the exact text. ReportLab (BSD) draws the
PDF with its own Vera font; a sign that the font lacks is printed as a question mark there.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

from assistant.clause_diff import marked
from governance.errors import BadInput, ProvenantError

ClauseWork = Literal["find", "compare", "standard", "conflicts", "obligations"]
EVIDENCE = ("document", "version", "page", "clause", "heading", "char_start", "char_end", "quote")
_TITLES: dict[ClauseWork, str] = {
    "find": "Clauses found",
    "compare": "Clauses compared",
    "standard": "Contracts against standard clauses",
    "conflicts": "Possible conflicts",
    "obligations": "Obligations and dates",
}
_FORMULA = ("=", "+", "@", "-", "\t", "\r")
Row = dict[str, Any]


def export(work: ClauseWork, value: Mapping[str, Any], path: Path) -> None:
    """Write a result to a .csv, .json or .pdf file, aside and then renamed. Raises BadInput, ProvenantError."""
    make = {".csv": to_csv, ".json": to_json, ".pdf": to_pdf}[check_ending(path)]
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        aside.write_bytes(make(work, value))
        aside.replace(path)
    except OSError as error:
        raise ProvenantError(f"{path} could not be written ({error.strerror}); choose a folder with room.") from error


def check_ending(path: Path) -> str:
    """Return the ending that says what to write. Raises BadInput for another, before any work is done."""
    ending = path.suffix.casefold()
    if ending not in {".csv", ".json", ".pdf"}:
        raise BadInput(f"{path.name} does not say what to write; end the name in .csv, .json or .pdf.")
    return ending


def rows_of(work: ClauseWork, value: Mapping[str, Any]) -> list[Row]:
    """Return a result as flat rows, each with its evidence."""
    makers = {
        "find": _found_rows,
        "compare": _compared_rows,
        "standard": _standard_rows,
        "conflicts": _conflict_rows,
        "obligations": _obligation_rows,
    }
    return makers[work](value)


def to_json(work: ClauseWork, value: Mapping[str, Any]) -> bytes:
    """Return the whole result as JSON."""
    return json.dumps({"work": work, **value}, ensure_ascii=False, indent=2).encode("utf-8")


def to_csv(work: ClauseWork, value: Mapping[str, Any]) -> bytes:
    """Return the rows as CSV in UTF-8 with a byte order mark; each names the collection, day and release."""
    rows = rows_of(work, value)
    scope = {name: value.get(name) or "" for name in ("collection", "as_of", "release_id")}
    columns = list(dict.fromkeys([*(name for row in rows for name in row), *EVIDENCE, *scope]))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows({name: _cell(cell) for name, cell in {**row, **scope}.items()} for row in rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8")


def to_pdf(work: ClauseWork, value: Mapping[str, Any]) -> bytes:
    """Return the result as a PDF: the statement, its scope, what was not examined, then each row with its evidence."""
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import SimpleDocTemplate

    data = io.BytesIO()
    page = SimpleDocTemplate(data, pagesize=A4, title=_TITLES[work], author="Provenant", invariant=1)
    page.build(_story(work, value))
    return data.getvalue()


def _story(work: ClauseWork, value: Mapping[str, Any]) -> list[Any]:
    from reportlab.platypus import Paragraph, Spacer

    styles = _styles()

    def line(text: str, style: str = "body") -> Any:
        return Paragraph(escape(_printable(text)), styles[style])

    subject = f": {value['topic']}" if value.get("topic") else ""
    story = [line(f"{_TITLES[work]}{subject}", "title"), line(str(value["statement"])), Spacer(1, 6)]
    story += [line(text, "small") for text in _scope_lines(value)]
    for number, row in enumerate(rows_of(work, value), start=1):
        story += [Spacer(1, 8), line(f"{number}. {_row_title(row)}", "row")]
        said = [
            f"{name}: {row[name]}" for name in row if name not in {*EVIDENCE, "title"} and row[name] not in ("", None)
        ]
        story += [line(text, "small") for text in said]
        story.append(line(f"“{row['quote']}”") if row.get("quote") else line("No such clause.", "small"))
        if row.get("quote"):
            span = f"characters {row['char_start']} to {row['char_end']} of version {row['version']}"
            story.append(line(span, "small"))
    return story


def _scope_lines(value: Mapping[str, Any]) -> list[str]:
    lines = [
        f"Collection {value['collection']}, as of {value.get('as_of') or 'the latest versions'}, seen by "
        f"{value['principal']}, release {value['release_id']}."
    ]
    if value.get("threshold") is not None:
        lines.append(f"A clause matches from a score of {value['threshold']:.2f} ({value.get('scorer', '')}).")
    if value.get("documents_without_match"):
        lines.append(f"Documents without a match: {', '.join(value['documents_without_match'])}.")
    lines += [f"Not examined: {one['document']}: {one['notice']}" for one in value.get("not_examined", [])]
    return lines


def _styles() -> dict[str, Any]:
    import reportlab
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    folder = Path(reportlab.__file__).parent / "fonts"
    for name in ("Vera", "VeraBd"):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))
    body = ParagraphStyle("body", fontName="Vera", fontSize=9, leading=12, splitLongWords=1)
    return {
        "body": body,
        "title": ParagraphStyle("title", parent=body, fontName="VeraBd", fontSize=14, leading=20),
        "row": ParagraphStyle("row", parent=body, fontName="VeraBd"),
        "small": ParagraphStyle("small", parent=body, fontSize=7, leading=9, textColor="#555555"),
    }


def _printable(text: str) -> str:
    """Return a text with the signs that the PDF's font has; others become question marks."""
    kept = text.encode("cp1252", errors="replace").decode("cp1252")
    return "".join(sign if sign.isprintable() else " " for sign in kept)


def _row_title(row: Row) -> str:
    parts = [row["document"]]
    parts += [f"page {row['page']}"] if row.get("page") else []
    parts += [f"clause {row['clause']}"] if row.get("clause") else []
    parts += [str(row["heading"])] if row.get("heading") else []
    return ", ".join(parts)


def _evidence(place: Mapping[str, Any], quote: Mapping[str, Any] | None = None) -> Row:
    """Return the evidence columns of a place, narrowed to a quote in it."""
    told = quote or {}
    return {
        "document": place["document"],
        "version": place["version"],
        "page": told.get("page", place.get("page")),
        "clause": place.get("clause", ""),
        "heading": place["path"][-1] if place.get("path") else "",
        "char_start": told.get("char_start", place.get("char_start")),
        "char_end": told.get("char_end", place.get("char_end")),
        "quote": told.get("quote", place.get("quote", place.get("text", ""))),
    }


def _found_rows(value: Mapping[str, Any]) -> list[Row]:
    rows = []
    for match in [*value["matches"], *value["other_wording"]]:
        facts = "; ".join(f"{fact['kind']} {fact['value']}" for fact in match["facts"])
        for quote in match["evidence"] or [None]:
            said = {"verdict": match["verdict"], "score": match["score"]}
            rows.append({**_evidence(match, quote), **said, "wording": "; ".join(match["wording"]), "facts": facts})
    return rows


def _compared_rows(value: Mapping[str, Any]) -> list[Row]:
    rows = []
    for row in value["rows"]:
        told = {"document": row["document"], "version": row["version"], "path": []}
        terms = {f"terms: {name}": "; ".join(values) for name, values in row["terms"].items()}
        rows.append({**_evidence(row["clause"] or told), **terms, "differs": "; ".join(row["differs"])})
    return rows


def _standard_rows(value: Mapping[str, Any]) -> list[Row]:
    rows = []
    for row in value["rows"]:
        place = row["clause"] or {"document": row["document"], "version": row["version"], "path": []}
        changes = "; ".join(
            f"{one['kind']}: {', '.join(one['contract']) or 'none'} instead of {', '.join(one['standard'])}"
            for one in row["changes"]
        )
        said = {"standard": row["standard"], "status": row["status"], "required": "yes" if row["required"] else "no"}
        difference = marked(row["difference"])
        rows.append({**_evidence(place), **said, "changed": changes, "difference": difference})
    return rows


def _conflict_rows(value: Mapping[str, Any]) -> list[Row]:
    rows = []
    for number, conflict in enumerate(value["rows"], start=1):
        for side in ("first", "second"):
            said = {"conflict": number, "about": conflict["about"], "says": ", ".join(conflict[side]["values"])}
            rows.append({**_evidence(conflict[side]), **said, "closeness": conflict["closeness"]})
    return rows


def _obligation_rows(value: Mapping[str, Any]) -> list[Row]:
    return [
        {
            **_evidence(row),
            "who": row["who"],
            "party": row["party"],
            "duty": row["duty"],
            "what": row["action"],
            "when": "; ".join(when["text"] for when in row["when"]),
            "when_value": "; ".join(when["value"] for when in row["when"]),
        }
        for row in value["rows"]
    ]


def _cell(cell: object) -> object:
    """Return a cell that no spreadsheet runs as a formula, on one line."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    flat = " ".join(cell.split())
    return f"'{flat}" if flat.startswith(_FORMULA) else flat
