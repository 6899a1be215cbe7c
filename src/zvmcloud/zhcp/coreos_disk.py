"""Changing a CoreOS on a disk: its boot partition by debugfs on a copy, then what differs, all of it or nothing.

    copy      the boot partition, as a sparse file
    debugfs   Ignition file, loader entry, ignition.firstboot and (SCSI) the file with the command line are written in
              the copy
    e2fsck    finds nothing to repair in it; the files are read back, by a reader that is none of e2fsprogs
    changes   what differs from the disk, in pieces of 4096 bytes, and what is written last: of a SCSI disk the list of
              the boot record that leads to the new command line, of an ECKD disk the IPL records with a loader
    old       the bytes in their places, in a file that is durable before the first of them is overwritten

No file system is mounted, so nothing in it can harm the agent's kernel, and it needs no right but to the disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from zvmcloud.images import blocks, coreos, eckd_loader, zipl
from zvmcloud.images.blocks import DasdBlocks
from zvmcloud.images.coreos import BootPartition, CoreosError, Installed
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES, FbaDisk
from zvmcloud.images.eckd_loader import LoaderError
from zvmcloud.images.ext4 import FileSystem, FileSystemError
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.formatting import run_tool
from zvmcloud.zhcp.joining import in_thread
from zvmcloud.zhcp.operations.places import Disk

_PIECE = 4096
_LOOK = 256 * 1024
_HEAD = struct.Struct(">QI32s")
_DIGEST_BYTES = 32
_LABELLED = "security.selinux"
_FOLDER = str(PurePosixPath(coreos.CONFIG).parent)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the first start shall find."""

    ignition: bytes
    each_start: tuple[str, ...]
    first_start: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Bytes of the disk, as they were and as they shall be. `offset` counts from the disk's first byte."""

    offset: int
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class _Goal:
    """The files of the boot partition as they shall be, and the command line in them."""

    files: dict[str, bytes]
    line: str


def look(place: Disk) -> Installed:
    """The CoreOS on a disk. AgentError 422 `not-coreos`, 409 `coreos-started`."""
    with _opened(place) as disk:
        try:
            system = coreos.installed(disk)
        except CoreosError as problem:
            fits = "dasd" if place.kind == "ECKD" else "metal or qemu"
            raise AgentError(
                422, "not-coreos", f"this is no CoreOS image for {place.kind} disks: {problem}",
                remedy=f"write an image whose name has {fits} in it",
            ) from problem  # fmt: skip
    if not system.waits:
        raise AgentError(
            409, "coreos-started", "the system was started already: Ignition reads its file at the first start only",
            remedy="write the image anew",
        )  # fmt: skip
    return system


def _opened(place: Disk, *, writable: bool = False) -> DasdBlocks | FbaDisk:
    return blocks.opened(place.path, place.kind, writable=writable)


def _goal(system: Installed, wanted: Wanted) -> _Goal:
    try:
        options = coreos.with_words(system.options, wanted.each_start)
        line = coreos.first_line(options, wanted.first_start)
    except CoreosError as problem:
        raise AgentError(422, "coreos-unprepared", str(problem), remedy="give fewer or shorter words") from problem
    files = {
        coreos.CONFIG: wanted.ignition,
        coreos.FIRST_BOOT: coreos.first_boot_text(wanted.first_start).encode(),
        system.entry: coreos.entry_with(system, options).encode(),
    }
    if system.program is not None:
        files[coreos.COMMAND_LINE_FILE] = coreos.line_block(line)
    return _Goal(files, line)


def is_done(place: Disk, wanted: Wanted) -> bool:
    """Whether the disk is as wanted already. AgentError as `look` and `changes`."""
    goal = _goal(look(place), wanted)
    with _opened(place) as disk:
        try:
            system = coreos.installed(disk)
            files = system.partition.files
            return system.line == goal.line and all(
                files.read(name, coreos.MAX_CONFIG) == data for name, data in goal.files.items()
            )
        except FileSystemError:
            return False


