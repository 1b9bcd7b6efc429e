"""Auto Scaling groups: zeroed, with their sizes kept in a tag, and given them back.

With min, max and desired at zero no alarm or policy can wake a group, so its processes need not be
suspended; the three change in one call, so that nothing is ever half done. Scheduled actions of a
group's own set these sizes themselves, and would still wake it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

from common import aws
from env_scheduler import calls, marks
from env_scheduler.calls import Culprits
from env_scheduler.decisions import Resource
from env_scheduler.marks import MARK, SIZE

# https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
PAGE = 100
NAMES_A_CALL = 50


def pages(key: str, value: str) -> Iterator[list[Resource]]:
    """Give the groups that have a tag, page by page."""
    yield from _listed(key, PAGE, Filters=[{"Name": f"tag:{key}", "Values": [value]}])


def named(key: str, names: Sequence[str]) -> Iterator[list[Resource]]:
    """Give the groups of these names, as far as there are any."""
    for some in calls.chunks(names, NAMES_A_CALL):
        yield from _listed(key, NAMES_A_CALL, AutoScalingGroupNames=some)


def suspend(resources: Sequence[Resource]) -> Culprits:
    """Save the sizes, then zero them."""

    def act(group: Resource) -> None:
        if text := calls.unsaved(group):
            _tag([group], SIZE, text)
        _resize(group, {"min": 0, "max": 0, "desired": 0})

    return calls.one_by_one(resources, act)


def start(resources: Sequence[Resource]) -> Culprits:
    """Give back the sizes."""
    return calls.one_by_one(resources, lambda group: _resize(group, marks.size(group.tags) or {}))


def mark(resources: Sequence[Resource], value: str) -> Culprits:
    """Write one mark on each; where one of them is refused, on each by itself."""
    try:
        _tag(resources, MARK, value)
    except ClientError:
        return calls.one_by_one(resources, lambda group: _tag([group], MARK, value))
    return []


def _tag(groups: Sequence[Resource], key: str, value: str) -> None:
    if groups:
        aws.client("autoscaling").create_or_update_tags(
            Tags=[
                {
                    "ResourceId": group.ref,
                    "ResourceType": "auto-scaling-group",
                    "Key": key,
                    "Value": value,
                    "PropagateAtLaunch": False,
                }
                for group in groups
            ]
        )


def _resize(group: Resource, size: marks.Size) -> None:
    names = {"min": "MinSize", "max": "MaxSize", "desired": "DesiredCapacity"}
    aws.client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=group.ref, **{names[name]: number for name, number in size.items()}
    )


def _listed(key: str, page_size: int, **wanted: Any) -> Iterator[list[Resource]]:
    found = aws.client("autoscaling").get_paginator("describe_auto_scaling_groups")
    for page in found.paginate(**wanted, PaginationConfig={"PageSize": page_size}):
        yield [_resource(group, key) for group in page["AutoScalingGroups"]]


def _resource(group: dict[str, Any], key: str) -> Resource:
    size = {"min": group["MinSize"], "max": group["MaxSize"], "desired": group["DesiredCapacity"]}
    tags = calls.tags(group.get("Tags", []), key)
    deleting = group.get("Status") == "Delete in progress"
    return Resource(
        kind="auto_scaling_groups",
        name=group["AutoScalingGroupName"],
        ref=group["AutoScalingGroupName"],
        state="odd" if deleting else calls.state(size, tags),
        said="being deleted" if deleting else marks.size_text(size),
        tags=tags,
        size=size,
        began=group.get("CreatedTime"),
    )
