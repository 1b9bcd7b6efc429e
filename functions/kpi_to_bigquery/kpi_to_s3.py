"""Run the SQL files in queries/ for a day, or many, and put what each gives on S3 as CSV."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any

import pymysql
from botocore.exceptions import BotoCoreError, ClientError

from common import checks, csv_blocks, csv_form, failures, logs, mysql, parameters, s3_file
from common.csv_blocks import Block, Reading, Source, Unfit
from common.events import parse, require
from common.queries import InvalidQuery
from common.s3_file import Written
from kpi_to_bigquery import days, fits, kpis
from kpi_to_bigquery.fits import InvalidResult
from kpi_to_bigquery.kpis import Query

MOST_DAYS = 1000
# Seconds of each run that are kept: to name what was not done, and to leave nothing behind.
RESERVE = 15

logs.set_up()
log = logging.getLogger(__name__)


class OutOfTime(Exception):
    """The run is about to end; nothing of the file is there."""


@dataclass(frozen=True)
class Event:
    """The payload. Without a day it is yesterday, in each KPI's own zone.

    `from` and `to` are the first and the last of many. `kpis` names some of the files (without
    `.sql`), `group` takes those of one group; without either, all run. `check` puts nothing on S3
    but returns what would come, with what is wrong about it.
    """

    day: str | None = None
    from_: str | None = None
    to: str | None = None
    kpis: list[str] | None = None
    group: str | None = None
    check: bool = False
    environment: str | None = None
    path_to_parameter: str | None = None

    def __post_init__(self) -> None:
        """Check the days, and that the KPIs exist. Raises InvalidEvent."""
        for field, text in (("day", self.day), ("from", self.from_), ("to", self.to)):
            require(text is None or days.is_day(text), field, text, "a day such as 2026-11-22")
        require(
            (self.from_ is None) == (self.to is None), "to", self.to, "a day, together with from"
        )
        require(not self.day or not self.from_, "day", self.day, "nothing beside from and to")
        require(not self.check or not self.from_, "check", self.check, "one day")
        if self.from_ and self.to:
            first, last = date.fromisoformat(self.from_), date.fromisoformat(self.to)
            takes = f"from the day of from ({first}) to {MOST_DAYS:,} days in all"
            require(0 <= (last - first).days < MOST_DAYS, "to", self.to, takes)
        known = kpis.names()
        for name in self.kpis or []:
            require(name in known, "kpis", name, " or ".join(known))
        require(self.kpis != [], "kpis", self.kpis, "one name at least")
        require(not self.kpis or not self.group, "group", self.group, "nothing beside kpis")


def handler(event: object, context: Any) -> dict[str, Any]:
    """Write the file of each KPI and day, in the order of the days.

    Returns `{"kpis": …, "days": …, "files": written, "rows": in them}`. Each is tried; raises
    RunFailed naming those that failed, the others being there, and the day from which on there was
    no time. A repeated event writes the same keys: a day's file is replaced by one as the database
    is now. With `check` returns `{"checks": […]}`, as `check` does; its errors are no failure.
    """
    request = parse(Event, event)
    queries, failed = _queries(request)
    runs = _runs(request, queries, datetime.now(UTC))
    path = parameters.path(request.environment, request.path_to_parameter)
    settings = mysql.Settings.of(parameters.read(path, mysql.PARAMETERS))

    def left() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000 - RESERVE

    if request.check:
        wrong = [{"kpi": name, "errors": [why]} for name, why in failed.items()]
        return {"checks": wrong + [check(settings, query, day, left) for day, query in runs]}
    files = rows = 0
    for number, (day, query) in enumerate(runs):
        if left() <= 0:
            rest = len(runs) - number
            failed[f"{rest} from {day} on"] = "no time was left: go on with that day"
            break
        try:
            written = export(settings, query, day, left)
        except (
            *(InvalidResult, OutOfTime, Unfit, pymysql.MySQLError),
            *(ClientError, BotoCoreError),
        ) as error:
            failed[f"{query.name}.sql of {day}"] = str(error)
        else:
            files, rows = files + 1, rows + written.rows
    summary = {
        "kpis": len(queries),
        "days": len({day for day, _ in runs}),
        "files": files,
        "rows": rows,
    }
    log.info("written to S3", extra=summary)
    failures.raise_for(failed, tried=len(runs) + len(failed.keys() & {*kpis.names()}))
    return summary


def export(settings: mysql.Settings, query: Query, day: date, left: Callable[[], float]) -> Written:
    """Write one file; `left` tells the seconds that are left.

    Raises InvalidResult, OutOfTime, and what the database or AWS met: then what was there stays.
    """
    try:
        return _write(settings, query, day, left)
    except Unfit as error:
        log.warning("read anew", extra={"kpi": query.name, "day": str(day), "reason": str(error)})
        return _write(settings, query, day, left, plain=True)


def check(
    settings: mysql.Settings, query: Query, day: date, left: Callable[[], float]
) -> dict[str, Any]:
    r"""Run one query as `export` does, to the end, and keep only what people want to see.

    Returns `kpi`, `day`, `source` (SHA-256 of the file, by which another copy of it is known),
    `columns` (each with its name, what is `declared` and what `came`; those that did not come at
    the end), the number of `rows`, the `first` ones as they would be in the file (NULL as \N), and
    `errors`.
    """
    source = checks.source(kpis.FOLDER, query.name)
    told: dict[str, Any] = {"kpi": query.name, "day": str(day), "source": source}
    told |= {"columns": [], "rows": 0, "first": [], "errors": []}
    try:
        with _reading(settings, query, day, left) as reading:
            declared = {name: column.type for name, column in query.header.columns.items()}
            told["columns"] = checks.columns(declared, reading.columns)
            told["errors"] = fits.unfit(query.header, reading.columns)
            blocks = _in_time(reading.blocks, left)
            for block in blocks if told["errors"] else fits.of_day(blocks, query.header, day):
                told["rows"] += block.rows
                told["first"] += checks.first(block, checks.ROWS - len(told["first"]))
    except (InvalidResult, OutOfTime, Unfit, pymysql.MySQLError) as error:
        told["errors"].append(str(error))
    return told


def _queries(request: Event) -> tuple[list[Query], dict[str, str]]:
    """Return the KPIs that are asked for, and what is wrong with others, whatever their group."""
    found: list[Query] = []
    failed: dict[str, str] = {}
    for name in request.kpis or kpis.names():
        try:
            query = kpis.load(name)
        except InvalidQuery as error:
            failed[name] = str(error)
        else:
            if request.group in (None, query.header.group):
                found.append(query)
    require(found or failed, "group", request.group, "a group that a file in queries/ names")
    return found, failed


def _runs(request: Event, queries: list[Query], now: datetime) -> list[tuple[date, Query]]:
    """Return what is to be written, by day. Raises InvalidEvent for a day that is not there yet."""
    runs = []
    for query in queries:
        today = days.today(now, query.header.timezone)
        yesterday = today - timedelta(days=1)
        first = date.fromisoformat(request.from_ or request.day or str(yesterday))
        last = date.fromisoformat(request.to or str(first))
        field = "to" if request.to else "day"
        require(last <= today, field, str(last), f"no day after {today} ({query.header.timezone})")
        runs += [(day, query) for day in days.span(first, last)]
    return sorted(runs, key=lambda run: run[0])


def _write(
    settings: mysql.Settings,
    query: Query,
    day: date,
    left: Callable[[], float],
    *,
    plain: bool = False,
) -> Written:
    header = query.header
    with _reading(settings, query, day, left, plain=plain) as reading:
        if errors := fits.unfit(header, reading.columns):
            raise InvalidResult("; ".join(errors))
        title = Block(csv_form.header(header.columns), 0)
        lines = fits.of_day(_in_time(reading.blocks, left), header, day)
        written = s3_file.write(
            os.environ["KPI_BUCKET"],
            kpis.key(query.name, day),
            chain([title], lines),
            {"day": str(day), "digest": kpis.digest(header)},
        )
    about = {"kpi": query.name, "day": str(day), "way": reading.way, "why": reading.why}
    log.info("written", extra=about | vars(written))
    return written


@contextmanager
def _reading(
    settings: mysql.Settings,
    query: Query,
    day: date,
    left: Callable[[], float],
    *,
    plain: bool = False,
) -> Iterator[Reading]:
    header = query.header
    begin, end = days.bounds(day, header.timezone, header.database_timezone)
    seconds = max(1, min(header.timeout, int(left())))
    with csv_blocks.snapshot(settings, seconds=seconds, time_zone="+00:00") as connection:
        # By themselves they would be text, and so would a column that one of them is.
        connection.encoders[date] = connection.encoders[datetime] = _literal
        with connection.cursor() as cursor:
            sql = cursor.mogrify(query.sql, {"day": day, "day_start": begin, "day_end": end})
        yield csv_blocks.read(connection, Source(sql, header.key), fits.FORM, plain=plain)


def _literal(value: date, _: object = None) -> str:
    return f"{'TIMESTAMP' if isinstance(value, datetime) else 'DATE'}'{value}'"


def _in_time(blocks: Iterator[Block], left: Callable[[], float]) -> Iterator[Block]:
    for block in blocks:
        if left() <= 0:
            raise OutOfTime("no time was left to read all of it")
        yield block
