"""What networks were before they are changed or deleted, as their undo takes it: told in the results of vswitch.change,
vswitch.delete, vswitch.grant, vswitch.revoke, vswitch.set_vlan and lan.delete, and looked at once, before the change: a
run after a crash tells what the first one saw.

z/VM does not tell all: not the controller of a VSWITCH without an uplink that works, nor whether one without devices
is to connect, its LACP, nor the port type of a grant (replies of Virtual_Network_Vswitch_Query_Extended,
smapi/functions/network_vswitch_query.py).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict

from zvmcloud.cp.answers import PowerState
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import switch_queries
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.network_messages import Adapter, ChangeVswitch, Right
from zvmcloud.zhcp.operations.context import Context

_COUPLED = (204, 20)
_GONE = ((204, 8), (200, 12), (404, 8))
_DISCONNECTED = "4"


async def remembered(context: Context, look: Callable[[], Awaitable[Json]]) -> Json:
    """What was seen before the operation began."""
    known = context.recall("before")
    if known is None:
        known = await context.remember("before", json.dumps(await look()))
    found: Json = json.loads(known)
    return found


async def as_before(context: Context, request: ChangeVswitch) -> Json:
    """What the members that are changed were, as far as z/VM tells it."""

    async def look() -> Json:
        found = await _switch(context, request.name)
        return {key: value for key, value in _values(found).items() if getattr(request, key, None)}

    return await remembered(context, look)


async def whole(context: Context, name: str) -> Json:
    """A VSWITCH as vswitch.restore takes it; one that is not there is not defined again."""

    async def look() -> Json:
        try:
            found = await _switch(context, name)
        except AgentError as problem:
            if problem.problem.status != 404:
                raise
            return {"defined": False}
        told, mac = _told(found), str(_told(found).get("mac_address", ""))
        aware = told.get("vlan_awareness") == "AWARE"
        vid = str(told.get("vlan_id", "0"))
        return {
            **_values(found),
            "network_type": told.get("transport_type"),
            "vid": ("AWARE" if int(vid) <= 1 else str(int(vid))) if aware else "UNAWARE",
            **({"native_vid": int(str(told.get("native_vlan_id", "1")))} if aware else {}),
            "mac": "".join(part for part in mac if part.isalnum())[-6:].upper(),
            "grants": [asdict(_grant(user)) for user in _rows(found, "authorized_users")],
            "adapters": _adapters(found),
        }

    return await remembered(context, look)


async def the_right(context: Context, name: str, userid: str, *, persist: bool, adapters: bool = False) -> Json:
    """The right of a userid on a VSWITCH as vswitch.restore takes it. ``adapters``: with what it has coupled there,
    which CP uncouples when the right goes. AgentError 404 `vswitch-unknown`."""

    async def look() -> Json:
        found = await _switch(context, name)
        was = right_of(found, userid)
        rights: dict[str, Json] = {"grants": [asdict(was)]} if was is not None else {"revoked": [userid]}
        return {
            "defined": False,
            "persist": persist,
            **rights,
            **({"adapters": _adapters(found, userid)} if adapters else {}),
        }

    return await remembered(context, look)


def right_of(switch: Mapping[str, Json], userid: str) -> Right | None:
    """What a userid may do with a VSWITCH, as switch_queries tells of that; None for nothing."""
    mine = [user for user in _rows(switch, "authorized_users") if user.get("grant_userid") == userid]
    return _grant(mine[0]) if mine else None


def _adapters(switch: Mapping[str, Json], userid: str = "") -> list[Json]:
    """What is coupled to it, of one userid or of all."""
    rows = [row for row in _rows(switch, "adapters") if userid in ("", row.get("adapter_owner"))]
    return [{"userid": row.get("adapter_owner"), "vdev": row.get("adapter_vdev")} for row in rows]


async def _switch(context: Context, name: str) -> Mapping[str, Json]:
    return await switch_queries.vswitch(context, name)


def _told(switch: Mapping[str, Json]) -> Mapping[str, Json]:
    attributes = switch["attributes"]
    return attributes if isinstance(attributes, dict) else {}


def _rows(switch: Mapping[str, Json], name: str) -> Sequence[Mapping[str, Json]]:
    rows = switch[name]
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _values(switch: Mapping[str, Json]) -> dict[str, Json]:
    """Members of vswitch.change, by name, as they are now."""
    told = _told(switch)
    devices: list[Json] = [row.get("real_device_address") for row in _rows(switch, "real_devices")]
    port_type, routing = told.get("port_type"), told.get("routing_value")
    values: dict[str, Json] = {
        "rdev": devices or ["NONE"],
        "connection": "DISCONNECT" if told.get("switch_status") == _DISCONNECTED else "CONNECT",
        "queue_mem": int(str(told.get("queue_memory_limit", "0"))),
        "gvrp": told.get("gvrp_request_attribute"),
        "isolation": "ON" if told.get("isolation_status") == "ISOLATION" else "OFF",
        "mac_protect": {"MACPROTECT": "ON", "NOMACPROTECT": "OFF"}.get(str(told.get("MAC_protect")), "UNSPECIFIED"),
        "vlan_counters": "ON" if told.get("VLAN_counters") == "COUNTERS" else "OFF",
        "ip_timeout": int(str(told.get("IP_timeout", "0"))),
    }
    if routing in ("NONROUTER", "PRIROUTER"):
        values["router"] = routing
    if port_type in ("ACCESS", "TRUNK"):
        values["port_type"] = port_type
    return values


def _grant(user: Mapping[str, Json]) -> Right:
    vlans = user.get("user_vlan_ids")
    return Right(
        str(user.get("grant_userid")),
        switch_queries.ranges(int(str(number)) for number in vlans) if isinstance(vlans, list) else (),
        user.get("promiscuous_mode") == "PROM",
        user.get("osd_sim") == "OSDSIM",
    )


async def coupled_again(context: Context, adapters: Sequence[Adapter], name: str, owner: str = "") -> Json:
    """Couple adapters of running guests to a VSWITCH, or a guest LAN of ``owner``; which are gone."""
    left: list[Json] = []
    for adapter in adapters:
        userid, vdev = adapter.userid, adapter.vdev
        connect: f.VirtualNetworkAdapterConnectVswitch | f.VirtualNetworkAdapterConnectLAN = (
            f.VirtualNetworkAdapterConnectLAN(target=userid, image_device_number=vdev, lan_name=name, lan_owner=owner)
            if owner
            else f.VirtualNetworkAdapterConnectVswitch(target=userid, image_device_number=vdev, switch_name=name)
        )
        there = await context.power(userid) is PowerState.ON
        if not there or (await context.call(connect, allow=(_COUPLED, *_GONE))).rc not in (0, _COUPLED[0]):
            left.append(f"{userid} {vdev}")
    return left
