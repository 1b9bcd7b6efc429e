"""The laptop's database: TLS or nothing, and a reader who only reads."""

import ssl
from pathlib import Path

import pymysql
import pytest
import trustme

import database
import seed
from stack import Stack


def test_only_tls_with_the_right_authority(stack: Stack, tmp_path: Path) -> None:
    with stack.connect("reader") as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        assert cursor.fetchone()[1]
        cursor.execute("SELECT @@global.time_zone, @@character_set_server")
        assert cursor.fetchone() == ("+00:00", "utf8mb4")
    password = stack.secrets().database_password
    with pytest.raises(pymysql.OperationalError, match=r"denied|insecure transport"):
        pymysql.connect(
            host="127.0.0.1",
            port=stack.database_port,
            user=database.READER,
            password=password,
            ssl_disabled=True,
        )
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    with pytest.raises(pymysql.OperationalError) as caught:
        database.connect(stack.database_port, database.READER, password, other)
    assert isinstance(caught.value.__cause__ or caught.value.__context__, ssl.SSLError)
    # A standard SSM parameter holds 4 KB.
    assert len(stack.database_ca.read_bytes()) < 4096


def test_the_reader_only_reads(stack: Stack) -> None:
    seed.seed(stack)
    with stack.connect("reader") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM users")
        for statement in (
            "DELETE FROM users",
            "CREATE TABLE t (i INT)",
            "SELECT * FROM mysql.user",
        ):
            with pytest.raises(pymysql.OperationalError, match="denied"):
                cursor.execute(statement)
