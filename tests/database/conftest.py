"""A real MariaDB and a real MySQL of the tests' own, with TLS, and nothing around them.

Each test that reads a database is run on both. What a test expects of one of them only stands in
its table, by the server's name.
"""

import psutil
import pymysql
import pytest

import database
import mysql_server
from common import mysql
from tests.support import free_port, until

# The servers' certificate is for this name, too, as on RDS.
RDS_HOST = "db.abcdefghijkl.ap-northeast-1.rds.amazonaws.com"
SERVERS = {"mariadb": database, "mysql": mysql_server}
# MariaDB's default; MySQL's is 64 MB.
PACKET = "--max-allowed-packet=16M"
# What these servers hold need not outlive a power cut.
OPTIONS = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF", PACKET)


@pytest.fixture(scope="session", params=SERVERS)
def server(request):
    """The name of the server that a test runs on."""
    return request.param


@pytest.fixture(scope="session")
def settings(server, tmp_path_factory):
    """Where the database `service` is, for its administrator; it may write, too."""
    folder, port, made = tmp_path_factory.mktemp(server), free_port(), SERVERS[server]
    database.ensure_certificates(folder / "tls", RDS_HOST)
    try:
        made.write_settings(folder, port, "reader", "admin")
    except mysql_server.Unavailable as missing:
        pytest.skip(f"not run on MySQL: {missing}")
    made.ensure_data(folder / "database", {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    known = mysql.Settings(
        host="127.0.0.1",
        port=port,
        name=database.NAME,
        user=database.ADMIN,
        password="admin",
        ca=(folder / "tls/ca.pem").read_text(),
    )
    with (folder / "log").open("wb") as log:
        process = psutil.Popen([*made.command(), *OPTIONS], cwd=folder, stdout=log, stderr=log)
    try:
        until(lambda: _answers(known, process, folder / "log"), 120)
        _fill(known)
        yield known
    finally:
        process.kill()
        process.wait()


def _answers(known, process, log):
    try:
        mysql.connect(known, 5).close()
    except pymysql.MySQLError:
        assert process.poll() is None, log.read_text()
        return False
    return True


def _fill(known):
    """Make the tables `digits`, of ten rows, and `numbers`, whose `seq` goes from 0 to 99,999."""
    connection = mysql.connect(known, 60, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE digits (digit INT NOT NULL PRIMARY KEY)")
        cursor.execute("INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)")
        cursor.execute("CREATE TABLE numbers (seq INT NOT NULL PRIMARY KEY)")
        value = " + ".join(f"{10**place} * d{place}.digit" for place in range(5))
        tables = ", ".join(f"digits d{place}" for place in range(5))
        cursor.execute(f"INSERT INTO numbers SELECT {value} AS seq FROM {tables} ORDER BY seq")
        cursor.execute("ANALYZE TABLE digits, numbers")
    connection.close()


@pytest.fixture(scope="session")
def version(settings):
    """The server's version, as it says it itself."""
    connection = mysql.connect(settings, 60)
    told = connection.get_server_info()
    connection.close()
    return told.removeprefix("5.5.5-")  # MariaDB's, for clients of old


@pytest.fixture(autouse=True)
def _told(request, record_property):
    if "settings" in request.fixturenames:
        server, version = map(request.getfixturevalue, ("server", "version"))
        record_property("server", f"{server} {version}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Let all that is skipped for one reason be one line of the summary."""
    report = yield
    if report.skipped and report.when == "setup":
        report.longrepr = (__file__, 1, report.longrepr[2])
    return report


def pytest_terminal_summary(terminalreporter):
    """Say which versions of the servers the tests ran on."""
    told = (
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "server"
    )
    if servers := sorted(set(told)):
        terminalreporter.write_line(f"database servers: {', '.join(servers)}")


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
