"""Work that must not be left half-way: it is waited for to its end, and only then does a cancellation take effect.

A thread cannot be cancelled. Whoever stops waiting for one that works on a disk closes or detaches the disk under it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from zvmcloud.zhcp.errors import AgentError

T = TypeVar("T")
log = logging.getLogger(__name__)


async def to_its_end(
    work: Awaitable[T], drop: Callable[[T], object] | None = None, stop: Callable[[], object] | None = None
) -> T:
    """Await, however often the waiting task is cancelled; the cancellation is raised after the end.

    `drop` gives back a result (an open file) that nobody will get because of a cancellation; `stop` tells the work
    that it may end early.
    """
    running = asyncio.ensure_future(work)
    cancelled = False
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            cancelled = True
            if stop is not None:
                stop()
    if not cancelled:
        return running.result()
    if not running.cancelled():
        problem = running.exception()
        if problem is not None:
            log.warning("failed after a cancellation: %s", problem)
        elif drop is not None:
            drop(running.result())
    raise asyncio.CancelledError


async def in_thread(
    work: Callable[[], T], drop: Callable[[T], object] | None = None, stop: Callable[[], object] | None = None
) -> T:
    """Work on a disk in a thread, to its end. AgentError 502 or 507 `disk-write-failed` for an OSError."""
    try:
        return await to_its_end(asyncio.to_thread(work), drop, stop)
    except OSError as problem:
        raise _disk_failed(problem) from problem


def _disk_failed(problem: OSError) -> AgentError:
    return AgentError(
        507 if problem.errno == errno.ENOSPC else 502,
        "disk-write-failed",
        f"the disk could not be written: {problem.strerror or problem}",
        remedy="look at the storage behind the disk",
    )
