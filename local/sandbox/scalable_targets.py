"""The scalable targets of Application Auto Scaling, and what is asked of them.

Kept by account and region; nothing is ever scaled. A guess here, where AWS's documentation is
silent: the words about capacities, paging and tags, and that only a new target takes tags. Not
looked at: whether the ECS service exists.
"""

import json
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import botocore.session

from sandbox.inbox import open_database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS targets (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    namespace TEXT NOT NULL,
    resource TEXT NOT NULL,
    dimension TEXT NOT NULL,
    arn TEXT NOT NULL UNIQUE,
    target TEXT NOT NULL,
    tags TEXT NOT NULL,
    PRIMARY KEY (account, region, namespace, resource, dimension)
);
"""
_MOST_TARGETS = 50  # a page, and resource ids in a question
_MOST_TAGS = 50
_MODEL = botocore.session.get_session().get_service_model("application-autoscaling")
_TYPES = {"string": str, "integer": int, "list": list, "map": dict, "structure": dict}
_SUSPENDED = (
    "DynamicScalingInSuspended",
    "DynamicScalingOutSuspended",
    "ScheduledScalingSuspended",
)
_UNMET = "failed to satisfy constraint:"

Fields = Mapping[str, Any]


class Refused(Exception):
    """What AWS would answer with an error: its code, words and status."""

    def __init__(self, code: str, words: str, status: int = 400) -> None:
        """Keep the three."""
        super().__init__(words)
        self.code, self.status = code, status


@dataclass(frozen=True)
class Place:
    """Where a target is: an account's region."""

    account: str
    region: str

    @property
    def arn(self) -> str:
        """What the ARN of each of its targets begins with."""
        return f"arn:aws:application-autoscaling:{self.region}:{self.account}:scalable-target/"


