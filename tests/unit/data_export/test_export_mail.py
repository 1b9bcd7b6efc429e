import json
import logging

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from common import aws
from common.events import InvalidEvent
from common.failures import RunFailed
from data_export import export_mail, jobs
from data_export.export_mail import handler
from tests.unit.data_export.conftest import BUCKET, NOW, TABLE

TO, UNMAILED = "hanako@example.com", "exports@example.com"


class Ses:
    """SES, which does what `troubles` say, one a call."""

    def __init__(self):
        self.sent, self.troubles, self.asked = [], [], 0

    def send_email(self, **mail):
        self.asked += 1
        trouble = self.troubles.pop(0) if self.troubles else None
        if callable(trouble):
            trouble = trouble()
        if isinstance(trouble, BaseException):
            raise trouble
        self.sent.append(mail)
        return {"MessageId": f"message-{len(self.sent)}"}


def says(code, message="no"):
    return ClientError({"Error": {"Code": code, "Message": message}}, "SendEmail")


TIMEOUT = ReadTimeoutError(endpoint_url="https://email.example.com")
THROTTLED = says("TooManyRequestsException")
UNVERIFIED = says("MessageRejected", f"Email address is not verified: {TO}, <{UNMAILED}>")


@pytest.fixture
def ses(table, monkeypatch):
    ses = Ses()
    monkeypatch.setattr(export_mail, "_ses", lambda: ses)
    return ses


@pytest.fixture
def run(context, mails):
    """Call the function as the table's stream does."""

    def run(*job_ids):
        records = [
            {
                "eventSource": "aws:dynamodb",
                "eventName": "MODIFY",
                "dynamodb": {"Keys": {"job_id": {"S": job_id}}},
            }
            for job_id in job_ids
        ]
        return handler({"Records": records}, context)["mails"]

    return run


MAILS = "exports-mails"


@pytest.fixture
def mails(table, clock, monkeypatch):
    """The queue of mails that are tried again, as Terraform makes it; time is what the clock says.

    Lists (job, the moment from which it is seen, how often it came). `wait` moves the clock, and
    brings each message when it is seen, as its mapping does.
    """
    queue = Mails(clock)
    monkeypatch.setenv("EXPORT_MAILS_URL", MAILS)
    monkeypatch.setenv("RETRY_SECONDS", "60")
    monkeypatch.setenv("RECEIVES", "11")
    client = aws.client
    monkeypatch.setattr(aws, "client", lambda name: queue if name == "sqs" else client(name))
    return queue


class Mails:
    """SQS, as far as this function needs it."""

    def __init__(self, clock):
        self.clock, self.waiting, self.dead, self.down = clock, [], [], False

    def send_message(self, QueueUrl, MessageBody, DelaySeconds):  # noqa: N803
        if self.down:
            raise says("ServiceUnavailable")
        assert QueueUrl == MAILS
        assert 0 <= DelaySeconds <= 900
        self.waiting.append({"body": MessageBody, "at": self.clock.now + DelaySeconds, "came": 0})

    def change_message_visibility(self, QueueUrl, ReceiptHandle, VisibilityTimeout):  # noqa: N803
        assert QueueUrl == MAILS
        assert 0 <= VisibilityTimeout <= 43_200
        self.waiting[ReceiptHandle]["at"] = self.clock.now + VisibilityTimeout

    def wait(self, seconds, context):
        until = self.clock.now + seconds
        while due := [one for one in self.waiting if one["at"] <= until]:
            one = min(due, key=lambda each: each["at"])
            self.clock.now = max(self.clock.now, one["at"])
            if one["came"] == 11:
                self.dead.append(one["body"])
                self.waiting.remove(one)
                continue
            one["came"] += 1
            one["at"] = self.clock.now + 180
            record = {
                "eventSource": "aws:sqs",
                "messageId": "m",
                "receiptHandle": self.waiting.index(one),
                "attributes": {"ApproximateReceiveCount": str(one["came"])},
                "body": one["body"],
            }
            if not handler({"Records": [record]}, context)["batchItemFailures"]:
                self.waiting.remove(one)
        self.clock.now = until


@pytest.fixture
def dead(context):
    """Call the function as the dead-letter queue does; returns which messages come again."""

    def dead(*bodies):
        records = [
            {
                "messageId": f"m{number}",
                "eventSource": "aws:sqs",
                "body": body if isinstance(body, str) else json.dumps(body),
            }
            for number, body in enumerate(bodies)
        ]
        answer = handler({"Records": records}, context)
        return [one["itemIdentifier"] for one in answer["batchItemFailures"]]

    return dead


def message(job_id="job-1", **fields):
    return {"job_id": job_id, "query": "members", "mail_to": TO, **fields}


