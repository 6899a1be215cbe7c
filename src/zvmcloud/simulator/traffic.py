"""What machines consume: processor time, storage, network frames, from how long and in what state they have run.

An idle Linux uses a little of everything all the time; the numbers grow with its uptime and are never taken back
while it runs. A load (`set_load`, or a command like stress-ng inside the guest) adds to them while it lasts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zvmcloud.simulator.guest_network import layer_fits
from zvmcloud.simulator.model import Machine, Nic
from zvmcloud.simulator.model_devices import Activity
from zvmcloud.simulator.system import System

_LOGON_MICROSECONDS = 10_000
_BOOT_MICROSECONDS = 2_100_000
_IDLE_MICROSECONDS_PER_SECOND = 4_000
_FRAMES_AT_BOOT = 12
_FRAMES_PER_SECOND = 0.5
_KERNEL_KIB = 180 * 1024
_IDLE_IO_PER_SECOND = 0.2
_IO_AT_BOOT = 900
#: Bytes of a frame under load, where the idle ones are small.
_LOAD_FRAME = 1400


@dataclass(frozen=True, slots=True)
class Counters:
    """Frames and bytes of an adapter, seen from the adapter."""

    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: int = 0
    """Frames that the adapter sent and the switch discarded; not among frames_out."""

    def plus(self, other: Counters) -> Counters:
        return Counters(
            self.frames_in + other.frames_in,
            self.frames_out + other.frames_out,
            self.bytes_in + other.bytes_in,
            self.bytes_out + other.bytes_out,
            self.dropped + other.dropped,
        )

    def minus(self, other: Counters) -> Counters:
        """What was added since; never below zero (a guest that left took its frames along)."""
        return Counters(
            max(self.frames_in - other.frames_in, 0),
            max(self.frames_out - other.frames_out, 0),
            max(self.bytes_in - other.bytes_in, 0),
            max(self.bytes_out - other.bytes_out, 0),
        )


def activity(system: System, machine: Machine) -> Activity:
    """What the machine's load has consumed by now, beside idling; rates are 0 once the load has ended."""
    row = system.activities.get(machine.userid)
    now = system.now()
    if row is None or row.logon_at != machine.logon_at:
        return Activity(machine.userid, machine.logon_at, now)
    end = min(now, row.until) if row.until else now
    seconds = max(end - row.at, 0.0)
    summed = replace(
        row,
        at=now,
        cpu_us=row.cpu_us + int(seconds * row.cpu * 10_000),
        frames=row.frames + int(seconds * row.frame_rate),
        inside=row.inside + int(seconds * row.inside_rate),
        operations=row.operations + int(seconds * row.io_rate),
    )
    if machine.paused or (row.until and now >= row.until):
        return replace(summed, cpu=0, frame_rate=0, inside_rate=0, io_rate=0, until=0.0)
    return summed


def set_load(
    system: System,
    machine: Machine,
    *,
    cpu: int = 0,
    frame_rate: int = 0,
    inside_rate: int = 0,
    io_rate: int = 0,
    seconds: float = 0.0,
) -> Activity:
    """Begin a load in place of the one that runs: percent of one CPU, frames (and of them those that stay inside the
    switch) and disk operations per second.

    It ends after `seconds` (0: when it is replaced or the machine logs off). More than its CPUs can do is cut down.
    """
    summed = activity(system, machine)
    row = replace(
        summed,
        at=system.now(),
        cpu=min(cpu, 100 * len(machine.cpus)),
        frame_rate=frame_rate,
        inside_rate=inside_rate,
        io_rate=io_rate,
        until=system.now() + seconds if seconds else 0.0,
    )
    system.activities.put(machine.userid, row)
    return row


def add_frames(system: System, machine: Machine, count: int, *, inside: bool) -> None:
    """Frames that were exchanged at once, on top of what the load does; `inside` for those that no uplink sees."""
    row = activity(system, machine)
    more = count if inside else 0
    system.activities.put(machine.userid, replace(row, frames=row.frames + count, inside=row.inside + more))


def add_dropped(system: System, machine: Machine, count: int) -> None:
    """Frames that were sent, and discarded by the switch."""
    row = activity(system, machine)
    system.activities.put(machine.userid, replace(row, dropped=row.dropped + count))


def cpu_percent(system: System, machine: Machine) -> float:
    """Percent of one real processor that the machine uses now."""
    running = machine.system
    if running is None or running.phase not in ("booting", "up", "stopping") or machine.paused:
        return 0.0
    idle = _IDLE_MICROSECONDS_PER_SECOND * len(machine.cpus) / 10_000
    return float(min(idle + activity(system, machine).cpu, 100.0 * len(machine.cpus)))


