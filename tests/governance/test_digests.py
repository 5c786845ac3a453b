"""Digests name content."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.digests import (
    canonical_json,
    digest_bytes,
    digest_file,
    digest_folder,
    digest_text,
    digest_value,
    short,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(),
    lambda inner: st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), JSON))
def test_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert digest_value(value) == digest_value(dict(reversed(value.items())))


def test_known_values() -> None:
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest_bytes(b"") == digest_text("") == empty
    assert canonical_json({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}'.encode()
    assert short(empty) == "e3b0c44298fc"


def test_not_a_number_has_no_digest() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        digest_value({"a": float("nan")})


def test_folder_digest_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = digest_folder(tmp_path)
    assert digest_file(tmp_path / "a") == digest_text("1")
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest_folder(tmp_path) != before
