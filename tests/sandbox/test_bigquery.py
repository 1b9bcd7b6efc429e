"""The played BigQuery, asked by google-cloud-bigquery."""

import datetime as dt
import io
import zlib
from decimal import Decimal

import pytest
import requests
from google.api_core.exceptions import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    ServiceUnavailable,
)
from google.cloud import bigquery

from stack import GOOGLE_PROJECT
from tests.sandbox.warehouse import (
    DATASET,
    DAY,
    SALES,
    client,
    load,
    rows,
    schema,
    token,
    trusting_aws,
)

DATE = dt.date(2026, 11, 22)
HEAD = "day,shop,sum\n"
TWO = f"{HEAD}2026-11-22,a,1\n2026-11-22,b,2\n"


@pytest.fixture(scope="module")
def sandbox(start_sandbox, tmp_path_factory):
    with (
        trusting_aws() as aws,
        start_sandbox(tmp_path_factory.mktemp("bigquery"), aws=aws) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def bq(sandbox):
    with client(sandbox) as made:
        made.create_dataset("kpi")
        yield made


@pytest.fixture
def table(bq, request):
    """A new table of sales, partitioned by day; its name."""
    name = f"t{zlib.crc32(request.node.nodeid.encode())}"
    made = bigquery.Table(f"{DATASET}.{name}", schema=schema(*SALES))
    made.time_partitioning = DAY
    bq.create_table(made)
    return name


def ask(sandbox, method, path, **more):
    return requests.request(
        method,
        sandbox.url + path,
        headers={"Authorization": f"Bearer {token(sandbox)}", **more.pop("headers", {})},
        timeout=10,
        **more,
    )


def test_datasets(bq):
    assert bq.create_dataset("kpi", exists_ok=True).location == "asia-northeast1"
    with pytest.raises(Conflict, match=f"Already Exists: Dataset {GOOGLE_PROJECT}:kpi"):
        bq.create_dataset("kpi")
    with pytest.raises(NotFound, match=f"Not found: Dataset {GOOGLE_PROJECT}:other"):
        bq.get_dataset("other")
    assert [one.dataset_id for one in bq.list_datasets()] == ["kpi"]


def test_a_table_is_what_was_made(bq):
    fields = [
        bigquery.SchemaField("day", "DATE", "REQUIRED", description="the day, 日"),
        bigquery.SchemaField("amount", "NUMERIC"),
    ]
    wanted = bigquery.Table(f"{DATASET}.made", schema=fields)
    wanted.time_partitioning = DAY
    wanted.description = "sales"
    bq.create_table(wanted)
    made = bq.get_table(f"{DATASET}.made")
    assert made.schema == fields
    assert (made.time_partitioning.type_, made.time_partitioning.field) == ("DAY", "day")
    assert (made.num_rows, made.description, made.location) == (0, "sales", "asia-northeast1")
    with pytest.raises(Conflict, match=f"Already Exists: Table {GOOGLE_PROJECT}:kpi.made"):
        bq.create_table(wanted)
    assert "made" in [one.table_id for one in bq.list_tables("kpi")]
    bq.delete_table(made)
    with pytest.raises(NotFound, match=f"Not found: Table {GOOGLE_PROJECT}:kpi.made"):
        bq.get_table(made)


def test_a_schema_may_only_gain_nullable_columns(bq, table):
    load(bq, table, TWO)
    found = bq.get_table(f"{DATASET}.{table}")
    stale = bq.get_table(f"{DATASET}.{table}")
    found.schema = [*found.schema, bigquery.SchemaField("extra", "STRING", description="new")]
    changed = bq.update_table(found, ["schema"])
    assert changed.schema[-1].description == "new"
    assert rows(bq, table) == [(DATE, "a", 1, None), (DATE, "b", 2, None)]
    stale.schema = [*stale.schema, bigquery.SchemaField("late", "STRING")]
    with pytest.raises(PreconditionFailed):
        bq.update_table(stale, ["schema"])
    for fields, words in [
        ([*changed.schema, bigquery.SchemaField("x", "INT64", "REQUIRED")], "add required fields"),
        (changed.schema[:-1], "Field extra is missing in new schema"),
        ([*changed.schema[:-1], bigquery.SchemaField("extra", "INT64")], "from STRING to INTEGER"),
    ]:
        changed.schema = fields
        with pytest.raises(BadRequest, match=words):
            bq.update_table(changed, ["schema"])


@pytest.mark.parametrize("small", [True, False])
def test_a_day_again_replaces_that_day_and_nothing_else(bq, sandbox, table, small):
    before = sandbox.last()
    first = load(bq, f"{table}$20261122", TWO, small=small)
    assert (first.state, first.error_result, first.output_rows) == ("DONE", None, 2)
    assert first.input_file_bytes == len(TWO)
    load(bq, f"{table}$20261121", f"{HEAD}2026-11-21,c,3\n", small=small)
    load(bq, f"{table}$20261122", f"{HEAD}2026-11-22,d,4\n", small=small)
    assert sorted(rows(bq, table)) == [(dt.date(2026, 11, 21), "c", 3), (DATE, "d", 4)]
    assert bq.get_table(f"{DATASET}.{table}$20261121").num_rows == 1
    items = sandbox.inbox(after=before, channel="bigquery")
    assert [item["summary"] for item in items] == [
        f"{table}$20261122: 2 rows",
        f"{table}$20261121: 1 row",
        f"{table}$20261122: 1 row",
    ]


@pytest.mark.parametrize(
    "text",
    [f"{HEAD}2026-11-22,a,1\n2026-11-23,b,2\n"],
)
def test_a_row_of_another_day(bq, table, text):
    load(bq, f"{table}$20261122", TWO)
    job = load(bq, f"{table}$20261122", text)
    with pytest.raises(BadRequest, match="rather than destination partition 20261122"):
        job.result()
    assert len(rows(bq, table)) == 2


def test_a_value_that_is_wrong_names_row_and_column(bq, table, sandbox):
    load(bq, table, TWO)
    before = sandbox.last()
    job = load(bq, f"{table}$20261122", f"{HEAD}2026-11-22,a,1\n2026-11-22,b,1.5\n")
    with pytest.raises(BadRequest, match="too many errors, giving up. Rows: 2; errors: 1"):
        job.result()
    assert [error["reason"] for error in job.errors] == ["invalid", "invalid"]
    words = 'line_number: 3 column_index: 2 column_name: "sum" column_type: INT64 value: "1.5"'
    assert words in job.errors[1]["message"]
    assert rows(bq, table) == [(DATE, "a", 1), (DATE, "b", 2)]
    (item,) = sandbox.inbox(after=before)
    assert words in item["summary"]


def test_some_bad_records_may_be_left_out(bq, table):
    text = f"{HEAD}2026-11-22,a,1\n2026-11-22,b\n2026-11-22,c,x\n2026-11-22,d,4\n"
    failed = load(bq, table, text, max_bad_records=1)
    assert [words["message"].rpartition("line_number: ")[2][0] for words in failed.errors[1:]] == [
        "3",
        "4",
    ]
    job = load(bq, table, text, max_bad_records=2)
    assert job.error_result is None
    assert (job.output_rows, len(job.errors)) == (2, 2)
    assert [shop for _, shop, _ in rows(bq, table)] == ["a", "d"]


def test_an_added_column(bq, table):
    load(bq, table, TWO)
    fields = (*SALES, ("extra", "FLOAT64"))
    text = "day,shop,sum,extra\n2026-11-22,c,3,1.5\n"
    job = load(bq, f"{table}$20261122", text, fields=fields)
    name = f"{GOOGLE_PROJECT}:kpi.{table}"
    assert job.error_result["message"] == (
        f"Provided Schema does not match Table {name}. Cannot add fields (field: extra)"
    )
    added = ["ALLOW_FIELD_ADDITION"]
    job = load(bq, f"{table}$20261122", text, fields=fields, schema_update_options=added)
    assert job.error_result is None
    assert rows(bq, table) == [(DATE, "c", 3, 1.5)]


def test_a_changed_type(bq, table):
    load(bq, table, TWO)
    fields = (*SALES[:2], ("sum", "STRING"))
    job = load(bq, f"{table}$20261122", TWO, fields=fields)
    assert job.error_result["message"].endswith("Field sum has changed type from INTEGER to STRING")
    assert len(rows(bq, table)) == 2


def test_a_whole_table_anew_has_the_new_schema(bq, table):
    load(bq, table, TWO)
    job = load(bq, table, TWO, fields=(("day", "DATE"), ("shop", "STRING"), ("sum", "STRING")))
    assert job.error_result is None
    assert rows(bq, table)[0] == (DATE, "a", "1")
    assert bq.get_table(f"{DATASET}.{table}").time_partitioning.field == "day"


def test_append_and_empty(bq, table):
    for _ in range(2):
        load(bq, table, TWO, write_disposition="WRITE_APPEND")
    assert len(rows(bq, table)) == 4
    job = load(bq, table, TWO, write_disposition="WRITE_EMPTY")
    with pytest.raises(Conflict, match="Already Exists"):
        job.result()


def test_a_table_is_made_where_it_is_missing(bq):
    missing = {"create_disposition": "CREATE_NEVER", "time_partitioning": DAY}
    assert load(bq, "fresh$20261122", TWO, **missing).error_result["reason"] == "notFound"
    assert load(bq, "fresh$20261122", TWO, time_partitioning=DAY).error_result is None
    assert bq.get_table(f"{DATASET}.fresh").schema[2].field_type == "INTEGER"
    assert "not partitioned" in load(bq, "plain$20261122", TWO).error_result["message"]
    assert "No schema" in load(bq, "plain", TWO, fields=None).error_result["message"]


def test_a_job_id_is_used_once(bq, table):
    load(bq, table, TWO, job_id=f"{table}-1")
    for small in (True, False):
        with pytest.raises(Conflict, match=f"Already Exists: Job .*{table}-1"):
            load(bq, table, TWO, job_id=f"{table}-1", small=small)
    assert bq.get_job(f"{table}-1").output_rows == 2
    with pytest.raises(NotFound):
        bq.get_job(f"{table}-1", location="US")
    assert f"{table}-1" in [job.job_id for job in bq.list_jobs(max_results=5)]


def test_a_dataset_that_is_missing_or_elsewhere(bq, table):
    config = bigquery.LoadJobConfig(source_format="CSV", schema=schema(*SALES))
    with pytest.raises(NotFound, match="Not found: Dataset"):
        bq.load_table_from_file(io.BytesIO(), "other.t", job_config=config)
    with pytest.raises(NotFound, match="was not found in location US"):
        bq.load_table_from_file(
            io.BytesIO(), f"{DATASET}.{table}", job_config=config, location="US"
        )


@pytest.mark.parametrize("text", ["", "day,shop,sum\n"], ids=["empty", "header"])
@pytest.mark.parametrize("small", [True, False])
def test_a_file_without_rows(bq, table, text, small):
    load(bq, table, TWO)
    job = load(bq, f"{table}$20261122", text, small=small)
    assert (job.error_result, job.output_rows) == (None, 0)
    assert rows(bq, table) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT COUNT(*) FROM `{p}.kpi.{t}`", [{"f0_": 2}]),
        ("SELECT COUNT(*) AS n FROM kpi.{t} WHERE shop = @shop", [{"n": 1}]),
        (
            "SELECT day, SUM(sum) AS s FROM `kpi.{t}` WHERE shop IN (\"a\", 'b') GROUP BY day",
            [{"day": DATE, "s": 3}],
        ),
        (
            "WITH q AS (SELECT shop FROM {p}.kpi.{t}) SELECT shop FROM q ORDER BY shop DESC; ",
            [{"shop": "b"}, {"shop": "a"}],
        ),
        (
            (
                "SELECT CAST('2.50' AS NUMERIC) AS n, TRUE AS b, DATETIME '2026-11-22' AS d,"
                " CAST(1.5 AS FLOAT64) AS timestamp, SAFE_CAST('x' AS INT64) AS z"
            ),
            [
                {
                    "n": Decimal("2.5"),
                    "b": True,
                    "d": dt.datetime.fromisoformat("2026-11-22"),
                    "timestamp": 1.5,
                    "z": None,
                }
            ],
        ),
    ],
    ids=range(5),
)
def test_queries(bq, table, query, expected):
    load(bq, table, TWO)
    text = query.format(p=GOOGLE_PROJECT, t=table)
    parameter = bigquery.ScalarQueryParameter("shop", "STRING", "a")
    config = bigquery.QueryJobConfig(query_parameters=[parameter])
    assert [dict(row) for row in bq.query(text, job_config=config).result()] == expected
    assert [dict(row) for row in bq.query_and_wait(text, job_config=config)] == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("DELETE FROM kpi.t WHERE TRUE", "SELECT statements alone"),
        ("SELECT 1; SELECT 2", "Unexpected"),
        ("SELECT * FROM read_csv('/etc/passwd')", "Table-valued function"),
        ("SELECT * FROM '/etc/passwd'", 'Table "/etc/passwd" must be qualified'),
        ("SELECT * FROM meta.tables", "Not found: Dataset"),
        ("SELECT * FROM t", 'Table "t" must be qualified'),
        ("SELECT * FROM kpi.never", "Not found: Table"),
        ("SELECT nothing", "nothing"),
        ("SELECT @never", "Query parameter 'never' not found"),
        ("SELECT [1]", "no column of type"),
        ("", "missing: query"),
    ],
    ids=range(11),
)
def test_queries_that_are_refused(bq, query, words):
    with pytest.raises((BadRequest, NotFound), match=words):
        bq.query_and_wait(query)


