"""Volumes: LUNs of a pool with names of their own, made, copied, wiped, and attached to guests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.inventory.marks import checked
from zvmcloud.manager.jobs.plan import Plan
from zvmcloud.manager.operations.declare import GUEST, Nothing, Prepared, Target, Uses, guest_of, operation
from zvmcloud.manager.operations.guests import project_for
from zvmcloud.manager.storage import attaching, plans
from zvmcloud.manager.storage.plans import known
from zvmcloud.manager.storage.rows import GB

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

VOLUMES = "/systems/{system}/volumes"
VOLUME = f"{VOLUMES}/{{volume}}"


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """A volume of ``size_gb`` on a LUN of a pool, the smallest one that is large enough. ``shared``: several guests may
    have it at once. It is empty, or holds ``image`` (of the repository), or is a copy of the volume ``source``."""

    name: str
    pool: str
    size_gb: int
    shared: bool = False
    image: str = ""
    source: str = ""
    project: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@operation("volume.create", "POST", VOLUMES, CreateVolume, no_undo="delete the volume when it is not wanted")
async def create(node: Node, caller: Caller, target: Target, wanted: CreateVolume) -> Prepared:
    """Make a volume."""
    project = await project_for(node, caller, wanted.project)
    wish = plans.NewVolume(
        wanted.name, wanted.pool, wanted.size_gb, wanted.shared, wanted.image, wanted.source, checked(wanted.tags)
    )
    plan = await plans.plan_create(node, caller, target.system, wish)
    taken = next(step for step in plan.steps if step.name == "reserve")
    seen = [f"volume {wanted.name}", f"lun {taken.parameters['pool']} {taken.parameters['lun']}"]
    seen += [f"volume {wanted.source}"] if wanted.source else []
    return Prepared(plan, project, seen=tuple(seen), uses=Uses(disk_mb=wanted.size_gb * GB))


@operation("volume.delete", "DELETE", VOLUME, Nothing, no_undo="what was on the volume is gone")
async def delete(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Delete a volume that no guest has, wiped as its pool says; its LUN is free then."""
    volume = await known(node, caller, target.system, target.item)
    return _of(volume.project, await plans.plan_delete(node, target.system, volume), volume.name)


@dataclass(frozen=True, slots=True)
class ExtendVolume:
    """``size_gb``: the new size, which is not smaller than the present one nor larger than the LUN."""

    size_gb: int


@operation("volume.extend", "POST", f"{VOLUME}/extend", ExtendVolume)
async def extend(node: Node, caller: Caller, target: Target, wanted: ExtendVolume) -> Prepared:
    """Give a volume more of its LUN."""
    volume = await known(node, caller, target.system, target.item)
    plan = plans.plan_extend(target.system, volume, wanted.size_gb)
    return Prepared(
        plan, volume.project, seen=(f"volume {volume.name}",), uses=Uses(disk_mb=(wanted.size_gb - volume.size_gb) * GB)
    )


@dataclass(frozen=True, slots=True)
class CopyVolume:
    """``source``: the volume whose bytes it gets; no guest that is on has it."""

    source: str


@operation("volume.copy", "POST", f"{VOLUME}/copy", CopyVolume, no_undo="what was on the volume is gone")
async def copy(node: Node, caller: Caller, target: Target, wanted: CopyVolume) -> Prepared:
    """Overwrite a volume that no guest has with the bytes of another."""
    volume = await known(node, caller, target.system, target.item)
    source = await known(node, caller, target.system, wanted.source)
    return _of(volume.project, await plans.plan_copy(node, target.system, volume, source), volume.name, source.name)


@dataclass(frozen=True, slots=True)
class SendVolume:
    """``url``: http or https, where one PUT brings the bytes; ``headers``: that open it, kept as secrets."""

    url: str = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)


@operation("volume.send", "POST", f"{VOLUME}/send", SendVolume, no_undo="the bytes are with whoever received them")
async def send(node: Node, caller: Caller, target: Target, wanted: SendVolume) -> Prepared:
    """Send the bytes of a volume that no running guest has to a URL; the result of the job has their digests."""
    volume = await known(node, caller, target.system, target.item)
    access = plans.Access(wanted.url, wanted.headers)
    plan = await plans.plan_send(node, target.system, volume, access)
    return Prepared(plan, volume.project, access.files, seen=(f"volume {volume.name}",))


@dataclass(frozen=True, slots=True)
class WriteVolume:
    """``url``: http or https, of an image of a disk; ``headers``: that open it, kept as secrets. One of ``sha512``,
    ``sha256`` and ``md5`` (of the file) is needed; ``bytes``: its length, 0 when that is not known. ``disk_format``:
    raw is taken as it is, qcow2 is expanded, empty is what the bytes tell."""

    url: str = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    sha512: str = ""
    sha256: str = ""
    md5: str = ""
    bytes: int = 0
    disk_format: Literal["", "raw", "qcow2"] = ""


