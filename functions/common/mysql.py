"""Connections to MySQL or MariaDB, for reading only."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pymysql
from pymysql.constants import CR
from pymysql.cursors import Cursor

from common.parameters import Parameters

PARAMETERS = {f"DATABASE_{name}" for name in ("HOST", "PORT", "NAME", "USER", "PASSWORD", "CA")}

# What a query means is not the server's to say. Not empty: a server with EMPTY_STRING_IS_NULL would
# take '' for NULL. https://mariadb.com/kb/en/sql-mode/
SQL_MODE = "NO_ENGINE_SUBSTITUTION"


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


_warm: dict[tuple[Settings, int], pymysql.Connection] = {}


@contextmanager
def reading(settings: Settings, *, seconds: int, rows: int, longest: int) -> Iterator[Cursor]:
    """Give a cursor in a read-only transaction.

    The server ends a statement after `seconds` and gives at most `rows` of its rows. `longest` is
    the most seconds that any reader of this connection takes. Raises pymysql.MySQLError with the
    database's message.
    """
    with _connection(settings, longest).cursor() as cursor:
        limit_statements(cursor, seconds)
        cursor.execute("SET SESSION sql_select_limit = %s", [rows])
        cursor.execute("START TRANSACTION READ ONLY")
        try:
            yield cursor
        finally:
            if cursor.connection.open:
                cursor.execute("ROLLBACK")


def limit_statements(cursor: Cursor, seconds: int) -> None:
    """Let the server end each statement of this session after so many seconds."""
    # MariaDB's limit is in seconds, MySQL's in milliseconds:
    # https://mariadb.com/kb/en/server-system-variables/#max_statement_time
    # https://dev.mysql.com/doc/refman/8.0/en/server-system-variables.html
    if is_mariadb(cursor.connection):
        cursor.execute("SET SESSION max_statement_time = %s", [seconds])
    else:
        cursor.execute("SET SESSION max_execution_time = %s", [seconds * 1000])


def _connection(settings: Settings, longest: int) -> pymysql.Connection:
    connection = _warm.pop((settings, longest), None)
    try:
        if connection is not None:
            connection.ping(reconnect=False)
    except pymysql.MySQLError:
        # The server closes what was idle for wait_timeout, or was restarted.
        connection = None
    if connection is None:
        connection = connect(settings, longest)
    _warm[settings, longest] = connection
    return connection


def is_mariadb(connection: pymysql.Connection) -> bool:
    """Tell MariaDB from MySQL."""
    return "MariaDB" in connection.get_server_info()


def connect(settings: Settings, longest: int, **options: Any) -> pymysql.Connection:
    """Connect over TLS, the certificate and the name in it verified; `options` are PyMySQL's.

    The session has SQL_MODE, whatever the server has. `longest` is the most seconds that a
    statement may take. Raises pymysql.MySQLError.
    """
    try:
        return _connect(settings, longest, **options)
    except RuntimeError as error:
        # PyMySQL's, and no MySQLError, where a password may not go over an open line.
        if "caching_sha2_password" not in str(error):
            raise
        raise pymysql.OperationalError(
            CR.CR_AUTH_PLUGIN_ERR,
            f"user {settings.user}: caching_sha2_password (or sha256_password) takes a connection"
            " with TLS: database.ca is off, and takes the authorities of the server's certificate",
        ) from None


def _connect(settings: Settings, longest: int, **options: Any) -> pymysql.Connection:
    tls = None if settings.ca == "off" else ssl.create_default_context(cadata=settings.ca)
    return pymysql.connect(
        host=settings.host,
        port=settings.port,
        database=settings.name,
        user=settings.user,
        password=settings.password,
        ssl=tls,
        charset="utf8mb4",
        sql_mode=SQL_MODE,
        connect_timeout=5,
        # Longer than the time limit on the server, which is the one to end a slow query.
        read_timeout=longest + 5,
        write_timeout=10,
        **options,
    )
