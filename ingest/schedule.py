"""When a stored source is due: by hand, on change, every so often, or daily at a time.

    ""            by hand
    "watch"       when its folder has changed
    "every 900"   so many seconds after it was queued last
    "at 06:00"    daily at that time of the worker's clock

Pure rules over moments that are handed in. A time that passed while no worker ran is made up for once, however many
were missed. Refuses to know folders and jobs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal

from governance.errors import BadInput

ScheduleKind = Literal["hand", "watch", "every", "at"]
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHORTEST_SECONDS = 10


@dataclass(frozen=True)
class Schedule:
    """When a source is due; `seconds` is set for `every`, `at` for `at`."""

    kind: ScheduleKind = "hand"
    seconds: int = 0
    at: time = time()

    def stored(self) -> str:
        """Return the form that the records keep."""
        return {"hand": "", "watch": "watch", "every": f"every {self.seconds}", "at": f"at {self.at:%H:%M}"}[self.kind]

    def describe(self) -> str:
        """Return the words for a person."""
        if self.kind == "every":
            return f"every {_in_units(self.seconds)}"
        return {"hand": "by hand", "watch": "on change", "at": f"daily at {self.at:%H:%M}"}[self.kind]


def choose_schedule(*, every: str = "", at: str = "", watch: bool = False) -> Schedule:
    """Return the schedule of a person's words, such as `15m` and `06:00`. Raises BadInput for two, or for no time."""
    if sum((bool(every), bool(at), watch)) > 1:
        raise BadInput("A source is watched, or read every so often, or at a time: give one of --watch, --every, --at.")
    if every:
        return Schedule("every", seconds=_read_duration(every))
    if at:
        return Schedule("at", at=_read_time(at))
    return Schedule("watch" if watch else "hand")


def read_schedule(stored: str) -> Schedule:
    """Return the schedule that the records keep."""
    kind, _, value = stored.partition(" ")
    if kind == "every":
        return Schedule("every", seconds=int(value))
    if kind == "at":
        return Schedule("at", at=_read_time(value))
    return Schedule("watch" if kind == "watch" else "hand")


def next_due(schedule: Schedule, *, last: datetime | None, since: datetime, at: datetime) -> datetime | None:
    """Return when a source is due: a past moment where it is due now, None where no clock decides.

    `last` is when it was queued last, `since` when it was stored, `at` the present; all with their zone.
    """
    if schedule.kind == "every":
        return last + timedelta(seconds=schedule.seconds) if last else since
    if schedule.kind == "at":
        yesterday, today, tomorrow = (_on_day(schedule.at, at, days=days) for days in (-1, 0, 1))
        passed, coming = (today, tomorrow) if today <= at else (yesterday, today)
        return passed if passed > (last or since) else coming
    return None


def is_due(schedule: Schedule, *, last: datetime | None, since: datetime, at: datetime) -> bool:
    """Tell whether the clock says that a source is to be read now."""
    moment = next_due(schedule, last=last, since=since, at=at)
    return moment is not None and moment <= at


def _on_day(clock: time, at: datetime, *, days: int) -> datetime:
    day = (at.astimezone() + timedelta(days=days)).date()
    return datetime.combine(day, clock).astimezone()


def _read_duration(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]] if match else 0
    if seconds < _SHORTEST_SECONDS:
        raise BadInput(f"{text[:40]!r} is no time to wait; write it as 15m, 2h or 1d, {_SHORTEST_SECONDS}s at least.")
    return seconds


def _read_time(text: str) -> time:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise BadInput(f"{text[:40]!r} is no time of day; write it as 06:00.")
    return time(int(match[1]), int(match[2]))


def _in_units(seconds: int) -> str:
    unit = next(unit for unit in "dhms" if seconds % _UNIT_SECONDS[unit] == 0)
    return f"{seconds // _UNIT_SECONDS[unit]}{unit}"
