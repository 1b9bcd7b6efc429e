from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from twilio.request_validator import RequestValidator

from common import aws
from common.failures import RunFailed
from common.parameters import PLACEHOLDER
from phone_escalation import rotation, store
from phone_escalation.phone_callback import handler
from tests.unit.phone_escalation.samples import BASE, MEMBERS, NOW, TOKEN, a_session, an_alert

A, B = "CA1", "CA2"


def event(step="0", *, cont="1", group="database", token=TOKEN, secret="first", **said):
    """A webhook as Twilio sends it, signed by Twilio's own library."""
    said = {"AccountSid": "AC0", "CallSid": A, "From": "+815000000000", "Called": "", **said}
    url = f"{BASE}/phonecall/{group}/{cont}?token={token}.{step}"
    return {
        "httpMethod": "POST",
        "pathParameters": {"groupId": group, "cont": cont},
        "multiValueQueryStringParameters": {"token": [f"{token}.{step}"]},
        "headers": {"X-Twilio-Signature": RequestValidator(secret).compute_signature(url, said)},
        "body": urlencode(said),
        "isBase64Encoded": False,
        "stageVariables": {"env_type": "production"},
    }


@pytest.fixture
def ringing(save, secrets):
    run = rotation.claim(a_session().rotation, 1, NOW)
    run = rotation.tell(rotation.dialled(run, 1, A, NOW), 1, 5)
    return save(a_session(rotation=run))


@pytest.fixture
def hear(ringing, context):
    """Send a webhook; returns the status and the TwiML."""

    def hear(*given, **fields):
        answer = handler(event(*given, **fields), context)
        body = answer.get("body")
        if answer["statusCode"] != 200:
            return answer["statusCode"], body
        assert answer["headers"]["Content-Type"].startswith("application/xml")
        return 200, ET.fromstring(body.encode())

    return hear


def run():
    return store.load(TOKEN, NOW).rotation


def tags(response):
    return [one.tag for one in response]


def says(response):
    return "".join(say.text for say in response.iter("Say"))


def test_the_beginning(hear):
    status, response = hear("0", CallStatus="in-progress")
    assert (status, tags(response)) == (200, ["Gather", "Redirect"])
    address = f"{BASE}/phonecall/database/1?token={TOKEN}"
    assert response[0].get("action") == f"{address}.0"
    assert response[1].text == f"{address}.1"
    assert "ディスクが一杯です。" in says(response)
    assert run().attempts[0].phase == "talking"


@pytest.mark.parametrize(
    ("step", "digits", "verbs", "words", "redirect"),
    [
        ("0", "3", ["Gather", "Redirect"], "一杯", ".1"),
        ("0", "9", ["Gather", "Redirect"], "一杯", ".2"),
        ("1", None, ["Gather", "Redirect"], "一杯", ".2"),
        ("1", "9", ["Say", "Hangup"], "次の担当者", None),
        ("2", None, ["Say", "Hangup"], "次の担当者", None),
        ("0", "2", ["Say", "Hangup"], "次の担当者", None),
        ("0", "1", ["Say", "Hangup"], "佐藤 葵さんの対応として", None),
    ],
)
def test_the_keys(hear, step, digits, verbs, words, redirect):
    said = {"Digits": digits} if digits else {}
    status, response = hear(step, **said)
    assert (status, tags(response)) == (200, verbs)
    assert words in says(response)
    if redirect:
        assert response.find("Redirect").text.endswith(redirect)
    # Twilio repeats a webhook whose answer it did not get: the same again, and nothing new.
    item = store.get(TOKEN)
    assert ET.tostring(hear(step, **said)[1]) == ET.tostring(response)
    assert store.get(TOKEN) == item


def test_an_acknowledgement_and_who_comes_late(hear):
    hear("status", CallStatus="no-answer")
    store.change(TOKEN, NOW, lambda run: rotation.claim(run, 2, NOW))
    hear("status", cont="2", CallSid=B, CallStatus="in-progress")
    hear("0", cont="2", CallSid=B)
    assert "ありがとうございます" in says(hear("0", cont="2", CallSid=B, Digits="1")[1])
    assert (run().state, run().acknowledged_by) == ("acknowledged", 2)
    late = hear("0", Digits="1")[1]
    assert "すでに鈴木 蓮さんが" in says(late)
    assert run().acknowledged_by == 2


