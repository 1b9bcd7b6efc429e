"""KPIs from a real database to files on S3, and from there into the played BigQuery."""

import base64
import datetime as dt
import functools
import json
import random
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.core.base_backend import BackendDict

import seed
from common import aws, s3_file
from common.failures import RunFailed
from kpi_to_bigquery import kpi_to_s3, kpis
from sandbox.bigquery_load import load
from sandbox.bigquery_order import read_load
from sandbox.bigquery_schema import read_schema
from sandbox.bigquery_tables import add_dataset, open_warehouse
from sandbox.bigquery_types import quoted

BUCKET = "test-kpis"
DAY = dt.date(2026, 11, 22)
SALES = """
SELECT %(day)s AS day, COUNT(*) AS orders, SUM(amount) AS sales
FROM sold WHERE at >= %(day_start)s AND at < %(day_end)s
"""
COUNTED = {"day": "DATE", "orders": "INT64", "sales": "INT64"}


@pytest.fixture(scope="module")
def s3(settings):
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        BackendDict.reset()  # the unit tests play an AWS for all of a session
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
        patch.setenv("PARAMETER_PATH", "/test/myApp")
        patch.setenv("KPI_BUCKET", BUCKET)
        patch.setattr(aws, "client", functools.cache(aws.client.__wrapped__))
        for name, value in vars(settings).items():
            aws.client("ssm").put_parameter(
                Name=f"/test/myApp/DATABASE_{name.upper()}", Value=str(value), Type="SecureString"
            )
        place = {"LocationConstraint": "ap-northeast-1"}
        aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        yield aws.client("s3")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    made = open_warehouse(tmp_path_factory.mktemp("warehouse"), "p")
    with made.writing() as cursor:
        add_dataset(cursor, "p", {"datasetReference": {"datasetId": "d"}})
    yield made
    made.connection.close()


@pytest.fixture
def ours(tmp_path, monkeypatch):
    """A folder of KPIs in place of ours."""
    names, load = kpis.names, kpis.load
    monkeypatch.setattr(kpis, "FOLDER", tmp_path)
    monkeypatch.setattr(kpis, "names", lambda folder=tmp_path: names(folder))
    monkeypatch.setattr(kpis, "load", lambda name, folder=tmp_path: load(name, folder))
    return tmp_path


@pytest.fixture
def sold(execute):
    """A table of sales: one each half hour from 1 November, of as much as its number."""
    execute(
        "DROP TABLE IF EXISTS sold",
        "CREATE TABLE sold (id INT PRIMARY KEY, at DATETIME NOT NULL, amount INT)",
    )
    yield lambda first, count: execute(
        f"INSERT INTO sold SELECT seq, '{first}' + INTERVAL 30 * seq MINUTE, 1"
        f" FROM numbers WHERE seq < {count}"
    )
    execute("DROP TABLE sold")


def header(columns, **more):
    lines = [f"{name} = {json.dumps(value)}" for name, value in more.items()]
    for name, kind in columns.items():
        lines += [f"[columns.{name}]", f'type = "{kind}"']
    about = 'owner = "o"\ndescription = "d"\npartition = "day"'
    return f"/*\n{about}\n" + "\n".join(lines) + "\n*/\n"


def add(folder, name, sql, columns, **more):
    (folder / f"{name}.sql").write_text(header(columns, **more) + sql, encoding="utf-8")


def run(**event):
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
    return kpi_to_s3.handler(event, context)


def there(s3):
    return sorted(one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))


def text(s3, name, day=DAY):
    return s3.get_object(Bucket=BUCKET, Key=kpis.key(name, day))["Body"].read().decode()


def loaded(s3, warehouse, name, day=DAY):
    """Load a file as s3_to_bigquery does, and return the partition's rows as they are sent."""
    declared = kpis.load(name).header
    options = {
        "destinationTable": {"datasetId": "d", "tableId": f"{name}${day:%Y%m%d}"},
        "schema": {"fields": kpis.schema(declared)},
        "timePartitioning": {"type": "DAY", "field": declared.partition},
        "writeDisposition": "WRITE_TRUNCATE",
        "skipLeadingRows": "1",
        "nullMarker": "\\N",
        "allowQuotedNewlines": True,
        "preserveAsciiControlCharacters": True,
    }
    file = warehouse.folder / "test.upload"
    file.write_bytes(s3.get_object(Bucket=BUCKET, Key=kpis.key(name, day))["Body"].read())
    load(warehouse, read_load(warehouse, options), file)
    schema = read_schema(options["schema"])
    told = ", ".join(one.type.wire.format(x=quoted(one.name)) for one in schema)
    where = f"day = DATE '{day}' ORDER BY rowid"
    with warehouse.reading() as cursor:
        return cursor.execute(f'SELECT {told} FROM rows."d.{name}" WHERE {where}').fetchall()


