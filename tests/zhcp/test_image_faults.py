"""What goes wrong while an image is copied: the disk is empty or whole afterwards, and nothing stays linked."""

import asyncio
import dataclasses
import errno
import gzip
import hashlib
import random
from pathlib import Path

import httpx
import pytest

from zhcp.conftest import Agent
from zhcp.image_server import ImageServer
from zhcp.test_image_formats import disk_file, disks_linked, fba_guest, placed
from zhcp.test_image_read import Receiver, capture, receiver
from zhcp.test_program import program, settings
from zhcp.test_road import until_up
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.sample import write_sample_image
from zvmcloud.simulator.embed import Simulator
from zvmcloud.simulator.faults import Rule
from zvmcloud.smapi.client import IMPATIENT
from zvmcloud.zhcp import sources
from zvmcloud.zhcp.client import ZhcpClient
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.guest_messages import CreateGuest, StartGuest
from zvmcloud.zhcp.image_messages import ImageSource, WriteImage
from zvmcloud.zhcp.machine import SimulatedMachine
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.smapi_port import SmapiPort

__all__ = ["receiver"]


async def empty(agent: Agent) -> bool:
    with EckdDisk(await disk_file(agent)) as disk:
        return list(disk.used_tracks()) == []


async def test_a_server_that_dies_midway_leaves_an_empty_disk(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_PAUSE", 0.01)
    await agent.run(agent.guest())
    server = ImageServer(agent.image.path.read_bytes(), lambda n: 200_000 if n == 1 else 0)
    async with server.running() as url:
        problem = await agent.refused(agent.write_image(url=url))
    assert (problem.status, problem.code, problem.retryable) == (502, "source-lost", True)
    assert await empty(agent)
    assert await disks_linked(agent) == []


@pytest.mark.parametrize("fault", ["digest", "truncated", "longer"])
async def test_a_wrong_file_on_the_server_leaves_an_empty_disk_and_nothing_in_the_cache(
    agent: Agent, fault: str
) -> None:
    await agent.run(agent.guest())
    good = agent.image.path.read_bytes()
    data = {"digest": good[:-1] + b"x", "truncated": good[:-1000], "longer": good + b"more"}[fault]
    async with ImageServer(data).running() as url:
        problem = await agent.refused(agent.write_image(url=url))
    assert problem.code in ("digest-mismatch", "image-damaged", "source-changed", "image-truncated")
    assert await empty(agent)
    assert await disks_linked(agent) == []
    assert not any(path.name.startswith("sha256") for path in (agent.settings.state / "images").iterdir())


async def test_a_disk_behind_which_storage_is_full_is_erased_and_a_later_deployment_boots(agent: Agent) -> None:
    await agent.run(agent.guest())
    agent.simulator.faults.add(Rule(action="disk-full", target="LINUX01.0100", bytes=100_000, count=1))
    problem = await agent.refused(agent.write_image())
    assert (problem.status, problem.code) == (507, "disk-write-failed")
    assert await disks_linked(agent) == []
    assert agent.runner.journal.links() == ()
    assert await empty(agent)
    await agent.run(agent.write_image())
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)


async def test_blocks_behind_which_storage_is_full_are_erased_as_far_as_they_were_written(agent: Agent) -> None:
    await fba_guest(agent)
    data = random.Random(5).randbytes(5_000_000)
    await agent.run(agent.write_image(**placed(agent, data[:1_000_000])))
    rule = agent.simulator.faults.add(Rule(action="disk-full", target="LINUX01.*", bytes=2_000_000, count=1))
    problem = await agent.refused(agent.write_image(**placed(agent, data)))
    assert (problem.status, problem.code) == (507, "disk-write-failed")
    assert await disks_linked(agent) == []
    with FbaDisk(await disk_file(agent)) as disk:
        assert not any(disk.read(0, disk.blocks))
    agent.simulator.faults.remove(rule.number)
    await agent.run(agent.write_image(**placed(agent, data)))
    assert (await disk_file(agent)).read_bytes().startswith(data)


