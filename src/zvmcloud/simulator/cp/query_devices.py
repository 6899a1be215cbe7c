"""QUERY of real devices and disks: DASD, MDISK, LINKS, OSA, FCP, EDEVICE, CHPID, CHPIDV, PATHS, CPOWNED, numbers.

DASD, OSA and MDISK as z/VM 6.3 and 7.2 printed them for public write-ups; CHPID and CHPIDV from
reference/connector/cp_corpus.md; EDEVICE, FCP, PATHS and CPOWNED are knowledge of CP (judgement). A number is one of
the issuer's own devices when it has that one, else, with class B, a real device (judgement).
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import dasd, fabric, space, storage
from zvmcloud.simulator.cp import query_virtual
from zvmcloud.simulator.cp.language import (
    Command,
    Issuer,
    abbreviates,
    columns,
    device_list,
    is_device_list,
    operand,
    rdev,
    userid,
    vdev,
)
from zvmcloud.simulator.dasd import Shown
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Dasd, Fcp, Osa, RealDevice
from zvmcloud.simulator.system import System

_FILTERS = (("ACTIVE", 3), ("FREE", 3), ("OFFLINE", 3), ("ALL", 3), ("ATTACHED", 3), ("SYSTEM", 3), ("DETAILS", 3))


def numbered(issuer: Issuer, words: Sequence[str]) -> list[str]:
    """QUERY number ...: own devices, else real ones with class B"""
    lines: list[str] = []
    for position in range(len(words)):
        for address in device_list(words, position):
            lines += _numbered(issuer, address)
    return lines


def _numbered(issuer: Issuer, address: str) -> list[str]:
    system, machine = issuer.system, issuer.machine
    try:
        device = query_virtual.find(machine, address)
    except CpRefused:
        shown = real_lines(system, address) if issuer.has("B") else []
        if not shown:
            raise
        return shown
    return query_virtual.device_lines(system, machine, device, address)[:1]


def real_lines(system: System, address: str) -> list[str]:
    """What CP says of a real device; nothing when there is none."""
    disk = dasd.find(system, address)
    if disk is not None:
        return [_disk_line(system, disk)]
    if address in system.osas:
        return [_osa_line(system, system.osas[address])]
    if address in system.fcps:
        return _fcp_lines(system, system.fcps[address])
    if address in system.edevs:
        return [f"EDEV {address} OFFLINE"]
    return []


def _filter(words: Sequence[str], default: str) -> str:
    return next((name for name, shortest in _FILTERS if words and abbreviates(words[0], name, shortest)), default)


def _listed(kind: str, wanted: str, active: Sequence[str], free: Sequence[str], offline: Sequence[str]) -> list[str]:
    """Active devices one a line, the others four a line; a sentence for a kind of which there is none."""
    lines: list[str] = []
    for name, found in (("active", list(active)), ("free", columns(list(free))), ("offline", columns(list(offline)))):
        if wanted in ("ALL", name.upper()) or (wanted == "ATTACHED" and name == "active"):
            lines += found or [f"{'An' if name[0] in 'ao' else 'A'} {name} {kind} was not found."]
    return lines


# -- disks ------------------------------------------------------------------------------------------------------------


def _disk_line(system: System, disk: Shown) -> str:
    if disk.status in ("SYSTEM", "OWNED"):
        count = sum(1 for owner, number in system.links if _volser(system, owner, number) == disk.volser)
        return f"DASD {disk.rdev} CP {disk.status:<6} {disk.volser:<6} {count:>3}"
    if disk.status == "ATTACHED":
        return (
            f"DASD {disk.rdev} ATTACHED TO {disk.owner:<8} {_held_as(system, disk.owner, disk.rdev)} R/W {disk.volser}"
        )
    return _idle(disk)


def _idle(disk: Shown) -> str:
    text = "OFFLINE" if disk.status == "OFFLINE" else disk.volser or "FREE"
    return f"DASD {disk.rdev} {text:<8}"


def _volser(system: System, owner: str, number: str) -> str:
    found = system.disks.get(storage.key(owner, number))
    return found.volser if found is not None else ""


def _held_as(system: System, owner: str, real: str) -> str:
    machine = system.machines.get(owner)
    devices = machine.devices if machine is not None else ()
    return next((item.vdev for item in devices if isinstance(item, RealDevice) and item.rdev == real), "....")


def _dasd(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY DASD [ACTIVE | FREE | OFFLINE | ALL | ATTACHED | SYSTEM [volser] | DETAILS rdev | rdev ... | volser]"""
    system = issuer.system
    disks = dasd.every(system)
    wanted = _filter(words, "")
    if wanted == "DETAILS":
        return _details(system, rdev(words, 1))
    if wanted == "SYSTEM":
        return _volume_users(system, disks, words[1] if len(words) > 1 else "")
    if words and not wanted:
        lines: list[str] = []
        for position, word in enumerate(words):
            by_label = [disk for disk in disks if disk.volser == word]
            for address in [disk.rdev for disk in by_label] or device_list(words, position):
                disk = next((item for item in disks if item.rdev == address), None)
                if disk is None:
                    raise CpRefused(messages.DEVICE_MISSING, module="QDA", vdev=address)
                lines.append(_disk_line(system, disk).rstrip())
        return lines
    idle = [disk for disk in disks if disk.status not in ("SYSTEM", "OWNED", "ATTACHED")]
    return _listed(
        "DASD",
        wanted or "ACTIVE",
        [_disk_line(system, disk) for disk in disks if disk not in idle],
        [_idle(disk) for disk in idle if disk.status != "OFFLINE"],
        [_idle(disk) for disk in idle if disk.status == "OFFLINE"],
    )


