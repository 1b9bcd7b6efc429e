"""Sessions in DynamoDB: one item an escalation, every change a conditional write.

Beside them lie, under keys of their own, which escalation is a group's latest (`group#…`), which
one an alert belongs to (`alert#…`), how many a group had in an hour (`throttle#…`), whose a call
is (`call#…`), and the last roster that was read.
"""

import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from time import sleep
from typing import Any

import dacite

from common import aws, dynamodb
from phone_escalation import rotation as steps
from phone_escalation.rotation import Rotation
from phone_escalation.session import (
    MOST_ALERTS,
    TOKEN,
    Alert,
    Session,
    first_to_phone,
    joins,
    led_by,
    takes_more,
    unused_id,
)

HOUR = 3600
# Changes that meet another one are tried so often.
TRIES = 20
# The longest pause between two tries, in seconds.
PAUSE = 0.1


class Throttled(Exception):
    """The group has had its escalations of this hour, or as many alerts as one takes."""


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


def open_or_join(new: Session, most_an_hour: int) -> tuple[Session, str, bool]:
    """Have the one alert of `new` told: in the escalation of the group that runs, or in `new`.

    Returns the session that it is in, the alert's id there, and whether the session was there
    already. The same alert joins what `session.joins` says; another one is told in the calls that
    go on. Where there are none `new` opens, and where somebody has just acknowledged the group's
    last alerts they are phoned first. Of many at once one opens. Raises Throttled or Contended.
    """
    (alert,) = new.alerts.values()
    now = new.started_at
    of_group = f"group#{new.env_type}#{new.group_id}"
    of_alert = f"alert#{new.env_type}#{new.group_id}#{alert.identity}"
    for _ in _tries():
        latest = _pointed(of_group)
        current = load(latest, now) if latest else None
        known = _pointed(of_alert)
        earlier = load(known, now) if known and known != latest else None
        same = _same((current, earlier), alert.identity, now)
        if same:
            counted = _count(*same)
            if counted:
                return counted, same[1], True
            continue
        if current and takes_more(current):
            joined = _add(current, alert, now)
            if joined:
                _point(of_alert, joined[0])
                return *joined, True
            continue
        opening = led_by(new, first_to_phone(current, new.rotation, now))
        if _open(opening, (of_group, of_alert), latest, most_an_hour):
            return opening, next(iter(opening.alerts)), False
    raise Contended(f"{of_group} changed {TRIES} times meanwhile")


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
    item = _of_before(item) if "texts" in item else item
    run = item["rotation"]
    if "reports" in run:  # as it was written when the report was fields of the rotation
        report = {"due_at": run.get("report_due_at"), "tries": run["reports"]}
        item = {**item, "rotation": {**run, "report": report}}
    known = {name: item[name] for name in Session.__dataclass_fields__ if name in item}
    return dacite.from_dict(Session, known, dacite.Config(cast=[tuple]))


