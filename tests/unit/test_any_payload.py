"""Whatever JSON a function gets: it is taken, or refused in one way that names the field.

Each example of an event is changed in one place, or two. The world outside begins where a client of
AWS is made: an event that comes so far was taken.
"""

import copy
import json
import os
from unittest import mock

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

import build
from common import aws, events
from common.events import InvalidEvent
from common.failures import RunFailed
from tests.unit.test_event_files import FILES, function_of

ENVIRON = {
    "PARAMETER_PATH": "/test/myApp",
    "AWS_DEFAULT_REGION": "ap-northeast-1",
    "ENV_TYPE": "staging",
    "ALARM_GROUPS": '{"alarms": "database"}',
    "BIGQUERY_PROJECT": "project",
    "BIGQUERY_DATASET": "dataset",
    "BIGQUERY_LOCATION": "asia-northeast1",
    "LOOKS_TABLE": "looks",
    "KPI_BUCKET": "kpis",
    "KPI_QUEUE_URL": "queue",
    "RETRY_SECONDS": "60",
    "EXPORT_TABLE": "exports",
    "EXPORT_BUCKET": "exports",
    "EXPORT_QUEUE_URL": "queue",
    "LEASE_SECONDS": "90",
    "RECEIVES": "5",
    "LINK_DAYS": "7",
    "TIMEZONE": "Asia/Tokyo",
    "MAIL_FROM": "exports@example.com",
    "PUBLIC_BASE_URL": "https://example.com/live",
}


class Taken(BaseException):
    """The function went on to the world outside."""


def outside(*_, **__):
    raise Taken


class Context:
    """What Lambda tells of a run."""

    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self):
        return 60_000


def invoke(function, event):
    """Return what a function answers; Taken where it went on."""
    module, _, name = build.handler(function).rpartition(".")
    handler = getattr(__import__(module, fromlist=[name]), name)
    aws.client.cache_clear()
    with mock.patch.dict(os.environ, ENVIRON), mock.patch.object(boto3, "client", outside):
        try:
            return handler(json.loads(json.dumps(event)), Context())
        except Taken:
            return Taken


ODD = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1.5, 10**30, float("inf"), "", " ", "x", "=1", "\ud800"),
        *("見守り", "x" * 2000, "2026-02-30", "1e999", "0", [], [[]], [None], ["x"], [{}]),
        *({}, {"x": 1}, {"\ud800": [1]}, {"name": {}}, [{"name": 1}], {"parameter": "x"}),
    ]
).map(copy.deepcopy)


def places(value, path=()):
    """Give the path of a JSON value, and of all that is in it."""
    yield path
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(one, (*path, key))


@st.composite
def changed(draw, example):
    """A JSON value in which one place, or two, are something else; and the names of all of them."""
    event, names = copy.deepcopy(example), set()
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(places(event))))
        names |= {str(key) for key in path}
        if not path:
            event = draw(ODD)
            names |= {"event", "body", "request"}
            continue
        place = event
        for key in path[:-1]:
            place = place[key]
        what = draw(st.sampled_from(["replaced", "removed", "beside"]))
        if what == "replaced":
            place[path[-1]] = draw(ODD)
        elif what == "removed":
            del place[path[-1]]
        elif isinstance(place, dict):
            name = draw(st.sampled_from(["unheard_of", "\ud800", "", "from_", "class"]))
            place[name] = draw(ODD)
            names |= {events.encodable(name), "unknown"}
    return event, names


def refused(error, names):
    """Check that an error can be shown to people, and names a field."""
    said = str(error)
    said.encode()
    assert len(said) < 1000, said
    assert any(name in said for name in names), (said, names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{function_of(file)}/{file.name}")
@given(data=st.data())
def test_a_payload_by_hand(file, data):
    example = json.loads(file.read_text(encoding="utf-8"))
    event, names = data.draw(changed(example))
    try:
        answer = invoke(function_of(file), event)
    except (InvalidEvent, RunFailed) as error:  # of several keys one may be wrong
        # What an event lacks, and what excludes something else, is named by its own name.
        refused(error, names | set(map(str, example)) | fields_of(file))
    else:
        assert answer is Taken or json.dumps(answer)


def fields_of(file):
    """Return the fields of all payloads of a function: a change may make it another payload."""
    module = __import__(build.handler(function_of(file)).rpartition(".")[0], fromlist=["x"])
    shapes = [one for one in vars(module).values() if hasattr(one, "__dataclass_fields__")]
    return {field.rstrip("_") for shape in shapes for field in shape.__dataclass_fields__}


# What AWS sends itself: only what others have put into it may be anything.
ALARM = {
    "AlarmName": "errors",
    "AlarmDescription": "Errors of a function",
    "NewStateValue": "ALARM",
    "NewStateReason": "Threshold crossed",
    "Trigger": {"Dimensions": [{"name": "FunctionName", "value": "web"}]},
}
NOTICE = {
    "Records": [
        {
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "kpis"},
                "object": {"key": "kpi/sales/dt=2026-11-22/sales.csv", "versionId": "1"},
            },
        }
    ]
}
JOB = {"job_id": "1", "query": "users", "mail_to": "a@example.com", "parameters": {"since": "x"}}


