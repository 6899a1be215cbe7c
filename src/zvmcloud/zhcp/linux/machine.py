"""The agent's virtual machine on hardware, as operations use it. See the package for what it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from zvmcloud.cp import answers, commands
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.linux import iucv, report_luns, vmcp
from zvmcloud.zhcp.linux.ccw import Ccw
from zvmcloud.zhcp.linux.kernel import Kernel
from zvmcloud.zhcp.linux.reader import PUNCH, READER, UnitRecord
from zvmcloud.zhcp.linux.zfcp import Zfcp
from zvmcloud.zhcp.machine import CpAnswer, GuestAnswer, Identity, SeenLun, SpoolFile
from zvmcloud.zhcp.seams import FcpPaths


class LinuxMachine:
    """A Linux guest of z/VM. Has the methods of `Machine`."""

    def __init__(
        self,
        kernel: Kernel | None = None,
        *,
        cp: Callable[[str], CpAnswer] | None = None,
        connector: iucv.Connector = iucv.connect,
        patience: float = 30.0,
    ) -> None:
        """`cp` runs a CP command and may block (the default: /dev/vmcp); `connector` makes IUCV connections;
        `patience`: seconds to wait for devices."""
        self._kernel = kernel or Kernel()
        self._run = cp or (lambda command: vmcp.run(self._kernel.path(vmcp.DEVICE), command))
        self._connector = connector
        self._ccw = Ccw(self._kernel, patience=patience)
        self._zfcp = Zfcp(self._kernel, self._ccw, patience=patience)
        self._reader = UnitRecord(self._kernel)
        self._identity: Identity | None = None
        self._spooled = False

    async def identity(self) -> Identity:
        """Userid and system, from QUERY USERID."""
        if self._identity is None:
            said = answers.query_userid((await self.cp(commands.query_userid())).lines)
            self._identity = Identity(said.userid, said.system)
        return self._identity

    async def cp(self, command: str) -> CpAnswer:
        """Run a CP command."""
        return await asyncio.to_thread(self._run, command)

    async def punch(self, name: str, filetype: str, spool_class: str, data: bytes) -> str:
        """Make a reader file of our own and give it its class; it is purged when CP refuses the class."""
        await self._ccw.set_online(PUNCH)
        await self._ready_reader()
        spoolid = await self._reader.punch(name, filetype, data)
        answer = await self.cp(commands.change_reader(spoolid, spool_class))
        if answer.rc:
            await self._reader.purge(spoolid)
            raise AgentError(502, "machine-refused", f"punch: {' / '.join(answer.lines)}")
        return spoolid

    async def reader(self) -> tuple[SpoolFile, ...]:
        """Files in our reader."""
        await self._ready_reader()
        return await self._reader.files()

    async def read(self, spoolid: str) -> bytes:
        """The content of a file of our reader, which stays there."""
        await self._ready_reader()
        return await self._reader.read(spoolid)

    async def _ready_reader(self) -> None:
        await self._ccw.set_online(READER)
        if not self._spooled:
            await self.cp(commands.spool_reader_any_class(READER))
            self._spooled = True

    async def guest(self, userid: str, command: str) -> GuestAnswer:
        """Run a command in a guest."""
        me = await self.identity()
        return await iucv.guest_command(userid, me.userid, command, self._connector)

    async def device(self, vdev: str) -> Path:
        """The block device of a linked disk, in raw-track mode when it is an ECKD disk."""
        return await self._ccw.disk(vdev, raw=True)

    async def blank(self, vdev: str) -> None:
        """Format the tracks of a linked ECKD disk."""
        await self._ccw.format_tracks(vdev)

    async def release(self, vdev: str) -> None:
        """Take a disk offline before it is detached."""
        await self._ccw.set_offline(vdev)

    @asynccontextmanager
    async def volume(self, devices: Sequence[str], wwpns: Sequence[str], lun: str) -> AsyncIterator[Path]:
        """A SCSI volume for the time of the block; see Zfcp.volume."""
        async with self._zfcp.volume(devices, wwpns, lun) as path:
            yield path

    async def volume_paths(self, devices: Sequence[str], wwpns: Sequence[str], lun: str) -> FcpPaths:
        """The paths on which a SCSI volume is online."""
        return await self._zfcp.paths(devices, wwpns, lun)

    async def drop_volume(self, paths: FcpPaths, lun: str) -> None:
        """Take a SCSI volume off paths on which a crash left it."""
        await self._zfcp.drop(paths, lun)

    async def luns(self, devices: Sequence[str]) -> tuple[SeenLun, ...]:
        """The LUNs behind FCP devices; see report_luns."""
        return await report_luns.seen(self._kernel, self._zfcp, devices)

    async def close(self) -> None:
        """Nothing is held."""
