"""What was not left so is repaired: adapters, couplings, grants, and whether a guest is on; and a repair is undone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from api.native import ok, refused
from api.test_inventory import GUEST, create, done, drift, look
from manager.over_simulator import Managed
from zvmcloud.directory import Entry
from zvmcloud.manager.node import Node
from zvmcloud.simulator import guests


@pytest.fixture
def node(zvm: Managed) -> Node:
    return zvm.node


async def undone(client: httpx.AsyncClient, job: dict[str, Any]) -> None:
    """A job that is done is taken back."""
    answer = await client.post(f"/jobs/{job['id']}/undo")
    assert answer.status_code == 202, answer.text
    for _ in range(3000):
        found = await ok(await client.get(f"/jobs/{job['id']}"))
        if found["state"] in {"undone", "failed"}:
            break
        await asyncio.sleep(0.01)
    assert found["state"] == "undone", found


async def test_adapters_and_grants_are_repaired(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await look(admin)
    await create(admin, zvm.node)
    networks, system = zvm.node.networks, zvm.simulator.system
    await networks.create_vswitch("ZVM1", "VSW1", {"rdev": ["0500"]})
    await networks.create_nic("ZVM1", "LINUX01", number="1000")
    await networks.couple("ZVM1", "LINUX01", "1000", "VSW1")
    await networks.grant("ZVM1", "VSW1", "LINUX01")
    await zvm.node.reconciler.follow_jobs()
    await look(admin)
    assert await drift(admin) == set()
    await refused(await admin.post(f"{GUEST}/repair"), 409, "nothing-to-repair")
    record = system.entries["LINUX01"]
    rest = [line for line in record.entry.render() if not line.startswith("NICDEF")]
    with system.transaction():
        system.entries.put("LINUX01", replace(record, entry=Entry.parse(rest)))
        system.vswitches.put("VSW1", replace(system.vswitches["VSW1"], grants=()))
    await look(admin)
    assert await drift(admin) == {
        ("LINUX01", "entry-changed", ""),
        ("LINUX01", "nic-missing", "1000"),
        ("LINUX01", "grant-missing", "VSW1"),
    }
    plan = await ok(await admin.post(f"{GUEST}/repair", params={"dry_run": True}))
    assert [step["kind"] for step in plan["steps"]] == ["vswitch.grant", "nic.create", "nic.couple"]
    job = await done(admin, await admin.post(f"/plans/{plan['id']}/apply"))
    await zvm.node.reconciler.follow_jobs()
    await look(admin)
    assert await drift(admin) == set()
    assert [nic.lan_name for nic in system.entries["LINUX01"].entry.nicdefs] == ["VSW1"]
    await undone(admin, job)
    assert system.entries["LINUX01"].entry.render() == tuple(rest)
    assert system.vswitches["VSW1"].grants == ()


@pytest.mark.parametrize("there", ["LAN SYSTEM VSW2", "LAN SYSTEM VSW2 VLAN 7", ""], ids=["other", "vlan", "nothing"])
async def test_an_adapter_that_was_coupled_to_another_is_so_again_when_its_repair_is_undone(
    zvm: Managed, admin: httpx.AsyncClient, there: str
) -> None:
    await look(admin)
    await create(admin, zvm.node)
    networks, system = zvm.node.networks, zvm.simulator.system
    for switch in ("VSW1", "VSW2"):
        await networks.create_vswitch("ZVM1", switch, {"rdev": ["NONE"], "vid": "AWARE"})
    await networks.create_nic("ZVM1", "LINUX01", number="1000")
    await networks.couple("ZVM1", "LINUX01", "1000", "VSW1")
    await networks.grant("ZVM1", "VSW1", "LINUX01")
    await zvm.node.reconciler.follow_jobs()
    record = system.entries["LINUX01"]
    lines = [line.partition(" LAN ")[0].rstrip() + f" {there}" if "NICDEF" in line else line
             for line in record.entry.render()]  # fmt: skip
    entry = Entry.parse(lines)
    with system.transaction():
        system.entries.put("LINUX01", replace(record, entry=entry))
    await look(admin)
    assert ("LINUX01", "nic-uncoupled", "1000") in await drift(admin)
    job = await done(admin, await admin.post(f"{GUEST}/repair"))
    assert [nic.lan_name for nic in system.entries["LINUX01"].entry.nicdefs] == ["VSW1"]
    await undone(admin, job)
    (found,), (wanted,) = system.entries["LINUX01"].entry.nicdefs, entry.nicdefs
    assert (found.lan_name, found.vlan) == (wanted.lan_name, wanted.vlan)


async def test_the_vlan_of_a_grant_is_repaired(zvm: Managed, admin: httpx.AsyncClient) -> None:
    await look(admin)
    await create(admin, zvm.node)
    networks, system = zvm.node.networks, zvm.simulator.system
    await networks.create_vswitch("ZVM1", "VSW1", {"rdev": ["0500"], "vid": "1"})
    await networks.create_nic("ZVM1", "LINUX01", number="1000")
    await networks.couple("ZVM1", "LINUX01", "1000", "VSW1")
    await networks.set_vlan("ZVM1", "VSW1", "LINUX01", 10)
    await zvm.node.reconciler.follow_jobs()
    await look(admin)
    assert await drift(admin) == set()

    def vlans(*numbers: str) -> None:
        switch = system.vswitches["VSW1"]
        grants = tuple(replace(grant, vlans=numbers) for grant in switch.grants)
        with system.transaction():
            system.vswitches.put("VSW1", replace(switch, grants=grants))

    vlans("20")
    await look(admin)
    assert await drift(admin) == {("LINUX01", "grant-vlan", "VSW1")}
    plan = await ok(await admin.post(f"{GUEST}/repair", params={"dry_run": True}))
    assert [step["kind"] for step in plan["steps"]] == ["vswitch.set_vlan"]
    job = await done(admin, await admin.post(f"/plans/{plan['id']}/apply"))
    await look(admin)
    assert await drift(admin) == set()
    assert "10" in system.vswitches["VSW1"].grants[0].vlans
    for numbers in (("20",), ("20", "30")):
        vlans(*numbers)
        await look(admin)
        job = await done(admin, await admin.post(f"{GUEST}/repair"))
        assert [grant.vlans for grant in system.vswitches["VSW1"].grants] == [("10",)]
        await undone(admin, job)
        assert [grant.vlans for grant in system.vswitches["VSW1"].grants] == [numbers]
    with system.transaction():
        system.vswitches.put("VSW1", replace(system.vswitches["VSW1"], grants=()))
    await done(admin, await admin.post(f"{GUEST}/repair"))
    await look(admin)
    assert await drift(admin) == set()
    assert [grant.vlans for grant in system.vswitches["VSW1"].grants] == [("10",)], "with its VLAN, not without"


async def test_a_guest_is_started_or_shut_down_as_it_was_left(zvm: Managed, admin: httpx.AsyncClient) -> None:
    system = zvm.simulator.system
    await look(admin)
    await create(admin, zvm.node)
    await done(admin, await admin.post(f"{GUEST}/start"))
    await look(admin)
    assert await drift(admin) == set(), "the system is looked at before the guest of the job is"
    await zvm.node.reconciler.follow_jobs()
    with system.transaction():
        guests.log_off(system, "LINUX01")
    await refused(await admin.post(f"{GUEST}/repair", json={"kinds": ["grant-missing"]}), 409, "nothing-to-repair")
    await refused(await admin.post(f"{GUEST}/repair", json={"kinds": ["entry-changed"]}), 400, "bad-input")
    await done(admin, await admin.post(f"{GUEST}/repair", json={"kinds": ["state"]}))
    await zvm.node.reconciler.follow_jobs()
    assert system.active("LINUX01")
    assert await drift(admin) == set()
