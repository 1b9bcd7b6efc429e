import json
from time import monotonic
from urllib.parse import parse_qs

import pytest
import requests
import responses
from botocore.exceptions import ClientError
from urllib3.exceptions import MaxRetryError, NewConnectionError

from cloudwatch_to_slack.handler import NoData, handler
from common import aws, http
from common.events import InvalidEvent
from common.failures import RunFailed
from common.slack import Picture, Slack, SlackError

API = "https://slack.com/api/"
UPLOAD = "https://files.slack.com/upload/v1/secret-address?key=secret"
TOKEN = "xoxb-nobody-may-see"
EVENT = {"channel": "C0123456789"}


@pytest.fixture
def slack():
    """Slack, as long as all goes well; a test puts its trouble before."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def goes_well(slack, *steps):
    if "get" in steps:
        place = {"ok": True, "upload_url": UPLOAD, "file_id": "F1"}
        slack.post(f"{API}files.getUploadURLExternal", json=place)
    if "bytes" in steps:
        slack.post(UPLOAD, body="OK")
    if "post" in steps:
        slack.post(f"{API}chat.postMessage", json={"ok": True, "ts": "1700000000.000100"})
    if "complete" in steps:
        slack.post(f"{API}files.completeUploadExternal", json={"ok": True, "files": []})


ALL = ("get", "bytes", "complete")


def asked(slack, method):
    return [
        {name: values[0] for name, values in parse_qs(call.request.body).items()}
        for call in slack.calls
        if call.request.url == API + method
    ]


class FakeCloudWatch:
    """One point a query, and a picture that tells its title."""

    def __init__(self):
        self.silent, self.bad, self.undrawable = set(), set(), set()
        self.reads, self.widgets = [], []

    def get_paginator(self, _):
        return self

    def paginate(self, MetricDataQueries, EndTime, **_):  # noqa: N803
        self.reads.append(MetricDataQueries)
        names = {q["Id"]: q["MetricStat"]["Metric"]["MetricName"] for q in MetricDataQueries}
        if self.bad & set(names.values()):
            raise self.error("ValidationError")
        results = [
            {
                "Id": query["Id"],
                "Label": "x",
                "StatusCode": "Complete",
                "Timestamps": [] if names[query["Id"]] in self.silent else [EndTime],
                "Values": [] if names[query["Id"]] in self.silent else [1234.0],
            }
            for query in MetricDataQueries
        ]
        return [{"MetricDataResults": results}]

    def get_metric_widget_image(self, MetricWidget):  # noqa: N803
        asked = json.loads(MetricWidget)
        self.widgets.append(asked)
        if asked["title"] in self.undrawable:
            raise self.error("ValidationError")
        return {"MetricWidgetImage": f"PNG {asked['title']}".encode()}

    @staticmethod
    def error(code):
        return ClientError({"Error": {"Code": code, "Message": "no"}}, "x")


@pytest.fixture
def cloudwatch(put_parameter, monkeypatch):
    put_parameter("SLACK_BOT_TOKEN", TOKEN)
    fake = FakeCloudWatch()
    clients = {"ssm": aws.client("ssm"), "cloudwatch": fake}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    monkeypatch.setattr(http, "_backoff", lambda _: 0)
    return fake


def graph(title, metric="m", **fields):
    return {"title": title, "metrics": [{"namespace": "n", "metric": metric}]} | fields


def test_no_more_than_a_channel_posts_the_trend_of_the_users(cloudwatch, slack, context):
    goes_well(slack, *ALL)
    summary = handler(EVENT, context)
    assert summary == {"channel": "C0123456789", "posted": 1, "without_data": []}
    title = "TREND NUMBER OF USERS (Today: 1,234)"
    (place,) = asked(slack, "files.getUploadURLExternal")
    assert place.pop("alt_txt").startswith(f"{title}\n1,234、前日比 n/a、目標 100 を")
    assert place == {"filename": "01.png", "length": str(len(f"PNG {title}"))}
    (complete,) = asked(slack, "files.completeUploadExternal")
    assert json.loads(complete["files"]) == [{"id": "F1", "title": title}]
    assert complete["channel_id"] == "C0123456789"
    assert complete["initial_comment"].startswith(f"*{title}*\n1,234、前日比 n/a、目標 100 を")
    assert slack.calls[1].request.body == f"PNG {title}".encode()
    assert "Authorization" not in slack.calls[1].request.headers
    assert slack.calls[0].request.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("more", "environment"),
    [({}, "test"), ({"environment": "staging", "path_to_parameter": "/myApp"}, "staging")],
)
def test_the_users_are_those_of_the_environment(
    cloudwatch, slack, context, put_parameter, more, environment
):
    put_parameter("SLACK_BOT_TOKEN", TOKEN, "/staging/myApp")
    goes_well(slack, *ALL)
    handler(EVENT | more, context)
    ((read,),) = cloudwatch.reads
    dimensions = {"Name": "Environment", "Value": environment}, {"Name": "RDS", "Value": "RECORDS"}
    assert read["MetricStat"]["Metric"]["Dimensions"] == [*dimensions]
    (widget,) = cloudwatch.widgets
    drawn = widget["metrics"][0][:6]
    assert drawn == ["RDS/RECORDS", "USERS", "Environment", environment, "RDS", "RECORDS"]


def test_ten_graphs_are_one_message(cloudwatch, slack, context):
    goes_well(slack, *ALL)
    graphs = [graph(f"graph {number}") for number in range(10)]
    assert handler(EVENT | {"graphs": graphs}, context)["posted"] == 10
    (complete,) = asked(slack, "files.completeUploadExternal")
    assert len(json.loads(complete["files"])) == 10
    assert "thread_ts" not in complete
    assert not asked(slack, "chat.postMessage")


def test_more_are_one_reading_and_ten_a_message_in_one_thread(cloudwatch, slack, context):
    goes_well(slack, *ALL, "post")
    graphs = [graph(f"graph {number}") for number in range(23)]
    assert handler(EVENT | {"graphs": graphs}, context)["posted"] == 23
    assert len(cloudwatch.reads) == 1
    assert len(asked(slack, "files.getUploadURLExternal")) == 23
    (said,) = asked(slack, "chat.postMessage")
    assert said["text"].startswith("*graph 0*\n1,234")
    done = asked(slack, "files.completeUploadExternal")
    assert [len(json.loads(one["files"])) for one in done] == [10, 10, 3]
    assert [one["thread_ts"] for one in done] == 3 * ["1700000000.000100"]
    assert not any("initial_comment" in one for one in done)
    titles = [file["title"] for one in done for file in json.loads(one["files"])]
    assert titles == [f"graph {number}" for number in range(23)]
    names = {place["filename"] for place in asked(slack, "files.getUploadURLExternal")}
    assert names == {f"{number:02}.png" for number in range(1, 24)}


def test_a_thread_is_not_begun_twice(cloudwatch, slack, context):
    goes_well(slack, *ALL)
    slack.post(f"{API}chat.postMessage", status=500)
    graphs = [graph(f"graph {number}") for number in range(11)]
    with pytest.raises(SlackError, match="may have been posted: look before you run it again"):
        handler(EVENT | {"graphs": graphs}, context)
    assert len(asked(slack, "chat.postMessage")) == 1
    assert not asked(slack, "files.completeUploadExternal")


def test_words_are_cut_at_slacks_limits(cloudwatch, slack, context):
    goes_well(slack, *ALL)
    graphs = [graph("&" * 1200), *(graph("&" * 1000) for _ in range(8))]
    assert handler(EVENT | {"graphs": graphs}, context)["posted"] == 9
    places = asked(slack, "files.getUploadURLExternal")
    assert [len(place["alt_txt"]) for place in places] == 9 * [1000]
    (complete,) = asked(slack, "files.completeUploadExternal")
    text = complete["initial_comment"]
    assert 34_000 < len(text) <= 40_000
    *lines, last = text.split("\n")
    assert last == "…"
    assert set(lines[2:]) == {f"*{1000 * '&amp;'}*", "1,234、前日比 n/a"}  # whole lines


@pytest.mark.parametrize("needed", ["chat:write", "files:write"])
def test_the_scope_that_slack_needs_is_named(slack, needed):
    answer = {"ok": False, "error": "missing_scope", "needed": needed, "provided": "im:read"}
    slack.post(f"{API}chat.postMessage", json=answer)
    with pytest.raises(SlackError, match=rf"the app the scope {needed} \(it has im:read\)"):
        Slack(TOKEN, deadline=monotonic() + 600).post("C0123456789", "x")


def test_a_graph_without_data_is_words_alone(cloudwatch, slack, context):
    goes_well(slack, *ALL)
    cloudwatch.silent = {"quiet"}
    graphs = [graph("loud"), graph("silent", "quiet")]
    summary = handler(EVENT | {"graphs": graphs, "language": "en"}, context)
    assert (summary["posted"], summary["without_data"]) == (1, ["silent"])
    (complete,) = asked(slack, "files.completeUploadExternal")
    assert complete["initial_comment"].endswith("*silent*\nno data")


def test_nothing_to_show_at_all_is_a_failure_and_no_message(cloudwatch, slack, context):
    cloudwatch.silent = {"USERS"}
    with pytest.raises(NoData, match="no data for TREND NUMBER OF USERS"):
        handler(EVENT, context)
    assert not slack.calls


HOMELESS = {"namespace": "n", "metric": "x", "dimensions": {"d": {"parameter": "NOT_THERE"}}}


def test_what_failed_is_named_and_the_others_are_posted(cloudwatch, slack, context):
    goes_well(slack, *ALL)
    cloudwatch.bad = {"wrong"}
    cloudwatch.undrawable = {"odd"}
    graphs = [
        graph("fine"),
        graph("unread", "wrong"),
        graph("odd"),
        {"title": "homeless", "metrics": [HOMELESS]},
        {"title": "half", "metrics": [HOMELESS, {"namespace": "n", "metric": "m"}]},
    ]
    with pytest.raises(RunFailed) as error:
        handler(EVENT | {"graphs": graphs, "language": "en"}, context)
    message = str(error.value)
    assert message.startswith("4 of 5 failed: ")
    assert "unread: wrong: An error occurred (ValidationError)" in message
    assert "odd: An error occurred (ValidationError)" in message
    for name in ("homeless", "half"):
        assert f"{name}: x: SSM parameter /test/myApp/NOT_THERE does not exist" in message
    (complete,) = asked(slack, "files.completeUploadExternal")
    assert [file["title"] for file in json.loads(complete["files"])] == ["fine"]
    assert "the graph could not be drawn" in complete["initial_comment"]


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("not_in_channel", "invite the app"),
        ("channel_not_found", "takes the id of a channel"),
        ("missing_scope", "the scopes chat:write and files:write"),
        ("invalid_auth", "parameter SLACK_BOT_TOKEN"),
        ("something_new", "something_new"),
    ],
)
@pytest.mark.parametrize("step", ["files.getUploadURLExternal", "files.completeUploadExternal"])
def test_slacks_no_fails_with_what_to_do(cloudwatch, slack, context, step, said, advice):
    goes_well(slack, *(ALL[:2] if "complete" in step else ()))
    slack.post(API + step, json={"ok": False, "error": said})
    with pytest.raises(SlackError, match=f"{step}: {said}.*{advice}|{step}: {advice}") as error:
        handler(EVENT, context)
    assert len(asked(slack, step)) == 1
    assert TOKEN not in str(error.value)


BUSY = {"status": 429, "headers": {"Retry-After": "0"}, "json": {"ok": False}}


@pytest.mark.parametrize("trouble", [BUSY, {"status": 500}, {"body": requests.ReadTimeout("slow")}])
@pytest.mark.parametrize("url", [f"{API}files.getUploadURLExternal", UPLOAD])
def test_the_first_two_steps_are_tried_again(cloudwatch, slack, context, url, trouble):
    slack.post(url, **trouble)
    slack.post(url, **trouble)
    goes_well(slack, *ALL)
    assert handler(EVENT, context)["posted"] == 1
    assert len(asked(slack, "files.completeUploadExternal")) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 500},
        {"body": requests.ReadTimeout("slow")},
        {"body": requests.ConnectionError("cut")},
    ],
)
def test_the_third_is_not(cloudwatch, slack, context, trouble):
    goes_well(slack, "get", "bytes")
    slack.post(f"{API}files.completeUploadExternal", **trouble)
    with pytest.raises(SlackError, match="may have been posted: look before you run it again"):
        handler(EVENT, context)
    assert len(asked(slack, "files.completeUploadExternal")) == 1


REFUSED = MaxRetryError(None, "/", NewConnectionError(None, "refused"))


@pytest.mark.parametrize(
    "trouble",
    [
        BUSY,
        {"body": requests.ConnectTimeout("unheard")},
        {"body": requests.ConnectionError(REFUSED)},
    ],
)
def test_unless_slack_surely_did_nothing(cloudwatch, slack, context, trouble):
    goes_well(slack, "get", "bytes")
    slack.post(f"{API}files.completeUploadExternal", **trouble)
    goes_well(slack, "complete")
    assert handler(EVENT, context)["posted"] == 1


def test_a_long_wait_is_not_waited_for(slack):
    slow = {"status": 429, "headers": {"Retry-After": "3600"}}
    slack.post(f"{API}files.getUploadURLExternal", **slow)
    with pytest.raises(SlackError, match="HTTP 429"):
        Slack(TOKEN, deadline=monotonic() + 600).upload(Picture("a.png", "a", b"PNG", "words"))


def test_the_address_of_an_upload_is_not_shown(slack):
    goes_well(slack, "get")
    slack.post(UPLOAD, status=500)
    with pytest.raises(SlackError) as error:
        Slack(TOKEN, deadline=monotonic()).upload(Picture("a.png", "a", b"PNG", "words"))
    assert "key=secret" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channel": "#general"}, "channel: got '#general', takes a channel's id"),
        ({"graphs": []}, "graphs: got [], takes one graph at least"),
        ({"graphs": [{"title": "t"}]}, "graphs.metrics: missing"),
        ({"language": "fr"}, "language: got 'fr', takes 'ja' or 'en'"),
        ({"timezone": "Tokyo"}, "timezone: got 'Tokyo', takes a zone"),
        ({"timezone": "../etc"}, "timezone: got '../etc'"),
        ({"target": "many"}, "target: got 'many', takes a number"),
        ({"chanel": "C0123456789"}, "unknown field: chanel"),
    ],
)
def test_a_bad_event_names_the_field(cloudwatch, context, fields, message):
    with pytest.raises(InvalidEvent) as error:
        handler(EVENT | fields, context)
    assert str(error.value).startswith(message)
    assert not cloudwatch.reads
