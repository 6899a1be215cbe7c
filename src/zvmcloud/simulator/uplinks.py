"""Uplinks of virtual switches: which device carries the frames, what each has carried, what happens when one fails.

The first device of a switch that works is its uplink; when it goes offline, or is taken away, the next one takes over
and the frames from then on are counted there. The counters of the switch as a whole come from its adapters (`traffic`),
so a row per device holds what it carried before and the total at the time when it became active.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from zvmcloud.cp.messages import Message
from zvmcloud.simulator import network, spool
from zvmcloud.simulator.model import Vswitch
from zvmcloud.simulator.model_devices import UplinkCount
from zvmcloud.simulator.system import System
from zvmcloud.simulator.traffic import Counters, uplink_traffic

CONNECTION_LOST = Message(2832, "SWU", "E", "Connection {rdev}.P00 for VSWITCH SYSTEM {name} is not active.")
DEVICE_DETACHED = Message(2832, "SWU", "E", "Device is detached from {controller}.")
SWITCH_STATUS = Message(2830, "SWU", "I", "VSWITCH SYSTEM {name} status is {status}.")
CONTROLLER_IS = Message(2830, "SWU", "I", "{controller} is VSWITCH controller for device {rdev}.P00.")


def total(system: System, switch: Vswitch) -> Counters:
    """What all adapters of a switch exchanged with the outside, seen from the uplink."""
    counted = Counters()
    for userid, nic in network.adapters(system, switch):
        counted = counted.plus(uplink_traffic(system, system.machines[userid], nic))
    return counted


def _key(switch: str, rdev: str) -> str:
    return f"{switch} {rdev}"


def carried(system: System, switch: Vswitch, rdev: str) -> Counters:
    """What one uplink device has carried."""
    active = rdev == network.uplink(system, switch)
    row = system.uplinks.get(_key(switch.name, rdev))
    if row is None:
        return total(system, switch) if active else Counters()
    before = Counters(row.frames_in, row.frames_out, row.bytes_in, row.bytes_out)
    if not active:
        return before
    return before.plus(total(system, switch).minus(_mark(row)))


def _mark(row: UplinkCount) -> Counters:
    return Counters(row.mark_frames_in, row.mark_frames_out, row.mark_bytes_in, row.mark_bytes_out)


@contextmanager
def watched(system: System, *names: str) -> Iterator[None]:
    """Around a change that may move uplinks of the named switches (all when none is named)."""
    chosen = [switch for switch in system.vswitches.values() if switch.rdevs and (not names or switch.name in names)]
    before = {switch.name: (network.uplink(system, switch), switch) for switch in chosen}
    seen = {name: carried(system, switch, rdev) for name, (rdev, switch) in before.items() if rdev}
    sums = {name: total(system, switch) for name, (_, switch) in before.items()}
    yield
    for name, (old, _) in before.items():
        switch = system.vswitches.get(name)
        if switch is None:
            continue
        new = network.uplink(system, switch)
        if new == old:
            continue
        _tell(system, switch, old, new)
        if old:
            _keep(system, name, old, seen[name])
        if new:
            row = system.uplinks.get(_key(name, new)) or UplinkCount()
            mark = sums[name]
            system.uplinks.put(
                _key(name, new),
                replace(
                    row,
                    mark_frames_in=mark.frames_in,
                    mark_frames_out=mark.frames_out,
                    mark_bytes_in=mark.bytes_in,
                    mark_bytes_out=mark.bytes_out,
                    active=True,
                ),
            )


def _tell(system: System, switch: Vswitch, old: str, new: str) -> None:
    """What CP writes to the operator when the uplink moves or is lost. The texts are those of console logs of real
    systems as operators quote them (judgement)."""
    controller = network.controller_of(switch)
    lines = []
    if old and not network.works(system, old):
        lines = [CONNECTION_LOST.render(rdev=old, name=switch.name), DEVICE_DETACHED.render(controller=controller)]
        lines.append(SWITCH_STATUS.render(name=switch.name, status="in error recovery"))
    if new:
        lines.append(SWITCH_STATUS.render(name=switch.name, status="ready"))
        lines.append(CONTROLLER_IS.render(controller=controller, rdev=new))
    elif switch.connected:
        lines.append(SWITCH_STATUS.render(name=switch.name, status="waiting for devices"))
    spool.write_console(system, "OPERATOR", *lines)


def _keep(system: System, name: str, rdev: str, counted: Counters) -> None:
    system.uplinks.put(
        _key(name, rdev),
        UplinkCount(counted.frames_in, counted.frames_out, counted.bytes_in, counted.bytes_out),
    )


def set_osa(system: System, rdev: str, *, online: bool) -> None:
    """Vary an OSA device on or off; switches whose uplink it was fail over, or come back to it."""
    osa = system.osas[rdev]
    with watched(system):
        system.osas.put(rdev, replace(osa, online=online))


def set_chpid(system: System, chpid: str, *, online: bool) -> None:
    """Vary a channel path on or off, and the uplinks with it."""
    path = system.channel_paths[chpid]
    with watched(system):
        system.channel_paths.put(chpid, replace(path, online=online))
