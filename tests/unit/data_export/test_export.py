"""Which errors of a database say that trying again is in vain."""

import pymysql
import pytest

from data_export import export


@pytest.mark.parametrize(
    ("code", "state", "wrong"),
    [
        (1054, "42S22", True),  # unknown column
        (1142, "42000", True),  # no right to SELECT
        (1242, "21000", True),  # a subquery of several rows
        (1267, "HY000", True),  # two collations
        (1305, "42000", True),  # no such function
        (1690, "22003", True),  # out of range
        (1792, "25006", True),  # writes in a transaction that may only read
        (1040, "08004", False),  # too many connections
        (1044, "42000", False),  # no right to the database
        (1045, "28000", False),  # another password
        (1053, "08S01", False),  # the server goes down
        (1203, "42000", False),  # too many connections of the user
        (1205, "HY000", False),  # waited for a lock
        (1213, "40001", False),  # deadlock
        (1317, "70100", False),  # KILL QUERY
        (1412, "HY000", False),  # the table was altered since the snapshot began
        (2013, None, False),  # the connection was lost
    ],
)
def test_what_is_wrong_with_the_statement(code, state, wrong):
    error = pymysql.OperationalError(code, "x", sqlstate=state)
    assert export._is_wrong(error) is wrong
