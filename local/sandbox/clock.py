"""A clock that runs by itself and can be moved ahead: all waits of the switchboard go by it."""

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

_TURNS = 25  # of the event loop, in which what a timer set off comes to rest


class Timer:
    """Something to do at a time of the clock's; `cancel` before then and it is never done."""

    def __init__(self, do: Callable[[], None]) -> None:
        """Remember what to do."""
        self._do: Callable[[], None] | None = do

    def cancel(self) -> None:
        """Forget it; as often as one likes."""
        self._do = None

    @property
    def waits(self) -> bool:
        """Whether it is still to be done."""
        return self._do is not None

    def fire(self) -> None:
        """Do it, once."""
        do, self._do = self._do, None
        if do:
            do()


class Clock:
    """Seconds since the epoch, plus what it was moved by; it never goes back."""

    def __init__(self) -> None:
        """Start with the time it is."""
        self._ahead = time.time() - time.monotonic()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()  # of timers due at the same time
        self._next: asyncio.TimerHandle | None = None
        self._busy = 0
        self._moving = asyncio.Lock()

    def now(self) -> float:
        """Return the time by this clock."""
        return time.monotonic() + self._ahead

    def after(self, seconds: float, do: Callable[[], None]) -> Timer:
        """Do something in so many seconds; needs a running event loop."""
        timer = Timer(do)
        heapq.heappush(self._timers, (self.now() + seconds, next(self._order), timer))
        self._arm()
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        over = asyncio.Event()
        timer = self.after(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError where the block takes longer."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as timeout:
            timer = self.after(seconds, lambda: timeout.reschedule(loop.time()))
            try:
                yield
            finally:
                timer.cancel()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count the block as something that a move of the clock waits for."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def advance(self, seconds: float, patience: float) -> None:
        """Move ahead; each timer that falls due on the way goes off at its own time, in order.

        After each, what it set off comes to rest first: webhooks too, for up to `patience` real
        seconds. One that takes longer meets its timeout, where the clock moves that far.
        """
        async with self._moving:
            await self._rest(patience)
            end = self.now() + seconds
            while (due := self._first_due()) is not None and due <= end:
                self._reach(due)
                self._go()
                await self._rest(patience)
            self._reach(end)
            self._arm()

    def _first_due(self) -> float | None:
        while self._timers and not self._timers[0][2].waits:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _reach(self, at: float) -> None:
        self._ahead = max(self._ahead, at - time.monotonic())

    def _go(self) -> None:
        """Let the timers go off that are due."""
        now = self.now()
        while (due := self._first_due()) is not None and due <= now:
            heapq.heappop(self._timers)[2].fire()
        self._arm()

    def _arm(self) -> None:
        if self._next:
            self._next.cancel()
            self._next = None
        if (due := self._first_due()) is not None:
            loop = asyncio.get_running_loop()
            self._next = loop.call_later(max(0.0, due - self.now()), self._go)

    async def _rest(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while True:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if not self._busy or time.monotonic() >= deadline:
                return
            await asyncio.sleep(0.005)
