"""Decoding that copies: what may come next so that a text stays a run of the passages, or one fixed refusal.

It knows token ids, the bytes they stand for and the texts that may be copied; it refuses to know models. Rules: an
answer begins where a word begins and may end where a word ends; the refusal is said whole or not at all; whatever the
model prefers, only tokens that keep this true are allowed, so that the result stands in the passages letter by letter.
Source: grammar-constrained decoding (Geng et al. 2023), with the substrings of the passages as the language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
_STARTS = re.compile(r"(?<!\w)\w|[^\w\s]")
_WORD_END = re.compile(r"\w")
_LONGEST_ANSWER = 2000  # characters


@dataclass(frozen=True)
class TokenBytes:
    """The bytes of each token that stands for text, and the tokens that end an answer."""

    ids: Mapping[bytes, int]  # one token for each run of bytes
    bytes_of: Mapping[int, bytes]
    ends: frozenset[int]
    longest: int = field(default=0)

    @property
    def end(self) -> int:
        """The end token that is used."""
        return min(self.ends)


def token_bytes(tokenizer: Any, ends: Sequence[int]) -> TokenBytes:
    """Return what the tokens of a tokenizer of transformers stand for; control tokens stand for nothing."""
    special = {int(token) for token in tokenizer.all_special_ids} | set(tokenizer.added_tokens_decoder)
    signs = _byte_signs() if _is_byte_level(tokenizer) else None
    bytes_of = {}
    for token, number in tokenizer.get_vocab().items():
        if number not in special:
            found = _bytes_of(token, signs)
            if found:
                bytes_of[number] = found
    ids: dict[bytes, int] = {}
    for number in sorted(bytes_of):
        ids.setdefault(bytes_of[number], number)
    return TokenBytes(ids, bytes_of, frozenset(ends), max((len(one) for one in ids), default=0))


class Copying:
    """The state of one answer. `allowed` says which tokens may come, `take` notes the one that came."""

    def __init__(self, tokens: TokenBytes, passages: Sequence[str], refusal: str) -> None:
        self._tokens = tokens
        self._texts = [passage.encode("utf-8") for passage in passages]
        self._texts.append(refusal.encode("utf-8"))
        self._refusal = len(passages)
        self._said = bytearray()
        self._ended = False
        self._ends = [_word_ends(passage) for passage in passages] + [frozenset({len(self._texts[-1])})]
        starts = [(number, at) for number, passage in enumerate(passages) for at in _word_starts(passage)]
        self._places = [*starts, (self._refusal, 0)]
        """(text, offset in bytes) where the answer so far may go on"""

    @property
    def text(self) -> str:
        """What has been said."""
        return bytes(self._said).decode("utf-8", errors="replace")

    @property
    def refusing(self) -> bool:
        """Whether what has been said can only be the refusal."""
        return bool(self._said) and all(number == self._refusal for number, _ in self._places)

    def first_of_refusal(self) -> frozenset[int]:
        """Return the tokens by which the refusal may begin."""
        return frozenset(self._continuing([(self._refusal, 0)]))

    def allowed(self) -> list[int]:
        """Return the tokens that may come next, in order; all end tokens among them where the answer may end."""
        if self._ended:
            return sorted(self._tokens.ends)
        found = self._continuing(self._places) if len(self._said) < _LONGEST_ANSWER else set()
        if not found or (self._said and any(at in self._ends[number] for number, at in self._places)):
            found = found | self._tokens.ends
        return sorted(found)

    def take(self, token: int) -> None:
        """Note the token that came. Raises ValueError for one that was not allowed."""
        if token in self._tokens.ends:
            self._ended = True
            return
        said = self._tokens.bytes_of.get(token, b"")
        places = [
            (number, at + len(said)) for number, at in self._places if said and self._texts[number].startswith(said, at)
        ]
        if not places:
            raise ValueError(f"token {token} continues no passage")
        self._places = places
        self._said += said

    def _continuing(self, places: Sequence[tuple[int, int]]) -> set[int]:
        found: set[int] = set()
        seen: set[bytes] = set()
        for number, at in places:
            ahead = self._texts[number][at : at + self._tokens.longest]
            if ahead in seen:
                continue
            seen.add(ahead)
            for length in range(1, len(ahead) + 1):
                token = self._tokens.ids.get(ahead[:length])
                if token is not None:
                    found.add(token)
        return found


def is_verbatim(answer: str, passages: Sequence[str]) -> bool:
    """Return whether an answer stands in a passage letter by letter, white space of any kind being one space."""
    said = " ".join(answer.split())
    return bool(said) and any(said in " ".join(passage.split()) for passage in passages)


def _word_starts(text: str) -> list[int]:
    """Return the offsets in bytes where a word, or a sign between words, begins."""
    offsets = _byte_offsets(text)
    return [offsets[match.start()] for match in _STARTS.finditer(text)]


def _word_ends(text: str) -> frozenset[int]:
    """Return the offsets in bytes after which no word goes on; after white space nothing ends."""
    offsets = _byte_offsets(text)
    found = set()
    for at in range(1, len(text) + 1):
        inside = at < len(text) and _WORD_END.match(text[at]) and _WORD_END.match(text[at - 1])
        if not inside and not text[at - 1].isspace():
            found.add(offsets[at])
    return frozenset(found)


def _byte_offsets(text: str) -> list[int]:
    offsets = [0]
    for sign in text:
        offsets.append(offsets[-1] + len(sign.encode("utf-8")))
    return offsets


def _is_byte_level(tokenizer: Any) -> bool:
    return "ByteLevel" in str(tokenizer.backend_tokenizer.decoder)


def _bytes_of(token: str, signs: Mapping[str, int] | None) -> bytes:
    if signs is not None:
        return bytes(signs[sign] for sign in token) if all(sign in signs for sign in token) else b""
    byte = _BYTE_TOKEN.fullmatch(token)
    if byte:
        return bytes([int(byte[1], 16)])
    return token.replace("▁", " ").encode("utf-8")


def _byte_signs() -> dict[str, int]:
    """Return the printable signs that byte-level tokenizers write bytes as (Radford et al. 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + number): byte for number, byte in enumerate(rest)}
