"""Days of a zone: which one is over, and between which moments of the database's clock it is."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def is_day(text: str) -> bool:
    """Tell whether a text is a day as keys and partitions have it: 2026-11-22."""
    try:
        # Python takes 20261122 as well; a key of S3 has one form.
        return str(date.fromisoformat(text)) == text and text >= "1970-01-02"
    except ValueError:
        return False


def today(now: datetime, zone: str) -> date:
    """Return the day that it is in a zone at an aware moment."""
    return now.astimezone(ZoneInfo(zone)).date()


def bounds(day: date, zone: str, database_zone: str) -> tuple[datetime, datetime]:
    """Return the midnights of a day and of the next, on the database's clock (naive).

    Between them are 23 to 25 hours. Where a clock jumps over midnight, a day begins at the jump;
    where it shows midnight twice, with the first. A database's clock that is put back itself shows
    an hour twice: there UTC is the only one to tell them apart.
    """
    begin, end = (
        datetime.combine(one, time(), ZoneInfo(zone))
        .astimezone(UTC)
        .astimezone(ZoneInfo(database_zone))
        .replace(tzinfo=None)
        for one in (day, day + timedelta(days=1))
    )
    return begin, end


def span(first: date, last: date) -> Iterator[date]:
    """Give each day from the first to the last."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
