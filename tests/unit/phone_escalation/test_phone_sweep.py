from dataclasses import replace
from types import SimpleNamespace

import pytest

from common.events import InvalidEvent
from common.failures import RunFailed
from phone_escalation import phone_sweep, rotation, store
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
    assert handler({}, context) == {"overdue": 0, "done": [], "left": []}


def test_all_that_is_overdue_is_moved_on_and_nothing_else(sessions, twilio, clock, context):
    tokens = sessions(3)
    clock.now += rotation.LEASE - 1
    assert handler({}, context)["overdue"] == 0
    clock.now += 1
    for deed in ("look up 1", "dial 1"):
        assert handler({}, context) == {"overdue": 3, "done": [deed] * 3, "left": []}
    assert handler({}, context)["overdue"] == 0
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
    assert handler({}, context) == {"overdue": 2, "done": [], "left": []}
    assert twilio.asked == []


@pytest.mark.parametrize(("remaining", "left"), [(25_000, 0), (24_999, 3)])
def test_what_there_is_no_time_for_is_left_to_the_next_minute(
    sessions, twilio, clock, remaining, left
):
    tokens = sessions(3)
    clock.now += rotation.LEASE
    found = handler({}, SimpleNamespace(get_remaining_time_in_millis=lambda: remaining))
    assert (len(found["done"]), len(twilio.asked)) == (3 - left, 3 - left)
    assert sorted(found["left"]) == [f"{token[:4]}…" for token in tokens][:left]


def test_what_fails_again_and_again_keeps_nothing_else_from_its_turn(table, context, monkeypatch):
    tokens = [f"{number}-session-of-a-test" for number in range(5)]
    monkeypatch.setattr(store, "overdue", lambda _: [*tokens])
    first = set()
    monkeypatch.setattr(phone_sweep, "AT_A_TIME", 1)
    monkeypatch.setattr(phone_sweep, "look_after", lambda token, _: [token])
    for _ in range(200):
        first.add(handler({}, context)["done"][0])
    assert first == set(tokens)


def test_the_payload_is_empty(table, context):
    with pytest.raises(InvalidEvent, match="unknown field: x"):
        handler({"x": 1}, context)
