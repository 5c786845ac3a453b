"""Numbers as lists print them: figures, letters, Roman numerals. It knows numbers and no documents."""

from __future__ import annotations

_ROMAN = {1000: "m", 900: "cm", 500: "d", 400: "cd", 100: "c", 90: "xc", 50: "l", 40: "xl"}
_ROMAN |= {10: "x", 9: "ix", 5: "v", 4: "iv", 1: "i"}
_MOST_ROMAN = 4999


def written_number(value: int, form: str) -> str:
    """Return a number in a form by its name in Word: letters and Roman numerals of either case, else figures."""
    if form in {"lowerLetter", "upperLetter"} and 0 < value <= 26 * 26:
        letters = chr(ord("a") + (value - 1) % 26) * ((value - 1) // 26 + 1)
        return letters.upper() if form == "upperLetter" else letters
    if form in {"lowerRoman", "upperRoman"} and 0 < value <= _MOST_ROMAN:
        return _roman(value).upper() if form == "upperRoman" else _roman(value)
    return f"{value:02d}" if form == "decimalZero" else str(value)


def _roman(value: int) -> str:
    written = ""
    for worth, sign in _ROMAN.items():
        written += sign * (value // worth)
        value %= worth
    return written
