import json
from datetime import UTC, datetime, timedelta

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.request_validator import RequestValidator

from sandbox import webhook
from tests.sandbox.conftest import ACCOUNT, AOI, AUTH_TOKEN, CALLER, REN
from tests.sandbox.hooks import advance, client, ended, hooking, quiet, ringing
from tests.support import until

URL = "http://127.0.0.1:9/twiml?token=a.0"
CALLS = f"/2010-04-01/Accounts/{ACCOUNT}/Calls"
GOOD = {"To": AOI, "From": CALLER, "Url": URL}
BAD = [
    ({"To": None}, 21201),
    ({"To": ""}, 21201),
    ({"From": None}, 21213),
    ({"To": "0900000001"}, 21211),
    ({"To": "+0900000001"}, 21211),
    ({"To": "+81 90 0000 0001"}, 21211),
    ({"From": "0500000000"}, 21212),
    ({"From": "+815000000009"}, 21210),
    ({"Url": None}, 21205),
    ({"Url": "/twiml"}, 21205),
    ({"Url": "ftp://example.com/"}, 21205),
    ({"Url": "http://:80/"}, 21205),
    ({"Url": None, "Twiml": "a" * 4001}, 21200),
    ({"Method": "PUT"}, 21200),
    ({"StatusCallback": "nowhere"}, 21609),
    ({"StatusCallbackMethod": "PUT"}, 21200),
    ({"StatusCallbackEvent": ["ringing", "busy"]}, 21626),
    ({"Timeout": "0"}, 21208),
    ({"Timeout": "601"}, 21208),
    ({"Timeout": "20.5"}, 21208),
    ({"TimeLimit": "0"}, 21200),
]
ELSEWHERE = [
    ("GET", "/2010-04-01/Accounts.json", 404, 20404),
    ("GET", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", 404, 20404),
    ("GET", f"/2010-04-01/Accounts/AC{'0' * 32}/Calls.json", 404, 20404),
    ("GET", f"{CALLS}/CA{'0' * 32}.json", 404, 20404),
    ("POST", f"{CALLS}/CA{'0' * 32}.json", 404, 20404),
    ("DELETE", f"{CALLS}.json", 405, 20004),
    ("GET", f"{CALLS}.json?PageSize=0", 400, 20001),
    ("GET", f"{CALLS}.json?PageSize=many", 400, 20001),
    ("GET", f"{CALLS}.json?Status=over", 400, 20001),
    ("GET", f"{CALLS}.json?StartTime%3E=yesterday", 400, 20001),
]
# The first is the example of Twilio's documentation.
SIGNED = [
    (
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        {
            "CallSid": "CA1234567890ABCDE",
            "Caller": "+14158675309",
            "Digits": "1234",
            "From": "+14158675309",
            "To": "+18005551212",
        },
    ),
    ("http://127.0.0.1:4600/restapis/a/v1/_user_request_/phonecall/g/c?token=a.0", {"A": ""}),
    ("http://127.0.0.1:4600/a?b=%E9%9A%9C", {"b": " 障害 & = ", "B": "2", "a": "1"}),
    ("https://example.com/", {}),
]


@pytest.fixture(autouse=True)
def nothing_is_left(sandbox):
    yield
    quiet(sandbox)


def send(server, method, path, *, user=ACCOUNT, password=AUTH_TOKEN, **request):
    return requests.request(
        method, server.url + path, auth=(user, password), **{"timeout": 10, **request}
    )


def code_of(response):
    body = response.json()
    assert body["status"] == response.status_code
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{body['code']}"
    assert body["message"]
    return body["code"]


def test_the_official_client_makes_follows_and_ends_a_call(sandbox):
    calls = client(sandbox).calls
    before = datetime.now(UTC) - timedelta(seconds=1)
    call = calls.create(to=AOI, from_=CALLER, url=URL, timeout=20, record=False)
    assert (call.status, call.to, call._from) == ("queued", AOI, CALLER)
    assert (call.direction, call.account_sid) == ("outbound-api", ACCOUNT)
    assert call.sid.startswith("CA")
    assert len(call.sid) == 34
    ringing(sandbox)
    call = call.fetch()
    assert call.status == "ringing"
    assert before <= call.start_time
    assert call.end_time is call.duration is None
    # A ringing call that is ended was never answered.
    assert call.update(status="completed").status == "canceled"
    call = call.fetch()
    assert (call.status, call.duration) == ("canceled", "0")
    assert call.end_time >= call.start_time
    with pytest.raises(TwilioRestException) as refused:
        call.update(status="completed")
    assert (refused.value.status, refused.value.code) == (400, 21220)


def test_calls_are_listed_newest_first_by_what_is_asked_for_page_by_page(sandbox):
    calls = client(sandbox).calls
    advance(sandbox, 86400)  # away from the calls of other tests
    start = ringing_since(sandbox, calls.create(to=AOI, from_=CALLER, url=URL))
    other = calls.create(to=REN, from_=CALLER, url=URL)
    ringing(sandbox, REN)
    second = calls.create(to=AOI, from_=CALLER, url=URL)
    ended(sandbox, second)  # the phone is in the first call
    first = next(call.sid for call in calls.list(start_time_after=start)[::-1])

    def sids(**query):
        return [call.sid for call in calls.list(**query)]

    everything = [second.sid, other.sid, first]
    assert sids(start_time_after=start) == everything
    assert sids(start_time_after=start, page_size=1) == everything
    assert sids(start_time_after=start, page_size=2, limit=2) == everything[:2]
    assert sids(start_time_after=start, to=AOI) == [second.sid, first]
    assert sids(start_time_after=start, to=AOI, status="busy") == [second.sid]
    assert sids(start_time_after=start, from_="+815000000001") == []
    assert sids(start_time_after=start + timedelta(hours=1)) == []
    assert sids(start_time_before=start + timedelta(hours=1), limit=1) == everything[:1]
    assert first not in sids(start_time_before=start - timedelta(seconds=1))
    page = send(sandbox, "GET", f"{CALLS}.json", params={"PageSize": 1, "To": AOI}).json()
    assert page["next_page_uri"].startswith("/2010-04-01/")
    assert "To=%2B81" in page["next_page_uri"]
    assert (page["page"], page["page_size"], len(page["calls"])) == (0, 1, 1)


def ringing_since(server, call):
    ringing(server, call.to)
    return call.fetch().start_time


@pytest.mark.parametrize(("changed", "code"), BAD)
def test_a_call_that_is_refused_says_why(sandbox, changed, code):
    before = sandbox.last()
    form = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    response = send(sandbox, "POST", f"{CALLS}.json", data=form)
    assert (response.status_code, code_of(response)) == (400, code)
    assert sandbox.inbox(after=before) == []


def test_json_is_no_form_and_what_is_unknown_is_ignored(sandbox):
    response = send(sandbox, "POST", f"{CALLS}.json", json=GOOD)
    assert (response.status_code, code_of(response)) == (400, 21201)
    response = send(sandbox, "POST", f"{CALLS}.json", data={**GOOD, "Colour": "green"})
    assert response.status_code == 201


@pytest.mark.parametrize(("method", "path", "status", "code"), ELSEWHERE)
def test_elsewhere(sandbox, method, path, status, code):
    response = send(sandbox, method, path)
    assert (response.status_code, code_of(response)) == (status, code)


@pytest.mark.parametrize(
    "credentials", [None, ("AC" + "0" * 32, AUTH_TOKEN), (ACCOUNT, "wrong"), ("", "")]
)
@pytest.mark.parametrize("path", [f"{CALLS}.json", "/2010-04-01/Accounts.json"])
def test_without_the_right_credentials(sandbox, credentials, path):
    response = requests.post(sandbox.url + path, data=GOOD, auth=credentials, timeout=10)
    assert (response.status_code, code_of(response)) == (401, 20003)
    assert response.headers["WWW-Authenticate"].startswith("Basic")


def test_an_update_says_what_it_takes_and_canceled_leaves_an_answered_call(sandbox):
    with hooking() as hook:
        hook.say("/start", '<Pause length="60"/>')
        call = client(sandbox).calls.create(to=AOI, from_=CALLER, url=f"{hook.url}/start")
        for form in ({}, {"Status": "paused"}, {"Url": URL}):
            response = send(sandbox, "POST", f"{CALLS}/{call.sid}.json", data=form)
            assert (response.status_code, code_of(response)) == (400, 20001)
        ringing(sandbox)
        requests.post(f"{sandbox.url}/twilio/phones/{AOI}/answer", timeout=10)
        assert call.update(status="canceled").status == "in-progress"
        assert call.update(status="completed").status == "completed"


def test_faults_are_aimed_and_have_twilios_shape(sandbox):
    calls = client(sandbox).calls
    sandbox.fault(service="twilio-calls", status=429)
    sandbox.fault(service="twilio-calls", status=500)
    assert isinstance(calls.list(limit=1), list)
    for status, code in ((429, 20429), (500, 20500)):
        with pytest.raises(TwilioRestException) as refused:
            calls.create(to=AOI, from_=CALLER, url=URL)
        assert (refused.value.status, refused.value.code) == (status, code)
    call = calls.create(to=AOI, from_=CALLER, url=URL)
    sandbox.fault(service="twilio-lookup", status=503, times=2)
    with pytest.raises(TwilioRestException) as refused:
        call.fetch()
    assert (refused.value.status, refused.value.code) == (503, 20503)
    with pytest.raises(TwilioException, match="20503"):
        calls.list()
    sandbox.fault(service="twilio", status=500)
    with pytest.raises(TwilioRestException):
        call.update(status="completed")
    assert call.update(status="completed").status == "canceled"


def test_a_call_is_made_although_its_answer_comes_too_late(sandbox):
    sandbox.fault(service="twilio-calls", delay=2, handled=True)
    before = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(requests.Timeout):
        send(sandbox, "POST", f"{CALLS}.json", data=GOOD, timeout=0.3)
    ringing(sandbox)
    found = client(sandbox).calls.list(to=AOI, from_=CALLER, start_time_after=before)
    assert found[0].status == "ringing"


def test_a_call_a_second_and_no_more(start_sandbox, tmp_path):
    with start_sandbox(tmp_path, SANDBOX_TWILIO_CALLS_PER_SECOND="1") as server:
        calls = client(server).calls

        def one_more():  # a slow machine makes none too many at first
            try:
                calls.create(to=AOI, from_=CALLER, url=URL)
            except TwilioRestException as error:
                return error

        refused = until(one_more)
        assert (refused.status, refused.code) == (429, 20429)
        advance(server, 1)
        calls.create(to=REN, from_=CALLER, url=URL)


def test_the_inbox_tells_of_calls_and_keeps_secrets(sandbox):
    before = sandbox.last()
    call = client(sandbox).calls.create(to=REN, from_=CALLER, url=URL, timeout=7)
    ringing(sandbox, REN)
    call.update(status="completed")
    began, over = sandbox.inbox(after=before, channel="twilio")
    assert began["summary"] == "call to 鈴木 蓮"
    assert over["summary"] == "call to 鈴木 蓮: canceled"
    known = {"sid": call.sid, "to": REN, "name": "鈴木 蓮", "from": CALLER}
    assert began["body"] == {"event": "began", **known, "timeout": 7, "url": URL}
    end = {"status": "canceled", "duration": 0, "said": [], "pressed": [], "problem": None}
    assert over["body"] == {"event": "ended", **known, **end, "rang": True}
    assert AUTH_TOKEN not in json.dumps(sandbox.inbox(channel="twilio"))


@pytest.mark.parametrize(("url", "fields"), SIGNED)
def test_the_official_library_accepts_a_signature(url, fields):
    given = webhook.signature("12345", url, fields)
    assert RequestValidator("12345").validate(url, fields, given)
    assert not RequestValidator("54321").validate(url, fields, given)
    assert not RequestValidator("12345").validate(url + "x", fields, given)
    assert not RequestValidator("12345").validate(url, {**fields, "Digits": "9"}, given)
    if url == SIGNED[0][0]:
        assert given == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
