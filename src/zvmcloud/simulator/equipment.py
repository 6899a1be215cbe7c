"""What a new system has beside its model file's pools: servers, spare disks, fabric, segments, configuration files.

`Equipment` holds the values of a preset; `fill` puts them into the model. Names and page numbers of the saved segments
are those of a recorded z/VM 7.1, the rest is judgement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zvmcloud.directory import Entry
from zvmcloud.simulator import storage, switch_config, system_config
from zvmcloud.simulator.dasd import PAGES_PER_CYLINDER
from zvmcloud.simulator.model import DirectoryEntry
from zvmcloud.simulator.model_devices import (
    ChannelPath,
    Edev,
    Eqid,
    Interface,
    Lun,
    Monitor,
    PageRange,
    RealDisk,
    Segment,
    Service,
    SpaceVolume,
    TextFile,
)
from zvmcloud.simulator.system import System

OPEN, RESTRICTED = 2, 3
#: name, status, first page, last page, access: recorded on z/VM 7.1 (Shared_Memory_Query).
SEGMENTS = (
    ("SMAPIOUT", OPEN, 0x8400, 0x89FF, 5),
    ("SCEEX", OPEN, 0x2100, 0x29FF, 3),
    ("NLSKANJI", OPEN, 0x2000, 0x20FF, 3),
    ("NLSUCENG", OPEN, 0x2000, 0x20FF, 3),
    ("PERFOUT", OPEN, 0x8A00, 0x8FFF, 5),
    ("SCEE", OPEN, 0x900, 0x9FF, 3),
    ("GUICSLIB", OPEN, 0x1F00, 0x1FFF, 3),
    ("CMSFILES", OPEN, 0x1900, 0x1BFF, 3),
    ("SVM", OPEN, 0x1900, 0x19FF, 3),
    ("CMSPIPES", OPEN, 0x2C00, 0x2DFF, 3),
    ("CMSVMLIB", OPEN, 0x1700, 0x17FF, 3),
    ("INSTSEG", OPEN, 0x1400, 0x16FF, 3),
    ("DOSINST", OPEN, 0x900, 0x90F, 3),
    ("TCPIP", RESTRICTED, 0x10000, 0x100FF, 5),
    ("VSMDCSS", RESTRICTED, 0x20000, 0x3FFFF, 5),
)
#: Servers of an installed z/VM beside those of presets: storage, maximum, classes (recorded in its directory).
SERVERS = {
    "PERSMAPI": ("128M", "512M", "ABDEG"),
    "LOHCOST": ("768M", "2G", "G"),
    "OPERATNS": ("256M", "512M", "BCEG"),
    "VMRMSVM": ("32M", "64M", "ABCEG"),
}
VMRM_PLACE = "VMSYS:VMRMSVM."
SERVER_PLACE = "VMSYS:VSMWORK1."


def _luns() -> tuple[Lun, ...]:
    """Eight disks of 10 GiB behind two ports of one storage box."""
    return tuple(
        Lun(port, f"40{number // 256:02X}40{number % 256:02X}00000000", f"6005076307FFC5E3{number:016X}", 20 << 20)
        for port in ("500507630708D3B3", "50050763071BC5E3")
        for number in range(8)
    )


@dataclass(frozen=True, slots=True)
class Equipment:
    """The devices and files of a preset. Disks are rdev to model and cylinders."""

    spare_disks: Mapping[str, tuple[str, int]] = field(
        default_factory=lambda: {f"{0x7000 + number:04X}": ("3390-0C", 60102) for number in range(4)}
    )
    hidden_disks: Mapping[str, tuple[str, int]] = field(
        default_factory=lambda: {f"{0x7010 + number:04X}": ("3390-0C", 60102) for number in range(4)}
    )
    page: tuple[tuple[str, str, int], ...] = (("M01P01", "5002", 10016),)
    """Label, rdev and cylinders of the paging volumes."""
    spool: tuple[tuple[str, str, int], ...] = (("M01S01", "5001", 10016),)
    luns: tuple[Lun, ...] = field(default_factory=_luns)
    edevs: tuple[Edev, ...] = ()
    eqids: Mapping[str, str] = field(default_factory=dict)
    """rdev to EQID; a preset without any gives every OSA the name of its channel path."""
    segments: tuple[tuple[str, int, int, int, int], ...] = SEGMENTS
    interfaces: tuple[Interface, ...] = (Interface("TCPIP", "ETH0", "ETH 1000", ("192.0.2.254/24",), 1492),)
    files: tuple[TextFile, ...] = ()
    """CMS files; a SYSTEM CONFIG of PMAINT's CF0 and a VMRM CONFIG are made when they are not among them."""
    rsu: str = "2101"
    monitor: Monitor = field(default_factory=Monitor)
    servers: bool = True
    """Whether PMAINT and the servers of SERVERS are put into the directory."""


def entries() -> dict[str, list[str]]:
    """Directory entries of PMAINT, who has the parm disk CF0, and of the servers."""
    found = {
        "PMAINT": [
            "IDENTITY PMAINT LBYONLY 128M 1000M BEG",  # an administrator: no IPL logs it on (judgement)
            "CONSOLE 0009 3215 T",
            "MDISK 0CF0 3390 1 50 M01RES MR READ WRITE MULTIPLE",
        ]
    }
    for userid, (initial, maximum, classes) in SERVERS.items():
        found[userid] = [
            f"IDENTITY {userid} AUTOONLY {initial} {maximum} {classes}",
            "IPL CMS",
            "CONSOLE 0009 3215 T",
            "SPOOL 000C 2540 READER *",
        ]
    return found


