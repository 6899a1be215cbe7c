"""nic.create, nic.delete, nic.couple, nic.uncouple.

The directory entry first, then the running guest. Coupling changes the one NICDEF statement of the adapter: with
Virtual_Network_Adapter_Connect_Vswitch_DM in one call, or, when a VLAN is asked for, by replacing the entry.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from zvmcloud.cp.answers import PowerState
from zvmcloud.directory.devices import Nicdef
from zvmcloud.directory.entry import Entry
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.joining import to_its_end
from zvmcloud.zhcp.messages import CoupleNic, CreateNic, DeleteNic, UncoupleNic
from zvmcloud.zhcp.operations.context import Context

_DEVICES = "3"
_LOCKED = (400, 12)
log = logging.getLogger(__name__)
Changed = Callable[[Entry], Entry]


async def _active(context: Context, userid: str, wanted: bool) -> bool:
    """Whether the running guest is to be changed. AgentError 409 when that was asked and the guest is off."""
    if not wanted:
        return False
    state = await context.power(userid)
    if state is not PowerState.ON:
        raise AgentError(
            409, "guest-inactive", f"{userid} is {state}: there is no running guest to change",
            remedy="start the guest, or leave active out",
        )  # fmt: skip
    return True


def _unknown(userid: str, vdev: str) -> AgentError:
    return AgentError(404, "nic-unknown", f"{userid} has no network adapter {vdev}", remedy="see the guest's nics")


async def create(context: Context, request: CreateNic) -> dict[str, Json]:
    """nic.create"""
    userid, vdev = request.userid, request.vdev
    mac_id = "".join(c for c in request.mac or "" if c.isalnum())[-6:]
    async with context.writing(userid):
        active = await _active(context, userid, request.active)
        if context.intended("nic"):
            entry = await entries.must_exist(context, userid)
            exists = entry.nicdef(vdev) is not None
        else:
            exists = False
        context.intend("nic")
        define = f.VirtualNetworkAdapterCreateExtendedDM(
            target=userid,
            image_device_number=vdev,
            adapter_type="QDIO",
            devices=_DEVICES,
            mac_id=mac_id or None,
        )
        undo = f.VirtualNetworkAdapterDeleteDM(target=userid, image_device_number=vdev)

        async def take_back() -> object:
            return await context.call(undo, allow=((404, 8),))

        if exists:
            context.on_undo(f"NIC {vdev} of {userid}", take_back)
        else:
            await context.make(define, f"NIC {vdev} of {userid}", take_back)
        if active:
            context.report(0.5, f"NIC {vdev} in the running {userid}")
            live = f.VirtualNetworkAdapterCreateExtended(
                target=userid, image_device_number=vdev, adapter_type="QDIO", devices=_DEVICES
            )
            await context.call(live, allow=((204, 4),) if exists else ())
    return {"vdev": vdev, "mac_id": mac_id}


async def delete(context: Context, request: DeleteNic) -> dict[str, Json]:
    """nic.delete"""
    userid, vdev = request.userid, request.vdev
    async with context.writing(userid):
        running = request.active and await context.power(userid) is PowerState.ON
        define = f.VirtualNetworkAdapterDeleteDM(target=userid, image_device_number=vdev)
        answer = await context.call(define, allow=((404, 8),))
        if running:
            live = f.VirtualNetworkAdapterDelete(target=userid, image_device_number=vdev)
            await context.call(live, allow=((204, 8), (200, 12)))
    return {"vdev": vdev, "existed": answer.rc == 0}


async def couple(context: Context, request: CoupleNic) -> dict[str, Json]:
    """nic.couple"""
    userid, vdev, name = request.userid, request.vdev, request.vswitch
    async with context.writing(userid):
        active = await _active(context, userid, request.active)
        if request.vlan is None:
            await _connect_dm(context, userid, vdev, name)
        else:
            await _replace_nicdef(context, request)
        if active:
            context.report(0.6, f"NIC {vdev} in the running {userid}")
            live = f.VirtualNetworkAdapterConnectVswitch(target=userid, image_device_number=vdev, switch_name=name)
            await context.call(live, allow=((204, 20),))
    return {"vdev": vdev, "vswitch": name, "vlan": request.vlan}


async def _connect_dm(context: Context, userid: str, vdev: str, name: str) -> None:
    entry = await entries.must_exist(context, userid)
    nic = entry.nicdef(vdev)
    if nic is None:
        raise _unknown(userid, vdev)
    if nic.lan_name == name and nic.lan_owner in ("", "SYSTEM") and not nic.vlan:
        return
    before = nic.lan_name

    async def put_back() -> object:
        if before:
            back = f.VirtualNetworkAdapterConnectVswitchDM(target=userid, image_device_number=vdev, switch_name=before)
            return await context.call(back)
        undo = f.VirtualNetworkAdapterDisconnectDM(target=userid, image_device_number=vdev)
        return await context.call(undo, allow=((212, 32),))

    define = f.VirtualNetworkAdapterConnectVswitchDM(target=userid, image_device_number=vdev, switch_name=name)
    await context.make(define, f"coupling of {vdev}", put_back)


async def _replace_nicdef(context: Context, request: CoupleNic) -> None:
    """Lock, change the adapter's statement, replace. The lock is given back by the replacement, or by us."""
    userid = request.userid

    def back(was: Nicdef) -> Changed:
        """Only this statement: the rest of the entry is as it is by then."""
        return lambda now: now.replace_device(request.vdev, was.statement()) if now.nicdef(request.vdev) else now

    def change(entry: Entry) -> Entry:
        nic = entry.nicdef(request.vdev)
        if nic is None:
            raise _unknown(userid, request.vdev)
        context.on_undo(f"coupling of {request.vdev}", lambda: replace_entry(context, userid, back(nic)))
        changed = replace(nic, lan_owner="SYSTEM", lan_name=request.vswitch, vlan=str(request.vlan), port_type="ACCESS")
        return entry.replace_device(request.vdev, changed.statement())

    await replace_entry(context, userid, change)


