"""Disks of guests: sizes, virtual device numbers, adding and removing.

3390 (ECKD): one cylinder of 4096-byte records holds 737,280 bytes. 9336 (FBA): 512-byte blocks (reference:
formats.md section 4).
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from zvmcloud.images import doscript
from zvmcloud.images.tracks import MAX_CYLINDERS
from zvmcloud.manager.core import Core, userid, vdev
from zvmcloud.manager.errors import BadInput, Conflict
from zvmcloud.manager.facts import Document
from zvmcloud.manager.inventory.seen import megabytes
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step

CYLINDER = 737_280
BLOCK = 512
_MAX_BLK = 2**31 - 1
_SIZE = re.compile(r"([0-9]{1,12})([GM]?)", re.IGNORECASE)
_POOL = re.compile(r"(ECKD|FBA):([A-Za-z0-9_]+)", re.IGNORECASE)
_MOUNT = re.compile(r"(/[\w.-]+)+")
FORMATS = ("none", "ext2", "ext3", "ext4", "xfs", "swap")


@dataclass(frozen=True, slots=True)
class DiskRequest:
    """A disk as a client asks for it. ``size`` is "3g", "512M", or a count of cylinders or blocks; "" means the
    default. ``member``: of the request, where the client's list of disks is; "" when it asks for one disk only."""

    size: str
    format: str = ""
    boot: bool = False
    vdev: str = ""
    pool: str = ""
    member: str = "disks"

    def named(self, position: int, field: str) -> str:
        """What the client calls a field of the disk at that place of its list, for errors."""
        return f"{self.member}[{position}].{field}" if self.member else field


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk with nothing left open. ``units`` counts cylinders (type ECKD) or 512-byte blocks (FBA)."""

    vdev: str
    units: int
    type: str
    pool: str
    format: str
    boot: bool

    @property
    def megabytes(self) -> int:
        """Its size in MiB, rounded up."""
        return -(-self.units * (CYLINDER if self.type == "ECKD" else BLOCK) // 2**20)

    @property
    def parameters(self) -> dict[str, Json]:
        """This disk in a guest.create or disk.add operation."""
        return {
            "vdev": self.vdev,
            "size_units": self.units,
            "type": self.type,
            "pool": self.pool,
            "format": self.format,
            "boot": self.boot,
        }

    @property
    def bytes(self) -> int:
        return self.units * (CYLINDER if self.type == "ECKD" else BLOCK)


@dataclass(frozen=True, slots=True)
class Mount:
    """A minidisk of a guest, what is on it (one of FORMATS) and where it is mounted: "" for /mnt/ephemeral<vdev>. Swap
    space is switched on instead."""

    vdev: str
    format: str
    folder: str = ""


class Disks:
    """Adds, removes and lists disks of a guest."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def settle(self, requests: Sequence[DiskRequest], first: str, *, boot_first: bool) -> tuple[Disk, ...]:
        """Fill in virtual device numbers from ``first`` on, pools and formats. Raises BadInput naming the entry."""
        disks: list[Disk] = []
        for position, request in enumerate(requests):
            place = sum(other.member == request.member for other in requests[:position])
            number = (
                vdev(request.vdev, request.named(place, "vdev")) if request.vdev else f"{int(first, 16) + position:04X}"
            )
            if any(disk.vdev == number for disk in disks):
                raise BadInput(request.named(place, "vdev"), number, "each virtual device number once")
            pool = request.pool or self._core.settings.defaults.disk_pool
            found = _POOL.fullmatch(pool)
            if not found:
                raise BadInput(request.named(place, "pool"), pool, "ECKD:name or FBA:name")
            kind = found[1].upper()
            boot = request.boot and boot_first and position == 0
            form = request.format or ("none" if boot else "ext4")
            if form not in FORMATS:
                raise BadInput(request.named(place, "format"), form, "one of " + ", ".join(FORMATS))
            disks.append(
                Disk(
                    number,
                    units(request.size, kind, request.named(place, "size")),
                    kind,
                    found[2].upper(),
                    form,
                    boot or request.boot,
                )
            )
        return tuple(disks)

    async def add(
        self, system: str, name: str, requests: Sequence[DiskRequest], *, origin: str = ""
    ) -> tuple[tuple[Disk, ...], JobRecord]:
        """Add disks after the highest virtual device number the guest's minidisks have. Raises NotFound
        (guest-unknown), QuotaExceeded (quota)."""
        owner = (await self._core.owned(system, name))["userid"]
        async with self._core.exclusive(system, owner):
            disks, plan = await self.plan_add(system, owner, requests)
            return disks, await self._core.runner.run(plan, origin)

    async def plan_add(self, system: str, owner: str, requests: Sequence[DiskRequest]) -> tuple[tuple[Disk, ...], Plan]:
        """The disks as they will be, and the plan that adds them. Raises BadInput, Conflict (disk-exists)."""
        used = [disk.text("vdev") for disk in await self.of_guest(system, owner)]
        root = self._core.settings.defaults.root_vdev
        first = f"{max((int(number, 16) for number in used), default=int(root, 16) - 1) + 1:04X}"
        disks = self.settle(requests, first, boot_first=False)
        clash = {number.upper().zfill(4) for number in used} & {disk.vdev for disk in disks}
        if clash:
            raise Conflict(f"guest {owner} already has a disk {min(clash)}", code="disk-exists", subject=min(clash))
        step = Step(
            "add",
            f"add {', '.join(disk.vdev for disk in disks) or 'no disk'} to {owner}",
            "disk.add",
            {"userid": owner, "disks": [disk.parameters for disk in disks]},
            "disk.remove",
            {"userid": owner, "vdevs": [disk.vdev for disk in disks]},
        )
        title, more = f"Add {len(disks)} disk(s) to {owner}", sum(disk.megabytes for disk in disks)
        steps = (step, _recorded(owner, more)) if more else (step,)
        project = (await self._core.owned(system, owner))["project"]
        return disks, Plan("disk.add", title, system, steps, owner, project=project, uses={"disk_mb": more})

    async def remove(self, system: str, name: str, vdevs: Iterable[str], *, origin: str = "") -> JobRecord:
        """Remove minidisks from a guest that is logged off; numbers it does not have are fine.

        Raises NotFound (guest-unknown), Conflict (guest-active).
        """
        row = await self._core.owned(system, name)
        owner, numbers = row["userid"], [vdev(number) for number in vdevs]
        there = [disk for disk in await self.of_guest(system, owner) if disk.text("vdev").upper().zfill(4) in numbers]
        plan = plan_remove(system, owner, numbers, sum(megabytes(disk) for disk in there))
        return await self._core.runner.run(replace(plan, project=row["project"]), origin)

    async def configure(
        self, system: str, name: str, disks: Sequence[tuple[str, str, str]], *, origin: str = ""
    ) -> JobRecord:
        """Have the guest mount disks, at once when it is up, else at its next boot: (vdev, format, mount point) each;
        "" gets 0101 on, /mnt/ephemeral<vdev>.

        Raises NotFound (guest-unknown), BadInput.
        """
        owner = (await self._core.owned(system, name))["userid"]
        first = int(self._core.settings.defaults.root_vdev, 16) + 1
        wanted = [
            Mount(vdev(number or f"{first + position:04X}"), form, folder)
            for position, (number, form, folder) in enumerate(disks)
        ]
        plan, files = plan_configure(system, owner, wanted)
        job = new_job()
        for stored, data in files.items():
            await asyncio.to_thread(self._core.materials.store, job, stored, data)
        return await self._core.runner.run(plan, origin, job)

    async def of_guest(self, system: str, name: str) -> tuple[Document, ...]:
        """The minidisks of a guest as z/VM has them: vdev, size, units, device type, volume."""
        answer = Document(await self._core.agent(system).get(f"/v1/guests/{quote(userid(name), safe='')}"))
        return answer.documents("disks")