def test_rows_come_in_pages(bq, table):
    lines = "".join(f"2026-11-22,s,{n}\n" for n in range(25))
    load(bq, table, HEAD + lines)
    pages = bq.list_rows(f"{DATASET}.{table}", page_size=10).pages
    assert [page.num_items for page in pages] == [10, 10, 5]
    text = f"SELECT sum FROM kpi.{table} ORDER BY sum"
    assert [row[0] for row in bq.query(text).result(page_size=10)] == list(range(25))


def test_a_partition_is_deleted(bq, table):
    load(bq, table, f"{TWO}2026-11-23,c,3\n")
    bq.delete_table(f"{DATASET}.{table}$20261122")
    assert rows(bq, table) == [(dt.date(2026, 11, 23), "c", 3)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source_format": "PARQUET"}, "CSV"),
        ({"autodetect": True}, "autodetect"),
        ({"encoding": "UTF-16BE"}, "UTF-8"),
        ({"field_delimiter": "||"}, "delimiter"),
        ({"max_bad_records": -1}, "maxBadRecords"),
        ({"schema_update_options": ["ALLOW_FIELD_ADDITION"]}, "should only be specified"),
        ({"schema": [bigquery.SchemaField("a", "RECORD")]}, "RECORD"),
        ({"schema": [bigquery.SchemaField("a", "STRING", "REPEATED")]}, "REPEATED"),
        ({"schema": schema(("a", "STRING"), ("A", "STRING"))}, "Duplicate field"),
        ({"schema": schema(("a b", "STRING"))}, "Invalid field name"),
        ({"null_marker": "x", "column_name_character_map": "V2"}, "columnNameCharacterMap"),
    ],
    ids=range(11),
)
def test_what_is_not_played_is_refused(bq, table, change, words):
    with pytest.raises(BadRequest, match=words):
        load(bq, table, TWO, **change)


