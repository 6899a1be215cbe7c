"""Failed logins: after five, a pause that doubles with each further one, up to a quarter of an hour.

Counted per user and per address, in the database, so that several managers share the count and a restart does not
forget it. A login is counted before its password is looked at, and taken back when it went well, so many at once get
no further than one after the other. Those of one user, and those from one address, stand in line in each manager, so
that a right login is not taken for a failure by the one behind it: a manager has one under way of each, and it takes
more managers than :data:`FREE` to throttle right ones. A success clears the user's count; a quiet hour clears both.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import sqlalchemy as sa

from zvmcloud.manager.database import Database
from zvmcloud.manager.errors import TooMany
from zvmcloud.manager.identity.tables import failed_logins

FREE = 5
"""Failures that cost nothing."""
LONGEST = 900.0
"""Seconds of the longest pause."""
_FORGOTTEN = 3600.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that is under way, and the keys under which it counts. Times are seconds since 1970; ``before``: of the
    last failure of the address before it."""

    user: str
    address: str
    began: float
    before: float


class Throttle:
    """The counts of failed logins. ``clock`` gives seconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._lines: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def in_line(self, user: str, address: str) -> AsyncIterator[None]:
        """A login's turn, from :meth:`begin` to :meth:`passed`, after those of the user and those from the address that
        came before it. All stand in the address's line first, so no two wait for each other."""
        at_address, of_user = (self._lines.setdefault(key, asyncio.Lock()) for key in reversed(_keys(user, address)))
        async with at_address, of_user:
            yield

    async def begin(self, user: str, address: str) -> Attempt:
        """Count a login as failed before its password is looked at: those that come at once are counted too.

        Raises TooMany (login-throttled), with the seconds to wait, while the user or the address must pause; that is
        not counted.
        """
        keys = _keys(user, address)
        mine = failed_logins.c.key.in_(keys)
        async with self._database.write() as connection:
            now = self._clock()
            await connection.execute(sa.delete(failed_logins).where(failed_logins.c.last < now - _FORGOTTEN))
            found = (await connection.execute(sa.select(failed_logins).where(mine))).all()
            left = max((last + pause(count) - now for _, count, last in found), default=0.0)
            if left > 0:
                raise TooMany(
                    f"too many failed logins; try again in {math.ceil(left)} seconds", code="login-throttled", wait=left
                )
            before = {key: last for key, _, last in found}
            one_more = {"count": failed_logins.c.count + 1, "last": now}
            await connection.execute(sa.update(failed_logins).where(mine).values(one_more))
            new = [{"key": key, "count": 1, "last": now} for key in keys if key not in before]
            if new:
                await connection.execute(sa.insert(failed_logins), new)
        return Attempt(*keys, now, before.get(keys[1], now))

    async def passed(self, attempt: Attempt) -> None:
        """The login went well: nothing is left of the user's failures, and of the address's it was none."""
        counts, lasts = failed_logins.c.count, failed_logins.c.last
        address = failed_logins.c.key == attempt.address
        async with self._database.write() as connection:
            await connection.execute(sa.delete(failed_logins).where(failed_logins.c.key == attempt.user))
            last = sa.case((lasts == attempt.began, attempt.before), else_=lasts)
            await connection.execute(sa.update(failed_logins).where(address).values(count=counts - 1, last=last))
            await connection.execute(sa.delete(failed_logins).where(address, counts < 1))


def _keys(user: str, address: str) -> tuple[str, str]:
    return f"user {user}"[:128], f"address {address}"[:128]


def pause(failures: int) -> float:
    """Seconds that nobody may try after so many failures."""
    return 0.0 if failures < FREE else min(2.0 ** (failures - FREE), LONGEST)
