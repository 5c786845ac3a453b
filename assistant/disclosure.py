"""Disclosure: secrets and personal data in an answer, shown, masked or refused by policy.

Finds keys, passwords, private keys and payment card numbers (checked by Luhn), e-mail addresses, telephone numbers,
numbers like a US social security number, and IBANs (checked modulo 97). A mask has the length of what it hides, so
that offsets hold. It looks at form alone and cannot tell a person's address from an office's. One barcode in ten would
pass for a card: a number of the length and with the check digit of a barcode is none after a label that says so (EAN,
GTIN, UPC), nor where the caller names it as the identifier of a record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from governance.settings import DisclosureSettings

DisclosureKind = Literal["secret", "card", "national_id", "iban", "email", "phone"]
_MASK = "•"
_BARCODE_LENGTHS = frozenset({8, 12, 13, 14})
_BARCODE_LABEL = re.compile(
    r"\b(?:EAN|GTIN|UPC|ISBN|JAN|bar[ -]?code)s?(?:[ -]?\d{1,2})?\b"
    r"(?:[^\S\n]*(?:codes?|numbers?|no\.|is|are|and|ean|gtin|upc)\b)*[\s:#=\"'“(]*"
    r"(?:\d[\d ]{6,16}\d[ ,;/]+(?:and |or )?)*$",
    re.IGNORECASE,
)
_LABEL_WITHIN = 100
_OPEN_END = re.compile(r"(?:[\d().+-]+\s*)*\S*$")


@dataclass(frozen=True)
class Disclosure:
    """A span of an answer in code points, and its class."""

    kind: DisclosureKind
    start: int
    end: int


@dataclass(frozen=True)
class Disclosed:
    """A text after the policy: masked where it says so; `refused` names the classes that forbid to show it."""

    text: str
    found: tuple[Disclosure, ...]
    masked: tuple[DisclosureKind, ...] = ()
    refused: tuple[DisclosureKind, ...] = ()


def _luhn(text: str) -> bool:
    digits = [int(sign) for sign in text if sign.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and sum(doubled) % 10 == 0


def is_barcode(text: str) -> bool:
    """Tell whether digits have the length and the check digit of a barcode (GS1: weights 3 and 1 from the right)."""
    digits = [int(sign) for sign in text if sign.isdigit()]
    weighed = sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return len(digits) in _BARCODE_LENGTHS and weighed % 10 == 0


def _iban(text: str) -> bool:
    plain = re.sub(r"\s", "", text).upper()
    moved = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _always(_: str) -> bool:
    return True


def _looks_random(text: str) -> bool:
    """Tell whether a value after "password" or "key" is one: digits among letters or signs, and no plain word."""
    value = re.split(r"[=:]\s*|\bis\s+", text)[-1].strip("\"'`")
    return len(value) >= 6 and not value.isalpha() and not value.startswith(("http", "<", "[", "$", "{"))


_SHAPES: Mapping[DisclosureKind, tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...]] = {
    "secret": (
        (
            re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)", re.DOTALL),
            _always,
        ),
        (re.compile(r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[A-Za-z0-9_-]{16,}"), _always),
        (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{40,}"), _always),
        (
            re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAIza[\w-]{35}|\bglpat-[\w-]{20,}|\bhf_[A-Za-z0-9]{30,}"),
            _always,
        ),
        (re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"), _always),
        (
            re.compile(
                r"\b(?:pass(?:word|phrase|wd|code)|pwd|secret|api[ _-]?key|access[ _-]?key|token|credential)s?"
                r"(?:\s*[=:]\s*|\s+is\s+)[\"'`]?[^\s\"'`,;]{6,}",
                re.IGNORECASE,
            ),
            _looks_random,
        ),
    ),
    "card": ((re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])"), _luhn),),
    "national_id": ((re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"), _always),),
    "iban": ((re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"), _iban),),
    "email": ((re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,6}\.[A-Za-z]{2,24}\b"), _always),),
    "phone": (
        (
            re.compile(
                r"(?<![\w.-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"
                r"|\+\d{1,3}(?:[ .-]?\d{2,4}){3,5}(?!\d)"
            ),
            _always,
        ),
    ),
}


def disclose(text: str, policy: DisclosureSettings, *, identifiers: Collection[str] = ()) -> Disclosed:
    """Return a text as the policy lets it be shown; `identifiers` are numbers of records, digits alone."""
    found = tuple(find_disclosures(text, identifiers=identifiers))
    masked = [one for one in found if getattr(policy, one.kind) == "mask"]
    refused = sorted({one.kind for one in found if getattr(policy, one.kind) == "refuse"})
    for one in masked:
        hidden = "".join(sign if sign.isspace() else _MASK for sign in text[one.start : one.end])
        text = text[: one.start] + hidden + text[one.end :]
    return Disclosed(text, found, tuple(sorted({one.kind for one in masked})), tuple(refused))


def masking(policy: DisclosureSettings) -> DisclosureSettings:
    """Return a policy that masks what it would refuse: for text that is shown beside an answer."""
    return policy.model_copy(update={kind: "mask" for kind, action in policy if action == "refuse"})


class DraftMask:
    """Shows a text that is still being written: whole words only, and no run of digits before it has ended."""

    def __init__(self, policy: DisclosureSettings) -> None:
        self._policy = masking(policy)
        self._said = ""
        self._shown = 0

    def feed(self, piece: str) -> str:
        """Take the next piece and return what may be shown now, masked as the policy says."""
        self._said += piece
        open_end = _OPEN_END.search(self._said)
        return self._show(open_end.start() if open_end else len(self._said))

    def finish(self) -> str:
        """Return what was held back."""
        return self._show(len(self._said))

    def _show(self, end: int) -> str:
        text = disclose(self._said[:end], self._policy).text
        shown, self._shown = text[self._shown :], max(self._shown, end)
        return shown


def find_disclosures(text: str, *, identifiers: Collection[str] = ()) -> Iterator[Disclosure]:
    """Yield what a text discloses; a span counts for the first class that claims it, a barcode for none."""
    taken: list[tuple[int, int]] = []
    for kind, shapes in _SHAPES.items():
        for shape, holds in shapes:
            for match in shape.finditer(text):
                start, end = match.span()
                if kind == "card" and _names_a_product(text, start, end, identifiers):
                    continue
                if holds(match.group()) and not any(start < last and first < end for first, last in taken):
                    taken.append((start, end))
                    yield Disclosure(kind, start, end)


def _names_a_product(text: str, start: int, end: int, identifiers: Collection[str]) -> bool:
    """Tell whether digits are a barcode with its label before it, or known to identify a record."""
    digits = "".join(sign for sign in text[start:end] if sign.isdigit())
    if len(digits) in _BARCODE_LENGTHS and digits in identifiers:
        return True
    return is_barcode(digits) and _BARCODE_LABEL.search(text[max(0, start - _LABEL_WITHIN) : start]) is not None
