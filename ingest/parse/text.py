"""Read plain text and Markdown into a ParsedDocument.

Bytes are UTF-8, UTF-16 with a byte order mark, or else Windows-1252 with a warning; line ends become LF. The text is
kept as it was written. Markdown headings (`#` and underlined ones) give the heading path, pipe tables stay whole,
front matter between `---` lines is no text but may state the title, and nothing inside a code fence is a heading.
Knows one file and nothing else; there are no pages.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from governance.errors import BadInput
from ingest.clauses import find_clauses
from ingest.documents import ParsedDocument
from ingest.layout import Line

TEXT_MEDIA_TYPE = "text/plain"
MARKDOWN_MEDIA_TYPE = "text/markdown"
_LONGEST_TITLE = 150
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?P<body>.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE_KEY = re.compile(r"^title[ \t]*:[ \t]*(?P<title>\S.*?)[ \t]*$", re.MULTILINE)
_ATX = re.compile(r" {0,3}(?P<marks>#{1,6})(?:[ \t]+(?P<title>.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(?:=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(?P<marks>`{3,}|~{3,})")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_LIST_ITEM = re.compile(r"(?:[-*+•>]|\d+[.)])\s")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_ATTRIBUTES = re.compile(r"\s*\{[:#.][^}]*\}\s*$")
_EMPHASIS = re.compile(r"\*+|`+|(?<!\w)_+|_+(?!\w)")
_NO_PARAGRAPH = re.compile(r"[ \t]*(?:[-*+>|]|\d+[.)])(?:\s|$)|\s*$")


def parse_text(path: Path) -> ParsedDocument:
    """Read plain text. Raises BadInput for an empty file and for bytes that are no text."""
    text, warnings = _read(path)
    return structure_text(text, name=path.stem, media_type=TEXT_MEDIA_TYPE, warnings=warnings)


def structure_text(text: str, *, name: str, media_type: str, warnings: tuple[str, ...] = ()) -> ParsedDocument:
    """Return plain text with its clauses; `name` is the title where the first line is none."""
    title = _first_line(text) or name
    return ParsedDocument(
        text=text,
        media_type=media_type,
        title=title,
        pages=(),
        clauses=find_clauses(list(_lines(text)), title=title),
        warnings=warnings,
    )


def parse_markdown(path: Path) -> ParsedDocument:
    """Read Markdown. Raises BadInput for an empty file and for bytes that are no text."""
    whole, warnings = _read(path)
    text, stated_title = _without_front_matter(whole)
    if not text.strip():
        raise BadInput(f"{path.name} holds no text below its front matter: add some, or leave the file out.")
    lines = _mark_up(list(_lines(text)))
    headings = [line for line in lines if line.level]
    title = stated_title or next((line.text for line in headings if line.level == 1), "") or path.stem
    return ParsedDocument(
        text=text,
        media_type=MARKDOWN_MEDIA_TYPE,
        title=title,
        pages=(),
        clauses=find_clauses(lines, title=title),
        warnings=warnings,
    )


def decode_text(data: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the text of some bytes with LF line ends, and warnings. `name` is for the messages. Raises BadInput."""
    text, warnings = _decode(data, name)
    if "\0" in text:
        raise BadInput(f"{name} holds NUL bytes and is no text: give it in its own format, or save it as UTF-8 text.")
    if not text.strip():
        raise BadInput(f"{name} is empty, and a text was expected: add some, or leave the file out.")
    return text.replace("\r\n", "\n").replace("\r", "\n"), warnings


def _decode(data: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decode_utf16(data, name), ()
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        warning = f"{name} is not UTF-8 (byte {error.start}); it was read as Windows-1252, so look at its accents."
    return data.decode("cp1252", errors="replace"), (warning,)


def _decode_utf16(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-16")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{name} begins as UTF-16 and is damaged at byte {error.start}: save it again as UTF-8 text."
        ) from error


def _read(path: Path) -> tuple[str, tuple[str, ...]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path.name} cannot be opened ({error.strerror}): check its name and permissions.") from error
    return decode_text(data, path.name)


def _lines(text: str) -> Iterator[Line]:
    """Yield the lines that are not blank; a blank one above is space above."""
    start, blank = 0, True
    for part in text.split("\n"):
        stripped = part.strip()
        if stripped:
            first = start + part.index(stripped[0])
            indent = 6.0 * (first - start)  # points, at about 6 for a character
            yield Line(stripped, first, first + len(stripped), left=72.0 + indent, space_above=blank)
        blank = not stripped
        start += len(part) + 1


def _first_line(text: str) -> str:
    first = next((line.strip() for line in text.split("\n") if line.strip()), "")
    return first if len(first) <= _LONGEST_TITLE and not first.endswith((".", ",", ";")) else ""


def _without_front_matter(text: str) -> tuple[str, str]:
    found = _FRONT_MATTER.match(text)
    if found is None:
        return text, ""
    title = _TITLE_KEY.search(found["body"] or "")
    return text[found.end() :].lstrip("\n"), title["title"].strip("'\"") if title else ""


def _mark_up(lines: list[Line]) -> list[Line]:
    """Give headings their level and rows of pipe tables their table number."""
    marked: list[Line] = []
    fence = ""
    table = 0
    for position, line in enumerate(lines):
        following = lines[position + 1] if position + 1 < len(lines) else None
        found = _FENCE.match(line.text)
        if fence:
            fence = "" if found and found["marks"].startswith(fence) else fence
            marked.append(replace(line, plain=True))
        elif found:
            fence = found["marks"]
            marked.append(replace(line, plain=True))
        elif _in_table(marked, line, following):
            table += 0 if marked and marked[-1].table and not line.space_above else 1
            marked.append(replace(line, table=table))
        else:
            marked.append(_heading(line, following))
    return marked


def _in_table(marked: list[Line], line: Line, following: Line | None) -> bool:
    """Whether a line is a row: it follows a row, or it has a pipe and the rule of a table stands below it."""
    if "|" not in line.text or line.text.startswith(("#", ">")):
        return False
    if marked and marked[-1].table and not line.space_above:
        return True
    below = following is not None and not following.space_above and "|" in following.text
    return below and following is not None and bool(_TABLE_RULE.match(following.text))


def _heading(line: Line, following: Line | None) -> Line:
    found = _ATX.match(line.text)
    if found and found["title"]:
        return replace(line, text=_clean(found["title"]), level=len(found["marks"]))
    underlined = following is not None and not following.space_above and _SETEXT.match(following.text)
    if underlined and following is not None and line.space_above and not _NO_PARAGRAPH.match(line.text):
        return replace(line, text=_clean(line.text), level=1 if "=" in following.text else 2)
    if _SETEXT.match(line.text) or _LIST_ITEM.match(line.text):
        return replace(line, plain=True)
    return replace(line, text=_clean(line.text))


def _clean(text: str) -> str:
    """Return a line without the marks of emphasis, code, links and attributes."""
    text = _LINK.sub(r"\1", _ATTRIBUTES.sub("", text))
    return _EMPHASIS.sub("", text).strip() or text.strip()
