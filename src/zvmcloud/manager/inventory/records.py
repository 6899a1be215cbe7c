"""Local steps of adopting and forgetting a guest. Each is harmless when it runs again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping

import sqlalchemy as sa

from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.inventory.tables import baselines, drift, seen_guests, seen_nics
from zvmcloud.manager.jobs.local import LocalContext, local
from zvmcloud.manager.jobs.plan import BEFORE, GUEST_ID, Json
from zvmcloud.manager.records import guest_deleted
from zvmcloud.manager.tables import guests, nics


@local("manager.guest_adopted")
async def guest_adopted(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """What was seen of the guest last is what is meant from now on: its entry, its adapters, its state."""
    before = await _recorded(context)
    found = str(before["guests"][0]["id"]) if before["guests"] else str(uuid.uuid4())
    if not before["guests"]:
        seen = seen_guests.c
        query = sa.select(seen.vcpus, seen.memory_mb, seen.disk_mb).where(
            seen.system == context.system, seen.userid == context.userid
        )
        facts = (await context.connection.execute(query)).mappings().one()
        tags = parameters.get("tags")
        row = {
            "system": context.system,
            "userid": context.userid,
            "id": found,
            "created": time.time(),
            "comments": {},
            "project": context.project,
            "tags": dict(tags) if isinstance(tags, Mapping) else {},
            **facts,
        }
        await context.connection.execute(sa.insert(guests), row)
    await _take_adapters(context)
    await _drop(context, baselines, drift)
    return {BEFORE: before, GUEST_ID: found}


@local("manager.guest_forgotten")
async def guest_forgotten(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The guest is not ours any more; its history stays."""
    before = await _recorded(context)
    forgotten = await guest_deleted(context, parameters)
    await _drop(context, baselines, drift)
    return {BEFORE: before, **(forgotten or {})}


@local("manager.guest_recorded_again")
async def guest_recorded_again(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The undo of both: what was recorded of the guest before ``step`` is again. Raises Conflict (guest-owned) when it
    is ours again after it was forgotten."""
    told = context.results[str(parameters["step"])].get(BEFORE)
    before = told if isinstance(told, Mapping) else {}
    if parameters["forgotten"] and (await _recorded(context))["guests"]:
        raise Conflict(f"{context.userid} is ours again", code="guest-owned", subject=context.userid)
    await _drop(context, *_OURS, drift)
    for table in _OURS:
        if rows := before.get(table.name):
            await context.connection.execute(sa.insert(table), rows)
    return None


_OURS = (guests, nics, baselines)
"""What the manager knows of a guest that is ours, besides its history."""


async def _recorded(context: LocalContext) -> dict[str, list[dict[str, Json]]]:
    """The rows of the guest, by table."""
    found: dict[str, list[dict[str, Json]]] = {}
    for table in _OURS:
        query = sa.select(table).where(table.c.system == context.system, table.c.userid == context.userid)
        found[table.name] = [dict(row) for row in (await context.connection.execute(query)).mappings()]
    return found


async def _drop(context: LocalContext, *tables: sa.Table) -> None:
    for table in tables:
        await context.connection.execute(
            sa.delete(table).where(table.c.system == context.system, table.c.userid == context.userid)
        )


async def _take_adapters(context: LocalContext) -> None:
    """Adapters of the entry, with what the manager knows of them beside: port ids and addresses stay."""
    there = seen_nics.c
    query = sa.select(seen_nics).where(there.system == context.system, there.userid == context.userid)
    seen = {row["vdev"]: row for row in (await context.connection.execute(query)).mappings()}
    own = (nics.c.system == context.system, nics.c.userid == context.userid)
    known = set((await context.connection.execute(sa.select(nics.c.vdev).where(*own))).scalars())
    await context.connection.execute(sa.delete(nics).where(*own, nics.c.vdev.not_in(list(seen))))
    for vdev, row in seen.items():
        switch = row["lan_name"] if row["lan_owner"] in {"", "SYSTEM"} else ""
        values = {"vswitch": switch or None, "vlan": int(row["vlan"]) if row["vlan"].isdecimal() else None}
        if vdev in known:
            await context.connection.execute(sa.update(nics).where(*own, nics.c.vdev == vdev).values(**values))
        else:
            key = {"system": context.system, "userid": context.userid, "vdev": vdev}
            await context.connection.execute(sa.insert(nics), {**key, **values})
