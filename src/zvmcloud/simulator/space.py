"""Page and spool space: CP-owned volumes, how full they are, where the next page would go.

A page is 4 KiB. Paging space is used by what the virtual machines need beyond the real storage, spool space by spool
files: a file's bytes and one page for its description. Volumes that are draining or drained get nothing new.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from zvmcloud.cp.messages import Message
from zvmcloud.simulator import traffic
from zvmcloud.simulator.model_devices import SpaceVolume
from zvmcloud.simulator.system import System

PAGE_KIB = 4
#: Real storage that CP keeps for itself.
CP_KIB = 512 * 1024
MAX_SLOTS = 255
#: Virtual machines whose storage is not added up for each query.
_MANY = 200
NO_VOLUMES = Message(8000, "ALC", "E", "No {use} space is defined")
SPOOL_FULL = Message(8001, "SPL", "E", "Spool space is full")

_added_up: WeakKeyDictionary[System, tuple[int, int]] = WeakKeyDictionary()
"""Second of the clock and KiB in use then."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Pages in all and in use of one volume."""

    volume: SpaceVolume
    total: int
    used: int


def volumes(system: System, use: str) -> list[SpaceVolume]:
    """The volumes of PAGE or SPOOL space in the order of their slots."""
    found = [volume for volume in system.space_volumes.values() if volume.use == use]
    return sorted(found, key=lambda volume: (volume.slot, volume.volser))


def room_for(system: System, size: int) -> bool:
    """Whether a spool file of so many bytes fits; always on a system that describes no spool volumes."""
    capacity = spool_capacity(system)
    return not capacity or system.spool_pages - (-size // 4096) + 1 <= capacity


def free_slot(system: System, *others: int) -> int | None:
    """The lowest slot of the CP-owned list that is free and not one of the others; None when all are taken."""
    taken = {volume.slot for volume in system.space_volumes.values()} | set(others)
    return next((slot for slot in range(1, MAX_SLOTS + 1) if slot not in taken), None)


def pages_needed(system: System) -> int:
    """Pages of virtual machines that do not fit into real storage."""
    return max(0, _storage_kib(system) - system.facts.storage_kib) // PAGE_KIB


def real_pages(system: System) -> tuple[int, int]:
    """Pages of real storage: in use and in all."""
    total = system.facts.storage_kib
    return min(_storage_kib(system), total) // PAGE_KIB, total // PAGE_KIB


def _storage_kib(system: System) -> int:
    """What CP and all virtual machines use. Of thousands it is added up once a second, not for each query."""
    second = int(system.now())
    known = _added_up.get(system)
    if known is not None and known[0] == second and len(system.machines) > _MANY:
        return known[1]
    used = CP_KIB + sum(traffic.storage_kib(system, machine) for machine in system.machines.values())
    _added_up[system] = (second, used)
    return used


def spool_pages(system: System) -> int:
    """Pages that the spool files hold."""
    return system.spool_pages


def spool_capacity(system: System) -> int:
    """Pages of spool space that may be written; 0 on a system that describes no spool volumes."""
    return sum(volume.pages for volume in volumes(system, "SPOOL") if volume.state == "NOTDRAINED")


def usage(system: System, use: str) -> list[Usage]:
    """How full each volume is. CP spreads evenly over the volumes that take new pages; the shares add up."""
    found = volumes(system, use)
    pages = pages_needed(system) if use == "PAGE" else spool_pages(system)
    open_volumes = [volume for volume in found if volume.state == "NOTDRAINED"] or found
    capacity = sum(volume.pages for volume in open_volumes)
    pages = min(pages, capacity)
    result, given, passed = [], 0, 0
    for volume in found:
        share = 0
        if volume in open_volumes and capacity:
            passed += volume.pages
            share = pages * passed // capacity - given
            given += share
        result.append(Usage(volume, volume.pages, share))
    return result


def shown(pages: int) -> str:
    """A number of pages as CP prints it: in thousands (1,024) with a K once it has more than six digits."""
    return f"{pages // 1024}K" if pages > 999_999 else str(pages)


def percent(used: int, total: int) -> int:
    """Whole percent, rounded down; the recorded form has no sign."""
    return used * 100 // total if total else 0
