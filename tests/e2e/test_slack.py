"""Graphs in Slack: what arrives in the channel, and every trouble on the way."""

import io
import json

import pytest
import requests
from PIL import Image

pytestmark = pytest.mark.usefixtures("quiet", "no_faults", "counted")
USERS = {
    "environment": "local",
    "path_to_parameter": "/myApp",
    "channel": "C0123456789",
    "language": "en",
}


EVENT = "functions/cloudwatch_to_slack/events/graphs.json"
SILENT = {"title": "silent", "metrics": [{"namespace": "nothing", "metric": "there"}]}


@pytest.fixture(scope="module")
def counted(laptop):
    """The users have been counted."""
    laptop.answer("db_to_cloudwatch")


def posts(laptop, after=0):
    return laptop.inbox(after, channel="slack")


def picture(laptop, file):
    answer = requests.get(laptop.stack.sandbox_url + file["url"], timeout=10)
    assert answer.headers["Content-Type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


def asked(image):
    """Return the widget that CloudWatch was asked to draw, which the sandbox writes into it."""
    return json.loads(image.text["MetricWidget"])


def test_the_users_graph_arrives_once_and_is_what_was_asked_for(laptop):
    before = laptop.newest()
    summary = laptop.answer("cloudwatch_to_slack", **USERS)
    assert summary == {"channel": "C0123456789", "posted": 1, "without_data": []}
    (post,) = posts(laptop, before)
    with laptop.stack.connect("reader") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM users")
        ((count,),) = cursor.fetchall()
    title = f"TREND NUMBER OF USERS (Today: {count:,})"
    (file,) = post["body"]["files"]
    assert file["title"] == title
    assert post["body"]["text"].startswith(
        f"*{title}*\n{count:,}, vs the day before n/a, {count - 100:,} ahead of the target 100"
    )
    image = picture(laptop, file)
    assert image.size == (600, 400)
    widget = asked(image)
    assert widget["title"] == title
    drawn = ["RDS/RECORDS", "USERS", "Environment", "local", "RDS", "RECORDS"]
    assert widget["metrics"][0][:6] == drawn
    assert (widget["stacked"], widget["timezone"]) == (True, "+0900")
    assert widget["yAxis"]["left"] == {"min": 0, "max": 1.5 * count}
    lines = widget["annotations"]["horizontal"]
    assert [(line["label"], line["value"], line["color"]) for line in lines] == [
        ("Today", count, "#8ec6ff"),
        ("Target", 100, "#ff8e8e"),
    ]
    colours = {colour for _, colour in image.convert("RGB").getcolors(600 * 400)}
    assert {(0x8E, 0xC6, 0xFF), (0xFF, 0x8E, 0x8E)} <= colours


def test_several_graphs_are_one_message_and_one_without_data_is_words(laptop, signed_in):
    before = laptop.newest()
    event = json.loads((laptop.stack.root / EVENT).read_text())
    event["graphs"].append(SILENT)
    summary = laptop.answer("cloudwatch_to_slack", **event)
    assert (summary["posted"], summary["without_data"]) == (2, ["silent"])
    (post,) = posts(laptop, before)
    assert [file["title"] for file in post["body"]["files"]][1:] == ["サインイン"]
    lines = post["body"]["text"].splitlines()
    assert "*サインイン*" in lines
    assert any(line.startswith("• 失敗: ") for line in lines)
    assert lines[-2:] == ["*silent*", "データがありません"]


def test_nothing_to_show_fails_and_posts_nothing(laptop):
    before = laptop.newest()
    done = laptop.invoke("cloudwatch_to_slack", channel="C0123456789", graphs=[SILENT])
    assert done.returncode != 0
    assert "no data for silent: nothing was posted" in done.stderr
    assert not posts(laptop, before)


@pytest.mark.parametrize(
    ("service", "fault"),
    [
        ("slack", {"status": 429, "headers": {"Retry-After": "1"}}),
        ("slack-complete", {"status": 429, "headers": {"Retry-After": "1"}}),
        ("slack-upload", {"status": 500, "times": 2}),
        ("slack", {"status": 503, "times": 2}),
    ],
)
def test_trouble_that_passes_ends_in_one_message(laptop, service, fault):
    before = laptop.newest()
    laptop.fault(service=service, **fault)
    assert laptop.answer("cloudwatch_to_slack", **USERS)["posted"] == 1
    assert len(posts(laptop, before)) == 1


@pytest.mark.parametrize(
    ("service", "said", "advice"),
    [
        ("slack", "missing_scope", "files:write"),
        ("slack", "invalid_auth", "SLACK_BOT_TOKEN"),
        ("slack-complete", "not_in_channel", "invite the app"),
        ("slack-complete", "fatal_error", "fatal_error"),
    ],
)
def test_slacks_no_fails_with_what_to_do(laptop, service, said, advice):
    before = laptop.newest()
    laptop.fault(service=service, status=200, message=said)
    done = laptop.invoke("cloudwatch_to_slack", **USERS)
    assert done.returncode != 0
    assert said in done.stderr
    assert advice in done.stderr
    assert not posts(laptop, before)


def test_a_channel_without_the_app_and_a_token_that_is_none(laptop):
    done = laptop.invoke("cloudwatch_to_slack", **USERS | {"channel": "C0999999999"})
    assert done.returncode != 0
    assert "not_in_channel (invite the app" in done.stderr
    token = laptop.stack.secrets().slack_bot_token
    laptop.make("secret", "NAME=SLACK_BOT_TOKEN", stdin="xoxb-wrong")
    try:
        done = laptop.invoke("cloudwatch_to_slack", **USERS)
    finally:
        laptop.make("secret", "NAME=SLACK_BOT_TOKEN", stdin=token)
    assert done.returncode != 0
    assert "invalid_auth (fill the parameter SLACK_BOT_TOKEN" in done.stderr


@pytest.mark.parametrize(("handled", "messages"), [({}, 0), ({"handled": True}, 1)])
def test_a_completion_that_times_out_is_not_repeated(laptop, handled, messages):
    before = laptop.newest()
    laptop.fault(service="slack-complete", delay=15, **handled)
    done = laptop.invoke("cloudwatch_to_slack", **USERS)
    assert done.returncode != 0
    assert "may have been posted: look before you run it again" in done.stderr
    assert len(posts(laptop, before)) == messages


def test_a_role_that_may_not_draw_posts_nothing(laptop):
    before = laptop.newest()
    with laptop.denied("cloudwatch_to_slack", "cloudwatch:GetMetricWidgetImage"):
        done = laptop.invoke("cloudwatch_to_slack", **USERS)
    assert done.returncode != 0
    assert "AccessDenied" in done.stderr
    assert not posts(laptop, before)
