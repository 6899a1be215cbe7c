"""A cancel that reaches the agent before its operation does: the operation never begins, whenever it comes."""

import asyncio

import pytest

from zhcp.conftest import Agent
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.messages import operation_json


def create(agent: Agent) -> dict[str, object]:
    """The body of a PUT that makes LINUX01."""
    return {"epoch": 1, "kind": "guest.create", "parameters": operation_json(agent.guest())}


async def exists(agent: Agent) -> bool:
    """Whether LINUX01 has an entry."""
    return {"userid": "LINUX01"} in await agent.client.guests()


async def test_an_operation_that_was_called_off_is_never_begun(agent: Agent) -> None:
    off = await agent.client.cancel("j", "create", epoch=1)
    assert (off.state, off.error.code if off.error else "") == ("failed", "cancelled")
    for _ in range(2):
        late = (await agent.http.put("/v1/operations/j/create", json=create(agent))).json()
        assert (late["state"], late["error"]["code"], late["calls"]) == ("failed", "cancelled", [])
        assert not await exists(agent)
        await agent.runner.stop()
        agent.restart()
    assert (await agent.http.get("/v1/operations/j/create")).json()["error"]["code"] == "cancelled"
    other = await agent.client.cancel("j", "create", epoch=1)
    assert other == off, "a second cancel tells the same"


async def test_a_manager_that_was_replaced_calls_nothing_off(agent: Agent) -> None:
    await agent.runner.journal.fence(7)
    with pytest.raises(ZhcpError, match="stale-epoch"):
        await agent.client.cancel("j", "create", epoch=6)
    done = (await agent.http.put("/v1/operations/j/create", json={**create(agent), "epoch": 7})).json()
    assert done["state"] == "done"


async def test_what_is_over_stays_as_it_ended(agent: Agent) -> None:
    done = (await agent.http.put("/v1/operations/j/create", json=create(agent))).json()
    assert (await agent.client.cancel("j", "create", epoch=1)).to_json() == done
    assert await exists(agent)


@pytest.mark.parametrize("first", ["the operation", "the cancel"])
async def test_of_an_operation_and_its_cancel_that_come_at_once_nothing_is_left(agent: Agent, first: str) -> None:
    """Both with a new epoch: what is written down first waits for the disk, and the other one comes meanwhile."""
    await agent.runner.machine.identity()  # which is asked for once, before an operation is admitted
    path = "/v1/operations/j/create"
    asking = [
        agent.http.put(path, json={**create(agent), "epoch": 5}),
        agent.http.delete(path, params={"epoch": 5}),
    ]
    both = [asyncio.create_task(ask) for ask in (asking if first == "the operation" else reversed(asking))]
    answers = [(await one).json() for one in both]
    assert [(answer["state"], answer["error"]["code"]) for answer in answers] == [("failed", "cancelled")] * 2
    assert not await exists(agent)


async def test_what_a_crash_cut_off_is_not_called_off_but_goes_on(agent: Agent) -> None:
    """It may have left traces, which only its next run knows."""
    await agent.runner.journal.admit("j", "create", 1, "guest.create", "the digest of what was sent")
    agent.restart()
    assert (await agent.client.cancel("j", "create", epoch=1)).state == "running"
    entry = agent.runner.journal.get("j/create")
    assert entry is not None
    assert entry.state == "running"