async def changes(place: Disk, system: Installed, wanted: Wanted, scratch: Path) -> tuple[Change, ...]:
    """What makes the disk as wanted; the disk is only read. `scratch`: a folder of this operation, made and removed.
    AgentError 422 `coreos-unprepared`, 501 `tool-missing`."""
    goal = _goal(system, wanted)
    copy = scratch / "boot"
    try:
        await in_thread(partial(_copy, place, system.partition, copy))
        label = scratch / "label"
        await run_tool(["debugfs", "-R", f"ea_get -f {label} {system.entry} {_LABELLED}", str(copy)])
        script = await in_thread(partial(_script, goal, system.entry, label, copy))
        said = await run_tool(["debugfs", "-w", "-f", str(script), str(copy)])
        if said.status:
            raise _unprepared(f"debugfs: {said.last}")
        said = await run_tool(["e2fsck", "-f", "-n", str(copy)])
        if said.status:
            raise _unprepared(f"it would be damaged: {said.last}")
        return await in_thread(partial(_differences, place, system, copy, goal))
    finally:
        await in_thread(partial(shutil.rmtree, scratch, ignore_errors=True))


def _copy(place: Disk, partition: BootPartition, copy: Path) -> None:
    """Make a new folder with the copy in it."""
    shutil.rmtree(copy.parent, ignore_errors=True)
    copy.parent.mkdir(parents=True, mode=0o700)
    with _opened(place) as disk, copy.open("xb") as file:
        file.truncate(partition.blocks * FBA_BLOCK_BYTES)
        for at, data in _pieces(disk, partition):
            if any(data):
                file.seek(at)
                file.write(data)


def _pieces(disk: DasdBlocks | FbaDisk, partition: BootPartition) -> Iterator[tuple[int, bytes]]:
    """The partition's bytes, each with its offset in it."""
    step = _LOOK // FBA_BLOCK_BYTES
    for block in range(0, partition.blocks, step):
        count = min(step, partition.blocks - block)
        yield block * FBA_BLOCK_BYTES, disk.read(partition.first_block + block, count)


def _script(goal: _Goal, entry: str, label: Path, copy: Path) -> Path:
    """Commands for debugfs, which ends with 0 whatever becomes of them: the files are read back afterwards. (A mkdir of
    what is there leaves a directory without a name behind.)"""
    with _files(copy) as (files, _):
        there = {name for name in (*goal.files, _FOLDER) if files.exists(name)}
    commands = [] if _FOLDER in there else [f"mkdir {_FOLDER}"]
    for number, (name, data) in enumerate(goal.files.items()):
        source = copy.with_name(f"file{number}")
        source.touch(mode=0o600 if name == coreos.CONFIG else 0o644)
        source.write_bytes(data)
        commands += [f"rm {name}"] if name in there else []
        commands.append(f"write {source} {name}")
    if label.exists() and label.stat().st_size:
        commands.append(f"ea_set -f {label} {entry} {_LABELLED}")
    script = copy.with_name("commands")
    script.write_text("\n".join(commands) + "\n")
    return script


@contextmanager
def _files(copy: Path) -> Iterator[tuple[FileSystem, Callable[[int, int], bytes]]]:
    """The file system of the copy, and its bytes."""
    with copy.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        yield FileSystem(read), read


