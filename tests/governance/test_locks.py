"""Locks tell who holds them and end with their process."""

from __future__ import annotations

import getpass
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from governance.errors import Busy
from governance.locks import describe_holder, hold, holder

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
            pytest.raises(Busy, match=r"An ingest of x has been running since .* \(process \d+ of \S+\)"),
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


def test_holder_says_who_where_since_when_and_for_which_job(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with hold(path, doing="An ingest of x", facts={"job": "j-1"}):
        facts = holder(path)
        told = describe_holder(path)
    assert facts is not None
    assert facts["pid"] == os.getpid()
    assert facts["user"] == getpass.getuser()
    assert facts["host"] == socket.gethostname()
    assert "for job j-1" in told
    assert f"process {os.getpid()} of {getpass.getuser()}" in told
    assert "UTC" in told


def test_holder_on_another_host_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with hold(path, doing="An ingest of x"):
        written = tmp_path / "a.holder.json"
        written.write_text(json.dumps({**json.loads(written.read_text()), "host": "elsewhere"}))
        assert "on the host elsewhere" in describe_holder(path)


def test_lock_of_a_dead_process_is_taken_over_and_that_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.lock"
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    assert (tmp_path / "a.holder.json").exists()  # what the killed one left behind
    with caplog.at_level(logging.WARNING), hold(path, doing="next"):
        facts = holder(path)
    assert facts is not None
    assert facts["doing"] == "next"
    assert f"process {child.pid}" in caplog.text
    assert not (tmp_path / "a.holder.json").exists()


def test_a_dead_process_is_never_named_as_the_holder(tmp_path: Path) -> None:
    """Between taking a lock and writing who took it there is an instant; what stands there is the dead one's."""
    path = tmp_path / "a.lock"
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    with hold(path, doing="next"):
        written = tmp_path / "a.holder.json"
        written.write_text(json.dumps({**json.loads(written.read_text()), "pid": child.pid, "doing": "A dead one"}))
        assert "A dead one" not in describe_holder(path)
        assert "Another process holds a.lock" in describe_holder(path)


def test_damaged_facts_bar_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with hold(path, doing="x"):
        for text in ("", "[]", "{}", '{"pid": "x"}'):
            (tmp_path / "a.holder.json").write_text(text)
            assert "Another process holds a.lock" in describe_holder(path)
    (tmp_path / "a.holder.json").write_text("[]")
    with hold(path, doing="x"):
        pass
