"""Read an e-mail message (.eml) into a ParsedDocument: its subject as title, who wrote when, and what was written.

The text part is read, else the HTML part as a web page. Earlier messages quoted in it are kept, and no line of the text
is a heading. Attachments, forwarded messages among them, are not opened: a warning names them.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.errors import MessageError
from email.message import EmailMessage
from pathlib import Path

from governance.errors import BadInput
from ingest.documents import ParsedDocument
from ingest.parse.html import HtmlReader
from ingest.parse.text import decode_text
from ingest.parse.writing import Look, Writing, clean

MEDIA_TYPE = "message/rfc822"
_SHOWN = ("From", "To", "Cc", "Date")
_ANY_OF = ("From", "To", "Subject", "Date", "Message-ID", "Received", "MIME-Version")
_MOST_NAMED = 10
_TRIPS = (  # what the standard library raises over hostile messages
    MessageError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def parse_email(path: Path) -> ParsedDocument:
    """Read a message. Raises BadInput where it is empty, is no message, or says nothing besides its headers."""
    message = _read(path)
    warnings: list[str] = []
    subject = _header(message, "Subject")
    writing = Writing()
    for name in _SHOWN:
        value = _header(message, name)
        writing.block(f"{name}: {value}" if value else "", Look(plain=True), close=name != _SHOWN[0])
    headers = len(writing.lines)
    try:
        _write_body(message, writing, path.name, warnings)
        warnings += _attachment_warning(message)
    except _TRIPS as error:
        raise BadInput(
            f"{path.name} is damaged and cannot be read as an e-mail ({type(error).__name__}): export it again."
        ) from error
    if len(writing.lines) == headers:
        said = "".join(f"; {one}" for one in warnings)
        raise BadInput(f"{path.name} is an e-mail without a text{said}: add what matters as files of their own.")
    if message.defects or any(part.defects for part in message.walk()):
        warnings.append("the message is damaged or cut short, so a part of it may be missing")
    return writing.finish(path, media_type=MEDIA_TYPE, stated=subject, warnings=warnings)


def _read(path: Path) -> EmailMessage:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path.name} cannot be opened ({error.strerror}): check its name and permissions.") from error
    if not data.strip():
        raise BadInput(f"{path.name} is empty, and an e-mail was expected: export it again.")
    message = email.message_from_bytes(data.lstrip(), policy=email.policy.default)
    if not isinstance(message, EmailMessage) or not any(name in message for name in _ANY_OF):
        raise BadInput(f"{path.name} is not an e-mail (no From, To, Subject or Date): name the file by what it is.")
    return message


def _header(message: EmailMessage, name: str) -> str:
    """Return a header on one line; "" where there is none or it cannot be read."""
    try:
        return clean(str(message.get(name, "")))
    except _TRIPS:
        return ""


def _write_body(message: EmailMessage, writing: Writing, name: str, warnings: list[str]) -> None:
    for part in _bodies(message):
        before = len(writing.lines)
        text = _content(part, name, warnings)
        if part.get_content_subtype() == "html":
            reader = HtmlReader(writing=writing)
            reader.read(text, name)
            warnings += reader.warnings
        else:
            _write_text(text, writing)
        if len(writing.lines) > before:
            return


def _bodies(message: EmailMessage) -> Iterator[EmailMessage]:
    """Yield the text part and then the HTML part, as far as there are any."""
    for kind in ("plain", "html"):
        body = message.get_body(preferencelist=(kind,))
        if isinstance(body, EmailMessage) and not body.is_attachment():
            yield body


def _write_text(text: str, writing: Writing) -> None:
    blank = True
    for line in text.split("\n"):
        writing.block(line, Look(plain=True), close=not blank)
        blank = not line.strip()


def _content(part: EmailMessage, name: str, warnings: list[str]) -> str:
    """Return the text of a part by its declared charset, else as any text."""
    data = part.get_payload(decode=True)
    data = data if isinstance(data, bytes) else b""
    charset = str(part.get_content_charset("utf-8"))
    try:
        text = data.decode(charset)
    except (LookupError, UnicodeError):
        if not data.strip():
            return ""
        text, _ = decode_text(data.replace(b"\0", b""), name)
        warnings.append(f"the text does not fit its declared charset {clean(charset)[:40]}, so look at its accents")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _attachment_warning(message: EmailMessage) -> list[str]:
    names = [_attachment_name(part) for part in message.iter_attachments()] if message.is_multipart() else []
    if not names:
        return []
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return [f"attachments were not read: {', '.join(names[:_MOST_NAMED])}{more}"]


def _attachment_name(part: object) -> str:
    if not isinstance(part, EmailMessage):
        return "one without a name"
    return clean(part.get_filename() or "")[:100] or f"one of type {part.get_content_type()}"
