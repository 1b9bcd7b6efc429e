"""What is remembered of a resource, in its own tags: what was done to it, and its sizes. Pure.

`mimamori:scheduler` = `suspended 2026-11-23T12:00:00Z since 2026-11-23T12:00:09Z saved 2026-11
61.5`: what it was last settled as and for which boundary (by hand: when), since when it sleeps, and
the hours it slept in a month before that. Written after the act: a resource that could not be
stopped must not look as if a person had started it again.
`mimamori:size` = `min=1 max=4 desired=2`: written before anything is set to zero.
Neither needs a comma or a *, which RDS refuses.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

MARK = "mimamori:scheduler"
SIZE = "mimamori:size"
KEEP = "KeepUntil"
# AWS starts a database again that was stopped for so long.
LONGEST_SLEEP = timedelta(days=7)

# `woken`: a person did it.
What = Literal["suspended", "started", "woken"]
Size = dict[str, int]

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
_MARK = re.compile(
    rf"(?P<what>suspended|started|woken) (?P<time>{_STAMP})"
    rf"( since (?P<since>{_STAMP}))?( saved (?P<month>\d{{4}}-\d\d) (?P<saved>\d+(\.\d+)?))?"
)
_SIZE = re.compile(r"(min|max|desired)=(\d{1,9})")
_SIZES = re.compile(rf"{_SIZE.pattern}( {_SIZE.pattern})*")


@dataclass(frozen=True)
class Mark:
    """What a tag says; `saved` is in hours."""

    what: What
    time: datetime
    since: datetime | None = None
    month: str = ""
    saved: float = 0

    def __str__(self) -> str:
        """Return the tag's value."""
        since = f" since {self.since.astimezone(UTC):{_TIME}}" if self.since else ""
        saved = f" saved {self.month} {self.saved:.1f}" if self.saved else ""
        return f"{self.what} {self.time.astimezone(UTC):{_TIME}}{since}{saved}"


def read(tags: Mapping[str, str]) -> Mark | None:
    """Return a resource's mark; None where there is none that can be read."""
    said = _MARK.fullmatch(tags.get(MARK, ""))
    if not said:
        return None
    try:
        since = said["since"] and _moment(said["since"])
        return Mark(
            said["what"],  # type: ignore[arg-type]
            _moment(said["time"]),
            since or None,
            said["month"] or "",
            float(said["saved"] or 0),
        )
    except ValueError:  # a thirteenth month
        return None


def following(old: Mark | None, what: What, time: datetime, now: datetime, zone: tzinfo) -> Mark:
    """Return the mark of something that changes now, or was found to have changed."""
    since = now if what == "suspended" else None
    return Mark(what, time, since, f"{now.astimezone(zone):%Y-%m}", hours(old, now, zone))


def confirmed(old: Mark | None, what: What, time: datetime, now: datetime, zone: tzinfo) -> Mark:
    """Return the mark of something that is as it should be: asleep since when it was."""
    if old is None or old.what != what or what != "suspended":
        return following(old, what, time, now, zone)
    month = f"{now.astimezone(zone):%Y-%m}"
    return Mark(what, time, old.since or old.time, month, _kept(old, month))


def hours(mark: Mark | None, now: datetime, zone: tzinfo) -> float:
    """Return the hours of sleep in this month (of a zone), as far as the mark knows."""
    if mark is None:
        return 0
    local = now.astimezone(zone)
    saved = _kept(mark, f"{local:%Y-%m}")
    if mark.what == "suspended":
        began = max(
            mark.since or mark.time, local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        )
        saved += max(now - began, timedelta()) / timedelta(hours=1)
    return saved


def _kept(mark: Mark, month: str) -> float:
    return mark.saved if mark.month == month else 0


def size(tags: Mapping[str, str]) -> Size | None:
    """Return the sizes that are kept in a tag; None where there are none that can be read."""
    text = tags.get(SIZE, "")
    if not _SIZES.fullmatch(text):
        return None
    return {name: int(number) for name, number in _SIZE.findall(text)}


def size_text(sizes: Size) -> str:
    """Return the tag's value for sizes."""
    return " ".join(f"{n}={sizes[n]}" for n in ("min", "max", "desired") if n in sizes)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
