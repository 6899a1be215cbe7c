"""An operation that names the entry it was planned from is refused when the entry is another one."""

from __future__ import annotations

from typing import Any

import pytest

from zhcp.conftest import Agent
from zvmcloud.zhcp.entry_messages import ChangeGuest
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.expected import ABSENT, entry_digest
from zvmcloud.zhcp.messages import operation_json, parse_operation


async def put(agent: Agent, step: str, kind: str, **parameters: Any) -> dict[str, Any]:
    body = {"epoch": 1, "kind": kind, "parameters": parameters}
    answer = await agent.http.put(f"/v1/operations/job/{step}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def digest(agent: Agent) -> str:
    facts = await agent.client.guest("LINUX01")
    return entry_digest([str(text) for text in facts["entry"]])  # type: ignore[union-attr]


async def test_an_entry_that_changed_since_it_was_looked_at_is_left_alone(agent: Agent) -> None:
    await agent.run(agent.guest())
    looked_at = await digest(agent)
    await agent.run(ChangeGuest(userid="LINUX01", comments=("by another",)))
    before = agent.simulator.system.entries["LINUX01"].entry
    resize = {"userid": "LINUX01", "memory_mb": 2048}
    stale = await put(agent, "a", "guest.resize_memory", **resize, expect_entries={"LINUX01": looked_at})
    assert (stale["state"], stale["error"]["status"], stale["error"]["code"]) == ("failed", 409, "entry-changed")
    assert agent.simulator.system.entries["LINUX01"].entry == before
    fresh = await put(
        agent, "b", "guest.resize_memory", **resize, expect_entries={"LINUX01": await digest(agent), "NOBODY": ABSENT}
    )
    assert fresh["state"] == "done"
    assert (await agent.client.guest("LINUX01"))["memory_mb"] == 2048


async def test_an_entry_that_was_to_be_absent_is_not_there_by_then(agent: Agent) -> None:
    await agent.run(agent.guest())
    parameters = {**operation_json(agent.guest("LINUX02")), "expect_entries": {"LINUX01": ABSENT}}
    refused = await put(agent, "a", "guest.create", **parameters)
    assert refused["error"]["code"] == "entry-changed"
    assert "LINUX02" not in agent.simulator.system.entries


@pytest.mark.parametrize("given", [[], {"LINUX01": "x"}, {"LINUX01": 1}, {"too-long-a-name": ABSENT}, "LINUX01"])
def test_an_expectation_that_is_none_names_the_field(given: object) -> None:
    with pytest.raises(FieldError) as caught:
        parse_operation("guest.start", {"userid": "LINUX01", "expect_entries": given})
    assert caught.value.field.startswith("parameters.expect_entries")
