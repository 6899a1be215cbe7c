"""CPUs and storage that come and go while a guest runs, as CP defines them and as the guest's Linux sees them.

    CP defines a CPU        the guest does not know it until it looks (chcpu -r); then it is offline
    chcpu -e, chcpu -d      it goes online, offline; the base CPU stays
    CP defines standby      storage that the guest may take online in blocks (chmem -e), and give back (chmem -d)

A row in `system.hardware` begins with the first change after an IPL; without one everything that the machine has was
there at IPL and is online.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.model_devices import GuestHardware
from zvmcloud.simulator.system import System

#: Linux takes storage online in blocks of this many KiB.
BLOCK_KIB = 128 * 1024


def hardware(system: System, machine: Machine) -> GuestHardware:
    """What the running system sees."""
    row = system.hardware.get(machine.userid)
    if row is not None and row.generation == machine.generation:
        return row
    reserved = max(machine.max_storage_kib - machine.storage_kib, 0)
    standby = 0
    for statement in _storage_commands(system, machine.userid):
        standby, reserved = _split(statement, reserved, standby)
    return GuestHardware(
        machine.userid, machine.generation, machine.cpus, machine.cpus, machine.storage_kib, standby, reserved
    )


def _storage_commands(system: System, userid: str) -> list[tuple[str, ...]]:
    """The words of DEFINE STORAGE commands that the entry runs at logon."""
    entry = system.full_entry(userid)
    found = []
    for statement in entry.every("COMMAND") if entry is not None else ():
        words = statement.words[1:]
        if len(words) > 1 and words[0][:3] == "DEF" and words[1][:4] == "STOR":
            found.append(words[2:])
    return found


def _split(words: tuple[str, ...], beyond: int, standby: int) -> tuple[int, int]:
    """Standby and reserved KiB of what lies beyond the initial storage, after DEFINE STORAGE with those words."""
    from zvmcloud.directory import statements  # noqa: PLC0415

    reserved = beyond - standby
    for kind, value in itertools.pairwise(words):
        amount = beyond if value == "REMAINDER" else statements.storage_kib(value)
        if amount is None:
            continue
        amount = min(amount, beyond)
        if kind == "STANDBY":
            standby, reserved = amount, beyond - amount
        elif kind == "RESERVED":
            standby, reserved = beyond - amount, amount
    return standby, reserved


def define_cpu(system: System, userid: str, address: str) -> None:
    """CP gives a running machine one more CPU; its system finds it when it looks."""
    machine = system.machines[userid]
    row = hardware(system, machine)
    system.machines.put(userid, replace(machine, cpus=(*machine.cpus, address)))
    if machine.system is not None:
        system.hardware.put(userid, row)


def detach_cpu(system: System, userid: str, address: str) -> None:
    """CP takes a CPU away; the system loses it at once."""
    machine = system.machines[userid]
    row = hardware(system, machine)
    system.machines.put(userid, replace(machine, cpus=tuple(cpu for cpu in machine.cpus if cpu != address)))
    if machine.system is not None:
        known = tuple(cpu for cpu in row.known if cpu != address)
        online = tuple(cpu for cpu in row.online if cpu != address)
        system.hardware.put(userid, replace(row, known=known, online=online))


def rescan(system: System, machine: Machine) -> None:
    """chcpu -r: the system learns of the CPUs that CP has defined."""
    row = hardware(system, machine)
    system.hardware.put(machine.userid, replace(row, known=machine.cpus))


def set_cpus(system: System, machine: Machine, numbers: list[int], *, online: bool) -> str:
    """chcpu -e and -d. Gives what the command writes when it fails, empty when it worked."""
    row = hardware(system, machine)
    current = list(row.online)
    for number in numbers:
        address = f"{number:02X}"
        if address not in row.known:
            return f"chcpu: CPU {number} does not exist\n"
        if online and address not in current:
            current.append(address)
        if not online and address in current:
            if address == machine.cpus[0] or len(current) == 1:
                return f"chcpu: CPU {number} disable failed (last enabled CPU)\n"
            current.remove(address)
    system.hardware.put(machine.userid, replace(row, online=tuple(cpu for cpu in machine.cpus if cpu in current)))
    return ""


def define_standby(system: System, machine: Machine, kib: int) -> bool:
    """DEFINE STORAGE STANDBY: this much of what lies beyond may be taken online, the rest is reserved.

    False when there is not so much, or more than that is online already.
    """
    row = hardware(system, machine)
    beyond = row.standby_kib + row.reserved_kib
    if kib > beyond:
        return False
    system.hardware.put(machine.userid, replace(row, standby_kib=kib, reserved_kib=beyond - kib))
    return True


def set_storage(system: System, machine: Machine, kib: int, *, online: bool) -> str:
    """chmem -e and -d. Gives what the command writes when it fails, empty when it worked."""
    row = hardware(system, machine)
    if kib % BLOCK_KIB:
        return "chmem: Size must be aligned to memory block size\n"
    if online:
        if kib > row.standby_kib:
            return "chmem: Could only enable 0 B of memory\n" if not row.standby_kib else "chmem: not enough memory\n"
        changed = replace(row, online_kib=row.online_kib + kib, standby_kib=row.standby_kib - kib)
    else:
        if row.online_kib - kib < machine.storage_kib:
            return "chmem: Could only disable 0 B of memory\n"
        changed = replace(row, online_kib=row.online_kib - kib, standby_kib=row.standby_kib + kib)
    system.hardware.put(machine.userid, changed)
    return ""
