"""One manager at a time works with a database: its row says who, in which epoch, and that it lives.

A manager is told from another one by its name and by its instance, which is the same as long as its state folder is.
So one that was killed starts again at once, and a second one of the same name, on another machine, does not start.
"""

from __future__ import annotations

import hashlib
import time
from typing import Self

import sqlalchemy as sa

from zvmcloud.manager.database import Database
from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.tables import manager_nodes

HEARTBEAT = 5.0
"""Seconds between two heartbeats."""
FRESH = 4 * HEARTBEAT
"""Seconds after its last heartbeat for which a manager counts as running."""


class Lease:
    """The right to work with the database, for as long as :meth:`renew` does not raise."""

    def __init__(self, database: Database, node: str, epoch: int) -> None:
        self.epoch = epoch
        """Higher than every epoch this database gave out, and than those of a database that was lost: not below the
        clock."""
        self._database = database
        self._node = node

    @classmethod
    async def take(cls, database: Database, node: str, key: bytes) -> Self:
        """Take the lease; ``key`` is a secret of the state folder. Raises Conflict (node-running) while another
        manager has it."""
        instance = hashlib.sha256(b"instance\n" + key).hexdigest()[:32]
        table = manager_nodes.c
        async with database.write() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(sa.text("LOCK TABLE manager_nodes IN EXCLUSIVE MODE"))
            another = sa.or_(table.node != node, table.instance.not_in((instance, "")))
            query = sa.select(table.node).where(another, table.heartbeat > time.time() - FRESH)
            other = (await connection.execute(query)).scalars().first()
            if other is not None:
                raise Conflict(
                    f"the manager {other!r} uses this database: it was alive less than {FRESH:g} seconds ago",
                    code="node-running",
                    remedy=f"stop it, or if it is gone, start again in {FRESH:g} seconds; or use another database",
                    subject=other,
                )
            highest = (await connection.execute(sa.select(sa.func.max(table.epoch)))).scalar_one_or_none() or 0
            epoch = max(int(highest) + 1, int(time.time()))
            await connection.execute(sa.delete(manager_nodes).where(table.node == node))
            row = {"node": node, "instance": instance, "epoch": epoch, "heartbeat": time.time()}
            await connection.execute(sa.insert(manager_nodes), row)
        return cls(database, node, epoch)

    async def renew(self) -> None:
        """Say that this manager lives. Raises Conflict (node-replaced) when another one has taken the database."""
        if not await self._say(time.time()):
            raise Conflict(
                f"another manager has taken over as {self._node!r}",
                code="node-replaced",
                remedy="run one manager with one database",
                subject=self._node,
            )

    async def release(self) -> None:
        """Let another manager take the database at once."""
        await self._say(0.0)

    async def _say(self, heartbeat: float) -> bool:
        table = manager_nodes.c
        mine = sa.select(sa.func.max(table.epoch)).scalar_subquery() == self.epoch
        statement = sa.update(manager_nodes).where(table.node == self._node, table.epoch == self.epoch, mine)
        async with self._database.write() as connection:
            return bool((await connection.execute(statement.values(heartbeat=heartbeat))).rowcount)
