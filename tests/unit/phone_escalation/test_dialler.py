from dataclasses import replace
from urllib.parse import parse_qs

import pytest
import requests
from botocore.exceptions import EndpointConnectionError
from urllib3.exceptions import MaxRetryError, NewConnectionError

from common import aws
from common.parameters import PLACEHOLDER, ParameterError
from common.slack import SlackError
from phone_escalation import dialler, rotation, store
from phone_escalation.rotation import GRACE, LEASE, PATIENCE, PAUSE, TELLING
from phone_escalation.twilio import NotHeard, TwilioError
from tests.unit.phone_escalation.samples import (
    BASE,
    CALLER,
    MEMBERS,
    NOW,
    TOKEN,
    a_session,
    acknowledge,
)

A = f"CA{1:032}"
SLACK = "https://slack.com/api/chat.postMessage"


@pytest.fixture
def look(secrets, twilio, context):
    return lambda: dialler.look_after(TOKEN, context)


@pytest.fixture
def begin(save):
    """Save the sample session after some steps of its rotation, at its beginning."""

    def begin(*steps, **fields):
        session = a_session(**fields)
        run = session.rotation
        for name, *arguments in steps:
            step = acknowledge if name == "acknowledge" else getattr(rotation, name)
            run = step(run, *arguments, NOW)
        return save(replace(session, rotation=run))

    return begin


def run(clock):
    return store.load(TOKEN, clock.now).rotation


def first(clock):
    return run(clock).attempts[0]


def change(step, *arguments, now=NOW):
    store.change(TOKEN, now, lambda found: step(found, *arguments, now))


def test_dial(begin, look, twilio, clock):
    begin()
    assert look() == ["dial 1"]
    assert (first(clock).phase, first(clock).sid) == ("ringing", A)
    address = f"{BASE}/phonecall/database/1?token={TOKEN}"
    assert twilio.fields == [
        {
            "To": [MEMBERS[0].number],
            "From": [CALLER],
            "Timeout": ["20"],
            "TimeLimit": ["600"],
            "Url": [f"{address}.0"],
            "Method": ["POST"],
            "StatusCallback": [f"{address}.status"],
            "StatusCallbackMethod": ["POST"],
            "StatusCallbackEvent": ["ringing", "answered", "completed"],
        }
    ]
    # Whoever comes again finds nothing to do.
    assert look() == []
    assert twilio.asked == ["call"]


def test_there_is_no_such_session(table, look):
    assert look() == []


def test_a_number_that_twilio_refuses_fails_and_the_next_is_due(begin, look, twilio, clock):
    begin()
    clock.step = 1  # however late in a second that is
    twilio.troubles = [400]
    assert look() == ["dial 1"]
    assert first(clock).outcome == "failed"
    assert first(clock).detail == "Twilio: HTTP 400 21211 no"
    assert store.get(TOKEN)["act"] == "now"
    assert look() == ["dial 2"]


def test_too_many_requests_and_then_fine(begin, look, twilio, clock):
    begin()
    twilio.troubles = [429, 429]
    assert look() == ["dial 1"]
    assert (twilio.asked, len(twilio.calls)) == (["call"] * 3, 1)


REFUSED = requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "refused")))


@pytest.mark.parametrize("trouble", [429, 401, 403, 404, REFUSED])
def test_what_twilio_surely_did_not_do_is_done_a_minute_later(
    begin, look, twilio, clock, short, trouble
):
    begin()
    twilio.troubles = [trouble]
    with pytest.raises(NotHeard):
        look()
    assert look() == []
    assert first(clock).detail
    clock.now += PAUSE
    assert look() == ["dial 1"]
    assert len(twilio.calls) == 1


@pytest.mark.parametrize("trouble", ["lost", "timed out"])
def test_a_call_whose_answer_is_lost_is_found(begin, look, twilio, clock, trouble):
    begin()
    twilio.troubles = [trouble]
    assert look() == ["dial 1"]
    assert (first(clock).phase, first(clock).sid) == ("ringing", A)
    assert (twilio.asked, len(twilio.calls)) == (["call", "find"], 1)


