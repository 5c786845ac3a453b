"""An uploaded file keeps its name or is refused; no name leads anywhere."""

from __future__ import annotations

import unicodedata

import pytest

from governance.errors import BadInput
from ingest.upload_names import clean_name


@pytest.mark.parametrize("name", ["travel-policy.pdf", "Größe 2.md", "a b.csv", "goods.mapping.toml", "規則.txt"])
def test_plain_names_are_kept(name: str) -> None:
    assert clean_name(name) == name


def test_two_ways_to_write_a_letter_are_one_name() -> None:
    assert clean_name(unicodedata.normalize("NFD", "Größe.md")) == "Größe.md"
    assert clean_name("  travel.md ") == "travel.md"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        ".",
        "../x.md",
        "a/b.md",
        "/etc/passwd.txt",
        "..\\x.md",
        "C:x.md",
        "x.md:stream.txt",
        ".hidden.md",
        "x\x00.md",
        "x\n.md",
        "x\u202egnp.md",
        "x\u2028.md",
        "\ud800.md",
        "a" * 300 + ".md",
    ],
)
def test_tricks_are_refused_and_shown_safely(name: str) -> None:
    with pytest.raises(BadInput, match="give the file a plain name") as caught:
        clean_name(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["run.exe", "run.sh", "page.php", "noending"])
def test_what_nobody_reads_is_not_kept(name: str) -> None:
    with pytest.raises(BadInput, match="are not read"):
        clean_name(name)
