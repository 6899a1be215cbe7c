"""The files that commands inside a guest see: those it keeps, and what /proc, /sys and /dev show of its devices.

    /etc/hostname, /etc/os-release, /etc/iucv_authorized_userid, /proc/cmdline, /proc/dasd/devices
    /sys/bus/ccw/drivers/zfcp/0.0.1a00/            online, port_rescan, hostN/.../port_type, one folder per port
    /sys/bus/ccw/drivers/zfcp/0.0.1a00/0x500.../   unit_add, unit_remove, one folder per unit
    /sys/module/zfcp/parameters/, /sys/class/scsi_host/, /sys/bus/ccw/devices/0.0.*/
    /dev/disk/by-path/, /dev/mapper/, /dev/sd*, /dev/dasd*

Writing to unit_add and unit_remove brings SCSI disks online and takes them away. Source of the zfcp files: the Linux
kernel's zfcp driver, as the connector's scripts use them (reference/connector/flows.md 7).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from zvmcloud.simulator import guest_disks, guest_memory, luns
from zvmcloud.simulator.model import GuestSystem, Machine, Remembered
from zvmcloud.simulator.system import System

_ZFCP = re.compile(
    r"/sys/bus/ccw/(?:drivers/zfcp|devices)/0\.0\.(?P<vdev>[0-9a-f]{4})"
    r"(?:/0x(?P<wwpn>[0-9a-f]{16})(?:/0x(?P<lun>[0-9a-f]{16}))?)?(?:/(?P<leaf>[a-z_]+))?/?",
    re.IGNORECASE,
)
_UNIT = re.compile(r"\s*(?:0x)?([0-9a-fA-F]{16})\s*")
#: Files below /sys that are there to be written to, and what they say when they are read.
_ATTRIBUTES = frozenset({"unit_add", "unit_remove", "port_rescan", "uevent", "online", "scan"})
_PARAMETERS = {"allow_lun_scan": "N\n", "no_auto_port_rescan": "N\n"}
_AUTHORIZED = "/etc/iucv_authorized_userid"
FSTAB = "/etc/fstab"


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one guest. Nothing is kept here: every call looks at the model."""

    system: System
    userid: str

    @property
    def machine(self) -> Machine:
        return self.system.machines[self.userid]

    @property
    def running(self) -> GuestSystem:
        running = self.machine.system
        assert running is not None  # noqa: S101 (only a guest whose system runs has files)
        return running

    @property
    def memory(self) -> Remembered:
        return guest_memory.get(self.system, self.running.root)

    def _remember(self, changed: Remembered) -> None:
        guest_memory.put(self.system, self.running.root, changed)

    # -- reading ------------------------------------------------------------------------------------------------------

    def read(self, path: str) -> str | None:
        """The text of a file; None when there is none."""
        path = _normal(path)
        fixed = self._fixed(path)
        if fixed is not None:
            return fixed
        if path in ("/dev/null", "/dev/zero"):
            return ""
        found = _ZFCP.fullmatch(path)
        if found and found["leaf"] and self._zfcp_exists(found):
            return f"{int(found['vdev'].upper() in self.machine.fcps)}\n" if found["leaf"] == "online" else ""
        return guest_memory.text(self.memory, path)

    def _fixed(self, path: str) -> str | None:
        running, memory = self.running, self.memory
        if path == "/etc/os-release" and running.release:
            return running.release
        if path == "/etc/hostname":
            return f"{memory.hostname or running.hostname or 'localhost'}\n"
        if path == _AUTHORIZED:
            return memory.authorized or None
        if path == "/proc/cmdline":
            return f"{running.cmdline}\n"
        if path == "/proc/dasd/devices":
            return "".join(f"{line}\n" for line in guest_disks.dasd_lines(self.system, self.machine))
        if path == "/proc/mounts":
            root = f"{guest_disks.root_device(self.system, self.machine)} / ext4 rw 0 0\n"
            return root + "".join(f"{node} {at} auto rw 0 0\n" for node, at in self.mounts() if at.startswith("/"))
        if path == "/proc/swaps":
            swaps = "".join(f"{node} partition\n" for node, at in self.mounts() if not at.startswith("/"))
            return f"Filename Type\n{swaps}"
        if path.startswith("/sys/module/zfcp/parameters/"):
            return _PARAMETERS.get(path.rpartition("/")[2])
        if path.endswith("/port_type") and "/fc_host/" in path:
            found = re.search(r"0\.0\.([0-9a-f]{4})", path, re.IGNORECASE)
            own = luns.device(self.machine, found[1].upper()) if found else None
            fcp = self.system.fcps.get(own.rdev) if own else None
            return None if fcp is None else "NPIV VPORT\n" if fcp.npiv else "NPort (fabric via point-to-point)\n"
        return None

    def mounts(self) -> list[tuple[str, str]]:
        """Device nodes that are mounted beside the root, and where; those of disks that are gone are not."""
        rows = [row.partition(" ") for row in self.running.mounts]
        found = [(guest_disks.resolve(self.system, self.machine, device), target) for device, _, target in rows]
        return [(node, target) for node, target in found if node]

    def exists(self, path: str) -> bool:
        return self.is_folder(path) or self.is_device(path) or self.read(path) is not None

    def is_device(self, path: str) -> bool:
        """Whether the path is a disk, by whichever of its names."""
        return guest_disks.resolve(self.system, self.machine, _normal(path)) != ""

    def is_folder(self, path: str) -> bool:
        path = _normal(path)
        found = _ZFCP.fullmatch(path)
        if found and not found["leaf"]:
            return self._zfcp_exists(found)
        group, _, name = path.rpartition("/")
        if group == "/sys/bus/ccwgroup/devices":
            return name in self.folder(group)
        return path in ("/", "/etc", "/root", "/var", "/sys", "/proc", "/dev") or bool(self.folder(path))

    def _zfcp_exists(self, found: re.Match[str]) -> bool:
        vdev = found["vdev"].upper()
        if luns.device(self.machine, vdev) is None:
            return self.machine.device(vdev) is not None and "drivers/zfcp" not in found[0] and not found["wwpn"]
        if found["leaf"] and found["leaf"] not in _ATTRIBUTES:
            return False
        if not found["wwpn"]:
            return True
        if found["wwpn"].lower() not in luns.ports(self.system, self.machine, vdev):
            return False
        return not found["lun"] or f"{vdev} {found['wwpn'].upper()} {found['lun'].upper()}" in self.machine.units

    def folder(self, path: str) -> list[str]:
        """The names in a folder; empty when there is none."""
        path = _normal(path)
        machine = self.machine
        found = _ZFCP.fullmatch(path)
        if found and not found["leaf"] and self._zfcp_exists(found) and "drivers/zfcp" in path:
            vdev = found["vdev"].upper()
            if found["wwpn"]:
                units = [item.split() for item in machine.units]
                own = [lun for device, wwpn, lun in units if (device, wwpn) == (vdev, found["wwpn"].upper())]
                return sorted(["unit_add", "unit_remove", *(f"0x{lun.lower()}" for lun in own)])
            names = ["online", "port_rescan", *(f"0x{port}" for port in luns.ports(self.system, machine, vdev))]
            return sorted([*names, *([f"host{machine.fcps.index(vdev)}"] if vdev in machine.fcps else [])])
        if path == "/sys/class/scsi_host":
            return [f"host{number}" for number in range(len(machine.fcps))]
        if path == "/sys/bus/ccwgroup/devices":
            return [f"0.0.{vdev.lower()}" for vdev in self.running.qeths]
        if path == "/sys/bus/ccw/devices":
            return [f"0.0.{device.vdev.lower()}" for device in machine.devices]
        if path.startswith("/dev"):
            return guest_disks.names(self.system, machine, path)
        prefix = "/" if path == "/" else f"{path}/"
        return sorted(
            {name.removeprefix(prefix).split("/")[0] for name, _ in self.memory.files if name.startswith(prefix)}
        )

    def names(self) -> list[str]:
        """The absolute names of all files that are kept."""
        always = ["/etc/hostname", *(["/etc/os-release"] if self.running.release else [])]
        return sorted({*always, *(name for name, _ in self.memory.files)})

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, path: str, text: str, *, append: bool = False) -> str:
        """Write to a file. Gives what went wrong, in the words of Linux; empty when nothing did."""
        path = _normal(path)
        if path.startswith("/dev/"):
            return (
                ""
                if path in ("/dev/null", "/dev/stderr", "/dev/stdout", "/dev/kmsg", "/dev/console")
                else "Permission denied"
            )
        if path.startswith("/sys/"):
            return self._write_attribute(path, text)
        if path.startswith("/proc/"):
            return "" if path == "/proc/cio_ignore" else "Permission denied"
        memory = self.memory
        if path == _AUTHORIZED:
            self._remember(replace(memory, authorized=text.strip()[:16]))
            running = replace(self.running, authorized=text.strip()[:16])
            self.system.machines.put(self.userid, replace(self.machine, system=running))
            return ""
        if path == "/etc/hostname":
            self.set_hostname(text.strip())
            return ""
        before = guest_memory.text(memory, path) or "" if append else ""
        changed = guest_memory.with_file(memory, path, before + text)
        if changed is None:
            return "No space left on device"
        self._remember(changed)
        return ""

    def set_hostname(self, name: str) -> None:
        """What hostnamectl does; a name that is none changes nothing."""
        if re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name):
            self._remember(replace(self.memory, hostname=name))
            running = replace(self.running, hostname=name)
            self.system.machines.put(self.userid, replace(self.machine, system=running))

    def remove(self, path: str) -> bool:
        """Remove a file; False when there was none."""
        path = _normal(path)
        memory = self.memory
        if path == _AUTHORIZED and memory.authorized:
            self._remember(replace(memory, authorized=""))
            return True
        if guest_memory.text(memory, path) is None:
            return False
        self._remember(guest_memory.without_file(memory, path))
        return True

    def _write_attribute(self, path: str, text: str) -> str:
        if path.startswith("/sys/class/scsi_host/") and path.endswith("/scan"):
            return ""
        found = _ZFCP.fullmatch(path)
        if found is None or not found["leaf"] or not self._zfcp_exists(found):
            return "No such file or directory"
        vdev, leaf = found["vdev"].upper(), found["leaf"]
        try:
            if leaf == "online" and luns.device(self.machine, vdev) is not None:
                luns.set_online(self.system, self.userid, vdev, online=text.strip() == "1")
            elif leaf in ("unit_add", "unit_remove"):
                unit = _UNIT.fullmatch(text)
                if unit is None:
                    return "Invalid argument"
                item = f"{vdev} {found['wwpn'].upper()} {unit[1].upper()}"
                if leaf == "unit_add":
                    luns.add(self.system, self.userid, item)
                elif not luns.remove(self.system, self.userid, item):
                    return "Invalid argument"
        except luns.NoUnit:
            return "No such device"
        return ""


def _normal(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
