"""What a guest has of the machine: processors, storage, the size of its root file system."""

from __future__ import annotations

import asyncio
import string
from collections.abc import Mapping
from urllib.parse import quote

import sqlalchemy as sa

from zvmcloud.manager.core import Core
from zvmcloud.manager.disks import punch_step
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.facts import Document
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step

_GROW = """\
#!/bin/bash
# Let the partition of the root file system fill its disk, and the file system fill the partition.
source=$(findmnt -n -o SOURCE /) || exit 1
if [[ $source == /dev/mapper/* ]]; then
    base=$(lsblk -n -l -s -o NAME,TYPE "$source" | awk '$2 == "mpath" {print "/dev/mapper/" $1; exit}')
else
    base=$source
fi
disk=$(lsblk -n -l -s -p -o NAME,TYPE "$source" | awk '$2 == "disk" || $2 == "mpath" {print $1; exit}')
number=$(lsblk -n -l -s -o NAME,TYPE "$source" | awk '$2 == "part" {print $1; exit}' | grep -o '[0-9]*$')
if [[ -n $disk && -n $number && $disk != /dev/dasd* ]]; then
    sgdisk -e "$disk" 2>/dev/null
    growpart "$disk" "$number" || parted -s "$disk" resizepart "$number" 100%
    partprobe "$disk"
    [[ $base == /dev/mapper/* ]] && kpartx -u "$disk"
fi
case $(findmnt -n -o FSTYPE /) in
    ext2|ext3|ext4) resize2fs "$source" ;;
    xfs) xfs_growfs / ;;
    btrfs) btrfs filesystem resize max / ;;
    *) exit 2 ;;
esac
"""


class Resources:
    """Resizes guests of every system. Each change is one operation of the agent, which undoes itself when it fails."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def resize_cpus(
        self, system: str, name: str, count: int, *, share: str = "", live: bool = False, origin: str = ""
    ) -> JobRecord:
        """Give a guest `count` processors, and with ``live`` at once.

        Raises NotFound (guest-unknown), BadInput, QuotaExceeded (quota), AgentFailure (cpu-limit, guest-inactive,
        guest-unreachable, ...).
        """
        if not 1 <= count <= 64:
            raise BadInput("vcpus", count, "1 to 64")
        async with self._core.exclusive(system, name.upper()):
            return await self._core.runner.run(
                await self.plan_cpus(system, name, count, share=share, live=live), origin
            )

    async def plan_cpus(self, system: str, name: str, count: int, *, share: str, live: bool) -> Plan:
        """Raises NotFound (guest-unknown)."""
        row, before = await self._now(system, name, "vcpus", 1)
        parameters: dict[str, Json] = {"count": count, "share": written_share(share), "live": live}
        back = {**parameters, "count": before, "share": ""}
        return _plan(system, row, ("vcpus", count), f"{count} processor(s)", "guest.resize_cpus", parameters, back)

    async def resize_memory(
        self, system: str, name: str, megabytes: int, *, live: bool = False, origin: str = ""
    ) -> JobRecord:
        """Give a guest so much storage, and with ``live`` at once.

        Raises NotFound (guest-unknown), BadInput, QuotaExceeded (quota), AgentFailure (memory-limit, memory-shrink,
        guest-inactive, ...).
        """
        async with self._core.exclusive(system, name.upper()):
            return await self._core.runner.run(await self.plan_memory(system, name, megabytes, live=live), origin)

    async def plan_memory(self, system: str, name: str, megabytes: int, *, live: bool) -> Plan:
        """Raises NotFound (guest-unknown)."""
        row, before = await self._now(system, name, "memory_mb", 0)
        parameters: dict[str, Json] = {"memory_mb": megabytes, "live": live}
        back: dict[str, Json] = {"memory_mb": before, "live": False}
        size = ("memory_mb", megabytes)
        return _plan(system, row, size, f"{megabytes} MB", "guest.resize_memory", parameters, back)

    async def grow_root_volume(self, system: str, name: str, *, origin: str = "") -> JobRecord:
        """Have the guest grow its root partition and file system to the size of the disk, at its next boot."""
        owner = (await self._core.owned(system, name))["userid"]
        script = _GROW.encode()
        job = new_job()
        await asyncio.to_thread(self._core.materials.store, job, "gpartvol.sh", script)
        step = punch_step(owner, "gpartvol", "sh", "gpartvol.sh", len(script))
        plan = Plan("guest.grow_root", f"Grow the root volume of {owner}", system, (step,), owner)
        return await self._core.runner.run(plan, origin, job)

    async def _now(self, system: str, name: str, member: str, default: int) -> tuple[sa.RowMapping, int]:
        """What is recorded of a guest, and what z/VM says that it has."""
        row = await self._core.owned(system, name)
        facts = Document(await self._core.agent(system).get(f"/v1/guests/{quote(row['userid'], safe='')}"))
        return row, facts.number(member, default=default)


def _plan(
    system: str,
    row: sa.RowMapping,
    size: tuple[str, int],
    what: str,
    kind: str,
    parameters: Mapping[str, Json],
    back: Mapping[str, Json],
) -> Plan:
    """Another ``size`` (column of the guest's row, and its value), with what quotas count: what is more than recorded.
    What an undo makes more again is counted, too, from its beginning."""
    owner, (name, now) = row["userid"], size
    live = " at once" if parameters["live"] else ""
    steps = (
        Step(
            "resize",
            f"give {owner} {what}{live}",
            kind,
            {"userid": owner, **parameters},
            kind,
            {"userid": owner, **back},
        ),
        Step(
            "record",
            f"record the size of {owner}",
            "manager.guest_sized",
            {name: now},
            "manager.guest_sized",
            {name: row[name]},
        ),
    )
    uses = {name: now - row[name]}
    return Plan(kind, f"Resize {owner} to {what}", system, steps, owner, project=row["project"], uses=uses)


def written_share(text: str) -> str:
    """A share such as "abs  10%" in one form: the word, one blank, the number."""
    number = text.lstrip(string.ascii_letters + " ")
    kind = "RELATIVE" if text[:1].upper() == "R" else "ABSOLUTE"
    return f"{kind} {number}" if text else ""
