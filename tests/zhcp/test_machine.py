"""The machine port's client: it finds its way back after a restart, and never takes one answer for another."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

import pytest

from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.machine import CpAnswer, GuestUnreachableError, Identity, SimulatedMachine

LOGON = {"ok": True, "userid": "ZHCP", "system": "ZVM1", "devices": "/nowhere"}
Answer = Callable[[dict[str, object]], object]


class Port:
    """A machine port whose answers a test decides; None closes the connection."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.connections = 0
        self.asked: list[dict[str, object]] = []
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[SimulatedMachine]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        machine = SimulatedMachine("127.0.0.1", server.sockets[0].getsockname()[1], "ZHCP", "GEHEIM")
        async with server:
            yield machine
            await machine.close()
            self.drop()

    def drop(self) -> None:
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        while line := await reader.readline():
            request = json.loads(line)
            self.asked.append(request)
            reply = LOGON if request["op"] == "logon" else self.answer(request)
            if reply is None:
                break
            writer.write(reply if isinstance(reply, bytes) else json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()


async def test_one_connection_serves_many_questions() -> None:
    port = Port(lambda request: {"ok": True, "rc": 0, "lines": [request["command"]]})
    async with port.running() as machine:
        answers = await asyncio.gather(*(machine.cp(f"QUERY {number}") for number in range(20)))
        assert answers == [CpAnswer(0, (f"QUERY {number}",)) for number in range(20)]
        assert await machine.identity() == Identity("ZHCP", "ZVM1")
        assert port.connections == 1


async def test_a_connection_that_was_closed_while_idle_is_opened_again() -> None:
    port = Port(lambda _: {"ok": True, "rc": 0, "lines": []})
    async with port.running() as machine:
        await machine.cp("LINK A 0100 AS F000 W")
        port.drop()
        await asyncio.sleep(0.05)
        await machine.cp("DETACH F000")
        assert port.connections == 2


async def test_a_command_whose_answer_was_lost_is_not_sent_again() -> None:
    port = Port(lambda _: None)
    async with port.running() as machine:
        with pytest.raises(AgentError) as caught:
            await machine.cp("LINK A 0100 AS F000 W")
        assert (caught.value.problem.code, caught.value.problem.retryable) == ("machine-unreachable", True)
        assert [request["op"] for request in port.asked] == ["logon", "cp"]


async def test_an_answer_nobody_waits_for_is_never_taken_for_the_next_one() -> None:
    gate: list[str] = []

    def answer(request: dict[str, object]) -> object:
        gate.append(str(request["command"]))
        return b"" if len(gate) == 1 else {"ok": True, "rc": 0, "lines": [request["command"]]}

    port = Port(answer)
    async with port.running() as machine:
        waiting = asyncio.create_task(machine.cp("FIRST"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await machine.cp("SECOND")).lines == ("SECOND",)
        assert port.connections == 2


@pytest.mark.parametrize(
    "reply", [b"nonsense\n", b"[]\n", b'{"ok": true}\n', b'{"ok": true, "rc": "0", "lines": []}\n']
)
async def test_damaged_answers_are_problems(reply: bytes) -> None:
    async with Port(lambda _: reply).running() as machine:
        with pytest.raises(AgentError):
            await machine.cp("QUERY USERID")


async def test_a_refused_logon_names_the_userid_and_not_the_password() -> None:
    port = Port(lambda _: None)
    async with port.running() as machine:
        LOGON["ok"] = False
        try:
            with pytest.raises(AgentError) as caught:
                await machine.cp("QUERY USERID")
        finally:
            LOGON["ok"] = True
    assert caught.value.problem.code == "machine-logon"
    assert "ZHCP" in str(caught.value)
    assert "GEHEIM" not in str(caught.value)


async def test_a_guest_that_does_not_answer_is_unreachable() -> None:
    async with Port(lambda _: {"ok": False, "error": "unreachable"}).running() as machine:
        with pytest.raises(GuestUnreachableError):
            await machine.guest("LINUX01", "uname")


async def test_commands_in_guests_share_no_connection_while_they_run_and_use_it_again_later() -> None:
    port = Port(lambda request: {"ok": True, "rc": 0, "output": request["command"]})
    async with port.running() as machine:
        for _ in range(3):
            both = await asyncio.gather(machine.guest("A", "uname"), machine.guest("B", "lscpu"))
            assert [answer.output for answer in both] == ["uname", "lscpu"]
        assert port.connections == 2
        port.drop()
        await asyncio.sleep(0.05)
        assert (await machine.guest("A", "uname")).output == "uname"
        assert port.connections == 3


async def test_a_guest_command_that_is_given_up_leaves_no_answer_for_the_next_one() -> None:
    port = Port(lambda request: b"" if request["command"] == "sleep" else {"ok": True, "output": request["command"]})
    async with port.running() as machine:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await machine.guest("A", "sleep")
        assert (await machine.guest("A", "uname")).output == "uname"
        assert port.connections == 2
