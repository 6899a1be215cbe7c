"""The seam to the virtual machine the agent runs in: CP, punch, reader, the agents in guests, linked disks.

`Machine` is what operations use. `SimulatedMachine` speaks the machine port of a simulator: newline-terminated JSON
objects over TCP, one answer for one request, the first of them a logon. On hardware the same things are `/dev/vmcp`,
vmur, AF_IUCV and ccw devices: `linux.machine.LinuxMachine`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zvmcloud.zhcp.errors import AgentError, lun_unreachable
from zvmcloud.zhcp.joining import to_its_end
from zvmcloud.zhcp.seams import FcpPaths

_LINE_LIMIT = 192 * 1024 * 1024
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class CpAnswer:
    """CP's return code (0, or the number of the message that refuses) and its lines."""

    rc: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """The agent's userid and the z/VM system it is on."""

    userid: str
    system: str


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """A file in the agent's reader. `type` is CON (a console log) or PUN; `created` the month, day and time."""

    spoolid: str
    origin: str
    spool_class: str
    type: str
    name: str
    filetype: str
    records: int
    created: str = ""


@dataclass(frozen=True, slots=True)
class GuestAnswer:
    """What a command in a guest ended with."""

    rc: int
    output: str


@dataclass(frozen=True, slots=True)
class SeenLun:
    """A LUN at the end of a path. WWPN and LUN have 16 digits; `uuid` (VPD page 83) is the disk's, whichever path leads
    to it; `size` in bytes."""

    device: str
    wwpn: str
    lun: str
    uuid: str
    size: int


class GuestUnreachableError(Exception):
    """The agent in the guest does not answer."""


class Machine(Protocol):
    """The virtual machine of the agent. Every method raises AgentError 503 `machine-unreachable` when it cannot."""

    async def identity(self) -> Identity:
        """Who we are."""

    async def cp(self, command: str) -> CpAnswer:
        """Run a CP command; a refusal is an answer."""

    async def punch(self, name: str, filetype: str, spool_class: str, data: bytes) -> str:
        """Make a reader file of our own; returns its spool id."""

    async def reader(self) -> tuple[SpoolFile, ...]:
        """Files in our reader."""

    async def read(self, spoolid: str) -> bytes:
        """The content of a file of our reader. It stays there, and is in user hold then."""

    async def guest(self, userid: str, command: str) -> GuestAnswer:
        """Run a command in a guest. GuestUnreachableError when its agent does not answer."""

    async def device(self, vdev: str) -> Path:
        """The file or block device that is our linked disk, once it is there."""

    async def blank(self, vdev: str) -> None:
        """Format the tracks of a linked disk that nobody has formatted yet; before `device`."""

    async def release(self, vdev: str) -> None:
        """Let go of a linked disk, so that it can be detached; one that is not there is fine."""

    def volume(self, devices: Sequence[str], wwpns: Sequence[str], lun: str) -> AbstractAsyncContextManager[Path]:
        """A SCSI volume, through FCP devices of ours, for the time of the block: its block device.

        Paths on which it was online before stay so. WWPNs and LUN have 16 digits. AgentError 409 `lun-unreachable` when
        no path leads to it.
        """

    async def volume_paths(self, devices: Sequence[str], wwpns: Sequence[str], lun: str) -> FcpPaths:
        """The paths on which a SCSI volume is online now, of those through these devices to these ports."""

    async def drop_volume(self, paths: FcpPaths, lun: str) -> None:
        """Take a SCSI volume off paths on which a crash left it online; where it is not, that is fine."""

    async def luns(self, devices: Sequence[str]) -> tuple[SeenLun, ...]:
        """The LUNs that the storage shows FCP devices of ours, one for each path; nothing is online after it that was
        not before. AgentError 409 `lun-unreachable` for a device that is not ours, or does not work."""

    async def close(self) -> None:
        """Let the connection go; links stay."""


def _unreachable(detail: str) -> AgentError:
    return AgentError(
        503,
        "machine-unreachable",
        f"the agent's virtual machine cannot be reached: {detail}",
        retryable=True,
        remedy="see whether the system runs and the agent's settings name its machine port",
    )


def _scsi(device: str, wwpn: str, lun: str, *, online: bool | None = None) -> dict[str, object]:
    """Without ``online`` nothing is changed: the answer tells whether it is."""
    return {"op": "scsi", "fcp": device, "wwpn": wwpn, "lun": lun, **({} if online is None else {"online": online})}


