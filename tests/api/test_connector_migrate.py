"""Live migration and registration at the connector door."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.test_connector_road import create, done
from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.node import Node


async def act(door: httpx.AsyncClient, action: str, **fields: object) -> httpx.Response:
    return await door.post("/guests/linux01/action", json={"action": action, **fields})


@pytest.fixture
async def running(door: httpx.AsyncClient) -> None:
    await create(door)
    done(await act(door, "start"))


@pytest.mark.usefixtures("running")
async def test_a_move_carries_its_limits_and_is_recorded(door: httpx.AsyncClient, zhcp: FakeZhcp, node: Node) -> None:
    parms = {"maxtotal": 360, "maxquiesce": -1, "immediate": "YES", "forcestorage": "YES", "forcearch": "NO"}
    answer = await act(
        door, "live_migrate_vm", destination="vm2", operation="move", parms=parms, dest_zcc_userid="zcc2"
    )
    assert done(answer) == ""
    assert zhcp.guests["LINUX01"]["moved"] == {
        "userid": "LINUX01", "destination": "VM2", "test": False, "force": ["STORAGE"], "immediate": True,
        "max_total": 360, "max_quiesce": -1, "authorize": "ZCC2",
    }  # fmt: skip
    assert (await node.core.owned("ZVM1", "LINUX01"))["comments"] == {"migrated": 1}


@pytest.mark.usefixtures("running")
async def test_a_test_moves_nothing_and_needs_no_parms(door: httpx.AsyncClient, zhcp: FakeZhcp, node: Node) -> None:
    done(await act(door, "live_migrate_vm", destination="VM2", operation="test"))
    assert zhcp.guests["LINUX01"]["moved"]["test"] is True
    assert not (await node.core.owned("ZVM1", "LINUX01"))["comments"].get("migrated")


@pytest.mark.usefixtures("running")
async def test_what_z_vm_refuses_keeps_its_codes(door: httpx.AsyncClient, node: Node) -> None:
    answer = await act(door, "live_migrate_vm", destination="NOWHERE", operation="move", parms={})
    body = answer.json()
    assert (body["overallRC"], body["rc"], body["rs"]) == (8, 8, 3000)
    assert "1940" in body["errmsg"]
    assert not (await node.core.owned("ZVM1", "LINUX01"))["comments"].get("migrated")


async def test_a_guest_that_is_off_cannot_move(door: httpx.AsyncClient) -> None:
    await create(door)
    answer = await act(door, "live_migrate_vm", destination="VM2", operation="test", parms={})
    assert answer.status_code == 409
    assert answer.json()["rs"] == 1


@pytest.mark.usefixtures("running")
async def test_another_operation_is_refused(door: httpx.AsyncClient) -> None:
    assert (await act(door, "live_migrate_vm", destination="VM2", operation="fly", parms={})).status_code == 400


async def rows(door: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = done(await door.get("/guests/nics", params={"userid": "linux01"}))
    return found


@pytest.mark.usefixtures("running")
async def test_deregistering_forgets_and_registering_finds_the_nics_again(
    door: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    done(await door.post("/guests/linux01/nic", json={"nic": {"vdev": "1000", "mac_addr": "02:00:00:00:00:0a"}}))
    done(await door.post("/vswitches", json={"vswitch": {"name": "VSW1"}}))
    done(await door.put("/guests/linux01/nic/1000", json={"info": {"couple": True, "vswitch": "VSW1"}}))
    done(await act(door, "deregister_vm"))
    assert done(await door.get("/guests")) == []
    assert "LINUX01" in zhcp.guests, "z/VM is left as it is"
    ports = {"port-1": "02:00:00:00:00:0a"}
    done(await act(door, "register_vm", meta="os_version=rhel8.6", net_set="1", port_macs=ports))
    assert done(await door.get("/guests")) == ["LINUX01"]
    (row,) = await rows(door)
    assert (row["interface"], row["switch"], row["port"]) == ("1000", "VSW1", "port-1")
    twice = await act(door, "register_vm", meta="os_version=rhel8.6", net_set="1")
    assert twice.status_code == 409


@pytest.mark.usefixtures("running")
async def test_a_guest_that_went_and_is_back_is_registered_again(door: httpx.AsyncClient, node: Node) -> None:
    done(await act(door, "live_migrate_vm", destination="VM2", operation="move", parms={}))
    done(await act(door, "register_vm", meta="rhel8.6", net_set="1"))
    assert (await node.core.owned("ZVM1", "LINUX01"))["comments"] == {"migrated": 0}


async def test_a_guest_that_does_not_exist_cannot_be_registered(door: httpx.AsyncClient) -> None:
    answer = await act(door, "register_vm", meta="rhel8.6", net_set="1")
    assert answer.status_code == 404
    answer = await act(door, "deregister_vm")
    assert answer.status_code == 404