def disk_operations(system: System, machine: Machine) -> int:
    """Disk operations since logon."""
    return _own_operations(system, machine) + activity(system, machine).operations


def _own_operations(system: System, machine: Machine) -> int:
    """Disk operations of the system that runs, since its IPL."""
    running = machine.system
    if running is None or running.phase == "halted":
        return 0
    return _IO_AT_BOOT + int(uptime(system, machine) * _IDLE_IO_PER_SECOND)


def io_rate(system: System, machine: Machine) -> float:
    """Disk operations per second at present."""
    if not uptime(system, machine) or machine.paused:
        return 0.0
    return _IDLE_IO_PER_SECOND + activity(system, machine).io_rate


def uptime(system: System, machine: Machine) -> float:
    """Seconds since the machine's operating system came up; 0 when none runs."""
    running = machine.system
    if running is None or running.phase not in ("up", "stopping"):
        return 0.0
    return max(system.now() - running.since, 0.0)


def processor_microseconds(system: System, machine: Machine) -> int:
    """Processor time used since logon, by all systems that ran in the machine."""
    return _LOGON_MICROSECONDS + _own_microseconds(system, machine) + activity(system, machine).cpu_us


def _own_microseconds(system: System, machine: Machine) -> int:
    """Processor time of the system that runs, since its IPL, beside its load."""
    running = machine.system
    if running is None or running.phase == "halted":
        return 0
    base = _BOOT_MICROSECONDS if running.phase != "booting" else _BOOT_MICROSECONDS // 2
    return base + int(uptime(system, machine) * _IDLE_MICROSECONDS_PER_SECOND * len(machine.cpus))


def keep(system: System, userid: str) -> None:
    """Before the system of a machine ends (halt, IPL of another): what it consumed stays consumed, its load is over."""
    machine = system.machines[userid]
    if machine.system is None or machine.system.phase == "halted":
        return
    row = activity(system, machine)
    system.activities.put(
        userid,
        replace(
            row,
            cpu_us=row.cpu_us + _own_microseconds(system, machine),
            operations=row.operations + _own_operations(system, machine),
            cpu=0,
            frame_rate=0,
            inside_rate=0,
            io_rate=0,
            until=0.0,
        ),
    )


def storage_kib(system: System, machine: Machine) -> int:
    """Storage in use: what the loaded system has touched, at most what the machine has."""
    running = machine.system
    if running is None or running.phase == "halted":
        return min(4096, machine.storage_kib)
    touched = _KERNEL_KIB + machine.storage_kib // 20 + int(uptime(system, machine)) * 16
    return min(touched, machine.storage_kib)


def adapter_traffic(system: System, machine: Machine, nic: Nic) -> Counters:
    """Frames of an adapter that is coupled in a machine whose network is up."""
    running = machine.system
    if not nic.lan_name or running is None or running.phase != "up":
        return Counters()
    if not any(address.vdev == nic.vdev and layer_fits(system, nic, address) for address in running.addresses):
        return Counters()
    loaded, _, dropped = _loaded(system, machine, nic)
    return _counted(_FRAMES_AT_BOOT + int(uptime(system, machine) * _FRAMES_PER_SECOND), loaded, dropped)


def uplink_traffic(system: System, machine: Machine, nic: Nic) -> Counters:
    """What of an adapter's traffic an uplink carries, seen from the uplink: in and out change places.

    An idle guest's frames are broadcasts and their answers: they go outside too.
    """
    found = adapter_traffic(system, machine, nic)
    if not found.frames_in:
        return found
    _, inside, _ = _loaded(system, machine, nic)
    outside = found.minus(_counted(0, inside, 0))
    return Counters(outside.frames_out, outside.frames_in, outside.bytes_out, outside.bytes_in)


def _loaded(system: System, machine: Machine, nic: Nic) -> tuple[int, int, int]:
    """Frames of a load, those of them that stayed inside, and those that were discarded: all on the first adapter that
    is coupled."""
    first = next((item.vdev for item in machine.nics if item.lan_name), "")
    if nic.vdev != first:
        return 0, 0, 0
    row = activity(system, machine)
    return row.frames, row.inside, row.dropped


def _counted(idle: int, loaded: int, dropped: int) -> Counters:
    return Counters(
        idle + loaded, idle + loaded, idle * 98 + loaded * _LOAD_FRAME, idle * 74 + loaded * _LOAD_FRAME, dropped
    )
