"""A file on S3 from blocks of lines: whole or not at all, in flat memory however large it is.

What fits into one part is one request. Else parts are sent by a thread, each while the next one is
being read, and put together at the end.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from common import aws
from common.csv_blocks import Block

log = logging.getLogger(__name__)

# S3 takes 10,000 parts: 80 GB, more than any run of a function has time for.
PART = 8 << 20
# What an upload's beginning and each of its parts say; its end repeats the parts' checksums.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
CHECKSUM = {"ChecksumAlgorithm": "CRC32"}


@dataclass
class Written:
    """What a file has in it; `parts` is 1 where it was one request."""

    rows: int = 0
    bytes: int = 0
    parts: int = 0


def write(bucket: str, key: str, blocks: Iterable[Block], metadata: Mapping[str, str]) -> Written:
    """Write a file of CSV, in place of what is there under its key, and return what is in it.

    The file has the `metadata`, and `rows` beside it. S3 takes metadata before the content, so a
    file of several parts has `rows` as a tag instead, put when it is there; that this failed is
    logged. Whatever `blocks` raises, and what else S3 answers (ClientError, BotoCoreError), is
    raised; nothing of the file is left then, and the one before it stays.
    """
    written = Written()
    parts = _parts(blocks, written)
    first, second = next(parts, b""), next(parts, None)
    place = {"Bucket": bucket, "Key": key}
    about = {"ContentType": "text/csv; charset=utf-8"}
    if second is None:
        whole = {**metadata, "rows": str(written.rows)}
        aws.client("s3").put_object(**place, **about, Metadata=whole, Body=first)
        written.parts = 1
        return written
    begun = aws.client("s3").create_multipart_upload(
        **place, **about, **CHECKSUM, Metadata={**metadata}
    )
    upload = {**place, "UploadId": begun["UploadId"]}
    try:
        sent = _send(upload, chain([first, second], parts))
        aws.client("s3").complete_multipart_upload(**upload, MultipartUpload={"Parts": sent})
    except BaseException:
        # What went wrong is said by the first error; a rule of the bucket ends what is left over.
        with suppress(ClientError, BotoCoreError):
            aws.client("s3").abort_multipart_upload(**upload)
        raise
    tags = {"TagSet": [{"Key": "rows", "Value": str(written.rows)}]}
    try:
        aws.client("s3").put_object_tagging(**place, Tagging=tags)
    except (ClientError, BotoCoreError) as error:
        log.warning("no tag", extra={"key": key, "rows": written.rows, "reason": str(error)})
    written.parts = len(sent)
    return written


def as_sent(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what CompleteMultipartUpload wants of a part, from UploadPart or ListParts.

    An emulator may tell no checksum.
    """
    return {name: part[name] for name in ("PartNumber", "ETag", "ChecksumCRC32") if name in part}


def _parts(blocks: Iterable[Block], written: Written) -> Iterator[bytes]:
    """Join blocks to parts of at least PART, but for the last; count what goes by."""
    waiting: list[bytes] = []
    size = 0
    for block in blocks:
        waiting.append(block.data)
        size += len(block.data)
        written.rows += block.rows
        written.bytes += len(block.data)
        if size >= PART:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _send(upload: Mapping[str, str], parts: Iterable[bytes]) -> list[dict[str, Any]]:
    s3 = aws.client("s3")
    sent: list[dict[str, Any]] = []

    def send(number: int, body: bytes) -> dict[str, Any]:
        answer = s3.upload_part(**upload, **CHECKSUM, PartNumber=number, Body=body)
        return as_sent({"PartNumber": number, **answer})

    # Leaving it waits for the part that is on its way: none arrives after the upload's end.
    with ThreadPoolExecutor(1) as pool:
        sending: Future[dict[str, Any]] | None = None
        for number, body in enumerate(parts, 1):
            if sending:
                sent.append(sending.result())
            sending = pool.submit(send, number, body)
        if sending:
            sent.append(sending.result())
    return sent
