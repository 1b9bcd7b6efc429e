"""An estate in moto: databases, a group, machines, services; and every call that was made."""

import functools
import json
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest

from common import aws
from env_scheduler import handler

TAG = {"Key": "Schedule", "Value": "office-hours"}
OTHER = {"Key": "Schedule", "Value": "production"}
DATABASE = {
    "Engine": "mysql", "DBInstanceClass": "db.t4g.micro", "AllocatedStorage": 20,
    "MasterUsername": "a", "MasterUserPassword": "a-password",
}  # fmt: skip
# Those of the tests, apart from those of the functions, whose calls are counted.
client = functools.cache(boto3.client)
READS = ("Describe", "List", "Get")


@pytest.fixture
def estate(moto, monkeypatch):
    monkeypatch.setenv("LOOKS_TABLE", "looks")
    client("dynamodb").create_table(
        TableName="looks",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "schedule", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "schedule", "AttributeType": "S"}],
    )
    return Estate()


@pytest.fixture
def at(monkeypatch):
    """Set the handler's clock, in UTC."""

    def set_clock(text):
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        monkeypatch.setattr(handler, "now", lambda: moment)
        return moment

    set_clock("2026-11-25T12:05")  # Wednesday, 21:05 in Tokyo
    return set_clock


@pytest.fixture
def seen(estate, at, context):
    """Return a function that has the morning's run mark what there is."""

    def mark_all():
        moment = handler.now()
        at("2026-11-25T00:05")
        handler.handler({"action": "start"}, context)
        at(f"{moment:%Y-%m-%dT%H:%M}")

    return mark_all


@pytest.fixture
def calls(estate, monkeypatch):
    """Count the function's calls of AWS by name; `refuse` and `answers` answer some of them."""
    counted, watched, answers = Counter(), {}, {}
    refused = {}
    real = aws.client

    def client(service):
        made = real(service)
        if service not in watched:
            watched[service] = made.meta.events
            watched[service].register("before-call", note)
        return made

    def note(model, params, **_):
        counted[model.name] += 1
        for (name, part), code in refused.items():
            body = json.dumps(params.get("body"), default=str)
            if model.name == name and part in body:
                error = {"Error": {"Code": code, "Message": f"no {part}"}}
                raise model_error(error, model.name)
        if answer := answers.get(model.name):
            return SimpleNamespace(status_code=200), answer(params["body"])
        return None

    def model_error(error, name):
        from botocore.exceptions import ClientError  # noqa: PLC0415

        return ClientError(error, name)

    monkeypatch.setattr(aws, "client", client)
    yield SimpleNamespace(
        counted=counted,
        answers=answers,
        refuse=lambda name, code, part="": refused.__setitem__((name, part), code),
        forgive=refused.clear,
        writes=lambda: {n: c for n, c in counted.items() if not n.startswith(READS)},
    )
    for events in watched.values():
        events.unregister("before-call", note)


@pytest.fixture
def machine_arn(moto, monkeypatch):
    states = client("stepfunctions")
    role = "arn:aws:iam::123456789012:role/a"
    definition = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
    made = states.create_state_machine(name="env_scheduler", definition=definition, roleArn=role)
    monkeypatch.setenv("STATE_MACHINE_ARN", made["stateMachineArn"])
    return made["stateMachineArn"]


def executions(arn):
    states = client("stepfunctions")
    return [one["name"] for one in states.list_executions(stateMachineArn=arn)["executions"]]


def end_all(arn):
    states = client("stepfunctions")
    for one in states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]:
        states.stop_execution(executionArn=one["executionArn"])


