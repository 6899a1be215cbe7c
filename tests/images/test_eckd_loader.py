"""A loader of ours starts a Linux from an ECKD disk: its code is run, instruction by instruction."""

from __future__ import annotations

from pathlib import Path

import pytest

from s390_machine import Machine, Stopped
from zvmcloud.images import blocks, cdl, eckd_loader
from zvmcloud.images.blocks import DasdBlocks
from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.images.eckd_loader import Linux, LoaderError, Run
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.images.tracks import BLOCK_BYTES

KERNEL, INITIAL = bytes(range(256)) * 16 * 21, b"\xa5\x5a\x17" * 30_000


def disk_with(tmp_path: Path, *, line: str = "rd.dasd=0.0.0100 quiet", kernel: tuple[Run, ...] = ()) -> Path:
    """A disk whose files lie in pieces, on several tracks and cylinders."""
    path = tmp_path / "disk"
    with EckdDisk.create(path, 6) as disk:
        cdl.format_disk(disk, "ZVM001")
    linux = Linux(kernel or (Run(30, 10), Run(500, 11)), len(KERNEL), (Run(200, 3), Run(41, 20)), len(INITIAL), line)
    with DasdBlocks(path, writable=True) as disk:
        for runs, data in ((linux.kernel, KERNEL), (linux.initial, INITIAL)):
            at = 0
            for run in runs:
                piece = data[at : at + run.count * BLOCK_BYTES].ljust(run.count * BLOCK_BYTES, b"\0")
                disk.write(run.block * blocks.FACTOR, piece)
                at += len(piece)
        for number, data in eckd_loader.render(linux).items():
            disk.write(number * blocks.FACTOR, data)
    return path


def number(machine: Machine, at: int) -> int:
    """Eight bytes of storage."""
    return int.from_bytes(machine.memory[at : at + 8], "big")


@pytest.mark.parametrize("unit_checks", [0, 3])
def test_an_ipl_brings_kernel_initial_file_system_and_command_line_to_their_places(
    tmp_path: Path, unit_checks: int
) -> None:
    with EckdDisk(disk_with(tmp_path)) as disk:
        machine = Machine(disk, unit_checks=unit_checks)
        assert machine.ipl() == 0x10000
    kernel = bytearray(KERNEL[0x10000:])
    initial = number(machine, 0x10408)
    assert machine.memory[initial : initial + number(machine, 0x10410)] == INITIAL
    line = bytes(machine.memory[0x10480 : 0x10480 + 896])
    assert line.rstrip(b"\0") == b"rd.dasd=0.0.0100 quiet"
    loaded = bytearray(machine.memory[0x10000 : 0x10000 + len(kernel)])
    for start, length in ((0x408, 16), (0x480, 896)):
        loaded[start : start + length] = kernel[start : start + length]
    assert loaded == kernel, "but for its parameters, the kernel is what the file has behind the part for the reader"


def test_a_disk_that_goes_on_failing_ends_in_a_disabled_wait(tmp_path: Path) -> None:
    with EckdDisk(disk_with(tmp_path)) as disk, pytest.raises(Stopped, match="disabled wait E0D"):
        Machine(disk, unit_checks=1000).ipl()


def test_what_the_map_says_is_read_again_and_only_with_our_loader(tmp_path: Path) -> None:
    path = disk_with(tmp_path)
    with EckdDisk(path) as disk:
        found = eckd_loader.read(disk)
    assert found is not None
    assert (found.line, found.kernel_bytes, found.initial_bytes) == (
        "rd.dasd=0.0.0100 quiet",
        len(KERNEL),
        len(INITIAL),
    )
    assert sum(run.count for run in found.kernel) == 21 - 16, "the first 64 KiB of a kernel are not loaded"
    assert found.initial[0] == Run(200, 3)
    with DasdBlocks(path, writable=True) as shown:
        shown.write(0, cdl.ipl1_block(cdl.STOPPED_PSW))
    with EckdDisk(path) as disk:
        assert eckd_loader.read(disk) is None


def test_files_in_too_many_pieces_and_a_line_that_no_kernel_takes_are_refused() -> None:
    pieces = tuple(Run(block, 1) for block in range(24, 24 + 2 * 4200, 2))
    with pytest.raises(LoaderError, match="pieces"):
        eckd_loader.render(Linux(pieces, len(pieces) * BLOCK_BYTES, (Run(30, 1),), 10, ""))
    with pytest.raises(LoaderError, match="895"):
        eckd_loader.render(Linux((Run(30, 40),), 40 * BLOCK_BYTES, (Run(80, 1),), 10, "x" * 896))


def test_a_disk_shows_short_records_as_the_driver_does(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with EckdDisk.create(path, 1) as disk:
        cdl.format_disk(disk, "ZVM001")
    with DasdBlocks(path, writable=True) as disk:
        label = disk.read(16, 8)
        assert label[:4] == "VOL1".encode(cdl.EBCDIC)
        assert label[84:] == b"\xe5" * (4096 - 84)
        disk.write(16, label)
        assert disk.read(16, 8) == label
        for block, data in ((16, bytes(4095) + b"1"), (3, bytes(4096)), (24, bytes(512)), (disk.blocks, bytes(4096))):
            with pytest.raises(DiskFileError):
                disk.write(block, data)
        with pytest.raises(DiskFileError):
            disk.read(disk.blocks - 1, 2)
        disk.write(8 * 30 + 8, b"\1" * 8192)
        assert disk.read(8 * 30, 32) == bytes(4096) + b"\1" * 8192 + bytes(4096)
