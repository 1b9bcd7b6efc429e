import pytest

from phone_escalation import rotation as steps
from phone_escalation.conversation import Heard, Reply, reply
from tests.unit.phone_escalation.samples import MEMBERS, NOW, started

A, B = "CA1", "CA2"


def ringing(members=MEMBERS):
    run = steps.claim(started(members, rounds=1), 1, NOW)
    return steps.tell(steps.dialled(run, 1, A, NOW), 1, 5)


def said(run, number, sid, telling, digits):
    after, answer = reply(run, Heard(number, sid, telling, digits), NOW + 5)
    return after, (answer.kind, answer.telling)


@pytest.mark.parametrize(
    ("telling", "digits", "answer", "outcome"),
    [
        (0, "", ("tell", 0), None),
        (0, "3", ("tell", 0), None),
        (1, "3", ("tell", 1), None),
        (0, "9", ("tell", 1), None),
        (0, "#", ("tell", 1), None),
        (0, "*", ("tell", 1), None),
        (1, "", ("tell", 1), None),
        (1, "9", ("passed on", 0), "no key"),
        (2, "", ("passed on", 0), "no key"),
        (0, "2", ("passed on", 0), "passed on"),
        (1, "2", ("passed on", 0), "passed on"),
        (0, "1", ("thanks", 0), "acknowledged"),
        (1, "1", ("thanks", 0), "acknowledged"),
    ],
)
def test_the_keys(telling, digits, answer, outcome):
    run = ringing()
    after, got = said(run, 1, A, telling, digits)
    assert got == answer
    attempt = after.attempts[0]
    assert attempt.outcome == outcome
    assert attempt.sid == A
    assert attempt.phase == ("talking" if outcome is None else "leaving")
    assert len(after.attempts) == (2 if outcome in ("no key", "passed on") else 1)
    # What is told again changes nothing more, and is answered the same.
    assert said(after, 1, A, telling, digits) == (after, answer)


@pytest.mark.parametrize("phase", ["due", "dialling", "ringing", "talking"])
def test_a_word_before_any_status_is_heard_and_says_which_call_it_is(phase):
    run = started()
    run = run if phase == "due" else steps.claim(run, 1, NOW)
    run = run if phase in ("due", "dialling") else steps.dialled(run, 1, A, NOW)
    run = run if phase != "talking" else steps.answered(run, 1, A, NOW)
    for digits in ("", "1", "2"):
        after, _ = said(run, 1, A, 0, digits)
        assert after.attempts[0].sid == A
        assert not [one for one in steps.todo(after, NOW + 5) if one.attempt == 1]


@pytest.mark.parametrize(("number", "sid"), [(1, B), (0, A), (2, A), (-1, A), (99, A)], ids=str)
@pytest.mark.parametrize("digits", ["", "1", "2"])
def test_another_call_or_attempt_is_hung_up(number, sid, digits):
    run = ringing()
    assert said(run, number, sid, 0, digits) == (run, ("nothing", 0))


@pytest.mark.parametrize("digits", ["9", "#", "0"])
def test_a_key_that_means_nothing_is_answered(digits):
    run = ringing()
    assert reply(run, Heard(1, A, 0, digits), NOW)[1] == Reply("tell", 0, 1, unknown=True)
    assert not reply(run, Heard(1, A, 1, ""), NOW)[1].unknown


def test_nobody_is_left():
    run, answer = said(ringing(MEMBERS[:1]), 1, A, 0, "2")
    assert (run.state, answer) == ("exhausted", ("nobody left", 0))
    # Who presses 1 after all has it.
    run, answer = said(run, 1, A, 0, "1")
    assert (run.state, run.acknowledged_by, answer) == ("acknowledged", 1, ("thanks", 0))


@pytest.mark.parametrize("digits", ["", "1", "2", "3", "9"])
def test_the_late_one_hears_who_was_first(digits):
    run = steps.status(ringing(), 1, A, "no-answer", NOW)
    run = steps.dialled(steps.claim(run, 2, NOW), 2, B, NOW)
    run, _ = said(run, 2, B, 0, "")
    run, answer = said(run, 1, A, 0, "1")
    assert (run.acknowledged_by, answer) == (1, ("thanks", 0))
    # Who is on the line is not cut off, but told.
    assert steps.todo(run, NOW + 5) == []
    assert said(run, 2, B, 0, digits) == (run, ("late", 0))
    assert said(run, 1, A, 0, digits) == (run, ("thanks", 0))
