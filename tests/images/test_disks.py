"""Disk files, the compatible disk layout, IPL and the sample system."""

import ctypes
import errno
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zvmcloud.images import cdl, ckd, cpio, diskfile, header, sample, tracks
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.ipl import is_bootable, read_ipl_record
from zvmcloud.images.sparsefile import DiskFileError, set_room
from zvmcloud.images.tracks import DEFAULT_TRACK, RAW_TRACK_BYTES, Record, Track


def deploy(image: Path, disk: EckdDisk) -> None:
    raw = image.read_bytes()
    head = header.parse(raw[: header.PROBE_BYTES])
    body = raw[head.body_offset :]
    stream = zlib.decompress(body, 31) if head.gzip_level else body
    for number, track in enumerate(ckd.decode([stream])):
        disk.write_track(*divmod(number, 15), track)


def used_bytes(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_a_new_disk_is_made_of_holes_and_reads_as_cp_formats_it(tmp_path: Path) -> None:
    with EckdDisk.create(tmp_path / "d", 100) as disk:
        assert (disk.cylinders, disk.tracks) == (100, 1500)
        assert disk.read_track(99, 14) == DEFAULT_TRACK
        assert list(disk.used_tracks()) == []
    assert used_bytes(tmp_path / "d") == 0


def test_a_default_track_stays_a_hole_and_replaces_what_was_there(tmp_path: Path) -> None:
    with EckdDisk.create(tmp_path / "d", 3) as disk:
        disk.write_track(1, 1, DEFAULT_TRACK)
        assert used_bytes(disk.path) == 0
        track = Track((Record(1, b"k", b"v"),))
        disk.write_track(2, 14, track)
        assert list(disk.used_tracks()) == [(2, 14, track)]
        disk.write_track(2, 14, DEFAULT_TRACK)
        assert list(disk.used_tracks()) == []
        disk.write_track(0, 0, track)
        disk.clear(0, disk.tracks - 1)
        assert list(disk.used_tracks()) == []


@pytest.mark.parametrize(("cylinder", "head"), [(3, 0), (0, 15), (-1, 0)])
def test_a_track_outside_of_the_disk_is_refused(tmp_path: Path, cylinder: int, head: int) -> None:
    with EckdDisk.create(tmp_path / "d", 3) as disk, pytest.raises(DiskFileError, match="outside a disk of 3"):
        disk.write_track(cylinder, head, DEFAULT_TRACK)


def test_a_disk_opened_read_only_cannot_be_written(tmp_path: Path) -> None:
    EckdDisk.create(tmp_path / "d", 1).close()
    with EckdDisk(tmp_path / "d") as disk, pytest.raises(OSError, match="Bad file descriptor"):
        disk.write_track(0, 0, Track((Record(1, b"", b"x"),)))


def test_a_file_of_odd_size_is_no_disk(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"x" * 1000)
    with pytest.raises(DiskFileError, match="whole cylinders"):
        EckdDisk(tmp_path / "d")
    with pytest.raises(DiskFileError, match="whole blocks"):
        FbaDisk(tmp_path / "d")


def test_fba_blocks_are_read_as_written_and_zeros_stay_holes(tmp_path: Path) -> None:
    with FbaDisk.create(tmp_path / "d", 4096) as disk:
        disk.write(8, bytes(512 * 100))
        assert used_bytes(disk.path) == 0
        disk.write(4095, b"z" * 512)
        assert disk.read(4094, 2) == bytes(512) + b"z" * 512
        assert not is_bootable(disk)
        disk.write(0, b"\0\x08" + bytes(510))
        assert is_bootable(disk)
        disk.clear(0, 4096)
        assert disk.sha256() == FbaDisk.create(tmp_path / "e", 4096).sha256()
        with pytest.raises(DiskFileError):
            disk.write(4095, bytes(1024))


@pytest.mark.parametrize("cylinders", [1, 2, 50, 65_534, 65_535, 262_668])
def test_a_formatted_disk_has_label_and_one_partition_and_does_not_boot(tmp_path: Path, cylinders: int) -> None:
    with EckdDisk.create(tmp_path / "d", cylinders) as disk:
        assert cdl.partitions(disk) == ()
        assert read_ipl_record(disk) is None
        partition = cdl.format_disk(disk, "lnx100")
        assert cdl.read_volume_label(disk) == cdl.VolumeLabel("LNX100", 0, 1)
        assert cdl.partitions(disk) == (partition,)
        assert (partition.first_track, partition.last_track) == (2, cylinders * 15 - 1)
        assert partition.name == "LINUX.VLNX100.PART0001.NATIVE"
        record = read_ipl_record(disk)
        assert record is not None
        assert not record.bootable
        assert sample.read_system(disk) is None


def test_label_records_have_the_lengths_the_layout_asks_for() -> None:
    first, vtoc = cdl.label_tracks(10, "LNX100")
    assert [(len(r.key), len(r.data)) for r in first.records] == [(4, 24), (4, 144), (4, 80)] + [(0, 4096)] * 9
    assert [(len(r.key), len(r.data)) for r in vtoc.records] == [(44, 96)] * 12


@pytest.mark.parametrize("cylinders", [20, 65_600])
def test_a_disk_has_up_to_three_partitions_each_to_the_next_one(tmp_path: Path, cylinders: int) -> None:
    with EckdDisk.create(tmp_path / "disk", cylinders) as disk:
        cdl.write_labels(disk, "ZVM001", starts=(2, 100, 200))
        found = [(part.first_track, part.last_track) for part in cdl.partitions(disk)]
        vtoc = disk.read_track(0, 1).records
    assert found == [(2, 99), (100, 199), (200, cylinders * 15 - 1)]
    highest, unused = vtoc[0].data[5], int.from_bytes(vtoc[0].data[6:8], "big")
    assert vtoc[highest - 1].key.decode(cdl.EBCDIC).strip() == "LINUX.VZVM001.PART0003.NATIVE"
    assert unused == sum(not any(record.key + record.data) for record in vtoc)


@pytest.mark.parametrize("starts", [(2, 3, 4, 5), (2, 2), (1,), (2, 300)])
def test_partitions_that_do_not_follow_each_other_on_the_disk_are_refused(starts: tuple[int, ...]) -> None:
    with pytest.raises(cdl.LayoutError, match="partitions at tracks"):
        cdl.label_tracks(20, "ZVM001", starts=starts)


@pytest.mark.parametrize(
    ("cylinders", "shown", "counted", "formats"),
    [(65_534, 65_534, 0, "f4f5f1"), (65_535, 65_534, 65_535, "f4f5f7f8f9"), (262_668, 65_534, 262_668, "f4f5f7f8f9")],
)
def test_the_vtoc_of_a_large_volume_counts_cylinders_in_a_field_of_its_own(
    cylinders: int, shown: int, counted: int, formats: str
) -> None:
    _, vtoc = cdl.label_tracks(cylinders, "LNX100")
    dscbs = [record.key + record.data for record in vtoc.records]
    assert bytes(dscb[44] for dscb in dscbs).rstrip(b"\0").hex() == formats
    volume = dscbs[0]
    assert int.from_bytes(volume[62:64]) == shown
    assert int.from_bytes(volume[132:136]) == counted
    if counted:
        assert (volume[58], volume[138], volume[125:131].hex()) == (0xA0, 0x40, "070000000103"), "free space: format 7"
        last = (cylinders - 1) & 0xFFFF, (cylinders - 1) >> 16 << 4 | 14
        assert dscbs[3][105:115] == bytes.fromhex("010000000002") + struct.pack(">HH", *last)
        assert dscbs[3][135:140].hex() == "0000000105", "format 8 points to its format 9"
        assert dscbs[4][:3].hex() == "090101"


def test_tracks_beyond_cylinder_65536_are_their_own(tmp_path: Path) -> None:
    def content(number: int) -> Track:
        return Track((Record(1, b"", b"track %d" % number),))

    with EckdDisk.create(tmp_path / "d", 70_000) as disk:
        for cylinder in (0, 4_464, 65_535, 65_536, 69_999):
            disk.write_track(cylinder, 14, content(cylinder))
        found = [(cylinder, head, track) for cylinder, head, track in disk.used_tracks()]
        assert found == [(c, 14, content(c)) for c in (0, 4_464, 65_535, 65_536, 69_999)]
        data = b"".join(bytes([n]) * 4096 for n in range(24))
        assert disk.write_blocks(65_535 * 15 + 14, data) == 2
        read = disk.read_track(65_535, 14).records + disk.read_track(65_536, 0).records
        assert b"".join(record.data for record in read) == data
    assert used_bytes(tmp_path / "d") < 1_000_000
    with pytest.raises(DiskFileError, match="262669 cylinders are outside 1 to 262668"):
        EckdDisk.create(tmp_path / "e", 262_669)


@pytest.mark.parametrize("volser", ["", "TOOLONG", "A B", "ä"])
def test_a_bad_volser_is_refused(volser: str) -> None:
    with pytest.raises(cdl.LayoutError, match="volser"):
        cdl.label_tracks(10, volser)


def test_blocks_of_a_partition_are_read_as_written(tmp_path: Path) -> None:
    with EckdDisk.create(tmp_path / "d", 2) as disk:
        blocks = cdl.PartitionBlocks(disk, cdl.format_disk(disk, "LNX100"))
        data = b"".join(bytes([n]) * 4096 for n in range(1, 31))
        blocks.write(7, data)
        assert blocks.read(6, 32) == bytes(4096) + data + bytes(4096)
        assert [(c, h) for c, h, _ in disk.used_tracks()] == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]
        last = blocks.partition.blocks - 1
        with pytest.raises(cdl.LayoutError, match="outside a partition"):
            blocks.write(last, bytes(8192))


