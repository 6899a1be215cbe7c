"""LINK, DETACH, ATTACH: disks and real devices.

DETACH of a LAN or a VSWITCH is in `networks`. Judgement: the wording of the answers about devices that are
taken from another user; LINK, ATTACH and DETACH of own devices are as the references show them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory.devices import Mdisk
from zvmcloud.directory.operands import LINK_MODES, MODE_SUFFIXES
from zvmcloud.simulator import channels, dasd, guests, hotplug, network, storage
from zvmcloud.simulator.cp import lans, networks
from zvmcloud.simulator.cp.language import (
    Command,
    Issuer,
    device_list,
    is_device_list,
    logged_on,
    operand,
    rdev,
    userid,
    vdev,
)
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Ctca, Dasd, Nic, RealDevice

_MODES = {known + suffix for known in LINK_MODES for suffix in MODE_SUFFIXES}


def link(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """LINK [TO] owner vdev [AS] vdev [mode] [password]

    Without a mode one gets R, on an own disk the mode of its MDISK statement.
    """
    rest = [word for word in words if word not in ("TO", "AS")]
    owner = issuer.userid if rest[:1] == ["*"] else userid(rest, 0)
    owner_vdev, alias = vdev(rest, 1), vdev(rest, 2)
    mode = rest[3] if len(rest) > 3 else ""
    if mode and mode not in _MODES:
        raise CpRefused(messages.LINK_MODE_INVALID, mode=mode)
    password = rest[4].removeprefix("PASS=") if len(rest) > 4 else ""
    entry = issuer.system.entry(owner)
    if entry is None or not entry.is_machine:
        raise CpRefused(messages.NOT_IN_DIRECTORY, userid=owner)
    disk = entry.mdisk(owner_vdev)
    if disk is None:
        raise CpRefused(messages.LINK_NO_DISK, userid=owner, vdev=owner_vdev)
    mode = mode or (disk.mode if owner == issuer.userid and disk.mode in _MODES else "R")
    if disk.placement == "PERM" and not dasd.mounted(issuer.system, disk.volser):
        raise CpRefused(messages.LINK_VOLUME_OFFLINE, userid=owner, vdev=owner_vdev, volser=disk.volser)
    if owner != issuer.userid and not issuer.links_without_password:
        _check_password(owner, disk, mode, password)
    device, remark = storage.attach(issuer.system, issuer.userid, owner, owner_vdev, alias, mode)
    access = "R/W" if device.write else "R/O"
    return [f"DASD {alias} LINKED {access}" + (f"; {remark}" if remark else "")]


def _check_password(owner: str, disk: Mdisk, mode: str, password: str) -> None:
    """A read link needs the read password, W the write, M the multiple one; ALL stands for no password needed."""
    needed = {"R": 0, "W": 1, "M": 2}.get(mode[0] if mode[0] in "RWM" else mode[1], 2)
    if needed >= len(disk.passwords):
        raise CpRefused(messages.LINK_NO_PASSWORD, userid=owner, vdev=disk.vdev)
    if disk.passwords[needed] not in ("ALL", password):
        raise CpRefused(messages.LINK_PASSWORD, userid=owner, vdev=disk.vdev)


def detach(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DETACH [VIRTUAL] vdev ... | NIC vdev | CPU nn | LAN name | VSWITCH name, with class B rdev [FROM] userid"""
    kind = operand(words, 0)
    if kind == "LAN":
        return lans.detach_lan(issuer, words[1:])
    if kind == "VSWITCH" and issuer.has("B"):
        return networks.detach_vswitch(issuer, words[1:])
    if kind == "CPU":
        return _detach_cpus(issuer, words[1:])
    if kind == "NIC":
        address = vdev(words, 1)
        network.nic(issuer.system, issuer.userid, address)
        return [_detach_one(issuer, address)]
    rest = [word for word in words if word not in ("VIRTUAL", "FROM")]
    others = [word for word in rest if not is_device_list(word)]
    if issuer.has("B") and (others or "FROM" in words):
        return _detach_real(issuer, rest)
    lines: list[str] = []
    for position in range(max(len(rest), 1)):
        lines += [_detach_one(issuer, address) for address in device_list(rest, position, real=False)]
    return lines


