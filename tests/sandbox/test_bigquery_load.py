"""CSV into the played BigQuery's tables: values of each type, and the forms of a file."""

import base64
import csv
import datetime as dt
import io
import json
import math
import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.bigquery_load import Failed, load
from sandbox.bigquery_order import read_load
from sandbox.bigquery_schema import read_schema
from sandbox.bigquery_tables import add_dataset, open_warehouse
from sandbox.bigquery_types import TYPES, quoted
from sandbox.google import Refused

PROJECT = "laptop-project"
GOOD = {
    "STRING": ["a", " b ", "日本", "NULL", "\\N"],
    "BYTES": ["", "YQ==", "YWI=", "YWJj"],
    "INT64": ["0", "-1", "+7", "007", "9223372036854775807", "-9223372036854775808"],
    "FLOAT64": ["0", "1.5", "-1e3", "1E+300", ".5", "5.", "NaN", "nan", "inf", "-Infinity"],
    "NUMERIC": ["0", "-1.5", "99999999999999999999999999999.999999999", "0.1000000000", "0E-9"],
    "BIGNUMERIC": ["9" * 38 + "." + "9" * 38, "-0.5", "1"],
    "BOOL": ["true", "TRUE", "t", "yes", "Y", "1", "false", "F", "no", "n", "0"],
    "DATE": ["2026-11-22", "0001-01-01", "9999-12-31", "2024-02-29"],
    "DATETIME": ["2026-11-22 10:00:00", "2026-11-22T10:00:00.123456", "2026-11-22"],
    "TIME": ["00:00:00", "23:59:59.999999"],
    "TIMESTAMP": [
        *("2026-11-22 10:00:00", "2026-11-22T10:00:00Z", "2026-11-22 10:00:00 UTC"),
        *("2026-11-22 10:00:00+09:00", "2026-11-22 10:00:00.5-0530", "2026/11/22 10:00:00"),
        *("2026-11-22", "2026-11-22 10:00:00+9", "2026-11-22 10:00:00+9:30"),
    ],
    "JSON": ['{"a": [1, null]}', "1", '"x"', "null"],
}
BAD = {
    "STRING": [],
    "BYTES": ["a", "YQ=", "日", "YQ==YQ=="],
    "INT64": ["1.0", "1.5", "1e3", "0x1F", "1_000", " 7", "7 ", "9223372036854775808", "x", "-"],
    "FLOAT64": ["x", "1e", "0x1", "1_0", " 1", "1,5", "."],
    "NUMERIC": ["1.0000000001", "1" + "0" * 29, "x", "1_0", "."],
    "BIGNUMERIC": ["0." + "1" * 39, "1" * 39, "x"],
    "BOOL": ["2", "on", "tr", "yess", " true"],
    "DATE": [
        "2026/11/22",
        "2026-02-30",
        "2026-1-2",
        "22-11-2026",
        "2026-11-22 10:00:00",
        "0000-01-01",
    ],
    "DATETIME": ["2026-11-22 24:00:00", "2026-11-22 10:00:00Z", "2026-11-22 10:00:00.1234567", "x"],
    "TIME": ["24:00:00", "10:00", "10:00:60", "-01:00:00", "10:00:00.1234567"],
    "TIMESTAMP": ["1795309200", "2026-11-31 00:00:00", "2026-11-22 10:00:00 Asia/Nowhere", "now"],
    "JSON": ["{", "{'a': 1}", "1 2", "NaN"],
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    made = open_warehouse(tmp_path_factory.mktemp("warehouse"), PROJECT)
    with made.writing() as cursor:
        add_dataset(cursor, PROJECT, {"datasetReference": {"datasetId": "d"}})
    yield made
    made.connection.close()


def fill(warehouse, text, *fields, table="t", **options):
    """Load a text into a table and return (what was loaded, the rows as they are sent)."""
    options = {
        "destinationTable": {"datasetId": "d", "tableId": table},
        "schema": {
            "fields": [dict(zip(("name", "type", "mode"), one, strict=False)) for one in fields]
        },
        "writeDisposition": "WRITE_TRUNCATE",
        "allowQuotedNewlines": True,
        **options,
    }
    file = warehouse.folder / "test.upload"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    loaded = load(warehouse, read_load(warehouse, options), file)
    schema = read_schema(options["schema"])
    told = ", ".join(one.type.wire.format(x=quoted(one.name)) for one in schema)
    with warehouse.reading() as cursor:
        rows = cursor.execute(f'SELECT {told} FROM rows."d.{table}" ORDER BY rowid').fetchall()
    return loaded, rows


def written(*rows):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("kind", [one.name for one in TYPES])
def test_values_that_fit(warehouse, kind):
    loaded, rows = fill(warehouse, written(*([v] for v in GOOD[kind])), ("c", kind))
    assert (loaded.rows, loaded.bad) == (len(GOOD[kind]), 0)
    assert len(rows) == len(GOOD[kind])


@pytest.mark.parametrize(("kind", "value"), [(k, v) for k, values in BAD.items() for v in values])
def test_values_that_do_not(warehouse, kind, value):
    with pytest.raises(Failed, match="errors: 1") as failed:
        fill(warehouse, written([GOOD[kind][0]], [value]), ("c", kind))
    words = failed.value.errors[1]["message"]
    assert f'line_number: 2 column_index: 0 column_name: "c" column_type: {kind}' in words
    assert words.endswith(f'value: "{value}"')


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("INT64", "+007", "7"),
        ("FLOAT64", "1e3", "1000.0"),
        ("FLOAT64", "-inf", "-Infinity"),
        ("NUMERIC", "1.50", "1.5"),
        ("NUMERIC", "100", "100"),
        ("NUMERIC", "0E-9", "0"),
        ("BOOL", "Y", "true"),
        ("BYTES", "YWI=", "YWI="),
        ("DATETIME", "2026-11-22 10:00:00", "2026-11-22T10:00:00"),
        ("TIMESTAMP", "2026-11-22 10:00:00+0900", "1795309200000000"),
        ("TIMESTAMP", "2026-11-22 10:00:00+9", "1795309200000000"),
        ("TIMESTAMP", "2026/11/22 01:00:00 UTC", "1795309200000000"),
        ("TIMESTAMP", "2026-11-22T01:00:00z", "1795309200000000"),
        ("TIMESTAMP", "2026-11-22", "1795305600000000"),
    ],
)
def test_what_a_value_becomes(warehouse, kind, value, told):
    assert fill(warehouse, written([value]), ("c", kind))[1] == [(told,)]