@pytest.mark.parametrize(
    "trouble",
    [408, 500, 503, 505, 524, requests.ReadTimeout(), requests.ConnectionError()],
)
def test_a_call_that_is_not_found_is_dialled_anew_after_the_lease(
    begin, look, twilio, clock, trouble
):
    begin()
    twilio.troubles = [trouble]
    look()
    assert (first(clock).phase, twilio.asked) == ("dialling", ["call", "find"])
    clock.now += LEASE - 1
    assert look() == []
    clock.now += 1
    assert look() == ["look up 1"]
    assert store.get(TOKEN)["act"] == "now"
    assert look() == ["dial 1"]
    assert len(twilio.calls) == 1


def test_nothing_is_dialled_before_twilio_says_what_became_of_it(begin, look, twilio, clock, short):
    begin()
    twilio.troubles = ["lost", 500]
    with pytest.raises(TwilioError):
        look()
    clock.now += LEASE
    twilio.troubles = [500]
    with pytest.raises(TwilioError):
        look()
    assert look() == ["look up 1"]
    assert (first(clock).sid, len(twilio.calls)) == (A, 1)


def test_a_crash_between_claim_and_dial(begin, look, twilio, clock):
    begin(("claim", 1))
    assert look() == []
    clock.now += LEASE
    assert (look(), look(), len(twilio.calls)) == (["look up 1"], ["dial 1"], 1)


@pytest.mark.parametrize(
    ("status", "phase", "outcome"),
    [
        ("queued", "ringing", None),
        ("ringing", "ringing", None),
        ("in-progress", "talking", None),
        ("busy", "over", "busy"),
        ("completed", "over", "hung up"),
    ],
)
def test_a_crash_between_dial_and_write(begin, look, twilio, clock, status, phase, outcome):
    begin(("claim", 1))
    twilio.make(MEMBERS[0].number, CALLER, status)
    clock.now += LEASE
    look()
    assert (first(clock).sid, first(clock).phase, first(clock).outcome) == (A, phase, outcome)
    assert first(clock).guessed
    assert len(twilio.calls) == 1


@pytest.mark.parametrize(
    ("to", "caller", "ago"),
    [
        (MEMBERS[1].number, CALLER, 0),
        (MEMBERS[0].number, "+815011111111", 0),
        (MEMBERS[0].number, CALLER, 6),
    ],
)
def test_another_call_is_not_taken_for_ones_own(begin, look, twilio, clock, to, caller, ago):
    clock.now = NOW - ago
    twilio.make(to, caller)
    begin(("claim", 1))
    clock.now = NOW + LEASE
    assert look() == ["look up 1"]
    assert first(clock).phase == "due"


def test_another_escalations_call_to_the_same_phone_is_left_to_it(begin, look, twilio, clock):
    begin(("claim", 1))
    theirs = twilio.make(MEMBERS[0].number, CALLER)["sid"]
    assert store.own(theirs, a_session(token="token-of-another-session"))
    clock.now += LEASE
    assert look() == ["look up 1"]
    assert (first(clock).phase, theirs in twilio.live) == ("due", True)


def test_the_call_of_the_attempt_before_is_not_taken_for_this_ones(begin, look, twilio, clock):
    twilio.make(MEMBERS[0].number, CALLER, "busy")
    begin(("claim", 1), ("status", 1, A, "busy"), ("claim", 2))
    clock.now += LEASE
    look()
    assert (run(clock).attempts[1].phase, run(clock).attempts[1].sid) == ("due", None)


def test_a_look_up_that_comes_too_late_does_nothing_to_the_next_ones_call(
    begin, look, twilio, clock
):
    begin(("claim", 1))
    clock.now += LEASE
    second = twilio.make(MEMBERS[0].number, CALLER, "ringing")["sid"]

    def meanwhile():
        change(rotation.ended, 1, "busy")
        change(rotation.claim, 2)
        change(rotation.dialled, 2, second)

    twilio.troubles = [meanwhile]
    assert look() == ["look up 1"]
    assert twilio.live == [second]
    assert [one.sid for one in run(clock).attempts] == [None, second]


RINGING = [("claim", 1), ("dialled", 1, A)]


