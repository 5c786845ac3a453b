"""Dividing lines into Clauses: numbers, headings, lists, tables, and that nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.clauses import LONGEST_CLAUSE, Line, find_clauses
from ingest.documents import Clause
from ingest.numbering import read_labels, roman_value

BODY = "The supplier shall deliver the goods to the place that the order names."


def lines_of(*written: str | Line) -> tuple[str, list[Line]]:
    """Put lines one below the other; a text that begins with * is bold and one with # is large and bold."""
    text, lines = "", []
    for item in written:
        given_line = item if isinstance(item, Line) else Line(item.lstrip("*#"), 0, 0, size=11)
        if isinstance(item, str) and item[:1] in "*#":
            given_line = Line(given_line.text, 0, 0, size=15 if item[0] == "#" else 11, bold=True, bold_lead=True)
        start = len(text)
        text += given_line.text + "\n"
        lines.append(
            Line(
                given_line.text,
                start,
                len(text) - 1,
                size=given_line.size,
                bold=given_line.bold,
                bold_lead=given_line.bold_lead,
                left=given_line.left,
                space_above=given_line.space_above,
                table=given_line.table,
                level=given_line.level,
                plain=given_line.plain,
            )
        )
    return text, lines


def clauses_of(*written: str | Line, title: str = "") -> list[tuple[str, str]]:
    """Number and path of each Clause."""
    _, lines = lines_of(*written)
    return [(clause.number, " > ".join(clause.path)) for clause in find_clauses(lines, title=title)]


def assert_covers(text: str, clauses: Sequence[Clause]) -> None:
    place = 0
    for clause in clauses:
        assert place <= clause.start < clause.end <= len(text)
        assert not text[place : clause.start].strip()
        place = clause.end
    assert not text[place:].strip()


def test_no_lines_have_no_clauses() -> None:
    assert find_clauses([]) == ()


def test_text_before_the_first_heading_goes_under_the_title() -> None:
    assert clauses_of(BODY, "#1 Scope", BODY, title="Policy") == [("", "Policy"), ("1", "1 Scope")]
    assert clauses_of(BODY) == [("", "")]


def test_decimal_numbers_build_the_heading_path() -> None:
    found = clauses_of("#3 Travel", BODY, "*3.1 Trains", BODY, "*3.2 Lodging", BODY, "#4 Meals", BODY)
    assert found == [
        ("3", "3 Travel"),
        ("3.1", "3 Travel > 3.1 Trains"),
        ("3.2", "3 Travel > 3.2 Lodging"),
        ("4", "4 Meals"),
    ]


def test_sub_clauses_are_named_after_their_clause() -> None:
    found = clauses_of(
        "12. Term.",
        "12.3 Ending early. Either party may end this agreement in these cases:",
        "(a) the other party does not pay within thirty days of a written reminder;",
        "(b) the other party is insolvent and an administrator has been appointed,",
        "(i) by a court of the country in which it has its registered office, or",
        "(ii) by its creditors in a meeting that was called with proper notice.",
        "12.4 Notices. A notice is in writing and goes to the address given above.",
    )
    assert [number for number, _ in found] == ["12.3", "12.3(a)", "12.3(b)", "12.3(b)(i)", "12.3(b)(ii)", "12.4"]
    assert found[3][1] == "12 Term > 12.3 Ending early > (b) > (i)"


def test_articles_hold_sections() -> None:
    found = clauses_of("*ARTICLE II", "*PAYMENT", "Section 2.1 Fees. " + BODY, "Section 2.2 Taxes. " + BODY)
    assert found == [("2.1", "ARTICLE II PAYMENT > 2.1 Fees"), ("2.2", "ARTICLE II PAYMENT > 2.2 Taxes")]


def test_an_appendix_leaves_the_chapters() -> None:
    found = clauses_of("#1 Scope", BODY, "#Appendix A Forms", BODY, "*1.1 Order form", BODY)
    assert found[1:] == [("Appendix A", "Appendix A Forms"), ("1.1", "Appendix A Forms > 1.1 Order form")]


def test_the_first_chapter_is_not_below_the_recitals() -> None:
    recitals = [
        f"{letter}. The {letter} party owns the station and wishes to sell the time on its air;" for letter in "AB"
    ]
    found = clauses_of(*recitals, "The parties agree as follows.", "1. Term; Renewal. " + BODY, "2. Airtime. " + BODY)
    assert found == [("A", "A"), ("B", "B"), ("1", "1 Term; Renewal"), ("2", "2 Airtime")]


def test_a_defined_term_names_its_clause() -> None:
    assert clauses_of("1.1 “Net Sales” means the price that was paid for all of the goods.")[0][1] == "1.1 “Net Sales”"


def test_where_a_filing_put_a_document_is_no_heading() -> None:
    found = clauses_of("*EXHIBIT 10.2", "*SUPPLY AGREEMENT", BODY, "*1. Term", BODY, title="Supply Agreement")
    assert found == [("", "Supply Agreement"), ("1", "1 Term")]


