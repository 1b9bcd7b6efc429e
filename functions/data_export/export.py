"""One job: its query read, its file written; from where an earlier run left it."""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pymysql
from botocore.exceptions import ClientError
from pymysql.connections import Connection
from pymysql.constants import CR, ER

from common import aws, csv_blocks, csv_form, mysql, parameters
from common.csv_blocks import Block, Reading, Source, Unfit
from common.csv_form import Form
from common.events import InvalidEvent
from common.queries import InvalidQuery
from data_export import jobs, request, upload
from data_export.jobs import Job
from data_export.request import Query, Request
from data_export.upload import Spoilt, TooLarge

# Seconds of each run, for handing over to the next; and for saying that nothing can be handed over.
RESERVE = 120
LAST = 20
BOM = b"\xef\xbb\xbf"
# MariaDB's and MySQL's word for a statement over its time limit.
# https://mariadb.com/kb/en/mariadb-error-code-reference/
_TOO_SLOW = {1969, 3024}
_UNREACHABLE = {CR.CR_CONN_HOST_ERROR, CR.CR_UNKNOWN_HOST}
# The statement is wrong, meets a value that it cannot take, or asks for what its user may not see:
# trying again does not help. By the class of SQLSTATE (cardinality, data, ambiguous names,
# transaction, syntax or access), but for what is about the connection, and by number where that
# says nothing.
# https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
_WRONG_CLASSES = {"21", "22", "23", "25", "42"}
_NOT_WRONG = {
    *(ER.DBACCESS_DENIED_ERROR, ER.BAD_DB_ERROR),
    *(ER.TOO_MANY_USER_CONNECTIONS, ER.USER_LIMIT_REACHED),
}
_WRONG = {
    *(ER.CANT_AGGREGATE_2COLLATIONS, ER.CANT_AGGREGATE_3COLLATIONS, ER.CANT_AGGREGATE_NCOLLATIONS),
    *(ER.WRONG_USAGE, ER.FT_MATCHING_KEY_NOT_FOUND, ER.UNKNOWN_COLLATION, ER.NO_SUCH_USER),
    *(ER.VIEW_INVALID, ER.WRONG_VALUE_FOR_TYPE, 1525),  # an invalid date
    *(ER.UNKNOWN_SYSTEM_VARIABLE, ER.WRONG_ARGUMENTS, ER.NO_DEFAULT_FOR_FIELD),
    1747,  # a partition of a table that has none
    # MariaDB: WITH and windows, JSON, an operand of a type that an operation does not take
    *(*range(4002, 4025), *range(4035, 4046), 4078, 4079),
    # MySQL: WITH, windows, the depth of a recursion, regular expressions
    *(*range(3573, 3600), 3636, *range(3684, 3701)),
}

log = logging.getLogger(__name__)


class Refused(Exception):
    """There will be no file: `code` says why in the mail, the message says it to operators."""

    def __init__(self, code: str, detail: object) -> None:
        """Keep both."""
        super().__init__(str(detail))
        self.code = code


@dataclass(frozen=True)
class Run:
    """A run of the function: when it began, how long it has, and how long a lease is."""

    remaining: Callable[[], float]  # seconds
    lease: int  # seconds
    began: float = field(default_factory=time.monotonic)

    def is_short(self) -> bool:
        """Tell whether there is only time left to hand over."""
        return self.remaining() < RESERVE

    def is_over(self) -> bool:
        """Tell whether it is about to be killed."""
        return self.remaining() < LAST

    def had(self, turn: int) -> bool:
        """Tell whether it had its turn, or has no time for more of it."""
        return time.monotonic() - self.began >= turn or self.is_short()


@dataclass(frozen=True)
class _Task:
    asked: Request
    query: Query
    values: dict[str, Any]
    plain: bool = False


def export(job: Job, run: Run) -> Job:
    """Write a job's file, or as much of it as there is time for, and return the job after it.

    A job that is still `running` is to be gone on with. Raises Refused, jobs.Lost, Spoilt, and what
    the database or AWS met: then it may be tried again.
    """
    try:
        whole = job.completing
        if not whole:
            job, whole = _written(job, run)
        return _complete(job) if whole else job
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args else None
        if code in _TOO_SLOW:
            raise Refused("too_slow", error) from error
        if _is_wrong(error):
            raise Refused("query_failed", error) from error
        raise
    except ClientError as error:
        if aws.has_code(error, "NoSuchUpload"):  # the bucket's rule was quicker
            _again(job)
        raise
    except Spoilt:
        _again(job)
        raise
    except TooLarge as error:
        raise Refused("too_large", error) from error


def _is_wrong(error: pymysql.MySQLError) -> bool:
    """Tell whether the server will say the same of the statement the next time."""
    code = error.args[0] if error.args else None
    state = getattr(error, "sqlstate", None) or ""
    return (
        isinstance(error, pymysql.ProgrammingError)
        or code in _WRONG
        or (state[:2] in _WRONG_CLASSES and code not in _NOT_WRONG)
    )


