import asyncio
import contextlib
from types import SimpleNamespace

import pytest
import requests

from sandbox import twilio
from sandbox.clock import Clock
from sandbox.switchboard import open_switchboard, read_phones
from tests.sandbox.conftest import ACCOUNT, AOI, AUTH_TOKEN, CALLER, REN
from tests.sandbox.hooks import (
    XML,
    act,
    advance,
    client,
    dial,
    ended,
    gather,
    heard,
    hooking,
    post,
    quiet,
    ringing,
    script,
    xml,
)
from tests.support import until

SORRY = "We're sorry, an application error has occurred. Goodbye."
# What a scripted phone does, and: the last status, what Twilio told, how often TwiML was asked for.
RINGS = [
    ({"ring": "busy"}, "busy", ["initiated", "ringing", "busy"], 0),
    ({"ring": "decline"}, "busy", ["initiated", "ringing", "busy"], 0),
    ({"ring": "no-answer"}, "no-answer", ["initiated", "ringing", "no-answer"], 0),
    ({"ring": "fail"}, "failed", ["initiated", "failed"], 0),
    ({"answer": [], "hang_up": True}, "completed",
     ["initiated", "ringing", "in-progress", "completed"], 1),
]  # fmt: skip
# What an answer in place of TwiML comes to: (status, type, body), what the inbox says.
NO_TWIML = [
    ((200, XML, "<Response><Say>"), "12100: Document parse failure"),
    ((200, XML, xml("<Dial>+81</Dial>")), "12200: Dial is a verb of Twilio's"),
    ((200, "application/json", "{}"), "12300: Invalid Content-Type: 'application/json'"),
    ((200, None, xml()), "12300: Invalid Content-Type: none"),
    ((403, XML, xml()), "HTTP 403"),
    ((302, XML, xml()), "HTTP 302"),
]
BAD = [
    ("script", {"number": AOI}, "do"),
    ("script", {"number": AOI, "do": []}, "do"),
    ("script", {"number": AOI, "do": [{"ring": "loud"}]}, "do"),
    ("script", {"number": AOI, "do": [{"ring": "busy", "answer": []}]}, "do"),
    ("script", {"number": AOI, "do": [{"answer": ["a"]}]}, "do"),
    ("script", {"number": AOI, "do": [{"answer": ["1"], "hang_up": 1}]}, "do"),
    ("script", {"number": "090", "do": [{"ring": "busy"}]}, "number"),
    ("clock", {}, "advance"),
    ("clock", {"advance": -1}, "advance"),
    ("clock", {"advance": "1"}, "advance"),
    ("clock", {"advance": 1, "settle": 61}, "settle"),
    ("clock", {"back": 1}, "back"),
    (f"phones/{AOI}/press", {}, "digits"),
    (f"phones/{AOI}/press", {"digits": "1a"}, "digits"),
]


@pytest.fixture(autouse=True)
def nothing_is_left(sandbox):
    yield
    quiet(sandbox)


@pytest.fixture
def hook():
    with hooking() as server:
        yield server


def notes(server, before, event):
    items = server.inbox(after=before, channel="twilio")
    return [item["body"] for item in items if item["body"]["event"] == event]


def test_a_person_answers_hears_and_presses_a_key(sandbox, hook):
    before = sandbox.last()
    hook.say("/start", gather("障害です &amp; &lt;1&gt;"), "<Redirect>/again</Redirect>")
    hook.say("/keys", "<Say>thank you</Say><Hangup/>")
    call = dial(sandbox, hook)
    ring = ringing(sandbox)
    assert (ring["sid"], ring["caller"], ring["said"]) == (call.sid, CALLER, [])
    assert hook.at("/start") == []
    act(sandbox, "press", status=409, digits="1")
    act(sandbox, "hangup", status=409)
    act(sandbox, "answer")
    act(sandbox, "answer", status=409)
    act(sandbox, "decline", status=409)
    talk = until(lambda: (now := heard(sandbox)) and now["gathering"] and now)
    assert (talk["status"], talk["said"]) == ("in-progress", ["障害です & <1>"])
    act(sandbox, "press", digits="1")
    assert ended(sandbox, call).status == "completed"
    assert heard(sandbox) is None
    until(lambda: len(hook.at("/status")) == 4)

    (start,), (keys,) = hook.at("/start"), hook.at("/keys")
    assert (start.path, keys.path) == ("/start?token=a.0", "/keys?token=a.0")
    usual = {"CallSid": call.sid, "AccountSid": ACCOUNT, "From": CALLER, "To": AOI,
             "Caller": CALLER, "Called": AOI, "CallStatus": "in-progress",
             "Direction": "outbound-api", "ApiVersion": "2010-04-01"}  # fmt: skip
    assert usual.items() <= start.form.items()
    assert "Digits" not in start.form
    assert (keys.Digits, keys.FinishedOnKey) == ("1", "")
    assert hook.statuses() == ["initiated", "ringing", "in-progress", "completed"]
    told = hook.at("/status")
    assert [one.SequenceNumber for one in told] == ["0", "1", "2", "3"]
    assert {one.CallbackSource for one in told} == {"call-progress-events"}
    assert ["CallDuration" in one.form for one in told] == [False, False, False, True]
    assert told[0].Timestamp.endswith(" +0000")
    for one in hook.asked:
        assert hook.signed(one)
        assert not hook.signed(one, token="another")
        assert not hook.signed(one, url=f"{hook.url}/elsewhere")
    (over,) = notes(sandbox, before, "ended")
    assert (over["status"], over["pressed"], over["problem"]) == ("completed", ["1"], None)
    assert over["said"] == ["障害です & <1>", "thank you"]