def _differences(place: Disk, system: Installed, copy: Path, goal: _Goal) -> tuple[Change, ...]:
    partition = system.partition
    start = partition.first_block * FBA_BLOCK_BYTES
    found: list[Change] = []
    with _opened(place) as disk, _files(copy) as (files, read):
        try:
            made = BootPartition(partition.first_block, partition.blocks, files)
            wrong = [name for name, data in goal.files.items() if made.files.read(name, len(data)) != data]
            boots = _starts(disk, replace(system, partition=made), goal)
        except (CoreosError, FileSystemError, LoaderError) as problem:
            raise _unprepared(str(problem)) from problem
        if wrong:
            raise _unprepared(f"{wrong[0]} was not written")
        for at, old in _pieces(disk, partition):
            new = read(at, len(old))
            if new == old:
                continue
            for inner in range(0, len(old), _PIECE):
                before, after = old[inner : inner + _PIECE], new[inner : inner + _PIECE]
                if before != after:
                    found.append(Change(start + at + inner, before, after))
        for block, after in boots:
            before = disk.read(block, len(after) // FBA_BLOCK_BYTES)
            if before != after:
                found.append(Change(block * FBA_BLOCK_BYTES, before, after))
    return tuple(found)


def _starts(disk: DasdBlocks | FbaDisk, system: Installed, goal: _Goal) -> list[tuple[int, bytes]]:
    """Blocks that have the disk start with the new command line, and their bytes; the last one is what counts."""
    if system.program is None or isinstance(disk, DasdBlocks):
        made = eckd_loader.render(coreos.eckd_linux(system, goal.line))
        return [(number * blocks.FACTOR, made[number]) for number in sorted(made, reverse=True)]
    place = system.partition.extents(coreos.COMMAND_LINE_FILE)
    needed = len(goal.files[coreos.COMMAND_LINE_FILE]) // FBA_BLOCK_BYTES
    return [(system.program.line.list_block, zipl.render_list(_first(place, needed)))]


def _first(extents: Sequence[zipl.Extent], count: int) -> list[zipl.Extent]:
    """The first blocks of a file, whose last file system block may be longer than its content."""
    found: list[zipl.Extent] = []
    for extent in extents:
        taken = min(extent.blocks, count)
        found += [zipl.Extent(extent.block, taken)] if taken else []
        count -= taken
    return found


def _unprepared(why: str) -> AgentError:
    return AgentError(422, "coreos-unprepared", f"the boot partition cannot be changed: {why}")


# -- writing ----------------------------------------------------------------------------------------------------------


def keep(file: Path, wanted: Sequence[Change]) -> None:
    """Write the old bytes down, and digests of the new ones, durably. Blocking."""
    data = b"".join(
        _HEAD.pack(change.offset, len(change.old), hashlib.sha256(change.new).digest()) + change.old
        for change in wanted
    )
    new = file.with_name(f"{file.name}.new")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with new.open("wb") as out:
        out.write(hashlib.sha256(data).digest() + data)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def put_back(file: Path, place: Disk) -> bool:
    """Bring the old bytes back; False when none were kept (nothing was overwritten then). AgentError 409
    `volume-changed` when somebody else wrote in their places meanwhile: nothing is written then. Blocking."""
    try:
        kept = file.read_bytes()
    except FileNotFoundError:
        return False
    data = kept[_DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != kept[:_DIGEST_BYTES]:
        raise AgentError(502, "disk-unreadable", f"{file} is damaged: the volume's old bytes are lost")
    found, at = [], 0
    with _opened(place) as disk:
        while at < len(data):
            offset, length, digest = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            old, now = data[at : at + length], disk.read(offset // FBA_BLOCK_BYTES, length // FBA_BLOCK_BYTES)
            if now != old and hashlib.sha256(now).digest() != digest:
                raise AgentError(
                    409, "volume-changed", f"byte {offset} of the volume was changed since it was prepared",
                    remedy="write the image anew",
                )  # fmt: skip
            found.append((offset, old))
            at += length
    # The last one is that of the boot record: it leads to nothing that is half there.
    _write(place, found[::-1])
    return True


def overwrite(place: Disk, wanted: Sequence[Change]) -> None:
    """Write the new bytes: those of the file system, then those of the boot record. Blocking."""
    _write(place, [(change.offset, change.new) for change in wanted])


def _write(place: Disk, pieces: Sequence[tuple[int, bytes]]) -> None:
    with _opened(place, writable=True) as disk:
        for number, (offset, data) in enumerate(pieces, 1):
            if number == len(pieces):
                disk.flush()
            disk.write(offset // FBA_BLOCK_BYTES, data)
        disk.flush()
