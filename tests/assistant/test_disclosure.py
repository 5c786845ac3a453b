"""Disclosure: secrets are masked, contact data is shown, and the policy decides."""

from __future__ import annotations

import pytest

from assistant.disclosure import DraftMask, disclose, find_disclosures, masking
from governance.settings import DisclosureSettings


def kinds(text: str) -> list[str]:
    return [one.kind for one in find_disclosures(text)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The key is AKIAIOSFODNN7EXAMPLE.", "secret"),
        ("password: hunter2hunter2", "secret"),
        ("api_key=9f8e7d6c5b4a", "secret"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----", "secret"),
        ("Card 4111 1111 1111 1111 is charged.", "card"),
        ("SSN 123-45-6789", "national_id"),
        ("Pay to DE89 3704 0044 0532 0130 00 today", "iban"),
        ("Write to travel@agency.gov now", "email"),
        ("Call (202) 555-0143 or wait", "phone"),
        ("Call +44 20 7946 0958 or wait", "phone"),
    ],
)
def test_each_class_is_found(text: str, kind: str) -> None:
    assert kinds(text) == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "The password is changed every 90 days.",
        "Passwords must have 12 characters.",
        "Card number 4111 1111 1111 1112",  # fails Luhn
        "EAN 0095205603217 in stock",
        "EAN: 5052179741142",  # passes Luhn
        "EAN-13: 8710895998215",
        "Master outer case gtin ean upc: 50992060209514",
        "Packaging UPC: 87 10895 95732 8",
        "The EANs are 5052179741142 and 8710895998215.",
        "Helios 300 PH315-52-7914 Notebook",  # a model, not 315-52-7914
        "Section 12-34-5678 of the code",
        "ISO 27001:2013 and NIST SP 800-53",
        "DE00 3704 0044 0532 0130 00",  # fails modulo 97
    ],
)
def test_plain_text_discloses_nothing(text: str) -> None:
    assert kinds(text) == []


def test_default_masks_secrets_and_shows_contacts() -> None:
    text = "Write to a@b.org; the password: s3cretvalue opens it."
    shown = disclose(text, DisclosureSettings())
    assert "a@b.org" in shown.text
    assert "s3cretvalue" not in shown.text
    assert len(shown.text) == len(text)
    assert shown.masked == ("secret",)
    assert shown.refused == ()


def test_policy_can_refuse_and_allow() -> None:
    shown = disclose("Write to a@b.org", DisclosureSettings(email="refuse"))
    assert shown.refused == ("email",)
    assert disclose("SSN 123-45-6789", DisclosureSettings(national_id="allow")).text == "SSN 123-45-6789"


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_draft_never_shows_a_secret_while_it_is_written(size: int) -> None:
    text = "The password: s3cretvalue opens it; card 4111 1111 1111 1111 pays."
    mask = DraftMask(DisclosureSettings())
    pieces = [mask.feed(text[at : at + size]) for at in range(0, len(text), size)]
    shown = "".join([*pieces, mask.finish()])
    assert len(shown) == len(text)
    assert shown.endswith(" opens it; card •••• •••• •••• •••• pays.")
    assert "s3cret" not in shown
    assert "4111" not in shown


def test_what_is_refused_in_an_answer_is_masked_beside_it() -> None:
    assert disclose("Write to a@b.org", masking(DisclosureSettings(email="refuse"))).text == "Write to •••••••"


@pytest.mark.parametrize(
    "text",
    [
        "EAN: 4111 1111 1111 1111",  # as long as a card, and no barcode is
        "EAN 4222222222222",  # passes Luhn, and fails the check of a barcode
        "The EAN of the card 8710895998215",
        "8710895998215",
    ],
)
def test_a_card_behind_a_label_or_without_one_is_still_a_card(text: str) -> None:
    assert kinds(text) == ["card"]


def test_the_identifier_of_a_record_is_no_card_and_a_card_is_none() -> None:
    text = "8710895998215 or 4111 1111 1111 1111"
    shown = disclose(text, DisclosureSettings(), identifiers={"8710895998215", "4111111111111111"})
    assert shown.text == "8710895998215 or •••• •••• •••• ••••"
