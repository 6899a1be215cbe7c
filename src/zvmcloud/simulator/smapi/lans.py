"""Guest LANs: define, remove, let userids in, show."""

from __future__ import annotations

from zvmcloud.directory import statements
from zvmcloud.simulator import guest_lans, network
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import Grant, Nic
from zvmcloud.simulator.model_devices import GuestLan
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

CREATED = 20
MISSING, OTHER_OWNER, OWNER_OFF, DIFFERS = (212, 12), (212, 16), (212, 20), (212, 24)
UNRESTRICTED, NOBODY = (4, 5), (4, 6)
BAD_USER, BAD_OPERATION, BAD_PROMISCUITY, BAD_LAN = (8, 2), (8, 3), (8, 4), (8, 2783)
BAD_PARAMETER = (8, 2795)


def _find(call: Call, owner: str, name: str) -> GuestLan:
    """A guest LAN. Refused 212/12 without any of that name, 212/16 when only others have one."""
    found = call.system.guest_lans.get(guest_lans.key(owner, name))
    if found is None:
        raise Refused(*(OTHER_OWNER if guest_lans.named(call.system, name) else MISSING))
    return found


@handles(f.VirtualNetworkLANCreate, authority="recorded")
def virtual_network_lan_create(call: Call, request: f.VirtualNetworkLANCreate) -> Done:
    """0/20 for a new LAN; recorded: 0/0 when one (or a VSWITCH of SYSTEM) with these attributes is there already."""
    name, owner = targets.system_name(request.lan_name), targets.system_name(request.lan_owner)
    if request.lan_type not in (1, 2, 3, 4):
        raise Refused(24, 719)
    if request.transport_type not in (0, 1, 2):
        raise Refused(24, 819)
    kind = "QDIO" if request.lan_type in (2, 4) else "HIPERS"
    transport = "ETHERNET" if request.transport_type == 2 else "IP"
    if kind == "HIPERS" and transport == "ETHERNET":
        raise Refused(24, 823)
    restricted = request.lan_type in (3, 4)
    wanted = GuestLan(owner, name, kind, restricted, transport)
    switch = call.system.vswitches.get(name) if owner == "SYSTEM" else None
    if switch is not None:
        if kind != "QDIO" or switch.transport != transport:
            raise Refused(*DIFFERS)
        return Done()
    found = call.system.guest_lans.get(guest_lans.key(owner, name))
    if found is not None:
        if (found.kind, found.restricted, found.transport) != (kind, restricted, transport):
            raise Refused(*DIFFERS)
        return Done()
    if owner != "SYSTEM" and owner not in call.system.machines:
        raise Refused(*OWNER_OFF)
    guest_lans.create(call.system, wanted)
    return Done(rs=CREATED)


@handles(f.VirtualNetworkLANDelete, authority="recorded")
def virtual_network_lan_delete(call: Call, request: f.VirtualNetworkLANDelete) -> Done:
    """judgement: a VSWITCH of that name is deleted too, as it is a LAN of SYSTEM."""
    name, owner = targets.system_name(request.lan_name), targets.system_name(request.lan_owner)
    switch = call.system.vswitches.get(name) if owner == "SYSTEM" else None
    if switch is not None:
        network.delete(call.system, switch)
        return Done()
    found = call.system.guest_lans.get(guest_lans.key(owner, name))
    if found is None:
        raise Refused(*MISSING)
    guest_lans.delete(call.system, found)
    return Done()


@handles(f.VirtualNetworkLANAccess, authority="recorded")
def virtual_network_lan_access(call: Call, request: f.VirtualNetworkLANAccess) -> Done:
    """Let a userid in or shut it out; recorded with a VSWITCH of SYSTEM, whose grants these are."""
    name, owner = targets.system_name(request.lan_name), targets.system_name(request.lan_owner)
    userid, operation = request.access_user.upper(), request.access_op.upper()
    if not statements.is_userid(userid):
        raise Refused(*BAD_USER)
    if operation not in ("GRANT", "REVOKE"):
        raise Refused(*BAD_OPERATION)
    promiscuity = request.promiscuity.upper()
    if promiscuity not in ("PROMISCUOUS", "NONPROMISCUOUS"):
        raise Refused(*BAD_PROMISCUITY)
    new = Grant(userid, promiscuous=promiscuity == "PROMISCUOUS")
    switch = call.system.vswitches.get(name) if owner == "SYSTEM" else None
    if switch is not None:
        if operation == "GRANT":
            network.grant(call.system, switch, new)
        else:
            network.revoke(call.system, switch, userid)
        return Done()
    lan = call.system.guest_lans.get(guest_lans.key(owner, name))
    if lan is None:
        raise Refused(*BAD_LAN)
    if not lan.restricted:
        # An open LAN has no list.
        raise Refused(*BAD_PARAMETER)
    if operation == "GRANT":
        guest_lans.grant(call.system, lan, new)
    else:
        guest_lans.revoke(call.system, lan, userid)
    return Done()


