"""Guests from nothing: from an image, or as a copy of another guest. All of it is made, or nothing.

provision   define, adapters, image, config drive, start
clone       define as the source is, a copy of each disk (FLASHCOPY where CP does it), adapters, start
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from zvmcloud.manager.core import Core
from zvmcloud.manager.deploys import deployed_step, write_step
from zvmcloud.manager.disks import BLOCK, CYLINDER, Disk, DiskRequest, disk_kind, units
from zvmcloud.manager.errors import BadInput, Conflict
from zvmcloud.manager.facts import Document
from zvmcloud.manager.guest_plans import GuestRequest, plan_power, powered
from zvmcloud.manager.guests import Guests
from zvmcloud.manager.images import Image, Images
from zvmcloud.manager.jobs.plan import NOTHING, Json, Plan, Step
from zvmcloud.manager.network_plans import AttachRequest, attach_steps

_NIC_STRIDE = 3
_DRIVE = "guest.config_drive"
_USER_DATA = "user_data"
_WHOLE = "config-drive"
_MAX_USER_DATA = 16 * 2**20
_MAX_DRIVE = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Interface:
    """An adapter and its address inside the guest: ``address`` with its prefix length, "" for DHCP."""

    attach: AttachRequest
    address: str = ""
    gateway: str = ""
    dns: tuple[str, ...] = ()
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class Provision:
    """A guest with an image on its first disk. ``disk_size`` "" is what the image needs; ``pool``: its disk pool, ""
    for the default one. ``user_data``: what cloud-init or Ignition finds on the config drive; ``drive``: that whole
    drive, given instead."""

    guest: GuestRequest
    image: str
    disk_size: str = ""
    pool: str = ""
    interfaces: tuple[Interface, ...] = ()
    hostname: str = ""
    user_data: bytes = b""
    start: bool = True
    drive: bytes = b""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, its files, and the disks that it makes."""

    plan: Plan
    disks: tuple[Disk, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)


class Provisioning:
    """Plans new guests."""

    def __init__(self, core: Core, guests: Guests, images: Images) -> None:
        self._core = core
        self._guests = guests
        self._images = images

    async def plan_provision(self, system: str, wanted: Provision) -> Planned:
        """Raises BadInput, NotFound (image-unknown), Conflict (disk-type, disk-too-small)."""
        image = await self._images.get(wanted.image)
        pool = wanted.pool or self._core.settings.defaults.disk_pool
        root = DiskRequest(_root_size(image, pool, wanted.disk_size), "none", True, "", pool, member="")
        disks, defined = self._guests.plan_create(
            system, replace(wanted.guest, disks=(root, *wanted.guest.disks))
        )  # fmt: skip
        owner = defined.userid
        interfaces = self._numbered(wanted.interfaces)
        steps = [*defined.steps, *attach_steps(owner, [item.attach for item in interfaces], active=False)]
        steps.append(write_step(owner, disks[0].vdev, image))
        files: dict[str, bytes] = {}
        if wanted.drive:
            drive_step, files = _whole_drive(owner, wanted.drive)
            steps.append(drive_step)
        elif wanted.hostname or interfaces or wanted.user_data:
            if len(wanted.user_data) > _MAX_USER_DATA:
                raise BadInput("user_data", f"{len(wanted.user_data)} bytes", f"at most {_MAX_USER_DATA} bytes")
            drive: dict[str, Json] = {
                "userid": owner,
                "hostname": wanted.hostname or owner.lower(),
                "networks": [_described(item) for item in interfaces],
            }
            if wanted.user_data:
                files[_USER_DATA] = wanted.user_data
                drive["stored"] = _USER_DATA
            steps.append(Step("config-drive", f"put a config drive into the reader of {owner}", _DRIVE, drive, NOTHING))
        steps.append(deployed_step(owner, image))
        plan = Plan(
            "guest.provision",
            f"Provision guest {owner} with {image.name}",
            system,
            _with_start(system, owner, steps, start=wanted.start),
            owner,
            image_sha256=image.sha256,
        )
        return Planned(plan, disks, files)

    def plan_config_drive(self, system: str, owner: str, drive: bytes) -> tuple[Plan, Mapping[str, bytes]]:
        """A config drive in place of what the reader has, and the plan's files. Raises BadInput."""
        step, files = _whole_drive(owner, drive)
        purge = Step("purge", f"purge the reader of {owner}", "reader.purge", {"userid": owner, "spoolids": []})
        return Plan("guest.config_drive", step.title[0].upper() + step.title[1:], system, (purge, step), owner), files

    async def disk_bytes(self, name: str, pool: str, size: str) -> int:
        """How much of its pool the first disk takes. Raises what :meth:`plan_provision` raises about the disk."""
        image = await self._images.get(name)
        kind = pool.partition(":")[0].upper()
        return int(_root_size(image, pool, size)) * (CYLINDER if kind == "ECKD" else BLOCK)

    async def plan_clone(
        self,
        system: str,
        source: str,
        request: GuestRequest,
        attach: Sequence[AttachRequest],
        *,
        start: bool,
        pool: str,
    ) -> Planned:
        """``request`` names the new guest; what it leaves out (0, "") is as the source has it.

        Raises BadInput, NotFound (guest-unknown), Conflict (guest-active, no-disks).
        """
        facts = await self._guests.facts(system, source)
        if powered(facts):
            raise Conflict(
                f"guest {source} is on: its disks are copied while it is off",
                code="guest-active",
                remedy="stop it first",
                subject=source,
            )
        copies = tuple(_as_copied(disk, pool) for disk in facts.documents("disks") if disk.number("size"))
        if not copies:
            raise Conflict(f"guest {source} has no minidisk to copy", code="no-disks", subject=source)
        words = [line.split() for line in facts.texts("entry")]
        request = replace(
            request,
            vcpus=request.vcpus or facts.number("vcpus", default=1),
            memory_mb=request.memory_mb or facts.number("memory_mb"),
            max_cpus=request.max_cpus or facts.number("max_cpus"),
            max_memory_mb=request.max_memory_mb or facts.number("max_memory_mb"),
            profile=request.profile or next((item[1] for item in words if item[:1] == ["INCLUDE"]), ""),
            ipl=request.ipl or facts.text("ipl"),
            disks=copies,
        )
        disks, defined = self._guests.plan_create(system, request)
        owner = defined.userid
        row = await self._core.owned(system, source)
        interfaces = self._numbered([Interface(item) for item in attach])
        steps = [*defined.steps, *attach_steps(owner, [item.attach for item in interfaces], active=False)]
        for disk in disks:
            parameters: dict[str, Json] = {
                "userid": owner, "vdev": disk.vdev, "source_userid": source, "source_vdev": disk.vdev,
            }  # fmt: skip
            undo: dict[str, Json] = {"userid": owner, "vdev": disk.vdev}
            title = f"copy disk {disk.vdev} of {source} to {owner}"
            steps.append(Step(f"clone-{disk.vdev}", title, "disk.clone", parameters, "disk.erase", undo))
        version: dict[str, Json] = {"os_version": row["os_version"] or "", "sha256": row["image_sha256"], "image": ""}
        steps.append(
            Step("deployed", f"record that {owner} is as {source}", "manager.guest_deployed", version, NOTHING)
        )
        title = f"Clone guest {source} as {owner}"
        plan = Plan("guest.clone", title, system, _with_start(system, owner, steps, start=start), owner)
        return Planned(plan, disks)

    def _numbered(self, interfaces: Sequence[Interface]) -> tuple[Interface, ...]:
        """A virtual device number for each adapter of a new guest; an adapter takes three."""
        base = int(self._core.settings.defaults.nic_vdev, 16)
        return tuple(
            item
            if item.attach.vdev
            else replace(item, attach=replace(item.attach, vdev=f"{base + _NIC_STRIDE * position:04X}"))
            for position, item in enumerate(interfaces)
        )


