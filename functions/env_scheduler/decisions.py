"""What is to be done with a resource, and why: a pure function of an order, the time and itself."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

from env_scheduler import marks
from env_scheduler.marks import Mark, Size, What
from env_scheduler.schedules import Action

Kind = Literal[
    "rds_clusters", "rds_instances", "auto_scaling_groups", "ec2_instances", "ecs_services"
]
# What uses others comes after them: databases, then machines, then what runs on machines.
START: tuple[Kind, ...] = (
    "rds_clusters",
    "rds_instances",
    "auto_scaling_groups",
    "ec2_instances",
    "ecs_services",
)
ORDER: dict[Action, tuple[Kind, ...]] = {"start": START, "suspend": START[::-1]}

# `half`: the first of two steps was done, or what sleeps has room again. `between`: AWS is at it.
# `odd`: none of these.
State = Literal["on", "off", "half", "between", "odd"]
# `note`: it is as it should be, or as a person wants it, which is to be remembered.
Deed = Literal["suspend", "start", "note", "leave", "skip", "wait"]

LAST_HOUR = timedelta(hours=1)
# AWS counts from the end of a stop, which takes some minutes.
AWAKE_BY = marks.LONGEST_SLEEP + timedelta(hours=1)


class Owner(NamedTuple):
    """What a resource goes to sleep with: an Aurora cluster, or an Auto Scaling group."""

    kind: Kind
    name: str


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Something that can sleep.

    `name` is what people call it, `ref` what AWS does; `said` is AWS's word for its state;
    `obstacle` is why it cannot be stopped; `size` is what would have to be given back. `began` is
    when a machine was last started, or anything else was made.
    """

    kind: Kind
    name: str
    ref: str
    state: State
    said: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    obstacle: str | None = None
    owner: Owner | None = None
    size: Size | None = None
    began: datetime | None = None


@dataclass(frozen=True)
class Order:
    """What is wanted, from when on. `by_hand`: a person says so now, and no boundary.

    `looked`: when a look at the whole kind was last complete; None: never.
    """

    action: Action
    time: datetime
    zone: tzinfo
    by_hand: bool = False
    grace: timedelta = timedelta()
    looked: datetime | None = None


@dataclass(frozen=True)
class Step:
    """What to do with a resource; `mark` is what is to be remembered once it is done.

    `seen` is what is to be remembered before that, of what is seen for the first time: or the next
    look would take it for new since the boundary.
    """

    resource: Resource
    deed: Deed
    reason: str
    mark: Mark | None = None
    seen: Mark | None = None


def decide(resource: Resource, order: Order, now: datetime, *, restarted: bool = False) -> Step:
    """Return the step for a resource. `restarted`: AWS is known to have started it by itself."""
    seen = _seen(resource, order, now)
    step = _decided(resource, order, seen or marks.read(resource.tags), now, restarted=restarted)
    return replace(step, seen=seen)


def _seen(resource: Resource, order: Order, now: datetime) -> Mark | None:
    """Return the mark of what is seen for the first time, where the boundary applies to it.

    No API tells when a tag was set. What the last whole look did not see, and this one does, counts
    as tagged at that look: a boundary between the two applies, unless it began after that.
    """
    unknown = not resource.obstacle and marks.read(resource.tags) is None
    as_wanted = resource.state == ("off" if order.action == "suspend" else "on")
    if not unknown or as_wanted or order.by_hand or order.looked is None:
        return None
    at = max(order.looked, resource.began or order.looked)
    if at >= order.time:
        return None
    what: What = "woken" if order.action == "suspend" else "suspended"
    return marks.following(None, what, at, now, order.zone)


def _decided(
    resource: Resource, order: Order, mark: Mark | None, now: datetime, *, restarted: bool
) -> Step:
    if held := _held(resource, order, now):
        return Step(resource, *held)
    if resource.state == ("off" if order.action == "suspend" else "on"):
        return _as_it_should_be(resource, order, mark, now)
    if order.action == "suspend":
        deed, reason = _suspend(resource, order, mark, now, restarted=restarted)
    else:
        deed, reason = _start(resource, order, mark)
    found: What = "woken" if order.action == "suspend" else "suspended"
    what: dict[Deed, What] = {"suspend": "suspended", "start": "started", "note": found}
    if deed not in what:
        return Step(resource, deed, reason)
    time = now if deed == "note" else order.time
    return Step(resource, deed, reason, marks.following(mark, what[deed], time, now, order.zone))


def suspicious(resource: Resource, order: Order) -> datetime | None:
    """Return since when AWS may have started a database by itself; None where it has not."""
    awake = order.action == "suspend" and resource.state == "on" and not resource.obstacle
    return _asleep_since(resource) if awake else None


def _asleep_since(resource: Resource) -> datetime | None:
    """Return since when a database sleeps, by its mark."""
    mark = marks.read(resource.tags)
    asleep = mark and mark.what == "suspended" and resource.kind.startswith("rds")
    return (mark.since or mark.time) if mark and asleep else None


