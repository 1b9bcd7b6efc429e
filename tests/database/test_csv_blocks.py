"""The fast ways give the bytes of Python's csv module, whatever is in the table."""

import csv
import decimal
import io
import json
import string
from dataclasses import dataclass, replace
from datetime import timedelta

import pymysql
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from common import csv_blocks, mysql
from common.csv_blocks import Source, read, snapshot
from common.csv_form import Form

FORM = Form()

TYPES = {
    "tiny": "TINYINT",
    "yes": "BOOL",
    "big": "BIGINT UNSIGNED",
    "filled": "INT(8) ZEROFILL",
    "dec": "DECIMAL(20,4)",
    "flo": "FLOAT",
    "dou": "DOUBLE",
    "fixed": "DOUBLE(12,3)",
    "bits": "BIT(12)",
    "year": "YEAR",
    "chars": "CHAR(9)",
    "latin": "VARCHAR(60) CHARACTER SET latin1",
    "cp": "VARCHAR(60) CHARACTER SET cp932",
    "wide": "VARCHAR(60) CHARACTER SET utf16",
    "exact": "VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "txt": "MEDIUMTEXT",
    "bin": "BINARY(4)",
    "varbin": "VARBINARY(40)",
    "blobs": "BLOB",
    "en": "ENUM('a','-b','c,d')",
    "se": "SET('x','y','=z')",
    "js": "JSON",
    "day": "DATE",
    "moment": "DATETIME(3)",
    "stamp": "TIMESTAMP(6) NULL",
    "clock": "TIME(2)",
    "point": "GEOMETRY",
    "doubled": "INT AS (tiny * 2) VIRTUAL",
}
# What one of the servers only has.
OWN = {"mariadb": {"uid": "UUID", "ip4": "INET4", "ip6": "INET6"}, "mysql": {}}
# These are not read the fast ways: MySQL joins them to text in another form than it sends them in.
SLOW = {"mariadb": [], "mysql": ["flo", "dou", "fixed"]}
NUMBERS = {"tiny", "yes", "big", "filled", "dec", "flo", "dou", "fixed", "year", "doubled"}
BINARY = {"bin", "varbin", "blobs", "point"}
ROWS = [
    {},
    dict.fromkeys(("chars", "latin", "cp", "wide", "exact", "txt", "varbin", "blobs"), ""),
    {"txt": '"quoted", and\r\nlines\n', "exact": "=1+1", "chars": "  a ", "latin": "é-"},
    {"txt": "🍣 寿司", "cp": "表計算ソ", "wide": "𠮷野家", "exact": "+81", "chars": "-1"},
    {"txt": "\ttab", "exact": "\rreturn", "chars": "\nline", "cp": "'", "wide": "\\"},
    {"latin": "@é\0"},
    {"tiny": -128, "yes": True, "big": 2**64 - 1, "filled": 42, "dec": "-0.0001", "year": 1901},
    {"tiny": 0, "big": 0, "dec": "0.0000", "flo": 16777216, "dou": 1e22, "fixed": 1.5, "year": 0},
    {"flo": 1e-7, "dou": 1e-7}, {"flo": 3.14159, "dou": 0.1 + 0.2}, {"flo": -0.0, "dou": 1e300},
    {"bits": 65, "bin": b"\0\xff", "varbin": b"\xde\xad", "blobs": bytes(range(256))},
    {"bits": 4095, "en": "-b", "se": "x,=z", "js": '{"a": "=1", "b": [1, null]}'},
    {"en": "c,d", "js": '"-5"'}, {"js": "-5"}, {"js": "null"},
    {"day": "0000-00-00", "moment": "0000-00-00 00:00:00", "clock": "-838:59:59.99"},
    {"day": "2026-00-00", "moment": "2026-11-23 01:02:03.004", "clock": "100:00:01.5"},
    {"stamp": "2026-11-23 00:00:00.000001", "uid": "123e4567-e89b-12d3-a456-426655440000"},
    {"ip4": "127.0.0.1", "ip6": "::1", "doubled": None, "tiny": 7},
]  # fmt: skip


@dataclass
class Kinds:
    """The table `kinds`: its columns, and the query of those that each way can read."""

    cursor: pymysql.cursors.Cursor
    columns: list[str]
    fast: str

    def insert(self, row):
        row = {name: value for name, value in row.items() if name in self.columns}
        names = ", ".join(f"`{name}`" for name in row)
        marks = ", ".join(["%s"] * len(row))
        self.cursor.execute(f"INSERT INTO kinds ({names}) VALUES ({marks})", list(row.values()))


