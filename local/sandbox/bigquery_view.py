"""What the played BigQuery has, for people: tables, their schemas and days, the last loads."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sandbox.bigquery_jobs import Job, Jobs
from sandbox.bigquery_schema import Field
from sandbox.bigquery_tables import Table, count, tables
from sandbox.bigquery_types import quoted
from sandbox.charts import number

_JOBS = 20
_TABLES = 50
_ROWS = 5
_DAYS = 62
_GRAPHS = 4  # a table: its rows, and the first columns that are numbers
_CELL = 60  # characters
_WIDTH, _HEIGHT = 400.0, 90.0


@dataclass(frozen=True)
class Bar:
    """A day's bar, in the picture's units, and what it says."""

    x: float
    y: float
    width: float
    height: float
    says: str


@dataclass(frozen=True)
class Graph:
    """A column by day: its sum, or how many rows there are."""

    name: str
    latest: str
    most: str
    first: str
    last: str
    zero: float  # where the line is from which bars rise
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Shown:
    """A table."""

    name: str
    by: str | None
    count: int
    days: int
    changed: float
    schema: tuple[Field, ...]
    rows: tuple[tuple[str | None, ...], ...]
    graphs: tuple[Graph, ...]


@dataclass(frozen=True)
class Done:
    """A load job; `at` is when it was made, epoch seconds."""

    id: str
    table: str
    state: str
    at: float
    rows: int
    milliseconds: int | None
    error: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """All of it; `more` tables are left out."""

    tables: tuple[Shown, ...] = ()
    more: int = 0
    jobs: tuple[Done, ...] = ()


def viewer(jobs: Jobs) -> Callable[[], View]:
    """Return a function that looks at everything, once for each change."""
    seen: dict[tuple[int, int], View] = {}

    def view() -> View:
        key = jobs.warehouse.version, jobs.version
        if key not in seen:
            made = _view(jobs)
            seen.clear()
            seen[key] = made
            return made
        return seen[key]

    return view


def _view(jobs: Jobs) -> View:
    with jobs.warehouse.reading() as cursor:
        # A load that ends meanwhile is seen wholly or not at all.
        cursor.execute("BEGIN")
        found = tables(cursor, jobs.warehouse.project)
        shown = tuple(_table(cursor, table) for table in found[:_TABLES])
    done = tuple(_done(job) for job in jobs.newest(_JOBS))
    return View(shown, len(found) - len(shown), done)


def _table(cursor: Any, table: Table) -> Shown:
    names = [quoted(one.name) for one in table.schema]
    told = ", ".join(
        one.type.wire.format(x=name)
        if one.type.name != "TIMESTAMP"
        else f"strftime({name}, '%Y-%m-%d %H:%M:%S.%g UTC')"
        for one, name in zip(table.schema, names, strict=True)
    )
    order = f"CAST({quoted(table.by)} AS DATE) DESC NULLS LAST, " if table.by else ""
    rows = cursor.execute(
        f"SELECT {told} FROM {table.reference.rows} ORDER BY {order}rowid LIMIT {_ROWS}"  # noqa: S608
    ).fetchall()
    days, graphs = _graphs(cursor, table) if table.by else (0, ())
    return Shown(
        name=f"{table.reference.dataset}.{table.reference.table}",
        by=table.by,
        count=count(cursor, table),
        days=days,
        changed=table.changed / 1000,
        schema=table.schema,
        rows=tuple(tuple(_cut(value) for value in row) for row in rows),
        graphs=graphs,
    )


def _cut(value: str | None) -> str | None:
    return value if value is None or len(value) <= _CELL else value[: _CELL - 1] + "…"


def _graphs(cursor: Any, table: Table) -> tuple[int, tuple[Graph, ...]]:
    """Return how many days there are, and the charts of the last ones."""
    numbers = [one.name for one in table.schema if one.type.number][: _GRAPHS - 1]
    sums = "".join(f", CAST(sum({quoted(name)}) AS DOUBLE)" for name in numbers)
    found = cursor.execute(
        f"SELECT CAST({quoted(table.by or '')} AS DATE) AS day, count(*){sums}"  # noqa: S608
        f" FROM {table.reference.rows} WHERE {quoted(table.by or '')} IS NOT NULL"
        " GROUP BY day ORDER BY day"
    ).fetchall()
    if not found:
        return 0, ()
    newest: date = found[-1][0]
    recent = [row for row in found if (newest - row[0]).days < _DAYS]
    return len(found), tuple(
        draw(name, [(row[0], row[i]) for row in recent])
        for i, name in enumerate(["rows", *numbers], 1)
    )


def draw(name: str, values: Sequence[tuple[date, float | None]]) -> Graph:
    """Draw a value of each day as bars; days without one are left free."""
    known = [(day, float(value)) for day, value in values if value is not None]
    known = [(day, value) for day, value in known if math.isfinite(value)]
    first, last = values[0][0], values[-1][0]
    slot = _WIDTH / max((last - first).days + 1, 7)
    high = max([0.0, *(value for _, value in known)])
    low = min([0.0, *(value for _, value in known)])
    scale = _HEIGHT / ((high - low) or 1.0)
    bars = tuple(
        Bar(
            x=round((day - first).days * slot + slot * 0.1, 2),
            y=round((high - max(value, 0.0)) * scale, 2),
            width=round(slot * 0.8, 2),
            height=round(max(abs(value) * scale, 0.75), 2),
            says=f"{day}: {number(value)}",
        )
        for day, value in known
    )
    return Graph(
        name=name,
        latest=number(known[-1][1]) if known else "none",
        most=number(high if high > -low else low),
        first=f"{first:%m-%d}",
        last=f"{last:%m-%d}",
        zero=round(high * scale, 2),
        bars=bars,
    )


def _done(job: Job) -> Done:
    statistics, status = job["statistics"], job["status"]
    target = job["configuration"]["load"]["destinationTable"]
    took = None
    if "endTime" in statistics:
        took = int(statistics["endTime"]) - int(statistics["startTime"])
    failed = status.get("errorResult")
    return Done(
        id=job["jobReference"]["jobId"],
        table=f"{target['datasetId']}.{target['tableId']}",
        state=status["state"],
        at=int(statistics["creationTime"]) / 1000,
        rows=int(statistics.get("load", {}).get("outputRows", 0)),
        milliseconds=took,
        error=failed["message"] if failed else None,
        reasons=tuple(one["message"] for one in status.get("errors", []) if one != failed),
    )
