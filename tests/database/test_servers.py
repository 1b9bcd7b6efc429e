"""In what MariaDB and MySQL differ, as far as what we do depends on it; and reading from both."""

import dataclasses
import socket

import pymysql
import pytest
import trustme
from pymysql.constants import FIELD_TYPE

from common import certificates, csv_blocks, mysql
from tests.database.conftest import RDS_HOST

STRICT = "STRICT_TRANS_TABLES", "ERROR_FOR_DIVISION_BY_ZERO", "NO_ENGINE_SUBSTITUTION"
# What is asked, and what each answers: a value, or an error's number.
DIFFERENT = {
    "SELECT @@collation_database": {
        "mariadb": "utf8mb4_unicode_ci",
        "mysql": "utf8mb4_0900_ai_ci",
    },
    "SELECT plugin FROM mysql.user WHERE user = 'mimamori_admin'": {
        "mariadb": "mysql_native_password",
        "mysql": "caching_sha2_password",
    },
    "SELECT @@GLOBAL.sql_mode": {
        "mariadb": ",".join((*STRICT[:2], "NO_AUTO_CREATE_USER", STRICT[2])),
        "mysql": ",".join(
            ("ONLY_FULL_GROUP_BY", STRICT[0], "NO_ZERO_IN_DATE", "NO_ZERO_DATE", *STRICT[1:])
        ),
    },
    "SELECT @@event_scheduler": {"mariadb": "OFF", "mysql": "ON"},
    "SELECT @@max_statement_time": {"mariadb": 0.0, "mysql": 1193},
    "SELECT @@max_execution_time": {"mariadb": 1193, "mysql": 0},
    "SELECT MD5('a')": {"mariadb": "0cc175b9c0f1b6a831c399e269772661", "mysql": 1305},
    "SELECT SHA1('a')": {"mariadb": "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8", "mysql": 1305},
    "SELECT 'a' REGEXP '('": {"mariadb": 1139, "mysql": 3691},
}
SAME = {
    "SELECT @@sql_mode": "NO_ENGINE_SUBSTITUTION",  # of our own sessions
    "SELECT SHA2('a', 256)": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    "SELECT 1e-10": 1e-10,
    "SELECT CAST(JSON_OBJECT('a', 1) AS CHAR)": '{"a": 1}',
}


def _answer(connection, sql):
    with connection.cursor() as cursor:
        try:
            cursor.execute(sql)
        except pymysql.MySQLError as error:
            return error.args[0]
        return cursor.fetchone()[0]


@pytest.mark.parametrize("sql", [*DIFFERENT, *SAME])
def test_what_each_answers(settings, server, sql):
    connection = mysql.connect(settings, 10)
    with connection:
        assert _answer(connection, sql) == (
            DIFFERENT[sql][server] if sql in DIFFERENT else SAME[sql]
        )


# As they are sent, and as they are joined to text.
NUMBERS = {
    ("FLOAT", "1e-15"): {
        "mariadb": ("0.000000000000001", "0.000000000000001"),
        "mysql": ("0.000000000000001", "1e-15"),
    },
    ("DOUBLE", "1.5000000000000002e-13"): {
        "mariadb": ("0.00000000000015000000000000002", "0.00000000000015000000000000002"),
        "mysql": ("0.00000000000015000000000000002", "1.5000000000000002e-13"),
    },
    ("DOUBLE", "1e22"): {"mariadb": ("1e22", "1e22"), "mysql": ("1e22", "1e22")},
}


@pytest.mark.parametrize(("type_", "value"), NUMBERS)
def test_a_number_as_it_is_sent_and_as_text(settings, server, execute, type_, value):
    execute(
        "DROP TABLE IF EXISTS fl",
        f"CREATE TABLE fl (f {type_})",
        f"INSERT INTO fl VALUES ({value})",
    )
    snapshot = csv_blocks.snapshot(settings, seconds=10, time_zone="+00:00")
    with snapshot as connection, connection.cursor() as cursor:
        cursor.execute("SELECT f, CONCAT(f) FROM fl")
        told = tuple(text.decode() for text in cursor.fetchone())
    assert told == NUMBERS[type_, value][server]
    execute("DROP TABLE fl")


