"""Puts content into a new system: facts, volumes, directory, devices, who may call SMAPI; opens old ones."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from zvmcloud.directory import DirectoryError, Entry, Group, Region, Volume, statements
from zvmcloud.simulator import equipment, fleet, guests, model_rows, releases, source_directory, storage
from zvmcloud.simulator.clock import Scheduler
from zvmcloud.simulator.errors import CpRefused, ModelError
from zvmcloud.simulator.model import (
    Authorization,
    DirectoryEntry,
    Fcp,
    NameList,
    Osa,
    Processor,
    SystemFacts,
)
from zvmcloud.simulator.presets import PRESETS, Model
from zvmcloud.simulator.store import uncollected
from zvmcloud.simulator.system import System, Timing
from zvmcloud.smapi.registry import REGISTRY

#: Function lists that the name-list file of a new system has (recorded on z/VM 7.1).
FUNCTION_LISTS = (
    "ABEND_DUMP_MANAGEMENT", "AUTHORIZATION", "DIRECTORY_MANAGER_CONTROL", "DIRECTORY_MANAGER_LOCAL_TAG_AND_SCAN",
    "DIRECTORY_PARSING", "DIRECTORY_UPDATES_SUBSCRIPTION", "DISK_MANAGEMENT", "EVENT_MANAGEMENT",
    "IMAGE_CHARACTERISTICS", "IMAGE_CONNECTIVITY", "IMAGE_CPUS", "IMAGE_DEVICES", "IMAGE_IPL_MANAGEMENT",
    "IMAGE_OPERATIONS", "IMAGE_VOLUME_MANAGEMENT", "LIST_DIRECTED_IPL", "NAME_LIST",
    "NETWORK_INTERFACE_CONFIGURATION", "PROFILE_MANAGEMENT", "PROTOTYPE_MANAGEMENT", "RESPONSE_RECOVERY",
    "SERVER_MANAGEMENT", "SHARED_MEMORY_MANAGEMENT", "SINGLE_SYSTEM_IMAGE_CLUSTER_MANAGEMENT", "SYSTEM_MANAGEMENT",
    "VMRM_CONFIGURATION_UPDATE",
)  # fmt: skip

#: What the lists hold: patterns over function names; the recordings have only the lists' names.
_LIST_PATTERNS = {
    "AUTHORIZATION": r"Authorization_List_|Check_Auth",
    "NAME_LIST": r"Name_List_",
    "IMAGE_OPERATIONS": r"Image_(Activate|Deactivate|Recycle|Pause|Status_Query|Query_Activate_Time|Console_Get)",
    "IMAGE_CHARACTERISTICS": r"Image_(Create|Delete|Query|Replace|Lock|Unlock|Name_Query|Definition|Password|Active)",
    "IMAGE_CPUS": r"Image_CPU_",
    "IMAGE_DEVICES": r"Image_Device_",
    "DISK_MANAGEMENT": r"Image_(Disk|MDISK)_",
    "IMAGE_IPL_MANAGEMENT": r"Image_IPL_",
    "IMAGE_VOLUME_MANAGEMENT": r"Image_Volume_",
    "IMAGE_CONNECTIVITY": r"Virtual_(Network|Channel)_",
    "PROFILE_MANAGEMENT": r"Profile_",
    "PROTOTYPE_MANAGEMENT": r"Prototype_",
    "SYSTEM_MANAGEMENT": r"System_|Query_API",
    "EVENT_MANAGEMENT": r"Event_",
    "RESPONSE_RECOVERY": r"Response_Recovery",
    "SHARED_MEMORY_MANAGEMENT": r"Shared_Memory_",
    "DIRECTORY_MANAGER_CONTROL": r"(Static_Image|Directory_Manager_Task|Query_(Async|Directory|All)|Static)",
}

_SERVERS = {
    # userid: storage, maximum, classes
    "OPERATOR": ("32M", "32M", "ABCDEFG"),
    "TCPIP": ("128M", "256M", "ABG"),
    "DIRMAINT": ("128M", "256M", "BDG"),
    "VSMREQIN": ("128M", "512M", "G"),
    "VSMREQIU": ("128M", "512M", "G"),
    "VSMEVSRV": ("128M", "512M", "G"),
    "VSMGUARD": ("128M", "512M", "ABCDEFG"),
    "VSMWORK1": ("128M", "512M", "ABCDEFG"),
    "VSMWORK2": ("128M", "512M", "ABCDEFG"),
    "VSMWORK3": ("128M", "512M", "ABCDEFG"),
    "DTCVSW1": ("32M", "128M", "BG"),
    "DTCVSW2": ("32M", "128M", "BG"),
}


@uncollected()
def open_system(
    state: Path, model: Model | None = None, *, clock: Scheduler | None = None, timing: Timing | None = None
) -> System:
    """The system in a state folder; a new one is filled from the model, an old one is taken as it was left."""
    model = model or PRESETS["lpar"]
    system = System(state, clock=clock, timing=timing)
    try:
        with system.transaction():
            if system.is_new:
                _fill(system, model)
            set_passwords(system, model)
        storage.sweep(system)
    except BaseException:
        system.close()
        raise
    return system


def set_passwords(system: System, model: Model) -> None:
    for userid, password in model.passwords.items():
        record = system.entries.get(userid.upper())
        if record is None or not record.entry.is_machine:
            raise ModelError(f"passwords.{userid}", "no such userid in the directory")
        try:
            entry = record.entry.with_operand(2, password)
        except DirectoryError as error:
            raise ModelError(f"passwords.{userid}", error.limit) from error
        system.entries.put(entry.name, replace(record, entry=entry))


def _fill(system: System, model: Model) -> None:
    fill_facts(system, model)
    system.volumes.put("M01RES", Volume("M01RES", "3390-0A", 10017, "5000"))
    fill_volumes(system, model)
    model_rows.fill(system, model_rows.SPACE, model.rows)
    imported: set[str] = set()
    if model.directory is not None:
        source_directory.install(system, model.directory, accept=model.accept_extents)
        imported = set(system.entries)
    fill_directory(system, model)
    fill_devices(system, model)
    equipment.fill(system, model.equipment)
    model_rows.fill(system, model_rows.DEVICES, model.rows)
    if imported:
        source_directory.note_added(system, imported)
    fill_access(system, model)
    equipment.configure(system)
    log_on_servers(system)
    fleet.add_guests(system, model.guests)
    if model.build is not None:
        model.build(system)


def check_name(key: str, name: str) -> None:
    """ModelError when the name cannot be one of a system or a cluster."""
    if not statements.is_userid(name):
        raise ModelError(key, f"{name!r} is not 1 to 8 characters of A-Z 0-9 @ # $ _ : + -")


def fill_facts(system: System, model: Model, *, serial: str = "") -> None:
    """What the system is; `serial` replaces the first six digits of the CPU identification."""
    check_name("name", model.name.upper())
    if not re.fullmatch("[0-9A-Fa-f]{6}", model.mac_prefix):
        raise ModelError("mac_prefix", f"{model.mac_prefix!r} is not six hexadecimal digits")
    kib = statements.storage_kib(model.storage.upper())
    if kib is None:
        raise ModelError("storage", f"{model.storage!r} is not a number and K, M, G or T")
    if model.cps + model.ifls < 1:
        raise ModelError("cps", "a system needs a processor")
    release = releases.find(model.release)
    kinds = ["CP"] * model.cps + ["IFL"] * model.ifls
    processors = tuple(
        Processor(f"{number:04X}", "ALTERNATE" if number else "MASTER-PROCESSOR", kind, f"{number:04X}")
        for number, kind in enumerate(kinds)
    )
    facts = SystemFacts(
        model.name.upper(),
        model.lpar.upper(),
        release.version,
        release.full,
        release.level,
        storage_kib=kib,
        processors=processors,
        mac_prefix=model.mac_prefix.upper(),
        user_prefix=model.user_prefix.upper(),
        directory_manager=release.directory_manager,
        ipl_at=system.now(),
    )
    if serial:
        facts = replace(facts, cpu_id=serial + facts.cpu_id[6:])
    system.facts_rows.put("system", facts)


def fill_devices(system: System, model: Model, *, npiv: str = "C05076DDF700") -> None:
    """OSA and FCP devices; `npiv` are the first twelve digits of the FCP devices' own port names."""
    for chpid, first in model.osa.items():
        if not re.fullmatch("[0-9A-F]{4}", first.upper()):
            raise ModelError(f"osa.{chpid}", f"{first!r} is not a device number")
        for number in range(16):
            rdev = f"{int(first, 16) + number:04X}"
            system.osas.put(rdev, Osa(rdev, chpid))
    for chpid, base in (("50", 0x1A00), ("51", 0x1B00)):
        for number in range(4):
            rdev = f"{base + number:04X}"
            system.fcps.put(rdev, Fcp(rdev, chpid, f"{npiv}{rdev}", f"C05076DDF7{chpid}0001"))


