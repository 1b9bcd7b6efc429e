"""Put environments to sleep and wake them: by schedule, by hand, and as a state machine's steps."""

import json
import logging
import os
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from common import aws, failures, logs, parameters
from common.events import parse, require
from common.parameters import ParameterError
from common.slack import Slack, SlackError
from env_scheduler import looks, run, schedules, status, words
from env_scheduler.decisions import ORDER, START, Kind, Order
from env_scheduler.run import How, Selection, Tally
from env_scheduler.schedules import Action, Schedule
from env_scheduler.words import Language

# For an answer, once nothing new is begun.
SECONDS_LEFT = 12
_BOUNDARY = "%Y-%m-%dT%H:%M:%SZ"

logs.set_up()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Targets:
    """Resources by name; an ECS service as `cluster/service`."""

    dbClusterIdentifiers: list[str] = field(default_factory=list)  # noqa: N815 (AWS's spelling)
    dbInstanceIdentifiers: list[str] = field(default_factory=list)  # noqa: N815
    autoScalingGroupNames: list[str] = field(default_factory=list)  # noqa: N815
    ec2InstanceIds: list[str] = field(default_factory=list)  # noqa: N815
    ecsServices: list[str] = field(default_factory=list)  # noqa: N815

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        require(any(vars(self).values()), "targets", vars(self), "one name at least")
        for name in self.ecsServices:
            require(name.count("/") == 1, "targets.ecsServices", name, "cluster/service")

    def of(self, kind: Kind) -> list[str]:
        """Return the names of a kind."""
        names: list[str] = [*vars(self).values()][START.index(kind)]
        return names


@dataclass(frozen=True, kw_only=True)
class Event:
    """The payload; see `handler` for what each action does.

    `schedule`, `targets` and `tag` choose; without any, all that has the tag `office-hours`.
    `boundary` is what a reconcile gives the state machine: without it, it is by hand and now.
    `reporting`: what failed is raised as an error, or (`data`) only returned, for a Choice to read.
    `of` says which action is planned or summed up; `changed_before` is what an earlier try changed;
    `again`: the boundary was run before, so that people hear of it only where something changed.
    """

    action: Literal["reconcile", "suspend", "start", "status", "plan", "summary"] = "reconcile"
    schedule: Schedule | None = None
    targets: Targets | None = None
    tag: str | None = None
    kind: Kind | None = None
    of: Action | None = None
    boundary: str | None = None
    dry_run: bool = False
    reporting: Literal["errors", "data"] = "errors"
    changed_before: int = 0
    again: bool = False
    results: list[words.Result] = field(default_factory=list)
    channel: str | None = None
    language: Language = "ja"
    environment: str | None = None
    path_to_parameter: str | None = None

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        if self.action == "reconcile":
            require(self.schedule, "schedule", self.schedule, "a schedule, to reconcile with")
        if self.action in ("plan", "summary"):
            require(self.of, "of", self.of, "'suspend' or 'start'")
        if self.boundary is not None:
            require(self.schedule, "schedule", self.schedule, "a schedule, beside a boundary")
            require(_moment(self.boundary), "boundary", self.boundary, "2026-11-23T12:00:00Z")


def handler(event: object, context: Any) -> dict[str, Any]:
    """Do what the event's action says.

    - `reconcile` (every 15 minutes, by the schedule's rule): compare what is with what the schedule
      wants, note what people did, and start the state machine where something is to be done. When
      each kind was looked at whole is kept, for what the next look sees for the first time.
    - `suspend`, `start`: one kind, or all in order. Safe to repeat: what is done is left alone.
    - `status`: what is on, off, in between, and when that changes; nothing is touched.
    - `plan`, `summary`: the state machine's first and last step.

    Raises InvalidEvent; RunFailed naming each resource that failed, the others being done.
    """
    request = parse(Event, event)
    deadline = monotonic() + context.get_remaining_time_in_millis() / 1000
    match request.action:
        case "reconcile":
            return _reconcile(request, deadline)
        case "status":
            asked = [request.schedule] if request.schedule else known()
            kinds = (request.kind,) if request.kind else START
            return status.of(asked, kinds, tag_key(), now())
        case "plan":
            return _plan(request)
        case "summary":
            return _summary(request, deadline)
        case _:
            return _act(request, deadline)


