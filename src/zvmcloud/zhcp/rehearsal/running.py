"""What SMAPI's other functions would do: power, VSWITCHes, guest LANs, readers, relocation.

Functions that are in no table here are taken to succeed: live devices, for example, follow the entry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zvmcloud.cp.answers import PowerState
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.rehearsal.directory import DONE, Codes, Effect
from zvmcloud.zhcp.rehearsal.world import World

ALREADY_ON, NOT_ON = (200, 8), (200, 12)
SWITCH_EXISTS, NO_SWITCH = (212, 36), (212, 40)
GRANTED, NOT_GRANTED = (212, 44), (212, 8)
LAN_CREATED, NO_LAN = (0, 20), (212, 12)


async def activate(world: World, request: f.ImageActivate) -> Codes:
    """Image_Activate"""
    if await world.entry(request.target) is None:
        return (200, 4)
    if await world.state(request.target) in (PowerState.ON, PowerState.ELSEWHERE):
        return ALREADY_ON
    world.power[request.target] = PowerState.ON
    return DONE


async def deactivate(world: World, request: f.ImageDeactivate) -> Codes:
    """Image_Deactivate"""
    if await world.state(request.target) in (PowerState.OFF, PowerState.UNKNOWN_USER, PowerState.ELSEWHERE):
        return NOT_ON
    world.power[request.target] = PowerState.OFF
    return DONE


async def relocate(world: World, request: f.VMRELOCATE) -> Codes:
    """VMRELOCATE MOVE: z/VM is asked to test it first, so that what stands against it is seen now."""
    if (await world.state(request.target)) is PowerState.ON:
        test = replace(request, action="TEST", immediate=None, max_total=None, max_quiesce=None)
        await world.asking.call(test)
    world.power[request.target] = PowerState.ELSEWHERE
    return DONE


async def switch_there(world: World, name: str) -> bool:
    """Whether there would be a VSWITCH of that name."""
    if name not in world.switches:
        query = f.VirtualNetworkVswitchQueryExtended(target=name, switch_name=name)
        world.switches[name] = (await world.asking.call(query, allow=(NO_SWITCH,))).rc == 0
    return world.switches[name]


async def create_switch(world: World, request: f.VirtualNetworkVswitchCreateExtended) -> Codes:
    """Virtual_Network_Vswitch_Create_Extended"""
    if await switch_there(world, request.switch_name):
        return SWITCH_EXISTS
    world.switches[request.switch_name] = True
    return DONE


async def delete_switch(world: World, request: f.VirtualNetworkVswitchDeleteExtended) -> Codes:
    """Virtual_Network_Vswitch_Delete_Extended"""
    if not await switch_there(world, request.switch_name):
        return NO_SWITCH
    world.switches[request.switch_name] = False
    return DONE


async def set_switch(world: World, request: f.VirtualNetworkVswitchSetExtended) -> Codes:
    """Virtual_Network_Vswitch_Set_Extended: rights are followed, attributes are not."""
    name = request.switch_name
    if not await switch_there(world, name):
        return NO_SWITCH
    if request.grant_userid:
        vlans = tuple((request.user_vlan_id or "").split())
        if not vlans and await granted(world, name, request.grant_userid):
            return GRANTED
        world.grants[name, request.grant_userid] = vlans
    if request.revoke_userid:
        if not await granted(world, name, request.revoke_userid):
            return NOT_GRANTED
        world.grants[name, request.revoke_userid] = None
    return DONE


async def granted(world: World, name: str, userid: str) -> bool:
    """Whether the userid would have a right on the VSWITCH."""
    if (name, userid) in world.grants:
        return world.grants[name, userid] is not None
    query = f.VirtualNetworkVswitchQueryExtended(target=name, switch_name=name)
    answer = await world.asking.call(query, allow=(NO_SWITCH,))
    records = answer.data.vswitch_array if answer.rc == 0 and answer.data is not None else ()
    return any(row.split()[1] == userid for record in records for row in record.authorized_user_array)


async def create_lan(world: World, request: f.VirtualNetworkLANCreate) -> Codes:
    """Virtual_Network_LAN_Create"""
    return DONE if await _lan_there(world, request) else LAN_CREATED


async def delete_lan(world: World, request: f.VirtualNetworkLANDelete) -> Codes:
    """Virtual_Network_LAN_Delete"""
    return DONE if await _lan_there(world, request) else NO_LAN


async def _lan_there(world: World, request: f.VirtualNetworkLANCreate | f.VirtualNetworkLANDelete) -> bool:
    query = f.VirtualNetworkLANQuery(target=request.target, lan_name=request.lan_name, lan_owner=request.lan_owner)
    return (await world.asking.call(query, allow=(NO_LAN, (212, 16)))).rc == 0


async def manage_reader(world: World, request: f.SystemRDRFileManage) -> Codes:
    """System_RDR_File_Manage: a file that is transferred arrives in the agent's reader."""
    if request.action == "TRANSFER":
        world.ours += [world.spooled(request.target, "X", "", "") for _ in request.spoolids.split()]
    return DONE


EFFECTS: dict[type[Any], Effect] = {
    f.ImageActivate: activate,
    f.ImageDeactivate: deactivate,
    f.VMRELOCATE: relocate,
    f.VirtualNetworkVswitchCreateExtended: create_switch,
    f.VirtualNetworkVswitchDeleteExtended: delete_switch,
    f.VirtualNetworkVswitchSetExtended: set_switch,
    f.VirtualNetworkLANCreate: create_lan,
    f.VirtualNetworkLANDelete: delete_lan,
    f.SystemRDRFileManage: manage_reader,
}