def _again(job: Job) -> Job:
    """Forget what was sent: it is thrown away when the next upload begins."""
    return jobs.note(job, position=None, completing=None)


def _complete(job: Job) -> Job:
    done = upload.complete(job)
    return jobs.finish(done, int(time.time()), int(os.environ["LINK_DAYS"]))


def _written(job: Job, run: Run) -> tuple[Job, bool]:
    """Write the file the fast way, or else the plain way; return as `_write` does."""
    task = _task(Request.of_item(job.request))
    try:
        return _write(job, task, run)
    except Unfit as error:
        log.warning("read anew", extra={"job_id": job.job_id, "reason": str(error)})
        return _write(_again(job), replace(task, plain=True), run)


def _task(asked: Request) -> _Task:
    known = request.names()
    if asked.query not in known:
        raise Refused("unknown_query", f"{asked.query} (there are {', '.join(known)})")
    try:
        query = request.load(asked.query)
    except InvalidQuery as error:
        raise Refused("query_failed", f"{asked.query}.sql: {error}") from error
    try:
        return _Task(asked, query, request.values(query.header.parameters, asked.parameters))
    except InvalidEvent as error:
        raise Refused("parameter", error) from error


def _write(job: Job, task: _Task, run: Run) -> tuple[Job, bool]:
    """Read and send; return the job, and whether that was all of it."""
    header = task.query.header
    with snapshot(header.timeout, header.time_zone) as connection:
        sql = bound(connection, task.query, task.values)
        reading = csv_blocks.read(
            connection, Source(sql, header.key), Form(), after=job.position, plain=task.plain
        )
        titles = titles_of(task.query, reading)
        log.info(
            "reading",
            extra={"job_id": job.job_id, "way": reading.way, "why": reading.why, "rows": job.rows},
        )
        goes_on = reading.way == "keys" and job.position is not None
        asks = _asks(sql, header.key, reading)
        if not goes_on:
            job = upload.begin(job, _key(task.asked), asks)
        elif job.asks != asks:
            # A half of one shape and a half of another would be no file.
            raise Spoilt("the query or its columns have changed since the last run")
        with upload.uploading(job, run.lease) as sending:
            if not goes_on:
                sending.add(Block(_first(task.asked, titles), 0))
            whole = _send(reading, sending, run, header.turn)
    return (sending.last() if whole else sending.pause()), whole


def _send(reading: Reading, sending: upload.Upload, run: Run, turn: int) -> bool:
    """Send the blocks while there is time; tell whether that was all."""
    for block in reading.blocks:
        sending.add(block)
        if reading.way == "keys" and sending.sent and run.had(turn):
            return False
        if run.is_over():
            if reading.way != "keys":
                raise Refused("too_long", f"no time is left, and {reading.why}")
            if not sending.can_pause():
                raise Refused("too_long", "a run has no time for a single part")
            return False
    return True


def bound(connection: Connection, query: Query, values: dict[str, Any]) -> str:
    """Return a query's statement with its parameters, as `request.values` gives them."""
    if not query.header.parameters:
        return query.sql
    with connection.cursor() as cursor:
        return cursor.mogrify(query.sql, values)


def _asks(sql: str, key: str | None, reading: Reading) -> str:
    """Sum up what rows are made from: parts of one file have it in common."""
    columns = [(column.name, column.kind) for column in reading.columns]
    return hashlib.sha256(repr((sql, key, columns)).encode()).hexdigest()


def titles_of(query: Query, reading: Reading) -> list[str]:
    """Return the columns' titles in the file. Raises Refused where other columns are declared."""
    names = [column.name for column in reading.columns]
    declared = query.header.columns
    if declared and list(declared) != names:
        raise Refused(
            "query_failed", f"gives the columns {', '.join(names)}, declares {', '.join(declared)}"
        )
    return [declared.get(name, name) for name in names]


def _first(asked: Request, titles: list[str]) -> bytes:
    marked = asked.language == "ja" if asked.bom is None else asked.bom
    return (BOM if marked else b"") + csv_form.header(titles)


def _key(asked: Request) -> str:
    return f"exports/{asked.job_id}/{asked.query}.csv" + (".gz" if asked.gzip else "")


@contextmanager
def snapshot(seconds: int, time_zone: str) -> Iterator[Connection]:
    """Connect to the replica where there is one, and it answers; else to the database."""
    found = parameters.read(parameters.path(None, None), mysql.PARAMETERS)
    settings = mysql.Settings.of(found)
    opened = partial(csv_blocks.snapshot, seconds=seconds, time_zone=time_zone)
    with ExitStack() as stack:
        if replica := os.environ.get("DATABASE_REPLICA_HOST"):
            try:
                connection = stack.enter_context(opened(replace(settings, host=replica)))
            except pymysql.OperationalError as error:
                if error.args[0] not in _UNREACHABLE:
                    raise
                log.warning("the replica does not answer", extra={"reason": str(error)})
                connection = stack.enter_context(opened(settings))
        else:
            connection = stack.enter_context(opened(settings))
        yield connection
