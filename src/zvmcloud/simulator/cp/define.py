"""DEFINE: CPUs, storage, virtual disks, temporary disks, adapters; LAN and VSWITCH are in `networks`.

DEFINE STORAGE of another size resets the machine, as on z/VM; STANDBY and RESERVED change nothing that is online.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.directory.devices import Mdisk
from zvmcloud.images.tracks import MAX_CYLINDERS
from zvmcloud.simulator import channels, hotplug, network, storage
from zvmcloud.simulator.cp import lans, networks
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, chosen, number, operand, size, vdev
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Nic, UnitRecord

#: Blocks of 512 bytes of the largest virtual disk: 2 GiB.
MAX_VDISK = 4_194_304
CPU_TYPES = ("TYPE", "CP", "IFL", "ZIIP")
_UNIT_RECORDS = {"READER": "RDR", "RDR": "RDR", "PUNCH": "PUN", "PRINTER": "PRT", "CONSOLE": "CONS", "1403": "PRT"}


def define(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """DEFINE what ...: CpRefused 003E for what CP cannot define or the issuer's classes do not cover."""
    kind = operand(words, 0)
    found = chosen(_KINDS, kind, issuer)
    if found is not None:
        return found.handler(issuer, words[1:], text)
    if kind in _UNIT_RECORDS:
        return _unit_record(issuer, _UNIT_RECORDS[kind], words[1:])
    raise CpRefused(messages.INVALID_OPTION, module="DFN", option=kind)


def _free(issuer: Issuer, address: str, kind: str) -> None:
    if address in network.addresses_in_use(issuer.machine):
        raise CpRefused(messages.VDEV_IN_USE, kind=kind, vdev=address)


