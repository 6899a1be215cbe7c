"""How fast this Python runs plain Python here and now: before and after all else, and on each processor between rounds.

What we measure is mostly Python: a build of it without profile-guided optimization (that of pyenv, when nothing else is
asked for) is slower than that of a distribution, and so is any in a slow hour of a shared machine.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from benchmarks.table import Row

SECONDS = 1.0
GLANCE = 0.02
"""Seconds that a look at the processors takes."""
UNDISTURBED = 0.9
"""Of the best speed. On a shared machine a processor has much less of it while a neighbour uses the same core."""
_RECORDS = (
    "USER LINUX01 LBYONLY 512M 64G G",
    "MDISK 0100 3390 1 10 VOL001 MR",
    "NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1",
)


def run() -> list[Row]:
    """Thousand turns in a second of wall time."""
    return [Row("this Python: plain Python, now", _speed(SECONDS, time.perf_counter), "thousand turns/s")]


class Processors:
    """A process on each processor that tells how fast it is, in processor time: programs that run beside do not count,
    but a neighbour on the same core of a shared machine does. Use it as a context manager."""

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for processor in sorted(os.sched_getaffinity(0)):
            here, there = multiprocessing.Pipe()
            process = context.Process(target=_tell, args=(processor, there), daemon=True)
            process.start()
            self._pipes.append(here)
            self._processes.append(process)
        self.told: list[float] = []
        self.slowest()  # they are there
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def slowest(self) -> float:
        """Thousand turns a second of the slowest processor now; all are asked at once."""
        for pipe in self._pipes:
            pipe.send(None)
        self.told.append(min(float(pipe.recv()) for pipe in self._pipes))
        return self.told[-1]

    @property
    def best(self) -> float:
        """The best that `slowest` has told, thousand turns a second."""
        return max(self.told)

    def rows(self) -> list[Row]:
        """The best speed, and how often the slowest processor had which part of it."""
        edges = (0.0, 0.5, 0.6, 0.7, 0.8, UNDISTURBED, 1.01)
        rows = [Row("the slowest processor: its best speed", self.best, "thousand turns/s")]
        for low, high in itertools.pairwise(edges):
            share = sum(low <= speed / self.best < high for speed in self.told) / len(self.told)
            rows.append(Row(f"    looks at {low:g} to {min(high, 1):g} of it", 100 * share, "%"))
        return rows

    def undisturbed(self, patience: float) -> float:
        """The same, once no processor is disturbed or these seconds are over."""
        deadline = time.monotonic() + patience
        while (speed := self.slowest()) < UNDISTURBED * self.best and time.monotonic() < deadline:
            time.sleep(GLANCE)
        return speed


def _tell(processor: int, pipe: Connection) -> None:
    os.sched_setaffinity(0, {processor})
    while True:
        pipe.recv()
        pipe.send(_speed(GLANCE, time.process_time))


def _speed(seconds: float, clock: Callable[[], float]) -> float:
    """Thousand turns in a second of this clock. A turn splits a few records of a directory and puts them together."""
    done, began = 0, clock()
    while (elapsed := clock() - began) < seconds:
        for _ in range(100):
            _turn()
        done += 100
    return done / elapsed / 1000


def _turn() -> str:
    found: dict[str, list[str]] = {}
    for record in _RECORDS:
        verb, *words = record.split()
        found.setdefault(verb, []).extend(_shown(word) for word in words)
    return ";".join(f"{verb}={','.join(words)}" for verb, words in found.items())


def _shown(word: str) -> str:
    return word.lower() if word.isalpha() else word
