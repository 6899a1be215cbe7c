"""QUERY: what CP tells about the issuer, other machines, devices, networks and the system."""

from __future__ import annotations

import time
from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import hotplug, network, spool, storage
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, operand, size, userid, vdev
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Ctca, Dasd, Device, Machine, Nic, RealDevice, UnitRecord
from zvmcloud.simulator.system import System


def query(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """QUERY operand ...: a known operand, else a virtual device number, else a userid."""
    first = operand(words, 0)
    for command in _OPERANDS:
        if command.matches(first) and issuer.has(command.classes):
            return command.handler(issuer, words[1:], text)
    address = statements.vdev(first)
    if address is not None:
        return [device_line(issuer.system, _device(issuer.machine, address))]
    if statements.is_userid(first) and len(words) == 1:
        if first in issuer.system.machines:
            return [user_line(first)]
        entry = issuer.system.entry(first)
        if entry is not None and entry.is_machine:
            raise CpRefused(messages.NOT_LOGGED_ON, userid=first)
    raise CpRefused(messages.INVALID_OPTION, option=first)


def user_line(name: str) -> str:
    return f"{name:<8} - DSC"


def _device(machine: Machine, address: str) -> Device:
    found = machine.device(address)
    if found is not None:
        return found
    for nic in machine.nics:
        if int(nic.vdev, 16) <= int(address, 16) < int(nic.vdev, 16) + nic.devices:
            return nic
    raise CpRefused(messages.DEVICE_MISSING, vdev=address)


def device_line(system: System, device: Device) -> str:
    """One line about a virtual device; on a disk's line word 6 is the size and word 7 its unit."""
    if isinstance(device, Dasd):
        return dasd_line(system, device)
    if isinstance(device, Nic):
        return f"OSA  {device.vdev} ON NIC  {device.vdev}  UNIT 000 SUBCHANNEL = {int(device.vdev, 16) % 4096:04X}"
    if isinstance(device, RealDevice):
        return f"{device.kind:<4} {device.vdev} ON {device.kind:<4} {device.rdev} SUBCHANNEL = 0010"
    if isinstance(device, Ctca):
        return f"CTCA {device.vdev} " + (
            f"COUPLED TO {device.peer} {device.peer_vdev}" if device.peer else "NOT COUPLED"
        )
    names = {"CONS": "ON GRAF 0020", "RDR": "CL", "PUN": "CL", "PRT": "CL"}
    tail = names[device.kind] if device.kind == "CONS" else f"CL {device.spool_class} NOCONT NOHOLD   EOF        READY"
    return f"{device.kind:<4} {device.vdev} {tail}"


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


def _userid(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return [f"{issuer.userid:<8} AT {issuer.system.name}"]


def _user(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    if not words:
        return [f"{len(issuer.system.machines):4} USERS,    0 DIALED,    0 NET"]
    name = userid(words, 0)
    if name not in issuer.system.machines:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=name)
    return [user_line(name)]


def _names(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    users = sorted(issuer.system.machines)
    rows = [users[at : at + 4] for at in range(0, len(users), 4)]
    return [", ".join(f"{user_line(name)} " for name in row).rstrip() for row in rows]


def _virtual(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    what = words[0] if words else "ALL"
    machine, system = issuer.machine, issuer.system
    if what in ("DASD", "DA"):
        lines = [dasd_line(system, device) for device in machine.disks]
        if not lines:
            raise CpRefused(messages.DEVICE_MISSING, vdev="DASD")
        return lines
    if what == "NIC":
        return _nic(issuer, words[1:], text)
    if abbreviates(what, "STORAGE", 4):
        return [f"STORAGE = {size(machine.storage_kib)}"]
    if what in ("CPUS", "CPU"):
        return _cpus(issuer, words[1:], text)
    if what == "ALL":
        lines = [f"STORAGE = {size(machine.storage_kib)}"]
        lines += [device_line(system, device) for device in machine.devices]
        return lines
    kinds = {
        "CONSOLE": "CONS",
        "CONS": "CONS",
        "READER": "RDR",
        "RDR": "RDR",
        "PUNCH": "PUN",
        "PUN": "PUN",
        "PRINTER": "PRT",
        "PRT": "PRT",
    }
    if what in kinds or what in ("UR", "OSA", "FCP", "CTCA"):
        return [
            device_line(system, device)
            for device in machine.devices
            if (isinstance(device, UnitRecord) and (what == "UR" or device.kind == kinds.get(what)))
            or (isinstance(device, RealDevice) and device.kind == what)
            or (isinstance(device, Nic) and what == "OSA")
            or (isinstance(device, Ctca) and what == "CTCA")
        ]
    return [device_line(system, _device(machine, vdev(words, 0)))]


def _nic(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    wanted = "" if not words or words[0] == "ALL" else vdev(words, 0)
    lines: list[str] = []
    for nic in issuer.machine.nics:
        if wanted and nic.vdev != wanted:
            continue
        lan = f"VSWITCH: {nic.lan_owner} {nic.lan_name}" if nic.lan_name else "LAN: *"
        lines.append(f"Adapter {nic.vdev}.P00 Type: {nic.adapter_type:<9} Name: UNASSIGNED  Devices: {nic.devices}")
        lines.append(f"  MAC: {network.mac_text(nic.mac)}         {lan}")
    if wanted and not lines:
        raise CpRefused(messages.DEVICE_MISSING, vdev=wanted)
    return lines or ["No NICs exist"]


def _cpus(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    cpu_id = f"FF{issuer.system.facts.cpu_id}0000"
    return [
        f"CPU {address}  ID  {cpu_id} {'(BASE)  ' if not number else ''}IFL  CPUAFF ON"
        for number, address in enumerate(issuer.machine.cpus)
    ]


def _storage(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    if issuer.has("BE"):
        total = size(issuer.system.facts.storage_kib)
        return [f"STORAGE = {total} CONFIGURED = {total} INC = 1M STANDBY = 0  RESERVED = 0"]
    machine = issuer.machine
    seen = hotplug.hardware(issuer.system, machine)
    return [
        (
            f"STORAGE = {size(seen.online_kib)} MAX = {size(machine.max_storage_kib)} INC = 128M "
            f"STANDBY = {size(seen.standby_kib)}  RESERVED = {size(seen.reserved_kib)}"
        )
    ]


def _vswitch(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    system = issuer.system
    names = [word for word in words if word not in ("DETAILS", "ALL", "ACCESSLIST")]
    if names:
        switches = [network.find(system, names[0])]
    else:
        switches = sorted(system.vswitches.values(), key=lambda item: item.name)
    lines: list[str] = []
    for switch in switches:
        adapters = sorted(system.coupled.get(switch.name, ()))
        lines += [
            (
                f"VSWITCH SYSTEM {switch.name:<8} Type: {switch.switch_type:<7} Connected: {len(adapters):<4} "
                "Maxconn: INFINITE"
            ),
            (
                f"  {'PERSISTENT' if switch.persistent else 'TRANSIENT'}  RESTRICTED    "
                f"{'ETHERNET' if switch.transport == 'ETHERNET' else 'NONROUTER'}                  Accounting: OFF"
            ),
            f"  {'USERBASED' if switch.user_based else 'PORTBASED'}",
            f"  VLAN {'Aware  Default VLAN: ' + switch.vlan if switch.aware else 'Unaware'}",
            f"  MAC address: {network.mac_text(switch.mac)}    MAC Protection: {switch.mac_protect.title()}",
            f"  IPTimeout: {switch.ip_timeout}         QueueStorage: {switch.queue_memory}",
            f"  Isolation Status: {'ON' if switch.isolation else 'OFF'}",
            f"  State: {_STATES[network.status(system, switch)]}",
        ]
        active = network.uplink(system, switch)
        for rdev in switch.rdevs:
            shown = f"Controller: {network.controller_of(switch)}" if rdev == active else "Controller: NONE"
            lines.append(f"  RDEV: {rdev}.P00 {shown}")
        if "DETAILS" in words or "ACCESSLIST" in words:
            lines.append("    Authorized userids:")
            lines += [
                f"      {grant.userid:<8} Porttype: {(grant.port_type or 'ACCESS').title()}"
                + (f" VLAN: {' '.join(grant.vlans)}" if grant.vlans else "")
                for grant in switch.grants
            ] or ["      None"]
        if "DETAILS" in words:
            lines.append("  Adapter Connections:")
            for owner, address in adapters:
                nic = network.nic(system, owner, address)
                lines.append(f"    {owner:<8} NIC: {address}.P00 MAC: {network.mac_text(nic.mac)}")
    return lines or ["No VSWITCHes exist"]


_STATES = {1: "Defined", 4: "Disconnected", 5: "Device error", 8: "Ready"}


def _time(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    now = time.gmtime(issuer.system.now())
    stamp = time.strftime("%H:%M:%S UTC %A %m/%d/%y", now).upper()
    seconds = int(issuer.system.now() - issuer.machine.logon_at)
    return [
        f"TIME IS {stamp}",
        f"CONNECT= {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02} VIRTCPU= 000:00.01 TOTCPU= 000:00.02",
    ]


def _cplevel(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    ipl_at = time.strftime("%m/%d/%y %H:%M:%S UTC", time.gmtime(issuer.system.facts.ipl_at))
    return [issuer.system.facts.version, "Generated at 09/18/20 10:05:02 UTC", f"IPL at {ipl_at}"]


def _cpuid(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return [f"CPUID = FF{issuer.system.facts.cpu_id}8000"]


def _reader(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    found = spool.files(issuer.system, issuer.userid)
    if words and words[0].isdecimal():
        found = [spool.find(issuer.system, issuer.userid, words[0])]
    if not found:
        return ["NO RDR FILES"]
    lines = ["ORIGINID FILE CLASS RECORDS  CPY HOLD DATE  TIME     NAME      TYPE     DIST"]
    for file in found:
        stamp = time.strftime("%m/%d %H:%M:%S", time.gmtime(file.created))
        lines.append(
            f"{file.origin:<8} {file.spoolid} {file.spool_class} {file.kind} {file.records:08d} {file.copies:03d} "
            f"{file.hold} {stamp} {file.name[:9]:<9} {file.filetype[:8]:<8} {file.distribution}"
        )
    return lines


def _processors(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    shown = {"MASTER-PROCESSOR": "MASTER"}
    return [
        f"PROCESSOR {item.address[-2:]} {shown.get(item.status, item.status)} {item.kind}"
        for item in issuer.system.facts.processors
    ]


def _chpidv(_issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return ["One path CHPID Virtualization is on"]


def _chpid(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    path = operand(words, 0)
    known = {item.chpid for item in issuer.system.osas.values()} | {item.chpid for item in issuer.system.fcps.values()}
    if path.rjust(2, "0") not in known:
        raise CpRefused(messages.CHPID_INVALID)
    if words[1:2] == ["PCHID"]:
        return [f"Path {path} is associated with physical channel {0x200 + int(path, 16):04X}"]
    return [f"Path {path} online to devices"]


def _osa(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return [
        f"OSA  {item.rdev} {'ATTACHED TO ' + item.owner if item.owner else 'FREE'} DEVTYPE OSA CHPID {item.chpid} OSD"
        for item in sorted(issuer.system.osas.values(), key=lambda item: item.rdev)
    ]


def _fcp(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return [
        f"FCP  {item.rdev} {'ATTCHD TO ' + item.owner if item.owner else 'FREE'} CHPID {item.chpid}"
        for item in sorted(issuer.system.fcps.values(), key=lambda item: item.rdev)
    ]


def _links(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    device = issuer.machine.device(vdev(words, 0))
    if not isinstance(device, Dasd):
        raise CpRefused(messages.DEVICE_MISSING, vdev=vdev(words, 0))
    shown = [
        f"{machine.userid:<8} {item.vdev} {'R/W' if item.write else 'R/O'}"
        for machine, item in storage.users(issuer.system, device.owner, device.owner_vdev)
    ]
    return [", ".join(shown[at : at + 4]) for at in range(0, len(shown), 4)]


def _privclass(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return [f"Privilege classes for user {issuer.userid}", f"        Currently: {issuer.classes}"]


def _dasd(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return [
        f"DASD {item.rdev} CP SYSTEM {item.volser:<6} {item.model}"
        for item in sorted(issuer.system.volumes.values(), key=lambda item: item.rdev)
    ]


def _share(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    name = issuer.userid if not words or words[0] == "*" else userid(words, 0)
    machine = issuer.system.machines.get(name)
    if machine is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=name)
    return [f"USER {name:<8}: {machine.share[0]} SHARE = {machine.share[1]}"]


def _ssi(_issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return ["The system is not a member of an SSI cluster"]


_OPERANDS: tuple[Command, ...] = (
    Command("USERID", 6, "ABCDEFG", _userid),
    Command("USERS", 4, "ABCDEFG", _user),
    Command("NAMES", 1, "ABCDEFG", _names),
    Command("VIRTUAL", 1, "G", _virtual),
    Command("VSWITCH", 3, "BG", _vswitch),
    Command("NIC", 3, "BG", _nic),
    Command("CPUS", 4, "G", _cpus),
    Command("STORAGE", 4, "BEG", _storage),
    Command("STORE", 5, "BEG", _storage),
    Command("TIME", 1, "ABCDEFG", _time),
    Command("CPLEVEL", 3, "ABCDEFG", _cplevel),
    Command("CPUID", 5, "G", _cpuid),
    Command("RDR", 1, "DG", _reader),
    Command("READER", 1, "DG", _reader),
    Command("PROCESSORS", 4, "ABCE", _processors),
    Command("CHPIDV", 6, "BE", _chpidv),
    Command("CHPID", 5, "BE", _chpid),
    Command("OSA", 3, "B", _osa),
    Command("FCP", 3, "B", _fcp),
    Command("LINKS", 3, "G", _links),
    Command("PRIVCLASS", 4, "ABCDEFG", _privclass),
    Command("DASD", 4, "B", _dasd),
    Command("SHARE", 5, "AEG", _share),
    Command("SSI", 3, "BEG", _ssi),
)