@pytest.mark.parametrize(
    ("steps", "wait", "status", "outcome", "asked"),
    [
        (RINGING, 20 + GRACE, "ringing", "stuck", ["status", "hang up"]),
        (RINGING, 20 + GRACE, "queued", None, ["status"]),
        (RINGING, PATIENCE + 1, "queued", "stuck", ["status", "hang up"]),
        (RINGING, 20 + GRACE, "no-answer", "no answer", ["status"]),
        (RINGING, 20 + GRACE, "in-progress", None, ["status"]),
        ([*RINGING, ("answered", 1, A)], TELLING, "in-progress", "stuck", ["status", "hang up"]),
        ([*RINGING, ("answered", 1, A)], TELLING, "completed", "hung up", ["status"]),
    ],
)
def test_a_call_of_which_no_last_word_comes(
    begin, look, twilio, clock, steps, wait, status, outcome, asked
):
    twilio.make(MEMBERS[0].number, CALLER, status)
    begin(*steps)
    clock.now += wait
    assert look() == ["check 1"]
    assert (first(clock).outcome, twilio.asked) == (outcome, asked)
    assert (look() == ["dial 2"]) is (outcome is not None)
    assert (A in twilio.live) is (outcome is None)


def test_a_check_does_not_tell_whose_a_call_is(begin, look, twilio, clock):
    twilio.make(MEMBERS[0].number, CALLER, "queued")
    begin(("claim", 1), ("found", 1, A, "queued"))
    clock.now += 20 + GRACE
    assert look() == ["check 1"]
    change(rotation.answered, 1, "CA-of-the-webhook")
    assert (first(clock).sid, first(clock).guessed) == ("CA-of-the-webhook", False)


def test_who_answers_while_a_call_is_checked_is_not_cut_off(begin, look, twilio, clock):
    twilio.make(MEMBERS[0].number, CALLER, "in-progress")
    begin(*RINGING)
    clock.now += 20 + GRACE
    twilio.troubles = [lambda: change(rotation.answered, 1, A, now=clock.now)]
    look()
    assert (first(clock).phase, twilio.asked) == ("talking", ["status"])


def test_what_rings_after_an_acknowledgement_is_hung_up(begin, look, twilio, clock):
    twilio.make(MEMBERS[0].number, CALLER, "completed")
    twilio.make(MEMBERS[1].number, CALLER, "ringing")
    second = [("claim", 2), ("dialled", 2, f"CA{2:032}")]
    begin(*RINGING, ("status", 1, A, "completed"), *second, ("acknowledge", 1))
    assert store.get(TOKEN)["act"] == "now"
    assert look() == ["hang up 2"]
    assert (twilio.live, run(clock).attempts[1].outcome) == ([], "withdrawn")
    assert look() == []


def test_an_acknowledgement_while_somebody_is_dialled(begin, look, twilio, clock):
    twilio.make(MEMBERS[0].number, CALLER, "completed")
    begin(*RINGING, ("status", 1, A, "completed"))
    twilio.troubles = [lambda: change(acknowledge, 1)]
    assert look() == ["dial 2"]
    assert store.get(TOKEN)["act"] == "now"
    assert look() == ["hang up 2"]
    assert twilio.live == []


def test_after_an_acknowledgement_nobody_is_dialled(begin, look, twilio, clock, monkeypatch):
    begin()
    todo = rotation.todo

    def meanwhile(*given):
        found = todo(*given)
        change(acknowledge, 1)
        return found

    monkeypatch.setattr(rotation, "todo", meanwhile)
    assert look() == ["dial 1"]
    assert twilio.asked == []


def test_a_second_call_of_one_attempt_is_hung_up(begin, look, twilio, clock):
    begin()
    other = twilio.make("+819099999999", CALLER)["sid"]
    twilio.troubles = [lambda: change(rotation.answered, 1, other)]
    look()
    assert first(clock).sid == other
    assert twilio.live == [other]


EXHAUSTED = [
    step
    for number in range(1, 7)
    for step in (("claim", number), ("status", number, f"CA{number}", "no-answer"))
]

OF_TEST = {"Name": "Environment", "Value": "test"}


