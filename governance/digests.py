"""Digests: identity is content.

A Digest is `sha256:` followed by 64 lower-case hexadecimal characters. Values are digested over canonical JSON
(sorted keys, no white space, UTF-8), so equal content has an equal name on every machine.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

PREFIX = "sha256:"
_BLOCK_BYTES = 1 << 20


def digest_bytes(data: bytes) -> str:
    """Return the Digest of some bytes."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def digest_text(text: str) -> str:
    """Return the Digest of a text in UTF-8."""
    return digest_bytes(text.encode("utf-8"))


def digest_value(value: object) -> str:
    """Return the Digest of a JSON value in canonical form. Raises TypeError for what JSON cannot hold."""
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    """Return the Digest of a file, read in blocks of 1 MiB."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            hasher.update(block)
    return PREFIX + hasher.hexdigest()


def digest_folder(path: Path) -> str:
    """Return the Digest of a folder: of the relative names and Digests of all files below it, in order of name."""
    files = sorted(item for item in path.rglob("*") if item.is_file())
    return digest_value({item.relative_to(path).as_posix(): digest_file(item) for item in files})


def canonical_json(value: object) -> bytes:
    """Return the canonical JSON form of a value: sorted keys, no white space, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def short(digest: str, characters: int = 12) -> str:
    """Return the first hexadecimal characters of a Digest, for people and file names."""
    return digest.removeprefix(PREFIX)[:characters]
