"""Messages that are no job, and what a job is called."""

import pytest

from common import queries, sqs
from data_export import handler as entrance
from data_export import jobs, request
from data_export.handler import handler
from data_export.request import Header
from tests.unit.data_export.conftest import NOW, asked


@pytest.mark.parametrize(
    "body",
    [
        '{"\\ud800": 1}',
        '{"job_id": "\\ud800", "query": "users", "mail_to": "a@example.com"}',
        '{"job_id": "1", "query": "\\ud800", "mail_to": "a@example.com"}',
        '{"job_id": "1", "query": "q", "mail_to": "a@example.com", "parameters": {"\\ud800": 1}}',
        '{"continue": "\\ud800"}',
        "no JSON",
        "[" * 100_000,
    ],
    ids=lambda body: body[:30],
)
def test_a_message_that_is_no_job_goes_to_the_dead_letters(body, context, monkeypatch):
    """It raised where it was to be logged, and came back for as long as the queue keeps it."""
    hidden = []
    monkeypatch.setattr(sqs, "hide", lambda *given: hidden.append(given[1:]))
    monkeypatch.setenv("EXPORT_QUEUE_URL", "any")
    record = {
        "messageId": "m-1",
        "receiptHandle": "receipt",
        "attributes": {"ApproximateReceiveCount": "1"},
        "body": body,
    }
    assert handler({"Records": [record]}, context) == {
        "batchItemFailures": [{"itemIdentifier": "m-1"}]
    }
    assert hidden == [("receipt", 0)]


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ({"ja": "会員の一覧", "en": "Members"}, "会員の一覧"),
        ({"en": "Members"}, "members"),
        ({}, "members"),
        ("broken", "members"),
        ("none", "members"),
    ],
)
def test_a_job_keeps_what_its_query_is_called(table, context, monkeypatch, title, kept):
    """The functions that tell of it later may have no such query in their zips."""

    def load(name):
        if title == "broken":
            raise queries.InvalidQuery(name)
        return queries.Query(name, Header(title=title), "SELECT 1")

    monkeypatch.setenv("LEASE_SECONDS", "90")
    monkeypatch.setattr(request, "names", lambda: [] if title == "none" else ["members"])
    monkeypatch.setattr(request, "load", load)
    monkeypatch.setattr(entrance, "export", lambda job, run: jobs.fail(job, NOW, "too_slow", ""))

    handler(vars(asked()), context)

    job = jobs.load("job-1")
    assert (job.title, job.state) == (kept, "failed")


def test_a_job_that_goes_on_keeps_its_title(begin, context, monkeypatch):
    jobs.note(begin(), title="会員の一覧", lease_until=0)
    monkeypatch.setenv("LEASE_SECONDS", "90")
    monkeypatch.setattr(entrance, "export", lambda job, run: jobs.fail(job, NOW, "too_slow", ""))

    handler({"continue": "job-1"}, context)

    assert jobs.load("job-1").title == "会員の一覧"