def metric():
    listed = aws.client("cloudwatch").list_metrics(Namespace="Mimamori")["Metrics"]
    # Once for all groups, once with the group.
    bare, found = sorted(listed, key=lambda one: len(one["Dimensions"]))
    assert (bare["MetricName"], bare["Dimensions"]) == (found["MetricName"], [OF_TEST])
    return found["MetricName"], found["Dimensions"]


def test_the_report(begin, look, web, clock):
    begin(*EXHAUSTED, slack_channel="C0123456789")
    posted = web.post(SLACK, json={"ok": True})
    assert look() == ["report"]
    dimensions = [OF_TEST, {"Name": "Group", "Value": "database"}]
    assert metric() == ("PhoneEscalationExhausted", dimensions)
    assert "C0123456789" in posted.calls[0].request.body
    clock.now += PAUSE
    assert look() == []


def test_what_the_tables_lack_is_posted_and_counted_while_the_phone_rings(
    begin, look, twilio, web, clock, monkeypatch
):
    counted = []
    monkeypatch.setattr(
        aws.client("cloudwatch"), "put_metric_data", lambda **fields: counted.append(fields)
    )
    run = replace(a_session().rotation, warning=rotation.Notice(NOW))
    begin(rotation=run, slack_channel="C1", problems=("group_member rows 1 and 7 <x>",))
    web.post(SLACK, json={"ok": False, "error": "channel_not_found"})
    with pytest.raises(SlackError):
        look()
    assert len(twilio.calls) == 1
    posted = web.replace("POST", SLACK, json={"ok": True})
    clock.now += PAUSE
    assert look()[-1] == "warn"
    assert "rows+1+and+7+%26lt%3Bx" in posted.calls[-1].request.body
    clock.now += PAUSE
    assert "warn" not in look()
    assert [one["MetricData"][0]["MetricName"] for one in counted] == ["PhoneRosterProblem"]


def test_where_there_is_nobody_to_phone_that_is_reported_at_once(begin, look, web):
    posted = web.post(SLACK, json={"ok": True})
    begin(rotation=rotation.start((), 2, 20, "disk", NOW), slack_channel="C1")
    assert look() == ["report"]
    assert metric()[0] == "PhoneEscalationExhausted"
    assert len(posted.calls) == 1


@pytest.mark.parametrize(("of_group", "to"), [(None, "C9"), ("C1", "C1")])
def test_what_a_group_without_a_channel_is_told_the_suites_hears(
    begin, look, twilio, web, monkeypatch, of_group, to
):
    monkeypatch.setenv("SLACK_CHANNEL", "C9")
    posted = web.post(SLACK, json={"ok": True})
    run = replace(a_session().rotation, warning=rotation.Notice(NOW))
    begin(rotation=run, slack_channel=of_group, problems=("rows 1 and 7",))
    assert look()[-1] == "warn"
    assert f"channel={to}&" in posted.calls[0].request.body


@pytest.mark.parametrize(("language", "said"), [("ja", "誰も対応"), ("en", "Nobody has")])
def test_where_there_is_nobody_to_phone_it_is_told_in_the_language_of_the_suite(
    begin, look, web, monkeypatch, language, said
):
    monkeypatch.setenv("SLACK_LANGUAGE", language)
    posted = web.post(SLACK, json={"ok": True})
    begin(rotation=rotation.start((), 2, 20, "disk", NOW), slack_channel="C1")
    assert look() == ["report"]
    assert said in parse_qs(posted.calls[0].request.body)["text"][0]


def test_the_report_without_a_channel(begin, look, clock, table):
    begin(*EXHAUSTED)
    aws.client("ssm").delete_parameter(Name="/test/myApp/SLACK_BOT_TOKEN")
    assert look() == ["report"]
    assert metric()[0] == "PhoneEscalationExhausted"
    assert run(clock).report.due_at is None


