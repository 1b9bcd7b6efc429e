"""Go through everything of one kind, page by page: decide, act, remember, count.

A page is forgotten before the next is asked for, so memory does not grow with what there is.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from types import ModuleType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from env_scheduler import auto_scaling, calls, decisions, ec2, ecs, marks, rds
from env_scheduler.calls import Culprits
from env_scheduler.decisions import Deed, Kind, Order, Owner, Resource, Step
from env_scheduler.schedules import Boundary, Schedule

# The batch of the calls that take many. A culprit among 50 costs about 11 calls more, and 50 are
# well below what EC2 lets an account stop or start at once before it throttles (1,000, refilled
# by 20 or 2 a second).
BATCH = 50
SHOWN = 20
# Of a dry run, of each kind: five kinds have to fit into a state's 256 KiB.
PLANNED = 100
LEFT = 50
_LONGEST_REASON = 300

log = logging.getLogger(__name__)

SERVICES: dict[Kind, ModuleType | rds.Databases] = {
    "rds_clusters": rds.clusters,
    "rds_instances": rds.instances,
    "auto_scaling_groups": auto_scaling,
    "ec2_instances": ec2,
    "ecs_services": ecs,
}


@dataclass(frozen=True)
class Selection:
    """Which of a kind: those whose tag `key` is `value` (None: none), and some by name.

    `allowed` are the tag's values that a named one must have to be touched at all.
    """

    key: str
    value: str | None
    names: Sequence[str] = ()
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class How:
    """How far a run goes: which deeds, whether it only says so, and as long as there is time."""

    deeds: frozenset[Deed] = frozenset({"suspend", "start", "note"})
    dry_run: bool = False
    in_time: Callable[[], bool] = lambda: True


EVERYTHING = How()


@dataclass
class Tally:
    """What became of one kind. `retry`: what may go well later; `failed` holds both.

    `pending`: what AWS is at; `unmarked`: what takes no mark just now. `plan` and `left` are for a
    dry run: what would be changed, and what is left alone.
    """

    kind: Kind
    changed: int = 0
    unchanged: int = 0
    pending: int = 0
    noted: int = 0
    due: int = 0
    retry: int = 0
    unmarked: int = 0
    hours: float = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    skips: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    plan: list[dict[str, str]] = field(default_factory=list)
    left: list[dict[str, str]] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether all of the kind was looked at, and what is to be remembered was written."""
        return not self.failed and not self.unmarked

    def fail(self, name: str, error: object, *, again: bool = False) -> None:
        """Count a failure, or what is to be tried again."""
        self.failed[name] = str(error)[:_LONGEST_REASON]
        self.retry += again

    def leave(self, name: str, reason: str) -> None:
        """Note why something is left alone, as far as that is shown."""
        if len(self.left) < LEFT:
            self.left.append({"name": name, "reason": reason[:_LONGEST_REASON]})

    def skip(self, name: str, reason: str) -> None:
        """Count what is not to be touched."""
        self.skips += 1
        if len(self.skipped) < SHOWN:
            self.skipped.append({"name": name, "reason": reason})
        self.leave(name, reason)

    def summary(self) -> dict[str, Any]:
        """Return the counts and the first names: small enough for a state's output."""
        failed = [{"name": n, "reason": r} for n, r in [*self.failed.items()][:SHOWN]]
        return {
            "kind": self.kind,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "pending": self.pending,
            "skips": self.skips,
            "skipped": self.skipped,
            "failures": len(self.failed) - self.retry,
            "failed": failed,
            "retry": self.retry,
            "hours": round(self.hours, 1),
        }


def order_of(due: Boundary, schedule: Schedule, looked: datetime | None) -> Order:
    """Return what a boundary of a schedule wants of a kind that was last looked at then."""
    grace = timedelta(minutes=schedule.grace_minutes)
    return Order(due.action, due.at, schedule.zone, grace=grace, looked=looked)


def look(kind: Kind, selection: Selection) -> Iterator[list[Resource]]:
    """Give everything of a kind that was selected, page by page, nothing twice.

    What is reached through its owner, which has the tag itself, is not in it. Raises ClientError in
    the service's words.
    """
    for page in _selected(kind, selection):
        reached = _reached({each.owner for each in page if each.owner}, selection)
        yield [each for each in page if each.owner not in reached]


def _reached(owners: set[Owner], selection: Selection) -> set[Owner]:
    """Return those of the owners that have the tag."""
    found: set[Owner] = set()
    for kind in {owner.kind for owner in owners} if selection.value else ():
        names = [owner.name for owner in owners if owner.kind == kind]
        try:
            for page in SERVICES[kind].named(selection.key, names):
                tagged = [e for e in page if e.tags.get(selection.key) == selection.value]
                found |= {Owner(kind, each.name) for each in tagged}
        except ClientError as error:
            # Their own turn says so; what belongs to them is skipped, with its reason.
            log.warning("could not look at the owners: %s", error)
    return found


def _selected(kind: Kind, selection: Selection) -> Iterator[list[Resource]]:
    service = SERVICES[kind]
    if selection.value is not None:
        for page in service.pages(selection.key, selection.value):
            # Once more: not everything that answers for AWS filters.
            yield [each for each in page if each.tags.get(selection.key) == selection.value]
    if selection.names:
        asked = {name.lower() for name in selection.names}
        for page in service.named(selection.key, selection.names):
            named = [each for each in page if each.name.lower() in asked]
            tagged = selection.value
            yield [
                each for each in named if tagged is None or each.tags.get(selection.key) != tagged
            ]


