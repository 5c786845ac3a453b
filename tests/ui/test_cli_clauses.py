"""The clause commands: what they print for a person, their JSON, their exports, their errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from governance.errors import ProvenantError
from governance.settings import load_settings
from tests.assistant.clause_corpus import opened_service
from ui import cli_clauses
from ui.installation import Installation


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[typer.Typer]:
    """The commands over one small home, whose models are scripted."""
    root = tmp_path_factory.mktemp("cli")
    made = typer.Typer()
    cli_clauses.register(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROVENANT_HOME", str(root / "home"))
        for service in opened_service(load_settings(), root):
            patch.setattr(Installation, "service", service)
            yield made


def run(application: typer.Typer, *arguments: str) -> Result:
    return CliRunner().invoke(application, ["clauses", *arguments], catch_exceptions=True)


def shown(application: typer.Typer, *arguments: str) -> str:
    ran = run(application, *arguments)
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return ran.stdout


def test_find_prints_the_statement_places_and_quotes(application: typer.Typer) -> None:
    text = shown(application, "find", "allows assignment without consent", "-c", "a", "--as-of", "2026-11-25")
    assert text.startswith("All 8 clauses of 3 documents in force on 2026-11-25 were examined; 1 match")
    assert "boreal.md" in text
    assert "prohibits, needs consent; permits, needs no consent" in text
    assert "On the subject, and say the opposite:" in text
    assert "No match in 2: acme.md, cedar.md" in text


def test_find_json_is_one_object_with_every_match(application: typer.Typer) -> None:
    value = json.loads(shown(application, "find", "--topic", "Governing Law", "-c", "a", "--json"))
    assert (value["count"], len(value["matches"]), value["documents_examined"]) == (3, 3, 3)
    assert {
        *("document", "version", "page", "clause", "char_start", "char_end", "text", "score", "evidence"),
    } <= set(value["matches"][0])


def test_nothing_found_is_explained(application: typer.Typer) -> None:
    assert "Nothing reaches the threshold" in shown(application, "find", "zebra crossings", "-c", "a")


def test_filters_and_documents_narrow_what_is_examined(application: typer.Typer) -> None:
    text = shown(application, "find", "--topic", "Governing Law", "-c", "a", "--filter", "document=acme.md")
    assert "that meet the filters of 1 document" in text
    assert text == shown(application, "find", "--topic", "Governing Law", "-c", "a", "--document", "acme.md")


def test_the_other_works_print_for_a_person(application: typer.Typer, tmp_path: Path) -> None:
    compared = shown(application, "compare", "--topic", "Governing Law", "-c", "a", "-d", "acme.md", "-d", "cedar.md")
    assert "law England" in compared
    assert "[-only in the first-]" in compared
    assert "differs: law: England (most: Texas)" in shown(application, "compare", "--topic", "Governing Law", "-c", "a")
    library = tmp_path / "mine.toml"
    library.write_text(
        '[[clause]]\nname = "Law"\ntopic = "Governing Law"\ntext = "This Agreement is governed by the laws of Ohio."\n'
    )
    held = shown(application, "standard", "-c", "a", "-d", "acme.md", "--library", str(library))
    assert "law: Texas; the standard has Ohio" in held
    assert "period in year: 6 years against 3 years" in shown(application, "conflicts", "-c", "p")
    assert "[within thirty (30) days after receipt]" in shown(application, "obligations", "-c", "a", "--dated")
    assert "Governing Law" in shown(application, "topics")


def test_export_writes_the_file_it_names(application: typer.Typer, tmp_path: Path) -> None:
    for ending in ("csv", "json", "pdf"):
        shown(application, "obligations", "-c", "a", "--export", str(tmp_path / f"o.{ending}"))
        assert (tmp_path / f"o.{ending}").stat().st_size > 100


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("find", "-c", "a"), "either a text or a topic"),
        (("find", "x", "-c", "none"), "no collection 'none'"),
        (("find", "--topic", "zebra", "-c", "a"), "no topic 'zebra'"),
        (("find", "x", "-c", "a", "--as-of", "soon"), "not a date"),
        (("find", "x", "-c", "a", "--as-of", "2026-01-01", "--all-versions"), "exclude each other"),
        (("find", "x", "-c", "a", "--export", "x.doc"), "end the name in .csv"),
        (("find", "x", "-c", "a", "--filter", "price"), "no comparison"),
        (("standard", "-c", "a", "--library", "/nowhere.toml"), "cannot be read"),
        (("conflicts", "-c", "a", "-d", "acme.md"), "at least two"),
        (("obligations", "-c", "a", "-d", "none.md"), "No clause of 'none.md'"),
    ],
)
def test_bad_input_is_one_sentence_with_exit_code_two(
    application: typer.Typer, arguments: tuple[str, ...], sentence: str
) -> None:
    error = run(application, *arguments).exception
    assert isinstance(error, ProvenantError)
    assert error.exit_code == 2
    assert sentence in str(error)


def test_an_unknown_user_is_refused(application: typer.Typer) -> None:
    error = run(application, "find", "x", "-c", "a", "--as", "nobody").exception
    assert isinstance(error, ProvenantError)
    assert error.exit_code == 3