def _detach_cpus(issuer: Issuer, words: Sequence[str]) -> list[str]:
    machine = issuer.machine
    wanted = list(machine.cpus[1:]) if words[:1] == ["ALL"] else []
    for position in range(0 if wanted or words[:1] == ["ALL"] else max(len(words), 1)):
        word = vdev(words, position)[-2:]
        if word not in machine.cpus:
            raise CpRefused(messages.CPU_MISSING, address=word)
        if word == machine.cpus[0]:
            raise CpRefused(messages.CPU_BASE, address=word)
        if word not in wanted:
            wanted.append(word)
    for address in wanted:
        hotplug.detach_cpu(issuer.system, issuer.userid, address)
    return [f"CPU {address} detached" for address in wanted]


def _detach_one(issuer: Issuer, address: str) -> str:
    system, name = issuer.system, issuer.userid
    device = issuer.machine.device(address)
    if isinstance(device, Dasd):
        storage.detach(system, name, address)
        own = system.disks.get(storage.key(name, device.owner_vdev))
        if own is not None and own.temporary and device.owner == name:
            storage.delete_disk(system, name, device.owner_vdev)
        return f"DASD {address} DETACHED"
    if isinstance(device, Nic):
        network.detach_nic(system, name, address)
        last = int(address, 16) + device.devices - 1
        return f"NIC {address} is destroyed; devices {address}-{last:04X} detached"
    if isinstance(device, RealDevice):
        guests.take_device(system, name, address)
        return f"{device.kind:<4} {address} DETACHED"
    if isinstance(device, Ctca):
        channels.detach(system, name, address)
        return f"CTCA {address} DETACHED"
    if device is not None:
        devices = tuple(item for item in issuer.machine.devices if item != device)
        system.machines.put(name, replace(issuer.machine, devices=devices))
        return f"{device.kind:<4} {address} DETACHED"
    raise CpRefused(messages.DEVICE_MISSING, module="DTV", vdev=address)


def _detach_real(issuer: Issuer, words: Sequence[str]) -> list[str]:
    """DETACH rdev ... [FROM] userid | SYSTEM"""
    system = issuer.system
    addresses = [address for position in range(len(words) - 1) for address in device_list(words, position)]
    if not addresses:
        raise CpRefused(messages.RDEV_INVALID, module="DTR")
    if words[-1] == "SYSTEM":
        return [_detach_volume(issuer, address) for address in addresses]
    machine = logged_on(issuer, words, len(words) - 1)
    lines = []
    for address in addresses:
        held = next((item for item in machine.devices if isinstance(item, RealDevice) and item.rdev == address), None)
        if held is None:
            if not dasd.exists(system, address):
                raise CpRefused(messages.DEVICE_MISSING, module="DTR", vdev=address)
            raise CpRefused(
                messages.REAL_NOT_ATTACHED, kind=_kind(issuer, address), rdev=address, userid=machine.userid
            )
        guests.take_device(system, machine.userid, held.vdev)
        lines.append(f"{held.kind:<4} {address} DETACHED {machine.userid} {held.vdev}")
    return lines


def _detach_volume(issuer: Issuer, address: str) -> str:
    disk = dasd.find(issuer.system, address)
    if disk is None:
        raise CpRefused(messages.DEVICE_MISSING, module="DTR", vdev=address)
    if disk.status == "OWNED":
        raise CpRefused(messages.REAL_IN_USE, module="DTR", kind="DASD", rdev=address, owner="CP")
    if disk.status != "SYSTEM":
        raise CpRefused(messages.REAL_NOT_ATTACHED, kind="DASD", rdev=address, userid="SYSTEM")
    dasd.unmount(issuer.system, address)
    return f"DASD {address} DETACHED SYSTEM"


def _kind(issuer: Issuer, address: str) -> str:
    system = issuer.system
    return "OSA" if address in system.osas else "FCP" if address in system.fcps else "DASD"


