"""SCSI volumes of a guest: LUNs of a pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zvmcloud.manager import scsi_plans
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.operations.declare import GUEST, Prepared, Target, Uses, guest_of, operation
from zvmcloud.manager.scsi_plans import Attachment

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class AttachVolume:
    """A LUN of a pool: ``volume`` by name, or the smallest free one of ``size_mb``. ``template``: of FCP devices, ""
    for the system's default. ``mount_point``: a name for its device file in the guest. ``boot``: the guest, which is
    off, boots from it."""

    pool: str
    size_mb: int = 0
    volume: str = ""
    template: str = ""
    mount_point: str = ""
    boot: bool = False


@operation(
    "volume.attach",
    "POST",
    f"{GUEST}/volumes",
    AttachVolume,
    no_undo="the guest has been told of the volume; detach it",
)
async def attach(node: Node, caller: Caller, target: Target, wanted: AttachVolume) -> Prepared:
    """Attach a LUN of a pool to a guest, now if it runs."""
    owner, project = await guest_of(node, caller, target)
    wish = Attachment(wanted.pool, wanted.size_mb, wanted.volume, wanted.template, wanted.mount_point, wanted.boot)
    planned = await scsi_plans.plan_attach(node, target.system, owner, wish)
    seen = tuple(f"volume {step.parameters['volume']}" for step in planned.plan.steps if step.local)
    return Prepared(planned.plan, project, planned.files, seen=seen, uses=Uses(fcp_devices=planned.new_devices))


@dataclass(frozen=True, slots=True)
class DetachVolume:
    """``volume``: its name. ``keep``: it stays reserved for the guest."""

    volume: str
    keep: bool = False


@operation(
    "volume.detach",
    "POST",
    f"{GUEST}/volumes/detach",
    DetachVolume,
    no_undo="the guest has been told to let the volume go; attach it again",
)
async def detach(node: Node, caller: Caller, target: Target, wanted: DetachVolume) -> Prepared:
    """Detach a LUN from a guest."""
    owner, project = await guest_of(node, caller, target)
    planned = await scsi_plans.plan_detach(node, target.system, owner, wanted.volume, keep=wanted.keep)
    return Prepared(planned.plan, project, planned.files, seen=(f"volume {wanted.volume}",))
