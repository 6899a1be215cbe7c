"""What an image file holds and which disks it goes onto."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from images.qcow2_files import build, zstd
from zvmcloud.images import cdl, header, sample
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.facts import Facts, FactsError, examine
from zvmcloud.images.tracks import BLOCK_BYTES, CYLINDER_DATA_BYTES

DOS = b"\xfa" * 510 + b"\x55\xaa" + bytes(8 * BLOCK_BYTES)


def facts(tmp_path: Path, data: bytes) -> Facts:
    path = tmp_path / "image"
    path.write_bytes(data)
    return examine(path)


def wrong(tmp_path: Path, data: bytes) -> FactsError:
    with pytest.raises(FactsError) as caught:
        facts(tmp_path, data)
    return caught.value


def eckd(cylinders: int = 2) -> bytes:
    """The raw bytes of an ECKD disk with a volume label, as Linux reads it."""
    label = cdl.volume_label("0X0100")
    blocks = [
        "IPL1".encode("cp037") + bytes.fromhex("0008000080002018").ljust(24, b"\1"),
        "IPL2".encode("cp037"),
        "VOL1".encode("cp037") + label[: 84 - 4] if not label.startswith("VOL1".encode("cp037")) else label,
    ]
    data = b"".join(block.ljust(28, b"\0").ljust(BLOCK_BYTES, b"\xe5") for block in blocks[:1])
    data += blocks[1].ljust(148, b"\0").ljust(BLOCK_BYTES, b"\xe5")
    data += blocks[2].ljust(84, b"\0").ljust(BLOCK_BYTES, b"\xe5")
    return data.ljust(cylinders * CYLINDER_DATA_BYTES, b"\0")


def test_raw_bytes_of_a_disk_with_a_boot_record_go_onto_blocks_only(tmp_path: Path) -> None:
    found = facts(tmp_path, DOS)
    assert (found.format, found.disk_type, found.cylinders) == ("raw", "FBA", None)
    assert found.blocks == len(DOS) // 512
    assert found.size == len(DOS)


def test_raw_bytes_of_a_labelled_disk_go_onto_eckd_only(tmp_path: Path) -> None:
    found = facts(tmp_path, eckd(2) + b"x")
    assert (found.disk_type, found.cylinders, found.blocks, found.bootable) == ("ECKD", 3, None, True)


@pytest.mark.parametrize(("cylinders", "needed"), [(65_541, 65_541), (262_668, 262_668), (262_669, None)])
def test_an_extended_address_volume_holds_up_to_262668_cylinders(
    tmp_path: Path, cylinders: int, needed: int | None
) -> None:
    with (tmp_path / "image").open("wb") as file:
        file.truncate(cylinders * CYLINDER_DATA_BYTES)
    found = examine(tmp_path / "image")
    assert (found.cylinders, found.blocks) == (needed, cylinders * 1440)


def test_a_disk_without_a_label_goes_onto_both(tmp_path: Path) -> None:
    found = facts(tmp_path, bytes(CYLINDER_DATA_BYTES) + b"x")
    assert (found.disk_type, found.cylinders, found.blocks) == ("", 2, CYLINDER_DATA_BYTES // 512 + 1)
    assert found.bootable is False


def test_an_fba_disk_with_a_system_is_bootable(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with FbaDisk.create(path, 4096) as disk:
        sample.write_sample_blocks(disk)
    found = examine(path)
    assert (found.disk_type, found.blocks, found.bootable) == ("FBA", 4096, True)


@pytest.mark.parametrize(
    ("shape", "pack"),
    [("gzip+raw", gzip.compress), ("xz+raw", lzma.compress), ("zstd+raw", zstd.compress), ("qcow2", build)],
)
def test_what_is_around_a_disk_does_not_change_what_it_needs(tmp_path: Path, shape: str, pack) -> None:  # type: ignore[no-untyped-def]
    for inside in (DOS, eckd()):
        plain, packed = facts(tmp_path, inside), facts(tmp_path, pack(inside))
        assert packed.format == shape
        assert (packed.size, packed.cylinders, packed.blocks) == (plain.size, plain.cylinders, plain.blocks)
        assert packed.disk_type == plain.disk_type


@pytest.mark.parametrize(
    ("kind", "disk_type", "cylinders", "blocks"),
    [
        (header.ImageKind.CKD, "ECKD", 10, None),
        (header.ImageKind.FBA_DISK, "FBA", None, 10),
        (header.ImageKind.FBA_PARTITION, "FBA", None, 2058),
        (header.ImageKind.FCP_DISK, "SCSI", None, None),
    ],
)
def test_a_connectors_image_needs_what_its_header_says(
    tmp_path: Path, kind: header.ImageKind, disk_type: str, cylinders: int | None, blocks: int | None
) -> None:
    data = header.render(header.ImageHeader(kind, 10)) + gzip.compress(b"tracks")
    for found in (facts(tmp_path, data), facts(tmp_path, zstd.compress(data))):
        assert (found.disk_type, found.cylinders, found.blocks) == (disk_type, cylinders, blocks)
        assert found.format.endswith("connector")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "size"),
        (b"KDMV" + bytes(600), "format"),
        (b"PK\x03\x04" + bytes(600), "format"),
        (b"QFI\xfb" + bytes(600), "format"),
        (gzip.compress(gzip.compress(DOS)), "format"),
        (gzip.compress(build(DOS)), "format"),
        (gzip.compress(DOS)[:-9], "format"),
        (zstd.compress(DOS)[:-9], "format"),
        (lzma.compress(DOS)[: len(lzma.compress(DOS)) // 2], "format"),
        (gzip.compress(b""), "size"),
        (header.render(header.ImageHeader(header.ImageKind.CKD, 0)) + b"x", "size"),
        (header.render(header.ImageHeader(header.ImageKind.CKD, 9)), "size"),
        (header.render(header.ImageHeader(header.ImageKind.CKD, 9)).replace(b"CYL", b"BLK") + b"x", "unit"),
        (build(bytes(65536))[:24] + (2**50).to_bytes(8, "big") + build(bytes(65536))[32:], "format"),
    ],
)
def test_what_no_disk_can_hold_is_refused_by_name(tmp_path: Path, data: bytes, field: str) -> None:
    assert wrong(tmp_path, data).field == field


def test_a_stream_that_expands_without_end_is_followed_to_the_largest_disk_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zvmcloud.images.facts._LIMIT", 1 << 20)
    error = wrong(tmp_path, gzip.compress(bytes(64 << 20)))
    assert error.field == "size"
    assert int("".join(filter(str.isdigit, str(error).partition(" bytes")[0]))) <= 2 << 20  # the limit and a piece


def test_who_looks_can_end_the_work(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(gzip.compress(DOS))

    def look(_count: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        examine(path, look)
