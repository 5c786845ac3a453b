"""What an uploaded file may be called: a plain name in one folder, shown as it is, and one that is read.

A name comes from a stranger's program. It is brought into one form and otherwise taken as it is or refused: a name that
was changed silently would be another document's. Pure rules; refuses to know where files lie.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

from governance.errors import BadInput
from ingest.catalog_mapping import is_mapping
from ingest.parse import check_ending

_MOST_BYTES = 200
_TURNS_TEXT_AROUND = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean_name(given: str) -> str:
    """Return the name under which an uploaded file is kept. Raises BadInput for one that is no plain, readable name."""
    name = " ".join(unicodedata.normalize("NFC", given).split(" ")).strip()
    fault = _fault(name)
    if fault:
        shown = "".join(sign if sign.isprintable() else "?" for sign in name)[:60]
        raise BadInput(f"The file name {shown!r} {fault}; give the file a plain name such as travel-policy.pdf.")
    if not is_mapping(Path(name)):
        check_ending(name)
    return name


def _fault(name: str) -> str:
    """Return what is wrong with a name, "" where nothing is."""
    if not name:
        return "is empty"
    if "/" in name or "\\" in name or ":" in name:
        return "is a path"
    if name.startswith("."):
        return "is that of a hidden file"
    if any(unicodedata.category(sign) in _UNSEEN or sign in _TURNS_TEXT_AROUND for sign in name):
        return "has signs that cannot be seen"
    if len(name.encode("utf-8")) > _MOST_BYTES:
        return f"is longer than {_MOST_BYTES} bytes"
    return ""
