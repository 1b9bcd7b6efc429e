from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.hours_asleep import asleep
from common.events import InvalidEvent, parse
from env_scheduler.schedules import (
    DAYS,
    Schedule,
    boundaries,
    day_off,
    held_back,
    latest,
    upcoming,
)

TOKYO = ZoneInfo("Asia/Tokyo")
FULL = {"name": "weekdays", "start": "08:00", "stop": "21:00"}


def schedule(**fields):
    return parse(Schedule, {**FULL, **fields})


def tokyo(text):
    return datetime.fromisoformat(text).replace(tzinfo=TOKYO)


def test_the_default_stops_every_weekday_at_nine_in_the_evening_and_never_starts():
    found = list(boundaries(Schedule(), date(2026, 11, 1), date(2026, 11, 30)))
    assert {boundary.action for boundary in found} == {"suspend"}
    assert {f"{boundary.at:%H:%M}" for boundary in found} == {"12:00"}  # 21:00 in Tokyo
    assert len(found) == 21  # 3 and 23 November are holidays: what was woken sleeps again


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/London", "America/New_York"])
def test_a_year_of_boundaries_is_at_the_same_wall_clock_on_every_weekday(zone):
    shown = schedule(timezone=zone, holidays=False)
    found = list(boundaries(shown, date(2026, 1, 1), date(2026, 12, 31)))
    assert len(found) == 2 * 261
    assert found == sorted(found)
    walls = {(b.action, f"{b.at.astimezone(shown.zone):%H:%M}") for b in found}
    assert walls == {("start", "08:00"), ("suspend", "21:00")}
    offsets = {b.at.astimezone(shown.zone).utcoffset() for b in found}
    assert len(offsets) == (1 if zone == "Asia/Tokyo" else 2)


@pytest.mark.parametrize(
    ("zone", "day", "clocks", "expected"),
    [
        # The clocks go forward: 01:00 to 02:00, and 02:00 to 03:00.
        ("Europe/London", "2026-03-29", ("01:30", "04:00"), ["01:30 start", "03:00 suspend"]),
        ("America/New_York", "2026-03-08", ("02:30", "06:00"), ["07:30 start", "10:00 suspend"]),
        # What is left out swallows the whole stay: nothing starts that would not be stopped.
        ("America/New_York", "2026-03-08", ("02:15", "03:00"), ["07:00 suspend"]),
        # And back: the first 01:30 of two.
        ("Europe/London", "2026-10-25", ("01:30", "04:00"), ["00:30 start", "04:00 suspend"]),
        ("America/New_York", "2026-11-01", ("01:30", "06:00"), ["05:30 start", "11:00 suspend"]),
        ("America/New_York", "2026-11-01", ("00:30", "23:00"), ["04:30 start", "04:00 suspend"]),
        # Midnight is crossed together with the change.
        ("Europe/London", "2026-10-24", ("22:00", "06:00"), ["21:00 start", "06:00 suspend"]),
        ("Europe/London", "2026-03-28", ("22:00", "06:00"), ["22:00 start", "05:00 suspend"]),
    ],
)
def test_where_the_clocks_change(zone, day, clocks, expected):
    start, stop = clocks
    shown = schedule(timezone=zone, holidays=False, start=start, stop=stop, days=list(DAYS))
    found = boundaries(shown, date.fromisoformat(day), date.fromisoformat(day))
    assert [f"{b.at:%H:%M} {b.action}" for b in found] == expected


@pytest.mark.parametrize("hour", [7, 15])
def test_a_stop_and_a_start_that_a_change_of_clocks_makes_one_leave_it_awake(hour):
    # Both are at 03:00 in summer time: the night between them has no length.
    shown = schedule(
        timezone="America/New_York", holidays=False, start="03:00", stop="02:00", days=list(DAYS)
    )
    found = latest(shown, datetime(2026, 3, 8, hour, tzinfo=UTC))
    assert (found.at, found.action) == (datetime(2026, 3, 8, 7, tzinfo=UTC), "start")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-11-23", "2026-11-23 is a holiday (勤労感謝の日)"),
        ("2026-05-06", "2026-05-06 is a holiday (憲法記念日 振替休日)"),
        ("2026-09-22", "2026-09-22 is a holiday (国民の休日)"),  # between two others
        ("2027-03-22", "2027-03-22 is a holiday (春分の日 振替休日)"),
        ("2026-12-28", None),
        ("2026-12-29", "2026-12-29 is a day off (12-29..01-03)"),
        ("2026-12-31", "2026-12-31 is a day off (12-29..01-03)"),
        ("2027-01-01", "2027-01-01 is a holiday (元日)"),
        ("2027-01-03", "2027-01-03 is a day off (12-29..01-03)"),
        ("2027-01-04", None),
        ("2026-11-24", "2026-11-24 is a day off (2026-11-24)"),
        ("2027-11-24", None),
        ("2027-06-15", "2027-06-15 is a day off (06-15)"),
        ("2026-08-12", "2026-08-12 is a day off (2026-08-12..2026-08-14)"),
        ("2027-08-12", None),
    ],
)
def test_days_off(day, expected):
    off = ["12-29..01-03", "2026-11-24", "06-15", "2026-08-12..2026-08-14"]
    assert day_off(schedule(days_off=off), date.fromisoformat(day)) == expected


def test_holidays_can_be_left_out():
    assert day_off(schedule(holidays=False), date(2026, 11, 23)) is None


