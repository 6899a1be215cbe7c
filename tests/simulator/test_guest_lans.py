"""Guest LANs and HiperSockets, uplink failover, and the counters of switches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.support import codes
from zvmcloud.simulator import Simulator, guests, network, traffic, uplinks
from zvmcloud.simulator.model import Address, Grant, GuestSystem, Nic, Vswitch
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client


def lan(kind: int = 4, name: str = "LAN1", owner: str = "SYSTEM", transport: int = 1) -> f.VirtualNetworkLANCreate:
    return f.VirtualNetworkLANCreate(
        target="MAINT", lan_name=name, lan_owner=owner, lan_type=kind, transport_type=transport
    )


def access(operation: str, userid: str = "ZHCP", name: str = "LAN1") -> f.VirtualNetworkLANAccess:
    return f.VirtualNetworkLANAccess(
        target="MAINT",
        lan_name=name,
        lan_owner="SYSTEM",
        access_op=operation,
        access_user=userid,
        promiscuity="NONPROMISCUOUS",
    )


def connect(name: str = "LAN1", owner: str = "SYSTEM") -> f.VirtualNetworkAdapterConnectLAN:
    return f.VirtualNetworkAdapterConnectLAN(target="ZHCP", image_device_number="1000", lan_name=name, lan_owner=owner)


@pytest.fixture
def zhcp(sim: Simulator) -> Simulator:
    with sim.system.transaction():
        guests.log_on(sim.system, "ZHCP")
        network.define_nic(sim.system, "ZHCP", Nic("1000", network.new_mac(sim.system)))
        network.define_nic(sim.system, "ZHCP", Nic("2000", network.new_mac(sim.system), "HIPERS"))
    return sim


async def test_a_restricted_lan_lets_in_whom_it_lists(zhcp: Simulator, client: Client) -> None:
    assert await codes(client, lan()) == (0, 20)
    assert await codes(client, lan()) == (0, 0)
    assert await codes(client, lan(2)) == (212, 24)
    query = f.VirtualNetworkLANAccessQuery(target="MAINT", lan_name="LAN1", lan_owner="SYSTEM")
    assert await codes(client, query) == (4, 6)
    assert await codes(client, connect()) == (212, 8)
    assert await codes(client, access("GRANT")) == (0, 0)
    assert (await client.call(query)).reply.authorized_users_array == ("ZHCP     NONPROMISCUOUS",)
    assert await codes(client, connect()) == (0, 0)
    shown = await client.call(f.VirtualNetworkLANQuery(target="MAINT", lan_name="LAN1", lan_owner="*"))
    (found,) = shown.reply.lan_info_array
    assert (found.lan_name, found.lan_owner, found.lan_type) == ("LAN1    ", "SYSTEM  ", 2)
    assert [(item.adapter_owner, item.image_device_number) for item in found.connected_adapter_array] == [
        ("ZHCP    ", "1000")
    ]
    assert await codes(client, access("REVOKE")) == (0, 0)
    assert not network.nic(zhcp.system, "ZHCP", "1000").lan_name


async def test_hipersockets_and_qdio_do_not_mix(zhcp: Simulator, client: Client) -> None:
    assert await codes(client, lan(1, "HIPER1")) == (0, 20)
    assert await codes(client, lan(1, "HIPER2", transport=2)) == (24, 823)
    assert await codes(client, connect("HIPER1")) == (212, 28)
    right = f.VirtualNetworkAdapterConnectLAN(
        target="ZHCP", image_device_number="2000", lan_name="HIPER1", lan_owner="SYSTEM"
    )
    assert await codes(client, right) == (0, 0)
    query = f.VirtualNetworkLANAccessQuery(target="MAINT", lan_name="HIPER1", lan_owner="SYSTEM")
    assert await codes(client, query) == (4, 5)


async def test_a_lan_of_a_userid_needs_its_owner(zhcp: Simulator, client: Client) -> None:
    assert await codes(client, lan(2, "PRIVATE", "NOBODY")) == (212, 20)
    assert await codes(client, lan(4, "PRIVATE", "ZHCP")) == (0, 20)
    assert await codes(client, connect("PRIVATE", "ZHCP")) == (0, 0)
    other = f.VirtualNetworkLANQuery(target="MAINT", lan_name="PRIVATE", lan_owner="SYSTEM")
    assert await codes(client, other) == (212, 16)
    delete = f.VirtualNetworkLANDelete(target="MAINT", lan_name="PRIVATE", lan_owner="ZHCP")
    assert await codes(client, delete) == (0, 0)
    assert not network.nic(zhcp.system, "ZHCP", "1000").lan_name
    assert await codes(client, delete) == (212, 12)


async def test_a_vswitch_is_a_lan_of_system(zhcp: Simulator, client: Client) -> None:
    with zhcp.system.transaction():
        zhcp.system.vswitches.put("VSW1", Vswitch("VSW1", network.new_mac(zhcp.system), "IP"))
    assert await codes(client, lan(4, "VSW1")) == (0, 0)
    assert await codes(client, lan(4, "VSW1", transport=2)) == (212, 24)
    assert await codes(client, access("GRANT", name="VSW1")) == (0, 0)
    assert zhcp.system.vswitches["VSW1"].grant("ZHCP") is not None
    assert await codes(client, access("GRANT", name="NOSUCH")) == (8, 2783)


async def test_legacy_lists_say_the_same_as_the_documented_ones(zhcp: Simulator, client: Client) -> None:
    await client.call(lan())
    items = (await client.call(f.VirtualNetworkQueryLAN())).reply.lan_list
    assert "SYSTEM LAN1 QDIO 0 RESTRICTED" in items
    legacy = (await client.call(f.VirtualNetworkQueryOSA())).reply.osa_list
    assert legacy == (await client.call(f.VirtualNetworkOSAQuery(target="MAINT"))).reply.osa_info_array


def busy_switch(system: System, *, vlan: str = "", user_based: bool = True) -> None:
    """VSW1 with two uplinks, and ZHCP's adapter on it with a running network."""
    with system.transaction():
        switch = Vswitch(
            "VSW1",
            network.new_mac(system),
            vlan=vlan,
            rdevs=("1F00", "1000"),
            grants=(Grant("ZHCP", ("100",) if vlan else (), port=7),),
            user_based=user_based,
            counters=bool(vlan),
        )
        system.vswitches.put("VSW1", switch)
        network.couple(system, "ZHCP", "1000", "VSW1")
        nic = network.nic(system, "ZHCP", "1000")
        machine = system.machines["ZHCP"]
        running = GuestSystem("up", "0100", addresses=(Address("1000", nic.mac, "192.0.2.5"),), since=system.now())
        system.machines.put("ZHCP", replace(machine, system=running))


