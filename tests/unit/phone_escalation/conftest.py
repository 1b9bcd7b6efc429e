import json
import re
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from common import aws, http, parameters
from phone_escalation import dialler, duties, failed, phone_call, phone_callback, phone_sweep, store
from phone_escalation.session import LIFE
from tests.unit.phone_escalation.samples import BASE, NOW

ACCOUNT = "AC" + "0" * 32
CALLS = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Calls"


class Clock:
    """The time of the functions; a test moves it."""

    def __init__(self):
        self.now, self.step = NOW, 0

    def time(self):
        self.now += self.step
        return self.now + 0.5


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (dialler, failed, phone_call, phone_callback, phone_sweep):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def table(moto, clock, monkeypatch):
    """The table, as Terraform makes it, and the functions' environment."""
    for name, value in {
        "PHONE_TABLE": "test-phone_escalation",
        "PUBLIC_BASE_URL": BASE,
        "TIMEZONE": "Asia/Tokyo",
        "ENV_TYPE": "production",
        "ALARM_GROUPS": '{"test-phone-database": "database"}',
        "PHONE_CALL": "arn:aws:lambda:ap-northeast-1:000000000000:function:test-phone_call:current",
        "SLACK_CHANNEL": "",
        "SLACK_LANGUAGE": "ja",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("TWILIO_API_BASE", "SLACK_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    # Seconds of a real clock, which a slow machine must not use up; `short` has a test of them.
    monkeypatch.setattr(dialler, "SPOKEN", 600)
    monkeypatch.setattr(duties, "_kept", {})
    monkeypatch.setattr(parameters, "_known", {})
    queue = aws.client("sqs").create_queue(QueueName="test-phone-failed")
    monkeypatch.setenv("FAILED_QUEUE_URL", queue["QueueUrl"])
    dynamodb = aws.client("dynamodb")
    dynamodb.create_table(
        TableName="test-phone_escalation",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "token", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "token", "AttributeType": "S"},
            {"AttributeName": "sweep", "AttributeType": "S"},
            {"AttributeName": "due_at", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due",
                "KeySchema": [
                    {"AttributeName": "sweep", "KeyType": "HASH"},
                    {"AttributeName": "due_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    return dynamodb


@pytest.fixture
def save(table):
    """Return a function that puts a session into the table as it stands."""

    def save(session, now=NOW):
        store.put(store._item(session, now))
        return session

    return save


@pytest.fixture
def secrets(put_parameter):
    values = {"ACCOUNT_SID": ACCOUNT, "AUTH_TOKEN": "first", "AUTH_TOKEN_SECONDARY": "second"}
    for name, value in values.items():
        put_parameter(f"TWILIO_{name}", value)
    put_parameter("SLACK_BOT_TOKEN", "xoxb-x")


class FakeTwilio:
    """Twilio's Calls API: calls by sid, and troubles that a test puts before it.

    A trouble is a status (nothing happened), `lost` or `timed out` (the call is made, nobody hears
    of it), an exception, or a function that is called before the answer and may return one.
    """

    def __init__(self, mock, clock):
        self.calls, self.asked, self.troubles, self.fields = {}, [], [], []
        self._clock = clock
        one = re.compile(re.escape(CALLS) + r"/\w+\.json$")
        many = re.compile(re.escape(CALLS) + r"\.json(\?|$)")
        mock.add_callback(responses.POST, many, self._create)
        mock.add_callback(responses.GET, many, self._list)
        mock.add_callback(responses.POST, one, self._update)
        mock.add_callback(responses.GET, one, self._fetch)

    @property
    def live(self):
        return [sid for sid, call in self.calls.items() if call["status"] in self._live]

    _live = ("queued", "ringing", "in-progress")

    def make(self, to, caller, status="queued"):
        sid = f"CA{len(self.calls) + 1:032}"
        self.calls[sid] = {
            "sid": sid,
            "to": to,
            "from": caller,
            "status": status,
            "date_created": formatdate(self._clock.now),
        }
        return self.calls[sid]

    def _trouble(self, what):
        self.asked.append(what)
        trouble = self.troubles.pop(0) if self.troubles else None
        return trouble() if callable(trouble) else trouble

    def _answer(self, trouble, found, status=200):
        if isinstance(trouble, Exception):
            raise trouble
        if trouble == "timed out":
            raise requests.ReadTimeout
        if trouble == "lost":
            trouble = 502
        if trouble:
            codes = {400: 21211, 401: 20003, 429: 20429}
            error = {"code": codes.get(trouble, 20500), "message": "no", "status": trouble}
            return trouble, {}, json.dumps(error)
        return status, {}, json.dumps(found)

    def _create(self, request):
        trouble = self._trouble("call")
        fields = parse_qs(request.body)
        self.fields.append(fields)
        made = {}
        if trouble in (None, "lost", "timed out"):
            made = self.make(fields["To"][0], fields["From"][0])
        return self._answer(trouble, made, 201)

    def _list(self, request):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        trouble = self._trouble("find")
        found = [
            call
            for call in reversed(self.calls.values())
            if (call["to"], call["from"]) == (asked["To"], asked["From"])
        ]
        return self._answer(trouble, {"calls": found, "next_page_uri": None})

    def _fetch(self, request):
        return self._answer(self._trouble("status"), self._call(request))

    def _update(self, request):
        trouble, call = self._trouble("hang up"), self._call(request)
        assert parse_qs(request.body)["Status"] in (["completed"], ["canceled"])
        if not trouble and call["status"] not in self._live:
            trouble = 400
        if not trouble:
            call["status"] = "completed"
        return self._answer(trouble, call)

    def _call(self, request):
        return self.calls[urlsplit(request.url).path.rpartition("/")[2].removesuffix(".json")]


@pytest.fixture
def web(monkeypatch):
    """The world outside, without pauses between tries."""
    monkeypatch.setattr(http, "_backoff", lambda _: 0)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def twilio(web, clock):
    return FakeTwilio(web, clock)


@pytest.fixture
def short(monkeypatch):
    """A run that has no time for a second try."""
    monkeypatch.setattr(dialler, "SPOKEN", 0)


@pytest.fixture
def expired(clock):
    def later():
        clock.now += LIFE

    return later
