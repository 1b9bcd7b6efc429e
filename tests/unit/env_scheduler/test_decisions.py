from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from env_scheduler import marks
from env_scheduler.decisions import Order, Resource, decide, suspicious
from env_scheduler.marks import Mark

TOKYO = ZoneInfo("Asia/Tokyo")
STOP = datetime(2026, 11, 25, 12, tzinfo=UTC)  # 21:00 in Tokyo
NOW = STOP + timedelta(minutes=15)
BEFORE = STOP - timedelta(days=1)


def stamp(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def resource(state, mark=None, keep=None, kind="ec2_instances", **fields):
    tags = {"Schedule": "office-hours"}
    if mark:
        tags[marks.MARK] = mark
    if keep:
        tags[marks.KEEP] = keep
    return Resource(
        kind=kind,
        name="a",
        ref="a",
        state=state,
        said=fields.pop("said", state),
        tags=tags,
        **fields,
    )


def order(action, *, grace=0, by_hand=False):
    return Order(action, STOP, TOKYO, by_hand=by_hand, grace=timedelta(minutes=grace))


@pytest.mark.parametrize(
    ("state", "mark", "deed", "reason"),
    [
        ("on", None, "note", "is new to the schedule: stays on until the next boundary"),
        ("on", "nonsense", "note", "is new to the schedule"),
        ("on", f"suspended {stamp(BEFORE)}", "suspend", "should be off since 2026-11-25 21:00 JST"),
        ("on", f"started {stamp(BEFORE)}", "suspend", "should be off"),
        ("on", f"woken {stamp(BEFORE)}", "suspend", "should be off"),
        ("on", f"suspended {stamp(STOP)}", "note", "was started by hand"),
        ("on", f"woken {stamp(STOP + timedelta(minutes=5))}", "leave", "was started by hand"),
        ("on", f"started {stamp(STOP + timedelta(minutes=5))}", "leave", "was started by hand"),
        ("off", None, "note", "is off already"),
        ("off", f"suspended {stamp(BEFORE)}", "note", "is off already"),
        ("off", f"suspended {stamp(STOP)}", "leave", "is off already"),
        ("off", f"woken {stamp(NOW)}", "note", "is off already"),
        ("half", None, "suspend", "in part"),
        ("half", f"suspended {stamp(BEFORE)}", "suspend", "in part"),
        ("half", f"suspended {stamp(STOP)}", "note", "was started by hand"),
        ("half", f"woken {stamp(NOW)}", "leave", "was started by hand"),
        ("between", None, "wait", "is stopping: the next run"),
        ("odd", None, "skip", "neither on nor off"),
    ],
)
def test_when_it_should_be_off(state, mark, deed, reason):
    said = "stopping" if state == "between" else state
    step = decide(resource(state, mark, said=said), order("suspend"), NOW)
    assert (step.deed, step.reason.count(reason)) == (deed, 1), step.reason
    assert (step.mark is None) == (deed in ("leave", "wait", "skip"))


@pytest.mark.parametrize(
    ("state", "mark", "deed", "reason"),
    [
        ("off", None, "note", "is new to the schedule: stays off until the next start"),
        ("off", "nonsense", "note", "is new to the schedule"),
        ("off", f"suspended {stamp(BEFORE)}", "start", "should be on since 2026-11-25 21:00 JST"),
        ("off", f"started {stamp(BEFORE)}", "start", "should be on"),
        ("off", f"started {stamp(STOP)}", "leave", "was stopped by hand"),
        ("off", f"suspended {stamp(NOW)}", "leave", "was stopped by hand"),  # by our own hand
        ("on", f"suspended {stamp(BEFORE)}", "note", "is on already"),
        ("on", f"started {stamp(STOP)}", "leave", "is on already"),
        ("half", f"suspended {stamp(BEFORE)}", "start", "in part"),
        ("half", f"started {stamp(STOP)}", "leave", "was changed by hand"),
        ("between", None, "wait", "the next run"),
    ],
)
def test_when_it_should_be_on(state, mark, deed, reason):
    step = decide(resource(state, mark), order("start"), NOW)
    assert (step.deed, step.reason.count(reason)) == (deed, 1), step.reason


@pytest.mark.parametrize(
    ("keep", "deed", "reason"),
    [
        ("2026-12-01T02:00+09:00", "leave", "KeepUntil 2026-12-01T02:00+09:00"),
        ("2026-11-25T21:15:01+09:00", "leave", "KeepUntil"),
        ("2026-11-25T21:15:00+09:00", "suspend", "KeepUntil 2026-11-25T21:15:00+09:00 is over"),
        ("2026-11-25T20:59:59+09:00", "suspend", "should be off"),  # of an earlier night
        ("2026-11-25T12:15:01Z", "leave", "KeepUntil"),
        ("2026-12-01T02:00", "skip", "KeepUntil: got '2026-12-01T02:00', takes a time with its"),
        ("tomorrow", "skip", "KeepUntil: got 'tomorrow'"),
    ],
)
@pytest.mark.parametrize("by_hand", [True, False])
def test_a_persons_tag_is_obeyed(keep, deed, reason, by_hand):
    mark = f"started {stamp(BEFORE)}"
    step = decide(resource("on", mark, keep), order("suspend", by_hand=by_hand), NOW)
    assert step.deed == deed
    assert reason in step.reason or by_hand


@pytest.mark.parametrize(
    ("mark", "deed"),
    [
        (None, "suspend"),
        (f"started {stamp(BEFORE)}", "suspend"),
        (f"woken {stamp(STOP + timedelta(minutes=5))}", "suspend"),
        (f"suspended {stamp(STOP)} since {stamp(STOP)}", "suspend"),
        # Woken after the tag's time, or put to sleep by it and woken again.
        (f"woken {stamp(STOP + timedelta(minutes=10))}", "leave"),
        (f"suspended {stamp(STOP)} since {stamp(STOP + timedelta(minutes=10))}", "note"),
    ],
)
def test_what_a_persons_tag_kept_on_sleeps_when_its_time_is_over(mark, deed):
    step = decide(resource("on", mark, "2026-11-25T21:10+09:00"), order("suspend"), NOW)
    assert step.deed == deed, step.reason
    assert (deed == "suspend") == (step.reason == "KeepUntil 2026-11-25T21:10+09:00 is over")


def test_room_without_tasks_is_nobodys_work():
    size = {"min": 0, "max": 4, "desired": 0}
    group = resource("half", f"suspended {stamp(STOP)}", kind="auto_scaling_groups", size=size)
    assert decide(group, order("suspend"), NOW).deed == "leave"


def test_the_tag_keeps_nothing_from_being_started_or_noted():
    asleep = resource("off", f"suspended {stamp(BEFORE)}", "tomorrow")
    assert decide(asleep, order("start"), NOW).deed == "start"
    assert decide(resource("off", None, "tomorrow"), order("suspend"), NOW).deed == "note"


@pytest.mark.parametrize(
    ("woken", "after", "deed"),
    [
        (59, 0, "leave"),
        (60, 119, "leave"),
        (61, 0, "suspend"),  # not within the last hour
        (30, 120, "suspend"),  # the grace is over
    ],
)
def test_grace_for_work_at_night(woken, after, deed):
    mark = f"woken {stamp(STOP - timedelta(minutes=woken))}"
    now = STOP + timedelta(minutes=after)
    step = decide(resource("on", mark), order("suspend", grace=120), now)
    assert step.deed == deed
    if deed == "leave":
        assert "stays on until 23:00 JST" in step.reason
    assert decide(resource("on", mark), order("suspend"), now).deed == "suspend"


@pytest.mark.parametrize("action", ["suspend", "start"])
def test_by_hand_is_by_hand(action):
    right, wrong = ("off", "on") if action == "suspend" else ("on", "off")
    for mark in (None, f"suspended {stamp(NOW)}", f"started {stamp(NOW)}"):
        assert decide(resource(wrong, mark), order(action, by_hand=True), NOW).deed == action
    what = "suspended" if action == "suspend" else "started"
    settled = resource(right, f"{what} {stamp(BEFORE)}")
    assert decide(settled, order(action, by_hand=True), NOW).deed == "leave"
    stuck = resource(wrong, obstacle="is a read replica")
    assert decide(stuck, order(action, by_hand=True), NOW).deed == "skip"


@pytest.mark.parametrize(
    ("kind", "days", "restarted", "deed"),
    [
        ("rds_instances", 0, False, "note"),
        ("rds_instances", 0, True, "suspend"),  # an event says so
        ("rds_instances", 6.9, False, "note"),
        ("rds_instances", 7, False, "suspend"),
        ("rds_clusters", 7, False, "suspend"),
        ("ec2_instances", 30, False, "note"),  # AWS starts nothing else
    ],
)
def test_databases_that_aws_started_again(kind, days, restarted, deed):
    since = NOW - timedelta(days=days)
    mark = f"suspended {stamp(STOP)} since {stamp(since)}"
    step = decide(resource("on", mark, kind=kind), order("suspend"), NOW, restarted=restarted)
    assert step.deed == deed
    if deed == "suspend":
        assert "after 7 days" in step.reason
        assert step.mark.since == NOW


@pytest.mark.parametrize(
    ("kind", "slept", "time", "known"),
    [
        ("rds_instances", timedelta(days=7), STOP, True),  # AWS starts it in some minutes
        ("rds_instances", timedelta(days=7, hours=1), STOP, False),
        ("rds_instances", timedelta(days=7, hours=1), BEFORE, False),
        ("rds_clusters", timedelta(days=30), STOP, False),
        ("ec2_instances", timedelta(days=30), STOP, True),
    ],
)
def test_no_database_sleeps_for_longer_than_aws_lets_it(kind, slept, time, known):
    """AWS started it, it was stopped again, and no mark could be written."""
    mark = f"suspended {stamp(time)} since {stamp(NOW - slept)}"
    step = decide(resource("off", mark, kind=kind), order("suspend"), NOW)
    assert step.deed == ("leave" if known else "note")
    if step.mark:
        assert (step.mark.time, step.mark.since) == (STOP, NOW)
        later = resource("on", str(step.mark), kind=kind)
        assert "by hand" in decide(later, order("suspend"), NOW + timedelta(hours=1)).reason


def test_only_what_may_be_aws_own_doing_is_suspicious():
    mark = f"suspended {stamp(BEFORE)} since {stamp(BEFORE - timedelta(days=3))}"
    asleep = resource("on", mark, kind="rds_instances")
    assert suspicious(asleep, order("suspend")) == BEFORE - timedelta(days=3)
    assert suspicious(asleep, order("start")) is None
    assert suspicious(replace(asleep, state="off"), order("suspend")) is None
    assert suspicious(replace(asleep, kind="ec2_instances"), order("suspend")) is None


def test_a_size_that_nobody_knows_is_not_guessed():
    group = resource("off", size={"min": 0, "max": 0, "desired": 0}, kind="auto_scaling_groups")
    step = decide(group, order("start"), NOW)
    assert step.deed == "skip"
    assert "mimamori:size" in step.reason


def settle(current, action, time, now, state_after=None):
    """What a run makes of a resource: its next state and mark."""
    step = decide(current, replace(order(action), time=time), now)
    state = {"suspend": "off", "start": "on"}.get(step.deed, current.state)
    tags = current.tags | ({marks.MARK: str(step.mark)} if step.mark else {})
    return step.deed, replace(current, state=state_after or state, tags=tags)


def test_a_day_of_stop_only_with_a_person():
    first, second = BEFORE, STOP
    quarter = timedelta(minutes=15)
    deed, new = settle(resource("on"), "suspend", first - 2 * quarter, first - quarter)
    assert (deed, new.state) == ("note", "on")
    deed, it = settle(new, "suspend", first, first)
    assert (deed, it.state) == ("suspend", "off")
    deed, it = settle(it, "suspend", first, first + quarter)
    assert deed == "leave"
    # Nobody needed it the day after; the next evening is noted, so that the night is a new one.
    deed, it = settle(it, "suspend", second, second)
    assert deed == "note"
    awake = replace(it, state="on")
    deed, awake = settle(awake, "suspend", second, second + quarter)
    assert deed == "note"
    for runs in range(2, 90):
        deed, awake = settle(awake, "suspend", second, second + runs * quarter)
        assert deed == "leave"
    deed, awake = settle(awake, "suspend", second + timedelta(days=1), second + timedelta(days=1))
    assert deed == "suspend"


def test_what_joins_the_schedule_stopped_wakes_at_the_next_start():
    day = timedelta(days=1)
    quarter = timedelta(minutes=15)
    deed, it = settle(resource("off"), "start", STOP, STOP + 6 * quarter)
    assert (deed, it.state) == ("note", "off")
    deed, it = settle(it, "start", STOP, STOP + 7 * quarter)
    assert deed == "leave"
    deed, it = settle(it, "start", STOP + day, STOP + day)
    assert (deed, it.state) == ("start", "on")


def test_a_missed_evening_is_caught_up_in_the_night():
    deed, _ = settle(
        resource("on", f"started {stamp(BEFORE)}"), "suspend", STOP, STOP + 7 * (NOW - STOP)
    )
    assert deed == "suspend"


# --- marks

MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(
    st.sampled_from(["suspended", "started", "woken"]),
    MOMENTS,
    st.none() | MOMENTS,
    st.integers(0, 7440).map(lambda tenths: tenths / 10),
)
def test_a_mark_is_read_as_it_was_written(what, time, since, saved):
    mark = Mark(what, time, since, "2026-11" if saved else "", saved)
    text = str(mark)
    assert marks.read({marks.MARK: text}) == mark
    assert len(text) <= 256
    assert not set(text) & set(",*")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("min=1 max=4 desired=2", {"min": 1, "max": 4, "desired": 2}),
        ("desired=2", {"desired": 2}),
        ("min=1, max=4 desired=2", None),
        ("min=1 max=4 desired=2x", None),
        ("min=1 max=4 desired=-2", None),
        ("", None),
    ],
)
def test_sizes_are_read_whole_or_not_at_all(text, size):
    assert marks.size({marks.SIZE: text}) == size