def _whole_drive(owner: str, drive: bytes) -> tuple[Step, dict[str, bytes]]:
    if not 0 < len(drive) <= _MAX_DRIVE:
        raise BadInput("drive", f"{len(drive)} bytes", f"1 to {_MAX_DRIVE} bytes")
    parameters: dict[str, Json] = {"userid": owner, "stored_drive": _WHOLE}
    step = Step("config-drive", f"put a config drive into the reader of {owner}", _DRIVE, parameters, NOTHING)
    return step, {_WHOLE: drive}


def _with_start(system: str, owner: str, steps: Sequence[Step], *, start: bool) -> tuple[Step, ...]:
    if not start:
        return tuple(steps)
    (step,) = plan_power(system, owner, "start", {}).steps
    return (*steps, replace(step, undo_kind="guest.stop", undo_parameters={"userid": owner}))


def _root_size(image: Image, pool: str, asked: str) -> str:
    """The size of the first disk, in cylinders or blocks. Raises BadInput, Conflict (disk-type, disk-too-small)."""
    kind = pool.partition(":")[0].upper()
    needed = image.needs(kind)
    if not needed:
        raise Conflict(
            f"image {image.name} does not go onto {kind} disks",
            code="disk-type",
            remedy=f"name a pool of {image.disk_type} disks",
            subject=image.name,
        )
    if not asked:
        return str(needed)
    given = units(asked, kind, "disk_size")
    if given < needed:
        raise Conflict(
            f"image {image.name} needs {needed} {'cylinders' if kind == 'ECKD' else 'blocks'}, disk_size is {given}",
            code="disk-too-small",
            remedy="ask for a larger disk, or leave disk_size out",
            subject=image.name,
        )
    return str(given)


def _described(item: Interface) -> Json:
    """An interface on the config drive."""
    return {
        "address": item.address,
        "gateway": item.gateway,
        "mac": item.attach.mac,
        "mtu": item.mtu,
        "dns": list(item.dns),
    }


def _as_copied(disk: Document, pool: str) -> DiskRequest:
    kind = disk_kind(disk)
    if pool and pool.partition(":")[0].upper() != kind:
        raise BadInput("pool", pool, f"a pool of {kind} disks, as disk {disk.text('vdev')} of the source is")
    return DiskRequest(str(disk.number("size")), "none", False, disk.text("vdev"), pool)
