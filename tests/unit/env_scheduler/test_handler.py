import json
import logging
import re
import tracemalloc
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest
import responses

from common import aws
from common.events import InvalidEvent
from common.failures import RunFailed
from env_scheduler import auto_scaling, ec2, ecs, rds
from env_scheduler.handler import handler
from tests.unit.env_scheduler.conftest import client, end_all, executions

WEEKDAYS = {"name": "weekdays", "start": "08:00", "stop": "21:00"}
STOP_ONLY = {"name": "office-hours"}
TAG = {"Key": "Schedule", "Value": "office-hours"}
DATA = {"reporting": "data"}
KINDS = ("rds_clusters", "rds_instances", "auto_scaling_groups", "ec2_instances", "ecs_services")


def kinds(answer):
    return {one["kind"]: one for one in answer["kinds"]}


@pytest.fixture
def full(estate):
    """One of everything, and what must not be touched."""
    estate.cluster()
    estate.database()
    estate.group()
    estate.machine_ids = estate.machines(3)
    estate.service("web", 3, (1, 5))
    estate.service("batch", 2)
    return estate


def sizes(estate):
    machines = [estate.machine(identifier)[0] for identifier in estate.machine_ids]
    databases = estate.databases()
    return (
        {databases["db"], databases["aurora"]},
        estate.group_size(),
        {*machines},
        estate.service_size("web"),
        estate.service_size("batch"),
    )


ASLEEP = ({"stopped"}, (0, 0, 0), {"stopped"}, (0, (0, 0)), (0,))
AWAKE = ({"available"}, (1, 4, 2), {"running"}, (3, (1, 5)), (2,))


def test_to_sleep_again_and_awake(full, at, context):
    answer = handler({"action": "suspend"}, context)
    assert [one["kind"] for one in answer["kinds"]] == [*KINDS[::-1]]
    assert {k: one["changed"] for k, one in kinds(answer).items()} == dict.fromkeys(KINDS, 1) | {
        "ec2_instances": 3, "ecs_services": 2,
    }  # fmt: skip
    assert sizes(full) == ASLEEP
    # The group's machines and the cluster's member are reached through their owners.
    assert [one["skips"] for one in answer["kinds"]] == [0] * len(KINDS)
    _, tags = full.machine(full.machine_ids[0])
    mark = "suspended 2026-11-25T12:05:00Z since 2026-11-25T12:05:00Z"
    assert tags["mimamori:scheduler"] == mark

    again = kinds(handler({"action": "suspend"}, context))
    assert sum(one["changed"] for one in again.values()) == 0
    assert sum(one["unchanged"] for one in again.values()) == 8
    assert sizes(full) == ASLEEP

    at("2026-11-26T00:05")
    woken = handler({"action": "start"}, context)
    assert [one["kind"] for one in woken["kinds"]] == [*KINDS]
    assert sizes(full) == AWAKE
    assert kinds(woken)["ec2_instances"]["hours"] == 36  # 3 machines, 12 hours
    assert handler({"action": "start"}, context)["kinds"][0]["changed"] == 0


def test_dry_run_says_all_and_touches_nothing(full, at, context, calls):
    for event in (
        {"action": "suspend", "dry_run": True},
        {"schedule": STOP_ONLY, "dry_run": True},
        {"action": "status"},
    ):
        handler(event, context)
    assert calls.writes() == {}
    plan = kinds(handler({"action": "suspend", "dry_run": True}, context))
    assert plan["ec2_instances"]["planned"] == 3
    assert {(one["name"], one["deed"], one["reason"]) for one in plan["rds_instances"]["plan"]} == {
        ("db", "suspend", "by hand"),
    }
    assert sizes(full) == AWAKE


