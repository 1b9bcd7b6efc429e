from dataclasses import replace
from functools import reduce

import pytest

from phone_escalation import rotation as steps
from phone_escalation.conversation import Heard, Reply, reply
from phone_escalation.rotation import GRACE, LEASE, PATIENCE, PAUSE, REPORTS, TELLING, Action
from tests.unit.phone_escalation.samples import MEMBERS, NOW, acknowledge, started

A, B = "CA1", "CA2"
RINGING = [("claim", 1), ("dialled", 1, A)]


def told(run, *events, now=NOW):
    """Tell a rotation what happened, in order; each event is a step's name and its arguments."""
    own = {"acknowledge": acknowledge}

    def step(run, event):
        name, *arguments = event
        return (own.get(name) or getattr(steps, name))(run, *arguments, now)

    return reduce(step, events, run)


def ends(number, said):
    return [("claim", number), ("status", number, f"CA{number}", said)]


def shown(run):
    return [(one.member, one.again, one.outcome) for one in run.attempts]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("completed", "hung up"),
        ("no-answer", "no answer"),
        ("failed", "failed"),
        ("canceled", "cancelled"),
    ],
)
def test_what_came_to_nothing_makes_the_next_one_due(said, outcome):
    run = told(started(), *RINGING, ("status", 1, A, said))
    assert shown(run) == [(0, False, outcome), (1, False, None)]
    assert (run.attempts[0].sid, run.attempts[0].over_at) == (A, NOW)
    assert steps.todo(run, NOW) == [Action("dial", 2)]


def test_busy_is_the_same_member_once_more():
    run = told(started(), *ends(1, "busy"), *ends(2, "busy"), *ends(3, "busy"), *ends(4, "failed"))
    assert shown(run) == [
        (0, False, "busy"),
        (0, True, "busy"),
        (1, False, "busy"),
        (1, True, "failed"),
        (2, False, None),
    ]


@pytest.mark.parametrize(("members", "rounds"), [(1, 1), (1, 2), (3, 1), (3, 2), (2, 10), (1, 0)])
@pytest.mark.parametrize("said", ["no-answer", "busy"])
def test_everybody_is_tried_in_every_round(members, rounds, said):
    run = started(MEMBERS[:members], rounds)
    for number in range(1, 99):
        if run.state == "calling":
            run = told(run, *ends(number, said))
    turns = [member for member, again, _ in shown(run) if not again]
    assert turns == list(range(members)) * max(rounds, 1)
    assert len(run.attempts) == len(turns) * (2 if said == "busy" else 1)
    assert (run.state, run.ended_at) == ("exhausted", NOW)
    assert steps.todo(run, NOW) == [Action("report")]


@pytest.mark.parametrize(
    ("events", "after", "todo"),
    [
        ([], 0, [Action("dial", 1)]),
        ([("claim", 1)], LEASE - 1, []),
        ([("claim", 1)], LEASE, [Action("look up", 1)]),
        (RINGING, 20 + GRACE - 1, []),
        (RINGING, 20 + GRACE, [Action("check", 1)]),
        ([*RINGING, ("answered", 1, A)], TELLING - 1, []),
        ([*RINGING, ("answered", 1, A)], TELLING, [Action("check", 1)]),
        ([*RINGING, ("status", 1, A, "in-progress")], TELLING - 1, []),
        ([("claim", 1), ("put_back", 1, "HTTP 429")], PAUSE - 1, []),
        ([("claim", 1), ("put_back", 1, "HTTP 429")], PAUSE, [Action("dial", 1)]),
        ([*RINGING, ("acknowledge", 1)], 9999, []),
        ([("claim", 1), ("acknowledge", 1)], 9999, []),
        ([("acknowledge", 1)], 9999, []),
    ],
)
def test_what_is_to_be_done_and_when(events, after, todo):
    run = told(started(), *events)
    assert steps.todo(run, NOW + after) == todo
    due = steps.due_at(run)
    assert (due is not None and due <= NOW + after) == bool(todo)


def test_a_dial_is_claimed_once_and_in_its_time():
    run = told(started(), ("claim", 1))
    assert run.attempts[0].phase == "dialling"
    assert told(run, ("claim", 1)) is run
    waiting = told(run, ("put_back", 1, "HTTP 429"))
    assert waiting.attempts[0].detail == "HTTP 429"
    assert told(waiting, ("claim", 1), now=NOW + PAUSE - 1) is waiting
    assert told(waiting, ("claim", 1), now=NOW + PAUSE).attempts[0].phase == "dialling"


