"""Volumes, cluster, traffic and SMAPI's health, as z/VM has them at the moment."""

from __future__ import annotations

import pytest

from zhcp.conftest import Agent
from zhcp.test_road import until_up
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.errors import Json
from zvmcloud.zhcp.guest_messages import StartGuest
from zvmcloud.zhcp.health import Health
from zvmcloud.zhcp.network_messages import CoupleNic, CreateNic, CreateVswitch, GrantVswitch


def rows(document: dict[str, Json], name: str) -> list[dict[str, Json]]:
    found = document[name]
    assert isinstance(found, list)
    return [item for item in found if isinstance(item, dict)]


async def test_every_volume_is_listed_with_type_and_size(agent: Agent) -> None:
    found = {row["volume"]: row for row in rows(await agent.client.ask("GET", "/v1/volumes"), "volumes")}
    pool = await agent.client.pool("POOL1")
    for volume in rows(pool, "volumes"):
        size = found[volume["volume"]]["size"]
        assert isinstance(size, int)
        assert isinstance(volume["total"], int)
        assert size >= volume["total"]
        assert str(found[volume["volume"]]["device_type"]).startswith("3390")


async def test_a_single_system_is_in_no_cluster(agent: Agent) -> None:
    assert await agent.client.ask("GET", "/v1/ssi") == {"member": False, "members": []}


async def test_traffic_moves_while_the_guest_sends(agent: Agent) -> None:
    assert await agent.client.ask("GET", "/v1/traffic") == {"nics": []}
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    await agent.run(CreateNic(userid="LINUX01", vdev="1000"))
    await agent.run(CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1"))
    await agent.run(GrantVswitch(name="VSW1", userid="LINUX01"))
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)
    (nic,) = rows(await agent.client.ask("GET", "/v1/traffic"), "nics")
    assert (nic["userid"], nic["vdev"], nic["vswitch"]) == ("LINUX01", "1000", "VSW1")
    for name in ("fr_rx", "fr_tx", "rx", "tx", "fr_rx_dsc", "fr_tx_err"):
        assert isinstance(nic[name], int)


async def test_health_counts_answers_and_failures(agent: Agent) -> None:
    before = await agent.client.ask("GET", "/v1/smapi")
    assert (before["total_success"], before["last_success"], before["healthy"]) == (0, "", True)
    await agent.client.guests()
    with pytest.raises(ZhcpError):
        await agent.client.guest("NOBODY")
    counted = await agent.client.ask("GET", "/v1/smapi")
    assert counted["total_success"] == 2, "a refusal is an answer"
    assert counted["total_fail"] == 0
    assert counted["last_success"]


def test_several_calls_in_a_row_without_an_answer_are_not_healthy() -> None:
    health = Health()
    for _ in range(4):
        health.failure()
    seen = [health.healthy]
    health.failure()
    seen.append(health.healthy)
    assert seen == [True, False]
    assert (health.failed, health.failed_since_answer) == (5, 5)
    assert health.last_failure
    health.answer()
    assert health.healthy
    assert (health.answered, health.failed, health.failed_since_answer) == (1, 5, 0)
