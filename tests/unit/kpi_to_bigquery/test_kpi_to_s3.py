from datetime import UTC, date, datetime
from types import SimpleNamespace

import pymysql
import pytest
from pymysql.constants import FIELD_TYPE

from common import checks
from common.csv_blocks import Block
from common.csv_form import Column
from common.events import InvalidEvent, parse
from common.failures import RunFailed
from common.s3_file import Written
from kpi_to_bigquery import kpi_to_s3, kpis
from kpi_to_bigquery.fits import InvalidResult, of_day, unfit
from kpi_to_bigquery.kpi_to_s3 import Event

DAY = date(2026, 11, 22)
KPI = """/*
owner = "growth"
description = "Sales"
partition = "day"
{more}
[columns.day]
type = "DATE"
*/
SELECT %(day)s AS day"""


class Clock(datetime):
    """It is nine in the morning of 23 November in Tokyo, and still the 22nd in New York."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 23, 0, 0, tzinfo=UTC)


@pytest.fixture
def ours(tmp_path, monkeypatch, put_parameter):
    """Three KPIs, and a database that is not there; what is written, in its order."""
    for name, more in {
        "daily": "",
        "york": 'timezone = "America/New_York"',
        "weekly": 'group = "weekly"',
    }.items():
        (tmp_path / f"{name}.sql").write_text(KPI.format(more=more))
    names, load = kpis.names, kpis.load
    monkeypatch.setattr(kpis, "names", lambda folder=tmp_path: names(folder))
    monkeypatch.setattr(kpis, "load", lambda name, folder=tmp_path: load(name, folder))
    monkeypatch.setattr(kpi_to_s3, "datetime", Clock)
    for name in ("HOST", "NAME", "USER", "PASSWORD", "CA"):
        put_parameter(f"DATABASE_{name}", "x")
    put_parameter("DATABASE_PORT", "3306")
    done = []

    def export(settings, query, day, left):
        if query.name in bad:
            raise pymysql.OperationalError(2003, "no database")
        done.append(f"{query.name} {day}")
        return Written(rows=10)

    bad = set()
    monkeypatch.setattr(kpi_to_s3, "export", export)
    return SimpleNamespace(folder=tmp_path, done=done, bad=bad)


def run(event, seconds=(60,)):
    left = iter(seconds)
    last = [0]

    def remaining():
        last[0] = next(left, last[0])
        return last[0] * 1000

    return kpi_to_s3.handler(event, SimpleNamespace(get_remaining_time_in_millis=remaining))


def test_yesterday_is_that_of_each_zone(ours):
    assert run({}) == {"kpis": 3, "days": 2, "files": 3, "rows": 30}
    assert ours.done == ["york 2026-11-21", "daily 2026-11-22", "weekly 2026-11-22"]


@pytest.mark.parametrize(
    ("event", "done"),
    [
        ({"group": "weekly"}, ["weekly 2026-11-22"]),
        ({"day": "2026-11-01", "kpis": ["daily"]}, ["daily 2026-11-01"]),
        ({"day": "2026-11-23", "kpis": ["daily"]}, ["daily 2026-11-23"]),
        (
            {"from": "2026-11-20", "to": "2026-11-21", "group": "daily"},
            ["daily 2026-11-20", "york 2026-11-20", "daily 2026-11-21", "york 2026-11-21"],
        ),
    ],
)
def test_what_an_event_asks_for(ours, event, done):
    run(event)
    assert ours.done == done


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"day": "20261122"}, "day: got '20261122', takes a day such as 2026-11-22"),
        ({"day": "2026-11-31"}, "day: got '2026-11-31', takes a day"),
        ({"day": 3}, "day: got 3, takes text"),
        ({"from": 3, "to": "2026-11-22"}, "from: got 3, takes text"),
        ({"from": "2026-11-01"}, "to: got None, takes a day, together with from"),
        ({"to": "2026-11-01"}, "to: got '2026-11-01', takes a day, together with from"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "to: got '2026-11-01', takes from the day"),
        ({"from": "2024-01-01", "to": "2026-09-27"}, "to: got '2026-09-27', takes .* 1,000 days"),
        ({"day": "2026-11-01", "from": "2026-11-01", "to": "2026-11-01"}, "day: got '2026-11-01'"),
        ({"from": "2026-11-01", "to": "2026-11-01", "check": True}, "check: got True, takes one"),
        ({"kpis": []}, r"kpis: got \[\], takes one name"),
        ({"kpis": ["other"]}, "kpis: got 'other', takes daily or weekly or york"),
        ({"kpis": ["daily"], "group": "daily"}, "group: got 'daily', takes nothing beside kpis"),
        ({"group": "hourly"}, "group: got 'hourly', takes a group that a file"),
        ({"since": "x"}, r"unknown field: since \(the event itself takes day, from, to, kpis"),
        ({"day": "2026-11-24"}, r"day: got '2026-11-24', takes no day after .* \(Asia/Tokyo\)"),
        ({"day": "2026-11-23"}, r"no day after 2026-11-22 \(America/New_York\)"),
        ({"from": "2026-11-22", "to": "2026-11-24"}, "to: got '2026-11-24', takes no day after"),
    ],
)
def test_a_bad_event_names_the_field_and_does_nothing(ours, event, message):
    with pytest.raises(InvalidEvent, match=message):
        run(event)
    assert ours.done == []


def test_a_thousand_days_are_taken(ours):
    assert parse(Event, {"from": "2024-02-27", "to": "2026-11-22"}).from_ == "2024-02-27"


def test_a_kpi_that_fails_keeps_no_other_from_its_turn(ours):
    ours.bad.add("daily")
    (ours.folder / "broken.sql").write_text("SELECT 1")
    with pytest.raises(RunFailed) as failed:
        run({"day": "2026-11-22"})
    assert str(failed.value) == (
        "2 of 4 failed: broken: broken.sql: takes a header /* … */ with TOML, and one statement"
        " after it; daily.sql of 2026-11-22: (2003, 'no database')"
    )
    assert ours.done == ["weekly 2026-11-22", "york 2026-11-22"]


def test_what_there_is_no_time_for_is_named(ours):
    with pytest.raises(RunFailed, match="1 of 10 failed: 8 from 2026-11-03 on: no time was left"):
        run({"from": "2026-11-01", "to": "2026-11-10", "kpis": ["daily"]}, [60, 60, 3])
    assert ours.done == ["daily 2026-11-01", "daily 2026-11-02"]


def test_a_check_tells_of_a_file_that_cannot_be_read(ours):
    (ours.folder / "daily.sql").write_text("SELECT 1")
    answer = run({"day": "2026-11-22", "kpis": ["daily"], "check": True})
    [error] = answer["checks"][0]["errors"]
    assert answer == {"checks": [{"kpi": "daily", "errors": [error]}]}
    assert error.startswith("daily.sql: takes a header")


def column(kind, type_code=FIELD_TYPE.VAR_STRING, scale=0):
    return Column("c", kind, nullable=True, type_code=type_code, scale=scale)


COLUMNS = {
    "BIGINT": (
        column("integer", FIELD_TYPE.LONGLONG),
        "INT64 NUMERIC BIGNUMERIC FLOAT64 BOOL STRING",
    ),
    "DECIMAL with 0 decimals": (
        column("number", FIELD_TYPE.NEWDECIMAL),
        "INT64 NUMERIC BIGNUMERIC FLOAT64 STRING",
    ),
    "DECIMAL with 9 decimals": (
        column("number", FIELD_TYPE.NEWDECIMAL, 9),
        "NUMERIC BIGNUMERIC FLOAT64 STRING",
    ),
    "DECIMAL with 10 decimals": (
        column("number", FIELD_TYPE.NEWDECIMAL, 10),
        "BIGNUMERIC FLOAT64 STRING",
    ),
    "DOUBLE": (column("number", FIELD_TYPE.DOUBLE, 31), "FLOAT64 STRING"),
    "BIT": (column("bits", FIELD_TYPE.BIT), "INT64 BOOL"),
    "DATE": (column("time", FIELD_TYPE.DATE), "DATE STRING"),
    "TIME": (column("time", FIELD_TYPE.TIME), "TIME STRING"),
    "DATETIME": (column("time", FIELD_TYPE.DATETIME), "DATETIME TIMESTAMP STRING"),
    "TIMESTAMP": (column("time", FIELD_TYPE.TIMESTAMP), "TIMESTAMP DATETIME STRING"),
    "text": (column("text"), "STRING JSON"),
    "JSON": (column("text", FIELD_TYPE.JSON), "STRING JSON"),
    "binary": (column("binary"), "BYTES"),
    "unknown": (column("unknown", FIELD_TYPE.NULL), ""),
}


def declared(kind, zone="UTC"):
    columns = {"c": kpis.Column(kind), "day": kpis.Column("DATE")}
    return kpis.Header("o", "d", "day", columns, database_timezone=zone)


def found(one):
    return [one, Column("day", "time", nullable=True, type_code=FIELD_TYPE.DATE)]


@pytest.mark.parametrize("kind", kpis.TYPES)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_fits_what_loses_nothing(name, kind):
    one, taken = COLUMNS[name]
    errors = unfit(declared(kind), found(one))
    if kind in taken.split():
        assert errors == []
    else:
        [error] = errors
        assert error.startswith(f"c: came as {name}, is declared {kind} (")
        assert error.endswith("CAST it)")


@pytest.mark.parametrize(
    ("code", "kind"),
    [(FIELD_TYPE.DATETIME, "TIMESTAMP"), (FIELD_TYPE.TIMESTAMP, "DATETIME")],
)
def test_a_moment_of_another_zone_is_not_taken_for_one_of_utc(code, kind):
    assert unfit(declared(kind), found(column("time", code))) == []
    assert unfit(declared(kind, "Asia/Tokyo"), found(column("time", code))) != []


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        (['1,"2026-11-22"', '\\N,"2026-11-22"'], None),
        (['1,"2026-11-22"', '2,"2026-11-23"'], "day: row 4 has 2026-11-23, the day is 2026-11-22"),
        (['"a\r\nb","2026-11-22"', '"""",\\N'], "day: row 4 has NULL, the day is 2026-11-22"),
    ],
)
def test_a_row_of_another_day_is_named(rows, wrong):
    good = Block(b'"x","2026-11-22"\r\n' * 2, 2)
    blocks = iter([good, Block("".join(f"{row}\r\n" for row in rows).encode(), len(rows))])
    if wrong is None:
        assert len(list(of_day(blocks, declared("STRING"), DAY))) == 2
        return
    passed = of_day(blocks, declared("STRING"), DAY)
    assert next(passed) == good
    with pytest.raises(InvalidResult) as error:
        next(passed)
    assert str(error.value) == wrong


def test_a_row_may_be_large():
    block = Block(b'"' + b"x" * 1_000_000 + b'",\\N\r\n', 1)
    assert next(checks.rows(block))[1] == "\\N"