async def replace_entry(context: Context, userid: str, change: Changed) -> Entry:
    """Replace an entry under its lock; returns the entry as it was. Nothing is sent when nothing changes.

    The lock is noted in the journal before it is taken, so that a restart can release it. An entry that is locked
    while there is such a note of before is locked by us. Only for the one writer of the entry.
    """
    ours = context.journal.locking(userid)
    locked = True
    try:
        try:
            await context.call(f.ImageLockDM(target=userid), allow=(_LOCKED,) if ours else ())
        except AgentError as problem:
            locked = ours or (problem.problem.smapi is None and problem.problem.status != 400)
            raise
        before = await entries.must_exist(context, userid)
        after = change(before)
        if after != before:
            records = tuple(record for record in after.render() if not record.startswith("*DVHOPT"))
            await context.call(f.ImageReplaceDM(target=userid, image_record_array=records))
            locked = False
        return before
    finally:
        await to_its_end(_give_back(context, userid, locked))


async def _give_back(context: Context, userid: str, locked: bool) -> None:
    """Release the lock, if there is one. What cannot be released stays noted, for the next writer or the next start."""
    if locked:
        try:
            await context.call(f.ImageUnlockDM(target=userid), allow=((400, 24),))
        except AgentError as problem:
            log.error("entry %s stays locked: %s", userid, problem)  # noqa: TRY400 (the problem says it all)
            return
    context.journal.unlocked(userid)


async def uncouple(context: Context, request: UncoupleNic) -> dict[str, Json]:
    """nic.uncouple"""
    userid, vdev = request.userid, request.vdev
    async with context.writing(userid):
        running = request.active and await context.power(userid) is PowerState.ON
        define = f.VirtualNetworkAdapterDisconnectDM(target=userid, image_device_number=vdev)
        answer = await context.call(define, allow=((212, 32),))
        if running:
            live = f.VirtualNetworkAdapterDisconnect(target=userid, image_device_number=vdev)
            await context.call(live, allow=((204, 48), (200, 12)))
    return {"vdev": vdev, "was_coupled": answer.rc == 0}
