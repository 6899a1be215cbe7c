"""Formatting a linked disk: labels, one partition, and a file system or swap space in it.

The file system is made by Linux's own tool in a sparse temporary file of the partition's size; only the blocks that
hold something are copied, so holes of the disk stay holes and gigabytes take no time. ECKD disks get the compatible
disk layout, FBA disks a partition table (MBR) with one partition from block 2048 on.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from zvmcloud.images import cdl
from zvmcloud.images.diskfile import FBA_BLOCK_BYTES, EckdDisk, FbaDisk
from zvmcloud.images.header import FBA_PARTITION_START
from zvmcloud.images.tracks import BLOCK_BYTES, BLOCKS_PER_TRACK
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.joining import in_thread, to_its_end

_PIECE = BLOCKS_PER_TRACK * BLOCK_BYTES
_FBA_LOOK = 2048
"""Blocks that are looked at together."""
_SWAP_TYPE, _LINUX_TYPE = 0x82, 0x83
_QUICK = ["-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1"]
_TOOLS: dict[str, list[str]] = {
    "ext2": ["mkfs.ext2", "-F", "-q", "-b", "4096", "-E", "nodiscard,lazy_itable_init=1"],
    "ext3": ["mkfs.ext3", "-F", "-q", "-b", "4096", *_QUICK],
    "ext4": ["mkfs.ext4", "-F", "-q", "-b", "4096", *_QUICK],
    "xfs": ["mkfs.xfs", "-f", "-q"],
    "swap": ["mkswap", "-p", "4096"],
}
_MIN_BYTES = {"xfs": 300 * 2**20}


def _tool(name: str) -> str | None:
    """Where the tool is; administrators' folders are looked in even when PATH has none of them."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")


def check_format(form: str) -> None:
    """Whether this machine can make it. AgentError 501 `tool-missing`."""
    if form != "none":
        must_have(_TOOLS[form][0], f"format {form}", ", or choose another format")


def must_have(tool: str, what: str, otherwise: str = "") -> None:
    """AgentError 501 `tool-missing`."""
    if _tool(tool) is None:
        raise AgentError(
            501, "tool-missing", f"{what} needs {tool}, which this agent's machine does not have",
            remedy=f"install the package that has {tool}{otherwise}",
        )  # fmt: skip


async def format_disk(path: Path, kind: str, vdev: str, form: str, scratch: Path) -> None:
    """Label a linked disk and make `form` on it. AgentError 422 when the tool refuses (a disk that is too small)."""
    if kind == "ECKD":
        size = await in_thread(partial(_prepare_eckd, path, vdev))
    else:
        size = await in_thread(partial(_prepare_fba, path, form))
    if form == "none":
        return
    if size < _MIN_BYTES.get(form, 0):
        raise AgentError(422, "disk-too-small", f"{form} needs {_MIN_BYTES[form]} bytes, the partition has {size}")
    with _scratch_file(scratch, size) as name:
        said = await run_tool([*_TOOLS[form], name])
        if said.status:
            raise AgentError(422, "format-failed", f"{_TOOLS[form][0]} refused to make {form}: {said.last}")
        await in_thread(partial(_copy, Path(name), size, kind, path))


def is_empty(path: Path, kind: str) -> bool:
    """Whether nothing was ever written to a linked disk, or it was emptied."""
    if kind == "ECKD":
        with EckdDisk(path) as disk:
            return next(iter(disk.used_tracks()), None) is None
    with FbaDisk(path) as blocks:
        return not any(
            any(blocks.read(at, min(_FBA_LOOK, blocks.blocks - at))) for at in range(0, blocks.blocks, _FBA_LOOK)
        )


async def write_volume(path: Path, kind: str, vdev: str, data: bytes) -> None:
    """Put a file system that is there already onto a linked disk: into the one partition of an ECKD disk, from the
    first block of an FBA disk. AgentError 422 `disk-too-small`."""
    await in_thread(partial(_write_volume, path, kind, vdev, data))


