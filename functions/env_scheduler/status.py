"""What is on, off and in between, and when that changes: nothing is touched."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from env_scheduler import marks, run, schedules
from env_scheduler.decisions import Kind, Step
from env_scheduler.run import Selection
from env_scheduler.schedules import Schedule


def of(asked: Sequence[Schedule], kinds: Sequence[Kind], key: str, now: datetime) -> dict[str, Any]:
    """Return `{"at", "schedules": […]}`; `key` is the tag's name.

    Times are ISO 8601 in the schedule's zone. Raises ClientError in the service's words.
    """
    return {"at": now.isoformat(), "schedules": [_of_one(one, kinds, key, now) for one in asked]}


def _of_one(schedule: Schedule, kinds: Sequence[Kind], key: str, now: datetime) -> dict[str, Any]:
    due, coming = schedules.latest(schedule, now), schedules.upcoming(schedule, now)
    order = run.order_of(due, schedule)
    selection = Selection(key, schedule.tag, (), frozenset({schedule.tag}))
    steps = [
        step
        for kind in kinds
        for page in run.look(kind, selection)
        for step in run.decided(page, order, now)
    ]
    counts: dict[str, int] = {}
    for step in steps:
        counts[_state(step)] = counts.get(_state(step), 0) + 1

    def changes(step: Step) -> str | None:
        if step.deed == "skip":
            return None
        return _local(now if step.deed in ("suspend", "start") else coming.at, schedule)

    return {
        "schedule": schedule.name,
        "tag": schedule.tag,
        "wanted": "off" if due.action == "suspend" else "on",
        "since": _local(due.at, schedule),
        "next": {"action": coming.action, "at": _local(coming.at, schedule)},
        "held_back": schedules.held_back(schedule, now),
        "counts": counts,
        "resources": [_resource(step, schedule) | {"changes": changes(step)} for step in steps],
    }


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
