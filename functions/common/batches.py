"""Many items in few requests, where one bad item must not keep the others from their turn."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def pack(items: Iterable[T], *limits: tuple[int, Callable[[T], int]]) -> list[list[T]]:
    """Put items, in order, into as few batches as the limits allow.

    A limit is (maximum of the batch, weight of an item). An item heavier than a limit gets a
    batch of its own.
    """
    batches: list[list[T]] = []
    room = [0] * len(limits)
    for item in items:
        weights = [weigh(item) for _, weigh in limits]
        room = [left - weight for left, weight in zip(room, weights, strict=True)]
        if not batches or min(room, default=0) < 0:
            batches.append([])
            room = [most - weight for (most, _), weight in zip(limits, weights, strict=True)]
        batches[-1].append(item)
    return batches


def send(
    batches: Iterable[Sequence[T]],
    act: Callable[[Sequence[T]], object],
    *,
    refused: Callable[[Exception], bool],
) -> list[tuple[T, Exception]]:
    """Call `act` on each batch, halving one that is refused until the culprits stand alone.

    Returns the culprits with their errors. `refused` tells an error that is about the items from
    one that is about the service, the key or the network, which is raised at once. `act` must be
    safe to repeat. A single bad item among n costs about 2 log2(n) more calls.
    """
    culprits: list[tuple[T, Exception]] = []
    pending = list(batches)[::-1]
    while pending:
        batch = pending.pop()
        try:
            act(batch)
        except Exception as error:
            if not refused(error):
                raise
            if len(batch) == 1:
                culprits.append((batch[0], error))
            else:
                middle = len(batch) // 2
                pending += [batch[middle:], batch[:middle]]
    return culprits
