"""Borrowing: a Generation that its owner has open is read from a copy, and nothing of the copy stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from governance.errors import Busy, NotFound
from ingest.index_borrow import BorrowingEngine
from ingest.index_edge import EdgeEngine
from tests.ingest.test_generation_build import Passing


def test_an_open_generation_is_read_beside_its_owner(tmp_path: Path) -> None:
    engine = EdgeEngine(tmp_path / "generations")
    engine.build("g", Passing(40))
    owned = engine.open("g")
    with pytest.raises(Busy):
        engine.open("g")
    borrowing = BorrowingEngine(engine, tmp_path)
    borrowed = borrowing.open("g")
    assert sorted(one.id for one in borrowed.scroll()) == sorted(one.id for one in owned.scroll())
    borrowed.close()
    borrowing.give_back()
    assert not any((tmp_path / "borrowed").iterdir())
    assert owned.count() == 40
    owned.close()


def test_a_free_generation_is_opened_as_it_is(tmp_path: Path) -> None:
    engine = EdgeEngine(tmp_path / "generations")
    engine.build("g", Passing(3))
    opened = BorrowingEngine(engine, tmp_path).open("g")
    with pytest.raises(Busy):
        engine.open("g")
    opened.close()
    assert not (tmp_path / "borrowed").exists()
    with pytest.raises(NotFound):
        BorrowingEngine(engine, tmp_path).open("none")


def test_copies_of_killed_processes_are_removed(tmp_path: Path) -> None:
    killed, alive = tmp_path / "borrowed" / "999999999", tmp_path / "borrowed" / str(os.getppid())
    killed.mkdir(parents=True)
    alive.mkdir()
    BorrowingEngine(EdgeEngine(tmp_path / "generations"), tmp_path)
    assert (killed.exists(), alive.exists()) == (False, True)
