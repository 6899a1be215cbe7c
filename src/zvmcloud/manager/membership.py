"""Which managers work with a database: their rows say who they are and that they live; one epoch for all of them.

::

    join    a row in manager_nodes, a new epoch            renew   the heartbeat; learns of a new epoch
    bury    dead members: rows gone, epoch raised,         leave   the row is gone, so that others go on at once
            their jobs are ours; all one transaction

A member whose row is gone is replaced. It can change nothing any more: each of its writes is in a transaction that
also finds its row (:meth:`Membership.guard`), and every agent that heard the newer epoch refuses the older one. A
member that is only late in hearing of a new epoch asks for it and repeats its call (:meth:`Membership.under_epoch`).

Several managers share a PostgreSQL server. A SQLite file is worked with by one: a second one does not join, and one
that joins buries whoever had it before. A member is told from another one by its name and by its instance, a secret
of its state folder; so one that was killed joins again at once, and a second one of the same name does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import AgentFailure, Conflict, Replaced
from zvmcloud.manager.jobs.plan import FINAL
from zvmcloud.manager.tables import fence, jobs, leases, manager_nodes

HEARTBEAT = 3.0
"""Seconds between two heartbeats, unless the settings say otherwise."""
MISSED = 4
"""A member that missed so many heartbeats is dead."""
_LEASE_POLL, _LEASE_POLL_MOST = 0.01, 0.3
"""Seconds between two questions whether a lease is free."""

T = TypeVar("T")


class Membership:
    """One manager among those of a database."""

    def __init__(self, database: Database, node: str, joined: int, heartbeat: float) -> None:
        self.node = node
        self.joined = joined
        """The epoch that began when this member joined: no other member ever has the same."""
        self.epoch = joined
        """The newest epoch this member has heard of. Higher than every one that the database gave out before, and
        than those of a database that was lost: not below the clock when it joined."""
        self.heartbeat = heartbeat
        self.dead_after = heartbeat * MISSED
        self._database = database

    @classmethod
    async def join(cls, database: Database, node: str, *, own: bytes, shared: bytes, heartbeat: float) -> Self:
        """Become a member. ``own`` is a secret of the state folder, ``shared`` one of the folder that all members
        share.

        Raises Conflict (node-running) when another living member has this name, or has the database for itself, and
        Conflict (folder-not-shared) when the living members have another folder.
        """
        instance, folder = _digest("instance", own), _digest("folder", shared)
        table = manager_nodes.c
        async with database.write() as connection:
            now = await _now(connection)
            alive = sa.select(manager_nodes).where(table.heartbeat > now - heartbeat * MISSED)
            for other in (await connection.execute(alive)).mappings():
                if other["instance"] in {instance, ""}:
                    continue
                if other["node"] == node or not database.shared:
                    raise Conflict(
                        f"the manager {other['node']!r} uses this database: it was alive less than "
                        f"{heartbeat * MISSED:g} seconds ago",
                        code="node-running",
                        remedy="give this one another name (node) and a PostgreSQL database that both use, or stop "
                        f"that one; if it is gone, start again in {heartbeat * MISSED:g} seconds",
                        subject=other["node"],
                    )
                if other["folder"] != folder:
                    raise Conflict(
                        f"the manager {other['node']!r} works with other files",
                        code="folder-not-shared",
                        remedy="set `shared` of all managers of a database to one folder that they all reach",
                        subject=other["node"],
                    )
            epoch = await _raised(connection)
            await connection.execute(
                sa.delete(manager_nodes).where(sa.or_(table.node == node, table.instance == instance))
            )
            row = {"node": node, "instance": instance, "folder": folder, "epoch": epoch, "heartbeat": now}
            await connection.execute(sa.insert(manager_nodes), row)
        found = cls(database, node, epoch, heartbeat)
        await found.bury()
        database.guard = found.guard
        return found

    async def guard(self, connection: Connection) -> None:
        """What every write of a member of a shared database begins with. Raises Replaced."""
        row = await connection.execute(
            sa.select(sa.literal(1)).where(manager_nodes.c.node == self.node, manager_nodes.c.epoch == self.joined)
        )
        if row.first() is None:
            raise self.replaced()

    def replaced(self) -> Replaced:
        return Replaced(
            f"this manager ({self.node}) was silent for too long; others have taken over its jobs",
            remedy="send the request to another manager, or start this one again",
            subject=self.node,
        )

    async def renew(self) -> None:
        """Say that this member lives, and hear of a new epoch. Raises Replaced."""
        table = manager_nodes.c
        async with self._database.heart() as connection:
            mine = sa.update(manager_nodes).where(table.node == self.node, table.epoch == self.joined)
            changed = await connection.execute(mine.values(heartbeat=await _now(connection)))
            if not changed.rowcount:
                raise self.replaced()
            self.epoch = max(self.epoch, int((await connection.execute(sa.select(fence.c.epoch))).scalar_one()))

    async def under_epoch(self, call: Callable[[int], Awaitable[T]]) -> T:
        """``call`` with the newest epoch; again when an agent has heard of a newer one than this member.

        Raises Replaced when that is because this member is one no longer.
        """
        while True:
            epoch = self.epoch
            try:
                return await call(epoch)
            except AgentFailure as failure:
                if failure.code != "stale-epoch":
                    raise
                await self.renew()
                if self.epoch == epoch:
                    raise

    async def bury(self) -> tuple[str, ...]:
        """Take over from dead members; returns their names. The epoch is raised before anything of theirs goes on.

        Jobs of managers that left in good order are taken over as well. On SQLite only by who joins.
        """
        table = manager_nodes.c
        async with self._database.write() as connection:
            before = await _now(connection) - self.dead_after
            dead = sa.and_(table.heartbeat < before, table.node != self.node)
            found = await connection.execute(sa.delete(manager_nodes).where(dead).returning(table.node))
            names = tuple(found.scalars())
            if names:
                self.epoch = await _raised(connection)
            left = jobs.c.node.not_in(sa.select(table.node))
            query = sa.update(jobs).where(jobs.c.state.not_in(FINAL), left).values(node=self.node)
            await connection.execute(query)
        return names

    async def members(self) -> tuple[str, ...]:
        """The names of all members."""
        async with self._database.read() as connection:
            return tuple((await connection.execute(sa.select(manager_nodes.c.node))).scalars())

    @contextlib.asynccontextmanager
    async def alone_with(self, name: str) -> AsyncIterator[None]:
        """Something that only one member at a time works with; within this process the caller sees to that."""
        if not self._database.shared:
            yield
            return
        pause = _LEASE_POLL
        while not await self._lease(name):
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LEASE_POLL_MOST)
        try:
            yield
        finally:
            await asyncio.shield(self._give_back(name))

    async def _lease(self, name: str) -> bool:
        query = postgresql.insert(leases).values(name=name, node=self.node).on_conflict_do_nothing()
        async with self._database.write() as connection:
            return (await connection.execute(query.returning(leases.c.name))).first() is not None

    async def _give_back(self, name: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(sa.delete(leases).where(leases.c.name == name, leases.c.node == self.node))

    async def leave(self) -> None:
        """Others need not wait until this one counts as dead."""
        table = manager_nodes.c
        async with self._database.heart() as connection:
            mine = sa.delete(manager_nodes).where(table.node == self.node, table.epoch == self.joined)
            await connection.execute(mine)


async def _raised(connection: Connection) -> int:
    """A new epoch."""
    highest = int((await connection.execute(sa.select(fence.c.epoch))).scalar_one())
    epoch = max(highest + 1, int(time.time()))
    await connection.execute(sa.update(fence).values(epoch=epoch))
    return epoch


async def _now(connection: Connection) -> float:
    """The time of the one clock that all members share, in seconds since 1970."""
    if connection.dialect.name == "postgresql":
        return float((await connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())"))).scalar_one())
    return time.time()


def _digest(what: str, key: bytes) -> str:
    return hashlib.sha256(what.encode() + b"\n" + key).hexdigest()[:32]
