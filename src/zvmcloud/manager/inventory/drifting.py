"""Where z/VM is not as recorded: measured after each look at a system, kept with the time since which it is so.

    guest-gone       a guest of ours has no directory entry any more
    entry-changed    its entry is not what it was after our last job
    disk-changed     a minidisk has come, has gone, or is another one
    state            it is on or off, and was not left so
    nic-missing      an adapter that was made is not in the entry
    nic-uncoupled    an adapter is not coupled to its VSWITCH
    grant-missing    the VSWITCH of an adapter does not let the guest in
    grant-vlan       it does, but neither the grant nor NICDEF names the VLAN that was recorded
    foreign          a virtual machine that is nobody's here

A guest that a job is changing is left out until the job is over. What comes and goes is told as the events
``drift.found`` and ``drift.over``; when one look finds much at once, such as all foreign guests of a new system, one
event of a project tells how much.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from zvmcloud.manager.database import Connection
from zvmcloud.manager.events import log as events
from zvmcloud.manager.facts import Document
from zvmcloud.manager.inventory.seen import places
from zvmcloud.manager.inventory.tables import baselines, drift, seen_disks, seen_guests, seen_nics, seen_resources
from zvmcloud.manager.jobs.plan import OPEN, Json
from zvmcloud.manager.tables import guests, jobs, nics

KINDS = (
    "guest-gone",
    "entry-changed",
    "disk-changed",
    "state",
    "nic-missing",
    "nic-uncoupled",
    "grant-missing",
    "grant-vlan",
    "foreign",
)
MACHINES = ("USER", "IDENTITY")
_CHUNK = 200
_TOLD = 20
"""So many that come or go at one look are told one by one."""
Key = tuple[str, str, str]
Wanted = dict[Key, tuple[str, dict[str, object]]]


async def measure(
    connection: Connection, system: str, ignore: Sequence[str], now: float, only: Sequence[str] | None = None
) -> None:
    """Bring the drift of a system (or of some guests) up to date. ``ignore``: patterns of userids that are not
    foreign."""
    wanted = await _ours(connection, system, now, only)
    wanted |= await _networks(connection, system, only)
    wanted |= await _foreign(connection, system, ignore, only)
    busy = await _busy(connection, system)
    query = sa.select(drift).where(drift.c.system == system)
    if only is not None:
        query = query.where(drift.c.userid.in_(only))
    known = {(row.userid, row.kind, row.subject): row for row in await connection.execute(query)}
    new: list[dict[str, object]] = []
    for key, (project, detail) in wanted.items():
        before = known.pop(key, None)
        userid, kind, subject = key
        row = {"system": system, "userid": userid, "kind": kind, "subject": subject, "project": project}
        if userid in busy:
            continue
        if before is None:
            new.append({**row, "since": now, "detail": detail})
        elif before.detail != detail or before.project != project:
            await connection.execute(
                sa.update(drift).where(*_where(system, key)).values(detail=detail, project=project)
            )
    for at in range(0, len(new), _CHUNK):
        await connection.execute(sa.insert(drift), new[at : at + _CHUNK])
    over = [key for key in known if key[0] not in busy]
    await _tell(connection, "drift.found", system, new)
    await _tell(connection, "drift.over", system, [dict(known[key]._mapping) for key in over])
    if len(over) > _CHUNK and only is None and not wanted:
        await connection.execute(sa.delete(drift).where(drift.c.system == system))
        return
    for key in over:
        await connection.execute(sa.delete(drift).where(*_where(system, key)))


async def _tell(connection: Connection, kind: str, system: str, rows: Sequence[Mapping[str, object]]) -> None:
    """An event for each, or one for each project when there are too many."""
    by_project: dict[str, list[Mapping[str, object]]] = {}
    for row in rows:
        by_project.setdefault(str(row["project"]), []).append(row)
    for project, its in by_project.items():
        if len(its) > _TOLD:
            counts: dict[str, Json] = dict(Counter(str(row["kind"]) for row in its))
            await events.append(connection, kind, system=system, project=project, data={"count": len(its), **counts})
            continue
        for row in its:
            await events.append(
                connection,
                kind,
                system=system,
                subject=str(row["userid"]),
                project=project,
                data={"kind": str(row["kind"]), "device": str(row["subject"])},
            )


def _where(system: str, key: Key) -> tuple[sa.ColumnElement[bool], ...]:
    table = drift.c
    return (table.system == system, table.userid == key[0], table.kind == key[1], table.subject == key[2])


async def _busy(connection: Connection, system: str) -> frozenset[str]:
    query = sa.select(jobs.c.userid).where(jobs.c.system == system, jobs.c.state.in_(OPEN))
    return frozenset((await connection.execute(query)).scalars())


async def _ours(connection: Connection, system: str, now: float, only: Sequence[str] | None) -> Wanted:
    """Guests, entries, disks and states."""
    seen, base = seen_guests.c, baselines.c
    query = (
        sa.select(
            guests.c.userid,
            guests.c.project,
            seen.digest,
            seen.state,
            seen.gone,
            guests.c.created,
            base.digest.label("meant"),
            base.state.label("left"),
            base.version,
            base.disks,
        )
        .outerjoin_from(guests, seen_guests, sa.and_(seen.system == guests.c.system, seen.userid == guests.c.userid))
        .outerjoin(baselines, sa.and_(base.system == guests.c.system, base.userid == guests.c.userid))
        .where(guests.c.system == system)
    )
    if only is not None:
        query = query.where(guests.c.userid.in_(only))
    found: Wanted = {}
    other: dict[str, tuple[str, Mapping[str, object]]] = {}
    for row in await connection.execute(query):
        if row.gone is not None or (row.digest is None and row.created < now):
            found[row.userid, "guest-gone", ""] = (row.project, {"gone": row.gone})
        if row.gone is not None or row.meant is None:
            continue
        if row.meant != row.digest:
            found[row.userid, "entry-changed", ""] = (row.project, {"version": row.version})
            other[row.userid] = (row.project, row.disks)
        if row.left != row.state:
            found[row.userid, "state", ""] = (row.project, {"left": row.left, "is": row.state})
    return found | await _disks(connection, system, other)


async def _disks(connection: Connection, system: str, meant: Mapping[str, tuple[str, Mapping[str, object]]]) -> Wanted:
    found: Wanted = {}
    for userid, (project, before) in meant.items():
        query = sa.select(seen_disks).where(seen_disks.c.system == system, seen_disks.c.userid == userid)
        now = places([dict(row) for row in (await connection.execute(query)).mappings()])
        for vdev in sorted({*before, *now}):
            if before.get(vdev) != now.get(vdev):
                found[userid, "disk-changed", vdev] = (project, {"was": before.get(vdev), "is": now.get(vdev)})
    return found


async def _networks(connection: Connection, system: str, only: Sequence[str] | None) -> Wanted:
    """Adapters and grants that were recorded."""
    seen = seen_nics.c
    there = sa.and_(seen.system == nics.c.system, seen.userid == nics.c.userid, seen.vdev == nics.c.vdev)
    entry = sa.and_(seen_guests.c.system == nics.c.system, seen_guests.c.userid == nics.c.userid)
    owner = sa.and_(guests.c.system == nics.c.system, guests.c.userid == nics.c.userid)
    query = (
        sa.select(
            nics.c.userid,
            nics.c.vdev,
            nics.c.vswitch,
            nics.c.vlan,
            guests.c.project,
            seen.lan_name,
            seen.vlan.label("own"),
        )
        .join_from(nics, guests, owner)
        .join(seen_guests, entry)
        .outerjoin(seen_nics, there)
        .where(nics.c.system == system, seen_guests.c.gone.is_(None))
    )
    if only is not None:
        query = query.where(nics.c.userid.in_(only))
    rows = (await connection.execute(query)).all()
    grants = await _grants(connection, system) if rows else {}
    found: Wanted = {}
    for row in rows:
        if row.lan_name is None:
            found[row.userid, "nic-missing", row.vdev] = (row.project, {"vswitch": row.vswitch})
        elif row.vswitch and row.lan_name != row.vswitch.upper():
            detail = {"vswitch": row.vswitch, "is": row.lan_name}
            found[row.userid, "nic-uncoupled", row.vdev] = (row.project, detail)
        switch = (row.vswitch or "").upper()
        if switch not in grants:
            continue
        if row.userid not in grants[switch]:
            found[row.userid, "grant-missing", switch] = (row.project, {"vdev": row.vdev, "vlan": row.vlan})
        elif row.vlan is not None and str(row.vlan) != row.own and row.vlan not in grants[switch][row.userid]:
            detail = {"vdev": row.vdev, "vlan": row.vlan, "is": list(grants[switch][row.userid])}
            found[row.userid, "grant-vlan", switch] = (row.project, detail)
    return found


async def _grants(connection: Connection, system: str) -> dict[str, dict[str, tuple[int, ...]]]:
    """Who may couple, and into which VLANs, by VSWITCH."""
    table = seen_resources.c
    query = sa.select(table.name, table.facts).where(
        table.system == system, table.kind == "vswitch", table.gone.is_(None)
    )
    return {
        row.name: {
            user.text("grant_userid"): tuple(int(text) for text in user.texts("user_vlan_ids") if text.isdecimal())
            for user in Document(row.facts).documents("authorized_users")
        }
        for row in await connection.execute(query)
    }


async def _foreign(connection: Connection, system: str, ignore: Sequence[str], only: Sequence[str] | None) -> Wanted:
    seen = seen_guests.c
    ours = sa.select(guests.c.userid).where(guests.c.system == system)
    query = sa.select(seen.userid, seen.kind).where(
        seen.system == system, seen.gone.is_(None), seen.kind.in_(MACHINES), seen.userid.not_in(ours)
    )
    if only is not None:
        query = query.where(seen.userid.in_(only))
    return {
        (row.userid, "foreign", ""): ("", {"kind": row.kind})
        for row in await connection.execute(query)
        if not any(fnmatch.fnmatchcase(row.userid, pattern.upper()) for pattern in ignore)
    }
