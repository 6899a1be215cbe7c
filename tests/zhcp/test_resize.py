"""Processors and storage of a guest: the entry and the running Linux change together, or not at all."""

import pytest

from zhcp.conftest import Agent
from zhcp.test_road import until_up
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.entry_messages import ChangeGuest
from zvmcloud.zhcp.errors import Json
from zvmcloud.zhcp.guest_messages import StartGuest, StopGuest
from zvmcloud.zhcp.resource_messages import ResizeCpus, ResizeMemory


async def entry(agent: Agent) -> list[str]:
    found: Json = (await agent.client.guest("LINUX01"))["entry"]
    assert isinstance(found, list)
    return [str(line) for line in found]


async def inside(agent: Agent, command: str) -> str:
    rc, output = await agent.client.command("LINUX01", command, epoch=1)
    assert rc == 0, output
    return output


async def online(agent: Agent) -> list[str]:
    return [line for line in (await inside(agent, "lscpu --parse=ADDRESS")).split() if line.isdecimal()]


async def running(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)


async def test_the_entry_gets_processors_and_a_share_that_follows(agent: Agent) -> None:
    await agent.run(agent.guest())
    outcome = await agent.run(ResizeCpus(userid="LINUX01", count=4))
    assert [line for line in await entry(agent) if "CPU" in line] == [
        f"COMMAND DEFINE CPU {number:02X} TYPE IFL" for number in range(4)
    ]
    assert "SHARE RELATIVE 400" in await entry(agent)
    assert [call.name for call in outcome.calls].count("Image_Definition_Update_DM") == 1
    await agent.run(ResizeCpus(userid="LINUX01", count=1))
    assert [line for line in await entry(agent) if "CPU" in line] == ["COMMAND DEFINE CPU 00 TYPE IFL"]
    assert "SHARE RELATIVE 100" in await entry(agent)