@pytest.mark.parametrize(("step", "status", "told", "asked"), RINGS)
def test_a_phone_with_a_script(sandbox, hook, step, status, told, asked):
    hook.say("/start", gather())
    script(sandbox, step)
    call = ended(sandbox, dial(sandbox, hook))
    assert (call.status, call.duration) == (status, "0")
    until(lambda: hook.statuses()[-1:] == [status])
    assert hook.statuses() == told
    assert hook.at("/status")[-1].CallDuration == "0"
    assert len(hook.at("/start")) == asked
    assert hook.at("/keys") == []


def test_nobody_answers_until_the_timeout_and_then_nothing_rings_any_more(sandbox, hook):
    call = dial(sandbox, hook, timeout=20)
    ringing(sandbox)
    advance(sandbox, 10)
    assert call.fetch().status == "ringing"
    advance(sandbox, 10)
    assert call.fetch().status == "no-answer"
    # The webhook was over before the clock had moved on.
    assert hook.statuses() == ["initiated", "ringing", "no-answer"]
    advance(sandbox, 3600)
    assert len(hook.asked) == 3
    assert heard(sandbox) is None


def test_a_voicemail_picks_up_hears_it_all_and_presses_nothing(sandbox, hook):
    before = sandbox.last()
    hook.say("/start", gather("one"), "<Redirect>/again?token=a.1</Redirect>")
    hook.say("/again", gather("two"), '<Pause length="1"/><Say>bye</Say>')
    script(sandbox, {"ring": "voicemail"})
    call = dial(sandbox, hook)
    until(lambda: (now := heard(sandbox)) and now["gathering"])
    advance(sandbox, 15)
    assert call.fetch().status == "completed"
    assert [one.path for one in hook.at("/again")] == ["/again?token=a.1"]
    assert hook.at("/keys") == []
    (over,) = notes(sandbox, before, "ended")
    assert (over["said"], over["pressed"]) == (["one", "two", "bye"], [])
    assert 10 <= over["duration"] <= 13


def test_a_script_presses_one_gather_after_another_then_is_silent(sandbox, hook):
    hook.say("/start", gather())
    hook.say("/keys", gather("again"))
    hook.say("/keys", gather("still there?"), "<Say>bye</Say>")
    script(sandbox, {"answer": ["9", "2"]}, {"ring": "busy"})
    call = dial(sandbox, hook)
    until(lambda: len(hook.at("/keys")) == 2 and heard(sandbox)["gathering"])
    assert [one.Digits for one in hook.at("/keys")] == ["9", "2"]
    advance(sandbox, 5)
    assert call.fetch().status == "completed"
    left = requests.get(f"{sandbox.url}/twilio/script", timeout=10).json()
    assert left == {AOI: [{"ring": "busy", "answer": [], "hang_up": False}]}
    assert ended(sandbox, dial(sandbox, hook)).status == "busy"


def test_a_person_declines_another_hangs_up_instead_of_a_key(sandbox, hook):
    first = dial(sandbox, hook)
    ringing(sandbox)
    act(sandbox, "decline")
    assert first.fetch().status == "busy"
    hook.say("/start", gather(), "<Redirect>/again</Redirect>")
    second = dial(sandbox, hook)
    ringing(sandbox)
    act(sandbox, "answer")
    until(lambda: heard(sandbox)["gathering"])
    act(sandbox, "hangup")
    assert second.fetch().status == "completed"
    until(lambda: hook.statuses()[-1] == "completed")
    advance(sandbox, 60)
    assert hook.at("/keys") == hook.at("/again") == []


