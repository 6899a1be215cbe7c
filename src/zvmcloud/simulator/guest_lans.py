"""Guest LANs: QDIO ones and HiperSockets, owned by a userid or by SYSTEM, open to everyone or restricted.

A VSWITCH is a LAN of SYSTEM too, so both share their names there. An adapter couples only to a LAN of its own kind.
"""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.cp.messages import Message
from zvmcloud.simulator import network
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Grant, Nic
from zvmcloud.simulator.model_devices import GuestLan
from zvmcloud.simulator.system import System

LAN_MISSING = Message(2784, "NDC", "E", "LAN {owner} {name} does not exist")
WRONG_ADAPTER = Message(2794, "NDC", "E", "Adapter {vdev} cannot couple to LAN {owner} {name}; the types differ")
NOT_AUTHORIZED = Message(6011, "NDC", "E", "{userid} is not authorized to couple to {owner} {name}")


def key(owner: str, name: str) -> str:
    return f"{owner}.{name}"


def find(system: System, owner: str, name: str) -> GuestLan:
    """A guest LAN. CpRefused when there is none."""
    found = system.guest_lans.get(key(owner.upper(), name.upper()))
    if found is None:
        raise CpRefused(LAN_MISSING, owner=owner.upper(), name=name.upper())
    return found


def named(system: System, name: str) -> list[GuestLan]:
    """The guest LANs with that name, whoever owns them."""
    return sorted((lan for lan in system.guest_lans.values() if lan.name == name), key=lambda lan: lan.owner)


def authorised(lan: GuestLan, userid: str) -> bool:
    """Whether a userid may couple: the LAN is open, its own, or it has been let in."""
    return not lan.restricted or userid == lan.owner or lan.grant(userid) is not None


def couple(system: System, userid: str, vdev: str, owner: str, name: str) -> Nic:
    """Connect an adapter to a guest LAN. CpRefused: no such LAN (2784), other kind (2794), not let in (6011)."""
    found = network.nic(system, userid, vdev)
    lan = find(system, owner, name)
    if (found.adapter_type == "HIPERS") != (lan.kind == "HIPERS"):
        raise CpRefused(WRONG_ADAPTER, vdev=vdev, owner=lan.owner, name=lan.name)
    if not authorised(lan, userid):
        raise CpRefused(NOT_AUTHORIZED, userid=userid, owner=lan.owner, name=lan.name)
    return network.replace_nic(system, userid, replace(found, lan_owner=lan.owner, lan_name=lan.name, port=0))


def connect(system: System, userid: str, vdev: str, owner: str, name: str, port: int = 0) -> Nic:
    """Connect an adapter to whatever LAN has that owner and name: a guest LAN, else a VSWITCH of SYSTEM."""
    if owner != "SYSTEM" or key(owner, name) in system.guest_lans:
        return couple(system, userid, vdev, owner, name)
    return network.couple(system, userid, vdev, name, port)


def adapters(system: System, lan: GuestLan) -> list[tuple[str, Nic]]:
    """The adapters that are coupled, as owner and adapter."""
    found = []
    for userid, vdev in sorted(system.coupled.get(network.lan_key(lan.owner, lan.name), ())):
        machine = system.machines.get(userid)
        device = machine.device(vdev) if machine else None
        if isinstance(device, Nic):
            found.append((userid, device))
    return found


def create(system: System, lan: GuestLan) -> GuestLan:
    """Define a guest LAN. CpRefused when its name is no name."""
    from zvmcloud.directory import statements  # noqa: PLC0415

    if not statements.is_userid(lan.name):
        raise CpRefused(messages.LAN_INVALID, name=lan.name)
    system.guest_lans.put(key(lan.owner, lan.name), lan)
    return lan


def delete(system: System, lan: GuestLan) -> None:
    """Remove a guest LAN; its adapters are uncoupled."""
    for userid, nic in adapters(system, lan):
        network.uncouple(system, userid, nic.vdev)
    system.guest_lans.remove(key(lan.owner, lan.name))


def grant(system: System, lan: GuestLan, new: Grant) -> GuestLan:
    """Let a userid in, or change what it may do."""
    kept = tuple(item for item in lan.grants if item.userid != new.userid)
    changed = replace(lan, grants=(*kept, new))
    system.guest_lans.put(key(lan.owner, lan.name), changed)
    return changed


def revoke(system: System, lan: GuestLan, userid: str) -> GuestLan:
    """Shut a userid out; its adapters on a restricted LAN are uncoupled."""
    changed = replace(lan, grants=tuple(item for item in lan.grants if item.userid != userid))
    system.guest_lans.put(key(lan.owner, lan.name), changed)
    for owner, nic in adapters(system, lan):
        if owner == userid and not authorised(changed, userid):
            network.uncouple(system, owner, nic.vdev)
    return changed
