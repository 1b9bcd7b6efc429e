"""A CSV file into a table, by BigQuery's rules, all of it or nothing.

The file is read as text alone, so that `""` and nothing at all differ; what a value may be is then
judged by `bigquery_types`. By default nothing at all is NULL and `""` is '' (STRING, BYTES) or NULL
(all else); with a nullMarker the marker is NULL, and an empty value '' or, for other types, wrong.

What the documentation does not say, and is a guess here: a quoted nullMarker is text; `""` is NULL
for a number without a nullMarker; a `line_number` counts records, the header too, and has no byte
offset beside it; a broken quote ends no job sooner than other errors; with ignoreUnknownValues a
row that is too short is filled, as with allowJaggedRows, and at most 64 values are too many; all
control characters but NUL are kept without preserveAsciiControlCharacters, too.
"""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sandbox.bigquery_order import Load
from sandbox.bigquery_schema import Field, Schema, find, grown
from sandbox.bigquery_tables import (
    Table,
    Warehouse,
    add_table,
    change_table,
    count,
    drop_table,
    new_table,
    read_table,
)
from sandbox.bigquery_types import EMPTY_IS_TEXT, quoted, text
from sandbox.google import Refused

_SHOWN = 5  # errors that a failed job tells, beside the one that counts them
_UNKNOWN = 64
_MORE = 1000  # errors that are looked for beyond those allowed
_VALUE = 100  # characters of a wrong value
_LINE = 8 * 1024 * 1024  # bytes
_CHUNK = 1 << 20
_STRUCTURE = {
    "MISSING COLUMNS": "CSV table references column position {column}, but line contains only"
    " {column} columns.",
    "TOO MANY COLUMNS": "Too many values in line. Found {found} column(s) while expected {width}.",
    "UNQUOTED VALUE": 'Missing close quote character (").',
    "LINE SIZE OVER MAXIMUM": "Line is too long.",
}


class Failed(Exception):
    """A load that fails: `reason`, `message`, and the errors it is made of."""

    def __init__(self, reason: str, message: str, errors: list[dict[str, str]]) -> None:
        """Keep what the job's status says."""
        super().__init__(message)
        self.reason, self.message, self.errors = reason, message, errors


@dataclass(frozen=True)
class Loaded:
    """What a load did: the rows, the records left out, and why."""

    rows: int
    bad: int
    errors: list[dict[str, str]]


def load(warehouse: Warehouse, order: Load, file: Path) -> Loaded:
    """Load a file; raises Failed or Refused, and then nothing has changed."""
    with warehouse.reading() as cursor:
        schema = order.schema or _known_schema(cursor, order)
        _stage(cursor, order, schema, file)
        errors = _wrong(cursor, order, schema)
        with warehouse.transaction(cursor):
            table = _target(cursor, order)
            if len(errors) > order.most_bad:
                raise _too_many(cursor, errors, order.most_bad)
            if errors:
                cursor.execute("DELETE FROM staged WHERE n IN (SELECT n FROM bad)")
            _check_day(cursor, order, table, schema)
            if order.write == "WRITE_TRUNCATE":
                where = table.where(order.reference.day)
                cursor.execute(f"DELETE FROM {table.reference.rows} WHERE {where}")  # noqa: S608
            columns = ", ".join(quoted(one.name) for one in schema)
            values = ", ".join(_value(one, i, order) for i, one in enumerate(schema))
            done = cursor.execute(
                f"INSERT INTO {table.reference.rows} ({columns}) SELECT {values} FROM staged"  # noqa: S608
            ).fetchone()
            change_table(cursor, table, table)
        return Loaded(int(done[0]) if done else 0, len(errors), errors)


def _known_schema(cursor: duckdb.DuckDBPyConnection, order: Load) -> Schema:
    try:
        return read_table(cursor, order.reference).schema
    except Refused as missing:
        if order.create == "CREATE_NEVER" or "Table" not in missing.message:
            raise
        raise Refused(400, "No schema specified on job or table.") from None