def fill(system: System, equipment: Equipment) -> tuple[str, ...]:
    """Put the equipment into a new system, inside the transaction that fills it; gives the userids to log on."""
    taken = {volume.rdev for volume in system.volumes.values()}
    for disks, status in ((equipment.spare_disks, "FREE"), (equipment.hidden_disks, "HIDDEN")):
        for rdev, (model, size) in disks.items():
            if rdev not in taken:
                system.real_disks.put(rdev, RealDisk(rdev, model, size, status=status))
    slot = 1
    for use, volumes in (("SPOOL", equipment.spool), ("PAGE", equipment.page)):
        for volser, rdev, cylinders in volumes:
            slot += 1
            pages = cylinders * PAGES_PER_CYLINDER
            system.space_volumes.put(volser, SpaceVolume(volser, rdev, use, pages, slot))
    for lun in equipment.luns:
        system.luns.put(f"{lun.wwpn} {lun.lun}", lun)
    for edev in equipment.edevs:
        system.edevs.put(edev.rdev, edev)
    for osa in system.osas.values():
        system.channel_paths.put(osa.chpid, ChannelPath(osa.chpid, "OSD", f"{0x200 + int(osa.chpid, 16):04X}"))
    for fcp in system.fcps.values():
        system.channel_paths.put(fcp.chpid, ChannelPath(fcp.chpid, "FCP", f"{0x200 + int(fcp.chpid, 16):04X}"))
    for chpid in ("40", "41"):
        system.channel_paths.put(chpid, ChannelPath(chpid, "FC", f"{0x200 + int(chpid, 16):04X}"))
    eqids = equipment.eqids or {osa.rdev: f"OSA{osa.chpid}" for osa in system.osas.values()}
    for rdev, eqid in eqids.items():
        system.eqids.put(rdev, Eqid(rdev, eqid))
    for name, state, first, last, access in equipment.segments:
        system.segments.put(name, Segment(name, state, (PageRange(first, last, access),)))
    for interface in equipment.interfaces:
        system.interfaces.put(f"{interface.stack} {interface.name}", interface)
    system.services.put("CP", Service("CP", equipment.rsu))
    system.monitors.put("monitor", equipment.monitor)
    logons: tuple[str, ...] = ()
    if equipment.servers:
        logons = _servers(system)
    _files(system, equipment)
    return logons


def _servers(system: System) -> tuple[str, ...]:
    made = []
    for userid, records in entries().items():
        if userid in system.entries:
            continue
        entry = Entry.parse(records)
        system.entries.put(userid, DirectoryEntry(entry))
        for disk in entry.mdisks:
            storage.create_disk(system, userid, disk)
        if userid in SERVERS:
            made.append(userid)
    return tuple(made)


def _files(system: System, equipment: Equipment) -> None:
    files = {f"{file.place} {file.name} {file.filetype}": file for file in equipment.files}
    rules = TextFile(VMRM_PLACE, "VMRM", "CONFIG", _VMRM, system.now())
    files.setdefault(f"{rules.place} {rules.name} {rules.filetype}", rules)
    for key, file in files.items():
        system.texts.put(key, file)


_VMRM = (
    "/* Workloads of this system and what they are to reach */",
    "ADMIN MSGUSER MAINT",
    "GOAL MAX VELOCITY CPU 100 DASD 100",
    "GOAL LOW VELOCITY CPU 1",
    "WORKLOAD SERVERS USER ZHCP",
    "MANAGE SERVERS GOAL MAX IMPORTANCE 5",
)


def configure(*systems: System) -> None:
    """Write the SYSTEM CONFIG of new systems that have everything else, one file for all members of a cluster; nothing
    when the model brought one. Inside the transaction that fills them."""
    leader = systems[0]
    if system_config.default(leader) is not None:
        return
    lines = list(_system_config(leader))
    for system in systems:
        member = system.name if len(systems) > 1 else ""
        for switch in system.vswitches.values():
            lines += switch_config.statements(switch, member)
        for lan in system.guest_lans.values():
            lines += switch_config.lan_statements(lan, member)
    system_config.written(leader, TextFile("PMAINT.0CF0", "SYSTEM", "CONFIG"), tuple(lines))


def _system_config(system: System) -> tuple[str, ...]:
    """A configuration that says what the system has."""
    facts = system.facts
    owned = sorted(system.space_volumes.values(), key=lambda volume: volume.slot)
    users = sorted(volume.volser for volume in system.volumes.values() if not volume.volser.endswith("RES"))
    lines = ["/* System configuration */", f"System_Identifier {facts.machine_type} * {facts.name}"]
    residence = [volume.volser for volume in system.volumes.values() if volume.volser.endswith("RES")]
    lines.append("System_Residence,")
    lines.append(f"  Checkpoint Volid {(residence or ['M01RES'])[0]} From CYL 21 For 9 ,")
    lines.append(f"  Warmstart  Volid {(residence or ['M01RES'])[0]} From CYL 30 For 9")
    lines.append(f"CP_Owned Slot 1 {(residence or ['M01RES'])[0]} OWN")
    lines += [f"CP_Owned Slot {volume.slot} {volume.volser} OWN" for volume in owned]
    lines += [f"User_Volume_List {' '.join(users[at : at + 8])}" for at in range(0, len(users), 8)]
    lines += ["Features Enable Set_Privclass", "Timezone_Definition UTC East 00.00.00"]
    return tuple(lines)
