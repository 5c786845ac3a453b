"""Zip archives: what is dangerous is refused with its reason before a parser sees it."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from governance.errors import BadInput
from ingest.parse import parse_file
from ingest.parse.archives import check_archive

XML = "<?xml version='1.0'?><document><p>Rooms cost 9 dollars.</p></document>"
LAUGHS = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><document>&b;</document>'


def archive(path: Path, **entries: str | bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in entries.items():
            opened.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return path


def test_an_ordinary_archive_may_be_opened(tmp_path: Path) -> None:
    check_archive(archive(tmp_path / "a.docx", word__document_dot_xml=XML, picture=b"\x89PNG" + bytes(500_000)))


def test_what_is_no_archive_is_left_to_its_parser(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(b"PK not a zip file")
    check_archive(tmp_path / "a.docx")
    (tmp_path / "a.txt").write_text("text")
    check_archive(tmp_path / "a.txt")
    check_archive(tmp_path / "not-there.txt")


def test_zeros_that_unpack_a_thousand_times_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "bomb.docx", word__document_dot_xml=bytes(20 * 1024 * 1024))
    with pytest.raises(BadInput, match=r"bomb\.docx holds 'word/document\.xml', which unpacks to more than 200 times"):
        parse_file(path)


def test_archives_that_declare_too_much_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "large.docx", a_dot_xml=XML)
    data = path.read_bytes()
    at = data.rindex(b"PK\x01\x02") + 24  # the uncompressed size in the table of contents
    path.write_bytes(data[:at] + struct.pack("<I", 3 * 1024**3) + data[at + 4 :])
    with pytest.raises(BadInput, match=r"large\.docx unpacks to 3,072 MB .* at most 1,000 MB"):
        check_archive(path)


def test_archives_with_very_many_entries_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "many.xlsx", "w") as opened:
        for number in range(20_001):
            opened.writestr(f"{number}", b"")
    with pytest.raises(BadInput, match="20,001 entries, and at most 20,000"):
        check_archive(tmp_path / "many.xlsx")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\up.xml", "C:\\up.xml", "~/up.xml"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as opened:
        opened.writestr(name, b"")
    with pytest.raises(BadInput, match="leads out of it"):
        check_archive(tmp_path / "a.docx")


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as opened:
        opened.writestr("word/document.xml", XML)
        with pytest.warns(UserWarning, match="Duplicate"):
            opened.writestr("word/document.xml", XML)
    with pytest.raises(BadInput, match="two entries of one name"):
        check_archive(tmp_path / "a.docx")


def test_locked_archives_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.docx", a_dot_xml=XML)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # the flag of an encrypted entry
    path.write_bytes(data)
    with pytest.raises(BadInput, match="locked with a password"):
        check_archive(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", ["word__document_dot_xml", "custom_dot_bin"])
def test_document_types_are_refused_whatever_the_encoding_and_the_name(
    tmp_path: Path, encoding: str, name: str
) -> None:
    path = archive(tmp_path / "laughs.docx", first_dot_xml=XML, **{name: LAUGHS.encode(encoding)})
    with pytest.raises(BadInput, match=r"laughs\.docx declares a document type in"):
        parse_file(path)


def test_a_document_type_behind_a_long_comment_is_found(tmp_path: Path) -> None:
    hidden = LAUGHS.replace("<!DOCTYPE", f"<!--{'x' * 100_000}--><!DOCTYPE")
    with pytest.raises(BadInput, match="document type"):
        check_archive(archive(tmp_path / "a.docx", a_dot_xml=hidden + "y" * 2000))


@pytest.mark.parametrize("encoding", ["gbk", "shift_jis"])
def test_a_document_type_behind_or_in_an_encoding_that_is_not_read_is_found(tmp_path: Path, encoding: str) -> None:
    odd = f'<?xml version="1.0" encoding="{encoding}"?><a/>'
    with pytest.raises(BadInput, match="document type"):
        check_archive(archive(tmp_path / "behind.docx", **{"a.xml": odd, "b.xml": LAUGHS}))
    told = LAUGHS.replace('version="1.0"', f'version="1.0" encoding="{encoding}"')
    with pytest.raises(BadInput, match="document type"):
        check_archive(archive(tmp_path / "in.docx", **{"a.xml": told}))
