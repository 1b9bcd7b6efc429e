"""Connections to MySQL or MariaDB, for reading only."""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pymysql
from pymysql.constants import CLIENT, CR
from pymysql.cursors import Cursor

from common import certificates
from common.parameters import Parameters

PARAMETERS = {f"DATABASE_{name}" for name in ("HOST", "PORT", "NAME", "USER", "PASSWORD", "CA")}

# What a query means is not the server's to say. Not empty: a server with EMPTY_STRING_IS_NULL would
# take '' for NULL. https://mariadb.com/kb/en/sql-mode/
SQL_MODE = "NO_ENGINE_SUBSTITUTION"


@dataclass(frozen=True)
class Settings:
    """Where the database is. `ca` says by whom its certificate is signed: `rds`, PEM, or `off`."""

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
            " with TLS: database.ca is off, and takes rds, or the PEM of the server's authority",
        ) from None
    except pymysql.OperationalError as error:
        refused = getattr(error, "original_exception", None)
        if not isinstance(refused, ssl.SSLCertVerificationError):
            raise
        raise pymysql.OperationalError(error.args[0], _refusal(settings, refused)) from None


def _refusal(settings: Settings, refused: ssl.SSLCertVerificationError) -> str:
    how = (
        "rds, RDS's own roots as they were deployed: for a newer root, or another authority (as of"
        " an RDS Proxy), give its PEM"
        if settings.ca == "rds"
        else "PEM: give that of the root above this authority, or rds for a database of RDS"
    )
    return (
        f"the certificate of {settings.host}, signed by {_issuer(settings.host, settings.port)!r},"
        f" is refused: {refused.verify_message}. database.ca is {how}"
    )


@cache
def _issuer(host: str, port: int) -> str:
    """Return who signed the certificate of a server that is not believed, or `unknown`.

    Nothing of the user's is sent to it: neither name nor password. It is asked once only, for a
    server counts connections that end early, and locks out who makes many.
    https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    capabilities = CLIENT.SSL | CLIENT.PROTOCOL_41 | CLIENT.SECURE_CONNECTION
    try:
        with socket.create_connection((host, port), 5) as plain, plain.makefile("rb") as greeting:
            greeting.read(int.from_bytes(greeting.read(4)[:3], "little"))
            # 32 bytes, the second packet: 'go on with TLS'.
            plain.sendall(struct.pack("<iiiB23x", 32 | 1 << 24, capabilities, 1 << 24, 45))
            with context.wrap_socket(plain, server_hostname=host) as tls:
                return certificates.issuer(tls.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError, IndexError):
        return "unknown"


def _connect(settings: Settings, longest: int, **options: Any) -> pymysql.Connection:
    try:
        tls = certificates.context(settings.ca, settings.host)
    except ValueError as error:
        raise pymysql.OperationalError(
            CR.CR_SSL_CONNECTION_ERROR, f"database.ca: {error}"
        ) from None
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