VALUES = {
    "STRING": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    "BYTES": st.binary(),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FLOAT64": st.floats(allow_nan=False),
    "NUMERIC": st.decimals(-(10**28), 10**28, places=9),
    "BOOL": st.booleans(),
    "DATE": st.dates(),
    "DATETIME": st.datetimes(),
    "TIME": st.times(),
    "TIMESTAMP": st.datetimes(
        min_value=dt.datetime(1, 1, 2),  # noqa: DTZ001
        max_value=dt.datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=9))]),
    ),
    "JSON": st.recursive(
        st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text("ab日\n\"',"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner),
    ).map(lambda value: json.dumps(value, ensure_ascii=False)),
}
READ = {
    "BYTES": base64.b64decode,
    "INT64": int,
    "FLOAT64": float,
    "NUMERIC": Decimal,
    "BOOL": lambda text: text == "true",
    "DATE": dt.date.fromisoformat,
    "DATETIME": dt.datetime.fromisoformat,
    "TIME": dt.time.fromisoformat,
    "TIMESTAMP": lambda text: (
        dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=int(text))
    ),
}


def as_text(value):
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case bool():
            return str(value).lower()
        case float() if math.isinf(value):
            return "inf" if value > 0 else "-inf"
    return str(value)


@settings(max_examples=25)
@given(st.data())
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("marker", [None, "\\N"], ids=["plain", "marker"])
def test_any_value_is_kept_as_it_is(warehouse, kind, marker, data):
    values = data.draw(st.lists(st.none() | VALUES[kind], min_size=1, max_size=8))
    null = marker or ""
    lines = "".join(
        f"{i},{null}\n" if value is None else written([i, as_text(value)])
        for i, value in enumerate(values)
    )
    options = {"nullMarker": marker} if marker else {}
    _, rows = fill(warehouse, lines, ("i", "INT64"), ("c", kind), table=kind, **options)
    read = READ.get(kind, lambda text: text)
    assert [None if told is None else read(told) for _, told in rows] == values