def test_a_fault(bq, sandbox):
    sandbox.fault(service="bigquery", status=503)
    with pytest.raises(ServiceUnavailable, match="temporarily unavailable"):
        bq.get_dataset("kpi", retry=None)
    sandbox.fault(service="bigquery", status=503)
    assert bq.get_dataset("kpi").dataset_id == "kpi"  # the client tries again


def test_who_may_not(sandbox, bq):
    path = f"/bigquery/v2/projects/{GOOGLE_PROJECT}/datasets"
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"}):
        answer = requests.get(sandbox.url + path, headers=headers, timeout=10)
        assert answer.status_code == 401
        assert answer.json()["error"]["status"] == "UNAUTHENTICATED"
    with pytest.raises(Forbidden, match="Access Denied: Project other"):
        bq.get_dataset("other.kpi")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/bigquery/v2/nothing", 404),
        ("DELETE", "/datasets/kpi", 404),
        ("GET", "/datasets/kpi/tables/a.b", 400),
        ("GET", "/datasets/kpi/tables/t$20261322", 400),
        ("POST", "/jobs", 400),
        ("POST", "/datasets", 400),
        ("GET", "/queries/never", 404),
    ],
)
def test_errors_have_googles_shape(sandbox, bq, method, path, status):
    if not path.startswith("/bigquery"):
        path = f"/bigquery/v2/projects/{GOOGLE_PROJECT}{path}"
    answer = ask(sandbox, method, path, **({"data": "[]"} if method == "POST" else {}))
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == status
    assert error["errors"][0]["message"] == error["message"]


def test_what_is_known_outlives_a_restart(start_sandbox, tmp_path):
    with trusting_aws() as aws:
        with start_sandbox(tmp_path, aws=aws) as server, client(server) as bq:
            bq.create_dataset("kpi")
            load(bq, "t", TWO, job_id="one")
        with start_sandbox(tmp_path, aws=aws) as server, client(server) as bq:
            assert len(rows(bq, "t")) == 2
            assert bq.get_job("one").state == "DONE"
            assert not list(tmp_path.glob("data/bigquery/*.upload"))
