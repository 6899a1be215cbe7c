"""A kernel of z/VM's kind over a folder: files below /sys, /proc and /dev, which change when they are written to."""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zvmcloud.zhcp.linux import vmcp
from zvmcloud.zhcp.linux.kernel import Ended, Kernel
from zvmcloud.zhcp.machine import CpAnswer

ZFCP = "/sys/bus/ccw/drivers/zfcp"


@dataclass
class Volume:
    """A LUN that the fabric shows behind ports."""

    lun: str
    wwpns: tuple[str, ...]
    uuid: str = "6005076307ffc5e30000000000000001"
    sectors: int = 2048


class FakeKernel(Kernel):
    """Reacts to writes as the cio, dasd, vmur and zfcp drivers do."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.writes: list[tuple[str, str]] = []
        self.programs: list[list[str]] = []
        self.answers: dict[str, Callable[[Sequence[str], bytes], Ended]] = {}
        self.ignored: set[str] = set()
        self.volumes: list[Volume] = []
        self.udev = True
        self.multipath = False
        self._disks = 0
        self.put("/proc/cio_ignore", "")
        self.put("/proc/cio_settle", "")

    def put(self, name: str, text: str) -> None:
        """Make a file, its folders too."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def attach(self, vdev: str, devtype: str, *, ignored: bool = True) -> None:
        """CP gives the virtual machine a device; until it is freed, the kernel ignores it."""
        self._devtypes = {**getattr(self, "_devtypes", {}), vdev: devtype}
        if ignored:
            self.ignored.add(vdev)
        else:
            self._show(vdev)

    def _show(self, vdev: str) -> None:
        folder = f"/sys/bus/ccw/devices/0.0.{vdev}"
        self.put(f"{folder}/online", "0\n")
        self.put(f"{folder}/devtype", f"{self._devtypes[vdev]}\n")
        if self._devtypes[vdev].startswith("3390"):
            self.put(f"{folder}/raw_track_access", "0\n")

    def _write(self, name: str, text: str) -> None:
        super()._write(name, text)
        self.writes.append((name, text))
        if name == "/proc/cio_ignore":
            vdev = text.removeprefix("free 0.0.")
            if vdev in self.ignored:
                self.ignored.discard(vdev)
                self._show(vdev)
        elif found := re.fullmatch(r"/sys/bus/ccw/devices/0\.0\.(\w{4})/(online|raw_track_access)", name):
            self._ccw(found[1], found[2], text)
        elif found := re.fullmatch(rf"{ZFCP}/0\.0\.(\w{{4}})/(0x\w+)/unit_(add|remove)", name):
            self._unit(found[1], found[2], found[3], text)
        elif found := re.fullmatch(rf"{ZFCP}/0\.0\.(\w{{4}})/port_rescan", name):
            self._ports(found[1])
        elif found := re.fullmatch(r"/sys/bus/scsi/devices/(\S+)/delete", name):
            self._remove_tree(f"/sys/bus/scsi/devices/{found[1]}")

    def _remove_tree(self, name: str) -> None:
        for item in sorted(self.path(name).rglob("*"), reverse=True):
            item.unlink() if item.is_file() else item.rmdir()
        self.path(name).rmdir()

    def _ccw(self, vdev: str, attribute: str, text: str) -> None:
        folder = f"/sys/bus/ccw/devices/0.0.{vdev}"
        online = self.path(f"{folder}/online").read_text().strip() == "1"
        if attribute == "raw_track_access":
            if online:
                raise OSError(errno.EBUSY, "Device or resource busy")
            self.put(f"{folder}/raw_track_access", f"{text}\n")
            return
        self.put(f"{folder}/online", f"{text}\n")
        devtype = self._devtypes[vdev]
        if text == "0":
            if self.path(f"{folder}/block").exists():
                self._remove_tree(f"{folder}/block")
        elif devtype.startswith("1732"):
            self.put(f"{ZFCP}/0.0.{vdev}/port_rescan", "")
        elif devtype.startswith(("3390", "9336")):
            name = f"dasd{chr(ord('a') + self._disks)}"
            self._disks += 1
            self.path(f"{folder}/block/{name}").mkdir(parents=True)
            if self.udev:
                self.put(f"/dev/{name}", "")

    def _ports(self, vdev: str) -> None:
        for volume in self.volumes:
            for wwpn in volume.wwpns:
                for attribute in ("unit_add", "unit_remove"):
                    self.put(f"{ZFCP}/0.0.{vdev}/{wwpn}/{attribute}", "")

    def _unit(self, vdev: str, wwpn: str, verb: str, lun: str) -> None:
        unit = f"{ZFCP}/0.0.{vdev}/{wwpn}/{lun}"
        known = next((volume for volume in self.volumes if volume.lun == lun and wwpn in volume.wwpns), None)
        well_known = lun == "0xc101000000000000"
        scsi = f"/sys/bus/scsi/devices/{vdev}:{wwpn[-4:]}:{lun[2:10]}"
        if verb == "remove":
            if self.path(scsi).exists():
                raise OSError(errno.EBUSY, "Device or resource busy")
            self.path(unit).rmdir()
            return
        self.path(unit).mkdir()
        if known is None and not well_known:
            return
        name = f"sd{chr(ord('a') + self._disks)}"
        self._disks += 1
        for attribute, value in (("hba_id", f"0.0.{vdev}"), ("wwpn", wwpn), ("fcp_lun", lun), ("delete", "")):
            self.put(f"{scsi}/{attribute}", f"{value}\n" if value else "")
        if known is None:
            self.path(f"{scsi}/scsi_generic/sg0").mkdir(parents=True)
            return
        self.put(f"{scsi}/wwid", f"naa.{known.uuid}\n")
        self.put(f"/sys/block/{name}/size", f"{known.sectors}\n")
        self.path(f"{scsi}/block/{name}").mkdir(parents=True)
        self.put(f"/dev/{name}", "")
        self.path(f"/sys/block/{name}/holders").mkdir(parents=True)
        if self.multipath:
            self.path(f"/sys/block/{name}/holders/dm-0").mkdir()
            self.put("/dev/dm-0", "")

    async def run(self, words: Sequence[str], data: bytes = b"", seconds: float = 60.0) -> Ended:
        """Programs of s390-tools, as the test says."""
        self.programs.append(list(words))
        answer = self.answers.get(words[0])
        return answer(words, data) if answer is not None else Ended(0, b"", "")


