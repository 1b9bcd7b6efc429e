"""One warm connection to MySQL or MariaDB, for reading only."""

import ssl
from dataclasses import dataclass, field

import pymysql
from pymysql.constants import FIELD_TYPE

from common.parameters import Parameters
from db_to_cloudwatch.metrics import MOST_ROWS, Result
from db_to_cloudwatch.queries import MOST_SECONDS, Query

PARAMETERS = {f"DATABASE_{name}" for name in ("HOST", "PORT", "NAME", "USER", "PASSWORD", "CA")}
_NUMERIC: set[object] = {
    *(FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG),
    *(FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL, FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE),
}


@dataclass(frozen=True)
class Settings:
    """Where the database is. `ca` is the PEM that its certificate must lead to, or `off`."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    ca: str

    @classmethod
    def of(cls, parameters: Parameters) -> "Settings":
        """Take the settings from SSM. Raises ParameterError."""
        return cls(
            host=parameters["DATABASE_HOST"],
            port=int(parameters["DATABASE_PORT"]),
            name=parameters["DATABASE_NAME"],
            user=parameters["DATABASE_USER"],
            password=parameters["DATABASE_PASSWORD"],
            ca=parameters["DATABASE_CA"],
        )


_warm: dict[Settings, pymysql.Connection] = {}


def run(settings: Settings, query: Query) -> Result:
    """Run a query in a read-only transaction, under the server's own time limit.

    Raises pymysql.MySQLError with the database's message. At most 1,001 rows are fetched.
    """
    with _connection(settings).cursor() as cursor:
        # MariaDB's limit is in seconds, MySQL's in milliseconds:
        # https://mariadb.com/kb/en/server-system-variables/#max_statement_time
        # https://dev.mysql.com/doc/refman/8.0/en/server-system-variables.html
        if "MariaDB" in cursor.connection.get_server_info():
            limit, value = "max_statement_time", query.header.timeout
        else:
            limit, value = "max_execution_time", query.header.timeout * 1000
        cursor.execute(f"SET SESSION {limit} = %s, sql_select_limit = %s", [value, MOST_ROWS + 1])
        cursor.execute("START TRANSACTION READ ONLY")
        try:
            cursor.execute(query.sql)
            columns = cursor.description or ()
            return Result(
                columns=[column[0] for column in columns],
                numeric=[column[1] in _NUMERIC for column in columns],
                rows=cursor.fetchall(),
            )
        finally:
            if cursor.connection.open:
                cursor.execute("ROLLBACK")


def _connection(settings: Settings) -> pymysql.Connection:
    connection = _warm.pop(settings, None)
    try:
        if connection is not None:
            connection.ping(reconnect=False)
    except pymysql.MySQLError:
        # The server closes what was idle for wait_timeout, or was restarted.
        connection = None
    if connection is None:
        connection = _connect(settings)
    _warm[settings] = connection
    return connection


def _connect(settings: Settings) -> pymysql.Connection:
    tls = None if settings.ca == "off" else ssl.create_default_context(cadata=settings.ca)
    return pymysql.connect(
        host=settings.host,
        port=settings.port,
        database=settings.name,
        user=settings.user,
        password=settings.password,
        ssl=tls,
        charset="utf8mb4",
        connect_timeout=5,
        # Longer than the time limit on the server, which is the one to end a slow query.
        read_timeout=MOST_SECONDS + 5,
        write_timeout=10,
    )
