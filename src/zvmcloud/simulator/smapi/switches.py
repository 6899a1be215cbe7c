"""Virtual switches: create, change, grant and revoke, delete."""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import network, uplinks
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.model import Grant, Vswitch
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f

EXISTS = (212, 36)
MISSING = (212, 40)
BAD_KEY = (8, 3002)
BAD_VALUE = (8, 3003)
MAX_UPLINKS = 3


def find(call: Call, name: str) -> Vswitch:
    """A switch by name. Refused 212/40."""
    found = call.system.vswitches.get(targets.system_name(name))
    if found is None:
        raise Refused(*MISSING)
    return found


def _rdevs(text: str | None, bad: tuple[int, int]) -> tuple[str, ...]:
    """Uplink devices: NONE, or up to three numbers, each perhaps with a port (.P00)."""
    words = (text or "").upper().replace(",", " ").split()
    if not words or words == ["NONE"]:
        return ()
    found = [statements.vdev(word.partition(".")[0]) for word in words]
    if None in found or len(found) > MAX_UPLINKS:
        raise Refused(*bad)
    return tuple(word for word in found if word is not None)


def _vlan(text: str | None, bad: tuple[int, int]) -> str:
    text = (text or "UNAWARE").upper()
    if text == "UNAWARE":
        return ""
    if text == "AWARE":
        return "AWARE"
    if not text.isdecimal() or not 1 <= int(text) <= network.MAX_VLAN:
        raise Refused(*bad)
    return str(int(text))


def _one_of(text: str | None, choices: dict[str, str], default: str) -> str:
    """The value whose shortest form the text extends: choices maps a minimal abbreviation to the full word."""
    if not text:
        return default
    for shortest, full in choices.items():
        if text.upper().startswith(shortest) and full.startswith(text.upper()):
            return full
    raise Refused(*BAD_VALUE)


def _take_uplinks(system: System, switch: Vswitch) -> None:
    """The controller gets the uplink devices that are free."""
    for rdev in switch.rdevs:
        osa = system.osas.get(rdev)
        if osa is not None and not osa.owner:
            system.osas.put(rdev, replace(osa, owner=network.controller_of(switch)))


def _create(call: Call, switch: Vswitch) -> None:
    if switch.name in call.system.vswitches:
        raise Refused(*EXISTS)
    if not statements.is_userid(switch.name):
        raise CpRefused(messages.LAN_INVALID, name=switch.name)
    call.system.vswitches.put(switch.name, switch)
    _take_uplinks(call.system, switch)


@handles(f.VirtualNetworkVswitchCreateExtended, authority="recorded")
def virtual_network_vswitch_create_extended(call: Call, request: f.VirtualNetworkVswitchCreateExtended) -> Done:
    name = targets.system_name(request.switch_name)
    if name in call.system.vswitches:
        raise Refused(*EXISTS)
    vlan = _vlan(request.vlan_id, BAD_VALUE)
    if not vlan and (
        request.native_vlanid or _upper(request.gvrp_value) == "GVRP" or _upper(request.port_type) == "TRUNK"
    ):
        raise Refused(*BAD_KEY)
    connection = _one_of(
        request.connection_value, {"CON": "CONNECT", "DISCON": "DISCONNECT", "NOUPLINK": "NOUPLINK"}, "CONNECT"
    )
    transport = _one_of(request.transport_type, {"IP": "IP", "ETH": "ETHERNET"}, "IP")
    routing = _one_of(request.routing_value, {"NON": "NONROUTER", "PRI": "PRIROUTER"}, "NONROUTER")
    switch = Vswitch(
        name,
        network.new_mac(call.system),
        transport,
        _one_of(request.port_type, {"ACCESS": "ACCESS", "TRUNK": "TRUNK"}, "ACCESS" if vlan else ""),
        _number(request.queue_memory_limit, 1, 8, 8),
        routing if transport == "IP" else "",
        vlan,
        _number(request.native_vlanid, 1, network.MAX_VLAN, 1),
        _upper(request.gvrp_value) == "GVRP",
        (request.controller_name or "*").upper(),
        connection == "CONNECT",
        () if connection == "NOUPLINK" else _rdevs(request.real_device_address, BAD_VALUE),
        tuple((request.port_name or "").upper().split()),
        persistent=_upper(request.persist) == "YES",
        ip_timeout=_number(request.iptimeout, 1, 240, 5),
        switch_type=_one_of(
            request.vswitch_type, {"QDIO": "QDIO", "IEDN": "IEDN", "INMN": "INMN", "IVL": "IVL"}, "QDIO"
        ),
        user_based=_one_of(request.port_selection, {"PORT": "PORTBASED", "USER": "USERBASED"}, "USERBASED")
        == "USERBASED",
        group=(request.group_name or "").upper(),
    )
    _create(call, switch)
    return Done()


