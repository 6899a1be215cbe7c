"""Guests from nothing: from an image, or as a copy of another guest."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zvmcloud.manager.core import userid
from zvmcloud.manager.disks import DiskRequest
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.guest_plans import GuestRequest
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.operations.declare import GUEST, Prepared, Target, Uses, guest_of, operation
from zvmcloud.manager.operations.guests import NewDisk, must_be_new, project_for
from zvmcloud.manager.operations.nics import Network, attach_request
from zvmcloud.manager.provisioning import Interface, Planned, Provision

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class NewInterface(Network):
    """An adapter and its address inside the guest: ``address`` with its prefix length (192.0.2.10/24), "" for
    DHCP."""

    address: str = ""
    gateway: str = ""
    dns: list[str] = field(default_factory=list)
    mtu: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FromImage:
    """What a guest with an image on its first disk has. Memory in MiB; what is empty or 0 gets the manager's default.

    ``disk_size`` "": what the image needs; ``pool``: of that disk, ECKD:name or FBA:name; ``disks``: further ones.
    ``user_data``: base64, what cloud-init (or Ignition, with the platform id openstack) finds on the config drive.
    """

    vcpus: int = 1
    memory_mb: int = 1024
    disk_size: str = ""
    pool: str = ""
    disks: list[NewDisk] = field(default_factory=list)
    interfaces: list[NewInterface] = field(default_factory=list)
    user_data: str = field(default="", repr=False)
    start: bool = True
    project: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    max_cpus: int = 0
    max_memory_mb: int = 0
    profile: str = ""
    account: str = ""
    comments: list[str] = field(default_factory=list)
    share: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionGuest(FromImage):
    """A guest with an image on its first disk. Memory in MiB; what is empty or 0 gets the manager's default.

    ``disk_size`` "": what the image needs; ``pool``: of that disk, ECKD:name or FBA:name; ``disks``: further ones.
    ``user_data``: base64, what cloud-init (or Ignition, with the platform id openstack) finds on the config drive.
    ``config_drive``: base64, a whole drive (iso9660, tar or tgz) that the guest gets in place of one made of the
    interfaces, ``hostname`` and ``user_data``.
    """

    userid: str
    image: str
    hostname: str = ""
    config_drive: str = field(default="", repr=False)


@operation("guest.provision", "POST", "/systems/{system}/guests/provision", ProvisionGuest)
async def provision(node: Node, caller: Caller, target: Target, wanted: ProvisionGuest) -> Prepared:
    """Define a guest, give it its networks, an image and a config drive, and start it."""
    project = await project_for(node, caller, wanted.project)
    await node.images.seen_by(caller, wanted.image)
    if wanted.config_drive and (wanted.user_data or wanted.hostname):
        raise BadInput("config_drive", "(not shown)", "given without hostname and user_data, which are on the drive")
    user_data = decoded("user_data", wanted.user_data)
    drive = decoded("config_drive", wanted.config_drive)
    guest = GuestRequest(
        userid=wanted.userid,
        vcpus=wanted.vcpus,
        memory_mb=wanted.memory_mb,
        disks=tuple(DiskRequest(disk.size, disk.format, False, disk.vdev, disk.pool) for disk in wanted.disks),
        max_cpus=wanted.max_cpus,
        max_memory_mb=wanted.max_memory_mb,
        profile=wanted.profile,
        account=wanted.account,
        comments=tuple(wanted.comments),
        share=wanted.share,
        tags=wanted.tags,
    )
    interfaces = tuple(
        Interface(attach_request(item), item.address, item.gateway, tuple(item.dns), item.mtu)
        for item in wanted.interfaces
    )
    request = Provision(
        guest,
        wanted.image,
        wanted.disk_size,
        wanted.pool,
        interfaces,
        wanted.hostname,
        user_data,
        wanted.start,
        drive,
    )
    await must_be_new(node, target.system, userid(wanted.userid))
    planned = await node.provisioning.plan_provision(target.system, request)
    return _prepared(planned, project, wanted.interfaces, Uses(1, wanted.vcpus, wanted.memory_mb))


@dataclass(frozen=True, slots=True)
class ConfigDrive:
    """``drive``: base64, an iso9660 volume, a tar archive or a tgz with ``openstack/latest/meta_data.json``."""

    drive: str = field(repr=False)


@operation("guest.config_drive", "POST", f"{GUEST}/config-drive", ConfigDrive, no_undo="what was in the reader is gone")
async def config_drive(node: Node, caller: Caller, target: Target, wanted: ConfigDrive) -> Prepared:
    """Put a config drive into the guest's reader, in place of all files there: it is read at the next boot."""
    owner, project = await guest_of(node, caller, target)
    plan, files = node.provisioning.plan_config_drive(target.system, owner, decoded("drive", wanted.drive))
    return Prepared(plan, project, files)


def decoded(name: str, text: str) -> bytes:
    """The bytes of a base64 member. Raises BadInput, which does not show them: they may hold passwords."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(name, "(not shown)", "base64") from error


@dataclass(frozen=True, slots=True)
class CloneGuest:
    """A new guest with copies of this one's disks. ``to``: userid of the new guest. What is 0 or "" is as
    this guest has it; ``pool``: where all the copies lie. Adapters are not copied: ``networks`` are those of the new
    guest."""

    to: str
    vcpus: int = 0
    memory_mb: int = 0
    pool: str = ""
    networks: list[Network] = field(default_factory=list)
    start: bool = False
    project: str = ""
    account: str = ""
    comments: list[str] = field(default_factory=list)


@operation("guest.clone", "POST", f"{GUEST}/clone", CloneGuest)
async def clone(node: Node, caller: Caller, target: Target, wanted: CloneGuest) -> Prepared:
    """Make a new guest with copies of the disks of this one, which is off."""
    source, _ = await guest_of(node, caller, target)
    project = await project_for(node, caller, wanted.project)
    to = userid(wanted.to, "to")
    await must_be_new(node, target.system, to)
    request = GuestRequest(
        userid=to,
        vcpus=wanted.vcpus,
        memory_mb=wanted.memory_mb,
        account=wanted.account,
        comments=tuple(wanted.comments),
    )
    attach = [attach_request(item) for item in wanted.networks]
    planned = await node.provisioning.plan_clone(
        target.system, source, request, attach, start=wanted.start, pool=wanted.pool
    )
    made = planned.plan.steps[0].parameters
    uses = Uses(1, int(str(made["vcpus"])), int(str(made["memory_mb"])))
    return _prepared(planned, project, wanted.networks, uses, source)


def _prepared(
    planned: Planned, project: str, networks: list[Network] | list[NewInterface], uses: Uses, *more: str
) -> Prepared:
    disk_mb = sum(disk.megabytes for disk in planned.disks)
    named = [item.network.upper() for item in networks if item.network and item.lan_owner == "SYSTEM"]
    switches = dict.fromkeys(f"vswitch {name}" for name in named)
    uses = Uses(uses.guests, uses.vcpus, uses.memory_mb, disk_mb)
    return Prepared(planned.plan, project, planned.files, entries=more, seen=tuple(switches), uses=uses)