def work(
    kind: Kind, selection: Selection, order: Order, now: datetime, how: How = EVERYTHING
) -> Tally:
    """Do with a kind what an order says, as far as `how` lets; the rest is counted as due.

    One bad resource does not stop the rest. What there was no time for is to be tried again.
    """
    tally = Tally(kind)
    missing = {name.lower(): name for name in selection.names}
    try:
        for number, page in enumerate(look(kind, selection)):
            if number and not how.in_time():
                tally.fail(kind, "there was no time to look at all of them", again=True)
                return tally
            for each in page:
                missing.pop(each.name.lower(), None)
            turn(allowed(page, selection, how, tally), order, now, how, tally)
    except (ClientError, BotoCoreError) as error:
        log.exception("could not list %s", kind)
        tally.fail(kind, f"could not be listed: {error}", again=calls.passes(error))
        return tally
    for name in missing.values():
        tally.fail(name, "there is no such resource")
    return tally


def turn(page: Sequence[Resource], order: Order, now: datetime, how: How, tally: Tally) -> None:
    """Decide on a page, and do it."""
    steps = list(decided(page, order, now))
    for step in steps:
        count(tally, step, now, order)
    todo = [one for step in steps if (one := _now(step, how))]
    for chunk in calls.chunks(() if how.dry_run else todo, BATCH):
        if how.in_time():
            act(chunk, tally)
            continue
        for step in chunk:
            tally.fail(step.resource.name, "there was no time for it", again=True)


def _now(step: Step, how: How) -> Step | None:
    """Return what is done of a step in this run: all of it, or only the note that it was seen."""
    if step.mark and step.deed in how.deeds:
        return step
    return replace(step, deed="note", mark=step.seen) if step.seen else None


def allowed(
    page: Sequence[Resource], selection: Selection, how: How, tally: Tally
) -> list[Resource]:
    """Return what may be touched, and count the rest as failed: whatever the role may do.

    A dry run only says that it would be refused.
    """
    good = [each for each in page if each.tags.get(selection.key) in selection.allowed]
    for each in page:
        if each.tags.get(selection.key) not in selection.allowed:
            got = each.tags.get(selection.key)
            values = " or ".join(sorted(selection.allowed))
            said = f"refused: its tag {selection.key} is {got!r}, and must be {values}"
            (tally.skip if how.dry_run else tally.fail)(each.name, said)
    return good


def decided(page: Sequence[Resource], order: Order, now: datetime) -> Iterator[Step]:
    """Give the step of each; RDS is asked for its own restarts only where that makes a difference.

    Raises ClientError.
    """
    asleep_since = {each.name: decisions.suspicious(each, order) for each in page}
    oldest = min((since for since in asleep_since.values() if since), default=None)
    restarts: Mapping[str, datetime] = {}
    if oldest is not None and not order.by_hand:
        databases = SERVICES[page[0].kind]
        assert isinstance(databases, rds.Databases)
        restarts = databases.restarts(oldest, now)
    for each in page:
        since, restart = asleep_since[each.name], restarts.get(each.name)
        by_itself = bool(since and restart and restart > since)
        yield decisions.decide(each, order, now, restarted=by_itself)


def count(tally: Tally, step: Step, now: datetime, order: Order) -> None:
    """Count what there is no act for, and what is planned."""
    resource = step.resource
    mark = marks.read(resource.tags)
    if resource.state != "off" and mark and mark.what == "suspended" and step.mark:
        mark = step.mark  # somebody woke it: its sleep ended about now
    tally.hours += marks.hours(mark, now, order.zone)
    match step.deed:
        case "suspend" | "start":
            tally.due += 1
            if len(tally.plan) < PLANNED:
                planned = {"name": resource.name, "deed": step.deed, "reason": step.reason}
                tally.plan.append(planned)
        case "skip":
            tally.skip(resource.name, step.reason)
        case "wait":
            tally.pending += 1
            tally.leave(resource.name, step.reason)
        case _:
            tally.noted += step.deed == "note"
            tally.unchanged += 1
            tally.leave(resource.name, step.reason)


def act(steps: Sequence[Step], tally: Tally) -> None:
    """Do some steps of one kind, and remember those that were done."""
    for deed in ("suspend", "start", "note"):
        mine = {step.resource.name: step for step in steps if step.deed == deed}
        if not mine:
            continue
        resources = [step.resource for step in mine.values()]
        culprits: Culprits = []
        if deed != "note":
            culprits = _tried(getattr(SERVICES[tally.kind], deed), resources)
            for each, error in culprits:
                if calls.aws_is_at_it(error):
                    tally.pending += 1
                else:
                    tally.fail(each.name, error, again=calls.passes(error))
            tally.changed += len(resources) - len(culprits)
            log.info("%s", deed, extra={"kind": tally.kind, "names": [*mine]})
        undone = {each.name for each, _ in culprits}
        remember([step for name, step in mine.items() if name not in undone], tally)


def remember(steps: Sequence[Step], tally: Tally) -> None:
    """Write the marks, each value in as few calls as the service takes."""
    together: dict[str, list[Resource]] = defaultdict(list)
    for step in steps:
        together[str(step.mark)].append(step.resource)
    for value, resources in together.items():
        service = SERVICES[tally.kind]
        for each, error in _tried(partial(service.mark, value=value), resources):
            if calls.aws_is_at_it(error):
                tally.unmarked += 1
            else:
                tally.fail(each.name, f"its mark: {error}", again=calls.passes(error))


def _tried(call: Callable[[Sequence[Resource]], Culprits], some: Sequence[Resource]) -> Culprits:
    try:
        return call(some)
    except (ClientError, BotoCoreError) as error:
        # About the service, the role or the network, and so about all of them.
        return [(each, error) for each in some]
