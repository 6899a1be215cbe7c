"""Local steps: what the manager writes into its own tables when a zHCP operation of the same job is done.

Each runs in the transaction that also ends the job's step, and is harmless when it runs again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping

import sqlalchemy as sa

from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.events import log as events
from zvmcloud.manager.fcp_rows import NOBODY
from zvmcloud.manager.inventory.tables import seen_guests
from zvmcloud.manager.jobs.local import LocalContext, local
from zvmcloud.manager.jobs.plan import GUEST_ID, NOTHING, Json
from zvmcloud.manager.prepared import Prepared
from zvmcloud.manager.storage import following
from zvmcloud.manager.tables import attachments, fcp_devices, guests, images, nics

_NEW_GUEST = Prepared(sa.insert(guests))
_FREE_VOLUMES = Prepared(
    sa.delete(attachments).where(
        attachments.c.system == sa.bindparam("the_system"), attachments.c.userid == sa.bindparam("the_userid")
    )
)
_FREE_DEVICES = Prepared(
    sa.update(fcp_devices)
    .where(fcp_devices.c.system == sa.bindparam("the_system"), fcp_devices.c.assigner == sa.bindparam("the_userid"))
    .values(**NOBODY)
)


@local(NOTHING)
async def nothing(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The undo of a step whose traces go with what the undo of an earlier step takes away."""
    del context, parameters
    return None