@pytest.fixture(scope="module")
def table(settings, server):
    types = TYPES | OWN[server]
    columns = ", ".join(f"`{name}` {kind}" for name, kind in types.items())
    fast = ", ".join(f"`{name}`" for name in types if name not in SLOW[server])
    connection = mysql.connect(settings, 60, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE kinds (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, {columns})"
        )
        cursor.execute("SET sql_mode = ''")  # zero dates
        kinds = Kinds(
            cursor, [one for one in types if one != "doubled"], f"SELECT id, {fast} FROM kinds"
        )
        for row in ROWS:
            kinds.insert(row)
        cursor.execute("UPDATE kinds SET point = ST_GeomFromText('POINT(1 2)') WHERE id % 3 = 0")
        yield kinds
    connection.close()


class Number(decimal.Decimal):
    """A number to csv, shown as the server wrote it."""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __str__(self):
        return self.text


class Nothing(float):
    """A 'number' that is shown as NULL is."""

    def __new__(cls, text):
        self = super().__new__(cls)
        self.text = text
        return self

    def __str__(self):
        return self.text

    __repr__ = __str__


def reference(settings, sql, form=FORM):
    """Make the same by Python's csv module, over a cursor that decodes no type."""
    conv = {k: v for k, v in pymysql.converters.conversions.items() if not isinstance(k, int)}
    connection = mysql.connect(settings, 60, conv=conv)
    with connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+09:00'")
        cursor.execute(sql)
        names = [column[0] for column in cursor.description]
        out = io.StringIO(newline="")
        writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
        for row in cursor.fetchall():
            writer.writerow(_told(n, v, form) for n, v in zip(names, row, strict=True))
    connection.close()
    return out.getvalue().encode()


TEXTS = {"chars", "latin", "cp", "wide", "exact", "txt", "en", "se", "js", "uid", "ip4", "ip6"}


def _told(name, value, form):
    if value is None:
        return Nothing(form.null)
    if name in NUMBERS or name == "id":
        return Number(value)
    if name == "bits":
        return Number(str(int.from_bytes(value, "big")))
    if name in BINARY:
        return value.hex().upper()
    if name in TEXTS and form.guard and value[:1] in set("=+-@\t\r"):
        return "'" + value
    return value


def ours(settings, sql, key=None, form=FORM, **options):
    with snapshot(settings, seconds=300, time_zone="+09:00") as connection:
        reading = read(connection, Source(sql, key), form, **options)
        blocks = list(reading.blocks)
    return reading, b"".join(block.data for block in blocks), blocks


ALL = "SELECT * FROM kinds"


@pytest.mark.parametrize("form", [Form(), Form(guard=False), Form(null="\\N")], ids=repr)
@pytest.mark.parametrize("way", ["keys", "lines", "plain"])
def test_each_way_gives_what_csv_gives(settings, table, way, form):
    sql = f"{ALL} ORDER BY id" if way == "plain" else table.fast
    expected = reference(settings, sql if way == "plain" else f"{sql} ORDER BY id", form)

    reading, got, blocks = ours(settings, sql, "id" if way == "keys" else None, form)

    assert reading.way == way
    assert got.split(b"\r\n") == expected.split(b"\r\n")
    assert got == expected
    assert sum(block.rows for block in blocks) == len(ROWS)


# What a server may be set to, by the server.
MODES = {
    "mariadb": (
        "EMPTY_STRING_IS_NULL",
        "ANSI_QUOTES,PIPES_AS_CONCAT,IGNORE_SPACE",
        "NO_BACKSLASH_ESCAPES",
        "PAD_CHAR_TO_FULL_LENGTH",
        "ORACLE",
    ),
    "mysql": (
        "ANSI_QUOTES,PIPES_AS_CONCAT,IGNORE_SPACE",
        "NO_BACKSLASH_ESCAPES",
        "PAD_CHAR_TO_FULL_LENGTH",
    ),
}


@pytest.fixture
def server_mode(execute):
    """Return a function that gives the server, and so each new session, a sql_mode."""
    [[before]] = execute("SELECT @@GLOBAL.sql_mode")
    yield lambda mode: execute("SET GLOBAL sql_mode = %s", args=[mode])
    execute("SET GLOBAL sql_mode = %s", args=[before])


