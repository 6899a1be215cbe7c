"""Inventory and performance samples: what z/VM says at the moment, with few calls."""

import asyncio

import pytest

from zhcp.conftest import Agent
from zhcp.test_resize import running
from zvmcloud.simulator.presets import find_preset
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.network_messages import AttachNic, CreateLan, CreateVswitch


async def test_osas_are_free_or_with_their_holder(agent: Agent) -> None:
    before = (await agent.client.ask("GET", "/v1/osas"))["osas"]
    assert isinstance(before, list)
    assert {row["state"] for row in before if isinstance(row, dict)} == {"free"}
    await agent.run(CreateVswitch(name="VSW1", rdev=(str(before[0]["osa"]),)))  # type: ignore[index,call-overload]
    after = (await agent.client.ask("GET", "/v1/osas"))["osas"]
    assert isinstance(after, list)
    taken = [row for row in after if isinstance(row, dict) and row["state"] == "attached"]
    assert taken
    assert {row["owner"] for row in taken} <= {"DTCVSW1", "DTCVSW2"}


async def test_paging_and_spool_space_are_told_volume_by_volume(agent: Agent) -> None:
    space = await agent.client.ask("GET", "/v1/space")
    for name in ("paging", "spool"):
        found = space[name]
        assert isinstance(found, dict)
        volumes = found["volumes"]
        assert isinstance(volumes, list)
        assert volumes
        assert isinstance(found["total"], int)
        assert found["total"] > 999_999, "CP shows so many pages with a K"
        assert found["total"] == sum(int(str(row["total"])) for row in volumes if isinstance(row, dict))
        assert found["used"] == sum(int(str(row["used"])) for row in volumes if isinstance(row, dict))


async def test_guest_lans_are_listed_with_what_is_coupled(agent: Agent) -> None:
    await running(agent)
    await agent.run(CreateLan(name="LAN1", owner="LINUX01"))
    await agent.run(AttachNic(userid="LINUX01", vdev="1000", network="LAN1", lan_owner="LINUX01", active=True))
    lans = (await agent.client.ask("GET", "/v1/lans"))["lans"]
    assert {
        "name": "LAN1",
        "owner": "LINUX01",
        "adapter_type": "QDIO",
        "adapters": [{"userid": "LINUX01", "vdev": "1000"}],
    } in lans  # type: ignore[operator]


async def test_a_sample_has_counters_that_grow_and_its_time(agent: Agent) -> None:
    await running(agent)
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    await agent.run(AttachNic(userid="LINUX01", vdev="1000", network="VSW1", active=True))
    first = await agent.client.ask("GET", "/v1/samples", params={"io": "LINUX01,NOBODY"})
    await asyncio.sleep(0.2)
    second = await agent.client.ask("GET", "/v1/samples", params={"io": "LINUX01"})
    assert float(str(second["at_seconds"])) > float(str(first["at_seconds"]))
    rows = [row for row in second["guests"] if row["userid"] == "LINUX01"]  # type: ignore[union-attr,index,call-overload]
    earlier = [row for row in first["guests"] if row["userid"] == "LINUX01"]  # type: ignore[union-attr,index,call-overload]
    assert rows[0]["elapsed_us"] > earlier[0]["elapsed_us"]  # type: ignore[index,call-overload,operator]
    assert rows[0]["memory_max_kb"] == 1024 * 1024  # type: ignore[index,call-overload]
    assert [nic["vdev"] for nic in second["nics"]] == ["1000"]  # type: ignore[union-attr,index,call-overload]
    assert set(first["io"]) == {"LINUX01"}  # type: ignore[arg-type]
    assert second["io"]["LINUX01"] >= first["io"]["LINUX01"]  # type: ignore[index,call-overload,operator]
    assert second["system"]["memory_total_kb"] > second["system"]["memory_used_kb"] > 0  # type: ignore[index,call-overload,operator]
    assert (first["calls"], second["calls"]) == (5, 4)


@pytest.mark.parametrize("agent", [{"model": find_preset("fleet:1x1000")}], indirect=True)
async def test_a_sample_of_a_thousand_guests_is_three_calls(agent: Agent) -> None:
    sample = await agent.client.ask("GET", "/v1/samples")
    assert sample["calls"] == 3


async def test_io_of_too_many_guests_is_refused(agent: Agent) -> None:
    with pytest.raises(ZhcpError) as caught:
        await agent.client.ask("GET", "/v1/samples", params={"io": ",".join(f"L{number}" for number in range(65))})
    assert (caught.value.problem.status, caught.value.problem.code) == (400, "bad-parameter")
