"""Answers the click on a mail's link: signs a short address of the file, and sends there."""

import hmac
import logging
import os
import re
import time
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config

from common import logs
from common.api import Answer, Refusal, Request, answering
from data_export import jobs, page
from data_export.jobs import Job
from data_export.request import ID

# A browser goes there at once; a download that has begun is not cut off.
SECONDS = 60

logs.set_up()
log = logging.getLogger(__name__)


def handler(event: Mapping[str, Any], context: Any) -> Answer:
    """Take API Gateway's events of GET /exports/{job}/{token}.

    302 to the file; 404 where there is no such job, or no file, or the token is another; 410 where
    the link was withdrawn or its time is over. A repeated click is a click. A link that lives for
    days cannot be a signed address itself: that dies with the role's session.
    """
    return answering(event, context, _click, page.told)


def _click(request: Request) -> Answer:
    job_id, token = request.path["job"], request.path["token"]
    job = jobs.load(job_id) if ID.fullmatch(job_id) else None
    # The same answer, whether there is such a job or not.
    if job is None or not hmac.compare_digest(job.token.encode(), token.encode("utf-8", "replace")):
        raise Refusal(404, "no such job, or another token")
    if job.state != "done" or job.key is None or job.link_until is None:
        raise Refusal(404, f"the job {job.job_id} has no file")
    if job.revoked_at or job.link_until <= time.time():
        raise Refusal(410, f"the link of the job {job.job_id} was withdrawn, or its time is over")
    name = _name(job)
    named = f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}"
    location = _s3().generate_presigned_url(
        "get_object",
        Params={
            "Bucket": os.environ["EXPORT_BUCKET"],
            "Key": job.key,
            "ResponseContentDisposition": named,
            "ResponseContentType": jobs.content_type(job.key),
        },
        ExpiresIn=SECONDS,
    )
    log.info("downloaded", extra={"job_id": job.job_id, "downloaded": name})
    return {"statusCode": 302, "headers": {"Location": location, **page.HEADERS}, "body": ""}


def _name(job: Job) -> str:
    """Return the name that the file gets on the person's disk, in ASCII."""
    ended = datetime.fromisoformat(job.finished_at or job.created_at)
    day = ended.astimezone(ZoneInfo(os.environ.get("TIMEZONE", "Asia/Tokyo")))
    query = re.sub(r"[^A-Za-z0-9_-]", "_", job.request["query"])
    packed = ".gz" if job.key and job.key.endswith(".gz") else ""
    return f"{query}_{day:%Y%m%d}.csv{packed}"


@cache
def _s3() -> Any:
    # Signature 4 honours the names that are asked for here; a virtual host is the bucket's own
    # address in its region, where the common one would redirect what is signed.
    config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
    return boto3.client("s3", config=config)
