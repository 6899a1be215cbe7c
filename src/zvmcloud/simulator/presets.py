"""Systems to start with, and the model file that describes one's own.

A model file is TOML; every key may be left out. Values not given are those of the preset `lpar`::

    name = "ZVM1"             # system name, 1-8 characters
    release = "7.2"           # of z/VM: 6.4, 7.1 to 7.5
    lpar = "LP1"
    storage = "64G"           # real storage
    cps = 2                   # general processors, 0-64
    ifls = 4                  # IFL processors, 0-64 (one processor at least)
    mac_prefix = "020000"     # first six digits of MAC addresses

    ssi = "SSI"               # an SSI cluster of that name, whose members are
    members = ["VM1", "VM2"]  # one to eight systems
    systems = 1               # without ssi: how many systems that know nothing of each other (ZVM1, ZVM2 ...)
    guests = 0                # without ssi: how many guests each of them begins with

    [pool.POOL1]              # a group of volumes; as many as wanted; replaces the preset's
    type = "3390"             # 3390 or 9336
    volumes = 8               # number of volumes
    size = 30051              # cylinders, or 512-byte blocks, of each volume
    prefix = "LX"             # volume labels: prefix and number, six characters

    [users]                   # further userids of the system with their passwords, class G
    MYAPP = "SECRET"

    [passwords]               # other passwords for userids of the preset
    MAINT = "SECRET"

    [profiles]                # PROFILE entries by name
    LNXDFLT = ["IPL CMS", "CONSOLE 0009 3215 T"]

    [osa]                     # OSA devices: CHPID to the first device number; 16 devices each
    "1F" = "1F00"

`lpar` is one partition with eight 3390 volumes in POOL1, one 9336 volume in FBAPOOL, the servers of SMAPI and TCP/IP,
MAINT and the agent's ZHCP. `small` is the same with one volume of 20 cylinders and 1,016 blocks, to run out of space.
`ssi4` is an SSI cluster of four members VM1 to VM4; `fleet:NxM` are N systems ZVM1 ... that know nothing of each other,
with M guests each.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from zvmcloud.directory import DirectoryError, Entry, Group, Region, Volume, statements
from zvmcloud.simulator import equipment, fleet, guests, recorded71, releases, source_directory, storage
from zvmcloud.simulator.clock import Scheduler
from zvmcloud.simulator.equipment import Equipment
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

_LINUX_PROFILE = (
    "COMMAND SET RUN ON",
    "IPL CMS",
    "MACHINE ESA 32",
    "CONSOLE 0009 3215 T",
    "SPOOL 000C 2540 READER *",
    "SPOOL 000D 2540 PUNCH A",
    "SPOOL 000E 1403 A",
)


@dataclass(frozen=True, slots=True)
class Pool:
    """A group of equal volumes."""

    device_type: str = "3390"
    volumes: int = 1
    size: int = 30051
    prefix: str = "LX"


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that a new system starts with."""

    name: str = "ZVM1"
    lpar: str = "LP1"
    storage: str = "64G"
    cps: int = 2
    ifls: int = 4
    mac_prefix: str = "020000"
    release: str = "7.2"
    """Of z/VM; see releases."""
    pools: Mapping[str, Pool] = field(
        default_factory=lambda: {"POOL1": Pool(volumes=8), "FBAPOOL": Pool("9336", 1, 8_388_608, "FB")}
    )
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    profiles: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"LNXDFLT": _LINUX_PROFILE, "OSDFLT": _LINUX_PROFILE}
    )
    osa: Mapping[str, str] = field(default_factory=lambda: {"10": "1000", "1F": "1F00", "FF": "FF00"})
    equipment: Equipment = field(default_factory=Equipment)
    """Disks, fabric, segments and files beside the pools; see equipment."""
    ssi: str = ""
    """Name of the SSI cluster; empty for none."""
    members: tuple[str, ...] = ()
    """Names of the cluster's members in the order of their slots."""
    systems: int = 1
    """How many systems that are no cluster."""
    guests: int = 0
    """How many guests each of those has."""
    directory: Path | None = None
    """A source directory (USER DIRECT) to begin with; of the preset's own entries those that it has not are added."""
    accept_extents: bool = False
    """Whether its minidisks may be over one another or beyond their volumes."""
    build: Callable[[System], None] | None = None
    """What else a preset does to a new system, at the end, inside the transaction that fills it."""


