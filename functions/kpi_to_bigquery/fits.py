"""Whether what a query gives is what its header declares, for BigQuery to take it as that."""

from collections.abc import Iterator, Sequence
from datetime import date

from pymysql.constants import FIELD_TYPE

from common.checks import came, rows
from common.csv_blocks import Block
from common.csv_form import Column, Form
from kpi_to_bigquery.kpis import Header

# As s3_to_bigquery tells BigQuery.
FORM = Form(null="\\N", binary="base64", guard=False)
_NUMERIC_SCALE = 9
_BIGNUMERIC_SCALE = 38
_TAKEN = {
    # Of booleans MySQL knows no more than 0 and 1; BigQuery refuses any other as a BOOL.
    "integer": ("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64", "BOOL", "STRING"),
    "bits": ("INT64", "BOOL"),
    "text": ("STRING", "JSON"),
    "binary": ("BYTES",),
}


class InvalidResult(ValueError):
    """What a query gave is not what its header declares; the message names the column."""


def unfit(header: Header, columns: Sequence[Column]) -> list[str]:
    """Return what is wrong with the columns of a result; nothing where they are as declared."""
    names = [one.name for one in columns]
    if names != list(header.columns):
        return [f"gives the columns {', '.join(names)}, declares {', '.join(header.columns)}"]
    errors = []
    for one in columns:
        declared = header.columns[one.name].type
        taken = _taken(one, utc=header.database_timezone == "UTC")
        if declared not in taken:
            way_out = f"declare {' or '.join(taken)}, or CAST it" if taken else "CAST it"
            errors.append(f"{one.name}: came as {came(one)}, is declared {declared} ({way_out})")
    return errors


def of_day(blocks: Iterator[Block], header: Header, day: date) -> Iterator[Block]:
    """Give the blocks on while each row can have the day in its partition column.

    Counting the day's text in each block costs next to nothing, and a row of another day, or of
    none, leaves it short of the rows; only where that day is elsewhere in the same block as well
    may it go unseen, and then BigQuery refuses the load: it takes a partition's own rows only.
    Raises InvalidResult naming the first such row.
    """
    place = list(header.columns).index(header.partition)
    text = f'"{day}"'.encode()
    before = 0
    for block in blocks:
        if block.data.count(text) < block.rows:
            number, value = next(
                (number, row[place])
                for number, row in enumerate(rows(block), before + 1)
                if row[place] != str(day)
            )
            got = "NULL" if value == FORM.null else value
            raise InvalidResult(f"{header.partition}: row {number} has {got}, the day is {day}")
        before += block.rows
        yield block


def _taken(column: Column, *, utc: bool) -> tuple[str, ...]:
    """Return BigQuery's types that take any text of a column, or refuse it out loud."""
    match column.kind:
        case "number":
            return _number(column)
        case "time":
            return _time(column, utc=utc)
    return _TAKEN.get(column.kind, ())


def _number(column: Column) -> tuple[str, ...]:
    if column.type_code in (FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE):
        return ("FLOAT64", "STRING")
    # SUM of integers is a DECIMAL to MySQL.
    whole = ("INT64",) if not column.scale else ()
    numeric = ("NUMERIC",) if column.scale <= _NUMERIC_SCALE else ()
    big = ("BIGNUMERIC",) if column.scale <= _BIGNUMERIC_SCALE else ()
    return (*whole, *numeric, *big, "FLOAT64", "STRING")


def _time(column: Column, *, utc: bool) -> tuple[str, ...]:
    # A TIMESTAMP is sent in UTC, which BigQuery takes a TIMESTAMP without an offset to be in; a
    # DATETIME only where it is one of UTC.
    match column.type_code:
        case FIELD_TYPE.DATETIME:
            return ("DATETIME", "TIMESTAMP", "STRING") if utc else ("DATETIME", "STRING")
        case FIELD_TYPE.TIMESTAMP:
            return ("TIMESTAMP", "DATETIME", "STRING") if utc else ("TIMESTAMP",)
    return (came(column), "STRING")