async def test_a_share_that_was_set_stays_and_one_that_is_asked_for_comes(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(ResizeCpus(userid="LINUX01", count=3, share="abs 20%"))
    assert "SHARE ABSOLUTE 20%" in await entry(agent)
    await agent.run(ResizeCpus(userid="LINUX01", count=4))
    assert "SHARE ABSOLUTE 20%" in await entry(agent)


async def test_processors_come_and_go_in_the_running_guest(agent: Agent) -> None:
    await running(agent)
    outcome = await agent.run(ResizeCpus(userid="LINUX01", count=4, live=True))
    assert await online(agent) == ["0", "1", "2", "3"]
    assert len([line for line in await entry(agent) if "DEFINE CPU" in line]) == 4
    commands = [call.name for call in outcome.calls if call.kind == "guest"]
    assert commands == [
        "lscpu --parse=ADDRESS", "lscpu --parse=ADDRESS --offline", "vmcp def cpu 02 03", "chcpu -r", "chcpu -e 2,3",
    ]  # fmt: skip
    await agent.run(ResizeCpus(userid="LINUX01", count=3, live=True))
    assert await online(agent) == ["0", "1", "2"]
    again = await agent.run(ResizeCpus(userid="LINUX01", count=4, live=True))
    assert await online(agent) == ["0", "1", "2", "3"]
    assert "chcpu -r" not in [call.name for call in again.calls], "an offline processor is there already"


async def test_more_processors_than_the_entry_allows_change_nothing(agent: Agent) -> None:
    await agent.run(agent.guest())
    before = await entry(agent)
    problem = await agent.refused(ResizeCpus(userid="LINUX01", count=9))
    assert (problem.status, problem.code) == (409, "cpu-limit")
    assert "at most 8" in problem.remedy
    assert await entry(agent) == before


async def test_a_guest_that_is_off_has_nothing_to_change_at_once(agent: Agent) -> None:
    await agent.run(agent.guest())
    before = await entry(agent)
    for operation in (
        ResizeCpus(userid="LINUX01", count=3, live=True),
        ResizeMemory(userid="LINUX01", memory_mb=2048, live=True),
    ):
        problem = await agent.refused(operation)
        assert (problem.status, problem.code) == (409, "guest-inactive")
    assert await entry(agent) == before


async def test_when_the_guest_refuses_the_entry_is_as_before(agent: Agent) -> None:
    await running(agent)
    before = await entry(agent)
    refusing = agent.runner.machine.guest

    async def guest(userid: str, command: str) -> object:
        if command.startswith("chcpu -e"):
            return type(await refusing(userid, "true"))(1, "chcpu: CPU 2 enable failed")
        return await refusing(userid, command)

    agent.runner.machine.guest = guest  # type: ignore[method-assign,assignment]
    problem = await agent.refused(ResizeCpus(userid="LINUX01", count=4, live=True))
    assert problem.code == "cpu-enable-failed"
    assert await entry(agent) == before
    agent.runner.machine.guest = refusing  # type: ignore[method-assign]
    assert await online(agent) == ["0", "1"]
    await agent.run(ResizeCpus(userid="LINUX01", count=4, live=True))
    assert await online(agent) == ["0", "1", "2", "3"]


async def test_the_entry_gets_storage(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(ResizeMemory(userid="LINUX01", memory_mb=3000))
    assert (await entry(agent))[0].split()[3:5] == ["3000M", "4G"]
    await agent.run(ResizeMemory(userid="LINUX01", memory_mb=2048))
    assert (await entry(agent))[0].split()[3:5] == ["2G", "4G"]


async def test_storage_comes_into_the_running_guest(agent: Agent) -> None:
    await running(agent)
    await agent.run(ResizeMemory(userid="LINUX01", memory_mb=2048, live=True))
    assert str(2048 * 2**20) in await inside(agent, "lsmem -b")
    assert (await entry(agent))[0].split()[3] == "2G"
    shrink = await agent.refused(ResizeMemory(userid="LINUX01", memory_mb=1024, live=True))
    assert (shrink.status, shrink.code) == (409, "memory-shrink")
    assert (await entry(agent))[0].split()[3] == "2G"


async def test_the_running_guest_grows_in_whole_blocks_only(agent: Agent) -> None:
    await running(agent)
    before = await entry(agent)
    problem = await agent.refused(ResizeMemory(userid="LINUX01", memory_mb=1100, live=True))
    assert problem.status == 400
    assert "1024 or 1152 MB" in problem.detail
    assert await entry(agent) == before


async def test_more_storage_than_the_entry_allows_changes_nothing(agent: Agent) -> None:
    await agent.run(agent.guest())
    problem = await agent.refused(ResizeMemory(userid="LINUX01", memory_mb=4097))
    assert (problem.status, problem.code) == (409, "memory-limit")
    assert (await entry(agent))[0].split()[3] == "1G"


async def test_reserved_storage_becomes_standby_first(agent: Agent) -> None:
    """An entry in the older form, with reserved instead of standby storage."""
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    context = agent.runner.context("test")
    answer = await context.call(f.ImageQueryDM(target="LINUX01"))
    records = [record.rstrip() for record in answer.reply.image_record_array]
    older = [
        "COMMAND DEF STOR RESERVED 3072M" if "DEF STOR" in record else record
        for record in records
        if not record.startswith("*DVHOPT")
    ]
    await context.call(f.ImageLockDM(target="LINUX01"))
    await context.call(f.ImageReplaceDM(target="LINUX01", image_record_array=tuple(older)))
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)
    outcome = await agent.run(ResizeMemory(userid="LINUX01", memory_mb=2048, live=True))
    assert "vmcp def storage standby 1024M" in [call.name for call in outcome.calls]
    assert str(2048 * 2**20) in await inside(agent, "lsmem -b")
    assert "COMMAND DEF STOR INITIAL STANDBY REMAINDER" in await entry(agent)
    await agent.run(StopGuest(userid="LINUX01"))
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)
    assert str(2048 * 2**20) in await inside(agent, "lsmem -b")


async def test_storage_that_the_running_machine_lacks_is_refused_before_the_entry_is_touched(
    agent: Agent,
) -> None:
    """The maximum was raised after the logon: the running machine knows nothing of it."""
    await running(agent)
    await agent.run(ChangeGuest(userid="LINUX01", max_memory_mb=16384))
    before = await entry(agent)
    problem = await agent.refused(ResizeMemory(userid="LINUX01", memory_mb=8192, live=True))
    assert (problem.status, problem.code) == (409, "memory-reserved")
    assert "can grow by 3072 MB" in problem.detail
    assert "Image_Replace_DM" not in [call.name for call in problem.calls]
    assert await entry(agent) == before
    await agent.run(ResizeMemory(userid="LINUX01", memory_mb=8192))


async def test_an_unknown_guest_is_named(agent: Agent) -> None:
    with pytest.raises(ZhcpError) as caught:
        await agent.run(ResizeCpus(userid="NOBODY", count=2))
    assert caught.value.problem.code == "guest-unknown"
