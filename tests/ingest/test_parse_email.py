"""E-mail: who wrote what and when, quoted messages, attachments by name, and damaged messages."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from governance.errors import BadInput
from ingest.documents import ParsedDocument
from ingest.parse.email import parse_email


def message(subject: str = "Parking für alle") -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = subject
    made["From"] = "Ann Müller <ann@example.org>"
    made["To"] = "Bob <bob@example.org>"
    made["Date"] = "Mon, 01 Jan 2024 10:00:00 +0000"
    return made


def read(folder: Path, content: EmailMessage | bytes) -> ParsedDocument:
    path = folder / "note.eml"
    path.write_bytes(content if isinstance(content, bytes) else content.as_bytes())
    return parse_email(path)


HEADERS = "From: Ann Müller <ann@example.org>\nTo: Bob <bob@example.org>\nDate: Mon, 01 Jan 2024 10:00:00 +0000\n"


def test_headers_stand_first_and_quoted_messages_are_kept(tmp_path: Path) -> None:
    made = message()
    made.set_content("Hello,\n\n1. Parking is free.\n\n> 2. It was not.\n> Regards\n")
    document = read(tmp_path, made)
    assert document.title == "Parking für alle"
    assert document.text == f"{HEADERS}\nHello,\n\n1. Parking is free.\n\n> 2. It was not.\n> Regards\n"
    assert [(clause.path, clause.number) for clause in document.clauses] == [(("Parking für alle",), "")]
    assert document.warnings == ()


def test_the_text_part_is_preferred_and_html_read_as_a_page(tmp_path: Path) -> None:
    both = message()
    both.set_content("Plain.\n")
    both.add_alternative("<p>Rich.</p>", subtype="html")
    assert read(tmp_path, both).text == f"{HEADERS}\nPlain.\n"
    rich = message()
    rich.set_content("<p>Rich.</p><div style='display:none'>no</div>", subtype="html")
    document = read(tmp_path, rich)
    assert document.text == f"{HEADERS}\nRich.\n"
    assert document.warnings == ("elements with text were left out: 1 hidden",)


def test_an_empty_text_part_gives_way_to_html(tmp_path: Path) -> None:
    made = message()
    made.set_content("\n")
    made.add_alternative("<p>Rich.</p>", subtype="html")
    assert read(tmp_path, made).text.endswith("Rich.\n")


def test_attachments_are_named_and_not_opened(tmp_path: Path) -> None:
    made = message()
    made.set_content("See these.\n")
    made.add_attachment(b"secret words", maintype="application", subtype="pdf", filename="rules.pdf")
    made.add_attachment("secret text", filename="notes.txt")
    made.add_attachment(message("An earlier message"))
    document = read(tmp_path, made)
    assert "secret" not in document.text
    assert document.warnings == ("attachments were not read: rules.pdf, notes.txt, one of type message/rfc822",)


@pytest.mark.parametrize("charset", ["utf-8", "us-ascii", "klingon"])
def test_a_wrong_charset_is_read_as_any_text_and_named(tmp_path: Path, charset: str) -> None:
    head = f"From: a@example.org\r\nContent-Type: text/plain; charset={charset}\r\n\r\n"
    document = read(tmp_path, head.encode() + "Café is free.".encode("cp1252"))
    assert document.text.endswith("Café is free.\n")
    assert f"does not fit its declared charset {charset}" in document.warnings[0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"just some words\n\nand more", "is not an e-mail"),
        (b"PK\x03\x04\x00\x01", "is not an e-mail"),
        (b"From: a@example.org\nSubject: Hello\n\n", "an e-mail without a text"),
        (b"From: a@example.org\nContent-Type: application/pdf\n\nAAAA", "an e-mail without a text"),
    ],
)
def test_what_says_nothing_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(BadInput, match=f"note.eml.*{sentence}"):
        read(tmp_path, content)


def test_a_truncated_message_is_read_with_a_warning(tmp_path: Path) -> None:
    made = message()
    made.set_content("Parking is free.\n")
    made.add_attachment(b"x" * 1000, maintype="application", subtype="pdf", filename="rules.pdf")
    document = read(tmp_path, made.as_bytes()[:-700])
    assert "Parking is free." in document.text
    assert "damaged or cut short" in document.warnings[-1]


def test_broken_headers_do_not_stop_the_reading(tmp_path: Path) -> None:
    head = b"From: =?utf-8?b?////?= <@@>\r\nTo: \xff\xfe,,;<\r\nDate: Mon, 1 Jan 99999999999 10:00:00 +0000\r\n"
    head += b"Subject: a\r\n b\x01\r\n\r\n"
    document = read(tmp_path, head + b"Parking is free.\r\n")
    assert document.text.endswith("Parking is free.\n")
    assert "\r" not in document.text
    assert document.text.encode("utf-8")
