"""Compounds: words joined by hyphens, found however they are written.

The word index splits "anti-inflammatory" into two words and "antiinflammatory" is a third; with the joined form beside
the text both spellings meet, and a compound held as a whole counts for more than its parts. Texts and queries must
both go through here, or neither.
"""

from __future__ import annotations

import re

_COMPOUND = re.compile(r"\w+(?:-\w+)+")


def add_joined(text: str) -> str:
    """Return the text, and after it each compound without its hyphens, as often as it occurs."""
    hyphenated = " ".join(word for word in text.split() if "-" in word)  # few words: the pattern is slow on the rest
    joined = [found.replace("-", "") for found in _COMPOUND.findall(hyphenated)]
    return " ".join([text, *joined])
