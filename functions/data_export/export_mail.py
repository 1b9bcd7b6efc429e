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

from common import aws, cloudwatch, events, failures, logs, sqs
from common.events import parse, require
from data_export import jobs, words
from data_export.jobs import Busy, Job
from data_export.request import Request, anonymous, parse_message

# Seconds that sending a mail may take; one that is not begun is no mail that goes out twice.
SENDING = 15
# The lease of a mail goes on for so long after the function's own end.
MARGIN = 5
# Seconds; within that a mail that cannot be sent is tried again. Before, it takes ever longer.
LONGEST_PAUSE = 3600
# What SES will say the next time, too: that an address is invalid, or that a sender (or, in an
# account that is still in its sandbox, a receiver) is not verified.
FINAL = ("BadRequestException", "InvalidParameterValue", "MessageRejected")

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

    A mail that cannot be sent now, or that another run is sending, goes on by a message to the
    queue of mails, which brings it again, each time later: in a stream, what is behind a record
    that fails has to wait. A repeated record or message finds the mail sent. SES knows no
    repetition, and so is asked once a run. Where it said yes and the run did not live to note that,
    or its yes did not arrive, a second mail goes out rather than none. What SES refuses for good is
    not tried again: it is logged, noted with the job, and counted in ExportMailsRefused. Raises
    RunFailed naming the jobs whose mails could not be put into the queue either; by hand, those
    that were not sent.

    A message from the dead-letter queue fails its job, whose mail then comes through the stream; a
    repeated one finds that done. Each is counted in ExportsGivenUp. The answer names those that
    could not be handled, and those whose job a run still works on: they come again.
    """
    records = events.records(event)
    if records is None:
        job_id = parse(Event, event).job_id
        job = jobs.load(job_id) if job_id else None
        require(job and job.mail, "job_id", job_id, "the id of a job that has ended")
        return {"mails": {job_id: _by_hand(job_id, context)}}
    if any(record.get("eventSource") == "aws:sqs" for record in records):
        return _messages(records, context)
    return {"mails": _mails({one["dynamodb"]["Keys"]["job_id"]["S"] for one in records}, context)}


def _by_hand(job_id: str, context: Any) -> str:
    """Send a job's mail anew. Raises RunFailed."""
    try:
        return _mail(job_id, context, again=True)
    except Exception as error:  # noqa: BLE001 (without the addresses in it)
        failed = {job_id: _why(error)}
    failures.raise_for(failed, tried=1)
    return ""


def _mails(job_ids: Iterable[str], context: Any) -> dict[str, str]:
    """Try every mail and return what became of each. Raises RunFailed."""
    ended: dict[str, str] = {}
    failed: dict[str, object] = {}
    for job_id in sorted(job_ids):
        try:
            ended[job_id] = _mail(job_id, context)
        except Exception as error:  # noqa: BLE001 (each is logged, and tried again)
            log.warning("not sent yet", extra={"job_id": job_id, "reason": _why(error)})
            try:
                _queue(job_id)
            except (ClientError, BotoCoreError) as trouble:
                failed[job_id] = f"{_why(error)}; not in the queue: {trouble}"
            else:
                ended[job_id] = "later"
    failures.raise_for(failed, tried=len(ended) + len(failed))
    return ended


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, Unsent) else anonymous(repr(error))


def _queue(job_id: str) -> None:
    """Let a mail be tried again, by a message."""
    aws.client("sqs").send_message(
        QueueUrl=os.environ["EXPORT_MAILS_URL"],
        MessageBody=json.dumps({"mail": job_id}),
        DelaySeconds=int(os.environ["RETRY_SECONDS"]),
    )


def _mail(job_id: str, context: Any, *, again: bool = False) -> str:
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
        cloudwatch.count("ExportMailsRefused")
        jobs.mailed(job, "refused", reason=str(refused))
        return "refused"
    except Exception as error:
        with suppress(ClientError, BotoCoreError):  # else the lease ends by itself
            jobs.leave_mail(job, _why(error))
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
        kind = Refused if aws.has_code(error, *FINAL) else Unsent
        raise kind(anonymous(str(error).replace(to, "…"))) from None
    return str(answer["MessageId"])


