import json
import logging

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from common import aws, queries
from common.events import InvalidEvent
from common.failures import RunFailed
from data_export import export_mail, jobs
from data_export.export_mail import handler
from data_export.request import Header
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
UNVERIFIED = says("MessageRejected", f"Email address is not verified: {TO}, <{UNMAILED}>")


@pytest.fixture
def ses(table, monkeypatch):
    ses = Ses()
    monkeypatch.setattr(export_mail, "_ses", lambda: ses)
    return ses


@pytest.fixture
def run(context):
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


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ({"ja": "会員の一覧", "en": "Members"}, "会員の一覧"),
        ({"en": "Members"}, "members"),
        ({}, "members"),
        ("broken", "members"),
    ],
)
def test_what_the_query_is_called(finish, ses, run, monkeypatch, title, shown):
    def load(name):
        if title == "broken":
            raise queries.InvalidQuery(name)
        return queries.Query(name, Header(title=title), "SELECT 1")

    monkeypatch.setattr(export_mail, "names", lambda: ["members"])
    monkeypatch.setattr(export_mail, "load", load)
    finish()
    run("job-1")
    assert f"内容: {shown}\n" in ses.sent[0]["Content"]["Simple"]["Body"]["Text"]["Data"]


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


def test_two_at_once_are_one_mail(finish, ses, run):
    finish()
    inner = []

    def meanwhile():
        with pytest.raises(RunFailed, match="another run is sending it") as error:
            run("job-1")
        inner.append(error)

    ses.troubles = [meanwhile]
    assert run("job-1") == {"job-1": "sent"}
    assert len(inner) == ses.asked == 1


def test_a_killed_run_leaves_the_mail_to_the_next_one(finish, ses, run, clock):
    finish()
    ses.troubles = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        run("job-1")
    # The record must not be done with while nobody knows whether that run lives.
    with pytest.raises(RunFailed, match="another run"):
        run("job-1")
    clock.now += 34
    with pytest.raises(RunFailed, match="another run"):
        run("job-1")
    clock.now += 1
    assert run("job-1") == {"job-1": "sent"}


@pytest.mark.parametrize("code", ["BadRequestException", "InvalidParameterValue"])
def test_what_is_refused_is_not_tried_again(finish, ses, run, caplog, code):
    finish()
    ses.troubles = [says(code, f"Illegal address {TO}")]
    assert run("job-1") == {"job-1": "refused"}
    assert run("job-1") == {"job-1": "refused before"}
    assert (ses.asked, jobs.load("job-1").mail) == (1, "refused")
    assert counted("ExportMailsRefused") == 1
    (error,) = errors(caplog)
    assert (error.job_id, "Illegal address" in error.reason) == ("job-1", True)
    assert "@" not in str(error.__dict__)


@pytest.mark.parametrize(
    "trouble",
    [
        UNVERIFIED,
        says("TooManyRequestsException"),
        says("AccountSuspendedException"),
        says("SendingPausedException"),
        says("AccessDeniedException", f"not authorized: identity/{TO}"),
        says("InternalServerError"),
        TIMEOUT,
    ],
    ids=["unverified", "throttled", "suspended", "paused", "denied", "5xx", "timeout"],
)
def test_anything_else_is_tried_again(finish, ses, run, caplog, trouble):
    finish()
    ses.troubles = [trouble, trouble]
    for _ in range(2):
        with pytest.raises(RunFailed, match=r"^1 of 1 failed: job-1: ") as error:
            run("job-1")
        assert "@" not in str(error.value) + caplog.text
        assert error.value.__cause__ is error.value.__context__ is None
    assert run("job-1") == {"job-1": "sent"}
    assert counted("ExportMailsRefused") == 0


def test_the_settings_too(finish, ses, run, monkeypatch):
    finish()
    monkeypatch.delenv("MAIL_FROM")
    with pytest.raises(RunFailed, match="MAIL_FROM"):
        run("job-1")
    monkeypatch.setenv("MAIL_FROM", "exports@example.com")
    assert run("job-1") == {"job-1": "sent"}


def test_what_fails_does_not_keep_the_others(finish, ses, run):
    for job_id in ("a", "b", "c"):
        finish(job_id)
    ses.troubles = [None, UNVERIFIED]
    with pytest.raises(RunFailed, match=r"^1 of 3 failed: b: "):
        run("a", "b", "c")
    assert [jobs.load(one).mail for one in "abc"] == ["sent", "sending", "sent"]


def test_no_mail_is_begun_that_the_run_may_not_end(finish, ses, run, context):
    finish()
    context.get_remaining_time_in_millis = lambda: 14_000
    with pytest.raises(RunFailed, match="no time"):
        run("job-1")
    assert (ses.asked, jobs.load("job-1").mail) == (0, "due")


def test_a_job_that_is_gone(ses, run):
    assert run("job-1") == {"job-1": "the job is gone"}


def test_by_hand_a_mail_goes_out_anew(finish, ses, run, context):
    finish()
    ses.troubles = [UNVERIFIED]
    with pytest.raises(RunFailed):
        run("job-1")
    for _ in range(2):
        assert handler({"job_id": "job-1"}, context) == {"mails": {"job-1": "sent"}}
    assert (len(ses.sent), jobs.load("job-1").mail) == (2, "sent")


def test_by_hand_one_that_was_refused(finish, ses, run, context):
    finish()
    ses.troubles = [says("BadRequestException"), UNVERIFIED]
    run("job-1")
    with pytest.raises(RunFailed, match="not verified"):
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
