"""What is z/VM's own is made a guest, changed and deleted at no door: service machines and the agents."""

from __future__ import annotations

import time

import httpx
import pytest
import sqlalchemy as sa

from api.native import ok, refused
from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.jobs.plan import Plan, Step
from zvmcloud.manager.node import Node
from zvmcloud.manager.protected import SERVICE_MACHINES, Protected
from zvmcloud.manager.tables import guests
from zvmcloud.smapi.servers import SERVERS

REGISTER = {"action": "register_vm", "meta": "os_version=rhel8.6", "net_set": "0"}
OWN = {"system": "ZVM1", "id": "1", "created": time.time(), "os_version": "", "net_set": False, "comments": {}}


@pytest.mark.parametrize("name", ["MAINT", "VSMWORK1", "OPERATOR"])
async def test_a_service_machine_is_neither_registered_nor_defined(
    door: httpx.AsyncClient, zhcp: FakeZhcp, name: str
) -> None:
    zhcp.guests[name] = {**_machine(), "userid": name}
    answer = await door.post(f"/guests/{name}/action", json=REGISTER)
    assert answer.status_code == 409
    assert f"{name} is a service machine of z/VM" in answer.json()["errmsg"]
    answer = await door.post("/guests", json={"guest": {"userid": name, "vcpus": 1, "memory": 512}})
    assert answer.status_code == 409
    assert zhcp.ran == []


async def test_the_agent_is_not_registered_whatever_its_userid_is(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SERVICE_MACHINES, "ZHCP")
    zhcp.guests["ZHCP"] = {**_machine(), "userid": "ZHCP"}
    assert (await door.post("/guests/ZHCP/action", json=REGISTER)).status_code == 409
    assert await node.guests.rows() == ()


async def test_one_that_was_made_a_guest_before_is_only_forgotten(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    async with node.core.database.write() as connection:
        await connection.execute(sa.insert(guests), [{**OWN, "userid": "MAINT"}])
    assert (await door.delete("/guests/MAINT")).status_code == 409
    assert (await door.post("/guests/MAINT/action", json={"action": "stop"})).status_code == 409
    await refused(await admin.delete("/guests/ZVM1/MAINT"), 409, "guest-protected")
    await refused(await admin.post("/guests/ZVM1/MAINT/stop"), 409, "guest-protected")
    assert zhcp.ran == []
    await ok(await door.post("/guests/MAINT/action", json={"action": "deregister_vm"}))
    assert await node.guests.rows() == ()


def test_a_setting_names_further_ones() -> None:
    def plan(userid: str) -> Plan:
        return Plan("guest.stop", "", "ZVM1", (Step("stop", "", "guest.stop", {"userid": userid}),), userid)

    Protected().check(plan("OWNSRV1"))
    protected = Protected(("OWN*",))
    with pytest.raises(Conflict, match="OWNSRV1 is a service machine"):
        protected.check(plan("OWNSRV1"))
    protected.check(plan("LINUX01"))


def test_all_servers_of_smapi_are_among_them() -> None:
    assert set(SERVICE_MACHINES) > SERVERS


def _machine() -> dict[str, object]:
    return {
        "vcpus": 1,
        "memory_mb": 128,
        "max_memory_mb": 128,
        "disks": [],
        "nics": {},
        "state": "on",
        "profile": "",
        "ipl": "CMS",
    }
