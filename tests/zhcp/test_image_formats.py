"""Images of every format onto disks of every kind: the bytes that arrive, and what is refused before the first byte."""

import gzip
import hashlib
import lzma
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from images.qcow2_files import build, zstd
from zhcp.conftest import Agent
from zhcp.image_server import ImageServer
from zvmcloud.images import cdl, header
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.header import ImageHeader, ImageKind
from zvmcloud.images.tracks import BLOCK_BYTES, TRACK_DATA_BYTES, TRACKS_PER_CYLINDER, Track
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.errors import Problem
from zvmcloud.zhcp.operations.linked import linked

ROOM = 20_000
NOISE = random.Random(3)
RAW = NOISE.randbytes(400_000) + bytes(6_000_000) + NOISE.randbytes(100_300)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda data: data,
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, preset=1),
    "zstd": zstd.compress,
    "qcow2": build,
}


async def write(agent: Agent, data: bytes) -> dict[str, object]:
    outcome = await agent.run(agent.write_image(**placed(agent, data)))
    assert outcome.result is not None
    return dict(outcome.result)


async def refused(agent: Agent, data: bytes) -> Problem:
    return await agent.refused(agent.write_image(**placed(agent, data)))


def placed(agent: Agent, data: bytes) -> dict[str, Any]:
    """The file in the image folder, under a name that says nothing."""
    path = agent.folder / "images" / "file.img"
    path.write_bytes(data)
    return {"url": path.as_uri(), "sha256": hashlib.sha256(data).hexdigest(), "bytes": 0}


async def disk_file(agent: Agent) -> Path:
    async with linked(agent.runner.context("look"), "LINUX01", "0100", write=False) as (_, path):
        return path.resolve()


async def fba_guest(agent: Agent, blocks: int = ROOM) -> None:
    await agent.run(agent.guest("LINUX01", NewDisk(vdev="0100", type="FBA", pool="FBAPOOL", size_units=blocks)))


async def marked(agent: Agent) -> None:
    async with linked(agent.runner.context("mark"), "LINUX01", "0100", write=True) as (_, path):
        with FbaDisk(path, writable=True) as disk:
            disk.write(0, b"old content ".ljust(512))


async def disks_linked(agent: Agent) -> list[str]:
    answer = await agent.runner.machine.cp("QUERY VIRTUAL ALL")
    return [line for line in answer.lines if line.startswith("DASD F")]


