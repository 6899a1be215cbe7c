"""Virtual switches: create, change, grant and revoke, delete."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import network, switch_config, system_config, uplinks
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


def rdevs(text: str | None, bad: tuple[int, int]) -> tuple[str, ...]:
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


def one_of(text: str | None, choices: dict[str, str], default: str) -> str:
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
        request.native_vlanid or upper(request.gvrp_value) == "GVRP" or upper(request.port_type) == "TRUNK"
    ):
        raise Refused(*BAD_KEY)
    connection = one_of(
        request.connection_value, {"CON": "CONNECT", "DISCON": "DISCONNECT", "NOUPLINK": "NOUPLINK"}, "CONNECT"
    )
    transport = one_of(request.transport_type, {"IP": "IP", "ETH": "ETHERNET"}, "IP")
    kind = one_of(request.vswitch_type, {"QDIO": "QDIO", "IEDN": "IEDN", "INMN": "INMN", "IVL": "IVL"}, "QDIO")
    domain = upper(request.vswitch_domain)
    if domain and kind != "IVL":
        raise Refused(*BAD_KEY)
    if domain not in network.IVL_DOMAINS and domain:
        raise Refused(*BAD_VALUE)
    routing = one_of(request.routing_value, {"NON": "NONROUTER", "PRI": "PRIROUTER"}, "NONROUTER")
    switch = Vswitch(
        name,
        network.new_mac(call.system),
        transport,
        one_of(request.port_type, {"ACCESS": "ACCESS", "TRUNK": "TRUNK"}, "ACCESS" if vlan else ""),
        number(request.queue_memory_limit, 1, 8, 8),
        routing if transport == "IP" else "",
        vlan,
        number(request.native_vlanid, 1, network.MAX_VLAN, 1),
        upper(request.gvrp_value) == "GVRP",
        (request.controller_name or "*").upper(),
        connection == "CONNECT",
        () if connection == "NOUPLINK" else rdevs(request.real_device_address, BAD_VALUE),
        tuple((request.port_name or "").upper().split()),
        persistent=upper(request.persist) == "YES",
        ip_timeout=number(request.iptimeout, 1, 240, 5),
        switch_type=kind,
        user_based=one_of(request.port_selection, {"PORT": "PORTBASED", "USER": "USERBASED"}, "USERBASED")
        == "USERBASED",
        group=(request.group_name or "").upper(),
        ivl_domain=domain or ("A" if kind == "IVL" else ""),
        scope=one_of(request.vswitch_global, {"LOCAL": "LOCAL", "GLOBAL": "GLOBAL", "DOMAIN": "DOMAIN"}, "LOCAL"),
    )
    _create(call, switch)
    keep_in_config(call, switch, request.persist)
    return Done()


def keep_in_config(call: Call, switch: Vswitch, persist: str | None, *, gone: bool = False) -> None:
    """PERSIST=YES: the default configuration file says the same. Refused 8/24 when its disk is missing."""
    if upper(persist) != "YES":
        return
    file = system_config.default_file(call.system, 8)
    switch_config.rewrite(call.system, file, switch.name, None if gone else switch)


def upper(text: str | None) -> str:
    return (text or "").upper()


def number(text: str | None, low: int, high: int, default: int) -> int:
    if not text:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        raise Refused(*BAD_VALUE)
    return int(text)


#: update_system_config_indicator: where a change is made.
ACTIVE, BOTH, CONFIG_ONLY = 1, 2, 3
#: Several statements went from the configuration.
SEVERAL = 66


def _where(indicator: int) -> tuple[bool, bool]:
    """Whether the running system is changed, and the configuration files. Refused 24/1619 for another value."""
    if indicator not in (0, ACTIVE, BOTH, CONFIG_ONLY):
        raise Refused(24, 1619)
    return indicator != CONFIG_ONLY, indicator in (BOTH, CONFIG_ONLY)


@handles(f.VirtualNetworkVswitchCreate, authority="recorded")
def virtual_network_vswitch_create(call: Call, request: f.VirtualNetworkVswitchCreate) -> Done:
    """On the running system, in its configuration files, or both; what is refused for one is done to neither."""
    active, config = _where(request.update_system_config_indicator)
    name = targets.system_name(request.switch_name)
    if active and name in call.system.vswitches:
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
        rdevs(request.real_device_address, (24, 619)),
        tuple(request.port_name.upper().split()),
        persistent=config,
    )
    if active:
        _create(call, switch)
    if config:
        switch_config.add(call.system, system_config.both(call.system, switch_config.CONFIG, request), switch)
    return Done()


@handles(f.VirtualNetworkVswitchDelete, authority="clients")
def virtual_network_vswitch_delete(call: Call, request: f.VirtualNetworkVswitchDelete) -> Done:
    """0/66 when more than one statement went from the configuration."""
    active, config = _where(request.update_system_config_indicator)
    gone = 0
    if active:
        network.delete(call.system, find(call, request.switch_name))
    if config:
        files = system_config.both(call.system, switch_config.CONFIG, request)
        gone = switch_config.remove(call.system, files, targets.system_name(request.switch_name))
    return Done(rs=SEVERAL if gone > 1 else 0)


@handles(f.VirtualNetworkVswitchDeleteExtended, authority="clients")
def virtual_network_vswitch_delete_extended(call: Call, request: f.VirtualNetworkVswitchDeleteExtended) -> Done:
    switch = find(call, request.switch_name)
    network.delete(call.system, switch)
    keep_in_config(call, switch, request.persist, gone=True)
    return Done()


@handles(f.VirtualNetworkVswitchSet, authority="clients")
def virtual_network_vswitch_set(call: Call, request: f.VirtualNetworkVswitchSet) -> Done:
    """A change of the configuration alone is made to the switch as it is defined now."""
    active, config = _where(request.update_system_config_indicator)
    changed = []
    with suppress(_OnlyTried), call.system.store.savepoint():
        _set(call, request)
        changed.append(find(call, request.switch_name))
        if not active:
            raise _OnlyTried
    if config:
        files = system_config.both(call.system, switch_config.CONFIG, request)
        switch_config.change(call.system, files, changed[0])
    return Done()


class _OnlyTried(Exception):
    """Takes back what is not wanted on the running system."""


def _set(call: Call, request: f.VirtualNetworkVswitchSet) -> None:
    switch = find(call, request.switch_name)
    port_type = {1: "ACCESS", 2: "TRUNK"}.get(request.port_type, "")
    if request.grant_userid:
        switch = grant(call, switch, request.grant_userid, request.user_vlan_id, port_type, promiscuous=False)
    if request.revoke_userid:
        switch = network.revoke(call.system, switch, request.revoke_userid.upper())
    values: dict[str, object] = {}
    if request.real_device_address:
        values["rdevs"] = rdevs(request.real_device_address, (24, 919))
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
    update(call, switch, values)


def update(call: Call, switch: Vswitch, values: dict[str, object]) -> Vswitch:
    if not values:
        return switch
    changed = replace(switch, **values)  # type: ignore[arg-type]
    with uplinks.watched(call.system, switch.name):
        call.system.vswitches.put(switch.name, changed)
        _take_uplinks(call.system, changed)
    return changed


def grant(call: Call, switch: Vswitch, userid: str, vlans: str | None, port_type: str, *, promiscuous: bool) -> Vswitch:
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