def test_what_came_meanwhile_is_told_in_the_same_call(hear):
    second = a_session(token="token-of-another-session", alerts={"b": an_alert("b", ja="二つ目。")})
    store.put({"token": "group#production#database", "session": TOKEN, "expires_at": NOW + 9})
    assert store.open_or_join(second, 20)[1:] == ("b", True)
    status, response = hear("0", Digits="1")
    assert (status, tags(response)) == (200, ["Gather", "Redirect"])
    assert "佐藤 葵さんの対応として記録しました。 ほかに1件のアラート" in says(response)
    assert "二つ目。" in says(response)
    assert "一杯" not in says(response)
    address = f"{BASE}/phonecall/database/1?token={TOKEN}"
    assert response[0].get("action") == f"{address}.1-0"
    assert response[1].text == f"{address}.1-1"
    assert run().state == "calling"
    # The key once more, as Twilio may repeat it, takes nothing that was not told then.
    assert ET.tostring(hear("0", Digits="1")[1]) == ET.tostring(response)
    assert run().waiting == ("b",)
    assert "ありがとうございます" in says(hear("1-0", Digits="1")[1])
    assert (run().state, len(run().taken)) == ("acknowledged", 2)


@pytest.mark.parametrize("step", ["1-0", "1-1", "7-2"])
def test_a_key_from_what_was_not_told_changes_nothing(hear, step):
    before = run()
    status, response = hear(step, Digits="1")
    assert (status, tags(response)) == (200, ["Hangup"])
    assert run().state == before.state == "calling"


def test_another_call_of_the_attempt_is_hung_up(hear):
    before = store.get(TOKEN)
    status, response = hear("0", CallSid=B, Digits="1")
    assert (status, tags(response)) == (200, ["Hangup"])
    assert store.get(TOKEN) == before


@pytest.mark.parametrize(
    ("status", "phase", "outcome"),
    [
        ("ringing", "ringing", None),
        ("in-progress", "talking", None),
        ("completed", "over", "hung up"),
        ("busy", "over", "busy"),
        ("no-answer", "over", "no answer"),
        ("failed", "over", "failed"),
        ("canceled", "over", "cancelled"),
    ],
)
def test_a_status(hear, status, phase, outcome):
    for _ in range(2):
        assert hear("status", CallStatus=status) == (204, None)
        assert (run().attempts[0].phase, run().attempts[0].outcome) == (phase, outcome)
        assert len(run().attempts) == (1 if outcome is None else 2)
        assert store.get(TOKEN).get("act") == ("now" if outcome else None)
    assert run().attempts[-1].again is (outcome == "busy")


def test_the_first_ring_gives_a_call_its_time(hear, clock):
    clock.now += 45
    hear("status", CallStatus="ringing")
    assert run().attempts[0].due_at == NOW + 45 + 20 + rotation.GRACE


@pytest.mark.parametrize("secret", ["first", "second"])
def test_both_auth_tokens_sign(hear, secret):
    assert hear("status", secret=secret, CallStatus="ringing")[0] == 204


@pytest.mark.parametrize("value", [PLACEHOLDER, None])
def test_most_of_the_time_there_is_one_auth_token(ringing, put_parameter, hear, value):
    aws.client("ssm").delete_parameter(Name="/test/myApp/TWILIO_AUTH_TOKEN_SECONDARY")
    if value:
        put_parameter("TWILIO_AUTH_TOKEN_SECONDARY", value)
        assert hear("0", secret=value, Digits="1")[0] == 403
    assert hear("0", secret="second", Digits="1")[0] == 403
    assert hear("0", Digits="1")[0] == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"secret": "forged"},
        {"group": "web"},
        {"token": "another-token-of-that-length"},
        {"token": "roster"},
        {"token": ""},
        {"cont": "2"},
        {"cont": "0"},
        {"cont": "01"},
        {"cont": "x"},
        {"cont": "99999"},
    ],
    ids=str,
)
@pytest.mark.parametrize("step", ["0", "status"])
def test_forged_or_of_something_else(hear, step, fields):
    """Those but the first are even signed."""
    before = store.get(TOKEN)
    status, body = hear(step, **fields, Digits="1", CallStatus="completed")
    assert (status, body) == (403, '{"message": "Forbidden"}')
    assert store.get(TOKEN) == before


