"""Both halves of the KPIs, each run in a process of its own.

`python -m bench.kpis_programs NAME` takes JSON on standard input. `keys` and `lines` write a file
of `sql` to S3, `load` takes one from there to BigQuery: they print what bench.exports_readers does,
`load` with bytes for rows. `calls` gives `events` to the handler of `function` and prints for each
of them what was called, and how often.
"""

import importlib
import json
import re
import sys
from collections import Counter
from datetime import date
from functools import partial
from time import monotonic
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from bench import exports_readers
from bench.exports_readers import Reader

# Imports are each program's own: so is its memory.
DAY = date(2026, 11, 22)
COLUMNS = {
    "day": "DATE",
    "id": "INT64",
    "name": "STRING",
    "email": "STRING",
    "city": "STRING",
    "balance": "NUMERIC",
    "created_at": "DATETIME",
}
# Method and path of a request, and what Google calls it.
GOOGLE = (
    (r"POST /upload/.*/jobs", "jobs.insert"),
    (r"GET /bigquery/.*/jobs/[^/]+", "jobs.get"),
    (r"POST /bigquery/.*/datasets", "datasets.insert"),
    (r"POST /google/v1/token", "sts.token"),
    (r"POST .*:generateAccessToken", "generateAccessToken"),
)


def _export(given: dict[str, Any], key: str | None) -> Reader:
    from common import mysql, parameters  # noqa: PLC0415
    from kpi_to_bigquery import kpi_to_s3, kpis  # noqa: PLC0415

    columns = {name: {"type": kind} for name, kind in COLUMNS.items()}
    header = kpis.Header("bench", "bench", "day", columns, key=key)
    query = kpis.Query("bench", header, given["sql"])
    found = parameters.read(parameters.path(None, None), mysql.PARAMETERS)
    settings = mysql.Settings.of(found)
    return lambda: kpi_to_s3.export(settings, query, DAY, lambda: 600.0).rows


def _load(_: dict[str, Any]) -> Reader:
    from kpi_to_bigquery import bigquery, s3_to_bigquery, source  # noqa: F401, PLC0415

    def load() -> int:
        place = source.Place("bucket", "kpi/sales/dt=2026-11-22/sales.csv", "sales", DAY)
        bq = bigquery.BigQuery("p", "d", "l", token=lambda: "t", deadline=monotonic() + 300)
        version = source.head(place)
        bq.load("j", {}, bigquery.File(version.size, partial(source.read, place, version)))
        return version.size

    return load


def calls(function: str, events: list[dict[str, Any]]) -> list[Counter[str]]:
    """Run a handler for each event, and return how often each of AWS's and Google's was called."""
    import boto3  # noqa: PLC0415
    import requests  # noqa: PLC0415

    counted: Counter[str] = Counter()
    send = requests.Session.send

    def to_aws(event_name: str, **_: object) -> None:
        counted[event_name.rpartition(".")[2]] += 1

    def to_google(self: Any, request: Any, **how: Any) -> Any:
        asked = f"{request.method} {urlsplit(request.url).path}"
        [name] = [name for pattern, name in GOOGLE if re.fullmatch(pattern, asked)]
        counted[name] += 1
        return send(self, request, **how)

    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("before-send", to_aws)
    requests.Session.send = to_google  # type: ignore[method-assign]
    module = importlib.import_module(f"kpi_to_bigquery.{function}")
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
    found = []
    for event in events:
        module.handler(event, context)
        found.append(counted.copy())
        counted.clear()
    return found


def main(name: str) -> None:
    if name == "calls":
        given = json.load(sys.stdin)
        print(json.dumps(calls(given["function"], given["events"])))
        return
    exports_readers.READERS["keys"] = lambda given: _export(given, "id")
    exports_readers.READERS["lines"] = lambda given: _export(given, None)
    exports_readers.READERS["load"] = _load
    exports_readers.main(name)


if __name__ == "__main__":
    main(sys.argv[1])