@operation("volume.write", "POST", f"{VOLUME}/write", WriteVolume, no_undo="what was on the volume is gone")
async def write(node: Node, caller: Caller, target: Target, wanted: WriteVolume) -> Prepared:
    """Overwrite a volume that no guest has with an image from a URL."""
    volume = await known(node, caller, target.system, target.item)
    access = plans.Access(wanted.url, wanted.headers)
    digests = {"sha512": wanted.sha512, "sha256": wanted.sha256, "md5": wanted.md5}
    plan = plans.plan_write(
        target.system, volume, access, digests=digests, size=wanted.bytes, disk_format=wanted.disk_format
    )
    return Prepared(plan, volume.project, access.files, seen=(f"volume {volume.name}",))


@dataclass(frozen=True, slots=True)
class RenameVolume:
    """``name``: the new one."""

    name: str


@operation("volume.rename", "POST", f"{VOLUME}/rename", RenameVolume)
async def rename(node: Node, caller: Caller, target: Target, wanted: RenameVolume) -> Prepared:
    """Give a volume another name; guests keep it."""
    volume = await known(node, caller, target.system, target.item)
    return _of(volume.project, await plans.plan_rename(node, target.system, volume, wanted.name), volume.name)


@dataclass(frozen=True, slots=True)
class AdoptVolume:
    """``lun``: the name of a free or reserved LUN of ``pool``. ``name``: of the volume; ``size_gb`` 0: that of the
    LUN."""

    name: str
    pool: str
    lun: str
    size_gb: int = 0
    project: str = ""


@operation(
    "volume.adopt",
    "POST",
    f"{VOLUMES}/adopt",
    AdoptVolume,
    Role.OPERATOR,
    no_undo="release the volume when it is not wanted",
)
async def adopt(node: Node, caller: Caller, target: Target, wanted: AdoptVolume) -> Prepared:
    """Make a volume of a LUN with the bytes that it has."""
    project = await project_for(node, caller, wanted.project)
    plan = await plans.plan_adopt(node, target.system, wanted.name, wanted.pool, wanted.lun, size_gb=wanted.size_gb)
    step = plan.steps[0].parameters
    seen = (f"volume {wanted.name}", f"lun {step['pool']} {step['lun']}")
    size = step["size_gb"]
    return Prepared(plan, project, seen=seen, uses=Uses(disk_mb=size * GB if isinstance(size, int) else 0))


@operation(
    "volume.release", "POST", f"{VOLUME}/release", Nothing, Role.OPERATOR, no_undo="adopt the LUN to have it again"
)
async def release(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Forget a volume that no guest has, without wiping it; its LUN is handed out to nobody until it is freed."""
    volume = await known(node, caller, target.system, target.item)
    return _of(volume.project, plans.plan_release(target.system, volume), volume.name)


@dataclass(frozen=True, slots=True)
class AttachVolume:
    """``volume``: its name. ``template``: of FCP devices, "" for the system's default. ``mount_point``: a name for its
    device file in the guest. ``boot``: the guest, which is off, boots from it."""

    volume: str
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
    """Attach a volume to a guest: now if it runs, else at its next start."""
    owner, project = await guest_of(node, caller, target)
    volume = await known(node, caller, target.system, wanted.volume)
    wish = attaching.Wish(wanted.template, wanted.mount_point, wanted.boot)
    planned = await attaching.plan_attach(node, target.system, owner, volume, wish)
    seen = (f"volume {volume.name}",)
    return Prepared(planned.plan, project, planned.files, seen=seen, uses=Uses(fcp_devices=planned.new_devices))


@dataclass(frozen=True, slots=True)
class DetachVolume:
    """``volume``: its name."""

    volume: str


@operation(
    "volume.detach",
    "POST",
    f"{GUEST}/volumes/detach",
    DetachVolume,
    no_undo="the guest has been told to let the volume go; attach it again",
)
async def detach(node: Node, caller: Caller, target: Target, wanted: DetachVolume) -> Prepared:
    """Detach a volume from a guest; it keeps its bytes."""
    owner, project = await guest_of(node, caller, target)
    volume = await known(node, caller, target.system, wanted.volume, Role.READER)
    planned = await attaching.plan_detach(node, target.system, owner, volume)
    return Prepared(planned.plan, project, planned.files, seen=(f"volume {volume.name}",))


def _of(project: str, plan: Plan, *volumes: str) -> Prepared:
    return Prepared(plan, project, seen=tuple(f"volume {name}" for name in volumes))
