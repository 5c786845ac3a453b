"""Whether a zip archive, which an office file is, may be opened: looked at before any parser sees it.

Looked at are the table of contents (number of entries, names, declared sizes, ratio of compression, encryption) and
the head of each entry that is XML, whatever its name: a document type declaration may define entities that unfold to
gigabytes or name other files, and no office program writes one. Declared sizes can be believed: `zipfile` gives back
no more than them. Refuses to know what the archive is for; what is damaged or no archive is left to the parser.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from xml.parsers import expat

from governance.errors import BadInput

_DOCUMENT_TYPE = b"<!doctype"
_HEAD = b"PK"
_MEGABYTE = 1024 * 1024
_MOST_ENTRIES = 20_000
_MOST_BYTES = 1000 * _MEGABYTE
_MOST_XML_BYTES = 200 * _MEGABYTE
_XML = (".xml", ".rels")
_MOST_RATIO = 200  # XML is packed 5 to 50 times, a file of zeros 1,000 times
_SMALL_BYTES = _MEGABYTE  # so little does no harm, whatever its ratio
_BLOCK_BYTES = 4096
_SAVE_ANEW = "save it anew with its own program"
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError, RuntimeError)


def check_archive(path: Path) -> None:
    """Raise BadInput, with the reason, where a file is a zip archive that must not be opened."""
    try:
        with path.open("rb") as file:
            if file.read(len(_HEAD)) != _HEAD:
                return
        with zipfile.ZipFile(path) as archive:
            _check_contents(path.name, archive.infolist())
            for entry in archive.infolist():
                if _holds_type(archive, entry):
                    raise BadInput(
                        f"{path.name} declares a document type in {_shown(entry)}, as no office program does and as "
                        f"is done to attack readers of XML: {_SAVE_ANEW}."
                    )
    except _DAMAGED:
        return


def _check_contents(name: str, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > _MOST_ENTRIES:
        raise BadInput(f"{name} holds {len(entries):,} entries, and at most {_MOST_ENTRIES:,} are opened: split it.")
    total = sum(entry.file_size for entry in entries)
    xml = sum(entry.file_size for entry in entries if entry.filename.lower().endswith(_XML))
    if total > _MOST_BYTES or xml > _MOST_XML_BYTES:
        raise BadInput(
            f"{name} unpacks to {total / _MEGABYTE:,.0f} MB ({xml / _MEGABYTE:,.0f} MB of text), and at most "
            f"{_MOST_BYTES // _MEGABYTE:,} MB ({_MOST_XML_BYTES // _MEGABYTE} MB of text) are opened: split it."
        )
    if len({entry.filename for entry in entries}) != len(entries):
        raise BadInput(f"{name} holds two entries of one name, so that its text is not certain: {_SAVE_ANEW}.")
    for entry in entries:
        _check_entry(name, entry)


def _check_entry(name: str, entry: zipfile.ZipInfo) -> None:
    inner = PurePosixPath(entry.filename.replace("\\", "/"))
    if inner.is_absolute() or ".." in inner.parts or inner.parts[:1] == ("~",) or entry.filename[1:2] == ":":
        raise BadInput(f"{name} holds an entry that leads out of it ({_shown(entry)}): {_SAVE_ANEW}.")
    if entry.flag_bits & 1:
        raise BadInput(f"{name} is locked with a password: save a copy without one and try again.")
    if entry.file_size > _SMALL_BYTES and entry.file_size > _MOST_RATIO * max(1, entry.compress_size):
        raise BadInput(
            f"{name} holds {_shown(entry)}, which unpacks to more than {_MOST_RATIO} times its size, as in a file made "
            f"to fill the memory: {_SAVE_ANEW}."
        )


def _holds_type(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Tell whether an entry declares a document type; one that nobody can unpack does not, and hides no other."""
    try:
        return _declares_type(archive, entry)
    except _DAMAGED:
        return False


def _declares_type(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Tell whether an entry is XML with a document type; read up to its first element, in whatever encoding."""
    met: list[str] = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda *_: met.append("type")
    parser.StartElementHandler = lambda *_: met.append("element")
    with archive.open(entry) as file:
        while not met and (block := file.read(_BLOCK_BYTES)):
            try:
                parser.Parse(block, False)
            except (LookupError, ValueError):  # an encoding that is not known, or of several bytes a sign
                return _DOCUMENT_TYPE in block.lower()
            except expat.ExpatError:
                break  # no XML, or none that anybody could read further
    return "type" in met[:1]


def _shown(entry: zipfile.ZipInfo) -> str:
    return repr(entry.filename[:60])
