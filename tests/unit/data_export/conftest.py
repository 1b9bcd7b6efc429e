import pytest

from common import aws
from data_export import export_link, export_mail, jobs
from data_export.request import Request

NOW = 1_768_489_200  # 2026-01-15T15:00:00Z
TABLE, BUCKET = "test-data_export", "test-exports"


def asked(**fields):
    """What an application asks for."""
    plain = {"job_id": "job-1", "query": "members", "parameters": {"since": "2026-01-01"}}
    return Request(**(plain | {"mail_to": "hanako@example.com"} | fields))


class Clock:
    """The time of the functions; a test moves it."""

    now = NOW

    def time(self):
        return self.now + 0.5


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (export_link, export_mail):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def table(moto, clock, monkeypatch):
    """The table and the bucket, as Terraform makes them, and the functions' environment."""
    for name, value in {
        "EXPORT_TABLE": TABLE,
        "EXPORT_BUCKET": BUCKET,
        "PUBLIC_BASE_URL": "https://exports.example.com/live",
        "MAIL_FROM": "exports@example.com",
        "LINK_DAYS": "7",
        "TIMEZONE": "Asia/Tokyo",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    aws.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "job_id", "AttributeType": "S"}],
    )
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
    )
    for client in (export_link._s3, export_mail._ses):
        client.cache_clear()


@pytest.fixture
def context(context):
    context.get_remaining_time_in_millis = lambda: 30_000  # which a lease is made of
    return context


@pytest.fixture
def begin(table):
    """Begin a job as data_export does."""

    def begin(job_id="job-1", now=NOW, lease=90, **fields):
        return jobs.claim(job_id, asked(job_id=job_id, **fields).as_item(), now, lease)

    return begin


@pytest.fixture
def finish(begin):
    """Begin and finish a job, with a file."""

    def finish(job_id="job-1", *, ending=".csv", title=None, **fields):
        job = begin(job_id, **fields)
        key = f"exports/{job_id}/{job.request['query']}{ending}"
        body = b"id\r\n1\r\n"
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return jobs.finish(jobs.note(job, key=key, rows=1, bytes=len(body), title=title), NOW, 7)

    return finish
