"""Where the KPIs of a day stand, and what make kpi-status shows."""

import json
import time

import pytest

import deploy
import kpi
from common import aws
from common.events import InvalidEvent
from invoke import InvokeError
from kpi_to_bigquery import kpis
from kpi_to_bigquery.s3_to_bigquery import handler
from tests.unit.kpi_to_bigquery.conftest import BUCKET, DAY, EARLY, SALES


def stands(world, day=DAY, name="sales"):
    """Return where a KPI stands: rows on S3, in BigQuery, whether a time is told, what is wrong."""
    event = {"status": True, "day": str(day), "kpis": [name]}
    (one,) = handler(event, world.context)["status"]
    assert (one["kpi"], one["day"]) == (name, str(day))
    return one["s3_rows"], one["bigquery_rows"], bool(one["loaded_at"]), one["wrong"]


def test_from_nothing_to_all_is_well_and_on(world):
    assert stands(world) == (None, 0, False, "no file")
    notice = world.put("2026-11-22,a,1", "2026-11-22,b,2", rows="2")
    assert stands(world) == (2, 0, False, "not loaded")
    world.notify([notice])
    assert stands(world) == (2, 2, True, None)
    newer = world.put("2026-11-22,a,1", rows="1")
    assert stands(world) == (1, 2, True, "loaded before the file was written again")
    world.notify([newer])
    assert stands(world) == (1, 1, True, None)
    # Another day, in the same tables.
    assert stands(world, EARLY) == (None, 0, False, "no file")


def test_why_a_file_was_not_loaded(world):
    world.notify([world.put("2026-11-22,a,many", rows="1")])
    *known, wrong = stands(world)
    assert known == [1, 0, False]
    assert wrong.startswith("not loaded: BigQuery: job kpi_sales_20261122_")
    assert 'column_name: "sum"' in wrong
    world.notify([world.put("2026-11-22,a,1", rows="1")])
    assert stands(world) == (1, 1, True, None)
    world.declare(SALES.replace("INT64", "STRING"))
    world.notify([world.put("2026-11-22,a,2", rows="1")])
    wrong = stands(world)[-1]
    assert wrong.startswith("loaded before the file was written again: BigQuery: job kpi_sales_")
    assert "Field sum has changed type from INTEGER to STRING" in wrong


def test_rows_that_are_a_tag_or_not_told(world):
    key = kpis.key("sales", DAY)
    world.notify([world.put("2026-11-22,a,1")])
    assert stands(world) == (None, 1, True, None)
    tags = {"TagSet": [{"Key": "rows", "Value": "1"}, {"Key": "team", "Value": "growth"}]}
    aws.client("s3").put_object_tagging(Bucket=BUCKET, Key=key, Tagging=tags)
    assert stands(world) == (1, 1, True, None)


@pytest.mark.parametrize("rows", [{}, {"rows": "1"}], ids=["not told", "told"])
def test_rows_that_somebody_took_out_of_bigquery(world, rows):
    world.notify([world.put("2026-11-22,a,1", **rows)])
    place = world.warehouse.get_table(f"{world.dataset}.sales").reference
    world.warehouse.delete_table(f"{place.project}.{place.dataset_id}.sales$20261122")
    assert stands(world) == (1 if rows else None, 0, True, "differs")


def test_what_cannot_be_found_out_keeps_no_other_from_being_told(world):
    world.declare(name="registrations")
    world.notify([world.put("2026-11-22,a,1", rows="1")])
    world.declare("SELECT 1", name="registrations")
    event = {"status": True, "day": str(DAY), "kpis": ["registrations", "sales"]}
    broken, well = handler(event, world.context)["status"]
    assert "registrations.sql" in broken["wrong"]
    assert well["wrong"] is None


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"status": True}, "day: missing"),
        ({"status": True, "day": "20261122"}, "day: got '20261122', takes a day such as"),
        ({"status": False, "day": "2026-11-22"}, "status: got False, takes True"),
        ({"status": True, "day": "2026-11-22", "kpis": []}, "kpis: got [], takes one name"),
        ({"status": True, "day": "2026-11-22", "kpis": ["x"]}, "kpis: got 'x', takes active_u"),
        ({"status": True, "day": "2026-11-22", "key": "x"}, "unknown field: key"),
    ],
    ids=range(6),
)
def test_a_question_that_is_none(world, event, words):
    with pytest.raises(InvalidEvent) as raised:
        handler(event, world.context)
    assert words in str(raised.value)


