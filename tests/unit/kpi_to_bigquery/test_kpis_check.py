"""What make kpi-check shows."""

import json

import pytest

import deploy
import environment
import kpi
from invoke import InvokeError
from kpi_to_bigquery import kpis

CHECKED = {
    "kpi": "sales",
    "day": "2026-11-22",
    "source": "abc",
    "columns": [
        {"name": "day", "declared": "DATE", "came": "DATE"},
        {"name": "shop", "declared": "STRING", "came": "text"},
        {"name": "sum", "declared": "INT64", "came": None},
    ],
    "rows": 12345,
    "first": [["2026-11-22", "東京"], ["2026-11-22", "a\nb\x1b"], ["2026-11-22", "\\N"]],
    "errors": [],
}


def test_a_report_is_for_people():
    assert kpi.report(CHECKED, "abc", "local").splitlines() == [
        "sales  2026-11-22  12,345 rows",
        "",
        "  column  declared  came",
        "  day     DATE      DATE",
        "  shop    STRING    text",
        "  sum     INT64     -",
        "",
        "  day         shop",
        "  2026-11-22  東京",
        r"  2026-11-22  a\nb\x1b",
        r"  2026-11-22  \N",
    ]


def test_a_report_says_what_is_wrong():
    lines = kpi.report(CHECKED | {"errors": ["one", "two"]}, "def", "staging").splitlines()
    assert lines[1] == "  another file than here: make deploy ENV=staging FUNCTION=kpi_to_s3"
    assert lines[-2:] == ["  WRONG: one", "  WRONG: two"]


@pytest.fixture
def function(monkeypatch):
    """The function, which says of each KPI what is in `answers`; and how often it was deployed."""
    asked = []

    def invoke(function, payload, shell):
        asked.append(json.loads(payload))
        checks = [CHECKED | {"kpi": name} | wrong.get(name, {}) for name in asked[-1]["kpis"]]
        return {"checks": checks}

    wrong = {}
    monkeypatch.setattr(kpi, "invoke", invoke)
    monkeypatch.setattr(environment, "shell", lambda env: {})
    invoke.runs = [{"group": "daily"}]
    outputs = {"kpi_to_bigquery": {"runs": invoke.runs}, "functions": {"kpi_to_s3": {}}}
    monkeypatch.setattr(environment, "outputs", lambda env: outputs)
    monkeypatch.setattr(deploy, "deploy", lambda function, shell: asked.append(function))
    invoke.asked, invoke.wrong = asked, wrong
    return invoke


def test_all_are_checked_and_on_the_laptop_deployed_before(function, capsys):
    assert kpi.check("local", [], None) == 0
    assert function.asked == ["kpi_to_s3", {"check": True, "kpis": kpis.names()}]
    assert capsys.readouterr().out.count("12,345 rows") == len(kpis.names())


def test_elsewhere_it_is_as_it_was_deployed(function, capsys):
    assert kpi.check("staging", ["sales"], "2026-11-01") == 0
    assert function.asked == [{"check": True, "kpis": ["sales"], "day": "2026-11-01"}]
    assert "another file than here" in capsys.readouterr().out


def test_what_is_wrong_ends_it_so(function, capsys):
    function.wrong["sales"] = {"errors": ["orders: came as text"]}
    assert kpi.check("staging", ["sales"], None) == 1
    assert "WRONG: orders: came as text" in capsys.readouterr().out


def test_what_no_schedule_runs_is_said(function, capsys):
    function.runs[:] = [{"group": "weekly"}, {"kpis": ["registrations"]}]
    assert kpi.check("staging", ["registrations", "sales"], None) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "no schedule" in line]
    assert told == ["sales: no schedule runs its group 'daily' (kpi_to_bigquery.schedules)"]


@pytest.mark.parametrize(
    "run", [{}, {"group": "daily"}, {"kpis": ["sales"]}, {"environment": "staging"}]
)
def test_what_a_schedule_runs(run):
    assert kpi.scheduled("sales", "daily", [{"group": "weekly"}, run])


def test_a_file_that_cannot_be_read_needs_no_database(function, capsys):
    assert kpi.check("staging", ["nothing"], None) == 1
    assert function.asked == []
    assert "there is no KPI 'nothing' (there are active_users, " in capsys.readouterr().out


def test_a_function_that_is_not_there_is_said(monkeypatch):
    def check(*_):
        raise InvokeError("kpi_to_s3 could not be invoked")

    monkeypatch.setattr(kpi, "check", check)
    monkeypatch.setattr(kpi.sys, "argv", ["kpi.py", "local", "check"])
    with pytest.raises(SystemExit, match="could not be invoked"):
        kpi.run(kpi.main)
