"""What machines consume: processor time, storage, network frames, from how long and in what state they have run.

An idle Linux uses a little of everything all the time; the numbers grow with its uptime and are never taken back
while it runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from zvmcloud.simulator.model import Machine, Nic
from zvmcloud.simulator.system import System

_BOOT_MICROSECONDS = 2_100_000
_IDLE_MICROSECONDS_PER_SECOND = 4_000
_FRAMES_AT_BOOT = 12
_FRAMES_PER_SECOND = 0.5
_KERNEL_KIB = 180 * 1024


@dataclass(frozen=True, slots=True)
class Counters:
    """Frames and bytes of an adapter, seen from the adapter."""

    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def plus(self, other: Counters) -> Counters:
        return Counters(
            self.frames_in + other.frames_in,
            self.frames_out + other.frames_out,
            self.bytes_in + other.bytes_in,
            self.bytes_out + other.bytes_out,
        )


def uptime(system: System, machine: Machine) -> float:
    """Seconds since the machine's operating system came up; 0 when none runs."""
    running = machine.system
    if running is None or running.phase not in ("up", "stopping"):
        return 0.0
    return max(system.now() - running.since, 0.0)


def processor_microseconds(system: System, machine: Machine) -> int:
    """Processor time used since logon."""
    running = machine.system
    if running is None or running.phase == "halted":
        return 10_000
    base = _BOOT_MICROSECONDS if running.phase != "booting" else _BOOT_MICROSECONDS // 2
    return base + int(uptime(system, machine) * _IDLE_MICROSECONDS_PER_SECOND * len(machine.cpus))


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
    if not any(address.vdev == nic.vdev for address in running.addresses):
        return Counters()
    frames = _FRAMES_AT_BOOT + int(uptime(system, machine) * _FRAMES_PER_SECOND)
    return Counters(frames, frames, frames * 98, frames * 74)


def uplink_traffic(total: Counters) -> Counters:
    """The uplink carries what the adapters exchange with the outside; in and out change places."""
    return Counters(total.frames_out, total.frames_in, total.bytes_out, total.bytes_in)
