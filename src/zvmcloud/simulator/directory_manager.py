"""The directory manager: changes of directory entries, and the disks that go with them.

Every function is called inside a transaction and raises Refused with the code that SMAPI gives (return_codes.json).
An entry that is locked takes no change but a replacement by the userid that locked it; a lock on a device stops changes
of that device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.directory import DirectoryError, Entry, SpaceError, Statement, statements
from zvmcloud.directory.devices import Mdisk, Nicdef
from zvmcloud.simulator import held_disks, local_tags, storage
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import DirectoryEntry, Machine, Nic
from zvmcloud.simulator.system import System

NOT_FOUND = (400, 4)
EXISTS = (400, 8)
LOCKED = (400, 12)
IN_USE = (400, 16)
NOT_LOCKED = (400, 24)
SEVERAL_USERS = (400, 40)
DEVICE_EXISTS = (404, 4)
DEVICE_MISSING = (404, 8)
DEVICE_LOCKED = (404, 12)
DEVICE_NOT_LOCKED = (404, 24)
DISK_EXISTS = (408, 4)
DISK_MISSING = (408, 8)
DISK_LOCKED = (408, 12)
NO_SPACE = (408, 24)
NO_AREA = (420, 8)
NO_PROFILE = (436, 4)
LOGGED_ON = (596, 6831)
#: DirMaint's number for a statement it cannot accept is in no source; this one is ours. The text names the operand.
STATEMENT_REFUSED = (596, 3213)
NO_SUCH_DISK = (208, 36)


def find(system: System, name: str, *, profile: bool = False) -> DirectoryEntry:
    """An entry by name. Refused 400/4 when there is none of that kind."""
    found = system.entries.get(name.upper())
    if found is None or (found.entry.kind == "PROFILE") != profile:
        raise Refused(*NOT_FOUND)
    return found


def unlocked(system: System, name: str, *, vdev: str = "", profile: bool = False) -> DirectoryEntry:
    """An entry that may be changed. Refused 400/12 when it is locked, 404/12 when the device is."""
    found = find(system, name, profile=profile)
    if found.locked_by:
        raise Refused(*LOCKED)
    if vdev and any(address == vdev for address, _ in found.device_locks):
        raise Refused(*DEVICE_LOCKED)
    return found


def put(system: System, record: DirectoryEntry, entry: Entry) -> None:
    """Store a changed entry under its name, keeping its locks and tags."""
    _store(system, entry.name, replace(record, entry=entry))


def _store(system: System, name: str, record: DirectoryEntry | None) -> None:
    """Store or remove an entry. Minidisks of a SUBCONFIG follow the IDENTITY that is built on it, here and gone."""
    old = system.entries.get(name)
    affected = {
        subconfig
        for item in (old, record)
        if item is not None and item.entry.kind == "IDENTITY"
        for _, subconfig in item.entry.builds
    }
    homes = {subconfig: system.home(subconfig) for subconfig in affected}
    if record is None:
        system.entries.remove(name)
    else:
        system.entries.put(name, record)
    for subconfig, owner in homes.items():
        found = system.entries.get(subconfig)
        if found is not None and system.home(subconfig) != owner:
            storage.give_disks(system, owner, system.home(subconfig), [disk.vdev for disk in found.entry.mdisks])


def shown(system: System, record: DirectoryEntry) -> tuple[str, ...]:
    """The records of an entry as the directory manager gives them: upper case but for comments, then its tags."""
    records = tuple(
        line if statement.is_comment else statements.upper(line)
        for statement in record.entry.statements
        for line in statement.records
    )
    return records + local_tags.render(system, record.tags)


def parse(records: Sequence[str]) -> Entry:
    """An entry from the records of a call. Refused 596 with the text of what is wrong, 400/40 for two USERs."""
    try:
        parsed = statements.split(records)
        if sum(item.keyword in ("USER", "IDENTITY", "PROFILE") for item in parsed) > 1:
            raise Refused(*SEVERAL_USERS)
        return Entry.parse(records)
    except DirectoryError as error:
        raise Refused(*STATEMENT_REFUSED, (str(error),)) from error


def add_statement(entry: Entry, statement: Statement) -> Entry:
    """An entry with one more statement. Refused 596 when it cannot be."""
    try:
        return entry.add(statement)
    except DirectoryError as error:
        raise Refused(*STATEMENT_REFUSED, (str(error),)) from error


def create(system: System, name: str, records: Sequence[str], *, profile: bool = False) -> Entry:
    """Add an entry; minidisks that say AUTOG, AUTOR or AUTOV get their place, and every minidisk its file."""
    records, tags = local_tags.take(system, records)
    entry = parse(records)
    name = name.upper()
    if (entry.kind == "PROFILE") != profile:
        raise Refused(*STATEMENT_REFUSED, (f"line 1: statement {entry.kind!r} does not fit this function",))
    if entry.name != name:
        raise Refused(*STATEMENT_REFUSED, (f"line 1: name {entry.name!r} is not the target {name!r}",))
    if name in system.entries:
        raise Refused(*EXISTS)
    _check_profiles(system, entry)
    entry = entry.normalised()
    _store(system, name, DirectoryEntry(entry.without(lambda item: item.keyword == "MDISK"), tags=tags))
    placed = entry
    for disk in entry.mdisks:
        chosen = _place(system, disk)
        if chosen != disk:
            placed = placed.replace_device(disk.vdev, chosen.statement())
        _add_disk_file(system, name, chosen)
        # Each placed disk goes into the entry at once, so that the next one sees the space as taken.
        record = system.entries[name]
        put(system, record, record.entry.add(chosen.statement()))
    put(system, system.entries[name], placed)
    return placed


def _check_profiles(system: System, entry: Entry) -> None:
    if len(entry.includes) > 1:
        raise Refused(436, 40)
    for profile in entry.includes:
        found = system.entries.get(profile)
        if found is None or found.entry.kind != "PROFILE":
            raise Refused(*NO_PROFILE)
    for _, subconfig in entry.builds if entry.kind == "IDENTITY" else ():
        found = system.entries.get(subconfig)
        if found is not None and found.entry.kind != "SUBCONFIG":
            raise Refused(*STATEMENT_REFUSED, (f"BUILD: {subconfig!r} is a {found.entry.kind}, not a SUBCONFIG",))


def _add_disk_file(system: System, owner: str, disk: Mdisk) -> None:
    if disk.placement == "PERM" or (disk.placement == "DEVNO" and storage.volume_at(system, disk.volser)):
        held_disks.take_place(system, system.home(owner), disk.vdev)
        storage.create_disk(system, system.home(owner), disk)


def _place(system: System, disk: Mdisk) -> Mdisk:
    """Choose the place of a minidisk. Refused 420/8 for an unknown area, 408/24 without room."""
    if disk.placement in ("V-DISK", "T-DISK", "DEVNO") or disk.size is None:
        return disk
    method = str(disk.start) if disk.placement == "PERM" else disk.placement
    if disk.placement == "PERM" and disk.volser not in system.volumes:
        # A place on a volume that the directory manager does not manage is believed.
        return disk
    try:
        extent = system.space.allocate(method, disk.volser, disk.size, disk.device_type)
    except SpaceError as error:
        code = NO_AREA if error.reason.startswith("unknown") else NO_SPACE
        raise Refused(*code, (str(error),)) from error
    device_type = system.volumes[extent.volser].device_type if disk.device_type == "XXXX" else disk.device_type
    return replace(disk, placement="PERM", start=extent.start, volser=extent.volser, device_type=device_type)


def replace_entry(system: System, name: str, records: Sequence[str], requester: str, *, profile: bool = False) -> Entry:
    """Put a new version of a locked entry in its place and unlock it.

    Minidisks that stay keep their data, new ones get a file, missing ones lose theirs.
    """
    record = find(system, name, profile=profile)
    if not record.locked_by:
        raise Refused(*NOT_LOCKED)
    if record.locked_by != requester:
        raise Refused(*LOCKED)
    records, tags = local_tags.take(system, records)
    entry = parse(records)
    if entry.name != record.entry.name or entry.kind != record.entry.kind:
        raise Refused(*STATEMENT_REFUSED, (f"line 1: {entry.kind} {entry.name} is not the entry that was locked",))
    _check_profiles(system, entry)
    entry = entry.normalised()
    before = {disk.vdev: disk for disk in record.entry.mdisks}
    after = {disk.vdev: disk for disk in entry.mdisks}
    for vdev, disk in before.items():
        if not _same_place(disk, after.get(vdev)):
            held_disks.drop(system, system.home(entry.name), vdev)
    kept = entry.without(
        lambda item: item.keyword == "MDISK" and not _same_place(Mdisk.of(item), before.get(Mdisk.of(item).vdev))
    )
    _store(system, entry.name, DirectoryEntry(kept, tags=tags))
    for vdev, disk in after.items():
        if not _same_place(disk, before.get(vdev)):
            chosen = _place(system, disk)
            if chosen != disk:
                entry = entry.replace_device(vdev, chosen.statement())
            _add_disk_file(system, entry.name, chosen)
            current = system.entries[entry.name]
            put(system, current, current.entry.add(chosen.statement()))
    put(system, system.entries[entry.name], entry)
    return entry


def _same_place(one: Mdisk, other: Mdisk | None) -> bool:
    return other is not None and (one.device_type, one.placement, one.start, one.size, one.volser) == (
        other.device_type,
        other.placement,
        other.start,
        other.size,
        other.volser,
    )


def delete(system: System, name: str, *, profile: bool = False) -> None:
    """Remove an entry, its minidisks and the links of others' entries to them stay as they are.

    Refused 400/12 locked, 408/12 a device of it is locked, 400/16 a profile that is included or a SUBCONFIG that an
    IDENTITY is built on, 596/6831 logged on.
    """
    record = unlocked(system, name, profile=profile)
    if record.device_locks:
        raise Refused(*DISK_LOCKED)
    if profile and system.included_by.get(record.entry.name):
        raise Refused(*IN_USE)
    if record.entry.kind == "SUBCONFIG" and system.built_on(record.entry.name):
        raise Refused(*IN_USE)
    if not profile and system.active(record.entry.name):
        raise Refused(*LOGGED_ON)
    for disk in record.entry.mdisks:
        held_disks.drop(system, system.home(record.entry.name), disk.vdev)
    _store(system, record.entry.name, None)


def lock(system: System, name: str, requester: str, vdev: str = "", *, profile: bool = False) -> None:
    """Lock an entry or one device. Refused 400/12 and 404/12 when it is locked, 404/8 for an unknown device."""
    record = find(system, name, profile=profile)
    if record.locked_by:
        raise Refused(*LOCKED)
    if not vdev:
        system.entries.put(record.entry.name, replace(record, locked_by=requester))
        return
    if vdev not in record.entry.device_addresses:
        raise Refused(*DEVICE_MISSING)
    if any(address == vdev for address, _ in record.device_locks):
        raise Refused(*DEVICE_LOCKED)
    system.entries.put(record.entry.name, replace(record, device_locks=(*record.device_locks, (vdev, requester))))


def unlock(system: System, name: str, vdev: str = "", *, profile: bool = False) -> None:
    """Take a lock away. Refused 400/24, or 404/24 for a device, when there is none."""
    record = find(system, name, profile=profile)
    if not vdev:
        if not record.locked_by:
            raise Refused(*NOT_LOCKED)
        system.entries.put(record.entry.name, replace(record, locked_by=""))
        return
    kept = tuple(pair for pair in record.device_locks if pair[0] != vdev)
    if kept == record.device_locks:
        raise Refused(*DEVICE_NOT_LOCKED)
    system.entries.put(record.entry.name, replace(record, device_locks=kept))


def add_disk(system: System, name: str, disk: Mdisk) -> Mdisk:
    """Add a minidisk, choosing its place. Refused 408/4 when the address is in use, 408/24, 420/8."""
    record = unlocked(system, name)
    if disk.vdev in record.entry.device_addresses:
        raise Refused(*DISK_EXISTS)
    chosen = _place(system, disk)
    put(system, record, add_statement(record.entry, chosen.statement()))
    _add_disk_file(system, record.entry.name, chosen)
    return chosen


def remove_disk(system: System, name: str, vdev: str) -> None:
    """Remove a minidisk with its data. Refused 208/36 when the entry has none, 408/12 when it is locked."""
    record = find(system, name)
    if record.locked_by:
        raise Refused(*LOCKED)
    if any(address == vdev for address, _ in record.device_locks):
        raise Refused(*DISK_LOCKED)
    if record.entry.mdisk(vdev) is None:
        raise Refused(*NO_SUCH_DISK)
    put(system, record, record.entry.without_device(vdev))
    held_disks.drop(system, system.home(record.entry.name), vdev)


def add_device(system: System, name: str, vdev: str, statement: Statement, devices: int = 1) -> None:
    """Add a device statement. Refused 404/4 when an address it takes is in use."""
    record = unlocked(system, name, vdev=vdev)
    used = definition_addresses(record.entry)
    first = int(vdev, 16)
    if any(f"{first + number:04X}" in used for number in range(devices)):
        raise Refused(*DEVICE_EXISTS)
    put(system, record, add_statement(record.entry, statement))


def definition_addresses(entry: Entry) -> set[str]:
    """Every device number the entry's statements take; an adapter takes as many as it has devices."""
    used = set(entry.device_addresses)
    for nic in entry.nicdefs:
        used |= {f"{int(nic.vdev, 16) + number:04X}" for number in range(nic.devices)}
    return used


def remove_device(system: System, name: str, vdev: str, keyword: str) -> None:
    """Remove the statement of a device of that kind. Refused 404/8 when the entry has none."""
    record = unlocked(system, name, vdev=vdev)
    if not any(
        item.keyword == keyword and statements.vdev(item.operand(1)) == vdev for item in record.entry.statements
    ):
        raise Refused(*DEVICE_MISSING)
    put(system, record, record.entry.without_device(vdev))


def change_nic(system: System, name: str, vdev: str, **values: str) -> Nicdef:
    """Change operands of an adapter's NICDEF statement. Refused 404/8 when there is none."""
    record = unlocked(system, name, vdev=vdev)
    nic = record.entry.nicdef(vdev)
    if nic is None:
        raise Refused(*DEVICE_MISSING)
    changed = replace(nic, **values)  # type: ignore[arg-type]
    put(system, record, record.entry.replace_device(vdev, changed.statement()))
    return changed


def nic_of(machine: Machine, vdev: str) -> Nic | None:
    """An adapter of a machine that is logged on."""
    device = machine.device(vdev)
    return device if isinstance(device, Nic) else None
