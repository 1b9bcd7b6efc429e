from dataclasses import replace

import pytest

from common.events import InvalidEvent
from common.failures import RunFailed
from phone_escalation import rotation, store
from phone_escalation.phone_sweep import handler
from tests.unit.phone_escalation.samples import NOW, a_session, started


@pytest.fixture
def sessions(save, secrets):
    """Return a function that saves sessions whose dialler died: their claim is of the beginning."""

    def make(count):
        tokens = [f"{number}-session-of-a-test" for number in range(count)]
        for token in tokens:
            run = rotation.claim(started(), 1, NOW)
            save(replace(a_session(), token=token, rotation=run))
        return tokens

    return make


def test_nothing_is_overdue(table, context):
    assert handler({}, context) == {"overdue": 0, "done": []}


def test_all_that_is_overdue_is_moved_on_and_nothing_else(sessions, twilio, clock, context):
    tokens = sessions(3)
    clock.now += rotation.LEASE - 1
    assert handler({}, context)["overdue"] == 0
    clock.now += 1
    assert handler({}, context) == {"overdue": 3, "done": ["look up 1"] * 3}
    assert handler({}, context) == {"overdue": 3, "done": ["dial 1"] * 3}
    assert handler({}, context) == {"overdue": 0, "done": []}
    assert len(twilio.calls) == 3
    sids = {store.load(token, clock.now).rotation.attempts[0].sid for token in tokens}
    assert sids == set(twilio.calls)


def test_what_fails_is_named_and_the_others_are_moved_on(
    sessions, twilio, clock, context, monkeypatch
):
    sessions(3)
    clock.now += rotation.LEASE
    load = store.load

    def broken(token, *given):
        if token.startswith("1"):
            raise RuntimeError("no")
        return load(token, *given)

    monkeypatch.setattr(store, "load", broken)
    with pytest.raises(RunFailed, match=r"^1 of 3 failed: 1-se…: no$"):
        handler({}, context)
    found = [load(f"{n}-session-of-a-test", clock.now).rotation for n in range(3)]
    assert [run.attempts[0].phase for run in found] == ["due", "dialling", "due"]


def test_expired_sessions_are_left(sessions, twilio, expired, context):
    sessions(2)
    expired()
    assert handler({}, context) == {"overdue": 2, "done": []}
    assert twilio.asked == []


def test_the_payload_is_empty(table, context):
    with pytest.raises(InvalidEvent, match="unknown field: x"):
        handler({"x": 1}, context)
