"""Webhooks: who is told of which events, and how that went.

Each webhook has a position in the table of events: it is called for one event after the other, again with growing
pauses until the receiver has it, so it gets every event at least once and in order. After :data:`TRIES` failures in a
row it is dead until somebody revives it. Which manager of several calls is settled by moving ``due`` ahead first.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Sequence

import sqlalchemy as sa

from zvmcloud.manager import downloads
from zvmcloud.manager.database import Database
from zvmcloud.manager.errors import BadInput, ImageUnusable, NotFound, QuotaExceeded
from zvmcloud.manager.events.calling import PATIENCE, Result, call
from zvmcloud.manager.events.log import Event, Events, Wanted
from zvmcloud.manager.events.tables import deliveries, webhooks
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.roles import Caller, Role

log = logging.getLogger(__name__)

TRIES = 12
"""Failures in a row after which a webhook is dead: a good hour with the pauses between them."""
LONGEST_PAUSE = 900.0
MOST = 50
"""Webhooks of one project."""
_LOGGED = 200
"""Deliveries that are kept of each webhook."""
_ROUND = 1.0
_BATCH = 20
_KIND = re.compile(r"[a-z*?][a-z0-9*?.-]{0,47}")


class Webhooks:
    """Keeps webhooks and calls them. ``hosts`` may have addresses that are not public."""

    def __init__(self, database: Database, events: Events, hosts: Sequence[str]) -> None:
        self._database = database
        self._events = events
        self._hosts = hosts

    async def add(self, caller: Caller, project: str, url: str, secret: str, kinds: Sequence[str]) -> sa.RowMapping:
        """A webhook for the events that come from now on. ``project`` "": of all projects.

        Raises BadInput (url, secret, kinds), NotAllowed (url-not-allowed), QuotaExceeded (webhooks).
        """
        await self._check(url, secret, kinds)
        row = {
            "id": str(uuid.uuid4()),
            "project": project,
            "actor": caller.user,
            "url": url,
            "secret": secret,
            "kinds": list(kinds),
            "created": time.time(),
            "state": "active",
            "position": await self._events.newest(),
            "failures": 0,
            "due": 0.0,
        }
        async with self._database.write() as connection:
            count = sa.select(sa.func.count()).where(webhooks.c.project == project)
            if int((await connection.execute(count)).scalar_one()) >= MOST:
                raise QuotaExceeded(f"project {project!r} has {MOST} webhooks already", remedy="remove one")
            await connection.execute(sa.insert(webhooks), row)
            await audit.append(connection, caller, "webhook.create", downloads.shown(url), project=project)
        return await self.get(caller, str(row["id"]), Role.MEMBER)

    async def get(self, caller: Caller, webhook: str, role: Role) -> sa.RowMapping:
        """One by its id. Raises NotFound (webhook-unknown), NotAllowed (role)."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(webhooks).where(webhooks.c.id == webhook))
            row = found.mappings().one_or_none()
        if row is None or (caller.role_in(row["project"]) is None):
            raise NotFound(f"no webhook has the id {webhook!r}", code="webhook-unknown", subject=webhook)
        caller.enters(row["project"], role, f"webhook {webhook}")
        return row

    async def change(
        self,
        caller: Caller,
        webhook: str,
        *,
        url: str | None = None,
        secret: str | None = None,
        kinds: Sequence[str] | None = None,
        revive: bool = False,
    ) -> sa.RowMapping:
        """Change what is given; ``revive`` lets a dead one go on where it stopped. Raises as :meth:`add`."""
        row = await self.get(caller, webhook, Role.MEMBER)
        await self._check(url or row["url"], secret or row["secret"], row["kinds"] if kinds is None else kinds)
        values = {"url": url, "secret": secret, "kinds": list(kinds) if kinds is not None else None}
        changes: dict[str, object] = {name: value for name, value in values.items() if value is not None}
        if revive:
            changes |= {"state": "active", "failures": 0, "due": 0.0}
        if changes:
            async with self._database.write() as connection:
                await connection.execute(sa.update(webhooks).where(webhooks.c.id == webhook).values(changes))
                await audit.append(connection, caller, "webhook.change", webhook, project=row["project"])
        return await self.get(caller, webhook, Role.MEMBER)

    async def remove(self, caller: Caller, webhook: str) -> None:
        """Forget one with its deliveries. Raises NotFound (webhook-unknown)."""
        row = await self.get(caller, webhook, Role.MEMBER)
        async with self._database.write() as connection:
            await connection.execute(sa.delete(webhooks).where(webhooks.c.id == webhook))
            await audit.append(connection, caller, "webhook.delete", webhook, project=row["project"])

    async def run(self) -> None:
        """Call what is due, for ever."""
        while True:
            try:
                await self.round()
            except Exception:
                log.exception("webhooks cannot be called")
            await asyncio.sleep(_ROUND)

    async def round(self) -> None:
        """Call every webhook that has something new and is due."""
        now, newest = time.time(), await self._events.newest()
        query = sa.select(webhooks).where(
            webhooks.c.state == "active", webhooks.c.due <= now, webhooks.c.position < newest
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        await asyncio.gather(*(self._serve(row) for row in rows))

    async def _serve(self, row: sa.RowMapping) -> None:
        claimed = time.time() + PATIENCE * (_BATCH + 1)
        mine = sa.and_(webhooks.c.id == row["id"], webhooks.c.due == row["due"])
        async with self._database.write() as connection:
            if not (await connection.execute(sa.update(webhooks).where(mine).values(due=claimed))).rowcount:
                return  # another manager does it
        wanted = Wanted((row["project"],) if row["project"] else None, tuple(row["kinds"]))
        found, read = await self._events.behind(row["position"], wanted, _BATCH)
        failures = row["failures"]
        for event in found:
            result = await call(row["url"], row["secret"], event, self._hosts)
            failures = 0 if result.taken else failures + 1
            await self._log(row["id"], event, failures, result, claimed)
            if not result.taken:
                return
        async with self._database.write() as connection:
            behind = max(read, await self._settled(row["position"], found, read))
            await connection.execute(
                sa.update(webhooks)
                .where(webhooks.c.id == row["id"], webhooks.c.due == claimed)
                .values(position=behind, due=0.0)
            )

    async def _settled(self, position: int, found: Sequence[Event], read: int) -> int:
        """How far there was nothing for this webhook, when it has read nothing."""
        return await self._events.newest() if read == position and not found else read

    async def _log(self, webhook: str, event: Event, failures: int, result: Result, claimed: float) -> None:
        now = time.time()
        values: dict[str, object] = {"failures": failures}
        if result.taken:
            values["position"] = event.id
        else:
            values["due"] = now + min(2.0 ** (failures - 1), LONGEST_PAUSE)
            values["state"] = "dead" if failures >= TRIES else "active"
        async with self._database.write() as connection:
            await connection.execute(
                sa.update(webhooks).where(webhooks.c.id == webhook, webhooks.c.due == claimed).values(values)
            )
            known = sa.select(webhooks.c.id).where(webhooks.c.id == webhook)
            if (await connection.execute(known)).first() is None:
                return
            await connection.execute(
                sa.insert(deliveries),
                {
                    "webhook": webhook,
                    "event": event.id,
                    "kind": event.kind,
                    "time": now,
                    "attempt": failures or 1,
                    "status": result.status,
                    "error": result.error,
                    "milliseconds": result.milliseconds,
                },
            )
            oldest = (
                sa.select(deliveries.c.id)
                .where(deliveries.c.webhook == webhook)
                .order_by(deliveries.c.id.desc())
                .offset(_LOGGED)
                .limit(1)
                .scalar_subquery()
            )
            await connection.execute(
                sa.delete(deliveries).where(deliveries.c.webhook == webhook, deliveries.c.id <= oldest)
            )

    async def _check(self, url: str, secret: str, kinds: Sequence[str]) -> None:
        target = downloads.parsed(url)
        if target.userinfo:
            raise BadInput("url", "it", "a URL without user and password; the signature tells who calls")
        if not 16 <= len(secret) <= 128:
            raise BadInput("secret", f"{len(secret)} characters", "16 to 128 characters")
        for kind in kinds:
            if not _KIND.fullmatch(kind):
                raise BadInput("kinds", kind, "kinds of events, perhaps with * and ?: job.*, guest.created")
        try:
            await downloads.addresses(target, self._hosts, setting="webhook_hosts")
        except ImageUnusable:
            raise BadInput("url", target.host, "a host whose name is known") from None
