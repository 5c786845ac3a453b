"""Read the number a line begins with: "12.3", "Section 4", "ARTICLE II", "Appendix A", "(a)", "iv.".

A printed number can mean several things: "(i)" is the first roman or the ninth letter. `read_labels` gives every
reading and the caller, who knows which numbers came before, chooses. Knows nothing of fonts, headings or documents.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Family = Literal["word", "decimal", "integer", "list"]

_CONTAINERS = "article|chapter|part|appendix|annex|exhibit|schedule|attachment|addendum|amendment"
_WORD = re.compile(
    rf"(?P<word>(?:{_CONTAINERS}|section|sec\.)(?=\s)|§{{1,2}})\s*(?:no\.?\s*)?"
    r"(?P<value>\d{1,3}(?:\.\d{1,3})*|[A-Z](?:[-.]?\d{1,2})+|[IVXLC]{1,6}|[A-Z])(?P<tail>(?:\([a-zA-Z0-9]{1,4}\))*)"
    r"(?![\w(])[.:)]?(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_DECIMAL = re.compile(
    r"(?P<value>(?:[A-Z]\.)?\d{1,3}(?:\.\d{1,3})+|[A-Z]\.\d{1,3})(?P<tail>(?:\([a-zA-Z0-9]{1,4}\))*)(?:[.:)]?(?P<rest>\s.*|)|\.(?P<close>[A-Z“\"].*))$",
    re.DOTALL,
)
_INTEGER = re.compile(
    r"(?P<value>\d{1,3})(?:(?P<mark>[.:)]?)(?P<rest>\s.*|)|(?P<dot>\.)(?P<close>[A-Z“\"].*))$", re.DOTALL
)
_PAREN = re.compile(r"\((?P<value>[a-zA-Z]{1,5}|\d{1,3})\)(?P<rest>.*)$", re.DOTALL)
_DOT = re.compile(r"(?P<value>[a-zA-Z]|[ivxIVX]{2,5})(?P<mark>[.)])(?P<rest>\s.*|)$", re.DOTALL)
_ROMAN = re.compile(r"(?=[ivxlc])(?:x[cl]|l?x{0,3})(?:i[xv]|v?i{0,3})$")
_ROMAN_DIGITS = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(frozen=True)
class Label:
    """One reading of the number at the start of a line.

    `style` is equal for numbers of one series ("paren-lower", "word-article", "decimal"); `values` are its ordinals
    from the outermost on; `printed` is the number as a person would cite it; `rest` is the line after it.
    """

    family: Family
    style: str
    values: tuple[int, ...]
    printed: str
    rest: str


def read_labels(text: str) -> tuple[Label, ...]:
    """Return every reading of the number that a line begins with, likeliest first; () where there is none."""
    if found := _WORD.match(text):
        return _word_labels(found)
    if found := _DECIMAL.match(text):
        return _decimal_labels(found)
    if found := _INTEGER.match(text):
        style = f"integer{found['dot'] or found['mark']}"
        return (Label("integer", style, (int(found["value"]),), found["value"], _rest(found)),)
    if found := _PAREN.match(text):
        return _list_labels("paren", found["value"], f"({found['value']})", found["rest"])
    if found := _DOT.match(text):
        return _list_labels("dot" + found["mark"], found["value"], found["value"], found["rest"])
    return ()


def roman_value(text: str) -> int | None:
    """Return the value of a roman number up to 100 in either case, or None."""
    digits = text.lower()
    if not _ROMAN.match(digits) and digits != "c":
        return None
    values = [_ROMAN_DIGITS[digit] for digit in digits]
    following = [*values[1:], 0]
    return sum(-value if value < after else value for value, after in zip(values, following, strict=True))


def _rest(found: re.Match[str]) -> str:
    """Return the line after its number; some write "1.Term" without a space."""
    return (found["close"] or found["rest"] or "").strip()


def _word_labels(found: re.Match[str]) -> tuple[Label, ...]:
    word = found["word"].lower().rstrip(".")
    section = word in ("section", "sec") or word.startswith("§")
    values = _values(found["value"])
    if not values or (section and not found["value"][0].isdigit() and not found["value"].isupper()):
        return ()
    if not found["word"][0].isupper() and not word.startswith("§"):
        return ()
    number = found["value"] + found["tail"]
    rest = found["rest"].strip().lstrip("-–—:. ")
    if section and (len(values) > 1 or found["tail"]):
        return (Label("decimal", "decimal", values, number, rest),)
    style = "word-section" if section else f"word-{word}"
    return (Label("word", style, values, f"{found['word']} {number}", rest),)


def _decimal_labels(found: re.Match[str]) -> tuple[Label, ...]:
    values = _values(found["value"])
    style = "decimal" if found["value"][0].isdigit() else "decimal-letter"
    if len(values) == 2 and values[1] == 0:  # "2.0" is the chapter of 2.1
        values = values[:1]
    return (Label("decimal", style, values, found["value"] + found["tail"], _rest(found)),)


def _list_labels(form: str, value: str, printed: str, rest: str) -> tuple[Label, ...]:
    case = "digit" if value.isdigit() else "lower" if value.islower() else "upper"
    if case == "digit":
        return (Label("list", f"{form}-digit", (int(value),), printed, rest.strip()),)
    labels: list[Label] = []
    roman = roman_value(value) if value.islower() or value.isupper() else None
    if roman is not None:
        labels.append(Label("list", f"{form}-roman-{case}", (roman,), printed, rest.strip()))
    letter = _letter_value(value)
    if letter is not None:
        labels.append(Label("list", f"{form}-{case}", (letter,), printed, rest.strip()))
    return tuple(labels)


def _values(text: str) -> tuple[int, ...]:
    parts = [part for part in re.split(r"[.\-]", re.sub(r"(?<=[A-Za-z])(?=\d)", ".", text)) if part]
    values: list[int] = []
    for part in parts:
        # C and L alone are letters: nobody has a hundred annexes
        roman = None if part.upper() in ("C", "L") else roman_value(part)
        value = int(part) if part.isdigit() else _first(roman, _letter_value(part))
        if value is None:
            return ()
        values.append(value)
    return tuple(values)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _letter_value(text: str) -> int | None:
    """Return 1 for a, 26 for z, 27 for aa, 28 for bb; None for other words."""
    lowered = text.lower()
    if len(set(lowered)) != 1 or len(lowered) > 2:
        return None
    return ord(lowered[0]) - ord("a") + 1 + 26 * (len(lowered) - 1)
