"""Time of a simulated system: what the clock says, and what is to happen later.

Everything that takes time on z/VM (an operating system starting, a shutdown signal, a directory update) goes through a
Scheduler, so that a test can hold the clock in its hand and a real run follows the wall clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol


class Scheduler(Protocol):
    """A clock in seconds since 1970 (UTC) with timers."""

    def now(self) -> float: ...

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Call the action after `delay` seconds; actions due at one time run in the order of their calls."""

    def close(self) -> None:
        """Forget all timers."""


class WallClock:
    """Real time; timers need a running event loop."""

    def __init__(self) -> None:
        self._timers: set[asyncio.TimerHandle] = set()

    def now(self) -> float:
        return time.time()

    def later(self, delay: float, action: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()

        def due() -> None:
            self._timers.discard(handle)
            action()

        handle = loop.call_later(max(delay, 0.0), due)
        self._timers.add(handle)

    def close(self) -> None:
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()


class ManualClock:
    """Time that moves only when told to; for tests."""

    def __init__(self, start: float = 1_600_000_000.0) -> None:
        self._now = start
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    def later(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self._now + max(delay, 0.0), next(self._order), action))

    def advance(self, seconds: float) -> None:
        """Move the clock; every action that falls due runs at its own time, also those it starts."""
        end = self._now + seconds
        while self._due and self._due[0][0] <= end:
            at, _, action = heapq.heappop(self._due)
            self._now = at
            action()
        self._now = end

    def close(self) -> None:
        self._due.clear()
