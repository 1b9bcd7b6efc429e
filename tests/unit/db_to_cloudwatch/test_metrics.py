from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db_to_cloudwatch.metrics import InvalidResult, Result, data
from db_to_cloudwatch.queries import Header

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ENVIRONMENT = {"Name": "Environment", "Value": "staging"}
HEADER = Header("RDS/RECORDS", "Count", {"RDS": "RECORDS"})


def result(columns, *rows, text=()):
    return Result(columns, [column not in text for column in columns], rows)


def test_each_numeric_column_is_a_metric():
    assert data(HEADER, result(["USERS", "SALES"], (3, Decimal("10.5"))), AT, "staging") == [
        {
            "MetricName": name,
            "Dimensions": [ENVIRONMENT, {"Name": "RDS", "Value": "RECORDS"}],
            "Timestamp": AT,
            "Unit": "Count",
            "Value": value,
        }
        for name, value in (("USERS", 3.0), ("SALES", 10.5))
    ]


def test_the_other_columns_are_dimensions():
    rows = result(["status", "ORDERS"], ("paid", 5), ("cancelled", 1), text={"status"})
    common = [ENVIRONMENT, {"Name": "RDS", "Value": "RECORDS"}]
    assert [(d["Dimensions"], d["Value"]) for d in data(HEADER, rows, AT, "staging")] == [
        ([*common, {"Name": "status", "Value": "paid"}], 5.0),
        ([*common, {"Name": "status", "Value": "cancelled"}], 1.0),
    ]


def test_the_header_can_say_which_columns_are_metrics():
    header = Header("RDS/SHOPS", metrics=["SALES"])
    (datum,) = data(header, result(["shop_id", "SALES"], (7, 100)), AT, "staging")
    assert datum["MetricName"] == "SALES"
    assert datum["Dimensions"] == [ENVIRONMENT, {"Name": "shop_id", "Value": "7"}]


def test_thirty_dimensions_are_the_most():
    columns = [*(f"d{number}" for number in range(28)), "N"]
    rows = result(columns, (*"x" * 28, 1), text=columns[:-1])
    (datum,) = data(HEADER, rows, AT, "staging")
    assert len(datum["Dimensions"]) == 30


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (result(["USERS"]), "no rows: a query gives one at least"),
        (result(["USERS"], (None,)), "USERS: got NULL, takes a number (COALESCE it)"),
        (result(["USERS"], (float("nan"),)), "USERS: got nan, CloudWatch takes up to 2^360"),
        (result(["USERS"], (float("inf"),)), "USERS: got inf"),
        (result(["USERS"], (1e300,)), "USERS: got 1e+300"),
        (result(["USERS"], (10**400,)), "USERS: got 1000"),
        (result(["USERS"], ("many",), text={"USERS"}), "no numeric column, only {'USERS': 'many'}"),
        (result(["a", "a"], (1, 2)), "named twice: a"),
        (result(["RDS", "USERS"], ("x", 1), text={"RDS"}), "named twice: RDS"),
        (result(["a", "N"], ("x", 1), ("x", 2), text={"a"}), "two rows have the same dimensions"),
        (result(["a", "N"], (None, 1), text={"a"}), "a: got None, takes 1 to 1024 ASCII"),
        (result(["a", "N"], ("東京", 1), text={"a"}), "a: got '東京', takes 1 to 1024 ASCII"),
        (result(["a", "N"], (" ", 1), text={"a"}), "a: got ' ', takes"),
        (result(["a", "N"], (":x", 1), text={"a"}), "a: got ':x', a dimension cannot begin"),
        (result(["a", "N"], ("x" * 1025, 1), text={"a"}), "a: got 'xxx"),
        (result(["ユーザー"], (1,)), "'ユーザー' cannot be a name"),
        (result(["N" * 256], (1,)), "'NNN"),
        (result(["N"], *[(n,) for n in range(1001)]), "more than 1000 rows"),
        (
            result(
                [*(f"d{n}" for n in range(29)), "N"],
                (*"x" * 29, 1),
                text=[f"d{n}" for n in range(29)],
            ),
            "31 dimensions with Environment, CloudWatch takes 30",
        ),
        *(
            (
                result(["Environment", "N"], (one, 1), text=text),
                "Environment: every metric has this",
            )
            for one, text in (("x", {"Environment"}), (2, ()))
        ),
    ],
)
def test_what_cannot_be_a_metric_says_why(rows, message):
    with pytest.raises(InvalidResult) as error:
        data(HEADER, rows, AT, "staging")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (result(["USERS"], ("12",), text={"USERS"}), "USERS: got '12', takes a number (CAST it)"),
        (result(["OTHER"], (12,)), "metrics: no such column: USERS"),
    ],
)
def test_text_where_the_header_says_a_number_should_be(rows, message):
    with pytest.raises(InvalidResult) as error:
        data(Header("RDS/RECORDS", metrics=["USERS"]), rows, AT, "staging")
    assert str(error.value).startswith(message)


@given(
    st.lists(
        st.integers() | st.floats() | st.decimals(allow_nan=False) | st.none(),
        min_size=1,
        max_size=5,
    )
)
def test_whatever_a_row_holds_becomes_finite_numbers_or_one_error(values):
    columns = [f"C{number}" for number in range(len(values))]
    try:
        found = data(HEADER, result(columns, tuple(values)), AT, "staging")
    except InvalidResult as error:
        assert str(error)
    else:
        assert [datum["Value"] for datum in found] == [float(value) for value in values]