def test_a_dry_run_says_what_it_leaves_alone_and_why(estate, at, context):
    first, second, noticed, kept, odd = estate.machines(5)
    (foreign,) = estate.machines(1, {"Key": "Schedule", "Value": "production"})
    handler({"action": "suspend", "targets": {"ec2InstanceIds": [second]}}, context)
    until = {"Key": "KeepUntil", "Value": "2026-11-26T02:00+09:00"}
    estate.ec2.create_tags(Resources=[kept], Tags=[until])
    estate.ec2.create_tags(Resources=[odd], Tags=[until | {"Value": "tomorrow"}])
    woken = {"Key": "mimamori:scheduler", "Value": "woken 2026-11-25T12:01:00Z"}
    estate.ec2.create_tags(Resources=[noticed], Tags=[woken])
    targets = {"ec2InstanceIds": [foreign]}
    event = {"action": "suspend", "dry_run": True, "tag": "office-hours", "targets": targets}
    told = kinds(handler(event, context))["ec2_instances"]
    planned = [(one["name"], one["deed"]) for one in told["plan"]]
    assert planned == [(first, "suspend"), (noticed, "suspend")]
    left = {one["name"]: one["reason"] for one in told["left"]}
    invalid = "KeepUntil: got 'tomorrow', takes a time with its zone such as"
    assert left.pop(odd).startswith(invalid)
    assert left == {
        second: "is off already",
        kept: "KeepUntil 2026-11-26T02:00+09:00",
        foreign: "refused: its tag Schedule is 'production', and must be office-hours",
    }
    # The state machine takes it, and tells it.
    summed = handler(SUMMARY | {"dry_run": True, "results": [told]}, context)
    assert f"• EC2 instances: left alone `{kept}` KeepUntil 2026-" in summed["text"]
    assert summed["text"].count(odd) == 1
    # By schedule, what somebody woke.
    told = handler({"schedule": STOP_ONLY, "dry_run": True}, context)["plan"]
    (machines,) = [one for one in told if one["kind"] == "ec2_instances"]
    left = {one["name"]: one["reason"] for one in machines["left"]}
    by_hand = "was started by hand (seen 2026-11-25 21:01 JST): stays on until the next boundary"
    assert left[noticed] == by_hand
    # What is done for good is answered with as little as before.
    done = kinds(handler({"action": "suspend"}, context))["ec2_instances"]
    assert not {"plan", "left"} & done.keys()


def test_one_kind_alone_and_failures_as_data(full, at, context, calls):
    calls.refuse("StopDBInstance", "StorageQuotaExceeded")
    event = {"action": "suspend", "kind": "rds_instances"}
    answer = handler(event | DATA, context)
    assert (answer["changed"], answer["failures"], answer["retry"]) == (0, 1, 0)
    assert answer["failed"][0]["name"] == "db"
    with pytest.raises(RunFailed, match="rds_instances db: .*StorageQuotaExceeded"):
        handler(event, context)
    # Not marked: the next run tries again.
    calls.forgive()
    assert handler(event, context)["changed"] == 1


@pytest.mark.parametrize("code", ["UnsupportedOperation", "UnauthorizedOperation"])
def test_one_bad_machine_keeps_no_other_awake(estate, at, context, calls, code):
    machines = estate.machines(40)
    calls.refuse("StopInstances", code, machines[17])
    answer = handler({"action": "suspend", "kind": "ec2_instances"} | DATA, context)
    assert (answer["changed"], answer["failures"]) == (39, 1)
    assert [one["name"] for one in answer["failed"]] == [machines[17]]
    assert calls.counted["StopInstances"] <= 1 + 2 * 6
    states = {identifier: estate.machine(identifier)[0] for identifier in machines}
    assert {i for i, state in states.items() if state == "running"} == {machines[17]}


@pytest.mark.parametrize("state", ["on", "between"])
def test_no_capacity_is_to_be_tried_again(estate, at, context, calls, monkeypatch, state):
    machines = estate.machines(3)
    handler({"action": "suspend"}, context)
    calls.refuse("StartInstances", "InsufficientInstanceCapacity", machines[1])
    event = {"action": "start", "kind": "ec2_instances"} | DATA
    answer = handler(event, context)
    assert (answer["changed"], answer["failures"], answer["retry"]) == (2, 0, 1)
    assert "InsufficientInstanceCapacity" in answer["failed"][0]["reason"]
    calls.forgive()
    monkeypatch.setitem(ec2._STATES, "running", state)  # what the first try started
    answer = handler(event | {"changed_before": 2}, context)
    assert (answer["changed"], answer["unchanged"], answer["retry"]) == (3, 0, 0)
    assert answer["pending"] == 0


def test_throttling_is_to_be_tried_again_and_not_halved(estate, at, context, calls):
    estate.machines(20)
    calls.refuse("StopInstances", "RequestLimitExceeded")
    answer = handler({"action": "suspend", "kind": "ec2_instances"} | DATA, context)
    assert (answer["retry"], answer["failures"]) == (20, 0)
    assert calls.counted["StopInstances"] == 1


def test_one_kind_that_cannot_be_listed_keeps_no_other(full, at, context, calls):
    calls.refuse("DescribeAutoScalingGroups", "AccessDenied")
    with pytest.raises(RunFailed, match="1 of .* auto_scaling_groups: could not be listed"):
        handler({"action": "suspend"}, context)
    assert sizes(full)[2:] == ASLEEP[2:]