def _held(resource: Resource, order: Order, now: datetime) -> tuple[Deed, str] | None:
    """Return why a resource is left alone, whatever its mark says."""
    if resource.obstacle:
        return "skip", resource.obstacle
    if resource.state == "between":
        return "wait", f"is {resource.said}: the next run looks again"
    if resource.state == "odd":
        return "skip", f"is {resource.said}: neither on nor off"
    text = resource.tags.get(marks.KEEP)
    if text is None or order.action == "start" or resource.state == "off":
        return None
    until = kept_until(resource)
    if until is None:
        takes = "takes a time with its zone such as 2026-12-01T02:00+09:00"
        return "skip", f"{marks.KEEP}: got {text!r}, {takes}"
    return ("leave", f"{marks.KEEP} {text}") if now < until else None


def kept_until(resource: Resource) -> datetime | None:
    """Return until when a person wants a resource on; None without a time that can be read."""
    try:
        found = datetime.fromisoformat(resource.tags.get(marks.KEEP, "").strip())
    except ValueError:
        return None
    return found if found.tzinfo else None


def _as_it_should_be(resource: Resource, order: Order, mark: Mark | None, now: datetime) -> Step:
    what: What = "suspended" if order.action == "suspend" else "started"
    known = mark and mark.what == what and (order.by_hand or mark.time >= order.time)
    began = _asleep_since(resource)
    # AWS started it meanwhile, and the stop after that could not be marked.
    restopped = began and now - began >= AWAKE_BY
    if known and not restopped:
        return Step(resource, "leave", f"is {resource.state} already")
    # Otherwise what a person does with it later would look like what was left from before.
    following = marks.following if restopped else marks.confirmed
    new = following(mark, what, order.time, now, order.zone)
    return Step(resource, "note", f"is {resource.state} already", new)


def _suspend(
    resource: Resource, order: Order, mark: Mark | None, now: datetime, *, restarted: bool
) -> tuple[Deed, str]:
    if order.by_hand:
        return "suspend", "by hand"
    if _overstays(resource, order, mark, now):
        return "suspend", f"{marks.KEEP} {resource.tags[marks.KEEP]} is over"
    if mark and mark.time >= order.time:
        return _raised(resource, order, mark, now, restarted=restarted)
    half = resource.state == "half"
    if mark is None and not half:
        return "note", "is new to the schedule: stays on until the next boundary"
    by_hand = mark and not half and mark.what != "suspended" and mark.time >= order.time - LAST_HOUR
    if by_hand and now < order.time + order.grace:
        until = (order.time + order.grace).astimezone(order.zone)
        return "leave", f"was started by hand just before: stays on until {until:%H:%M %Z}"
    since = f"{order.time.astimezone(order.zone):%Y-%m-%d %H:%M %Z}"
    return "suspend", "was suspended in part" if half else f"should be off since {since}"


def _raised(
    resource: Resource, order: Order, mark: Mark, now: datetime, *, restarted: bool
) -> tuple[Deed, str]:
    """Return what becomes of something that was settled since the boundary, and is not off."""
    if resource.state == "half" and resource.size and not resource.size["desired"]:
        # Nothing runs in it, and the next start gives back what was saved.
        return "leave", "has room again, and nothing in it"
    began = suspicious(resource, order)
    if began and (restarted or now - began >= marks.LONGEST_SLEEP):
        return "suspend", "AWS started it again after 7 days"
    known = mark.what != "suspended"
    seen = f"{(mark.time if known else now).astimezone(order.zone):%Y-%m-%d %H:%M %Z}"
    said = f"was started by hand (seen {seen}): stays on until the next boundary"
    return "leave" if known else "note", said


def _overstays(resource: Resource, order: Order, mark: Mark | None, now: datetime) -> bool:
    """Tell whether it is on only for a person's tag whose time came since the boundary."""
    until = kept_until(resource)
    if until is None or not order.time <= until <= now:
        return False
    # What was settled after that is on for another reason.
    return mark is None or (mark.since or mark.time) < until


def _start(resource: Resource, order: Order, mark: Mark | None) -> tuple[Deed, str]:
    if resource.size is not None and not marks.size(resource.tags):
        return "skip", f"its size is not known: give it the tag {marks.SIZE}, or start it by hand"
    if order.by_hand:
        return "start", "by hand"
    off = resource.state == "off"
    if mark is None and off:
        return "note", "is new to the schedule: stays off until the next start"
    if mark and mark.time >= order.time:
        how = "stopped by hand: stays off" if off else "changed by hand: stays so"
        return "leave", f"was {how} until the next boundary"
    if off:
        return "start", f"should be on since {order.time.astimezone(order.zone):%Y-%m-%d %H:%M %Z}"
    return "start", "was started in part"
