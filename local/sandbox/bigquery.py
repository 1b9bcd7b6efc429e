"""BigQuery's REST API v2, the part that loads CSV into tables of days and counts them.

Played: datasets get, insert, list; tables get, insert, patch, list, delete (`t$20261122`: that
partition's rows); tabledata.list; jobs get, list, insert (a load by upload, a query), queries and
getQueryResults. What is not played is refused, and says so.

What the documentation does not say, and is a guess here: most words of the errors; that a dataset
that is missing is refused before a file is uploaded; `numRows` of a partition, 0 where it is empty;
that a table is deleted with whatever is in it. Limits (1,500 changes a table and day) are not.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import bigquery_tables as store
from sandbox import google
from sandbox.bigquery_answers import (
    PAGE,
    next_page,
    paging,
    query_answer,
    rows_answer,
    whole_timestamps,
)
from sandbox.bigquery_jobs import Job, Jobs
from sandbox.bigquery_schema import patched, read_schema
from sandbox.bigquery_tables import Table
from sandbox.bigquery_types import quoted
from sandbox.bigquery_upload import Uploads
from sandbox.google import Refused, Tokens
from sandbox.service import Service

_SCOPE = "https://www.googleapis.com/auth/bigquery"
_PROJECT = "/bigquery/v2/projects/{project}"
_DATASET = f"{_PROJECT}/datasets/{{dataset}}"
_TABLE = f"{_DATASET}/tables/{{table}}"
_UPLOAD = "/upload/bigquery/v2/projects/{project}/jobs"
_CHANGEABLE = {"schema", "description", "labels"}

Act = Callable[[Request], Awaitable[Response]]


def play(jobs: Jobs, tokens: Tokens) -> list[Service]:
    """Make the two services: `bigquery`, and `bigquery-upload` for what carries a file."""
    played = _Api(jobs)

    def check(request: Request) -> None:
        tokens.check(request, _SCOPE, impersonated=True)
        project = request.path_params.get("project", jobs.warehouse.project)
        if project != jobs.warehouse.project:
            words = f"Access Denied: Project {project}: User does not have permission in it."
            raise Refused(403, words)

    def guarded(act: Act) -> Act:
        async def endpoint(request: Request) -> Response:
            try:
                check(request)
                return await act(request)
            except Refused as refused:
                return google.answer(refused)

        return endpoint

    def route(path: str, method: str, act: Callable[[Request, Any], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            body = _body(await request.body()) if method in ("POST", "PATCH") else {}
            said = await run_in_threadpool(act, request, body)
            return Response(status_code=204) if said is None else JSONResponse(said)

        return Route(path, guarded(endpoint), methods=[method])

    uploads = Uploads(jobs, check)
    return [
        Service(
            "bigquery",
            [
                route(f"{_PROJECT}/datasets", "GET", played.list_datasets),
                route(f"{_PROJECT}/datasets", "POST", played.add_dataset),
                route(_DATASET, "GET", played.dataset),
                route(f"{_DATASET}/tables", "GET", played.list_tables),
                route(f"{_DATASET}/tables", "POST", played.add_table),
                route(_TABLE, "GET", played.table),
                route(_TABLE, "PATCH", played.change_table),
                route(_TABLE, "DELETE", played.delete_table),
                route(f"{_TABLE}/data", "GET", played.rows),
                route(f"{_PROJECT}/jobs", "GET", played.list_jobs),
                route(f"{_PROJECT}/jobs", "POST", played.add_job),
                route(f"{_PROJECT}/jobs/{{job}}", "GET", played.job),
                route(f"{_PROJECT}/queries", "POST", played.query),
                route(f"{_PROJECT}/queries/{{job}}", "GET", played.results),
                *(
                    route("/bigquery/v2/{rest:path}", method, _nothing)
                    for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
                ),
            ],
            google.refuse,
        ),
        Service(
            "bigquery-upload",
            [
                Route(_UPLOAD, guarded(uploads.begin), methods=["POST"]),
                Route(_UPLOAD, guarded(uploads.go_on), methods=["PUT"]),
            ],
            google.refuse,
        ),
    ]


def _nothing(request: Request, _: Any) -> None:
    raise Refused(404, f"Not found: the laptop does not play {request.method} of this path.")


class _Api:
    """What each path does: a request and its JSON body in, an answer's JSON out."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.warehouse = jobs.warehouse
        self.project = jobs.warehouse.project

    def list_datasets(self, _: Request, __: Any) -> dict[str, Any]:
        with self.warehouse.reading() as cursor:
            found = store.datasets(cursor)
        keys = ("kind", "id", "datasetReference", "labels", "location")
        listed = [{key: one[key] for key in keys} for one in found]
        return {"kind": "bigquery#datasetList", "datasets": listed}

    def add_dataset(self, _: Request, body: dict[str, Any]) -> dict[str, Any]:
        with self.warehouse.writing() as cursor:
            return store.add_dataset(cursor, self.project, body)

    def dataset(self, request: Request, _: Any) -> dict[str, Any]:
        with self.warehouse.reading() as cursor:
            return store.read_dataset(cursor, self.project, request.path_params["dataset"])

    def list_tables(self, request: Request, _: Any) -> dict[str, Any]:
        dataset = request.path_params["dataset"]
        with self.warehouse.reading() as cursor:
            store.read_dataset(cursor, self.project, dataset)
            found = store.tables(cursor, self.project, dataset)
        keys = ("id", "tableReference", "type", "timePartitioning", "creationTime", "labels")
        listed = [
            {"kind": "bigquery#table"} | {key: one[key] for key in keys if key in one}
            for one in (self._resource(table, {}) for table in found)
        ]
        answer = {"kind": "bigquery#tableList", "totalItems": len(listed)}
        return answer | ({"tables": listed} if listed else {})

    def add_table(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        known = {"tableReference", "schema", "timePartitioning", "labels", "description"}
        if odd := body.keys() - known - {"kind", "type", "friendlyName"}:
            raise Refused(400, f"The laptop does not play {min(odd)} of a table.")
        given = body.get("tableReference")
        name = given.get("tableId") if isinstance(given, dict) else None
        reference = self.warehouse.reference(request.path_params["dataset"], str(name))
        if reference.day:
            raise Refused(400, f'Invalid table ID "{name}".')
        with self.warehouse.writing() as cursor:
            place = store.read_dataset(cursor, self.project, reference.dataset)
            if any(t.reference == reference for t in store.tables(cursor, self.project)):
                raise Refused(409, f"Already Exists: Table {reference}")
            table = store.add_table(cursor, store.new_table(reference, body))
        return self._resource(table, place, 0)

    def table(self, request: Request, _: Any) -> dict[str, Any]:
        reference = self._reference(request)
        with self.warehouse.reading() as cursor:
            table = store.read_table(cursor, reference)
            place = store.read_dataset(cursor, self.project, reference.dataset)
            day = self._day(table, reference)
            return self._resource(table, place, store.count(cursor, table, day))

    def change_table(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        reference = self._reference(request)
        odd = body.keys() - _CHANGEABLE - {"tableReference", "etag"}
        if reference.day or odd:
            what = min(odd, default="a partition")
            raise Refused(400, f"The laptop does not play a change of {what}.")
        with self.warehouse.writing() as cursor:
            table = store.read_table(cursor, reference)
            if request.headers.get("if-match", table.etag).strip('"') not in (table.etag, "*"):
                raise Refused(412, "Precondition Failed")
            changes: dict[str, Any] = {
                key: body[key] for key in ("description", "labels") if key in body
            }
            about: dict[str, Any] = {**table.about, **changes}
            new = replace(table, about={k: v for k, v in about.items() if v})
            if body.get("schema"):
                schema = patched(table.schema, read_schema(body["schema"]), str(reference))
                new = replace(new, schema=schema)
            changed = store.change_table(cursor, table, new)
            place = store.read_dataset(cursor, self.project, reference.dataset)
            return self._resource(changed, place, store.count(cursor, changed))

    def delete_table(self, request: Request, _: Any) -> None:
        reference = self._reference(request)
        with self.warehouse.writing() as cursor:
            table = store.read_table(cursor, reference)
            day = self._day(table, reference)
            if day:
                cursor.execute(f"DELETE FROM {table.reference.rows} WHERE {table.where(day)}")  # noqa: S608
                store.change_table(cursor, table, table)
            else:
                store.drop_table(cursor, table)

    def rows(self, request: Request, _: Any) -> dict[str, Any]:
        reference = self._reference(request)
        start, most = paging(request)
        with self.warehouse.reading() as cursor:
            table = store.read_table(cursor, reference)
            day = self._day(table, reference)
            total = store.count(cursor, table, day)
            wanted = request.query_params.get("selectedFields")
            fields = [f for f in table.schema if not wanted or f.name in wanted.split(",")]
            told = ", ".join(one.type.wire.format(x=quoted(one.name)) for one in fields)
            found = cursor.execute(
                f"SELECT {told} FROM {table.reference.rows} WHERE {table.where(day)}"  # noqa: S608
                f" ORDER BY rowid LIMIT {most} OFFSET {start}"
            ).fetchall()
        kinds = [one.type.name for one in fields]
        answer = rows_answer(request, kinds, found)
        return {"kind": "bigquery#tableDataList", "totalRows": str(total), **answer} | next_page(
            start, len(found), total
        )

    def list_jobs(self, request: Request, _: Any) -> dict[str, Any]:
        states = [one.upper() for one in request.query_params.getlist("stateFilter")]
        jobs = [
            {**job, "state": job["status"]["state"]}
            for job in self.jobs.newest(paging(request)[1])
            if not states or job["status"]["state"] in states
        ]
        return {"kind": "bigquery#jobList", "jobs": jobs}

    def add_job(self, _: Request, body: dict[str, Any]) -> dict[str, Any]:
        configuration = body.get("configuration")
        asked = configuration.get("query") if isinstance(configuration, dict) else None
        if not isinstance(asked, dict):
            raise Refused(400, "The laptop plays loads by upload, and queries.")
        return self.jobs.ask(body, asked)[0]

    def job(self, request: Request, _: Any) -> Job:
        return self.jobs.find(request.path_params["job"], request.query_params.get("location"))

    def query(self, _: Request, body: dict[str, Any]) -> dict[str, Any]:
        reference = {"location": body.get("location")}
        configuration = {"query": {"query": body.get("query"), "useLegacySql": False}}
        data = {"jobReference": reference, "configuration": configuration}
        job, result = self.jobs.ask(data, body)
        options = body.get("formatOptions")
        whole = isinstance(options, dict) and options.get("useInt64Timestamp") is True
        most = body.get("maxResults")
        return query_answer(job, result, 0, most if type(most) is int else PAGE, whole=whole)

    def results(self, request: Request, _: Any) -> dict[str, Any]:
        job_id = request.path_params["job"]
        self.jobs.find(job_id, request.query_params.get("location") or None)
        job, result = self.jobs.queries.get(job_id, (None, None))
        if not job:
            raise Refused(400, "Cannot get the results of a job that is not a query.")
        return query_answer(job, result, *paging(request), whole=whole_timestamps(request))

    def _reference(self, request: Request) -> store.Reference:
        return self.warehouse.reference(
            request.path_params["dataset"], request.path_params["table"]
        )

    def _day(self, table: Table, reference: store.Reference) -> str | None:
        if reference.day and not table.by:
            raise Refused(400, f"Table {table.reference} is not partitioned.")
        return reference.day

    def _resource(
        self, table: Table, place: Mapping[str, Any], rows: int | None = None
    ) -> dict[str, Any]:
        reference = table.reference
        about = {key: table.about[key] for key in ("labels", "description") if key in table.about}
        said = {
            "kind": "bigquery#table",
            "id": str(reference).replace("$", ""),
            "etag": table.etag,
            "tableReference": {
                "projectId": reference.project,
                "datasetId": reference.dataset,
                "tableId": reference.table,
            },
            "type": "TABLE",
            "schema": {"fields": [one.resource() for one in table.schema]},
            "creationTime": str(table.created),
            "lastModifiedTime": str(table.changed),
            **about,
        }
        if table.by:
            said["timePartitioning"] = {"type": "DAY", "field": table.by}
            if "expirationMs" in table.about:
                said["timePartitioning"]["expirationMs"] = table.about["expirationMs"]
        if place:
            said["location"] = place["location"]
        return said | ({} if rows is None else {"numRows": str(rows)})


def _body(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Refused(400, "Parse Error", "parseError")
    return data
