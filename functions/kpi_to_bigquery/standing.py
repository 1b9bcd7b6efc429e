"""Where the KPIs of a day stand: rows on S3, rows in BigQuery, when those came, what is wrong."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from common.queries import InvalidQuery
from kpi_to_bigquery import kpis, loads, source
from kpi_to_bigquery.bigquery import BigQuery, BigQueryError, StillRunning
from kpi_to_bigquery.source import NoFile, Place, S3Error


@dataclass(frozen=True)
class Standing:
    """Where a KPI's day stands; `wrong` is None where all is well.

    `s3_rows` is None where there is no file, or it does not say how many rows it has;
    `bigquery_rows` and `loaded_at` (ISO 8601, UTC) where that is not known, or has not happened.
    """

    kpi: str
    day: str
    s3_rows: int | None = None
    bigquery_rows: int | None = None
    loaded_at: str | None = None
    wrong: str | None = None


@dataclass(frozen=True)
class _Load:
    at: str
    rows: int
    source: str


def of(bq: BigQuery, bucket: str, day: date, names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the standing of each KPI of a day; what cannot be found out is what is wrong there.

    Raises what `bigquery` raises where nothing can be found out.
    """
    loaded = _loads(bq, day)
    told = []
    for name in names:
        try:
            one = _one(bq, Place.of(bucket, kpis.key(name, day)), loaded.get(name))
        except (BigQueryError, InvalidQuery, S3Error, StillRunning) as error:
            one = Standing(name, str(day), wrong=str(error))
        told.append(asdict(one))
    return told


def _one(bq: BigQuery, place: Place, load: _Load | None) -> Standing:
    header = kpis.load(place.name).header
    rows = _query(
        bq,
        f"SELECT COUNT(*) FROM {bq.quoted(place.name)} WHERE `{header.partition}` = @day",  # noqa: S608
        place.day,
    )
    known = Standing(
        kpi=place.name,
        day=str(place.day),
        bigquery_rows=int(rows[0][0] or 0) if rows else 0,
        loaded_at=load.at if load else None,
    )
    try:
        version = source.head(place)
        told = source.rows(place, version)
    except NoFile:
        return replace(known, wrong="no file")
    known = replace(known, s3_rows=None if told is None else int(told))
    if load is None or load.source != source.label(place, version):
        wrong = "loaded before the file was written again" if load else "not loaded"
        why = loads.refused(bq, place, version, kpis.digest(header))
        return replace(known, wrong=f"{wrong}: {why}" if why else wrong)
    expected = load.rows if known.s3_rows is None else known.s3_rows
    return replace(known, wrong="differs" if expected != known.bigquery_rows else None)


def _loads(bq: BigQuery, day: date) -> dict[str, _Load]:
    """Return the last load of each KPI into a day."""
    found = _query(
        bq,
        "SELECT kpi, loaded_at, `rows`, source"  # noqa: S608
        f" FROM {bq.quoted(loads.LOADS)} WHERE `day` = @day ORDER BY loaded_at",
        day,
    )
    return {
        str(kpi): _Load(_moment(int(at or 0)), int(rows or 0), str(where))
        for kpi, at, rows, where in found
    }


def _query(bq: BigQuery, sql: str, day: date) -> list[list[str | None]]:
    try:
        return bq.query(sql, day)
    except BigQueryError as error:
        # Before the first load there is no table, nor a dataset.
        if error.reason == "notFound":
            return []
        raise


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")