def test_no_time_left_is_to_be_tried_again(estate, at, context):
    estate.machines(2)
    context.get_remaining_time_in_millis = lambda: 10_000
    answer = handler({"action": "suspend", "kind": "ec2_instances"} | DATA, context)
    assert (answer["changed"], answer["retry"]) == (0, 2)


def test_a_stop_that_somebody_did_meanwhile_is_no_error(estate, at, context, calls, monkeypatch):
    estate.database()
    estate.rds.stop_db_instance(DBInstanceIdentifier="db")
    monkeypatch.setitem(rds._STATES, "stopped", "on")  # as the listing saw it
    answer = handler({"action": "suspend", "kind": "rds_instances"}, context)
    assert (answer["changed"], answer["failures"]) == (1, 0)
    assert estate.databases() == {"db": "stopped"}


@pytest.mark.parametrize(
    ("state", "pending", "failures"), [("backing-up", 1, 0), ("available", 0, 1)]
)
def test_a_database_that_aws_is_at_is_no_failure(
    estate, at, context, calls, monkeypatch, state, pending, failures
):
    estate.database()
    calls.refuse("StopDBInstance", "InvalidDBInstanceState")
    monkeypatch.setattr(rds.Databases, "_state", lambda *_: state)
    answer = handler({"action": "suspend", "kind": "rds_instances"} | DATA, context)
    assert (answer["changed"], answer["pending"], answer["failures"]) == (0, pending, failures)


def test_a_machine_that_aws_is_at_is_no_failure(estate, at, context, calls):
    estate.machines(1)
    calls.refuse("StopInstances", "IncorrectInstanceState")
    answer = handler({"action": "suspend", "kind": "ec2_instances"} | DATA, context)
    assert (answer["changed"], answer["pending"], answer["failures"]) == (0, 1, 0)


def test_named_targets(full, at, context):
    targets = {
        "dbClusterIdentifiers": ["aurora"], "dbInstanceIdentifiers": ["DB"],
        "autoScalingGroupNames": ["group"], "ec2InstanceIds": full.machine_ids,
        "ecsServices": ["main/web", "main/batch"],
    }  # fmt: skip
    handler({"action": "suspend", "targets": targets}, context)
    assert sizes(full) == ASLEEP
    handler({"action": "start", "targets": targets | {"ecsServices": ["main/web"]}}, context)
    assert sizes(full)[3:] == ((3, (1, 5)), (0,))


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (
            {"ec2InstanceIds": ["i-00000000000000000"]},
            "ec2_instances i-00000000000000000: there is",
        ),
        ({"dbInstanceIdentifiers": ["nobody"]}, "rds_instances nobody: there is no such"),
        ({"dbClusterIdentifiers": ["nobody"]}, "rds_clusters nobody: there is no such"),
        ({"autoScalingGroupNames": ["nobody"]}, "auto_scaling_groups nobody: there is no such"),
        ({"ecsServices": ["main/nobody"]}, "ecs_services main/nobody: there is no such"),
        ({"ecsServices": ["nowhere/web"]}, "ecs_services nowhere/web: there is no such"),
    ],
)
def test_a_name_that_is_none_is_said(full, at, context, targets, said):
    machines = {"ec2InstanceIds": [*targets.get("ec2InstanceIds", []), full.machine_ids[0]]}
    with pytest.raises(RunFailed, match=f"1 of 2 failed: {said}"):
        handler({"action": "suspend", "targets": targets | machines}, context)
    assert full.machine(full.machine_ids[0])[0] == "stopped"


@pytest.mark.parametrize("value", ["production", None])
def test_a_named_target_without_the_tag_is_refused(estate, at, context, calls, value):
    tag = {"Key": "Schedule", "Value": value} if value else {"Key": "Name", "Value": "a"}
    (machine,) = estate.machines(1, tag)
    estate.database("db", tag)
    targets = {"ec2InstanceIds": [machine], "dbInstanceIdentifiers": ["db"]}
    said = f"refused: its tag Schedule is {value!r}, and must be office-hours"
    with pytest.raises(RunFailed, match=f"2 of 2 failed: .*{re.escape(said)}"):
        handler({"action": "suspend", "targets": targets}, context)
    assert calls.writes() == {}


def test_a_listing_that_does_not_filter_touches_no_other(full, at, context, monkeypatch):
    """By name means these names, whatever answers for AWS."""
    monkeypatch.setattr(ec2, "named", lambda key, _: ec2.pages(key, "office-hours"))
    first, *others = full.machine_ids
    targets = {"ec2InstanceIds": [first]}
    handler({"action": "suspend", "targets": targets, "kind": "ec2_instances"}, context)
    states = [full.machine(identifier)[0] for identifier in (first, *others)]
    assert states == ["stopped", "running", "running"]


