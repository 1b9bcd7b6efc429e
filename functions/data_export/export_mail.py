"""Sends the mail of every export that has ended, and ends those that nobody will."""

import json
import logging
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from common import aws, events, failures, logs
from common.events import parse, require
from common.queries import InvalidQuery
from data_export import jobs, words
from data_export.jobs import Busy, Job
from data_export.request import Request, anonymous, load, names, parse_message

NAMESPACE = "Mimamori"
# Seconds that sending a mail may take; one that is not begun is no mail that goes out twice.
SENDING = 15
# The lease of a mail goes on for so long after the function's own end.
MARGIN = 5
# What SES says of an address that is none; the sender's own is looked at by Terraform.
ABOUT_THE_ADDRESS = ("BadRequestException", "InvalidParameterValue")

logs.set_up()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """The payload by hand: the job whose mail is sent anew."""

    job_id: str


class Refused(Exception):
    """SES will not take a mail, however often it is tried; the message names no address."""


class Unsent(Exception):
    """A mail did not go out this time; the message says why, and names no address."""


def handler(event: object, context: Any) -> dict[str, Any]:
    """Send what the table's stream says is due, give up what comes from the dead-letter queue.

    By hand, an `Event` sends the mail of a job that has ended once more, even one that is sent.

    A repeated record finds the mail sent, or waits for the run that is sending it, by failing:
    the stream brings it again. SES knows no repetition, and so is asked once a run. Where it said
    yes and the run did not live to note that, or its yes did not arrive, a second mail goes out
    rather than none. Raises RunFailed naming the jobs whose mails are to be tried
    again. What SES refuses because of the address is not: it is logged, and counted in
    ExportMailsRefused.

    A message from the dead-letter queue fails its job, whose mail then comes through the stream; a
    repeated one finds that done. Each is counted in ExportsGivenUp. The answer names those that
    could not be handled, and those whose job a run still works on: they come again.
    """
    records = events.records(event)
    if records is None:
        job_id = parse(Event, event).job_id
        job = jobs.load(job_id) if job_id else None
        require(job and job.mail, "job_id", job_id, "the id of a job that has ended")
        return {"mails": _mails([job_id], context, again=True)}
    if any(record.get("eventSource") == "aws:sqs" for record in records):
        return _give_up(records)
    return {"mails": _mails({one["dynamodb"]["Keys"]["job_id"]["S"] for one in records}, context)}


def _mails(job_ids: Iterable[str], context: Any, *, again: bool = False) -> dict[str, str]:
    """Try every mail and return what became of each. Raises RunFailed."""
    ended: dict[str, str] = {}
    failed: dict[str, object] = {}
    for job_id in sorted(job_ids):
        try:
            ended[job_id] = _mail(job_id, context, again=again)
        except Unsent as error:
            failed[job_id] = error
        except Exception as error:  # noqa: BLE001 (each is named at the end)
            failed[job_id] = anonymous(repr(error))
    failures.raise_for(failed, tried=len(ended) + len(failed))
    return ended


def _mail(job_id: str, context: Any, *, again: bool) -> str:
    left = context.get_remaining_time_in_millis() // 1000
    if left < SENDING:
        raise Unsent("no time is left in this run")
    job = jobs.take_mail(job_id, int(time.time()), left + MARGIN, again=again)
    if job is None:
        job = jobs.load(job_id)
        if job is None:
            return "the job is gone"
        if job.mail in ("due", "sending"):
            # That run may be dead: only the end of its lease tells.
            raise Unsent("another run is sending it")
        return f"{job.mail} before"
    try:
        message_id = _send(job)
    except Refused as refused:
        # No traceback: it says no more.
        log.error("refused", extra={"job_id": job_id, "reason": str(refused)})  # noqa: TRY400
        _count("ExportMailsRefused")
        jobs.mailed(job, "refused")
        return "refused"
    except Exception:
        with suppress(ClientError, BotoCoreError):  # else the lease ends by itself
            jobs.leave_mail(job)
        raise
    jobs.mailed(job, "sent", message_id)
    log.info("sent", extra={"job_id": job_id, "message_id": message_id})
    return "sent"


