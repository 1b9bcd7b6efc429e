"""The two ways in which the played BigQuery takes a file: multipart, and resumable.

What is uploaded goes into a file at once and never as a whole into memory (multipart, for small
files, takes 10 MB at most). A part that comes twice is written where it was before. Guesses: an
upload without news for a day is forgotten, as all are with a restart.
"""

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from sandbox.bigquery_jobs import Job, Jobs
from sandbox.google import Refused

_MULTIPART = 10 * 1024 * 1024
_JOB = 1024 * 1024
_DAY = 24 * 3600
_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))')


@dataclass
class Upload:
    """A resumable upload: its job as asked for, what came, and the job once it is made."""

    data: Any
    file: Path
    news: float  # by the monotonic clock
    received: int = 0
    job: Job | None = None


class Uploads:
    """The uploads that are under way."""

    def __init__(self, jobs: Jobs, check: Callable[[Request], None]) -> None:
        """Start with none; `check` refuses a request without rights."""
        self.jobs = jobs
        self.check = check
        self.open: dict[str, Upload] = {}

    async def begin(self, request: Request) -> Response:
        """Take a small file, or the beginning of a large one."""
        self.check(request)
        match request.query_params.get("uploadType"):
            case "multipart":
                return await self._multipart(request)
            case "resumable":
                return await self._resumable(request)
        raise Refused(400, "Invalid value for 'uploadType': multipart or resumable.")

    async def _multipart(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "")
        boundary = _BOUNDARY.search(kind)
        if not kind.lower().startswith("multipart/related") or not boundary:
            raise Refused(400, "Expected multipart/related with a boundary.")
        body = await _read(request, _MULTIPART)
        data, content = split(body, (boundary[1] or boundary[2]).encode())
        job, order = await run_in_threadpool(self.jobs.ready, data)
        file = self._file()
        file.write_bytes(content)
        return JSONResponse(self.jobs.start(job, order, file))

    async def _resumable(self, request: Request) -> Response:
        data = _json(await _read(request, _JOB))
        # The job's id is the upload's, if the caller left it open.
        job, _ = await run_in_threadpool(self.jobs.ready, data)
        data["jobReference"] = job["jobReference"]
        now = time.monotonic()
        for name in [name for name, one in self.open.items() if one.news < now - _DAY]:
            self.open.pop(name).file.unlink(missing_ok=True)
        name = secrets.token_urlsafe(24)
        upload = Upload(data, self._file(), now)
        upload.file.touch()
        self.open[name] = upload
        location = request.url.include_query_params(upload_id=name)
        return Response(headers={"Location": str(location), "X-GUploader-UploadID": name})

    async def go_on(self, request: Request) -> Response:
        """Take the next part of a large file; with the last one the job is made."""
        self.check(request)
        upload = self.open.get(request.query_params.get("upload_id", ""))
        if not upload:
            raise Refused(404, "Not found: there is no such upload.")
        if upload.job:  # its answer was lost
            return JSONResponse(upload.job)
        match = _RANGE.fullmatch(request.headers.get("content-range", "bytes 0-0/*"))
        if not match:
            raise Refused(400, "Invalid Content-Range.")
        first, last, total = match.groups()
        if first is None:
            await _read(request, 0)
        else:
            await self._write(request, upload, int(first), int(last))
        upload.news = time.monotonic()
        if total != "*" and int(total) == upload.received:
            job, order = await run_in_threadpool(self.jobs.ready, upload.data)
            upload.job = self.jobs.start(job, order, upload.file)
            return JSONResponse(upload.job)
        if total != "*" and int(total) < upload.received:
            raise Refused(400, f"Invalid Content-Range: {upload.received} bytes came already.")
        sent = {"Range": f"bytes=0-{upload.received - 1}"} if upload.received else {}
        return Response(status_code=308, headers=sent)

    async def _write(self, request: Request, upload: Upload, first: int, last: int) -> None:
        if first > upload.received or last < first:
            raise Refused(400, f"Invalid Content-Range: {upload.received} bytes came so far.")
        at = first
        with upload.file.open("r+b") as file:
            file.seek(first)
            try:
                async for chunk in request.stream():
                    at += len(chunk)
                    if at > last + 1:
                        raise Refused(400, "The body is longer than its Content-Range.")
                    file.write(chunk)
            except ClientDisconnect:
                raise Refused(400, "The body was cut off.") from None
        if at != last + 1:
            raise Refused(400, "The body is shorter than its Content-Range.")
        upload.received = max(upload.received, at)

    def _file(self) -> Path:
        return self.jobs.warehouse.folder / f"{secrets.token_hex(12)}.upload"


def split(body: bytes, boundary: bytes) -> tuple[Any, bytes]:
    """Return the job, as JSON, and the file of a multipart/related body.

    Raises Refused (400) where it has not these two parts.
    """
    mark = b"--" + boundary
    end = body.rfind(b"\r\n" + mark + b"--")
    # The first part is JSON on its own, so that a file may have the boundary in it.
    middle = body.find(b"\r\n" + mark + b"\r\n", len(mark))
    if not body.startswith(mark + b"\r\n") or not 0 < middle < end:
        raise Refused(400, "Expected a job and a file in the multipart body.")
    job, content = body[len(mark) + 2 : middle], body[middle + len(mark) + 4 : end]
    _, found, content = content.partition(b"\r\n\r\n")
    if not found:
        raise Refused(400, "A part of the multipart body has no header.")
    return _json(job.partition(b"\r\n\r\n")[2]), content


def _json(body: bytes) -> Any:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "Parse Error", "parseError") from None
    if not isinstance(data, dict):
        raise Refused(400, "Parse Error", "parseError")
    return data


async def _read(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Refused(413, "Request Entity Too Large", "uploadTooLarge")
    return bytes(body)