@dataclass(frozen=True)
class Targets:
    """The scalable targets of all places, in an SQLite file."""

    connection: sqlite3.Connection
    lock: Lock

    def do(self, operation: str, place: Place, fields: Fields) -> dict[str, Any]:
        """Do an operation and return its answer; raises Refused."""
        if operation not in _OPERATIONS:
            raise Refused("UnknownOperationException", f"The laptop does not play {operation}.")
        _check(operation, fields)
        with self.lock:
            return _OPERATIONS[operation](self, place, fields)

    def resource(self, operation: str, place: Place, fields: Fields) -> str:
        """Return the ARN that a policy names for an operation, whose fields are not checked yet."""
        arn, named = fields.get("ResourceARN"), _key(fields)
        if operation.startswith("Describe"):
            return "*"
        if isinstance(arn, str):
            return arn
        found = self.find(place, fields) if all(isinstance(each, str) for each in named) else None
        # A new one has no id yet that a policy could name.
        return found["ScalableTargetARN"] if found else f"{place.arn}new"

    def register(self, place: Place, fields: Fields) -> dict[str, Any]:
        """Make a target, which takes both capacities, or change one, which takes either."""
        namespace, resource, dimension = key = _key(fields)
        if not dimension.startswith(f"{namespace}:") or (
            namespace == "ecs" and not re.fullmatch(r"service/[^/]+/[^/]+", resource)
        ):
            raise _invalid("Unsupported service namespace, resource type or scalable dimension")
        found = self.find(place, fields)
        if found and "Tags" in fields:
            raise _invalid("Tags can only be given to a new scalable target: use TagResource")
        target = found or {
            "ServiceNamespace": namespace,
            "ResourceId": resource,
            "ScalableDimension": dimension,
            "RoleARN": f"arn:aws:iam::{place.account}:role/aws-service-role/{namespace}"
            ".application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling"
            f"{'_ECSService' if namespace == 'ecs' else ''}",
            "CreationTime": round(time.time(), 3),
            "SuspendedState": dict.fromkeys(_SUSPENDED, False),
            "ScalableTargetARN": place.arn + secrets.token_hex(17),
        }
        target |= {
            name: fields[name]
            for name in ("MinCapacity", "MaxCapacity", "RoleARN")
            if fields.get(name) is not None
        }
        target["SuspendedState"] |= fields.get("SuspendedState") or {}
        _check_capacities(target)
        self.connection.execute(
            "INSERT INTO targets VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (arn) DO UPDATE SET target = excluded.target",
            (
                *(place.account, place.region, *key, target["ScalableTargetARN"]),
                *(json.dumps(target), json.dumps(_tags(fields))),
            ),
        )
        return {"ScalableTargetARN": target["ScalableTargetARN"]}

    def describe(self, place: Place, fields: Fields) -> dict[str, Any]:
        """Return a page of the targets that were asked for, by resource and dimension."""
        size = fields.get("MaxResults") or _MOST_TARGETS
        if not 1 <= size <= _MOST_TARGETS:
            raise _invalid(f"MaxResults must be between 1 and {_MOST_TARGETS}, not {size}")
        after = fields.get("NextToken")
        if after is not None and not re.fullmatch(r"\d{1,9}", after):
            raise Refused("InvalidNextTokenException", "The next token is not valid.")
        # In the order in which they came, so that a page stays one while targets are added.
        rows = self.connection.execute(
            "SELECT rowid, target FROM targets WHERE account = ? AND region = ? AND namespace = ?"
            " AND rowid > ? ORDER BY rowid",
            (place.account, place.region, fields["ServiceNamespace"], int(after or 0)),
        )
        resources, dimension = fields.get("ResourceIds"), fields.get("ScalableDimension")
        found = [
            (number, target)
            for number, target in ((number, json.loads(text)) for number, text in rows)
            if (not resources or target["ResourceId"] in resources)
            and dimension in (None, target["ScalableDimension"])
        ]
        answer: dict[str, Any] = {"ScalableTargets": [target for _, target in found[:size]]}
        if len(found) > size:
            answer["NextToken"] = str(found[size - 1][0])
        return answer

    def deregister(self, place: Place, fields: Fields) -> dict[str, Any]:
        """Forget a target, and its tags."""
        if not (found := self.find(place, fields)):
            raise Refused(
                "ObjectNotFoundException",
                "No scalable target found for service namespace: {}, resource ID: {}, "
                "scalable dimension: {}".format(*_key(fields)),
            )
        self.connection.execute("DELETE FROM targets WHERE arn = ?", (found["ScalableTargetARN"],))
        return {}

    def tag(self, place: Place, fields: Fields) -> dict[str, Any]:
        """Add tags to those of a target."""
        tags = self.tags(place, fields)["Tags"] | _tags(fields)
        if len(tags) > _MOST_TAGS:
            raise Refused("TooManyTagsException", f"A resource has at most {_MOST_TAGS} tags.")
        self._keep_tags(fields, tags)
        return {}

    def untag(self, place: Place, fields: Fields) -> dict[str, Any]:
        """Take tags from a target; those that it does not have too."""
        tags = self.tags(place, fields)["Tags"]
        self._keep_tags(fields, {k: v for k, v in tags.items() if k not in fields["TagKeys"]})
        return {}

    def tags(self, place: Place, fields: Fields) -> dict[str, Any]:
        """Return the tags of a target."""
        arn = fields["ResourceARN"]
        row = self.connection.execute("SELECT tags FROM targets WHERE arn = ?", (arn,)).fetchone()
        if not row or not arn.startswith(place.arn):
            raise Refused("ResourceNotFoundException", f"Resource not found: {arn}")
        return {"Tags": json.loads(row[0])}

    def find(self, place: Place, fields: Fields) -> dict[str, Any] | None:
        """Return the target that a request names, as DescribeScalableTargets shows it."""
        row = self.connection.execute(
            "SELECT target FROM targets WHERE account = ? AND region = ? AND namespace = ?"
            " AND resource = ? AND dimension = ?",
            (place.account, place.region, *_key(fields)),
        ).fetchone()
        found: dict[str, Any] | None = json.loads(row[0]) if row else None
        return found

    def _keep_tags(self, fields: Fields, tags: Mapping[str, str]) -> None:
        self.connection.execute(
            "UPDATE targets SET tags = ? WHERE arn = ?", (json.dumps(tags), fields["ResourceARN"])
        )


