"""Choose the title of a document: what the file states, if it is sensible, else what its first page shows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.clauses import Line

_LONGEST_TITLE = 200
_NOT_A_TITLE = re.compile(
    r"^(?:microsoft (?:word|powerpoint|excel)\b|untitled|no title|document\s*\d*$|title$|slide \d|powerpoint|print)"
    r"|^(?:about|https?):"
    r"|\.(?:docx?|pdf|rtf|indd|xlsx?|pptx?|html?|txt|tmp|qxd|fm)\s*$|�",
    re.I,
)
_FRONT_MATTER = re.compile(
    r"^(?:exhibit|ex-|annex|schedule|execution|confidential|draft|final|version|page|source:|certain|pursuant|\[?\*)"
    r"|table of contents",
    re.I,
)
_KIND = re.compile(
    r"\b(?:agreements?|contract|amendment|policy|policies|plan|lease|charter|handbook|manual|guidelines?|guide|memorandum|"
    r"procedures?|profile|report|standard|terms|conditions|code)\b",
    re.I,
)


def choose_title(stated: str, first_page: Sequence[Line], stem: str) -> str:
    """Return the title: stated in the file, else the largest lines of the first page, else the file's stem."""
    stated = " ".join(stated.replace("\0", "").split())
    if _is_sensible(stated):
        return stated
    return _largest(first_page) or _named_kind(first_page) or stem


def _is_sensible(title: str) -> bool:
    if not 4 <= len(title) <= _LONGEST_TITLE or _NOT_A_TITLE.search(title) or sum(c.isalpha() for c in title) < 4:
        return False
    return " " in title or title.isalpha()


def _largest(lines: Sequence[Line]) -> str:
    """Return the lines set clearly larger than the rest, where they are few."""
    candidates = [line for line in lines if sum(c.isalpha() for c in line.text) >= 3 and not line.table]
    if not candidates:
        return ""
    most = max(line.size for line in candidates)
    characters = sorted(size for line in candidates for size in [line.size] * len(line.text))
    if most < 1.15 * characters[len(characters) // 2]:
        return ""
    first = next(i for i, line in enumerate(candidates) if line.size >= most - 0.3)
    title: list[str] = []
    for line in candidates[first : first + 4]:
        if line.size < most - 0.3:
            break
        title.append(line.text.strip())
    joined = " ".join(" ".join(title).split())
    return joined if _is_sensible(joined) and not _FRONT_MATTER.search(joined) else ""


def _named_kind(lines: Sequence[Line]) -> str:
    """Return the first short line, bold or in capitals, that names a kind of document."""
    for line in lines[:40]:
        text = " ".join(line.text.split())
        apart = line.bold or text.isupper()
        if apart and len(text) <= 100 and _KIND.search(text) and not _FRONT_MATTER.search(text):
            return text.rstrip(".,:")
    return ""
