"""What is seen for the first time follows a boundary that came after it was tagged.

A tag has no date: what is known is that the last whole look did not see it, and this one does.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.failures import RunFailed
from env_scheduler import decisions, ecs, handler, looks, marks, run, schedules
from env_scheduler.decisions import Resource
from env_scheduler.run import How, Selection
from env_scheduler.schedules import Schedule
from tests.unit.env_scheduler.conftest import TAG, end_all, executions
from tests.unit.env_scheduler.test_decisions import STOP, TOKYO, resource, stamp

QUARTER = timedelta(minutes=15)
LOOKED = STOP - QUARTER
NOW = STOP + timedelta(seconds=20)


def order(action="suspend", *, looked=LOOKED, grace=0, by_hand=False):
    grace = timedelta(minutes=grace)
    return decisions.Order(action, STOP, TOKYO, by_hand=by_hand, grace=grace, looked=looked)


@pytest.mark.parametrize(
    ("looked", "began", "deed"),
    [
        (LOOKED, None, "suspend"),
        (STOP - timedelta(days=3), None, "suspend"),  # what was missed is caught up
        (STOP - timedelta(seconds=1), None, "suspend"),
        (STOP, None, "note"),  # that look would have seen it
        (STOP + QUARTER, None, "note"),
        (None, None, "note"),  # the first look ever
        (LOOKED, STOP - timedelta(hours=1), "suspend"),
        (LOOKED, STOP - timedelta(seconds=1), "suspend"),
        (LOOKED, STOP, "note"),  # somebody's doing, after the boundary
        (LOOKED, STOP + timedelta(seconds=5), "note"),
    ],
)
def test_on_and_seen_for_the_first_time(looked, began, deed):
    step = decisions.decide(resource("on", began=began), order(looked=looked), NOW)
    assert step.deed == deed, step.reason
    assert ("is new" in step.reason) == (deed == "note")
    # Until it sleeps, it is remembered as one that was on before the boundary.
    seen = max(looked, began) if began and looked else looked
    assert str(step.seen) == (f"woken {stamp(seen)}" if deed == "suspend" else "None")


@pytest.mark.parametrize(("looked", "deed"), [(LOOKED, "start"), (STOP, "note"), (None, "note")])
def test_off_and_seen_for_the_first_time(looked, deed):
    step = decisions.decide(resource("off"), order("start", looked=looked), NOW)
    assert step.deed == deed, step.reason
    if step.seen:
        assert (step.seen.what, step.seen.time, step.seen.since) == ("suspended", LOOKED, NOW)
    assert bool(step.seen) == (deed == "start")


@pytest.mark.parametrize(
    ("fields", "deed"),
    [
        ({"state": "between"}, "wait"),
        ({"state": "odd"}, "skip"),
        ({"state": "on", "keep": "2026-12-01T02:00+09:00"}, "leave"),
        ({"state": "on", "keep": "tomorrow"}, "skip"),
    ],
)
def test_what_cannot_sleep_yet_is_remembered(fields, deed):
    step = decisions.decide(resource(**fields), order(), NOW)
    assert (step.deed, step.seen and step.seen.time) == (deed, LOOKED)
    later = resource("on", str(step.seen))
    assert decisions.decide(later, order(looked=NOW), NOW + QUARTER).deed == "suspend"


@pytest.mark.parametrize(
    "one",
    [
        resource("off"),
        resource("on", obstacle="is a read replica"),
        resource("on", f"started {stamp(STOP - QUARTER)}"),
    ],
    ids=["off", "obstacle", "known"],
)
def test_what_needs_no_such_mark(one):
    assert decisions.decide(one, order(), NOW).seen is None
    assert decisions.decide(resource("on"), order(by_hand=True), NOW).seen is None


def test_a_first_look_and_the_grace_of_work_at_night():
    """What may have been woken within the hour before has the grace, and no more than that."""
    step = decisions.decide(resource("on"), order(grace=60), NOW)
    assert (step.deed, "stays on until 22:00 JST" in step.reason) == ("leave", True)
    later = decisions.decide(
        resource("on", str(step.seen)), order(grace=60, looked=NOW), STOP + timedelta(hours=1)
    )
    assert later.deed == "suspend"


# --- times of tags, looks and boundaries


class Machines:
    """A service with one machine, which is on until it is put to sleep."""

    def __init__(self, began):
        self.one = Resource(
            kind="ec2_instances", name="a", ref="a", state="on", tags={"Schedule": "night"},
            began=began,
        )  # fmt: skip
        self.tagged = self.fails = self.refuses = False

    def pages(self, *_):
        if self.fails:
            raise run.BotoCoreError
        yield [self.one] if self.tagged else []

    def mark(self, resources, value):
        if self.refuses:
            return [(each, run.BotoCoreError()) for each in resources]
        if resources:
            self.one = replace(self.one, tags=self.one.tags | {marks.MARK: value})
        return []

    def suspend(self, resources):
        self.one = replace(self.one, state="off") if resources else self.one
        return []

    def start(self, resources):
        raise AssertionError(resources)


SCHEDULE = Schedule(name="night", tag="night", stop="21:00", holidays=False)
SELECTION = Selection("Schedule", "night", (), frozenset({"night"}))
EVENING = datetime(2026, 11, 27, 11, 0, 10, tzinfo=UTC)  # Friday 20:00 in Tokyo, and some seconds
MONDAY = datetime(2026, 11, 30, 12, 0, 10, tzinfo=UTC)
LOOKS = st.sampled_from(["well", "well", "well", "missed", "not listed", "not marked"])
SECONDS = st.integers(0, 3 * 60 * 60)


@given(st.lists(LOOKS, min_size=8, max_size=16), SECONDS, st.none() | SECONDS | st.just(-86400))
@example(["well", "well", "well", "well", "not listed", "well", *["well"] * 4], 3000, None)
def test_what_was_tagged_before_a_boundary_follows_it(kinds, tagged, began):
    tagged = EVENING + timedelta(seconds=tagged)
    began = EVENING + timedelta(seconds=began) if began is not None else None
    machines = Machines(began)
    looked = None  # what the function keeps
    well = []  # when all went well
    listed = False

    def look(now):
        order = run.order_of(schedules.latest(SCHEDULE, now), SCHEDULE, looked)
        how = How(frozenset({"note"}))
        tally = run.work("ec2_instances", SELECTION, order, now, how)
        if tally.due:  # the state machine
            run.work("ec2_instances", SELECTION, order, now)
        return now if tally.whole else looked

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(run.SERVICES, "ec2_instances", machines)
        for number, kind in enumerate(kinds):
            now = EVENING + number * QUARTER
            machines.tagged = tagged <= now and (began is None or began <= now)
            machines.fails, machines.refuses = kind == "not listed", kind == "not marked"
            new = machines.one.state == "on" and marks.MARK not in machines.one.tags
            if kind != "missed":
                looked = look(now)
            if machines.tagged and new and kind in ("well", "not marked"):
                boundary = schedules.latest(SCHEDULE, now).at
                before = any(at < boundary for at in well)
                expected = None  # it may have been tagged on either side of the boundary
                after = any(boundary <= at < tagged for at in well)
                if after or not listed or (began and began >= boundary):
                    expected = "on"
                elif before and tagged <= boundary:
                    expected = "off"
                assert machines.one.state == (expected or machines.one.state), (now, well)
            listed = listed or kind in ("well", "not marked")
            well += [now] if kind == "well" else []
        machines.tagged, machines.fails, machines.refuses = True, False, False
        began_late = began and began >= now
        looked = look(now + QUARTER)
        look(MONDAY)
        assert machines.one.state == "off" or began_late


# --- through the function

FRIDAYS = {"name": "office-hours"}


@pytest.fixture
def look(estate, at, context, machine_arn):
    """Return a function that looks at a time (UTC), and does what the state machine would do."""

    def once(text, **more):
        at(text)
        event = {"schedule": FRIDAYS} | more
        answer = handler.handler(event, context)
        if answer["run"]:
            sleep = {"action": answer["action"], "boundary": answer["boundary"]}
            handler.handler(event | sleep, context)
            end_all(machine_arn)
        return answer

    return once


@pytest.fixture
def began(monkeypatch):
    """Say when all began: moto's machines begin at this machine's time."""
    told = {}

    def began_of(kind):
        real = run.SERVICES[kind].pages

        def pages(*asked):
            for page in real(*asked):
                yield [replace(each, began=told.get("at")) for each in page]

        return pages

    for kind in ("ec2_instances", "auto_scaling_groups", "ecs_services"):
        monkeypatch.setattr(run.SERVICES[kind], "pages", began_of(kind))
    return lambda text: told.update(at=datetime.fromisoformat(text).replace(tzinfo=UTC))


def test_tagged_at_ten_to_nine_on_a_friday(estate, look, began):
    began("2026-11-27T01:00")
    look("2026-11-27T11:45:20")
    (machine,) = estate.machines()  # at 20:50
    assert look("2026-11-27T12:00:20")["due"] == 1
    assert estate.machine(machine)[0] == "stopped"


def test_tagged_after_the_boundary(estate, look, began):
    began("2026-11-27T01:00")
    for text in ("2026-11-27T11:45:20", "2026-11-27T12:00:20", "2026-11-27T12:15:20"):
        look(text)
    (machine,) = estate.machines()  # at 21:20
    answer = look("2026-11-27T12:30:20")
    assert (answer["due"], answer["noted"]) == (0, 1)
    assert look("2026-11-30T11:45:20")["due"] == 0
    assert estate.machine(machine)[0] == "running"
    assert look("2026-11-30T12:00:20")["due"] == 1
    assert estate.machine(machine)[0] == "stopped"


def test_all_that_is_there_at_the_first_look_ever_stays(estate, look, began):
    began("2026-11-27T01:00")
    (machine,) = estate.machines()
    assert look("2026-11-27T12:00:20")["due"] == 0
    assert look("2026-11-27T12:15:20")["due"] == 0
    assert estate.machine(machine)[0] == "running"


def test_a_look_that_failed_for_one_kind(estate, look, began, calls, machine_arn):
    began("2026-11-27T01:00")
    look("2026-11-27T11:45:20")
    (machine,) = estate.machines()
    estate.group()
    calls.refuse("DescribeInstances", "RequestLimitExceeded")
    with pytest.raises(RunFailed, match="1 of 2 failed: ec2_instances"):
        look("2026-11-27T12:00:20")
    # The machine that runs all kinds, the failed one, too, sees the machine before the next look.
    calls.forgive()
    end_all(machine_arn)
    estate.service("web", 1)  # tagged at 21:10; of its kind the boundary has been looked at
    assert look("2026-11-27T12:15:20")["due"] == 2
    assert estate.machine(machine)[0] == "stopped"
    assert estate.group_size() == (0, 0, 0)
    assert estate.service_size("web") == (1,)


def test_the_state_machine_knows_what_the_look_could_not_see(estate, look, began, calls, context):
    began("2026-11-27T01:00")
    look("2026-11-27T11:45:20")
    (machine,) = estate.machines()
    calls.refuse("DescribeInstances", "RequestLimitExceeded")
    with pytest.raises(RunFailed):
        look("2026-11-27T12:00:20")
    calls.forgive()
    event = {"action": "suspend", "schedule": FRIDAYS, "boundary": "2026-11-27T12:00:00Z"}
    handler.handler(event, context)
    assert estate.machine(machine)[0] == "stopped"


def test_one_that_could_not_be_put_to_sleep_is_not_new_at_the_next_look(
    estate, look, began, calls, machine_arn
):
    began("2026-11-27T01:00")
    look("2026-11-27T11:45:20")
    (machine,) = estate.machines()
    calls.refuse("StopInstances", "UnauthorizedOperation")
    with pytest.raises(RunFailed):
        look("2026-11-27T12:00:20")
    assert estate.machine(machine)[1]["mimamori:scheduler"] == "woken 2026-11-27T11:45:20Z"
    calls.forgive()
    end_all(machine_arn)
    assert look("2026-11-27T12:15:20")["due"] == 1
    assert estate.machine(machine)[0] == "stopped"


@pytest.mark.parametrize("code", ["InvalidDBInstanceState", "AccessDenied"])
def test_one_that_takes_no_tag_is_not_new_at_the_next_look(estate, look, calls, monkeypatch, code):
    monkeypatch.setattr(run.rds.Databases, "_resource", without_began(run.rds.Databases._resource))
    look("2026-11-27T11:45:20")
    estate.database()
    monkeypatch.setitem(run.rds._STATES, "available", "between")
    calls.refuse("AddTagsToResource", code)
    if code == "AccessDenied":
        with pytest.raises(RunFailed, match="its mark"):
            look("2026-11-27T12:00:20")
    else:
        look("2026-11-27T12:00:20")
    calls.forgive()
    monkeypatch.setitem(run.rds._STATES, "available", "on")
    assert look("2026-11-27T12:15:20")["due"] == 1
    assert estate.databases() == {"db": "stopped"}


def without_began(real):
    return lambda self, *given: replace(real(self, *given), began=None)


def test_a_dry_run_and_the_status_know_it_and_are_no_looks(
    estate, look, began, at, context, monkeypatch
):
    monkeypatch.setenv("SCHEDULES", json.dumps([FRIDAYS]))
    began("2026-11-27T01:00")
    look("2026-11-27T11:45:20")
    estate.machines()
    at("2026-11-27T12:00:20")
    for _ in range(2):
        answer = handler.handler({"schedule": FRIDAYS, "dry_run": True}, context)
        assert answer["due"] == 1
        (office,) = handler.handler({"action": "status"}, context)["schedules"]
        assert [one["deed"] for one in office["resources"]] == ["suspend"]
        assert office["resources"][0]["mark"] is None


def test_a_look_at_another_tag_is_none(estate, look, began, monkeypatch):
    other = {"Key": "Schedule", "Value": "night"}
    monkeypatch.setenv("SCHEDULES", json.dumps([FRIDAYS, FRIDAYS | {"tag": "night"}]))
    began("2026-11-27T01:00")
    look("2026-11-27T11:45:20")
    estate.machines(1, other)
    assert look("2026-11-27T12:00:20", schedule=FRIDAYS | {"tag": "night"})["due"] == 0


def test_a_look_that_cannot_be_noted_is_a_failure_and_all_is_done(
    estate, look, began, calls, machine_arn
):
    began("2026-11-27T01:00")
    look("2026-11-27T11:45:20")
    (machine,) = estate.machines()
    calls.refuse("PutItem", "ThrottlingException")
    with pytest.raises(RunFailed, match="the time of this look: .*Throttling"):
        look("2026-11-27T12:00:20")
    assert executions(machine_arn) == ["office-hours-suspend-20261127T1200Z"]
    assert estate.machine(machine)[1]["mimamori:scheduler"].startswith("woken 2026-11-27T11:45")


def test_looks_are_kept_by_kind(estate, at):
    schedule = Schedule()
    assert looks.read(schedule.name, "office-hours") == {}
    first, second = at("2026-11-27T11:45:20"), at("2026-11-27T12:00:20")
    looks.write(schedule.name, "office-hours", {"ec2_instances": first, "ecs_services": first})
    known = looks.read(schedule.name, "office-hours")
    looks.write(schedule.name, "office-hours", known | {"ecs_services": second})
    known = looks.read(schedule.name, "office-hours")
    assert known == {"ec2_instances": first, "ecs_services": second}
    assert looks.read(schedule.name, "another") == looks.read("another", "office-hours") == {}


def test_when_things_began_is_what_aws_says(estate):
    estate.machines()
    estate.database()
    estate.cluster()
    estate.group()
    for kind, service in run.SERVICES.items():
        if kind == "ecs_services":  # of which moto does not tell it
            continue
        (page,) = [page for page in service.pages("Schedule", TAG["Value"]) if page]
        for each in page:
            assert each.began, kind
            assert abs(each.began - datetime.now(UTC)) < timedelta(minutes=10), kind
    service = {
        "clusterArn": "x/main", "serviceName": "web", "serviceArn": "arn", "desiredCount": 2,
        "runningCount": 2, "createdAt": NOW,
    }  # fmt: skip
    assert ecs._resource(service, "Schedule", {}).began == NOW