@pytest.mark.parametrize("form", PACK)
async def test_raw_bytes_arrive_on_a_larger_fba_disk_whatever_is_around_them(agent: Agent, form: str) -> None:
    await fba_guest(agent)
    result = await write(agent, PACK[form](RAW))
    assert result["format"] == {"raw": "raw", "qcow2": "qcow2"}.get(form, f"{form}+raw")
    assert (result["units"], result["disk_units"]) == (-(-len(RAW) // 512), ROOM)
    path = await disk_file(agent)
    with FbaDisk(path) as disk:
        data = disk.read(0, ROOM)
    assert data == RAW + bytes(ROOM * 512 - len(RAW))
    assert path.stat().st_blocks * 512 < 700_000, "holes stay holes"
    assert await disks_linked(agent) == []


@pytest.mark.parametrize("form", PACK)
async def test_an_image_one_block_larger_than_the_disk_is_refused_and_changes_nothing(agent: Agent, form: str) -> None:
    blocks = -(-len(RAW) // 512)
    await fba_guest(agent, blocks - 1)
    await marked(agent)
    problem = await refused(agent, PACK[form](RAW))
    assert (problem.status, problem.code) == (409, "image-too-large")
    assert f"{blocks} BLK" in problem.detail
    with FbaDisk(await disk_file(agent)) as disk:
        assert disk.read(0, 1).startswith(b"old content")
    assert await disks_linked(agent) == []


@pytest.mark.parametrize("form", ["raw", "gzip", "xz", "zstd", "two streams of xz"])
async def test_an_image_that_comes_from_a_server_is_measured_there(agent: Agent, form: str) -> None:
    """Where the format tells its size, the disk is not touched, and hardly anything is fetched."""
    blocks = -(-len(RAW) // 512)
    await fba_guest(agent, blocks - 1)
    await marked(agent)
    data = PACK["xz"](RAW[:600_000]) + PACK["xz"](RAW[600_000:]) if "two" in form else PACK[form](RAW)
    server = ImageServer(data)
    async with server.running() as url:
        digest = hashlib.sha256(data).hexdigest()
        for size in (0, len(data)):
            problem = await agent.refused(agent.write_image(url=url, sha256=digest, bytes=size))
            assert (problem.status, problem.code) == (409, "image-too-large")
            assert f"{blocks} BLK" in problem.detail
    with FbaDisk(await disk_file(agent)) as disk:
        assert disk.read(0, 1).startswith(b"old content")
    assert await disks_linked(agent) == []


@pytest.mark.parametrize("form", ["gzip of two members", "zstd without a size", "xz without ranges"])
async def test_an_image_that_does_not_tell_its_size_ends_where_the_disk_does(agent: Agent, form: str) -> None:
    await fba_guest(agent, 10_000)
    await marked(agent)
    packer = zstd.ZstdCompressor()
    data = {
        "gzip of two members": gzip.compress(RAW) + gzip.compress(b"end"),
        "zstd without a size": packer.compress(RAW) + packer.flush(),
        "xz without ranges": PACK["xz"](RAW),
    }[form]
    async with ImageServer(data, ranges=False).running() as url:
        problem = await agent.refused(agent.write_image(url=url, sha256=hashlib.sha256(data).hexdigest(), bytes=0))
    assert (problem.status, problem.code) == (409, "image-too-large")
    with FbaDisk(await disk_file(agent)) as disk:
        assert not any(disk.read(0, 10_000)), "nothing of the image, nor of what was there before"
    assert await disks_linked(agent) == []


@pytest.mark.parametrize("form", PACK)
@pytest.mark.parametrize("fault", ["digest", "truncated"])
async def test_a_damaged_image_of_any_format_leaves_nothing_that_boots(agent: Agent, form: str, fault: str) -> None:
    await fba_guest(agent)
    await marked(agent)
    data = PACK[form](RAW)
    source = placed(agent, data[:-100] if fault == "truncated" else data)
    source["sha256"] = hashlib.sha256(data if fault == "truncated" else b"another").hexdigest()
    source["bytes"] = len(data)
    problem = await agent.refused(agent.write_image(**source))
    known_before = fault == "truncated" or form == "qcow2"
    assert (problem.status, problem.code) == (422, "image-truncated" if fault == "truncated" else "digest-mismatch")
    with FbaDisk(await disk_file(agent)) as disk:
        first = disk.read(0, 64)
        assert first.startswith(b"old content") if known_before else not any(first)
    assert await disks_linked(agent) == []


def eckd_raw(cylinders: int) -> tuple[bytes, list[Track]]:
    """A labelled ECKD disk as Linux reads its block device, and its tracks: short records end with X'E5'."""
    first, vtoc = cdl.label_tracks(cylinders, "LNX001", ipl1=b"\0\x08" + bytes(4) + b"\0\x01" + bytes(16))
    data = b""
    for track in (first, vtoc):
        for record in track.records:
            data += (record.key + record.data).ljust(BLOCK_BYTES, b"\xe5")
    data += NOISE.randbytes(TRACK_DATA_BYTES * 3) + bytes(TRACK_DATA_BYTES * 30) + NOISE.randbytes(BLOCK_BYTES)
    return data, [first, vtoc]


@pytest.mark.parametrize("form", PACK)
async def test_raw_bytes_on_eckd_are_what_the_dasd_driver_would_write(agent: Agent, form: str) -> None:
    await agent.run(agent.guest())
    data, labels = eckd_raw(10)
    result = await write(agent, PACK[form](data))
    assert (result["kind"], result["units"], result["tracks_used"]) == ("ECKD", 3, 6)
    path = await disk_file(agent)
    with EckdDisk(path) as disk:
        assert [disk.read_track(0, 0), disk.read_track(0, 1)] == labels
        label = cdl.read_volume_label(disk)
        assert label is not None
        assert label.volser == "LNX001"
        blocks = cdl.PartitionBlocks(disk, cdl.partitions(disk)[0])
        count = (len(data) - 2 * TRACK_DATA_BYTES) // BLOCK_BYTES
        assert blocks.read(0, count) == data[2 * TRACK_DATA_BYTES :]
        assert len(list(disk.used_tracks())) == 6
    assert path.stat().st_blocks * 512 < 500_000, "holes stay holes"


async def test_a_raw_image_with_a_partition_table_of_another_kind_does_not_go_onto_eckd(agent: Agent) -> None:
    await agent.run(agent.guest())
    data = bytearray(bytes(1_000_000))
    data[510:512] = b"\x55\xaa"
    problem = await refused(agent, bytes(data))
    assert (problem.status, problem.code) == (422, "image-layout")
    assert "block 0" in problem.detail
    with EckdDisk(await disk_file(agent)) as disk:
        assert list(disk.used_tracks()) == []


@pytest.mark.parametrize("over", [0, 1])
async def test_raw_bytes_are_counted_in_cylinders_to_the_byte(agent: Agent, over: int) -> None:
    await agent.run(agent.guest())  # 10 cylinders
    data = bytes(10 * TRACKS_PER_CYLINDER * TRACK_DATA_BYTES + over)
    if over:
        problem = await refused(agent, data)
        assert (problem.code, "11 CYL" in problem.detail) == ("image-too-large", True)
    else:
        assert (await write(agent, data))["units"] == 10


@pytest.mark.parametrize("form", ["zstd", "xz", "gzip"])
async def test_a_connectors_image_may_be_compressed_as_a_whole(agent: Agent, form: str) -> None:
    await agent.run(agent.guest())
    result = await write(agent, PACK[form](agent.image.path.read_bytes()))
    assert (result["format"], result["units"], result["bootable"]) == (f"{form}+connector", 5, True)
    with EckdDisk(await disk_file(agent)) as disk:
        assert disk.sha256(5) == agent.image.content_sha256


async def test_a_scsi_image_does_not_go_onto_a_minidisk(agent: Agent) -> None:
    await fba_guest(agent)
    data = header.render(ImageHeader(ImageKind.FCP_DISK, 100, 0)) + bytes(51_200)
    assert (await refused(agent, data)).code == "image-kind-mismatch"


@pytest.mark.parametrize("algorithm", ["sha512", "md5"])
async def test_other_digests_are_compared_when_the_caller_has_them(agent: Agent, algorithm: str) -> None:
    await fba_guest(agent)
    right = hashlib.new(algorithm, RAW).hexdigest()
    source = {**placed(agent, RAW), "sha256": ""}
    outcome = await agent.run(agent.write_image(**{**source, algorithm: right}))
    assert outcome.result is not None
    assert outcome.result[algorithm] == right
    wrong = await agent.refused(agent.write_image(**{**source, algorithm: right[::-1]}))
    assert (wrong.status, wrong.code) == (422, "digest-mismatch")
    none = await agent.refused(agent.write_image(**source))
    assert (none.status, "sha256, sha512 or md5" in none.detail, none.calls) == (400, True, ())


async def test_a_qcow2_image_with_a_wrong_digest_never_touches_the_disk(agent: Agent) -> None:
    await fba_guest(agent)
    await write(agent, RAW)
    placed(agent, build(b"other content"))
    problem = await agent.refused(agent.write_image(**{**placed(agent, build(b"new" * 9000)), "sha256": "0" * 64}))
    assert problem.code == "digest-mismatch"
    with FbaDisk(await disk_file(agent)) as disk:
        assert disk.read(0, 100) == RAW[:51_200]


@pytest.mark.parametrize("data", [b"", b"BZh91AY&SY" + bytes(600), b"QFI\xfb\0\0\0\x09" + bytes(600)])
async def test_a_file_that_is_no_image_is_refused(agent: Agent, data: bytes) -> None:
    await fba_guest(agent)
    problem = await refused(agent, data)
    assert problem.status == 422
    assert await disks_linked(agent) == []
