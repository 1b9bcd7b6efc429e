import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from common import aws
from phone_escalation import rotation, store
from phone_escalation.session import LIFE, MOST_ALERTS, new_token, standing
from tests.unit.phone_escalation.samples import (
    DISK,
    MEMBERS,
    NOW,
    TOKEN,
    a_session,
    acknowledge,
    an_alert,
    started,
)

FIRST, SECOND = "first-session-of-a-test", "second-session-of-a-test"


def item(token=TOKEN):
    return store.get(token)


def opened(token, at=NOW, most=20, alert=DISK, members=MEMBERS, rounds=2, **fields):
    plain = {
        "token": token,
        "started_at": at,
        "expires_at": at + LIFE,
        "alerts": {alert: an_alert(alert, at=at)},
        "rotation": rotation.start(members, rounds, 20, alert, at),
    }
    session, _, joined = store.open_or_join(a_session(**(plain | fields)), most)
    return session.token, session.count, joined


def is_over(token, at=NOW):
    """Somebody takes what waits, and hangs up."""
    number = len(store.load(token, at).rotation.attempts)
    change(acknowledge, number, token=token, now=at)
    change(rotation.status, number, f"CA{number}", "completed", token=token, now=at)


def change(step, *arguments, token=TOKEN, now=NOW):
    return store.change(token, now, lambda run: step(run, *arguments, now))


def test_a_session_comes_back_as_it_was(table):
    run = rotation.claim(started(), 1, NOW)
    session = a_session(slack_channel="C1", rotation=rotation.dialled(run, 1, "CA1", NOW))
    assert store.open_or_join(session, 1) == (session, DISK, False)
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
        ("group#production#database", NOW, None, False),
        ("alert#production#database#disk", NOW, None, False),
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
        (acknowledge, (1,), None, None),
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
    assert opened(FIRST, members=MEMBERS[:1], rounds=1) == (FIRST, 1, False)
    for name, *arguments in steps:
        step = acknowledge if name == "acknowledge" else getattr(rotation, name)
        change(step, *arguments, token=FIRST)
    change(rotation.status, 1, "CA1", "ringing" if not steps else "completed", token=FIRST)
    found = opened(SECOND, NOW + after)
    assert found == ((FIRST, 2, True) if joined else (SECOND, 1, False))
    # The next one joins what is there now, and its count does not disturb the rotation's.
    assert opened("third-session-of-a-test", NOW + after)[0] == found[0]
    change(rotation.claim, 1, token=found[0])
    assert store.load(found[0], NOW + after).count == found[1] + 1


def test_an_expired_session_is_not_joined(table):
    opened(FIRST)
    assert opened(SECOND, NOW + LIFE) == (SECOND, 1, False)


@pytest.mark.parametrize("other", [{"group_id": "web"}, {"env_type": "verification"}])
def test_an_alert_of_another_group_joins_nothing(table, other):
    opened(FIRST)
    assert opened(SECOND, **other) == (SECOND, 1, False)


def test_another_alert_is_told_in_the_calls_that_go_on(table):
    opened(FIRST)
    change(rotation.claim, 1, token=FIRST)
    assert opened(SECOND, alert="other") == (FIRST, 2, True)
    assert opened(SECOND, alert="other") == (FIRST, 3, True)
    session = store.load(FIRST, NOW)
    assert (session.rotation.waiting, session.repeats) == ((DISK, "other"), {"other": 1})
    assert (session.rotation.attempts[0].phase, item(SECOND)) == ("dialling", None)


@pytest.mark.parametrize(
    ("after", "first"), [(0, 1), (299, 1), (300, 0)], ids=["at once", "within", "later"]
)
def test_what_comes_after_the_acknowledgement_rings_who_acknowledged(table, after, first):
    opened(FIRST)
    change(rotation.ended, 1, "no answer", token=FIRST)
    is_over(FIRST)
    assert opened(SECOND, NOW + after, alert="other") == (SECOND, 1, False)
    assert store.load(SECOND, NOW + after).rotation.attempts[0].member == first
    # The alert that was acknowledged joins all the same.
    found = opened("third-session-of-a-test", NOW + after)
    assert found == (FIRST if after < 300 else SECOND, 2, True)


def test_while_the_last_words_are_said_nobody_is_dialled(table):
    opened(FIRST)
    for step, *arguments in (
        (rotation.claim, 1), (rotation.answered, 1, "CA1"), (acknowledge, 1)
    ):  # fmt: skip
        change(step, *arguments, token=FIRST)
    assert opened(SECOND, alert="other") == (FIRST, 2, True)
    run = store.load(FIRST, NOW).rotation
    assert (run.state, run.waiting, rotation.todo(run, NOW)) == ("calling", ("other",), [])
    assert item(FIRST)["due_at"] == NOW + rotation.FAREWELL
    # As soon as the line is free, they are.
    change(rotation.status, 1, "CA1", "completed", token=FIRST)
    assert item(FIRST)["act"] == "now"
    run = store.load(FIRST, NOW).rotation
    assert rotation.todo(run, NOW) == [rotation.Action("dial", 2)]
    assert run.attempts[1].member == 0


