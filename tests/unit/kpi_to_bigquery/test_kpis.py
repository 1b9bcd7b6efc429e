import json

import pytest

from common.queries import InvalidQuery
from kpi_to_bigquery import kpis
from kpi_to_bigquery.kpis import Column, Header

GOOD = """/*
owner = "growth"
description = "Sales"
partition = "day"
key = "id"

[columns.day]
type = "DATE"
[columns.id]
type = "INT64"
description = "Its number"
*/
SELECT %(day)s AS day, id FROM orders WHERE created_at >= %(day_start)s AND rate LIKE '1%%';
"""


@pytest.fixture
def load(tmp_path):
    def load(text, name="sales"):
        (tmp_path / f"{name}.sql").write_text(text, encoding="utf-8")
        return kpis.load(name, tmp_path)

    return load


@pytest.mark.parametrize("name", kpis.names())
def test_every_kpi_of_ours_has_a_good_header(name):
    header = kpis.load(name).header
    assert all(column.description for column in header.columns.values())


def test_what_a_header_says(load):
    query = load(GOOD)
    assert query.header == Header(
        owner="growth",
        description="Sales",
        partition="day",
        key="id",
        columns={"day": Column("DATE"), "id": Column("INT64", "Its number")},
        group="daily",
        timezone="Asia/Tokyo",
        database_timezone="UTC",
        timeout=300,
    )
    assert query.sql.endswith("rate LIKE '1%%'")
    assert kpis.schema(query.header) == [
        {"name": "day", "type": "DATE", "mode": "REQUIRED"},
        {"name": "id", "type": "INT64", "mode": "NULLABLE", "description": "Its number"},
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('owner = "growth"\n', ""), "header: owner: missing (line 1)"),
        (('owner = "growth"', 'owner = " "'), "header: owner: got ' ', takes text"),
        (('description = "Sales"', "description = 3"), "description: got 3, takes text (line 3)"),
        (('partition = "day"', 'partition = "id"'), "partition: got 'id', takes a column of type"),
        (('partition = "day"', 'partition = "no"'), "takes a column of type DATE (line 4)"),
        (('key = "id"', 'key = "no"'), "key: got 'no', takes one of day, id (line 5)"),
        (('key = "id"', "timeout = 781"), "timeout: got 781, takes 1 to 780 seconds (line 5)"),
        (('key = "id"', "timezone = 'Asia/Edo'"), "timezone: got 'Asia/Edo', takes Asia/Tokyo"),
        (('key = "id"', "database_timezone = '+9'"), "database_timezone: got '+9', takes"),
        (('key = "id"', 'kee = "id"'), "header: unknown field: kee (the event itself takes owner"),
        (('key = "id"', 'kee = "id"'), "key) (line 5)"),
        (('key = "id"', "key = id"), "header: Invalid value (at line 5, column 7)"),
        (('"DATE"', '"DAY"'), "header: columns.day.type: got 'DAY', takes one of STRING, BYTES, "),
        (('"INT64"', '"INTEGER"'), "TIMESTAMP, JSON (line 10)"),
        (('type = "INT64"', ""), "columns.id.type: got '', takes one of"),
        (('type = "INT64"', ""), "(line 9)"),
        (('type = "INT64"', "type = 64"), "columns.id.type: got 64, takes text (line 10)"),
        (('type = "INT64"', 'typ = "INT64"'), "columns.id.typ: got 'INT64', takes type or descr"),
        (('type = "INT64"', 'typ = "INT64"'), "(line 10)"),
        (("[columns.id]", '[columns."3"]'), "columns.3: got '3', takes up to 300 letters"),
        (("[columns.id]", "[columns._table_x]"), "columns._table_x: got '_table_x', takes up to"),
        (("[columns.id]", '[columns."日"]'), "columns.日: got '日', takes up to 300 letters"),
        (("[columns.id]", "[columns.Day]"), "columns.Day: got 'Day', takes another name: there"),
        (("[columns.id]", "[columns.Day]"), "(line 9)"),
        (("%(day_start)s", "%(start)s"), "takes %(day)s (date), %(day_start)s (datetime), "),
        (("%(day_start)s", "%(start)s"), "%(day_end)s (datetime), and %% for a plain %"),
        (("'1%%'", "'1%'"), 'got "%\'", takes %(day)s (date), '),
        (("'1%%'", "'1%'"), "for a plain % (line 13)"),
        (("SELECT", "SELECT '%shop' AS s,\n"), 'got "%shop\' AS s,", takes %(day)s'),
        (("%(day)s", "%(day)d"), "got '%(day)d AS day, id F', takes %(day)s"),
        (("SELECT", "-- 100% of it\nSELECT"), "got '% of it', takes %(day)s"),
        (("*/", "/"), "takes a header /* … */ with TOML"),
    ],
)
def test_a_wrong_file_is_named_with_the_line(load, change, message):
    assert change[0] in GOOD
    with pytest.raises(InvalidQuery) as error:
        load(GOOD.replace(*change))
    assert str(error.value).startswith("sales.sql: ")
    assert message in str(error.value)


def test_a_file_of_another_encoding_is_named_with_the_line(load, tmp_path):
    load(GOOD)
    (tmp_path / "sales.sql").write_bytes(GOOD.replace("Sales", "売上").encode("cp932"))
    with pytest.raises(InvalidQuery, match=r"^sales\.sql: takes UTF-8 \(line 3\)$"):
        kpis.load("sales", tmp_path)


def test_lines_are_those_of_the_file(load):
    with pytest.raises(InvalidQuery, match=r"\(line 12\)$"):
        load("\n\n" + GOOD.replace('"INT64"', '"INT"'))


@pytest.mark.parametrize("name", ["Sales", "1st", "a-b", "kpi_loads", "日", "a" * 101])
def test_a_name_is_a_tables(load, name):
    with pytest.raises(InvalidQuery, match="a name takes a-z, 0-9 and _"):
        load(GOOD, name)


def test_a_kpi_that_is_not_there(load, tmp_path):
    load(GOOD)
    for name in ("other", "../sales"):
        with pytest.raises(InvalidQuery, match=r"there is no KPI .* \(there are sales\)"):
            kpis.load(name, tmp_path)


def test_the_digest_is_of_names_and_types(load):
    digest = kpis.digest(load(GOOD).header)
    assert kpis.digest(load(GOOD.replace("Its number", "No")).header) == digest
    assert kpis.digest(load(GOOD.replace("INT64", "STRING")).header) != digest
    assert kpis.digest(load(GOOD.replace("id", "no")).header) != digest


def test_the_schema_is_json(load):
    assert json.loads(json.dumps(kpis.schema(load(GOOD).header)))
