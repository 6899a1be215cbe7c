"""Plans that attach a volume to a guest and detach it, for data or to boot from.

    attached    (here)   the guest has the volume, its FCP devices have a connection more; claimed when the job begins
    dedicate    (zHCP)   devices that the guest does not have yet
    data: a script in the guest's reader brings the LUN online, at once when the guest runs, else at its next start
    boot: the directory entry gets LOADDEV and IPL, which count from the next logon on
    connected   (here)   devices, paths and names, for whoever asked

Detaching is the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zvmcloud.manager.core import userid
from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.jobs.plan import Json, Plan, Step
from zvmcloud.manager.storage import steps
from zvmcloud.manager.storage.pool_file import Lun
from zvmcloud.manager.storage.rows import Volume
from zvmcloud.manager.volumes import (
    DETACH,
    Connection,
    attach_script,
    attached_again,
    check_mount_point,
    dedicate_step,
    detach_script,
    script_steps,
    undedicate_step,
)

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class Wish:
    """How to attach. ``template`` "" is the system's default one."""

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

    def __init__(self, lun: Lun) -> None:
        self._lun = lun

    def __contains__(self, item: object) -> bool:
        return isinstance(item, str) and self._lun.allows(item)


async def plan_attach(node: Node, system: str, guest: str, volume: Volume, wish: Wish) -> Planned:
    """Raises BadInput, NotFound (fcp-template-unknown), Conflict (volume-attached, volume-busy, volume-state,
    fcp-connector, guest-active for a boot volume)."""
    owner = userid(guest)
    check_mount_point(wish.mount_point)
    if volume.of(system, owner) is not None or (volume.attachments and not volume.shared):
        raise steps.attached(volume)
    steps.must_be_available(volume)
    found = await node.fcp.pick(system, owner, template=wish.template, within=_Devices(volume.lun))
    fcps = [device.at for device in found.devices]
    where: dict[str, Json] = {**steps.place(volume), "fcps": list(fcps), "mount_point": wish.mount_point}
    taken: dict[str, Json] = {**where, "template": found.template, "boot": wish.boot}
    plan = [
        Step(
            "take", f"volume {volume.name} is for {owner}, through {', '.join(fcps)}", "manager.volume_attached", taken,
            "manager.volume_detached", steps.place(volume),
        )
    ]  # fmt: skip
    first = [device for device in found.devices if device.connections == 0]
    if first:
        plan.append(dedicate_step(owner, first, await node.fcp.elsewhere(system, first)))
    files: dict[str, bytes] = {}
    if wish.boot:
        await _must_be_off(node, system, owner)
        plan.append(_boot_step(owner, volume.lun, fcps))
    else:
        files["atvol.sh"] = attach_script(_connection(owner, volume.lun, fcps, wish.mount_point))
        plan += script_steps(owner, "atvol", files["atvol.sh"])
    plan.append(Step("record", f"{owner} has volume {volume.name}", "manager.volume_connected", where))
    title = f"Attach volume {volume.name} to {owner}"
    return Planned(Plan("volume.attach", title, system, tuple(plan), owner), files, len(first))


async def plan_detach(node: Node, system: str, guest: str, volume: Volume) -> Planned:
    """Raises Conflict (volume-not-attached; guest-active for the volume that the guest boots from)."""
    owner = userid(guest)
    mine = volume.of(system, owner)
    if mine is None:
        raise Conflict(
            f"volume {volume.name} is {volume.shown_state}, and not attached to {owner}",
            code="volume-not-attached",
            subject=volume.name,
        )
    have = {device.at: device for device in await node.fcp.of_guest(system, owner)}
    fcps = [fcp for fcp in mine.fcps if fcp in have]
    files: dict[str, bytes] = {}
    plan: list[Step] = []
    if mine.boot:
        await _must_be_off(node, system, owner)
        plan.append(_entry_step(owner, f"{owner} boots from LUN {volume.lun.lun} no more", {}, ""))
    else:
        connection = _connection(owner, volume.lun, fcps, mine.mount_point)
        files[f"{DETACH}.sh"] = script = detach_script(connection)
        plan += script_steps(owner, DETACH, script)
        plan[-1] = attached_again(plan[-1], owner, attach_script(connection))
    last = [have[fcp] for fcp in fcps if have[fcp].connections == 1]
    if last:
        plan.append(undedicate_step(owner, last, await node.fcp.elsewhere(system, last)))
    title = f"{owner} does not have volume {volume.name}"
    plan.append(Step("return", title, "manager.volume_detached", steps.place(volume)))
    title = f"Detach volume {volume.name} from {owner}"
    return Planned(Plan("volume.detach", title, system, tuple(plan), owner), files)


def _boot_step(owner: str, lun: Lun, fcps: list[str]) -> Step:
    loaddev = {"device": fcps[0].upper(), "portname": lun.wwpns[0], "lun": lun.lun}
    if len(fcps) > 1:
        loaddev["alterdev"] = f"{fcps[1].upper()} PORT {lun.wwpns[-1]}"
    return _entry_step(owner, f"{owner} boots from LUN {lun.lun}", loaddev, "LOADDEV")


def _entry_step(owner: str, title: str, loaddev: dict[str, str], ipl: str) -> Step:
    entry: dict[str, Json] = {"userid": owner, "loaddev": {**loaddev}, "ipl": ipl}
    return Step("boot", title, "guest.change", entry, "guest.restore", {"userid": owner})


def _connection(owner: str, lun: Lun, fcps: list[str], mount_point: str) -> Connection:
    wwpns = tuple(f"0x{wwpn}" for wwpn in lun.wwpns)
    several = len(fcps) * len(wwpns) > 1
    return Connection(owner, tuple(fcps), wwpns, f"0x{lun.lun}", mount_point, multipath=several)


async def _must_be_off(node: Node, system: str, owner: str) -> None:
    if await node.guests.is_on(system, owner):
        raise Conflict(
            f"guest {owner} is on: what it boots from is changed while it is off",
            code="guest-active",
            remedy="stop it first",
            subject=owner,
        )
