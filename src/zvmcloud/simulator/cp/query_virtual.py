"""QUERY VIRTUAL: the issuer's own devices, CPUs and storage.

Lines of disks and adapters as reference/connector/cp_corpus.md shows them: word 6 of a disk's line is its size, word 7
the unit. The further lines of unit record devices are knowledge of CP (judgement).
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.simulator import dasd, loaddev, network, storage
from zvmcloud.simulator.cp import define
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, device_list, size, vdev
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Ctca, Dasd, Device, Machine, Nic, RealDevice, UnitRecord
from zvmcloud.simulator.system import System
from zvmcloud.simulator.traffic import Counters, adapter_traffic

_ROLES = ("CTL-READ ", "CTL-WRITE", "DATA     ")


def find(machine: Machine, address: str) -> Device:
    """A device by its number, or the adapter whose device it is. CpRefused 040E."""
    found = machine.device(address)
    if found is not None:
        return found
    for nic in machine.nics:
        if int(nic.vdev, 16) <= int(address, 16) < int(nic.vdev, 16) + nic.devices:
            return nic
    raise CpRefused(messages.DEVICE_MISSING, vdev=address)


def device_lines(system: System, machine: Machine, device: Device, address: str = "") -> list[str]:
    """What QUERY VIRTUAL says of one device; of an adapter, of the device with that number or of all of them."""
    if isinstance(device, Dasd):
        return [dasd_line(system, device)]
    if isinstance(device, Nic):
        return _nic_lines(machine, device, address)
    if isinstance(device, RealDevice):
        return _real_lines(system, machine, device)
    if isinstance(device, Ctca):
        tail = f"COUPLED TO {device.peer} {device.peer_vdev}" if device.peer else "NOT COUPLED"
        return [f"CTCA {device.vdev} {tail}"]
    return _unit_lines(system, machine, device)


def _subchannel(machine: Machine, device: Device, offset: int = 0) -> str:
    position = 0
    for item in machine.devices:
        if item == device:
            break
        position += item.devices if isinstance(item, Nic) else 1
    return f"{position + offset:04X}"


def _nic_lines(machine: Machine, nic: Nic, address: str) -> list[str]:
    base = int(nic.vdev, 16)
    offsets = [int(address, 16) - base] if address else list(range(nic.devices))
    lines = []
    for offset in offsets:
        vdev_shown = f"{base + offset:04X}"
        lines += [
            (
                f"OSA  {vdev_shown} ON NIC  {nic.vdev}  UNIT {offset:03X} "
                f"SUBCHANNEL = {_subchannel(machine, nic, offset)}"
            ),
            (
                f"     {vdev_shown} DEVTYPE {'HIPER' if nic.adapter_type == 'HIPERS' else 'OSA':<11} VIRTUAL CHPID "
                f"{nic.chpid or 'FF'} {'IQD' if nic.adapter_type == 'HIPERS' else 'OSD'}"
            ),
            f"     {vdev_shown} QDIO-ELIGIBLE       QIOASSIST-ELIGIBLE",
        ]
    return lines


def _real_lines(system: System, machine: Machine, device: RealDevice) -> list[str]:
    subchannel = _subchannel(machine, device)
    if device.kind == "DASD":
        disk = dasd.find(system, device.rdev)
        if disk is not None:
            unit = "BLK" if disk.device_type == "9336" else "CYL"
            access = "R/O" if device.readonly else "R/W"
            return [
                (
                    f"DASD {device.vdev} {disk.device_type:<4} {disk.volser or '......':<6} {access} "
                    f"{disk.size:>10} {unit} ON DASD  {device.rdev} SUBCHANNEL = {subchannel}"
                )
            ]
    lines = [f"{device.kind:<4} {device.vdev} ON {device.kind:<5} {device.rdev} SUBCHANNEL = {subchannel}"]
    osa, fcp = system.osas.get(device.rdev), system.fcps.get(device.rdev)
    if osa is not None:
        lines.append(f"     {device.vdev} DEVTYPE OSA         CHPID {osa.chpid} OSD")
    if fcp is not None:
        lines.append(f"     {device.vdev} DEVTYPE FCP         CHPID {fcp.chpid} FCP")
    if osa is not None or fcp is not None:
        lines.append(f"     {device.vdev} QDIO-ELIGIBLE       QIOASSIST-ELIGIBLE")
    if fcp is not None:
        lines.append(f"     WWPN {fcp.npiv or fcp.physical}")
    return lines


def _unit_lines(system: System, machine: Machine, unit: UnitRecord) -> list[str]:
    address, to, kind = unit.vdev, unit.to or machine.userid, unit.kind
    hold, cont = "HOLD" if unit.held else "NOHOLD", "CONT" if unit.continuous else "NOCONT"
    keep = "KEEP" if unit.kept else "NOKEEP"
    entry = system.entry(machine.userid)
    account = unit.distribution or (entry.name if entry is not None else machine.userid)
    tail = f"SUBCHANNEL = {_subchannel(machine, unit)}"
    if kind == "RDR":
        return [
            f"RDR  {address} CL {unit.spool_class} {cont:<6} {hold:<6}   EOF        READY",
            f"     {address} 2540             CLOSED    {keep} NORESCAN {tail}",
        ]
    spooled = f"{address} CL {unit.spool_class} {cont:<6} {hold:<6} COPY {unit.copies:03d}    READY FORM {unit.form}"
    lines = [f"{kind:<4} {spooled}"]
    if kind == "CONS":
        lines = [f"CONS {address} DISCONNECTED TERM {'STOP' if unit.stopped else 'START'}", f"     {spooled}"]
    device_type = {"CONS": "3215", "PUN": "2540", "PRT": "1403"}[kind]
    where = "RDR" if unit.to or kind == "CONS" else kind
    name = f"NAME {unit.name} {unit.filetype}".rstrip() if unit.name else "NONAME"
    return [
        *lines,
        f"     {address} TO {to:<8} {where} DIST {account:<8} DEST OFF",
        f"     {address} FLASH         000 CHAR      MDFY     0 FCB",
        f"     {address} {device_type}    NOEOF CLOSED    {keep} NOMSG {name}",
        f"     {address} {tail}",
    ]


def dasd_line(system: System, device: Dasd) -> str:
    """DASD 0100 3390 LX0001 R/W       3338 CYL ON DASD  6000 SUBCHANNEL = 0003"""
    disk = system.disks.get(storage.key(device.owner, device.owner_vdev))
    kind, blocks, volser, rdev = "3390", 0, "?", "0000"
    unit = "CYL"
    if disk is not None:
        kind = "9336" if disk.kind == "FBA" else disk.device_type
        unit = "BLK" if disk.kind == "FBA" else "CYL"
        blocks = disk.size
        volume = system.volumes.get(disk.volser)
        volser = f"({disk.temporary})" if disk.temporary else disk.volser
        rdev = "VDSK" if disk.temporary == "VDSK" else volume.rdev if volume else "0000"
    access = "R/W" if device.write else "R/O"
    return (
        f"DASD {device.vdev} {kind:<4} {volser:<6} {access} {blocks:>10} {unit} ON DASD  {rdev} "
        f"SUBCHANNEL = {device.subchannel:04X}"
    )


#: What QUERY VIRTUAL lists by kind: name, shortest form, the kind in the model.
_KINDS = (
    ("CONSOLE", 3, "CONS"), ("READER", 1, "RDR"), ("RDR", 2, "RDR"), ("PUNCH", 2, "PUN"), ("PRINTER", 2, "PRT"),
    ("PRT", 3, "PRT"), ("UR", 2, "UR"), ("OSA", 3, "OSA"), ("FCP", 3, "FCP"), ("CTCA", 4, "CTCA"), ("DASD", 2, "DASD"),
    # No machine has any of these.
    ("TAPES", 2, "TAPE"), ("GRAF", 2, "GRAF"), ("LINES", 2, "LINE"), ("SWITCHES", 3, "SWCH"),
)  # fmt: skip


def virtual(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """QUERY VIRTUAL ALL | DASD | NIC | CPUS | STORAGE | OSA | FCP | UR | ... | device numbers"""
    what = words[0] if words else "ALL"
    machine, system = issuer.machine, issuer.system
    if what == "NIC":
        return nics(issuer, words[1:], text)
    if abbreviates(what, "STORAGE", 4) or what == "STORE":
        return [f"STORAGE = {size(machine.storage_kib)}"]
    if abbreviates(what, "XSTORE", 2) or what == "XSTORAGE":
        return ["XSTORE = none"]
    if what in ("CPUS", "CPU"):
        return cpus(issuer, words[1:], text)
    if what == "ALL":
        lines = [f"STORAGE = {size(machine.storage_kib)}", "XSTORE = none", *cpus(issuer, (), text)]
        for device in machine.devices:
            lines += device_lines(system, machine, device)
        return lines
    kind = next((kind for name, shortest, kind in _KINDS if abbreviates(what, name, shortest)), "")
    if kind:
        found = [device for device in machine.devices if _is(device, kind)]
        if not found:
            raise CpRefused(messages.DEVICE_MISSING, vdev=kind)
        return [line for device in found for line in device_lines(system, machine, device)]
    lines = []
    for position in range(len(words)):
        for address in device_list(words, position, real=False):
            lines += device_lines(system, machine, find(machine, address), address)
    return lines


def _is(device: Device, kind: str) -> bool:
    if isinstance(device, UnitRecord):
        return kind in ("UR", device.kind)
    if isinstance(device, RealDevice):
        return device.kind == kind
    if isinstance(device, Nic):
        return kind == "OSA"
    return kind == ("CTCA" if isinstance(device, Ctca) else "DASD")


def nics(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY [VIRTUAL] NIC [vdev | ALL] [DETAILS]; the last word of an adapter's second line is its LAN"""
    details = bool(words) and abbreviates(words[-1], "DETAILS", 3)
    rest = [word for word in (words[:-1] if details else words) if word != "ALL"]
    wanted = vdev(rest, 0) if rest else ""
    system, machine = issuer.system, issuer.machine
    lines: list[str] = []
    for nic in machine.nics:
        if wanted and not int(nic.vdev, 16) <= int(wanted, 16) < int(nic.vdev, 16) + nic.devices:
            continue
        is_switch = nic.lan_owner in ("SYSTEM", "") and nic.lan_name in system.vswitches
        lan = f"{'VSWITCH' if is_switch else 'LAN'}: {nic.lan_owner} {nic.lan_name}" if nic.lan_name else "LAN: *"
        lines.append(f"Adapter {nic.vdev}.P00 Type: {nic.adapter_type:<9} Name: UNASSIGNED  Devices: {nic.devices}")
        lines.append(f"  MAC: {network.mac_text(nic.mac)}         {lan}")
        if details:
            lines += counter_lines(adapter_traffic(system, machine, nic), "  ")
            state = "Session Established" if _is_up(machine, nic) else "Startup" if nic.lan_name else "Session ended"
            lines.append(f"  Connection Name: HALLOLE   State: {state}")
            for offset in range(min(nic.devices, 3)):
                lines.append(
                    f"    Device: {int(nic.vdev, 16) + offset:04X}  Unit: {offset:03d}   Role: {_ROLES[offset].strip()}"
                    + (f"       Port: {port(nic):04d}" if offset == 2 and nic.lan_name else "")
                )
            lines += address_lines(machine, nic)
    if wanted and not lines:
        raise CpRefused(messages.DEVICE_MISSING, vdev=wanted)
    return lines or ["No NICs exist"]


