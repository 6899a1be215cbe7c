"""The rows of FCP devices, templates and their paths, read and changed within a caller's transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import Conflict, NotFound
from zvmcloud.manager.fcp_choice import Device
from zvmcloud.manager.identity.acting import actor
from zvmcloud.manager.identity.audit import append
from zvmcloud.manager.tables import fcp_devices, fcp_paths, fcp_templates

RELEASED = 3600.0
"""Seconds for which a reservation is kept whose last connection has gone."""


NOBODY: Mapping[str, object] = {
    "assigner": "", "reserved": False, "connections": 0, "template": "", "expires": None, "vdev": "",
}  # fmt: skip
"""A device that nobody has."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template with its paths; ``min_paths`` -1 asks for all of them."""

    id: str
    name: str
    description: str
    host_default: bool
    min_paths: int
    providers: tuple[str, ...]
    paths: tuple[tuple[Device, ...], ...]

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(device for path in self.paths for device in path)

    @property
    def pchids(self) -> tuple[str, ...]:
        return tuple(sorted({device.pchid for device in self.devices if device.pchid}))


async def change_connections(
    connection: Connection,
    system: str,
    owner: str,
    fcps: Sequence[str],
    by: int,
    template: str = "",
) -> None:
    """One connection more (``by`` 1) or less (-1) for each device, which is taken for the guest when nobody has it. The
    numbers are those in the guest, whose device may have another. A reservation with connections does not end by
    itself; one that is left without ends after RELEASED seconds.

    Raises NotFound (fcp-unknown), Conflict (fcp-owned) when another guest has one, Conflict (fcp-not-connected).
    """
    every = await all_devices(connection, system)
    known = {device.fcp: device for device in every} | {item.at: item for item in every if item.assigner == owner}
    for fcp in fcps:
        device = known.get(fcp)
        if device is None:
            raise NotFound(f"FCP with id: {fcp} does not exist.", code="fcp-unknown", subject=fcp)
        if device.allocated and device.assigner != owner:
            raise Conflict(
                f"FCP device {fcp} is assigned to {device.assigner}, not to {owner}", code="fcp-owned", subject=fcp
            )
        if device.connections + by < 0:
            raise Conflict(f"FCP device {fcp} has no connection of {owner}", code="fcp-not-connected", subject=fcp)
        left = device.connections + by
        kept = left > 0 or device.reserved
        await set_devices(
            connection,
            system,
            [device.fcp],
            connections=left,
            expires=time.time() + RELEASED if left == 0 and device.reserved else None,
            assigner=owner if kept else "",
            template=(device.template or template) if kept else "",
            vdev=device.vdev if kept else "",
        )


async def all_devices(connection: Connection, system: str) -> tuple[Device, ...]:
    query = sa.select(fcp_devices).where(fcp_devices.c.system == system).order_by(fcp_devices.c.fcp)
    rows = (await connection.execute(query)).mappings()
    return tuple(Device(**{name: value for name, value in row.items() if name != "system"}) for row in rows)


async def all_templates(connection: Connection, system: str) -> dict[str, Template]:
    devices = {device.fcp: device for device in await all_devices(connection, system)}
    query = sa.select(fcp_templates).where(fcp_templates.c.system == system).order_by(fcp_templates.c.name)
    found: dict[str, Template] = {}
    for row in (await connection.execute(query)).mappings().all():
        lines = (
            sa.select(fcp_paths).where(fcp_paths.c.template == row["id"]).order_by(fcp_paths.c.path, fcp_paths.c.fcp)
        )
        paths: dict[int, list[Device]] = {}
        for line in (await connection.execute(lines)).mappings():
            paths.setdefault(line["path"], []).append(devices.get(line["fcp"], Device(line["fcp"], state="notfound")))
        found[row["id"]] = Template(
            row["id"],
            row["name"],
            row["description"],
            row["host_default"],
            row["min_paths"],
            tuple(row["providers"]),
            tuple(tuple(paths[number]) for number in sorted(paths)),
        )
    return found


async def noted(connection: Connection, action: str, system: str, what: str, **detail: object) -> None:
    """The audit of a change, in its transaction. ``what``: a template, a device, a pool of LUNs, or the
    userid of a guest."""
    await append(connection, actor(), action, f"{system}/{what}", detail=detail)


async def upsert(connection: Connection, system: str, fcp: str, values: Mapping[str, object]) -> None:
    key = (fcp_devices.c.system == system, fcp_devices.c.fcp == fcp)
    if (await connection.execute(sa.select(fcp_devices.c.fcp).where(*key))).first() is None:
        await connection.execute(sa.insert(fcp_devices), {"system": system, "fcp": fcp, **values})
    elif values:
        await connection.execute(sa.update(fcp_devices).where(*key).values(**values))


async def set_devices(connection: Connection, system: str, fcps: Sequence[str], **values: object) -> None:
    if fcps:
        await connection.execute(
            sa.update(fcp_devices)
            .where(fcp_devices.c.system == system, fcp_devices.c.fcp.in_(list(fcps)))
            .values(**values)
        )


async def exchange(connection: Connection, system: str, given: Mapping[str, tuple[str, str]]) -> None:
    """``given``: the guest that has a device, and the number at which it has it. Where another device is kept for that
    guest at that number, this one is kept for it instead, unless it is somebody else's."""
    every = {device.fcp: device for device in await all_devices(connection, system)}
    kept = {(device.assigner, device.at): device for device in every.values() if device.assigner}
    for fcp, (owner, at) in given.items():
        old, new = kept.get((owner, at)), every[fcp]
        if old is None or old.fcp == fcp or new.allocated:
            continue
        await set_devices(connection, system, [old.fcp], **NOBODY)
        same = {"assigner": owner, "reserved": old.reserved, "connections": old.connections, "expires": old.expires}
        await set_devices(connection, system, [fcp], **same, template=old.template, vdev=at if at != fcp else "")


async def take(
    connection: Connection, system: str, owner: str, template: str, devices: Sequence[Device], until: float | None
) -> None:
    """Reserve devices that nobody has, ``until`` a time (None: for good); another manager that was faster makes this
    one try again."""
    changed = await connection.execute(
        sa.update(fcp_devices)
        .where(
            fcp_devices.c.system == system,
            fcp_devices.c.fcp.in_([device.fcp for device in devices]),
            fcp_devices.c.assigner == "",
            fcp_devices.c.reserved.is_(False),
            fcp_devices.c.connections == 0,
        )
        .values(assigner=owner, reserved=True, template=template, expires=until, vdev="")
    )
    if changed.rowcount != len(devices):
        raise Conflict("another manager took one of these FCP devices", code="fcp-connector", remedy="repeat it")


async def expire(connection: Connection, now: float) -> int:
    """Give back the devices of reservations that have ended and have no connection; how many they were."""
    ended = await connection.execute(
        sa.update(fcp_devices)
        .where(fcp_devices.c.reserved, fcp_devices.c.connections == 0, fcp_devices.c.expires <= now)
        .values(**NOBODY)
    )
    return int(ended.rowcount)
