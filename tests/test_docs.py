"""The docs do not drift: links lead somewhere, commands exist, samples are what the attribution says."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from assistant.evaluate import read_questions
from ingest.parse import parse_file
from ui.cli import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("samples/*.md")])
CORPUS = ROOT / "samples" / "corpus"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_two_commands_of_the_readme_are_make_targets() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in ("run", "test"):
        assert f"    make {target} " in readme
        assert f"\n{target}:" in makefile


def test_commands_in_the_docs_exist() -> None:
    commands = _commands(typer.main.get_command(app))
    for page in (ROOT / "README.md", ROOT / "docs" / "use.md", ROOT / "docs" / "operate.md"):
        for words in re.findall(r"provenant ((?:[a-z]+ ?){1,2})", page.read_text(encoding="utf-8")):
            first, *rest = words.split()
            assert first in commands, f"{page.name} names `provenant {words}`"
            below = _commands(commands[first])
            assert not below or not rest or rest[0] in below, f"{page.name} names `provenant {words}`"


def test_every_sample_is_attributed_with_its_digest() -> None:
    attribution = (ROOT / "samples" / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for path in sorted(one for one in CORPUS.rglob("*") if one.is_file()):
        assert path.relative_to(CORPUS).as_posix() in attribution
        assert hashlib.sha256(path.read_bytes()).hexdigest() in attribution


def test_samples_stay_small() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "samples").rglob("*") if path.is_file()) < 25_000_000


@pytest.mark.slow
def test_golden_quotes_stand_on_their_pages() -> None:
    parsed = {path.relative_to(CORPUS).as_posix(): parse_file(path) for path in CORPUS.rglob("*") if path.is_file()}
    missing = []
    for question in read_questions(ROOT / "samples" / "questions.jsonl"):
        for evidence in question.evidence:
            document = parsed[evidence["document"]]
            if "page" not in evidence:
                continue
            page = document.pages[evidence["page"] - 1]
            wanted = _letters(evidence["quote"])[:40]
            if wanted not in _letters(document.text[page.start : page.end]):
                missing.append(question.id)
    assert not missing


def test_nothing_committed_is_large() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    sizes = {name: (ROOT / name).stat().st_size for name in listed if name and (ROOT / name).exists()}
    assert max(sizes.values()) < 5_000_000, max(sizes, key=lambda name: sizes[name])


def test_golden_questions_hold_what_their_readme_says() -> None:
    lines = (ROOT / "samples" / "questions.jsonl").read_text(encoding="utf-8").split("\n")
    kinds = [json.loads(line)["kind"] for line in lines if line]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "policy": 30,
        "contract": 30,
        "product": 30,
        "unanswerable": 30,
    }


def _commands(command: Any) -> dict[str, Any]:
    """Return the commands below a command by name; typer's own classes are not click's any more."""
    return dict(getattr(command, "commands", {}))


def _letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())
