"""The agent's two seams and its journal, for a rehearsal: questions pass, changes are recorded and answered here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from zvmcloud.cp.answers import PowerState
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Sending
from zvmcloud.smapi.declare import Answer, Reply, Request
from zvmcloud.smapi.errors import SmapiError
from zvmcloud.zhcp.errors import AgentError, Call, from_smapi
from zvmcloud.zhcp.machine import CpAnswer, GuestAnswer, GuestUnreachableError, Identity, Machine, SeenLun, SpoolFile
from zvmcloud.zhcp.rehearsal import directory, kinds, running
from zvmcloud.zhcp.rehearsal.world import Linked, World, file_lines
from zvmcloud.zhcp.seams import FcpPaths, Leftovers, Notes, Opened, Record, Smapi
from zvmcloud.zhcp.smapi_port import parameters

R = TypeVar("R", bound=Reply)
_EFFECTS = {**directory.EFFECTS, **running.EFFECTS}
_NO_CONSOLE = (8, 8)
_EMPTY_READER = (8, 4)
_USER_OFF, _USER_UNKNOWN, _NO_DISK = 45, 53, 107


class RehearsedSmapi(Smapi):
    """SMAPI without its changes."""

    def __init__(self, real: Smapi, world: World) -> None:
        self._real, self._world = real, world
        self.health = real.health

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Nobody is kept waiting: nothing is changed."""
        del name
        yield

    async def call(
        self,
        request: Request[R],
        record: Record,
        *,
        allow: Sequence[tuple[int, int]] = (),
        sending: Sending | None = None,
    ) -> Answer[R]:
        """See Smapi. Nothing goes out."""
        del sending
        shown = parameters(request)
        if kinds.smapi_changes(request.spec.name, shown):
            effect = _EFFECTS.get(type(request))
            codes = await effect(self._world, request) if effect is not None else directory.DONE
            record(Call("smapi", request.spec.name, shown, *codes))
        else:
            answer = await self._looked(request)
            if answer is None:
                return await self._real.call(request, record, allow=allow)
            if not answer.rc:
                return answer
            codes = answer.rc, answer.rs
        if codes[0] and codes not in allow:
            raise from_smapi(SmapiError(request.spec.name, request.target, *codes))
        return Answer(*codes)

    async def _looked(self, request: Request[Any]) -> Answer[Any] | None:
        """The answer to a question about what was changed; None when z/VM is to be asked."""
        if isinstance(request, f.ImageConsoleGet):
            return Answer(*_NO_CONSOLE)
        if isinstance(request, f.ImageQueryDM):
            entry = await self._world.entry(request.target)
            if entry is None:
                return Answer(*directory.NO_ENTRY)
            return _answer(request, image_record_array=entry.render())
        if isinstance(request, f.SystemRDRFileQuery) and self._world.readers.get(request.target):
            real = await self._real.call(request, _ignore, allow=(_EMPTY_READER,))
            there = real.data.reader_file_info if real.rc == 0 and real.data is not None else ()
            return _answer(request, reader_file_info=(*there, *file_lines(self._world.readers[request.target])))
        if isinstance(request, f.VirtualNetworkVswitchQueryExtended):
            return await self._switch(request)
        return None

    async def _switch(self, request: f.VirtualNetworkVswitchQueryExtended) -> Answer[Any] | None:
        """A VSWITCH with the rights that would have been given and taken."""
        name = request.switch_name
        changed = {userid: vlans for (switch, userid), vlans in self._world.grants.items() if switch == name}
        if self._world.switches.get(name) is False:
            return Answer(*running.NO_SWITCH)
        if not changed:
            return None
        real = await self._real.call(request, _ignore)
        records = []
        for record in real.reply.vswitch_array:
            rows = [row for row in record.authorized_user_array if row.split()[1] not in changed]
            rows += [
                f"0 {userid} NO NO {len(vlans)} {' '.join(vlans)}".rstrip()
                for userid, vlans in changed.items()
                if vlans is not None
            ]
            records.append(replace(record, authorized_user_array=tuple(rows)))
        return _answer(request, vswitch_array=tuple(records))


def _ignore(_: Call) -> None:
    """What is asked for the rehearsal's own sake is not part of it."""


def _answer(request: Request[Any], **data: object) -> Answer[Any]:
    return Answer(0, 0, request.spec.reply_type(**data))


