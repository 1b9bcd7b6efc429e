"""Run a query on the database and tell which of its columns are numbers."""

from pymysql.constants import FIELD_TYPE

from common.mysql import Settings, reading
from db_to_cloudwatch.metrics import MOST_ROWS, Result
from db_to_cloudwatch.queries import MOST_SECONDS, Query

_NUMERIC: set[object] = {
    *(FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG),
    *(FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL, FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE),
}


def run(settings: Settings, query: Query) -> Result:
    """Run a query in a read-only transaction, under the server's own time limit.

    Raises pymysql.MySQLError with the database's message. At most 1,001 rows are fetched.
    """
    seconds = query.header.timeout
    with reading(settings, seconds=seconds, rows=MOST_ROWS + 1, longest=MOST_SECONDS) as cursor:
        cursor.execute(query.sql)
        columns = cursor.description or ()
        return Result(
            columns=[column[0] for column in columns],
            numeric=[column[1] in _NUMERIC for column in columns],
            rows=cursor.fetchall(),
        )
