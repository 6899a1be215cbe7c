"""What is on a minidisk that the directory manager has made: CP's format, a CMS format, or another disk's data."""

from __future__ import annotations

import pytest

from simulator.support import codes, linux, write_image
from zvmcloud.directory import Volume
from zvmcloud.images import cms
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.simulator import Simulator, storage
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client

NAME = "LINUX01"


def wanted(**values: object) -> f.ImageDiskCreateDM:
    given: dict[str, object] = {
        "image_disk_number": "0100", "image_disk_device_type": "3390", "image_disk_allocation_type": "AUTOG",
        "allocation_area_name_or_volser": "POOL1", "allocation_unit_size": 1, "image_disk_size": 5,
        "image_disk_mode": "MR", "image_disk_formatting": 0, "image_disk_label": "",
    }  # fmt: skip
    return f.ImageDiskCreateDM(target=NAME, **(given | values))  # type: ignore[arg-type]


@pytest.fixture
async def guest(client: Client) -> None:
    await client.call(f.ImageCreateDM(target=NAME, image_record_array=linux(NAME)))


@pytest.mark.usefixtures("guest")
@pytest.mark.parametrize(("formatting", "size"), [(2, 512), (3, 1024), (4, 2048), (5, 4096), (6, 4096)])
async def test_a_formatted_disk_has_the_label_and_blocks_asked_for(
    sim: Simulator, client: Client, formatting: int, size: int
) -> None:
    await client.call(wanted(image_disk_formatting=formatting, image_disk_label="dsk999"))
    with EckdDisk(storage.file_of(sim.system, sim.system.disks[f"{NAME}.0100"])) as disk:
        label = cms.read_label(disk)
        assert label is not None
        assert (label.volser, label.block_size, label.size) == ("DSK999", size, 5)
        assert len(disk.read_track(4, 14).records) == cms.BLOCKS_ON_TRACK[size]


@pytest.mark.usefixtures("guest")
@pytest.mark.parametrize("formatting", [0, 1])
async def test_a_disk_that_is_not_formatted_is_as_cp_formats_it(
    sim: Simulator, client: Client, formatting: int
) -> None:
    await client.call(wanted(image_disk_formatting=formatting, image_disk_label="DSK999"))
    with EckdDisk(storage.file_of(sim.system, sim.system.disks[f"{NAME}.0100"])) as disk:
        assert list(disk.used_tracks()) == []


@pytest.mark.usefixtures("guest")
async def test_blocks_of_an_fba_disk_are_counted_in_the_unit_that_is_given(sim: Simulator, client: Client) -> None:
    with sim.system.transaction():
        sim.system.volumes.put("FBA001", Volume("FBA001", "9336-10", 100_000, "9F00"))
    for unit, blocks in ((2, 100), (3, 200), (4, 400), (5, 800)):
        vdev = f"020{unit}"
        await client.call(
            wanted(
                image_disk_number=vdev, image_disk_device_type="9336", image_disk_allocation_type="AUTOV",
                allocation_area_name_or_volser="FBA001", allocation_unit_size=unit, image_disk_size=100,
                image_disk_formatting=5, image_disk_label="FBADSK",
            )
        )  # fmt: skip
        disk = sim.system.disks[f"{NAME}.{vdev}"]
        assert disk.size == blocks
        with FbaDisk(storage.file_of(sim.system, disk)) as file:
            label = cms.read_label(file)
            assert label is not None
            assert (label.size, label.blocks) == (blocks, blocks // 8)


@pytest.mark.usefixtures("guest")
async def test_a_copy_to_a_whole_volume_has_the_data_of_its_source(sim: Simulator, client: Client) -> None:
    with sim.system.transaction():
        sim.system.volumes.put("WHOLE1", Volume("WHOLE1", "3390-0A", 5, "9F01"))
        sim.system.volumes.put("OTHER1", Volume("OTHER1", "3390-0A", 6, "9F02"))
    await client.call(wanted())
    source = storage.file_of(sim.system, sim.system.disks[f"{NAME}.0100"])
    write_image(source)

    def copy(vdev: str, rdev: str) -> f.ImageDiskCopyDM:
        return f.ImageDiskCopyDM(
            target=NAME, image_disk_number=vdev, source_image_name=NAME, source_image_disk_number="0100",
            image_disk_allocation_type="DEVNO", allocation_area_name_or_volser=rdev, image_disk_mode="MR",
        )  # fmt: skip

    assert await codes(client, copy("0201", "9F02")) == (404, 28)
    assert await codes(client, copy("0201", "9F0F")) == (420, 8)
    assert await codes(client, copy("0201", "9F01")) == (0, 0)
    made = sim.system.disks[f"{NAME}.0201"]
    assert (made.volser, made.start, made.size) == ("WHOLE1", 0, 5)
    with EckdDisk(source) as one, EckdDisk(storage.file_of(sim.system, made)) as other:
        assert one.sha256() == other.sha256()
    await client.call(f.ImageActivate(target=NAME))
    answer = await client.call(f.ImageDiskQuery(target=NAME, vdasd_id="0201"))
    assert answer.data is not None
    assert answer.data.vdasd_array[0].vdasd_volid == "WHOLE1"


@pytest.mark.usefixtures("guest")
@pytest.mark.parametrize(("method", "device", "shown"), [("T-DISK", "3390", "(TEMP)"), ("V-DISK", "FB-512", "(VDSK)")])
async def test_temporary_and_virtual_disks_are_made_at_logon_and_go_at_logoff(
    sim: Simulator, client: Client, method: str, device: str, shown: str
) -> None:
    unit = 1 if device == "3390" else 2
    await client.call(
        wanted(
            image_disk_number="0300", image_disk_device_type=device, image_disk_allocation_type=method,
            allocation_area_name_or_volser="", allocation_unit_size=unit, image_disk_size=64,
        )
    )  # fmt: skip
    entry = sim.system.entries[NAME].entry.mdisk("0300")
    assert entry is not None
    assert (entry.placement, entry.size) == (method, 64)
    assert f"{NAME}.0300" not in sim.system.disks
    await client.call(f.ImageActivate(target=NAME))
    answer = await client.call(f.ImageDiskQuery(target=NAME, vdasd_id="0300"))
    assert answer.data is not None
    assert (answer.data.vdasd_array[0].vdasd_volid, answer.data.vdasd_array[0].vdasd_size) == (shown, 64)
    await client.call(f.ImageDeactivate(target=NAME, force_time="IMMED"))
    assert f"{NAME}.0300" not in sim.system.disks
