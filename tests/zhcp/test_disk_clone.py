"""Cloning a disk: CP's FLASHCOPY when it has it, a copy of what the disk holds when it has not, and nothing half."""

import asyncio

import pytest

from zhcp.conftest import Agent
from zhcp.test_image_formats import disk_file, disks_linked
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.tracks import Record, Track
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.guest_messages import StartGuest
from zvmcloud.zhcp.image_messages import CloneDisk
from zvmcloud.zhcp.machine import CpAnswer, SimulatedMachine
from zvmcloud.zhcp.operations import disk_clone
from zvmcloud.zhcp.operations.linked import linked

CLONE = CloneDisk(userid="LINUX01", vdev="0100", source_userid="GOLD", source_vdev="0100")


async def guests(agent: Agent, size: int = 12, kind: str = "ECKD") -> None:
    """GOLD has the sample image on 10 cylinders, LINUX01 a disk of `size` with something old on it."""
    await agent.run(agent.guest("GOLD"))
    await agent.run(agent.write_image("GOLD"))
    pool = "POOL1" if kind == "ECKD" else "FBAPOOL"
    await agent.run(agent.guest("LINUX01", NewDisk(vdev="0100", type=kind, pool=pool, size_units=size)))
    if kind == "ECKD":
        async with linked(agent.runner.context("old"), "LINUX01", "0100", write=True) as (_, path):
            with EckdDisk(path, writable=True) as disk:
                disk.write_track(size - 1, 3, Track((Record(1, b"", b"old"),)))


@pytest.mark.parametrize("answers", [True, False])
async def test_the_copy_holds_what_the_source_holds_and_nothing_else(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    await guests(agent)
    cp = SimulatedMachine.cp

    async def without(machine: SimulatedMachine, command: str) -> CpAnswer:
        if command.startswith("FLASHCOPY") and not answers:
            return CpAnswer(1, ("HCPCMD001E Unknown CP command: FLASHCOPY",))
        return await cp(machine, command)

    monkeypatch.setattr(SimulatedMachine, "cp", without)
    outcome = await agent.run(CLONE)
    assert outcome.result is not None
    assert outcome.result["method"] == ("flashcopy" if answers else "copy")
    assert [call.rc for call in outcome.calls if call.name.startswith("FLASHCOPY")] == [0 if answers else 1]
    path = await disk_file(agent)
    with EckdDisk(path) as disk:
        assert disk.sha256(5) == agent.image.content_sha256
        assert all(cylinder < 10 for cylinder, _, _ in disk.used_tracks())
    assert path.stat().st_blocks * 512 < 2_000_000, "holes stay holes"
    assert await disks_linked(agent) == []
    await agent.run(StartGuest(userid="LINUX01"))


async def test_fba_disks_are_copied(agent: Agent) -> None:
    for userid in ("GOLD", "LINUX01"):
        await agent.run(agent.guest(userid, NewDisk(vdev="0100", type="FBA", pool="FBAPOOL", size_units=9000)))
    content = b"\1" * 100_000 + bytes(3_000_000) + b"\2" * 512
    async with linked(agent.runner.context("x"), "GOLD", "0100", write=True) as (_, path):
        with FbaDisk(path, writable=True) as disk:
            disk.write_sparse(0, content.ljust(8000 * 512, b"\0"))
    outcome = await agent.run(CLONE)
    assert outcome.result is not None
    assert outcome.result["method"] == "copy"
    with FbaDisk(await disk_file(agent)) as disk:
        assert disk.read(0, 9000) == content.ljust(9000 * 512, b"\0")


@pytest.mark.parametrize(
    ("size", "kind", "code"), [(9, "ECKD", "image-too-large"), (9000, "FBA", "disk-kind-mismatch")]
)
async def test_a_disk_that_does_not_fit_is_not_touched(agent: Agent, size: int, kind: str, code: str) -> None:
    await guests(agent, size, kind)
    problem = await agent.refused(CLONE)
    assert (problem.status, problem.code) == (409, code)
    assert await disks_linked(agent) == []
    if kind == "ECKD":
        with EckdDisk(await disk_file(agent)) as disk:
            assert len(list(disk.used_tracks())) == 1


async def test_both_guests_must_be_off_and_the_disks_two(agent: Agent) -> None:
    await guests(agent)
    same = await agent.refused(CloneDisk(userid="GOLD", vdev="0100", source_userid="GOLD", source_vdev="100".zfill(4)))
    assert (same.status, same.calls) == (400, ())
    await agent.run(StartGuest(userid="GOLD"))
    problem = await agent.refused(CLONE)
    assert (problem.code, "GOLD" in problem.detail) == ("guest-active", True)


async def test_a_clone_that_is_cancelled_leaves_an_empty_disk(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    await guests(agent)

    async def refuses(*_: object) -> bool:
        return False

    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(copy: disk_clone._Copy, done: int) -> None:
        loop.call_soon_threadsafe(begun.set)
        while not copy._stopped:
            pass

    monkeypatch.setattr(disk_clone, "_flashcopy", refuses)
    monkeypatch.setattr(disk_clone._Copy, "_tell", slowly)
    running = asyncio.create_task(agent.refused(CLONE))
    await begun.wait()
    await agent.client.cancel("job", f"s{agent.steps}", epoch=1)
    assert (await running).code == "cancelled"
    with EckdDisk(await disk_file(agent)) as disk:
        assert list(disk.used_tracks()) == []
    assert await disks_linked(agent) == []
