"""EC2 instances: listed a page, stopped, started and marked a batch at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

from common import aws
from common.batches import send
from env_scheduler import calls
from env_scheduler.calls import Culprits
from env_scheduler.decisions import Owner, Resource, State
from env_scheduler.marks import MARK

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
PAGE = 500
NAMES_A_FILTER = 200
_STATES: dict[str, State] = {
    "running": "on",
    "stopped": "off",
    "pending": "between",
    "stopping": "between",
}


def pages(key: str, value: str) -> Iterator[list[Resource]]:
    """Give the instances that have a tag, page by page."""
    yield from _listed(key, {"Name": f"tag:{key}", "Values": [value]})


def named(key: str, names: Sequence[str]) -> Iterator[list[Resource]]:
    """Give the instances of these ids, as far as there are any: a filter minds no unknown id."""
    for some in calls.chunks(names, NAMES_A_FILTER):
        yield from _listed(key, {"Name": "instance-id", "Values": some})


def suspend(resources: Sequence[Resource]) -> Culprits:
    """Stop a batch, halving it where AWS refuses it for one of them."""
    return _act("stop_instances", resources)


def start(resources: Sequence[Resource]) -> Culprits:
    """Start a batch, likewise."""
    return _act("start_instances", resources)


def mark(resources: Sequence[Resource], value: str) -> Culprits:
    """Write one mark on a batch."""

    def act(batch: Sequence[Resource]) -> None:
        tag = {"Key": MARK, "Value": value}
        aws.client("ec2").create_tags(Resources=[each.ref for each in batch], Tags=[tag])

    return send([resources] if resources else [], act, refused=calls.about_items)


def _act(operation: str, resources: Sequence[Resource]) -> Culprits:
    call = getattr(aws.client("ec2"), operation)
    return send(
        [resources] if resources else [],
        lambda batch: call(InstanceIds=[each.ref for each in batch]),
        refused=calls.about_items,
    )


def _listed(key: str, wanted: dict[str, Any]) -> Iterator[list[Resource]]:
    client = aws.client("ec2")
    found = client.get_paginator("describe_instances").paginate(
        Filters=[wanted, {"Name": "instance-state-name", "Values": [*_STATES]}],
        PaginationConfig={"PageSize": PAGE},
    )
    for page in found:
        instances = [i for group in page["Reservations"] for i in group["Instances"]]
        spot = [i for i in instances if i.get("InstanceLifecycle") == "spot"]
        lasting = _persistent(client, spot) if spot else set()
        yield [
            _resource(instance, key, lasting)
            for instance in instances
            if instance["State"]["Name"] in _STATES
        ]


def _resource(instance: dict[str, Any], key: str, lasting: set[str]) -> Resource:
    identifier = instance["InstanceId"]
    tags = calls.tags(instance.get("Tags", []), key)
    obstacle = None
    owner = None
    if group := tags.pop("aws:autoscaling:groupName", None):
        owner = Owner("auto_scaling_groups", group)
        obstacle = f"belongs to the Auto Scaling group {group}: tag that"
    elif instance.get("InstanceLifecycle") == "spot" and identifier not in lasting:
        obstacle = "is a spot instance that is not persistent, and would be lost"
    elif instance.get("RootDeviceType") == "instance-store":
        obstacle = "has its root in an instance store, and would be lost"
    said = instance["State"]["Name"]
    return Resource(
        kind="ec2_instances",
        name=identifier,
        ref=identifier,
        state=_STATES[said],
        said=said,
        tags=tags,
        obstacle=obstacle,
        owner=owner,
        began=instance.get("LaunchTime"),
    )


def _persistent(client: Any, instances: Sequence[dict[str, Any]]) -> set[str]:
    requests = [i["SpotInstanceRequestId"] for i in instances if i.get("SpotInstanceRequestId")]
    found: set[str] = set()
    for some in calls.chunks(requests, NAMES_A_FILTER):
        answer = client.describe_spot_instance_requests(
            Filters=[
                {"Name": "spot-instance-request-id", "Values": some},
                {"Name": "type", "Values": ["persistent"]},
            ]
        )
        found |= {request.get("InstanceId", "") for request in answer["SpotInstanceRequests"]}
    return found
