"""What of the estate is on and off and what changes next, as env_scheduler's `status` tells it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from botocore.exceptions import ClientError

from sandbox.watch import Answer, Watch, client

_RULES = "mimamori-local-env_scheduler"  # what their names begin with
_FRESH = 10.0  # seconds
_SECONDS = 15.0  # that the function may take
_ROWS = 100  # a kind
_CHARACTERS = 1000  # an error
_KINDS = {
    "rds_clusters": "Aurora clusters",
    "rds_instances": "RDS instances",
    "auto_scaling_groups": "Auto Scaling groups",
    "ec2_instances": "EC2 instances",
    "ecs_services": "ECS services",
}
_BECOMES = {"suspend": "off", "start": "on"}
_OTHER = {"on": "off", "off": "on"}


@dataclass(frozen=True)
class Rule:
    """A schedule's rule: whom it calls, with what, and whether it does."""

    name: str
    enabled: bool
    function: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Rules(Answer):
    """The rules that there are."""

    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Mark:
    """What the scheduler remembers: what was done, by whom, at what time (epoch seconds)."""

    deed: str
    at: float
    since: float | None  # asleep


@dataclass(frozen=True)
class Resource:
    """A row: what it is, what becomes of it (at `changes`, if that is known), and why."""

    name: str
    state: str
    said: str
    saved: str | None
    mark: Mark | None
    keep: str | None
    reason: str
    due: bool
    skipped: bool
    coming: str
    changes: float | None


@dataclass(frozen=True)
class Kind:
    """The rows of a kind, sorted by name; `more` were left out."""

    id: str
    title: str
    resources: tuple[Resource, ...]
    more: int


