"""nic.attach: NICDEF with its network, the grant, and the running guest's adapter, in one operation with one undo.

The directory gets the whole NICDEF statement with one Image_Definition_Update_DM (keyword NICDEF): no lock, no reading
of the entry, no second statement. The VSWITCH is looked at first: whether it is there, knows VLANs, and what right the
userid has, so that exactly this comes back. A plain run is three SMAPI calls, one for a running guest five and a CP
query; `make bench ARGS=agent` prints them beside those of reference/connector/flows.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial

from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import fields, switch_queries
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.network_messages import AttachNic, Right
from zvmcloud.zhcp.operations.before import right_of
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.lans import admit
from zvmcloud.zhcp.operations.nics import DEVICES, make_defined, make_live
from zvmcloud.zhcp.operations.states import is_active
from zvmcloud.zhcp.operations.vswitches import granted, put_back, set_switch

_ALREADY_GRANTED = (212, 44)
_HAS_DEVICE = ((404, 4), (8, 3002))
_COUPLED, _NOT_ADMITTED = (204, 20), (212, 8)


async def attach(context: Context, request: AttachNic) -> dict[str, Json]:
    """Directory first, then the right, then the running guest.

    AgentError 409 `device-exists`, `vlan-unaware`, 404 `vswitch-unknown`, with nothing changed.
    """
    userid, vdev = request.userid, request.vdev
    async with context.writing(userid):
        active = await is_active(context, userid, request.active)
        now = await _right(context, request) if request.lan_owner == "SYSTEM" else None
        await _define(context, request)
        right: dict[str, Json] = {}
        if request.lan_owner == "SYSTEM":
            context.report(0.3, f"{userid} may use {request.network}")
            right = await _grant(context, request, now)
        if active:
            context.report(0.6, f"NIC {vdev} in the running {userid}")
            await _live(context, request)
    told: dict[str, Json] = {"vdev": vdev, "network": request.network, "vlans": [*request.vlans]}
    return {**told, "mac_id": request.mac_id, "before": right}


async def _right(context: Context, request: AttachNic) -> Right | None:
    """What the userid may do now. AgentError 404 without such a VSWITCH, 409 for VLANs on one that knows none."""
    switch = await switch_queries.vswitch(context, request.network)
    attributes = switch["attributes"]
    unaware = isinstance(attributes, dict) and attributes.get("vlan_awareness") == "UNAWARE"
    if unaware and (request.vlans or request.port_type == "TRUNK"):
        raise AgentError(
            409, "vlan-unaware", f"VSWITCH {request.network} is not VLAN aware",
            remedy="leave vlans and TRUNK out, or choose a VSWITCH that is",
        )  # fmt: skip
    return right_of(switch, request.userid)


async def _define(context: Context, request: AttachNic) -> None:
    userid, vdev = request.userid, request.vdev

    words = [f"VDEV={vdev}", f"TYPE={'QDIO' if request.adapter_type == 'QDIO' else 'HIPERS'}", f"DEVICES={DEVICES}"]
    words += [f"LAN={request.lan_owner}", f"SWITCHNAME={request.network}"]
    if request.mac_id:
        words.append(f"MACID={request.mac_id}")
    if request.port_type == "ACCESS" and request.vlans:
        words += [f"VLAN={request.vlans[0]}", "PORTTYPE=ACCESS"]
    elif request.port_type == "TRUNK":
        words.append("PORTTYPE=TRUNK")
    define = f.ImageDefinitionUpdateDM(
        target=userid,
        definition_update_directory_keyword_parameter_list=(f"NICDEF={' '.join(words)} OPERATION=ADD",),
    )
    answer = await make_defined(context, define, vdev, request.network, request.mac_id, allow=_HAS_DEVICE)
    if answer in _HAS_DEVICE:
        raise AgentError(
            409, "device-exists", f"{userid} already has a device at {vdev} to {int(vdev, 16) + 2:04X}",
            remedy="choose another virtual device number",
        )  # fmt: skip


async def _grant(context: Context, request: AttachNic, now: Right | None) -> dict[str, Json]:
    """The right to couple, with port type and VLANs; undone by the right of before, which is told as nic.delete takes
    it."""
    userid, name = request.userid, request.network
    enough = now is not None and now.vlans == request.vlans and request.port_type == "ACCESS"
    if enough and context.recall("rights") is None:
        return {}
    grants: list[Json] = json.loads(await context.remember("rights", json.dumps([asdict(now)] if now else [])))
    was = fields.read(Right, grants[0]) if grants else None
    persist = "YES" if request.persist else "NO"
    right = f.VirtualNetworkVswitchSetExtended(
        target=name,
        switch_name=name,
        grant_userid=userid,
        user_vlan_id=" ".join(request.vlans) or None,
        port_type=request.port_type if request.vlans or request.port_type == "TRUNK" else None,
        persist=persist,
    )

    back = partial(put_back, context, name, userid, was, persist=request.persist)
    context.on_undo(f"right of {userid} on {name}", back)
    await set_switch(context, right, _ALREADY_GRANTED, done=granted(context, name, userid, request.vlans))
    return {"network": name, "grants": grants, "persist": request.persist}


async def _live(context: Context, request: AttachNic) -> None:
    userid, vdev = request.userid, request.vdev
    await make_live(context, userid, vdev, request.adapter_type)
    if request.lan_owner == "SYSTEM":
        connect: f.VirtualNetworkAdapterConnectVswitch | f.VirtualNetworkAdapterConnectLAN = (
            f.VirtualNetworkAdapterConnectVswitch(target=userid, image_device_number=vdev, switch_name=request.network)
        )
    else:
        connect = f.VirtualNetworkAdapterConnectLAN(
            target=userid, image_device_number=vdev, lan_name=request.network, lan_owner=request.lan_owner
        )
    admits = (_NOT_ADMITTED,) if request.lan_owner != "SYSTEM" else ()
    answer = await context.call(connect, allow=(_COUPLED, *admits))
    if (answer.rc, answer.rs) in admits:
        # A restricted LAN; its owner's agent may let the guest in.
        await admit(context, request.network, request.lan_owner, userid)
        await context.call(connect, allow=(_COUPLED,))
