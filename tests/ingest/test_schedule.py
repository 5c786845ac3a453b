"""A schedule is due when it should be, and a missed time is made up for once."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from governance.errors import BadInput
from ingest.schedule import Schedule, choose_schedule, is_due, next_due, read_schedule

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", "Europe/Berlin")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


@pytest.mark.parametrize(
    ("options", "stored", "words"),
    [
        ({}, "", "by hand"),
        ({"watch": True}, "watch", "on change"),
        ({"every": "15m"}, "every 900", "every 15m"),
        ({"every": "36h"}, "every 129600", "every 36h"),
        ({"at": "6:05"}, "at 06:05", "daily at 06:05"),
    ],
)
def test_schedule_comes_back_as_it_was_chosen(options: dict[str, str], stored: str, words: str) -> None:
    schedule = choose_schedule(**options)  # type: ignore[arg-type]
    assert schedule.stored() == stored
    assert read_schedule(stored) == schedule
    assert schedule.describe() == words


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"every": "15"}, "15m"),
        ({"every": "-1h"}, "15m"),
        ({"every": "1s"}, "10s at least"),
        ({"at": "24:00"}, "06:00"),
        ({"at": "noon"}, "06:00"),
        ({"at": "06:00", "watch": True}, "give one of"),
    ],
)
def test_other_words_are_refused_with_an_example(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        choose_schedule(**options)  # type: ignore[arg-type]


def test_every_counts_from_the_last_time_and_is_due_at_first() -> None:
    schedule = Schedule("every", seconds=900)
    assert is_due(schedule, last=None, since=NOON, at=NOON)
    assert not is_due(schedule, last=NOON, since=NOON, at=NOON + timedelta(seconds=899))
    assert is_due(schedule, last=NOON, since=NOON, at=NOON + timedelta(seconds=900))


@pytest.mark.usefixtures("berlin")
def test_daily_time_is_of_the_local_clock_and_never_on_the_day_before() -> None:
    schedule = choose_schedule(at="06:00")
    stored = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)  # 9:00 in Berlin: today's time was over when it was stored
    assert not is_due(schedule, last=None, since=stored, at=datetime(2026, 3, 11, 4, 59, tzinfo=UTC))
    assert is_due(schedule, last=None, since=stored, at=datetime(2026, 3, 11, 5, 0, tzinfo=UTC))
    due = next_due(schedule, last=None, since=stored, at=stored)
    assert due == datetime(2026, 3, 11, 5, 0, tzinfo=UTC)
    early = datetime(2026, 3, 11, 1, 0, tzinfo=UTC)
    assert next_due(schedule, last=None, since=stored, at=early) == due


@pytest.mark.usefixtures("berlin")
def test_missed_times_are_made_up_for_once() -> None:
    schedule = choose_schedule(at="06:00")
    last = datetime(2026, 3, 10, 5, 0, tzinfo=UTC)
    back = datetime(2026, 3, 14, 18, 0, tzinfo=UTC)  # four times were missed
    assert is_due(schedule, last=last, since=last, at=back)
    assert not is_due(schedule, last=back, since=last, at=back + timedelta(hours=1))


@pytest.mark.usefixtures("berlin")
def test_daily_time_keeps_to_the_clock_when_the_clocks_change() -> None:
    schedule = choose_schedule(at="06:00")
    last = datetime(2026, 3, 28, 5, 0, tzinfo=UTC)  # the day before summer time begins
    due = next_due(schedule, last=last, since=last, at=last + timedelta(hours=1))
    assert due == datetime(2026, 3, 29, 4, 0, tzinfo=UTC)


def test_by_hand_and_on_change_are_never_due_by_the_clock() -> None:
    for kind in ("hand", "watch"):
        assert next_due(Schedule(kind), last=None, since=NOON, at=NOON) is None