async def test_a_full_file_system_under_the_cache_is_an_error(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    await agent.run(agent.guest())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("zvmcloud.zhcp.image_cache._append", full)
    async with ImageServer(agent.image.path.read_bytes()).running() as url:
        problem = await agent.refused(agent.write_image(url=url))
    assert (problem.status, problem.code) == (507, "cache-full")
    assert await disks_linked(agent) == []


async def test_a_bomb_is_stopped_at_the_size_of_the_disk(agent: Agent) -> None:
    await fba_guest(agent, 4096)
    bomb = gzip.compress(bytes(300_000_000), 1) + gzip.compress(b"small")
    problem = await agent.refused(agent.write_image(**placed(agent, bomb)))
    assert problem.code == "image-too-large"
    assert await disks_linked(agent) == []


async def test_smapi_that_hangs_ends_a_capture_without_a_link(agent: Agent, receiver: Receiver) -> None:
    await agent.run(agent.guest())
    impatient = dataclasses.replace(IMPATIENT, reply_timeout=0.5)
    agent.runner.smapi = SmapiPort.of(agent.settings, patience=impatient)
    agent.simulator.faults.add(Rule(function="Image_Query_DM", action="hang"))
    problem = await agent.refused(capture(receiver, vdev=""))
    assert (problem.status, problem.code, problem.retryable) == (503, "smapi-unreachable", True)
    assert receiver.files == []
    assert await disks_linked(agent) == []


async def test_a_link_that_cp_refuses_touches_nothing(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.guest("OTHER"))
    await agent.runner.machine.cp("LINK LINUX01 0100 AS 0500 W")
    problem = await agent.refused(agent.write_image())
    assert (problem.status, problem.code, problem.retryable) == (409, "disk-in-use", False)
    assert await disks_linked(agent) == []


async def links(machine: SimulatedMachine) -> bool:
    """Whether the agent has a disk of a guest."""
    return any(line.startswith("DASD F") for line in (await machine.cp("QUERY VIRTUAL ALL")).lines)


@pytest.mark.parametrize("again", [True, False], ids=["sent again", "given up"])
async def test_an_agent_killed_in_the_middle_of_a_copy(tmp_path: Path, again: bool) -> None:
    """After a restart nothing is linked; the operation, sent again, goes on at the byte where the transfer was."""
    image = write_sample_image(tmp_path / "sample", cylinders=5, filler_bytes=3_000_000)
    server = ImageServer(image.path.read_bytes())
    server.etag = '"one"'
    server.pause_after = 2_000_000
    server.go_on.clear()
    guest = CreateGuest(
        userid="LINUX01", vcpus=1, memory_mb=512, ipl="0100",
        disks=(NewDisk(vdev="0100", size_units=10, pool="POOL1"),),
    )  # fmt: skip
    async with Simulator(state=tmp_path / "zvm") as simulator, server.running() as url:
        (tmp_path / "zhcp.toml").write_text(settings(simulator, 'unix = "zhcp.sock"'))
        watch = SimulatedMachine("127.0.0.1", simulator.machine_port, "ZHCP", "ZHCP")
        write = operation_json(WriteImage(ImageSource(url, image.sha256, image.bytes), userid="LINUX01", vdev="0100"))
        document = {"epoch": 1, "kind": "disk.write_image", "parameters": write}
        put = "http://zhcp/v1/operations/j/write"
        transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "zhcp.sock"))
        async with program(tmp_path / "zhcp.toml") as (process, _), httpx.AsyncClient(transport=transport) as http:
            async with ZhcpClient(f"unix:{tmp_path}/zhcp.sock") as client:
                await client.run(job="j", step="guest", epoch=1, operation=guest)
            running: dict[str, float] = {"progress": 0.0}
            async with asyncio.timeout(60):
                while not running["progress"] or not await links(watch):
                    running = (await http.put(put, params={"wait": 0.1}, json=document)).json()
            assert running["progress"] < 1
            process.kill()
            await process.wait()
        assert await links(watch)
        server.pause_after = -1
        server.go_on.set()
        async with program(tmp_path / "zhcp.toml"), ZhcpClient(f"unix:{tmp_path}/zhcp.sock") as client:
            if again:
                outcome = await client.submit(
                    job="j", step="write", epoch=1, kind="disk.write_image", parameters=write, wait=30
                )
                assert outcome.state == "done"
                assert outcome.result is not None
                assert outcome.result["bootable"] is True
            async with asyncio.timeout(60):
                while await links(watch):  # noqa: ASYNC110 (a question to another program)
                    await asyncio.sleep(0.05)
        await watch.close()
        disks = [
            path for path in (tmp_path / "zvm").rglob("*") if path.is_file() and path.stat().st_size == 10 * 15 << 16
        ]
        assert len(disks) == 1
        with EckdDisk(disks[0]) as disk:
            if again:
                assert disk.sha256(5) == image.content_sha256
                assert 'if-range: "one"' in server.requests[1]
                (asked,) = [line for line in server.requests[1].splitlines() if line.lower().startswith("range")]
                assert int(asked.partition("=")[2].rstrip("-")) > 1_000_000
            else:
                assert disk.read_track(0, 0).records[0].key == b"", "what was half written does not boot"
    assert hashlib.sha256(image.path.read_bytes()).hexdigest() == image.sha256