def plan_configure(system: str, owner: str, mounts: Sequence[Mount]) -> tuple[Plan, Mapping[str, bytes]]:
    """Have the guest mount disks, now and at each boot: the plan and its files. Raises BadInput for a folder."""
    commands: list[str] = []
    for position, mount in enumerate(mounts):
        target = mount.folder or f"/mnt/ephemeral{mount.vdev.lower()}"
        if not _MOUNT.fullmatch(target):
            limit = "an absolute path of letters, digits, '_', '-', '.'"
            raise BadInput(f"mounts[{position}].folder", mount.folder, limit)
        commands += _mount_commands(mount.vdev.lower(), mount.format, target)
    data = doscript.write({}, tuple(commands))
    steps = (punch_step(owner, "aemod", "doscript", "aemod.doscript", len(data)), configure_step(owner, "disks"))
    title = f"Configure {len(mounts)} disk(s) inside {owner}"
    return Plan("disk.configure", title, system, steps, owner), {"aemod.doscript": data}


def plan_remove(system: str, owner: str, numbers: Sequence[str], size: int) -> Plan:
    """Remove minidisks of so many MiB together; what was on them is lost."""
    title = f"remove {', '.join(numbers)} from {owner}"
    step = Step("remove", title, "disk.remove", {"userid": owner, "vdevs": list(numbers)})
    steps = (step, _recorded(owner, -size)) if size else (step,)
    return Plan("disk.remove", f"Remove disks of {owner}", system, steps, owner)


