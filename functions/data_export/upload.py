"""A file on its way to S3: compressed and sent in parts, while the next lines are being read.

A part ends where a block of lines ends, and each is noted down with the key it ends at. So another
run can go on after the last part, whatever became of this one.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

import hashlib
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Queue
from threading import Thread

from botocore.exceptions import ClientError

from common import aws, s3_file
from common.csv_blocks import Block
from data_export import jobs
from data_export.jobs import Job

MIB = 1 << 20
# Of all parts but the last, and how many there may be, by S3.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
SMALLEST, MOST_PARTS = 5 * MIB, 10_000
_WAITING = 4  # blocks that may wait to be compressed and sent


class TooLarge(Exception):
    """There are more parts than S3 takes."""


class Spoilt(Exception):
    """The parts on S3 are not those that were sent: the file is to be begun anew."""


def part_size(parts: int) -> int:
    """Return how large the next part should be, in bytes.

    It grows, for S3 takes 10,000 parts: all of them together hold 280 GB.
    """
    return (8 + parts // 250) * MIB


def begin(job: Job, key: str, asks: str) -> Job:
    """Begin an upload, or begin it anew; `asks` tells what it is made from. Raises jobs.Lost."""
    answer = aws.client("s3").create_multipart_upload(
        Bucket=_bucket(),
        Key=key,
        ContentType=jobs.content_type(key),
        **s3_file.CHECKSUM,
    )
    begun = jobs.note(
        job,
        key=key,
        upload_id=answer["UploadId"],
        parts=0,
        rows=0,
        bytes=0,
        position=None,
        digest="",
        asks=asks,
        completing=None,
    )
    # Not before the job is known to be still this run's.
    abort(job)
    return begun


def abort(job: Job) -> None:
    """Throw away what was sent, where anything was."""
    if job.upload_id:
        s3 = aws.client("s3")
        with suppress(s3.exceptions.NoSuchUpload):
            s3.abort_multipart_upload(Bucket=_bucket(), Key=job.key, UploadId=job.upload_id)


def complete(job: Job) -> Job:
    """Put the parts together; may be repeated, for where the file is there already, that is well.

    Raises Spoilt.
    """
    job = jobs.note(job, completing=True)
    s3 = aws.client("s3")
    place = {"Bucket": _bucket(), "Key": job.key}
    try:
        pages = s3.get_paginator("list_parts").paginate(**place, UploadId=job.upload_id)
        parts = [part for page in pages for part in page.get("Parts", [])]
        digest = ""
        for part in parts:
            digest = _digest(digest, part["ETag"])
        if digest != job.digest:
            raise Spoilt(f"{len(parts)} parts are there, {job.parts} were sent")
        s3.complete_multipart_upload(
            **place,
            UploadId=job.upload_id,
            MultipartUpload={"Parts": [s3_file.as_sent(part) for part in parts]},
        )
    except ClientError as error:
        if not aws.has_code(error, "NoSuchUpload"):
            raise
        # Only this job writes this file, and only whole: it was completed before.
        try:
            s3.head_object(**place)
        except ClientError as missing:
            # Without a right to list, S3 says of what is not there that it is forbidden.
            if not aws.has_code(missing, "403", "404"):
                raise
            raise Spoilt("neither the upload nor the file is there") from error
    return job


@dataclass
class Upload:
    """Takes blocks, and sends them. `job` is how far it came: read it when all is sent."""

    job: Job
    lease: int
    sent: int = 0  # parts of this run
    _queue: "Queue[Block | None]" = field(default_factory=lambda: Queue(_WAITING))
    _waiting: bytearray = field(default_factory=bytearray)
    _rows: int = 0
    _position: str | None = None
    _error: BaseException | None = None

    def __post_init__(self) -> None:
        """Begin a stream of gzip where the file is to be one."""
        self._gzip = _compressor() if self.job.key and self.job.key.endswith(".gz") else None

    def add(self, block: Block) -> None:
        """Take a block; waits while others are waiting. Raises what sending them met."""
        if self._error:
            raise self._error
        self._queue.put(block)

    def run(self) -> None:
        """Send what comes, until the end comes: the work of a thread."""
        while (block := self._queue.get()) is not None:
            if self._error:
                continue  # so that nobody waits for room
            try:
                self._take(block)
            except Exception as error:  # noqa: BLE001 (raised where blocks are added)
                self._error = error

    def end(self, thread: Thread) -> None:
        """Wait until all that was added is taken. Raises what sending it met."""
        self._queue.put(None)
        thread.join()
        if self._error:
            raise self._error

    def last(self) -> Job:
        """Send the rest as the last part."""
        if self._waiting:
            self._send()
        return self.job

    def pause(self) -> Job:
        """Send the rest where it is large enough to be a part; else it is to be read once more."""
        if len(self._waiting) >= SMALLEST:
            self._send()
        return self.job

    def can_pause(self) -> bool:
        """Tell whether anything would be kept of this run."""
        return self.sent > 0 or len(self._waiting) >= SMALLEST

    def _take(self, block: Block) -> None:
        self._waiting += self._gzip.compress(block.data) if self._gzip else block.data
        self._rows += block.rows
        self._position = block.position
        if len(self._waiting) >= part_size(self.job.parts):
            self._send()

    def _send(self) -> None:
        if self.job.parts == MOST_PARTS:
            raise TooLarge(f"{self.job.bytes:,} bytes in {MOST_PARTS:,} parts, and there is more")
        if self._gzip:
            # Each part is a whole stream of gzip; one after another they are a gzip file, too.
            self._waiting += self._gzip.flush()
            self._gzip = _compressor()
        body, self._waiting = self._waiting, bytearray()
        answer = aws.client("s3").upload_part(
            Bucket=_bucket(),
            Key=self.job.key,
            UploadId=self.job.upload_id,
            PartNumber=self.job.parts + 1,
            Body=body,
            **s3_file.CHECKSUM,
        )
        self.job = jobs.note(
            self.job,
            parts=self.job.parts + 1,
            rows=self.job.rows + self._rows,
            bytes=self.job.bytes + len(body),
            position=self._position,
            digest=_digest(self.job.digest, answer["ETag"]),
            lease_until=int(time.time()) + self.lease,
        )
        self.sent += 1
        self._rows = 0


@contextmanager
def uploading(job: Job, lease: int) -> Iterator[Upload]:
    """Give an upload whose thread runs; at the end all that was added is taken."""
    upload = Upload(job, lease)
    thread = Thread(target=upload.run, name="upload")
    thread.start()
    try:
        yield upload
    except BaseException:
        upload._error = upload._error or RuntimeError("stopped")  # noqa: SLF001
        with suppress(Exception):
            upload.end(thread)
        raise
    upload.end(thread)


def _compressor() -> "zlib._Compress":
    # Level 1 is three times as fast as 6, for a tenth more.
    return zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)


def _digest(before: str, etag: str) -> str:
    return hashlib.sha256(f"{before}{etag}".encode()).hexdigest()


def _bucket() -> str:
    return os.environ["EXPORT_BUCKET"]