@pytest.fixture(autouse=True)
def clean(s3):
    yield
    for key in there(s3):
        s3.delete_object(Bucket=BUCKET, Key=key)


def test_the_ends_of_a_day_and_what_is_between(s3, ours, sold):
    sold("2026-11-01", 48 * 30)
    add(ours, "sales", SALES, COUNTED)

    assert run(day="2026-11-22") == {"kpis": 1, "days": 1, "files": 1, "rows": 1}

    assert text(s3, "sales") == '"day","orders","sales"\r\n"2026-11-22",48,48\r\n'
    found = s3.head_object(Bucket=BUCKET, Key="kpi/sales/dt=2026-11-22/sales.csv")
    digest = kpis.digest(kpis.load("sales").header)
    assert found["Metadata"] == {"rows": "1", "day": "2026-11-22", "digest": digest}
    assert found["ContentType"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    ("zone", "day", "rows"),
    [
        ("America/New_York", "2026-03-08", 46),
        ("America/New_York", "2026-11-01", 50),
        ("Asia/Beirut", "2026-03-29", 46),  # the hour after midnight is not there
        ("America/Havana", "2026-11-01", 50),  # midnight is there twice
        ("Asia/Kathmandu", "2026-11-22", 48),
    ],
)
def test_a_day_of_23_hours_and_one_of_25(s3, ours, sold, zone, day, rows):
    sold(f"{dt.date.fromisoformat(day) - dt.timedelta(2)}", 48 * 5)
    add(ours, "sales", SALES, COUNTED, timezone=zone)

    run(day=day)

    assert text(s3, "sales", day).splitlines()[1] == f'"{day}",{rows},{rows}'


def test_a_database_with_a_clock_of_its_own(s3, ours, sold, execute):
    sold("2026-11-21", 48 * 3)
    sql = "SELECT %(day)s AS day, at FROM sold WHERE at >= %(day_start)s AND at < %(day_end)s"
    columns = {"day": "DATE", "at": "DATETIME"}
    add(ours, "sales", sql, columns, database_timezone="Asia/Tokyo")

    run(day="2026-11-22")

    lines = text(s3, "sales").splitlines()
    assert lines[1] == '"2026-11-22","2026-11-22 00:00:00"'
    assert lines[-1] == '"2026-11-22","2026-11-22 23:30:00"'


def test_a_backfill_with_a_kpi_that_fails_beside_those_that_do_not(s3, ours, sold, execute):
    sold("2026-11-01", 48 * 30)
    add(ours, "bad", "SELECT %(day)s AS day, nothing FROM sold", {"day": "DATE"})
    add(ours, "broken", SALES, COUNTED | {"day": "DAY"})
    add(ours, "sales", SALES, COUNTED)
    add(ours, "weekly", SALES, COUNTED, group="weekly")

    with pytest.raises(RunFailed, match="^4 of 7 failed: broken: broken.sql: header: ") as failed:
        run(**{"from": "2026-11-20", "to": "2026-11-22", "group": "daily"})

    assert "columns.day.type: got 'DAY', takes one of STRING" in str(failed.value)
    for day in (20, 21, 22):
        assert f"bad.sql of 2026-11-{day}: (1054, " in str(failed.value)
    assert there(s3) == [f"kpi/sales/dt=2026-11-{day}/sales.csv" for day in (20, 21, 22)]

    execute("UPDATE sold SET amount = 2")
    run(day="2026-11-21", kpis=["sales"])
    assert [text(s3, "sales", f"2026-11-{day}")[-5:-2] for day in (20, 21, 22)] == [
        ",48",
        ",96",
        ",48",
    ]


