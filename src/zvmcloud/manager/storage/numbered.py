"""LUNs that a client names by their numbers, as storage drivers do: connections of a guest are counted, and when the
LUN is of a pool, the volume on it is the guest's like one that was asked for by its name.

    fcp_connected       a connection more on each device      undone: fcp_disconnected
    fcp_disconnected    a connection less on each device

The steps name the LUN, so that :mod:`zvmcloud.manager.borders` sees whose it is before a job begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from zvmcloud.manager.database import Connection
from zvmcloud.manager.fcp_rows import change_connections
from zvmcloud.manager.jobs.local import LocalContext, local
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.storage import rows, steps
from zvmcloud.manager.storage.homes import homes_of
from zvmcloud.manager.storage.rows import Volume
from zvmcloud.manager.tables import attachments

CONNECTED, DISCONNECTED = "manager.fcp_connected", "manager.fcp_disconnected"


def counted(
    fcps: Sequence[str], wwpns: Sequence[str], lun: str, *, template: str, boot: bool, mount_point: str
) -> dict[str, Json]:
    """The parameters of both steps. ``wwpns``, ``lun``: 16 hexadecimal digits in lower case."""
    return {
        "fcps": list(fcps), "wwpns": list(wwpns), "lun": lun, "template": template, "boot": boot,
        "mount_point": mount_point,
    }  # fmt: skip


@local(CONNECTED)
async def fcp_connected(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """One connection more on each device, and the guest has the volume on the LUN, if there is one.

    Raises NotFound (fcp-unknown), Conflict (fcp-owned, volume-attached, volume-busy, volume-state).
    """
    connection = context.connection
    there = await _volumes(connection, parameters)
    for volume in there:
        await steps.must_be_attachable(connection, volume, context.system, context.userid)
    await steps.connect(context, parameters)
    reached = (await homes_of(connection, context.system)).own if there else ()
    for volume in there:
        if volume.home in reached:
            await steps.attach_row(context, volume, parameters)
    return None


@local(DISCONNECTED)
async def fcp_disconnected(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """One connection less on each device; the guest has the volume on the LUN through the others only, if any.

    Raises NotFound (fcp-unknown), Conflict (fcp-owned, fcp-not-connected).
    """
    connection, fcps = context.connection, steps.fcps_of(parameters)
    await change_connections(connection, context.system, context.userid, fcps, -1)
    for volume in await _volumes(connection, parameters):
        mine = volume.of(context.system, context.userid)
        left = [fcp for fcp in mine.fcps if fcp not in fcps] if mine is not None else []
        change = sa.update(attachments).values(fcps=left) if left else sa.delete(attachments)
        await connection.execute(change.where(*steps.key_of(volume, context.system, context.userid)))
    return None


async def _volumes(connection: Connection, parameters: Mapping[str, Json]) -> tuple[Volume, ...]:
    """What is on the LUN; nothing for a step that names none, as those of jobs from before it was named."""
    lun, wwpns = str(parameters.get("lun") or ""), parameters.get("wwpns")
    found = await rows.behind(connection, lun, [str(wwpn) for wwpn in wwpns]) if isinstance(wwpns, list) else ()
    return tuple(volume for volume in found if volume is not None)
