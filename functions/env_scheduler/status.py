"""What is on, off and in between, and when that changes: nothing is touched."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from env_scheduler import decisions, looks, marks, run, schedules
from env_scheduler.decisions import Kind, Step
from env_scheduler.run import Selection
from env_scheduler.schedules import Boundary, Schedule

_LONGEST_ERROR = 1000


def of(asked: Sequence[Schedule], kinds: Sequence[Kind], key: str, now: datetime) -> dict[str, Any]:
    """Return `{"at", "schedules": […]}`; `key` is the tag's name.

    Times are ISO 8601 in the schedule's zone. A kind that cannot be listed is in the schedule's
    `errors` ({kind: words}), and the others are told.
    """
    return {"at": now.isoformat(), "schedules": [_of_one(one, kinds, key, now) for one in asked]}


def _of_one(schedule: Schedule, kinds: Sequence[Kind], key: str, now: datetime) -> dict[str, Any]:
    due, coming = schedules.latest(schedule, now), schedules.upcoming(schedule, now)
    selection = Selection(key, schedule.tag, (), frozenset({schedule.tag}))
    looked = looks.read(schedule.name, schedule.tag)
    steps: list[Step] = []
    errors: dict[str, str] = {}
    for kind in kinds:
        order = run.order_of(due, schedule, looked.get(kind))
        try:
            for page in run.look(kind, selection):
                steps += run.decided(page, order, now)
        except (ClientError, BotoCoreError) as error:
            errors[kind] = str(error)[:_LONGEST_ERROR]
    counts: dict[str, int] = {}
    for step in steps:
        counts[_state(step)] = counts.get(_state(step), 0) + 1

    def changes(step: Step) -> str | None:
        at = _changes(step, due, coming, now)
        return _local(at, schedule) if at else None

    return {
        "schedule": schedule.name,
        "tag": schedule.tag,
        "wanted": "off" if due.action == "suspend" else "on",
        "since": _local(due.at, schedule),
        "next": {"action": coming.action, "at": _local(coming.at, schedule)},
        "held_back": schedules.held_back(schedule, now),
        "counts": counts,
        "errors": errors,
        "resources": [_resource(step, schedule) | {"changes": changes(step)} for step in steps],
    }


def _changes(step: Step, due: Boundary, coming: Boundary, now: datetime) -> datetime | None:
    """Return when a resource changes next; None where nothing that is known changes it."""
    if step.deed == "skip":
        return None
    if step.deed in ("suspend", "start"):
        return now
    if due.action == "suspend" and step.resource.state in ("on", "half"):
        until = decisions.kept_until(step.resource)
        # A start before that makes it one of those that are on anyway.
        if until and until > now and (until < coming.at or coming.action == "suspend"):
            return until
    wanted = "off" if coming.action == "suspend" else "on"
    return None if step.resource.state == wanted else coming.at


def _resource(step: Step, schedule: Schedule) -> dict[str, Any]:
    resource = step.resource
    mark = marks.read(resource.tags)
    return {
        "kind": resource.kind,
        "name": resource.name,
        "state": _state(step),
        "said": resource.said,
        "deed": step.deed,
        "reason": step.reason,
        "mark": mark
        and {
            "what": mark.what,
            "at": _local(mark.time, schedule, "seconds"),
            "since": mark.since and _local(mark.since, schedule, "seconds"),
        },
        "size": resource.tags.get(marks.SIZE),
        "keep_until": resource.tags.get(marks.KEEP),
    }


def _state(step: Step) -> str:
    return "between" if step.resource.state == "half" else step.resource.state


def _local(moment: datetime, schedule: Schedule, precision: str = "minutes") -> str:
    return moment.astimezone(schedule.zone).isoformat(timespec=precision)