def fill_access(system: System, model: Model) -> None:
    """Who may call SMAPI, and the function lists."""
    for requester in dict.fromkeys(("MAINT", "ZHCP", *model.authorized)):
        system.authorizations.put(f"{requester} ALL ALL", Authorization(requester, "ALL", "ALL"))
    for name in FUNCTION_LISTS:
        pattern = _LIST_PATTERNS.get(name)
        members = tuple(item.name for item in REGISTRY if pattern and re.match(pattern, item.name))
        system.name_lists.put(name, NameList(name, members))


def log_on_servers(system: System) -> None:
    """Log on the service machines that the directory has and that are not on yet, as AUTOLOG1 does after an IPL."""
    for userid in (*_SERVERS, *equipment.SERVERS):
        entry = system.entry(userid)
        if userid in system.machines or entry is None or not entry.can_log_on:
            continue
        try:
            guests.log_on(system, userid)
        except CpRefused as refused:
            raise ModelError(f"users.{userid}", str(refused)) from refused


def fill_volumes(system: System, model: Model) -> None:
    """The volumes of the model's pools with a region each, and the pools as groups."""
    rdev = 0x6000
    for name, pool in model.pools.items():
        members = []
        for number in range(1, pool.volumes + 1):
            volser = f"{pool.prefix}{number:0{max(6 - len(pool.prefix), 1)}d}"
            if not statements.is_volser(volser) or volser in system.volumes:
                raise ModelError(f"pool.{name}.prefix", f"label {volser!r} is used already or not 1 to 6 characters")
            volume = Volume(volser, "9336-ET" if pool.device_type == "9336" else "3390-0A", pool.size, f"{rdev:04X}")
            rdev += 1
            system.volumes.put(volser, volume)
            system.regions.put(volser, Region(volser, volser, volume.first, pool.size - volume.first))
            members.append(volser)
        system.groups.put(name, Group(name, tuple(members)))


