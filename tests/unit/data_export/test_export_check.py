"""What make export-check shows."""

import json

import pytest

import deploy
import environment
import exports
from command import CommandError
from data_export import request

CHECKED = {
    "query": "users",
    "source": "abc",
    "title": {"ja": "利用者一覧", "en": "Users"},
    "parameters": {"since": "date"},
    "values": {"since": "2026-11-22"},
    "columns": [
        {"name": "id", "declared": "ID", "came": "BIGINT"},
        {"name": "name", "declared": "氏名", "came": "text"},
    ],
    "way": "keys",
    "why": "",
    "first": [["1", "佐藤 葵"], ["2", "\\N"]],
    "errors": [],
}


def test_a_report_is_for_people():
    assert exports.report(CHECKED, "abc", "local").splitlines() == [
        "users  利用者一覧  Users",
        """  takes since (date); tried with PARAMS='{"since": "2026-11-22"}'""",
        "  is read by its key",
        "",
        "  column  title  came",
        "  id      ID     BIGINT",
        "  name    氏名   text",
        "",
        "  id  name",
        "  1   佐藤 葵",
        r"  2   \N",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"way": "lines", "why": "it names no key"}, "  is read line by line: it names no key"),
        ({"way": "plain", "why": "it has an X"}, "  is read the plain way: it has an X"),
        ({"first": []}, "  gave no row: whether an index leads by a key is known of one that does"),
        ({"errors": ["one"]}, "  WRONG: one"),
        ({"source": "d"}, "  another file than here: make deploy ENV=staging FUNCTION=data_export"),
    ],
)
def test_a_report_says_why(changes, line):
    assert line in exports.report(CHECKED | changes, "abc", "staging").splitlines()


def test_a_query_that_could_not_be_read_has_no_more_than_its_error():
    told = {"query": "users", "source": "abc", "columns": [], "first": [], "errors": ["header"]}
    assert exports.report(told, "abc", "local").splitlines() == ["users", "", "  WRONG: header"]


@pytest.fixture
def function(monkeypatch):
    """The function, which says of each query what is in `wrong`; and what it was asked."""

    def invoke(function, payload, shell):
        invoke.asked.append(json.loads(payload))
        names = invoke.asked[-1]["queries"]
        return {"checks": [CHECKED | {"query": one} | invoke.wrong.get(one, {}) for one in names]}

    invoke.asked, invoke.wrong = [], {}
    monkeypatch.setattr(exports, "invoke", invoke)
    monkeypatch.setattr(environment, "shell", lambda env: {})
    monkeypatch.setattr(environment, "outputs", lambda env: {"functions": {"data_export": {}}})
    monkeypatch.setattr(deploy, "deploy", lambda function, shell: invoke.asked.append(function))
    return invoke


def test_all_are_checked_and_on_the_laptop_deployed_before(function, capsys):
    assert exports.check("local", {}) == 0
    assert function.asked == ["data_export", {"check": True, "queries": request.names()}]
    assert capsys.readouterr().out.count("is read by its key") == len(request.names())


def test_elsewhere_it_is_as_it_was_deployed(function, capsys):
    given = {"QUERY": "users", "PARAMS": '{"since": "2026-01-01"}'}
    assert exports.check("staging", given) == 0
    parameters = {"since": "2026-01-01"}
    assert function.asked == [{"check": True, "queries": ["users"], "parameters": parameters}]
    assert "another file than here" in capsys.readouterr().out


def test_what_is_wrong_ends_it_so(function, capsys):
    function.wrong["orders"] = {"errors": ["gives the columns id"]}
    assert exports.check("staging", {"QUERY": "users orders"}) == 1
    assert "WRONG: gives the columns id" in capsys.readouterr().out


def test_a_file_that_cannot_be_read_keeps_the_others(function, capsys, monkeypatch, tmp_path):
    for name in request.names():
        (tmp_path / f"{name}.sql").write_bytes((request.FOLDER / f"{name}.sql").read_bytes())
    (tmp_path / "broken.sql").write_text("/*\nkey = 3\n*/\nSELECT 1")
    for reader in (request.names, request.load):
        monkeypatch.setattr(reader, "__defaults__", (tmp_path,))
    assert exports.check("staging", {}) == 1
    assert function.asked[0]["queries"] == ["orders", "users"]
    assert "broken.sql: header: key: got 3, takes text or null (line 2)" in capsys.readouterr().out


def test_wrong_parameters_are_said_before_anything_is_asked(function):
    given = {"QUERY": "users", "PARAMS": '{"since": "2026-13-01"}'}
    with pytest.raises(CommandError, match=r"^parameters: expected since \(date\); since: got"):
        exports.check("staging", given)
    assert function.asked == []
