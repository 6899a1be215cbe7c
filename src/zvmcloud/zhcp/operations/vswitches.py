"""vswitch.create, change, delete, grant, revoke, set_vlan: through the Extended functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields

from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.network_messages import (
    ChangeVswitch,
    CreateVswitch,
    DeleteVswitch,
    GrantVswitch,
    RestoreVswitch,
    RevokeVswitch,
    Right,
    SetVswitchVlan,
)
from zvmcloud.zhcp.operations.before import as_before, coupled_again, whole
from zvmcloud.zhcp.operations.context import Context

_MISSING = (212, 40)
_ALREADY_GRANTED = (212, 44)
# CP messages of SET VSWITCH that say the request does not go with the switch as it is.
_CONFLICTS = frozenset({2838, 2846, 2853, 2856, 2858, 3022, 3033})


def _yes(value: bool) -> str:
    return "YES" if value else "NO"


async def set_switch(
    context: Context,
    request: f.VirtualNetworkVswitchSetExtended,
    *allowed: tuple[int, int],
    done: Callable[[], Awaitable[bool]] | None = None,
) -> bool:
    """Change a VSWITCH; False for an allowed refusal. `done` looks whether a call whose answer was lost was done."""
    try:
        if done is None:
            answer = await context.call(request, allow=allowed)
        else:
            answer = await context.settle(request, done, allow=allowed)
    except AgentError as error:
        smapi = error.problem.smapi
        if smapi is not None and smapi["rc"] == 396 and smapi["rs"] in _CONFLICTS:
            raise AgentError(
                409, "vswitch-conflict", error.problem.detail, smapi=smapi,
                remedy="compare the request with GET /v1/vswitches of this switch",
            ) from error  # fmt: skip
        raise
    return answer.rc == 0


async def put_back(context: Context, name: str, userid: str, was: Right | None, *, persist: bool) -> None:
    """The right of a userid as it was before: None for none. A VSWITCH that has gone is fine."""
    right = f.VirtualNetworkVswitchSetExtended(
        target=name,
        switch_name=name,
        grant_userid=userid if was else None,
        user_vlan_id=(" ".join(was.vlans) or None) if was else None,
        revoke_userid=None if was else userid,
        persist=_yes(persist),
    )
    await set_switch(context, right, _ALREADY_GRANTED, (212, 4), (212, 8), _MISSING)


async def create(context: Context, request: CreateVswitch) -> dict[str, Json]:
    """vswitch.create"""
    aware = request.vid != "UNAWARE"
    if request.vid.isdigit() and not 1 <= int(request.vid) <= 4094:
        raise FieldError("vid", request.vid, "UNAWARE, AWARE or 1 to 4094")
    if len(request.rdev) > 3:
        raise FieldError("rdev", " ".join(request.rdev), "at most 3 real devices")
    name = request.name
    definition = f.VirtualNetworkVswitchCreateExtended(
        target=name,
        switch_name=name,
        real_device_address=" ".join(request.rdev) or None,
        controller_name=request.controller if request.controller not in ("", "*") else None,
        connection_value=request.connection,
        queue_memory_limit=str(request.queue_mem),
        routing_value=request.router if request.network_type == "IP" else None,
        transport_type=request.network_type,
        vlan_id=request.vid,
        port_type=request.port_type if aware else None,
        gvrp_value=request.gvrp if aware else None,
        native_vlanid=str(request.native_vid) if aware else None,
        persist=_yes(request.persist),
    )
    if context.intended("create") and await exists(context, name):
        return {"name": name}
    await context.intend("create")
    await context.call(definition)
    return {"name": name}


async def restore(context: Context, request: RestoreVswitch) -> dict[str, Json]:
    """vswitch.restore: the switch first, then what only a change can set, its grants, and who was coupled. A run after
    a crash does again what there may be already."""
    name = request.name
    definition = CreateVswitch(**{item.name: getattr(request, item.name) for item in fields(CreateVswitch)})
    if request.defined and (context.intended("create") or not await exists(context, name)):
        await create(context, definition)
        context.on_undo(f"VSWITCH {name}", lambda: delete(context, DeleteVswitch(name, request.persist)))
    told = (request.isolation, request.mac_protect, request.vlan_counters, request.ip_timeout, request.mac)
    if request.defined and any(told):
        changes = f.VirtualNetworkVswitchSetExtended(
            target=name,
            switch_name=name,
            port_isolation=request.isolation or None,
            MAC_protect=request.mac_protect or None,
            VLAN_counters=request.vlan_counters or None,
            iptimeout=str(request.ip_timeout) if request.ip_timeout else None,
            mac_id=request.mac or None,
            persist=_yes(request.persist),
        )
        await set_switch(context, changes)
    for right in request.grants:
        await context.journal.granting(name, right.userid)
        given = f.VirtualNetworkVswitchSetExtended(
            target=name,
            switch_name=name,
            grant_userid=right.userid,
            user_vlan_id=" ".join(right.vlans) or None,
            promiscuous="YES" if right.promiscuous else None,
            osd_sim="YES" if right.osd_sim else None,
            persist=_yes(request.persist),
        )
        await set_switch(context, given, _ALREADY_GRANTED)
    return {"name": name, "left": await coupled_again(context, request.adapters, name)}


async def change(context: Context, request: ChangeVswitch) -> dict[str, Json]:
    """vswitch.change: one call; what is not named stays."""
    changes = f.VirtualNetworkVswitchSetExtended(
        target=request.name,
        switch_name=request.name,
        real_device_address=" ".join(request.rdev) or None,
        controller_name=request.controller or None,
        connection_value=request.connection or None,
        queue_memory_limit=str(request.queue_mem) if request.queue_mem else None,
        routing_value=request.router or None,
        port_type=request.port_type or None,
        gvrp_value=request.gvrp or None,
        port_isolation=request.isolation or None,
        MAC_protect=request.mac_protect or None,
        VLAN_counters=request.vlan_counters or None,
        vepa=request.vepa or None,
        lacp=request.lacp or None,
        iptimeout=str(request.ip_timeout) if request.ip_timeout else None,
        persist=_yes(request.persist),
    )
    before = await as_before(context, request)
    await set_switch(context, changes)
    return {"name": request.name, "before": before}


async def exists(context: Context, name: str) -> bool:
    """Whether the system has a VSWITCH of that name."""
    query = f.VirtualNetworkVswitchQueryExtended(target=name, switch_name=name)
    answer = await context.call(query, allow=(_MISSING,))
    return answer.rc == 0


async def delete(context: Context, request: DeleteVswitch) -> dict[str, Json]:
    """vswitch.delete"""
    before = await whole(context, request.name)
    removal = f.VirtualNetworkVswitchDeleteExtended(
        target=request.name, switch_name=request.name, persist=_yes(request.persist)
    )
    answer = await context.call(removal, allow=(_MISSING,))
    return {"name": request.name, "existed": answer.rc == 0, "before": before}


async def grant(context: Context, request: GrantVswitch) -> dict[str, Json]:
    """vswitch.grant"""
    await context.journal.granting(request.name, request.userid)
    right = f.VirtualNetworkVswitchSetExtended(
        target=request.name, switch_name=request.name, grant_userid=request.userid, persist=_yes(request.persist)
    )
    changed = await set_switch(context, right, _ALREADY_GRANTED)
    return {"name": request.name, "userid": request.userid, "changed": changed}


async def revoke(context: Context, request: RevokeVswitch) -> dict[str, Json]:
    """vswitch.revoke"""
    right = f.VirtualNetworkVswitchSetExtended(
        target=request.name, switch_name=request.name, revoke_userid=request.userid, persist=_yes(request.persist)
    )
    changed = await set_switch(context, right, (212, 4), (212, 8))
    return {"name": request.name, "userid": request.userid, "changed": changed}


async def set_vlan(context: Context, request: SetVswitchVlan) -> dict[str, Json]:
    """vswitch.set_vlan"""
    await context.journal.granting(request.name, request.userid)
    right = f.VirtualNetworkVswitchSetExtended(
        target=request.name,
        switch_name=request.name,
        grant_userid=request.userid,
        user_vlan_id=str(request.vlan),
        persist=_yes(request.persist),
    )
    await set_switch(context, right)
    return {"name": request.name, "userid": request.userid, "vlan": request.vlan}
