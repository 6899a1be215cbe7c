"""What z/VM tells by itself reaches who waits for it, and nobody takes a silence for "nothing happened"."""

from __future__ import annotations

import asyncio

import pytest

from zhcp.conftest import Agent
from zvmcloud.simulator.faults import Rule
from zvmcloud.smapi.events import DirectoryChanged
from zvmcloud.smapi.line import Plain
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.errors import Json
from zvmcloud.zhcp.guest_messages import StartGuest, StopGuest


class Listener:
    """A manager that follows the events of one system."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.stream = ""
        self.last = 0

    async def ask(self, wait: float = 0.0, **changed: str | float) -> dict[str, Json]:
        query = {"stream": self.stream, "after": self.last, "wait": wait, **changed}
        found = await self._agent.client.ask("GET", "/v1/events", params=query)
        self.stream, self.last = str(found["stream"]), int(str(found["last"]))
        return found

    async def told(self, wait: float = 30.0) -> list[tuple[str, str, str]]:
        found = await self.ask(wait)
        assert found["lost"] is False
        events = found["events"]
        assert isinstance(events, list)
        return [(str(row["kind"]), str(row["userid"]), str(row["word"])) for row in events if isinstance(row, dict)]

    async def until(self, *wanted: tuple[str, str, str]) -> None:
        """Wait until all of these were told."""
        left = set(wanted)
        for _ in range(100):
            left -= set(await self.told())
            if not left:
                return
        raise AssertionError(f"not told: {left}")


@pytest.fixture
async def listener(agent: Agent) -> Listener:
    found = Listener(agent)
    first = await found.ask()
    assert first["lost"] is True, "who comes first knows nothing of what was before"
    await found.until(("gap", "", ""))
    return found


async def test_who_waits_hears_of_entries_and_of_guests_that_log_on_and_off(agent: Agent, listener: Listener) -> None:
    waiting = asyncio.create_task(listener.until(("entry", "LINUX01", "ADD")))
    await agent.run(agent.guest())
    await waiting
    await agent.run(StartGuest(userid="LINUX01"))
    await listener.until(("logon", "LINUX01", ""))
    await agent.run(StopGuest(userid="LINUX01"))
    await listener.until(("logoff", "LINUX01", ""))
    assert (await listener.ask())["listening"] is True
    assert (await listener.ask())["events"] == []


async def test_two_managers_hear_the_same(agent: Agent, listener: Listener) -> None:
    other = Listener(agent)
    assert (await other.ask())["lost"] is True
    await agent.run(agent.guest())
    await asyncio.gather(*(one.until(("entry", "LINUX01", "ADD")) for one in (listener, other)))


async def test_a_stream_that_was_cut_is_taken_up_and_the_gap_is_told(agent: Agent, listener: Listener) -> None:
    agent.simulator.system.events.unsubscribe("ZHCP")
    await listener.until(("gap", "", ""))
    await agent.run(agent.guest())
    await listener.until(("entry", "LINUX01", "ADD"))


async def test_an_agent_that_was_started_again_says_that_something_is_lost(agent: Agent, listener: Listener) -> None:
    agent.restart()
    found = await listener.ask()
    assert (found["lost"], found["events"]) == (True, [])


async def test_a_refused_stream_is_told_with_its_reason(agent: Agent) -> None:
    agent.simulator.faults.add(Rule(function="Event_Subscribe", action="refuse", rc=100, rs=16))
    listener = Listener(agent)
    for _ in range(300):
        found = await listener.ask()
        if "100" in str(found["trouble"]):
            break
        await asyncio.sleep(0.02)
    assert found["listening"] is False
    assert "100" in str(found["trouble"])


@pytest.mark.parametrize("query", [{"after": -1}, {"after": "x"}, {"wait": 61}, {"wait": "nan"}])
async def test_what_cannot_be_asked_is_refused(agent: Agent, query: dict[str, str | float]) -> None:
    with pytest.raises(ZhcpError) as caught:
        await agent.client.ask("GET", "/v1/events", params=query)
    assert caught.value.problem.status == 400


async def test_events_of_a_moment_are_taken_together(
    agent: Agent, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    real = Plain.receive

    async def receive(self: Plain) -> bytes:
        data = await real(self)
        taken.append(len(data))
        return data

    monkeypatch.setattr(Plain, "receive", receive)
    hub, names = agent.simulator.system.events, [f"GUEST{number:03}" for number in range(40)]
    for name in names:
        hub.send([DirectoryChanged(name, "ADD")])
        for _ in range(4):  # turns of the event loop, in which the agent could take it
            await asyncio.sleep(0)
    await listener.until(*(("entry", name, "ADD") for name in names))
    assert len(taken) < 10, "one wakes the agent, and the rest of them comes behind its rest"