def _nic(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DEFINE NIC vdev [TYPE] [QDIO | HIPERSOCKETS] [DEVICES n] [MACID xxxxxx] [CHPID nn]

    MACID needs class B (another address than the system would choose).
    """
    address = vdev(words, 0)
    adapter, devices, mac_id, chpid = "QDIO", 3, "", ""
    rest = [word for word in words[1:] if word != "TYPE"]
    while rest:
        word = rest.pop(0)
        if abbreviates(word, "HIPERSOCKETS", 4):
            adapter = "HIPERS"
        elif word in ("QDIO", "IEDN", "INMN"):
            adapter = word
        elif abbreviates(word, "DEVICES", 3):
            devices = number(rest, 0, 3, 3072, "DFN")
            rest.pop(0)
        elif word == "MACID" and issuer.has("B"):
            mac_id = operand(rest, 0, "DFN").rjust(6, "0")
            if len(mac_id) != 6 or any(digit not in "0123456789ABCDEF" for digit in mac_id):
                raise CpRefused(messages.OPERAND_INVALID, module="DFN")
            rest.pop(0)
        elif word == "CHPID":
            chpid = vdev(rest, 0)[-2:]
            rest.pop(0)
        else:
            raise CpRefused(messages.INVALID_OPTION, module="DFN", option=word)
    if int(address, 16) + devices > 0x10000:
        raise CpRefused(messages.VDEV_INVALID, module="DFN")
    nic = Nic(address, network.new_mac(issuer.system, mac_id), adapter, devices, chpid)
    network.define_nic(issuer.system, issuer.userid, nic)
    last = f"{int(address, 16) + nic.devices - 1:04X}"
    return [f"NIC {address} is created; devices {address}-{last} defined"]


def _vdisk(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DEFINE VFB-512 [AS] vdev [BLK] blocks"""
    rest = [word for word in words if word not in ("AS", "BLK")]
    address = vdev(rest, 0)
    blocks = number(rest, 1, 1, MAX_VDISK, "DFN")
    return _disk(issuer, Mdisk(address, "FB-512", "V-DISK", None, blocks, "", "MW"))


def _temporary(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DEFINE T3390 [AS] vdev [CYL] cylinders: a disk that ends with the logon."""
    rest = [word for word in words if word not in ("AS", "CYL")]
    address = vdev(rest, 0)
    cylinders = number(rest, 1, 1, MAX_CYLINDERS, "DFN")
    return _disk(issuer, Mdisk(address, "3390", "T-DISK", None, cylinders, "", "MW"))


def _disk(issuer: Issuer, disk: Mdisk) -> list[str]:
    _free(issuer, disk.vdev, "DASD")
    if storage.key(issuer.userid, disk.vdev) in issuer.system.disks:
        # The machine's own minidisk of that number is detached at present, but still its own.
        raise CpRefused(messages.VDEV_IN_USE, kind="DASD", vdev=disk.vdev)
    storage.create_disk(issuer.system, issuer.userid, disk)
    storage.attach(issuer.system, issuer.userid, issuer.userid, disk.vdev, disk.vdev, "MW")
    return [f"DASD {disk.vdev} DEFINED"]


def _cpu(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DEFINE CPU nn ... | nn-nn [TYPE CP | IFL]: as many as the MACHINE statement allows."""
    machine = issuer.machine
    limit = issuer.entry.machine[1]
    new: list[str] = []
    for word in words:
        if word in CPU_TYPES:
            continue
        for address in _cpu_range(word):
            if address in machine.cpus or address in new:
                raise CpRefused(messages.CPU_EXISTS, address=address)
            if len(machine.cpus) + len(new) >= limit:
                raise CpRefused(messages.CPU_LIMIT, address=address, limit=limit)
            new.append(address)
    if not new:
        raise CpRefused(messages.OPERAND_INVALID, module="DFC")
    for address in new:
        hotplug.define_cpu(issuer.system, issuer.userid, address)
    return [f"CPU {address} defined" for address in new]


def _cpu_range(word: str) -> list[str]:
    low, _, high = word.partition("-")
    first, last = statements.vdev(low), statements.vdev(high or low)
    if first is None or last is None or not int(first, 16) <= int(last, 16) <= 63:
        raise CpRefused(messages.OPERAND_INVALID, module="DFC")
    return [f"{address:02X}" for address in range(int(first, 16), int(last, 16) + 1)]


def _storage(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DEFINE STORAGE [AS] size [STANDBY size] [RESERVED size], or INITIAL or STANDBY or RESERVED first"""
    rest = [word for word in words if word != "AS"]
    first = operand(rest, 0, "DST")
    if first in ("STANDBY", "INITIAL", "RESERVED"):
        return _standby(issuer, rest)
    machine = issuer.machine
    kib = statements.storage_kib(first)
    if kib is None or kib < 64:
        raise CpRefused(messages.OPERAND_INVALID, module="DST")
    if kib > machine.max_storage_kib:
        raise CpRefused(messages.STORAGE_LIMIT, storage=first, limit=size(machine.max_storage_kib))
    changed = replace(
        machine, storage_kib=kib, system=None, generation=issuer.system.next_number("generation"), paused=False
    )
    issuer.system.machines.put(issuer.userid, changed)
    lines = [f"STORAGE = {first}", "Storage cleared - system reset."]
    if len(rest) > 1:
        lines[:1] = _standby(issuer, rest[1:])
    return lines


def _standby(issuer: Issuer, words: Sequence[str]) -> list[str]:
    system = issuer.system
    row = hotplug.hardware(system, issuer.machine)
    beyond = row.standby_kib + row.reserved_kib
    given: dict[str, int] = {}
    rest = ["INITIAL", *words] if words[0] not in ("INITIAL", "STANDBY", "RESERVED") else list(words)
    for kind, value in itertools.pairwise([*rest, ""]):
        if kind not in ("STANDBY", "RESERVED"):
            if kind not in ("INITIAL", "REMAINDER") and statements.storage_kib(kind) is None:
                raise CpRefused(messages.INVALID_OPTION, module="DST", option=kind)
            continue
        amount = beyond - sum(given.values()) if value == "REMAINDER" else statements.storage_kib(value)
        if amount is None or kind in given:
            raise CpRefused(messages.OPERAND_INVALID, module="DST")
        given[kind] = amount
    if sum(given.values()) > beyond:
        raise CpRefused(messages.STORAGE_BEYOND, limit=size(beyond))
    if given:
        standby = given.get("STANDBY", beyond - given.get("RESERVED", 0))
        hotplug.define_standby(system, issuer.machine, standby)
    return [storage_line(issuer)]


def storage_line(issuer: Issuer) -> str:
    """STORAGE = 2G MAX = 64G INC = 128M STANDBY = 62G  RESERVED = 0G"""
    machine = issuer.machine
    row = hotplug.hardware(issuer.system, machine)
    return (
        f"STORAGE = {size(row.online_kib)} MAX = {size(machine.max_storage_kib)} INC = 128M "
        f"STANDBY = {size(row.standby_kib) if row.standby_kib else '0G'}  "
        f"RESERVED = {size(row.reserved_kib) if row.reserved_kib else '0G'}"
    )


def _ctca(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DEFINE CTCA [AS] vdev"""
    address = vdev([word for word in words if word != "AS"], 0)
    _free(issuer, address, "CTCA")
    channels.define(issuer.system, issuer.userid, address)
    return [f"CTCA {address} DEFINED"]


def _unit_record(issuer: Issuer, kind: str, words: Sequence[str]) -> list[str]:
    """DEFINE READER | PUNCH | PRINTER | CONSOLE [AS] vdev"""
    address = vdev([word for word in words if word != "AS"], 0)
    _free(issuer, address, kind)
    machine = issuer.machine
    unit = UnitRecord(address, kind, "*" if kind == "RDR" else "T" if kind == "CONS" else "A")
    issuer.system.machines.put(issuer.userid, replace(machine, devices=(*machine.devices, unit)))
    return [f"{kind:<4} {address} DEFINED"]


_KINDS = (
    Command("NIC", 3, "G", _nic),
    Command("VFB-512", 3, "G", _vdisk),
    Command("T3390", 5, "G", _temporary),
    Command("CPU", 3, "G", _cpu),
    Command("STORAGE", 4, "G", _storage),
    Command("STORE", 5, "G", _storage),
    Command("CTCA", 4, "G", _ctca),
    Command("VSWITCH", 3, "B", networks.define_vswitch),
    Command("LAN", 3, "BG", lans.define_lan),
)
COMMANDS = (Command("DEFINE", 3, "BG", define),)
