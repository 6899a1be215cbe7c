"""Power verbs in every state, one after the other and all at once: an answer, or a 409 that names the present state."""

import asyncio
import random

import pytest

from zhcp.conftest import Agent
from zhcp.test_relocate import CLUSTER
from zhcp.test_resize import running
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.errors import Problem
from zvmcloud.zhcp.guest_messages import (
    PauseGuest,
    RebootGuest,
    ResetGuest,
    ShutdownGuest,
    StartGuest,
    StopGuest,
    UnpauseGuest,
)
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