def test_a_tag_that_no_schedule_has_is_refused(estate, at, context, monkeypatch):
    estate.machines(1, {"Key": "Schedule", "Value": "production"})
    with pytest.raises(InvalidEvent, match="tag: got 'production', takes office-hours"):
        handler({"action": "suspend", "tag": "production"}, context)
    monkeypatch.setenv("SCHEDULES", json.dumps([{"tag": "production"}]))
    answer = handler({"action": "suspend", "tag": "production"}, context)
    assert kinds(answer)["ec2_instances"]["changed"] == 1


def test_an_emulator_or_a_service_that_does_not_filter_harms_nobody(
    estate, at, context, calls, monkeypatch
):
    estate.machines(1, {"Key": "Schedule", "Value": "production"})
    everything = ec2._listed
    names = {"Name": "instance-state-name", "Values": ["running"]}
    monkeypatch.setattr(ec2, "_listed", lambda key, _: everything(key, names))
    answer = handler({"action": "suspend", "kind": "ec2_instances"}, context)
    assert answer["changed"] == 0
    assert calls.writes() == {}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({}, "schedule: got None"),
        ({"action": "sleep"}, "action"),
        ({"action": "suspend", "targets": {}}, "targets"),
        ({"action": "suspend", "targets": {"ecsServices": ["web"]}}, "cluster/service"),
        ({"action": "suspend", "targets": {"instances": ["i-1"]}}, "instances"),
        ({"action": "suspend", "ec2": ["i-1"]}, "unknown field: ec2 .*targets {.*ec2InstanceIds"),
        ({"action": "suspend", "targets": {"ec2": []}}, r"ec2 \(targets takes .*ec2InstanceIds"),
        ({"action": "suspend", "kind": "lambda"}, "kind"),
        ({"action": "suspend", "boundary": "2026-11-25T12:00:00Z"}, "schedule"),
        ({"action": "suspend", "schedule": STOP_ONLY, "boundary": "21:00"}, "boundary"),
        ({"action": "plan"}, "of: got None"),
    ],
)
def test_what_is_no_event(event, said, context):
    with pytest.raises(InvalidEvent, match=said):
        handler(event, context)


def test_what_aws_does_not_stop_is_skipped_with_its_reason(estate, at, context):
    estate.database("source", BackupRetentionPeriod=1)
    tags = [{"Key": "Schedule", "Value": "office-hours"}]
    estate.rds.create_db_instance_read_replica(
        DBInstanceIdentifier="replica", SourceDBInstanceIdentifier="source", Tags=tags
    )
    estate.database("sql", Engine="sqlserver-se", MultiAZ=True, LicenseModel="license-included")
    estate.cluster("first")
    estate.cluster("second")
    (second,) = estate.rds.describe_db_clusters(DBClusterIdentifier="second")["DBClusters"]
    arn = second["DBClusterArn"]
    estate.rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["Schedule"])
    answer = kinds(handler({"action": "suspend"}, context))
    said = {one["name"]: one["reason"] for one in answer["rds_instances"]["skipped"]}
    assert said == {
        "source": "has read replicas (replica), and cannot be stopped",
        "replica": "is a read replica of source, which cannot be stopped",
        "sql": "is SQL Server in several zones, which cannot be stopped",
        # The first is reached through its cluster.
        "second-1": "belongs to the cluster second: tag that",
    }
    assert answer["rds_clusters"]["changed"] == 1


CLUSTER = {"Engine": "aurora-mysql", "DBClusterArn": "arn:1", "EngineMode": "provisioned"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, None),
        ({"DBClusterArn": "arn:2"}, "is in a global cluster"),
        ({"Engine": "docdb"}, "runs docdb"),
        ({"EngineMode": "serverless"}, "is of the mode serverless"),
        ({"ReplicationSourceIdentifier": "arn:9"}, "replicates"),
    ],
)
def test_clusters_that_are_left(fields, said):
    reason = rds._of_cluster(CLUSTER | fields, {"arn:2", "arn:3"})
    assert (reason or "").startswith(said or "")
    assert (reason is None) == (said is None)


