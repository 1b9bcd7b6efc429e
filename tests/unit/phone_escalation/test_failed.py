import io
import json
import os
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest

from common import aws
from common.failures import RunFailed
from phone_escalation import failed
from phone_escalation.phone_sweep import handler

SLACK = "https://slack.com/api/chat.postMessage"
ALARM = {"Records": [{"Sns": {"Message": '{"AlarmName": "db-cpu", "NewStateReason": "99 > 90"}'}}]}


@pytest.fixture
def gives_up(table, monkeypatch):
    """Return a function that has Lambda give up a run, as its record in the queue says."""
    monkeypatch.setenv("SLACK_CHANNEL", "C0123456789")

    def gives_up(payload, error="the tables cannot be read"):
        record = {
            "version": "1.0",
            "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
            "requestPayload": payload,
            "responsePayload": {"errorType": "RunFailed", "errorMessage": error},
        }
        queue = os.environ["FAILED_QUEUE_URL"]
        aws.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(record))

    return gives_up


@pytest.fixture
def invoked(monkeypatch):
    """phone_call: what it was given; it fails while there is an `error`."""
    calls = SimpleNamespace(given=[], error=None)

    def invoke(FunctionName, Payload):  # noqa: N803 (AWS's names)
        calls.given.append((FunctionName, json.loads(Payload)))
        if calls.error is None:
            return {"Payload": io.BytesIO(b"{}")}
        told = json.dumps({"errorMessage": calls.error}).encode()
        return {"FunctionError": "Unhandled", "Payload": io.BytesIO(told)}

    monkeypatch.setattr(
        aws,
        "client",
        lambda name, made=aws.client: (
            SimpleNamespace(invoke=invoke) if name == "lambda" else made(name)
        ),
    )
    return calls


@pytest.fixture
def counted(table, monkeypatch):
    found = []

    def put(Namespace, MetricData):  # noqa: N803 (AWS's names)
        (datum,) = MetricData
        # An alarm looks at the last minutes: this counts when it is told, not when it was sent.
        assert "Timestamp" not in datum
        assert datum["Dimensions"] == [{"Name": "Environment", "Value": "test"}]
        found.append(datum["MetricName"])

    monkeypatch.setattr(aws.client("cloudwatch"), "put_metric_data", put)
    return found


@pytest.fixture
def comes_again(clock, monkeypatch):
    """Return a function that lets time pass, so that what was looked at is seen again."""
    monkeypatch.setattr(failed, "HIDDEN", 0)
    sent, made = {}, aws.client("sqs").receive_message

    def receive(**fields):
        answer = made(**fields)
        for message in answer.get("Messages", []):
            at = sent.setdefault(message["MessageId"], clock.now)
            message["Attributes"]["SentTimestamp"] = str(at * 1000)
        return answer

    monkeypatch.setattr(aws.client("sqs"), "receive_message", receive)

    def later(seconds):
        clock.now += seconds

    return later


@pytest.fixture
def once():
    """A run that has time for one message."""

    def run():
        times = iter([60_000])
        return SimpleNamespace(get_remaining_time_in_millis=lambda: next(times, 0))

    return run


def left():
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = aws.client("sqs").get_queue_attributes(
        QueueUrl=os.environ["FAILED_QUEUE_URL"], AttributeNames=names
    )["Attributes"]
    return sum(map(int, found.values()))


def test_an_alarm_is_tried_again_while_it_is_young_and_then_phoned(
    gives_up, invoked, counted, comes_again, once
):
    gives_up(ALARM)
    invoked.error = "the tables cannot be read"
    for _ in range(3):
        assert handler({}, once())["done"] == ["left an alarm for the next minute"]
        comes_again(60)
    invoked.error = None
    assert handler({}, once())["done"] == ["phoned an alarm"]
    assert invoked.given == [(os.environ["PHONE_CALL"], ALARM)] * 4
    assert (left(), counted) == (0, [])


def test_an_alarm_that_is_not_young_any_more_is_told_and_counted(
    gives_up, invoked, counted, comes_again, once, secrets, web
):
    gives_up(ALARM)
    invoked.error = "<no> roster"
    handler({}, once())
    comes_again(failed.YOUNG)
    refused = web.post(SLACK, json={"ok": False, "error": "channel_not_found"})
    with pytest.raises(RunFailed, match="channel_not_found"):
        handler({}, once())
    assert (len(refused.calls), left(), counted) == (1, 1, [])
    posted = web.replace("POST", SLACK, json={"ok": True})
    assert handler({}, once())["done"] == ["told of a lost alarm"]
    assert "db-cpu%3A+99+%26gt%3B+90" in posted.calls[-1].request.body
    assert (left(), counted) == (0, ["PhoneAlarmLost"])


def test_a_check_that_failed_is_told_at_once(gives_up, invoked, counted, once, secrets, web):
    gives_up({"check": True}, "1 of 12 failed: group_member rows 1 and 7")
    posted = web.post(SLACK, json={"ok": True})
    assert handler({}, once())["done"] == ["told of a failed check"]
    assert "group_member+rows+1+and+7" in posted.calls[0].request.body
    assert (invoked.given, left(), counted) == ([], 0, ["PhoneRosterProblem"])


@pytest.mark.parametrize(
    ("language", "lost", "act", "check"),
    [
        ("ja", "アラームを電話できませんでした", "すぐに対応してください。", "当番表に誤り"),
        ("en", "An alarm could not be phoned", "Please act at once.", "The roster has mistakes"),
    ],
)
def test_it_is_told_in_the_language_of_the_suite(
    gives_up,
    invoked,
    counted,
    comes_again,
    once,
    secrets,
    web,
    monkeypatch,
    language,
    lost,
    act,
    check,
):
    monkeypatch.setenv("SLACK_LANGUAGE", language)
    posted = web.post(SLACK, json={"ok": True})
    gives_up({"check": True}, "group_member rows 1 and 7")
    handler({}, once())
    gives_up(ALARM)
    invoked.error = "no roster"
    handler({}, once())
    comes_again(failed.YOUNG)
    handler({}, once())
    of_check, of_alarm = (parse_qs(call.request.body)["text"][0] for call in posted.calls)
    assert of_check.split("\n")[1:] == ["group_member rows 1 and 7"]
    assert check in of_check
    assert lost in of_alarm
    assert of_alarm.split("\n")[1:] == ["db-cpu: 99 > 90".replace(">", "&gt;"), "no roster", act]


def test_without_a_channel_it_is_counted(gives_up, invoked, counted, once, monkeypatch):
    monkeypatch.setenv("SLACK_CHANNEL", "")
    gives_up({"check": True})
    handler({}, once())
    assert (left(), counted) == (0, ["PhoneRosterProblem"])


def test_without_time_it_is_left(gives_up, invoked):
    gives_up(ALARM)
    handler({}, SimpleNamespace(get_remaining_time_in_millis=lambda: failed.NEEDED - 1))
    assert (invoked.given, left()) == ([], 1)