@pytest.mark.parametrize("way", ["keys", "lines", "plain"])
def test_a_servers_sql_mode_changes_nothing(settings, server, table, server_mode, way):
    """Of text all lines were lost but those with a guard, and both were counted as rows."""
    sql = """SELECT id, IF(id % 2, 'x', '=1') AS txt, 1 || 2 AS one, "='s" AS said,
        CHAR_LENGTH(chars) AS size FROM kinds"""
    sql += " ORDER BY id" if way == "plain" else ""
    key = "id" if way == "keys" else None
    expected = ours(settings, sql, key)
    for mode in MODES[server]:
        server_mode(mode)
        got = ours(settings, sql, key)
        assert got[0] == replace(expected[0], blocks=got[0].blocks), mode
        assert got[1] == expected[1], mode


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)  # MySQL has no such mode
@pytest.mark.parametrize("key", ["k", None], ids=["keys", "lines"])
def test_rows_without_a_line_are_no_file(settings, made, monkeypatch, key):
    """Whatever the cause is: here a mode in which '' is NULL, and a line that joins it."""
    made(
        "k INT NOT NULL PRIMARY KEY, v VARCHAR(9) NOT NULL",
        "INSERT INTO made SELECT seq, IF(seq % 3, 'a\r\nb', '=1') FROM numbers WHERE seq < 3000",
    )
    sql = "SELECT k, v FROM made"
    assert sum(block.rows for block in ours(settings, sql, key)[2]) == 3000
    monkeypatch.setattr(mysql, "SQL_MODE", "EMPTY_STRING_IS_NULL")
    with pytest.raises(csv_blocks.Unfit, match="no line"):
        ours(settings, sql, key)


@pytest.mark.parametrize("name", [*TYPES, "own"])
def test_a_column_alone(settings, server, table, name):
    for column in OWN[server] if name == "own" else [name]:
        sql = f"SELECT `{column}` FROM kinds"
        expected = reference(settings, f"{sql} ORDER BY id")

        reading, got, _ = ours(settings, sql)
        assert reading.way == ("plain" if column in SLOW[server] else "lines")
        assert got == expected
        assert ours(settings, f"{sql} ORDER BY id")[1] == expected


def _texts(encoding, size):
    alphabet = st.characters(codec=encoding, exclude_categories=["Cs"])
    special = st.sampled_from(
        ['"', ",", "\r", "\n", "\r\n", "=", "+", "-", "@", "\t", "'", "\\", "\0"]
    )
    return st.lists(alphabet | special, max_size=size).map("".join).map(lambda text: text[:size])


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "tiny": st.integers(-128, 127),
        "big": st.integers(0, 2**64 - 1),
        "filled": st.integers(0, 99_999_999),
        "dec": st.decimals(-(10**15), 10**15, places=4),
        "flo": st.floats(width=32, allow_nan=False, allow_infinity=False),
        "dou": st.floats(allow_nan=False, allow_infinity=False),
        "bits": st.integers(0, 4095),
        "chars": _texts("utf-8", 9),
        "latin": _texts("latin-1", 30),
        "wide": _texts("utf-8", 30),
        "exact": _texts("utf-8", 60),
        "txt": st.text(st.sampled_from('",\r\n=-x🍣' + string.printable), max_size=300),
        "varbin": st.binary(max_size=40),
        "blobs": st.binary(max_size=300),
        "js": st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists).map(
            lambda value: json.dumps(value, ensure_ascii=False)
        ),
        "moment": st.datetimes(),
        "clock": st.timedeltas(timedelta(hours=-838), timedelta(hours=838)),
    },
)


@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(VALUES, min_size=1, max_size=20), null=st.sampled_from(["", "\\N"]))
def test_any_values(settings, table, rows, null):
    table.cursor.execute("DELETE FROM kinds WHERE id > 1000")
    table.cursor.execute("ALTER TABLE kinds AUTO_INCREMENT = 1001")
    for row in rows:
        table.insert(row)
    form = Form(null=null)
    expected = reference(settings, f"{table.fast} ORDER BY id", form)

    for key, way in (("id", "keys"), (None, "lines")):
        reading, got, _ = ours(settings, table.fast, key, form)
        assert (reading.way, got) == (way, expected)
    expected = reference(settings, f"{ALL} ORDER BY id", form)
    assert ours(settings, ALL, form=form, plain=True)[1] == expected
    table.cursor.execute("DELETE FROM kinds WHERE id > 1000")


