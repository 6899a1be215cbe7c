"""Questions about many things, a few of them under way at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

_AT_ONCE = 8
T = TypeVar("T")


async def gathered(work: Iterable[Awaitable[T]]) -> tuple[T, ...]:
    """The results, in order, of what is done a few at a time."""
    few = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Awaitable[T]) -> T:
        async with few:
            return await item

    return tuple(await asyncio.gather(*(one(item) for item in work)))