class SimulatedMachine:
    """A machine behind a simulator's machine port. One connection, opened when needed and again when lost."""

    def __init__(self, host: str, port: int, userid: str, password: str) -> None:
        self._host, self._port = host, port
        self._userid, self._password = userid, password
        self._lock = asyncio.Lock()
        self._guest_locks = asyncio.Semaphore(16)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        """Connections for guest commands that wait for the next one."""
        self._system = ""
        self._devices = Path()

    async def identity(self) -> Identity:
        """Userid and system, as the logon answered."""
        if not self._system:
            async with self._lock:
                await self._connected()
        return Identity(self._userid, self._system)

    async def cp(self, command: str) -> CpAnswer:
        """Run a CP command of this virtual machine."""
        answer = await self._ask({"op": "cp", "command": command})
        lines = answer.get("lines")
        rc = answer.get("rc")
        if not isinstance(rc, int) or not isinstance(lines, list):
            raise _unreachable(f"the answer to {command} has no rc and lines")
        return CpAnswer(rc, tuple(str(line) for line in lines))

    async def punch(self, name: str, filetype: str, spool_class: str, data: bytes) -> str:
        """Make a reader file; see Machine."""
        encoded = base64.b64encode(data).decode()
        answer = await self._ask({"op": "punch", "name": name, "type": filetype, "class": spool_class, "data": encoded})
        return str(answer.get("spoolid") or "")

    async def reader(self) -> tuple[SpoolFile, ...]:
        """Files in our reader."""
        answer = await self._ask({"op": "reader"})
        files = answer.get("files")
        return tuple(
            SpoolFile(
                str(item.get("spoolid") or ""),
                str(item.get("origin") or ""),
                str(item.get("class") or ""),
                str(item.get("type") or ""),
                str(item.get("name") or ""),
                str(item.get("filetype") or ""),
                int(item.get("records") or 0),
                str(item.get("created") or ""),
            )
            for item in (files if isinstance(files, list) else [])
            if isinstance(item, Mapping)
        )

    async def read(self, spoolid: str) -> bytes:
        """The content of a file of our reader; see Machine."""
        answer = await self._ask({"op": "receive", "spoolid": spoolid, "hold": True})
        try:
            return base64.b64decode(str(answer.get("data") or ""), validate=True)
        except binascii.Error as problem:
            raise _unreachable(f"spool file {spoolid} did not arrive whole: {problem}") from problem

    async def guest(self, userid: str, command: str) -> GuestAnswer:
        """Run a command in a guest; on a connection that nothing else uses, because it may take long."""
        async with self._guest_locks:
            streams = await self._for_guests()
            try:
                answer = await self._exchange(streams, {"op": "guest", "userid": userid, "command": command})
            except BaseException as problem:
                await _close(streams)
                if not isinstance(problem, OSError | EOFError | ValueError | TimeoutError):
                    raise
                raise _unreachable(str(problem) or type(problem).__name__) from problem
            self._idle.append(streams)
        if not answer.get("ok"):
            raise GuestUnreachableError(str(answer.get("error") or "unreachable"))
        rc = answer.get("rc")
        return GuestAnswer(rc if isinstance(rc, int) else 1, str(answer.get("output") or ""))

    async def device(self, vdev: str) -> Path:
        """The disk file of a linked disk."""
        answer = await self._ask({"op": "device", "vdev": vdev})
        return self._devices / str(answer.get("device") or "")

    async def blank(self, vdev: str) -> None:
        """Nothing: holes of a simulated disk are formatted tracks."""

    async def release(self, vdev: str) -> None:
        """Nothing: the file is nobody's after it is closed."""

    @asynccontextmanager
    async def volume(self, devices: Sequence[str], wwpns: Sequence[str], lun: str) -> AsyncIterator[Path]:
        """The file of a LUN, once for all its paths: `scsi` of the machine port. See Machine."""
        found, why, ours = "", "there is no path", list[tuple[str, str]]()
        try:
            for device, wwpn in itertools.product(devices, wwpns):
                ours.append((device, wwpn))  # before it is asked: what was cut off may have been done
                try:
                    answer = await self._ask(_scsi(device, wwpn, lun, online=True))
                except AgentError as problem:
                    if problem.problem.code != "machine-refused":
                        raise
                    why = str(problem)
                else:
                    if answer.get("changed") is False:
                        ours.pop()
                    found = found or str(answer.get("device") or "")
            if not found:
                raise lun_unreachable(devices, lun, why)
            yield self._devices / found
        finally:
            await to_its_end(self.drop_volume(ours, lun))

    async def volume_paths(self, devices: Sequence[str], wwpns: Sequence[str], lun: str) -> FcpPaths:
        """See Machine."""
        paths = itertools.product(devices, wwpns)
        return [path for path in paths if (await self._ask(_scsi(*path, lun)))["online"]]

    async def drop_volume(self, paths: FcpPaths, lun: str) -> None:
        """See Machine."""
        for device, wwpn in paths:
            await self._ask(_scsi(device, wwpn, lun, online=False))

    async def luns(self, devices: Sequence[str]) -> tuple[SeenLun, ...]:
        """`luns` of the machine port. See Machine."""
        found: list[SeenLun] = []
        for device in devices:
            try:
                answer = await self._ask({"op": "luns", "fcp": device})
            except AgentError as problem:
                if problem.problem.code != "machine-refused":
                    raise
                raise lun_unreachable([device], "", str(problem)) from problem
            rows = answer.get("luns")
            for item in rows if isinstance(rows, list) else []:
                wwpn, lun, uuid = (str(item.get(name) or "").lower() for name in ("wwpn", "lun", "uuid"))
                found.append(SeenLun(device, wwpn, lun, uuid, int(item.get("bytes") or 0)))
        return tuple(found)

    async def close(self) -> None:
        """Close the connections."""
        streams, self._streams = self._streams, None
        for kept in (*self._idle, *([streams] if streams is not None else [])):
            await _close(kept)
        self._idle.clear()

    async def _for_guests(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            streams = self._idle.pop()
            if not streams[0].at_eof():
                return streams
            await _close(streams)  # the other end was restarted meanwhile
        return await self._logged_on()

    def _logon(self) -> dict[str, object]:
        return {"op": "logon", "userid": self._userid, "password": self._password}

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await asyncio.open_connection(self._host, self._port, limit=_LINE_LIMIT)
        except (OSError, TimeoutError) as problem:
            raise _unreachable(f"{self._host}:{self._port}: {problem or 'no connection in time'}") from problem

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None:
            if not self._streams[0].at_eof():
                return self._streams
            await self.close()  # the other end was restarted while nothing was asked
        self._streams = await self._logged_on()
        return self._streams

    async def _logged_on(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection as our userid. AgentError 503, or 502 `machine-logon`."""
        streams = await self._open()
        try:
            answer = await self._exchange(streams, self._logon())
        except BaseException as problem:
            await _close(streams)
            if not isinstance(problem, OSError | EOFError | ValueError | TimeoutError):
                raise
            raise _unreachable(f"no answer to the logon: {problem}") from problem
        if not answer.get("ok"):
            await _close(streams)
            raise AgentError(
                502,
                "machine-logon",
                f"the machine port refused the logon of {self._userid}: {answer.get('error')}",
                remedy="check userid and password in the agent's settings",
            )
        self._system = str(answer.get("system") or "")
        self._devices = Path(str(answer.get("devices") or ""))
        return streams

    @staticmethod
    async def _exchange(
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: Mapping[str, object]
    ) -> dict[str, object]:
        reader, writer = streams
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        async with asyncio.timeout(_ANSWER_SECONDS):
            line = await reader.readuntil(b"\n")
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("the answer is no JSON object")  # noqa: TRY004 (callers handle damage as one kind)
        return answer

    async def _ask(self, request: Mapping[str, object]) -> dict[str, object]:
        async with self._lock:
            fresh = self._streams is None
            streams = await self._connected()
            try:
                answer = await self._exchange(streams, request)
            except BaseException as problem:
                # A request that was cut off leaves an answer nobody waits for: the connection is of no more use.
                self._streams = None
                await _close(streams)
                if not isinstance(problem, OSError | EOFError | ValueError | TimeoutError):
                    raise
                idle = not fresh and isinstance(problem, ConnectionError | EOFError)
                if not idle or request["op"] not in ("cp", "reader", "device", "scsi", "luns"):
                    raise _unreachable(str(problem) or type(problem).__name__) from problem
                answer = await self._again(request, problem)
        if not answer.get("ok"):
            raise AgentError(502, "machine-refused", f"{request['op']}: {answer.get('error') or 'refused'}")
        return answer

    async def _again(self, request: Mapping[str, object], first: BaseException) -> dict[str, object]:
        """A connection that was idle may have been closed by a restart: what may be said twice is sent once more."""
        command = str(request.get("command") or "QUERY")
        if not command.startswith("QUERY"):
            raise _unreachable(str(first) or type(first).__name__) from first
        streams = await self._connected()
        try:
            return await self._exchange(streams, request)
        except (OSError, EOFError, ValueError, TimeoutError) as problem:
            self._streams = None
            await _close(streams)
            raise _unreachable(str(problem) or type(problem).__name__) from problem


async def _close(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    writer = streams[1]
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
