"""Compiled code: kept in the user's cache under the digest of its sources, and no thread hangs when another fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

from assistant.cpu_threads import code_digest, kept, user_cache


def double(number: int) -> int:
    return 2 * number


def test_code_is_kept_under_the_digest_of_its_sources_and_nowhere_else(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text("one")
    assert kept(double, [source], tmp_path / "cache")(4) == 8
    assert list((tmp_path / "cache" / code_digest([source])).rglob("*.nbc"))
    assert not list(Path(__file__).parent.rglob("*.nbc"))


def test_changed_source_has_another_digest(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text("one")
    before = code_digest([source])
    source.write_text("two")
    assert code_digest([source]) != before


def test_folder_that_cannot_be_written_means_compiling_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert kept(double, [], tmp_path / "file")(4) == 8


def test_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "provenant" / "compiled"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache().is_relative_to(Path.home())


def test_importing_the_engine_imports_no_numba() -> None:
    import subprocess

    code = "import sys, assistant.model; print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout == "False\n"
