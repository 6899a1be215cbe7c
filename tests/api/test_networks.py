"""What a network agent compares: adapters as they were recorded, virtual switches as z/VM has them now."""

from __future__ import annotations

import httpx
import pytest

from api.native import As, ok, refused, token_of
from api.test_inventory import done
from manager.over_simulator import Managed
from zvmcloud.manager.node import Node

GUEST = "/guests/ZVM1/LINUX01"
SWITCHES = "/systems/zvm1/vswitches"


@pytest.fixture
def node(zvm: Managed) -> Node:
    return zvm.node


async def test_an_adapter_is_listed_as_recorded_and_its_right_as_z_vm_has_it(admin: httpx.AsyncClient) -> None:
    await done(admin, await admin.post(SWITCHES, json={"name": "vsw9", "rdev": ["1000", "1F00"], "vid": "AWARE"}))
    await done(admin, await admin.post("/systems/zvm1/guests", json={"userid": "linux01", "disks": []}))
    wish = {"network": "VSW9", "vdev": "1000", "vlans": ["100"], "nic_id": "port-1", "mac": "02:00:00:12:34:56"}
    await done(admin, await admin.post(f"{GUEST}/nics", json=wish))
    await done(admin, await admin.post(f"{GUEST}/nics", json={"network": "VSW9", "vdev": "2000", "vlans": ["100"]}))

    named = (await ok(await admin.get("/systems/zvm1/nics?named=true")))["items"]
    assert named == [
        {
            "userid": "LINUX01", "vdev": "1000", "nic_id": "port-1", "mac": "02:00:00:12:34:56",
            "vswitch": "VSW9", "vlan": 100,
        }
    ]  # fmt: skip
    assert (await ok(await admin.get("/systems/zvm1/nics?nic_id=port-1")))["items"] == named
    assert len((await ok(await admin.get("/systems/zvm1/nics?userid=linux01")))["items"]) == 2
    assert (await ok(await admin.get("/systems/zvm1/nics?userid=other")))["items"] == []
    first = await ok(await admin.get("/systems/zvm1/nics?limit=1"))
    assert [item["vdev"] for item in first["items"]] == ["1000"]
    rest = await ok(await admin.get("/systems/zvm1/nics", params={"limit": 1, "cursor": first["next"]}))
    assert [item["vdev"] for item in rest["items"]] == ["2000"]

    switch = await ok(await admin.get(f"{SWITCHES}/vsw9"))
    assert switch["vlan_aware"] is True
    assert switch["devices"] == ["1000", "1F00"]
    assert {"userid": "LINUX01", "vlans": [100]} in switch["rights"]
    assert switch["coupled"] == [], "the guest is off"
    assert switch in await ok(await admin.get(SWITCHES))
    await done(admin, await admin.post(f"{GUEST}/start", json={}))
    assert {"userid": "LINUX01", "vdev": "1000"} in (await ok(await admin.get(f"{SWITCHES}/VSW9")))["coupled"]


async def test_who_asks_for_what_is_not_there_is_told(admin: httpx.AsyncClient, client: As) -> None:
    await refused(await admin.get(f"{SWITCHES}/NONE"), 404, "vswitch-unknown")
    await refused(await admin.get("/systems/zvm9/nics"), 404, "system-unknown")
    await refused(await admin.get("/systems/zvm9/vswitches"), 404, "system-unknown")
    member = client(await token_of(admin, "mia", "member"))
    await refused(await member.get("/systems/zvm1/nics"), 403, "role")