def counted(metric):
    """How often a metric of the suite's was put."""
    found = aws.client("cloudwatch").get_metric_statistics(
        Namespace="Mimamori",
        MetricName=metric,
        Dimensions=[{"Name": "Environment", "Value": "test"}],
        StartTime=0,
        EndTime=4_000_000_000,
        Period=86400,
        Statistics=["Sum"],
    )
    return sum(one["Sum"] for one in found["Datapoints"])


def errors(caplog):
    return [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_a_file_is_mailed(finish, ses, run):
    job = finish()
    assert run("job-1") == {"job-1": "sent"}
    (mail,) = ses.sent
    assert mail["FromEmailAddress"] == "exports@example.com"
    assert mail["Destination"] == {"ToAddresses": [TO]}
    simple = mail["Content"]["Simple"]
    assert simple["Subject"] == {"Data": "CSVファイルができました: members", "Charset": "UTF-8"}
    link = f"https://exports.example.com/live/exports/job-1/{job.token}"
    for form in ("Text", "Html"):
        assert simple["Body"][form]["Charset"] == "UTF-8"
        assert link in simple["Body"][form]["Data"]
    assert "2026年1月23日 00:00 (JST)" in simple["Body"]["Text"]["Data"]
    known = jobs.load("job-1")
    assert (known.mail, known.message_id) == ("sent", "message-1")


def test_a_failure_is_mailed(begin, ses, run):
    jobs.fail(begin(language="en"), NOW, "too_slow", "SELECT secret")
    run("job-1")
    body = ses.sent[0]["Content"]["Simple"]["Body"]
    assert "The query took longer than it may." in body["Text"]["Data"]
    assert "SELECT secret" not in str(body)


def test_through_the_real_client(finish, run):
    aws.client("sesv2").create_email_identity(EmailIdentity="exports@example.com")
    finish()
    assert run("job-1") == {"job-1": "sent"}
    assert jobs.load("job-1").message_id
    config = export_mail._ses().meta.config
    assert config.retries["total_max_attempts"] == 1


def test_what_the_job_is_called(finish, ses, run):
    """The query need not be in this function's zip."""
    finish(title="会員の一覧")
    run("job-1")
    assert "内容: 会員の一覧\n" in ses.sent[0]["Content"]["Simple"]["Body"]["Text"]["Data"]


def test_a_job_without_a_title_is_called_as_its_query(finish, ses, run):
    """As all were before the table had titles, and as one is that never began."""
    finish(query="orders")
    run("job-1")
    assert "内容: orders\n" in ses.sent[0]["Content"]["Simple"]["Body"]["Text"]["Data"]


@pytest.mark.parametrize("query", ["../../secret", "a\r\nBcc: all@example.com", "no_such"])
def test_a_query_that_is_none_is_only_a_name(begin, ses, run, query):
    jobs.fail(begin(query=query), NOW, "unknown_query", query)
    assert run("job-1") == {"job-1": "sent"}
    subject = ses.sent[0]["Content"]["Simple"]["Subject"]["Data"]
    assert subject.splitlines() == [subject]


def test_a_record_that_comes_again_is_one_mail(finish, ses, run):
    finish()
    assert run("job-1", "job-1") == {"job-1": "sent"}
    assert run("job-1") == {"job-1": "sent before"}
    assert ses.asked == 1


def test_two_at_once_are_one_mail(finish, ses, run, mails, context):
    finish()
    inner = []

    def meanwhile():
        inner.append(run("job-1"))

    ses.troubles = [meanwhile]
    assert run("job-1") == {"job-1": "sent"}
    assert inner == [{"job-1": "later"}]
    mails.wait(3600, context)
    assert (ses.asked, mails.waiting) == (1, [])


def test_a_killed_run_leaves_the_mail_to_the_next_one(finish, ses, run, clock, mails, context):
    finish()
    ses.troubles = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        run("job-1")
    # The record must not be done with while nobody knows whether that run lives.
    assert run("job-1") == {"job-1": "later"}
    clock.now += 34
    assert run("job-1") == {"job-1": "later"}
    clock.now += 1
    assert run("job-1") == {"job-1": "sent"}
    mails.wait(3600, context)
    assert ses.asked == 2
    assert mails.waiting == []


@pytest.mark.parametrize(
    "code", ["BadRequestException", "InvalidParameterValue", "MessageRejected"]
)
def test_what_is_refused_is_not_tried_again(finish, ses, run, caplog, mails, code):
    finish()
    ses.troubles = [says(code, f"Illegal address {TO}, <{UNMAILED}>")]
    assert run("job-1") == {"job-1": "refused"}
    assert run("job-1") == {"job-1": "refused before"}
    known = jobs.load("job-1")
    assert (ses.asked, known.mail, mails.waiting) == (1, "refused", [])
    assert "Illegal address" in known.mail_reason
    assert "@" not in known.mail_reason
    assert counted("ExportMailsRefused") == 1
    (error,) = errors(caplog)
    assert (error.job_id, "Illegal address" in error.reason) == ("job-1", True)
    assert "@" not in str(error.__dict__)


@pytest.mark.parametrize(
    "trouble",
    [
        says("TooManyRequestsException"),
        says("AccountSuspendedException"),
        says("SendingPausedException"),
        says("AccessDeniedException", f"not authorized: identity/{TO}"),
        says("InternalServerError"),
        TIMEOUT,
    ],
    ids=["throttled", "suspended", "paused", "denied", "5xx", "timeout"],
)
def test_anything_else_is_tried_again(finish, ses, run, caplog, mails, context, trouble):
    finish()
    ses.troubles = [trouble, trouble]
    assert run("job-1") == {"job-1": "later"}
    said = jobs.load("job-1").mail_reason
    assert said
    mails.wait(60, context)
    assert ses.asked == 2
    assert "@" not in str([one.__dict__ for one in caplog.records]) + said
    mails.wait(119, context)
    assert (ses.asked, jobs.load("job-1").mail) == (2, "sending")
    mails.wait(1, context)
    known = jobs.load("job-1")
    assert (ses.asked, known.mail, known.mail_reason) == (3, "sent", None)
    assert counted("ExportMailsRefused") == 0
    assert mails.waiting == []


def test_the_settings_too(finish, ses, run, monkeypatch, mails, context):
    finish()
    monkeypatch.delenv("MAIL_FROM")
    assert run("job-1") == {"job-1": "later"}
    assert "MAIL_FROM" in jobs.load("job-1").mail_reason
    monkeypatch.setenv("MAIL_FROM", "exports@example.com")
    mails.wait(60, context)
    assert jobs.load("job-1").mail == "sent"


def test_one_that_fails_for_an_hour_holds_up_no_other(finish, ses, run, mails, context):
    ids = [f"job-{number:02}" for number in range(20)]
    for job_id in ids:
        finish(job_id)
    ses.troubles = [None] * 7 + [THROTTLED] + [None] * 12 + [THROTTLED] * 5
    assert run(*ids) == dict.fromkeys(ids, "sent") | {"job-07": "later"}
    mails.wait(3600, context)
    assert (jobs.load("job-07").mail, len(ses.sent)) == ("sending", 19)
    mails.wait(3600, context)
    assert (jobs.load("job-07").mail, len(ses.sent)) == ("sent", 20)


def test_after_six_hours_it_is_for_a_person(finish, ses, run, mails, context, caplog):
    finish()
    ses.troubles = [THROTTLED] * 99
    run("job-1")
    mails.wait(6 * 3600, context)
    assert (len(mails.waiting), mails.dead) == (1, [])
    mails.wait(3600, context)
    assert (mails.waiting, mails.dead) == ([], ['{"mail": "job-1"}'])
    assert ses.asked == 12
    (error,) = errors(caplog)
    assert (error.message, error.job_id, error.tried) == ("not sent", "job-1", 11)


def test_where_the_queue_is_away_the_stream_brings_it_again(finish, ses, run, mails):
    finish("a")
    finish("b")
    ses.troubles, mails.down = [THROTTLED], True
    with pytest.raises(RunFailed, match=r"^1 of 2 failed: a: .*TooMany.*; not in the queue: "):
        run("a", "b")
    assert [jobs.load(one).mail for one in "ab"] == ["sending", "sent"]
    assert run("a") == {"a": "sent"}


def test_no_mail_is_begun_that_the_run_may_not_end(finish, ses, run, context):
    finish()
    context.get_remaining_time_in_millis = lambda: 14_000
    assert run("job-1") == {"job-1": "later"}
    assert (ses.asked, jobs.load("job-1").mail) == (0, "due")


def test_a_job_that_is_gone(ses, run):
    assert run("job-1") == {"job-1": "the job is gone"}


def test_by_hand_a_mail_goes_out_anew(finish, ses, run, context):
    finish()
    ses.troubles = [THROTTLED]
    run("job-1")
    for _ in range(2):
        assert handler({"job_id": "job-1"}, context) == {"mails": {"job-1": "sent"}}
    assert (len(ses.sent), jobs.load("job-1").mail) == (2, "sent")


def test_by_hand_one_that_was_refused(finish, ses, run, context):
    finish()
    ses.troubles = [UNVERIFIED, THROTTLED]
    run("job-1")
    with pytest.raises(RunFailed, match="TooMany"):
        handler({"job_id": "job-1"}, context)
    assert handler({"job_id": "job-1"}, context) == {"mails": {"job-1": "sent"}}


def test_by_hand_not_beside_another_run(finish, ses, context):
    finish()
    jobs.take_mail("job-1", NOW, 30)
    with pytest.raises(RunFailed, match="another run is sending it"):
        handler({"job_id": "job-1"}, context)
    assert ses.asked == 0


@pytest.mark.parametrize("job_id", ["job-1", "job-2", ""])
def test_by_hand_only_what_has_ended(begin, ses, context, job_id):
    begin("job-1")
    with pytest.raises(InvalidEvent, match=r"^job_id: got '.*', takes the id of a job that has"):
        handler({"job_id": job_id}, context)


def test_by_hand_something_else(table, context):
    with pytest.raises(InvalidEvent, match="unknown field: job"):
        handler({"job": "job-1"}, context)


@pytest.mark.parametrize("body", [message(), {"continue": "job-1"}], ids=["request", "continue"])
def test_a_job_that_nobody_ends_is_given_up(begin, dead, ses, run, clock, caplog, body):
    s3 = aws.client("s3")
    key = "exports/job-1/members.csv"
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    jobs.note(begin(lease=90), key=key, upload_id=upload)
    clock.now += 91
    for _ in range(2):
        assert dead(body) == []
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    known = jobs.load("job-1")
    assert (known.state, known.reason["code"], known.mail) == ("failed", "gave_up", "due")
    assert {one.job_id for one in errors(caplog)} == {"job-1"}
    assert counted("ExportsGivenUp") == 2
    assert run("job-1") == {"job-1": "sent"}
    assert "何度か試しましたが" in ses.sent[0]["Content"]["Simple"]["Body"]["Text"]["Data"]


def test_a_job_that_never_began_is_given_up(dead, ses, run):
    assert dead(message(language="en", parameters={"most": 1.5})) == []
    assert run("job-1") == {"job-1": "sent"}
    assert "most: 1.5" in ses.sent[0]["Content"]["Simple"]["Body"]["Text"]["Data"]


def test_what_broke_off_is_done_by_the_message_that_comes_again(begin, dead, clock, monkeypatch):
    s3 = aws.client("s3")
    key = "exports/job-1/members.csv"
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    jobs.note(begin(lease=90), key=key, upload_id=upload)
    clock.now += 91
    with monkeypatch.context() as patch:
        patch.setattr(export_mail, "_abort", lambda *_: 1 / 0)
        assert dead(message()) == ["m0"]
    assert dead(message()) == []
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    assert counted("ExportsGivenUp") == 1


def test_a_run_that_has_the_job_is_not_disturbed(begin, dead, clock, caplog):
    """A duplicate may have come too often while the job was another's for long."""
    begin(lease=90)
    clock.now += 90
    assert dead(message()) == ["m0"]
    assert jobs.load("job-1").state == "running"
    assert not errors(caplog)
    clock.now += 1
    assert dead(message()) == []
    assert jobs.load("job-1").state == "failed"


@pytest.mark.parametrize("reason", [None, "too_slow"])
def test_a_job_that_has_ended_stays_as_it_is(begin, finish, dead, caplog, reason):
    if reason:
        jobs.fail(begin(), NOW, reason, "")
    else:
        finish()
    before = jobs.load("job-1")
    assert dead(message(), {"continue": "job-1"}) == []
    assert jobs.load("job-1") == before
    assert counted("ExportsGivenUp") == 0
    assert not errors(caplog)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        '"text"',
        "[" * 100_000,
        "{}",
        json.dumps(message(mail_to=f"{TO} nobody")),
        json.dumps(message(job_id="")),
        json.dumps(message(colour=f"blue {TO}")),
        '{"continue": 1}',
        '{"continue": "no-such-job"}',
    ],
    ids=range(11),
)
def test_a_message_that_is_no_job_is_named_and_done_with(table, dead, caplog, body):
    assert dead(body) == []
    (error,) = errors(caplog)
    assert error.message_id == "m0"
    assert error.reason
    assert "@" not in str(error.__dict__)
    assert counted("ExportsGivenUp") == 1
    assert aws.client("dynamodb").scan(TableName=TABLE)["Count"] == 0


def test_a_message_that_fails_does_not_keep_the_others(table, dead, monkeypatch, caplog):
    give_up = jobs.give_up

    def failing(job_id, *rest):
        return 1 / 0 if job_id == "b" else give_up(job_id, *rest)

    monkeypatch.setattr(jobs, "give_up", failing)
    assert dead(message("a"), "{", message("b"), message("c")) == ["m2"]
    assert [jobs.load(one) is not None for one in "abc"] == [True, False, True]
    assert [one.message_id for one in errors(caplog)] == ["m0", "m1", "m2", "m3"]