def test_text_that_csv_would_blur(s3, ours, warehouse, execute):
    odd = [None, "", "a\r\nb\nc", 'say "hi", twice', "🍣 寿司", "NULL", "=1+1", " ", "\\", "\\n"]
    execute("DROP TABLE IF EXISTS odd", "CREATE TABLE odd (id INT PRIMARY KEY, t TEXT)")
    for number, value in enumerate(odd):
        execute("INSERT INTO odd VALUES (%s, %s)", args=[number, value])
    columns = {"day": "DATE", "id": "INT64", "t": "STRING"}
    for name, tail, more in (
        ("lines", "", {}),
        ("keys", "", {"key": "id"}),
        ("plain", "ORDER BY id", {}),
    ):
        add(ours, name, f"SELECT %(day)s AS day, id, t FROM odd {tail}", columns, **more)

    run(day="2026-11-22")

    for name in kpis.names():
        assert [row[2] for row in loaded(s3, warehouse, name)] == odd
    assert text(s3, "lines") == text(s3, "keys") == text(s3, "plain")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
# What is declared, what it is in MySQL, its values, and how BigQuery's wire is read.
KINDS = {
    "c_int": ("INT64", "BIGINT", st.integers(-(2**63), 2**63 - 1), int),
    "c_year": ("INT64", "YEAR", st.integers(1901, 2155), int),
    "c_bit": ("INT64", "BIT(20)", st.integers(0, 2**20 - 1), int),
    "c_whole": ("INT64", "DECIMAL(18)", st.integers(-(10**17), 10**17), int),
    "c_bool": ("BOOL", "BOOL", st.booleans(), lambda told: told == "true"),
    "c_flo": ("FLOAT64", "DOUBLE", st.floats(allow_nan=False, allow_infinity=False), float),
    "c_num": ("NUMERIC", "DECIMAL(38,9)", st.decimals(-(10**28), 10**28, places=9), Decimal),
    "c_big": ("BIGNUMERIC", "DECIMAL(65,30)", st.decimals(-(10**34), 10**34, places=30), Decimal),
    "c_text": ("STRING", "TEXT", TEXT.filter(lambda text: text != "\\N"), str),
    "c_latin": (
        "STRING",
        "VARCHAR(60) CHARACTER SET latin1",
        st.text(st.characters(codec="cp1252"), max_size=60),
        str,
    ),
    "c_id": ("STRING", "BIGINT UNSIGNED", st.integers(0, 2**64 - 1), int),
    "c_bytes": ("BYTES", "BLOB", st.binary(max_size=200), base64.b64decode),
    "c_date": ("DATE", "DATE", st.dates(), dt.date.fromisoformat),
    "c_at": ("DATETIME", "DATETIME(6)", st.datetimes(), dt.datetime.fromisoformat),
    "c_time": ("TIME", "TIME(6)", st.times(), dt.time.fromisoformat),
    "c_stamp": (
        "TIMESTAMP",
        "TIMESTAMP(6) NULL",
        st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2038, 1, 18)),  # noqa: DTZ001
        lambda told: dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=int(told)),  # noqa: DTZ001
    ),
    "c_json": (
        "JSON",
        "JSON",
        st.recursive(
            st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXT,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        ).map(lambda value: json.dumps(value, ensure_ascii=False)),
        str,
    ),
}
# MariaDB keeps the text of JSON; MySQL has a type for it, and writes it in its own way.
JSON = {"mariadb": str, "mysql": json.loads}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | kind[2] for name, kind in KINDS.items()}),
    min_size=1,
    max_size=8,
)


@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=ROWS, way=st.sampled_from([{}, {"key": "id"}, {"plain": True}]))
@example(rows=[dict.fromkeys(KINDS)], way={})
def test_what_is_in_mysql_is_in_bigquery(settings, server, s3, ours, warehouse, execute, rows, way):
    columns = ", ".join(f"{name} {kind[1]}" for name, kind in KINDS.items())
    execute(
        "SET time_zone = '+00:00'",
        f"CREATE TABLE IF NOT EXISTS kept (id INT PRIMARY KEY, {columns})",
        "DELETE FROM kept",
    )
    marks = ", ".join(["%s"] * (1 + len(KINDS)))
    for number, row in enumerate(rows):
        execute(f"INSERT INTO kept VALUES ({marks})", args=[number, *(row[name] for name in KINDS)])
    declared = {"day": "DATE", "id": "INT64"} | {name: kind[0] for name, kind in KINDS.items()}
    order = "ORDER BY id" if way.get("plain") else ""
    sql = f"SELECT %(day)s AS day, kept.* FROM kept {order}"
    add(ours, "kept", sql, declared, **({"key": "id"} if "key" in way else {}))

    kpi_to_s3.export(settings, kpis.load("kept"), DAY, lambda: 60)

    found = sorted(loaded(s3, warehouse, "kept"), key=lambda row: int(row[1]))
    meant = {name: kind[3] for name, kind in KINDS.items()} | {"c_json": JSON[server]}
    expected = [_read(row, {"c_json": JSON[server]}) for row in rows]
    assert [_read(dict(zip(KINDS, row[2:], strict=True)), meant) for row in found] == expected


