"""LINK, DETACH, ATTACH, DEFINE, COUPLE, UNCOUPLE."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.cp.messages import Message
from zvmcloud.directory import statements
from zvmcloud.directory.devices import Mdisk
from zvmcloud.directory.statements import LINK_MODES, MODE_SUFFIXES
from zvmcloud.simulator import guest_lans, guests, hotplug, network, storage
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, no_more, operand, size, userid, vdev
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Dasd, Nic, RealDevice

NIC_ALREADY_COUPLED = Message(2788 + 9, "NDC", "E", "Adapter {vdev} is already coupled")
CPU_DEFINED = Message(1457, "DFC", "E", "CPU {address} already exists")
CPU_LIMIT = Message(1460, "DFC", "E", "CPU {address} is above the maximum of {limit} CPUs")


def link(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """LINK [TO] owner vdev [AS] vdev [mode] [password]"""
    rest = [word for word in words if word not in ("TO", "AS")]
    owner = issuer.userid if rest[:1] == ["*"] else userid(rest, 0)
    owner_vdev, alias = vdev(rest, 1), vdev(rest, 2)
    mode = rest[3] if len(rest) > 3 else "RR"
    if mode not in {known + suffix for known in LINK_MODES for suffix in MODE_SUFFIXES}:
        raise CpRefused(messages.LINK_MODE_INVALID, mode=mode)
    password = rest[4].removeprefix("PASS=") if len(rest) > 4 else ""
    entry = issuer.system.entry(owner)
    if entry is None or not entry.is_machine:
        raise CpRefused(messages.NOT_IN_DIRECTORY, userid=owner)
    disk = entry.mdisk(owner_vdev)
    if disk is None:
        raise CpRefused(messages.LINK_NO_DISK, userid=owner, vdev=owner_vdev)
    if owner != issuer.userid and not issuer.links_without_password:
        _check_password(owner, disk, mode, password)
    device, remark = storage.attach(issuer.system, issuer.userid, owner, owner_vdev, alias, mode)
    access = "R/W" if device.write else "R/O"
    return [f"DASD {alias} LINKED {access}" + (f"; {remark}" if remark else "")]


def _check_password(owner: str, disk: Mdisk, mode: str, password: str) -> None:
    """A read link needs the read password, W the write, M the multiple one; ALL stands for no password needed."""
    needed = 0 if mode[0] == "R" else 1 if mode[0] == "W" else 2
    if needed >= len(disk.passwords):
        raise CpRefused(messages.LINK_NO_PASSWORD, userid=owner, vdev=disk.vdev)
    if disk.passwords[needed] not in ("ALL", password):
        raise CpRefused(messages.LINK_PASSWORD, userid=owner, vdev=disk.vdev)


def detach(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DETACH [NIC] vdev"""
    rest = [word for word in words if word not in ("NIC", "VIRTUAL")]
    address = vdev(rest, 0)
    no_more(rest, 1)
    device = issuer.machine.device(address)
    if isinstance(device, Dasd):
        storage.detach(issuer.system, issuer.userid, address)
        own = issuer.system.disks.get(storage.key(issuer.userid, device.owner_vdev))
        if own is not None and own.temporary and device.owner == issuer.userid:
            storage.delete_disk(issuer.system, issuer.userid, device.owner_vdev)
        return [f"DASD {address} DETACHED"]
    if isinstance(device, Nic):
        network.detach_nic(issuer.system, issuer.userid, address)
        return [f"NIC {address} is destroyed"]
    if isinstance(device, RealDevice):
        guests.take_device(issuer.system, issuer.userid, address)
        return [f"{device.kind} {address} DETACHED"]
    if device is not None:
        devices = tuple(item for item in issuer.machine.devices if item != device)
        issuer.system.machines.put(issuer.userid, replace(issuer.machine, devices=devices))
        return [f"{device.kind} {address} DETACHED"]
    raise CpRefused(messages.DEVICE_MISSING, module="DTV", vdev=address)


