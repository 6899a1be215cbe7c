"""Virtual_Network_Vswitch_Set_Extended: every attribute of a virtual switch, its ports and its VLANs, by key."""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import network
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.model import Grant, Vswitch
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.simulator.smapi.switches import (
    BAD_KEY,
    BAD_VALUE,
    find,
    grant,
    keep_in_config,
    number,
    one_of,
    rdevs,
    update,
    upper,
)
from zvmcloud.smapi import functions as f

MAX_PORT = 2048
_SWITCHED = {"ON": True, "YES": True, "OFF": False, "NO": False}


@handles(f.VirtualNetworkVswitchSetExtended, authority="recorded")
def virtual_network_vswitch_set_extended(call: Call, request: f.VirtualNetworkVswitchSetExtended) -> Done:
    """Recorded: 396/3040 for ports that a VLAN does not have, 8/3002 for vlan_delete on a USERBASED switch.

    judgement: `uplink` is kept with the port that is named beside it, and says nothing without one.
    """
    switch = find(call, request.switch_name)
    if request.vlan_delete and switch.user_based:
        raise Refused(*BAD_KEY)
    _flag(request.uplink)
    if request.portnum:
        _port(call, switch, request)
    elif request.grant_userid:
        _let_in(call, switch, request.grant_userid, request)
    elif request.portnum_modify:
        _let_in(call, switch, _at_port(switch, request.portnum_modify).userid, request)
    elif request.user_vlan_id and not request.vlan_port_add:
        raise Refused(*BAD_KEY)
    switch = find(call, request.switch_name)
    if request.portnum_remove:
        switch = network.revoke(call.system, switch, _at_port(switch, request.portnum_remove).userid)
    if request.revoke_userid:
        network.revoke(call.system, switch, request.revoke_userid.upper())
    _vlans(call, request)
    update(call, find(call, request.switch_name), _values(call, request))
    keep_in_config(call, find(call, request.switch_name), request.persist)
    return Done()


def _port(call: Call, switch: Vswitch, request: f.VirtualNetworkVswitchSetExtended) -> None:
    """A port number and, behind it, the userid that gets it. CpRefused 2840 when it is another's."""
    word, _, userid = (request.portnum or "").strip().partition(" ")
    port, name = _port_number(word), userid.strip().upper()
    if not name:
        raise Refused(*BAD_VALUE)
    other = next((item for item in switch.grants if item.port == port and item.userid != name), None)
    if other is not None:
        raise CpRefused(messages.PORT_TAKEN, port=port, name=switch.name, userid=other.userid)
    _let_in(call, switch, name, request, port)


def _let_in(
    call: Call, switch: Vswitch, userid: str, request: f.VirtualNetworkVswitchSetExtended, port: int = 0
) -> None:
    port_type = one_of(request.port_type, {"ACCESS": "ACCESS", "TRUNK": "TRUNK"}, "")
    before = switch.grant(userid.upper()) or Grant(userid.upper())
    changed = grant(call, switch, userid, request.user_vlan_id, port_type, promiscuous=_flag(request.promiscuous))
    made = changed.grant(userid.upper()) or before
    made = replace(
        made,
        port=port or before.port,
        osd_sim=_flag(request.osd_sim) if request.osd_sim else before.osd_sim,
        uplink=_flag(request.uplink) if request.uplink else before.uplink,
    )
    network.grant(call.system, changed, made)


def _at_port(switch: Vswitch, text: str) -> Grant:
    port = _port_number(text)
    found = next((item for item in switch.grants if item.port == port), None)
    if found is None:
        raise CpRefused(messages.PORT_MISSING, port=port, name=switch.name)
    return found


def _port_number(text: str) -> int:
    text = text.strip()
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MAX_PORT:
        raise Refused(*BAD_VALUE)
    return int(text)


def _vlans(call: Call, request: f.VirtualNetworkVswitchSetExtended) -> None:
    """Ports into a VLAN and out of it; each text is the VLAN and its ports."""
    for action, text in (("ADD", request.vlan_port_add), ("REMOVE", request.vlan_port_remove)):
        if not text:
            continue
        vlan, *ports = text.replace(",", " ").split()
        if not ports:
            raise Refused(*BAD_VALUE)
        numbers = frozenset(_port_number(port) for port in ports)
        network.change_vlan(call.system, find(call, request.switch_name), _vlan(vlan), action, numbers)
    if request.vlan_delete:
        network.change_vlan(call.system, find(call, request.switch_name), _vlan(request.vlan_delete), "DELETE")


