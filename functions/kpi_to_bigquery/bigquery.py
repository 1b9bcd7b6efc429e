"""BigQuery's REST API, as much of it as loading files takes.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job
https://cloud.google.com/bigquery/docs/reference/api-uploads
"""

import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import requests

from common.http import Http, Unavailable, words
from kpi_to_bigquery import google

MIB = 1 << 20
# A file of less goes with its job in one request.
MULTIPART = 5 * MIB
PART = 8 * MIB  # a multiple of 256 KiB, Google's unit
# Passing troubles, in the words of calls and of jobs.
# https://cloud.google.com/bigquery/docs/error-messages
PASSING = {
    *("rateLimitExceeded", "jobRateLimitExceeded", "backendError", "jobBackendError"),
    *("internalError", "jobInternalError", "tableUnavailable"),
}
_GONE = (requests.codes.not_found, requests.codes.gone)
_SHOWN = 5  # errors of a job
_PATIENCE = 5000  # milliseconds that BigQuery takes its time with a query, before it answers

log = logging.getLogger(__name__)


class BigQueryError(Exception):
    """BigQuery refused a call, in its own words."""

    def __init__(self, message: str, status: int, reason: str) -> None:
        """Keep the HTTP status, and BigQuery's reason, e.g. `notFound`."""
        super().__init__(message)
        self.status, self.reason = status, reason


class _Lost(Exception):
    """BigQuery no longer knows an upload that it took parts of."""


class LoadFailed(Exception):
    """A job ended, and loaded nothing; the message has BigQuery's reasons."""

    def __init__(self, message: str, reason: str) -> None:
        """Keep BigQuery's reason, e.g. `invalid`."""
        super().__init__(message)
        self.reason = reason


class StillRunning(Exception):
    """A job has not ended in this run's time; another run finds it by its id."""


@dataclass(frozen=True)
class File:
    """What is loaded: its size in bytes, and `read(first, most)`, which gives bytes of it."""

    size: int
    read: Callable[[int, int], bytes]


@dataclass(frozen=True)
class Job:
    """A load job: `ended` is in epoch milliseconds, `error` None where it did its work."""

    job_id: str
    done: bool
    rows: int
    ended: int
    error: LoadFailed | None


