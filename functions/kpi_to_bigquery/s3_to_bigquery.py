"""Loads a KPI's file, when it has been written to S3, into its day's partition of BigQuery."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from time import monotonic
from typing import Any, Literal
from urllib.parse import unquote_plus

from common import events, failures, logs, parameters, sqs
from common.events import InvalidEvent, parse, require
from kpi_to_bigquery import days, google, kpis, loads, standing
from kpi_to_bigquery.bigquery import BigQuery, StillRunning
from kpi_to_bigquery.source import Place

# Seconds of a run that are kept for its answer.
RESERVE = 5
# Seconds without which no load is begun.
LEAST = 10
CREDENTIALS = "GOOGLE_CREDENTIALS"

logs.set_up()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """The payload by hand: a file's key, or several; `replay` loads once more what is loaded."""

    key: str | None = None
    keys: list[str] | None = None
    replay: bool = False

    def __post_init__(self) -> None:
        """Check that it is one of both. Raises InvalidEvent."""
        one = bool(self.key) != bool(self.keys)
        require(one, "key", self.key, "a key such as kpi/<name>/dt=<day>/<name>.csv, or keys: […]")


@dataclass(frozen=True)
class Status:
    """The payload that asks where the KPIs of a day stand; `kpis` names some of them."""

    status: Literal[True]
    day: str
    kpis: list[str] | None = None

    def __post_init__(self) -> None:
        """Check the day, and that the KPIs exist. Raises InvalidEvent."""
        require(days.is_day(self.day), "day", self.day, "a day such as 2026-11-22")
        known = kpis.names()
        for name in self.kpis or []:
            require(name in known, "kpis", name, " or ".join(known))
        require(self.kpis != [], "kpis", self.kpis, "one name at least")


def handler(event: object, context: Any) -> dict[str, Any]:
    """Load the files that the queue's messages, S3's notifications, tell of; or those of an Event.

    Returns `{"loaded": [{kpi, day, rows, job}, …]}`, and for messages also those that have to come
    again (batchItemFailures). By hand it raises RunFailed naming the keys that failed. A Status is
    answered with `{"status": […]}`, what `standing.of` tells.

    Whatever an event says, the newest version of its file is what is loaded, under an id made of
    that version: so events that come twice, or in another order, find the work done.
    """
    deadline = monotonic() + context.get_remaining_time_in_millis() / 1000 - RESERVE
    bq = _bigquery(deadline)
    loaded: list[dict[str, Any]] = []
    records = events.records(event, "messageId", "body")
    if records is not None:
        again = [one for one in records if not _message(bq, one, loaded, deadline)]
        for record in again:
            _later(record)
        not_loaded = [{"itemIdentifier": record["messageId"]} for record in again]
        return {"loaded": loaded, "batchItemFailures": not_loaded}
    if isinstance(event, Mapping) and "status" in event:
        about = parse(Status, event)
        day, names = date.fromisoformat(about.day), about.kpis or kpis.names()
        return {"status": standing.of(bq, os.environ["KPI_BUCKET"], day, names)}
    asked = parse(Event, event)
    failed: dict[str, object] = {}
    keys = dict.fromkeys(asked.keys or [asked.key or ""])
    for key in keys:
        try:
            place = Place.of(os.environ["KPI_BUCKET"], key)
            loaded.append(_load(bq, place, None, deadline, anew=asked.replay))
        except Exception as error:  # noqa: BLE001 (each is named at the end)
            failed[key] = error
    failures.raise_for(failed, tried=len(keys))
    return {"loaded": loaded}


def _message(
    bq: BigQuery, record: Mapping[str, Any], loaded: list[dict[str, Any]], deadline: float
) -> bool:
    """Load what a message tells of; tell whether that is all done."""
    told = {"message_id": record["messageId"]}
    try:
        notices = list(_notices(record["body"]))
    except Exception:
        log.exception("no notification of S3", extra=told)
        return False
    well = True
    for notice in notices:
        try:
            place, version = _place(notice)
            loaded.append(_load(bq, place, version, deadline))
        except Exception:
            log.exception("not loaded", extra={**told, "item": _item(notice)})
            well = False
    return well


def _later(record: Mapping[str, Any]) -> None:
    """Let a message come again sooner than the queue would; each time after twice as long."""
    received = int(record["attributes"]["ApproximateReceiveCount"])
    seconds = int(os.environ["RETRY_SECONDS"]) * 2 ** (received - 1)
    sqs.hide(os.environ["KPI_QUEUE_URL"], record["receiptHandle"], seconds)


def _notices(body: str) -> Iterator[Mapping[str, Any]]:
    """Give the records of S3's notification; its test, when it is set up, has none.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    message = json.loads(body)
    if not isinstance(message, dict) or message.get("Event") != "s3:TestEvent":
        yield from message["Records"]


def _item(notice: Mapping[str, Any]) -> str:
    try:
        return unquote_plus(notice["s3"]["object"]["key"])
    except (LookupError, TypeError, AttributeError):
        return "?"


def _place(notice: Mapping[str, Any]) -> tuple[Place, str | None]:
    """Return what a notification is about, and the version that it names. Raises InvalidEvent."""
    happened, s3 = notice["eventName"], notice["s3"]
    require(happened.startswith("ObjectCreated:"), "eventName", happened, "ObjectCreated:*")
    bucket, ours = s3["bucket"]["name"], os.environ["KPI_BUCKET"]
    require(bucket == ours, "bucket", bucket, ours)
    named = s3["object"]
    return Place.of(bucket, unquote_plus(named["key"])), named.get("versionId") or named.get("eTag")


def _load(
    bq: BigQuery, place: Place, version: str | None, deadline: float, *, anew: bool = False
) -> dict[str, Any]:
    if monotonic() + LEAST > deadline:
        raise StillRunning("no time is left in this run")
    return loads.load(bq, place, seen=version, anew=anew)


def _bigquery(deadline: float) -> BigQuery:
    def token() -> str:
        found = parameters.remembered(parameters.path(None, None), [CREDENTIALS], seconds=60)
        try:
            credentials = json.loads(found[CREDENTIALS])
        except ValueError:
            raise InvalidEvent(f"{CREDENTIALS}: is no JSON (see README)") from None
        require(isinstance(credentials, dict), CREDENTIALS, "…", "a JSON object (see README)")
        return google.token(credentials, deadline=deadline)

    return BigQuery(
        os.environ["BIGQUERY_PROJECT"],
        os.environ["BIGQUERY_DATASET"],
        os.environ["BIGQUERY_LOCATION"],
        token=token,
        deadline=deadline,
    )
