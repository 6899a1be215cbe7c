"""Plans that attach a LUN of a pool to a guest and detach it, for data or to boot from.

    taken       (here)   the LUN is used, its FCP devices have a connection more; fails if another was faster
    dedicate    (zHCP)   devices that the guest does not have yet
    data: a script in the guest's reader brings the LUN online, at once when the guest runs
    boot: the directory entry gets LOADDEV and IPL, which count from the next logon on

Detaching is the way back; the LUN is free then, or kept for the guest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zvmcloud.manager import scsi_pools
from zvmcloud.manager.core import userid
from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.facts import Document
from zvmcloud.manager.fcp_rows import change_connections
from zvmcloud.manager.jobs.local import LocalContext, local
from zvmcloud.manager.jobs.plan import Json, Plan, Step
from zvmcloud.manager.scsi_file import Volume
from zvmcloud.manager.volumes import (
    Connection,
    attach_script,
    check_mount_point,
    dedicate_step,
    detach_script,
    fcps_of,
    script_steps,
    undedicate_step,
)

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class Attachment:
    """A LUN to attach: named, or the smallest free one of ``size_mb``. ``template`` "" is the system's default one."""

    pool: str
    size_mb: int = 0
    volume: str = ""
    template: str = ""
    mount_point: str = ""
    boot: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, the files of its steps, and how many FCP devices it takes."""

    plan: Plan
    files: Mapping[str, bytes]
    new_devices: int = 0


class _Devices:
    """The FCP devices that a LUN may be reached through."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    def __contains__(self, item: object) -> bool:
        return isinstance(item, str) and self._volume.allows(item)


async def plan_attach(node: Node, system: str, guest: str, wish: Attachment) -> Planned:
    """Raises BadInput, NotFound (scsi-pool-unknown, scsi-volume-unknown, fcp-template-unknown), Conflict
    (scsi-volume-used, scsi-pool-full, fcp-connector, guest-active for a boot volume)."""
    owner = userid(guest)
    check_mount_point(wish.mount_point)
    async with node.core.database.read() as connection:
        volume = await scsi_pools.chosen(connection, system, wish.pool, owner, size_mb=wish.size_mb, volume=wish.volume)
    found = await node.fcp.pick(system, owner, template=wish.template, within=_Devices(volume))
    fcps = [device.fcp for device in found.devices]
    taken: dict[str, Json] = {
        "volume": volume.name, "state": volume.state, "fcps": fcps, "template": found.template, "kept": False,
    }  # fmt: skip
    steps = [
        Step(
            "take", f"LUN {volume.name} is for {owner}, through {', '.join(fcps)}", "manager.scsi_taken", taken,
            "manager.scsi_returned", {**taken, "kept": volume.state == "reserved"},
        )
    ]  # fmt: skip
    first = [device.fcp for device in found.devices if device.connections == 0]
    if first:
        steps.append(dedicate_step(owner, first))
    files: dict[str, bytes] = {}
    if wish.boot:
        await _must_be_off(node, system, owner)
        loaddev = {"device": fcps[0].upper(), "portname": volume.wwpns[0], "lun": volume.lun}
        if len(fcps) > 1:
            loaddev["alterdev"] = f"{fcps[1].upper()} PORT {volume.wwpns[-1]}"
        entry: dict[str, Json] = {"userid": owner, "loaddev": loaddev, "ipl": "LOADDEV"}
        steps.append(Step("boot", f"{owner} boots from LUN {volume.lun}", "guest.change", entry))
    else:
        files["atvol.sh"] = attach_script(_connection(owner, volume, fcps, wish.mount_point))
        steps += script_steps(owner, "atvol", files["atvol.sh"])
    title = f"Attach LUN {volume.name} to {owner}"
    return Planned(Plan("volume.attach", title, system, tuple(steps), owner), files, len(first))