class Estate:
    def __init__(self):
        self.ec2, self.rds, self.ecs = map(client, ("ec2", "rds", "ecs"))
        self.groups = client("autoscaling")
        self.bounds = client("application-autoscaling")

    def machines(self, count=1, *tags, **fields):
        specification = [{"ResourceType": "instance", "Tags": list(tags or (TAG,))}]
        made = self.ec2.run_instances(
            ImageId=self.image(), MinCount=count, MaxCount=count,
            TagSpecifications=specification, **fields,
        )  # fmt: skip
        return [instance["InstanceId"] for instance in made["Instances"]]

    def image(self):
        found = self.ec2.describe_images(Owners=["self"])["Images"]
        return (found[0] if found else self.ec2.register_image(Name="any"))["ImageId"]

    def machine(self, identifier):
        (found,) = self.ec2.describe_instances(InstanceIds=[identifier])["Reservations"]
        (instance,) = found["Instances"]
        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        return instance["State"]["Name"], tags

    def group(self, name="group", *tags):
        if not self.groups.describe_launch_configurations()["LaunchConfigurations"]:
            self.groups.create_launch_configuration(
                LaunchConfigurationName="lc", ImageId=self.image(), InstanceType="t3.micro"
            )
        self.groups.create_auto_scaling_group(
            AutoScalingGroupName=name, LaunchConfigurationName="lc", MinSize=1, MaxSize=4,
            DesiredCapacity=2, AvailabilityZones=["ap-northeast-1a"],
            Tags=[tag | {"PropagateAtLaunch": True} for tag in tags or (TAG,)],
        )  # fmt: skip

    def group_size(self, name="group"):
        (found,) = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
            "AutoScalingGroups"
        ]
        return found["MinSize"], found["MaxSize"], found["DesiredCapacity"]

    def service(self, name="web", desired=3, bounds=None, cluster="main"):
        self.ecs.create_cluster(clusterName=cluster)
        definition = self.ecs.register_task_definition(
            family="web", containerDefinitions=[{"name": "a", "image": "b", "memory": 10}]
        )["taskDefinition"]["taskDefinitionArn"]
        self.ecs.create_service(
            cluster=cluster, serviceName=name, taskDefinition=definition, desiredCount=desired,
            tags=[{"key": "Schedule", "value": "office-hours"}],
        )  # fmt: skip
        if bounds:
            self.bounds.register_scalable_target(
                ServiceNamespace="ecs", ScalableDimension="ecs:service:DesiredCount",
                ResourceId=f"service/{cluster}/{name}", MinCapacity=bounds[0],
                MaxCapacity=bounds[1],
            )  # fmt: skip

    def service_size(self, name="web", cluster="main"):
        (found,) = self.ecs.describe_services(cluster=cluster, services=[name])["services"]
        targets = self.bounds.describe_scalable_targets(
            ServiceNamespace="ecs", ResourceIds=[f"service/{cluster}/{name}"]
        )["ScalableTargets"]
        bounds = [(target["MinCapacity"], target["MaxCapacity"]) for target in targets]
        return found["desiredCount"], *bounds

    def database(self, name="db", *tags, **fields):
        self.rds.create_db_instance(
            DBInstanceIdentifier=name, Tags=list(tags or (TAG,)), **DATABASE | fields
        )

    def cluster(self, name="aurora", *tags):
        self.rds.create_db_cluster(
            DBClusterIdentifier=name, Engine="aurora-mysql", MasterUsername="a",
            MasterUserPassword="a-password", Tags=list(tags or (TAG,)),
        )  # fmt: skip
        self.rds.create_db_instance(
            DBInstanceIdentifier=f"{name}-1", Engine="aurora-mysql",
            DBInstanceClass="db.r6g.large", DBClusterIdentifier=name, Tags=list(tags or (TAG,)),
        )  # fmt: skip

    def databases(self):
        instances = self.rds.describe_db_instances()["DBInstances"]
        clusters = self.rds.describe_db_clusters()["DBClusters"]
        return {i["DBInstanceIdentifier"]: i["DBInstanceStatus"] for i in instances} | {
            c["DBClusterIdentifier"]: c["Status"] for c in clusters
        }
