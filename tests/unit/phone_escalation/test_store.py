import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from common import aws
from phone_escalation import rotation, store
from phone_escalation.session import LIFE, new_token, standing
from tests.unit.phone_escalation.samples import MEMBERS, NOW, TOKEN, a_session, started

FIRST, SECOND = "first-session-of-a-test", "second-session-of-a-test"


def item(token=TOKEN):
    return store.get(token)


def opened(token, at=NOW, most=20, **fields):
    plain = {"token": token, "started_at": at, "expires_at": at + LIFE}
    session, joined = store.open_or_join(a_session(**(plain | fields)), most)
    return session.token, session.alerts, joined


def change(step, *arguments, token=TOKEN, now=NOW):
    return store.change(token, now, lambda run: step(run, *arguments, now))


def test_a_session_comes_back_as_it_was(table):
    run = rotation.claim(started(), 1, NOW)
    session = a_session(slack_channel="C1", rotation=rotation.dialled(run, 1, "CA1", NOW))
    assert store.open_or_join(session, 1) == (session, False)
    assert store.load(session.token, NOW) == session


@pytest.mark.parametrize(
    ("token", "now", "group", "there"),
    [
        (TOKEN, NOW, None, True),
        (TOKEN, NOW, "database", True),
        (TOKEN, NOW, "web", False),
        (TOKEN, NOW + LIFE - 1, None, True),
        (TOKEN, NOW + LIFE, None, False),
        ("nothing-of-that-name", NOW, None, False),
        ("", NOW, None, False),
        ("x" * 3000, NOW, None, False),
        ("roster", NOW, None, False),
        ("bundle#production#database#disk_full", NOW, None, False),
        (f"throttle#production#database#{NOW // 3600}", NOW, None, False),
    ],
)
def test_what_is_loaded(table, token, now, group, there):
    opened(TOKEN)
    store.put({"token": "roster", "rows": b"x", "read_at": NOW})
    assert (store.load(token, now, group) is not None) is there
    assert (store.change(token, now, lambda run: run, group) is not None) is there


@pytest.mark.parametrize(
    ("step", "arguments", "due_at", "act"),
    [
        (rotation.claim, (1,), NOW + rotation.LEASE, None),
        (rotation.dialled, (1, "CA1"), NOW + 50, None),
        (rotation.ended, (1, "stuck"), NOW, "now"),
        (rotation.acknowledge, (1,), None, None),
    ],
)
def test_what_is_to_be_done_at_once_is_marked_and_what_is_due_is_indexed(
    table, step, arguments, due_at, act
):
    opened(TOKEN)
    found = item()
    assert (found["act"], found["due_at"], found["sweep"]) == ("now", NOW, "yes")
    before, after = change(step, *arguments)
    found = item()
    assert (found.get("act"), found.get("due_at")) == (act, due_at)
    assert found.get("sweep") == (due_at and "yes")
    assert found["state"] == after.rotation.state
    assert (before.version, after.version, found["version"]) == (0, 1, 1)
    acknowledged = after.rotation.state == "acknowledged"
    assert found.get("bundle_until") == (NOW + 300 if acknowledged else None)


def test_what_changes_nothing_is_not_written(table):
    opened(TOKEN)
    before, after = change(rotation.dialled, 7, "CA1")
    assert before is after
    assert item()["version"] == 0


def test_a_change_that_another_one_crosses_is_made_anew(table):
    opened(TOKEN)
    crossed = []

    def step(run):
        if not crossed:
            crossed.append(change(rotation.claim, 1))
        return rotation.dialled(run, 1, "CA1", NOW)

    before, after = store.change(TOKEN, NOW, step)
    assert before.rotation.attempts[0].phase == "dialling"
    assert after.rotation.attempts[0].sid == "CA1"
    assert item()["version"] == 2


def test_a_change_that_is_crossed_again_and_again_fails(table, monkeypatch):
    opened(TOKEN)
    pauses = []
    monkeypatch.setattr(store, "sleep", pauses.append)
    monkeypatch.setattr(store, "_replace", lambda *_: False)
    with pytest.raises(store.Contended, match="toke… changed 20 times"):
        change(rotation.claim, 1)
    assert len(pauses) == len(set(pauses)) == 19
    assert all(0 <= pause <= store.PAUSE for pause in pauses)


def test_of_many_at_once_one_claims(table):
    opened(TOKEN)
    ready = threading.Barrier(4)

    def claim(_):
        ready.wait()
        before, after = change(rotation.claim, 1)
        return before is not after

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(claim, range(4))) == 1


@pytest.mark.parametrize(
    ("steps", "after", "joined"),
    [
        ([], 1, True),
        ([], 7200, True),
        ([("acknowledge", 1)], 299, True),
        ([("acknowledge", 1)], 300, False),
        ([("ended", 1, "no answer")], 1, False),
        ([("ended", 1, "no answer"), ("acknowledge", 1)], 1, True),
    ],
)
def test_the_same_alert_joins_while_it_calls_and_a_while_after_an_acknowledgement(
    table, steps, after, joined
):
    alone = rotation.start(MEMBERS[:1], 1, 20, NOW)
    assert opened(FIRST, rotation=alone) == (FIRST, 1, False)
    for name, *arguments in steps:
        change(getattr(rotation, name), *arguments, token=FIRST)
    found = opened(SECOND, NOW + after)
    assert found == ((FIRST, 2, True) if joined else (SECOND, 1, False))
    # The next one joins what is there now, and its count does not disturb the rotation's.
    assert opened("third-session-of-a-test", NOW + after)[0] == found[0]
    change(rotation.claim, 1, token=found[0])
    assert item(found[0])["alerts"] == found[1] + 1


