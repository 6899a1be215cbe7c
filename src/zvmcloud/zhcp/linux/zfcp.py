"""SCSI volumes behind FCP devices, through the zfcp driver's part of sysfs.

    /sys/bus/ccw/drivers/zfcp/0.0.1a00/                 an FCP device that is online
        port_rescan                                     look for target ports again
        0x5005076306138411/                             a target port
            unit_add, unit_remove                       take a LUN, written as 0x and 16 digits
            0x4010400400000000/                         a LUN in use
    /sys/bus/scsi/devices/0:0:1:1074151456/             hba_id, wwpn, fcp_lun; block/sda
    /sys/block/sda/holders/dm-0                         the multipath device over several paths

An NPIV device with automatic LUN scanning has the LUNs without `unit_add`; a LUN that is there already is used as it
is, and is not removed. Source: the kernel's zfcp documentation ("Device Drivers, Features, and Commands", zfcp), and
reference/connector/flows.md section 7 for the order.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from zvmcloud.zhcp.errors import AgentError, lun_unreachable
from zvmcloud.zhcp.linux.ccw import Ccw, busid
from zvmcloud.zhcp.linux.kernel import Kernel
from zvmcloud.zhcp.seams import FcpPaths

_DRIVER = "/sys/bus/ccw/drivers/zfcp"
_SCSI = "/sys/bus/scsi/devices"


def _hex(value: str) -> str:
    return "0x" + value.lower().removeprefix("0x").zfill(16)


class Zfcp:
    """The zfcp driver of one kernel."""

    def __init__(self, kernel: Kernel, ccw: Ccw, *, patience: float = 30.0) -> None:
        """`patience`: seconds to wait for a port and for the SCSI disk."""
        self._kernel, self._ccw, self._patience = kernel, ccw, patience

    @asynccontextmanager
    async def volume(self, devices: Sequence[str], wwpns: Sequence[str], lun: str) -> AsyncIterator[Path]:
        """A LUN for the time of the block: its block device, the multipath one when it has several paths.

        Paths that do not come up are passed over. AgentError 409 `lun-unreachable` when none does; what was made is
        taken away again, and FCP devices that were offline are offline again.
        """
        async with AsyncExitStack() as made:
            disks: list[str] = []
            why = "there is no target port"
            for device in devices:
                await self.online(made, device)
                for wwpn in wwpns:
                    try:
                        disks.append(await self._path(made, device, wwpn, lun))
                    except AgentError as problem:
                        why = str(problem)
            if not disks:
                raise lun_unreachable(devices, lun, why)
            yield await self._over(disks)

    async def paths(self, devices: Sequence[str], wwpns: Sequence[str], lun: str) -> FcpPaths:
        """The paths on which a LUN is in use: as a unit that was added, or a disk that automatic scanning found."""
        found: list[tuple[str, str]] = []
        for device, wwpn in itertools.product(devices, wwpns):
            added = await self._kernel.exists(f"{_DRIVER}/{busid(device)}/{_hex(wwpn)}/{_hex(lun)}")
            if added or (await self.scsi(device, wwpn, lun))[0]:
                found.append((device, wwpn))
        return found

    async def drop(self, paths: FcpPaths, lun: str) -> None:
        """Take a LUN off these paths, where it is; the FCP devices stay as they are."""
        for device, wwpn in paths:
            port = f"{_DRIVER}/{busid(device)}/{_hex(wwpn)}"
            if await self._kernel.exists(port):
                await self._remove(port, device, wwpn, lun)

    async def online(self, made: AsyncExitStack, device: str) -> None:
        """Have an FCP device online until the end of the block."""
        if not await self._ccw.is_online(device):
            await self._ccw.set_online(device)
            made.push_async_callback(self._ccw.set_offline, device)

    async def ports(self, device: str) -> tuple[str, ...]:
        """The target ports that an FCP device which is online sees, as 0x and 16 digits."""
        folder = f"{_DRIVER}/{busid(device)}"
        await self._kernel.write(f"{folder}/port_rescan", "1")

        async def there() -> bool:
            return any(name.startswith("0x") for name in await self._kernel.names(folder))

        await self._kernel.until(there, f"a target port of {busid(device)}", self._patience)
        return tuple(name for name in await self._kernel.names(folder) if name.startswith("0x"))

    async def _path(self, made: AsyncExitStack, device: str, wwpn: str, lun: str) -> str:
        folder, port = f"{_DRIVER}/{busid(device)}", f"{_DRIVER}/{busid(device)}/{_hex(wwpn)}"
        if not await self._kernel.exists(port):
            await self._kernel.write(f"{folder}/port_rescan", "1")
            await self._kernel.until(
                lambda: self._kernel.exists(port), f"port {_hex(wwpn)} of {busid(device)}", self._patience
            )
        return await self.unit(made, device, wwpn, lun, lambda: self.disk(device, wwpn, lun))

    async def unit(
        self, made: AsyncExitStack, device: str, wwpn: str, lun: str, name: Callable[[], Awaitable[str]]
    ) -> str:
        """Have a LUN in use until the end of the block: its name, which `name` tells as soon as it has one."""
        port = f"{_DRIVER}/{busid(device)}/{_hex(wwpn)}"
        if not await name():
            if not await self._kernel.exists(f"{port}/{_hex(lun)}"):
                await self._kernel.write(f"{port}/unit_add", _hex(lun))
            made.push_async_callback(self._remove, port, device, wwpn, lun)

        async def there() -> bool:
            return bool(await name())

        await self._kernel.until(there, f"LUN {_hex(lun)} behind {_hex(wwpn)} of {busid(device)}", self._patience)
        return await name()

    async def _remove(self, port: str, device: str, wwpn: str, lun: str) -> None:
        """Detach the SCSI disk first: `unit_remove` is refused while it is there."""
        scsi, _ = await self.scsi(device, wwpn, lun)
        if scsi:
            await self._kernel.write(f"{_SCSI}/{scsi}/delete", "1")
        if await self._kernel.exists(f"{port}/{_hex(lun)}"):
            await self._kernel.write(f"{port}/unit_remove", _hex(lun))

    async def disk(self, device: str, wwpn: str, lun: str) -> str:
        """The name of the SCSI disk at the end of a path ("sda"), "" while there is none."""
        scsi, block = await self.scsi(device, wwpn, lun)
        return block if scsi and block and await self._kernel.exists(f"/dev/{block}") else ""

    async def scsi(self, device: str, wwpn: str, lun: str) -> tuple[str, str]:
        """The SCSI device at the end of a path, and its disk; "" for what is not there."""
        wanted = (busid(device), _hex(wwpn), _hex(lun))
        for name in await self._kernel.names(_SCSI):
            if not await self._kernel.exists(f"{_SCSI}/{name}/fcp_lun"):
                continue
            said = [await self._kernel.read(f"{_SCSI}/{name}/{item}") for item in ("hba_id", "wwpn", "fcp_lun")]
            if tuple(said) == wanted:
                blocks = await self._kernel.names(f"{_SCSI}/{name}/block")
                return name, blocks[0] if blocks else ""
        return "", ""

    async def _over(self, disks: Sequence[str]) -> Path:
        """The device to read and write through: the multipath device of all paths, else the one path.

        AgentError 502 `multipath-missing`: several paths of one volume must never be written past each other.
        """
        if len(disks) == 1 and not await self._holder(disks[0]):
            return self._kernel.path(f"/dev/{disks[0]}")

        async def gathered() -> bool:
            holders = {await self._holder(disk) for disk in disks}
            return len(holders) == 1 and "" not in holders

        try:
            await self._kernel.until(gathered, f"the multipath device over {', '.join(disks)}", self._patience)
        except AgentError as problem:
            raise AgentError(
                502, "multipath-missing", str(problem), retryable=True,
                remedy="systemctl enable --now multipathd on the agent's Linux",
            ) from problem  # fmt: skip
        return self._kernel.path(f"/dev/{await self._holder(disks[0])}")

    async def _holder(self, disk: str) -> str:
        names = [name for name in await self._kernel.names(f"/sys/block/{disk}/holders") if name.startswith("dm-")]
        return names[0] if names else ""