WELL = {
    "kpi": "sales",
    "day": "2026-11-22",
    "s3_rows": 12345,
    "bigquery_rows": 12345,
    "loaded_at": "2026-11-22T21:00:12+00:00",
    "wrong": None,
}
WRONG = {
    "kpi": "active_users",
    "s3_rows": None,
    "bigquery_rows": 0,
    "loaded_at": None,
    "wrong": "no file",
}


@pytest.fixture
def function(monkeypatch):
    """The functions, which answer with `answer`; what they were asked, and what was deployed."""
    asked = []

    def invoke(function, payload, shell):
        asked.append((function, json.loads(payload)))
        return invoke.answer

    invoke.asked, invoke.deployed = asked, []
    monkeypatch.setattr(kpi, "invoke", invoke)
    monkeypatch.setattr(kpi.environment, "shell", lambda env: {})
    plain = {"environment": {}}
    applied = {"kpi_to_s3": plain, "s3_to_bigquery": plain, "export_mail": plain}
    invoke.applied = applied
    monkeypatch.setattr(kpi.environment, "outputs", lambda env: {"functions": applied})
    monkeypatch.setattr(deploy, "deploy", lambda name, shell: invoke.deployed.append(name))
    return invoke


@pytest.fixture
def command(monkeypatch):
    def run(*words):
        monkeypatch.setattr(kpi.sys, "argv", ["kpi.py", *words])
        with pytest.raises(SystemExit) as ended:
            kpi.run(kpi.main)
        return ended.value.code

    return run


def test_a_status_is_a_table(function, command, capsys):
    function.answer = {"status": [WELL, WRONG]}
    assert command("staging", "status", "--day", "2026-11-22") == 1
    assert function.asked == [("s3_to_bigquery", {"status": True, "day": "2026-11-22"})]
    head, well, wrong = capsys.readouterr().out.splitlines()
    assert head == "  kpi           rows on S3  in BigQuery  loaded"
    assert well == "  sales             12,345       12,345  2026-11-23 06:00:12 JST"
    assert wrong.split() == ["active_users", "-", "0", "-", "WRONG:", "no", "file"]


@pytest.fixture(params=["UTC", "America/New_York"])
def machine_zone(request, monkeypatch):
    """The zone of this machine's clock, which the C library keeps: put back at the end."""
    with monkeypatch.context() as here:
        here.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("machine_zone")
@pytest.mark.parametrize(
    ("zone", "shown"),
    [(None, "2026-11-23 06:00:12 JST"), ("Europe/Berlin", "2026-11-22 22:00:12 CET")],
)
def test_times_are_in_the_environments_zone(function, command, capsys, zone, shown):
    if zone:
        function.applied["export_mail"] = {"environment": {"TIMEZONE": zone}}
    function.answer = {"status": [WELL, WELL | {"loaded_at": "2026-11-22T22:00:12+01:00"}]}
    assert command("staging", "status", "--day", "2026-11-22") == 0
    assert capsys.readouterr().out.count(shown) == 2


def test_a_status_that_is_well_ends_well(function, command):
    function.answer = {"status": [WELL]}
    assert command("local", "status", "--day", "2026-11-22", "sales") == 0
    assert function.asked[0][1]["kpis"] == ["sales"]
    assert function.deployed == []


def test_a_backfill_elsewhere_is_by_what_was_deployed(function, command):
    function.answer = {"kpis": 1, "days": 1, "files": 1, "rows": 1}
    assert command("staging", "backfill", "--from", "2026-11-22", "--to", "2026-11-22") == 0
    assert function.deployed == []


def test_a_backfill_says_what_is_there(function, command, capsys):
    function.answer = {"kpis": 1, "days": 22, "files": 22, "rows": 1234}
    days = ("--from", "2026-11-01", "--to", "2026-11-22")
    assert command("local", "backfill", *days, "sales") == 0
    assert function.deployed == ["s3_to_bigquery", "kpi_to_s3"]
    payload = {"from": "2026-11-01", "to": "2026-11-22", "kpis": ["sales"]}
    assert function.asked == [("kpi_to_s3", payload)]
    assert capsys.readouterr().out.startswith("22 files with 1,234 rows are on S3")


@pytest.mark.parametrize(
    "words", [["status"], ["status", "--day", ""], ["backfill", "--from", "x"]], ids=range(3)
)
def test_the_day_has_to_be_said(function, command, words):
    assert command("local", *words).startswith(f"say of when: make kpi-{words[0]} ")
    assert function.asked == []


def test_a_function_that_fails_is_said(function, command, monkeypatch):
    def fails(*_):
        raise InvokeError("s3_to_bigquery failed: GoogleError: no token")

    monkeypatch.setattr(kpi, "invoke", fails)
    failed = command("local", "status", "--day", "2026-11-22")
    assert failed == "s3_to_bigquery failed: GoogleError: no token"