def _vlan(text: str) -> int:
    return number(text, 1, network.MAX_VLAN, 1)


def _values(call: Call, request: f.VirtualNetworkVswitchSetExtended) -> dict[str, object]:
    """What becomes of the switch itself."""
    values: dict[str, object] = {}
    for text in (request.real_device_address, request.group_rdev):
        if text:
            values["rdevs"] = rdevs(text, BAD_VALUE)
    if request.port_name:
        values["ports"] = tuple(request.port_name.upper().split())
    if request.controller_name:
        values["controller"] = request.controller_name.upper()
    if request.connection_value:
        connection = one_of(request.connection_value, {"CON": "CONNECT", "DISCON": "DISCONNECT"}, "")
        values["connected"] = connection == "CONNECT"
    if request.routing_value:
        values["routing"] = one_of(request.routing_value, {"NON": "NONROUTER", "PRI": "PRIROUTER"}, "")
    if request.port_type and not (request.grant_userid or request.portnum or request.portnum_modify):
        values["port_type"] = one_of(request.port_type, {"ACCESS": "ACCESS", "TRUNK": "TRUNK"}, "")
    if request.gvrp_value:
        values["gvrp"] = one_of(request.gvrp_value, {"GVRP": "GVRP", "NOGVRP": "NOGVRP"}, "") == "GVRP"
    if request.mac_id:
        values["mac"] = network.new_mac(call.system, request.mac_id.upper().rjust(6, "0"))
    if request.MAC_protect:
        choices = {"ON": "ON", "OFF": "OFF", "UNSPEC": "UNSPECIFIED"}
        values["mac_protect"] = one_of(request.MAC_protect, choices, "")
    if request.lacp:
        values["lacp"] = one_of(request.lacp, {"ACTIVE": "ACTIVE", "INACTIVE": "INACTIVE"}, "")
    if request.lacp_group_type:
        kind = one_of(request.lacp_group_type, {"EXCL": "EXCLUSIVE", "SHARED": "SHARED"}, "")
        values["shared_group"] = kind == "SHARED"
    if request.interval:
        off = upper(request.interval) == "OFF"
        values["interval"] = "OFF" if off else str(number(request.interval, 1, 9990, 30))
    for field, text, low, high in (
        ("queue_memory", request.queue_memory_limit, 1, 8),
        ("ip_timeout", request.iptimeout, 1, 240),
        ("trace_pages", request.trace_size, 0, 4095),
        ("ivl_vlan", request.ivl_vlanid, 1, network.MAX_VLAN),
        ("ivl_heartbeat", request.ivl_heartbeat, 10, 3600),
    ):
        if text:
            values[field] = number(text, low, high, low)
    for field, text in (
        ("isolation", request.port_isolation),
        ("counters", request.VLAN_counters),
        ("vepa", request.vepa),
    ):
        if text:
            values[field] = _flag(text)
    if upper(request.persist) == "YES":
        values["persistent"] = True
    return values | _uplink_nic(request)


def _uplink_nic(request: f.VirtualNetworkVswitchSetExtended) -> dict[str, object]:
    """A guest's adapter as the uplink; an asterisk instead of its userid disconnects it."""
    one_of(request.nic_portselection, {"AUTO": "AUTO", "PORT": "PORTNUM"}, "")
    if not request.nic_userid:
        return {}
    if request.nic_userid == "*":
        return {"nic_userid": "", "nic_vdev": ""}
    vdev = statements.vdev((request.nic_vdev or "").upper())
    if vdev is None or not statements.is_userid(request.nic_userid.upper()):
        raise Refused(*BAD_VALUE)
    return {"nic_userid": request.nic_userid.upper(), "nic_vdev": vdev}


def _flag(text: str | None) -> bool:
    if not text:
        return False
    if text.upper() not in _SWITCHED:
        raise Refused(*BAD_VALUE)
    return _SWITCHED[text.upper()]