def _recorded(owner: str, more: int) -> Step:
    """What quotas count of the guest's disks changes by so many MiB."""
    title = f"record {abs(more)} MB {'more' if more > 0 else 'less'} of {owner}"
    now, back = {"more_disk_mb": more}, {"more_disk_mb": -more}
    return Step("record", title, "manager.guest_sized", now, "manager.guest_sized", back)


def disk_kind(disk: Document) -> str:
    """ECKD or FBA, from a disk's type or device type; "" when the facts do not say."""
    kind = disk.text("type", "device_type").upper()
    if kind in {"ECKD", "3390"} or kind.startswith("3390"):
        return "ECKD"
    if kind in {"FBA", "9336"} or kind.startswith("FB"):
        return "FBA"
    return ""


def configure_step(owner: str, scripts: str, *, or_at_boot: bool = False) -> Step:
    """Have a guest that is up read the files of its reader now; one that is not reads them at its next boot.
    ``scripts`` (volume, disks, network) says in errors what they were for. ``or_at_boot``: a guest that cannot be asked
    reads them then, too; what was done before is not undone for it."""
    parameters: dict[str, Json] = {"userid": owner, "scripts": scripts, **({"or_at_boot": True} if or_at_boot else {})}
    return Step("configure", f"have {owner} run it, if it is up", "guest.configure", parameters)


def punch_step(owner: str, name: str, kind: str, stored: str, size: int) -> Step:
    """Put one stored file of the job into the guest's reader, class X, where its first-boot service looks. Undone by
    taking it out again, unless the guest has read it."""
    file = {"name": name.upper()[:8], "type": kind.upper()[:8], "class": "X", "stored": stored, "bytes": size}
    return Step(
        f"punch-{name.lower()}",
        f"punch {name}.{kind} into the reader of {owner}",
        "reader.punch",
        {"userid": owner, "files": [file]},
        "reader.withdraw",
        {"userid": owner, "name": file["name"], "type": file["type"]},
    )


def _mount_commands(device: str, form: str, target: str) -> list[str]:
    """What a Linux on z does to use a minidisk's first partition now and after each boot; swap is switched on instead
    of mounted. chzdev keeps the device online at the next boot; a system without it gets the device until its
    next boot. The source is s390-tools' manual pages; that a boot goes on without the disk (nofail) is judgement.
    """
    path = f"/dev/disk/by-path/ccw-0.0.{device}-part1"
    lines = [f"chzdev -e dasd 0.0.{device} || chccwdev -e 0.0.{device}", "udevadm settle"]
    # What an image that was captured with such a disk says of that number.
    lines.append(f"sed -i '/ccw-0.0.{device}-part1 /d' /etc/fstab")
    if form == "swap":
        return [*lines, f"echo '{path} swap swap defaults,nofail 0 0' >> /etc/fstab", f"swapon {path}"]
    kind = "auto" if form == "none" else form
    return [
        *lines,
        f"mkdir -p {target}",
        f"echo '{path} {target} {kind} defaults,nofail 0 0' >> /etc/fstab",
        f"mount {target}",
    ]


def units(size: str, kind: str, field: str = "size") -> int:
    """Cylinders (``kind`` ECKD) or 512-byte blocks (FBA) for "3g", "512M" or a plain count. Raises BadInput."""
    found = _SIZE.fullmatch(size.strip())
    limit = MAX_CYLINDERS if kind == "ECKD" else _MAX_BLK
    name = "cylinders" if kind == "ECKD" else "blocks"
    if not found or int(found[1]) == 0:
        raise BadInput(field, size, f"a count of {name}, or a number followed by G or M")
    number = int(found[1])
    if found[2]:
        wanted = number * (2**30 if found[2].upper() == "G" else 2**20)
        number = math.ceil(wanted / (CYLINDER if kind == "ECKD" else BLOCK))
    if number > limit:
        raise BadInput(field, size, f"at most {limit} {name}")
    return number


def human(disk: Disk) -> str:
    """The size as the connector writes it: "3.8G", or "512.0M" below one gigabyte."""
    if disk.bytes >= 2**30:
        return f"{disk.bytes / 2**30:.1f}G"
    return f"{disk.bytes / 2**20:.1f}M"


def disk_request(source: Mapping[str, Json], boot: bool) -> DiskRequest:
    """A request from the JSON object that the connector takes."""
    return DiskRequest(
        size=str(source.get("size") or ""),
        format=str(source.get("format") or ""),
        boot=boot,
        vdev=str(source.get("vdev") or ""),
        pool=str(source.get("disk_pool") or ""),
    )
