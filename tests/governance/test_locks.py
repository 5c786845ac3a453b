"""Locks tell who holds them and end with their process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from governance.errors import Busy
from governance.locks import hold, holder

HOLD = """
import pathlib, sys, time
from governance.locks import hold
with hold(pathlib.Path(sys.argv[1]), doing="A test"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with hold(path, doing="An ingest of x", facts={"url": "u"}):
        with (
            pytest.raises(Busy, match=r"An ingest of x has been running since .* \(process \d+\)"),
            hold(path, doing="b"),
        ):
            pass
        facts = holder(path)
        assert facts is not None
        assert facts["url"] == "u"
    assert holder(path) is None
    with hold(path, doing="again"):
        pass


def test_lock_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    with hold(tmp_path / "a.lock", doing="x", facts={"key": "secret"}):
        facts = tmp_path / "a.holder.json"
        assert facts.stat().st_mode & 0o077 == 0
        assert json.loads(facts.read_text())["key"] == "secret"


def test_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    assert holder(path) is not None
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    time.sleep(0.05)
    assert holder(path) is None
    with hold(path, doing="next"):
        pass
