"""Reading plain text and Markdown: encodings, headings, tables, fences, front matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from governance.errors import BadInput
from ingest.documents import ParsedDocument
from ingest.parse.text import parse_markdown, parse_text


def write(folder: Path, content: str | bytes, name: str = "note.md") -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def shown(document: ParsedDocument) -> list[tuple[str, str, str]]:
    return [
        (clause.kind, " > ".join(clause.path), document.text[clause.start : clause.end]) for clause in document.clauses
    ]


def test_headings_of_both_kinds_build_the_path(tmp_path: Path) -> None:
    content = (
        "# Leave\n\nAsk early.\n\n"
        + "## Sick *leave* {#sick}\n\nCall in.\n\nPay\n===\n\nMonthly.\n\nBonus\n-----\n\nYearly.\n"
    )
    document = parse_markdown(write(tmp_path, content))
    assert [clause.path for clause in document.clauses] == [
        ("Leave",),
        ("Leave", "Sick leave"),
        ("Pay",),
        ("Pay", "Bonus"),
    ]
    assert document.title == "Leave"
    assert document.text == content
    assert (document.pages, document.runs, document.media_type) == ((), (), "text/markdown")


def test_front_matter_is_no_text_and_gives_the_title(tmp_path: Path) -> None:
    document = parse_markdown(write(tmp_path, "---\ntitle: 'Travel guide'\ntags: [a]\n---\n\nGo by train.\n"))
    assert document.title == "Travel guide"
    assert document.text == "Go by train.\n"


def test_a_rule_later_in_the_text_is_no_front_matter(tmp_path: Path) -> None:
    document = parse_markdown(write(tmp_path, "One.\n\n---\n\nTwo.\n\n---\n"))
    assert document.text.startswith("One.")


def test_a_pipe_table_is_kept_whole(tmp_path: Path) -> None:
    rows = "| Grade | Hotel |\n|-------|------:|\n| A | 200 |\n| B | 150 |"
    document = parse_markdown(write(tmp_path, f"# Limits\n\nPer night:\n\n{rows}\n\nNo more.\n"))
    assert shown(document)[1] == ("table", "Limits", rows)
    assert shown(document)[2] == ("clause", "Limits", "No more.")


def test_a_pipe_in_prose_is_no_table(tmp_path: Path) -> None:
    document = parse_markdown(write(tmp_path, "Write a | b to choose.\nIt is easy.\n"))
    assert [kind for kind, _, _ in shown(document)] == ["clause"]


@pytest.mark.parametrize("fence", ["```", "~~~~", "```python"])
def test_nothing_in_a_code_fence_is_a_heading(tmp_path: Path, fence: str) -> None:
    end = fence.rstrip("python")
    document = parse_markdown(
        write(
            tmp_path,
            f"# Use\n\n{fence}\n# not a heading\n1. nor this\n| a | b |\n|---|---|\n{end}\n\n## Next\n\nText.\n",
        )
    )
    assert [path for _, path, _ in shown(document)] == ["Use", "Use > Next"]


def test_numbered_steps_stay_with_their_heading(tmp_path: Path) -> None:
    steps = "\n".join(
        f"{n}. Open the form and fill in every one of its fields, then save it and go on." for n in range(1, 5)
    )
    document = parse_markdown(write(tmp_path, f"# Steps\n\n{steps}\n"))
    assert len(document.clauses) == 1


def test_numbered_headings_keep_their_number(tmp_path: Path) -> None:
    document = parse_markdown(write(tmp_path, "# 3 Travel\n\nGo.\n\n## 3.2 Lodging\n\nSleep.\n"))
    assert [(clause.number, clause.path[-1]) for clause in document.clauses] == [
        ("3", "3 Travel"),
        ("3.2", "3.2 Lodging"),
    ]


def test_plain_text_finds_numbered_clauses(tmp_path: Path) -> None:
    body = "The supplier shall deliver the goods to the place that the order names."
    content = f"SUPPLY AGREEMENT\n\n1. DELIVERY\n\n1.1 Place. {body}\n\n1.2 Time. {body}\n\n2. PRICE\n\n{body}\n"
    document = parse_text(write(tmp_path, content, "a.txt"))
    assert document.title == "SUPPLY AGREEMENT"
    assert [clause.number for clause in document.clauses if clause.number] == ["1.1", "1.2", "2"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_encodings_are_read_without_a_warning(tmp_path: Path, encoding: str) -> None:
    document = parse_text(write(tmp_path, "Müller & Söhne – größer\r\nzwei\rdrei\n".encode(encoding), "a.txt"))
    assert document.text == "Müller & Söhne – größer\nzwei\ndrei\n"
    assert document.warnings == ()


def test_other_bytes_are_read_as_windows_1252_with_a_warning(tmp_path: Path) -> None:
    document = parse_text(write(tmp_path, "Müller “quoted”".encode("cp1252"), "a.txt"))
    assert document.text == "Müller “quoted”"
    assert "not UTF-8" in document.warnings[0]


@pytest.mark.parametrize("parse", [parse_text, parse_markdown])
@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "is empty"), (b" \n", "is empty"), (b"a\0b", "NUL"), (b"\xff\xfea", "UTF-16")]
)
def test_what_is_no_text_is_refused(
    tmp_path: Path, parse: Callable[[Path], ParsedDocument], content: bytes, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        parse(write(tmp_path, content))


def test_front_matter_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="below its front matter"):
        parse_markdown(write(tmp_path, "---\ntitle: x\n---\n"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be opened"):
        parse_text(tmp_path / "none.txt")
