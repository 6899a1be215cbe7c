"""Virtual channel-to-channel adapters: defined in one machine, coupled with one of another (or the same) machine."""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.simulator.model import Ctca, Machine
from zvmcloud.simulator.system import System


def find(machine: Machine | None, vdev: str) -> Ctca | None:
    """The adapter at an address of a machine."""
    device = machine.device(vdev) if machine else None
    return device if isinstance(device, Ctca) else None


def define(system: System, userid: str, vdev: str) -> None:
    """Give a machine an adapter that is not coupled; nothing happens when the address is in use."""
    machine = system.machines[userid]
    if vdev and machine.device(vdev) is None:
        system.machines.put(userid, replace(machine, devices=(*machine.devices, Ctca(vdev))))


def couple(system: System, userid: str, vdev: str, peer: str, peer_vdev: str) -> None:
    """Couple two adapters that are there and free."""
    _put(system, userid, Ctca(vdev, peer, peer_vdev))
    _put(system, peer, Ctca(peer_vdev, userid, vdev))


def uncouple(system: System, userid: str, vdev: str) -> None:
    """End the connection of an adapter, at both ends; both stay defined."""
    own = find(system.machines.get(userid), vdev)
    if own is None or not own.peer:
        return
    _put(system, userid, Ctca(vdev))
    other = find(system.machines.get(own.peer), own.peer_vdev)
    if other is not None and (other.peer, other.peer_vdev) == (userid, vdev):
        _put(system, own.peer, Ctca(own.peer_vdev))


def detach(system: System, userid: str, vdev: str) -> None:
    """Take an adapter away from a machine; the one at the other end stays, not coupled."""
    uncouple(system, userid, vdev)
    machine = system.machines[userid]
    kept = tuple(device for device in machine.devices if not (isinstance(device, Ctca) and device.vdev == vdev))
    system.machines.put(userid, replace(machine, devices=kept))


def _put(system: System, userid: str, adapter: Ctca) -> None:
    machine = system.machines[userid]
    devices = tuple(adapter if device.vdev == adapter.vdev else device for device in machine.devices)
    system.machines.put(userid, replace(machine, devices=devices))
