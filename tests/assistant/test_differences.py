"""What two sentences state otherwise: values, dates and rules, and when nothing may be said."""

from __future__ import annotations

import pytest

from assistant.differences import Difference, difference


def apart(first: str, second: str) -> Difference | None:
    found = difference(first, second, weigh=lambda _: 1.0)
    turned = difference(second, first, weigh=lambda _: 1.0)
    assert (found is None) is (turned is None)
    return found


@pytest.mark.parametrize(
    ("first", "second", "about", "said"),
    [
        (
            "Receipts for travel must be kept for six (6) years by the traveller.",
            "Receipts for travel must be kept for three years by the traveller.",
            "period",
            ("six (6) years", "three years"),
        ),
        (
            "The warranty lasts 30 days from the delivery of the goods.",
            "The warranty lasts 30 months from the delivery of the goods.",
            "period",
            ("30 days", "30 months"),
        ),
        (
            "The distributor gives a 30-day notice of any change of control.",
            "The distributor gives a 30-month notice of any change of control.",
            "period",
            ("30-day", "30-month"),
        ),
        (
            "Shredders produce particles of 5 mm of size or smaller.",
            "Shredders produce particles of 5 cm of size or smaller.",
            "number",
            ("5 mm", "5 cm"),
        ),
        (
            "Each late invoice bears interest of 2% per month for the customer.",
            "Each late invoice bears interest of five percent per month for the customer.",
            "percent",
            ("2%", "five percent"),
        ),
        (
            "Each invoice is due by March 3, 2020 at the office.",
            "Each invoice is due by 2020-03-04 at the office.",
            "date",
            ("March 3, 2020", "2020-03-04"),
        ),
        (
            "You can have up to 24 credit hours accrued at any given time.",
            "You can have up to 40 credit hours accrued at any given time.",
            "number",
            ("24 credit hours", "40 credit hours"),
        ),
        (
            "There are three components to the technical review and testing.",
            "There are four components to the technical review and testing.",
            "number",
            ("three components to the technical", "four components to the technical"),
        ),
        (
            "Visitors may enter the archive without a badge.",
            "Visitors may not enter the archive without a badge.",
            "rule",
            ("Visitors may enter the archive without a badge", "Visitors may not enter the archive without a badge"),
        ),
        (
            "The committee is a decision body for data quality.",
            "The committee is not a decision body for data quality.",
            "rule",
            ("committee is a decision body for data quality", "committee is not a decision body for data quality"),
        ),
    ],
)
def test_what_is_at_odds_is_given_in_the_words_of_each(
    first: str, second: str, about: str, said: tuple[str, str]
) -> None:
    found = apart(first, second)
    assert found is not None
    assert (found.about, (found.first, found.second)) == (about, said)


def test_values_are_compared_where_the_wording_differs() -> None:
    found = apart(
        "The customer pays every invoice within 30 days of its receipt.",
        "Every invoice is paid by the customer no later than 60 days after receipt.",
    )
    assert found is not None
    assert (found.first, found.second) == ("30 days", "60 days")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "Receipts must be kept for six (6) years by travellers.",
            "Receipts must be kept for 72 months by travellers.",
        ),
        ("The warranty lasts 12 months from the delivery.", "The warranty lasts 365 days from the delivery."),
        (
            "The plan is described in Section 3 of the annual report.",
            "The plan is described in Section 4 of the annual report.",
        ),
        (
            "Systems are categorized according to FIPS 199 by their owner.",
            "Systems are categorized according to FIPS 200 by their owner.",
        ),
        ("3. The plan is described in the annual report.", "4. The plan is described in the annual report."),
        (
            "The Supplier shall pay the whole invoice within 30 days.",
            "The Customer shall pay the whole invoice within 60 days.",
        ),
        (
            "The bank keeps all records of travel for at least 30 days.",
            "All records of travel are deleted by the bank within 60 days.",
        ),
        ("Visitors may enter the archive without a badge.", "Hotel rooms cost at most 120 dollars a night."),
        ("Pay 5 dollars.", "Pay 6 dollars."),
        (
            "6.1 Delivery of public keys to relying parties ............ 26",
            "6.1 Delivery of public keys to relying parties not applicable",
        ),
    ],
)
def test_equal_labelled_bounded_or_unlike_sentences_are_not_at_odds(first: str, second: str) -> None:
    assert apart(first, second) is None
