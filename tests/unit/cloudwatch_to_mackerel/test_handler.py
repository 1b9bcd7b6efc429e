import json
from datetime import UTC, datetime, timedelta

import pytest
import requests
import responses
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from mackerel.client import MackerelClientError
from responses import matchers

from cloudwatch_to_mackerel.handler import Event, handler
from common import aws, http
from common.events import InvalidEvent, parse
from common.failures import RunFailed
from common.http import Unavailable
from common.parameters import ParameterError

API_KEY = "key-nobody-may-see"
URL = "https://api.mackerelio.com/api/v0/services/shop/tsdb"


class FakeCloudWatch:
    """Answers GetMetricData with one point a query, and refuses what is named in `bad`."""

    def __init__(self):
        self.bad = set()
        self.silent = set()
        self.asked = []
        self.denied = False

    def get_paginator(self, _):
        return self

    def paginate(self, MetricDataQueries, StartTime, EndTime, **_):  # noqa: N803
        self.asked.append(MetricDataQueries)
        names = {q["MetricStat"]["Metric"]["MetricName"] for q in self.stats(MetricDataQueries)}
        names |= {q["Expression"] for q in MetricDataQueries if "Expression" in q}
        if self.denied:
            raise self.error("AccessDenied", "role/x is not authorized")
        if refused := names & self.bad:
            raise self.error("ValidationError", f"will not have {refused}")
        assert len(MetricDataQueries) <= 500
        return [{"MetricDataResults": [self.answer(q, StartTime) for q in MetricDataQueries]}]

    @staticmethod
    def stats(queries):
        return [query for query in queries if "MetricStat" in query]

    @staticmethod
    def error(code, message):
        return ClientError({"Error": {"Code": code, "Message": message}}, "GetMetricData")

    def answer(self, query, start):
        name = query.get("MetricStat", {}).get("Metric", {}).get("MetricName")
        points = [] if name in self.silent else [1.5]
        return {
            "Id": query["Id"],
            "Label": "x",
            "StatusCode": "Complete",
            "Timestamps": [start for _ in points],
            "Values": points,
        }


@pytest.fixture
def cloudwatch(put_parameter, monkeypatch):
    put_parameter("MACKEREL_API_KEY", API_KEY)
    put_parameter("AWS_COGNITO_USER_POOL_ID", "pool-1")
    put_parameter("AWS_COGNITO_CLIENT_ID", "client-1")
    put_parameter("AWS_COGNITO_IDENTITY_PROVIDERS", "none")
    fake = FakeCloudWatch()
    clients = {"ssm": aws.client("ssm"), "cloudwatch": fake}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    monkeypatch.setattr(http, "_backoff", lambda _: 0)
    return fake


@pytest.fixture
def mackerel():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def accept(mackerel, **kwargs):
    return mackerel.post(URL, json={"success": True}, **kwargs)


def posted(mackerel):
    return [
        point
        for call in mackerel.calls
        if call.response.status_code == 200
        for point in json.loads(call.request.body)
    ]


def declared(name, **fields):
    plain = {"name": name, "namespace": "AWS/RDS", "metric": name, "stat": "Sum"}
    return plain | fields


EVENT = {"mackerel_service": "shop"}


def test_no_more_than_the_service_posts_cognitos_door(cloudwatch, mackerel, context):
    accept(mackerel, match=[matchers.header_matcher({"X-Api-Key": API_KEY})])
    cloudwatch.silent = {"SignUpThrottles"}
    summary = handler(EVENT, context)
    assert (summary["posted"], summary["metrics"]) == (11, 11)
    assert summary["without_data"] == ["cognito.throttle.sign_up"]
    names = {point["name"] for point in posted(mackerel)}
    assert "cognito.sign_in.failure" in names
    assert "cognito.throttle.sign_up" not in names
    (queries,) = cloudwatch.asked
    assert {
        (d["Name"], d["Value"])
        for query in cloudwatch.stats(queries)
        for d in query["MetricStat"]["Metric"]["Dimensions"]
    } == {("UserPool", "pool-1"), ("UserPoolClient", "client-1")}


def test_a_silent_cloudwatch_posts_nothing_and_is_no_failure(cloudwatch, mackerel, context):
    cloudwatch.silent = {"cpu"}
    summary = handler(EVENT | {"metrics": [declared("cpu")]}, context)
    assert (summary["posted"], summary["without_data"]) == (0, ["cpu"])
    assert not mackerel.calls