def _reconcile(request: Event, deadline: float) -> dict[str, Any]:
    """Return `{"run", "reason", "due", "execution"}`."""
    assert request.schedule is not None
    moment = now()
    due = schedules.latest(request.schedule, moment)
    looked = _looked(request)
    how = How(frozenset({"note"}), request.dry_run, lambda: monotonic() < deadline - SECONDS_LEFT)
    tallies = [
        run.work(
            kind,
            _selection(request, kind),
            run.order_of(due, request.schedule, looked.get(kind)),
            moment,
            how,
        )
        for kind in ORDER[due.action]
    ]
    failed = {f"{t.kind} {name}": why for t in tallies for name, why in t.failed.items()}
    tried = sum(t.unchanged + t.due + len(t.failed) for t in tallies)
    if not request.dry_run:
        looked |= {tally.kind: moment for tally in tallies if tally.whole}
        try:
            looks.write(request.schedule.name, _tag(request), looked)
        except (ClientError, BotoCoreError) as error:
            failed["the time of this look"] = str(error)
    number = sum(tally.due for tally in tallies)
    answer: dict[str, Any] = {
        "run": number > 0,
        "action": due.action,
        "boundary": f"{due.at:{_BOUNDARY}}",
        "due": number,
        "noted": sum(tally.noted for tally in tallies),
        "reason": schedules.held_back(request.schedule, moment)
        or f"{number} to {due.action}" * bool(number)
        or "all is as it should be, or as people want it",
    }
    if request.dry_run:
        told = [{"kind": t.kind, "steps": t.plan, "left": t.left} for t in tallies]
        answer |= {"run": False, "plan": told}
    elif number:
        answer |= _execute(request, due.action, due.at, moment)
    log.info("reconciled", extra={"schedule": request.schedule.name, **answer})
    if stuck := answer.get("stuck"):
        failed[stuck] = f"was started already, and there are {number} to {due.action}"
    failures.raise_for(failed, tried=tried)
    return answer


def _execute(request: Event, action: Action, at: datetime, moment: datetime) -> dict[str, Any]:
    """Start the state machine, unless it is at work for this schedule.

    The name tells the boundary, so it is run once; what is still to be done later (a failure, a
    database that AWS woke) gets the minute behind it.
    """
    assert request.schedule is not None
    client = aws.client("stepfunctions")
    machine = os.environ["STATE_MACHINE_ARN"]
    name = f"{request.schedule.name}-{action}-{at:%Y%m%dT%H%MZ}"
    mine = re.compile(rf"{request.schedule.name}-(suspend|start)(-\d{{8}}T\d{{4}}Z){{1,2}}")
    at_work = client.get_paginator("list_executions").paginate(
        stateMachineArn=machine, statusFilter="RUNNING"
    )
    for page in at_work:
        for one in page["executions"]:
            if mine.fullmatch(one["name"]):
                return {"run": False, "reason": f"{one['name']} is at work"}
    passed = {
        "schedule": asdict(request.schedule),
        "tag": request.tag,
        "channel": request.channel,
        "language": request.language,
        "environment": request.environment,
        "path_to_parameter": request.path_to_parameter,
    }
    given = {key: value for key, value in passed.items() if value is not None}
    given |= {"action": action, "boundary": f"{at:{_BOUNDARY}}"}
    repeat = f"{name}-{moment:%Y%m%dT%H%MZ}"
    for tried, more in ((name, {}), (repeat, {"again": True})):
        text = json.dumps(given | more)
        try:
            client.start_execution(stateMachineArn=machine, name=tried, input=text)
        except client.exceptions.ExecutionAlreadyExists:
            continue
        return {"execution": tried}
    return {"run": False, "reason": f"{repeat} was started already", "stuck": repeat}


def _act(request: Event, deadline: float) -> dict[str, Any]:
    """Return one kind's counts, or `{"action", "kinds": [counts]}`."""
    action: Action = request.action  # type: ignore[assignment]
    stopped = _held_back(request, action)
    kinds = (request.kind,) if request.kind else ORDER[action]
    how = How(dry_run=request.dry_run, in_time=lambda: monotonic() < deadline - SECONDS_LEFT)
    looked = _looked(request) if request.boundary else {}
    tallies: list[Tally] = []
    for kind in kinds if stopped is None else ():
        moment = now()
        tally = run.work(
            kind,
            _selection(request, kind),
            _asked(request, action, moment, looked.get(kind)),
            moment,
            how,
        )
        log.info("%s: %s", action, kind, extra=tally.summary())
        tallies.append(tally)
    if request.reporting == "errors":
        failed = {f"{t.kind} {name}": why for t in tallies for name, why in t.failed.items()}
        tried = sum(t.changed + t.unchanged + t.skips + len(t.failed) for t in tallies)
        failures.raise_for(failed, tried=tried)
    results = [_result(request, tally) for tally in tallies]
    if request.kind:
        return results[0] if results else Tally(request.kind).summary() | {"reason": stopped}
    answer = {"action": action, "kinds": results}
    return answer | ({"reason": stopped} if stopped else {})


