"""Guests: define, delete, power, deploy, relocate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from zvmcloud.manager.deploys import DeployRequest
from zvmcloud.manager.disks import DiskRequest
from zvmcloud.manager.errors import Conflict, NotFound
from zvmcloud.manager.guests import GuestRequest, Relocation, plan_delete, plan_power, plan_relocate
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.operations.declare import Nothing, Prepared, Target, Uses, guest_of, operation

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

GUEST = "/guests/{system}/{userid}"


@dataclass(frozen=True, slots=True)
class NewDisk:
    """A disk to make. ``size``: "10G", "512M", or cylinders or 512-byte blocks; ``pool``: ECKD:name or FBA:name."""

    size: str
    format: str = ""
    boot: bool = False
    vdev: str = ""
    pool: str = ""


@dataclass(frozen=True, slots=True)
class NewGuest:
    """A guest to define. Memory in MiB; what is empty or 0 gets the manager's default."""

    userid: str
    vcpus: int = 1
    memory_mb: int = 1024
    disks: list[NewDisk] = field(default_factory=list)
    max_cpus: int = 0
    max_memory_mb: int = 0
    project: str = ""
    profile: str = ""
    ipl: str = ""
    ipl_parm: str = ""
    loadparm: str = ""
    account: str = ""
    comments: list[str] = field(default_factory=list)
    share: str = ""
    cpu_pool: str = ""
    relocation_domain: str = ""


@operation("guest.create", "POST", "/systems/{system}/guests", NewGuest)
async def create(node: Node, caller: Caller, target: Target, wanted: NewGuest) -> Prepared:
    """Define a guest with its disks."""
    project = wanted.project or caller.project
    await node.accounts.project(project)
    caller.enters(project, Role.MEMBER, f"project {project}")
    request = GuestRequest(
        userid=wanted.userid,
        vcpus=wanted.vcpus,
        memory_mb=wanted.memory_mb,
        disks=tuple(DiskRequest(disk.size, disk.format, disk.boot, disk.vdev, disk.pool) for disk in wanted.disks),
        max_cpus=wanted.max_cpus,
        max_memory_mb=wanted.max_memory_mb,
        profile=wanted.profile,
        ipl=wanted.ipl,
        ipl_parm=wanted.ipl_parm,
        loadparm=wanted.loadparm,
        account=wanted.account,
        comments=tuple(wanted.comments),
        share=wanted.share,
        cpu_pool=wanted.cpu_pool,
        relocation_domain=wanted.relocation_domain,
    )
    disks, plan = node.guests.plan_create(target.system, request)
    try:
        await node.guests.facts(target.system, plan.userid)
    except NotFound:
        pass
    else:
        raise Conflict(
            f"the directory of {target.system} has an entry {plan.userid} already",
            code="guest-exists",
            remedy="choose another userid, or adopt the guest that exists",
            subject=plan.userid,
        )
    megabytes = sum(disk.megabytes for disk in disks)
    return Prepared(plan, project, uses=Uses(1, wanted.vcpus, wanted.memory_mb, megabytes))


@operation("guest.delete", "DELETE", GUEST, Nothing)
async def delete(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Log a guest off, and delete its directory entry and its disks."""
    owner, project = await guest_of(node, caller, target)
    return Prepared(plan_delete(target.system, owner), project)


@dataclass(frozen=True, slots=True)
class Shutdown:
    """``timeout``: seconds that the guest gets to shut down before it is logged off (1 to 3600)."""

    timeout: int = 120


async def _power(
    node: Node, caller: Caller, target: Target, verb: str, parameters: Mapping[str, Json] | None = None
) -> Prepared:
    owner, project = await guest_of(node, caller, target)
    return Prepared(plan_power(target.system, owner, verb, parameters or {}), project)


@operation("guest.start", "POST", f"{GUEST}/start", Nothing)
async def start(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Log a guest on, so that it boots as its directory entry says."""
    return await _power(node, caller, target, "start")


@operation("guest.stop", "POST", f"{GUEST}/stop", Nothing)
async def stop(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Log a guest off at once, as if its power were cut."""
    return await _power(node, caller, target, "stop")


@operation("guest.shutdown", "POST", f"{GUEST}/shutdown", Shutdown)
async def shutdown(node: Node, caller: Caller, target: Target, wanted: Shutdown) -> Prepared:
    """Let the guest's system shut down, then log the guest off."""
    return await _power(node, caller, target, "shutdown", {"timeout": wanted.timeout, "poll": 2})


@operation("guest.reboot", "POST", f"{GUEST}/reboot", Nothing)
async def reboot(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Restart the guest's system from inside."""
    return await _power(node, caller, target, "reboot")


@operation("guest.reset", "POST", f"{GUEST}/reset", Nothing)
async def reset(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Log a guest off without a shutdown and boot it again."""
    return await _power(node, caller, target, "reset")


@operation("guest.pause", "POST", f"{GUEST}/pause", Nothing)
async def pause(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Stop a guest's processors; its storage stays as it is."""
    return await _power(node, caller, target, "pause")


@operation("guest.unpause", "POST", f"{GUEST}/unpause", Nothing)
async def unpause(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Let a paused guest's processors go on."""
    return await _power(node, caller, target, "unpause")


@dataclass(frozen=True, slots=True)
class Deploy:
    """An image to write to a disk of a guest that is off. ``vdev`` "" is the boot disk; ``hostname`` is set at the
    first boot."""

    image: str
    vdev: str = ""
    hostname: str = ""


@operation("guest.deploy", "POST", f"{GUEST}/deploy", Deploy)
async def deploy(node: Node, caller: Caller, target: Target, wanted: Deploy) -> Prepared:
    """Write an image to a disk of the guest."""
    owner, project = await guest_of(node, caller, target)
    await node.images.seen_by(caller, wanted.image)
    request = DeployRequest(owner, wanted.image, vdev=wanted.vdev, hostname=wanted.hostname)
    plan, files = await node.deploys.plan_deploy(target.system, request)
    return Prepared(plan, project, files)


@dataclass(frozen=True, slots=True)
class Relocate:
    """A member of the SSI cluster to move a running guest to. Limits in seconds, 0 for z/VM's own."""

    destination: str
    test: bool = False
    force: list[Literal["ARCHITECTURE", "DOMAIN", "STORAGE"]] = field(default_factory=list)
    immediate: bool = False
    max_total: int = 0
    max_quiesce: int = 0


@operation("guest.relocate", "POST", f"{GUEST}/relocate", Relocate)
async def relocate(node: Node, caller: Caller, target: Target, wanted: Relocate) -> Prepared:
    """Move a running guest to another member of the SSI cluster, or test whether it could go."""
    owner, project = await guest_of(node, caller, target)
    if not await node.guests.is_on(target.system, owner):
        raise Conflict(f"guest {owner} is not on", code="guest-inactive", remedy="start it first", subject=owner)
    request = Relocation(
        owner,
        wanted.destination,
        test=wanted.test,
        force=tuple(wanted.force),
        immediate=wanted.immediate or None,
        max_total=wanted.max_total,
        max_quiesce=wanted.max_quiesce,
    )
    return Prepared(plan_relocate(target.system, owner, request), project)