async def plan_detach(node: Node, system: str, guest: str, name: str, *, keep: bool) -> Planned:
    """``keep``: the LUN stays reserved for the guest, without an end. Raises NotFound (scsi-volume-unknown), Conflict
    (scsi-not-attached; guest-active for the volume that the guest boots from)."""
    owner = userid(guest)
    async with node.core.database.read() as connection:
        _, volume = await scsi_pools.one(connection, system, name)
    if volume.state != "used" or volume.owner.upper() != owner:
        raise Conflict(
            f"LUN {volume.name} is {volume.state}, and not attached to {owner}",
            code="scsi-not-attached",
            subject=volume.name,
        )
    have = {device.fcp: device for device in await node.fcp.of_guest(system, owner)}
    fcps = [fcp for fcp in volume.channels if fcp in have]
    back: dict[str, Json] = {"volume": volume.name, "state": "used", "fcps": fcps, "template": "", "kept": keep}
    files: dict[str, bytes] = {}
    steps: list[Step] = []
    if await _boots_from(node, system, owner, volume):
        await _must_be_off(node, system, owner)
        entry: dict[str, Json] = {"userid": owner, "loaddev": {}, "ipl": ""}
        steps.append(Step("boot", f"{owner} boots from LUN {volume.lun} no more", "guest.change", entry))
    else:
        files["devol.sh"] = detach_script(_connection(owner, volume, fcps, ""))
        steps += script_steps(owner, "devol", files["devol.sh"])
    last = [fcp for fcp in fcps if have[fcp].connections == 1]
    if last:
        steps.append(undedicate_step(owner, last))
    steps.append(Step("return", f"LUN {volume.name} is {'kept' if keep else 'free'}", "manager.scsi_returned", back))
    title = f"Detach LUN {volume.name} from {owner}"
    return Planned(Plan("volume.detach", title, system, tuple(steps), owner), files)


def _connection(owner: str, volume: Volume, fcps: list[str], mount_point: str) -> Connection:
    wwpns = tuple(f"0x{wwpn}" for wwpn in volume.wwpns)
    several = len(fcps) * len(wwpns) > 1
    return Connection(owner, tuple(fcps), wwpns, f"0x{volume.lun}", mount_point, multipath=several)


async def _must_be_off(node: Node, system: str, owner: str) -> None:
    if await node.guests.is_on(system, owner):
        raise Conflict(
            f"guest {owner} is on: what it boots from is changed while it is off",
            code="guest-active",
            remedy="stop it first",
            subject=owner,
        )


async def _boots_from(node: Node, system: str, owner: str, volume: Volume) -> bool:
    facts: Document = await node.guests.facts(system, owner)
    statements = [line.upper().split() for line in facts.texts("entry")]
    return any(words[:2] == ["LOADDEV", "LUN"] and words[2:] == [volume.lun.upper()] for words in statements)


@local("manager.scsi_taken")
async def scsi_taken(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The LUN is the guest's, and a connection more on each FCP device."""
    _, volume = await scsi_pools.one(context.connection, context.system, str(parameters["volume"]))
    fcps = fcps_of(parameters)
    if volume.state not in ("free", "reserved") or (volume.owner and volume.owner.upper() != context.userid):
        raise Conflict(
            f"LUN {volume.name} is {volume.state} by {volume.owner} now", code="scsi-volume-used", subject=volume.name
        )
    await scsi_pools.change(context.connection, context.system, volume, "used", owner=context.userid, channels=fcps)
    template = str(parameters["template"] or "")
    await change_connections(context.connection, context.system, context.userid, fcps, 1, template)
    return None


@local("manager.scsi_returned")
async def scsi_returned(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The LUN is free, or kept for the guest, and a connection less on each FCP device. Harmless when run again."""
    _, volume = await scsi_pools.one(context.connection, context.system, str(parameters["volume"]))
    if volume.state != "used" or volume.owner.upper() != context.userid:
        return None
    kept = bool(parameters["kept"])
    await scsi_pools.change(
        context.connection, context.system, volume, "reserved" if kept else "free",
        owner=context.userid if kept else "",
    )  # fmt: skip
    await change_connections(context.connection, context.system, context.userid, fcps_of(parameters), -1)
    return None
