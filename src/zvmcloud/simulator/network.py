"""Virtual networks: VSWITCHes, who may couple to them, adapters of virtual machines, MAC addresses.

A MAC address is the system's prefix of six digits and six more: those of the NICDEF statement, or the next free.
"""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Grant, Machine, Nic, Vswitch
from zvmcloud.simulator.system import System

MAX_VLAN = 4094
#: Letters of the domains of inter-VSWITCH link switches.
IVL_DOMAINS = tuple("ABCDEFGH")


def new_mac(system: System, mac_id: str = "") -> str:
    """A MAC address of twelve digits with the system's prefix, or with that of users when its end is given."""
    if mac_id:
        return f"{system.facts.user_prefix or system.facts.mac_prefix}{mac_id}"
    return f"{system.facts.mac_prefix}{system.next_number('mac'):06X}"


def mac_text(mac: str) -> str:
    """02-00-00-12-34-56"""
    return "-".join(mac[at : at + 2] for at in range(0, 12, 2))


def find(system: System, name: str) -> Vswitch:
    """A VSWITCH by name. CpRefused when there is none."""
    found = system.vswitches.get(name.upper())
    if found is None:
        raise CpRefused(messages.VSWITCH_MISSING, name=name.upper())
    return found


def define_nic(system: System, userid: str, nic: Nic) -> Nic:
    """Give a machine that is logged on an adapter. CpRefused when an address it takes is in use."""
    machine = _machine(system, userid)
    used = addresses_in_use(machine)
    first = int(nic.vdev, 16)
    for address in range(first, first + nic.devices):
        if f"{address:04X}" in used:
            raise CpRefused(messages.VDEV_IN_USE, kind="NIC", vdev=f"{address:04X}")
    system.machines.put(userid, replace(machine, devices=(*machine.devices, nic)))
    return nic


def addresses_in_use(machine: Machine) -> set[str]:
    """Every virtual device number of a machine; an adapter takes as many as it has devices."""
    used = set()
    for device in machine.devices:
        count = device.devices if isinstance(device, Nic) else 1
        used |= {f"{int(device.vdev, 16) + number:04X}" for number in range(count)}
    return used


def nic(system: System, userid: str, vdev: str) -> Nic:
    """An adapter of a machine that is logged on. CpRefused when there is none."""
    device = _machine(system, userid).device(vdev)
    if not isinstance(device, Nic):
        raise CpRefused(messages.DEVICE_MISSING, vdev=vdev)
    return device


def detach_nic(system: System, userid: str, vdev: str) -> Nic:
    """Take an adapter away."""
    found = nic(system, userid, vdev)
    machine = _machine(system, userid)
    running = machine.system.without_adapter(vdev) if machine.system is not None else None
    devices = tuple(item for item in machine.devices if item != found)
    system.machines.put(userid, replace(machine, devices=devices, system=running))
    return found


def couple(system: System, userid: str, vdev: str, switch_name: str, port: int = 0) -> Nic:
    """Connect an adapter to a VSWITCH. CpRefused: no switch (2788), not authorised (6011)."""
    found = nic(system, userid, vdev)
    switch = find(system, switch_name)
    if not authorised(switch, userid):
        raise CpRefused(messages.NIC_NOT_AUTHORIZED, userid=userid, name=switch.name)
    return replace_nic(system, userid, replace(found, lan_owner="SYSTEM", lan_name=switch.name, port=port))


def uncouple(system: System, userid: str, vdev: str) -> Nic:
    """Disconnect an adapter."""
    return replace_nic(system, userid, replace(nic(system, userid, vdev), lan_owner="", lan_name="", port=0))


def lan_key(owner: str, name: str) -> str:
    """The key of a LAN in `system.coupled`: LANs of SYSTEM and VSWITCHes go by their name alone."""
    return name if owner in ("SYSTEM", "") else f"{owner}.{name}"


def authorised(switch: Vswitch, userid: str) -> bool:
    """Whether a userid may couple: it has a grant. The owner of a port of a PORTBASED switch has one too."""
    return switch.grant(userid) is not None


def replace_nic(system: System, userid: str, changed: Nic) -> Nic:
    machine = _machine(system, userid)
    devices = tuple(
        changed if isinstance(item, Nic) and item.vdev == changed.vdev else item for item in machine.devices
    )
    system.machines.put(userid, replace(machine, devices=devices))
    return changed


def _machine(system: System, userid: str) -> Machine:
    machine = system.machines.get(userid)
    if machine is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=userid)
    return machine


def grant(system: System, switch: Vswitch, new: Grant) -> Vswitch:
    """Add or replace a userid's grant."""
    kept = tuple(item for item in switch.grants if item.userid != new.userid)
    changed = replace(switch, grants=(*kept, new))
    system.vswitches.put(switch.name, changed)
    return changed


