"""Word, PowerPoint and Excel files: structure, what is left out, and files that are not what they say."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from pptx.util import Inches

from governance.errors import BadInput
from ingest.documents import ParsedDocument
from ingest.parse import package, parse_file
from ingest.parse.docx import parse_docx
from ingest.parse.pptx import parse_pptx
from ingest.parse.xlsx import parse_xlsx

PARSERS = {"a.docx": parse_docx, "a.pptx": parse_pptx, "a.xlsx": parse_xlsx}


def shown(document: ParsedDocument) -> list[tuple[str, str, str]]:
    return [
        (clause.kind, " > ".join(clause.path), document.text[clause.start : clause.end]) for clause in document.clauses
    ]


def word(folder: Path, fill: Callable[[Any], object]) -> ParsedDocument:
    document = docx.Document()
    fill(document)
    document.save(str(folder / "a.docx"))
    return parse_docx(folder / "a.docx")


def slides(folder: Path, fill: Callable[[Any], object]) -> ParsedDocument:
    presentation = pptx.Presentation()
    fill(presentation)
    presentation.save(str(folder / "a.pptx"))
    return parse_pptx(folder / "a.pptx")


def workbook(folder: Path, fill: Callable[[Any], object]) -> ParsedDocument:
    book = openpyxl.Workbook()
    fill(book)
    book.save(folder / "a.xlsx")
    return parse_xlsx(folder / "a.xlsx")


def insert(paragraph: Any, markup: str) -> None:
    paragraph._p.append(parse_xml(markup.replace(" ", f" {nsdecls('w')} ", 1)))


def fill_table(table: Any, rows: list[list[str]]) -> None:
    for at, row in enumerate(rows):
        for column, text in enumerate(row):
            table.cell(at, column).text = text


def test_word_headings_tables_and_title_are_kept(tmp_path: Path) -> None:
    def fill(document: Any) -> None:
        document.add_heading("Travel policy", 0)
        document.add_heading("Hotels", 1)
        document.add_paragraph("A room costs at most this.")
        fill_table(document.add_table(3, 2), [["Grade", "Limit"], ["A", "200"], ["B", "150"]])
        document.add_heading("Breakfast", 2)
        document.add_paragraph("It is paid for.")
        document.sections[0].header.paragraphs[0].text = "Running header"

    document = word(tmp_path, fill)
    assert document.title == "Travel policy"
    assert shown(document) == [
        ("clause", "Travel policy", "Travel policy"),
        ("clause", "Hotels", "Hotels\n\nA room costs at most this."),
        ("table", "Hotels", "Grade | Limit\nA | 200\nB | 150"),
        ("clause", "Hotels > Breakfast", "Breakfast\n\nIt is paid for."),
    ]
    assert (document.pages, document.warnings) == ((), ())


def test_word_numbers_that_stand_nowhere_in_the_text_are_written(tmp_path: Path) -> None:
    levels = "".join(
        f'<w:lvl w:ilvl="{level}"><w:start w:val="{start}"/><w:numFmt w:val="{form}"/>'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
        for level, start, form, text in [
            (0, 3, "decimal", "%1."),
            (1, 1, "decimal", "%1.%2"),
            (2, 1, "lowerRoman", "(%3)"),
        ]
    )

    def fill(document: Any) -> None:
        root = document.part.numbering_part.element
        root.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="90">{levels}</w:abstractNum>'))
        root.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="90"><w:abstractNumId w:val="90"/></w:num>'))
        for level, text in [
            (0, "Delivery"),
            (1, "Place"),
            (1, "Time"),
            (2, "Early"),
            (2, "Late"),
            (0, "Price"),
            (1, "Sum"),
        ]:
            paragraph = document.add_heading(text, level + 1)
            number = f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{level}"/><w:numId w:val="90"/></w:numPr>'
            paragraph._p.get_or_add_pPr().append(parse_xml(number))
            document.add_paragraph("The supplier shall do as the order says.")

    document = word(tmp_path, fill)
    headings = [line for line in document.text.split("\n") if line and "supplier" not in line]
    assert headings == ["3. Delivery", "3.1 Place", "3.2 Time", "(i) Early", "(ii) Late", "4. Price", "4.1 Sum"]
    assert [clause.number for clause in document.clauses][:3] == ["3", "3.1", "3.2"]


def test_word_deletions_and_hidden_text_are_left_out_and_insertions_kept(tmp_path: Path) -> None:
    def fill(document: Any) -> None:
        paragraph = document.add_paragraph("Kept")
        insert(paragraph, '<w:del w:id="1" w:author="a"><w:r><w:delText>gone</w:delText></w:r></w:del>')
        insert(paragraph, '<w:ins w:id="2" w:author="a"><w:r><w:t xml:space="preserve"> new</w:t></w:r></w:ins>')
        insert(paragraph, "<w:r ><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r>")
        control = "<w:sdt ><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        paragraph._p.addnext(parse_xml(control.replace(" ", f" {nsdecls('w')}", 1)))

    document = word(tmp_path, fill)
    assert document.text == "Kept new\n\nIn a control.\n"
    assert document.warnings == ("hidden text was left out",)


def test_word_footnote_stands_below_its_paragraph(tmp_path: Path) -> None:
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part

    notes = (
        f'<w:footnotes {nsdecls("w")}><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>'
        '<w:footnote w:id="1"><w:p><w:r><w:t>Breakfast is not.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )

    def fill(document: Any) -> None:
        paragraph = document.add_paragraph("Dinner is paid")
        insert(paragraph, '<w:r ><w:footnoteReference w:id="1"/></w:r>')
        kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
        part = Part(PackURI("/word/footnotes.xml"), kind, notes.encode(), document.part.package)
        document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)

    document = word(tmp_path, fill)
    assert document.text == "Dinner is paid [1]\n[1] Breakfast is not.\n"
    assert len(document.clauses) == 1


def test_word_table_around_prose_is_no_table(tmp_path: Path) -> None:
    def fill(document: Any) -> None:
        document.add_table(1, 1).cell(0, 0).text = "Only a frame."

    assert [kind for kind, _, _ in shown(word(tmp_path, fill))] == ["clause"]


def test_slides_are_pages_with_titles_tables_and_notes(tmp_path: Path) -> None:
    def fill(presentation: Any) -> None:
        first = presentation.slides.add_slide(presentation.slide_layouts[1])
        first.shapes.title.text = "Results 2024"
        first.placeholders[1].text = "Sales rose.\nCosts fell."
        first.notes_slide.notes_text_frame.text = "Say thanks."
        second = presentation.slides.add_slide(presentation.slide_layouts[6])
        table = second.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
        fill_table(table, [["Year", "Sum"], ["2024", "9"]])
        presentation.slides.add_slide(presentation.slide_layouts[6])._element.set("show", "0")

    document = slides(tmp_path, fill)
    assert document.title == "Results 2024"
    assert shown(document) == [
        ("clause", "Results 2024", "Results 2024\n\nSales rose.\nCosts fell."),
        ("clause", "Results 2024 > Notes", "Notes\n\nSay thanks."),
        ("clause", "Slide 2", "Slide 2"),
        ("table", "Slide 2", "Year | Sum\n2024 | 9"),
    ]
    assert [document.page_at(clause.start) for clause in document.clauses] == [1, 1, 2, 2]
    ends = [page.end for page in document.pages]
    assert [page.start for page in document.pages] == [0, *ends[:-1]]
    assert ends[-1] == len(document.text)
    assert document.warnings == ("hidden slides were left out: 3",)


def test_text_in_groups_of_shapes_is_read_and_charts_are_named(tmp_path: Path) -> None:
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    def fill(presentation: Any) -> None:
        slide = presentation.slides.add_slide(presentation.slide_layouts[6])
        group = slide.shapes.add_group_shape()
        group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "In a group."
        data: Any = CategoryChartData()  # type: ignore[no-untyped-call]
        data.categories = ["a"]
        data.add_series("s", (1,))
        slide.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, 0, 0, Inches(1), Inches(1), data)

    document = slides(tmp_path, fill)
    assert "In a group." in document.text
    assert document.warnings == ("charts and diagrams were not read on slides: 1",)


def test_each_sheet_is_a_table_with_its_name(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = book.active
        sheet.title = "Rates"
        for row in [["Hotel rates"], ["City", "Rate", "Share", "Since", "Ok"]]:
            sheet.append(row)
        sheet.append(["Rome", 120.5, 0.15, datetime.date(2024, 5, 1), True])
        sheet["C3"].number_format = "0.0%"
        sheet.append(["Oslo", 0.1 + 0.2, 3, datetime.datetime(2024, 5, 1, 9, 30), False])
        sheet.append([])
        sheet.append(["Only a remark."])
        book.create_sheet("Empty")

    document = workbook(tmp_path, fill)
    assert document.title == "a"
    assert shown(document) == [
        ("clause", "Rates", "Rates\n\nHotel rates"),
        (
            "table",
            "Rates",
            "City | Rate | Share | Since | Ok\nRome | 120.5 | 15% | 2024-05-01 | TRUE\n"
            "Oslo | 0.3 | 3 | 2024-05-01 09:30 | FALSE",
        ),
        ("clause", "Rates", "Only a remark."),
    ]


def test_a_sheet_with_ids_and_titles_becomes_records(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        book.active.append(["Remarks"])
        sheet = book.create_sheet("Products")
        for row in [["SKU", "Name", "Price EUR"], ["a1", "Toner", 9.5], ["a2", "Ink", 7]]:
            sheet.append(row)

    document = workbook(tmp_path, fill)
    records = [clause for clause in document.clauses if clause.kind == "record"]
    assert [(one.number, one.path, one.attributes["price_eur"]) for one in records] == [
        ("a1", ("Toner",), 9.5),
        ("a2", ("Ink",), 7.0),
    ]
    assert document.text[records[1].start : records[1].end] == "Ink\nSKU: a2\nPrice: 7.00 EUR"
    assert document.text[: records[0].start] == "Sheet\n\nRemarks\n\n"


def test_hidden_sheets_and_formulas_without_a_value_are_named(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        book.active.append(["Sum", "=1+2"])
        book.active.append(["Rest", 4])
        hidden = book.create_sheet("Salaries")
        hidden.append(["secret"])
        hidden.sheet_state = "veryHidden"

    document = workbook(tmp_path, fill)
    assert "secret" not in document.text
    assert document.warnings[0] == "hidden sheets were left out: Salaries"
    assert document.warnings[1].startswith("formulas without a stored value were left empty (1)")


def test_a_long_sheet_is_several_tables_with_the_header_again(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        book.active.append(["City", "Rate"])
        for number in range(450):
            book.active.append([f"Town {number}", number])

    document = workbook(tmp_path, fill)
    tables = [clause for clause in document.clauses if clause.kind == "table"]
    assert [document.text[one.start : one.start + 11] for one in tables] == ["City | Rate"] * 3
    assert all(document.text.count(f"Town {number} |") == 1 for number in range(450))


def test_a_sheet_of_ten_thousand_columns_is_read(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        book.active.append([f"c{number}" for number in range(10_000)])
        book.active.append(list(range(10_000)))

    document = workbook(tmp_path, fill)
    assert document.text.endswith("| 9999\n")


def test_a_sheet_with_a_value_in_its_last_row_is_read_to_the_gap(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        book.active.append(["City", "Rate"])
        book.active.append(["Rome", 1])
        book.active.cell(1_048_576, 16_384, "far")

    document = workbook(tmp_path, fill)
    assert "Rome | 1" in document.text
    assert document.warnings == ("sheet Sheet was read up to 1000 blank rows",)


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"not a zip file", "no zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "locked with a password or of the format before 2007"),
        (b"PK\x03\x04cut", "damaged or cut short"),
    ],
)
def test_what_is_no_office_file_is_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"{name}.*{sentence}"):
        PARSERS[name](path)


def made(folder: Path, name: str) -> Path:
    """Return a valid file with little in it."""
    path = folder / name
    if name.endswith(".docx"):
        document = docx.Document()
        document.add_paragraph("Text.")
        document.save(str(path))
    elif name.endswith(".pptx"):
        pptx.Presentation().save(str(path))
    else:
        openpyxl.Workbook().save(path)
    return path


@pytest.mark.parametrize("name", ["a.pptx", "a.xlsx"])
def test_an_office_file_without_text_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=f"{name} holds no text"):
        PARSERS[name](made(tmp_path, name))


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_office_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = made(tmp_path, name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadInput, match=name):
        PARSERS[name](path)


@pytest.mark.parametrize("name", PARSERS)
def test_an_office_file_with_damaged_parts_is_refused(tmp_path: Path, name: str) -> None:
    source = made(tmp_path, name)
    path = tmp_path / f"broken-{name}"
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w") as broken:
        for entry in archive.infolist():
            data = archive.read(entry)
            main = entry.filename in {"word/document.xml", "ppt/presentation.xml", "xl/workbook.xml"}
            broken.writestr(entry, data[: len(data) // 2] if main else data)
    with pytest.raises(BadInput, match="damaged or cut short"):
        PARSERS[name](path)


@pytest.mark.parametrize("name", PARSERS)
def test_another_kind_of_archive_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(BadInput, match="is an archive without"):
        PARSERS[name](tmp_path / name)


def test_external_entities_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    source = made(tmp_path, "a.docx")
    path = tmp_path / "b.docx"
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w") as hostile:
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename == "word/document.xml":
                entity = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><w:document '.encode()
                data = data.replace(b"<w:document ", entity, 1).replace(b"Text.", b"Text. &x;")
            hostile.writestr(entry, data)
    assert "the secret" not in parse_docx(path).text


def test_a_missing_library_says_how_to_install_it() -> None:
    with pytest.raises(BadInput, match=r"needs no-such-thing, which is not installed: pip install no-such-thing"):
        package.library("no_such_thing", "no-such-thing")


@pytest.mark.parametrize("name", ["a.docx", "a.xlsm"])
def test_a_file_is_read_the_same_twice(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, name)
    if name == "a.xlsm":
        book = openpyxl.Workbook()
        book.active.append(["a", "b"])
        book.active.append(["c", "d"])
        book.save(path)
    first = parse_file(path)
    assert first == parse_file(path)
    assert ParsedDocument.from_json(first.to_json()) == first


@pytest.mark.parametrize("name", ["a.doc", "a", "a.msg"])
def test_an_unknown_ending_names_what_is_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"are not read; .*\.docx \.eml .*\.rtf.*\.xlsx are"):
        parse_file(tmp_path / name)


def test_a_percent_sign_that_a_format_only_shows_multiplies_nothing(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = book.active
        rows = [("Name", "Share"), ("real", 0.05), ("quoted", 5), ("escaped", 7)]
        for row in rows:
            sheet.append(row)
        for at, form in ((2, "0%"), (3, '0"%"'), (4, "0\\%")):
            sheet.cell(at, 2).number_format = form

    text = workbook(tmp_path, fill).text
    assert "real | 5%" in text
    assert "quoted | 5\n" in text
    assert "500" not in text
    assert "700" not in text


def test_a_shape_that_shares_its_titles_id_is_read(tmp_path: Path) -> None:
    def fill(deck: Any) -> None:
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = "Title"
        box = slide.shapes.add_textbox(Inches(1), Inches(2), Inches(3), Inches(1))
        box.text_frame.text = "Body"
        box.element.nvSpPr.cNvPr.set("id", str(slide.shapes.title.shape_id))

    assert "Body" in slides(tmp_path, fill).text


def test_word_counts_numbered_paragraphs_that_are_empty_and_in_cells(tmp_path: Path) -> None:
    def fill(document: Any) -> None:
        document.add_paragraph("One", style="List Number")
        document.add_paragraph("", style="List Number")
        table = document.add_table(2, 2)
        fill_table(table, [["No", "Duty"], ["", "Pay"]])
        table.cell(1, 0).paragraphs[0].style = document.styles["List Number"]
        table.cell(1, 0).paragraphs[0].text = "item"
        document.add_paragraph("Four", style="List Number")

    text = word(tmp_path, fill).text
    assert "1. One" in text
    assert "3. item | Pay" in text
    assert "4. Four" in text