def test_chapters_numbered_with_a_zero_hold_their_sections() -> None:
    found = clauses_of("#2.0 Basics", BODY, "*2.1 Core", BODY, "*Tier one", BODY, "*2.2 Tiers", BODY, "#3.0 Use", BODY)
    assert found[1::2] == [("2.1", "2.0 Basics > 2.1 Core"), ("2.2", "2.0 Basics > 2.2 Tiers")]
    assert found[-1] == ("3.0", "3.0 Use")


def test_the_letter_i_follows_h_and_the_roman_i_begins() -> None:
    letters = [
        f"({letter}) the {letter} part of the works is done before the other parts are;" for letter in "abcdefghij"
    ]
    assert [number for number, _ in clauses_of("1.1 Parts. " + BODY, *letters)][-2:] == ["1.1(i)", "1.1(j)"]
    romans = [f"({number}) the works of this part are done before the next part is begun;" for number in ("i", "ii")]
    assert [number for number, _ in clauses_of("1.1 Parts. " + BODY, letters[0], *romans)][-2:] == [
        "1.1(a)(i)",
        "1.1(a)(ii)",
    ]


def test_a_cross_reference_at_a_line_start_is_no_clause() -> None:
    found = clauses_of(
        "4.1 Limits. The limits of this clause apply to all claims, as is said in Section",
        "9.2 of this agreement and in the annexes, and also to claims under Section",
        "4.2 where the claim is brought by a third party against one of the parties.",
        "4.2 Costs. " + BODY,
    )
    assert [number for number, _ in found] == ["4.1", "4.2"]


def test_a_number_out_of_turn_is_no_clause() -> None:
    assert clauses_of("2.1 Price. " + BODY, "The rate is", "7.5 Percent Notes are not part of this.") == [
        ("2.1", "2.1 Price")
    ]


def test_a_short_list_stays_with_its_parent() -> None:
    text, lines = lines_of(
        "5.1 Documents. Send us these papers:", "(a) the invoice;", "(b) the order; and", "(c) the receipt."
    )
    [clause] = find_clauses(lines)
    assert text[clause.start : clause.end].endswith("(c) the receipt.")


def test_a_heading_without_text_goes_with_what_is_below_it() -> None:
    text, lines = lines_of("#3 Travel", "*3.1 Trains", BODY)
    [clause] = find_clauses(lines)
    assert clause.number == "3.1"
    assert text[clause.start : clause.end].startswith("3 Travel\n3.1 Trains")


def test_a_reserved_clause_is_still_there() -> None:
    assert clauses_of("*5. RESERVED", "*6. PRICE", BODY) == [("5", "5 RESERVED"), ("6", "6 PRICE")]


def test_a_line_of_a_table_of_contents_is_never_a_heading() -> None:
    found = clauses_of(
        "#Contents",
        "#1 Scope ........ 3",
        "#2 Travel ....... 5",
        "*2.1 Trains 6",
        "#1 Scope",
        BODY,
        "#2 Travel",
        BODY,
    )
    assert found == [("", "Contents"), ("1", "1 Scope"), ("2", "2 Travel")]


def test_a_heading_over_two_lines_is_one() -> None:
    assert clauses_of("#Rules for Travel by", "#Rail and Road", BODY)[0][1] == "Rules for Travel by Rail and Road"


def test_a_smaller_heading_is_below_a_larger_one() -> None:
    assert clauses_of("#Leave", BODY, "*Parental leave", BODY, "#Pay", BODY) == [
        ("", "Leave"),
        ("", "Leave > Parental leave"),
        ("", "Pay"),
    ]


def test_a_bold_paragraph_is_no_heading() -> None:
    found = clauses_of(
        BODY,
        "*All members of this audience and others are encouraged to",
        "*carefully review what is said here and comment",
        BODY,
    )
    assert found == [("", "")]


def test_capitals_in_a_paragraph_are_no_heading() -> None:
    loud = "IN NO EVENT SHALL EITHER PARTY BE LIABLE FOR ANY INDIRECT DAMAGES OF ANY KIND WHATEVER"
    assert clauses_of("1.1 Limits. " + BODY, loud, "EXCEPT FOR FRAUD", BODY) == [("1.1", "1.1 Limits")]


def test_stated_levels_are_taken_as_they_are() -> None:
    found = clauses_of(
        Line("Leave", 0, 0, level=1), BODY, Line("Sick leave", 0, 0, level=2), BODY, Line("Pay", 0, 0, level=1), BODY
    )
    assert found == [("", "Leave"), ("", "Leave > Sick leave"), ("", "Pay")]


def test_a_table_is_one_clause_with_its_caption_and_the_text_goes_on_after_it() -> None:
    text, lines = lines_of(
        "#3 Limits",
        BODY,
        "Table 2. Hotels",
        Line("Grade | Hotel", 0, 0, table=1),
        Line("A | 200", 0, 0, table=1),
        BODY,
    )
    before, table, after = find_clauses(lines)
    assert (table.kind, table.number, table.path) == ("table", "3", ("3 Limits", "Table 2. Hotels"))
    assert text[table.start : table.end] == "Table 2. Hotels\nGrade | Hotel\nA | 200"
    assert before.path == after.path == ("3 Limits",)