async def test_the_next_device_takes_over_and_each_keeps_its_count(zhcp: Simulator, client: Client) -> None:
    system = zhcp.system
    busy_switch(system)

    async def counted() -> dict[str, int]:
        answer = await client.call(f.VirtualNetworkVswitchQueryByteStats(target="MAINT", switch_name="VSW1"))
        (switch,) = answer.reply.vswitch_array
        return {item.uplink_conn: int(item.uplink_fr_rx) for item in switch.uplink_array}

    with system.transaction():
        traffic.set_load(system, system.machines["ZHCP"], frame_rate=2_000_000)
    first = await counted()
    assert first["1F00"] >= 12
    assert first["1000"] == 0
    with system.transaction():
        uplinks.set_osa(system, "1F00", online=False)
    kept = (await counted())["1F00"]
    assert kept >= first["1F00"]
    later = await counted()
    assert later["1F00"] == kept
    assert later["1000"] > 0
    switches = await client.call(f.VirtualNetworkVswitchQuery(target="MAINT", switch_name="VSW1"))
    assert [item.device_status for item in switches.reply.vswitch_array[0].real_device_array] == [0, 1]
    with system.transaction():
        uplinks.set_chpid(system, "10", online=False)
    assert network.status(system, system.vswitches["VSW1"]) == 5
    with system.transaction():
        uplinks.set_osa(system, "1F00", online=True)
    back = await counted()
    assert back["1F00"] >= kept
    assert back["1000"] >= later["1000"]


async def test_frames_are_counted_by_vlan(zhcp: Simulator, client: Client) -> None:
    busy_switch(zhcp.system, vlan="10", user_based=False)
    answer = await client.call(f.VirtualNetworkVLANQueryStats(target="MAINT", userid="ZHCP", device="BOTH"))
    assert [item.port_nic for item in answer.reply.port_nic_array] == ["PORT VSW1 7", "NIC 1000 0"]
    assert answer.reply.port_nic_array[0].pseg_array[0].split()[0] == "0100"
    wrong = f.VirtualNetworkVLANQueryStats(target="MAINT", userid="ZHCP", VLAN_id="200")
    assert await codes(client, wrong) == (212, 48)
    segments = await client.call(f.VirtualNetworkVswitchQueryStats(target="MAINT", switch_name="VSW1"))
    (segment,) = segments.reply.vswitch_array[0].segment_array
    words = segment.split()
    assert words[0] == "0100"
    assert int(words[1]) >= 12
    assert words[-3:] == ["OSD", "1F00", "1"]
    bytes_answer = await client.call(f.VirtualNetworkVswitchQueryIUOStats(target="MAINT", switch_name="*"))
    assert [item.vlan_id for item in bytes_answer.reply.vswitch_array[0].vlan_array] == ["100"]
    assert await codes(client, f.VirtualNetworkVswitchQueryStats(target="MAINT", switch_name="NOSUCH")) == (212, 40)
    bad = f.VirtualNetworkVswitchQueryStats(target="MAINT", switch_name="VSW1", fmt_version="9")
    assert await codes(client, bad) == (8, 8)
