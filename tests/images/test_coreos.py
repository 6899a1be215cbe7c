"""A CoreOS image that others' tools made is read: partition table, file system, boot record."""

from __future__ import annotations

import contextlib
import gzip
import struct
from pathlib import Path

import pytest

import coreos_image
from zvmcloud.images import coreos, gpt, zipl
from zvmcloud.images.coreos import CoreosError
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.ext4 import FileSystem, FileSystemError


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return coreos_image.build(tmp_path_factory.mktemp("coreos") / "image").read_bytes()


@pytest.fixture
def disk(image: bytes, tmp_path: Path) -> FbaDisk:
    (tmp_path / "disk").write_bytes(image)
    return FbaDisk(tmp_path / "disk", writable=True)


def test_what_an_image_holds_is_found(disk: FbaDisk) -> None:
    assert [part.name for part in gpt.partitions(disk)] == ["boot", "root"]
    system = coreos.installed(disk)
    assert system.program is not None
    assert system.options == coreos_image.OPTIONS
    assert system.entry == "/loader.1/entries/ostree-1-rhcos.conf", "the path without the link to it"
    assert system.program.text == f"{coreos_image.OPTIONS} ignition.firstboot"
    assert system.waits
    kernel = system.partition.files.read("/" + coreos_image.KERNEL, 1 << 20)
    assert zipl.content(disk, system.program.kernel, 1 << 20)[: len(kernel)] == kernel, "the record leads to the file"
    initial = zipl.content(disk, system.program.initial or system.program.kernel, 1 << 20)
    assert b"rhcos" in gzip.decompress(initial[: system.program.initial_bytes])
    assert [part.kind for part in zipl.components(disk)].count(zipl.SIGNATURE) == 1


def test_the_same_program_is_the_default_one_and_the_first(disk: FbaDisk) -> None:
    assert coreos.program(disk, 0) == coreos.program(disk, 1)
    with pytest.raises(zipl.BootRecordError, match="program 2"):
        coreos.program(disk, 2)


def test_a_system_that_was_started_waits_for_nothing_any_more(tmp_path: Path) -> None:
    with FbaDisk(coreos_image.build(tmp_path / "image", firstboot=False)) as disk:
        assert not coreos.installed(disk).waits


@pytest.mark.parametrize(
    ("at", "data", "why"),
    [
        (512, b"EFI PORT", "no GUID partition table"),
        (520, b"\1", "checksum"),
        (1030, b"\1", "entries do not have the checksum"),
        (0, b"ZIPL", "does not begin with zIPL"),
        (coreos_image.FIRST * 512 + 1024 + 56, b"\0\0", "no ext4 file system"),
        (coreos_image.FIRST * 512 + 1024 + 120, b"root\0", "no partition has a file system with the label boot"),
        (coreos_image.FIRST * 512 + 1024 + 96, b"\x46", "not unmounted"),
        (coreos_image.FIRST * 512 + 1024 + 96, b"\x43", "features"),
    ],
)
def test_damage_is_said_and_nothing_else_happens(disk: FbaDisk, at: int, data: bytes, why: str) -> None:
    block, offset = divmod(at, 512)
    old = disk.read(block, 1)
    disk.write(block, old[:offset] + data + old[offset + len(data) :])
    with pytest.raises(CoreosError, match=why):
        coreos.installed(disk)


def test_no_byte_of_the_file_system_makes_the_reader_fail_otherwise(disk: FbaDisk) -> None:
    """Each of the first tables' bytes turned over: an answer, or an error of ours."""
    for block in [coreos_image.FIRST + number for number in (2, 3, 4, 5, 10, 11, 12)]:
        good = disk.read(block, 1)
        for at in range(0, 512, 7):
            disk.write(block, good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
            with contextlib.suppress(CoreosError):
                coreos.installed(disk)
        disk.write(block, good)


def test_a_record_of_a_disk_with_other_sectors_is_refused(disk: FbaDisk) -> None:
    head = disk.read(0, 1)
    disk.write(0, head[:24] + struct.pack(">H", 4096) + head[26:])
    with pytest.raises(zipl.BootRecordError, match="blocks of 4096 bytes"):
        zipl.components(disk)


def test_words_take_the_place_of_those_of_the_same_name() -> None:
    assert coreos.with_words("a=1 rw b a=2", ["a=3", "c"]) == "rw b a=3 c"
    assert coreos.first_line("rw", ["ip=dhcp"]) == "rw ignition.firstboot ip=dhcp"
    with pytest.raises(CoreosError, match="at most 895"):
        coreos.first_line("rw", ["x" * 880])
    for word in ("a b", "", 'a"b', "a$b", "ä", "a\n"):
        with pytest.raises(CoreosError, match="no word"):
            coreos.check_words("first_start", [word])
    assert len(coreos.line_block("x" * 511)) == 512
    assert len(coreos.line_block("x" * 512)) == 1024


def test_files_are_read_and_what_is_none_is_said(disk: FbaDisk) -> None:
    files: FileSystem = coreos.in_table(disk).files
    assert files.names("/") == ("bootmap", "ignition.firstboot", "loader", "loader.1", "lost+found", "ostree")
    with pytest.raises(FileSystemError, match="no such file"):
        files.read("/loader/nothing", 10)
    with pytest.raises(FileSystemError, match="more than 10"):
        files.read("/bootmap", 10)
    with pytest.raises(FileSystemError, match="it is no file"):
        files.read("/loader", 10)
    with pytest.raises(FileSystemError, match="is not followed"):
        files.find("/loader/../bootmap")
