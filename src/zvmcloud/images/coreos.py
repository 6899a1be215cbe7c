"""A CoreOS on a disk: what its boot partition and its boot record hold for the first start.

    SCSI disk: GPT; ECKD disk: VTOC; an ext4 file system labelled "boot" in one of the partitions
        /loader/entries/NAME.conf   the loader entry: title, linux, initrd and `options`, the words of each start
        /ignition.firstboot         is there until the system was started once; may hold words of the first start
        /ignition/config.ign        what Ignition reads at the first start
        /bootmap                    what the boot record leads to: loader, kernel, these options, initial file system
    ECKD disk: a loader of ours (see `eckd_loader`), as soon as the first start is prepared
    SCSI disk: boot record of zipl (see `zipl`), made with the image. One component, the loader's parameters, says where
    the others go: address of the command line (8 bytes), of the initial file system (8), its length (8), PSW of the
    kernel (8)

The machine loader knows no file names: it loads the blocks that the record's lists name. So the words of a start are
changed by having the list of the command line name other blocks: those of a file, COMMAND_LINE_FILE, whose blocks stay
its own until somebody deletes it. The system runs zipl itself at the end of its first start, which makes the record
anew from the loader entry, without the words of the first start.

Sources: create_disk.sh of coreos-assembler (the image gets its boot record there, with `ignition.firstboot`), zipl.rs
of coreos-installer (the text in ignition.firstboot, and how words are joined), boot.h, bootmap.c and stage3.c of
s390-tools. That a real machine loads a record with a changed list is judgement: it follows from how zipl writes lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from zvmcloud.images import cdl, eckd_loader, gpt, zipl
from zvmcloud.images.blocks import FACTOR, Blocks, DasdBlocks
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES, FbaDisk
from zvmcloud.images.eckd_loader import Linux, Run
from zvmcloud.images.ext4 import FileSystem, FileSystemError
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.images.tracks import BLOCK_BYTES, BLOCKS_PER_TRACK
from zvmcloud.images.zipl import Component, Extent

LABEL = "boot"
ENTRIES = "/loader/entries"
FIRST_BOOT = "/ignition.firstboot"
CONFIG = "/ignition/config.ign"
COMMAND_LINE_FILE = "/zvmcloud.commandline"
FIRST_BOOT_WORD = "ignition.firstboot"
MAX_LINE = 895
"""Bytes of a command line that every kernel and every loader of s390-tools takes (newer ones take 4096)."""
MAX_CONFIG = 4 << 20
"""Bytes of an Ignition file here; a boot partition has 384 MiB, most of them used (judgement)."""
_MAX_ENTRY = 64 << 10
_KERNEL_ENTRY = 0x10000
_PSW_ADDRESS = 0x7FFF_FFFF
_NOWHERE = (1 << 64) - 1
_PATH = re.compile(r"/[A-Za-z0-9._/+-]{1,255}")
_LINE = re.compile(rb"[\x20-\x7e]{0,4096}\0*")
_KERNEL_WORD = re.compile(r"[!-~]+")


class CoreosError(ValueError):
    """The disk holds no CoreOS that can be prepared for its first start, or the words do not fit."""


@dataclass(frozen=True, slots=True)
class Program:
    """What the machine loader loads of a Linux: its parts, and the command line's text."""

    kernel: Component
    line: Component
    initial: Component | None
    initial_bytes: int
    text: str