def _send(job: Job) -> str:
    """Hand a job's mail to SES, and return its id there. Raises Refused and Unsent.

    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
    """
    mail, to = _written(job), job.request["mail_to"]
    try:
        answer = _ses().send_email(
            FromEmailAddress=os.environ["MAIL_FROM"],
            Destination={"ToAddresses": [to]},
            Content={
                "Simple": {
                    "Subject": _content(mail.subject),
                    "Body": {"Text": _content(mail.text), "Html": _content(mail.html)},
                }
            },
        )
    except (BotoCoreError, ClientError) as error:
        kind = Refused if aws.has_code(error, *ABOUT_THE_ADDRESS) else Unsent
        raise kind(anonymous(str(error).replace(to, "…"))) from None
    return str(answer["MessageId"])


def _written(job: Job) -> words.Mail:
    request = Request.of_item(job.request)
    if job.state == "failed":
        reason = job.reason or {"code": "unknown", "detail": ""}
        return words.failed(request, _title(request), reason)
    file = words.File(
        rows=job.rows,
        size=job.bytes,
        finished=datetime.fromisoformat(job.finished_at or job.created_at),
        until=datetime.fromtimestamp(job.link_until or 0, UTC),
        link=f"{os.environ['PUBLIC_BASE_URL']}/exports/{job.job_id}/{job.token}",
    )
    zone = ZoneInfo(os.environ["TIMEZONE"])
    return words.done(request, _title(request), file, zone)


def _title(request: Request) -> str:
    """Return what a query's header calls it; its name where that says nothing, or is not there."""
    with suppress(InvalidQuery):
        if request.query in names():
            return load(request.query).header.title.get(request.language, request.query)
    return request.query


def _content(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _give_up(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Give up the job of each message; the answer names the messages that have to come again."""
    again = []
    for record in records:
        message_id = record["messageId"]
        try:
            _end(record["body"], message_id)
        except Busy as busy:
            log.warning("a run works on it", extra={"message_id": message_id, "reason": str(busy)})
            again.append(message_id)
        except Exception:
            log.exception("not given up", extra={"message_id": message_id})
            again.append(message_id)
    return {"batchItemFailures": [{"itemIdentifier": one} for one in again]}


def _end(body: str, message_id: str) -> None:
    """Fail the job of a message that came too often. Raises Busy where a run has its lease.

    Done anew it does the same: what a run that broke off has left is done then.
    """
    try:
        message = parse_message(json.loads(body))
    except (ValueError, RecursionError) as error:
        reason = anonymous(str(error))
        log.error("no request", extra={"message_id": message_id, "reason": reason})  # noqa: TRY400
        _count("ExportsGivenUp")
        return
    job_id, now = message.job_id, int(time.time())
    request = message.as_item() if isinstance(message, Request) else None
    detail = f"the message {message_id} came too often"
    job = jobs.give_up(job_id, request, now, "gave_up", detail) or jobs.load(job_id)
    if job and (job.reason or {}).get("code") != "gave_up":
        log.info("had ended", extra={"job_id": job_id, "state": job.state})
        return
    if job and job.key and job.upload_id:
        _abort(job.key, job.upload_id)
    reason = detail if job else "there is no such job to go on with"
    log.error("given up", extra={"job_id": job_id, "message_id": message_id, "reason": reason})
    _count("ExportsGivenUp")


def _abort(key: str, upload_id: str) -> None:
    """Let go of the parts of a file that will not be. What is gone already is well."""
    try:
        aws.client("s3").abort_multipart_upload(
            Bucket=os.environ["EXPORT_BUCKET"], Key=key, UploadId=upload_id
        )
    except ClientError as error:
        if not aws.has_code(error, "NoSuchUpload"):
            raise


def _count(metric: str) -> None:
    datum = {"MetricName": metric, "Value": 1, "Unit": "Count"}
    aws.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=[datum])


@cache
def _ses() -> Any:
    # One try: a second one that the first one's answer did not reach would be a second mail.
    config = Config(
        connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1}
    )
    return boto3.client("sesv2", config=config)
