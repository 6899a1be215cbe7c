"""Guests: define and delete."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zvmcloud.manager.disks import DiskRequest
from zvmcloud.manager.errors import Conflict, NotFound
from zvmcloud.manager.guest_plans import GuestRequest, plan_delete
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.operations.declare import GUEST, Nothing, Prepared, Target, Uses, guest_of, operation

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


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
    tags: dict[str, str] = field(default_factory=dict)


async def must_be_new(node: Node, system: str, userid: str) -> None:
    """Raises Conflict (guest-exists)."""
    try:
        await node.guests.facts(system, userid)
    except NotFound:
        return
    raise Conflict(
        f"the directory of {system} has an entry {userid} already",
        code="guest-exists",
        remedy="choose another userid, or adopt the guest that exists",
        subject=userid,
    )


async def project_for(node: Node, caller: Caller, wanted: str) -> str:
    """The project of a new thing: the one that is named, else the caller's. Raises NotFound (project-unknown),
    NotAllowed (role)."""
    project = wanted or caller.project
    await node.accounts.project(project)
    caller.enters(project, Role.MEMBER, f"project {project}")
    return project


@operation("guest.create", "POST", "/systems/{system}/guests", NewGuest)
async def create(node: Node, caller: Caller, target: Target, wanted: NewGuest) -> Prepared:
    """Define a guest with its disks."""
    project = await project_for(node, caller, wanted.project)
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
        tags=wanted.tags,
    )
    _, plan = node.guests.plan_create(target.system, request)
    await must_be_new(node, target.system, plan.userid)
    return Prepared(plan, project, uses=Uses(**plan.uses))


@operation("guest.delete", "DELETE", GUEST, Nothing, no_undo="what was on its disks is gone")
async def delete(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Log a guest off, and delete its directory entry and its disks."""
    owner, project = await guest_of(node, caller, target)
    return Prepared(plan_delete(target.system, owner), project)