def _written(job: Job) -> words.Mail:
    request = Request.of_item(job.request)
    # One that never began has none, nor has one of a version before there were titles.
    title = job.title or request.query
    if job.state == "failed":
        reason = job.reason or {"code": "unknown", "detail": ""}
        return words.failed(request, title, reason)
    file = words.File(
        rows=job.rows,
        size=job.bytes,
        finished=datetime.fromisoformat(job.finished_at or job.created_at),
        until=datetime.fromtimestamp(job.link_until or 0, UTC),
        link=f"{os.environ['PUBLIC_BASE_URL']}/exports/{job.job_id}/{job.token}",
    )
    zone = ZoneInfo(os.environ["TIMEZONE"])
    return words.done(request, title, file, zone)


def _content(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _messages(records: Iterable[Mapping[str, Any]], context: Any) -> dict[str, Any]:
    """Send the mail, or give up the job, of each message; the answer names those to come again."""
    again = []
    for record in records:
        message_id = record["messageId"]
        try:
            if (job_id := _mail_of(record["body"])) is None:
                _end(record["body"], message_id)
            elif not _tried(job_id, record, context):
                again.append(message_id)
        except Busy as busy:
            log.warning("a run works on it", extra={"message_id": message_id, "reason": str(busy)})
            again.append(message_id)
        except Exception:
            log.exception("not given up", extra={"message_id": message_id})
            again.append(message_id)
    return {"batchItemFailures": [{"itemIdentifier": one} for one in again]}


def _mail_of(body: str) -> str | None:
    """Return the job whose mail a message asks for; None for a message that is of a job itself."""
    with suppress(ValueError, RecursionError):
        match json.loads(body):
            case {"mail": str(job_id)}:
                return job_id
    return None


def _tried(job_id: str, record: Mapping[str, Any], context: Any) -> bool:
    """Try a mail that a message asks for; tell whether that is done with, else it comes later."""
    try:
        state = _mail(job_id, context)
    except Exception as error:  # noqa: BLE001 (logged, and tried again)
        received = int(record["attributes"]["ApproximateReceiveCount"])
        last = received >= int(os.environ["RECEIVES"])
        pause = min(int(os.environ["RETRY_SECONDS"]) * 2**received, LONGEST_PAUSE)
        told = {"job_id": job_id, "tried": received, "reason": _why(error)}
        if last:  # it is among the dead letters as soon as it is seen
            log.error("not sent", extra=told)  # noqa: TRY400 (it says all there is)
        else:
            log.warning("not sent yet", extra=told | {"again_in": pause})
        sqs.hide(os.environ["EXPORT_MAILS_URL"], record["receiptHandle"], 0 if last else pause)
        return False
    log.info("tried again", extra={"job_id": job_id, "state": state})
    return True


def _end(body: str, message_id: str) -> None:
    """Fail the job of a message that came too often. Raises Busy where a run has its lease.

    Done anew it does the same: what a run that broke off has left is done then.
    """
    try:
        message = parse_message(json.loads(body))
    except (ValueError, RecursionError) as error:
        reason = anonymous(str(error))
        log.error("no request", extra={"message_id": message_id, "reason": reason})  # noqa: TRY400
        cloudwatch.count("ExportsGivenUp")
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
    cloudwatch.count("ExportsGivenUp")


def _abort(key: str, upload_id: str) -> None:
    """Let go of the parts of a file that will not be. What is gone already is well."""
    try:
        aws.client("s3").abort_multipart_upload(
            Bucket=os.environ["EXPORT_BUCKET"], Key=key, UploadId=upload_id
        )
    except ClientError as error:
        if not aws.has_code(error, "NoSuchUpload"):
            raise


@cache
def _ses() -> Any:
    # One try: a second one that the first one's answer did not reach would be a second mail.
    config = Config(
        connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1}
    )
    return boto3.client("sesv2", config=config)