def _read(row, meant):
    """Take each value of a row for what it means, NULL for itself."""
    return {
        name: value if value is None or name not in meant else meant[name](value)
        for name, value in row.items()
    }


def test_a_large_result_goes_in_parts(s3, ours, sold, monkeypatch):
    monkeypatch.setattr(s3_file, "PART", 5 << 20)
    sold("2026-11-21", 3000)
    sql = "SELECT %(day)s AS day, id, REPEAT('長', 2000) AS t FROM sold"
    columns = {"day": "DATE", "id": "INT64", "t": "STRING"}
    add(ours, "much", sql, columns, key="id")

    assert run(day="2026-11-22")["rows"] == 3000

    place = {"Bucket": BUCKET, "Key": "kpi/much/dt=2026-11-22/much.csv"}
    found = s3.head_object(**place)
    assert found["ETag"].endswith('-4"')
    assert found["Metadata"].keys() == {"day", "digest"}
    assert s3.get_object_tagging(**place)["TagSet"] == [{"Key": "rows", "Value": "3000"}]
    lines = text(s3, "much").split("\r\n")
    assert [line.split(",")[1] for line in lines[1:-1]] == [str(n) for n in range(3000)]


DAYS = "SELECT {} AS day, COUNT(*) AS orders FROM sold GROUP BY 1"


@pytest.mark.parametrize(
    ("sql", "columns", "message"),
    [
        (
            "SELECT DATE(at) AS day, COUNT(*) AS orders FROM sold GROUP BY 1 ORDER BY 1",
            {"day": "DATE", "orders": "INT64"},
            "day: row 1 has 2026-11-21, the day is 2026-11-22",
        ),
        (
            "SELECT CAST(NULL AS DATE) AS day, id FROM sold",
            {"day": "DATE", "id": "INT64"},
            "day: row 1 has NULL, the day is",
        ),
        (
            "SELECT '2026-11-22' AS day, id FROM sold",
            {"day": "DATE", "id": "INT64"},
            "day: came as text, is declared DATE (declare STRING or JSON, or CAST it)",
        ),
        (
            "SELECT %(day)s AS day, AVG(amount) AS mean FROM sold",
            {"day": "DATE", "mean": "INT64"},
            "mean: came as DECIMAL with 4 decimals, is declared INT64 (declare NUMERIC or BIGN",
        ),
        (
            "SELECT %(day)s AS day, id, at FROM sold",
            {"day": "DATE", "at": "DATETIME", "id": "INT64"},
            "gives the columns day, id, at, declares day, at, id",
        ),
        (
            "SELECT %(day)s AS day, SLEEP(3) AS s FROM sold",
            {"day": "DATE", "s": "INT64"},
            {
                "mariadb": "(1969, 'Query execution was interrupted (max_statement_time",
                "mysql": "(3024, 'Query execution was interrupted, maximum statement exec",
            },
        ),
        (
            "SELECT %(day)s AS day, id / 2.0E0 AS half FROM sold",
            {"day": "DATE", "half": "NUMERIC"},
            "half: came as DOUBLE, is declared NUMERIC (declare FLOAT64 or STRING, or CAST it)",
        ),
        ("UPDATE sold SET id = 0", {"day": "DATE"}, "(1792, "),
        ("SELECT %(day)s AS day, id, id FROM sold", {"day": "DATE", "id": "INT64"}, "gives the"),
    ],
)
def test_a_result_that_is_not_as_declared(s3, server, ours, sold, sql, columns, message):
    message = message[server] if isinstance(message, dict) else message
    sold("2026-11-21", 96)
    add(ours, "sales", SALES, COUNTED)
    run(day="2026-11-22")
    before = text(s3, "sales")
    add(ours, "sales", sql, columns, timeout=1 if "SLEEP" in sql else 60)

    with pytest.raises(RunFailed) as failed:
        run(day="2026-11-22")

    assert "sales.sql of 2026-11-22: " in str(failed.value)
    assert message in str(failed.value)
    assert text(s3, "sales") == before
    [checked] = run(day="2026-11-22", check=True)["checks"]
    assert message in "; ".join(checked["errors"])


