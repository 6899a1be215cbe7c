"""What jobs about volumes write down. Each step names the home and the name of its volume, and may run again.

    reserved    a volume being made on a LUN              undone: dropped
    ready       it is what was asked for
    busy        a job overwrites or deletes it            undone: idle
    read        it is copied from: nobody may change it   (nothing to undo)
    gone        it is no more; its LUN is free, or kept
    attached    a guest has it, through FCP devices       undone: detached

Bytes that an undo could not wipe keep their LUN reserved: it is never handed out with what another wrote.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import sqlalchemy as sa

from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import Conflict, NotFound
from zvmcloud.manager.fcp_rows import all_devices, change_connections
from zvmcloud.manager.jobs.local import LocalContext, local
from zvmcloud.manager.jobs.plan import OPEN, Json
from zvmcloud.manager.storage import rows
from zvmcloud.manager.storage.claims import Overtaken, claims
from zvmcloud.manager.storage.rows import AVAILABLE, CREATING, ERROR, Volume
from zvmcloud.manager.tables import attachments, job_steps, jobs, volumes

READ = "manager.volume_read"


def busy(volume: Volume, job: str) -> Conflict:
    """A job works on a volume."""
    return Conflict(
        f"volume {volume.name} is {volume.state} by job {job}",
        code="volume-busy",
        remedy="wait for that job to end, or cancel it",
        subject=volume.name,
    )


def attached(volume: Volume) -> Conflict:
    """Guests have a volume that nobody may have for this."""
    who = ", ".join(f"{item.userid} at {item.system}" for item in volume.attachments)
    return Conflict(
        f"volume {volume.name} is attached to {who}",
        code="volume-attached",
        remedy="detach it first",
        subject=volume.name,
    )


def must_be_available(volume: Volume, job: str = "") -> None:
    """Raises Conflict (volume-busy, volume-state)."""
    if volume.job and volume.job != job:
        raise busy(volume, volume.job)
    if volume.state != AVAILABLE:
        raise Conflict(
            f"volume {volume.name} is in state {volume.state}",
            code="volume-state",
            remedy="write it anew or delete it",
            subject=volume.name,
        )


@claims("manager.volume_reserved")
async def volume_reserved(
    context: LocalContext, parameters: Mapping[str, Json], claimed: bool
) -> Mapping[str, Json] | None:
    """A volume being made has its LUN. Raises Conflict (volume-exists), Overtaken."""
    connection, home, name = context.connection, str(parameters["home"]), str(parameters["volume"])
    there = await rows.at_home(connection, home, name)
    if there is not None and there.job == context.job:
        await rows.change_volume(connection, there, claimed=claimed)
        return None
    await rows.must_be_new(connection, context.system, name)
    pool, wanted = str(parameters["pool"]), str(parameters["lun"])
    lun = (await rows.luns(connection, home, pool)).get(wanted)
    if lun is None or lun.state != parameters["was"]:
        raise Overtaken(f"LUN {wanted} of pool {pool} was taken meanwhile", remedy="repeat it", subject=wanted)
    await rows.change_lun(connection, home, wanted, "used")
    same = ("size_gb", "shared", "source", "image", "tags")
    row: dict[str, object] = {"home": home, "name": name, "lun": wanted, "state": CREATING, "project": context.project}
    row |= {"created": time.time(), "job": context.job, "claimed": claimed}
    await connection.execute(sa.insert(volumes), {**row, **{key: parameters[key] for key in same}})
    return None


@local("manager.volume_dropped")
async def volume_dropped(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """A volume is not made; its LUN is as it was, unless bytes are left on it."""
    there = await _mine(context, parameters)
    if there is None:
        return None
    state, owner = str(parameters["was"]), str(parameters.get("owner") or "")
    if await _bytes_left(context):
        state, owner = "reserved", there.name
    await _forget(context.connection, there, state, owner)
    return None


@local("manager.volume_ready")
async def volume_ready(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """A volume is what was asked for. Values that are named are set: source, image."""
    there = await _mine(context, parameters)
    if there is None:
        raise _unknown(context, parameters)
    values = {name: parameters[name] for name in ("source", "image") if name in parameters}
    await rows.change_volume(context.connection, there, state=AVAILABLE, job="", claimed=False, **values)
    return described(there)


def described(volume: Volume) -> dict[str, Json]:
    """What the result of a job says of a volume."""
    return {
        "volume": volume.name, "pool": volume.pool, "size_gb": volume.size_gb, "lun": volume.lun.lun,
        "wwpns": list(volume.lun.wwpns), "lun_size_mb": volume.lun.size_mb,
    }  # fmt: skip


@claims("manager.volume_busy")
async def volume_busy(
    context: LocalContext, parameters: Mapping[str, Json], claimed: bool
) -> Mapping[str, Json] | None:
    """The job alone works on a volume that no guest has: it writes it, or deletes it (``state``).

    Raises NotFound (volume-unknown), Conflict (volume-busy, volume-attached).
    """
    connection = context.connection
    there = await _named(context, parameters)
    if there.job != context.job:
        if there.job:
            raise busy(there, there.job)
        reader = await read_by(connection, there, context.job)
        if reader:
            raise busy(there, reader)
        if there.attachments:
            raise attached(there)
    state = there.state if claimed else str(parameters["state"])
    await rows.change_volume(connection, there, job=context.job, claimed=claimed, state=state)
    return None


@local("manager.volume_idle")
async def volume_idle(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The job works on the volume no more; it is in error when something was written to it."""
    there = await _mine(context, parameters)
    if there is not None:
        state = ERROR if await _began_disk(context) else str(parameters["was"])
        await rows.change_volume(context.connection, there, state=state, job="", claimed=False)
    return None