def _upper(text: str | None) -> str:
    return (text or "").upper()


def _number(text: str | None, low: int, high: int, default: int) -> int:
    if not text:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        raise Refused(*BAD_VALUE)
    return int(text)


@handles(
    f.VirtualNetworkVswitchCreate,
    authority="recorded",
    missing="the configuration files are not changed; the switch survives a restart of the simulator either way",
)
def virtual_network_vswitch_create(call: Call, request: f.VirtualNetworkVswitchCreate) -> Done:
    name = targets.system_name(request.switch_name)
    if name in call.system.vswitches:
        raise Refused(*EXISTS)
    transport = "ETHERNET" if request.transport_type == 2 else "IP"
    vlan = "" if request.vlan_id <= 0 else str(request.vlan_id)
    switch = Vswitch(
        name,
        network.new_mac(call.system),
        transport,
        ("TRUNK" if request.port_type == 2 else "ACCESS") if vlan else "",
        request.queue_memory_limit or 8,
        ("PRIROUTER" if request.routing_value == 2 else "NONROUTER") if transport == "IP" else "",
        vlan,
        max(request.native_vlanid, 1),
        request.gvrp_value == 1,
        (request.controller_name or "*").upper(),
        request.connection_value != 2,
        _rdevs(request.real_device_address, (24, 619)),
        tuple(request.port_name.upper().split()),
        persistent=request.update_system_config_indicator in (2, 3),
    )
    _create(call, switch)
    return Done()


@handles(f.VirtualNetworkVswitchDelete, authority="clients")
def virtual_network_vswitch_delete(call: Call, request: f.VirtualNetworkVswitchDelete) -> Done:
    network.delete(call.system, find(call, request.switch_name))
    return Done()


@handles(f.VirtualNetworkVswitchDeleteExtended, authority="clients")
def virtual_network_vswitch_delete_extended(call: Call, request: f.VirtualNetworkVswitchDeleteExtended) -> Done:
    network.delete(call.system, find(call, request.switch_name))
    return Done()


@handles(f.VirtualNetworkVswitchSet, authority="clients", missing="the configuration files are not changed")
def virtual_network_vswitch_set(call: Call, request: f.VirtualNetworkVswitchSet) -> Done:
    switch = find(call, request.switch_name)
    port_type = {1: "ACCESS", 2: "TRUNK"}.get(request.port_type, "")
    if request.grant_userid:
        switch = _grant(call, switch, request.grant_userid, request.user_vlan_id, port_type, promiscuous=False)
    if request.revoke_userid:
        switch = network.revoke(call.system, switch, request.revoke_userid.upper())
    values: dict[str, object] = {}
    if request.real_device_address:
        values["rdevs"] = _rdevs(request.real_device_address, (24, 919))
    if request.controller_name:
        values["controller"] = request.controller_name.upper()
    if request.connection_value:
        values["connected"] = request.connection_value == 1
    if request.queue_memory_limit > 0:
        values["queue_memory"] = request.queue_memory_limit
    if request.routing_value:
        values["routing"] = "PRIROUTER" if request.routing_value == 2 else "NONROUTER"
    if request.gvrp_value:
        values["gvrp"] = request.gvrp_value == 1
    if request.mac_id:
        values["mac"] = network.new_mac(call.system, request.mac_id.upper())
    _update(call, switch, values)
    return Done()


def _update(call: Call, switch: Vswitch, values: dict[str, object]) -> Vswitch:
    if not values:
        return switch
    changed = replace(switch, **values)  # type: ignore[arg-type]
    with uplinks.watched(call.system, switch.name):
        call.system.vswitches.put(switch.name, changed)
        _take_uplinks(call.system, changed)
    return changed


