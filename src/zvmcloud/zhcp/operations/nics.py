"""nic.create, nic.delete, nic.couple, nic.uncouple.

The directory entry first, then the running guest. Coupling changes the one NICDEF statement of the adapter: with
Virtual_Network_Adapter_Connect_Vswitch_DM in one call, or, when a VLAN is asked for, by replacing the entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from zvmcloud.cp.answers import PowerState
from zvmcloud.directory import statements
from zvmcloud.directory.entry import Entry
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.declare import Reply, Request
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.network_messages import CoupleNic, CreateNic, DeleteNic, UncoupleNic
from zvmcloud.zhcp.operations import osas
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.replacing import entry_before, replace_entry
from zvmcloud.zhcp.operations.states import is_active
from zvmcloud.zhcp.operations.vswitches import put_back

R = TypeVar("R", bound=Reply)
DEVICES = "3"
"""How many devices a QDIO adapter has."""
_LIVE_EXISTS = (204, 4)


def _unknown(userid: str, vdev: str) -> AgentError:
    return AgentError(404, "nic-unknown", f"{userid} has no network adapter {vdev}", remedy="see the guest's nics")


async def create(context: Context, request: CreateNic) -> dict[str, Json]:
    """nic.create"""
    userid, vdev = request.userid, request.vdev
    mac_id = "".join(c for c in request.mac or "" if c.isalnum())[-6:]
    async with context.writing(userid):
        active = await is_active(context, userid, request.active)
        if request.osa is not None:
            await osas.dedicate(context, userid, vdev, request.osa, active=active)
            return {"vdev": vdev, "mac_id": "", "osa": request.osa}
        define = f.VirtualNetworkAdapterCreateExtendedDM(
            target=userid, image_device_number=vdev, adapter_type="QDIO", devices=DEVICES, mac_id=mac_id or None
        )
        await make_defined(context, define, vdev, "", mac_id)
        if active:
            context.report(0.5, f"NIC {vdev} in the running {userid}")
            await make_live(context, userid, vdev, "QDIO")
    return {"vdev": vdev, "mac_id": mac_id}


async def make_live(context: Context, userid: str, vdev: str, adapter_type: str) -> None:
    """The adapter in the running guest."""
    again = context.intended("live")
    create = f.VirtualNetworkAdapterCreateExtended(
        target=userid, image_device_number=vdev, adapter_type=adapter_type, devices=DEVICES
    )

    async def take_back() -> object:
        undo = f.VirtualNetworkAdapterDelete(target=userid, image_device_number=vdev)
        return await context.call(undo, allow=((204, 8), (200, 12)))

    what = f"NIC {vdev} in the running {userid}"
    created = await context.make(create, what, take_back, allow=(_LIVE_EXISTS,) if again else (), noting=("live",))
    if created.rc:
        context.on_undo(what, take_back)


async def make_defined(
    context: Context,
    define: Request[R],
    vdev: str,
    network: str,
    mac_id: str,
    *,
    allow: Sequence[tuple[int, int]] = (),
) -> tuple[int, int]:
    """The adapter in the entry, on that network ("" for none), with that MAC id ("" for any); z/VM's rc and rs."""
    userid, again = define.target, context.intended("nic")

    async def made() -> bool:
        entry = await entries.query(context, userid)
        nic = entry.nicdef(vdev) if entry is not None else None
        return nic is not None and nic.lan_name == network and (not mac_id or nic.mac_id.upper() == mac_id.upper())

    async def take_back() -> object:
        undo = f.VirtualNetworkAdapterDeleteDM(target=userid, image_device_number=vdev)
        return await context.call(undo, allow=((404, 8),))

    what = f"NIC {vdev} of {userid}"
    if again and await made():
        context.on_undo(what, take_back)
        return 0, 0
    answer = await context.make(define, what, take_back, allow=allow, done=made, rerun=again, noting=("nic",))
    return answer.rc, answer.rs


async def delete(context: Context, request: DeleteNic) -> dict[str, Json]:
    """nic.delete"""
    userid, vdev = request.userid, request.vdev
    async with context.writing(userid):
        running = request.active and await context.power(userid) is PowerState.ON
        if request.osa:
            await osas.undedicate(context, userid, vdev, running=running)
            return {"vdev": vdev, "existed": True}
        if running:
            await _restorable(context, userid, vdev)
        define = f.VirtualNetworkAdapterDeleteDM(target=userid, image_device_number=vdev)
        answer = await context.call(define, allow=((404, 8),))
        if running:
            live = f.VirtualNetworkAdapterDelete(target=userid, image_device_number=vdev)
            await context.call(live, allow=((204, 8), (200, 12)))
        if request.network:
            await _right_back(context, request)
    return {"vdev": vdev, "existed": answer.rc == 0}