def test_an_alert_that_comes_while_key_1_is_pressed_is_not_covered_by_it(table):
    opened(FIRST)
    change(rotation.answered, 1, "CA1", token=FIRST)
    change(lambda run, _: rotation.tell(run, 1, 5), token=FIRST)
    crossed = []

    def press(run):
        if not crossed:
            crossed.append(opened(SECOND, alert="other"))
        return rotation.acknowledge(run, 1, 0, NOW)

    _, after = store.change(FIRST, NOW, press)
    assert (crossed, after.rotation.state) == ([(FIRST, 2, True)], "calling")
    assert after.rotation.waiting == ("other",)


def test_an_escalation_has_so_many_alerts(table):
    opened(FIRST)
    for number in range(1, MOST_ALERTS):
        opened(SECOND, alert=f"alert-{number}")
    with pytest.raises(store.Throttled, match="database: is being phoned about 50 alerts already"):
        opened(SECOND, alert="one-too-many")
    assert opened(SECOND, alert="alert-9") == (FIRST, MOST_ALERTS + 1, True)


def test_many_alerts_at_once_are_all_told(table):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: opened(new_token(), alert=f"alert-{n}"), range(16)))
    (token,) = {token for token, _, _ in found}
    run = store.load(token, NOW).rotation
    assert set(run.waiting) == {f"alert-{n}" for n in range(16)}


def of_before(state="calling", **rotation_fields):
    """An item as it was written when a session had one alert."""
    written = store._item(a_session(), NOW)
    run = written["rotation"]
    for gone in ("waiting", "taken", "first", "base"):
        del run[gone]
    del written["repeats"], run["attempts"][0]["told"]
    texts = {"ja": "ディスクが一杯です。"}
    run |= {"state": state} | rotation_fields
    store.put(written | {"message_id": "disk_full", "texts": texts, "alerts": 3, "state": state})


def test_a_session_of_before_goes_on_to_its_end(table):
    of_before()
    session = store.load(TOKEN, NOW)
    assert (session.count, session.rotation.waiting) == (3, ("disk_full",))
    change(rotation.claim, 1)
    change(rotation.ended, 1, "no answer")
    after = change(rotation.acknowledge, 2, 0)[1]
    assert after.rotation.state == "calling"  # the second has heard nothing yet
    change(lambda run, _: rotation.tell(run, 2, 5))
    assert change(rotation.acknowledge, 2, 0)[1].rotation.state == "acknowledged"
    assert standing(store.load(TOKEN, NOW))["each_alert"][0]["acknowledged_by"] == "鈴木 蓮"


def test_a_session_of_before_that_was_acknowledged(table):
    of_before("acknowledged", acknowledged_by=1, ended_at=NOW)
    (alert,) = standing(store.load(TOKEN, NOW))["each_alert"]
    assert (alert["state"], alert["acknowledged_by"], alert["times"]) == (
        "acknowledged",
        "佐藤 葵",
        3,
    )


def test_a_report_of_before_goes_on(table):
    written = store._item(a_session(), NOW)
    run = written["rotation"]
    del run["report"]
    store.put(written | {"rotation": run | {"reports": 2, "report_due_at": NOW}})
    assert store.load(TOKEN, NOW).rotation.report == rotation.Notice(NOW, 2)
    assert change(rotation.reporting)[1].rotation.report == rotation.Notice(NOW + 60, 3)


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
        opened(f"session-number-{number}", alert=f"m{number}", most=3)
        is_over(f"session-number-{number}")
    with pytest.raises(store.Throttled, match="database: got more than its 3 escalations"):
        opened(SECOND, alert="another", most=3)
    assert item(SECOND) is None
    assert item("alert#production#database#another") is None
    # What joins is no escalation; the next hour, and another group, begin anew.
    assert opened(SECOND, alert="m1", most=3) == ("session-number-1", 2, True)
    assert opened(SECOND, alert="another", group_id="web", most=3)[2] is False
    assert opened(FIRST, NOW + 3600, alert="another", most=3)[2] is False


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
        run = rotation.start(MEMBERS, 2, 20, DISK, due)
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
    run = acknowledge(run, 2, NOW + 90)
    session = a_session(rotation=run)
    store.put(store._item(replace(session, repeats={DISK: 2}), NOW))
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
        "each_alert": [
            {
                "alert": DISK,
                "message": "disk_full",
                "text": "ディスクが一杯です。",
                "state": "acknowledged",
                "times": 3,
                "came_at": "2026-11-23T02:13:20+00:00",
                "acknowledged_by": "鈴木 蓮",
                "acknowledged_at": "2026-11-23T02:14:50+00:00",
            }
        ],
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
