"""Say which pages of a document cannot be trusted: no text, or text that is no language.

A font without a map to Unicode gives words such as "HFHPEHU". A page of more than 60 words is called garbled when
fewer than 5 % of them are common words of a European language in Latin letters, or when a tenth of its characters have
no meaning at all. Pages in other scripts are not judged by words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_FEWEST_WORDS = 60
_COMMON_SHARE = 0.05
_MEANINGLESS_SHARE = 0.1
_NO_MEANING = "\ufffd"
_COMMON_WORDS = """
the of and to a in is for that be or by this with as on are shall any not an from at it such will which may all if no
must has other have its de la le les et des en un une du que el los las y se por der die und das den von zu mit ist di
il che per non e o os da do em para het een van te och att som av
"""
_COMMON = frozenset(_COMMON_WORDS.split())


def page_warnings(
    texts: Mapping[int, str], *, images: Sequence[int] = (), unread: Sequence[int] = ()
) -> tuple[str, ...]:
    """Return one sentence for each kind of trouble. `texts` maps page numbers to the text of the page."""
    garbled = [number for number, text in texts.items() if is_garbled(text)]
    warnings: list[str] = []
    if unread:
        warnings.append(f"{_pages(unread)} could not be read and is missing from the text.")
    if images:
        warnings.append(f"{_pages(images)} has no text (an image?).")
    if garbled:
        warnings.append(
            f"{_pages(garbled)} looks garbled (the font has no map to letters): do not trust its text; "
            "run text recognition (OCR) on the file."
        )
    return tuple(warnings)


def is_garbled(text: str) -> bool:
    """Whether a page's text is no language that can be read."""
    words = text.split()
    if len(words) <= _FEWEST_WORDS // 4:
        return False
    letters = [character for character in text if not character.isspace()]
    if letters.count(_NO_MEANING) > _MEANINGLESS_SHARE * len(letters):
        return True
    latin = sum(1 for character in letters if "a" <= character.lower() <= "z")
    if len(words) <= _FEWEST_WORDS or latin * 2 < sum(1 for character in letters if character.isalpha()):
        return False
    plain = re.findall(r"[a-z]+", text.lower())
    common = sum(1 for word in plain if word in _COMMON)
    return common < _COMMON_SHARE * max(len(plain), 1)


def _pages(numbers: Sequence[int]) -> str:
    """Return "page 4" or "pages 3-17, 20"."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    written = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
    return ("page " if len(numbers) == 1 else "pages ") + written