async def _right_back(context: Context, request: DeleteNic) -> None:
    """The right of before the adapter was attached, unless another adapter needs the one of now."""
    userid, name = request.userid, request.network
    entry = await entries.query(context, userid)
    if entry is None or not any(nic.lan_name == name and nic.lan_owner in ("", "SYSTEM") for nic in entry.nicdefs):
        was = request.grants[0] if request.grants else None
        await put_back(context, name, userid, was, persist=request.persist)


async def _restorable(context: Context, userid: str, vdev: str) -> None:
    """Give the adapter its statement back when what follows fails: the running guest may refuse what the entry has
    taken already."""
    nic = (await entries.must_exist(context, userid)).nicdef(vdev)
    now = "" if nic is None else " ".join(nic.statement().words)
    known = await context.remember("nicdef", now) if now else context.recall("nicdef")
    if known:
        statement = statements.make(*known.split())
        context.on_undo(
            f"NIC {vdev} of {userid}",
            lambda: replace_entry(context, userid, lambda entry: entry.replace_device(vdev, statement)),
        )


async def couple(context: Context, request: CoupleNic) -> dict[str, Json]:
    """nic.couple"""
    userid, vdev, name = request.userid, request.vdev, request.vswitch
    async with context.writing(userid):
        active = await is_active(context, userid, request.active)
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
    was, now = await entry_before(context, userid)
    nic, old = now.nicdef(vdev), was.nicdef(vdev)
    if nic is None or old is None:
        raise _unknown(userid, vdev)
    before = old.lan_name

    async def put_back() -> object:
        if before:
            back = f.VirtualNetworkAdapterConnectVswitchDM(target=userid, image_device_number=vdev, switch_name=before)
            return await context.call(back)
        undo = f.VirtualNetworkAdapterDisconnectDM(target=userid, image_device_number=vdev)
        return await context.call(undo, allow=((212, 32),))

    if nic.lan_name == name and nic.lan_owner in ("", "SYSTEM") and not nic.vlan:
        if nic != old:
            context.on_undo(f"coupling of {vdev}", put_back)
        return

    async def coupled() -> bool:
        now = (await entries.must_exist(context, userid)).nicdef(vdev)
        return now is not None and now.lan_name == name

    define = f.VirtualNetworkAdapterConnectVswitchDM(target=userid, image_device_number=vdev, switch_name=name)
    await context.make(define, f"coupling of {vdev}", put_back, done=coupled)


async def _replace_nicdef(context: Context, request: CoupleNic) -> None:
    """Lock, change the adapter's statement, replace. The lock is given back by the replacement, or by us."""
    userid = request.userid
    old = (await entry_before(context, userid))[0].nicdef(request.vdev)

    def back(now: Entry) -> Entry:
        """Only this statement: the rest of the entry is as it is by then."""
        return now.replace_device(request.vdev, old.statement()) if old and now.nicdef(request.vdev) else now

    def change(entry: Entry) -> Entry:
        nic = entry.nicdef(request.vdev)
        if nic is None:
            raise _unknown(userid, request.vdev)
        context.on_undo(f"coupling of {request.vdev}", lambda: replace_entry(context, userid, back))
        changed = replace(nic, lan_owner="SYSTEM", lan_name=request.vswitch, vlan=str(request.vlan), port_type="ACCESS")
        return entry.replace_device(request.vdev, changed.statement())

    await replace_entry(context, userid, change)


async def uncouple(context: Context, request: UncoupleNic) -> dict[str, Json]:
    """nic.uncouple"""
    userid, vdev = request.userid, request.vdev
    async with context.writing(userid):
        running = request.active and await context.power(userid) is PowerState.ON
        if running:
            await _restorable(context, userid, vdev)
        define = f.VirtualNetworkAdapterDisconnectDM(target=userid, image_device_number=vdev)
        answer = await context.call(define, allow=((212, 32),))
        if running:
            live = f.VirtualNetworkAdapterDisconnect(target=userid, image_device_number=vdev)
            await context.call(live, allow=((204, 48), (200, 12)))
    return {"vdev": vdev, "was_coupled": answer.rc == 0}
