"""The simulated z/VM beside what must be there: nothing less, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from openstack_proof.zvm import SYSTEMS, Zvm


class Different(Exception):
    """z/VM is not as it must be; every difference is a line."""


@dataclass(frozen=True, slots=True)
class Guest:
    """What must be there of a server. ``system``: where it runs, "" when it is off. ``nics``: VSWITCH and VLAN (0 for
    none) of each adapter's virtual device."""

    userid: str
    system: str
    home: str
    nics: dict[str, tuple[str, int]]
    disks: int = 1
    vcpus: int = 1
    memory_mb: int = 512


class Baseline:
    """z/VM as it was first."""

    def __init__(self, zvm: Zvm) -> None:
        self._zvm = zvm
        self._rows = zvm.rows()

    def check(self, guests: Collection[Guest]) -> None:
        """Raises Different. Rows that are neither a guest's nor a VSWITCH's have to be as they were."""
        wrong: list[str] = []
        userids = {guest.userid for guest in guests}
        now = self._zvm.rows()
        for key in sorted({*now, *self._rows}):
            if now.get(key) == self._rows.get(key):
                continue
            if any(userid in key or userid in now.get(key, "") for userid in userids):
                continue
            if ":vswitches " in key and _without_grants(now.get(key)) == _without_grants(self._rows.get(key)):
                continue
            wrong.append(
                f"{key}:\n    was {self._rows.get(key, 'not there')[:800]}\n    is {now.get(key, 'gone')[:800]}"
            )
        for guest in guests:
            wrong += self._guest(guest)
        wrong += self._rights(guests)
        if wrong:
            raise Different("\n".join(wrong))

    def _guest(self, guest: Guest) -> list[str]:
        system = self._zvm.simulator.members[SYSTEMS.index(guest.home)].system
        record = system.entries.get(guest.userid)
        if record is None:
            return [f"{guest.userid}: no entry in the directory"]
        entry = record.entry
        wrong = []
        nics = {nic.vdev: (nic.lan_name, int(nic.vlan or 0)) for nic in entry.nicdefs}
        if nics != guest.nics:
            wrong.append(f"{guest.userid}: adapters are {nics}, must be {guest.nics}")
        disks = [key for key in now_of(system.disks) if guest.userid in key]
        if len(disks) != guest.disks:
            wrong.append(f"{guest.userid}: disks are {disks}, must be {guest.disks}")
        for name in SYSTEMS:
            machine = self._zvm.simulator.members[SYSTEMS.index(name)].system.machines.get(guest.userid)
            if (machine is not None) != (name == guest.system):
                wrong.append(f"{guest.userid}: {'on' if machine else 'off'} at {name}, must be on at {guest.system!r}")
            size = (guest.vcpus, guest.memory_mb * 1024)
            if machine is not None and name == guest.system and (len(machine.cpus), machine.storage_kib) != size:
                wrong.append(f"{guest.userid}: {len(machine.cpus)} CPUs, {machine.storage_kib} KiB")
        return wrong

    def _rights(self, guests: Collection[Guest]) -> list[str]:
        wrong = []
        for name in SYSTEMS:
            wanted = {
                (nic[0], guest.userid, nic[1]) for guest in guests if guest.home == name for nic in guest.nics.values()
            }
            member = self._zvm.simulator.members[SYSTEMS.index(name)].system
            found = set()
            for switch in member.vswitches.values():
                first = {grant["userid"] for grant in _grants(self._rows.get(f"{name}:vswitches {switch.name}"))}
                for grant in switch.grants:
                    if grant.userid not in first:
                        found.add((switch.name, grant.userid, int(grant.vlans[0]) if grant.vlans else 0))
            if found != wanted:
                wrong.append(f"{name}: rights are {sorted(found)}, must be {sorted(wanted)}")
        return wrong


def now_of(collection: object) -> list[str]:
    return [str(key) for key, _ in collection.items()]  # type: ignore[attr-defined]


def _without_grants(row: str | None) -> object:
    if row is None:
        return None
    found = json.loads(row)
    found.pop("grants", None)
    return found


def _grants(row: str | None) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(row).get("grants", []) if row else []
    return found
