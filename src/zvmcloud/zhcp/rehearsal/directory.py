"""What SMAPI's directory functions make of an entry; of each function, what the agent's operations use of it.

An effect answers (rc, rs) as z/VM does (smapi/codes.py), and changes the world's entry when that is 0.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from zvmcloud.cp.answers import PowerState
from zvmcloud.directory import statements
from zvmcloud.directory.devices import Nicdef
from zvmcloud.directory.entry import Entry
from zvmcloud.directory.statements import Statement
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.rehearsal.world import World

Codes = tuple[int, int]
Effect = Callable[[World, Any], Awaitable[Codes]]
DONE = (0, 0)
NO_ENTRY, ENTRY_EXISTS, NO_PROFILE, NO_PROTOTYPE = (400, 4), (400, 8), (436, 4), (400, 20)
NO_DISK, DISK_EXISTS, POOL_FULL = (408, 8), (408, 4), (408, 24)
DEVICE_EXISTS, NO_DEVICE = (404, 4), (404, 8)
NOT_COUPLED = (212, 32)


async def create(world: World, request: f.ImageCreateDM) -> Codes:
    """Image_Create_DM: from records or a prototype, which takes the name and the password of the call."""
    userid = request.target.upper()
    if await world.entry(userid) is not None:
        return ENTRY_EXISTS
    records = tuple(request.image_record_array or ())
    if request.prototype_name:
        query = f.PrototypeQueryDM(target=request.prototype_name)
        answer = await world.asking.call(query, allow=(NO_PROTOTYPE, NO_ENTRY, (416, 4)))
        if answer.rc:
            return NO_PROTOTYPE
        records = tuple(record.rstrip() for record in answer.reply.prototype_record_array if record.strip())
    entry = Entry.parse(records).renamed(userid)
    if request.initial_password:
        entry = entry.with_operand(2, request.initial_password)
    if request.initial_account_number:
        entry = entry.with_only("ACCOUNT", statements.make("ACCOUNT", request.initial_account_number))
    for profile in entry.includes:
        if (await world.asking.call(f.ProfileQueryDM(target=profile), allow=(NO_ENTRY, NO_PROFILE))).rc:
            return NO_PROFILE
    await world.put(userid, entry)
    world.power[userid] = PowerState.OFF
    return DONE


async def delete(world: World, request: f.ImageDeleteDM) -> Codes:
    """Image_Delete_DM"""
    if await world.entry(request.target) is None:
        return NO_ENTRY
    await world.put(request.target, None)
    world.power[request.target] = PowerState.UNKNOWN_USER
    return DONE


async def replace_all(world: World, request: f.ImageReplaceDM) -> Codes:
    """Image_Replace_DM"""
    if await world.entry(request.target) is None:
        return NO_ENTRY
    await world.put(request.target, Entry.parse(tuple(request.image_record_array or ())))
    return DONE


async def lock(world: World, request: f.ImageLockDM | f.ImageUnlockDM) -> Codes:
    """Image_Lock_DM and Image_Unlock_DM"""
    return NO_ENTRY if await world.entry(request.target) is None else DONE


async def add_disk(world: World, request: f.ImageDiskCreateDM) -> Codes:
    """Image_Disk_Create_DM; where the disk will lie only the directory manager knows."""
    entry = await world.entry(request.target)
    if entry is None:
        return NO_ENTRY
    vdev, size = request.image_disk_number.upper(), request.image_disk_size
    if vdev in entry.device_addresses:
        return DISK_EXISTS
    words: list[object] = ["MDISK", vdev, request.image_disk_device_type]
    if request.image_disk_allocation_type == "V-DISK":
        words += ["V-DISK", size, request.image_disk_mode]
    else:
        where = request.allocation_area_name_or_volser
        if request.image_disk_allocation_type == "AUTOG":
            pool = await world.room(where)
            if pool is None or not pool.room(size):
                return POOL_FULL
            pool.take(size)
        words += [request.image_disk_allocation_type, size, where, request.image_disk_mode]
    await world.put(request.target, entry.add(statements.make(*words)))
    return DONE


async def remove_disk(world: World, request: f.ImageDiskDeleteDM) -> Codes:
    """Image_Disk_Delete_DM"""
    entry = await world.entry(request.target)
    if entry is None:
        return NO_ENTRY
    if entry.mdisk(request.image_disk_number) is None:
        return NO_DISK
    await world.put(request.target, entry.without_device(request.image_disk_number))
    return DONE


async def dedicate(world: World, request: f.ImageDeviceDedicateDM) -> Codes:
    """Image_Device_Dedicate_DM"""
    entry = await world.entry(request.target)
    if entry is None:
        return NO_ENTRY
    vdev = request.image_device_number.upper().zfill(4)
    if vdev in entry.device_addresses:
        return DEVICE_EXISTS
    new = statements.make("DEDICATE", vdev, request.real_device_number.upper().zfill(4))
    await world.put(request.target, entry.add(new))
    return DONE


async def undedicate(
    world: World, request: f.ImageDeviceUndedicateDM | f.VirtualNetworkAdapterDeleteDM
) -> Codes:  # fmt: skip
    """Image_Device_Undedicate_DM and Virtual_Network_Adapter_Delete_DM"""
    entry = await world.entry(request.target)
    if entry is None:
        return NO_ENTRY
    vdev = request.image_device_number.upper().zfill(4)
    if vdev not in entry.device_addresses:
        return NO_DEVICE
    await world.put(request.target, entry.without_device(vdev))
    return DONE


async def add_nic(world: World, request: f.VirtualNetworkAdapterCreateExtendedDM) -> Codes:
    """Virtual_Network_Adapter_Create_Extended_DM"""
    nic = Nicdef(
        request.image_device_number.upper().zfill(4),
        request.adapter_type or "QDIO",
        int(request.devices or 3),
        mac_id=request.mac_id or "",
    )
    return await _nic(world, request.target, nic)


async def _nic(world: World, userid: str, nic: Nicdef) -> Codes:
    entry = await world.entry(userid)
    if entry is None:
        return NO_ENTRY
    first = int(nic.vdev, 16)
    if {f"{number:04X}" for number in range(first, first + nic.devices)} & entry.device_addresses:
        return DEVICE_EXISTS
    await world.put(userid, entry.add(nic.statement()))
    return DONE


async def couple(world: World, request: f.VirtualNetworkAdapterConnectVswitchDM) -> Codes:
    """Virtual_Network_Adapter_Connect_Vswitch_DM"""
    return await _coupled(world, request.target, request.image_device_number, request.switch_name)


async def uncouple(world: World, request: f.VirtualNetworkAdapterDisconnectDM) -> Codes:
    """Virtual_Network_Adapter_Disconnect_DM"""
    return await _coupled(world, request.target, request.image_device_number, "")


async def _coupled(world: World, userid: str, vdev: str, switch: str) -> Codes:
    entry = await world.entry(userid)
    if entry is None:
        return NO_ENTRY
    nic = entry.nicdef(vdev)
    if nic is None:
        return NO_DEVICE
    if not switch and not nic.lan_name:
        return NOT_COUPLED
    owner = "SYSTEM" if switch else ""
    changed = replace(nic, lan_owner=owner, lan_name=switch, vlan="", port_type="")
    await world.put(userid, entry.replace_device(vdev, changed.statement()))
    return DONE


# -- Image_Definition_Update_DM and Image_Definition_Delete_DM: KEYWORD=subkey=value ... ------------------------------


async def update(world: World, request: f.ImageDefinitionUpdateDM) -> Codes:
    """Image_Definition_Update_DM: SHARE, processors, and adapters."""
    entry = await world.entry(request.target)
    if entry is None:
        return NO_ENTRY
    for item in request.definition_update_directory_keyword_parameter_list or ():
        keyword, _, rest = item.partition("=")
        values = dict(word.partition("=")[::2] for word in rest.split())
        if keyword == "SHARE":
            entry = entry.with_only("SHARE", statements.make("SHARE", *rest.split("=")))
        elif keyword == "COMMAND_DEFINE_CPU":
            entry = _with_cpu(entry, values)
        elif keyword == "NICDEF":
            nic = Nicdef(
                values["VDEV"].zfill(4), values["TYPE"], int(values["DEVICES"]), values["LAN"], values["SWITCHNAME"],
                values.get("MACID", ""), "", values.get("VLAN", ""), values.get("PORTTYPE", ""),
            )  # fmt: skip
            answer = await _nic(world, request.target, nic)
            if answer != DONE:
                return answer
            entry = await world.entry(request.target) or entry
        else:
            raise AgentError(500, "internal", f"a rehearsal does not know Image_Definition_Update_DM with {keyword}")
    await world.put(request.target, entry)
    return DONE


def _with_cpu(entry: Entry, values: dict[str, str]) -> Entry:
    """A further processor, behind those that are defined."""
    new = statements.make("COMMAND", "DEFINE", "CPU", values["CPUADDR"], "TYPE", values.get("TYPE", "IFL"))
    items = list(entry.statements)
    last = max((at for at, item in enumerate(items) if item.keyword in ("COMMAND", "CPU", "MACHINE")), default=0)
    return Entry.of((*items[: last + 1], new, *items[last + 1 :]))


def _defines(address: str, item: Statement) -> bool:
    """Whether the statement defines this processor."""
    if item.keyword == "CPU":
        return item.operand(1).zfill(2) == address
    define = item.keyword == "COMMAND" and item.operand(1).startswith("DEF") and item.operand(2) == "CPU"
    return define and item.operand(3).zfill(2) == address


async def take_out(world: World, request: f.ImageDefinitionDeleteDM) -> Codes:
    """Image_Definition_Delete_DM: processors."""
    entry = await world.entry(request.target)
    if entry is None:
        return NO_ENTRY
    for item in request.definition_delete_directory_keyword_parameter_list or ():
        address = item.partition("CPUADDR=")[2].split()[0]
        entry = entry.without(partial(_defines, address))
    await world.put(request.target, entry)
    return DONE


EFFECTS: dict[type[Any], Effect] = {
    f.ImageCreateDM: create,
    f.ImageDeleteDM: delete,
    f.ImageReplaceDM: replace_all,
    f.ImageLockDM: lock,
    f.ImageUnlockDM: lock,
    f.ImageDiskCreateDM: add_disk,
    f.ImageDiskDeleteDM: remove_disk,
    f.ImageDeviceDedicateDM: dedicate,
    f.ImageDeviceUndedicateDM: undedicate,
    f.VirtualNetworkAdapterDeleteDM: undedicate,
    f.VirtualNetworkAdapterCreateExtendedDM: add_nic,
    f.VirtualNetworkAdapterConnectVswitchDM: couple,
    f.VirtualNetworkAdapterDisconnectDM: uncouple,
    f.ImageDefinitionUpdateDM: update,
    f.ImageDefinitionDeleteDM: take_out,
}