@pytest.mark.parametrize(
    ("line", "options", "told"),
    [
        ("1,,x", {}, ("1", None, "x")),
        ('1,"",x', {}, ("1", "", "x")),
        (",a,x", {}, (None, "a", "x")),
        ('"",a,x', {}, (None, "a", "x")),
        ("1,,x", {"nullMarker": "\\N"}, ("1", "", "x")),
        ("\\N,\\N,\\N", {"nullMarker": "\\N"}, (None, None, None)),
        ('1,"\\N",x', {"nullMarker": "\\N"}, ("1", "\\N", "x")),
        ('1,"a\nb","c\r\nd"', {}, ("1", "a\nb", "c\r\nd")),
        ('1,"a""b,",x', {}, ("1", 'a"b,', "x")),
        ("1;a;x", {"fieldDelimiter": ";"}, ("1", "a", "x")),
        ("1\ta\tx", {"fieldDelimiter": "\\t"}, ("1", "a", "x")),
        ("1,a", {"allowJaggedRows": True}, ("1", "a", None)),
        ("1,a,x,y,z", {"ignoreUnknownValues": True}, ("1", "a", "x")),
        ("1,\xe9,x".encode("latin-1"), {"encoding": "ISO-8859-1"}, ("1", "é", "x")),
        (b"1,\xff,x", {}, ("1", "�", "x")),
        (b"\xef\xbb\xbf1,a,x", {}, ("1", "a", "x")),
    ],
    ids=range(16),
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=["lf", "crlf", "none"])
def test_forms_of_a_line(warehouse, line, options, told, end):
    line = line if isinstance(line, bytes) else line.encode()
    fields = (("n", "INT64"), ("s", "STRING"), ("z", "STRING"))
    assert fill(warehouse, line + end.encode(), *fields, **options)[1] == [told]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("1\n", {}, "line contains only 1 columns.; line_number: 1"),
        ("1,a\n1,a,b\n", {}, "Found 3 column\\(s\\) while expected 2.; line_number: 2"),
        ('1,a\n2,"b\n', {}, "Missing close quote"),
        ('1,"a"b\n', {}, "Missing close quote"),
        ('1,a\n2,"b\n3,c\n', {"allowJaggedRows": True}, "Missing close quote"),
        (",a\n", {"nullMarker": "\\N"}, 'column_type: INT64 value: ""'),
        ('1,"a\nb"\n', {"allowQuotedNewlines": False}, "Missing close quote .*line_number: 1"),
        (b"1,a\0\n", {}, "ASCII 0"),
    ],
    ids=range(8),
)
def test_lines_that_are_wrong(warehouse, text, options, words):
    with pytest.raises(Failed) as failed:
        fill(warehouse, text, ("n", "INT64"), ("s", "STRING"), **options)
    said = failed.value.errors[-1]["message"]
    assert re.search(words, said), said


def test_control_characters_that_are_preserved(warehouse):
    controls = "".join(map(chr, range(32)))
    options = {"preserveAsciiControlCharacters": True}
    _, rows = fill(warehouse, written([controls]), ("s", "STRING"), **options)
    assert rows == [(controls,)]


def test_a_required_value_that_is_missing(warehouse):
    fields = (("n", "INT64", "REQUIRED"), ("s", "STRING", "REQUIRED"))
    with pytest.raises(Failed) as failed:
        fill(warehouse, '1,""\n,b\n2,\n', *fields)
    said = [error["message"] for error in failed.value.errors[1:]]
    assert "column index: 0 is missing; line_number: 2" in said[0]
    assert "column index: 1 is missing; line_number: 3" in said[1]


def test_line_ends_of_two_kinds(warehouse):
    assert len(fill(warehouse, "1\n2\r\n3\n", ("n", "INT64"))[1]) == 3


def test_a_load_that_fails_changes_nothing(warehouse):
    fill(warehouse, "1\n", ("n", "INT64"), table="kept")
    for text, kind in [("x\n", "INT64"), ("x\n", "DATE")]:
        with pytest.raises(Failed):
            fill(warehouse, text, ("n", kind), table="kept")
    with pytest.raises(Refused):
        fill(warehouse, "x\n", ("n", "STRING"), table="kept", writeDisposition="WRITE_APPEND")
    with warehouse.reading() as cursor:
        assert cursor.execute('SELECT * FROM rows."d.kept"').fetchall() == [(1,)]