@dataclass
class FakeVmcp:
    """The vmcp driver: keeps the answer of a command until it is read, cut to the buffer."""

    answer: Callable[[str], CpAnswer]
    commands: list[str] = field(default_factory=list)
    buffers: list[int] = field(default_factory=list)
    _room: int = 4096
    _rc: int = 0
    _said: bytes = b""

    def control(self, request: int, value: int = 0) -> int:
        if request == vmcp.SETBUF:
            if not 4096 <= value <= vmcp.MAX_BUFFER:
                raise OSError(errno.EINVAL, "Invalid argument")
            self._room = value
            self.buffers.append(value)
            return value
        if request == vmcp.GETCODE:
            return self._rc
        if request == vmcp.GETSIZE:
            return len(self._said)
        raise OSError(errno.ENOTTY, struct.pack("I", request).hex())

    def write(self, data: bytes) -> None:
        if len(data) > vmcp.MAX_COMMAND:
            raise OSError(errno.EINVAL, "Invalid argument")
        self.commands.append(data.decode())
        answer = self.answer(data.decode())
        self._rc, self._said = answer.rc, "".join(f"{line}\n" for line in answer.lines).encode()

    def read(self, count: int) -> bytes:
        return self._said[: min(count, self._room)]

    def close(self) -> None:
        pass
