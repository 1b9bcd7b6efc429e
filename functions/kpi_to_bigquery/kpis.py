"""What the header of a KPI in queries/ declares."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from common import queries
from common.events import require
from common.queries import InvalidQuery

FOLDER = Path(__file__).with_name("queries")
LONGEST = 780  # seconds: the function's 900, without two minutes for all else

# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types
TYPES = (
    *("STRING", "BYTES", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL"),
    *("DATE", "DATETIME", "TIME", "TIMESTAMP", "JSON"),
)
# https://cloud.google.com/bigquery/docs/schemas#column_names
_COLUMN = re.compile(
    r"(?!_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER)[A-Z_][A-Z0-9_]{0,299}",
    re.IGNORECASE | re.ASCII,
)
# What a query may name, bound for the day of the run.
BOUND = {"day": "date", "day_start": "datetime", "day_end": "datetime"}


@dataclass(frozen=True)
class Column:
    """A column as BigQuery has it."""

    type: str
    description: str = ""


@dataclass(frozen=True)
class Header:
    """What the header of a KPI declares.

    `columns` are the result's, in order: each name → Column. `partition` is the one of type DATE
    that holds the day of the run in each row. A day is one of `timezone`; `database_timezone` is
    what DATETIMEs of the database mean, while TIMESTAMPs are always in UTC. `timeout` is in
    seconds, for each statement. `key` is a column that an index leads by, and that is never NULL:
    with it large results are fast.
    """

    owner: str
    description: str
    partition: str
    columns: dict[str, Any]
    group: str = "daily"
    timezone: str = "Asia/Tokyo"
    database_timezone: str = "UTC"
    timeout: int = 300
    key: str | None = None

    def __post_init__(self) -> None:
        """Check against BigQuery's rules. Raises InvalidEvent naming the field."""
        for field in ("owner", "description", "group"):
            value = getattr(self, field)
            require(value.strip() and len(value) <= 1000, field, value, "text, 1,000 characters")
        for field in ("timezone", "database_timezone"):
            require(_is_zone(getattr(self, field)), field, getattr(self, field), "Asia/Tokyo or so")
        require(0 < self.timeout <= LONGEST, "timeout", self.timeout, f"1 to {LONGEST} seconds")
        columns = {name: _column(name, told) for name, told in self.columns.items()}
        require(columns, "columns", self.columns, "a table [columns.…] for each column")
        seen: dict[str, str] = {}
        for name in columns:
            same = seen.setdefault(name.lower(), name)
            require(same == name, f"columns.{name}", name, f"another name: there is {same}")
        by = columns.get(self.partition)
        require(by and by.type == "DATE", "partition", self.partition, "a column of type DATE")
        require(
            self.key is None or self.key in columns, "key", self.key, f"one of {', '.join(columns)}"
        )
        object.__setattr__(self, "columns", columns)


Query = queries.Query[Header]


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of all KPIs, sorted."""
    return queries.names(folder)


def load(name: str, folder: Path = FOLDER) -> Query:
    """Read one KPI. Raises InvalidQuery that says what is wrong, in which file and line."""
    known = names(folder)
    if name not in known:
        raise InvalidQuery(f"there is no KPI {name!r} (there are {', '.join(known) or 'none'})")
    try:
        _check_name(name)
        query = queries.load(folder, name, Header)
        queries.check_marks(query, BOUND)
    except InvalidQuery as error:
        raise InvalidQuery(f"{name}.sql: {error}") from None
    return query


def schema(header: Header) -> list[dict[str, str]]:
    """Return the columns as fields of BigQuery's; the partition column is REQUIRED.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
    """
    return [
        {
            "name": name,
            "type": column.type,
            "mode": "REQUIRED" if name == header.partition else "NULLABLE",
            **({"description": column.description} if column.description else {}),
        }
        for name, column in header.columns.items()
    ]


def digest(header: Header) -> str:
    """Return what tells a file's columns from others: SHA-256 of their names and types, in hex."""
    declared = [[name, column.type] for name, column in header.columns.items()]
    return hashlib.sha256(json.dumps([header.partition, declared]).encode()).hexdigest()


def key(name: str, day: object) -> str:
    """Return where the file of a KPI's day is in the bucket."""
    return f"kpi/{name}/dt={day}/{name}.csv"


def _column(name: str, told: Any) -> Column:
    if isinstance(told, Column):
        told = vars(told)
    here = f"columns.{name}"
    takes = "up to 300 letters, digits and _ that begin with no digit, nor as BigQuery's own do"
    require(_COLUMN.fullmatch(name), here, name, takes)
    require(isinstance(told, Mapping), here, told, "a table with `type` and `description`")
    for field, value in told.items():
        require(field in ("type", "description"), f"{here}.{field}", value, "type or description")
        require(isinstance(value, str), f"{here}.{field}", value, "text")
    column = Column(told.get("type", ""), told.get("description", ""))
    require(column.type in TYPES, f"{here}.type", column.type, f"one of {', '.join(TYPES)}")
    require(
        len(column.description) <= 1024,
        f"{here}.description",
        column.description,
        "1,024 characters",
    )
    return column


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True


def _check_name(name: str) -> None:
    # It is a table's name in BigQuery, beside the table of what was loaded.
    if not re.fullmatch(r"(?!kpi_loads$)[a-z][a-z0-9_]{0,99}", name):
        raise InvalidQuery("a name takes a-z, 0-9 and _, begins with a letter, and is no kpi_loads")