PRESETS = {
    "lpar": Model(),
    "small": Model(pools={"POOL1": Pool("3390", 1, 21, "LX"), "FBAPOOL": Pool("9336", 1, 1032, "FB")}),
    "recorded71": Model(
        name="VM1",
        release="7.1",
        storage="4G",
        cps=0,
        ifls=4,
        pools={},
        osa={},
        equipment=recorded71.EQUIPMENT,
        ssi="SSI",
        members=("VM1", "VM2"),
        build=recorded71.fill,
    ),
    "ssi4": Model(ssi="SSI", members=("VM1", "VM2", "VM3", "VM4")),
}

_FLEET = re.compile(r"fleet:([0-9]{1,2})[x\u00d7]([0-9]{1,5})", re.IGNORECASE)


def find_preset(name: str) -> Model:
    """A preset by its name; `fleet:NxM` has as many systems and guests as it says. ModelError for another name."""
    wanted = _FLEET.fullmatch(name)
    if wanted is not None and int(wanted[1]) > 0:
        return Model(systems=int(wanted[1]), guests=int(wanted[2]))
    if name not in PRESETS:
        raise ModelError("preset", f"{name!r} is not one of {', '.join(PRESETS)}, fleet:NxM")
    return PRESETS[name]


def load_model(path: Path, base: Model) -> Model:
    """Read a model file on top of a preset. ModelError names the key that is wrong."""
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(str(path), str(error)) from error
    known = {
        "name",
        "release",
        "lpar",
        "storage",
        "cps",
        "ifls",
        "mac_prefix",
        "pool",
        "users",
        "passwords",
        "profiles",
        "osa",
        "ssi",
        "members",
        "systems",
        "guests",
    }
    for key in data:
        if key not in known:
            raise ModelError(key, "unknown key; known: " + ", ".join(sorted(known)))
    values: dict[str, object] = {}
    for key in ("name", "release", "lpar", "storage", "mac_prefix", "ssi"):
        if key in data:
            values[key] = _text(key, data[key])
    for key in ("cps", "ifls"):
        if key in data:
            values[key] = _number(key, data[key], 0, 64)
    for key in ("users", "passwords", "osa"):
        if key in data:
            values[key] = {name.upper(): _text(f"{key}.{name}", item) for name, item in _table(key, data[key]).items()}
    for key, low, high in (("systems", 1, 64), ("guests", 0, 99_999)):
        if key in data:
            values[key] = _number(key, data[key], low, high)
    if "members" in data:
        values["members"] = tuple(_text("members", name).upper() for name in _list("members", data["members"]))
    if "profiles" in data:
        values["profiles"] = {
            name.upper(): tuple(_text(f"profiles.{name}", line) for line in _list(f"profiles.{name}", lines))
            for name, lines in _table("profiles", data["profiles"]).items()
        }
    if "pool" in data:
        values["pools"] = {name.upper(): _pool(name, item) for name, item in _table("pool", data["pool"]).items()}
    return replace(base, **values)  # type: ignore[arg-type]


def _pool(name: str, item: object) -> Pool:
    table = _table(f"pool.{name}", item)
    for key in table:
        if key not in ("type", "volumes", "size", "prefix"):
            raise ModelError(f"pool.{name}.{key}", "unknown key; known: prefix, size, type, volumes")
    kind = _text(f"pool.{name}.type", table.get("type", "3390"))
    if kind not in ("3390", "9336"):
        raise ModelError(f"pool.{name}.type", f"{kind!r} is neither 3390 nor 9336")
    largest = 65520 if kind == "3390" else 2_147_483_640
    return Pool(
        kind,
        _number(f"pool.{name}.volumes", table.get("volumes", 1), 1, 9999),
        _number(f"pool.{name}.size", table.get("size", 30051), 20, largest),
        _text(f"pool.{name}.prefix", table.get("prefix", "LX" if kind == "3390" else "FB")).upper(),
    )


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ModelError(key, f"{value!r} is not a text")
    return value


def _number(key: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ModelError(key, f"{value!r} is not a number from {low} to {high}")
    return value


def _table(key: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ModelError(key, "is not a table")
    return value


def _list(key: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise ModelError(key, "is not a list of records")
    return value


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
    imported: set[str] = set()
    if model.directory is not None:
        source_directory.install(system, model.directory, accept=model.accept_extents)
        imported = set(system.entries)
    fill_directory(system, model)
    fill_devices(system, model)
    equipment.fill(system, model.equipment)
    if imported:
        source_directory.note_added(system, imported)
    fill_access(system)
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


def fill_access(system: System) -> None:
    """Who may call SMAPI, and the function lists."""
    for requester in ("MAINT", "ZHCP"):
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