@handles(f.VirtualNetworkLANAccessQuery, authority="recorded")
def virtual_network_lan_access_query(call: Call, request: f.VirtualNetworkLANAccessQuery) -> Done:
    name, owner = targets.system_name(request.lan_name), targets.system_name(request.lan_owner)
    switch = call.system.vswitches.get(name) if owner == "SYSTEM" else None
    if switch is not None:
        grants = switch.grants
    else:
        lan = _find(call, owner, name)
        if not lan.restricted:
            raise Refused(*UNRESTRICTED)
        grants = lan.grants
    if not grants:
        raise Refused(*NOBODY)
    array = tuple(f"{grant.userid:<8} {'PROMISCUOUS' if grant.promiscuous else 'NONPROMISCUOUS'}" for grant in grants)
    return Done(f.VirtualNetworkLANAccessQueryReply(authorized_users_array=array))


@handles(f.VirtualNetworkLANQuery, authority="recorded")
def virtual_network_lan_query(call: Call, request: f.VirtualNetworkLANQuery) -> Done:
    """VSWITCHes are LANs of SYSTEM and are shown too. judgement: an asterisk as name asks for every LAN."""
    name, owner = targets.system_name(request.lan_name), targets.system_name(request.lan_owner)
    lans = [
        lan
        for lan in sorted(call.system.guest_lans.values(), key=lambda item: (item.owner, item.name))
        if name in ("*", lan.name) and owner in ("*", lan.owner)
    ]
    array = [
        _described(lan.name, lan.owner, 2 if lan.kind == "QDIO" else 1, guest_lans.adapters(call.system, lan))
        for lan in lans
    ]
    if owner in ("*", "SYSTEM"):
        array += [
            _described(switch.name, "SYSTEM", 2, network.adapters(call.system, switch))
            for switch in call.system.vswitches.values()
            if name in ("*", switch.name)
        ]
    if not array:
        known = guest_lans.named(call.system, name) or name in call.system.vswitches
        raise Refused(*(OTHER_OWNER if known else MISSING))
    return Done(f.VirtualNetworkLANQueryReply(lan_info_array=tuple(array)))


def _described(name: str, owner: str, kind: int, adapters: list[tuple[str, Nic]]) -> f.GuestLan:
    return f.GuestLan(
        lan_name=name.ljust(8),
        lan_owner=owner.ljust(8),
        lan_type=kind,
        connected_adapter_array=tuple(
            f.GuestLanAdapter(adapter_owner=userid.ljust(8), image_device_number=nic.vdev) for userid, nic in adapters
        ),
    )


@handles(f.VirtualNetworkQueryLAN, authority="judgement")
def virtual_network_query_lan(call: Call, _request: f.VirtualNetworkQueryLAN) -> Done:
    """judgement: an item for each guest LAN and VSWITCH: owner, name, type, connections, restriction."""
    items = [
        f"{lan.owner} {lan.name} {lan.kind} {len(guest_lans.adapters(call.system, lan))} "
        f"{'RESTRICTED' if lan.restricted else 'UNRESTRICTED'}"
        for lan in sorted(call.system.guest_lans.values(), key=lambda item: (item.owner, item.name))
    ]
    items += [
        f"SYSTEM {switch.name} {switch.switch_type} {len(network.adapters(call.system, switch))} RESTRICTED"
        for switch in sorted(call.system.vswitches.values(), key=lambda item: item.name)
    ]
    return Done(f.VirtualNetworkQueryLANReply(lan_list=tuple(items)))


@handles(f.VirtualNetworkQueryOSA, authority="judgement")
def virtual_network_query_osa(call: Call, _request: f.VirtualNetworkQueryOSA) -> Done:
    """judgement: the words of Virtual_Network_OSA_Query, one item a device."""
    items = tuple(network.osa_item(call.system, rdev) for rdev in sorted(call.system.osas))
    if not items:
        raise Refused(4, 4)
    return Done(f.VirtualNetworkQueryOSAReply(osa_list=items))