def _volume_users(system: System, disks: Sequence[Shown], volser: str) -> list[str]:
    chosen = [disk for disk in disks if disk.status == "SYSTEM" and volser in ("", disk.volser)]
    if not chosen:
        raise CpRefused(messages.INVALID_OPTION, module="QDA", option=volser or "SYSTEM")
    lines = []
    for disk in chosen:
        lines.append(_disk_line(system, disk))
        held = sorted(key for key in system.links if _volser(system, *key) == disk.volser)
        users = [
            f"{machine.userid:<8} {device.vdev} {'R/W' if device.write else 'R/O'}"
            for owner, number in held
            for machine, device in storage.users(system, owner, number)
        ]
        lines += columns(users) or ["  NO USERS"]
    return lines


def _details(system: System, address: str) -> list[str]:
    disk = dasd.find(system, address)
    if disk is None:
        raise CpRefused(messages.DEVICE_MISSING, module="QDA", vdev=address)
    unit = "BLKS" if disk.device_type == "9336" else "CYLS"
    control = "6310-80" if disk.device_type == "9336" else "2107-E8"
    return [
        (
            f"{disk.rdev}  CUTYPE = {control}, DEVTYPE = {disk.model}, VOLSER = {disk.volser or '......'}, "
            f"{unit} = {disk.size}"
        ),
        "      CACHE DETAILS:  CACHE NVS CFW DFW PINNED CONCOPY",
        "       -SUBSYSTEM       Y    Y   Y   -    N       N",
        "       -DEVICE          Y    -   -   Y    N       N",
    ]


