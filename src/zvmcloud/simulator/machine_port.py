"""The machine port: the door through which the agent's own virtual machine works on a simulated system.

On hardware the agent uses /dev/vmcp, vmur, AF_IUCV and ccw devices of the Linux it runs on; here it has one TCP
connection with JSON objects, one per line, one answer for one request:

    {"op":"logon","userid":"ZHCP","password":"..."}   first; logs the machine on if it is not yet
    {"op":"cp","command":"LINK LINUX01 0100 F000 MR"}  -> {"ok":true,"rc":0,"lines":[...]}
    {"op":"punch","name":"CFGDRIVE","type":"ISO","class":"X","data":"<base64>"} -> {"ok":true,"spoolid":"0101"}
    {"op":"reader"} -> {"ok":true,"files":[...]}      {"op":"receive","spoolid":"0102"} -> {"ok":true,"data":"..."}
                          with "hold":true, as vmur receive --hold, the file stays in the reader, in user hold
    {"op":"guest","userid":"LINUX01","command":"uname -srm"} -> {"ok":true,"rc":0,"output":"..."}
    {"op":"device","vdev":"F000"}                      -> {"ok":true,"device":"0.0.f000"}
    {"op":"scsi","fcp":"1A00","wwpn":"...","lun":"...","online":true}
                                                -> {"ok":true,"device":"ccw-0.0.1a00-zfcp-...","changed":true}

`device` stands for chccwdev on a disk that the machine has linked, `scsi` for chccwdev and zfcp's unit_add (or
unit_remove) on an FCP device of it; the name is that of the disk's file in the folder of devices. Without `online` it
stands for a look into sysfs: {"ok":true,"online":false}. A refusal is {"ok":false,"error":"..."}. Links and spool files
survive the connection, as on hardware.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from zvmcloud.directory import statements
from zvmcloud.images.sparsefile import set_room
from zvmcloud.simulator import fabric, guest_agent, guests, luns, spool, storage
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.errors import SystemFault
from zvmcloud.simulator.faults import DEVICE, Faults
from zvmcloud.simulator.journal import Journal
from zvmcloud.simulator.system import System
from zvmcloud.simulator.values import Json

log = logging.getLogger(__name__)

#: A request line: a spool file of the largest size in base64, and what goes around it.
MAX_LINE = spool.MAX_FILE * 4 // 3 + 4096
_UNIT = {"fcp": 4, "wwpn": 16, "lun": 16}
_NAME = re.compile(r"[A-Za-z0-9@#$+:_.-]{0,64}\Z")


class BadRequest(ValueError):
    """A request that is not as described above; the text says which member is wrong."""


class MachinePort:
    """The server. One task per connection."""

    def __init__(self, system: System, journal: Journal, faults: Faults | None = None) -> None:
        self._system = system
        self._journal = journal
        self._faults = faults or Faults()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; gives the port."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_LINE)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self._system, self._journal, self._faults)
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(session.answer(line), separators=(",", ":")).encode() + b"\n")
                await writer.drain()
        except ValueError:
            writer.write(b'{"ok":false,"error":"the request line is too long"}\n')
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            session.end()
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()


class Session:
    """One connection's state: which machine it is."""

    def __init__(self, system: System, journal: Journal, faults: Faults) -> None:
        self.system = system
        self.journal = journal
        self.faults = faults
        self.userid = ""

    def end(self) -> None:
        """The connection has gone: the machine is disconnected, and stays logged on."""
        left = self.system.sessions.pop(self.userid, 1) - 1
        if left > 0:
            self.system.sessions[self.userid] = left

    def answer(self, line: bytes) -> dict[str, Json]:
        """The answer to one request line; never raises for what the line says."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise BadRequest("a request is an object")
            operation = _text(request, "op")
            handler = _OPERATIONS.get(operation)
            if handler is None:
                raise BadRequest(f"op {operation!r} is not one of {', '.join(_OPERATIONS)}")
            if not self.userid and operation != "logon":
                raise BadRequest("the first request must be logon")
            return handler(self, request)
        except (BadRequest, SystemFault, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            return {"ok": False, "error": str(error)}
        except OSError as error:
            log.exception("the machine port failed")
            return {"ok": False, "error": f"input or output failed: {error.strerror}"}

    def _log_on(self, request: Mapping[str, object]) -> dict[str, Json]:
        userid = _text(request, "userid").upper()
        password = _text(request, "password", required=False)
        entry = self.system.entry(userid)
        if entry is None or not entry.accepts_password(password):
            self.journal.write("machine", userid, "logon", "", 120, 0)
            raise BadRequest("userid or password is wrong")
        if userid not in self.system.machines:
            with self.system.transaction():
                guests.log_on(self.system, userid)
        self.end()
        self.userid = userid
        self.system.sessions[userid] = self.system.sessions.get(userid, 0) + 1
        self.journal.write("machine", userid, "logon", "", 0, 0)
        folder = storage.open_devices(self.system, userid).absolute()
        return {"ok": True, "userid": userid, "system": self.system.name, "devices": str(folder)}

    def _cp(self, request: Mapping[str, object]) -> dict[str, Json]:
        command = _text(request, "command")
        with self.journal.timed("cp", self.userid, _without_password(command), "") as call:
            result = execute(self.system, self.userid, command)
            call.rc = result.rc
        return {"ok": True, "rc": result.rc, "lines": list(result.lines)}

    def _punch(self, request: Mapping[str, object]) -> dict[str, Json]:
        name, kind = _name(request, "name"), _name(request, "type")
        spool_class = _text(request, "class", required=False) or "A"
        if len(spool_class) != 1 or not spool_class.isalnum():
            raise BadRequest(f"class {spool_class!r} is not a letter or a digit")
        try:
            data = base64.b64decode(_text(request, "data", required=False), validate=True)
        except binascii.Error as error:
            raise BadRequest(f"data is not base64: {error}") from error
        if len(data) > spool.MAX_FILE:
            raise BadRequest(f"data has {len(data)} bytes, at most {spool.MAX_FILE}")
        self._logged_on()
        with self.journal.timed("punch", self.userid, f"{name} {kind}".strip(), ""), self.system.transaction():
            file = spool.create(
                self.system, self.userid, self.userid, data, name=name, filetype=kind, spool_class=spool_class
            )
        return {"ok": True, "spoolid": file.spoolid}

    def _reader(self, _request: Mapping[str, object]) -> dict[str, Json]:
        files: list[Json] = [
            {
                "spoolid": file.spoolid,
                "origin": file.origin,
                "class": file.spool_class,
                "type": file.kind,
                "name": file.name,
                "filetype": file.filetype,
                "records": file.records,
                "created": time.strftime("%m/%d %H:%M:%S", time.gmtime(file.created)),
            }
            for file in spool.files(self.system, self.userid)
        ]
        return {"ok": True, "files": files}

    def _receive(self, request: Mapping[str, object]) -> dict[str, Json]:
        self._logged_on()
        spoolid = _text(request, "spoolid")
        with self.journal.timed("receive", self.userid, spoolid, ""), self.system.transaction():
            file = spool.find(self.system, self.userid, spoolid)
            data = spool.read(self.system, file)
            if request.get("hold") is True:
                spool.change(self.system, file, hold="USER")
            else:
                spool.purge(self.system, file)
        return {"ok": True, "data": base64.b64encode(data).decode()}

    def _guest(self, request: Mapping[str, object]) -> dict[str, Json]:
        userid = _text(request, "userid").upper()
        if not statements.is_userid(userid):
            raise BadRequest(f"userid {userid!r} is not 1 to 8 characters")
        command = _text(request, "command")
        with self.journal.timed("guest", self.userid, command.split()[0] if command.strip() else "", userid) as call:
            with self.system.transaction():
                output = guest_agent.run(self.system, userid, command, self.userid)
            call.rc = output.rc
        return {"ok": True, "rc": output.rc, "output": output.text}

    def _device(self, request: Mapping[str, object]) -> dict[str, Json]:
        vdev = statements.vdev(_text(request, "vdev").upper())
        if vdev is None:
            raise BadRequest("vdev is not a device number of up to four hexadecimal digits")
        self._logged_on()
        path = self.system.device_name(self.userid, vdev)
        if not path.exists():
            raise BadRequest(f"{self.userid} has no disk {vdev}")
        disk = next((item for item in self.system.machines[self.userid].disks if item.vdev == vdev), None)
        if disk is not None:
            self._come_online(path, f"{disk.owner}.{disk.owner_vdev}")
        return {"ok": True, "device": path.name}

    def _come_online(self, path: Path, target: str) -> None:
        """A disk is there for the agent's programs, as much of it as fault rules leave."""
        strike = self.faults.strike(DEVICE, target, self.userid)
        set_room(path, strike.rule.bytes if strike.rule is not None else None)

    def _scsi(self, request: Mapping[str, object]) -> dict[str, Json]:
        path = fabric.normal_path(" ".join(_digits(request, name, size) for name, size in _UNIT.items()))
        wanted = request.get("online")
        if path is None or not isinstance(wanted, bool | None):
            raise BadRequest("fcp has 4 hexadecimal digits, wwpn and lun 16, online is true or false")
        self._logged_on()
        online = path in self.system.machines[self.userid].units
        if wanted is None:
            return {"ok": True, "online": online}
        with self.journal.timed("scsi", self.userid, luns.device_name(path), ""), self.system.transaction():
            if wanted:
                luns.set_online(self.system, self.userid, path.split()[0], online=True)
                luns.add(self.system, self.userid, path)
            else:
                luns.remove(self.system, self.userid, path)
        name = luns.device_name(path)
        if wanted:
            self._come_online(self.system.device_folder / self.userid / name, ".".join(path.upper().split()[1:]))
        return {"ok": True, "device": name, "changed": wanted != online}

    def _luns(self, request: Mapping[str, object]) -> dict[str, Json]:
        """What REPORT LUNS would say, port by port."""
        vdev = _digits(request, "fcp", 4).upper()
        self._logged_on()
        own = luns.device(self.system.machines[self.userid], vdev)
        if own is None or not fabric.usable(self.system, own.rdev):
            raise BadRequest(f"{self.userid} has no FCP device {vdev} that works")
        with self.journal.timed("luns", self.userid, vdev, ""):
            rows: list[Json] = [
                {"wwpn": lun.wwpn, "lun": lun.lun, "uuid": lun.uuid, "bytes": lun.blocks * lun.block_size}
                for lun in fabric.reachable(self.system, own.rdev)
            ]
        return {"ok": True, "luns": rows}

    def _logged_on(self) -> None:
        if self.userid not in self.system.machines:
            raise BadRequest(f"{self.userid} is not logged on any more; log on again")


