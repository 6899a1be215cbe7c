"""Disks as CMS FORMAT leaves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from zvmcloud.images import cms
from zvmcloud.images.diskfile import EckdDisk, FbaDisk

DATE = cms.packed_date(2026, 11, 21, 5, 31, 9)


@pytest.mark.parametrize(("size", "records"), [(512, 49), (1024, 33), (2048, 21), (4096, 12)])
def test_every_track_has_as_many_blocks_as_fit(tmp_path: Path, size: int, records: int) -> None:
    with EckdDisk.create(tmp_path / "disk", 2) as disk:
        cms.format_eckd(disk, "dsk999", size, DATE)
        assert cms.read_label(disk) == cms.CmsLabel("DSK999", size, 2, 2 * 15 * records)
        for track in disk.all_tracks():
            assert [len(record.data) for record in track.records] == [size] * records
        data = disk.read_track(0, 0).records[2].data
    assert data[:4] == b"\xc3\xd4\xe2\xf1"
    assert data[12:16] == size.to_bytes(4, "big")
    assert data[44:50] == bytes.fromhex("261121053109")


def test_an_fba_disk_has_its_label_in_the_second_block(tmp_path: Path) -> None:
    with FbaDisk.create(tmp_path / "disk", 64) as disk:
        disk.write(9, b"\1" * 512)
        cms.format_fba(disk, "FBA001", 1024, DATE)
        assert cms.read_label(disk) == cms.CmsLabel("FBA001", 1024, 64, 32)
        assert disk.read(9, 1) == bytes(512)


def test_a_disk_without_the_label_has_none(tmp_path: Path) -> None:
    with EckdDisk.create(tmp_path / "disk", 1) as disk:
        assert cms.read_label(disk) is None
    with FbaDisk.create(tmp_path / "fba", 1) as fba:
        assert cms.read_label(fba) is None


def test_another_block_size_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    with EckdDisk.create(tmp_path / "disk", 1) as disk:
        with pytest.raises(ValueError, match="block size 800 is not one of 512, 1024, 2048, 4096"):
            cms.format_eckd(disk, "X", 800, DATE)
        assert list(disk.used_tracks()) == []