def test_the_only_member_of_a_global_cluster_can_be_stopped():
    worlds = [[{"DBClusterArn": "arn:1"}], [{"DBClusterArn": "arn:2"}, {"DBClusterArn": "arn:3"}]]
    pages = Paged({"GlobalClusters": [{"GlobalClusterMembers": members} for members in worlds]})
    assert rds._in_the_world(pages) == {"arn:2", "arn:3"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, None),
        ({"InstanceLifecycle": "spot"}, "is a spot instance that is not persistent"),
        ({"InstanceLifecycle": "spot", "InstanceId": "i-lasting"}, None),
        ({"RootDeviceType": "instance-store"}, "has its root in an instance store"),
        ({"Tags": [{"Key": "aws:autoscaling:groupName", "Value": "g"}]}, "belongs to the Auto"),
    ],
)
def test_machines_that_are_left(fields, said):
    instance = {"InstanceId": "i-1", "State": {"Name": "running"}} | fields
    reason = ec2._resource(instance, "Schedule", {"i-lasting"}).obstacle
    assert (reason or "").startswith(said or "")
    assert (reason is None) == (said is None)


def test_a_daemon_is_left():
    service = {
        "clusterArn": "x/main", "serviceName": "agent", "serviceArn": "arn", "desiredCount": 2,
        "runningCount": 2, "schedulingStrategy": "DAEMON",
    }  # fmt: skip
    assert ecs._resource(service, "Schedule", {}).obstacle


def described_all(arn):
    states = client("stepfunctions")
    found = states.list_executions(stateMachineArn=arn)["executions"]
    return [states.describe_execution(executionArn=one["executionArn"]) for one in found]


def test_a_boundary_is_run_once_and_a_missed_one_is_caught_up(full, machine_arn, at, context, seen):
    event = {"schedule": STOP_ONLY, "channel": "C0123456789", "language": "en"}
    seen()
    at("2026-11-25T14:45")  # the run at 21:00 in Tokyo, and others, did not happen
    answer = handler(event, context)
    name = "office-hours-suspend-20261125T1200Z"
    assert (answer["run"], answer["due"], answer["execution"]) == (True, 8, name)
    (running,) = client("stepfunctions").list_executions(stateMachineArn=machine_arn)["executions"]
    described = client("stepfunctions").describe_execution(executionArn=running["executionArn"])
    passed = json.loads(described["input"])
    assert passed["action"] == "suspend"
    assert passed["boundary"] == "2026-11-25T12:00:00Z"
    assert "again" not in passed
    assert (passed["channel"], passed["schedule"]["stop"]) == ("C0123456789", "21:00")
    # While that is at work nothing else is started.
    assert handler(event, context)["reason"] == f"{name} is at work"
    # It failed: there is still something to do, and a new name for it.
    end_all(machine_arn)
    at("2026-11-25T15:00")
    repeat = f"{name}-20261125T1500Z"
    assert handler(event, context)["execution"] == repeat
    assert handler(event, context)["reason"] == f"{repeat} is at work"
    again = next(one for one in described_all(machine_arn) if one["name"] == repeat)
    assert json.loads(again["input"]) == passed | {"again": True}
    end_all(machine_arn)
    with pytest.raises(RunFailed, match=f"{repeat}: was started already, and there are 8 to susp"):
        handler(event, context)
    # What the state machine is given, each kind takes.
    for kind in KINDS[::-1]:
        result = handler(passed | {"kind": kind} | DATA, context)
        assert result["failures"] == 0
    assert sizes(full) == ASLEEP
    at("2026-11-25T15:15")
    answer = handler(event, context)
    assert (answer["run"], answer["due"], answer["noted"]) == (False, 0, 0)
    assert answer["reason"] == "all is as it should be, or as people want it"
    assert len(executions(machine_arn)) == 2


def test_a_schedule_does_not_wait_for_one_whose_name_begins_like_its_own(
    estate, machine_arn, at, context, seen
):
    estate.machines(1)
    seen()
    long = "a" * 40
    for name in ("a-start", "a", long):
        answer = handler({"schedule": STOP_ONLY | {"name": name}}, context)
        assert answer["execution"] == f"{name}-suspend-20261125T1200Z"
    end_all(machine_arn)
    answer = handler({"schedule": STOP_ONLY | {"name": long}}, context)
    assert answer["execution"].endswith("Z-20261125T1205Z")
    assert len(answer["execution"]) <= 80


def test_what_is_new_in_the_night_stays_until_the_next_boundary(estate, machine_arn, at, context):
    (machine,) = estate.machines(1)
    assert handler({"schedule": STOP_ONLY}, context)["noted"] == 1
    assert estate.machine(machine)[1]["mimamori:scheduler"].startswith("woken 2026-11-25T12:05")
    at("2026-11-26T12:00")
    assert handler({"schedule": STOP_ONLY}, context)["due"] == 1