@pytest.fixture
def made(execute):
    """Return a function that makes a table `made` of these columns and rows."""

    def make(columns, *inserts):
        execute("DROP TABLE IF EXISTS made", f"CREATE TABLE made ({columns})", *inserts)

    yield make
    execute("DROP TABLE IF EXISTS made")


KEYS = {
    "integers with holes": (
        "k BIGINT NOT NULL PRIMARY KEY",
        "IF(seq < 3000, -seq * 3, seq * 1000000007)",
    ),
    "the largest": ("k BIGINT UNSIGNED NOT NULL PRIMARY KEY", "18446744073709551615 - seq"),
    "several rows a key": ("k INT NOT NULL, KEY (k)", "seq DIV 3"),
    "decimals": ("k DECIMAL(12,3) NOT NULL PRIMARY KEY", "seq / 7"),
    "uuids": {
        "mariadb": ("k UUID NOT NULL PRIMARY KEY", "UUID()"),
        "mysql": ("k BINARY(16) NOT NULL PRIMARY KEY", "UUID_TO_BIN(UUID())"),
    },
    "uuids as bytes": (
        "k BINARY(32) NOT NULL PRIMARY KEY",
        "UNHEX(SHA2(seq, 256))",
    ),
    "text": ("k VARCHAR(40) NOT NULL PRIMARY KEY", "CONCAT('O''Re\\\\ily \"', seq)"),
    "text in latin1": (
        "k VARCHAR(40) CHARACTER SET latin1 NOT NULL PRIMARY KEY",
        "CONCAT('é', seq)",
    ),
    "times": ("k DATETIME(3) NOT NULL PRIMARY KEY", "'2020-01-01' + INTERVAL seq MINUTE"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_any_key(settings, server, made, monkeypatch, kind):
    monkeypatch.setattr(csv_blocks, "BLOCK", 20_000)
    column, value = KEYS[kind][server] if isinstance(KEYS[kind], dict) else KEYS[kind]
    made(
        f"{column}, seq INT NOT NULL, v VARCHAR(50)",
        f"INSERT INTO made SELECT {value}, seq, CONCAT('v', seq) FROM numbers"
        " WHERE seq BETWEEN 1 AND 6000",
    )
    sql = "SELECT k, seq, v FROM made"

    reading, got, blocks = ours(settings, sql, "k")

    plain = ours(settings, f"{sql} ORDER BY k, seq")[1]
    assert (reading.way, len(blocks) > 2) == ("keys", True)
    assert got == plain
    assert max(len(block.data) for block in blocks) < 100_000

    middle = blocks[len(blocks) // 2]
    rest = ours(settings, sql, "k", after=middle.position)[1]
    assert got.endswith(rest)
    assert len(got) - len(rest) == got.index(middle.data) + len(middle.data)


WHY = {
    "SELECT id, tiny FROM kinds": ("other", "its key other is no column of it"),
    "SELECT tiny AS k FROM kinds": ("k", "its key k may be NULL"),
    "SELECT a.id AS k FROM kinds a LEFT JOIN kinds b ON FALSE": ("k", ""),
    "SELECT b.id AS k FROM kinds a LEFT JOIN kinds b ON a.id = b.id": ("k", "may be NULL"),
    "SELECT COALESCE(tiny, 0) AS k FROM kinds": ("k", "no index leads the server by k"),
    "SELECT id AS k, COUNT(*) FROM kinds GROUP BY id, tiny": ("k", "would make its part DERIVED"),
    "SELECT id AS k FROM kinds LIMIT 3": ("k", "would make its part DERIVED"),
    "SELECT id AS k FROM kinds UNION SELECT 5": ("k", "would make its part DERIVED"),
}


@pytest.mark.parametrize("sql", WHY)
def test_a_key_that_does_not_serve_is_told(settings, table, sql):
    key, why = WHY[sql]
    reading, got, _ = ours(settings, sql, key)
    assert (reading.way == "keys") is (why == "")
    assert why in reading.why
    assert sorted(got.split()) == sorted(ours(settings, sql, plain=True)[1].split())


@pytest.mark.parametrize("type_", ["ENUM('pending', 'paid', 'cancelled')", "SET('z', 'a', 'm')"])
def test_a_key_that_is_ordered_by_number_and_compared_as_text_is_not_gone_by(settings, made, type_):
    names = "'z', 'a', 'm'" if type_.startswith("SET") else "'pending', 'paid', 'cancelled'"
    made(
        f"k {type_} NOT NULL, n INT NOT NULL, INDEX (k)",
        f"INSERT INTO made SELECT ELT(1 + seq % 3, {names}), seq FROM numbers"
        " WHERE seq BETWEEN 1 AND 9000",
    )
    reading, got, _ = ours(settings, "SELECT k, n FROM made", "k")
    assert (reading.way, reading.why) == ("lines", "its key k is of a type that cannot be gone by")
    assert got.count(b"\r\n") == 9000


@pytest.mark.parametrize(
    ("index", "way"), [("", "lines"), (", INDEX (k)", "keys")], ids=["no index", "index"]
)
@pytest.mark.parametrize(
    ("type_", "value", "since"),
    [("INT", "seq + 100", "50"), ("DATETIME", "'2026-01-01' + INTERVAL seq HOUR", "'2026-01-02'")],
    ids=["INT", "DATETIME"],
)
def test_what_a_query_asks_of_its_own_key_hides_no_missing_index(
    settings, made, index, way, type_, value, since
):
    made(
        f"k {type_} NOT NULL, n INT NOT NULL{index}",
        f"INSERT INTO made SELECT {value}, seq FROM numbers WHERE seq BETWEEN 1 AND 20000",
    )
    sql = f"SELECT k, n FROM made WHERE k >= {since}"
    reading, got, _ = ours(settings, sql, "k")
    assert reading.way == way
    assert sorted(got.split()) == sorted(ours(settings, sql, plain=True)[1].split())
    assert ours(settings, "SELECT k, n FROM made WHERE k < 0", "k")[1] == b""


def test_a_connection_that_broke_says_so(settings, execute):
    with snapshot(settings, seconds=300, time_zone="+09:00") as connection:
        execute(f"KILL {connection.thread_id()}")
        with pytest.raises(pymysql.OperationalError, match="Lost connection"):
            read(connection, Source("SELECT id FROM people"), FORM)


@pytest.mark.parametrize(
    ("sql", "way"),
    [
        ("SELECT id FROM kinds ORDER BY id DESC", "plain"),
        ("SELECT id FROM kinds ORDER  \n BY id DESC LIMIT 2", "plain"),
        ("SELECT id, (SELECT 1 ORDER BY 1) FROM kinds -- ORDER BY", "lines"),
        ("SELECT id, ROW_NUMBER() OVER (ORDER BY id) FROM kinds # ORDER BY x", "lines"),
        (
            "SELECT 'ORDER BY', \"it''s ORDER BY\" AS `an ORDER BY` FROM kinds /* ORDER BY */",
            "lines",
        ),
        ("SELECT id -- a table's\nFROM kinds -- and\nORDER BY id -- its order's", "plain"),
        ("SELECT id FROM kinds --\nORDER BY id", "plain"),
        ("SELECT id FROM kinds -- it's not an\n/* (' */ WHERE 'ORDER BY \\'' <> '/*'", "lines"),
        ("SELECT id, id FROM kinds", "plain"),
        ("SELECT 1 AS a, 2 AS a", "plain"),
        ("SHOW TABLES", "plain"),
        ("WITH x AS (SELECT 1 AS a) SELECT a FROM x", "lines"),
        ("SELECT id, @@time_zone AS zone, 'a@b' AS mail FROM kinds", "lines"),
    ],
)
def test_which_way(settings, table, sql, way):
    reading, got, _ = ours(settings, sql)
    assert reading.way == way
    assert got == ours(settings, sql, plain=True)[1]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT id, @n := @n + 1 AS n FROM kinds, (SELECT @n := 0) one", "user variables"),
        ("SELECT id, @`n` AS n FROM kinds", "user variables"),
        ("SELECT id, ROW_NUMBER() OVER () AS n FROM kinds", "no ORDER BY"),
        ("SELECT id, ROW_NUMBER() OVER(PARTITION BY (id % 2)) AS n FROM kinds", "no ORDER BY"),
        (
            "SELECT id, SUM(id) OVER (PARTITION BY (SELECT 1 ORDER BY 1)) AS n FROM kinds",
            "no ORDER BY",
        ),
        ("SELECT id, COUNT(*) OVER w AS n FROM kinds WINDOW w AS (ORDER BY id)", "no ORDER BY"),
    ],
)
def test_what_depends_on_the_order_of_reading_is_read_once(settings, table, sql, why):
    reading, got, _ = ours(settings, sql, "id")
    assert reading.way == "plain"
    assert why in reading.why
    assert len(got.split()) == len(ROWS)


def test_a_value_that_would_be_cut_is_whole(settings, made, monkeypatch):
    """Text of several MB, all quotes, among small ones: the server would not come to an end."""
    made(
        "k INT NOT NULL PRIMARY KEY, v LONGTEXT",
        "INSERT INTO made SELECT seq, seq FROM numbers WHERE seq BETWEEN 1 AND 3000",
        "UPDATE made SET v = REPEAT('é\"', 3000000) WHERE k IN (7, 8, 1500)",
        "UPDATE made SET v = REPEAT('é\"', 3000) WHERE k > 2500",
    )
    sql = "SELECT k, v FROM made"
    got = ours(settings, sql, "k")[1]
    assert got == ours(settings, f"{sql} ORDER BY k")[1]
    assert len(got) > 3 * 12_000_000
    with pytest.raises(csv_blocks.Unfit, match="long text"):
        ours(settings, sql)


def test_bytes_that_would_be_cut_are_whole(settings, made):
    made(
        "k INT NOT NULL PRIMARY KEY, v LONGBLOB",
        "INSERT INTO made SELECT seq, seq FROM numbers WHERE seq BETWEEN 1 AND 3000",
        "UPDATE made SET v = REPEAT('x', 9000000) WHERE k IN (7, 8, 1500)",
        "UPDATE made SET v = REPEAT('x', 100000) WHERE k BETWEEN 2000 AND 2200",
    )
    sql = "SELECT k, v FROM made"
    got = ours(settings, sql, "k")[1]
    assert got == ours(settings, f"{sql} ORDER BY k")[1]
    with pytest.raises(csv_blocks.Unfit, match="max_allowed_packet"):
        ours(settings, sql)


def test_a_key_that_too_many_rows_have_is_not_gone_by(settings, made, monkeypatch, caplog):
    caplog.set_level("INFO")
    made(
        "k INT NOT NULL, v CHAR(100) NOT NULL, INDEX (k)",
        "INSERT INTO made SELECT LEAST(seq, 5000), REPEAT('x', 100) FROM numbers"
        " WHERE seq BETWEEN 1 AND 25000",
    )
    monkeypatch.setattr(csv_blocks, "_MOST", 1 << 20)
    sql = "SELECT k, v FROM made"
    got = ours(settings, sql, "k")[1]
    assert got.count(b"\r\n5000,") == 20_001
    assert "read the plain way" in caplog.messages
    monkeypatch.setattr(csv_blocks, "_MOST_OF_A_KEY", 1 << 20)
    with pytest.raises(csv_blocks.Unfit, match="too many rows have the k 5000"):
        ours(settings, sql, "k")


def test_other_warnings_of_a_query_cut_nothing(settings, made):
    made(
        "k INT NOT NULL PRIMARY KEY",
        "INSERT INTO made SELECT seq FROM numbers WHERE seq BETWEEN 1 AND 3000",
    )
    sql = "SELECT k, CAST('x' AS SIGNED) AS n FROM made"
    got = ours(settings, sql, "k")[1]
    assert got == ours(settings, f"{sql} ORDER BY k")[1]


def test_a_snapshot_may_only_read_and_sees_one_moment(settings, made, execute):
    made("k INT NOT NULL PRIMARY KEY", "INSERT INTO made VALUES (1)")
    with snapshot(settings, seconds=300, time_zone="+09:00") as connection:
        with connection.cursor() as cursor, pytest.raises(pymysql.MySQLError, match="READ ONLY"):
            cursor.execute("INSERT INTO made VALUES (2)")
        execute("INSERT INTO made VALUES (3)")
        reading = read(connection, Source("SELECT k FROM made", "k"), FORM)
        assert b"".join(block.data for block in reading.blocks) == b"1\r\n"


def test_a_reading_that_is_left_does_not_read_on(settings, made):
    made(
        "k INT NOT NULL PRIMARY KEY, v VARCHAR(500)",
        "INSERT INTO made SELECT seq, REPEAT('x', 500) FROM numbers WHERE seq BETWEEN 1 AND 100000",
    )
    with snapshot(settings, seconds=300, time_zone="+09:00") as connection:
        reading = read(connection, Source("SELECT k, v FROM made"), FORM)
        assert next(reading.blocks).rows <= 2000