def test_the_type_of_json(server, execute, settings):
    execute(
        "DROP TABLE IF EXISTS js", "CREATE TABLE js (j JSON)", "INSERT INTO js VALUES ('[1,2]')"
    )
    connection = mysql.connect(settings, 10)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT j FROM js")
        told = cursor.description[0][1], cursor.fetchone()[0]
    assert (
        told
        == {
            "mariadb": (FIELD_TYPE.BLOB, "[1,2]"),
            "mysql": (FIELD_TYPE.JSON, "[1, 2]"),
        }[server]
    )
    execute("DROP TABLE js")


def test_plans_are_a_table_only_where_they_are_asked_for_as_one(server, execute):
    [first, *_] = execute("EXPLAIN SELECT * FROM numbers WHERE seq = 5")
    assert (len(first) == 1) is (server == "mysql")
    [first, *_] = execute("EXPLAIN FORMAT = TRADITIONAL SELECT * FROM numbers WHERE seq = 5")
    assert first[1] == "SIMPLE"
    assert "const" in first


def test_a_reader_has_limits_and_may_not_write(settings, server):
    with mysql.reading(settings, seconds=60, rows=3, longest=60) as cursor:
        assert mysql.is_mariadb(cursor.connection) is (server == "mariadb")
        assert cursor.execute("SELECT seq FROM numbers") == 3
        with pytest.raises(pymysql.MySQLError) as failed:
            cursor.execute("INSERT INTO numbers VALUES (-1)")
        assert failed.value.args[0] == 1792
        first = cursor.connection.thread_id()
    # Several rows: on MySQL a SLEEP that is interrupted in the last row ends as any other.
    with mysql.reading(settings, seconds=1, rows=3, longest=60) as cursor:
        assert cursor.connection.thread_id() == first
        with pytest.raises(pymysql.MySQLError) as failed:
            cursor.execute("SELECT SLEEP(60) FROM numbers")
        assert failed.value.args[0] == {"mariadb": 1969, "mysql": 3024}[server]
    with mysql.reading(settings, seconds=60, rows=1, longest=60) as cursor:
        assert cursor.execute("SELECT seq FROM numbers") == 1


def test_a_wrong_password_is_refused(settings):
    with pytest.raises(pymysql.OperationalError) as failed:
        mysql.connect(dataclasses.replace(settings, password="wrong"), 5)
    assert failed.value.args[0] == 1045


@pytest.fixture
def on_rds(settings, monkeypatch):
    """The same server under a name of RDS's, and `rds` as its authority."""
    real = socket.getaddrinfo

    def resolve(host, *rest, **options):
        return real("127.0.0.1" if host == RDS_HOST else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    mysql._issuer.cache_clear()
    return dataclasses.replace(settings, host=RDS_HOST, ca="rds")


@pytest.mark.parametrize("ca", ["rds", "another's"])
def test_a_certificate_of_another_authority_is_refused(on_rds, ca):
    pem = {"rds": "rds", "another's": trustme.CA().cert_pem.bytes().decode()}[ca]
    with pytest.raises(pymysql.OperationalError) as failed:
        mysql.connect(dataclasses.replace(on_rds, ca=pem), 5)
    code, said = failed.value.args
    assert code == 2003
    assert said.startswith(f"the certificate of {RDS_HOST}, signed by 'Mimamori on a laptop, ")
    assert "is refused: self-signed certificate in certificate chain. database.ca is" in said
    assert failed.value.__suppress_context__
    assert ("database.ca is rds, RDS's own roots" in said) is (ca == "rds")
    assert ("database.ca is PEM: give that of the root" in said) is (ca != "rds")


def test_a_certificate_of_the_regions_roots_is_taken(on_rds, settings, tmp_path, monkeypatch):
    """RDS's roots sign nothing for a test: another one stands in the region's file."""
    monkeypatch.setattr(certificates, "RDS_ROOTS", tmp_path)
    (tmp_path / "ap-northeast-1.pem").write_text(settings.ca)
    with mysql.connect(on_rds, 5) as connection:
        assert _tls(connection).startswith("TLS")


def test_off_verifies_nothing_and_takes_tls_where_there_is_some(on_rds):
    with mysql.connect(dataclasses.replace(on_rds, ca="off"), 5) as connection:
        assert _tls(connection).startswith("TLS")


def _tls(connection):
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_version'")
        return cursor.fetchone()[1]
