"""What a guest has of the machine: processors, storage, the size of its root file system."""

from __future__ import annotations

import asyncio
import string
from collections.abc import Mapping

from zvmcloud.manager.core import Core
from zvmcloud.manager.disks import punch_step
from zvmcloud.manager.errors import BadInput
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

        Raises NotFound (guest-unknown), BadInput, AgentFailure (cpu-limit, guest-inactive, guest-unreachable, ...).
        """
        if not 1 <= count <= 64:
            raise BadInput("cpu_cnt", count, "1 to 64")
        parameters: dict[str, Json] = {"count": count, "share": written_share(share), "live": live}
        return await self._run(system, name, "guest.resize_cpus", f"{count} processor(s)", parameters, origin)

    async def resize_memory(
        self, system: str, name: str, megabytes: int, *, live: bool = False, origin: str = ""
    ) -> JobRecord:
        """Give a guest so much storage, and with ``live`` at once.

        Raises NotFound (guest-unknown), BadInput, AgentFailure (memory-limit, memory-shrink, guest-inactive, ...).
        """
        parameters: dict[str, Json] = {"memory_mb": megabytes, "live": live}
        return await self._run(system, name, "guest.resize_memory", f"{megabytes} MB", parameters, origin)

    async def grow_root_volume(self, system: str, name: str, *, origin: str = "") -> JobRecord:
        """Have the guest grow its root partition and file system to the size of the disk, at its next boot."""
        owner = (await self._core.owned(system, name))["userid"]
        script = _GROW.encode()
        job = new_job()
        await asyncio.to_thread(self._core.materials.store, job, "gpartvol.sh", script)
        step = punch_step(owner, "gpartvol", "sh", "gpartvol.sh", len(script))
        plan = Plan("guest.grow_root", f"Grow the root volume of {owner}", system, (step,), owner)
        return await self._core.runner.run(plan, origin, job)

    async def _run(
        self, system: str, name: str, kind: str, what: str, parameters: dict[str, Json], origin: str
    ) -> JobRecord:
        owner = (await self._core.owned(system, name))["userid"]
        async with self._core.exclusive(system, owner):
            return await self._core.runner.run(plan_resize(system, owner, kind, what, parameters), origin)


def plan_resize(system: str, owner: str, kind: str, what: str, parameters: Mapping[str, Json]) -> Plan:
    """Processors (guest.resize_cpus) or storage (guest.resize_memory) of a guest."""
    live = " at once" if parameters["live"] else ""
    step = Step("resize", f"give {owner} {what}{live}", kind, {"userid": owner, **parameters})
    return Plan(kind, f"Resize {owner} to {what}", system, (step,), owner)


def written_share(text: str) -> str:
    """A share such as "abs  10%" in one form: the word, one blank, the number."""
    number = text.lstrip(string.ascii_letters + " ")
    kind = "RELATIVE" if text[:1].upper() == "R" else "ABSOLUTE"
    return f"{kind} {number}" if text else ""