_OPERATIONS: Mapping[str, Callable[[Targets, Place, Fields], dict[str, Any]]] = {
    "RegisterScalableTarget": Targets.register,
    "DescribeScalableTargets": Targets.describe,
    "DeregisterScalableTarget": Targets.deregister,
    "TagResource": Targets.tag,
    "UntagResource": Targets.untag,
    "ListTagsForResource": Targets.tags,
}


def open_targets(folder: Path) -> Targets:
    """Open the targets of a folder, making the file where it is not there yet."""
    return Targets(open_database(folder / "scalable_targets.sqlite3", _SCHEMA), Lock())


def _check(operation: str, fields: Fields) -> None:
    """Hold fields against the service's model: which are needed, types, lengths, choices."""
    shape = _MODEL.operation_model(operation).input_shape
    wrong = []
    for name, member in shape.members.items():
        value, place = fields.get(name), name[0].lower() + name[1:]
        if value is None:
            if name in shape.required_members:
                wrong.append(f"Value null at '{place}' {_UNMET} Member must not be null")
            continue
        _check_type(name, member, value)
        shown = f"Value '{value}' at '{place}' {_UNMET}"
        if (words := getattr(member, "enum", None)) and value not in words:
            wrong.append(f"{shown} Member must satisfy enum value set: [{', '.join(words)}]")
        sized = len(value) if isinstance(value, str | list) else None
        least, most = member.metadata.get("min"), member.metadata.get("max")
        if sized is not None and least is not None and sized < least:
            wrong.append(f"{shown} Member must have length greater than or equal to {least}")
        if sized is not None and most is not None and sized > most:
            wrong.append(f"{shown} Member must have length less than or equal to {most}")
    if wrong:
        errors = f"{len(wrong)} validation error{'s' if len(wrong) > 1 else ''} detected"
        raise _invalid(f"{errors}: {'; '.join(wrong)}")


def _check_type(name: str, member: Any, value: object) -> None:
    inner: list[object] = []
    if isinstance(value, list):
        inner = value
    elif isinstance(value, dict) and member.type_name == "map":
        inner = list(value.values())
    right = isinstance(value, _TYPES[member.type_name]) and not isinstance(value, bool)
    if member.type_name == "structure" and isinstance(value, dict):
        right = all(
            key in member.members and isinstance(is_so, bool) for key, is_so in value.items()
        )
    if not right or not all(isinstance(each, str) for each in inner):
        raise Refused("SerializationException", f"{name} takes a {member.type_name}.")


def _check_capacities(target: Fields) -> None:
    for name in ("MinCapacity", "MaxCapacity"):
        if name not in target:
            raise _invalid(f"{name} is required for a new scalable target")
        if target[name] < 0:
            raise _invalid(f"{name} must not be negative, but is {target[name]}")
    if target["MinCapacity"] > target["MaxCapacity"]:
        raise _invalid(
            "MinCapacity must not be greater than MaxCapacity: "
            f"{target['MinCapacity']} > {target['MaxCapacity']}"
        )


def _key(fields: Fields) -> tuple[Any, Any, Any]:
    namespace, resource = fields.get("ServiceNamespace"), fields.get("ResourceId")
    return namespace, resource, fields.get("ScalableDimension")


def _tags(fields: Fields) -> dict[str, str]:
    return fields.get("Tags") or {}


def _invalid(words: str) -> Refused:
    return Refused("ValidationException", words)
