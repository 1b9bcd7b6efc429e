"""Sessions in DynamoDB: one item an escalation, every change a conditional write.

Beside them lie, under keys of their own, which escalation a group's message belongs to
(`bundle#…`), how many a group had in an hour (`throttle#…`), whose a call is (`call#…`), and the
last roster that was read.
"""

import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from time import sleep
from typing import Any

import dacite

from common import aws, dynamodb
from phone_escalation import rotation as steps
from phone_escalation.rotation import Rotation, State
from phone_escalation.session import TOKEN, Session

HOUR = 3600
# Changes that meet another one are tried so often.
TRIES = 20
# The longest pause between two tries, in seconds.
PAUSE = 0.1


class Throttled(Exception):
    """The group has had its escalations of this hour."""


class Contended(Exception):
    """A session, or what lies beside it, changed under every try to change it."""


def load(token: str, now: int, group_id: str | None = None) -> Session | None:
    """Read a session; None where there is none (of that group), or it has expired."""
    item = get(token) if TOKEN.fullmatch(token) else None
    if item is None or item["expires_at"] <= now or group_id not in (None, item["group_id"]):
        return None
    return _session(item)


def change(
    token: str, now: int, step: Callable[[Rotation], Rotation], group_id: str | None = None
) -> tuple[Session, Session] | None:
    """Apply a step to a session's rotation; return the session before and after.

    None where `load` has none. The step is applied anew where another change came
    between. Raises Contended.
    """
    for _ in _tries():
        before = load(token, now, group_id)
        if before is None:
            return None
        rotation = step(before.rotation)
        if rotation == before.rotation:
            return before, before
        after = replace(before, rotation=rotation, version=before.version + 1)
        if _replace(after, now):
            return before, after
    raise Contended(f"session {token[:4]}… changed {TRIES} times meanwhile")


def open_or_join(new: Session, most_an_hour: int) -> tuple[Session, bool]:
    """Join the escalation that the same alert of the group has, or make `new` it.

    Returns the session, and whether it was joined. An alert joins an escalation that is still
    calling, or one acknowledged less than its `bundle_seconds` ago; where nobody answered, people
    are phoned anew. Of many at once one opens, the others join. Raises Throttled or Contended.
    """
    bundle = f"bundle#{new.env_type}#{new.group_id}#{new.message_id}"
    for _ in _tries():
        found = get(bundle)
        earlier = found["session"] if found else None
        try:
            joined = _join(earlier, new.started_at) if earlier else None
        except aws.client("dynamodb").exceptions.TransactionConflictException:
            continue  # the one that opens it is not done
        if joined:
            return joined, True
        if _open(new, bundle, earlier, most_an_hour):
            return new, False
    raise Contended(f"{bundle} changed {TRIES} times meanwhile")


def own(sid: str, session: Session) -> bool:
    """Claim a call for a session: False where it is another session's."""
    claimed = dynamodb.change(
        _table(),
        {"token": f"call#{sid}"},
        {"session": session.token, "expires_at": session.expires_at},
        when="attribute_not_exists(#session) OR #session = :mine",
        given={"mine": session.token},
    )
    return claimed is not None


def overdue(now: int) -> list[str]:
    """Return the tokens of the sessions that somebody should look after, the oldest first."""
    pages = (
        aws.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=_table(),
            IndexName="due",
            KeyConditionExpression="sweep = :yes AND due_at <= :now",
            ExpressionAttributeValues=dynamodb.values({":yes": "yes", ":now": now}),
        )
    )
    return [item["token"]["S"] for page in pages for item in page["Items"]]


def get(key: str) -> dict[str, Any] | None:
    """Read an item of the table as it is now; None where there is none."""
    return dynamodb.get(_table(), {"token": key})


def put(item: Mapping[str, Any]) -> None:
    """Write an item of the table that is no session."""
    aws.client("dynamodb").put_item(TableName=_table(), Item=dynamodb.values(item))


def _tries() -> Iterator[int]:
    for number in range(TRIES):
        if number:
            sleep(random.uniform(0, PAUSE))  # noqa: S311 (who meets is not to meet again)
        yield number