def test_a_lost_dial_is_dialled_anew_after_its_lease():
    run = told(started(), ("claim", 1))
    assert told(run, ("lost", 1), now=NOW + LEASE - 1) is run
    anew = told(run, ("lost", 1), now=NOW + LEASE)
    assert steps.todo(anew, NOW + LEASE) == [Action("dial", 1)]
    assert anew.attempts[0].began_at == NOW


@pytest.mark.parametrize("phase", ["due", "dialling", "ringing", "talking"])
def test_after_an_hour_of_silence_the_rotation_is_given_up(phase):
    run = started()
    run = replace(run, attempts=(replace(run.attempts[0], phase=phase, sid=A),))
    assert told(run, ("held_up", 1, "HTTP 500"), now=NOW + PATIENCE) is run
    late = NOW + PATIENCE + 1
    over = told(run, ("held_up", 1, "HTTP 500"), now=late)
    assert (over.state, over.ended_at, len(over.attempts)) == ("exhausted", late, 1)
    assert (over.attempts[0].outcome, over.attempts[0].detail) == ("unreachable", "HTTP 500")
    assert steps.todo(over, late) == [Action("report")]
    assert told(over, ("held_up", 1, "HTTP 500"), now=late) is over


@pytest.mark.parametrize("step", [("put_back", 1, "x"), ("lost", 1)])
def test_after_an_acknowledgement_nobody_is_dialled(step):
    # Two are on the way at once only where a key comes late: the first's, here.
    run = told(started(), *ends(1, "no-answer"), ("claim", 2), ("acknowledge", 1))
    after = told(run, (step[0], 2, *step[2:]), now=NOW + LEASE)
    assert after.attempts[1].outcome == "not needed"
    assert steps.due_at(after) is None
    run = told(started(), *ends(1, "no-answer"), ("acknowledge", 1))
    assert run.attempts[1].outcome == "not needed"
    assert told(run, ("claim", 2)) is run


@pytest.mark.parametrize(
    ("second", "deed"),
    [
        ([("claim", 2), ("dialled", 2, B)], [Action("hang up", 2)]),
        ([("claim", 2)], []),
        ([("claim", 2), ("answered", 2, B)], []),
    ],
)
def test_a_late_acknowledgement_hangs_up_what_still_rings(second, deed):
    run = told(started(), *ends(1, "completed"), *second, ("acknowledge", 1))
    assert (run.state, run.acknowledged_by, run.attempts[0].outcome) == (
        "acknowledged",
        1,
        "acknowledged",
    )
    assert steps.todo(run, NOW) == deed
    # The answer to a dial that was on its way comes: that is hung up, too.
    if second == [("claim", 2)]:
        assert steps.todo(told(run, ("dialled", 2, B)), NOW) == [Action("hang up", 2)]
    assert steps.due_at(told(run, ("status", 2, B, "completed"))) is None


def test_who_was_first_stays_first():
    run = told(started(), *ends(1, "completed"), ("answered", 2, B), ("acknowledge", 2))
    assert told(run, ("acknowledge", 1)) is run
    assert run.acknowledged_by == 2


def test_an_acknowledgement_after_exhaustion_counts_and_ends_the_report():
    run = told(started(MEMBERS[:1], rounds=1), *ends(1, "completed"))
    assert run.state == "exhausted"
    run = told(run, ("acknowledge", 1), now=NOW + 9)
    assert (run.state, run.ended_at, steps.due_at(run)) == ("acknowledged", NOW + 9, None)
    assert told(run, ("reporting",)) is run


@pytest.mark.parametrize(
    "event",
    [
        ("status", 1, A, "queued"),
        ("status", 1, A, "ringing"),
        ("status", 1, B, "ringing"),
        ("status", 1, B, "completed"),
        ("status", 1, B, "in-progress"),
        ("answered", 1, B),
        ("dialled", 1, B),
        ("dialled", 1, A),
        ("claim", 1),
        ("put_back", 1, "x"),
        ("lost", 1),
        ("reporting",),
        *[(step, number) for step in ("claim", "lost", "acknowledge") for number in (0, -1, 2)],
        ("status", 2, A, "completed"),
        ("answered", 0, A),
        ("ended", 2, "stuck"),
        ("put_back", 2, "x"),
        ("held_up", 2, "x"),
    ],
)
def test_what_does_not_fit_changes_nothing(event):
    run = told(started(), *RINGING)
    assert told(run, event) == run


@pytest.mark.parametrize("said", ["queued", "initiated", "ringing", "in-progress", "busy"])
@pytest.mark.parametrize("final", list(steps.FINAL))
def test_nothing_follows_a_last_word(said, final):
    run = told(started(), *ends(1, final))
    assert told(run, ("status", 1, A, said)) is run
    assert told(run, ("answered", 1, A)) is run


