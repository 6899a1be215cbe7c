"""Console logs and the files of guests come through the one reader of the agent, and none is taken for the other."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from zhcp.conftest import Agent
from zhcp.dying import Dying
from zhcp.test_reader import reader, three
from zhcp.test_resize import running
from zvmcloud.simulator import spool
from zvmcloud.simulator.faults import Rule
from zvmcloud.zhcp import queries
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.machine import CpAnswer
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.operations.own_reader import OUR_READER
from zvmcloud.zhcp.reader_messages import ReceiveFile, TransferFiles


def log_of(agent: Agent, origin: str, *, owner: str = "ZHCP", data: bytes = b"a line\n") -> str:
    """A console log comes to a reader; its number."""
    system = agent.simulator.system
    with system.transaction():
        return spool.create(system, owner, origin, data, spool_class="T", kind="CON").spoolid


async def ours(agent: Agent) -> list[tuple[str, str]]:
    return [(file.origin, file.type) for file in await agent.runner.machine.reader()]


def after_moving(agent: Agent, monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Do it once, when a file has come from a guest's reader and the agent has not looked yet."""
    real = agent.runner.smapi.call
    done: list[object] = []

    async def call(request: Any, *arguments: Any, **named: Any) -> Any:
        answer = await real(request, *arguments, **named)
        if request.spec.name == "System_RDR_File_Manage" and not done:
            done.append(then())
        return answer

    monkeypatch.setattr(agent.runner.smapi, "call", call)


async def test_a_file_is_known_by_its_looks_when_another_one_comes_with_it(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await three(agent)
    after_moving(agent, monkeypatch, lambda: log_of(agent, "LINUX03"))
    done = await agent.run(ReceiveFile(userid="LINUX01", spoolid=before["TWO"]))
    assert done.result is not None
    assert base64.b64decode(str(done.result["data"])) == b"the content of TWO"
    assert list(await reader(agent)) == ["ONE", "THREE"]
    assert await ours(agent) == [("LINUX03", "CON")], "the other one is left for whom it is"


async def test_which_of_two_alike_is_the_guests_is_not_guessed(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    await agent.run(agent.guest())
    number = log_of(agent, "LINUX03", owner="LINUX01")
    after_moving(agent, monkeypatch, lambda: log_of(agent, "LINUX03"))
    problem = await agent.refused(ReceiveFile(userid="LINUX01", spoolid=number))
    assert (problem.status, problem.code) == (502, "file-lost")
    assert await ours(agent) == [("LINUX03", "CON")] * 2, "both are kept for whoever looks"


async def test_a_receive_whose_answer_is_lost_leaves_no_file_with_the_agent(agent: Agent) -> None:
    before = await three(agent)
    agent.simulator.faults.add(Rule(function="System_RDR_File_Manage", action="drop-after-work", count=1))
    agent.simulator.faults.add(Rule(function="Response_Recovery", rc=4, rs=4))
    await agent.refused(ReceiveFile(userid="LINUX01", spoolid=before["TWO"]))
    assert sorted(await reader(agent)) == ["ONE", "THREE", "TWO"]
    assert await ours(agent) == []


async def test_no_file_is_taken_from_a_guest_while_a_console_is_read(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running(agent)
    number = log_of(agent, "LINUX03", owner="LINUX01")
    receive = ReceiveFile(userid="LINUX01", spoolid=number)
    smapi, machine = agent.runner.smapi, agent.runner.machine
    call, turn, cp = smapi.call, smapi.turn, machine.cp
    done: list[str] = []
    asked: list[str] = []
    on_its_way = asyncio.Event()

    def turns(name: str) -> AbstractAsyncContextManager[None]:
        asked.append(name)
        if asked.count(OUR_READER) == 2:
            on_its_way.set()
        return turn(name)

    async def calls(request: Any, *arguments: Any, **named: Any) -> Any:
        done.append(request.spec.name)
        if request.spec.name == "System_RDR_File_Manage":
            on_its_way.set()
        if request.spec.name == "Image_Console_Get":
            await agent.runner.submit("job", "receive", 1, receive.kind, operation_json(receive))
            await asyncio.wait_for(on_its_way.wait(), 60)
        return await call(request, *arguments, **named)

    async def commands(command: str) -> CpAnswer:
        done.append(command.partition(" ")[0])
        return await cp(command)

    monkeypatch.setattr(smapi, "turn", turns)
    monkeypatch.setattr(smapi, "call", calls)
    monkeypatch.setattr(machine, "cp", commands)
    assert "login:" in await agent.client.console("LINUX01")
    assert (await agent.run(receive, step="receive")).state == "done"
    assert done.index("Image_Console_Get") < done.index("PURGE") < done.index("System_RDR_File_Manage")
    assert await ours(agent) == []


def when(agent: Agent, monkeypatch: pytest.MonkeyPatch, method: str, first: Callable[[], Awaitable[object]]) -> None:
    """Do it once before a CP command to hand over a file, or behind the reading of one."""
    machine = agent.runner.machine
    real = getattr(machine, method)
    done: list[str] = []

    async def called(given: str) -> Any:
        if method == "cp" and not given.startswith("TRANSFER"):
            return await real(given)
        answer = await real(given) if method == "read" else None
        if not done:
            done.append(given)
            await first()
        return await real(given) if answer is None else answer

    monkeypatch.setattr(machine, method, called)


@pytest.mark.parametrize(
    ("method", "operation"),
    [
        ("cp", lambda number: TransferFiles(userid="LINUX01", to="LINUX02", spoolids=(number,))),
        ("read", lambda number: ReceiveFile(userid="LINUX01", spoolid=number)),
    ],
)
async def test_a_console_log_that_was_taken_from_a_guest_is_not_what_its_console_said(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, method: str, operation: Callable[[str], Any]
) -> None:
    for userid in ("LINUX01", "LINUX02", "LINUX03"):
        await agent.run(agent.guest(userid))
    number = log_of(agent, "LINUX03", owner="LINUX01", data=b"precious\n")
    said: list[bytes] = []

    async def drain() -> None:
        said.append(await queries.drain_console(agent.runner.context(), "LINUX03"))

    when(agent, monkeypatch, method, drain)
    done = await agent.run(operation(number))
    assert said == [b""]
    assert done.result is not None
    if method == "cp":
        assert len(await reader(agent, "LINUX02")) == 1
    else:
        assert base64.b64decode(str(done.result["data"])) == b"precious\n"
    with pytest.raises(ZhcpError, match="console-none"):
        await agent.client.console("LINUX03")


async def test_a_console_log_that_was_on_its_way_when_the_agent_died_is_not_what_its_console_said(
    agent: Agent,
) -> None:
    for userid in ("LINUX01", "LINUX03"):
        await agent.run(agent.guest(userid))
    number = log_of(agent, "LINUX03", owner="LINUX01", data=b"precious\n")
    receive = ReceiveFile(userid="LINUX01", spoolid=number)
    first = Dying(agent)
    first.after_function("System_RDR_File_Manage")
    await first.begin(receive, "first")
    log_of(agent, "LINUX03", data=b"said here\n" * 20)
    assert await agent.client.console("LINUX03") == "said here\n" * 20
    done = await agent.run(receive, step="first")
    assert done.result is not None
    assert base64.b64decode(str(done.result["data"])) == b"precious\n"
    assert await ours(agent) == []
    await first.bury()