def test_the_sample_image_is_deterministic_and_boots_after_deployment(tmp_path: Path) -> None:
    image = sample.write_sample_image(tmp_path / "a", cylinders=5)
    again = sample.write_sample_image(tmp_path / "b", cylinders=5)
    assert (image.sha256, image.bytes) == (again.sha256, again.bytes)
    with EckdDisk.create(tmp_path / "d", 20) as disk:
        assert sample.read_system(disk) is None
        deploy(image.path, disk)
        assert disk.sha256(5) == image.content_sha256
        system = sample.read_system(disk)
        assert system is not None
        assert (system.distro, system.kernel, system.hostname) == ("zvmsample1.0", sample.KERNEL_RELEASE, "localhost")
        assert system.pretty_name.startswith("zvmcloud sample Linux")
        assert used_bytes(disk.path) < 1_000_000


def test_a_damaged_sample_does_not_boot_and_a_foreign_system_boots_unknown(tmp_path: Path) -> None:
    image = sample.write_sample_image(tmp_path / "a", cylinders=2)
    with EckdDisk.create(tmp_path / "d", 2) as disk:
        deploy(image.path, disk)
        blocks = cdl.PartitionBlocks(disk, cdl.partitions(disk)[0])
        blocks.write(3, b"damage!!" + blocks.read(3)[8:])
        assert sample.read_system(disk) is None
        blocks.write(0, bytes(4096))
        system = sample.read_system(disk)
        assert system is not None
        assert (system.known, system.distro, system.volser) == (False, "unknown", "0X0100")


