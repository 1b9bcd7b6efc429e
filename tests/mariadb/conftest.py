"""A real MariaDB of the tests' own, with TLS, and nothing around it."""

import time

import psutil
import pymysql
import pytest

import database
from common import mysql
from tests.support import free_port


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mariadb")


@pytest.fixture(scope="session")
def settings(folder):
    """Where the database `service` is, for its administrator; it may write, too."""
    port = free_port()
    database.ensure_certificates(folder / "tls")
    database.write_settings(folder, port, "reader", "admin")
    database.ensure_data(folder / "database", {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    known = mysql.Settings(
        host="127.0.0.1",
        port=port,
        name=database.NAME,
        user=database.ADMIN,
        password="admin",
        ca=(folder / "tls/ca.pem").read_text(),
    )
    with (folder / "log").open("wb") as log:
        server = psutil.Popen(database.command(), cwd=folder, stdout=log, stderr=log)
    try:
        _wait_for(known, server, folder / "log")
        yield known
    finally:
        server.kill()
        server.wait()


def _wait_for(known, server, log):
    deadline = time.monotonic() + 120
    while True:
        try:
            mysql.connect(known, 5).close()
        except pymysql.MySQLError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
        else:
            return


@pytest.fixture
def execute(settings):
    """Return a function that runs statements."""
    connection = mysql.connect(settings, 60, autocommit=True)

    def run(*statements, args=None):
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, args)
            return cursor.fetchall()

    yield run
    connection.close()