def port(nic: Nic) -> int:
    """The port of a switch that an adapter is coupled to: its own, or one that its address gives."""
    return nic.port or 65 + int(nic.vdev, 16) % 1024


def _is_up(machine: Machine, nic: Nic) -> bool:
    running = machine.system
    return bool(nic.lan_name) and running is not None and running.phase == "up"


def counter_lines(counted: Counters, indent: str) -> list[str]:
    """Frames and bytes as CP prints them."""
    return [
        f"{indent}RX Packets: {counted.frames_in:<10} Discarded: 0          Errors: 0",
        f"{indent}TX Packets: {counted.frames_out:<10} Discarded: {counted.dropped:<10} Errors: 0",
        f"{indent}RX Bytes: {counted.bytes_in:<20} TX Bytes: {counted.bytes_out}",
    ]


def address_lines(machine: Machine, nic: Nic) -> list[str]:
    """The unicast MAC addresses that the guest's system has set, with their IP addresses."""
    running = machine.system
    if running is None or running.phase != "up" or not nic.lan_name:
        return []
    found = [address for address in running.addresses if address.vdev == nic.vdev]
    lines = ["      Unicast MAC Addresses:"]
    lines += [f"        {network.mac_text(nic.mac)} IP: {address.ip}" for address in found] or [
        f"        {network.mac_text(nic.mac)}"
    ]
    return lines