def _mdisk(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY MDISK [USERID userid | *] vdev | ALL [LOCATION] [DIRECTORY]: of others with class B"""
    rest = [word for word in words if not (abbreviates(word, "LOCATION", 3) or abbreviates(word, "DIRECTORY", 3))]
    directory = any(abbreviates(word, "DIRECTORY", 3) for word in words)
    name = issuer.userid
    if rest and abbreviates(rest[0], "USERID", 4):
        name = issuer.userid if rest[1:2] == ["*"] else userid(rest, 1)
        del rest[:2]
    if name != issuer.userid and not issuer.has("B"):
        raise CpRefused(messages.INVALID_OPTION, module="QMD", option=name)
    system = issuer.system
    machine, entry = system.machines.get(name), system.entry(name)
    if entry is None:
        raise CpRefused(messages.NOT_IN_DIRECTORY, module="QMD", userid=name)
    if machine is None and not directory:
        raise CpRefused(messages.NOT_LOGGED_ON, module="QMD", userid=name)
    chosen: list[tuple[str, str, str]] = []
    if machine is not None and not directory:
        chosen = [(item.vdev, item.owner, item.owner_vdev) for item in machine.disks]
    else:
        chosen = [(item.vdev, name, item.vdev) for item in entry.mdisks]
        chosen += [(item.vdev, name if item.owner == "*" else item.owner, item.owner_vdev) for item in entry.links]
    if rest and rest[0] != "ALL":
        wanted = device_list(rest, 0, real=False)
        chosen = [item for item in chosen if item[0] in wanted]
        if not chosen:
            raise CpRefused(messages.DEVICE_MISSING, module="QMD", vdev=wanted[0])
    lines = ["TargetID Tdev OwnerID  Odev Dtype Vol-ID Rdev   StartLoc       Size"]
    for address, owner, number in sorted(chosen):
        disk = system.disks.get(storage.key(owner, number))
        if disk is None:
            continue
        volume = system.volumes.get(disk.volser)
        kind = "9336" if disk.kind == "FBA" else disk.device_type
        lines.append(
            f"{name:<8} {address} {owner:<8} {number} {kind:<5} {disk.volser or disk.temporary:<6} "
            f"{volume.rdev if volume else '----'} {disk.start:>10} {disk.size:>10}"
        )
    return lines


def _links(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY LINKS vdev: everyone who has the disk that is the issuer's device"""
    address = vdev(words, 0)
    device = issuer.machine.device(address)
    if not isinstance(device, Dasd):
        raise CpRefused(messages.DEVICE_MISSING, vdev=address)
    return columns(
        [
            f"{machine.userid:<8} {item.vdev} {'R/W' if item.write else 'R/O'}"
            for machine, item in storage.users(issuer.system, device.owner, device.owner_vdev)
        ]
    )


# -- adapters ---------------------------------------------------------------------------------------------------------


def _osa_line(system: System, osa: Osa) -> str:
    if not osa.online:
        return f"OSA  {osa.rdev} OFFLINE "
    if not osa.owner:
        return f"OSA  {osa.rdev} FREE    "
    held = _held_as(system, osa.owner, osa.rdev)
    held = "0600" if held == "...." else held
    kind, path = ("HIPER", "IQD") if osa.kind == "HIPER" else ("OSA", "OSD")
    return f"OSA  {osa.rdev} ATTACHED TO {osa.owner:<8} {held} DEVTYPE {kind:<11} CHPID {osa.chpid} {path}"


def _osa(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY OSA [ACTIVE | FREE | OFFLINE | ALL | rdev ...]"""
    system = issuer.system
    if words and is_device_list(words[0]):
        return [line.rstrip() for item in _chosen_osas(system, words) for line in [_osa_line(system, item)]]
    wanted = _filter(words, "" if words else "ACTIVE")
    if wanted not in ("ACTIVE", "FREE", "OFFLINE", "ALL", "ATTACHED"):
        raise CpRefused(messages.INVALID_OPTION, module="QOS", option=words[0])
    osas = sorted(system.osas.values(), key=lambda item: item.rdev)
    return _listed(
        "OSA",
        wanted,
        [_osa_line(system, item) for item in osas if item.online and item.owner],
        [_osa_line(system, item) for item in osas if item.online and not item.owner],
        [_osa_line(system, item) for item in osas if not item.online],
    )


def _chosen_osas(system: System, words: Sequence[str]) -> list[Osa]:
    found = []
    for position in range(len(words)):
        for address in device_list(words, position):
            if address not in system.osas:
                raise CpRefused(messages.DEVICE_MISSING, module="QOS", vdev=address)
            found.append(system.osas[address])
    return found


def _fcp_lines(system: System, fcp: Fcp) -> list[str]:
    wwpn = f"     WWPN {fcp.npiv or fcp.physical}"
    status = fabric.fcp_status(system, fcp.rdev)
    if status == 3:
        return [f"FCP  {fcp.rdev} OFFLINE ", wwpn]
    if status == 2:
        return [f"FCP  {fcp.rdev} FREE    ", wwpn]
    if not fcp.owner:
        return [f"FCP  {fcp.rdev} ATTACHED TO SYSTEM   {fcp.rdev} CHPID {fcp.chpid}", wwpn]
    held = _held_as(system, fcp.owner, fcp.rdev)
    return [f"FCP  {fcp.rdev} ATTACHED TO {fcp.owner:<8} {held} CHPID {fcp.chpid}", wwpn]


def _fcp(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY FCP [ACTIVE | FREE | OFFLINE | ALL | ATTACHED userid | WWPN n | rdev ...]"""
    system = issuer.system
    fcps = sorted(system.fcps.values(), key=lambda item: item.rdev)
    if words and words[0] == "WWPN":
        wanted_name = operand(words, 1, "QFC")
        found = [item for item in fcps if wanted_name in (item.npiv, item.physical)]
    elif words and is_device_list(words[0]):
        numbers = [address for position in range(len(words)) for address in device_list(words, position)]
        missing = [address for address in numbers if address not in system.fcps]
        if missing:
            raise CpRefused(messages.DEVICE_MISSING, module="QFC", vdev=missing[0])
        found = [item for item in fcps if item.rdev in numbers]
    else:
        wanted = _filter(words, "" if words else "ALL")
        if wanted not in ("ACTIVE", "FREE", "OFFLINE", "ALL", "ATTACHED"):
            raise CpRefused(messages.INVALID_OPTION, module="QFC", option=words[0])
        status = {"ACTIVE": 1, "ATTACHED": 1, "FREE": 2, "OFFLINE": 3}.get(wanted, 0)
        found = [item for item in fcps if status in (0, fabric.fcp_status(system, item.rdev))]
        if wanted == "ATTACHED" and len(words) > 1:
            found = [item for item in found if item.owner == words[1]]
    lines = [line for item in found for line in _fcp_lines(system, item)]
    return lines or ["An FCP device of that kind was not found."]


def _edevice(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY EDEVICE [ALL | rdev] [DETAILS]"""
    system = issuer.system
    details = any(abbreviates(word, "DETAILS", 3) for word in words)
    rest = [word for word in words if word != "ALL" and not abbreviates(word, "DETAILS", 3)]
    edevs = sorted(system.edevs.values(), key=lambda item: item.rdev)
    if rest:
        address = rdev(rest, 0)
        edevs = [item for item in edevs if item.rdev == address]
        if not edevs:
            raise CpRefused(messages.DEVICE_MISSING, module="QED", vdev=address)
    lines: list[str] = []
    for edev in edevs:
        lines.append(f"EDEV {edev.rdev} TYPE FBA ATTRIBUTES {edev.attribute}")
        if not details:
            continue
        luns = [fabric.through(system, path) for path in edev.paths]
        lun = next((item for item in luns if item is not None), None)
        if lun is not None:
            lines.append(f"     VENDOR: {lun.vendor:<8} PRODUCT: {lun.product:<16} REVISION: {lun.code}")
            lines.append(f"     BLOCKSIZE: {lun.block_size}   NUMBER OF BLOCKS: {lun.blocks}")
        lines.append("     PATHS:")
        for path, end in zip(edev.paths, luns, strict=True):
            device, wwpn, number = path.split()
            lines.append(f"       FCP_DEV: {device} WWPN: {wwpn} LUN: {number}")
            lines.append(f"         CONNECTION TYPE: SWITCHED  STATUS: {'ONLINE' if end is not None else 'OFFLINE'}")
    return lines or ["EDEVICE information not found."]


# -- channel paths ----------------------------------------------------------------------------------------------------


def _chpidv(_issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return ["One path CHPID Virtualization is on"]


def _chpid(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY CHPID nn [PCHID]"""
    system = issuer.system
    path = operand(words, 0).rjust(2, "0")
    owners: list[Osa | Fcp] = [*system.osas.values(), *system.fcps.values()]
    row = system.channel_paths.get(path)
    if row is None and path not in {item.chpid for item in owners}:
        raise CpRefused(messages.CHPID_INVALID)
    if words[1:2] == ["PCHID"]:
        pchid = row.pchid if row is not None and row.pchid else f"{0x200 + int(path, 16):04X}"
        return [f"Path {path} is associated with physical channel {pchid}"]
    if len(words) > 1:
        raise CpRefused(messages.INVALID_OPTION, module="QPV", option=words[1])
    devices = [item.rdev for item in owners if item.chpid == path]
    if row is not None and row.kind == "FC":
        devices += [disk.rdev for disk in dasd.every(system) if disk.device_type == "3390"]
    state = "online" if row is None or row.online else "offline"
    shown = sorted(devices)
    rows = [" ".join(shown[at : at + 10]) for at in range(0, len(shown), 10)]
    return [f"Path {path} {state} to devices {rows[0]}".rstrip() if rows else f"Path {path} {state}", *rows[1:]]


def _paths(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY PATHS [TO] rdev"""
    rest = [word for word in words if word != "TO"]
    address = rdev(rest, 0)
    system = issuer.system
    owner = system.osas.get(address) or system.fcps.get(address)
    disk = dasd.find(system, address)
    if owner is None and disk is None:
        raise CpRefused(messages.DEVICE_MISSING, module="QPA", vdev=address)
    paths = (
        [owner.chpid]
        if owner is not None
        else [
            item.chpid
            for item in sorted(system.channel_paths.values(), key=lambda item: item.chpid)
            if item.kind == "FC"
        ]
    )
    status = (
        "ONLINE"
        if (owner.online if owner is not None else disk is not None and disk.status != "OFFLINE")
        else "OFFLINE"
    )
    marks = "  ".join("+" if fabric.path_online(system, path) else "-" for path in paths)
    return [
        f"Device {address}, Status {status}",
        f" CHPIDs to Device {address} (PIM)  : {' '.join(paths)}",
        f"  Physically Available (PAM) : {marks}",
        f"  Online             (LPM) : {marks}",
        "            Legend     + Yes - No",
    ]


def _cpowned(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    system = issuer.system
    lines = ["Slot  Vol-ID  Rdev  Type   Status"]
    residence = dasd.system_residence(system)
    if residence:
        lines.append(f"   1  {residence:<6}  {system.volumes[residence].rdev}  Own    Online and attached")
    for use in ("SPOOL", "PAGE"):
        for volume in space.volumes(system, use):
            state = "Online and attached" if volume.state == "NOTDRAINED" else volume.state.title()
            lines.append(f"{volume.slot:>4}  {volume.volser:<6}  {volume.rdev}  Own    {state}")
    return [lines[0], *sorted(lines[1:])]


def _eqid(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY EQID [FOR] rdev | name | ALL"""
    rest = [word for word in words if word != "FOR"]
    what = operand(rest, 0, "QEQ")
    rows = sorted(issuer.system.eqids.values(), key=lambda item: item.rdev)
    address = statements.vdev(what)
    chosen = [item for item in rows if what in ("ALL", item.eqid) or item.rdev == address]
    if not chosen:
        raise CpRefused(messages.DEVICE_MISSING, module="QEQ", vdev=address or what)
    return [f"{item.rdev}: EQID = {item.eqid}" for item in chosen]


OPERANDS: tuple[Command, ...] = (
    Command("DASD", 2, "B", _dasd),
    Command("MDISK", 2, "BG", _mdisk),
    Command("LINKS", 3, "G", _links),
    Command("OSA", 3, "B", _osa),
    Command("FCP", 3, "B", _fcp),
    Command("EDEVICE", 4, "B", _edevice),
    Command("CHPIDV", 6, "BE", _chpidv),
    Command("CHPID", 5, "BE", _chpid),
    Command("PATHS", 4, "BE", _paths),
    Command("CPOWNED", 3, "ABCDE", _cpowned),
    Command("EQID", 4, "B", _eqid),
)