@dataclass(frozen=True)
class Schedule:
    """A schedule as it is declared, and what it is about; or the `error` of who should tell."""

    name: str
    enabled: bool
    words: str
    error: str | None = None
    tag: str = ""
    at: float = 0.0
    wanted: str = ""
    since: float = 0.0
    next_state: str = ""
    next_at: float = 0.0
    held_back: str | None = None
    counts: tuple[tuple[str, int], ...] = ()
    kinds: tuple[Kind, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()  # a kind's title, and why it is not told


@dataclass(frozen=True)
class Estate(Answer):
    """What is known of it, by schedule."""

    schedules: tuple[Schedule, ...] = ()


def watch_rules(endpoint: str) -> Watch[Rules]:
    """Return the schedules' rules at the AWS at `endpoint`, to be asked for."""
    clients: list[Any] = []

    def read() -> Rules:
        clients[:] = clients or [client("events", endpoint)]
        return Rules(tuple(rules(clients[0])))

    return Watch(read, Rules(), _FRESH)


def watch(endpoint: str) -> Watch[Estate]:
    """Return the estate at the AWS at `endpoint`, to be asked for."""
    return Watch(reader(endpoint), Estate(trouble="asking the function"), _FRESH)


def reader(endpoint: str) -> Callable[[], Estate]:
    """Return a function that asks each rule's function for the status of the rule's schedule.

    It raises botocore's errors where nothing answers; a function that fails is part of the answer.
    """
    clients: list[Any] = []

    def read() -> Estate:
        if not clients:
            clients.extend((client("events", endpoint), client("lambda", endpoint, _SECONDS)))
        events, functions = clients
        return Estate(tuple(_ask(functions, rule) for rule in rules(events)))

    return read


def rules(events: Any) -> Iterator[Rule]:
    """Give the rules whose payload has a schedule."""
    for page in events.get_paginator("list_rules").paginate(NamePrefix=_RULES):
        for rule in page["Rules"]:
            for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                payload = _json(target.get("Input", ""))
                if isinstance(payload, dict) and isinstance(payload.get("schedule"), dict):
                    enabled = rule.get("State") != "DISABLED"
                    yield Rule(rule["Name"], enabled, target["Arn"], payload)


def _ask(functions: Any, rule: Rule) -> Schedule:
    declared = rule.payload["schedule"]
    asked = Schedule(str(declared.get("name", rule.name)), rule.enabled, in_words(declared))
    payload = json.dumps({**rule.payload, "action": "status"})
    try:
        answer = functions.invoke(FunctionName=rule.function, Payload=payload)
    except ClientError as error:
        return replace(asked, error=str(error)[:_CHARACTERS])
    said = _json(answer["Payload"].read())
    if answer.get("FunctionError"):
        named = said if isinstance(said, dict) else {}
        words = f"{named.get('errorType', 'Error')}: {named.get('errorMessage', said)}"
        return replace(asked, error=words[:_CHARACTERS])
    try:
        return _told(asked, said)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        words = f"what it said is not a status ({type(error).__name__}: {error})"
        return replace(asked, error=words[:_CHARACTERS])


def in_words(schedule: Mapping[str, Any]) -> str:
    """Return when a schedule, as a payload has it, wants things on, in a line."""
    days = schedule.get("days")
    start, stop = schedule.get("start"), schedule.get("stop")
    parts = [
        " ".join(map(str, days)) if isinstance(days, list) else "",
        f"on from {start} to {stop}" if start else f"off at {stop}, started by people",
        str(schedule.get("timezone", "")),
        "not on Japan's holidays" if schedule.get("holidays") else "",
    ]
    return " · ".join(part for part in parts if part)


def _told(asked: Schedule, status: Mapping[str, Any]) -> Schedule:
    (about,) = status["schedules"]
    following = about["next"]
    asked = replace(
        asked,
        tag=str(about["tag"]),
        at=_epoch(status["at"]),
        wanted=str(about["wanted"]),
        since=_epoch(about["since"]),
        next_state=_BECOMES[following["action"]],
        next_at=_epoch(following["at"]),
        held_back=about["held_back"],
        counts=tuple(sorted(about["counts"].items(), reverse=True)),
        errors=tuple((_KINDS.get(k, k), str(why)) for k, why in about.get("errors", {}).items()),
    )
    found = sorted(about["resources"], key=lambda one: (one["kind"], one["name"]))
    by_kind = {kind: list(some) for kind, some in groupby(found, key=lambda one: one["kind"])}
    order = [*_KINDS, *(kind for kind in by_kind if kind not in _KINDS)]
    return replace(
        asked,
        kinds=tuple(
            Kind(
                kind,
                _KINDS.get(kind, kind),
                tuple(_resource(one, asked) for one in by_kind[kind][:_ROWS]),
                max(0, len(by_kind[kind]) - _ROWS),
            )
            for kind in order
            if kind in by_kind
        ),
    )


def _resource(one: Mapping[str, Any], asked: Schedule) -> Resource:
    coming, changes = _coming(one, asked)
    return Resource(
        name=str(one["name"]),
        state=str(one["state"]),
        said=str(one["said"]),
        saved=one.get("size"),
        mark=_mark(one.get("mark")),
        keep=one.get("keep_until"),
        reason=str(one["reason"]),
        due=one["deed"] in _BECOMES,
        skipped=one["deed"] == "skip",
        coming=coming,
        changes=changes,
    )


def _coming(one: Mapping[str, Any], asked: Schedule) -> tuple[str, float | None]:
    """Return what becomes of a resource next, and when."""
    state, deed, changes = one["state"], one["deed"], one["changes"]
    if deed == "skip":
        return "left alone", None
    if deed in _BECOMES:
        becomes = _BECOMES[deed]
        return (f"{becomes} with the next run" if asked.enabled else f"due: {becomes}"), None
    if changes is None:
        return f"stays {state}", None
    return _OTHER.get(state, asked.next_state), _epoch(changes)


def _mark(mark: Mapping[str, Any] | None) -> Mark | None:
    if not mark:
        return None
    at = _epoch(mark["at"])
    # Boundaries are on the quarter hours; by hand it is any second.
    by = "by a person" if mark["what"] == "woken" else "by hand" if at % 900 else "by schedule"
    return Mark(f"{mark['what']} {by}", at, _epoch(mark["since"]) if mark["since"] else None)


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