def test_what_a_person_starts_stays_until_the_next_boundary(estate, machine_arn, at, context, seen):
    (machine,) = estate.machines(1)
    estate.database()
    seen()
    event = {"schedule": STOP_ONLY}
    run_now = {"action": "suspend", "schedule": STOP_ONLY, "boundary": "2026-11-25T12:00:00Z"}
    handler(run_now, context)
    estate.ec2.start_instances(InstanceIds=[machine])
    estate.rds.start_db_instance(DBInstanceIdentifier="db")
    at("2026-11-25T13:00")
    answer = handler(event, context)
    assert (answer["run"], answer["noted"]) == (False, 2)
    assert estate.machine(machine)[1]["mimamori:scheduler"].startswith("woken 2026-11-25T13:00")
    at("2026-11-26T11:45")
    assert handler(event, context)["noted"] == 0
    at("2026-11-26T12:00")
    assert handler(event, context)["due"] == 2


def test_what_sleeps_through_a_day_may_be_woken_the_night_after(
    estate, machine_arn, at, context, seen
):
    (machine,) = estate.machines(1)
    seen()
    handler(
        {"action": "suspend", "schedule": STOP_ONLY, "boundary": "2026-11-25T12:00:00Z"}, context
    )
    at("2026-11-26T12:00")
    assert handler({"schedule": STOP_ONLY}, context)["noted"] == 1
    estate.ec2.start_instances(InstanceIds=[machine])
    at("2026-11-26T13:00")
    assert handler({"schedule": STOP_ONLY}, context)["due"] == 0


def test_a_holiday_starts_nothing_and_says_why(full, machine_arn, at, context):
    at("2026-11-20T12:00")
    handler({"action": "suspend"}, context)
    at("2026-11-22T23:00")  # the 23rd, 08:00 in Tokyo
    answer = handler({"schedule": WEEKDAYS}, context)
    said = "2026-11-23 is a holiday (勤労感謝の日): no start"
    assert (answer["run"], answer["reason"]) == (False, said)
    for action in ({"action": "plan", "of": "start"}, {"action": "start"}):
        assert handler(action | {"schedule": WEEKDAYS}, context)["reason"] == said
    assert sizes(full) == ASLEEP
    at("2026-11-23T23:00")
    answer = handler({"schedule": WEEKDAYS}, context)
    assert answer["execution"] == "weekdays-start-20261123T2300Z"


@pytest.mark.parametrize(("message", "due"), [(rds.BY_ITSELF, 1), ("DB instance started", 0)])
def test_a_database_that_aws_woke_sleeps_again(
    estate, machine_arn, at, context, monkeypatch, message, due, seen
):
    estate.database()
    seen()
    handler(
        {"action": "suspend", "schedule": STOP_ONLY, "boundary": "2026-11-25T12:00:00Z"}, context
    )
    estate.rds.start_db_instance(DBInstanceIdentifier="db")
    at("2026-11-26T04:00")
    asked = []

    def events(self, since, now):  # moto keeps no such events
        asked.append(since)
        page = {"SourceIdentifier": "db", "Message": f"… {message}", "Date": now}
        monkeypatch.setattr(aws, "client", lambda _: Paged({"Events": [page]}))
        try:
            return real(self, since, now)
        finally:
            monkeypatch.setattr(aws, "client", client)

    real, client = rds.Databases.restarts, aws.client
    monkeypatch.setattr(rds.Databases, "restarts", events)
    answer = handler({"schedule": STOP_ONLY}, context)
    assert answer["due"] == due
    assert asked == [datetime(2026, 11, 25, 12, 5, tzinfo=UTC)]


class Paged:
    def __init__(self, *pages):
        self.pages = pages

    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        return self.pages


def test_nobody_asks_for_events_where_all_sleep(estate, machine_arn, at, context, calls):
    estate.database()
    handler({"action": "suspend"}, context)
    handler({"schedule": STOP_ONLY}, context)
    assert calls.counted["DescribeEvents"] == 0


def test_status_tells_what_is_and_what_comes(full, at, context, monkeypatch):
    monkeypatch.setenv("SCHEDULES", json.dumps([WEEKDAYS, STOP_ONLY | {"tag": "other"}]))
    (kept,) = full.machines(
        1,
        {"Key": "Schedule", "Value": "office-hours"},
        {"Key": "KeepUntil", "Value": "2026-11-26T02:00+09:00"},
    )
    handler({"action": "suspend", "kind": "ec2_instances"}, context)
    first, second = handler({"action": "status"}, context)["schedules"]
    assert (first["wanted"], first["since"]) == ("off", "2026-11-25T21:00+09:00")
    assert first["next"] == {"action": "start", "at": "2026-11-26T08:00+09:00"}
    assert first["counts"] == {"on": 6, "off": 3}
    by_name = {one["name"]: one for one in first["resources"]}
    assert by_name[kept]["reason"] == "KeepUntil 2026-11-26T02:00+09:00"
    assert by_name["main/web"]["said"] == "min=1 max=5 desired=3 running=0"
    assert "aurora-1" not in by_name
    asleep = by_name[full.machine_ids[0]]
    assert (asleep["state"], asleep["changes"]) == ("off", "2026-11-26T08:00+09:00")
    assert by_name[kept]["changes"] == "2026-11-26T02:00+09:00"
    assert by_name["main/web"]["changes"] is None  # new, and the next is a start
    assert (second["counts"], second["next"]["action"]) == ({}, "suspend")