def _of_before(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read a session as it was written when it had one alert: its calls may still go on."""
    of, run = item["message_id"], item["rotation"]
    by = run.get("acknowledged_by")
    own = {"identity": of, "message_id": of, "texts": item["texts"], "at": item["started_at"]}
    lists = {
        "waiting": [] if by else [of],
        "taken": [{"alert": of, "by": by, "at": run["ended_at"]}] if by else [],
        "attempts": [{"told": [[of]]} | attempt for attempt in run["attempts"]],
    }
    return {
        **item,
        "alerts": {of: own},
        "repeats": {of: item["alerts"] - 1},
        "rotation": lists | run | {"attempts": lists["attempts"]},
    }


def _item(session: Session, now: int) -> dict[str, Any]:
    item = asdict(session)
    item["state"] = session.rotation.state
    due_at = steps.due_at(session.rotation)
    if due_at is not None:
        item |= {"sweep": "yes", "due_at": due_at}
        if due_at <= now:
            item["act"] = "now"
    return item


def _replace(session: Session, now: int, *more: str) -> bool:
    """Write what a change changes, and `more`; nothing that alerts which come again do."""
    item = _item(session, now)
    changing = ("rotation", "state", "version", "sweep", "due_at", "act", *more)
    sets = {name: item.get(name) for name in changing}
    written = dynamodb.change(
        _table(),
        {"token": session.token},
        sets,
        when="#version = :read",
        given={"read": session.version - 1},
    )
    return written is not None


def _pointed(key: str) -> str | None:
    found = get(key)
    return found["session"] if found else None


def _point(key: str, session: Session) -> None:
    # Where it cannot be written just now, an alert that comes again is found as the group's latest.
    with suppress(aws.client("dynamodb").exceptions.TransactionConflictException):
        put({"token": key, "session": session.token, "expires_at": session.expires_at})


def _same(
    sessions: tuple[Session | None, ...], identity: str, now: int
) -> tuple[Session, str] | None:
    """Find the session, and the alert's id in it, that the same alert joins."""
    for session in filter(None, sessions):
        alert = joins(session, identity, now)
        if alert:
            return session, alert
    return None


def _count(session: Session, alert: str) -> Session | None:
    """Count an alert that came again; None where the session's state has changed since."""
    client = aws.client("dynamodb")
    try:
        answer = client.update_item(
            TableName=_table(),
            Key=dynamodb.values({"token": session.token}),
            UpdateExpression="SET repeats.#alert = if_not_exists(repeats.#alert, :none) + :one",
            ConditionExpression="#state = :was",
            ExpressionAttributeNames={"#state": "state", "#alert": alert},
            ExpressionAttributeValues=dynamodb.values(
                {":one": 1, ":none": 0, ":was": session.rotation.state}
            ),
            ReturnValues="ALL_NEW",
        )
    except (
        client.exceptions.ConditionalCheckFailedException,
        client.exceptions.TransactionConflictException,  # the one that opens it is not done
    ):
        return None
    return _session(dynamodb.plain(answer["Attributes"]))


def _add(session: Session, alert: Alert, now: int) -> tuple[Session, str] | None:
    """Add an alert to those of a session; None where that was changed meanwhile."""
    if len(session.alerts) >= MOST_ALERTS:
        raise Throttled(f"{session.group_id}: is being phoned about {MOST_ALERTS} alerts already")
    key = unused_id(session, alert.identity)
    after = replace(
        session,
        alerts={key: alert} | session.alerts,
        rotation=steps.alerted(session.rotation, key, now),
        version=session.version + 1,
    )
    return (after, key) if _replace(after, now, "alerts") else None


def _open(new: Session, pointers: tuple[str, str], replaced: str | None, most_an_hour: int) -> bool:
    """Write session, pointers and count, all or none; False where another was quicker."""
    of_group, of_alert = pointers
    client = aws.client("dynamodb")
    hour = new.started_at // HOUR
    throttle = f"throttle#{new.env_type}#{new.group_id}#{hour}"
    new_only = {
        "ConditionExpression": "attribute_not_exists(#token)",
        "ExpressionAttributeNames": {"#token": "token"},
    }
    latest = {
        "ConditionExpression": "#session = :replaced",
        "ExpressionAttributeNames": {"#session": "session"},
        "ExpressionAttributeValues": dynamodb.values({":replaced": replaced}),
    }

    def pointer(key: str) -> dict[str, Any]:
        item = {"token": key, "session": new.token, "expires_at": new.expires_at}
        return {"TableName": _table(), "Item": dynamodb.values(item)}

    try:
        client.transact_write_items(
            TransactItems=[
                {
                    "Put": {
                        "TableName": _table(),
                        "Item": dynamodb.values(_item(new, new.started_at)),
                        **new_only,
                    }
                },
                {"Put": pointer(of_group) | (latest if replaced else new_only)},
                {"Put": pointer(of_alert)},
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
        if codes[3] == "ConditionalCheckFailed" and codes[1] != "ConditionalCheckFailed":
            raise Throttled(
                f"{new.group_id}: got more than its {most_an_hour} escalations of this hour"
            ) from None
        return False
    return True
