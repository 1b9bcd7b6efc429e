"""What a job's parameters may be, and what a query's file says of them."""

import datetime as dt
from decimal import Decimal

import pytest

from common.events import InvalidEvent
from common.queries import InvalidQuery
from data_export import request

DECLARED = {"first": "date", "shop_id": "integer", "paid": "boolean"}
EXPECTED = "parameters: expected first (date), shop_id (integer), paid (boolean); "
GIVEN = {"first": "2026-11-01", "shop_id": 7, "paid": True}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "first: missing; shop_id: missing; paid: missing"),
        (GIVEN | {"first": "today"}, "first: got 'today', takes a date such as 2026-11-23"),
        (
            GIVEN | {"shop_id": "7", "paid": 1},
            "shop_id: got '7', takes a whole number; paid: got 1, takes true or false",
        ),
        (GIVEN | {"until": "2026-11-30", "a": 1}, "unknown: a, until"),
        ({"First": "2026-11-01"} | GIVEN, "unknown: First"),
        (GIVEN | {"x" * 5000: 1}, f"unknown: {'x' * 100}"),
    ],
)
def test_wrong_parameters_are_told_what_the_query_takes(given, said):
    with pytest.raises(InvalidEvent) as error:
        request.values(DECLARED, given)
    assert str(error.value) == EXPECTED + said


def test_a_query_that_takes_none():
    with pytest.raises(InvalidEvent, match=r"^parameters: expected none; unknown: day$"):
        request.values({}, {"day": 1})


def test_each_type_as_the_driver_takes_it():
    declared = DECLARED | {"at": "datetime", "least": "decimal", "name": "text"}
    given = GIVEN | {"at": "2026-11-01T09:00", "least": "1.50", "name": "葵"}
    assert request.values(declared, given) == {
        "first": dt.date(2026, 11, 1),
        "shop_id": 7,
        "paid": True,
        "at": dt.datetime(2026, 11, 1, 9),  # noqa: DTZ001
        "least": Decimal("1.50"),
        "name": "葵",
    }


@pytest.mark.parametrize(
    ("header", "sql", "said"),
    [
        ('day = "date"', "SELECT\n%(days)s", "got '%(days)s', takes %(day)s (date), and %% for a"),
        ('day = "date"', "SELECT\n%(days)s", " plain % (line 6)"),
        ('day = "date"', "SELECT %(day)s LIKE '1%'", 'got "%\'", takes %(day)s (date), and %%'),
        ("", "SELECT %(day)s", "got '%(day)s', takes no parameter: declare it (line 5)"),
    ],
)
def test_a_query_that_names_what_it_does_not_declare(tmp_path, header, sql, said):
    (tmp_path / "one.sql").write_text(f"/*\n[parameters]\n{header}\n*/\n{sql}", encoding="utf-8")
    with pytest.raises(InvalidQuery) as error:
        request.load("one", tmp_path)
    assert said in str(error.value)


def test_a_percent_sign_is_plain_where_nothing_is_declared(tmp_path):
    (tmp_path / "one.sql").write_text("/* */ SELECT 7 % 4, 'a%', '%%'")
    assert request.load("one", tmp_path).sql == "SELECT 7 % 4, 'a%', '%%'"


@pytest.mark.parametrize(
    ("sql", "line"),
    [
        ("SELECT 1; SELECT 2", 2),
        ("SELECT 1;\n\nDELETE FROM users;\n", 4),
        ("SELECT '/*', 1; /* */ SELECT 2 '*/'", 2),
        ("SELECT 1;", None),
        ("SELECT 1 ; ;\n", None),
        ("SELECT ';x', `a;b`, \"';c\" # ; d\n/* ; e */ -- ; f\n", None),
        ("SELECT 1; -- done", None),
    ],
)
def test_a_file_holds_one_statement(tmp_path, sql, line):
    (tmp_path / "one.sql").write_text(f"/* */\n{sql}", encoding="utf-8")
    if line is None:
        request.load("one", tmp_path)
    else:
        with pytest.raises(InvalidQuery, match=rf"one statement: .* after ; \(line {line}\)$"):
            request.load("one", tmp_path)
