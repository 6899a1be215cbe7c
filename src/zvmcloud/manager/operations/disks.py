"""Minidisks of guests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zvmcloud.manager.core import vdev
from zvmcloud.manager.disks import FORMATS, DiskRequest, Mount, plan_configure, plan_remove
from zvmcloud.manager.errors import BadInput, Conflict, NotFound
from zvmcloud.manager.guest_plans import powered
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.inventory.seen import megabytes
from zvmcloud.manager.operations.declare import GUEST, Nothing, Prepared, Target, Uses, guest_of, operation
from zvmcloud.manager.operations.guests import NewDisk

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@operation("disk.attach", "POST", f"{GUEST}/disks", NewDisk)
async def attach(node: Node, caller: Caller, target: Target, wanted: NewDisk) -> Prepared:
    """Give a guest a new minidisk, at once when it runs; undone once the guest is off."""
    owner, project = await guest_of(node, caller, target)
    request = DiskRequest(wanted.size, wanted.format, wanted.boot, wanted.vdev, wanted.pool, member="")
    _, plan = await node.disks.plan_add(target.system, owner, [request])
    return Prepared(replace(plan, kind="disk.attach"), project, uses=Uses(**plan.uses))


@operation("disk.detach", "DELETE", f"{GUEST}/disks/{{vdev}}", Nothing, no_undo="what was on the disk is gone")
async def detach(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Take a minidisk away from a guest that is off; what was on it is lost."""
    owner, project = await guest_of(node, caller, target)
    number = vdev(target.item)
    facts = await node.guests.facts(target.system, owner)
    if powered(facts):
        raise Conflict(
            f"guest {owner} is on: disks are removed from a guest that is off",
            code="guest-active",
            remedy="stop it first",
            subject=owner,
        )
    disk = next((item for item in facts.documents("disks") if item.text("vdev").upper().zfill(4) == number), None)
    if disk is None:
        raise NotFound(f"guest {owner} has no minidisk {number}", code="disk-unknown", subject=number)
    plan = plan_remove(target.system, owner, [number], megabytes(disk))
    return Prepared(replace(plan, kind="disk.detach"), project)


@dataclass(frozen=True, slots=True)
class MountedDisk:
    """A minidisk for its guest to mount. ``format``: what is on it, or "none" for the guest to find out; "swap" is
    switched on. ``folder``: an absolute path, "" for /mnt/ephemeral and the virtual device number."""

    vdev: str
    format: str = "none"
    folder: str = ""


@dataclass(frozen=True, slots=True)
class ConfigureDisks:
    """Minidisks that a guest is to mount, each at its folder."""

    mounts: list[MountedDisk]


@operation(
    "disk.configure", "POST", f"{GUEST}/disks/configure", ConfigureDisks, no_undo="what a guest mounted stays in it"
)
async def configure(node: Node, caller: Caller, target: Target, wanted: ConfigureDisks) -> Prepared:
    """Have a guest mount minidisks, at once when it runs, else at its next boot, and at each boot from then on."""
    owner, project = await guest_of(node, caller, target)
    if not wanted.mounts:
        raise BadInput("mounts", "[]", "at least one disk")
    there = {disk.text("vdev").upper().zfill(4) for disk in await node.disks.of_guest(target.system, owner)}
    mounts = []
    for position, disk in enumerate(wanted.mounts):
        number = vdev(disk.vdev, f"mounts[{position}].vdev")
        if disk.format not in FORMATS:
            raise BadInput(f"mounts[{position}].format", disk.format, "one of " + ", ".join(FORMATS))
        if number not in there:
            raise NotFound(f"guest {owner} has no minidisk {number}", code="disk-unknown", subject=number)
        mounts.append(Mount(number, disk.format, disk.folder))
    plan, files = plan_configure(target.system, owner, mounts)
    return Prepared(plan, project, files)
