"""What the services' modules share: which errors pass by themselves, and acts side by side."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from common import aws
from env_scheduler import marks
from env_scheduler.decisions import Resource, State
from env_scheduler.marks import KEEP, MARK, SIZE, Size

AT_A_TIME = 8
T = TypeVar("T")
# What could not be done, with its error.
Culprits = list[tuple[Resource, Exception]]

CAPACITY = (
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientDBInstanceCapacity",
    "InsufficientDBInstanceCapacityFault",
    "InsufficientDBClusterCapacityFault",
    "InsufficientCapacity",
)
THROTTLING = (
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ResourceContention",
    "ScalingActivityInProgress",
    "ConcurrentUpdateException",
    "ServiceUnavailable",
    "Unavailable",
    "InternalError",
    "InternalFailure",
    "ServerException",
)
# The role, or the key, and nothing in the batch. EC2's UnauthorizedOperation is not among them: the
# policy looks at each item's tags.
FORBIDDEN = ("AuthFailure", "AccessDenied", "ExpiredToken")


class Busy(Exception):
    """Somebody, or AWS, was at a resource between the listing and the act."""


def passes(error: Exception) -> bool:
    """Tell whether another try, later, may go well: no capacity, throttling, no network."""
    return aws.has_code(error, *CAPACITY, *THROTTLING) or isinstance(error, BotoCoreError)


def aws_is_at_it(error: Exception) -> bool:
    """Tell whether a resource is on its way to another state: the next run looks again."""
    return isinstance(error, Busy) or aws.has_code(error, "IncorrectInstanceState")


def about_items(error: Exception) -> bool:
    """Tell whether a batch was refused for what is in it, so that halving it helps."""
    return isinstance(error, ClientError) and not aws.has_code(error, *THROTTLING, *FORBIDDEN)


def one_by_one(items: Sequence[Resource], act: Callable[[Resource], object]) -> Culprits:
    """Call `act` with each item, some side by side, and return those that failed."""

    def tried(item: Resource) -> Exception | None:
        caught: Exception | None = None
        try:
            act(item)
        except (ClientError, BotoCoreError, Busy) as error:
            caught = error
        return caught

    if not items:
        return []
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        outcomes = list(zip(items, pool.map(tried, items), strict=True))
    return [(item, error) for item, error in outcomes if error]


def chunks(items: Iterable[T], most: int) -> Iterable[list[T]]:
    """Give the items, in order, in lists of at most so many."""
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == most:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def tags(listed: Iterable[dict[str, Any]], key: str, *, name: str = "Key") -> dict[str, str]:
    """Return of AWS's list of tags what matters here: the schedule's (`key`) and our own."""
    value = "value" if name == "key" else "Value"
    return {
        tag[name]: tag.get(value) or ""
        for tag in listed
        if tag[name] in (key, KEEP, MARK, SIZE, "aws:autoscaling:groupName")
    }


def unsaved(resource: Resource) -> str | None:
    """Return the value that the tag of sizes must get before anything is zeroed; None: it is there.

    Of something half suspended only the rest is known, so what was saved stays; likewise where
    nothing runs now, and the last that happened to it was no start of ours.
    """
    if resource.size is None:
        return None
    saved, mark = marks.size(resource.tags), marks.read(resource.tags)
    started = mark and mark.what == "started"
    if saved and (resource.state == "half" or not (resource.size["desired"] or started)):
        return None
    known = {"desired": resource.size["desired"]} if resource.state == "half" else resource.size
    text = marks.size_text(known)
    return None if resource.tags.get(SIZE) == text else text


def state(size: Size, tags: Mapping[str, str]) -> State:
    """Return the state of something with sizes: room without tasks, while asleep, is half of it."""
    mark = marks.read(tags)
    asleep = mark and mark.what == "suspended" and marks.size(tags)
    if asleep and not size["desired"] and any(size.values()):
        return "half"
    return "on" if any(size.values()) else "off"
