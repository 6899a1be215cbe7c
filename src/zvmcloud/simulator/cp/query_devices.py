"""QUERY of real devices: OSA, FCP, EDEVICE, CHPID, CHPIDV, PATHS, EQID, numbers.

OSA as z/VM 6.3 and 7.2 printed it for public write-ups; CHPID and CHPIDV from reference/connector/cp_corpus.md;
EDEVICE, FCP and PATHS are knowledge of CP (judgement). A number is one of
the issuer's own devices when it has that one, else, with class B, a real device (judgement).
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import dasd, fabric
from zvmcloud.simulator.cp import query_virtual
from zvmcloud.simulator.cp.language import (
    Command,
    Issuer,
    abbreviates,
    device_list,
    is_device_list,
    operand,
    rdev,
)
from zvmcloud.simulator.cp.query_disks import disk_line, held_as, listed, status_filter
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Fcp, Osa
from zvmcloud.simulator.system import System


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
        return [disk_line(system, disk)]
    if address in system.osas:
        return [_osa_line(system, system.osas[address])]
    if address in system.fcps:
        return _fcp_lines(system, system.fcps[address])
    if address in system.edevs:
        return [f"EDEV {address} OFFLINE"]
    return []


# -- adapters ---------------------------------------------------------------------------------------------------------


def _osa_line(system: System, osa: Osa) -> str:
    if not osa.online:
        return f"OSA  {osa.rdev} OFFLINE "
    if not osa.owner:
        return f"OSA  {osa.rdev} FREE    "
    held = held_as(system, osa.owner, osa.rdev)
    held = "0600" if held == "...." else held
    kind, path = ("HIPER", "IQD") if osa.kind == "HIPER" else ("OSA", "OSD")
    return f"OSA  {osa.rdev} ATTACHED TO {osa.owner:<8} {held} DEVTYPE {kind:<11} CHPID {osa.chpid} {path}"


def _osa(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY OSA [ACTIVE | FREE | OFFLINE | ALL | rdev ...]"""
    system = issuer.system
    if words and is_device_list(words[0]):
        return [line.rstrip() for item in _chosen_osas(system, words) for line in [_osa_line(system, item)]]
    wanted = status_filter(words, "" if words else "ACTIVE")
    if wanted not in ("ACTIVE", "FREE", "OFFLINE", "ALL", "ATTACHED"):
        raise CpRefused(messages.INVALID_OPTION, module="QOS", option=words[0])
    osas = sorted(system.osas.values(), key=lambda item: item.rdev)
    return listed(
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
    held = held_as(system, fcp.owner, fcp.rdev)
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
        wanted = status_filter(words, "" if words else "ALL")
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
    paths = fabric.paths_to(system, address)
    if not paths:
        raise CpRefused(messages.DEVICE_MISSING, module="QPA", vdev=address)
    status = (
        "ONLINE"
        if (owner.online if owner is not None else disk is not None and disk.status != "OFFLINE")
        else "OFFLINE"
    )
    marks = "  ".join("+" if fabric.path_online(system, path) else "-" for path in paths)
    used = "  ".join("+" if fabric.leads(system, path, address) else "-" for path in paths)
    return [
        f"Device {address}, Status {status}",
        f" CHPIDs to Device {address} (PIM)  : {' '.join(paths)}",
        f"  Physically Available (PAM) : {marks}",
        f"  Online             (LPM) : {used}",
        "            Legend     + Yes - No",
    ]


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
    Command("OSA", 3, "B", _osa),
    Command("FCP", 3, "B", _fcp),
    Command("EDEVICE", 4, "B", _edevice),
    Command("CHPIDV", 6, "BE", _chpidv),
    Command("CHPID", 5, "BE", _chpid),
    Command("PATHS", 4, "BE", _paths),
    Command("EQID", 4, "B", _eqid),
)