@claims(READ)
async def volume_read(
    context: LocalContext, parameters: Mapping[str, Json], claimed: bool
) -> Mapping[str, Json] | None:
    """The job reads a volume. While it is open, `read_by` finds it. Raises NotFound (volume-unknown), Conflict."""
    del claimed
    must_be_available(await _named(context, parameters), context.job)
    return None


async def read_by(connection: Connection, volume: Volume, job: str = "") -> str:
    """An open job, another than this one, that reads a volume; "" for none."""
    query = sa.select(jobs.c.id, job_steps.c.parameters).join(jobs, jobs.c.id == job_steps.c.job_id)
    query = query.where(job_steps.c.kind == READ, jobs.c.state.in_(OPEN), jobs.c.id != job)
    for row in (await connection.execute(query)).all():
        if (row.parameters.get("home"), row.parameters.get("volume")) == (volume.home, volume.name):
            return str(row.id)
    return ""


@local("manager.volume_gone")
async def volume_gone(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """A volume is no more; its LUN is free or, with bytes that are somebody's, reserved (``kept``)."""
    there = await _mine(context, parameters)
    if there is not None:
        kept = bool(parameters["kept"])
        await _forget(context.connection, there, "reserved" if kept else "free", there.name if kept else "")
    return None


@local("manager.volume_sized")
async def volume_sized(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The size that was asked for. Raises NotFound (volume-unknown)."""
    there = await _named(context, parameters)
    await rows.change_volume(context.connection, there, size_gb=parameters["size_gb"])
    return {**described(there), "size_gb": parameters["size_gb"]}


@local("manager.volume_renamed")
async def volume_renamed(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """A volume has another name, with its guests. Raises NotFound (volume-unknown), Conflict (volume-exists,
    volume-busy)."""
    connection, name = context.connection, str(parameters["name"])
    there = await _named(context, parameters)
    if there.job:
        raise busy(there, there.job)
    if reader := await read_by(connection, there, context.job):
        raise busy(there, reader)
    await rows.must_be_new(connection, context.system, name)
    await rows.change_volume(connection, there, name=name)
    key = (attachments.c.home == there.home, attachments.c.volume == there.name)
    await connection.execute(sa.update(attachments).where(*key).values(volume=name))
    return {**described(there), "volume": name}


@claims("manager.volume_attached")
async def volume_attached(
    context: LocalContext, parameters: Mapping[str, Json], claimed: bool
) -> Mapping[str, Json] | None:
    """The job's guest has a volume, and a connection more on each FCP device.

    Raises NotFound (volume-unknown), Conflict (volume-attached, volume-busy, volume-state), Overtaken.
    """
    connection = context.connection
    there = await _named(context, parameters)
    mine = there.of(context.system, context.userid)
    if mine is not None and mine.job == context.job:
        key = key_of(there, context.system, context.userid)
        await connection.execute(sa.update(attachments).where(*key).values(claimed=claimed))
        return None
    await must_be_attachable(connection, there, context.system, context.userid)
    try:
        await connect(context, parameters)
    except Conflict as error:
        raise Overtaken(error.detail, remedy="repeat it", subject=error.subject) from error
    await attach_row(context, there, parameters, job=context.job, claimed=claimed)
    return None


async def must_be_attachable(connection: Connection, volume: Volume, system: str, userid: str) -> None:
    """Raises Conflict (volume-attached, volume-busy, volume-state)."""
    if volume.of(system, userid) is not None or (volume.attachments and not volume.shared):
        raise attached(volume)
    must_be_available(volume)
    if reader := await read_by(connection, volume):
        raise busy(volume, reader)


async def connect(context: LocalContext, parameters: Mapping[str, Json]) -> None:
    """One connection of the job's guest more on each device. Raises NotFound (fcp-unknown), Conflict (fcp-owned)."""
    template = str(parameters["template"] or "")
    await change_connections(context.connection, context.system, context.userid, fcps_of(parameters), 1, template)


async def attach_row(
    context: LocalContext, volume: Volume, parameters: Mapping[str, Json], *, job: str = "", claimed: bool = False
) -> None:
    """Write down that the job's guest has a volume."""
    row: dict[str, object] = {"home": volume.home, "volume": volume.name, "system": context.system}
    row |= {"userid": context.userid, "fcps": list(fcps_of(parameters)), "template": str(parameters["template"] or "")}
    row |= {"boot": bool(parameters["boot"]), "mount_point": parameters["mount_point"]}
    row |= {"created": time.time(), "job": job, "claimed": claimed}
    await context.connection.execute(sa.insert(attachments), row)


@local("manager.volume_connected")
async def volume_connected(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The guest sees the volume, or will at its next start; by which devices, and under which name.

    The name is what udev gives the first path (s390-tools: lszfcp); over several paths there is a multipath device.
    """
    there = await _named(context, parameters)
    key = key_of(there, context.system, context.userid)
    await context.connection.execute(sa.update(attachments).where(*key).values(job="", claimed=False))
    fcps, wwpns = fcps_of(parameters), there.lun.wwpns
    paths: list[Json] = [{"device": fcp, "wwpn": wwpn} for fcp in fcps for wwpn in wwpns]
    name = f"/dev/disk/by-path/ccw-0.0.{fcps[0]}-zfcp-0x{wwpns[0]}:0x{there.lun.lun}" if fcps else ""
    named = str(parameters["mount_point"]) or name
    return {**described(there), "devices": list(fcps), "paths": paths, "device_name": named, "by_path": name}


@local("manager.volume_detached")
async def volume_detached(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The job's guest has the volume no more, and a connection less on each FCP device."""
    there = await rows.at_home(context.connection, str(parameters["home"]), str(parameters["volume"]))
    if there is not None:
        await detach_rows(context.connection, there, context.system, context.userid)
    return None


async def detach_rows(connection: Connection, volume: Volume, system: str, userid: str) -> None:
    """Forget that a guest has a volume. Devices that are not counted as its own (of an imported pool) are left."""
    mine = volume.of(system, userid)
    if mine is None:
        return
    await connection.execute(sa.delete(attachments).where(*key_of(volume, system, userid)))
    held = {device.at for device in await all_devices(connection, system) if device.connections > 0
            and device.assigner == userid}  # fmt: skip
    counted = [fcp for fcp in mine.fcps if fcp in held]
    await change_connections(connection, system, userid, counted, -1)


async def give_back(connection: Connection) -> int:
    """Give back what was claimed by jobs that are over and never came to it; how many volumes and attachments."""
    ended = 0
    for row in (await connection.execute(sa.select(attachments).where(attachments.c.claimed))).mappings().all():
        there = await rows.at_home(connection, row["home"], row["volume"])
        if there is not None and not await is_open(connection, row["job"]):
            await detach_rows(connection, there, row["system"], row["userid"])
            ended += 1
    for row in (await connection.execute(sa.select(volumes).where(volumes.c.claimed))).mappings().all():
        there = await rows.at_home(connection, row["home"], row["name"])
        if there is None or await is_open(connection, there.job):
            continue
        if there.state == CREATING:
            await _forget(connection, there, "free", "")
        else:
            await rows.change_volume(connection, there, job="", claimed=False)
        ended += 1
    return ended


async def is_open(connection: Connection, job: str) -> bool:
    """Whether a job has begun and is not over."""
    query = sa.select(jobs.c.id).where(jobs.c.id == job, jobs.c.state.in_(OPEN))
    return (await connection.execute(query)).first() is not None


def place(volume: Volume) -> dict[str, Json]:
    """The parameters that name a volume in a step of the manager."""
    return {"home": volume.home, "volume": volume.name}


async def _forget(connection: Connection, volume: Volume, state: str, owner: str) -> None:
    await connection.execute(sa.delete(volumes).where(volumes.c.home == volume.home, volumes.c.name == volume.name))
    await rows.change_lun(connection, volume.home, volume.lun.name, state, owner=owner)


async def _named(context: LocalContext, parameters: Mapping[str, Json]) -> Volume:
    there = await rows.at_home(context.connection, str(parameters["home"]), str(parameters["volume"]))
    if there is None:
        raise _unknown(context, parameters)
    return there


async def _mine(context: LocalContext, parameters: Mapping[str, Json]) -> Volume | None:
    """The volume, while it is this job's."""
    there = await rows.at_home(context.connection, str(parameters["home"]), str(parameters["volume"]))
    return there if there is not None and there.job == context.job else None


def _unknown(context: LocalContext, parameters: Mapping[str, Json]) -> NotFound:
    name = str(parameters["volume"])
    return NotFound(f"{context.system} has no volume {name} now", code="volume-unknown", subject=name)


def key_of(volume: Volume, system: str, userid: str) -> tuple[sa.ColumnElement[bool], ...]:
    mine = attachments.c
    return mine.home == volume.home, mine.volume == volume.name, mine.system == system, mine.userid == userid


def fcps_of(parameters: Mapping[str, Json]) -> tuple[str, ...]:
    fcps = parameters["fcps"]
    return tuple(map(str, fcps)) if isinstance(fcps, list) else ()


async def _bytes_left(context: LocalContext) -> bool:
    """Whether a step of the job wrote to a disk and was not taken back."""
    return "done" in await _disk_steps(context)


async def _began_disk(context: LocalContext) -> bool:
    return bool(set(await _disk_steps(context)) - {"pending"})


async def _disk_steps(context: LocalContext) -> tuple[str, ...]:
    query = sa.select(job_steps.c.state).where(job_steps.c.job_id == context.job, job_steps.c.kind.like("disk.%"))
    return tuple((await context.connection.execute(query)).scalars())