def _text(request: Mapping[str, object], name: str, *, required: bool = True) -> str:
    value = request.get(name, "")
    if not isinstance(value, str) or (required and not value):
        raise BadRequest(f"{name} must be a text" + (" that is not empty" if required else ""))
    return value


def _digits(request: Mapping[str, object], member: str, size: int) -> str:
    value = _text(request, member).lower().removeprefix("0x")
    if not re.fullmatch(rf"[0-9a-f]{{{size}}}", value):
        raise BadRequest(f"{member} {value!r} is not {size} hexadecimal digits")
    return value


def _name(request: Mapping[str, object], member: str) -> str:
    value = _text(request, member, required=False)
    if not _NAME.match(value):
        raise BadRequest(f"{member} {value!r} has more than 64 characters, or others than A-Z 0-9 @ # $ + : _ . -")
    return value


def _without_password(command: str) -> str:
    words = command.split()
    if words and words[0].upper().startswith("LIN"):
        plain = [word for word in words if word.upper() not in ("TO", "AS")]
        return " ".join(plain[:5])
    return command[:240]


_OPERATIONS: dict[str, Callable[[Session, Mapping[str, object]], dict[str, Json]]] = {
    "logon": Session._log_on,
    "cp": Session._cp,
    "punch": Session._punch,
    "reader": Session._reader,
    "receive": Session._receive,
    "guest": Session._guest,
    "device": Session._device,
    "scsi": Session._scsi,
    "luns": Session._luns,
}