def message(body):
    return {
        "eventSource": "aws:sqs",
        "messageId": "m-1",
        "receiptHandle": "receipt",
        "attributes": {"ApproximateReceiveCount": "1"},
        "body": body,
    }


@pytest.mark.parametrize(
    ("function", "example"),
    [
        ("data_export", JOB),
        ("data_export", {"continue": "1"}),
        ("export_mail", JOB),
        ("s3_to_bigquery", NOTICE),
    ],
)
@given(data=st.data())
def test_a_message_of_a_queue(function, example, data):
    """Nobody is there to be told: it comes again, and in the end to the dead letters."""
    body, _ = data.draw(changed(example))
    answer = invoke(function, {"Records": [message(json.dumps(body))]})
    assert answer is Taken or answer["batchItemFailures"] in ([], [{"itemIdentifier": "m-1"}])


@given(data=st.data())
def test_an_alarm(data):
    alarm, names = data.draw(changed(ALARM))
    record = {"Sns": {"TopicArn": "arn:aws:sns:region:1:alarms", "Message": json.dumps(alarm)}}
    try:
        invoke("phone_call", {"Records": [record]})
    except RunFailed as error:
        refused(error, names | {"no CloudWatch alarm"})


PATHS = {"groupId": "database", "cont": "1", "job": "1", "token": "t"}
TEXTS = st.sampled_from(["", " ", "x", "0", "-1", "\0", "見守り", "a/b", "{}", "x" * 2000])


REQUESTS = {"POST": ["phone_call", "phone_callback"], "GET": ["phone_call", "export_link"]}


@pytest.mark.parametrize(
    ("function", "method"), [(name, method) for method in REQUESTS for name in REQUESTS[method]]
)
@given(data=st.data())
def test_a_request(function, method, data):
    """400, or 403 and 404 where nobody is to know why; never 500."""
    body, _ = data.draw(changed({"messageId": "disk_full", "variableMessage": ["db-1", "95"]}))
    text = data.draw(st.sampled_from([json.dumps(body), "[" * 100_000]) | TEXTS)
    names = st.sampled_from(["messageId", "variableMessage", "token", "CallSid", "x"])
    query = data.draw(st.none() | st.dictionaries(names, st.lists(TEXTS, min_size=1, max_size=2)))
    event = {
        "httpMethod": method,
        "path": "/any",
        "pathParameters": PATHS | data.draw(st.dictionaries(st.sampled_from([*PATHS]), TEXTS)),
        "multiValueQueryStringParameters": query,
        "headers": data.draw(st.none() | st.just({"X-Twilio-Signature": "x"})),
        "stageVariables": {"env_type": "staging"},
        "body": data.draw(st.none() | st.just(text)),
    }
    answer = invoke(function, event)
    assert answer is Taken or answer["statusCode"] in (400, 403, 404)
    assert answer is Taken or answer["body"].encode()


@pytest.mark.parametrize("function", build.functions())
@pytest.mark.parametrize("event", [None, 3, "x", [], ["Records"], {"Records": 3}, {"Records": [3]}])
def test_no_event_at_all(function, event):
    with pytest.raises(InvalidEvent) as error:
        invoke(function, event)
    refused(error.value, {"event", "Records"})


def test_what_the_query_stands_before_is_refused_too():
    event = {
        "httpMethod": "POST",
        "pathParameters": {"groupId": "database"},
        "multiValueQueryStringParameters": {"variableMessage": ["db-1"]},
        "body": json.dumps({"messageId": "disk_full", "variableMessage": {"a": 1}}),
    }
    answer = invoke("phone_call", event)
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["message"].startswith("variableMessage: got")