@local("manager.guest_created")
async def guest_created(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The guest becomes ours."""
    await _delete_guest(context)
    new = str(uuid.uuid4())
    await context.connection.run(
        _NEW_GUEST,
        {
            "system": context.system,
            "userid": context.userid,
            "id": new,
            "created": time.time(),
            "os_version": str(parameters.get("os_version") or ""),
            "net_set": bool(parameters.get("net_set")),
            "comments": {},
            "project": context.project,
            "tags": parameters.get("tags") or {},
            **{name: parameters.get(name) or 0 for name in ("vcpus", "memory_mb", "disk_mb")},
        },
    )
    await _tell(context, "guest.created")
    return {GUEST_ID: new}


@local("manager.guest_sized")
async def guest_sized(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """What quotas count of the guest: ``vcpus`` and ``memory_mb`` as they are now, ``more_disk_mb`` than before."""
    values: dict[str, object] = {name: parameters[name] for name in ("vcpus", "memory_mb") if name in parameters}
    more = parameters.get("more_disk_mb")
    if isinstance(more, int):
        values["disk_mb"] = guests.c.disk_mb + more
    await context.connection.execute(
        sa.update(guests).where(guests.c.system == context.system, guests.c.userid == context.userid).values(values)
    )
    return None


@local("manager.guest_migrated")
async def guest_migrated(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The guest (of the job, or the one named) has gone to another member, or is back."""
    userid = str(parameters.get("userid") or context.userid)
    await context.connection.execute(
        sa.update(guests)
        .where(guests.c.system == context.system, guests.c.userid == userid)
        .values(comments={"migrated": 1 if parameters["migrated"] else 0})
    )
    return None


@local("manager.guest_moved")
async def guest_moved(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The guest, with its adapters and volumes, is on another system of ours; an older record of it there goes. Its FCP
    devices there are told, or found by an earlier step."""
    userid, given = str(parameters["userid"]), following.pairs(parameters, context.results)
    await _move(context, userid, context.system, str(parameters["to"]), given, sure="devices_of" in parameters)
    return None


@local("manager.guest_moved_back")
async def guest_moved_back(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The undo of a move: the guest is recorded here again. ``after``: the step that moved it in z/VM, which has been
    taken back; without one, the guest must be off there.

    Raises Conflict (guest-elsewhere, guest-active, fcp-owned).
    """
    given = following.pairs(parameters, {})
    userid, there = str(parameters["userid"]), str(parameters["from"])
    if parameters.get("after") in context.results:
        raise Conflict(f"{userid} is still with {there}", code="guest-elsewhere", subject=userid)
    if "after" not in parameters:
        seen = seen_guests.c
        query = sa.select(seen.state).where(seen.system == there, seen.userid == userid, seen.gone.is_(None))
        if (await context.connection.execute(query)).scalar_one_or_none() == "on":
            raise Conflict(f"{userid} is on at {there}", code="guest-active", remedy="relocate it", subject=userid)
        await following.must_be_free(context.connection, context.system, userid, given)
    await _move(context, userid, there, context.system, given)
    return None


async def _move(
    context: LocalContext, userid: str, origin: str, to: str, given: Mapping[str, str], *, sure: bool = False
) -> None:
    """Record a guest of ours, with its adapters and volumes at another system; nothing when it is there already."""
    here = sa.and_(guests.c.system == origin, guests.c.userid == userid)
    if (await context.connection.execute(sa.select(guests.c.id).where(here))).scalar_one_or_none() is None:
        return  # recorded there by an earlier run of this step
    for statement in _FORGET:
        await context.connection.run(statement, {"the_system": to, "the_userid": userid})
    await context.connection.execute(sa.update(guests).where(here).values(system=to, comments={}))
    theirs = sa.and_(nics.c.system == origin, nics.c.userid == userid)
    await context.connection.execute(sa.update(nics).where(theirs).values(system=to))
    await following.follow(context.connection, userid, origin, to, given, sure=sure)
    await events.append(
        context.connection, "guest.moved", system=to, subject=userid, project=context.project, job=context.job
    )


@local("manager.guest_deleted")
async def guest_deleted(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The guest and its NICs are forgotten; with ``gone`` (from z/VM too) nobody has its FCP devices and volumes
    any more."""
    await _delete_guest(context)
    await _tell(context, "guest.deleted")
    if parameters.get("gone"):
        key = {"the_system": context.system, "the_userid": context.userid}
        await context.connection.run(_FREE_DEVICES, key)
        await context.connection.run(_FREE_VOLUMES, key)
    return {GUEST_ID: ""}


@local("manager.guest_deployed")
async def guest_deployed(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The guest's root disk holds this image now."""
    await context.connection.execute(
        sa.update(guests)
        .where(guests.c.system == context.system, guests.c.userid == context.userid)
        .values(os_version=parameters["os_version"], image_sha256=parameters["sha256"])
    )
    await _tell(context, "guest.deployed")
    await context.connection.execute(
        sa.update(images).where(images.c.name == parameters["image"]).values(last_used=time.time())
    )
    return None


@local("manager.nics_set")
async def nics_set(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """NICs of the guest come or change: each of ``nics`` replaces the row of its vdev, keeping columns that it does
    not name."""
    rows = parameters["nics"]
    if not isinstance(rows, list):
        return None
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        key = (nics.c.system == context.system, nics.c.userid == context.userid, nics.c.vdev == row["vdev"])
        changed = await context.connection.execute(
            sa.update(nics)
            .where(*key)
            .values({name: value for name, value in row.items() if name != "vdev"} or {"vdev": row["vdev"]})
        )
        if not changed.rowcount:
            await context.connection.execute(
                sa.insert(nics), {"system": context.system, "userid": context.userid, **row}
            )
    if parameters.get("net_set"):
        await context.connection.execute(
            sa.update(guests)
            .where(guests.c.system == context.system, guests.c.userid == context.userid)
            .values(net_set=True)
        )
    return None


@local("manager.nic_deleted")
async def nic_deleted(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    await context.connection.execute(
        sa.delete(nics).where(
            nics.c.system == context.system, nics.c.userid == context.userid, nics.c.vdev == parameters["vdev"]
        )
    )
    return None


@local("manager.nics_forgotten")
async def nics_forgotten(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """Adapters that were recorded are not there any more."""
    vdevs = parameters["vdevs"]
    mine = (nics.c.system == context.system, nics.c.userid == context.userid)
    if isinstance(vdevs, list):
        await context.connection.execute(sa.delete(nics).where(*mine, nics.c.vdev.in_(vdevs)))
    return None


@local("manager.vswitch_deleted")
async def vswitch_deleted(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """NICs that were coupled to the virtual switch are not any more."""
    await context.connection.execute(
        sa.update(nics)
        .where(nics.c.system == context.system, nics.c.vswitch == parameters["name"])
        .values(vswitch=None, vlan=None)
    )
    return None


@local("manager.vswitch_restored")
async def vswitch_restored(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The undo of that: those of ``nics`` that are coupled to nothing since are recorded with it again."""
    rows = parameters["nics"]
    for row in rows if isinstance(rows, list) else ():
        one = (nics.c.system == context.system, nics.c.userid == row["userid"], nics.c.vdev == row["vdev"])
        await context.connection.execute(
            sa.update(nics).where(*one, nics.c.vswitch.is_(None)).values(vswitch=parameters["name"], vlan=row["vlan"])
        )
    return None


_FORGET = tuple(
    Prepared(
        sa.delete(table).where(
            table.c.system == sa.bindparam("the_system"), table.c.userid == sa.bindparam("the_userid")
        )
    )
    for table in (nics, guests)
)


async def _tell(context: LocalContext, kind: str) -> None:
    """An event about the job's guest."""
    await events.append(
        context.connection,
        kind,
        system=context.system,
        subject=context.userid,
        project=context.project,
        job=context.job,
    )


async def _delete_guest(context: LocalContext) -> None:
    for statement in _FORGET:
        await context.connection.run(statement, {"the_system": context.system, "the_userid": context.userid})
