"""Which adapters reach each other: the same LAN, the same VLAN, and a way through the switch.

    ACCESS port   untagged frames belong to the port's VLAN; tagged ones are dropped
    TRUNK port    tagged frames pass when the port may use their VLAN; untagged ones belong to the native VLAN
    isolation     frames go between a port and the uplink only, not from port to port
    uplink        what is outside is reached while the switch has an uplink device that works
    layer         an adapter that its guest runs in layer 2 works on an ETHERNET LAN only, one in layer 3 on an IP LAN

A VLAN-unaware switch, a guest LAN and HiperSockets pass frames as they are: both ends must use the same tag. A port's
VLANs and type are those of its grant (USERBASED) or port number (PORTBASED); NICDEF ... VLAN ... PORTTYPE goes before.
Linux' qeth driver asks CP for the layer of a virtual adapter's LAN (DIAGNOSE X'26C') unless its configuration says
layer2=, so most guests fit. Outside, routers answer (the gateways that guests name), and the guests of other members
of the cluster (judgement).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from zvmcloud.simulator import guest_lans, network
from zvmcloud.simulator.model import Address, Grant, Machine, Nic, Vswitch
from zvmcloud.simulator.system import System


@dataclass(frozen=True, slots=True)
class End:
    """An address of a guest that is up, on the adapter that has it."""

    system: System
    machine: Machine
    nic: Nic
    address: Address


def layer_fits(system: System, nic: Nic, address: Address) -> bool:
    """Whether an address works in the layer of the LAN that its adapter is coupled to."""
    if not address.layer:
        return True
    lan = switch_of(system, nic) or system.guest_lans.get(guest_lans.key(nic.lan_owner or "SYSTEM", nic.lan_name))
    return lan is None or address.layer == (2 if lan.transport == "ETHERNET" else 3)


def ends(system: System, machine: Machine) -> Iterator[End]:
    """The addresses of a machine whose system is up, on adapters that are coupled and work in the LAN's layer."""
    running = machine.system
    if running is None or running.phase != "up" or machine.paused:
        return
    for address in running.addresses:
        nic = machine.device(address.vdev)
        if isinstance(nic, Nic) and nic.lan_name and layer_fits(system, nic, address):
            yield End(system, machine, nic, address)


def switch_of(system: System, nic: Nic) -> Vswitch | None:
    """The VSWITCH that an adapter is coupled to; None on a guest LAN or when it is not coupled."""
    if nic.lan_owner not in ("SYSTEM", "") or guest_lans.key("SYSTEM", nic.lan_name) in system.guest_lans:
        return None
    return system.vswitches.get(nic.lan_name)


def port_of(switch: Vswitch, userid: str, nic: Nic) -> tuple[str, tuple[str, ...]]:
    """Type and VLANs of the port of an adapter: its own, the grant's, the switch's default."""
    grant = switch.grant(userid) or Grant(userid)
    default = (switch.vlan,) if switch.vlan.isdecimal() else ()
    return nic.port_type or grant.port_type or switch.port_type or "ACCESS", nic.vlans or grant.vlans or default


def allowed(vlans: tuple[str, ...], vlan: int) -> bool:
    """Whether a VLAN is among ids and ranges ("10", "20-29")."""
    for item in vlans:
        low, _, high = item.partition("-")
        if int(low) <= vlan <= int(high or low):
            return True
    return False


def vlan_of(switch: Vswitch, userid: str, nic: Nic, tag: int) -> int | None:
    """The VLAN in which the switch sees frames of an adapter with that tag (0: untagged); None when it drops them."""
    if not switch.aware:
        return tag
    kind, vlans = port_of(switch, userid, nic)
    if kind == "ACCESS":
        return int(vlans[0].partition("-")[0]) if vlans and not tag else None
    vlan = tag or switch.native_vlan
    return vlan if allowed(vlans, vlan) else None


def pass_between(one: End, other: End) -> bool:
    """Whether frames go from one address to the other and back."""
    first, second = switch_of(one.system, one.nic), switch_of(other.system, other.nic)
    if first is None or second is None:
        same = one.system is other.system and network.lan_key(one.nic.lan_owner, one.nic.lan_name) == network.lan_key(
            other.nic.lan_owner, other.nic.lan_name
        )
        return first is None and second is None and same and one.address.vlan == other.address.vlan
    inside = one.system is other.system and first.name == second.name
    if not inside and not (network.uplink(one.system, first) and network.uplink(other.system, second)):
        return False
    if inside and first.isolation and one.nic != other.nic:
        return False
    vlan = vlan_of(first, one.machine.userid, one.nic, one.address.vlan)
    return vlan is not None and vlan == vlan_of(second, other.machine.userid, other.nic, other.address.vlan)


def outside(end: End) -> bool:
    """Whether frames of an address leave the system."""
    switch = switch_of(end.system, end.nic)
    if switch is None or not network.uplink(end.system, switch):
        return False
    return vlan_of(switch, end.machine.userid, end.nic, end.address.vlan) is not None


def reach(system: System, machine: Machine, target: str) -> End | bool:
    """Who answers at an address, as seen from a guest: a guest, True for a router outside, False for nobody."""
    try:
        wanted = ipaddress.ip_address(target)
    except ValueError:
        return False
    own = list(ends(system, machine))
    local = [end for end in own if wanted in ipaddress.ip_network(f"{end.address.ip}/{end.address.prefix}", False)]
    for member in (system, *system.peers):
        for other in _ends_with(member, str(wanted)):
            if other.machine.userid == machine.userid or any(pass_between(end, other) for end in local):
                return other
    return any(end.address.gateway == str(wanted) and outside(end) for end in local)


def dropped(system: System, machine: Machine, target: str) -> bool:
    """Whether a switch discards what a guest sends to an address that nobody answers at: its port may not use the
    VLAN, or isolation keeps it from another port. False when the frames arrive somewhere, or none is sent."""
    try:
        wanted = ipaddress.ip_address(target)
    except ValueError:
        return False
    for end in ends(system, machine):
        switch = switch_of(system, end.nic)
        if switch is None or wanted not in ipaddress.ip_network(f"{end.address.ip}/{end.address.prefix}", False):
            continue
        if vlan_of(switch, machine.userid, end.nic, end.address.vlan) is None:
            return True
        if switch.isolation and any(same_lan(end, other) for other in _ends_with(system, target)):
            return True
    return False


def same_lan(one: End, other: End) -> bool:
    """Whether frames between two adapters stay inside one switch or guest LAN."""
    key, other_key = ((end.system, network.lan_key(end.nic.lan_owner, end.nic.lan_name)) for end in (one, other))
    return key == other_key


def stays_inside(system: System, machine: Machine, other: End | bool) -> bool:
    """Whether frames from a guest to the one that answered (see `reach`) go through no uplink."""
    return isinstance(other, End) and any(same_lan(own, other) for own in ends(system, machine))


def _ends_with(system: System, ip: str) -> Iterator[End]:
    for userid in sorted(_with_address(system, ip)):
        yield from (end for end in ends(system, system.machines[userid]) if end.address.ip == ip)


def _with_address(system: System, ip: str) -> Iterator[str]:
    for userid, machine in system.machines.items():
        if machine.system is not None and any(address.ip == ip for address in machine.system.addresses):
            yield userid