def test_digits_end_by_number_by_key_and_by_silence(sandbox, hook):
    more = '<Gather action="/{0}" {1}/>'
    hook.say("/start", more.format("two", 'numDigits="2"'))
    hook.say("/two", more.format("key", 'finishOnKey="*"'))
    hook.say("/key", more.format("silence", 'timeout="3"'))
    hook.say("/silence", more.format("empty", 'actionOnEmptyResult="true"'))
    script(sandbox, {"answer": ["123", "45*", "6"]})
    call = dial(sandbox, hook)
    until(lambda: hook.at("/key"))
    advance(sandbox, 3)
    until(lambda: hook.at("/silence"))
    advance(sandbox, 5)
    assert call.fetch().status == "completed"
    assert [hook.at(path)[0].Digits for path in ("/two", "/key", "/silence", "/empty")] == [
        "12", "45", "6", "",
    ]  # fmt: skip
    assert hook.at("/key")[0].FinishedOnKey == "*"


@pytest.mark.parametrize(("answer", "problem"), NO_TWIML)
def test_an_answer_that_is_no_twiml_ends_the_call_with_an_apology(sandbox, hook, answer, problem):
    before = sandbox.last()
    hook.answers["/start"].append(answer)
    script(sandbox, {"answer": ["1"]})
    assert ended(sandbox, dial(sandbox, hook)).status == "completed"
    assert len(hook.at("/start")) == 1
    (failed,) = notes(sandbox, before, "webhook failed")
    assert failed["problem"].startswith(problem)
    assert failed["url"] == f"{hook.url}/start?token=a.0"
    (over,) = notes(sandbox, before, "ended")
    assert over["said"] == [SORRY]
    assert over["problem"]


def test_a_webhook_is_tried_once_more(sandbox, hook):
    before = sandbox.last()
    hook.answers["/start"].append((500, XML, "boom"))
    hook.say("/start", "<Say>fine</Say>")
    hook.answers["/status"] += [(200, "", ""), (502, "", ""), (204, "", "")]
    script(sandbox, {"answer": []}, {"answer": []})
    assert ended(sandbox, dial(sandbox, hook)).status == "completed"
    until(lambda: len(hook.at("/status")) == 5)
    assert hook.statuses()[:3] == ["initiated", "ringing", "ringing"]
    tries = [one.headers["I-Twilio-Idempotency-Token"] for one in hook.at("/start")]
    assert len(tries) == 2
    assert len(set(tries)) == 1
    problems = sorted(note["problem"] for note in notes(sandbox, before, "webhook failed"))
    assert problems == ["HTTP 500", "HTTP 502"]
    (over,) = notes(sandbox, before, "ended")
    assert (over["said"], over["problem"]) == (["fine"], None)


def test_a_webhook_that_hangs_or_is_not_there(sandbox, hook):
    before = sandbox.last()
    hook.answers["/start"] += [(200, XML, None)] * 2
    script(sandbox, {"answer": ["1"]}, {"answer": ["1"]})
    call = dial(sandbox, hook, status_callback="http://127.0.0.1:9/status")
    for tries in (1, 2):
        until(lambda tries=tries: len(hook.at("/start")) == tries)
        advance(sandbox, 15, settle=0.1)
    assert ended(sandbox, call).status == "completed"
    problems = [note["problem"] for note in notes(sandbox, before, "webhook failed")]
    assert problems.count("no answer within 15 s") == 2
    assert until(lambda: any("no connection" in problem for problem in problems))


def test_two_phones_at_once_and_one_that_is_in_a_call(sandbox, hook):
    first, second = dial(sandbox, hook), dial(sandbox, hook, to=REN)
    assert ringing(sandbox)["sid"] == first.sid
    assert ringing(sandbox, REN)["sid"] == second.sid
    assert ended(sandbox, dial(sandbox, hook)).status == "busy"
    assert heard(sandbox)["sid"] == first.sid
    hook.say("/start", "<Pause/>")
    act(sandbox, "answer", number=REN)
    assert first.update(status="completed").status == "canceled"
    assert heard(sandbox) is None
    advance(sandbox, 2)
    assert second.fetch().status == "completed"
    told = [(one.CallSid, one.CallStatus) for one in hook.at("/status")]
    assert told.count((first.sid, "canceled")) == 1
    assert len(told) == len(set(told))


def test_only_the_end_is_told_unless_asked_and_inline_twiml_needs_no_webhook(sandbox, hook):
    script(sandbox, {"answer": []})
    call = client(sandbox).calls.create(
        to=AOI, from_=CALLER, twiml=xml("<Say>hello</Say>"), status_callback=f"{hook.url}/status"
    )
    ended(sandbox, call)
    (told,) = until(lambda: hook.at("/status"))
    assert (told.CallStatus, told.SequenceNumber) == ("completed", "0")
    assert hook.asked == [told]


