"""Say which pages of a document cannot be trusted: no text, text that is no language, or text that was recognised.

A font without a map to Unicode gives words such as "HFHPEHU". A page of more than 60 words is called garbled when
fewer than 5 % of them are common words of a European language and its vowels are too few or too many for one (a list
of names or a table of contents has few common words and the usual vowels), or when a tenth of its characters have no
meaning at all. Pages in other scripts are not judged by words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ingest.documents import Reading

_FEWEST_WORDS = 60
_COMMON_SHARE = 0.05
_MEANINGLESS_SHARE = 0.1
_FEWEST_MEANINGLESS = 40  # characters; enough to judge a page that has few words because its spaces are garbled too
SURE_CONFIDENCE = 0.85  # pages of text recognition below it are named
_LEAST_VOWELS, _MOST_VOWELS = 0.25, 0.6  # of the letters; English has 0.38
_NO_MEANING = "\ufffd"
_LATIN_WORD = re.compile(r"[a-z]+")
_NO_VOWELS = re.compile(r"[^aeiou]")
_COMMON_WORDS = """
the of and to a in is for that be or by this with as on are shall any not an from at it such will which may all if no
must has other have its de la le les et des en un une du que el los las y se por der die und das den von zu mit ist di
il che per non e o os da do em para het een van te och att som av
"""
_COMMON = frozenset(_COMMON_WORDS.split())


def page_warnings(reading: Reading, *, advice: str) -> tuple[str, ...]:
    """Return one sentence for each kind of trouble.

    `advice` says what can be done about pages without text that can be used.
    """
    unread, images, garbled = reading.unread, reading.images, reading.garbled
    warnings: list[str] = []
    if unread:
        warnings.append(f"{_pages(unread)} could not be read; the text goes on without.")
    if images:
        warnings.append(f"{_pages(images)} {'has' if len(images) == 1 else 'have'} no text (an image?): {advice}.")
    if garbled:
        looks = "looks" if len(garbled) == 1 else "look"
        warnings.append(
            f"{_pages(garbled)} {looks} garbled (the font has no map to letters): do not trust this text; {advice}."
        )
    return tuple(warnings)


def recognition_warnings(confidences: Mapping[int, float], *, engine: str) -> tuple[str, ...]:
    """Say which pages were read by text recognition, how sure it is, and which pages to look at first."""
    if not confidences:
        return ()
    mean = sum(confidences.values()) / len(confidences)
    unsure = [number for number, confidence in confidences.items() if confidence < SURE_CONFIDENCE]
    was = "was" if len(confidences) == 1 else "were"
    told = f"{_pages(list(confidences))} {was} read by text recognition ({engine}, mean confidence {mean:.0%})"
    if not unsure:
        return (f"{told}: check figures and names on the page.",)
    return (
        f"{told}: check figures and names on the page.",
        f"{_pages(unsure)} {'is' if len(unsure) == 1 else 'are'} below a confidence of {SURE_CONFIDENCE:.0%}: "
        "compare this text with the page before you rely on it.",
    )


def is_garbled(text: str) -> bool:
    """Whether a page's text is no language that can be read."""
    words = text.split()
    meaningless = text.count(_NO_MEANING)
    if len(words) <= _FEWEST_WORDS // 4 and meaningless < _FEWEST_MEANINGLESS:
        return False
    if meaningless > _MEANINGLESS_SHARE * sum(map(len, words)):
        return True
    plain = _LATIN_WORD.findall(text.lower())
    latin = sum(map(len, plain))
    if len(words) <= _FEWEST_WORDS or latin * 2 < sum(map(len, words)):
        return False
    common = sum(1 for word in plain if word in _COMMON)
    vowels = sum(len(_NO_VOWELS.sub("", word)) for word in plain)
    return common < _COMMON_SHARE * len(plain) and not _LEAST_VOWELS < vowels / latin < _MOST_VOWELS


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