def _target(cursor: duckdb.DuckDBPyConnection, order: Load) -> Table:
    """Return the table to load into, with the schema that it has then."""
    try:
        table = read_table(cursor, order.reference)
    except Refused as missing:
        if order.create == "CREATE_NEVER" or "Table" not in missing.message:
            raise
        made = new_table(order.reference, order.about)
        _check_partition(order, made)
        return add_table(cursor, made)
    _check_partition(order, table)
    partitioning = order.about.get("timePartitioning")
    if partitioning and str(partitioning.get("field", "")).lower() != (table.by or "").lower():
        words = f"Incompatible table partitioning specification for table {table.reference}."
        raise Refused(400, words)
    day = order.reference.day
    if order.write == "WRITE_EMPTY" and count(cursor, table, day):
        raise Refused(409, f"Already Exists: Table {order.reference}")
    if not order.schema:
        return table
    if order.write == "WRITE_TRUNCATE" and not day:
        drop_table(cursor, table)
        about = {**table.about, **order.about}
        if table.by and not partitioning:
            about["timePartitioning"] = {"type": "DAY", "field": table.by}
        return add_table(cursor, new_table(order.reference, about))
    schema = grown(table.schema, order.schema, str(table.reference), order.update)
    return change_table(cursor, table, Table(**{**vars(table), "schema": schema}))


def _check_partition(order: Load, table: Table) -> None:
    if order.reference.day and not table.by:
        words = f"Table {table.reference} is not partitioned by a column: no partition"
        raise Refused(400, f"{words} {order.reference.short} can be loaded.")


def _readable(file: Path, encoding: str, *, controls: bool, even: bool) -> Path:
    """Return the file, or a copy of what DuckDB would read otherwise than BigQuery.

    The copy has LF after each record where there are CRLFs, and U+FFFD for what is not UTF-8.
    Failed where there is a NUL, but for `controls`, and, if they must be `even`, where a quote is
    not closed: DuckDB loses the last rows without a word then, when it fills short rows.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    good, quotes = True, 0
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            if b"\0" in chunk and not controls:
                raise _failed("Bad character (ASCII 0) encountered.")
            quotes += chunk.count(b'"')
            good = good and b"\r" not in chunk and (encoding != "utf-8" or _decodes(decoder, chunk))
    if even and quotes % 2:
        raise _failed(_STRUCTURE["UNQUOTED VALUE"])
    if good and (encoding != "utf-8" or _decodes(decoder, b"", final=True)):
        return file
    copy = file.with_suffix(".read.upload")
    quoted = False
    with (
        file.open(encoding=encoding, errors="replace", newline="") as source,
        copy.open("w", encoding=encoding, newline="") as target,
    ):
        while part := source.read(_CHUNK):
            if part.endswith("\r"):
                part += source.read(1)
            pieces = part.split('"')
            for i, piece in enumerate(pieces):
                if i:
                    quoted = not quoted
                pieces[i] = piece if quoted else piece.replace("\r\n", "\n").replace("\r", "\n")
            target.write('"'.join(pieces))
    return copy


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _stage(cursor: duckdb.DuckDBPyConnection, order: Load, schema: Schema, file: Path) -> None:
    """Read the file as text into the table `staged`: n, c0, c1 …; what cannot be read is told."""
    width = len(schema)
    short = order.jagged or order.unknown
    readable = _readable(file, order.encoding, controls=order.controls, even=short)
    columns = ", ".join(
        f"'c{i}': 'VARCHAR'" for i in range(width + (_UNKNOWN if order.unknown else 0))
    )
    kept = ", ".join(f"c{i}" for i in range(width))
    query = f"""CREATE TEMP TABLE staged AS SELECT row_number() OVER () AS n, {kept} FROM read_csv(
        {text(str(readable))}, auto_detect = false, header = false, skip = {order.skip},
        delim = {text(order.delimiter)}, quote = '"', escape = '"',
        nullstr = {text(order.null or "")}, allow_quoted_nulls = false, columns = {{{columns}}},
        encoding = {text(order.encoding)}, store_rejects = true,
        max_line_size = {_LINE}, buffer_size = {2 * _LINE},
        new_line = '\\n',
        null_padding = {short}, parallel = {not short}, rejects_limit = {order.most_bad + _MORE})"""  # noqa: S608
    try:
        cursor.execute(query)
    except duckdb.InvalidInputException as error:
        raise _failed(str(error).splitlines()[0]) from error
    finally:
        if readable != file:
            readable.unlink()


def _given(one: Field, i: int, order: Load) -> str:
    """Return the SQL of a column's text, NULL where BigQuery reads a NULL."""
    if order.null or one.type.name in EMPTY_IS_TEXT:
        return f"c{i}"
    return f"nullif(c{i}, '')"


