from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpi_to_bigquery.days import bounds, span, today

ZONES = ["Asia/Tokyo", "America/New_York", "America/Havana", "Asia/Beirut", "Pacific/Apia", "UTC"]


@pytest.mark.parametrize(
    ("day", "zone", "begin", "hours"),
    [
        ("2026-11-22", "Asia/Tokyo", "2026-11-21 15:00:00", 24),
        ("2026-03-08", "America/New_York", "2026-03-08 05:00:00", 23),
        ("2026-11-01", "America/New_York", "2026-11-01 04:00:00", 25),
        ("2026-03-29", "Asia/Beirut", "2026-03-28 22:00:00", 23),  # begins at 01:00
        ("2026-11-01", "America/Havana", "2026-11-01 04:00:00", 25),  # 00:00 comes twice
        ("2011-12-30", "Pacific/Apia", "2011-12-30 10:00:00", 0),  # was left out
    ],
)
def test_a_day_is_as_long_as_its_zone_makes_it(day, zone, begin, hours):
    first, last = bounds(date.fromisoformat(day), zone, "UTC")
    assert str(first) == begin
    assert last - first == timedelta(hours=hours)


def test_a_database_with_a_clock_of_its_own():
    found = bounds(date(2026, 3, 8), "America/New_York", "Asia/Tokyo")
    assert [str(moment) for moment in found] == ["2026-03-08 14:00:00", "2026-03-09 13:00:00"]


@given(st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)), st.sampled_from(ZONES))  # noqa: DTZ001
def test_every_moment_is_of_one_day(moment, zone):
    aware = moment.replace(tzinfo=UTC)
    day = today(aware, zone)
    begin, end = bounds(day, zone, "UTC")
    assert begin <= moment < end
    assert aware.astimezone(ZoneInfo(zone)).date() == day
    assert bounds(day + timedelta(days=1), zone, "UTC")[0] == end


def test_a_span_has_both_ends():
    assert [str(day) for day in span(date(2026, 2, 27), date(2026, 3, 1))] == [
        "2026-02-27",
        "2026-02-28",
        "2026-03-01",
    ]
