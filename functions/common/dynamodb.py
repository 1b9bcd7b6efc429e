"""Items of DynamoDB as plain dictionaries, and the conditional write."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from common import aws

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def get(table: str, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read an item as it is now; None where there is none."""
    found = aws.client("dynamodb").get_item(TableName=table, Key=values(key), ConsistentRead=True)
    return plain(found["Item"]) if "Item" in found else None


def change(
    table: str,
    key: Mapping[str, Any],
    sets: Mapping[str, Any],
    *,
    when: str,
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Set attributes of an item where a condition holds, and return the whole item after it.

    None where the condition does not hold, or a transaction is just changing the item. A value of
    None removes its attribute. The condition writes names as `#name`, and as `:name` the values
    that are `given`.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
    """
    written = {name: value for name, value in sets.items() if value is not None}
    update = "SET " + ", ".join(f"#{name} = :new_{name}" for name in written) if written else ""
    if removed := [f"#{name}" for name, value in sets.items() if value is None]:
        update += " REMOVE " + ", ".join(removed)
    dynamodb = aws.client("dynamodb")
    new = {f":new_{name}": value for name, value in written.items()}
    try:
        answer = dynamodb.update_item(
            TableName=table,
            Key=values(key),
            UpdateExpression=update.strip(),
            ConditionExpression=when,
            ExpressionAttributeNames={
                f"#{name}": name for name in {*sets, *re.findall(r"#(\w+)", when)}
            },
            ExpressionAttributeValues=values(
                new | {f":{name}": value for name, value in (given or {}).items()}
            ),
            ReturnValues="ALL_NEW",
        )
    except (
        dynamodb.exceptions.ConditionalCheckFailedException,
        dynamodb.exceptions.TransactionConflictException,
    ):
        return None
    return plain(answer["Attributes"])


def values(item: Mapping[str, Any]) -> dict[str, Any]:
    """Write a dictionary as DynamoDB wants it; what is None is left out."""
    return {name: _serialize(value) for name, value in item.items() if value is not None}


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """Read what DynamoDB gave. All numbers are taken for whole ones."""
    return {name: _whole(_deserialize(value)) for name, value in item.items()}


def _whole(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value)
        case dict():
            return {name: _whole(one) for name, one in value.items()}
        case list():
            return [_whole(one) for one in value]
    return value
