"""Work on one item after the other in a thread of its own, while the next item is being made.

An image's bytes are hashed while they are expanded and written (hashlib, the decompressors and the system calls all let
other threads run); a short queue bounds what is in memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
DEPTH = 16


class InOrder(Generic[T]):
    """At most DEPTH items wait. What the work raises is raised by the next `put`, or by `join`."""

    def __init__(self, work: Callable[[T], object], name: str) -> None:
        self._work = work
        self._queue: queue.Queue[tuple[T] | None] = queue.Queue(DEPTH)
        self._problem: BaseException | None = None
        self._dropped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._problem is None and not self._dropped:
                try:
                    self._work(*item)
                except BaseException as problem:  # noqa: BLE001 (raised where the next item is put)
                    self._problem = problem

    def put(self, item: T) -> None:
        """Hand over the next item; waits while DEPTH others do."""
        if self._problem is not None:
            raise self._problem
        self._queue.put((item,))

    def join(self) -> None:
        """Wait until everything was worked on, and end the thread."""
        self._end()
        if self._problem is not None:
            raise self._problem

    def drop(self) -> None:
        """Leave what waits undone, and end the thread; ending it twice is fine."""
        self._dropped = True
        self._end()

    def _end(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