def test_sums_and_truths_are_taken_as_what_they_mean(s3, ours, sold, warehouse):
    sold("2026-11-21", 4)
    sql = "SELECT %(day)s AS day, SUM(amount) AS n, SUM(amount) > 3 AS much, NULL IS NULL AS yes,"
    sql += " COUNT(*) / 3 AS part, '10%%' AS pct FROM sold"
    kinds = {"n": "INT64", "much": "BOOL", "yes": "BOOL", "part": "NUMERIC", "pct": "STRING"}
    add(ours, "sums", sql, {"day": "DATE"} | kinds)

    run(day="2026-11-22")

    assert loaded(s3, warehouse, "sums") == [
        ("2026-11-22", "4", "true", "true", "1.3333", "10%"),
    ]


def test_a_check_shows_and_writes_nothing(s3, ours, sold):
    sold("2026-11-01", 48 * 30)
    sql = "SELECT %(day)s AS day, id, IF(id > 2, NULL, REPEAT('x', 100)) AS t FROM sold"
    add(ours, "sales", sql, {"day": "DATE", "id": "INT64", "t": "STRING"}, key="id")

    [checked] = run(day="2026-11-22", check=True, kpis=["sales"])["checks"]

    assert checked.pop("source")
    assert checked == {
        "kpi": "sales",
        "day": "2026-11-22",
        "columns": [
            {"name": "day", "declared": "DATE", "came": "DATE"},
            {"name": "id", "declared": "INT64", "came": "INT"},
            {"name": "t", "declared": "STRING", "came": "text"},
        ],
        "rows": 1440,
        "first": [
            ["2026-11-22", str(number), "\\N" if number > 2 else "x" * 59 + "…"]
            for number in range(5)
        ],
        "errors": [],
    }
    assert there(s3) == []


def test_a_check_tells_which_columns_did_not_come(s3, ours, sold):
    sold("2026-11-22", 1)
    add(ours, "sales", "SELECT %(day)s AS day, id FROM sold", {"at": "TIME", "day": "DATE"})

    [checked] = run(day="2026-11-22", check=True)["checks"]

    assert checked["columns"] == [
        {"name": "day", "declared": "DATE", "came": "DATE"},
        {"name": "id", "declared": None, "came": "INT"},
        {"name": "at", "declared": "TIME", "came": None},
    ]
    assert checked["first"] == [["2026-11-22", "0"]]
    assert checked["errors"] == ["gives the columns day, id, declares at, day"]


def test_our_own_kpis_over_the_laptops_tables(s3, warehouse, execute):
    chance = random.Random(8)
    execute("DROP TABLE IF EXISTS orders, users", *seed.TABLES)
    moments = [dt.datetime(2026, 11, 1) + dt.timedelta(hours=hour) for hour in range(24 * 30)]  # noqa: DTZ001
    for number, moment in enumerate(moments):
        execute("INSERT INTO users VALUES (%s, 'n', %s, %s)", args=[number, f"{number}@e", moment])
        status = chance.choice(["pending", "paid", "shipped", "cancelled"])
        row = [number, number // 2, status, number, moment]
        execute("INSERT INTO orders VALUES (%s, %s, %s, %s, %s)", args=row)

    assert run(day="2026-11-22")["files"] == len(kpis.names())

    orders = execute(
        "SELECT status, COUNT(*), SUM(amount) FROM orders"
        " WHERE created_at >= '2026-11-21 15:00' AND created_at < '2026-11-22 15:00' GROUP BY 1"
    )
    assert sorted(loaded(s3, warehouse, "sales")) == sorted(
        ("2026-11-22", status, str(count), str(amount)) for status, count, amount in orders
    )
    assert loaded(s3, warehouse, "registrations") == [("2026-11-22", "24", str(24 * 21 + 15))]
    [[_, daily, weekly, monthly, stickiness]] = loaded(s3, warehouse, "active_users")
    assert 0 < int(daily) < int(weekly) < int(monthly)
    assert float(stickiness) == pytest.approx(int(daily) / int(monthly), abs=1e-4)
    execute("DROP TABLE orders, users")
