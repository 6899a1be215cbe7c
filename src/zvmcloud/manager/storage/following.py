"""Volumes of guests that go to another member of their cluster: whether they can, through which FCP devices there, and
their rows, which go along.

A guest keeps the numbers at which it has its FCP devices, so its Linux and LOADDEV stay as they are; which devices
these are, each member says with its own::

    relocate    z/VM gives the running guest devices of equal EQID (docs/reference/relocation.md), the agent there reads
                which, and has the directory entry name them                                          devices_of
    move        devices of the member are taken when the job begins, and the entry names them         devices

z/VM knows nothing of devices that are kept for guests which are off: those are offline while a guest comes, so that
none of them is given away. When somebody else relocates a guest, `check` finds what was. For data that are there too
the pool has to be the cluster's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from zvmcloud.manager import fcp_rows
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.fcp_choice import Device
from zvmcloud.manager.fcp_rows import NOBODY, RELEASED, Template
from zvmcloud.manager.jobs.local import LocalContext, local
from zvmcloud.manager.jobs.plan import Json, Step
from zvmcloud.manager.storage import rows
from zvmcloud.manager.storage.claims import Overtaken, claims
from zvmcloud.manager.storage.homes import homes_of
from zvmcloud.manager.storage.rows import Volume
from zvmcloud.manager.tables import attachments

if TYPE_CHECKING:
    from zvmcloud.manager.core import Core
    from zvmcloud.manager.fcp import FcpPool
    from zvmcloud.manager.node import Node

Pairs = Mapping[str, str]
"""The device that a guest has at each of its numbers."""


async def against(core: Core, system: str, userid: str, to: str) -> str:
    """What stands against a guest's going to another member, as far as its volumes are concerned; "" for nothing."""
    async with core.database.read() as connection:
        mine = await rows.of_guest(connection, system, userid)
        there = (await homes_of(connection, to)).own
    far = [item.name for item in mine if item.home not in there]
    if not far:
        return ""
    return f"volume(s) {', '.join(far)} are of pools that {to} does not reach"


async def kept(fcp: FcpPool, system: str, userid: str) -> Pairs:
    """The devices of a guest where it is."""
    return {device.at: device.fcp for device in await fcp.of_guest(system, userid)}


async def promised(fcp: FcpPool, system: str, userid: str) -> tuple[str, ...]:
    """The devices of a system that are others' by our word only: z/VM would give them away."""
    every = await fcp.devices(system)
    return tuple(item.fcp for item in every if item.allocated and item.assigner != userid and item.state == "free")


async def chosen(node: Node, system: str, userid: str, to: str) -> Pairs:
    """Devices of another member for a guest that is off: of the same numbers where they are free, else of the same path
    of its template there (that of the same name, or the default one). Raises Conflict (fcp-connector)."""
    await node.fcp.sync(to)
    async with node.core.database.read() as connection:
        mine = [item for item in await fcp_rows.all_devices(connection, system) if item.assigner == userid]
        here = await fcp_rows.all_templates(connection, system)
        there = tuple((await fcp_rows.all_templates(connection, to)).values())
        known = {item.fcp: item for item in await fcp_rows.all_devices(connection, to)}
        volumes = await rows.of_guest(connection, system, userid)
    found: dict[str, str] = {}
    for number, device in enumerate(mine):
        path = _path(device, number, here.get(device.template), there)
        fitting = [
            item
            for item in (known.get(device.fcp), *path)
            if item is not None and _free(item, userid) and item.fcp not in found.values() and _allowed(volumes, item)
        ]
        if not fitting:
            raise Conflict(
                f"{to} has no free FCP device for the virtual device {device.at} of {userid}",
                code="fcp-connector",
                remedy=f"give a template of {to} more devices, or detach the volumes of {userid}",
                subject=userid,
            )
        found[device.at] = fitting[0].fcp
    return found


def _path(device: Device, number: int, old: Template | None, there: Sequence[Template]) -> Sequence[Device]:
    """The devices of another member that are as good: of the path that the device is of, or of the path of its turn."""
    wanted = old.name if old is not None else ""
    new = next((item for item in there if item.name == wanted), None) or next(
        (item for item in there if item.host_default), None
    )
    if new is None or not new.paths:
        return ()
    places = [at for at, path in enumerate(old.paths) if device.fcp in {item.fcp for item in path}] if old else []
    return new.paths[(places[0] if places else number) % len(new.paths)]


def _free(device: Device, userid: str) -> bool:
    return device.state == "free" and (not device.allocated or device.assigner == userid)


def _allowed(volumes: Sequence[Volume], device: Device) -> bool:
    return all(volume.lun.allows(device.fcp) for volume in volumes)


