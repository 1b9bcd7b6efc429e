"""The played BigQuery's datasets and tables, for real in one DuckDB file.

What is known of a table stands in the same file as its rows, so that both change together or not at
all. One writes at a time; who reads sees what was there before. A partition is its day's rows:
tables are partitioned by a column, never by the time of the load.
"""

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from sandbox.bigquery_schema import Field, Schema, read_partitioning, read_schema
from sandbox.bigquery_types import BY_NAME, quoted
from sandbox.google import Refused

_MEMORY = "256MB"
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_TABLE = re.compile(r"([\w -]{1,1024})(?:\$([0-9]{8}))?")
_CATALOGUE = """
CREATE SCHEMA IF NOT EXISTS meta;
CREATE SCHEMA IF NOT EXISTS rows;
CREATE TABLE IF NOT EXISTS meta.datasets (dataset VARCHAR, body VARCHAR);
CREATE TABLE IF NOT EXISTS meta.tables (dataset VARCHAR, name VARCHAR, body VARCHAR);
"""


@dataclass(frozen=True)
class Reference:
    """A table, or (`day`, ISO) a partition of it."""

    project: str
    dataset: str
    table: str
    day: str | None = None

    def __str__(self) -> str:
        """Return it as errors name it, with its partition."""
        return f"{self.project}:{self.dataset}.{self.short}"

    @property
    def short(self) -> str:
        """The table's own name, with its partition."""
        return self.table + (f"${self.day.replace('-', '')}" if self.day else "")

    @property
    def rows(self) -> str:
        """Where its rows are, in SQL."""
        return f"rows.{quoted(f'{self.dataset}.{self.table}')}"


@dataclass(frozen=True)
class Table:
    """What is known of a table. `by` is its partitioning column; times are epoch milliseconds."""

    reference: Reference
    schema: Schema
    by: str | None
    about: Mapping[str, Any]  # labels, description, expirationMs
    created: int
    changed: int

    @property
    def etag(self) -> str:
        """Changes with the table."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:22] + "=="

    def where(self, day: str | None) -> str:
        """Return the SQL that is true for the rows of a day's partition, or of all."""
        if day is None:
            return "TRUE"
        return f"CAST({quoted(self.by or '')} AS DATE) = DATE '{day}'"


