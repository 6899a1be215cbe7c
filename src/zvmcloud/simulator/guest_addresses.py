"""The network adapters that a running guest has brought online, and the addresses it has on them.

    at the IPL        all adapters there are come online, and the whole configuration is applied
    later             an adapter that CP adds is there, and no more: the guest brings it online (znetconf, chzdev),
                      then its interface up (ifup, nmcli, netplan, wicked); files alone change nothing

Names of interfaces: enc1000, enccw0.0.1000, eth1000, and enc600 for the adapter 0600.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from zvmcloud.images.netfiles import Network, layer_of
from zvmcloud.simulator import guest_memory, leases
from zvmcloud.simulator.model import Address, GuestSystem, Machine, Nic, Remembered
from zvmcloud.simulator.system import System

_INTERFACE = re.compile(r"(?:enccw[0-9a-f]\.[0-9a-f]\.|enc|eth)([0-9a-f]{1,4})(?:\.\d+)?", re.IGNORECASE)


def configured(system: System, machine: Machine, root: str) -> Iterator[Address]:
    """The addresses that a root file system configures for adapters of the machine."""
    memory = guest_memory.get(system, root)
    for network in guest_memory.networks(memory):
        found = _address(system, machine, memory, network)
        if found is not None:
            yield found


def named(machine: Machine, name: str) -> Nic | None:
    """The adapter whose interface has that name (a VLAN interface's is that of its parent)."""
    found = _INTERFACE.fullmatch(name)
    digits = found[1].upper().zfill(4) if found else name.upper()[-4:]
    return next((nic for nic in machine.nics if nic.vdev == digits), None)


def interface(address: Address) -> str:
    """The name of the interface that has an address: enc1000, enc1000.10 on a VLAN."""
    name = f"enc{address.vdev.lower().lstrip('0') or '0'}"
    return f"{name}.{address.vlan}" if address.vlan else name


def set_online(system: System, userid: str, vdev: str, *, online: bool) -> bool:
    """What znetconf does with an adapter; False when there is none of that number. Offline it has no address."""
    machine = system.machines[userid]
    if not any(nic.vdev == vdev for nic in machine.nics):
        return False
    running = _running(machine)
    if not online:
        running = running.without_adapter(vdev)
    elif vdev not in running.qeths:
        running = replace(running, qeths=(*running.qeths, vdev))
    system.machines.put(userid, replace(machine, system=running))
    return True


def bring_up(system: System, userid: str, vdev: str = "") -> bool:
    """Give an adapter that is online (or all of them) the addresses that are configured for it; False when there are
    none, or it is not online."""
    machine = system.machines[userid]
    running = _running(machine)
    mine = [item for item in running.qeths if vdev in ("", item)]
    new = [address for address in configured(system, machine, running.root) if address.vdev in mine]
    kept = [address for address in running.addresses if address.vdev not in mine]
    system.machines.put(userid, replace(machine, system=replace(running, addresses=(*kept, *new))))
    return bool(new)


def take_down(system: System, userid: str, vdev: str) -> None:
    """Take an adapter's addresses away; it stays online."""
    machine = system.machines[userid]
    running = _running(machine)
    kept = tuple(address for address in running.addresses if address.vdev != vdev)
    system.machines.put(userid, replace(machine, system=replace(running, addresses=kept)))


def _running(machine: Machine) -> GuestSystem:
    assert machine.system is not None, machine.userid  # noqa: S101 (its programs run)
    return machine.system


def _address(system: System, machine: Machine, memory: Remembered, network: Network) -> Address | None:
    """The address on the adapter that the network is meant for: by MAC, by the device number in its name, or the
    only adapter there is. A network without an address asks DHCP."""
    ip, _, prefix = network.address.partition("/")
    mac = network.mac.replace(":", "").replace("-", "").upper()
    nics = machine.nics
    chosen = next((nic for nic in nics if mac and nic.mac == mac), None)
    if chosen is None and not mac:
        chosen = named(machine, network.name) or (nics[0] if len(nics) == 1 else None)
    if chosen is None:
        return None
    layer = network.layer or _udev_layer(memory, chosen.vdev)
    if not ip:
        return leases.lease(system, machine, chosen, network.vlan, layer)
    return Address(chosen.vdev, chosen.mac, ip, int(prefix or "24"), network.vlan, network.gateway, layer)


def _udev_layer(memory: Remembered, vdev: str) -> int:
    """The layer in the udev rule of a qeth device, as SLES keeps it; 0 when there is none."""
    names = (f"/etc/udev/rules.d/{number}-qeth-0.0.{vdev.lower()}.rules" for number in (41, 51))
    return layer_of("".join(guest_memory.text(memory, name) or "" for name in names))