def revoke(system: System, switch: Vswitch, userid: str) -> Vswitch:
    """Take a grant away; an adapter that is coupled is uncoupled."""
    changed = replace(switch, grants=tuple(item for item in switch.grants if item.userid != userid))
    system.vswitches.put(switch.name, changed)
    for owner, vdev in sorted(system.coupled.get(switch.name, ())):
        if owner == userid:
            uncouple(system, owner, vdev)
    return changed


def change_vlan(system: System, switch: Vswitch, vlan: int, action: str, ports: frozenset[int] = frozenset()) -> None:
    """ADD ports to a VLAN of a PORTBASED switch, REMOVE some, or DELETE the VLAN.

    CpRefused: not PORTBASED, VLAN unaware, a port that is not defined; for REMOVE a port that the VLAN does not have,
    3040 (the number is recorded, its text is judgement).
    """
    text = str(vlan)
    owners = [item for item in switch.grants if item.port]
    if action == "REMOVE":
        inside = {item.port for item in owners if text in item.vlans}
        for port in sorted(ports - inside):
            raise CpRefused(messages.VLAN_PORT_MISSING, port=port, vlan=text, name=switch.name)
    if switch.user_based:
        raise CpRefused(messages.NOT_PORTBASED, name=switch.name)
    if not switch.aware:
        raise CpRefused(messages.VSWITCH_NOT_VLAN_AWARE, name=switch.name)
    if action == "ADD":
        for port in sorted(ports - {item.port for item in owners}):
            raise CpRefused(messages.PORT_MISSING, port=port, name=switch.name)
    for item in owners:
        if action != "DELETE" and item.port not in ports:
            continue
        kept = tuple(one for one in item.vlans if one != text)
        grant(system, find(system, switch.name), replace(item, vlans=(*kept, text) if action == "ADD" else kept))


def delete(system: System, switch: Vswitch) -> None:
    """Remove a switch: its adapters are uncoupled, its OSA devices are free again."""
    for owner, vdev in sorted(system.coupled.get(switch.name, ())):
        uncouple(system, owner, vdev)
    for rdev in switch.rdevs:
        osa = system.osas.get(rdev)
        if osa is not None and osa.owner == controller_of(switch):
            system.osas.put(rdev, replace(osa, owner=""))
    for counted in [item for item in system.uplinks if item.startswith(f"{switch.name} ")]:
        system.uplinks.remove(counted)
    system.vswitches.remove(switch.name)


def controller_of(switch: Vswitch) -> str:
    """The controller machine that has the uplink."""
    return switch.controller if switch.controller not in ("", "*") else "DTCVSW1"


def adapters(system: System, switch: Vswitch) -> list[tuple[str, Nic]]:
    """The adapters that are coupled to a switch, as owner and adapter."""
    found = []
    for userid, vdev in sorted(system.coupled.get(switch.name, ())):
        machine = system.machines.get(userid)
        device = machine.device(vdev) if machine else None
        if isinstance(device, Nic):
            found.append((userid, device))
    return found


def osa_item(system: System, rdev: str) -> str:
    """An OSA device as SMAPI shows it: "0500 ATTACHEDDTCVSW3 OSA 05 NO"; ATTACHED and the userid run together."""
    osa = system.osas[rdev]
    used = f"ATTACHED{osa.owner}" if osa.owner else "FREE"
    status = used if works(system, rdev) else "OFFLINE"
    return f"{osa.rdev} {status} {osa.kind} {osa.chpid} NO"


def works(system: System, rdev: str) -> bool:
    """Whether an uplink device exists, is online, and its channel path too."""
    osa = system.osas.get(rdev)
    if osa is None or not osa.online:
        return False
    path = system.channel_paths.get(osa.chpid)
    return path is None or path.online


def uplink(system: System, switch: Vswitch) -> str:
    """The real device that is the uplink: the first of the switch's that works; empty when none does."""
    if not switch.connected:
        return ""
    return next((rdev for rdev in switch.rdevs if works(system, rdev)), "")


def status(system: System, switch: Vswitch) -> int:
    """1 defined (no uplink wanted), 4 disconnected, 8 devices ready, 5 waiting for devices."""
    if not switch.rdevs:
        return 1
    if not switch.connected:
        return 4
    return 8 if uplink(system, switch) else 5


def vlan_ok(text: str) -> bool:
    """Whether the text is VLAN ids or ranges, 1 to 4094, separated by blanks or commas."""
    for part in text.replace(",", " ").split():
        low, _, high = part.partition("-")
        if not low.isdecimal() or (high and not high.isdecimal()):
            return False
        if not 1 <= int(low) <= int(high or low) <= MAX_VLAN:
            return False
    return bool(text.strip())
