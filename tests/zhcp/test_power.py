"""Power verbs in every state, one after the other and all at once: an answer, or a 409 that names the present state."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from zhcp.conftest import Agent
from zhcp.test_relocate import CLUSTER
from zhcp.test_resize import running
from zhcp.test_road import until_up
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.errors import Problem
from zvmcloud.zhcp.guest_messages import (
    DeleteGuest,
    PauseGuest,
    RebootGuest,
    ResetGuest,
    ShutdownGuest,
    StartGuest,
    StopGuest,
    UnpauseGuest,
)
from zvmcloud.zhcp.image_messages import EraseDisk
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.resource_messages import RelocateGuest

VERBS: dict[str, Operation] = {
    "start": StartGuest(userid="LINUX01"),
    "stop": StopGuest(userid="LINUX01"),
    "shutdown": ShutdownGuest(userid="LINUX01", timeout=1, poll=1),
    "pause": PauseGuest(userid="LINUX01"),
    "unpause": UnpauseGuest(userid="LINUX01"),
    "reset": ResetGuest(userid="LINUX01"),
    "reboot": RebootGuest(userid="LINUX01"),
}
AFTER = {"start": "on", "stop": "off", "shutdown": "off", "reset": "on"}
"""What the guest is after a verb, whatever it was; the other verbs need a guest that is on, and leave it on."""


async def tried(agent: Agent, verb: str) -> Problem | None:
    try:
        await agent.run(VERBS[verb])
    except ZhcpError as error:
        return error.problem
    return None


@pytest.mark.parametrize("seed", range(4))
async def test_a_walk_through_the_verbs_never_fails_but_by_the_state(agent: Agent, seed: int) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    state = "off"
    chance = random.Random(seed)
    for _ in range(25):
        verb = chance.choice(list(VERBS))
        problem = await tried(agent, verb)
        if verb in AFTER:
            assert problem is None, f"{verb} of a guest that is {state}: {problem}"
            state = AFTER[verb]
        elif state == "off":
            assert problem is not None
            assert (problem.status, problem.code) == (409, "guest-inactive")
            assert "LINUX01 is off" in problem.detail
        else:
            # A guest that has not booted yet, or is paused, has no agent that could restart it.
            assert problem is None or (verb, problem.status, problem.code) == ("reboot", 409, "guest-unreachable")
        assert (await agent.client.guest("LINUX01"))["power_state"] == state


async def test_verbs_that_come_at_once_end_in_one_of_their_states(agent: Agent) -> None:
    await running(agent)
    for _ in range(3):
        problems = await asyncio.gather(*(tried(agent, verb) for verb in VERBS))
        for verb, problem in zip(VERBS, problems, strict=True):
            assert problem is None or problem.status == 409, f"{verb}: {problem}"
    assert await tried(agent, "start") is None
    assert (await agent.client.guest("LINUX01"))["state"] == "on"


@CLUSTER
@pytest.mark.parametrize("verb", list(VERBS))
async def test_a_guest_on_another_member_is_told_to_be_there(agent: Agent, verb: str) -> None:
    await running(agent)
    await agent.run(RelocateGuest(userid="LINUX01", destination="VM2"))
    problem = await tried(agent, verb)
    assert problem is not None
    assert (problem.status, problem.code) == (409, "guest-elsewhere")
    assert "another SSI member" in problem.detail
    assert "LINUX01" in agent.simulator.cluster.systems["VM2"].machines


async def unknown(agent: Agent) -> None:
    await agent.run(DeleteGuest(userid="LINUX01"))


async def off(agent: Agent) -> None:
    await agent.run(StopGuest(userid="LINUX01"))


async def nothing_loaded(agent: Agent) -> None:
    await off(agent)
    await agent.run(EraseDisk(userid="LINUX01", vdev="0100"))
    await agent.run(StartGuest(userid="LINUX01"))


async def up(agent: Agent) -> None:
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)


async def paused(agent: Agent) -> None:
    await up(agent)
    await agent.run(PauseGuest(userid="LINUX01"))


async def going_off(agent: Agent) -> None:
    """The signal is sent, and the system in the guest has not ended yet."""
    await up(agent)
    await agent.runner.context("t").call(f.ImageDeactivate(target="LINUX01", force_time="WITHIN 60"))


async def restarting(agent: Agent) -> None:
    await up(agent)
    await agent.run(RebootGuest(userid="LINUX01"))


STATES: dict[str, Callable[[Agent], Awaitable[None]]] = {
    "unknown": unknown, "off": off, "nothing loaded": nothing_loaded, "up": up, "paused": paused,
    "going off": going_off, "restarting": restarting,
}  # fmt: skip


@pytest.mark.parametrize("state", list(STATES))
async def test_every_verb_in_every_state_is_done_or_refused_with_the_present_state(agent: Agent, state: str) -> None:
    for verb in VERBS:
        if {"userid": "LINUX01"} not in await agent.client.guests():
            await agent.run(agent.guest())
        if state not in ("unknown", "off"):
            await off(agent)
            await agent.run(agent.write_image())
        await STATES[state](agent)
        problem = await tried(agent, verb)
        if state == "unknown":
            assert problem is not None
            assert (problem.status, problem.code) == (404, "guest-unknown"), f"{verb}: {problem}"
        elif problem is not None:
            assert problem.status == 409, f"{verb} of a guest that is {state}: {problem}"
            named = problem.code in ("guest-inactive", "guest-going-off", "guest-unreachable", "guest-elsewhere")
            assert named, f"{verb} of a guest that is {state}: {problem}"
        else:
            assert state != "off" or verb in AFTER
        if state != "unknown":
            assert (await agent.client.guest("LINUX01"))["state"] in ("on", "off", "going off")


@pytest.mark.parametrize("name", ["ZHCP", "VSMWORK1", "VSMREQIN"])
async def test_the_agent_stops_and_deletes_neither_itself_nor_a_server_of_smapi(agent: Agent, name: str) -> None:
    for operation in (StopGuest(userid=name), DeleteGuest(userid=name)):
        problem = await agent.refused(operation)
        assert (problem.status, problem.code) == (409, "own-userid")
    assert name in agent.simulator.system.entries
    assert agent.simulator.system.active(name)