class BigQuery:
    """A dataset of a project, at a location, until a deadline (of time.monotonic)."""

    def __init__(
        self,
        project: str,
        dataset: str,
        location: str,
        *,
        token: Callable[[], str],
        deadline: float,
    ) -> None:
        """Take where it is; `BIGQUERY_API_BASE` names another place for the API."""
        base = os.environ.get("BIGQUERY_API_BASE") or "https://bigquery.googleapis.com"
        self._api = f"{base}/bigquery/v2/projects/{project}"
        self._upload = f"{base}/upload/bigquery/v2/projects/{project}/jobs"
        self._project, self._dataset, self._location = project, dataset, location
        self._token, self._deadline = token, deadline
        self._http = Http("BigQuery", deadline=deadline)

    def table(self, table: str) -> dict[str, str]:
        """Return the reference of a table, or of a day of it: `orders$20261122`."""
        return {"projectId": self._project, "datasetId": self._dataset, "tableId": table}

    def load(self, job_id: str, load: Mapping[str, Any], file: File) -> None:
        """Make a load job, by `configuration.load`; makes the dataset where there is none.

        One that is there already under this id is left as it is: done twice, it does nothing more.
        Raises BigQueryError and Unavailable.
        """
        job = {
            "jobReference": {
                "projectId": self._project,
                "jobId": job_id,
                "location": self._location,
            },
            "configuration": {"load": load},
        }
        send = self._multipart if file.size < MULTIPART else self._resumable
        made = False
        for _ in self.pauses():
            try:
                return send(job, file)
            except _Lost as error:
                log.warning("the upload is begun anew", extra={"job": job_id, "reason": str(error)})
            except BigQueryError as error:
                if error.status == requests.codes.conflict:
                    return None
                if made or error.status != requests.codes.not_found or "Dataset" not in str(error):
                    raise
                self._make_dataset()
                made = True
        raise StillRunning(f"BigQuery: job {job_id} could not be made in time")

    def find(self, job_id: str) -> Job | None:
        """Return a job, or None where there is none of this id. Raises BigQueryError."""
        try:
            answer = self._call(
                "GET", f"{self._api}/jobs/{job_id}", params={"location": self._location}
            )
        except BigQueryError as error:
            if error.status == requests.codes.not_found:
                return None
            raise
        return _job(job_id, answer.json())

    def wait(self, job_id: str) -> Job:
        """Return a job when it has ended; it may have failed. Raises StillRunning."""
        for _ in self.pauses():
            job = self.find(job_id)
            if job and job.done:
                return job
        raise StillRunning(f"BigQuery: job {job_id} has not ended in this run's time")

    def quoted(self, table: str) -> str:
        """Return a table's name as a query has it."""
        return f"`{self._dataset}.{table}`"

    def query(self, sql: str, day: date) -> list[list[str | None]]:
        """Return the rows of a SELECT about a day, `@day`: text, and TIMESTAMPs in microseconds.

        Raises BigQueryError, Unavailable and StillRunning.
        https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query
        """
        asked = {
            "query": sql,
            "useLegacySql": False,
            "location": self._location,
            "timeoutMs": _PATIENCE,
            "formatOptions": {"useInt64Timestamp": True},
            "parameterMode": "NAMED",
            "queryParameters": [
                {
                    "name": "day",
                    "parameterType": {"type": "DATE"},
                    "parameterValue": {"value": str(day)},
                }
            ],
        }
        answer = self._call("POST", f"{self._api}/queries", json=asked).json()
        again = f"{self._api}/queries/{answer['jobReference']['jobId']}"
        how = {
            "location": self._location,
            "timeoutMs": _PATIENCE,
            "formatOptions.useInt64Timestamp": "true",
        }
        for _ in self.pauses():
            if answer["jobComplete"]:
                return [[cell["v"] for cell in row["f"]] for row in answer.get("rows", [])]
            answer = self._call("GET", again, params=how).json()
        raise StillRunning("BigQuery: a query has not ended in this run's time")

    def pauses(self, seconds: float = 0.25, most: float = 8) -> Iterator[None]:
        """Make a loop's turns, with ever longer pauses between them, as long as there is time."""
        while True:
            yield
            if time.monotonic() + seconds >= self._deadline:
                return
            time.sleep(seconds)
            seconds = min(seconds * 1.6, most)

    def _make_dataset(self) -> None:
        reference = {"projectId": self._project, "datasetId": self._dataset}
        body = {"datasetReference": reference, "location": self._location}
        try:
            self._call("POST", f"{self._api}/datasets", json=body)
        except BigQueryError as error:
            if error.status != requests.codes.conflict:
                raise
        log.info("dataset made", extra={"dataset": self._dataset, "place": self._location})

    def _multipart(self, job: Mapping[str, Any], file: File) -> None:
        boundary = secrets.token_hex(16)
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
            f"{json.dumps(job)}\r\n--{boundary}\r\nContent-Type: text/csv\r\n\r\n"
        )
        body = head.encode() + file.read(0, file.size) + f"\r\n--{boundary}--".encode()
        kind = f'multipart/related; boundary="{boundary}"'
        self._call(
            "POST",
            self._upload,
            params={"uploadType": "multipart"},
            data=body,
            headers={"Content-Type": kind},
        )

    def _resumable(self, job: Mapping[str, Any], file: File) -> None:
        begun = self._call(
            "POST",
            self._upload,
            params={"uploadType": "resumable"},
            json=job,
            headers={
                "X-Upload-Content-Type": "text/csv",
                "X-Upload-Content-Length": str(file.size),
            },
        )
        session, sent = begun.headers["Location"], 0
        pauses = self.pauses()
        for _ in pauses:
            while (answer := self._part(session, file, sent)).status_code == 308:
                # What has arrived may be less than what was sent.
                arrived = int(answer.headers.get("Range", "bytes=0--1").partition("-")[2]) + 1
                if arrived <= sent:
                    break
                sent = arrived
            else:
                return
            sent = arrived
        raise StillRunning(f"BigQuery: {sent} of {file.size} bytes arrived in this run's time")

    def _part(self, session: str, file: File, sent: int) -> requests.Response:
        """Send the next part; where that is cut off, or refused for now, ask what has arrived."""
        part = file.read(sent, PART) if sent < file.size else b""
        which = f"{sent}-{sent + len(part) - 1}" if part else "*"
        headers = {"Content-Range": f"bytes {which}/{file.size}"}
        try:
            try:
                return self._call("PUT", session, data=part, headers=headers, repeatable=False)
            except Unavailable as error:
                log.warning("a part was cut off", extra={"sent": sent, "reason": str(error)})
            headers = {"Content-Range": f"bytes */{file.size}"}
            return self._call("PUT", session, data=b"", headers=headers)
        except BigQueryError as error:
            if error.status in _GONE and "Dataset" not in str(error):
                raise _Lost(str(error)) from error
            raise

    def _call(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> requests.Response:
        """Call, again where BigQuery is asked too often or the token is refused. Raises."""
        renewed = False
        for _ in self.pauses():
            own = {**(headers or {}), "Authorization": f"Bearer {self._token()}"}
            answer = self._http.request(method, url, headers=own, **fields)
            if answer.ok:
                return answer
            error = _refusal(answer)
            if answer.status_code == requests.codes.unauthorized and not renewed:
                google.forget()
                renewed = True
            elif error.reason not in PASSING:
                raise error
            log.warning("BigQuery is asked again", extra={"reason": str(error)})
        raise error


def _refusal(answer: requests.Response) -> BigQueryError:
    """Read `{"error": {"message", "errors": [{"reason", …}]}}`."""
    status = answer.status_code
    try:
        error = answer.json()["error"]
        reason = str(error["errors"][0]["reason"])
        message = f"BigQuery: HTTP {status} {reason}: {error['message']}"
    except (ValueError, LookupError, TypeError):
        return BigQueryError(f"BigQuery: {words(answer)}", status, "")
    if reason == "accessDenied":
        message += (
            " (the service account needs roles/bigquery.jobUser and roles/bigquery.dataEditor)"
        )
    return BigQueryError(message, status, reason)


def _job(job_id: str, found: Mapping[str, Any]) -> Job:
    status, statistics = found["status"], found.get("statistics", {})
    failed = status.get("errorResult")
    return Job(
        job_id=job_id,
        done=status["state"] == "DONE",
        rows=int(statistics.get("load", {}).get("outputRows", 0)),
        ended=int(statistics.get("endTime", 0)),
        error=_failure(job_id, failed, status.get("errors", [])) if failed else None,
    )


def _failure(job_id: str, result: Mapping[str, str], errors: list[Mapping[str, str]]) -> LoadFailed:
    """Say all that BigQuery says of a failed job: each error once, with the row and column."""
    said = dict.fromkeys(
        one.get("message", "") + (f" (at {one['location']})" if one.get("location") else "")
        for one in [result, *errors]
    )
    reason = result.get("reason", "")
    return LoadFailed(
        f"BigQuery: job {job_id} failed, {reason}: {'; '.join([*said][: _SHOWN + 1])}", reason
    )