def _value(one: Field, i: int, order: Load) -> str:
    return one.type.value.format(x=_given(one, i, order))


def _wrong(cursor: duckdb.DuckDBPyConnection, order: Load, schema: Schema) -> list[dict[str, str]]:
    """Return an error for each bad record, at most some more than are allowed; n into `bad`."""
    rejected = _rejected(cursor, len(schema))
    flags = []
    for i, one in enumerate(schema):
        given = _given(one, i, order)
        wrong = f"({given} IS NOT NULL AND NOT {one.type.fits.format(x=given)})"
        if not order.newlines:
            wrong = f"({wrong} OR contains(c{i}, chr(10)) OR contains(c{i}, chr(13)))"
        if one.required:
            wrong = f"({given} IS NULL OR {wrong})"
        flags.append(f"coalesce({wrong}, false)")
    raw = ", ".join(f"c{i}" for i in range(len(schema)))
    cursor.execute(
        f"CREATE TEMP TABLE bad AS SELECT n, [{', '.join(flags)}] AS flags, [{raw}] AS raw"  # noqa: S608
        f" FROM staged WHERE {' OR '.join(flags)} LIMIT {order.most_bad + _MORE}"
    )
    errors = list(rejected.items())
    for n, wrong_ones, values in cursor.execute("SELECT n, flags, raw FROM bad").fetchall():
        line = order.skip + n
        for known in sorted(rejected):
            line += known <= line
        i = wrong_ones.index(True)
        errors.append((line, _words(schema[i], i, line, values[i], order)))
    return [_error(words) for _, words in sorted(errors)]


def _words(one: Field, i: int, line: int, value: str | None, order: Load) -> str:
    where = f'line_number: {line} column_index: {i} column_name: "{one.name}"'
    where += f" column_type: {one.type.name}"
    if value is None or (value == "" and not order.null and one.type.name not in EMPTY_IS_TEXT):
        return f"Required column value for column index: {i} is missing; {where}"
    if not order.newlines and ("\n" in value or "\r" in value):
        return f'Missing close quote character ("); {where}'
    return f'Unable to parse; {where} value: "{value[:_VALUE]}"'


def _rejected(cursor: duckdb.DuckDBPyConnection, width: int) -> dict[int, str]:
    """Return what the reader itself found wrong, by line."""
    found = cursor.execute(
        "SELECT line, column_idx, error_type, error_message FROM reject_errors"
        " ORDER BY line, column_idx DESC"
    ).fetchall()
    told = {}
    for line, column, kind, message in found:
        number = re.search(r"Found: (\d+)", message)
        words = _STRUCTURE.get(kind, message.splitlines()[0]).format(
            column=column, width=width, found=number[1] if number else column
        )
        told[int(line)] = f"{words}; line_number: {line}"
    return told


def _too_many(
    cursor: duckdb.DuckDBPyConnection, errors: list[dict[str, str]], most_bad: int
) -> Failed:
    rows = (cursor.execute("SELECT count(*) FROM staged").fetchone() or (0,))[0]
    words = (
        "Error while reading data, error message: CSV processing encountered too many errors,"
        f" giving up. Rows: {rows}; errors: {len(errors)}; max bad: {most_bad}; error percent: 0"
    )
    return Failed("invalid", words, [{"reason": "invalid", "message": words}, *errors[:_SHOWN]])


def _check_day(
    cursor: duckdb.DuckDBPyConnection, order: Load, table: Table, schema: Schema
) -> None:
    day, column = order.reference.day, find(schema, table.by or "")
    if not day or not column:
        return
    value = _value(column, schema.index(column), order)
    query = (
        f"SELECT n FROM staged WHERE CAST({value} AS DATE) IS DISTINCT FROM DATE '{day}' LIMIT 1"  # noqa: S608
    )
    if cursor.execute(query).fetchone():
        words = "Some rows belong to different partitions rather than destination partition"
        message = f"{words} {day.replace('-', '')}"
        raise Failed("invalid", message, [{"reason": "invalid", "message": message}])


def _failed(words: str) -> Failed:
    error = _error(words)
    return Failed(error["reason"], error["message"], [error])


def _error(words: str) -> dict[str, str]:
    return {"reason": "invalid", "message": f"Error while reading data, error message: {words}"}
