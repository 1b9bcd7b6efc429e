"""Reads a query's result to the end, in a process of its own: as we do it, and as others would.

`python -m bench.exports_readers NAME` takes JSON on standard input: `sql`, and where the database
is; for `job` the message. It prints JSON: rows, seconds and CPU seconds without the imports, and
the peak of resident memory with them.
"""
# mypy: disable-error-code="import-not-found,import-untyped"

import csv
import json
import os
import re
import resource
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Imports are each reader's own: so is its memory.
Reader = Callable[[], int]
SINK = os.devnull
PIPE = 1 << 20


def _ours(given: dict[str, Any], key: str | None, *, plain: bool = False) -> Reader:
    import boto3  # noqa: F401, PLC0415 (on Lambda it is there, too)

    from common import csv_blocks, csv_form, mysql  # noqa: PLC0415

    settings = mysql.Settings(
        **{name: given[name] for name in ("host", "port", "user", "password")},
        name=given["database"],
        ca=Path(given["ca"]).read_text(encoding="ascii"),
    )

    def read() -> int:
        rows = 0
        source = csv_blocks.Source(given["sql"], key)
        with (
            Path(SINK).open("wb") as file,
            csv_blocks.snapshot(settings, seconds=600, time_zone="+09:00") as connection,
        ):
            reading = csv_blocks.read(connection, source, csv_form.Form(), plain=plain)
            expected = "plain" if plain else "keys" if key else "lines"
            if reading.way != expected:
                raise RuntimeError(f"read by {reading.way}, not {expected}: {reading.why}")
            for block in reading.blocks:
                file.write(block.data)
                rows += block.rows
        return rows

    return read


def _job(given: dict[str, Any]) -> Reader:
    from data_export.handler import handler  # noqa: PLC0415

    def read() -> int:
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
        answer = handler(given["message"], context)
        if answer["state"] != "done":
            raise RuntimeError(f"not done: {answer}")
        return int(answer["rows"])

    return read


def _cursor(given: dict[str, Any]) -> Reader:
    import pymysql  # noqa: PLC0415
    from pymysql.cursors import SSCursor  # noqa: PLC0415

    def read() -> int:
        rows = 0
        with (
            Path(SINK).open("w", encoding="utf-8", newline="") as file,
            pymysql.connect(**_address(given), ssl=_tls(given), cursorclass=SSCursor) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(given["sql"])
            writer = csv.writer(file)
            for row in cursor:
                writer.writerow(row)
                rows += 1
        return rows

    return read


def _engine(given: dict[str, Any]) -> Any:
    import sqlalchemy  # noqa: PLC0415

    url = sqlalchemy.URL.create(
        "mysql+pymysql",
        username=given["user"],
        password=given["password"],
        host=given["host"],
        port=given["port"],
        database=given["database"],
        query={"charset": "utf8mb4"},
    )
    return sqlalchemy.create_engine(url, connect_args={"ssl": _tls(given)})


def _sqlalchemy(given: dict[str, Any]) -> Reader:
    from sqlalchemy import text  # noqa: PLC0415
    from sqlalchemy.orm import Session  # noqa: PLC0415

    def read() -> int:
        rows = 0
        with (
            Path(SINK).open("w", encoding="utf-8", newline="") as file,
            Session(_engine(given)) as session,
        ):
            writer = csv.writer(file)
            # It brings stream_results with it: without, the whole result would be in memory.
            options = {"yield_per": 1000}
            for row in session.execute(text(given["sql"]), execution_options=options):
                writer.writerow(row)
                rows += 1
        return rows

    return read


def _pandas(given: dict[str, Any]) -> Reader:
    import pandas  # noqa: ICN001, PLC0415

    def read() -> int:
        rows = 0
        with (
            Path(SINK).open("w", encoding="utf-8", newline="") as file,
            _engine(given).connect().execution_options(stream_results=True) as connection,
        ):
            for chunk in pandas.read_sql(given["sql"], connection, chunksize=10_000):
                chunk.to_csv(file, index=False, header=False)
                rows += len(chunk)
        return rows

    return read


def _client(given: dict[str, Any]) -> Reader:
    command = [
        *("mariadb", "--no-defaults", "--quick", "--batch", "--skip-column-names"),
        *("--default-character-set=utf8mb4", f"--ssl-ca={given['ca']}"),
        *(f"--host={given['host']}", f"--port={given['port']}", f"--user={given['user']}"),
        f"--execute={given['sql']}",
        given["database"],
    ]
    environment = os.environ | {"MYSQL_PWD": given["password"]}

    def read() -> int:
        rows = 0
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as client:
            if client.stdout is None:
                raise RuntimeError("there is no pipe")
            while got := os.read(client.stdout.fileno(), PIPE):
                rows += got.count(b"\n")
        if client.returncode:
            raise RuntimeError(f"the client ended with {client.returncode}")
        return rows

    return read


def _address(given: dict[str, Any]) -> dict[str, Any]:
    names = ("host", "port", "user", "password", "database")
    return {name: given[name] for name in names} | {"charset": "utf8mb4"}


def _tls(given: dict[str, Any]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=given["ca"])


READERS: dict[str, Callable[[dict[str, Any]], Reader]] = {
    "keys": lambda given: _ours(given, "id"),
    "lines": lambda given: _ours(given, None),
    "plain": lambda given: _ours(given, None, plain=True),
    "job": _job,
    "client": _client,
    "cursor": _cursor,
    "sqlalchemy": _sqlalchemy,
    "pandas": _pandas,
}


def main(name: str) -> None:
    who = resource.RUSAGE_CHILDREN if name == "client" else resource.RUSAGE_SELF
    read = READERS[name](json.load(sys.stdin))
    before, began = resource.getrusage(who), time.perf_counter()
    rows = read()
    seconds, after = time.perf_counter() - began, resource.getrusage(who)
    cpu = sum(getattr(after, n) - getattr(before, n) for n in ("ru_utime", "ru_stime"))
    peak = after.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if name != "client" and sys.platform == "linux":
        # There that number begins with the peak of the process that started this one.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s*(\d+) kB", status)
        peak = int(found[1]) * 1024 if found else peak
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu": cpu, "peak": peak}))


if __name__ == "__main__":
    main(sys.argv[1])
