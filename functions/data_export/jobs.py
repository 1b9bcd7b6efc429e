"""The table of jobs: who works on which, how far it came, how it ended, whether the mail is out.

One item a job. Every change is a conditional write: a job belongs to one run at a time, for as long
as the run renews its lease, and what another run has taken over cannot be written any more.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dacite

from common import aws, dynamodb

# An item is kept for so long after its link ended, to say that it ended.
KEPT = 30 * 86400
# Characters of what is said of a failure: it may quote a whole request.
LONGEST_DETAIL = 2000


class Lost(Exception):
    """Another run has the job now, or has ended it."""


class NoJob(Exception):
    """There is no such job."""


@dataclass(frozen=True)
class Job:
    """A job as the table has it; times are epoch seconds, `*_at` ISO 8601 in UTC.

    `title` is what mails call it: the query's file may be in no other function's zip.
    The run that has it came by the SQS message `message`. Of the upload `upload_id`, `parts` are
    sent: `rows` and `bytes` of the file, up to the key `position` (an SQL literal); `digest` sums
    up their ETags, `asks` the statement and its columns. `completing` is true from when they are
    all there. `mail_reason` says why the mail was refused, or did not go out the last time.
    """

    job_id: str
    state: str  # running, done, failed
    request: Mapping[str, Any]
    token: str = field(repr=False)
    created_at: str
    expires_at: int
    title: str | None = None
    owner: str = ""
    message: str | None = None
    lease_until: int = 0
    key: str | None = None
    upload_id: str | None = None
    parts: int = 0
    rows: int = 0
    bytes: int = 0
    position: str | None = None
    digest: str = ""
    asks: str = ""
    completing: bool = False
    finished_at: str | None = None
    reason: Mapping[str, str] | None = None  # code and detail
    link_until: int | None = None
    revoked_at: str | None = None
    mail: str | None = None  # due, sending, sent, refused
    mail_until: int = 0
    mail_reason: str | None = None
    message_id: str | None = None


class Busy(Exception):
    """Another run has the job."""

    def __init__(self, job: Job) -> None:
        """Keep the job."""
        super().__init__(f"another run has the job {job.job_id} until {job.lease_until}")
        self.job = job


def content_type(key: str) -> str:
    """Return what kind of file a key on S3 names."""
    return "application/gzip" if key.endswith(".gz") else "text/csv; charset=utf-8"


def load(job_id: str) -> Job | None:
    """Read a job; None where there is none."""
    item = dynamodb.get(_table(), {"job_id": job_id})
    return _job(item) if item else None


def claim(
    job_id: str, request: Mapping[str, Any] | None, now: int, lease: int, message: str | None = None
) -> Job:
    """Take a job for this run: a new one where there is a `request`, or one that nobody works on.

    A job that has ended is returned as it is. Raises Busy, and NoJob.
    """
    mine = {"owner": secrets.token_hex(8), "lease_until": now + lease, "message": message}
    if request is not None:
        new = {
            "job_id": job_id,
            "state": "running",
            "request": request,
            "token": secrets.token_urlsafe(32),
            "created_at": _iso(now),
            "expires_at": now + KEPT,
            **mine,
        }
        if _put(new):
            return _job(new)
    taken = _change(
        job_id, mine, when="#state = :running AND #lease_until < :now", running="running", now=now
    )
    if taken:
        return taken
    job = load(job_id)
    if job is None:
        raise NoJob(job_id)
    if job.state == "running":
        raise Busy(job)
    return job


def note(job: Job, **changes: Any) -> Job:
    """Write down what this run did, and return the job after it. Raises Lost."""
    noted = _change(
        job.job_id,
        changes,
        when="#state = :running AND #owner = :owner",
        running="running",
        owner=job.owner,
    )
    if noted is None:
        raise Lost(f"another run has the job {job.job_id}")
    return noted


def finish(job: Job, now: int, link_days: int) -> Job:
    """Say that the file is there, and that a mail is due. Raises Lost."""
    link_until = now + link_days * 86400
    return note(
        job,
        state="done",
        finished_at=_iso(now),
        link_until=link_until,
        expires_at=link_until + KEPT,
        mail="due",
    )


def fail(job: Job, now: int, code: str, detail: str) -> Job:
    """Say why there will be no file, and that a mail is due. Raises Lost."""
    return note(job, **_failed(now, code, detail))


def give_up(
    job_id: str, request: Mapping[str, Any] | None, now: int, code: str, detail: str
) -> Job | None:
    """Fail a job that no run will end; make it first where it never began.

    None where the job has ended, or is unknown and there is no `request` to make it from. Raises
    Busy where a run has it.
    """
    ended = _change(
        job_id,
        _failed(now, code, detail),
        when="#state = :running AND #lease_until < :now",
        running="running",
        now=now,
    )
    known = ended or load(job_id)
    if known and known.state == "running":
        raise Busy(known)
    if known or request is None:
        return ended
    new = {
        "job_id": job_id,
        "request": request,
        "token": secrets.token_urlsafe(32),
        "created_at": _iso(now),
        "expires_at": now + KEPT,
        **_failed(now, code, detail),
    }
    return _job(new) if _put(new) else None


def take_mail(job_id: str, now: int, lease: int, *, again: bool = False) -> Job | None:
    """Take a job's mail to send it, even one that was sent or refused where it is to go `again`.

    None where it is sent, refused, another run's, or not due yet.
    """
    free = "#mail = :due OR (#mail = :sending AND #mail_until <= :now)"
    given = {"due": "due", "sending": "sending", "now": now}
    if again:
        free += " OR #mail = :sent OR #mail = :refused"
        given |= {"sent": "sent", "refused": "refused"}
    return _change(job_id, {"mail": "sending", "mail_until": now + lease}, when=free, **given)


def mailed(job: Job, mail: str, message_id: str | None = None, reason: str | None = None) -> None:
    """Write down what became of a mail that was taken: sent or refused, and why."""
    _change(
        job.job_id,
        {"mail": mail, "message_id": message_id, "mail_reason": reason},
        when="#mail = :sending AND #mail_until = :until",
        sending="sending",
        until=job.mail_until,
    )


def leave_mail(job: Job, reason: str) -> None:
    """Let the next run take a mail that this one could not send.

    It stays `sending`: the word `due` would come through the table's stream once more.
    """
    _change(
        job.job_id,
        {"mail_until": 0, "mail_reason": reason[:LONGEST_DETAIL]},
        when="#mail = :sending AND #mail_until = :until",
        sending="sending",
        until=job.mail_until,
    )


def _failed(now: int, code: str, detail: str) -> dict[str, Any]:
    return {
        "state": "failed",
        "finished_at": _iso(now),
        "reason": {"code": code, "detail": detail[:LONGEST_DETAIL]},
        "mail": "due",
    }


def _change(job_id: str, sets: Mapping[str, Any], *, when: str, **given: Any) -> Job | None:
    item = dynamodb.change(_table(), {"job_id": job_id}, sets, when=when, given=given)
    return _job(item) if item else None


def _put(item: Mapping[str, Any]) -> bool:
    client = aws.client("dynamodb")
    try:
        client.put_item(
            TableName=_table(),
            Item=dynamodb.values(item),
            ConditionExpression="attribute_not_exists(job_id)",
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _job(item: Mapping[str, Any]) -> Job:
    known = {name: item[name] for name in Job.__dataclass_fields__ if name in item}
    return dacite.from_dict(Job, known)


def _iso(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat()


def _table() -> str:
    return os.environ["EXPORT_TABLE"]
