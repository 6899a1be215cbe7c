"""Virtual switches in the system configuration, the attributes that only Set_Extended can say, dedicated disks."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.cluster_support import configure
from simulator.support import codes
from zvmcloud.simulator import Simulator, dasd, shutdown, switch_config, system_config
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.installation import open_cluster
from zvmcloud.simulator.model import Grant, Vswitch
from zvmcloud.simulator.model_file import load_model
from zvmcloud.simulator.presets import Model
from zvmcloud.simulator.smapi.registry import HANDLERS
from zvmcloud.simulator.system import System
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


# -- an IPL -----------------------------------------------------------------------------------------------------------


async def shut_down_and_ipl(sim: Simulator) -> None:
    before = sim.system.facts.ipl_at
    with sim.system.transaction():
        shutdown.plan(sim.system, 0, reipl=True, immediate=True)
    async with asyncio.timeout(30):
        while sim.system.facts.ipl_at == before:  # noqa: ASYNC110 (the model tells nobody)
            await asyncio.sleep(0.02)


def cp(sim: Simulator, command: str) -> None:
    assert execute(sim.system, "VSMWORK1", command).rc == 0, command


async def test_an_ipl_takes_away_what_only_the_running_system_was_told(sim: Simulator, client: Client) -> None:
    await client.call(create(sim, BOTH))
    await client.call(
        f.VirtualNetworkVswitchSetExtended(target="MAINT", switch_name="CFGSW", grant_userid="ZHCP", persist="YES")
    )
    kept = sim.system.vswitches["CFGSW"]
    await client.call(create(sim, CONFIG_ONLY, "ONLYCFG"))
    await client.call(create(sim, ACTIVE, "ONLYRUN"))
    cp(sim, "DEFINE VSWITCH COMMAND RDEV 1000")
    cp(sim, "DEFINE LAN TEAM OWNERID SYSTEM TYPE QDIO")
    cp(sim, "SET VSWITCH CFGSW GRANT TCPIP VLAN 7")
    cp(sim, "SET VSWITCH CFGSW ISOLATION ON")
    assert sim.system.osas["1000"].owner
    await shut_down_and_ipl(sim)
    assert sorted(sim.system.vswitches) == ["CFGSW", "ONLYCFG"]
    assert len(sim.system.guest_lans) == 0
    assert sim.system.osas["1000"].owner == "", "the uplink of a switch that is gone is free"
    after = sim.system.vswitches["CFGSW"]
    assert after == replace(kept, persistent=True)
    assert [grant.userid for grant in after.grants] == ["ZHCP"]


SWITCH = Vswitch(
    "FULLSW", "", "ETHERNET", "TRUNK", 12, "", "AWARE", 99, True, "DTCVSW2", False, ("1000", "1F00"), ("A", "B"),
    (Grant("ZHCP", ("7", "9"), "TRUNK", True), Grant("TCPIP")), True, 9, isolation=True, mac_protect="OFF", vepa=True,
    group="FULLSW", path_mtu="1492", priority_queuing=True,
)  # fmt: skip


@pytest.mark.parametrize(
    "switch",
    [
        SWITCH,
        replace(SWITCH, path_mtu="OFF", mac_protect="ON", user_based=False, grants=(Grant("ZHCP", ("7",), port=200),)),
        Vswitch("PLAINSW", "", "IP", routing="PRIROUTER", persistent=True),
        Vswitch("IVLSW", "", port_type="ACCESS", vlan="7", switch_type="IVL", ivl_domain="C", persistent=True),
    ],
)
def test_an_ipl_reads_back_every_attribute_that_the_configuration_was_given(system: System, switch: Vswitch) -> None:
    with system.transaction():
        system.vswitches.put(switch.name, switch)
        file = system_config.default(system)
        assert file is not None
        switch_config.rewrite(system, file, switch.name, switch)
        system.vswitches.put(switch.name, replace(switch, queue_memory=1, isolation=False, grants=()))
        shutdown.ipl(system)
    assert system.vswitches[switch.name] == switch
    assert not system_config.problems(file)


def test_the_members_of_a_cluster_have_switches_of_the_same_name_from_one_file(tmp_path: Path) -> None:
    cluster = open_cluster(tmp_path, Model(ssi="SSI", members=("VM1", "VM2")), clock=ManualClock())
    with contextlib.closing(cluster):
        one, two = cluster.systems.values()
        for system, rdev in ((one, "1000"), (two, "1F00")):
            with system.transaction():
                configure(system, Vswitch("VSW1", "", rdevs=(rdev,), grants=(Grant("TCPIP"),)))
        for name in ("VM1", "VM2"):
            cluster.take_down(name)
            cluster.bring_up(name)
        assert one.vswitches["VSW1"].rdevs == ("1000",)
        assert two.vswitches["VSW1"].rdevs == ("1F00",)


def test_networks_of_a_model_are_there_after_an_ipl(tmp_path: Path) -> None:
    model = tmp_path / "model.toml"
    model.write_text(
        '[[vswitch]]\nname = "OFFICE"\nrdevs = ["1000"]\n[[lan]]\nowner = "SYSTEM"\nname = "TEAM"\nrestricted = true\n'
        'grants = [{ userid = "ZHCP" }]\n'
    )
    system = open_system(tmp_path / "state", load_model(model, Model()), clock=ManualClock())
    with contextlib.closing(system):
        before = dict(system.vswitches.items()), dict(system.guest_lans.items())
        with system.transaction():
            shutdown.ipl(system)
        switches, lans = before
        assert switches.keys() == {"OFFICE"}
        assert replace(switches["OFFICE"], persistent=True) == system.vswitches["OFFICE"]
        assert lans == dict(system.guest_lans.items())


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
