"""The played BigQuery's jobs: loads, one after another, and queries, done as soon as made.

Loads are kept in an SQLite file and outlive a restart; one that it cut off has failed. Queries are
kept in memory, the last hundred. Guesses: a load waits as PENDING for the one before it; a job that
was cut off ends with `backendError`.
"""

import asyncio
import json
import logging
import re
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from sandbox import bigquery_load, bigquery_query
from sandbox.bigquery_load import Failed, Loaded
from sandbox.bigquery_order import Load, read_load
from sandbox.bigquery_query import Result
from sandbox.bigquery_tables import Warehouse, datasets, milliseconds, open_warehouse
from sandbox.google import Refused
from sandbox.inbox import Inbox, open_database
from sandbox.service import setting

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    location TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (id, location)
);
"""
_ID = re.compile(r"[A-Za-z0-9_-]{1,1024}")
_QUERIES = 100
_EVERYWHERE = ("us", "eu")  # where a job is found without its location
_CUT_OFF = {"reason": "backendError", "message": "The job was cut off: the laptop was stopped."}

Job = dict[str, Any]


@dataclass
class Jobs:
    """The jobs; `open_jobs` makes it."""

    inbox: Inbox
    warehouse: Warehouse
    kept: sqlite3.Connection
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    running: set[asyncio.Task[None]] = field(default_factory=set)
    queries: dict[str, tuple[Job, Result | None]] = field(default_factory=dict)
    version: int = 0
    closed: bool = False

    def find(self, job_id: str, location: str | None) -> Job:
        """Return a job; Refused (404) where there is none of this id at this location."""
        job = self._load(job_id, location)
        if not job:
            job = self.queries.get(job_id, (None, None))[0]
        if not job:
            words = f"{location}." if location else ""
            raise Refused(404, f"Not found: Job {self.warehouse.project}:{words}{job_id}")
        return job

    def _load(self, job_id: str, location: str | None) -> Job | None:
        places = [location.lower()] if location else _EVERYWHERE
        rows = self.kept.execute("SELECT location, body FROM jobs WHERE id = ?", (job_id,))
        return next((json.loads(body) for at, body in rows if at.lower() in places), None)

    def newest(self, most: int) -> list[Job]:
        """Return the last load jobs, newest first."""
        rows = self.kept.execute("SELECT body FROM jobs ORDER BY number DESC LIMIT ?", (most,))
        return [json.loads(body) for (body,) in rows]

    def ready(self, data: Any) -> tuple[Job, Load]:
        """Read a load job that is asked for; it is not made yet.

        Raises Refused: 400 for what is wrong, 404 without the dataset, 409 where its id is used.
        """
        if not isinstance(data, dict) or not isinstance(data.get("configuration"), dict):
            raise Refused(400, "Required parameter is missing: configuration", "required")
        if not isinstance(data["configuration"].get("load"), dict):
            raise Refused(400, "Job configuration must contain exactly one job-specific object.")
        order = read_load(self.warehouse, data["configuration"]["load"])
        location = self._location(data, order.reference.dataset)
        job = self.new(data, location)
        reference = job["jobReference"]
        if self._load(reference["jobId"], location):
            raise Refused(
                409, f"Already Exists: Job {self.warehouse.project}:{location}.{reference['jobId']}"
            )
        return job, order

    def new(self, data: Mapping[str, Any], location: str) -> Job:
        """Return a job that is asked for, pending; Refused (400) if its id is none."""
        given = data.get("jobReference")
        reference = given if isinstance(given, dict) else {}
        project = self.warehouse.project
        if reference.get("projectId", project) != project:
            raise Refused(403, f"Access Denied: Project {reference['projectId']}")
        job_id = reference.get("jobId") or f"job_{secrets.token_hex(12)}"
        if not _ID.fullmatch(str(job_id)):
            raise Refused(400, f'Invalid job ID "{job_id}".')
        return {
            "kind": "bigquery#job",
            "id": f"{project}:{location}.{job_id}",
            "jobReference": {"projectId": project, "jobId": job_id, "location": location},
            "configuration": data.get("configuration") or {},
            "statistics": {"creationTime": str(milliseconds())},
            "status": {"state": "PENDING"},
        }

    def _location(self, data: Mapping[str, Any], dataset: str) -> str:
        project = self.warehouse.project
        with self.warehouse.reading() as cursor:
            places = {
                one["datasetReference"]["datasetId"]: one["location"] for one in datasets(cursor)
            }
        if dataset not in places:
            raise Refused(404, f"Not found: Dataset {project}:{dataset}")
        reference = data.get("jobReference")
        given = reference.get("location") if isinstance(reference, dict) else None
        if given and str(given).lower() != places[dataset].lower():
            words = f"Dataset {project}:{dataset} was not found in location {given}"
            raise Refused(404, f"Not found: {words}")
        return str(places[dataset])

    def start(self, job: Job, order: Load, file: Path) -> Job:
        """Make a job of what `ready` gave, and run it when it is its turn; the file goes then.

        Raises Refused (409) where another took the id meanwhile.
        """
        reference = job["jobReference"]
        try:
            self.kept.execute(
                "INSERT INTO jobs (id, location, body) VALUES (?, ?, ?)",
                (reference["jobId"], reference["location"], json.dumps(job)),
            )
        except sqlite3.IntegrityError:
            file.unlink(missing_ok=True)
            raise Refused(409, f"Already Exists: Job {job['id']}") from None
        self.version += 1
        task = asyncio.create_task(self._run(job, order, file))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return job

    async def _run(self, job: Job, order: Load, file: Path) -> None:
        async with self.turn:
            if self.closed:
                return
            size = await asyncio.to_thread(lambda: file.stat().st_size)
            job["statistics"]["startTime"] = str(milliseconds())
            self.keep(job, {"state": "RUNNING"})
            loaded, failure = Loaded(0, 0, []), None
            try:
                loaded = await asyncio.to_thread(bigquery_load.load, self.warehouse, order, file)
            except (Refused, Failed) as failed:
                failure = {"reason": failed.reason, "message": failed.message}
                errors = failed.errors if isinstance(failed, Failed) else [failure]
                loaded = Loaded(0, 0, errors)
            except duckdb.InterruptException:
                failure, loaded = _CUT_OFF, Loaded(0, 0, [_CUT_OFF])
            except duckdb.Error as error:  # the engine's own trouble: memory, disk
                logging.getLogger(__name__).exception("a load failed")
                failure = {"reason": "internalError", "message": f"An internal error: {error}"}
                loaded = Loaded(0, 0, [failure])
            finally:
                await asyncio.to_thread(file.unlink, missing_ok=True)
            job["statistics"] |= {
                "endTime": str(milliseconds()),
                "load": {
                    "inputFiles": "1",
                    "inputFileBytes": str(size),
                    "outputRows": str(loaded.rows),
                    "outputBytes": str(size if loaded.rows else 0),
                    "badRecords": str(loaded.bad),
                },
            }
            status: dict[str, Any] = {"state": "DONE"}
            status |= {"errorResult": failure} if failure else {}
            status |= {"errors": loaded.errors} if loaded.errors else {}
            self.keep(job, status)
            self._tell(order, job)

    def keep(self, job: Job, status: dict[str, Any]) -> None:
        """Keep what a load job's status is now."""
        job["status"] = status
        reference = job["jobReference"]
        self.kept.execute(
            "UPDATE jobs SET body = ? WHERE id = ? AND location = ?",
            (json.dumps(job), reference["jobId"], reference["location"]),
        )
        self.version += 1

    def _tell(self, order: Load, job: Job) -> None:
        status, statistics = job["status"], job["statistics"]["load"]
        rows = int(statistics["outputRows"])
        said = f"{rows:,} row{'' if rows == 1 else 's'}"
        if "errorResult" in status:
            said = status["errors"][-1 if len(status["errors"]) == 1 else 1]["message"]
        elif status.get("errors"):
            said += f", {statistics['badRecords']} left out"
        body = {
            "dataset": order.reference.dataset,
            "table": order.reference.short,
            "job": job["jobReference"]["jobId"],
            "write": order.write,
            "statistics": statistics,
            "status": status,
        }
        self.inbox.add("bigquery", f"{order.reference.short}: {said}", body)

    def ask(self, data: Mapping[str, Any], request: Mapping[str, Any]) -> tuple[Job, Result | None]:
        """Run a query, and return its job, done; one that fails has its error in the status."""
        reference = data.get("jobReference") or {}
        job = self.new(data, str(reference.get("location") or "US"))
        job_id = job["jobReference"]["jobId"]
        if job_id in self.queries:
            raise Refused(409, f"Already Exists: Job {job['id']}")
        now = str(milliseconds())
        result = None
        job["status"] = {"state": "DONE"}
        try:
            result = bigquery_query.query(self.warehouse, request)
        except Refused as refused:
            error = {"reason": refused.reason, "message": refused.message, "location": "query"}
            job["status"] |= {"errorResult": error, "errors": [error]}
        job["statistics"] |= {"startTime": now, "endTime": now}
        job["statistics"]["query"] = {"statementType": "SELECT", "totalBytesProcessed": "0"}
        self.queries[job_id] = job, result
        for old in list(self.queries)[:-_QUERIES]:
            del self.queries[old]
        return job, result

    async def close(self) -> None:
        """Cut off what runs; what waits is found by the next start."""
        self.closed = True
        self.warehouse.interrupt()
        await asyncio.gather(*self.running, return_exceptions=True)


def open_jobs(inbox: Inbox, environ: Mapping[str, str]) -> Jobs:
    """Open the jobs and tables of SANDBOX_DIR, for the one project SANDBOX_GOOGLE_PROJECT."""
    folder = Path(setting(environ, "SANDBOX_DIR"))
    warehouse = open_warehouse(folder, setting(environ, "SANDBOX_GOOGLE_PROJECT"))
    jobs = Jobs(inbox, warehouse, open_database(folder / "bigquery.sqlite3", _SCHEMA))
    for job in reversed(jobs.newest(-1)):
        if job["status"]["state"] != "DONE":
            jobs.keep(job, {"state": "DONE", "errorResult": _CUT_OFF, "errors": [_CUT_OFF]})
    return jobs
