"""ccw devices on- and offline through /sys/bus/ccw, as cio_ignore and chccwdev do it.

A device that CP has just attached may be on the kernel's ignore list; it is freed, and the kernel is told to look.
ECKD disks come online with raw track access: 65,536 bytes for a track, as the image room reads and writes them; the
attribute can be changed only while the device is offline. Source: the kernel's s390 documentation (cio, dasd), and
reference/connector/flows.md section 8 (order of steps, and the pauses that udev needs).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.linux.kernel import Kernel

_DEVICES = "/sys/bus/ccw/devices"
_ONLINE = 30.0


def busid(vdev: str) -> str:
    """The bus id of a device number: "0.0.f000"."""
    return f"0.0.{vdev.lower().zfill(4)}"


class Ccw:
    """The ccw bus of one kernel."""

    def __init__(self, kernel: Kernel, *, patience: float = _ONLINE) -> None:
        """`patience`: seconds to wait for a device and for its block device."""
        self._kernel = kernel
        self._patience = patience

    async def found(self, vdev: str) -> str:
        """The sysfs folder of a device, off the ignore list. AgentError 502 `device-missing`."""
        folder = f"{_DEVICES}/{busid(vdev)}"
        if await self._kernel.exists("/proc/cio_ignore"):
            await self._kernel.write("/proc/cio_ignore", f"free {busid(vdev)}")
        if await self._kernel.exists("/proc/cio_settle"):
            await self._kernel.write("/proc/cio_settle", "1")
        await self._kernel.until(lambda: self._kernel.exists(folder), f"ccw device {busid(vdev)}", self._patience)
        return folder

    async def is_online(self, vdev: str) -> bool:
        """Whether it is there and online."""
        name = f"{_DEVICES}/{busid(vdev)}/online"
        return await self._kernel.exists(name) and await self._kernel.read(name) == "1"

    async def set_online(self, vdev: str) -> str:
        """Bring a device online; its sysfs folder. AgentError 502 `device-missing`, `linux-refused`."""
        folder = await self.found(vdev)
        await self._switch_on(folder, vdev)
        return folder

    async def _switch_on(self, folder: str, vdev: str) -> None:
        if await self._kernel.read(f"{folder}/online") != "1":
            await self._kernel.write(f"{folder}/online", "1")
            await self._kernel.until(lambda: self.is_online(vdev), f"{busid(vdev)} online", self._patience)

    async def set_offline(self, vdev: str) -> None:
        """Take a device offline; one that is not there or not online is fine. AgentError 502 `linux-refused`."""
        if await self.is_online(vdev):
            await self._kernel.write(f"{_DEVICES}/{busid(vdev)}/online", "0")

    async def is_eckd(self, vdev: str) -> bool:
        """Whether a disk counts in cylinders. AgentError 502 `device-unknown` for what is no disk."""
        devtype = await self._kernel.read(f"{_DEVICES}/{busid(vdev)}/devtype")
        if devtype.startswith(("3390", "3380")):
            return True
        if devtype.startswith(("9336", "3370")):
            return False
        raise AgentError(502, "device-unknown", f"{busid(vdev)} is a {devtype}, not a disk")

    async def disk(self, vdev: str, *, raw: bool) -> Path:
        """The block device of a linked disk, brought online. `raw`: in raw-track mode when it is an ECKD disk."""
        folder = await self.found(vdev)
        if await self.is_eckd(vdev):
            wanted = "1" if raw else "0"
            if await self._kernel.read(f"{folder}/raw_track_access") != wanted:
                await self.set_offline(vdev)
                await self._kernel.write(f"{folder}/raw_track_access", wanted)
        await self._switch_on(folder, vdev)
        name = ""

        async def there() -> bool:
            nonlocal name
            blocks = await self._kernel.names(f"{folder}/block")
            name = blocks[0] if blocks else ""
            return bool(name) and await self._kernel.exists(f"/dev/{name}")

        try:
            await self._kernel.until(there, f"the block device of {busid(vdev)}", self._patience)
        except AgentError:
            with contextlib.suppress(AgentError):
                await self.set_offline(vdev)
            raise
        return self._kernel.path(f"/dev/{name}")

    async def format_tracks(self, vdev: str) -> None:
        """Give every track of an ECKD disk twelve blocks of 4096 bytes (dasdfmt); minutes for a large disk.

        AgentError 502 `tool-failed`. An FBA disk needs none.
        """
        await self.found(vdev)
        if not await self.is_eckd(vdev):
            return
        block = await self.disk(vdev, raw=False)
        await self._kernel.must(["dasdfmt", "-y", "-b", "4096", "-d", "cdl", str(block)], seconds=7200)
