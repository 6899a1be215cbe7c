"""Virtual switches in the system configuration, the attributes that only Set_Extended can say, dedicated disks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.support import codes
from zvmcloud.simulator import Simulator, dasd
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.smapi.registry import HANDLERS
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client

KEY = "PMAINT.0CF0 SYSTEM CONFIG"
ACTIVE, BOTH, CONFIG_ONLY = 1, 2, 3


def configured(sim: Simulator, name: str) -> list[str]:
    """The statements about a switch, continued records put together."""
    text = "\n".join(sim.system.texts[KEY].lines).replace(",\n", "")
    return [" ".join(line.split()) for line in text.splitlines() if f"VSWITCH {name}" in line]


def parm_password(sim: Simulator) -> str:
    entry = sim.system.entry("PMAINT")
    disk = entry.mdisk("0CF0") if entry else None
    assert disk is not None
    return disk.passwords[2]


def create(sim: Simulator, where: int, name: str = "CFGSW") -> f.VirtualNetworkVswitchCreate:
    return f.VirtualNetworkVswitchCreate(
        target="MAINT", switch_name=name, real_device_address="NONE", queue_memory_limit=8, transport_type=2,
        vlan_id=100, port_type=1, update_system_config_indicator=where, parm_disk_password=parm_password(sim),
    )  # fmt: skip


async def test_a_switch_is_created_where_the_indicator_says(sim: Simulator, client: Client) -> None:
    assert await codes(client, create(sim, ACTIVE, "ONLYRUN")) == (0, 0)
    assert configured(sim, "ONLYRUN") == []
    assert await codes(client, create(sim, CONFIG_ONLY, "ONLYCFG")) == (0, 0)
    assert "ONLYCFG" not in sim.system.vswitches
    assert len(configured(sim, "ONLYCFG")) == 1
    assert await codes(client, create(sim, BOTH)) == (0, 0)
    (statement,) = configured(sim, "CFGSW")
    assert statement.startswith("DEFINE VSWITCH CFGSW ETHERNET RDEV NONE")
    assert "VLAN 100 PORTTYPE ACCESS" in statement
    assert await codes(client, create(sim, CONFIG_ONLY)) == (620, 54)
    assert max(len(line) for line in sim.system.texts[KEY].lines) <= 72


async def test_what_the_configuration_refuses_is_not_done_to_the_running_system(sim: Simulator, client: Client) -> None:
    wrong = replace(create(sim, BOTH), parm_disk_password="WRONG")
    assert await codes(client, wrong) == (620, 46)
    assert "CFGSW" not in sim.system.vswitches
    await client.call(create(sim, ACTIVE))
    gone = f.VirtualNetworkVswitchDelete(
        target="MAINT", switch_name="CFGSW", update_system_config_indicator=BOTH, parm_disk_password=parm_password(sim)
    )
    assert await codes(client, gone) == (620, 60)
    assert "CFGSW" in sim.system.vswitches


async def test_a_grant_is_a_modify_statement_and_a_deletion_of_both_is_told(sim: Simulator, client: Client) -> None:
    await client.call(create(sim, BOTH))
    change = f.VirtualNetworkVswitchSet(
        target="MAINT", switch_name="CFGSW", grant_userid="ZHCP", queue_memory_limit=-1,
        update_system_config_indicator=CONFIG_ONLY, parm_disk_password=parm_password(sim),
    )  # fmt: skip
    assert await codes(client, change) == (0, 0)
    assert sim.system.vswitches["CFGSW"].grants == ()
    assert configured(sim, "CFGSW")[1] == "MODIFY VSWITCH CFGSW GRANT ZHCP"
    gone = f.VirtualNetworkVswitchDelete(
        target="MAINT", switch_name="CFGSW", update_system_config_indicator=BOTH, parm_disk_password=parm_password(sim)
    )
    assert await codes(client, gone) == (0, 66)
    assert configured(sim, "CFGSW") == []


async def test_persist_keeps_the_configuration_in_step(sim: Simulator, client: Client) -> None:
    made = f.VirtualNetworkVswitchCreateExtended(target="MAINT", switch_name="CFGSW", persist="YES")
    await client.call(made)
    change = f.VirtualNetworkVswitchSetExtended(target="MAINT", switch_name="CFGSW", grant_userid="ZHCP", persist="YES")
    await client.call(change)
    assert len(configured(sim, "CFGSW")) == 2
    await client.call(f.VirtualNetworkVswitchDeleteExtended(target="MAINT", switch_name="CFGSW", persist="YES"))
    assert configured(sim, "CFGSW") == []


async def portbased(client: Client) -> None:
    await client.call(
        f.VirtualNetworkVswitchCreateExtended(
            target="MAINT", switch_name="PORTSW", vlan_id="1024", port_type="TRUNK", port_selection="PORTBASED"
        )
    )


def changed(**values: str) -> f.VirtualNetworkVswitchSetExtended:
    return f.VirtualNetworkVswitchSetExtended(target="MAINT", switch_name="PORTSW", **values)


async def test_ports_of_a_vlan_are_kept_and_ports_it_lacks_are_3040(sim: Simulator, client: Client) -> None:
    await portbased(client)
    assert await codes(client, changed(portnum="200 ZHCP", osd_sim="YES")) == (0, 0)
    assert await codes(client, changed(vlan_port_add="100 200")) == (0, 0)
    grant = sim.system.vswitches["PORTSW"].grant("ZHCP")
    assert grant is not None
    assert (grant.port, grant.vlans, grant.osd_sim) == (200, ("100",), True)
    assert await codes(client, changed(vlan_port_remove="101 200")) == (396, 3040)
    assert await codes(client, changed(vlan_port_remove="100 200")) == (0, 0)
    assert await codes(client, changed(vlan_port_remove="100 200")) == (396, 3040)
    answer = await client.call(
        f.VirtualNetworkVswitchQueryExtended(target="MAINT", switch_name="PORTSW", vepa_status="YES")
    )
    assert answer.data is not None
    assert answer.data.vswitch_array[0].authorized_user_array[0].strip() == "0200 ZHCP NOPROM OSDSIM 0"


async def test_ports_are_changed_and_removed_by_their_number(sim: Simulator, client: Client) -> None:
    await portbased(client)
    await client.call(changed(portnum="200 ZHCP"))
    assert await codes(client, changed(portnum="200 MAINT")) == (396, 2840)
    assert await codes(client, changed(portnum_modify="200", promiscuous="YES")) == (0, 0)
    grant = sim.system.vswitches["PORTSW"].grant("ZHCP")
    assert grant is not None
    assert (grant.port, grant.promiscuous) == (200, True)
    assert await codes(client, changed(portnum_remove="201")) == (396, 2839)
    assert await codes(client, changed(portnum_remove="200")) == (0, 0)
    assert sim.system.vswitches["PORTSW"].grants == ()


async def test_the_uplink_may_be_an_adapter_of_a_guest(sim: Simulator, client: Client) -> None:
    await portbased(client)
    await client.call(changed(nic_userid="ZHCP", nic_vdev="FF00", nic_portselection="AUTO"))
    query = f.VirtualNetworkVswitchQueryExtended(target="MAINT", switch_name="PORTSW")
    answer = await client.call(query)
    assert answer.data is not None
    assert answer.data.vswitch_array[0].uplink_NIC_array == ("ZHCP FF00 1",)
    await client.call(changed(nic_userid="*"))
    answer = await client.call(query)
    assert answer.data is not None
    assert answer.data.vswitch_array[0].uplink_NIC_array == ()


@pytest.mark.parametrize(
    "values",
    [
        {"trace_size": "4096"}, {"ivl_vlanid": "4095"}, {"ivl_heartbeat": "9"}, {"interval": "9991"},
        {"portnum": "2049 ZHCP"}, {"portnum": "0 ZHCP"}, {"vlan_port_add": "100"},
        {"nic_userid": "ZHCP", "nic_vdev": ""},
    ],
)  # fmt: skip
async def test_a_value_beyond_its_limit_changes_nothing(sim: Simulator, client: Client, values: dict[str, str]) -> None:
    await portbased(client)
    before = sim.system.vswitches["PORTSW"]
    assert await codes(client, changed(**values, queue_memory_limit="4")) == (8, 3003)
    assert sim.system.vswitches["PORTSW"] == before


async def test_a_free_disk_can_be_given_read_only_and_one_in_use_cannot(sim: Simulator, client: Client) -> None:
    await client.call(f.ImageActivate(target="ZHCP"))
    free = next(disk for disk in dasd.every(sim.system) if disk.status == "FREE")
    used = next(disk for disk in dasd.every(sim.system) if disk.status == "SYSTEM")

    def give(rdev: str, vdev: str) -> f.ImageDeviceDedicate:
        return f.ImageDeviceDedicate(target="ZHCP", image_device_number=vdev, real_device_number=rdev, readonly=1)

    assert await codes(client, give(free.rdev, "0F00")) == (0, 0)
    reply = execute(sim.system, "ZHCP", "QUERY VIRTUAL 0F00")
    assert " R/O " in reply.lines[0]
    assert await codes(client, give(free.rdev, "0F01")) == (204, 16)
    assert await codes(client, give(used.rdev, "0F01")) == (204, 16)
    assert await codes(client, give("FFFE", "0F01")) == (204, 8)


def test_no_function_of_virtual_switches_leaves_anything_out() -> None:
    assert [name for name, item in HANDLERS.items() if "VSWITCH" in name and item.missing] == []
