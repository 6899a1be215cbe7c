"""What a port's adapter should be like, what it is like, and what is to be done about it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NO_ACTIVE_BINDING = "no_active_binding"


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter of a guest as the manager recorded it. ``port`` is neutron's id of the port; ``vswitch`` "" when it is
    coupled to nothing, ``vlan`` 0 for none."""

    userid: str
    vdev: str
    port: str
    vswitch: str
    vlan: int


@dataclass(frozen=True, slots=True)
class Port:
    """A port as neutron wants it. ``here``: bound to this agent's host; a port that is only going to be, while its
    guest is on the way, is not."""

    id: str
    up: bool
    physical_network: str
    vlan: int
    here: bool


@dataclass(frozen=True, slots=True)
class Switch:
    """A VSWITCH as z/VM has it now: who may couple, in which VLANs, and which adapters of running guests are."""

    name: str
    vlan_aware: bool
    rights: Mapping[str, frozenset[int]]
    coupled: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Deed:
    """Something to be done. ``kind``: grant, revoke, couple, uncouple. ``vlan`` 0: the VSWITCH's own rule."""

    kind: str
    userid: str
    vdev: str = ""
    vswitch: str = ""
    vlan: int = 0


class NotServed(Exception):
    """A port cannot be connected on this system; says why."""


def port_of(details: Mapping[str, Any]) -> Port | None:
    """A port from what neutron answers; None when it knows no such port."""
    if NO_ACTIVE_BINDING in details:
        return Port(str(details["device"]), True, "", 0, here=False)
    if "port_id" not in details:
        return None
    return Port(
        str(details["port_id"]),
        bool(details["admin_state_up"]),
        str(details.get("physical_network") or ""),
        int(details.get("segmentation_id") or 0),
        here=True,
    )


def deeds(
    adapter: Adapter, port: Port, switch: Switch | None, *, on: bool, others: Collection[Adapter] = ()
) -> list[Deed]:
    """What makes an adapter what its port should be, in order; nothing when it is so. ``switch``: the VSWITCH of the
    port's physical network. ``on``: whether the guest runs, so that its adapter has to be coupled now. ``others``: all
    adapters; a guest has one right on a VSWITCH, so all its ports there have the same VLAN.

    Raises NotServed.
    """
    if not port.up:
        return [Deed("uncouple", adapter.userid, adapter.vdev)] if adapter.vswitch else []
    if switch is None:
        raise NotServed(f"no VSWITCH of physical network {port.physical_network!r} on this system")
    if port.vlan and not switch.vlan_aware:
        raise NotServed(f"VSWITCH {switch.name} is not VLAN aware, and the port has VLAN {port.vlan}")
    for other in others:
        same = (other.userid, other.vswitch) == (adapter.userid, switch.name) and other.port != port.id
        if same and other.vlan != port.vlan:
            raise NotServed(f"{adapter.userid} has VLAN {other.vlan or 'none'} on VSWITCH {switch.name} already")
    found = []
    vlans = switch.rights.get(adapter.userid)
    recorded = (adapter.vswitch, adapter.vlan) == (switch.name, port.vlan)
    moved = bool(adapter.vswitch) and not recorded
    if vlans is None or moved or (port.vlan and port.vlan not in vlans):
        found.append(Deed("grant", adapter.userid, adapter.vdev, switch.name, port.vlan))
    lives = not on or (adapter.userid, adapter.vdev) in switch.coupled
    if not recorded or not lives:
        found.append(Deed("couple", adapter.userid, adapter.vdev, switch.name, port.vlan))
    return found


def leftovers(adapters: Collection[Adapter], switches: Iterable[Switch], servers: Collection[str]) -> list[Deed]:
    """Rights to take away: of ``servers``, which are the guests that are OpenStack's, those without any adapter on the
    VSWITCH. Rights of other userids are nobody's business here."""
    used = {(adapter.userid, adapter.vswitch) for adapter in adapters}
    waiting = {adapter.userid for adapter in adapters if not adapter.vswitch}
    return [
        Deed("revoke", userid, vswitch=switch.name)
        for switch in switches
        for userid in sorted(switch.rights)
        if userid in servers and userid not in waiting and (userid, switch.name) not in used
    ]