def _result(request: Event, tally: Tally) -> dict[str, Any]:
    result = tally.summary()
    left = request.changed_before
    result["changed"] += left
    for state in ("unchanged", "pending"):  # where an earlier try's are by now
        result[state], left = max(0, result[state] - left), max(0, left - result[state])
    if not request.dry_run:
        return result
    return result | {"planned": tally.due, "plan": tally.plan, "left": tally.left}


def _plan(request: Event) -> dict[str, Any]:
    """Return `{"run", "reason", "kinds"}`: the kinds of which there may be something to do."""
    assert request.of is not None
    stopped = _held_back(request, request.of)
    kinds = (request.kind,) if request.kind else ORDER[request.of]
    if request.targets and not (request.tag or request.schedule):
        kinds = tuple(kind for kind in kinds if request.targets.of(kind))
    if stopped:
        return {"run": False, "reason": stopped, "kinds": []}
    asked = f"boundary {request.boundary}" if request.boundary else "by hand"
    return {"run": True, "reason": f"{request.of}, {asked}", "kinds": [*kinds]}


def _summary(request: Event, deadline: float) -> dict[str, Any]:
    """Return `{"failures", "changed", "text", "posted"}`; quiet where nothing happened.

    A dry run has `planned` besides, the number by kind. What cannot be posted is a failure.
    """
    assert request.of is not None
    name = request.schedule.name if request.schedule else ""
    text = words.summary(
        request.of, request.results, request.language, name, dry_run=request.dry_run
    )
    failed = words.failures(request.results)
    changed = sum(one.changed for one in request.results)
    log.info("summed up", extra={"failures": failed, "changed": changed, "text": text})
    news = changed or (failed and not request.again)
    posted = bool(request.channel and news and not request.dry_run)
    if posted:
        path = parameters.path(request.environment, request.path_to_parameter)
        try:
            token = parameters.read(path, {"SLACK_BOT_TOKEN"})["SLACK_BOT_TOKEN"]
            Slack(token, deadline=deadline - 2).post(str(request.channel), text)
        except (ClientError, BotoCoreError, ParameterError, SlackError) as error:
            log.exception("could not post the summary")
            failed, posted = failed + 1, False
            text = words.unposted(text, str(error), request.language)
    answer = {"failures": failed, "changed": changed, "text": text, "posted": posted}
    planned = {one.kind: one.planned for one in request.results if one.planned is not None}
    return answer | ({"planned": planned} if request.dry_run else {})


def now() -> datetime:
    """Return the time: the one place that asks for it."""
    return datetime.now(UTC)


def tag_key() -> str:
    """Return the tag's name."""
    return os.environ.get("TAG_KEY", "Schedule")


def known() -> list[Schedule]:
    """Return the schedules that Terraform declares (SCHEDULES, a JSON list). Raises InvalidEvent.

    What has none of their tags is not touched, whatever a payload says.
    """
    listed = json.loads(os.environ.get("SCHEDULES", "[{}]"))
    return [parse(Schedule, one) for one in listed]


def _selection(request: Event, kind: Kind) -> Selection:
    allowed = frozenset(schedule.tag for schedule in known())
    tag = request.tag or (request.schedule.tag if request.schedule else None)
    names = request.targets.of(kind) if request.targets else []
    if tag is None and request.targets is None:
        tag = "office-hours"
    takes = " or ".join(sorted(allowed)) + ", the tags of the declared schedules"
    require(tag is None or tag in allowed, "tag", tag, takes)
    return Selection(tag_key(), tag, names, allowed)


def _tag(request: Event) -> str:
    """Return the tag that is looked for with a schedule."""
    assert request.schedule is not None
    return request.tag or request.schedule.tag


def _looked(request: Event) -> dict[Kind, datetime]:
    assert request.schedule is not None
    return looks.read(request.schedule.name, _tag(request))


def _asked(request: Event, action: Action, moment: datetime, looked: datetime | None) -> Order:
    schedule = request.schedule or Schedule()
    if request.boundary:
        at = _moment(request.boundary)
        assert at is not None
        return run.order_of(schedules.Boundary(at, action), schedule, looked)
    return Order(action, moment, schedule.zone, by_hand=True)


def _held_back(request: Event, action: Action) -> str | None:
    """Return why a schedule's start does not happen today. A person names the tag instead."""
    if action != "start" or request.schedule is None:
        return None
    at = _moment(request.boundary) if request.boundary else now()
    assert at is not None
    reason = schedules.day_off(request.schedule, at.astimezone(request.schedule.zone).date())
    return f"{reason}: no start" if reason else None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _BOUNDARY).replace(tzinfo=UTC)
    except ValueError:
        return None