def test_a_sample_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 cylinders hold"):
        sample.write_sample_image(tmp_path / "a", cylinders=1, filler_bytes=10_000_000)


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}", fullmatch=True), st.binary(max_size=50), max_size=5)
)
def test_a_cpio_archive_is_read_as_written(files: dict[str, bytes]) -> None:
    archive = cpio.write(files)
    assert {m.name: m.data for m in cpio.read(archive) if m.is_file} == files
    with pytest.raises(cpio.CpioError):
        cpio.read(archive[:-100])


def test_os_release_values_lose_their_quotes() -> None:
    text = '# c\nNAME="Red Hat"\nID=\'rhel\'\nVERSION_ID=9.4\nbroken\nBAD="x\n'
    assert cpio.parse_os_release(text) == {"NAME": "Red Hat", "ID": "rhel", "VERSION_ID": "9.4"}


@given(st.lists(st.sampled_from([b"\0", b"\x5a", b"\xff"]), min_size=1, max_size=75), st.integers(0, 74))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_tracks_of_blocks_are_what_their_records_are(tmp_path: Path, fillings: list[bytes], first: int) -> None:
    fillings = fillings[: 75 - first]
    names = tmp_path / "many", tmp_path / "single"
    for name in names:
        name.unlink(missing_ok=True)
    with EckdDisk.create(names[0], 5) as many, EckdDisk.create(names[1], 5) as single:
        for number in range(75):  # what was there before goes
            for disk in (many, single):
                disk.write_track(*divmod(number, 15), Track((Record(1, b"", b"old"),)))
        used = many.write_blocks(first, b"".join(filling * 49_152 for filling in fillings))
        assert used == sum(filling != b"\0" for filling in fillings)
        for number, filling in enumerate(fillings, first):
            records = tuple(Record(at, b"", filling * 4096) for at in range(1, 13))
            single.write_track(*divmod(number, 15), Track(records) if filling != b"\0" else DEFAULT_TRACK)
        assert many.sha256() == single.sha256()