@pytest.mark.parametrize("said", ["queued", "initiated", "ringing"])
def test_a_call_that_is_answered_rings_no_more(said):
    run = told(started(), *RINGING, ("answered", 1, A))
    assert told(run, ("status", 1, A, said), now=NOW + 9) is run
    assert told(run, ("status", 1, A, "in-progress"), now=NOW + 9) is run


@pytest.mark.parametrize("said", ["ringing", "in-progress"])
def test_a_status_before_the_dialler_hears_its_answer(said):
    run = told(started(), ("claim", 1), ("status", 1, A, said))
    assert run.attempts[0].sid == A
    assert run.attempts[0].phase == ("ringing" if said == "ringing" else "talking")
    assert told(run, ("dialled", 1, A), now=NOW + 3) is run


def test_a_call_that_waited_at_twilio_has_its_time_from_its_first_ring():
    run = told(started(), *RINGING)
    rings = told(run, ("status", 1, A, "ringing"), now=NOW + 45)
    assert steps.due_at(rings) == NOW + 45 + 20 + GRACE
    assert told(rings, ("status", 1, B, "ringing"), now=NOW + 50) is rings
    for said in ("queued", "initiated"):
        assert told(run, ("status", 1, A, said), now=NOW + 45) is run


def test_what_begins_to_ring_after_an_acknowledgement_is_hung_up_at_once():
    run = told(started(), *ends(1, "completed"), ("claim", 2), ("dialled", 2, B))
    run = told(run, ("acknowledge", 1), ("status", 2, B, "ringing"), now=NOW + 9)
    assert steps.todo(run, NOW + 9) == [Action("hang up", 2)]


FOUND = [("claim", 1), ("found", 1, B, "ringing")]


@pytest.mark.parametrize("before", [[], [("found", 1, B, "queued")], [("found", 1, B, "ringing")]])
@pytest.mark.parametrize(
    ("word", "phase"),
    [
        (("status", 1, A, "ringing"), "ringing"),
        (("answered", 1, A), "talking"),
        (("status", 1, A, "busy"), "over"),
    ],
)
def test_a_webhook_knows_better_than_a_look_up_which_call_it_is(before, word, phase):
    run = told(started(), *FOUND, *before, word)
    assert (run.attempts[0].phase, run.attempts[0].sid) == (phase, A)
    # Once that is known, no other call's word counts.
    assert told(run, ("status", 1, B, "completed"), ("answered", 1, B), now=NOW + 5) is run


def test_a_call_that_a_webhook_has_named_is_no_guess():
    run = told(started(), *FOUND, ("status", 1, B, "ringing"))
    assert told(run, ("status", 1, A, "completed"), ("found", 1, A, "completed")) is run


def test_who_picks_up_after_another_call_was_taken_for_this_one_has_it():
    run = told(started(), *FOUND, ("found", 1, B, "completed"))
    assert run.attempts[0].outcome == "hung up"
    run, answer = reply(run, Heard(1, A, 0, ""), NOW)
    assert answer == Reply("tell")
    run, answer = reply(run, Heard(1, A, 0, "1"), NOW)
    assert (run.state, run.acknowledged_by, answer) == ("acknowledged", 1, Reply("thanks"))


def test_a_stuck_attempt_is_moved_on():
    run = told(started(), *RINGING, ("ended", 1, "stuck"))
    assert shown(run) == [(0, False, "stuck"), (1, False, None)]
    assert told(run, ("ended", 1, "stuck")) is run


def test_the_report_is_claimed_and_repeated_so_often():
    run = told(started(MEMBERS[:1], rounds=1), *ends(1, "failed"))
    for count in range(1, REPORTS + 1):
        at = NOW + (count - 1) * PAUSE
        run = told(run, ("reporting",), now=at)
        assert run.report.tries == count
        assert steps.todo(run, at + PAUSE - 1) == []
        assert told(run, ("reporting",), now=at) is run
    assert steps.due_at(run) is None
    once = told(started(MEMBERS[:1], rounds=1), *ends(1, "failed"), ("reporting",))
    assert steps.due_at(steps.reported(once)) is None


def test_after_a_round_in_which_somebody_was_busy_there_is_a_pause():
    """They may be on the phone about another alert."""
    run = started(MEMBERS[:1], rounds=2)
    for number in (1, 2):
        run = steps.ended(run, number, "busy", NOW)
    assert (run.attempts[2].due_at, run.attempts[2].again) == (NOW + PAUSE, False)
    calm = steps.ended(started(MEMBERS[:1], rounds=2), 1, "no answer", NOW)
    assert calm.attempts[1].due_at == NOW
