"""ECS services: their tasks, and the bounds within which application auto scaling moves them.

Found by the tagging API, since ECS lists nothing by tag. A service that is scaled gets bounds of
zero first, or the next alarm would wake it; on the way back its tasks come first and the bounds
last, so that of both ways the half way is the same: tasks, but no room for any.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from common import aws
from env_scheduler import calls, marks
from env_scheduler.calls import Culprits
from env_scheduler.decisions import Resource
from env_scheduler.marks import MARK, SIZE, Size

# https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
PAGE = 100
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html
SERVICES_A_CALL = 10
# https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalableTargets.html
TARGETS_A_CALL = 50
_DIMENSION = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}


def pages(key: str, value: str) -> Iterator[list[Resource]]:
    """Give the services that have a tag, page by page."""
    found = aws.client("resourcegroupstaggingapi").get_paginator("get_resources")
    wanted = {
        "ResourceTypeFilters": ["ecs:service"],
        "TagFilters": [{"Key": key, "Values": [value]}],
    }
    for page in found.paginate(**wanted, PaginationConfig={"PageSize": PAGE}):
        arns = [each["ResourceARN"] for each in page["ResourceTagMappingList"]]
        # …:service/cluster/name; before 2018 an ARN did not tell the cluster.
        yield _described([arn.split(":")[5].removeprefix("service/") for arn in arns], key)


def named(key: str, names: Sequence[str]) -> Iterator[list[Resource]]:
    """Give the services of these names (cluster/service), as far as there are any."""
    for some in calls.chunks(names, PAGE):
        yield _described(some, key)


def suspend(resources: Sequence[Resource]) -> Culprits:
    """Save the sizes, then take the room, then the tasks."""

    def act(service: Resource) -> None:
        if text := calls.unsaved(service):
            _tag(service, SIZE, text)
        if service.size and "max" in service.size:
            _bound(service, {"min": 0, "max": 0})
        _set(service, 0)

    return calls.one_by_one(resources, act)


def start(resources: Sequence[Resource]) -> Culprits:
    """Give back the tasks, then the room; the room first where there is some: see calls.state."""

    def act(service: Resource) -> None:
        size, now = marks.size(service.tags) or {}, service.size or {}
        bounded = "max" in now and {"min", "max"} <= size.keys()
        if bounded and now["max"]:
            _bound(service, size)
        _set(service, size.get("desired", 0))
        if bounded and not now["max"]:
            _bound(service, size)

    return calls.one_by_one(resources, act)


def mark(resources: Sequence[Resource], value: str) -> Culprits:
    """Write one mark on each."""
    return calls.one_by_one(resources, lambda service: _tag(service, MARK, value))


def _tag(service: Resource, key: str, value: str) -> None:
    aws.client("ecs").tag_resource(resourceArn=service.ref, tags=[{"key": key, "value": value}])


def _set(service: Resource, desired: int) -> None:
    cluster, _, name = service.name.partition("/")
    aws.client("ecs").update_service(cluster=cluster, service=name, desiredCount=desired)


def _bound(service: Resource, size: Size) -> None:
    aws.client("application-autoscaling").register_scalable_target(
        **_DIMENSION,
        ResourceId=f"service/{service.name}",
        MinCapacity=size["min"],
        MaxCapacity=size["max"],
    )


def _described(names: Sequence[str], key: str) -> list[Resource]:
    """Return services (cluster/service) as they are; unknown ones are not in it."""
    clusters: dict[str, list[str]] = defaultdict(list)
    for name in names:
        cluster, _, service = name.rpartition("/")
        clusters[cluster or "default"].append(service)
    client = aws.client("ecs")
    found: list[dict[str, Any]] = []
    for cluster, services in clusters.items():
        for some in calls.chunks(services, SERVICES_A_CALL):
            try:
                answer = client.describe_services(cluster=cluster, services=some, include=["TAGS"])
            except client.exceptions.ClusterNotFoundException:
                continue
            found += [each for each in answer["services"] if each["status"] == "ACTIVE"]
    bounds = _bounds([_name(service) for service in found])
    return [_resource(service, key, bounds.get(_name(service), {})) for service in found]


def _name(service: dict[str, Any]) -> str:
    return f"{service['clusterArn'].rpartition('/')[2]}/{service['serviceName']}"


def _bounds(names: Sequence[str]) -> dict[str, Size]:
    found: dict[str, Size] = {}
    pager = aws.client("application-autoscaling").get_paginator("describe_scalable_targets")
    for some in calls.chunks(names, TARGETS_A_CALL):
        asked = [f"service/{name}" for name in some]
        for page in pager.paginate(**_DIMENSION, ResourceIds=asked):
            for target in page["ScalableTargets"]:
                found[target["ResourceId"].removeprefix("service/")] = {
                    "min": target["MinCapacity"],
                    "max": target["MaxCapacity"],
                }
    return found


def _resource(service: dict[str, Any], key: str, bounds: Size) -> Resource:
    size = bounds | {"desired": service["desiredCount"]}
    tags = calls.tags(service.get("tags", []), key, name="key")
    half = size["desired"] and size.get("max") == 0
    daemon = service.get("schedulingStrategy") == "DAEMON"
    return Resource(
        kind="ecs_services",
        name=_name(service),
        ref=service["serviceArn"],
        state="half" if half else calls.state(size, tags),
        said=f"{marks.size_text(size)} running={service['runningCount']}",
        tags=tags,
        obstacle="runs one task on each machine, and goes with them" if daemon else None,
        size=size,
        began=service.get("createdAt"),
    )