@dataclass
class Warehouse:
    """The DuckDB file; `open_warehouse` makes it. `version` grows with whatever changes."""

    connection: duckdb.DuckDBPyConnection
    project: str
    folder: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    cursors: list[duckdb.DuckDBPyConnection] = field(default_factory=list)
    version: int = 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection that sees what is there."""
        with contextlib.closing(self.connection.cursor()) as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            self.cursors.append(cursor)
            try:
                yield cursor
            finally:
                self.cursors.remove(cursor)

    @contextlib.contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection whose changes are kept if the block ends well, and then all at once."""
        with self.reading() as cursor, self.transaction(cursor):
            yield cursor

    @contextlib.contextmanager
    def transaction(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Let a connection of `reading` write until the block ends."""
        with self.lock:
            cursor.execute("BEGIN")
            try:
                yield
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")
            self.version += 1

    def interrupt(self) -> None:
        """End whatever runs, with DuckDB's InterruptException."""
        for cursor in list(self.cursors):
            cursor.interrupt()

    def reference(self, dataset: str, table: str) -> Reference:
        """Make a reference of a table's id, `t` or `t$20261122`; Refused (400) if it is invalid."""
        match = _TABLE.fullmatch(table)
        if not _DATASET.fullmatch(dataset) or not match:
            raise Refused(400, f'Invalid table ID "{dataset}.{table}".')
        try:
            day = f"{datetime.strptime(match[2], '%Y%m%d'):%Y-%m-%d}" if match[2] else None  # noqa: DTZ007
        except ValueError:
            raise Refused(400, f"Invalid time partitioning decorator: {match[2]}") from None
        return Reference(self.project, dataset, match[1], day)


def open_warehouse(folder: Path, project: str) -> Warehouse:
    """Open the file in a folder; one process at a time can."""
    work = folder / "bigquery"
    work.mkdir(parents=True, exist_ok=True)
    for left in work.glob("*.upload"):
        left.unlink()  # of a process that is no more
    connection = duckdb.connect(
        work / "tables.duckdb",
        config={
            "threads": 1,  # keeps the order of rows, and memory small
            "memory_limit": _MEMORY,
            "temp_directory": str(work / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute(_CATALOGUE)
    warehouse = Warehouse(connection, project, work)
    with warehouse.reading() as cursor:
        warehouse.version = len(datasets(cursor))
    return warehouse


def read_dataset(cursor: duckdb.DuckDBPyConnection, project: str, dataset: str) -> dict[str, Any]:
    """Return what is known of a dataset; Refused (404) if there is none."""
    found = cursor.execute("SELECT body FROM meta.datasets WHERE dataset = ?", [dataset]).fetchone()
    if not found:
        raise Refused(404, f"Not found: Dataset {project}:{dataset}")
    body: dict[str, Any] = json.loads(found[0])
    return body


def datasets(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return all datasets, by name."""
    found = cursor.execute("SELECT body FROM meta.datasets ORDER BY dataset").fetchall()
    return [json.loads(body) for (body,) in found]


def add_dataset(
    cursor: duckdb.DuckDBPyConnection, project: str, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Make a dataset of what a request says; Refused where it is wrong (400) or there (409)."""
    reference = data.get("datasetReference")
    name = reference.get("datasetId") if isinstance(reference, dict) else None
    if not isinstance(name, str) or not _DATASET.fullmatch(name):
        raise Refused(400, f'Invalid dataset ID "{name}".')
    if odd := data.keys() - {"datasetReference", "labels", "location", "description"}:
        raise Refused(400, f"The laptop does not play {min(odd)} of a dataset.")
    if cursor.execute("SELECT 1 FROM meta.datasets WHERE dataset = ?", [name]).fetchone():
        raise Refused(409, f"Already Exists: Dataset {project}:{name}")
    now = str(milliseconds())
    body = {
        "kind": "bigquery#dataset",
        "id": f"{project}:{name}",
        "datasetReference": {"projectId": project, "datasetId": name},
        "labels": data.get("labels") or {},
        "location": str(data.get("location") or "US"),
        "creationTime": now,
        "lastModifiedTime": now,
    }
    body |= {"description": data["description"]} if data.get("description") else {}
    body["etag"] = hashlib.sha256(repr(body).encode()).hexdigest()[:22] + "=="
    cursor.execute("INSERT INTO meta.datasets VALUES (?, ?)", [name, json.dumps(body)])
    return body


def read_table(cursor: duckdb.DuckDBPyConnection, reference: Reference) -> Table:
    """Return what is known of a table; Refused (404) if there is none."""
    found = cursor.execute(
        "SELECT body FROM meta.tables WHERE dataset = ? AND name = ?",
        [reference.dataset, reference.table],
    ).fetchone()
    if not found:
        read_dataset(cursor, reference.project, reference.dataset)
        raise Refused(404, f"Not found: Table {replace(reference, day=None)}")
    return _table(replace(reference, day=None), found[0])


def tables(
    cursor: duckdb.DuckDBPyConnection, project: str, dataset: str | None = None
) -> list[Table]:
    """Return the tables of a dataset, or of all of them, by name."""
    found = cursor.execute(
        "SELECT dataset, name, body FROM meta.tables WHERE $1 IS NULL OR dataset = $1"
        " ORDER BY dataset, name",
        [dataset],
    ).fetchall()
    return [_table(Reference(project, of, name), body) for of, name, body in found]


def new_table(reference: Reference, data: Mapping[str, Any]) -> Table:
    """Make what a request or a load says of a new table; Refused (400) where it is wrong."""
    schema = read_schema(data.get("schema"))
    partitioning = data.get("timePartitioning")
    by = read_partitioning(partitioning, schema)
    about = {key: data[key] for key in ("labels", "description") if data.get(key)}
    if partitioning and partitioning.get("expirationMs"):
        about["expirationMs"] = str(partitioning["expirationMs"])
    now = milliseconds()
    return Table(replace(reference, day=None), schema, by, about, now, now)


def add_table(cursor: duckdb.DuckDBPyConnection, table: Table) -> Table:
    """Make a table, empty."""
    columns = ", ".join(f"{quoted(one.name)} {one.type.kept}" for one in table.schema)
    cursor.execute(f"CREATE TABLE {table.reference.rows} ({columns})")
    _keep(cursor, table)
    return table


def change_table(cursor: duckdb.DuckDBPyConnection, old: Table, new: Table) -> Table:
    """Keep a table's new schema and description; its rows have NULL in the columns added."""
    for one in new.schema[len(old.schema) :]:
        cursor.execute(
            f"ALTER TABLE {old.reference.rows} ADD COLUMN {quoted(one.name)} {one.type.kept}"
        )
    changed = replace(new, changed=max(milliseconds(), old.changed + 1))
    _keep(cursor, changed)
    return changed


def drop_table(cursor: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Take a table away with its rows."""
    cursor.execute(f"DROP TABLE {table.reference.rows}")
    _forget(cursor, table)


def count(cursor: duckdb.DuckDBPyConnection, table: Table, day: str | None = None) -> int:
    """Return how many rows a table, or a day's partition of it, has."""
    query = f"SELECT count(*) FROM {table.reference.rows} WHERE {table.where(day)}"  # noqa: S608
    return int((cursor.execute(query).fetchone() or (0,))[0])


def milliseconds() -> int:
    """Return now, as Google's answers have it."""
    return time.time_ns() // 1_000_000


def _keep(cursor: duckdb.DuckDBPyConnection, table: Table) -> None:
    _forget(cursor, table)
    body = {
        "schema": [one.resource() for one in table.schema],
        "by": table.by,
        "about": table.about,
        "created": table.created,
        "changed": table.changed,
    }
    reference = table.reference
    cursor.execute(
        "INSERT INTO meta.tables VALUES (?, ?, ?)",
        [reference.dataset, reference.table, json.dumps(body)],
    )


def _forget(cursor: duckdb.DuckDBPyConnection, table: Table) -> None:
    cursor.execute(
        "DELETE FROM meta.tables WHERE dataset = ? AND name = ?",
        [table.reference.dataset, table.reference.table],
    )


def _table(reference: Reference, text: str) -> Table:
    body = json.loads(text)
    schema = tuple(
        Field(
            one["name"], BY_NAME[one["type"]], one["mode"] == "REQUIRED", one.get("description", "")
        )
        for one in body["schema"]
    )
    return Table(reference, schema, body["by"], body["about"], body["created"], body["changed"])
