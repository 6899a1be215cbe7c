"""Failed logins: after five, a pause that doubles with each further one, up to a quarter of an hour.

Counted per user and per address, in the database, so that several managers share the count and a restart does not
forget it. A success clears the user's count; a quiet hour clears both.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import sqlalchemy as sa

from zvmcloud.manager.database import Database
from zvmcloud.manager.errors import TooMany
from zvmcloud.manager.identity.tables import failed_logins

FREE = 5
"""Failures that cost nothing."""
LONGEST = 900.0
"""Seconds of the longest pause."""
_FORGOTTEN = 3600.0


class Throttle:
    """The counts of failed logins. ``clock`` gives seconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def check(self, user: str, address: str) -> None:
        """Raises TooMany (login-throttled), with the seconds to wait, while the user or the address must pause."""
        now = self._clock()
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(failed_logins.c.count, failed_logins.c.last).where(
                    failed_logins.c.key.in_(_keys(user, address))
                )
            )
            left = max((last + pause(count) - now for count, last in rows), default=0.0)
        if left > 0:
            raise TooMany(
                f"too many failed logins; try again in {math.ceil(left)} seconds", code="login-throttled", wait=left
            )

    async def failed(self, user: str, address: str) -> None:
        """Count one more failure."""
        now = self._clock()
        async with self._database.write() as connection:
            await connection.execute(sa.delete(failed_logins).where(failed_logins.c.last < now - _FORGOTTEN))
            for key in _keys(user, address):
                changed = await connection.execute(
                    sa.update(failed_logins)
                    .where(failed_logins.c.key == key)
                    .values(count=failed_logins.c.count + 1, last=now)
                )
                if not changed.rowcount:
                    await connection.execute(sa.insert(failed_logins), {"key": key, "count": 1, "last": now})

    async def passed(self, user: str) -> None:
        """A login of the user went well."""
        async with self._database.write() as connection:
            await connection.execute(sa.delete(failed_logins).where(failed_logins.c.key == f"user {user}"[:128]))


def pause(failures: int) -> float:
    """Seconds that nobody may try after so many failures."""
    return 0.0 if failures < FREE else min(2.0 ** (failures - FREE), LONGEST)


def _keys(user: str, address: str) -> tuple[str, str]:
    return f"user {user}"[:128], f"address {address}"[:128]