def test_tracks_of_blocks_stay_on_the_disk(tmp_path: Path) -> None:
    with EckdDisk.create(tmp_path / "disk", 1) as disk:
        for first, data in ((14, bytes(2 * 49_152)), (-1, bytes(49_152)), (0, bytes(4096))):
            with pytest.raises(DiskFileError):
                disk.write_blocks(first, data)


def test_the_system_begins_to_write_while_more_is_being_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a flush at the end waits for all of the disk, and all of it fills a small machine's memory until then."""
    told: list[tuple[int, int]] = []
    advise = os.posix_fadvise

    def note(fd: int, offset: int, length: int, advice: int) -> None:
        told.append((offset, offset + length))
        advise(fd, offset, length, advice)

    monkeypatch.setattr(os, "posix_fadvise", note)
    data = random.Random(1).randbytes(49_152 * 60)
    with EckdDisk.create(tmp_path / "eckd", 48) as eckd:
        for first in range(0, 720, 60):
            eckd.write_blocks(first, data)
        assert [end for _, end in told[:-1]] == [begin for begin, _ in told[1:]]
        assert told[0][0] == 0
        assert eckd.size - told[-1][1] < 8 << 20
        content = b"".join(record.data for track in eckd.all_tracks() for record in track.records)
    assert content == data * 12


def test_a_disk_on_storage_that_is_full_takes_no_more_than_it_has(tmp_path: Path) -> None:
    track = b"x" * 49_152
    with EckdDisk.create(tmp_path / "disk", 2) as disk:
        disk.write_blocks(1, track)
        disk.flush()
    set_room(tmp_path / "disk", 65_536)
    with EckdDisk(tmp_path / "disk", writable=True) as disk:
        disk.write_blocks(2, track)
        with pytest.raises(OSError, match="No space left") as caught:
            disk.write_blocks(3, track)
        assert caught.value.errno == errno.ENOSPC
        disk.write_blocks(1, b"y" * 49_152)
        assert disk.read_track(0, 1).records[0].data == b"y" * 4096, "what is there can be overwritten"
        disk.write_blocks(4, bytes(49_152))
        disk.clear(0, disk.tracks - 1)
        assert list(disk.used_tracks()) == []
    set_room(tmp_path / "disk", None)
    with EckdDisk(tmp_path / "disk", writable=True) as disk:
        assert disk.write_blocks(3, track * 20) == 20


def test_clearing_what_lies_behind_an_image_leaves_holes_holes(tmp_path: Path) -> None:
    """An image need not end where a page of the file system does."""
    with FbaDisk.create(tmp_path / "disk", 40_000) as disk:
        disk.write(0, b"x" * 512 * 1955)
        disk.write(30_000, b"y" * 512)
        disk.flush()
        before = used_bytes(tmp_path / "disk")
        disk.clear(1955, 40_000 - 1955)
        disk.flush()
        assert used_bytes(tmp_path / "disk") <= before
        assert disk.read(0, 40_000) == b"x" * 512 * 1955 + bytes(512 * (40_000 - 1955))


