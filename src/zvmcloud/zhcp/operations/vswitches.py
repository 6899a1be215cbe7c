"""vswitch.create, change, delete, grant, revoke, set_vlan: through the Extended functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields

from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import switch_queries
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
from zvmcloud.zhcp.operations.before import as_before, coupled_again, right_of, the_right, whole
from zvmcloud.zhcp.operations.context import Context

_MISSING = (212, 40)
_ALREADY_GRANTED = (212, 44)
_NO_RIGHT = ((212, 4), (212, 8))
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
    if was is not None:
        await context.journal.granting(name, userid)
    right = f.VirtualNetworkVswitchSetExtended(
        target=name,
        switch_name=name,
        grant_userid=userid if was else None,
        user_vlan_id=(" ".join(was.vlans) or None) if was else None,
        promiscuous="YES" if was and was.promiscuous else None,
        osd_sim="YES" if was and was.osd_sim else None,
        revoke_userid=None if was else userid,
        persist=_yes(persist),
    )
    await set_switch(context, right, _ALREADY_GRANTED, *_NO_RIGHT, _MISSING)


def granted(context: Context, name: str, userid: str, vlans: Sequence[str] = ()) -> Callable[[], Awaitable[bool]]:
    """Looks whether a userid has a right with these VLANs: what a grant has made whose answer was lost."""

    async def look() -> bool:
        now = right_of(await switch_queries.vswitch(context, name), userid)
        return now is not None and set(now.vlans) >= set(vlans)

    return look


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
    """vswitch.restore: the switch first, then what only a change can set, the rights, and who was coupled. A run after
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
        await put_back(context, name, right.userid, right, persist=request.persist)
    for userid in request.revoked:
        await put_back(context, name, userid, None, persist=request.persist)
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
    name, userid = request.name, request.userid
    before = await the_right(context, name, userid, persist=request.persist)
    await context.journal.granting(name, userid)
    right = f.VirtualNetworkVswitchSetExtended(
        target=name, switch_name=name, grant_userid=userid, persist=_yes(request.persist)
    )
    changed = await set_switch(context, right, _ALREADY_GRANTED, done=granted(context, name, userid))
    return {"name": name, "userid": userid, "changed": changed, "before": before}


async def revoke(context: Context, request: RevokeVswitch) -> dict[str, Json]:
    """vswitch.revoke"""
    name, userid = request.name, request.userid
    before = await the_right(context, name, userid, persist=request.persist, adapters=True)
    right = f.VirtualNetworkVswitchSetExtended(
        target=name, switch_name=name, revoke_userid=userid, persist=_yes(request.persist)
    )

    async def gone() -> bool:
        return right_of(await switch_queries.vswitch(context, name), userid) is None

    changed = await set_switch(context, right, *_NO_RIGHT, done=gone)
    return {"name": name, "userid": userid, "changed": changed, "before": before}


async def set_vlan(context: Context, request: SetVswitchVlan) -> dict[str, Json]:
    """vswitch.set_vlan"""
    name, userid, vlan = request.name, request.userid, str(request.vlan)
    before = await the_right(context, name, userid, persist=request.persist)
    await context.journal.granting(name, userid)
    right = f.VirtualNetworkVswitchSetExtended(
        target=name, switch_name=name, grant_userid=userid, user_vlan_id=vlan, persist=_yes(request.persist)
    )
    await set_switch(context, right, done=granted(context, name, userid, [vlan]))
    return {"name": name, "userid": userid, "vlan": request.vlan, "before": before}