def test_metrics_take_the_place_of_cognito_unless_both_are_wanted(cloudwatch, mackerel, context):
    accept(mackerel)
    event = EVENT | {"metrics": [declared("cpu")]}
    assert handler(event, context)["posted"] == 1
    assert handler(event | {"cognito": True}, context)["posted"] == 13


def test_federation_is_asked_by_its_third_dimension(cloudwatch, mackerel, context, put_parameter):
    put_parameter("AWS_COGNITO_IDENTITY_PROVIDERS", "Google,LINE", path="/test/two")
    put_parameter("AWS_COGNITO_USER_POOL_ID", "pool-1", path="/test/two")
    put_parameter("AWS_COGNITO_CLIENT_ID", "client-1", path="/test/two")
    put_parameter("MACKEREL_API_KEY", API_KEY, path="/test/two")
    accept(mackerel)
    event = EVENT | {"environment": "test", "path_to_parameter": "/two"}
    assert handler(event, context)["posted"] == 12 + 2 * 4 + 4
    (queries,) = cloudwatch.asked
    asked = [
        {d["Name"]: d["Value"] for d in query["MetricStat"]["Metric"]["Dimensions"]}
        for query in cloudwatch.stats(queries)
        if query["MetricStat"]["Metric"]["MetricName"].startswith("Federation")
    ]
    pool = {"UserPool": "pool-1", "UserPoolClient": "client-1"}
    assert asked == 3 * [pool | {"IdentityProvider": "Google"}] + 3 * [
        pool | {"IdentityProvider": "LINE"}
    ]


def test_another_environments_parameters_by_payload(cloudwatch, mackerel, context, put_parameter):
    put_parameter("MACKEREL_API_KEY", "of staging", path="/staging/other")
    accept(mackerel, match=[matchers.header_matcher({"X-Api-Key": "of staging"})])
    place = {"environment": "staging", "path_to_parameter": "/other"}
    assert handler(EVENT | place | {"metrics": [declared("cpu")]}, context)["posted"] == 1


@pytest.mark.parametrize(("count", "calls"), [(1, 1), (500, 1), (501, 2), (5000, 10)])
def test_requests_are_few(cloudwatch, mackerel, context, count, calls):
    accept(mackerel)
    metrics = [declared(f"m{number}") for number in range(count)]
    assert handler(EVENT | {"metrics": metrics}, context)["posted"] == count
    assert len(cloudwatch.asked) == calls
    assert len(mackerel.calls) == -(-count // 1000)


def test_each_period_has_a_window_of_its_own(cloudwatch, mackerel, context):
    accept(mackerel)
    metrics = [declared("minute", period=60), declared("hour", period=3600)]
    handler(EVENT | {"metrics": metrics}, context)
    times = {point["name"]: point["time"] for point in posted(mackerel)}
    assert times["hour"] % 3600 == 0
    assert len(cloudwatch.asked) == 2


def test_bad_metrics_keep_no_other_from_being_posted(cloudwatch, mackerel, context):
    accept(mackerel)
    cloudwatch.bad = {"m3", "m0 / nothing"}
    metrics = [declared(f"m{number}", id=f"id{number}") for number in range(8)]
    metrics += [
        {"name": "wrong", "expression": "m0 / nothing"},
        {"name": "right", "expression": "id0 / id1"},
        declared("homeless", dimensions={"Pool": {"parameter": "NOT_THERE"}}),
    ]
    with pytest.raises(RunFailed) as error:
        handler(EVENT | {"metrics": metrics}, context)
    message = str(error.value)
    assert message.startswith("3 of 11 failed: ")
    assert "m3: An error occurred (ValidationError)" in message
    assert "wrong: An error occurred (ValidationError)" in message
    assert "homeless: SSM parameter /test/myApp/NOT_THERE does not exist" in message
    names = {point["name"] for point in posted(mackerel)}
    assert names == {f"m{number}" for number in range(8) if number != 3} | {"right"}


def test_what_mackerel_refuses_is_named_and_the_others_are_posted(cloudwatch, mackerel, context):
    def answer(request):
        if any(point["name"] == "m2" for point in json.loads(request.body)):
            return 400, {}, '{"error":{"message":"m2 is odd"}}'
        return 200, {}, '{"success":true}'

    mackerel.add_callback("POST", URL, answer)
    metrics = [declared(f"m{number}") for number in range(4)]
    with pytest.raises(RunFailed, match=r"^1 of 4 failed: m2: .*HTTP 400.*m2 is odd"):
        handler(EVENT | {"metrics": metrics}, context)
    assert {point["name"] for point in posted(mackerel)} == {"m0", "m1", "m3"}


def test_cloudwatch_denies_in_its_own_words(cloudwatch, context):
    cloudwatch.denied = True
    with pytest.raises(ClientError, match="role/x is not authorized"):
        handler(EVENT, context)


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "Authentication failed"), (403, "Forbidden"), (404, "Service not found"), (302, "")],
)
def test_mackerels_no_is_final_and_shows_no_key(cloudwatch, mackerel, context, status, message):
    mackerel.post(URL, status=status, json={"error": {"message": message}})
    with pytest.raises(MackerelClientError, match=f"HTTP {status}.*{message}") as error:
        handler(EVENT, context)
    assert len(mackerel.calls) == 1
    assert API_KEY not in str(error.value)


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 500},
        {"status": 503},
        {"status": 429, "headers": {"Retry-After": "0"}},
        {"body": requests.ReadTimeout("slow")},
        {"body": requests.ConnectionError("refused")},
    ],
)
def test_trouble_that_passes_is_waited_out(cloudwatch, mackerel, context, trouble):
    mackerel.post(URL, **trouble)
    mackerel.post(URL, **trouble)
    accept(mackerel)
    assert handler(EVENT, context)["posted"] == 12
    assert len(mackerel.calls) == 3