def test_the_report_is_repeated_when_slack_is_away(begin, look, web, clock, monkeypatch, caplog):
    begin(*EXHAUSTED, slack_channel="C1")
    counted = []
    monkeypatch.setattr(
        aws.client("cloudwatch"), "put_metric_data", lambda **fields: counted.append(fields)
    )
    away = web.post(SLACK, json={"ok": False, "error": "channel_not_found"})
    for _ in range(2):
        with pytest.raises(SlackError):
            look()
        assert look() == []
        clock.now += PAUSE
    assert len(away.calls) == 2
    web.replace("POST", SLACK, json={"ok": True})
    assert look() == ["report"]
    assert run(clock).report.due_at is None
    # One exhaustion is counted once.
    said = [record.message for record in caplog.records]
    assert (len(counted), said.count("nobody acknowledged")) == (1, 1)


def test_the_report_reaches_slack_when_cloudwatch_is_away(begin, look, web, clock, monkeypatch):
    begin(*EXHAUSTED, slack_channel="C1")
    posted = web.post(SLACK, json={"ok": True})

    def away(**_):
        raise EndpointConnectionError(endpoint_url="monitoring")

    monkeypatch.setattr(aws.client("cloudwatch"), "put_metric_data", away)
    assert look() == ["report"]
    assert (len(posted.calls), run(clock).report.due_at) == (1, None)


def test_without_a_channel_the_count_is_repeated_when_cloudwatch_is_away(
    begin, look, web, clock, monkeypatch
):
    begin(*EXHAUSTED)
    with monkeypatch.context() as patch:
        patch.setattr(aws.client("cloudwatch"), "put_metric_data", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            look()
    clock.now += PAUSE
    assert look() == ["report"]
    assert metric()[0] == "PhoneEscalationExhausted"


@pytest.mark.parametrize(
    ("steps", "troubles"),
    [
        ([], [429]),
        ([], [500]),
        ([("claim", 1)], [500]),
        (RINGING, [500]),
        ([("claim", 1)], []),
    ],
    ids=["dial", "dial, unknown", "look up", "check", "never found"],
)
def test_where_twilio_is_away_for_an_hour_that_is_reported(
    begin, look, twilio, clock, short, steps, troubles
):
    if steps == RINGING:
        twilio.make(MEMBERS[0].number, CALLER, "ringing")
    begin(*steps)
    clock.now += PATIENCE + 1
    for _ in range(3):
        twilio.troubles = list(troubles)
        try:
            done = look()
        except TwilioError:
            done = []
        if done == ["report"]:
            break
        clock.now += LEASE
    assert run(clock).state == "exhausted"
    assert first(clock).outcome == "unreachable"
    assert len(run(clock).attempts) == 1
    assert metric()[0] == "PhoneEscalationExhausted"
    assert rotation.due_at(run(clock)) is None


def test_an_unfilled_secret_is_named_and_nothing_is_claimed(begin, look, twilio, clock):
    begin()
    aws.client("ssm").put_parameter(
        Name="/test/myApp/TWILIO_AUTH_TOKEN", Value=PLACEHOLDER, Overwrite=True
    )
    with pytest.raises(ParameterError, match="NAME=TWILIO_AUTH_TOKEN"):
        look()
    assert (first(clock).phase, twilio.asked) == ("due", [])
    clock.now += PATIENCE + 1
    with pytest.raises(ParameterError):
        look()
    assert look() == ["report"]


def test_without_ssm_it_is_given_up_after_an_hour_as_without_twilio(
    begin, look, twilio, clock, monkeypatch
):
    begin(*RINGING)

    def away(**_):
        raise EndpointConnectionError(endpoint_url="ssm")

    monkeypatch.setattr(aws.client("ssm"), "get_parameter", away)
    clock.now += PATIENCE + 1
    with pytest.raises(EndpointConnectionError):
        look()
    assert first(clock).outcome == "unreachable"
    assert look() == ["report"]


def test_one_deed_that_fails_keeps_no_other_from_being_done(
    begin, look, twilio, clock, monkeypatch
):
    twilio.make(MEMBERS[0].number, CALLER, "ringing")
    begin(*RINGING)
    deeds = [rotation.Action("report"), rotation.Action("check", 1)]
    monkeypatch.setattr(rotation, "todo", lambda *_: deeds)
    failing = RuntimeError("no")
    monkeypatch.setattr(rotation, "reporting", lambda *_: (_ for _ in ()).throw(failing))
    with pytest.raises(RuntimeError):
        look()
    assert first(clock).outcome == "stuck"