def test_status_tells_what_cannot_be_listed(full, at, context, calls):
    calls.refuse("DescribeAutoScalingGroups", "AccessDenied")
    (office,) = handler({"action": "status"}, context)["schedules"]
    assert [*office["errors"]] == ["auto_scaling_groups"]
    assert "AccessDenied" in office["errors"]["auto_scaling_groups"]
    assert {one["kind"] for one in office["resources"]} == {*KINDS} - {"auto_scaling_groups"}


def test_plan_names_the_kinds_in_order(at, context):
    plan = handler({"action": "plan", "of": "suspend"}, context)
    assert (plan["run"], plan["kinds"]) == (True, [*KINDS[::-1]])
    targets = {"ec2InstanceIds": ["i-1"], "dbInstanceIdentifiers": ["db"]}
    plan = handler({"action": "plan", "of": "start", "targets": targets}, context)
    assert plan["kinds"] == ["rds_instances", "ec2_instances"]
    plan = handler({"action": "plan", "of": "start", "kind": "ecs_services"}, context)
    assert plan["kinds"] == ["ecs_services"]


RESULT = {
    "kind": "ec2_instances", "changed": 2, "unchanged": 0, "pending": 0, "skips": 0, "skipped": [],
    "failures": 0, "failed": [], "retry": 0, "hours": 24,
}  # fmt: skip
SUMMARY = {"action": "summary", "of": "suspend", "language": "en", "schedule": STOP_ONLY}


def test_the_summary_goes_to_slack(put_parameter, context):
    put_parameter("SLACK_BOT_TOKEN", "xoxb-nobody-may-see")
    event = SUMMARY | {"results": [RESULT, {"kind": "x", "error": {"Error": "States.Timeout"}}]}
    with responses.RequestsMock() as slack:
        slack.post("https://slack.com/api/chat.postMessage", json={"ok": True})
        answer = handler(event | {"channel": "C0123456789"}, context)
        sent = parse_qs(slack.calls[0].request.body)
    assert (answer["failures"], answer["changed"], answer["posted"]) == (1, 2, True)
    assert sent["text"] == [answer["text"]]
    assert "EC2 instances: 2 went to sleep" in answer["text"]


def test_a_summary_that_slack_does_not_take_is_a_failure_more(put_parameter, context):
    put_parameter("SLACK_BOT_TOKEN", "xoxb-nobody-may-see")
    with responses.RequestsMock() as slack:
        refused = {"ok": False, "error": "not_in_channel"}
        slack.post("https://slack.com/api/chat.postMessage", json=refused)
        event = SUMMARY | {"results": [RESULT], "channel": "C0123456789"}
        answer = handler(event, context)
    assert (answer["failures"], answer["changed"], answer["posted"]) == (1, 2, False)
    assert "EC2 instances: 2 went to sleep" in answer["text"]
    assert "• Slack: failed" in answer["text"]
    assert "not_in_channel" in answer["text"]


def test_a_dry_run_sums_up_what_would_be_done(estate, at, context):
    estate.machines(2)
    order = {"action": "suspend", "dry_run": True}
    results = handler(order, context)["kinds"]
    event = SUMMARY | {"dry_run": True, "channel": "C0123456789", "results": results}
    answer = handler(event, context)
    assert (answer["changed"], answer["posted"]) == (0, False)
    assert answer["planned"] == dict.fromkeys(KINDS, 0) | {"ec2_instances": 2}
    assert answer["text"].splitlines() == [
        "*Dry run: what would go to sleep* (office-hours)",
        "• EC2 instances: 2 would go to sleep",
    ]


FAILED = RESULT | {"changed": 0, "failures": 1, "failed": [{"name": "i-1", "reason": "no"}]}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"channel": "C0123456789", "results": []},
        {"channel": "C0123456789", "results": [FAILED], "again": True},
    ],
)
def test_nothing_is_posted_without_a_channel_or_news(fields, context):
    answer = handler(SUMMARY | {"results": [RESULT]} | fields, context)
    assert answer["posted"] is False


