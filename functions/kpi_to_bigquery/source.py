"""A KPI's file of a day on S3, and its newest version."""

import re
from contextlib import closing
from dataclasses import dataclass
from datetime import date

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from common import aws
from common.events import InvalidEvent

_KEY = re.compile(r"kpi/([A-Za-z0-9_]+)/dt=(\d{4}-\d{2}-\d{2})/\1\.csv")


class S3Error(Exception):
    """A file on S3 cannot be had; the message names it and what to do."""


class NoFile(S3Error):
    """There is no such file."""


class Overwritten(S3Error):
    """Another version of the file has become the newest."""


@dataclass(frozen=True)
class Place:
    """Where a KPI's file of a day is on S3."""

    bucket: str
    key: str
    name: str
    day: date

    @classmethod
    def of(cls, bucket: str, key: str) -> "Place":
        """Read a key. Raises InvalidEvent for one that no KPI's file has."""
        found = _KEY.fullmatch(key)
        try:
            day = date.fromisoformat(found[2]) if found else None
        except ValueError:
            day = None
        if not found or not day:
            takes = "one such as kpi/sales/dt=2026-11-22/sales.csv"
            raise InvalidEvent(f"key: got {key!r:.200}, takes {takes}")
        return cls(bucket, key, found[1], day)


@dataclass(frozen=True)
class Version:
    """One version of a file. `version` is S3's id of it, the ETag where it keeps no versions."""

    version: str
    size: int
    etag: str
    rows: str | None  # what the file's metadata say
    digest: str | None


def head(place: Place) -> Version:
    """Return the newest version of a file. Raises NoFile, and S3Error."""
    try:
        found = aws.client("s3").head_object(Bucket=place.bucket, Key=place.key)
    except (BotoCoreError, ClientError) as error:
        raise _s3_error(place, error) from error
    version = found.get("VersionId", "null")
    etag = found["ETag"]
    told = found.get("Metadata", {})
    return Version(
        version=etag.strip('"') if version == "null" else version,
        size=found["ContentLength"],
        etag=etag,
        rows=told.get("rows"),
        digest=told.get("digest"),
    )


def label(place: Place, version: Version) -> str:
    """Return what a version of a file is called, where it is noted that it was loaded."""
    return f"{place.key} {version.version}"


def rows(place: Place, version: Version) -> str | None:
    """Return how many rows a file says that it has: its metadata, or its tag. Raises S3Error."""
    if version.rows is not None:
        return version.rows
    try:
        answer = aws.client("s3").get_object_tagging(Bucket=place.bucket, Key=place.key)
    except (BotoCoreError, ClientError) as error:
        raise _s3_error(place, error) from error
    tags: dict[str, str] = {one["Key"]: one["Value"] for one in answer["TagSet"]}
    return tags.get("rows")


def read(place: Place, version: Version, first: int, most: int) -> bytes:
    """Return at most so many bytes of the newest version, from the byte `first`.

    Raises Overwritten where it no longer is the newest, and S3Error.
    """
    if first >= version.size:
        return b""
    last = min(first + most, version.size) - 1

    def get() -> bytes:
        answer = aws.client("s3").get_object(
            Bucket=place.bucket,
            Key=place.key,
            IfMatch=version.etag,
            Range=f"bytes={first}-{last}",
        )
        with closing(answer["Body"]) as body:
            data: bytes = body.read()
            return data

    # The client tries again itself until the answer begins, not where it breaks off.
    again = Retrying(
        retry=retry_if_exception_type(BotoCoreError), stop=stop_after_attempt(3), reraise=True
    )
    try:
        data = again(get)
    except (BotoCoreError, ClientError) as error:
        raise _s3_error(place, error) from error
    if len(data) != last - first + 1:
        raise S3Error(f"s3://{place.bucket}/{place.key}: gave {len(data)} bytes of {first}-{last}")
    return data


def _s3_error(place: Place, error: Exception) -> S3Error:
    what = f"s3://{place.bucket}/{place.key}: {error}"
    if aws.has_code(error, "404", "NoSuchKey"):
        return NoFile(f"{what}: there is no such file")
    if aws.has_code(error, "403", "AccessDenied"):
        # S3 says so of a file that is not there, too, to who may not list.
        rights = "s3:GetObject, s3:GetObjectTagging and s3:ListBucket"
        return S3Error(f"{what}: the function's role needs {rights}")
    if aws.has_code(error, "412", "PreconditionFailed"):
        return Overwritten(f"{what}: it was overwritten meanwhile")
    return S3Error(what)
