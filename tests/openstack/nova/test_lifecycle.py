"""Servers from spawn to destroy: what nova asks for, and what z/VM has then."""

from __future__ import annotations

from nova.compute import power_state

from nova_world import Compute, vif


def test_a_server_is_a_guest_with_its_disk_adapter_and_address(compute: Compute) -> None:
    port = vif(1)
    server = compute.instance(hostname="web01")
    compute.spawn(server, [port], password="s3cret")
    userid = compute.userid(server)
    assert compute.api.waited == [("network-vif-plugged", port["id"])]
    assert compute.stack.is_on(userid)
    entry = compute.stack.entry(userid)
    assert [line for line in entry if line.startswith("MDISK 0100 3390")]
    assert [line for line in entry if line.startswith("NICDEF 1000 TYPE QDIO DEVICES 3")]
    assert not any("NOVASW" in line for line in entry), "coupling is the agent's"
    assert compute.driver.get_info(server).state == power_state.RUNNING
    assert compute.driver.list_instance_uuids() == [server.uuid]
    compute.driver.destroy(compute.context, server, [port])
    assert not compute.stack.exists(userid)
    assert compute.driver.list_instance_uuids() == []
