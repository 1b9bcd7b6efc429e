"""A start after a suspend gives back exactly what was, whatever failed or was repeated between."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from common import aws
from env_scheduler import calls, marks, run
from env_scheduler.decisions import Order, Resource
from env_scheduler.marks import MARK, SIZE
from env_scheduler.run import Selection

SELECTION = Selection("Schedule", "office-hours", (), frozenset({"office-hours"}))
TAG = {"key": "Schedule", "value": "office-hours"}


class Trouble:
    """Which of the coming calls fail: before they do anything, or when the answer gets lost."""

    def __init__(self):
        self.coming = []

    def __call__(self, effect):
        kind = self.coming.pop(0) if self.coming else "well"
        if kind != "before":
            effect()
        if kind != "well":
            code = "ThrottlingException" if kind == "before" else "InternalError"
            raise ClientError({"Error": {"Code": code, "Message": kind}}, "x")


class Pages:
    def __init__(self, answer):
        self.answer = answer

    def paginate(self, **_):
        yield self.answer()


class World:
    """One group and one service, as AWS shows and changes them."""

    def __init__(self, group, service, bounds):
        self.group, self.service, self.bounds = dict(group), service, bounds and dict(bounds)
        seen = {MARK: "started 2026-10-31T23:00:00Z"}
        self.tags = {"group": dict(seen), "service": dict(seen)}
        self.trouble = Trouble()

    def client(self, _):
        return self

    def get_paginator(self, name):
        return Pages(getattr(self, name))

    def state(self):
        return self.group, self.service, self.bounds

    def describe_auto_scaling_groups(self):
        tags = [{"Key": k, "Value": v} for k, v in self.tags["group"].items()]
        tags.append({"Key": TAG["key"], "Value": TAG["value"]})
        return {"AutoScalingGroups": [{"AutoScalingGroupName": "group", "Tags": tags} | self.group]}

    def update_auto_scaling_group(self, AutoScalingGroupName, **size):  # noqa: N803
        self.trouble(lambda: self.group.update(size))

    def create_or_update_tags(self, Tags):  # noqa: N803
        self.trouble(lambda: self.tags["group"].update({t["Key"]: t["Value"] for t in Tags}))

    def get_resources(self):
        arn = "arn:aws:ecs:ap-northeast-1:1:service/cluster/service"
        return {"ResourceTagMappingList": [{"ResourceARN": arn}]}

    def describe_services(self, **_):
        tags = [{"key": k, "value": v} for k, v in self.tags["service"].items()]
        service = {
            "serviceArn": "arn", "serviceName": "service", "clusterArn": "x/cluster",
            "status": "ACTIVE", "desiredCount": self.service, "runningCount": self.service,
            "tags": [*tags, TAG],
        }  # fmt: skip
        return {"services": [service]}

    def describe_scalable_targets(self):
        one = {"ResourceId": "service/cluster/service"}
        return {"ScalableTargets": [one | self.bounds] if self.bounds else []}

    def register_scalable_target(self, MinCapacity, MaxCapacity, **_):  # noqa: N803
        def effect():
            self.bounds = {"MinCapacity": MinCapacity, "MaxCapacity": MaxCapacity}

        self.trouble(effect)

    def update_service(self, desiredCount, **_):  # noqa: N803
        def effect():
            self.service = desiredCount

        self.trouble(effect)

    def tag_resource(self, tags, **_):
        self.trouble(lambda: self.tags["service"].update({t["key"]: t["value"] for t in tags}))


ZEROS = {"MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0}


@st.composite
def groups(draw):
    most = draw(st.integers(1, 9))
    least = draw(st.integers(0, most))
    return {"MinSize": least, "MaxSize": most, "DesiredCapacity": draw(st.integers(least, most))}


@st.composite
def services(draw):
    if draw(st.booleans()):
        return draw(st.integers(1, 9)), None
    most = draw(st.integers(1, 9))
    least = draw(st.integers(0, most))
    bounds = {"MinCapacity": least, "MaxCapacity": most}
    return draw(st.integers(least, most)), bounds


TROUBLE = st.lists(st.sampled_from(["well", "before", "after"]), max_size=6)
# What happens in one night: the sizes of the day, the troubles of each try, and what a person sets
# while it sleeps.
NIGHT = st.tuples(
    groups(),
    services(),
    st.lists(TROUBLE, max_size=3),
    st.lists(TROUBLE, max_size=3),
    st.none() | groups(),
    st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
)


def tries(world, action, troubles, night, *, by_hand):
    """Run until all went well, and once more."""
    hour = 12 if action == "suspend" else 23
    time = datetime(2026, 11, 1 + night, hour, tzinfo=UTC)
    order = Order(action, time, ZoneInfo("Asia/Tokyo"), by_hand=by_hand)
    for coming in [*troubles, [], []]:
        world.trouble.coming = list(coming)
        for kind in ("auto_scaling_groups", "ecs_services"):
            tally = run.work(kind, SELECTION, order, time)
            assert len(tally.failed) == tally.retry  # all of it passes
    assert tally.failed == {}


@pytest.mark.parametrize("by_hand", [True, False])
@settings(max_examples=80)
@given(nights=st.lists(NIGHT, min_size=1, max_size=3))
def test_what_was_comes_back(by_hand, nights):
    with pytest.MonkeyPatch.context() as patch:
        world = World({}, 0, None)
        patch.setattr(aws, "client", world.client)
        patch.setattr(calls, "AT_A_TIME", 1)
        for number, night in enumerate(nights):
            group, (desired, bounds), falling, waking, raised, tasks = night
            # By day people set the sizes as they like; the tags of the night before stay.
            world.group, world.service, world.bounds = dict(group), desired, bounds and dict(bounds)
            tries(world, "suspend", falling, number, by_hand=by_hand)
            zero = bounds and {"MinCapacity": 0, "MaxCapacity": 0}
            assert world.state() == (ZEROS, 0, zero)
            # What a person lets run is theirs, and what was runs again otherwise.
            if raised:
                world.group = dict(raised)
                group = raised if raised["DesiredCapacity"] else group
            if tasks:
                world.service, most = tasks
                most = max(most, world.service) * bool(most)
                world.bounds = bounds and {"MinCapacity": 0, "MaxCapacity": most}
                if world.service and (most or not bounds):
                    desired, bounds = world.service, world.bounds and dict(world.bounds)
            tries(world, "suspend", [], number, by_hand=by_hand)
            tries(world, "start", waking, number, by_hand=by_hand)
            assert world.state() == (group, desired, bounds)


@pytest.mark.parametrize(
    ("size", "state", "tags", "text"),
    [
        ("min=1 max=4 desired=2", "on", {}, "min=1 max=4 desired=2"),
        ("min=0 max=4 desired=0", "on", {}, "min=0 max=4 desired=0"),
        ("min=0 max=4 desired=0", "on", {SIZE: "min=1 max=4 desired=2"}, None),
        (
            "min=0 max=4 desired=0",
            "on",
            {SIZE: "min=1 max=4 desired=2", MARK: "started 2026-11-25T23:00:00Z"},
            "min=0 max=4 desired=0",
        ),
        ("min=0 max=0 desired=3", "half", {}, "desired=3"),
        ("min=0 max=0 desired=3", "half", {SIZE: "min=1 max=4 desired=2"}, None),
    ],
)
def test_sizes_that_are_saved_are_not_overwritten_by_zeros(size, state, tags, text):
    service = Resource(
        kind="ecs_services",
        name="a",
        ref="a",
        state=state,
        tags=tags,
        size=marks.size({SIZE: size}),
    )
    assert calls.unsaved(service) == text


def test_a_service_that_nobody_zeroed_is_not_started_at_a_guess():
    with pytest.MonkeyPatch.context() as patch:
        world = World(ZEROS, 0, None)
        patch.setattr(aws, "client", world.client)
        order = Order("start", datetime(2026, 11, 1, tzinfo=UTC), ZoneInfo("Asia/Tokyo"))
        tally = run.work("ecs_services", SELECTION, order, datetime(2026, 11, 1, tzinfo=UTC))
        assert "its size is not known" in tally.skipped[0]["reason"]
        assert world.state() == (ZEROS, 0, None)
