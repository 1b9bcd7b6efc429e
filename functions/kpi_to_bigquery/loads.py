"""One file of a KPI into its day's partition: the newest version of the file, and that last.

A job's id is made of the file's version and the declared columns: a repeated event finds the job.
"""

import csv
import hashlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kpi_to_bigquery import kpis, source
from kpi_to_bigquery.bigquery import PASSING, BigQuery, File, Job, LoadFailed, StillRunning
from kpi_to_bigquery.source import Overwritten, Place, Version

# The table with a row for each load: what dashboards say 'as of' by.
LOADS = "kpi_loads"
_LOADS_SCHEMA = [
    {"name": "kpi", "type": "STRING"},
    {"name": "day", "type": "DATE", "mode": "REQUIRED"},
    {"name": "rows", "type": "INT64"},
    {"name": "loaded_at", "type": "TIMESTAMP"},
    {"name": "source", "type": "STRING", "description": "key and version of the file on S3"},
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Order:
    """What is to be loaded: the job's id, its `configuration.load`, and the file."""

    job_id: str
    load: dict[str, Any]
    file: File


def load(
    bq: BigQuery, place: Place, *, seen: str | None = None, anew: bool = False
) -> dict[str, Any]:
    """Load the newest version of a file, and note that it was loaded.

    `seen` is the version that an event tells of. `anew` loads once more what is loaded. Returns
    `{kpi, day, rows, job}`. Raises S3Error, InvalidQuery, and what `bigquery` raises.

    Whichever run ends last sees to it that the newest version is what ends last in BigQuery: each
    looks once more when its job is done. A run that broke off before that is made up for by its
    event, which comes again and names the version.
    """
    header = kpis.load(place.name).header
    digest = kpis.digest(header)
    table = bq.table(f"{place.name}${place.day:%Y%m%d}")
    how = _how(table, kpis.schema(header), header.partition, "WRITE_TRUNCATE")

    newest, after = source.head(place), 0
    if seen and seen != newest.version:
        after = _last_end(bq, _job_id(place, seen, digest))
    while True:
        version = newest
        if version.digest not in (None, digest):
            raise LoadFailed(
                f"s3://{place.bucket}/{place.key} was written when {place.name}.sql declared other"
                f" columns: run kpi_to_s3 for {place.day} once more",
                "columns",
            )
        file = File(version.size, partial(source.read, place, version))
        try:
            order = _Order(_job_id(place, version.version, digest), how, file)
            job = _done(bq, order, after=after, anew=anew)
        except Overwritten:
            newest = source.head(place)
            if newest.version == version.version:
                raise
            continue
        after = job.ended
        newest = source.head(place)
        if newest.version == version.version:
            break
    if version.rows not in (None, str(job.rows)):
        raise LoadFailed(
            f"BigQuery: job {job.job_id} loaded {job.rows} rows, the file has {version.rows}",
            "rows",
        )
    _note(bq, place, version, job)
    done = {"kpi": place.name, "day": str(place.day), "rows": job.rows, "job": job.job_id}
    log.info("loaded", extra=done)
    return done


def refused(bq: BigQuery, place: Place, version: Version, digest: str) -> LoadFailed | None:
    """Return why the last load of a file's version failed; None where none did, or is over."""
    last = None
    for job_id in _ids(_job_id(place, version.version, digest)):
        job = bq.find(job_id)
        if job is None:
            break
        last = job
    return last.error if last else None


def _job_id(place: Place, version: str, digest: str) -> str:
    made_of = hashlib.sha256(f"{version} {digest}".encode()).hexdigest()[:16]
    return f"kpi_{place.name}_{place.day:%Y%m%d}_{made_of}"


def _how(
    table: dict[str, str], schema: list[dict[str, str]], partition: str, write: str
) -> dict[str, Any]:
    """Return a job's `configuration.load`.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad
    """
    return {
        "destinationTable": table,
        "writeDisposition": write,
        "createDisposition": "CREATE_IF_NEEDED",
        "schema": {"fields": schema},
        "schemaUpdateOptions": ["ALLOW_FIELD_ADDITION"],
        "timePartitioning": {"type": "DAY", "field": partition},
        "sourceFormat": "CSV",
        "encoding": "UTF-8",
        "skipLeadingRows": 1,
        "nullMarker": "\\N",
        "allowQuotedNewlines": True,
        "preserveAsciiControlCharacters": True,
        "maxBadRecords": 0,
    }


def _ids(base: str) -> Iterator[str]:
    yield base
    number = 2
    while True:
        yield f"{base}-{number}"
        number += 1


def _done(bq: BigQuery, order: _Order, *, after: int = 0, anew: bool = False) -> Job:
    """Return a job that did the order and ended after an epoch millisecond; make it if need be.

    One that fails for a passing reason is followed by another. Raises LoadFailed, and what
    `BigQuery` raises.
    """
    for _ in bq.pauses(1, 30):
        job = _turn(bq, order, after=after, anew=anew)
        if not job.error:
            return job
        if job.error.reason not in PASSING:
            raise job.error
        log.warning("the load is tried again", extra={"reason": str(job.error)})
    raise StillRunning(f"no time is left in this run; the last try: {job.error}")


def _turn(bq: BigQuery, order: _Order, *, after: int, anew: bool) -> Job:
    """Return the job of an order, ended: of the ids that it may have, the first that will do.

    Those that failed before, or ended too soon, are walked past; the first that is free is taken.
    """
    for job_id in _ids(order.job_id):
        job = bq.find(job_id)
        if job is None:
            bq.load(job_id, order.load, order.file)
        elif job.done and (job.error or anew or job.ended <= after):
            continue
        elif job.done:
            log.info("loaded before", extra={"job": job_id})
            return job
        return bq.wait(job_id)
    raise AssertionError  # there is always another id


def _last_end(bq: BigQuery, base: str) -> int:
    """Return when the last job of a version ended, waiting for one that runs; 0 without any."""
    ended = 0
    for job_id in _ids(base):
        job = bq.find(job_id)
        if job is None:
            break
        job = job if job.done else bq.wait(job_id)
        ended = max(ended, 0 if job.error else job.ended)
    return ended


def _note(bq: BigQuery, place: Place, version: Version, job: Job) -> None:
    """Put the row of a load into the table of loads, once."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(field["name"] for field in _LOADS_SCHEMA)
    ended = datetime.fromtimestamp(job.ended / 1000, UTC).isoformat(timespec="milliseconds")
    writer.writerow([place.name, place.day, job.rows, ended, source.label(place, version)])
    data = text.getvalue().encode()
    how = _how(bq.table(LOADS), _LOADS_SCHEMA, "day", "WRITE_APPEND")
    file = File(len(data), lambda first, most: data[first : first + most])
    _done(bq, _Order(f"{job.job_id}_noted", how, file))