def attach(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """ATTACH rdev[-rdev] [TO] userid | * | SYSTEM [AS] [vdev | volser] [R/O | R/W]"""
    rest = [word for word in words if word not in ("TO", "AS", "R/W", "R/O", "READONLY", "MULTIUSER")]
    readonly = "R/O" in words or "READONLY" in words
    addresses = device_list(rest, 0)
    if rest[1:2] == ["SYSTEM"]:
        return [_attach_volume(issuer, address, rest[2:]) for address in addresses]
    machine = logged_on(issuer, rest, 1)
    first = int(vdev(rest, 2), 16) if len(rest) > 2 else int(addresses[0], 16)
    if len(rest) > 3:
        raise CpRefused(messages.EXCESS_OPTION, module="ATR", option=rest[3])
    if first + len(addresses) > 0x10000:
        raise CpRefused(messages.VDEV_INVALID, module="ATR")
    lines = []
    for offset, address in enumerate(addresses):
        alias = f"{first + offset:04X}"
        _must_be_free(issuer, address)
        device = guests.give_device(issuer.system, machine.userid, alias, address, readonly=readonly)
        devctl = " WITH DEVCTL" if device.kind == "DASD" else ""
        lines.append(f"{device.kind:<4} {address} ATTACHED TO {machine.userid} {alias}{devctl}")
    return lines


def _must_be_free(issuer: Issuer, address: str) -> None:
    """CpRefused: no such device (40), offline (46), attached (122), CP's own or a VSWITCH's (125)."""
    system = issuer.system
    found = system.osas.get(address) or system.fcps.get(address)
    if found is not None:
        kind = "OSA" if address in system.osas else "FCP"
        if not found.online:
            raise CpRefused(messages.DEVICE_OFFLINE, kind=kind, rdev=address)
        if found.owner:
            raise CpRefused(messages.REAL_ATTACHED, kind=kind, rdev=address, userid=found.owner)
        return
    disk = dasd.find(system, address)
    if disk is None:
        raise CpRefused(messages.DEVICE_MISSING, module="ATR", vdev=address)
    if disk.status == "OFFLINE":
        raise CpRefused(messages.DEVICE_OFFLINE, kind="DASD", rdev=address)
    if disk.status == "ATTACHED":
        raise CpRefused(messages.REAL_ATTACHED, kind="DASD", rdev=address, userid=disk.owner)
    if disk.status != "FREE":
        raise CpRefused(messages.REAL_IN_USE, kind="DASD", rdev=address, owner="CP")


def _attach_volume(issuer: Issuer, address: str, words: Sequence[str]) -> str:
    """ATTACH rdev SYSTEM: minidisks of the volume can be used from now on."""
    _must_be_free(issuer, address)
    disk = dasd.find(issuer.system, address)
    if disk is None:
        raise CpRefused(messages.DEVICE_TYPE_WRONG, module="ATR", vdev=address)
    volser = disk.volser or (words[0] if words else "")
    if not volser or (words and words[0] != volser):
        raise CpRefused(messages.OPERAND_INVALID, module="ATR")
    other = issuer.system.volumes.get(volser)
    if other is not None and other.rdev != address:
        raise CpRefused(messages.REAL_IN_USE, kind="Volume", rdev=volser, owner=other.rdev)
    dasd.mount(issuer.system, address, volser)
    return f"DASD {address} ATTACHED TO SYSTEM {volser}"


def give(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """GIVE rdev [TO] userid: hands on a tape drive; there are none, so every device is of the wrong type"""
    address = rdev(words, 0)
    if not dasd.exists(issuer.system, address):
        raise CpRefused(messages.DEVICE_MISSING, module="GIV", vdev=address)
    raise CpRefused(messages.DEVICE_TYPE_WRONG, module="GIV", vdev=address)


COMMANDS = (
    Command("GIVE", 3, "B", give),
    Command("LINK", 3, "G", link),
    Command("DETACH", 3, "BG", detach),
    Command("ATTACH", 3, "B", attach),
)
