"""Messages that are no job."""

import pytest

from common import sqs
from data_export.handler import handler


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