def cpus(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    kinds = [item.kind for item in issuer.system.facts.processors]
    kind = "CP" if kinds and "IFL" not in kinds else "IFL"
    cpu_id = f"FF{issuer.system.facts.cpu_id}0000"
    return [
        f"CPU {address}  ID  {cpu_id} {'(BASE)  ' if not number else ''}{kind}  CPUAFF ON"
        for number, address in enumerate(issuer.machine.cpus)
    ]


def _storage(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    if issuer.has("BE"):
        total = size(issuer.system.facts.storage_kib)
        return [f"STORAGE = {total} CONFIGURED = {total} INC = 1M STANDBY = 0  RESERVED = 0"]
    return [define.storage_line(issuer)]


def _loaddev(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    """QUERY LOADDEV: what an IPL of an FCP device would load"""
    return loaddev.lines(loaddev.of(issuer.system, issuer.machine), level=issuer.system.facts.level)


OPERANDS: tuple[Command, ...] = (
    Command("LOADDEV", 5, "G", _loaddev),
    Command("VIRTUAL", 1, "G", virtual),
    Command("NIC", 3, "BG", nics),
    Command("CPUS", 4, "G", cpus),
    Command("UR", 2, "G", lambda issuer, words, text: virtual(issuer, ["UR", *words], text)),
    Command("STORAGE", 4, "BEG", _storage),
    Command("STORE", 5, "BEG", _storage),
)