def test_trouble_that_stays_fails_within_the_functions_time(cloudwatch, mackerel, context):
    mackerel.post(URL, status=429, headers={"Retry-After": "3600"}, body="later")
    with pytest.raises(Unavailable, match="HTTP 429 later"):
        handler(EVENT, context)
    assert len(mackerel.calls) == 1


def test_an_unfilled_key_fails_before_anything_is_asked(cloudwatch, put_parameter, context):
    aws.client("ssm").put_parameter(
        Name="/test/myApp/MACKEREL_API_KEY", Value="unset: fill with make secret", Overwrite=True
    )
    with pytest.raises(ParameterError, match="make secret ENV=test NAME=MACKEREL_API_KEY"):
        handler(EVENT, context)
    assert not cloudwatch.asked


def ago(**delta):
    return (datetime.now(UTC) - timedelta(**delta)).isoformat()


def test_a_past_window_is_replayed(cloudwatch, mackerel, context):
    accept(mackerel)
    at = ago(hours=10)
    summary = handler(EVENT | {"at": at, "window": 300, "delay": 0}, context)
    until = datetime.fromisoformat(summary["until"])
    assert timedelta() <= datetime.fromisoformat(at) - until < timedelta(minutes=5)


@pytest.mark.parametrize(
    "before", [{"hours": 23, "minutes": 40}, {"days": 2}, {"hours": -1}], ids=str
)
def test_a_window_that_mackerel_would_drop_is_refused(cloudwatch, context, before):
    with pytest.raises(InvalidEvent, match="^at: got .*within the last 24 hours"):
        handler(EVENT | {"at": ago(**before)}, context)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mackerel_service": "a/b"}, "mackerel_service: got 'a/b'"),
        ({"mackerel_service": ""}, "mackerel_service: got ''"),
        ({"window": 0}, "window: got 0, takes seconds, more than 0"),
        ({"window": 86_400}, "window: got 86400, takes less than 24 hours"),
        ({"delay": -1}, "delay: got -1"),
        ({"delay": 85_000}, "window: got 1800, takes less than 24 hours"),
        ({"metrics": []}, "metrics: got [], takes at least one metric"),
        ({"cognito": False}, "metrics: got None, takes at least one metric"),
        ({"at": "noon"}, "at: got 'noon'"),
        ({"metrics": [declared("cpu"), declared("cpu")]}, "metrics.name: got 'cpu'"),
        ({"metrics": [declared("cpu load")]}, "name: got 'cpu load'"),
        ({"metric": []}, "unknown field: metric"),
        ({"environment": "local"}, "path_to_parameter: got None"),
    ],
)
def test_a_bad_event_names_the_field_and_sends_nothing(cloudwatch, context, fields, message):
    with pytest.raises(InvalidEvent) as error:
        handler(EVENT | fields, context)
    assert str(error.value).startswith(message)
    assert not cloudwatch.asked


@given(
    st.dictionaries(
        st.sampled_from(["window", "delay", "at", "cognito", "metrics", "environment"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.integers()),
    )
)
def test_any_event_is_taken_or_refused_in_one_way(fields):
    try:
        event = parse(Event, EVENT | fields)
    except InvalidEvent:
        return
    assert event.declared()
    assert 0 < event.window < 86_400