async def steps_to(node: Node, system: str, userid: str, to: str) -> tuple[tuple[Step, ...], Pairs, Pairs]:
    """For a guest that is off: the steps before its record goes, the devices that it has then, and had."""
    before = await kept(node.fcp, system, userid)
    if not before:
        return (), {}, {}
    after = await chosen(node, system, userid, to)
    names = ", ".join(after.values())
    taken: dict[str, Json] = {"userid": userid, "to": to, "devices": after}
    claim = Step(
        "take",
        f"FCP device(s) {names} of {to} are for {userid}",
        "manager.fcps_taken",
        taken,
        "manager.fcps_left",
        taken,
    )
    if after == before:
        return (claim,), after, before
    entry = Step(
        "devices", f"the entry of {userid} dedicates {names}", "fcp.follow", await _following(node, to, userid, after),
        "fcp.follow", await _following(node, system, userid, before), undo_system=system, system=to,
    )  # fmt: skip
    return (claim, entry), after, before


async def _following(node: Node, system: str, userid: str, given: Pairs) -> dict[str, Json]:
    """The parameters of the agent's operation at a member."""
    others = await node.fcp.elsewhere(system, [Device(fcp) for fcp in given.values()])
    said: dict[str, Json] = {"userid": userid, "devices": list(given), "reals": list(given.values())}
    return said | {"elsewhere": [name for name in others if name != userid]}


def pairs(parameters: Mapping[str, Json], results: Mapping[str, Mapping[str, Json]]) -> Pairs:
    """The devices that a step of the manager is told of: ``devices``, or what the step ``devices_of`` found."""
    given = parameters.get("devices")
    if isinstance(given, Mapping):
        return {str(at): str(fcp) for at, fcp in given.items()}
    found = results.get(str(parameters.get("devices_of")), {}).get("devices")
    return {str(at): str(fcp) for at, fcp in found} if isinstance(found, list) else {}


@claims("manager.fcps_taken")
async def fcps_taken(context: LocalContext, parameters: Mapping[str, Json], claimed: bool) -> Mapping[str, Json] | None:
    """Devices of the member that a guest goes to are kept for it. What is claimed and never come to ends by itself.
    Raises Overtaken."""
    to, userid, given = str(parameters["to"]), str(parameters["userid"]), pairs(parameters, {})
    known = {device.fcp: device for device in await fcp_rows.all_devices(context.connection, to)}
    for at, fcp in given.items():
        if fcp not in known or not _free(known[fcp], userid):
            raise Overtaken(f"FCP device {fcp} of {to} was taken meanwhile", remedy="repeat it", subject=fcp)
        values = {**NOBODY, "assigner": userid, "reserved": True, "vdev": at if at != fcp else ""}
        values["expires"] = time.time() + RELEASED if claimed else None
        await fcp_rows.set_devices(context.connection, to, [fcp], **values)
    return None


@local("manager.fcps_left")
async def fcps_left(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The way back: devices that the guest has not come to."""
    to, userid, given = str(parameters["to"]), str(parameters["userid"]), pairs(parameters, {})
    for device in await fcp_rows.all_devices(context.connection, to):
        if device.fcp in given.values() and device.assigner == userid and not device.connections:
            await fcp_rows.set_devices(context.connection, to, [device.fcp], **NOBODY)
    return None


async def must_be_free(connection: Connection, system: str, userid: str, given: Pairs) -> None:
    """Raises Conflict (fcp-owned) when a device is somebody else's."""
    for device in await fcp_rows.all_devices(connection, system):
        if device.fcp in given.values() and device.assigner not in ("", userid):
            raise Conflict(
                f"FCP device {device.fcp} of {system} is assigned to {device.assigner} meanwhile",
                code="fcp-owned",
                remedy=f"move {userid} there, through other devices",
                subject=device.fcp,
            )


async def follow(
    connection: Connection, userid: str, system: str, to: str, given: Pairs, *, sure: bool = False
) -> None:
    """The guest's attachments and FCP devices are those of another system from now on. ``given``: its devices there,
    ``sure`` when z/VM says so; of one that is not named nothing is known but its number, so it goes to nobody whom the
    device of that number is not free for. What an older record of it there had, goes."""
    older = (attachments.c.system == to, attachments.c.userid == userid)
    await connection.execute(sa.delete(attachments).where(*older))
    key = (attachments.c.system == system, attachments.c.userid == userid)
    await connection.execute(sa.update(attachments).where(*key).values(system=to))
    known = {device.fcp: device for device in await fcp_rows.all_devices(connection, to)}
    stale = [device.fcp for device in known.values() if device.assigner == userid]
    await fcp_rows.set_devices(connection, to, stale, **NOBODY)
    mine = [device for device in await fcp_rows.all_devices(connection, system) if device.assigner == userid]
    await fcp_rows.set_devices(connection, system, [device.fcp for device in mine], **NOBODY)
    templates = (await fcp_rows.all_templates(connection, to)).values()
    for device in mine:
        fcp = given.get(device.at, device.at)
        told = sure and device.at in given
        if fcp in known and known[fcp].assigner not in ("", userid) and not told:
            continue
        values: dict[str, object] = {"assigner": userid, "reserved": device.reserved, "expires": device.expires}
        values |= {"connections": device.connections, "vdev": device.at if device.at != fcp else ""}
        values["template"] = next((item.id for item in templates if fcp in {one.fcp for one in item.devices}), "")
        await fcp_rows.upsert(connection, to, fcp, {**NOBODY, **values})