@pytest.mark.parametrize("text", ["", "asleep", "suspended 2026-13-01T00:00:00Z", "suspended now"])
def test_what_is_no_mark_is_none(text):
    assert marks.read({marks.MARK: text}) is None


def test_hours_of_sleep_add_up_within_a_month():
    def at(text):
        return datetime.fromisoformat(text).replace(tzinfo=TOKYO)

    mark = marks.following(None, "suspended", at("2026-11-25 21:00"), at("2026-11-25 21:00"), TOKYO)
    assert marks.hours(mark, at("2026-11-26 09:00"), TOKYO) == 12
    mark = marks.confirmed(mark, "suspended", at("2026-11-26 21:00"), at("2026-11-26 21:00"), TOKYO)
    assert mark.since == at("2026-11-25 21:00")
    mark = marks.following(mark, "woken", at("2026-11-27 09:00"), at("2026-11-27 09:00"), TOKYO)
    assert (mark.month, mark.saved) == ("2026-11", 36)
    mark = marks.following(mark, "suspended", at("2026-11-30 21:00"), at("2026-11-30 21:00"), TOKYO)
    assert marks.hours(mark, at("2026-11-30 23:00"), TOKYO) == 38
    # The new month begins at its first hour.
    assert marks.hours(mark, at("2026-12-01 06:00"), TOKYO) == 6
    mark = marks.following(mark, "started", at("2026-12-01 08:00"), at("2026-12-01 08:00"), TOKYO)
    assert (mark.month, mark.saved) == ("2026-12", 8)