def _grant(
    call: Call, switch: Vswitch, userid: str, vlans: str | None, port_type: str, *, promiscuous: bool
) -> Vswitch:
    """Authorise a userid, or change what it is authorised for. Refused 396/2846 for VLANs on an unaware switch."""
    userid = userid.upper()
    if not statements.is_userid(userid):
        raise Refused(*BAD_VALUE)
    wanted: tuple[str, ...] = ()
    if vlans:
        if not switch.aware:
            raise CpRefused(messages.VSWITCH_NOT_VLAN_AWARE, name=switch.name)
        if not network.vlan_ok(vlans):
            raise Refused(*BAD_VALUE)
        wanted = tuple(vlans.replace(",", " ").split())
    return network.grant(call.system, switch, Grant(userid, wanted, port_type, promiscuous))


_SWITCHED = {"ON": True, "YES": True, "OFF": False, "NO": False}


@handles(
    f.VirtualNetworkVswitchSetExtended,
    authority="recorded",
    missing="trace size, IVL, OSD simulation and lists of ports of a VLAN are accepted and not kept",
)
def virtual_network_vswitch_set_extended(call: Call, request: f.VirtualNetworkVswitchSetExtended) -> Done:
    switch = find(call, request.switch_name)
    promiscuous = _flag(request.promiscuous)
    port_type = _one_of(request.port_type, {"ACCESS": "ACCESS", "TRUNK": "TRUNK"}, "")
    if request.portnum:
        number, _, userid = request.portnum.partition(" ")
        if not number.isdecimal() or not 1 <= int(number) <= 2048:
            raise Refused(*BAD_VALUE)
        if userid:
            switch = _grant(call, switch, userid.strip(), request.user_vlan_id, port_type, promiscuous=promiscuous)
            owner = switch.grant(userid.strip().upper())
            if owner is not None:
                switch = network.grant(call.system, switch, replace(owner, port=int(number)))
    elif request.grant_userid:
        switch = _grant(call, switch, request.grant_userid, request.user_vlan_id, port_type, promiscuous=promiscuous)
    elif request.user_vlan_id and not request.vlan_port_add:
        raise Refused(*BAD_KEY)
    if request.vlan_delete and switch.user_based:
        raise Refused(*BAD_KEY)
    if request.revoke_userid:
        switch = network.revoke(call.system, switch, request.revoke_userid.upper())
    values: dict[str, object] = {}
    if request.real_device_address:
        values["rdevs"] = _rdevs(request.real_device_address, BAD_VALUE)
    if request.group_rdev:
        values["rdevs"] = _rdevs(request.group_rdev, BAD_VALUE)
    if request.controller_name:
        values["controller"] = request.controller_name.upper()
    if request.connection_value:
        connection = _one_of(request.connection_value, {"CON": "CONNECT", "DISCON": "DISCONNECT"}, "")
        values["connected"] = connection == "CONNECT"
    if request.queue_memory_limit:
        values["queue_memory"] = _number(request.queue_memory_limit, 1, 8, 8)
    if request.routing_value:
        values["routing"] = _one_of(request.routing_value, {"NON": "NONROUTER", "PRI": "PRIROUTER"}, "")
    if request.port_type and not (request.grant_userid or request.portnum):
        values["port_type"] = port_type
    if request.gvrp_value:
        values["gvrp"] = _upper(request.gvrp_value) == "GVRP"
    if request.mac_id:
        values["mac"] = network.new_mac(call.system, request.mac_id.upper())
    if request.iptimeout:
        values["ip_timeout"] = _number(request.iptimeout, 1, 240, 5)
    if request.port_isolation:
        values["isolation"] = _flag(request.port_isolation)
    if request.MAC_protect:
        values["mac_protect"] = _upper(request.MAC_protect)
    if request.VLAN_counters:
        values["counters"] = _flag(request.VLAN_counters)
    if request.vepa:
        values["vepa"] = _flag(request.vepa)
    if request.lacp:
        values["lacp"] = _upper(request.lacp)
    if request.interval:
        values["interval"] = _upper(request.interval)
    if request.persist:
        values["persistent"] = _upper(request.persist) == "YES" or switch.persistent
    _update(call, switch, values)
    return Done()


def _flag(text: str | None) -> bool:
    if not text:
        return False
    if text.upper() not in _SWITCHED:
        raise Refused(*BAD_VALUE)
    return _SWITCHED[text.upper()]