def test_a_webhook_with_get_has_its_fields_in_the_query(sandbox, hook):
    hook.say("/start", '<Redirect method="GET">/again?a=%20</Redirect>')
    script(sandbox, {"answer": []})
    call = ended(sandbox, dial(sandbox, hook, method="GET", status_callback=f"{hook.url}/status"))
    (start,), (again,) = hook.at("/start"), hook.at("/again")
    assert start.path.startswith(f"/start?token=a.0&CallSid={call.sid}&")
    assert again.path.startswith(f"/again?a=%20&CallSid={call.sid}&")
    assert hook.signed(start)
    assert hook.signed(again)


def test_a_call_ends_at_its_time_limit(sandbox, hook):
    hook.say("/start", '<Say loop="0">a</Say>')
    call = dial(sandbox, hook, time_limit=30)
    ringing(sandbox)
    act(sandbox, "answer")
    advance(sandbox, 20)
    assert call.fetch().status == "in-progress"
    advance(sandbox, 11)
    assert (call.fetch().status, call.fetch().duration) == ("completed", "30")


def test_a_number_nobody_knows_has_a_phone_from_its_first_call(sandbox, hook):
    number = "+819099999999"
    assert heard(sandbox, number) is None
    act(sandbox, "answer", number=number, status=409)
    dial(sandbox, hook, to=number)
    ringing(sandbox, number)
    phones = requests.get(f"{sandbox.url}/twilio/phones", timeout=10).json()
    assert [phone["name"] for phone in phones if phone["number"] == number] == [""]


@pytest.mark.parametrize(("path", "fields", "field"), BAD)
def test_what_is_asked_of_the_phones_is_checked(sandbox, path, fields, field):
    response = post(sandbox, path, **fields)
    assert (response.status_code, response.json()["field"]) == (400, field)


def test_a_sandbox_stops_with_calls_in_progress(start_sandbox, tmp_path, hook):
    hook.say("/start", gather())
    hook.answers["/status"] += [(200, XML, None)] * 4
    with start_sandbox(tmp_path) as server:
        dial(server, hook)
        dial(server, hook, to=REN)
        ringing(server)
        ringing(server, REN)
        act(server, "answer")
        until(lambda: heard(server)["gathering"])
    with start_sandbox(tmp_path) as server:
        problems = [note["problem"] for note in notes(server, 0, "ended")]
    assert problems == ["the sandbox was stopped"] * 2
    # It waited for no webhook, which hang still, and was not killed.
    log = (tmp_path / "sandbox.log").read_text()
    assert "Finished server process" in log
    assert "Traceback" not in log
    assert "was destroyed" not in log
    assert AUTH_TOKEN not in log


def test_a_setting_that_is_missing_is_named():
    names = ("SANDBOX_TWILIO_ACCOUNT_SID", "SANDBOX_TWILIO_AUTH_TOKEN", "SANDBOX_PHONES")
    for missing in names:
        environ = {**dict.fromkeys(names, "[]"), missing: ""}
        with pytest.raises(RuntimeError, match=missing):
            open_switchboard(None, environ)
    with pytest.raises(RuntimeError, match="SANDBOX_TWILIO_NUMBERS"):
        twilio.play(None, {})


@pytest.mark.parametrize(
    "text", ["[", "1", '[{"number": "1", "name": ""}]', '[{"number": "+81900000000"}]']
)
def test_phones_that_cannot_be_read(text):
    with pytest.raises(RuntimeError, match="SANDBOX_PHONES"):
        read_phones(text)


def test_timers_go_off_in_order_and_at_their_own_time(monkeypatch):
    # Only what it is moved by counts.
    monkeypatch.setattr("sandbox.clock.time", SimpleNamespace(time=float, monotonic=float))

    async def play():
        clock, seen = Clock(), []
        start = clock.now()

        async def wait(name, *delays):
            for delay in delays:
                await clock.sleep(delay)
                seen.append((name, round(clock.now() - start)))

        async with asyncio.TaskGroup() as group:
            for name, *delays in (("c", 30), ("a", 10, 10), ("b", 15, 40)):
                group.create_task(wait(name, *delays))
            await asyncio.sleep(0)
            await clock.advance(30.5, 1)
            now = list(seen)
            await clock.advance(3600, 1)
        return now, seen

    now, seen = asyncio.run(play())
    assert now == [("a", 10), ("b", 15), ("a", 20), ("c", 30)]
    assert seen == [*now, ("b", 55)]


def test_a_limit_ends_what_takes_too_long_and_only_that():
    async def play():
        clock = Clock()
        async with clock.limit(0.01):
            pass
        with pytest.raises(TimeoutError):
            async with clock.limit(0.01):
                await asyncio.sleep(60)
        hurried = asyncio.ensure_future(clock.sleep(60))
        await asyncio.sleep(0)
        hurried.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hurried
        await clock.advance(3600, 1)

    asyncio.run(play())
