"""Disks of more than 65,536 cylinders: written, copied, shown and erased as any other, and as sparse files."""

import os

import pytest

from images.qcow2_files import sparse
from zhcp.conftest import Agent
from zhcp.test_image_formats import disk_file, write
from zvmcloud.images import cdl
from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.images.tracks import BLOCK_BYTES, BLOCKS_PER_TRACK, CYLINDER_DATA_BYTES, TRACK_DATA_BYTES
from zvmcloud.simulator.presets import Model, Pool
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.image_messages import CloneDisk
from zvmcloud.zhcp.operations.linked import linked

LARGE = Model(pools={"POOL1": Pool("3390", 1, 400_000, "LX")})
NEEDED, SIZE = 65_541, 70_000
"""Cylinders of the image and of the disks."""
pytestmark = pytest.mark.parametrize("agent", [{"model": LARGE}], indirect=True)


def eav_image() -> tuple[bytes, bytes]:
    """A labelled disk of NEEDED cylinders with something on its first and its last track, and what is on the last."""
    labels = cdl.label_tracks(NEEDED, "LNX001")
    first = b"".join(
        (record.key + record.data).ljust(BLOCK_BYTES, b"\0") for track in labels for record in track.records
    )
    last = os.urandom(TRACK_DATA_BYTES)
    size = NEEDED * CYLINDER_DATA_BYTES
    return sparse(size, {0: first, size - TRACK_DATA_BYTES: last}), last


async def large_guest(agent: Agent, userid: str) -> None:
    await agent.run(agent.guest(userid, NewDisk(vdev="0100", pool="POOL1", size_units=SIZE, boot=True)))


async def test_an_image_reaches_beyond_cylinder_65536_and_a_copy_and_a_smaller_image_follow(agent: Agent) -> None:
    await large_guest(agent, "LINUX01")
    image, last = eav_image()
    result = await write(agent, image)
    assert (result["kind"], result["units"], result["tracks_used"]) == ("ECKD", NEEDED, 3)

    await large_guest(agent, "LINUX02")
    clone = CloneDisk(userid="LINUX02", vdev="0100", source_userid="LINUX01", source_vdev="0100")
    outcome = await agent.run(clone)
    assert outcome.result is not None
    assert outcome.result["method"] == "flashcopy"
    async with linked(agent.runner.context("look"), "LINUX02", "0100", write=False) as (alias, path):
        answer = await agent.runner.context("look").cp(f"QUERY VIRTUAL {alias}")
        assert f"{SIZE:>10} CYL" in str(answer)
        with EckdDisk(path) as disk:
            assert [(cylinder, head) for cylinder, head, _ in disk.used_tracks()] == [(0, 0), (0, 1), (NEEDED - 1, 14)]
            (partition,) = cdl.partitions(disk)
            assert partition.last_track == NEEDED * 15 - 1
            blocks = cdl.PartitionBlocks(disk, partition)
            assert blocks.read(partition.blocks - BLOCKS_PER_TRACK, BLOCKS_PER_TRACK) == last
            assert path.stat().st_blocks * 512 < 1_000_000, "holes stay holes"

    await agent.run(agent.write_image())
    with EckdDisk(await disk_file(agent)) as disk:
        assert disk.cylinders == SIZE
        assert disk.sha256(5) == agent.image.content_sha256
        assert all(cylinder < 5 for cylinder, _, _ in disk.used_tracks()), "nothing of the image before"


async def test_the_largest_disk_has_262668_cylinders(agent: Agent) -> None:
    problem = await agent.refused(
        agent.guest("LINUX01", NewDisk(vdev="0100", pool="POOL1", size_units=262_669, boot=True))
    )
    assert problem.status == 400
    assert "disks[0].size_units: 262669 given, the range is 1 to 262668 cylinders" in problem.detail
    await agent.run(agent.guest("LINUX01", NewDisk(vdev="0100", pool="POOL1", size_units=262_668, boot=True)))
    with EckdDisk(await disk_file(agent)) as disk:
        assert (disk.cylinders, list(disk.used_tracks())) == (262_668, [])
