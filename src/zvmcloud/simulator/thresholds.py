"""Performance thresholds: what is watched, and the event when a value rises above its limit.

The performance server samples once in the monitor's interval while a threshold is enabled. A crossing is an event of
the event stream (its number is judgement, the references name none) and a line on the console of the server; the value
must fall below the limit before it can cross again.
"""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.simulator import space, spool, traffic
from zvmcloud.simulator.model_devices import Threshold
from zvmcloud.simulator.system import System
from zvmcloud.smapi.events import UserEvent

SERVER = "PERSMAPI"
SYSTEM_EVENTS = ("SYSTEM_CPU", "SYSTEM_VIRTUAL_IO", "SYSTEM_PAGING", "SYSTEM_DASD_IO")
USER_EVENTS = ("USER_CPU", "USER_IO")
#: SMAPI event of a crossing; below those of Event_Stream_Add (judgement).
EVENT = 700
#: Pages that a machine changes a second of those that do not fit into real storage (judgement).
_TOUCHED = 0.001


def value(system: System, event: str) -> float:
    """The present value of what is watched: percent, or operations or pages a second."""
    name, _, userid = event.partition(" ")
    if name in USER_EVENTS:
        machine = system.machines.get(userid)
        if machine is None:
            return 0.0
        return traffic.cpu_percent(system, machine) if name == "USER_CPU" else traffic.io_rate(system, machine)
    if name == "SYSTEM_CPU":
        return cpu_percent(system)
    if name == "SYSTEM_PAGING":
        return paging_rate(system)
    return sum(traffic.io_rate(system, machine) for machine in system.machines.values())


def cpu_percent(system: System) -> float:
    """Average use of the real processors in percent."""
    wanted = sum(traffic.cpu_percent(system, machine) for machine in system.machines.values())
    return min(wanted / max(len(system.facts.processors), 1), 100.0)


def paging_rate(system: System) -> float:
    """Pages a second between real storage and paging space."""
    return space.pages_needed(system) * _TOUCHED


def enable(system: System, event: str, limit: int) -> Threshold:
    """Watch a value, or watch it with another limit; the server begins to sample."""
    waiting = bool(len(system.thresholds))
    made = Threshold(event, limit, system.now())
    system.thresholds.put(event, made)
    if not waiting:
        sample_later(system)
    return made


def disable(system: System, event: str) -> bool:
    """Stop watching; False when it was not watched."""
    if event not in system.thresholds:
        return False
    system.thresholds.remove(event)
    return True


def interval(system: System) -> float:
    """Seconds between two samples."""
    monitor = system.monitors.get("monitor")
    return 60.0 * (monitor.interval if monitor is not None else 1)


def sample_later(system: System) -> None:
    """Set the timer of the next sample."""

    def due() -> None:
        sample(system)
        if len(system.thresholds):
            sample_later(system)

    system.later(interval(system), due)


def resume(system: System) -> None:
    """After a restart of the simulator: go on sampling."""
    if len(system.thresholds):
        sample_later(system)


def sample(system: System) -> list[Threshold]:
    """Compare every watched value with its limit, inside a transaction; gives those that crossed now."""
    crossed = []
    for event, row in system.thresholds.items():
        present = value(system, event)
        above = present > row.limit
        if above != row.crossed:
            changed = replace(row, crossed=above)
            system.thresholds.put(event, changed)
            if above:
                crossed.append(changed)
                text = f"{event} {present:.0f} {row.limit}"
                spool.write_console(system, SERVER, f"THRESHOLD CROSSED {text}")
                system.events.publish(UserEvent(EVENT, text.encode("ascii")))
    return crossed
