"""A USER DIRECT file as the directory of a new system, and the directory of a system as such a file.

Import: every entry of the file is in the directory, in its order and with its letters; its minidisks have their
places and their files. Volumes that the file names and the system does not have are made, large enough. What is wrong
(statements, minidisks over one another or beyond their volume, unknown profiles) is reported with line numbers, and
nothing is imported; `accept` lets extents pass that are wrong, as real directories have some on purpose.

Service machines of the preset that the file does not have (MAINT, ZHCP, the servers of SMAPI) are added, so that the
system can be used. They are not exported as long as they are as they were added: what was imported comes out byte for
byte.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from zvmcloud.directory import Region, Volume, source
from zvmcloud.directory.source import Problem, Source
from zvmcloud.simulator import local_tags, storage
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.model import DirectoryEntry
from zvmcloud.simulator.model_directory import LocalTag, SourceFile
from zvmcloud.simulator.system import System
from zvmcloud.simulator.values import from_json

KEY = "source"
ENCODING = "iso8859-15"
#: Real device numbers of volumes that an import makes begin here.
FIRST_RDEV = 0x9000
#: Problems that are told; there may be thousands when the file is something else.
MOST = 50


def read(path: Path) -> Source:
    """Read a file. ModelError when it cannot be read or holds no entry."""
    try:
        found = source.read(path.read_bytes().decode(ENCODING))
    except OSError as error:
        raise ModelError("directory", str(error)) from error
    if not found.entries and not found.problems:
        raise ModelError("directory", f"{path} has no USER, IDENTITY, SUBCONFIG or PROFILE statement")
    return found


def problems(found: Source, volumes: Mapping[str, Volume], *, accept: bool = False) -> list[Problem]:
    """Everything that is wrong, by line."""
    profiles = {item.entry.name for item in found.entries if item.entry.kind == "PROFILE"}
    wrong = [*found.problems]
    for placed in found.entries:
        for line, item in placed.lines():
            if item.keyword == "INCLUDE" and item.operand(1) not in profiles:
                wrong.append(Problem(line, f"INCLUDE {item.operand(1)}: there is no such profile"))
            if item.keyword == "MDISK" and item.operand(3) in ("AUTOG", "AUTOR", "AUTOV"):
                wrong.append(Problem(line, f"MDISK {item.operand(1)}: {item.operand(3)} has no place yet"))
    if not accept:
        every = {**volumes, **{volume.volser: volume for volume in source.missing_volumes(found, volumes)}}
        wrong += source.check_extents(found, every)
    return sorted(wrong, key=lambda problem: problem.line)


def install(system: System, path: Path, *, accept: bool = False) -> None:
    """Make a file the directory of a new system, inside a transaction. ModelError lists what is wrong."""
    found = read(path)
    wrong = problems(found, system.space.volumes, accept=accept)
    if wrong:
        lines = [str(problem) for problem in wrong[:MOST]]
        if len(wrong) > MOST:
            lines.append(f"and {len(wrong) - MOST} more")
        raise ModelError("directory", "\n  ".join([str(path), *lines]))
    rdev = FIRST_RDEV
    for volume in source.missing_volumes(found, system.space.volumes):
        system.volumes.put(volume.volser, replace(volume, rdev=f"{rdev:04X}"))
        region = Region(volume.volser, volume.volser, volume.first, volume.size - volume.first)
        system.regions.put(volume.volser, region)
        rdev += 1
    system.source_files.put(KEY, SourceFile(found.header, found.layout))
    for placed in found.entries:
        system.entries.put(placed.entry.name, DirectoryEntry(placed.entry))
    for placed in found.entries:
        for disk in placed.entry.mdisks:
            if disk.placement == "PERM":
                storage.create_disk(system, system.home(placed.entry.name), disk)


def note_added(system: System, imported: set[str]) -> None:
    """Remember the entries that are not from the file."""
    found = system.source_files[KEY]
    added = tuple((name, *record.entry.render()) for name, record in system.entries.items() if name not in imported)
    system.source_files.put(KEY, replace(found, added=added))


# -- export -----------------------------------------------------------------------------------------------------------


def export(state: Path, member: str = "") -> str:
    """The directory in a state folder as a file; the system may be running. ModelError when there is none."""
    path = _database(state, member)
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT collection, key, value FROM rows ORDER BY number").fetchall()
    except sqlite3.DatabaseError as error:
        raise ModelError("state", f"{path}: {error}") from error
    finally:
        database.close()
    entries: dict[str, DirectoryEntry] = {}
    ordinals: dict[str, int] = {}
    file = SourceFile()
    for collection, key, text in rows:
        if collection == "entries":
            entries[key] = from_json(DirectoryEntry, json.loads(text))
        elif collection == "local_tags":
            ordinals[key] = from_json(LocalTag, json.loads(text)).ordinal
        elif collection == "source_files" and key == KEY:
            file = from_json(SourceFile, json.loads(text))
    return source.write(file.header, _records(entries, ordinals, file), file.layout)


def _database(state: Path, member: str) -> Path:
    for path in (state / "cluster.sqlite", state / "system.sqlite", state / member.upper() / "system.sqlite"):
        if path.is_file():
            return path
    raise ModelError("state", f"{state} holds no system" + (f" {member}" if member else ""))


def _records(
    entries: Mapping[str, DirectoryEntry], ordinals: Mapping[str, int], file: SourceFile
) -> Iterator[tuple[str, ...]]:
    added = {item[0]: item[1:] for item in file.added}
    for name, record in entries.items():
        records = record.entry.render()
        if added.get(name) != records or record.tags:
            yield records + local_tags.records(ordinals, record.tags)
