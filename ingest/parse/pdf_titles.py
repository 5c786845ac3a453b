"""Choose the title of a document: what the file states, if it is sensible, else what its first page shows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.layout import Line, body_style

_LONGEST_TITLE = 200
_FIRST_LINES = 40
_TITLE_LABEL = re.compile(r"title\s*:[\s|]*(?P<title>[^\s|].*?)\s*$", re.I)
_NOT_A_TITLE = re.compile(
    r"^(?:microsoft (?:word|powerpoint|excel)\b|untitled|no title|document\s*\d*$|title$|slide \d|powerpoint|print)"
    r"|^(?:about|https?):"
    r"|\.(?:docx?|pdf|rtf|indd|xlsx?|pptx?|html?|txt|tmp|qxd|fm)\s*$|�",
    re.I,
)
_FRONT_MATTER = re.compile(
    r"^(?:exhibit|ex-|annex|schedule|execution|confidential|draft|final|version|page|source:|certain|pursuant|quicklinks|this|\[?\*)"
    r"|table of contents",
    re.I,
)
_KIND = re.compile(
    r"\b(?:agreements?|contract|amendment|policy|policies|plan|lease|charter|handbook|manual|guidelines?|guide|memorandum|"
    r"procedures?|profile|report|standard|terms|conditions|code)\b",
    re.I,
)


def choose_title(stated: str, lines: Sequence[Line], stem: str) -> str:
    """Return the title: stated in the file, else the largest of its first lines, else the file's stem.

    `lines` are those of the whole document; only the first ones are looked at for words, all for the size of the body.
    """
    stated = " ".join(stated.replace("\0", "").split())
    if _is_sensible(stated):
        return stated
    first = lines[:_FIRST_LINES]
    body, _ = body_style(lines)
    return _labelled(first) or _largest(first, body) or _named_kind(first) or stem


def _labelled(lines: Sequence[Line]) -> str:
    """Return what follows "Title:" on a cover sheet."""
    for line in lines:
        found = _TITLE_LABEL.match(line.text)
        if found and line.bold and _is_sensible(found["title"]):
            return found["title"]
    return ""


def _is_sensible(title: str) -> bool:
    if not 4 <= len(title) <= _LONGEST_TITLE or _NOT_A_TITLE.search(title) or sum(c.isalpha() for c in title) < 4:
        return False
    return " " in title or title.isalpha()


def _largest(lines: Sequence[Line], body: float) -> str:
    """Return the lines set clearly larger than the body, where they stand together."""
    candidates = [line for line in lines if sum(c.isalpha() for c in line.text) >= 3 and not line.table]
    most = max((line.size for line in candidates), default=0.0)
    if most < 1.15 * body:
        return ""
    large = [i for i, line in enumerate(candidates) if line.size >= most - 0.3]
    if large[-1] - large[0] + 1 > len(large) or len(large) > 5:
        return ""
    joined = " ".join(" ".join(candidates[i].text for i in large).split())
    return joined if _is_sensible(joined) and not _FRONT_MATTER.search(joined) else ""


def _named_kind(lines: Sequence[Line]) -> str:
    """Return the first short line, bold or in capitals, that names a kind of document."""
    for line in lines:
        text = " ".join(line.text.split())
        apart = line.bold or text.isupper()
        if apart and len(text) <= 100 and _KIND.search(text) and not _FRONT_MATTER.search(text):
            return text.rstrip(".,:")
    return ""
