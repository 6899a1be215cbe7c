"""DHCP: the address that a guest gets which asks for one while it boots or is configured again.

The server is outside, beside the routers of :mod:`guest_network` (judgement): it is reached through the uplink of a
VSWITCH, in any VLAN that the adapter's port may use. A guest LAN and a switch without uplink have none. Addresses are
of 198.18.0.0/15, which no network routes (RFC 2544). An adapter keeps its address as long as nobody else took it: it
follows from the MAC. A lease never ends while its guest runs.
"""

from __future__ import annotations

import hashlib
import ipaddress

from zvmcloud.simulator.guest_network import End, outside
from zvmcloud.simulator.model import Address, Machine, Nic
from zvmcloud.simulator.system import System

NETWORK = ipaddress.IPv4Network("198.18.0.0/15")
GATEWAY = str(NETWORK[1])
_FIRST, _COUNT = 2, NETWORK.num_addresses - 3
"""Leases begin behind the gateway and end before the broadcast address."""


def lease(system: System, machine: Machine, nic: Nic, vlan: int = 0, layer: int = 0) -> Address | None:
    """The address for an adapter; None when no server is reached."""
    wanted = Address(nic.vdev, nic.mac, GATEWAY, NETWORK.prefixlen, vlan, GATEWAY, layer)
    if not nic.lan_name or not outside(End(system, machine, nic, wanted)):
        return None
    used = {
        address.ip
        for member in (system, *system.peers)
        for other in member.machines.values()
        if other.system is not None
        for address in other.system.addresses
        if address.mac != nic.mac
    }
    digest = hashlib.sha256(f"{nic.mac} {vlan}".encode()).digest()
    start = int.from_bytes(digest[:4]) % _COUNT
    free = (str(NETWORK[_FIRST + (start + step) % _COUNT]) for step in range(len(used) + 1))
    ip = next(ip for ip in free if ip not in used)
    return Address(nic.vdev, nic.mac, ip, NETWORK.prefixlen, vlan, GATEWAY, layer)
