"""When an environment sleeps: boundaries in a schedule's own zone, holidays, days off. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jpholiday

from common.events import require

Action = Literal["suspend", "start"]
Day = Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]

DAYS: tuple[Day, ...] = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
WEEKDAYS = DAYS[:5]
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):(00|15|30|45)")
_DAY_OFF = re.compile(r"(\d{4}-)?\d{2}-\d{2}(\.\.(\d{4}-)?\d{2}-\d{2})?")
_LEAP = 2000


class Boundary(NamedTuple):
    """The moment (UTC) from which something is wanted, and what."""

    at: datetime
    action: Action


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When what has the tag sleeps; the default: every weekday at 21:00 in Tokyo, never woken.

    `days` are those of the start (of the stop, where there is none). Without `start` it only stops.
    A `stop` before the `start` is on the next day. On a day off (`holidays`: Japan's; `days_off`:
    2026-11-24, 12-29 of every year, and ranges of both such as 12-29..01-03) a start does not
    happen; a stop does, for what a person woke. `grace_minutes` is for work at night: what a person
    woke within the hour before the stop goes on for so long after it; all else stops in time.
    """

    name: str = "office-hours"
    days: list[Day] = field(default_factory=lambda: list(WEEKDAYS))
    start: str | None = None
    stop: str = "21:00"
    timezone: str = "Asia/Tokyo"
    holidays: bool = True
    days_off: list[str] = field(default_factory=list)
    tag: str = "office-hours"
    grace_minutes: int = 0

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        named = re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", self.name)
        require(named, "schedule.name", self.name, "at most 40 of a-z 0-9 -")
        require(self.days, "schedule.days", self.days, "one day at least, MON to SUN")
        for name, clock in (("start", self.start), ("stop", self.stop)):
            fits = clock is None or _CLOCK.fullmatch(clock)
            require(fits, f"schedule.{name}", clock, "a quarter of an hour such as 21:00")
        differ = self.start != self.stop
        require(differ, "schedule.start", self.start, "another time than stop")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            require(None, "schedule.timezone", self.timezone, "a zone such as Asia/Tokyo")
        for text in self.days_off:
            takes = "2026-11-24, 12-29, or a range of such days: 12-29..01-03"
            require(_readable(text), "schedule.days_off", text, takes)
        # AWS's common ground; RDS takes neither commas nor *.
        tag = re.fullmatch(r"[\w .:/=+@-]{1,256}", self.tag)
        require(tag, "schedule.tag", self.tag, "a tag's value, without commas and *")
        grace = 0 <= self.grace_minutes <= 720
        require(grace, "schedule.grace_minutes", self.grace_minutes, "0 to 720")

    @property
    def zone(self) -> ZoneInfo:
        """The schedule's zone."""
        return ZoneInfo(self.timezone)


def day_off(schedule: Schedule, day: date) -> str | None:
    """Return why nothing starts on a date of the schedule's zone, or None."""
    if schedule.holidays and (name := jpholiday.is_holiday_name(day)):
        return f"{day} is a holiday ({name})"
    for text in schedule.days_off:
        if _within(text, day):
            return f"{day} is a day off ({text})"
    return None


def latest(schedule: Schedule, now: datetime) -> Boundary:
    """Return the last boundary at or before a time: what is wanted now, and since when."""
    around = now.astimezone(schedule.zone).date()
    # A week holds a stop, and one that crosses midnight is a day later than its date.
    found = boundaries(schedule, around - timedelta(days=9), around)
    return max((boundary for boundary in found if boundary.at <= now), key=by_time)


def by_time(boundary: Boundary) -> tuple[datetime, bool]:
    """Return the key to sort by; where a change of clocks makes both one moment, the start wins."""
    return boundary.at, boundary.action == "start"


def upcoming(schedule: Schedule, now: datetime) -> Boundary:
    """Return the next boundary after a time."""
    around = now.astimezone(schedule.zone).date()
    found = boundaries(schedule, around - timedelta(days=2), around + timedelta(days=9))
    return min(boundary for boundary in found if boundary.at > now)


def boundaries(schedule: Schedule, first: date, last: date) -> Iterator[Boundary]:
    """Give the boundaries of the schedule's dates, both inclusive, each date's start first.

    A time that a change of clocks leaves out is taken an hour later, one that comes twice the
    first time.
    """
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if DAYS[day.weekday()] not in schedule.days:
            continue
        crosses = schedule.start is not None and schedule.stop < schedule.start
        stop = _moment(schedule, day + timedelta(days=crosses), schedule.stop)
        if schedule.start is not None and day_off(schedule, day) is None:
            start = _moment(schedule, day, schedule.start)
            if start < stop:  # the hour that is left out may have swallowed it
                yield Boundary(start, "start")
        yield Boundary(stop, "suspend")


def held_back(schedule: Schedule, now: datetime) -> str | None:
    """Return why a start that would have been the latest boundary did not happen, or None."""
    if schedule.start is None:
        return None
    today = now.astimezone(schedule.zone).date()
    for day in (today, today - timedelta(days=1)):
        reason = day_off(schedule, day) if DAYS[day.weekday()] in schedule.days else None
        if reason and latest(schedule, now).at <= _moment(schedule, day, schedule.start) <= now:
            return f"{reason}: no start"
    return None


def _moment(schedule: Schedule, day: date, clock: str) -> datetime:
    wall = datetime.combine(day, time.fromisoformat(clock), schedule.zone)
    return wall.astimezone(UTC)


def _readable(text: str) -> bool:
    if not _DAY_OFF.fullmatch(text):
        return False
    ends = text.split("..")
    try:
        days = [date.fromisoformat(_dated(end)) for end in ends]
    except ValueError:
        return False
    sorts = {len(end) for end in ends}
    # Only a range of every year may end before it begins: it goes over the new year.
    return len(sorts) == 1 and (len(ends[0]) == len("12-29") or days == sorted(days))


def _dated(text: str) -> str:
    return text if len(text) > len("12-29") else f"{_LEAP}-{text}"


def _within(text: str, day: date) -> bool:
    first, _, last = text.partition("..")
    last = last or first
    shown = day.isoformat()[-len(first) :]
    if first <= last:
        return first <= shown <= last
    return shown >= first or shown <= last
