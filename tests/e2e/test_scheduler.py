"""The estate goes to sleep and wakes, through Step Functions; what people did is left to them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tests.support import until

pytestmark = pytest.mark.usefixtures("quiet", "no_faults")
ATTEMPTS = 4  # of a call, by a function
MACHINES = {"myapp-web-1", "myapp-web-2"}
ASLEEP = {
    **dict.fromkeys(MACHINES, "stopped"),
    "myapp-bastion": "running",
    "myapp-worker": (0, 0, 0),
    "api": 0,
    "api's bounds": (0, 0),
    "myapp": "stopped",
    "myapp-report": "stopped",
}
AWAKE = {
    **dict.fromkeys(MACHINES, "running"),
    "myapp-bastion": "running",
    "myapp-worker": (1, 4, 2),
    "api": 2,
    "api's bounds": (1, 4),
    "myapp": "available",
    "myapp-report": "available",
}


@dataclass
class Estate:
    """The estate as AWS describes it, and the state machine as an operator starts it."""

    laptop: object
    machine: str
    numbers: object

    def run(self, **given):
        """Run the state machine to its end; return its description."""
        stepfunctions = self.laptop.aws("stepfunctions")
        name = f"of-a-test-{next(self.numbers)}"
        arn = stepfunctions.start_execution(
            stateMachineArn=self.machine, name=name, input=json.dumps(given)
        )["executionArn"]
        return self.end_of(arn)

    def end_of(self, arn):
        stepfunctions = self.laptop.aws("stepfunctions")

        def described():
            found = stepfunctions.describe_execution(executionArn=arn)
            return found if found["status"] != "RUNNING" else None

        return until(described, 60)

    def executions(self, prefix):
        """Return the executions whose names begin so, by name."""
        found = self.laptop.aws("stepfunctions").list_executions(stateMachineArn=self.machine)
        return {
            one["name"]: one["executionArn"]
            for one in found["executions"]
            if one["name"].startswith(prefix)
        }

    def looked(self, schedule):
        """Return what is kept of the last looks of a schedule: the names of its fields."""
        found = self.laptop.aws("dynamodb").get_item(
            TableName="mimamori-local-env_scheduler-looks", Key={"schedule": {"S": schedule}}
        )
        return found.get("Item", {}).keys()

    def machines(self):
        pages = self.laptop.aws("ec2").describe_instances()["Reservations"]
        return {
            next(tag["Value"] for tag in one["Tags"] if tag["Key"] == "Name"): one
            for page in pages
            for one in page["Instances"]
            if one["State"]["Name"] != "terminated"
        }

    def state(self):
        laptop = self.laptop
        found = {name: one["State"]["Name"] for name, one in self.machines().items()}
        (group,) = laptop.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        found["myapp-worker"] = (group["MinSize"], group["MaxSize"], group["DesiredCapacity"])
        (service,) = laptop.aws("ecs").describe_services(cluster="myapp", services=["api"])[
            "services"
        ]
        found["api"] = service["desiredCount"]
        (target,) = laptop.aws("application-autoscaling").describe_scalable_targets(
            ServiceNamespace="ecs", ResourceIds=["service/myapp/api"]
        )["ScalableTargets"]
        found["api's bounds"] = (target["MinCapacity"], target["MaxCapacity"])
        rds = laptop.aws("rds")
        (cluster,) = rds.describe_db_clusters()["DBClusters"]
        found["myapp"] = cluster["Status"]
        (report,) = rds.describe_db_instances(DBInstanceIdentifier="myapp-report")["DBInstances"]
        found["myapp-report"] = report["DBInstanceStatus"]
        return found


@pytest.fixture(scope="module")
def estate(laptop):
    state = laptop.shell("terraform -chdir=terraform output -json env_scheduler")
    assert state.returncode == 0, state.stderr
    return Estate(laptop, json.loads(state.stdout)["state_machine_arn"], count(1))


@pytest.fixture
def asleep(estate):
    """The estate sleeps; at the end it is awake again, whatever happened."""
    assert estate.run(action="suspend")["status"] == "SUCCEEDED"
    yield
    assert estate.run(action="start", tag="office-hours")["status"] == "SUCCEEDED"
    assert estate.state() == AWAKE


def test_to_sleep_once_more_and_awake(estate):
    laptop = estate.laptop
    before = laptop.newest()
    assert estate.state() == AWAKE
    first = estate.run(action="suspend", channel="C0123456789")
    assert first["status"] == "SUCCEEDED", first
    assert estate.state() == ASLEEP
    # What is remembered is no change to Terraform, of the estate either.
    plan = laptop.shell(
        "TF_DATA_DIR=$TF_DATA_DIR-estate terraform -chdir=local/estate plan -detailed-exitcode"
    )
    assert plan.returncode == 0, plan.stdout + plan.stderr
    again = estate.run(action="suspend", channel="C0123456789")
    assert json.loads(again["output"])["changed"] == 0
    assert estate.state() == ASLEEP
    awake = estate.run(action="start", channel="C0123456789")
    assert awake["status"] == "SUCCEEDED", awake
    assert estate.state() == AWAKE
    posts = [item["body"]["text"] for item in laptop.inbox(before, channel="slack")]
    assert [text.splitlines()[0] for text in posts] == [
        "*環境を停止しました*",
        "*環境を起動しました*",
    ]


@pytest.mark.usefixtures("asleep")
def test_a_boundary_is_run_once_and_a_person_keeps_what_they_woke(estate):
    laptop = estate.laptop
    quarter = datetime.now(UTC) + timedelta(hours=9)
    stop = f"{quarter.hour:02}:{quarter.minute // 15 * 15:02}"
    days = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
    schedule = {"name": "of-a-test", "days": days, "stop": stop, "holidays": False}
    # By hand it was put to sleep before this boundary: there is nothing to do but to note that.
    answer = laptop.answer("env_scheduler", schedule=schedule)
    assert answer["run"] is False, answer
    assert estate.looked("of-a-test") >= {"tag", "ec2_instances", "rds_clusters", "ecs_services"}
    woken = estate.machines()["myapp-web-1"]["InstanceId"]
    ec2 = laptop.aws("ec2")
    ec2.start_instances(InstanceIds=[woken])
    assert laptop.answer("env_scheduler", schedule=schedule)["run"] is False
    assert estate.state() == ASLEEP | {"myapp-web-1": "running"}
    # A run that was missed: its mark is an older boundary's.
    mark = {"Key": "mimamori:scheduler", "Value": "suspended 2026-01-01T12:00:00Z"}
    ec2.create_tags(Resources=[woken], Tags=[mark])
    answer = laptop.answer("env_scheduler", schedule=schedule)
    assert (answer["run"], answer["due"]) == (True, 1), answer
    assert answer["execution"].startswith("of-a-test-suspend-")
    ended = estate.end_of(estate.executions("of-a-test-suspend-")[answer["execution"]])
    assert ended["status"] == "SUCCEEDED", ended
    assert estate.state() == ASLEEP
    assert laptop.answer("env_scheduler", schedule=schedule)["run"] is False
    assert len(estate.executions("of-a-test-suspend-")) == 1
    # Whoever works at night says until when.
    ec2.create_tags(
        Resources=[woken],
        Tags=[mark, {"Key": "KeepUntil", "Value": "2199-12-01T02:00+09:00"}],
    )
    ec2.start_instances(InstanceIds=[woken])
    assert laptop.answer("env_scheduler", schedule=schedule)["run"] is False
    dry = laptop.answer("env_scheduler", action="suspend", kind="ec2_instances", dry_run=True)
    assert {"name": woken, "reason": "KeepUntil 2199-12-01T02:00+09:00"} in dry["left"]
    ec2.delete_tags(Resources=[woken], Tags=[{"Key": "KeepUntil"}])


@pytest.mark.usefixtures("asleep")
def test_a_holiday_is_slept_through_and_says_why(estate):
    schedule = {"name": "of-a-test", "days": ["MON"], "start": "08:00", "stop": "21:00"}
    # The Monday of the Coming of Age Day.
    ended = estate.run(action="start", schedule=schedule, boundary="2027-01-10T23:00:00Z")
    assert ended["status"] == "SUCCEEDED"
    assert "成人の日" in json.loads(ended["output"])["reason"]
    assert estate.state() == ASLEEP


def test_what_has_no_tag_is_refused_by_name(estate):
    bastion = estate.machines()["myapp-bastion"]["InstanceId"]
    done = estate.laptop.invoke(
        "env_scheduler", action="suspend", targets={"ec2InstanceIds": [bastion]}
    )
    assert done.returncode != 0
    assert bastion in done.stderr
    ended = estate.run(action="suspend", targets={"ec2InstanceIds": [bastion]})
    assert ended["status"] == "FAILED"
    assert bastion in ended["cause"]
    assert estate.state() == AWAKE


def test_one_kind_fails_and_the_others_have_their_turn(estate):
    with estate.laptop.denied("env_scheduler", "ec2:StopInstances"):
        ended = estate.run(action="suspend")
    assert ended["status"] == "FAILED"
    assert "EC2" in ended["cause"]
    assert estate.state() == ASLEEP | dict.fromkeys(MACHINES, "running")
    assert estate.run(action="start")["status"] == "SUCCEEDED"
    assert estate.state() == AWAKE


def test_what_aws_throttles_has_its_next_turn_after_all_the_others(estate):
    estate.laptop.fault(service="application-autoscaling", status=429, times=ATTEMPTS)
    ended = estate.run(action="suspend")
    assert ended["status"] == "SUCCEEDED", ended
    assert estate.state() == ASLEEP
    pages = estate.laptop.aws("stepfunctions").get_paginator("get_execution_history")
    happened = [
        event["type"]
        for page in pages.paginate(executionArn=ended["executionArn"])
        for event in page["events"]
    ]
    # The plan and five kinds; then the first of them again, and the summary.
    pause = happened.index("WaitStateEntered")
    calls = [part.count("TaskScheduled") for part in (happened[:pause], happened[pause:])]
    assert calls == [1 + 5, 1 + 1]
    assert estate.run(action="start")["status"] == "SUCCEEDED"
    assert estate.state() == AWAKE


def test_a_dry_run_and_the_status_touch_nothing(estate):
    answer = estate.laptop.answer("env_scheduler", action="suspend", dry_run=True)
    assert sum(kind["planned"] for kind in answer["kinds"]) == 6
    (office,) = estate.laptop.answer("env_scheduler", action="status")["schedules"]
    # Aurora's member is reached through its cluster.
    assert (office["schedule"], office["counts"]) == ("office-hours", {"on": 6})
    assert {one["name"] for one in office["resources"]} >= {"myapp-worker", "myapp/api", "myapp"}
    assert estate.state() == AWAKE
