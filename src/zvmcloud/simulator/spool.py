"""Spool: closed files in readers, and the console files that machines are writing.

A spool id has four digits and is unique among the files of one userid. A file that is transferred keeps its id when
the new owner has none with it, and gets the owner's next one otherwise.
"""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.simulator import space
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import SpoolFile, UnitRecord
from zvmcloud.simulator.system import System

#: A file on its own may have this many bytes.
MAX_FILE = 128 << 20
#: Bytes of a card; what a punched file is cut into.
CARD = 80
#: Lines of an open console file that are kept.
MAX_CONSOLE = 4000


def key(owner: str, spoolid: str) -> str:
    return f"{owner}.{spoolid}"


def files(system: System, owner: str, queue: str = "RDR") -> list[SpoolFile]:
    """The files of a userid in the order of their arrival."""
    found = [system.spool[item] for item in system.reader_index.get(owner, ()) if item in system.spool]
    return sorted((file for file in found if file.queue == queue), key=lambda file: (file.created, file.spoolid))


def find(system: System, owner: str, spoolid: str) -> SpoolFile:
    """A file by its number. CpRefused when there is none."""
    if not spoolid.isdecimal() or not 1 <= int(spoolid) <= 9999:
        raise CpRefused(messages.SPOOLID_INVALID)
    found = system.spool.get(key(owner, f"{int(spoolid):04d}"))
    if found is None:
        raise CpRefused(messages.SPOOL_FILE_MISSING, spoolid=f"{int(spoolid):04d}")
    return found


def _free_id(system: System, owner: str) -> str:
    for _ in range(9999):
        number = (system.next_number(f"spool.{owner}") - 1) % 9999 + 1
        spoolid = f"{number:04d}"
        if key(owner, spoolid) not in system.spool:
            return spoolid
    raise CpRefused(messages.SPOOLID_INVALID)


def create(
    system: System,
    owner: str,
    origin: str,
    data: bytes,
    *,
    name: str = "",
    filetype: str = "",
    spool_class: str = "A",
    kind: str = "PUN",
    records: int | None = None,
) -> SpoolFile:
    """Put a new file into a userid's reader."""
    system = reader_of(system, owner)
    if not space.room_for(system, len(data)):
        raise CpRefused(space.SPOOL_FULL)
    spoolid = _free_id(system, owner)
    number = system.next_number("spool.file")
    file_name = f"{number:08d}.{kind.lower()}"
    system.new_file(system.spool_folder, file_name, data)
    file = SpoolFile(
        owner,
        spoolid,
        origin,
        "RDR",
        spool_class.upper(),
        kind,
        name[:8].upper() if kind == "CON" else name,
        filetype,
        max(1, -(-len(data) // CARD)) if records is None else records,
        len(data),
        file_name,
        system.now(),
    )
    system.spool.put(key(owner, spoolid), file)
    return file


def read(system: System, file: SpoolFile) -> bytes:
    """The content of a file."""
    return (system.spool_folder / file.file).read_bytes()


def purge(system: System, file: SpoolFile) -> None:
    """Remove a file."""
    system.spool.remove(key(file.owner, file.spoolid))
    system.drop_file(system.spool_folder, file.file)


def transfer(system: System, file: SpoolFile, to: str) -> SpoolFile:
    """Give a file to another userid's reader. CpRefused when that userid is not in the directory."""
    if system.entry(to) is None:
        raise CpRefused(messages.NOT_IN_DIRECTORY, module="CSX", userid=to)
    if to == file.owner:
        return file
    system.spool.remove(key(file.owner, file.spoolid))
    there = reader_of(system, to)
    spoolid = file.spoolid if key(to, file.spoolid) not in there.spool else _free_id(there, to)
    moved = replace(file, owner=to, spoolid=spoolid)
    there.spool.put(key(to, spoolid), moved)
    return moved


def reader_of(system: System, owner: str) -> System:
    """The member of the cluster that has the reader of a userid: the one on which a floating guest is logged on."""
    return system.where(owner) or system


def follow(source: System, there: System, owner: str) -> None:
    """The files of a userid go to another member; their contents are in a folder that all members have."""
    for name in sorted(source.reader_index.get(owner, ())):
        file = source.spool[name]
        source.spool.remove(name)
        there.spool.put(name, file)


def follow_home(system: System, owner: str) -> None:
    """A floating guest logs on: its files come to this member from wherever they were put."""
    if system.cluster is None or not system.floats(owner):
        return
    for member in system.cluster.systems.values():
        if member is not system:
            follow(member, system, owner)


def change(system: System, file: SpoolFile, **values: str) -> SpoolFile:
    """Change attributes of a file, for example spool_class."""
    changed = replace(file, **values)  # type: ignore[arg-type]
    system.spool.put(key(file.owner, file.spoolid), changed)
    return changed


def purge_all(system: System, owner: str) -> int:
    """Remove every file of a userid; gives their number."""
    found = files(system, owner)
    for file in found:
        purge(system, file)
    return len(found)


def write_console(system: System, userid: str, *lines: str) -> None:
    """Add lines to the open console file of a machine that is logged on; its secondary user and observer see them."""
    machine = system.machines.get(userid)
    if machine is None:
        return
    _append(system, userid, lines)
    row = system.settings.get(userid)
    if row is not None and row.logon_at == machine.logon_at:
        for watcher in sorted({row.secuser, row.observer} - {"", userid}):
            _append(system, watcher, tuple(f"{userid:<8}: {line}" for line in lines))


def _append(system: System, userid: str, lines: tuple[str, ...]) -> None:
    """Add lines to a console that is spooled."""
    machine = system.machines.get(userid)
    if machine is None or any(isinstance(item, UnitRecord) and item.stopped for item in machine.devices):
        return
    system.machines.put(userid, replace(machine, console=(*machine.console, *lines)[-MAX_CONSOLE:]))


def close_console(system: System, userid: str, to: str) -> SpoolFile | None:
    """Close the console file and send it to a reader. None when nothing was written since the last time."""
    machine = system.machines.get(userid)
    if machine is None or not machine.console:
        return None
    data = ("\n".join(machine.console) + "\n").encode()
    system.machines.put(userid, replace(machine, console=()))
    return create(system, to, userid, data, spool_class="T", kind="CON", records=len(machine.console))