def attach(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """ATTACH rdev [TO] userid|* [AS] vdev"""
    rest = [word for word in words if word not in ("TO", "AS")]
    rdev = vdev(rest, 0)
    target = issuer.userid if rest[1:2] == ["*"] else userid(rest, 1)
    alias = vdev(rest, 2) if len(rest) > 2 else rdev
    device = guests.give_device(issuer.system, target, alias, rdev)
    return [f"{device.kind} {rdev} ATTACHED TO {target} {alias}"]


def define(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """DEFINE NIC, DEFINE VFB-512, DEFINE CPU, DEFINE STORAGE"""
    kind = operand(words, 0)
    if kind == "NIC":
        return _define_nic(issuer, words)
    if kind in ("VFB-512", "VFB"):
        return _define_vdisk(issuer, words)
    if kind == "CPU":
        return _define_cpu(issuer, words)
    if abbreviates(kind, "STORAGE", 4):
        return _define_storage(issuer, words)
    raise CpRefused(messages.INVALID_OPTION, module="DFN", option=kind if text else "")


def _define_nic(issuer: Issuer, words: Sequence[str]) -> list[str]:
    address = vdev(words, 1)
    rest = [word for word in words[2:] if word != "TYPE"]
    adapter = rest[0] if rest else "QDIO"
    if not (abbreviates(adapter, "HIPERSOCKETS", 5) or adapter in ("QDIO", "IEDN", "INMN")):
        raise CpRefused(messages.INVALID_OPTION, module="DFN", option=adapter)
    devices = rest[rest.index("DEVICES") + 1] if "DEVICES" in rest[:-1] else "3"
    if not devices.isdecimal() or not 3 <= int(devices) <= 3072:
        raise CpRefused(messages.OPERAND_INVALID, module="DFN")
    nic = Nic(address, network.new_mac(issuer.system), "HIPERS" if adapter[0] == "H" else adapter, int(devices))
    network.define_nic(issuer.system, issuer.userid, nic)
    last = f"{int(address, 16) + nic.devices - 1:04X}"
    return [f"NIC {address} is created; devices {address}-{last} defined"]


def _define_vdisk(issuer: Issuer, words: Sequence[str]) -> list[str]:
    rest = [word for word in words[1:] if word not in ("AS", "BLK")]
    address = vdev(rest, 0)
    blocks = operand(rest, 1)
    if not blocks.isdecimal() or not 1 <= int(blocks) <= 4194304:
        raise CpRefused(messages.OPERAND_INVALID, module="DFN")
    if issuer.machine.device(address) is not None:
        raise CpRefused(messages.VDEV_IN_USE, kind="DASD", vdev=address)
    disk = Mdisk(address, "FB-512", "V-DISK", None, int(blocks), "", "MW")
    storage.create_disk(issuer.system, issuer.userid, disk)
    storage.attach(issuer.system, issuer.userid, issuer.userid, address, address, "MW")
    return [f"DASD {address} DEFINED"]


def _define_cpu(issuer: Issuer, words: Sequence[str]) -> list[str]:
    machine = issuer.machine
    limit = issuer.entry.machine[1]
    cpus = list(machine.cpus)
    answers = []
    for word in words[1:]:
        if word in ("TYPE", "CP", "IFL", "ZIIP"):
            continue
        if not statements.vdev(word) or int(word, 16) > 63:
            raise CpRefused(messages.OPERAND_INVALID, module="DFC")
        address = word.rjust(2, "0")[-2:]
        if address in cpus:
            raise CpRefused(CPU_DEFINED, address=address)
        if len(cpus) >= limit:
            raise CpRefused(CPU_LIMIT, address=address, limit=limit)
        cpus.append(address)
        answers.append(f"CPU {address} defined")
    if not answers:
        raise CpRefused(messages.OPERAND_INVALID, module="DFC")
    for address in cpus[len(machine.cpus) :]:
        hotplug.define_cpu(issuer.system, issuer.userid, address)
    return answers


def _define_storage(issuer: Issuer, words: Sequence[str]) -> list[str]:
    rest = [word for word in words[1:] if word != "AS"]
    if rest[:1] and rest[0] in ("STANDBY", "INITIAL", "RESERVED"):
        return _define_standby(issuer, rest)
    kib = statements.storage_kib(operand(rest, 0))
    if kib is None or kib > issuer.machine.max_storage_kib:
        raise CpRefused(messages.OPERAND_INVALID, module="DST")
    machine = replace(issuer.machine, storage_kib=kib, system=None)
    issuer.system.machines.put(issuer.userid, machine)
    return [f"STORAGE = {rest[0]}", "Storage cleared - system reset."]


def _define_standby(issuer: Issuer, words: Sequence[str]) -> list[str]:
    """DEFINE STORAGE [INITIAL] STANDBY size|REMAINDER: it changes nothing that the running system has online."""
    system, machine = issuer.system, issuer.machine
    row = hotplug.hardware(system, machine)
    beyond = row.standby_kib + row.reserved_kib
    for kind, value in itertools.pairwise(words):
        if kind not in ("STANDBY", "RESERVED"):
            continue
        amount = beyond if value == "REMAINDER" else statements.storage_kib(value)
        if amount is None or amount > beyond:
            raise CpRefused(messages.OPERAND_INVALID, module="DST")
        hotplug.define_standby(system, machine, amount if kind == "STANDBY" else beyond - amount)
    row = hotplug.hardware(system, machine)
    return [
        (
            f"STORAGE = {size(row.online_kib)} MAX = {size(machine.max_storage_kib)} INC = 128M "
            f"STANDBY = {size(row.standby_kib)}  RESERVED = {size(row.reserved_kib)}"
        )
    ]


def couple(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """COUPLE vdev [TO] SYSTEM name"""
    rest = [word for word in words if word != "TO"]
    address = vdev(rest, 0)
    owner, name = operand(rest, 1), operand(rest, 2)
    owner = issuer.userid if owner == "*" else owner
    nic = network.nic(issuer.system, issuer.userid, address)
    if nic.lan_name:
        raise CpRefused(NIC_ALREADY_COUPLED, vdev=address)
    guest_lans.connect(issuer.system, issuer.userid, address, owner, name)
    kind = "VSWITCH" if owner == "SYSTEM" and name in issuer.system.vswitches else "LAN"
    return [f"NIC {address} is connected to {kind} {owner} {name}"]


def uncouple(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """UNCOUPLE vdev"""
    address = vdev(words, 0)
    no_more(words, 1)
    nic = network.nic(issuer.system, issuer.userid, address)
    network.uncouple(issuer.system, issuer.userid, address)
    return [
        f"NIC {address} is disconnected from VSWITCH SYSTEM {nic.lan_name}"
        if nic.lan_name
        else f"NIC {address} was not connected"
    ]


COMMANDS = (
    Command("LINK", 3, "G", link),
    Command("DETACH", 3, "BG", detach),
    Command("ATTACH", 3, "B", attach),
    Command("DEFINE", 3, "G", define),
    Command("COUPLE", 4, "G", couple),
    Command("UNCOUPLE", 6, "G", uncouple),
)
