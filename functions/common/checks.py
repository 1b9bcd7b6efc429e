"""What a check of a query tells people: its file, its columns, its first rows."""

import csv
import hashlib
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from pymysql.constants import FIELD_TYPE

from common.csv_blocks import Block
from common.csv_form import Column

ROWS = 5
CHARACTERS = 60
_NAMES = {
    FIELD_TYPE.TINY: "TINYINT",
    FIELD_TYPE.SHORT: "SMALLINT",
    FIELD_TYPE.INT24: "MEDIUMINT",
    FIELD_TYPE.LONG: "INT",
    FIELD_TYPE.LONGLONG: "BIGINT",
    FIELD_TYPE.YEAR: "YEAR",
    FIELD_TYPE.FLOAT: "FLOAT",
    FIELD_TYPE.DOUBLE: "DOUBLE",
    FIELD_TYPE.BIT: "BIT",
    FIELD_TYPE.DATE: "DATE",
    FIELD_TYPE.TIME: "TIME",
    FIELD_TYPE.DATETIME: "DATETIME",
    FIELD_TYPE.TIMESTAMP: "TIMESTAMP",
    FIELD_TYPE.JSON: "JSON",
}

# A text may be as long as the server's packets, which is more than csv takes by itself.
csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


def source(folder: Path, name: str) -> str:
    """Return the SHA-256 of a query's file, in hex: another copy of it is known by that."""
    return hashlib.sha256((folder / f"{name}.sql").read_bytes()).hexdigest()


def came(column: Column) -> str:
    """Return what a column is to the database, in the words of SQL."""
    if column.kind == "number" and column.type_code not in _NAMES:
        return f"DECIMAL with {column.scale} decimals"
    return _NAMES.get(column.type_code) or column.kind


def columns(declared: Mapping[str, str], result: Sequence[Column]) -> list[dict[str, str | None]]:
    """Return each column: its name, what is `declared` of it, and what `came`.

    Those that did not come are at the end.
    """
    missing = dict(declared)
    found = [
        {"name": one.name, "declared": missing.pop(one.name, None), "came": came(one)}
        for one in result
    ]
    return found + [{"name": n, "declared": said, "came": None} for n, said in missing.items()]


def rows(block: Block) -> Iterator[list[str]]:
    r"""Give a block's rows as text, NULL as the form has it (\N, say)."""
    return csv.reader(io.StringIO(block.data.decode(), newline=""))


def first(block: Block, room: int = ROWS) -> list[list[str]]:
    """Return at most so many rows of a block, as `rows` does, long values cut."""
    most = CHARACTERS
    return [
        [text if len(text) <= most else f"{text[: most - 1]}…" for text in row]
        for row in islice(rows(block), room)
    ]