@pytest.mark.parametrize(
    ("at", "fields", "wanted", "since", "following"),
    [
        ("2026-11-25 07:59", {}, "suspend", "11-24 21:00", "start 11-25 08:00"),
        ("2026-11-25 08:00", {}, "start", "11-25 08:00", "suspend 11-25 21:00"),
        ("2026-11-25 20:59", {}, "start", "11-25 08:00", "suspend 11-25 21:00"),
        ("2026-11-25 21:00", {}, "suspend", "11-25 21:00", "start 11-26 08:00"),
        # Monday 23 November is a holiday: asleep from Friday, but for what a person woke.
        ("2026-11-22 12:00", {}, "suspend", "11-20 21:00", "suspend 11-23 21:00"),
        ("2026-11-23 12:00", {}, "suspend", "11-20 21:00", "suspend 11-23 21:00"),
        ("2026-11-24 00:00", {}, "suspend", "11-23 21:00", "start 11-24 08:00"),
        # Over midnight, the stop belongs to the evening before.
        ("2026-11-25 03:00", {"start": "20:00", "stop": "04:00"}, "start", "11-24 20:00",
         "suspend 11-25 04:00"),
        ("2026-11-28 03:59", {"start": "20:00", "stop": "04:00"}, "start", "11-27 20:00",
         "suspend 11-28 04:00"),
        ("2026-11-29 12:00", {"start": "20:00", "stop": "04:00"}, "suspend", "11-28 04:00",
         "start 11-30 20:00"),
        # It only stops, and one day of the week.
        ("2026-11-30 12:00", {"start": None}, "suspend", "11-27 21:00", "suspend 11-30 21:00"),
        ("2026-11-26 20:59", {"start": None, "days": ["THU"]}, "suspend", "11-19 21:00",
         "suspend 11-26 21:00"),
    ],
)  # fmt: skip
def test_what_is_wanted_and_what_comes(at, fields, wanted, since, following):
    shown, moment = schedule(**fields), tokyo(at)
    now, then = latest(shown, moment), upcoming(shown, moment)
    assert (now.action, f"{now.at.astimezone(TOKYO):%m-%d %H:%M}") == (wanted, since)
    assert f"{then.action} {then.at.astimezone(TOKYO):%m-%d %H:%M}" == following


def test_the_schedules_own_date_counts():
    # 23:30 UTC on the 22nd is the holiday's morning in Tokyo, and nothing starts there.
    shown = schedule()
    assert latest(shown, datetime(2026, 11, 22, 23, 30, tzinfo=UTC)).action == "suspend"
    # In New York the holiday's last hour is over when it is the 24th in Tokyo.
    york = schedule(timezone="America/New_York", start="21:00", stop="23:00")
    assert latest(york, datetime(2026, 11, 24, 2, 30, tzinfo=UTC)).action == "suspend"
    assert latest(york, datetime(2026, 11, 25, 2, 30, tzinfo=UTC)).action == "start"


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-23 07:59", None),
        ("2026-11-23 08:00", "2026-11-23 is a holiday (勤労感謝の日): no start"),
        ("2026-11-23 20:59", "2026-11-23 is a holiday (勤労感謝の日): no start"),
        ("2026-11-23 21:00", None),
        ("2026-11-24 09:00", None),
        ("2026-11-22 09:00", None),  # a Sunday is none of its days
    ],
)
def test_a_start_that_does_not_happen_says_why(at, said):
    assert held_back(schedule(), tokyo(at)) == said


@pytest.mark.parametrize(
    ("shown", "first", "expected"),
    [
        (schedule(), "2026-11-30", 168 - 5 * 13),
        (schedule(), "2026-11-23", 168 - 4 * 13),  # with a holiday
        (Schedule(), "2026-11-30", 168 - 5 * 12),  # woken at nine by people
        (schedule(start="20:00", stop="04:00", days=list(DAYS)), "2026-11-30", 168 - 7 * 8),
    ],
)
def test_hours_asleep_in_a_week(shown, first, expected):
    begin = tokyo(f"{first} 00:00")
    assert asleep(shown, begin, begin + timedelta(days=7)) == expected


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "Office hours"}, "schedule.name: got 'Office hours'"),
        ({"days": []}, "schedule.days"),
        ({"days": ["MONDAY"]}, "days"),
        ({"stop": "21:10"}, "schedule.stop: got '21:10', takes a quarter of an hour"),
        ({"stop": "24:00"}, "schedule.stop"),
        ({"start": "8:00"}, "schedule.start: got '8:00'"),
        ({"start": "21:00"}, "another time than stop"),
        ({"timezone": "JST"}, "schedule.timezone"),
        ({"days_off": ["12-29..2027-01-03"]}, "schedule.days_off"),
        ({"days_off": ["2026-12-29..2026-12-01"]}, "schedule.days_off"),
        ({"days_off": ["02-30"]}, "schedule.days_off"),
        ({"days_off": ["2027-02-29"]}, "schedule.days_off"),
        ({"tag": "office,hours"}, "schedule.tag"),
        ({"grace_minutes": -1}, "schedule.grace_minutes"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_no_schedule(fields, said):
    with pytest.raises(InvalidEvent, match=said.replace("(", r"\(")):
        schedule(**fields)


CLOCKS = [f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 15, 30, 45)]


@given(
    st.sampled_from(["Asia/Tokyo", "Europe/London", "America/New_York", "Australia/Lord_Howe"]),
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.sampled_from([None, *CLOCKS]),
    st.sampled_from(CLOCKS),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
)
def test_there_is_always_one_before_and_one_after(zone, days, start, stop, at):
    if start == stop:
        return
    shown = schedule(timezone=zone, days=sorted(days, key=DAYS.index), start=start, stop=stop)
    moment = at.replace(tzinfo=UTC)
    before, after = latest(shown, moment), upcoming(shown, moment)
    assert before.at <= moment < after.at
    assert after.at - before.at <= timedelta(days=8)
    assert latest(shown, after.at).at == after.at
    assert 0 <= asleep(shown, moment, moment + timedelta(days=7)) <= 168
