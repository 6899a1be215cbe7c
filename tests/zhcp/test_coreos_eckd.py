"""CoreOS on an ECKD minidisk: the partitions of its image are copied, and the disk starts with a file and words."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Never

import pytest

import coreos_image
from s390_machine import Machine
from zhcp.conftest import Agent
from zvmcloud.images import cdl, coreos
from zvmcloud.images.blocks import DasdBlocks
from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.zhcp import coreos_disk
from zvmcloud.zhcp.coreos_messages import PrepareCoreos
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.image_messages import ImageSource, WriteImage
from zvmcloud.zhcp.operations.linked import linked
from zvmcloud.zhcp.operations.places import Disk

CONFIG = json.dumps({"ignition": {"version": "3.2.0"}}).encode()
EACH, FIRST = ("rd.dasd=0.0.0100",), ("rd.neednet=1", "ip=192.0.2.5::192.0.2.1:24:w1:enc1000:none")
LINE = " ".join((coreos_image.OPTIONS, *EACH, "ignition.firstboot", *FIRST))


def asked(**changes: object) -> PrepareCoreos:
    given: dict[str, object] = {
        "userid": "LINUX01", "vdev": "0100", "ignition": base64.b64encode(CONFIG).decode(), "each_start": EACH,
        "first_start": FIRST,
    }  # fmt: skip
    return PrepareCoreos(**{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return coreos_image.build(tmp_path_factory.mktemp("coreos") / "image", eckd=True).read_bytes()


def copied(agent: Agent, data: bytes) -> WriteImage:
    path = agent.folder / "images" / "rhcos"
    path.write_bytes(data)
    return WriteImage(
        userid="LINUX01", vdev="0100", source=ImageSource(url=path.as_uri(), sha256=hashlib.sha256(data).hexdigest())
    )


async def guest(agent: Agent, **disk: object) -> None:
    given = {"vdev": "0100", "size_units": 20, "pool": "POOL1", "boot": True}
    await agent.run(agent.guest("LINUX01", NewDisk(**{**given, **disk})))  # type: ignore[arg-type]


async def disk_file(agent: Agent) -> Path:
    async with linked(agent.runner.context("look"), "LINUX01", "0100", write=False) as (_, path):
        return path.resolve()


async def digest(agent: Agent) -> str:
    with EckdDisk(await disk_file(agent)) as disk:
        return disk.sha256()


async def test_each_partition_of_the_image_goes_onto_tracks_of_its_own(agent: Agent, image: bytes) -> None:
    await guest(agent)
    outcome = await agent.run(copied(agent, image))
    assert outcome.result is not None
    assert (outcome.result["format"], outcome.result["bootable"]) == ("raw", False)
    with DasdBlocks(await disk_file(agent)) as disk:
        boot, root = cdl.partitions(disk.disk)
        assert (boot.first_track, root.last_track) == (2, disk.disk.tracks - 1)
        start, end = coreos_image.FIRST * 512, (coreos_image.FIRST + coreos_image.PARTITION) * 512
        assert disk.read(boot.first_track * 96, coreos_image.PARTITION) == image[start:end]
        length = coreos_image.BLOCKS * 512 - end - 33 * 4096
        shown = disk.read(root.first_track * 96, root.blocks * 8)
        assert shown[:length] == image[end : end + length]
        assert not any(shown[length:]), "behind it the rest of the disk is empty"


async def test_the_disk_starts_with_kernel_words_and_file_of_the_image(agent: Agent, image: bytes) -> None:
    await guest(agent)
    await agent.run(copied(agent, image))
    outcome = await agent.run(asked())
    assert outcome.result is not None
    assert outcome.result["command_line"] == LINE
    path = await disk_file(agent)
    with EckdDisk(path) as disk:
        machine = Machine(disk)
        assert machine.ipl() == 0x10000
    memory = machine.memory
    kernel = coreos_image.kernel()
    assert memory[0x10800 : len(kernel)] == kernel[0x10800:]
    assert bytes(memory[0x10480:0x10800]).rstrip(b"\0").decode() == LINE
    start, length = (int.from_bytes(memory[at : at + 8], "big") for at in (0x10408, 0x10410))
    assert memory[start : start + length] == coreos_image.initial_file_system()
    with DasdBlocks(path) as blocks:
        system = coreos.installed(blocks)
        assert system.partition.files.read(coreos.CONFIG, 4096) == CONFIG
        assert system.options == f"{coreos_image.OPTIONS} {EACH[0]}", "words of the first start are not for the others"
    again = await agent.run(asked())
    assert again.result is not None
    assert again.result["changed"] == 0


@pytest.mark.parametrize("fails", ["keep", "overwrite"])
async def test_a_failure_leaves_each_record_as_it_was(
    agent: Agent, image: bytes, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    await guest(agent)
    await agent.run(copied(agent, image))
    before = await digest(agent)

    def half(place: Disk, changes: tuple[coreos_disk.Change, ...]) -> None:
        coreos_disk._write(place, [(change.offset, change.new) for change in changes[:-1]])
        full()

    def full(*_: object) -> Never:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(coreos_disk, fails, half if fails == "overwrite" else full)
        problem = await agent.refused(asked())
    assert problem.code == "disk-write-failed"
    assert await digest(agent) == before
    await agent.run(asked())


def _more_partitions(data: bytes) -> bytes:
    changed = bytearray(data)
    coreos_image.gpt(changed, 4096, more=2)
    return bytes(changed)


def _damaged(data: bytes) -> bytes:
    return data[:8192] + bytes([data[8192] ^ 1]) + data[8193:]


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (_more_partitions, "image-layout", "4 partitions"),
        (_damaged, "image-layout", "checksum"),
        (lambda data: data[: len(data) // 2], "image-truncated", "inside of a partition"),
    ],
    ids=["partitions", "damaged", "truncated"],
)
async def test_an_image_that_does_not_go_onto_the_disk_leaves_it_empty(
    agent: Agent, image: bytes, change: Callable[[bytes], bytes], code: str, says: str
) -> None:
    await guest(agent)
    empty = await digest(agent)
    problem = await agent.refused(copied(agent, change(image)))
    assert problem.code == code
    assert says in problem.detail
    assert await digest(agent) == empty


async def test_a_disk_without_coreos_one_too_small_and_one_of_blocks_are_refused(agent: Agent, image: bytes) -> None:
    await guest(agent, size_units=16)
    problem = await agent.refused(copied(agent, image))
    assert (problem.status, problem.code) == (409, "image-too-large")
    problem = await agent.refused(asked())
    assert (problem.status, problem.code) == (422, "not-coreos")
    await agent.run(agent.guest("LINUX02", NewDisk(vdev="0100", type="FBA", pool="FBAPOOL", size_units=40_000)))
    problem = await agent.refused(asked(userid="LINUX02"))
    assert (problem.status, problem.code) == (409, "disk-type")