class RawTracks:
    """What the DASD driver takes in raw-track mode, of a file: whole tracks in one call, from memory that begins with a
    page, each with its home address. There are no holes. `copied` counts tracks written."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.copied = 0
        self._open, self._pwrite, self._preadv = os.open, os.pwrite, os.preadv
        patch.setattr(diskfile, "is_device", lambda path: path.suffix == ".raw")
        for name in ("open", "pwrite", "preadv"):
            patch.setattr(os, name, getattr(self, name))
        for name in ("pread", "pwritev", "posix_fadvise"):
            patch.setattr(os, name, self.refuse)
        patch.setattr(os, "lseek", self.lseek(os.lseek))

    def open(self, path: Path, flags: int) -> int:
        assert flags & os.O_DIRECT
        return self._open(path, flags & ~os.O_DIRECT)  # not every file system of tests has it

    def refuse(self, *_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    def lseek(self, real: Callable[[int, int, int], int]) -> Callable[[int, int, int], int]:
        return lambda fd, at, whence: self.refuse() if whence in (os.SEEK_DATA, os.SEEK_HOLE) else real(fd, at, whence)

    def pwrite(self, fd: int, data: memoryview, offset: int) -> int:
        self._check(data, offset)
        for at in range(0, len(data), RAW_TRACK_BYTES):
            decoded = tracks.decode(
                bytes(data[at : at + RAW_TRACK_BYTES]), *divmod((offset + at) // RAW_TRACK_BYTES, 15)
            )
            assert any(data[at : at + RAW_TRACK_BYTES]), decoded
            self.copied += 1
        return self._pwrite(fd, data, offset)

    def preadv(self, fd: int, buffers: list[memoryview], offset: int) -> int:
        self._check(buffers[0], offset)
        return self._preadv(fd, buffers, offset)

    def _check(self, data: memoryview, offset: int) -> None:
        address = ctypes.addressof(ctypes.c_char.from_buffer(data))
        if address % 4096 or offset % RAW_TRACK_BYTES or len(data) % RAW_TRACK_BYTES or not len(data):
            self.refuse()


def test_a_device_in_raw_track_mode_has_whole_tracks_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(bytes([n % 3]) * 49_152 for n in range(70))
    with EckdDisk.create(tmp_path / "file", 5) as disk:
        cdl.write_labels(disk, "LNX001")
        disk.write_blocks(3, data)
        disk.clear(40, 44)
        expected, used = disk.sha256(), list(disk.used_tracks())
    raw = tmp_path / "dasd.raw"
    raw.write_bytes(
        b"".join(tracks.encode_explicit(Track((Record(1, b"", b"old"),)), n // 15, n % 15) for n in range(75))
    )
    with monkeypatch.context() as patch:
        device = RawTracks(patch)
        with EckdDisk(raw, writable=True) as disk:
            disk.clear(0, disk.tracks - 1)
            assert device.copied == 75
            cdl.write_labels(disk, "LNX001")
            disk.write_blocks(3, data)
            disk.clear(40, 44)
            disk.flush()
            assert disk.sha256() == expected
            assert list(disk.used_tracks()) == used
            device.copied = 0
            disk.clear(50, 74)
            assert device.copied == sum(cylinder * 15 + head >= 50 for cylinder, head, _ in used)


def test_an_image_goes_onto_a_device_in_raw_track_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = sample.write_sample_image(tmp_path / "image", cylinders=5)
    with EckdDisk.create(tmp_path / "file", 5) as disk:
        deploy(tmp_path / "image", disk)
    raw = tmp_path / "dasd.raw"
    raw.write_bytes(b"".join(tracks.encode_explicit(DEFAULT_TRACK, n // 15, n % 15) for n in range(75)))
    with monkeypatch.context() as patch:
        RawTracks(patch)
        with EckdDisk(raw, writable=True) as disk:
            deploy(tmp_path / "image", disk)
            assert disk.sha256(5) == written.content_sha256
            assert is_bootable(disk)
