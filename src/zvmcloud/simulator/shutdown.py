"""SHUTDOWN of the system: guests get their signal, or not, then everything ends; REIPL starts it again.

    planned --(time comes)--> guests are signalled --(all gone, or their time is over)--> down --REIPL--> IPL

While the system is down it takes no connections. A restart of the simulator is an IPL of a system that was down.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from zvmcloud.cp.messages import Message
from zvmcloud.simulator import guests
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model_devices import PlannedShutdown
from zvmcloud.simulator.system import System

NONE_PLANNED = Message(6812, "SHU", "E", "No shutdown is in progress")
_KEY = "shutdown"
#: Seconds between an immediate shutdown and its answer's way out.
_BREATH = 0.2
#: How long an IPL of the system takes, as many boots of a guest.
_IPL_BOOTS = 2


def planned(system: System) -> PlannedShutdown | None:
    """The shutdown that is planned, under way, or has taken the system down."""
    return system.shutdowns.get(_KEY)


def is_down(system: System) -> bool:
    found = planned(system)
    return found is not None and found.down


def plan(system: System, seconds: float, *, reipl: bool, immediate: bool) -> PlannedShutdown:
    """Plan a shutdown, in place of one that is planned already."""
    made = PlannedShutdown(system.now() + max(seconds, 0.0), reipl, immediate)
    system.shutdowns.put(_KEY, made)
    _at(system, made)
    return made


def _at(system: System, row: PlannedShutdown) -> None:
    def begin() -> None:
        if planned(system) == row:
            _begin(system, row)

    system.later(max(row.at - system.now(), _BREATH), begin)


def cancel(system: System) -> None:
    """Call a planned shutdown off. CpRefused when none is planned."""
    found = planned(system)
    if found is None or found.down:
        raise CpRefused(NONE_PLANNED)
    system.shutdowns.remove(_KEY)


def _begin(system: System, row: PlannedShutdown) -> None:
    if not row.immediate:
        for userid in list(system.machines):
            machine = system.machines.get(userid)
            running = machine.system if machine is not None else None
            if running is not None and running.phase == "up" and running.signals:
                guests.deactivate(system, userid, system.timing.signal)
        if any(machine.forced_at for machine in system.machines.values()):
            _wait(system, row)
            return
    _end(system, row)


def _wait(system: System, row: PlannedShutdown) -> None:
    """Look again and again until the guests that got a signal are gone."""

    def look() -> None:
        if planned(system) != row:
            return
        if any(machine.forced_at for machine in system.machines.values()):
            _wait(system, row)
        else:
            _end(system, row)

    system.later(max(system.timing.shutdown, 0.05), look)


def _end(system: System, row: PlannedShutdown) -> None:
    for userid in list(system.machines):
        with suppress(CpRefused):
            guests.log_off(system, userid)
    if system.cluster is not None:
        system.cluster.leave(system)
    down = replace(row, down=True)
    system.shutdowns.put(_KEY, down)
    if row.reipl:

        def again() -> None:
            if planned(system) == down:
                ipl(system)

        system.later(system.timing.boot * _IPL_BOOTS, again)


def ipl(system: System) -> None:
    """IPL of the system: the clock of the IPL, the networks of SYSTEM CONFIG, the servers that CP logs on by itself."""
    from zvmcloud.simulator.cp import configuration  # noqa: PLC0415 (its commands know shutdowns)

    if planned(system) is not None:
        system.shutdowns.remove(_KEY)
    if system.cluster is not None:
        system.cluster.join(system)
    system.facts_rows.put("system", replace(system.facts, ipl_at=system.now()))
    configuration.define_networks(system)
    for userid, record in sorted(system.entries.items()):
        if record.entry.is_machine and record.entry.password == "AUTOONLY" and userid not in system.machines:  # noqa: S105
            with suppress(CpRefused):
                guests.log_on(system, userid)


def resume(system: System) -> None:
    """After a restart of the simulator: a system that was down is IPLed, a planned shutdown stays planned."""
    found = planned(system)
    if found is None:
        return
    if found.down:
        ipl(system)
    else:
        _at(system, found)