class RehearsedMachine(Machine):
    """The agent's virtual machine without what would change it, its guests, or a disk."""

    def __init__(self, real: Machine, world: World) -> None:
        self._real, self._world = real, world

    async def identity(self) -> Identity:
        """See Machine."""
        return await self._real.identity()

    async def cp(self, command: str) -> CpAnswer:
        """See Machine."""
        words = command.split()
        if words[:2] == ["QUERY", "USER"] and words[2] in {*self._world.power, *self._world.entries}:
            return self._user(words[2], await self._world.state(words[2]))
        if words[:2] == ["QUERY", "VIRTUAL"] and words[2] in self._world.links:
            disk = self._world.links[words[2]]
            line = f"DASD {words[2]} {disk.device_type} ?????? R/W {disk.size:>10} {disk.unit} ON DASD ????"
            return CpAnswer(0, (line,))
        if not kinds.cp_changes(command):
            return await self._real.cp(command)
        if words[0] == "LINK":
            return await self._link(words[1], words[2], words[4])
        if words[0] == "DETACH":
            self._world.links.pop(words[1], None)
        if words[:2] == ["TRANSFER", "*"]:
            self._transfer(words[3], words[5])
        return CpAnswer(0, ())

    @staticmethod
    def _user(userid: str, state: PowerState) -> CpAnswer:
        if state is PowerState.ON:
            return CpAnswer(0, (f"{userid:<8} - DSC",))
        if state is PowerState.ELSEWHERE:
            return CpAnswer(0, (f"{userid:<8} - SSI",))
        number, text = {
            PowerState.OFF: (_USER_OFF, "HCPCQU045E {} not logged on"),
            PowerState.GOING_OFF: (361, "HCPCQU361E LOGOFF/FORCE pending for user {}"),
        }.get(state, (_USER_UNKNOWN, "HCPCQU053E {} not in CP directory"))
        return CpAnswer(number, (text.format(userid),))

    async def _link(self, owner: str, disk: str, alias: str) -> CpAnswer:
        entry = await self._world.entry(owner)
        if entry is None:
            return CpAnswer(_USER_UNKNOWN, (f"HCPLNM053E {owner} not in CP directory",))
        found = entry.mdisk(disk)
        if found is None:
            return CpAnswer(_NO_DISK, (f"HCPLNM107E {owner} {disk} not linked; not in CP directory",))
        unit = "CYL" if found.device_type.startswith(("3390", "3380")) else "BLK"
        kind = "3390" if unit == "CYL" else "9336"
        self._world.links[alias] = Linked(owner, disk, kind, found.size or 0, unit)
        return CpAnswer(0, ())

    def _transfer(self, spoolid: str, userid: str) -> None:
        for file in [file for file in self._world.ours if file.spoolid == spoolid]:
            self._world.ours.remove(file)
            self._world.readers.setdefault(userid, []).append(file)

    async def punch(self, name: str, filetype: str, spool_class: str, data: bytes) -> str:
        """See Machine. The caller reports it."""
        del data
        me = await self._real.identity()
        file = self._world.spooled(me.userid, spool_class, name, filetype)
        self._world.ours.append(file)
        return file.spoolid

    async def reader(self) -> tuple[SpoolFile, ...]:
        """See Machine."""
        return (*await self._real.reader(), *self._world.ours)

    async def read(self, spoolid: str) -> bytes:
        """A file that is not there yet has no content."""
        del spoolid
        return b""

    async def guest(self, userid: str, command: str) -> GuestAnswer:
        """See Machine. A guest that is only rehearsed to be on does not answer."""
        if userid in self._world.restarting:
            raise GuestUnreachableError("restarting")
        real = userid not in self._world.power or await self._was_on(userid)
        if not real:
            raise GuestUnreachableError("not on yet")
        if kinds.guest_changes(command):
            if command.startswith("shutdown -r"):
                self._world.restarting.add(userid)
            return GuestAnswer(0, "")
        return await self._real.guest(userid, command)

    async def _was_on(self, userid: str) -> bool:
        answer = await self._real.cp(f"QUERY USER {userid}")
        return answer.rc == 0

    async def device(self, vdev: str) -> Path:
        """No disk is opened in a rehearsal."""
        raise AgentError(500, "internal", f"a rehearsal has no device {vdev}")

    async def blank(self, vdev: str) -> None:
        """Nothing."""

    async def release(self, vdev: str) -> None:
        """Nothing."""

    @asynccontextmanager
    async def volume(self, devices: Sequence[str], wwpns: Sequence[str], lun: str) -> AsyncIterator[Path]:
        """No device: nobody opens it."""
        yield Path()

    async def volume_paths(self, devices: Sequence[str], wwpns: Sequence[str], lun: str) -> FcpPaths:
        """None: nothing is opened."""
        return ()

    async def drop_volume(self, paths: FcpPaths, lun: str) -> None:
        """Nothing was brought online."""

    async def luns(self, devices: Sequence[str]) -> tuple[SeenLun, ...]:
        """No device is brought online to ask."""
        del devices
        return ()

    async def close(self) -> None:
        """The real machine stays open."""


class RehearsedNotes(Notes):
    """Nothing is noted, for nothing is done."""

    def __init__(self, real: Notes) -> None:
        self._real = real

    async def note(self, key: str, *names: str, sync: bool = True) -> None:
        """Nothing."""

    async def noting(self, key: str, *names: str) -> asyncio.Future[None]:
        """Nothing."""
        nothing = asyncio.get_running_loop().create_future()
        nothing.set_result(None)
        return nothing

    def noted(self, start: str, *, but: str) -> frozenset[str]:
        """See Notes."""
        return self._real.noted(start, but=but)

    async def linking(self, vdev: str, owner: str, disk: str) -> None:
        """Nothing."""

    async def unlinked(self, vdev: str, run: str | None = None) -> None:
        """Nothing."""

    async def opening(self, volume: Opened) -> None:
        """Nothing."""

    async def closed(self, volume: Opened) -> None:
        """Nothing."""

    async def locking(self, userid: str) -> bool:
        """No lock of before is known."""
        del userid
        return False

    async def unlocked(self, userid: str) -> None:
        """Nothing."""

    async def granting(self, vswitch: str, userid: str) -> None:
        """Nothing."""

    def granted(self, userid: str) -> tuple[str, ...]:
        """See Notes."""
        return self._real.granted(userid)

    async def revoked(self, userid: str) -> None:
        """Nothing."""

    async def fence(self, epoch: int) -> None:
        """A rehearsal is no question of who may change something."""


class NoLeftovers(Leftovers):
    """Disks that a crash left linked are none of a rehearsal's business."""

    async def disks(self) -> tuple[str, ...]:
        """None."""
        return ()
