"""Turn the jobs of a queue into CSV files on S3, part by part, whatever happens meanwhile."""

import json
import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql
from botocore.exceptions import BotoCoreError, ClientError

from common import aws, events, logs, sqs
from common.events import parse
from common.parameters import ParameterError
from data_export import jobs, request, upload
from data_export.check import Check, check
from data_export.export import Refused, Run, export
from data_export.heartbeat import beating
from data_export.jobs import Busy, Job, Lost, NoJob
from data_export.request import Continue, Request
from data_export.upload import Spoilt

logs.set_up()
log = logging.getLogger(__name__)


class NotYet(Exception):
    """The job is to be tried again, after so many seconds."""

    def __init__(self, reason: object, seconds: int) -> None:
        """Keep why and when."""
        super().__init__(f"{reason}; again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Message:
    """A message of the queue, or, without a receipt, a payload by hand."""

    body: Request | Continue
    id: str | None = None
    receipt: str | None = None
    received: int = 1  # how often so far

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Message":
        """Take it from SQS's event. Raises InvalidEvent, and ValueError where it is no JSON."""
        return cls(
            request.parse_message(json.loads(record["body"])),
            record["messageId"],
            record["receiptHandle"],
            int(record["attributes"]["ApproximateReceiveCount"]),
        )


def handler(event: object, context: Any) -> dict[str, Any]:
    """Take SQS's events (one message each), or by hand a message, or a `Check` of queries.

    A job is one run's at a time. A repeated message finds it ended, or in another run's hands, or
    as a run left it that was killed: then it goes on after the last part. Returns SQS's partial
    answer; by hand a summary, or `{"checks": […]}`. Raises InvalidEvent and NotYet, by hand.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    records = events.records(event, "messageId", "body")
    if records is None and isinstance(event, Mapping) and "check" in event:
        return {"checks": check(parse(Check, event), lambda: _seconds_left(context))}
    if records is None:
        return work(Message(request.parse_message(event)), context)
    failed = [record["messageId"] for record in records if not _take(record, context)]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


def _take(record: Mapping[str, Any], context: Any) -> bool:
    """Do what a message of the queue asks for; tell whether it is done with."""
    told = {"sqs_message": record["messageId"]}
    try:
        message = Message.of(record)
    except (ValueError, RecursionError) as error:  # InvalidEvent is one of the first
        # Nobody can be told: it goes on to the dead letters, soon.
        log.warning("no job", extra=told | {"reason": request.anonymous(str(error))})
        _hide(record["receiptHandle"], 0)
        return False
    try:
        log.info("job", extra=told | work(message, context))
    except NotYet as error:
        log.warning("not yet", extra=told | {"reason": request.anonymous(str(error))})
        # After the last time it is among the dead letters as soon as it is seen.
        last = message.received >= int(os.environ["RECEIVES"])
        _hide(message.receipt, 0 if last else error.seconds)
        return False
    return True


def work(message: Message, context: Any) -> dict[str, Any]:
    """Do a job, or a part of it, and return where it stands. Raises NotYet."""
    now = int(time.time())
    lease = int(os.environ["LEASE_SECONDS"])
    body = message.body
    asked = body.as_item() if isinstance(body, Request) else None
    try:
        job = jobs.claim(body.job_id, asked, now, lease, message.id)
    except Busy as error:
        if message.id and error.job.message not in (None, message.id):
            # That run came by another message, which is still there: this one is not needed.
            _compare(body, error.job)
            return _summary(error.job)
        raise NotYet(error, max(1, error.job.lease_until - now + 1)) from None
    except (ClientError, BotoCoreError) as error:
        raise _later(error, message, lease) from error
    except NoJob:
        log.warning("nothing to go on with", extra={"job_id": body.job_id})
        return {"job_id": body.job_id, "state": "unknown"}
    _compare(body, job)
    if job.state != "running":
        return _summary(job)
    run = Run(lambda: _seconds_left(context), lease)
    try:
        with beating(job, lease, lambda: _hide(message.receipt, lease + 2)):
            job = _exported(job, run)
        if job.state == "running":
            _hand_over(job)
    except Lost as error:
        raise NotYet(error, lease) from error
    except (pymysql.MySQLError, ClientError, BotoCoreError, ParameterError, Spoilt) as error:
        with suppress(ClientError, BotoCoreError, Lost):  # else the lease ends by itself
            jobs.note(job, lease_until=0)
        raise _later(error, message, lease) from error
    return _summary(job)


def _seconds_left(context: Any) -> float:
    return float(context.get_remaining_time_in_millis()) / 1000


def _exported(job: Job, run: Run) -> Job:
    try:
        if job.title is None:
            job = jobs.note(job, title=request.title(Request.of_item(job.request)))
        return export(job, run)
    except Refused as error:
        said = request.anonymous(str(error))
        reason = {"job_id": job.job_id, "code": error.code, "reason": said}
        log.error("refused", extra=reason)  # noqa: TRY400 (it says all there is)
        job = jobs.fail(job, int(time.time()), error.code, str(error))
        with suppress(ClientError, BotoCoreError):  # a rule of the bucket does it, too
            upload.abort(job)
        return job


def _later(error: Exception, message: Message, lease: int) -> NotYet:
    pause = min(lease * 2 ** (message.received - 1), 900)
    return NotYet(f"{type(error).__name__}: {error}", pause)


def _compare(body: Request | Continue, job: Job) -> None:
    """Say it where a message asks for something else than the job that has its id already."""
    if isinstance(body, Request) and body != Request.of_item(job.request):
        log.warning("another request had this id: not served", extra={"job_id": job.job_id})


def _hand_over(job: Job) -> None:
    """Let the next run go on, by a message."""
    jobs.note(job, lease_until=0)
    aws.client("sqs").send_message(
        QueueUrl=os.environ["EXPORT_QUEUE_URL"], MessageBody=json.dumps({"continue": job.job_id})
    )


def _hide(receipt: str | None, seconds: int) -> None:
    if receipt is not None:
        sqs.hide(os.environ["EXPORT_QUEUE_URL"], receipt, seconds)


def _summary(job: Job) -> dict[str, Any]:
    kept = ("job_id", "state", "rows", "bytes", "parts", "key")
    summary = {name: getattr(job, name) for name in kept}
    return summary | ({"reason": job.reason["code"]} if job.reason else {})
