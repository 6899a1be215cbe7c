"""The preset `recorded71`: the z/VM 7.1 on which the recorded exchanges were made, as far as they show it.

Member VM1 of the SSI cluster SSI: TCP/IP and SMAPI servers with their links to TCPIP's 0592, the guests GT@PING,
GT@PONG and LNXDEF, the volumes and minidisks that the space queries list, VSWITCHes, OSA devices, EDEVs, readers with
the files of the directory manager's workers, dumps, name lists. Sizes and models of volumes, and everything about
userids that only appear as owners of minidisks, are judgement.

The recording is not in the order in which it was made: a create may stand behind the uses of what it creates. So the
system is as it was between two of its tests. What looks odd is possible on z/VM:

 - the object directory is behind the source directory. The records that CP has of GT@PONG still have its disks 0777 and
   0999, so the running machine can get them, while the source has none, so that they can be added; GT@PING is deleted
   in the source and still known to CP, so that it can be activated and then be defined anew;
 - GT@PONG's guest runs with adapters that its entry in the source has only in part.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.directory import Entry, Group, Region, Volume
from zvmcloud.simulator import guests, storage
from zvmcloud.simulator.equipment import SEGMENTS, Equipment
from zvmcloud.simulator.model import (
    Authorization,
    DirectoryEntry,
    Grant,
    NameList,
    Osa,
    RealDevice,
    SpoolFile,
    Vswitch,
)
from zvmcloud.simulator.model_devices import Edev, Eqid, Monitor, ProcessedDump, RealDisk, TextFile
from zvmcloud.simulator.model_directory import InEffect, Subscription
from zvmcloud.simulator.system import System

_PASSWORD = "MAINT"  # noqa: S105 (public: the recording's userid and password are both maint)
#: label: real device number, cylinders. Labels and what is on them are recorded.
VOLUMES = {
    "LX3000": ("3000", 32760),
    "LX3001": ("3001", 32760),
    "LX3002": ("3002", 32760),
    "LX3003": ("3003", 32760),
    "LX3004": ("3004", 32760),
    "LX4000": ("4000", 32760),
    "LX4004": ("4004", 32760),
    "VM2000": ("2000", 32760),
    "VM2001": ("2001", 32760),
    "VM2002": ("2002", 32760),
    "VM2004": ("2004", 32760),
    "TST002": ("2102", 32761),
}
#: Minidisks that the space queries show: owner: (vdev, start, size, volume).
MINIDISKS: dict[str, tuple[tuple[str, int, int, str], ...]] = {
    "LNX008": (("0100", 1, 21846, "LX4004"),),
    "LNX053": (("1000", 1, 1456, "LX3004"), ("1001", 1, 1456, "LX3003")),
    "LNX054": (("1000", 1, 1456, "LX3002"), ("1001", 29129, 1456, "LX3001")),
    "GT$PING": (("0777", 1457, 1000, "LX3004"),),
    "LNXDEF": (("0777", 1457, 1000, "LX3003"),),
    "M1": (("1000", 1, 29128, "LX3000"),),
    "M2": (("1000", 1, 29128, "LX3001"),),
    "OPERATNS": (("0999", 21847, 1000, "VM2004"),),
    "LNXMAINT": (("0100", 1, 21846, "VM2002"), ("0191", 6114, 100, "VM2000"), ("0192", 6214, 100, "VM2000")),
    "RHEL7": (("0191", 21847, 100, "VM2002"), ("0192", 1, 100, "VM2001"), ("0100", 9372, 21846, "VM2000")),
    "VMANAGER": (
        ("0191", 1, 149, "VM2000"),
        ("0193", 150, 30, "VM2000"),
        ("0195", 180, 450, "VM2000"),
        ("01FF", 630, 150, "VM2000"),
        ("029D", 780, 3000, "VM2000"),
        ("051D", 3780, 150, "VM2000"),
        ("0888", 6374, 999, "VM2000"),
        ("0999", 7373, 1999, "VM2000"),
    ),
    "ZVMN012A": (
        ("0210", 3930, 450, "VM2000"),
        ("0214", 4380, 30, "VM2000"),
        ("0216", 4410, 30, "VM2000"),
        ("02A2", 4440, 30, "VM2000"),
        ("02A6", 4470, 30, "VM2000"),
        ("02B2", 4500, 1350, "VM2000"),
        ("02C2", 5850, 30, "VM2000"),
        ("02C4", 5880, 30, "VM2000"),
        ("02D2", 5910, 30, "VM2000"),
    ),
    "ZVMX032A": (
        ("02C4", 5940, 10, "VM2000"),
        ("02A6", 5950, 10, "VM2000"),
        ("02A2", 5960, 5, "VM2000"),
        ("02D2", 5965, 15, "VM2000"),
        ("0210", 5980, 28, "VM2000"),
        ("0212", 6008, 4, "VM2000"),
        ("0214", 6012, 4, "VM2000"),
        ("02C2", 6016, 4, "VM2000"),
        ("0218", 6020, 20, "VM2000"),
        ("02B2", 6040, 70, "VM2000"),
    ),
    "VMSEC-1": (("01D0", 6110, 2, "VM2000"),),
    "VMSEC-2": (("01D0", 6112, 2, "VM2000"),),
    "SSL-1": (("0191", 6314, 5, "VM2000"),),
    "SSL-2": (("0191", 6319, 5, "VM2000"),),
    "VSMSLN-1": (("0191", 6324, 25, "VM2000"),),
    "VSMSLN-2": (("0191", 6349, 25, "VM2000"),),
}
#: Who has TCPIP's 0592 linked, in the order recorded.
SHARERS = (
    "DTCVSW2", "DTCVSW1", "DTCVSW3", "DTCVSW4", "SSLDCSSM", "SSL", "VSMGUARD", "VSMWORK1", "VSMWORK2", "VSMWORK3",
    "DTCSMAPI", "OPERATNS", "VSMEVSRV", "VSMREQIN", "VSMSSLIN", "VSMREQIU",
)  # fmt: skip
_STORAGE = {"VSMGUARD": "128M 512M ABCDEFG", "OPERATNS": "256M 512M BCEG", "DTCSMAPI": "128M 256M ABG"}
_GUEST = (
    "USER {name} @SM8PI@ 1G 2G ABCDEFG",
    "IPL CMS",
    "MACHINE ESA 4",
    "CONSOLE 0009 3215 T",
    "SPOOL 000C 2540 READER *",
    "SPOOL 000D 2540 PUNCH A",
    "SPOOL 000E 1403 A",
    "LINK MAINT 0190 0190 RR",
    "LINK MAINT 019E 019E RR",
)
_PONG = (*(line.format(name="GT@PONG").replace(" 2G ", " 1G ") for line in _GUEST), "CPU 00 BASE")
_DISK = "MDISK {vdev} 3390 {start} {size} {volser} W READ WRITE MULTIPLE"
#: Files in MAINT's reader: origin, number, class, type, records, date, time, name, type, distribution.
_READER = """\
MAINT 0662 V DMP 3213 04/11 18:43:40 VMDUMP FILE SYSPROG
VMX$0002 0713 T CON 4 04/11 23:58:53 ADDMDISK LNXTEST SYSPROG
VMX$0002 0711 T CON 4 04/11 23:57:08 ADDMDISK LNXTEST SYSPROG
VMX$0002 0709 T CON 4 04/11 23:55:41 ADDMDISK LNXTEST SYSPROG
VMX$0002 0717 T CON 4 04/12 00:05:52 ADDMDISK LNXTEST SYSPROG
VSMGUARD 0881 T CON 1 04/14 05:30:25 - - VSMGUARD
DTCVSW1 0869 T CON 52 04/14 05:51:36 - - DTCVSW1
VMX$0002 0868 T CON 4 04/14 05:29:01 DUPMDISK GT$PING SYSPROG
VMX$0002 0988 T CON 4 04/16 23:25:41 ADDMDISK GT@PONG SYSPROG
VMX$0002 0990 T CON 4 04/16 23:26:43 DUPMDISK GT@PING SYSPROG
VSMGUARD 0992 T CON 158 04/16 23:21:07 - - VSMGUARD
"""
_YEAR = 2019
_VMRM = (
    "* Workloads of this system and what they are to reach",
    "ADMIN MSGUSER maint",
    "GOAL MAX VELOCITY CPU 100 DASD 100",
    "GOAL MIDDASD VELOCITY DASD 50",
    "GOAL MINCPU VELOCITY CPU 1",
    "WORKLOAD WORK1 USER linux* manfred fredrick usera,",
    "    userb chris kurt doug jon",
    "MANAGE WORK1 GOAL MAX IMPORTANCE 5",
    "WORKLOAD WORK2 USER payroll",
    "MANAGE WORK2 GOAL MAX IMPORTANCE 10",
    "WORKLOAD WORK3 USER webcount",
    "MANAGE WORK3 GOAL MIDDASD IMPORTANCE 7",
    "WORKLOAD WORK4 USER m1",
    "MANAGE WORK4 GOAL MINCPU IMPORTANCE 1",
)

EQUIPMENT = Equipment(
    spare_disks={"2200": ("3390-0A", 32760)},
    hidden_disks={},
    page=(("M01P01", "1004", 32759),),
    spool=(("M01S01", "1003", 10016),),
    luns=(),
    edevs=tuple(Edev(rdev) for rdev in ("6000", "6001", "7000")),
    eqids=dict.fromkeys(("0500", "0501", "0502"), "EXTERN"),
    segments=(*SEGMENTS, ("SHAREMEM", 3, 61440, 61695, 1)),
    interfaces=(),
    files=(TextFile("VMSYS:VMRMSVM.", "VMRM", "CONFIG", _VMRM),),
    rsu="1801",
    monitor=Monitor(io=False),
)
#: Dumps in the reader of OPERATNS: number, month, day. (Recorded: 0119 and 0392; 0148 is deleted by its number.)
_DUMPS = (("0119", 4, 14), ("0148", 4, 15), ("0392", 4, 16))
#: Days of April on which the loaded dumps were taken.
_LOADED = (11, 14, 12, 12, 12, 12, 12, 12, 14, 14, 14, 14, 14, 14, 15)


def fill(system: System) -> None:
    """Make a new system the recorded one; inside the transaction that fills it."""
    _volumes(system)
    for number in range(3):
        system.osas.put(f"{0x500 + number:04X}", Osa(f"{0x500 + number:04X}", "05", owner="DTCVSW3"))
    for number in range(128):
        system.osas.put(f"{0x600 + number:04X}", Osa(f"{0x600 + number:04X}", "06"))
    for rdev, eqid in EQUIPMENT.eqids.items():
        system.eqids.put(rdev, Eqid(rdev, eqid))
    _network(system)
    _directory(system)
    for requester in ("IBMVM1", "MGMT", "M1", "M2"):
        system.authorizations.put(f"{requester} ALL ALL", Authorization(requester, "ALL", "ALL"))
    system.name_lists.put("USERLIST", NameList("USERLIST", ("MYNAME",)))
    # An endpoint that is told of all entries but MAINT's: the exclusion is what MAINT can disable, and an inclusion
    # is another subscription, which it can enable.
    for noted in (
        Subscription("ALL", False, 1, 5000, "192.168.1.1", 2, "subdata"),
        Subscription("MAINT", True, 1, 5000, "192.168.1.1", 2, "subdata"),
    ):
        key = (noted.userid, noted.excluded, noted.protocol, noted.port, noted.address, noted.encoding, noted.data)
        system.subscriptions.put("\0".join(str(part) for part in key), noted)
    _reader(system)
    _run(system)


def _volumes(system: System) -> None:
    for volser, (rdev, size) in VOLUMES.items():
        system.volumes.put(volser, Volume(volser, "3390-0A", size, rdev))
        if volser not in ("TST002", "LX4000"):
            system.regions.put(volser, Region(volser, volser, 1, size - 1))
    # The directory manager works down the list: the recorded disks of GT@PING and GT@PONG were put there by it.
    system.groups.put("LINUX", Group("LINUX", ("LX3004", "LX3003", "LX3002", "LX3001", "LX3000")))
    system.regions.put("RGN001", Region("RGN001", "TST002", 1, 10))
    system.groups.put("GRP002", Group("GRP002", ()))
    # Volumes that guests have for themselves.
    system.real_disks.put("4000", RealDisk("4000", "3390-0A", 32760, "LX4000", "ATTACHED", "M2"))
    system.real_disks.put("4001", RealDisk("4001", "3390-0A", 32760, "LX4001", "ATTACHED", "GT@PONG"))
    users = sorted(VOLUMES)
    lines: tuple[str, ...] = (
        "/* System configuration */",
        "System_Identifier 2964 * VM1",
        "CP_Owned Slot 2 M01S01 OWN",
    )
    lines += ("CP_Owned Slot 3 M01P01 OWN", *(f"User_Volume_List {volser}" for volser in users))
    # GT@VSW1 was asked for with both configurations.
    lines += ("DEFINE VSWITCH GT@VSW1 IP RDEV NONE DISCONNECT",)
    for name in ("SYSTEM", "ALT"):
        key = f"PMAINT.0CF0 {name} CONFIG"
        system.texts.put(key, TextFile("PMAINT.0CF0", name, "CONFIG", lines, system.now()))


def _network(system: System) -> None:
    def mac(number: int) -> str:
        return f"020001{number:06X}"

    switches = (
        Vswitch("DTCSMAPI", mac(5), controller="*", grants=(Grant("DTCSMAPI"), Grant("LOHCOST"))),
        Vswitch("EXTERN", mac(1), controller="DTCVSW2", rdevs=("0500",), grants=(Grant("TCPIP"), Grant("M1"))),
        Vswitch(
            "GT@VSWI", mac(11), port_type="ACCESS", vlan="1024", native_vlan=2049, gvrp=True, connected=False,
            rdevs=("0620", "0630"), switch_type="IVL", mac_protect="ON", user_based=False, group="GT@VSWI",
            interval="300",
        ),
        Vswitch(
            "GT@VSW1", mac(2), transport="IP", routing="NONROUTER", connected=False,
            ports=("NAME1", "NAME2", "NAME3"), mac_protect="OFF", grants=(Grant("MAINT"), Grant("GT@PONG")),
        ),
    )  # fmt: skip
    for switch in switches:
        system.vswitches.put(switch.name, switch)


def _directory(system: System) -> None:
    tcpip = ["IDENTITY TCPIP AUTOONLY 128M 256M ABG", "IPL CMS", "CONSOLE 0009 3215 T"]
    tcpip += ["MDISK 0592 3390 1100 67 M01RES MR ALL WTCPIP MTCPIP", "NICDEF F000 TYPE QDIO LAN SYSTEM EXTERN"]
    _put(system, tcpip)
    for userid in SHARERS:
        sizes = _STORAGE.get(userid, "128M 512M ABCDEFG")
        records = [f"IDENTITY {userid} AUTOONLY {sizes}", "IPL CMS", "CONSOLE 0009 3215 T", "LINK TCPIP 0592 0592 RR"]
        if userid == "DTCSMAPI":
            records.append("NICDEF 0100 TYPE QDIO LAN SYSTEM DTCSMAPI")
        _put(system, records)
    _put(
        system,
        [
            "IDENTITY LOHCOST AUTOONLY 768M 2G G",
            "IPL CMS",
            "CONSOLE 0009 3215 T",
            "NICDEF F000 TYPE QDIO LAN SYSTEM DTCSMAPI",
        ],
    )
    for userid in ("SYSADMIN", "SYSDUMP1", "SYSMON"):
        _put(system, [f"USER {userid} NOLOG 32M 32M G"])
    for userid in ("IBMVM1", "MGMT", "M1", "M2", *(name for name in MINIDISKS if name not in SHARERS)):
        if userid not in system.entries:
            records = [f"USER {userid} NOLOG 1G 2G G"] if "-" in userid else [f"USER {userid} LBYONLY 1G 2G G"]
            if userid == "M1":
                records.append("NICDEF F000 TYPE QDIO LAN SYSTEM EXTERN")
            _put(system, records)
    for userid, disks in MINIDISKS.items():
        entry = system.entries[userid].entry
        records = [*entry.render()]
        records += [f"MDISK {vdev} 3390 {start} {size} {volser} MR" for vdev, start, size, volser in disks]
        _put(system, records)
    _guests(system)


def _guests(system: System) -> None:
    lnxdef = [line.format(name="LNXDEF") for line in _GUEST]
    lnxdef.append(_DISK.format(vdev="0777", start=1457, size=1000, volser="LX3003"))
    _put(system, lnxdef)
    in_source = [
        *_PONG,
        _DISK.format(vdev="0888", start=1457, size=10, volser="LX3002"),
        "NICDEF 9000 TYPE QDIO DEVICES 3",
    ]
    _put(system, in_source)
    in_effect = [*_PONG, _DISK.format(vdev="0888", start=1457, size=10, volser="LX3002")]
    in_effect += [_DISK.format(vdev="0777", start=29129, size=1000, volser="LX3000")]
    in_effect += [_DISK.format(vdev="0999", start=20000, size=10, volser="LX3002")]
    in_effect += [f"NICDEF {vdev} TYPE QDIO DEVICES 3" for vdev in ("9000", "9200")]
    _keep_in_object_directory(system, in_effect)
    ping = [line.format(name="GT@PING") for line in _GUEST]
    ping.append(_DISK.format(vdev="0777", start=2467, size=1000, volser="LX3004"))
    _keep_in_object_directory(system, ping)


def _put(system: System, records: Sequence[str]) -> None:
    """An entry with its minidisks; takes the place of one that a model put there."""
    entry = Entry.parse(list(records))
    if entry.name in system.machines:
        guests.log_off(system, entry.name)
    for disk in entry.mdisks:
        if storage.key(entry.name, disk.vdev) not in system.disks:
            storage.create_disk(system, entry.name, disk)
    system.entries.put(entry.name, DirectoryEntry(entry))


def _keep_in_object_directory(system: System, records: Sequence[str]) -> None:
    """What CP still has of an entry that is another one, or gone, in the source directory."""
    entry = Entry.parse(list(records))
    for disk in entry.mdisks:
        if storage.key(entry.name, disk.vdev) not in system.disks:
            storage.create_disk(system, entry.name, disk)
    system.in_effect.put(entry.name, InEffect(entry.render()))


def _reader(system: System) -> None:
    for number, day in enumerate(_LOADED):
        name = f"PRB{number:05d}"
        system.dumps.put(name, ProcessedDump(name, f"{_YEAR}-04-{day:02d}"))
        system.next_number("dump.processed", first=0)
    for spoolid, month, day in _DUMPS:
        line = f"SYSTEM {spoolid} V DMP 1 {month:02d}/{day:02d} 12:00:00 CPDUMP FILE SNP001"
        _spool_file(system, "OPERATNS", line)
    for line in _READER.splitlines():
        _spool_file(system, "MAINT", line)


def _spool_file(system: System, owner: str, line: str) -> None:
    """A file of a reader, told as in _READER."""
    origin, spoolid, spool_class, kind, records, day, clock, name, filetype, distribution = line.split()
    month, date = (int(part) for part in day.split("/"))
    hour, minute, second = (int(part) for part in clock.split(":"))
    created = float(calendar.timegm((_YEAR, month, date, hour, minute, second)))
    file_name = f"{system.next_number('spool.file'):08d}.{kind.lower()}"
    data = b"".join(b"%-79d\n" % number for number in range(int(records)))
    system.new_file(system.spool_folder, file_name, data)
    system.spool.put(
        f"{owner}.{spoolid}",
        SpoolFile(
            owner, spoolid, origin, "RDR", spool_class, kind, name.strip("-"), filetype.strip("-"), int(records),
            len(data), file_name, created, distribution=distribution,
        ),
    )  # fmt: skip


def _run(system: System) -> None:
    for userid in ("TCPIP", *SHARERS, "LOHCOST", "M1", "M2", "GT@PONG"):
        if userid not in system.machines:
            guests.log_on(system, userid)
    # What its tests had given the running machine: a link and a device; not yet the disks 0777 and 0999.
    storage.detach(system, "GT@PONG", "0777")
    storage.detach(system, "GT@PONG", "0999")
    storage.attach(system, "GT@PONG", "LNXDEF", "0777", "0557", "RR")
    for userid, vdev, rdev in (("GT@PONG", "3000", "4001"), ("M2", "4000", "4000")):
        machine = system.machines[userid]
        device = RealDevice(vdev, rdev, "DASD")
        system.machines.put(userid, replace(machine, devices=(*machine.devices, device)))