def test_two_tables_in_a_row_are_two_clauses() -> None:
    _, lines = lines_of(Line("a | b", 0, 0, table=1), Line("c | d", 0, 0, table=2))
    assert [clause.kind for clause in find_clauses(lines)] == ["table", "table"]


def test_a_long_table_is_never_split() -> None:
    _, lines = lines_of(*[Line("cell | " + BODY, 0, 0, table=1)] * 200)
    assert len(find_clauses(lines)) == 1


def test_a_long_clause_is_split_between_paragraphs_with_the_same_number() -> None:
    paragraph = [Line(BODY, 0, 0, size=11, space_above=True), *[Line(BODY[:-1], 0, 0, size=11)] * 4]
    text, lines = lines_of("#7. Notes", *paragraph * 40)
    found = find_clauses(lines)
    assert len(found) > 2
    assert {(clause.number, clause.path) for clause in found} == {("7", ("7 Notes",))}
    assert all(clause.end - clause.start <= LONGEST_CLAUSE for clause in found)
    starts = {line.start for line in lines if line.space_above}
    assert all(clause.start in starts for clause in found[1:])
    assert_covers(text, found)


def test_a_cover_does_not_stand_above_the_first_chapter() -> None:
    found = clauses_of("#Security Guide", "*National Institute", BODY, "#1 Scope", BODY, "#2 Terms", BODY)
    assert [path for _, path in found][-2:] == ["1 Scope", "2 Terms"]


def test_an_unnumbered_heading_does_not_close_the_chapter_that_goes_on() -> None:
    found = clauses_of("*6 Hosts", BODY, "*6.1 Basics", BODY, "*Host requirements", BODY, "*6.2 Routing", BODY)
    assert found[-1] == ("6.2", "6 Hosts > 6.2 Routing")


@pytest.mark.parametrize(
    ("text", "printed", "values", "rest"),
    [
        ("12.3(b) Fees", "12.3(b)", (12, 3), "Fees"),
        ("12.3. Fees", "12.3", (12, 3), "Fees"),
        ("1.Term", "1", (1,), "Term"),
        ("Section 4.1 Fees", "4.1", (4, 1), "Fees"),
        ("Section 4. Fees", "Section 4", (4,), "Fees"),
        ("§ 7 Fees", "§ 7", (7,), "Fees"),
        ("ARTICLE XIV - FEES", "ARTICLE XIV", (14,), "FEES"),
        ("Appendix B: Forms", "Appendix B", (2,), "Forms"),
        ("SCHEDULE C-1 Rates", "SCHEDULE C-1", (3, 1), "Rates"),
        ("A.2 Forms", "A.2", (1, 2), "Forms"),
        ("(a) fees", "(a)", (1,), "fees"),
        ("(iv) fees", "(iv)", (4,), "fees"),
        ("b) fees", "b", (2,), "fees"),
        ("iv. fees", "iv", (4,), "fees"),
        ("3) fees", "3", (3,), "fees"),
    ],
)
def test_printed_numbers_are_read(text: str, printed: str, values: tuple[int, ...], rest: str) -> None:
    label = read_labels(text)[0]
    assert (label.printed, label.values, label.rest) == (printed, values, rest)


@pytest.mark.parametrize(
    "text",
    ["2019 was a year", "Party if: no", "3.5% of all", "Sections of it", "(see above) fees", "U.S. law", "$5.00", ""],
)
def test_other_beginnings_are_no_numbers(text: str) -> None:
    assert read_labels(text) == ()


@pytest.mark.parametrize(
    ("roman", "value"), [("i", 1), ("IV", 4), ("ix", 9), ("XL", 40), ("xiv", 14), ("abc", None), ("iiii", None)]
)
def test_roman_numbers(roman: str, value: int | None) -> None:
    assert roman_value(roman) == value


BEGINNINGS = st.sampled_from(
    [
        "",
        "1 ",
        "1.",
        "1.1 ",
        "2.1 ",
        "(a) ",
        "(b) ",
        "(i) ",
        "ARTICLE II ",
        "Section 3.2 ",
        "Appendix A",
        "A. ",
        "Contents",
        "• ",
        "Table 1 ",
        "12",
    ]
)
WRITTEN = st.builds(
    Line,
    text=st.builds(
        lambda first, rest: (first + rest).strip(),
        BEGINNINGS,
        st.text(st.characters(exclude_categories=["C"]), max_size=90),
    ),
    start=st.just(0),
    end=st.just(0),
    size=st.sampled_from([0.0, 9.0, 11.0, 14.0, 20.0]),
    bold=st.booleans(),
    bold_lead=st.booleans(),
    left=st.sampled_from([0.0, 72.0, 100.0]),
    space_above=st.booleans(),
    table=st.sampled_from([0, 0, 0, 1, 2]),
    level=st.sampled_from([0, 0, 0, 0, 1, 2, 3]),
    plain=st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WRITTEN, max_size=60))
def test_every_character_belongs_to_exactly_one_clause(written: list[Line]) -> None:
    text, lines = lines_of(*written)
    assert_covers(text, find_clauses(lines, title="Title"))