def _table() -> str:
    return os.environ["PHONE_TABLE"]


def _session(item: Mapping[str, Any]) -> Session:
    known = {name: item[name] for name in Session.__dataclass_fields__ if name in item}
    return dacite.from_dict(Session, known, dacite.Config(cast=[tuple]))


def _item(session: Session, now: int) -> dict[str, Any]:
    item = asdict(session)
    item["state"] = session.rotation.state
    due_at = steps.due_at(session.rotation)
    if due_at is not None:
        item |= {"sweep": "yes", "due_at": due_at}
        if due_at <= now:
            item["act"] = "now"
    return item


def _replace(session: Session, now: int) -> bool:
    """Write what a change changes, and nothing that alerts which join do."""
    item = _item(session, now)
    if session.rotation.state == "acknowledged" and session.rotation.ended_at:
        item["bundle_until"] = session.rotation.ended_at + session.bundle_seconds
    changing = ("rotation", "state", "version", "sweep", "due_at", "act", "bundle_until")
    sets = {name: item.get(name) for name in changing}
    written = dynamodb.change(
        _table(),
        {"token": session.token},
        sets,
        when="#version = :read",
        given={"read": session.version - 1},
    )
    return written is not None


def _join(token: str, now: int) -> Session | None:
    calling: State = "calling"
    acknowledged: State = "acknowledged"
    client = aws.client("dynamodb")
    try:
        answer = client.update_item(
            TableName=_table(),
            Key=dynamodb.values({"token": token}),
            UpdateExpression="ADD alerts :one",
            ConditionExpression=(
                "expires_at > :now AND (#state = :calling"
                " OR (#state = :acknowledged AND bundle_until > :now))"
            ),
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues=dynamodb.values(
                {":one": 1, ":now": now, ":calling": calling, ":acknowledged": acknowledged}
            ),
            ReturnValues="ALL_NEW",
        )
    except client.exceptions.ConditionalCheckFailedException:
        return None
    return _session(dynamodb.plain(answer["Attributes"]))


def _open(new: Session, bundle: str, replaced: str | None, most_an_hour: int) -> bool:
    """Write session, bundle and count, all or none; False where another was quicker."""
    client = aws.client("dynamodb")
    hour = new.started_at // HOUR
    throttle = f"throttle#{new.env_type}#{new.group_id}#{hour}"
    kept = {"expires_at": new.expires_at}
    of_bundle: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(#token)"}
    names = {"ExpressionAttributeNames": {"#token": "token"}}
    if replaced:
        of_bundle = {
            "ConditionExpression": "#session = :replaced",
            "ExpressionAttributeNames": {"#session": "session"},
            "ExpressionAttributeValues": dynamodb.values({":replaced": replaced}),
        }
    else:
        of_bundle |= names
    try:
        client.transact_write_items(
            TransactItems=[
                {
                    "Put": {
                        "TableName": _table(),
                        "Item": dynamodb.values(_item(new, new.started_at)),
                        "ConditionExpression": "attribute_not_exists(#token)",
                        **names,
                    }
                },
                {
                    "Put": {
                        "TableName": _table(),
                        "Item": dynamodb.values({"token": bundle, "session": new.token, **kept}),
                        **of_bundle,
                    }
                },
                {
                    "Update": {
                        "TableName": _table(),
                        "Key": dynamodb.values({"token": throttle}),
                        "UpdateExpression": "ADD escalations :one SET expires_at = :expires",
                        "ConditionExpression": (
                            "attribute_not_exists(escalations) OR escalations < :most"
                        ),
                        "ExpressionAttributeValues": dynamodb.values(
                            {":one": 1, ":most": most_an_hour, ":expires": new.expires_at}
                        ),
                    }
                },
            ]
        )
    except client.exceptions.TransactionCanceledException as error:
        codes = [reason.get("Code") for reason in error.response["CancellationReasons"]]
        if codes[2] == "ConditionalCheckFailed" and codes[1] != "ConditionalCheckFailed":
            raise Throttled(
                f"{new.group_id}: got more than its {most_an_hour} escalations of this hour"
            ) from None
        return False
    return True