@dataclass(frozen=True, slots=True)
class BootPartition:
    """The partition with the boot files: its blocks of the disk, and its file system."""

    first_block: int
    blocks: int
    files: FileSystem

    def extents(self, path: str) -> tuple[Extent, ...]:
        """Where a file is on the disk. FileSystemError for a file with holes."""
        factor = self.files.block_bytes // FBA_BLOCK_BYTES
        runs = self.files.runs(self.files.find(path)[1])
        if not all(run.start for run in runs):
            raise FileSystemError(f"{path}: the file has holes")
        return tuple(Extent(self.first_block + run.start * factor, run.count * factor) for run in runs)

    def eckd_runs(self, path: str) -> tuple[tuple[Run, ...], int]:
        """Where a file is on an ECKD disk, and its bytes. FileSystemError as `extents`, and when its blocks are none of
        the disk's."""
        if self.files.block_bytes % BLOCK_BYTES:
            raise FileSystemError(f"it has blocks of {self.files.block_bytes} bytes, an ECKD disk of {BLOCK_BYTES}")
        runs = tuple(Run(extent.block // FACTOR, extent.blocks // FACTOR) for extent in self.extents(path))
        return runs, self.files.find(path)[1].size


@dataclass(frozen=True, slots=True)
class Installed:
    """A CoreOS on a disk. `program`: what a SCSI disk's boot record leads to; `line`: the command line that it starts
    with, "" while nothing is there to start it. `entry`: path of its loader entry without links; `options`: the words
    of each start; `waits`: whether it was never started."""

    partition: BootPartition
    program: Program | None
    line: str
    entry: str
    text: str
    options: str
    waits: bool

    def named(self, keyword: str) -> str:
        """What the loader entry says to a keyword; CoreosError unless it says so once."""
        found = [line.split(None, 1)[1].strip() for line in self.text.splitlines() if line.startswith(f"{keyword} ")]
        if len(found) != 1:
            raise CoreosError(f"{self.entry} has {len(found)} lines with {keyword}")
        return found[0]


def boot_partition(disk: Blocks, places: Iterable[tuple[int, int, str]]) -> BootPartition:
    """The partition whose file system is labelled "boot", among these (first block, blocks, name). CoreosError when
    there is not exactly one, or a damaged one."""
    found: list[BootPartition] = []
    why = f"no partition has a file system with the label {LABEL}"
    for first, blocks, name in places:
        try:
            files = FileSystem(_reader(disk, first, blocks))
        except FileSystemError as problem:
            why = f"partition {name}: {problem}" if name == LABEL else why
            continue
        if files.label == LABEL:
            found.append(BootPartition(first, blocks, files))
    if len(found) > 1:
        raise CoreosError(f"{len(found)} partitions have a file system with the label {LABEL}")
    if not found:
        raise CoreosError(why)
    return found[0]


def in_table(disk: Blocks, sector: int = FBA_BLOCK_BYTES) -> BootPartition:
    """The boot partition of a disk, or of an image, with a GUID partition table. CoreosError."""
    try:
        places = [(found.first_block, found.blocks, found.name) for found in gpt.partitions(disk, sector)]
    except gpt.PartitionTableError as problem:
        raise CoreosError(str(problem)) from problem
    return boot_partition(disk, places)


def _in_vtoc(disk: DasdBlocks) -> BootPartition:
    """The same of an ECKD disk."""
    try:
        found = cdl.partitions(disk.disk)
    except cdl.LayoutError as problem:
        raise CoreosError(str(problem)) from problem
    per_track = BLOCKS_PER_TRACK * FACTOR
    return boot_partition(disk, [(item.first_track * per_track, item.blocks * FACTOR, item.name) for item in found])


def _reader(disk: Blocks, start: int, blocks: int) -> Callable[[int, int], bytes]:
    """Reads bytes of a partition."""

    def read(offset: int, length: int) -> bytes:
        if offset < 0 or offset + length > blocks * FBA_BLOCK_BYTES:
            raise FileSystemError(f"byte {offset} is outside of the partition")
        first, last = offset // FBA_BLOCK_BYTES, -(-(offset + length) // FBA_BLOCK_BYTES)
        try:
            data = disk.read(start + first, last - first)
        except DiskFileError as problem:
            raise FileSystemError(str(problem)) from problem
        return data[offset - first * FBA_BLOCK_BYTES :][:length]

    return read


def program(disk: FbaDisk, number: int = 0, boot_record: int = 0) -> Program:
    """The Linux that a program of the boot record loads: the parts that its loader's parameters name. BootRecordError
    when the record leads to nothing, CoreosError when that is no Linux of zipl's."""
    parts = [part for part in zipl.components(disk, number, boot_record) if part.kind == zipl.LOAD]
    by_address = {part.address: part for part in parts}
    for part in parts:
        data = zipl.content(disk, part, FBA_BLOCK_BYTES)
        line_at, initial_at, initial_bytes, psw = (int.from_bytes(data[at : at + 8], "big") for at in (0, 8, 16, 24))
        kernel, line = by_address.get(psw & _PSW_ADDRESS), by_address.get(line_at)
        initial = by_address.get(initial_at)
        if kernel is None or line is None or psw & _PSW_ADDRESS != _KERNEL_ENTRY or part in (kernel, line):
            continue
        if initial is None and (initial_at != _NOWHERE and initial_bytes):
            continue
        text = zipl.content(disk, line, 65536)
        if _LINE.fullmatch(text[: text.find(b"\0") + 1 or len(text)]) is None:
            raise CoreosError("the boot record's command line is no text")
        words = text.partition(b"\0")[0].decode("ascii")
        return Program(kernel, line, initial, initial_bytes, words)
    raise CoreosError("the boot record loads no Linux with a command line")


def installed(disk: DasdBlocks | FbaDisk) -> Installed:
    """The CoreOS on a disk. CoreosError, with what is missing."""
    if isinstance(disk, DasdBlocks):
        linux = eckd_loader.read(disk.disk)
        return _installed(_in_vtoc(disk), None, linux.line if linux is not None else "")
    try:
        partition, loads = in_table(disk), program(disk)
    except zipl.BootRecordError as problem:
        raise CoreosError(str(problem)) from problem
    return _installed(partition, loads, loads.text)


def of_image(disk: Blocks, sector: int) -> Installed:
    """The CoreOS in an image for ECKD disks, on which nothing starts it yet. CoreosError."""
    return _installed(in_table(disk, sector), None, "")


def _installed(partition: BootPartition, loads: Program | None, line: str) -> Installed:
    try:
        names = [name for name in partition.files.names(ENTRIES) if name.endswith(".conf")]
        if len(names) != 1:
            raise CoreosError(f"{ENTRIES} has {len(names)} entries; an image that was never started has one")
        path = partition.files.find(f"{ENTRIES}/{names[0]}")[0]
        text = partition.files.read(path, _MAX_ENTRY).decode("utf-8")
    except (FileSystemError, UnicodeDecodeError) as problem:
        raise CoreosError(str(problem)) from problem
    if not _PATH.fullmatch(path):
        raise CoreosError(f"the loader entry has the name {path}")
    found = [line for line in text.splitlines() if line.split(" ", 1)[0] == "options"]
    if len(found) != 1:
        raise CoreosError(f"{path} has {len(found)} lines with options")
    options = found[0].partition(" ")[2].strip()
    return Installed(partition, loads, line, path, text, options, partition.files.exists(FIRST_BOOT))


def eckd_linux(system: Installed, line: str) -> Linux:
    """What a loader on an ECKD disk has to start: the files that the loader entry names, with this command line.
    CoreosError."""
    try:
        kernel, kernel_bytes = system.partition.eckd_runs(system.named("linux"))
        initial, initial_bytes = system.partition.eckd_runs(system.named("initrd"))
    except FileSystemError as problem:
        raise CoreosError(str(problem)) from problem
    return Linux(kernel, kernel_bytes, initial, initial_bytes, line)


def with_words(options: str, words: Iterable[str]) -> str:
    """Options with these words in place of those of the same names."""
    added = list(words)
    names = {word.partition("=")[0] for word in added}
    return " ".join([word for word in options.split() if word.partition("=")[0] not in names] + added)


def entry_with(system: Installed, options: str) -> str:
    """The text of the loader entry with other options."""
    lines = [f"options {options}" if line.split(" ", 1)[0] == "options" else line for line in system.text.splitlines()]
    return "\n".join(lines) + "\n"


def first_line(options: str, words: Sequence[str]) -> str:
    """The command line of the first start. CoreosError when it is too long."""
    line = with_words(options, [FIRST_BOOT_WORD, *words])
    if len(line) > MAX_LINE:
        raise CoreosError(f"the command line of the first start would have {len(line)} bytes; at most {MAX_LINE}")
    return line


def first_boot_text(words: Sequence[str]) -> str:
    """What ignition.firstboot holds, so that words of the first start outlive a zipl before its end."""
    return f'set ignition_network_kcmdline="{" ".join(words)}"\n' if words else ""


def check_words(name: str, words: Iterable[str]) -> None:
    """CoreosError for what is no word of a command line, or would end the text of ignition.firstboot."""
    for word in words:
        if not _KERNEL_WORD.fullmatch(word) or any(mark in word for mark in "\"'\\$`"):
            raise CoreosError(f"{name}: {word!r} is no word of a command line")


def line_block(text: str) -> bytes:
    """The blocks of a command line, ended by a zero. ValueError beyond MAX_LINE."""
    data = text.encode("ascii") + b"\0"
    if len(data) > MAX_LINE + 1:
        raise ValueError(f"text: {len(data) - 1} bytes, at most {MAX_LINE}")
    return data.ljust(-(-len(data) // FBA_BLOCK_BYTES) * FBA_BLOCK_BYTES, b"\0")
