"""Guests that a system of a fleet starts with: enough of them to see how tools behave with many."""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.directory import Entry
from zvmcloud.simulator import guests, network, storage
from zvmcloud.simulator.model import DirectoryEntry, Grant, Vswitch
from zvmcloud.simulator.system import System

SWITCH = "FLEET"
#: Guests on one VSWITCH.
PORTS = 1000


def add_guests(system: System, count: int) -> None:
    """Fill a system with guests L00001 ...: a minidisk, an adapter on a VSWITCH, logged on with CMS.

    The VSWITCHes are FLEET for the first thousand, FLEET1 for the second ...
    """
    if not count:
        return
    names = [f"L{number:05d}" for number in range(1, count + 1)]
    switches: dict[str, str] = {}
    for number in range(0, count, PORTS):
        own = names[number : number + PORTS]
        switch = Vswitch(f"{SWITCH}{number // PORTS or ''}", network.new_mac(system))
        system.vswitches.put(switch.name, replace(switch, grants=tuple(Grant(name) for name in own)))
        switches.update(dict.fromkeys(own, switch.name))
    pool = next((group.name for group in system.groups.values()), "")
    for name in names:
        place = system.space.allocate("AUTOG", pool, 1, "3390")
        entry = Entry.parse(
            [
                f"USER {name} LBYONLY 1G 2G G",
                "INCLUDE LNXDFLT",
                f"NICDEF 1000 TYPE QDIO DEVICES 3 LAN SYSTEM {switches[name]}",
                f"MDISK 0100 3390 {place.start} {place.size} {place.volser} MR",
            ]
        )
        system.entries.put(name, DirectoryEntry(entry))
        storage.create_disk(system, name, entry.mdisks[0])
    for name in names:
        guests.log_on(system, name)