def test_a_token_that_is_missing_is_said_with_what_failed(moto, context):
    answer = handler(SUMMARY | {"results": [FAILED], "channel": "C0123456789"}, context)
    assert (answer["failures"], answer["posted"]) == (2, False)
    assert "failed `i-1` no" in answer["text"]
    assert re.search("Slack: failed SSM parameter .*SLACK_BOT_TOKEN does not exist", answer["text"])


def test_a_token_that_aws_is_too_busy_to_tell_is_said_with_what_failed(estate, calls, context):
    calls.refuse("GetParameter", "ThrottlingException")
    answer = handler(SUMMARY | {"results": [FAILED], "channel": "C0123456789"}, context)
    assert (answer["failures"], answer["posted"]) == (2, False)
    assert "failed `i-1` no" in answer["text"]
    assert "ThrottlingException" in answer["text"]


def test_small_pages_are_followed_to_the_end(estate, at, context, calls, monkeypatch):
    monkeypatch.setattr(rds, "PAGE", 20)
    monkeypatch.setattr(auto_scaling, "PAGE", 1)
    monkeypatch.setattr(ecs, "PAGE", 2)
    monkeypatch.setattr(ec2, "PAGE", 1)  # moto counts reservations
    for _ in range(3):
        estate.machines(4)
    for number in range(23):
        estate.database(f"db-{number}")
    for number in range(3):
        estate.group(f"group-{number}")
        estate.service(f"web-{number}", 1)
    answer = kinds(handler({"action": "suspend"}, context))
    changed = {kind: one["changed"] for kind, one in answer.items()}
    assert changed["rds_instances"] == 23
    assert changed["ec2_instances"] == 12
    assert (changed["auto_scaling_groups"], changed["ecs_services"]) == (3, 3)
    assert calls.counted["DescribeInstances"] >= 3
    assert calls.counted["GetResources"] >= 2
    assert calls.counted["DescribeDBInstances"] >= 2


def test_five_thousand_cost_their_pages(estate, at, context, calls):
    mark = {"Key": "mimamori:scheduler", "Value": "started 2026-11-24T23:00:00Z"}
    estate.group("group-0", TAG, mark)
    (first,) = estate.groups.describe_auto_scaling_groups()["AutoScalingGroups"]

    def page(asked):  # moto would take seconds to write and read 5,000 groups
        if asked.get("AutoScalingGroupNames.member.1"):  # the machines' own group
            return {"AutoScalingGroups": [first]}
        begin, most = int(asked.get("NextToken", 0)), min(asked["MaxRecords"], 100)
        groups = [
            first | {"AutoScalingGroupName": f"group-{number}"}
            for number in range(begin, min(begin + most, 5000))
        ]
        more = {"NextToken": str(begin + most)} if begin + most < 5000 else {}
        return {"AutoScalingGroups": groups, **more}

    calls.answers["DescribeAutoScalingGroups"] = page
    answer = handler({"schedule": STOP_ONLY, "dry_run": True}, context)
    assert answer["due"] == 5000
    assert calls.counted == {
        "DescribeAutoScalingGroups": 50 + 1, "DescribeInstances": 1, "DescribeDBInstances": 1,
        "DescribeDBClusters": 1, "GetResources": 1, "GetItem": 1,
    }  # fmt: skip
    assert len(json.dumps(answer)) < 20_000


def test_machines_cost_batches(estate, at, context, calls):
    machines = estate.machines(120)
    answer = handler({"action": "suspend", "kind": "ec2_instances"}, context)
    assert answer["changed"] == len(machines)
    assert calls.counted == {"DescribeInstances": 1, "StopInstances": 3, "CreateTags": 3}


def test_memory_does_not_grow_with_what_there_is(monkeypatch, at, context):
    def peak(count):
        def pages(*_):
            for number in range(0, count, 500):
                yield [
                    ec2._resource(
                        {
                            "InstanceId": f"i-{number + n:017x}",
                            "State": {"Name": "running"},
                            "Tags": [{"Key": "Schedule", "Value": "office-hours"}],
                        },
                        "Schedule",
                        set(),
                    )
                    for n in range(500)
                ]

        monkeypatch.setattr(ec2, "pages", pages)
        for name in ("suspend", "mark"):
            monkeypatch.setattr(ec2, name, lambda *_, **__: [])
        tracemalloc.start()
        try:
            result = handler({"action": "suspend", "kind": "ec2_instances"} | DATA, context)
            assert result["changed"] == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    logging.disable()  # pytest keeps what is logged
    try:
        peak(500)
        small, large = peak(500), peak(5000)
    finally:
        logging.disable(logging.NOTSET)
    assert large < small * 2  # ten times as many