def test_an_expired_session_is_not_joined(table):
    opened(FIRST)
    assert opened(SECOND, NOW + LIFE) == (SECOND, 1, False)


@pytest.mark.parametrize(
    "other", [{"message_id": "x"}, {"group_id": "web"}, {"env_type": "verification"}]
)
def test_another_alert_joins_nothing(table, other):
    opened(FIRST)
    assert opened(SECOND, **other) == (SECOND, 1, False)


def test_of_a_burst_one_opens_and_the_others_join(table):
    ready = threading.Barrier(8)

    def alert(_):
        ready.wait()
        return opened(new_token(), most=1)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(alert, range(8)))
    assert len({token for token, _, _ in found}) == 1
    assert sorted(alerts for _, alerts, _ in found) == list(range(1, 9))
    assert sum(not joined for _, _, joined in found) == 1


def test_a_group_has_so_many_escalations_an_hour(table):
    for number in range(3):
        opened(f"session-number-{number}", message_id=f"m{number}", most=3)
    with pytest.raises(store.Throttled, match="database: got more than its 3 escalations"):
        opened(SECOND, message_id="another", most=3)
    assert item(SECOND) is None
    assert item("bundle#production#database#another") is None
    # What joins is no escalation; the next hour, and another group, begin anew.
    assert opened(SECOND, message_id="m1", most=3)[2] is True
    assert opened(SECOND, message_id="another", group_id="web", most=3)[2] is False
    assert opened(FIRST, NOW + 3600, message_id="another", most=3)[2] is False


def test_a_join_that_meets_a_transaction_is_tried_again(table, monkeypatch):
    opened(FIRST)
    update, met = table.update_item, []

    def crossed(**fields):
        if not met:
            met.append(fields)
            error = {"Error": {"Code": "TransactionConflictException", "Message": "ongoing"}}
            raise table.exceptions.TransactionConflictException(error, "UpdateItem")
        return update(**fields)

    monkeypatch.setattr(table, "update_item", crossed)
    assert opened(SECOND) == (FIRST, 2, True)
    met.clear()
    assert change(rotation.claim, 1, token=FIRST)[1].version == 1


def test_the_overdue_are_found_the_oldest_first(table):
    for number, due in enumerate([NOW + 5, NOW - 5, NOW, NOW + 6, NOW - 9]):
        run = rotation.start(MEMBERS, 2, 20, due)
        session = a_session(token=f"session-number-{number}", rotation=run)
        store.put(store._item(session, NOW))
    store.put({"token": "roster", "rows": b"x"})
    names = [token[-1] for token in store.overdue(NOW + 5)]
    assert names == ["4", "1", "2", "0"]


def test_many_overdue_are_read_page_by_page(table, monkeypatch):
    for number in range(5):
        store.put(store._item(a_session(token=f"session-number-{number}"), NOW))
    client = aws.client("dynamodb")
    query = client.query
    monkeypatch.setattr(client, "query", lambda **fields: query(**fields, Limit=2))
    assert len(store.overdue(NOW)) == 5


def test_where_an_escalation_stands(table):
    run = rotation.dialled(rotation.claim(started(), 1, NOW), 1, "CA1", NOW)
    run = rotation.ended(run, 1, "stuck", NOW + 60, "ringing")
    run = rotation.acknowledge(run, 2, NOW + 90)
    session = a_session(rotation=run)
    store.put(store._item(replace(session, alerts=3), NOW))
    assert standing(store.load(TOKEN, NOW)) | {"text": ""} == {
        "state": "acknowledged",
        "group": "database",
        "message": "disk_full",
        "text": "",
        "env_type": "production",
        "alerts": 3,
        "started_at": "2026-11-23T02:13:20+00:00",
        "ended_at": "2026-11-23T02:14:50+00:00",
        "acknowledged_by": "鈴木 蓮",
        "attempts": [
            {
                "attempt": 1,
                "name": "佐藤 葵",
                "number": "…0001",
                "state": "over",
                "outcome": "stuck",
                "detail": "ringing",
                "began_at": "2026-11-23T02:13:20+00:00",
                "ended_at": "2026-11-23T02:14:20+00:00",
            },
            {
                "attempt": 2,
                "name": "鈴木 蓮",
                "number": "…0002",
                "state": "over",
                "outcome": "acknowledged",
                "detail": None,
                "began_at": "2026-11-23T02:14:20+00:00",
                "ended_at": "2026-11-23T02:14:50+00:00",
            },
        ],
    }


def test_tokens_are_long_and_of_characters_that_an_address_takes():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(store.TOKEN.fullmatch(token) and len(token) == 32 for token in tokens)