@pytest.mark.parametrize("step", ["3", "", "x", "0.0", "-1", "1-3", "1-", "100-0"])
def test_steps_that_are_none(hear, step):
    assert hear(step, Digits="1")[0] == 403
    assert run().state == "calling"


@pytest.mark.parametrize(
    "change",
    [
        {"body": "Digits=1"},
        {"headers": {}},
        {"headers": {"X-Twilio-Signature": ""}},
        {"headers": {"X-Twilio-Signature": "é"}},
        {"pathParameters": {"groupId": "database", "cont": "2"}},
        {"multiValueQueryStringParameters": {"token": [f"{TOKEN}.1"]}},
    ],
    ids=str,
)
def test_changed_on_the_way(hear, context, change):
    before = store.get(TOKEN)
    assert handler(event("0", Digits="9") | change, context)["statusCode"] == 403
    assert store.get(TOKEN) == before


@pytest.mark.parametrize("query", [None, {}, {"token": ["a", "b"]}])
def test_without_a_token(hear, context, query):
    found = event() | {"multiValueQueryStringParameters": query}
    assert handler(found, context)["statusCode"] == 400


def test_a_header_in_small_letters(hear, context):
    found = event("0")
    found["headers"] = {name.lower(): value for name, value in found["headers"].items()}
    assert handler(found, context)["statusCode"] == 200


@pytest.mark.parametrize("step", ["0", "status"])
def test_expired(hear, expired, step):
    before = store.get(TOKEN)
    expired()
    assert hear(step, Digits="1", CallStatus="completed")[0] == 403
    assert store.get(TOKEN) == before


@pytest.mark.parametrize(
    "error",
    [store.Contended("x"), EndpointConnectionError(endpoint_url="x"), ClientError({}, "PutItem")],
    ids=["contended", "no connection", "an error"],
)
def test_where_the_table_does_not_answer_the_line_waits_and_comes_again(hear, monkeypatch, error):
    with monkeypatch.context() as patch:

        def fails(*_):
            raise error

        patch.setattr(store, "change", fails)
        status, response = hear("1", Digits="1")
    assert (status, tags(response)) == (200, ["Say", "Say", "Pause", "Redirect"])
    assert "少々お待ちください" in says(response)
    assert response.find("Redirect").text == f"{BASE}/phonecall/database/1?token={TOKEN}.1"
    assert tags(hear("1")[1]) == ["Gather", "Redirect"]


def test_what_fails_says_nothing_from_inside(hear, monkeypatch):
    monkeypatch.setattr(store, "change", lambda *_: 1 / 0)
    status, body = hear("0")
    assert (status, "division" in body, "request-1" in body) == (500, False, True)


def records(*tokens):
    return {
        "Records": [
            {"eventName": "INSERT", "dynamodb": {"Keys": {"token": {"S": token}}}}
            for token in tokens
        ]
    }


def test_the_stream_starts_the_dialling_once(save, secrets, twilio, context):
    save(a_session())
    bundle = "group#production#database"
    assert handler(records(TOKEN, TOKEN, bundle), context) == {
        "done": {"grou…": [], f"{TOKEN[:4]}…": ["dial 1"]}
    }
    assert handler(records(TOKEN), context) == {"done": {f"{TOKEN[:4]}…": []}}
    assert [call["to"] for call in twilio.calls.values()] == [MEMBERS[0].number]


def test_what_fails_is_named_without_the_token_and_the_others_are_done(
    save, secrets, twilio, context, short
):
    other = "another-session-of-a-test"
    save(a_session())
    save(a_session(token=other))
    twilio.troubles = [429]
    with pytest.raises(RunFailed, match=r"^1 of 2 failed: anot…: ") as error:
        handler(records(TOKEN, other), context)
    assert other not in str(error.value)
    assert len(twilio.calls) == 1