def _write_volume(path: Path, kind: str, vdev: str, data: bytes) -> None:
    if kind == "ECKD":
        size = _prepare_eckd(path, vdev)
        _check_room(size, len(data))
        with EckdDisk(path, writable=True) as disk:
            blocks = cdl.PartitionBlocks(disk, cdl.partitions(disk)[0])
            for offset in range(0, len(data), _PIECE):
                piece = data[offset : offset + _PIECE]
                blocks.write(offset // BLOCK_BYTES, piece + bytes(-len(piece) % BLOCK_BYTES))
            disk.flush()
        return
    with FbaDisk(path, writable=True) as disk_blocks:
        _check_room(disk_blocks.blocks * FBA_BLOCK_BYTES, len(data))
        disk_blocks.clear(0, disk_blocks.blocks)
        disk_blocks.write(0, data + bytes(-len(data) % FBA_BLOCK_BYTES))
        disk_blocks.flush()


def _check_room(size: int, needed: int) -> None:
    if needed > size:
        raise AgentError(422, "disk-too-small", f"{needed} bytes are to be written, the disk holds {size}")


@contextmanager
def _scratch_file(folder: Path, size: int) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="mkfs-", dir=folder)
    try:
        try:
            os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Said:
    """How a tool ended, and the last line that it said."""

    status: int
    last: str


async def run_tool(command: list[str]) -> Said:
    """Run a tool without a shell, killed when nobody waits for it any more."""
    tool = _tool(command[0])
    process = await asyncio.create_subprocess_exec(
        tool or command[0],
        *command[1:],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await to_its_end(process.wait())
        raise
    said = output.decode("utf-8", "replace").strip().splitlines()
    return Said(process.returncode or 0, said[-1] if said else "no text")


def _prepare_eckd(path: Path, vdev: str) -> int:
    with EckdDisk(path, writable=True) as disk:
        partition = cdl.format_disk(disk, f"0X{vdev}")
        disk.flush()
        return partition.blocks * BLOCK_BYTES


def _prepare_fba(path: Path, form: str) -> int:
    with FbaDisk(path, writable=True) as disk:
        disk.clear(0, disk.blocks)
        if disk.blocks <= FBA_PARTITION_START:
            raise AgentError(
                422,
                "disk-too-small",
                f"a partition needs more than {FBA_PARTITION_START} blocks, {disk.blocks} are there",
            )
        kind = _SWAP_TYPE if form == "swap" else _LINUX_TYPE
        disk.write(0, partition_table(disk.blocks, kind))
        disk.flush()
        size = (disk.blocks - FBA_PARTITION_START) * FBA_BLOCK_BYTES
        return size - size % BLOCK_BYTES


def partition_table(blocks: int, kind: int = _LINUX_TYPE) -> bytes:
    """A master boot record with one partition from FBA_PARTITION_START to the end, and nothing to boot."""
    entry = struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", FBA_PARTITION_START,
                        blocks - FBA_PARTITION_START)  # fmt: skip
    return (bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa"


def _pieces(descriptor: int, size: int, step: int) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of every stretch of `step` bytes that holds something."""
    at = 0
    zero = bytes(step)
    while at < size:
        try:
            at = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:
            return
        at -= at % step
        data = os.pread(descriptor, min(step, size - at), at)
        if data != zero[: len(data)]:
            yield at, data
        at += step


def _copy(scratch: Path, size: int, kind: str, path: Path) -> None:
    """Runs in a thread; the scratch file is opened and closed here, so that nobody closes it under the copy."""
    descriptor = os.open(scratch, os.O_RDONLY)
    try:
        (_copy_eckd if kind == "ECKD" else _copy_fba)(descriptor, size, path)
    finally:
        os.close(descriptor)


def _copy_eckd(descriptor: int, size: int, path: Path) -> None:
    with EckdDisk(path, writable=True) as disk:
        blocks = cdl.PartitionBlocks(disk, cdl.partitions(disk)[0])
        for offset, data in _pieces(descriptor, size, _PIECE):
            blocks.write(offset // BLOCK_BYTES, data)
        disk.flush()


def _copy_fba(descriptor: int, size: int, path: Path) -> None:
    with FbaDisk(path, writable=True) as disk:
        for offset, data in _pieces(descriptor, size, _PIECE):
            disk.write(FBA_PARTITION_START + offset // FBA_BLOCK_BYTES, data)
        disk.flush()
