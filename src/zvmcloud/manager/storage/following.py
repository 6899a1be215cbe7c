"""Volumes of guests that go to another member of their cluster: whether they can, and their rows, which go along.

A dedicated FCP device becomes one of equal EQID at the destination, at the same virtual device number
(docs/reference/relocation.md); for data that are there too the pool has to be the cluster's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from zvmcloud.manager import fcp_rows
from zvmcloud.manager.database import Connection
from zvmcloud.manager.storage import rows
from zvmcloud.manager.storage.homes import homes_of
from zvmcloud.manager.tables import attachments

if TYPE_CHECKING:
    from zvmcloud.manager.core import Core


async def against(core: Core, system: str, userid: str, to: str) -> str:
    """What stands against a guest's going to another member, as far as its volumes are concerned; "" for nothing."""
    async with core.database.read() as connection:
        mine = await rows.of_guest(connection, system, userid)
        there = (await homes_of(connection, to)).own
        far = [item.name for item in mine if item.home not in there]
        if far:
            return (
                f"volume(s) {', '.join(far)} are of pools that {to} does not reach: let the cluster share the pool, "
                "or detach them"
            )
        used = {device.fcp: device for device in await fcp_rows.all_devices(connection, to)}
        own = {fcp for item in mine for one in item.attachments if one.userid == userid for fcp in one.fcps}
        others = sorted({fcp for fcp in own if fcp in used and used[fcp].assigner not in ("", userid)})
        if others:
            owner = used[others[0]].assigner
            return f"FCP device {others[0]} of {to} is kept for {owner}: detach its volumes there, or unreserve it"
    return ""


async def follow(connection: Connection, userid: str, system: str, to: str) -> None:
    """The guest's attachments and FCP devices are those of another system from now on; its devices there have the
    numbers that they had, and no template. What an older record of it there had, goes."""
    older = (attachments.c.system == to, attachments.c.userid == userid)
    await connection.execute(sa.delete(attachments).where(*older))
    key = (attachments.c.system == system, attachments.c.userid == userid)
    await connection.execute(sa.update(attachments).where(*key).values(system=to))
    there = {device.fcp: device for device in await fcp_rows.all_devices(connection, to)}
    for device in await fcp_rows.all_devices(connection, system):
        if device.assigner != userid:
            continue
        nobody = {"assigner": "", "reserved": False, "connections": 0, "template": "", "expires": None}
        await fcp_rows.set_devices(connection, system, [device.fcp], **nobody)
        if device.fcp in there and there[device.fcp].assigner not in ("", userid):
            continue  # z/VM gave the guest another real device there; this number is somebody else's
        kept = {"assigner": userid, "reserved": device.reserved, "connections": device.connections}
        await fcp_rows.upsert(connection, to, device.fcp, {**nobody, **kept, "expires": device.expires})