def fill_directory(system: System, model: Model) -> None:
    """Profiles, service machines, MAINT, ZHCP and the model's own userids."""
    for name, records in model.profiles.items():
        _put_entry(system, f"profiles.{name}", [f"PROFILE {name}", *records])
    maint = ["IDENTITY MAINT MAINT 128M 1000M ABCDEFG", "CONSOLE 0009 3215 T", "SPOOL 000C 2540 READER *"]
    maint += [f"MDISK {vdev} 3390 {start} {size} M01RES MR ALL" for vdev, start, size in _CMS_DISKS]
    _put_entry(system, "users.MAINT", maint)
    # In a cluster every member has an agent, so that its userid has a configuration on each.
    kind = "IDENTITY" if model.ssi else "USER"
    zhcp = [f"{kind} ZHCP ZHCP 2G 4G BCEG", "OPTION LNKNOPAS", "MACHINE ESA 4", "CONSOLE 0009 3215 T"]
    zhcp += ["SPOOL 000C 2540 READER *", "SPOOL 000D 2540 PUNCH A", "SPOOL 000E 1403 A", "LINK MAINT 190 190 RR"]
    _put_entry(system, "users.ZHCP", zhcp)
    for userid, (initial, maximum, classes) in _SERVERS.items():
        _put_entry(
            system,
            f"users.{userid}",
            [f"IDENTITY {userid} AUTOONLY {initial} {maximum} {classes}", "IPL CMS", "CONSOLE 0009 3215 T"],
        )
    for userid, password in model.users.items():
        _put_entry(system, f"users.{userid}", [f"USER {userid} {password} 128M 1G G", "CONSOLE 0009 3215 T"])


_CMS_DISKS = (("0190", 100, 107), ("019D", 207, 383), ("019E", 590, 500))


def _put_entry(system: System, key: str, records: list[str]) -> None:
    try:
        entry = Entry.parse(records)
    except DirectoryError as error:
        raise ModelError(key, f"{error.operand}: {error.limit}") from error
    if entry.name in system.entries:
        if source_directory.KEY in system.source_files:
            return  # the imported directory has its own
        raise ModelError(key, "this name is in the directory already")
    system.entries.put(entry.name, DirectoryEntry(entry))
    for disk in entry.mdisks:
        storage.create_disk(system, entry.name, disk)
