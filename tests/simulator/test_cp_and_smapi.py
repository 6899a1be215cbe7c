"""CP and SMAPI work on one model: what one changes, the other shows. Over sockets."""

from __future__ import annotations

from simulator.support import Agent, linux
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.cp import execute
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client


async def test_a_grant_of_cp_shows_in_the_vswitch_query(client: Client, agent: Agent) -> None:
    await client.call(f.VirtualNetworkVswitchCreateExtended(switch_name="VSW1", transport_type="ETHERNET"))
    assert await agent.cp("SET VSWITCH VSW1 GRANT LINUX01") == (0, ["Command accepted"])
    text = repr(await client.call(f.VirtualNetworkVswitchQueryExtended(switch_name="VSW1")))
    assert "LINUX01" in text
    assert await agent.cp("SET VSWITCH VSW1 REVOKE LINUX01") == (0, ["Command accepted"])
    assert "LINUX01" not in repr(await client.call(f.VirtualNetworkVswitchQueryExtended(switch_name="VSW1")))


async def test_a_vswitch_of_cp_is_one_of_smapi(client: Client, agent: Agent) -> None:
    rc, lines = await agent.cp("DEFINE VSWITCH VSW9 RDEV 1F00 ETHERNET VLAN 10 NATIVE 20")
    assert (rc, lines) == (0, ["VSWITCH SYSTEM VSW9 is created"])
    text = repr(await client.call(f.VirtualNetworkVswitchQuery(target="SYSTEM", switch_name="VSW9")))
    assert "VSW9" in text
    assert f"real_device_address={0x1F00}" in text
    await client.call(
        f.VirtualNetworkVswitchDelete(target="SYSTEM", switch_name="VSW9", update_system_config_indicator=1)
    )
    assert (await agent.cp("QUERY VSWITCH VSW9"))[0] == 2788


async def test_what_cp_attaches_and_defines_is_in_the_active_configuration(
    client: Client, agent: Agent, sim: Simulator
) -> None:
    await client.call(f.ImageCreateDM(target="LINUX01", image_record_array=linux("LINUX01")))
    await client.call(f.ImageActivate(target="LINUX01"))
    assert (await agent.cp("ATTACH 7000 TO LINUX01 AS 300"))[0] == 0
    assert (await agent.cp("ATTACH 1A00 TO LINUX01 AS 400"))[0] == 0
    assert execute(sim.system, "LINUX01", "DEFINE CPU 01").rc == 0
    reply = (await client.call(f.ImageActiveConfigurationQuery(target="LINUX01"))).reply
    assert isinstance(reply, f.ImageActiveConfigurationQueryReply)
    assert (5, "0300") in [(device.device_type, device.device_address) for device in reply.device_info_array]
    assert [cpu.CPU_number for cpu in reply.CPU_info_array] == [0, 1]
    owners = repr((await client.call(f.SystemWWPNQuery(owner="YES"))).reply)
    assert "LINUX01" in owners
    assert (await agent.cp("FORCE LINUX01"))[0] == 1
    assert execute(sim.system, "MAINT" if "MAINT" in sim.system.machines else "OPERATOR", "FORCE LINUX01").rc == 0
    assert (await agent.cp("QUERY USER LINUX01"))[0] == 45
    assert (await agent.cp("QUERY FCP 1A00"))[1] == ["FCP  1A00 FREE    ", "     WWPN C05076DDF7001A00"]
