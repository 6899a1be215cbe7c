"""One z/VM system: its collections, the indexes kept beside them, its clock, its folder.

    <state>/system.sqlite      the model                <state>/disks/      one sparse file per disk that was used
    <state>/journal.jsonl      every call               <state>/spool/      contents of spool files
                                                        <state>/luns/       one sparse file per SCSI disk that was used
    <state>/devices/<USERID>/                           links to the disks of machines whose programs look (storage)

Indexes follow the collections through observers, so a transaction that is taken back takes them back too.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from zvmcloud.directory import Entry, Extent, ExtentMap, Group, Region, Volume
from zvmcloud.simulator import directory_changes
from zvmcloud.simulator.clock import Scheduler, WallClock
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.events import EventHub
from zvmcloud.simulator.model import (
    Counter,
    DirectoryEntry,
    Machine,
    Nic,
    SpoolFile,
    SystemFacts,
)
from zvmcloud.simulator.store import Store
from zvmcloud.simulator.system_model import SystemModel

if TYPE_CHECKING:
    from zvmcloud.simulator.cluster import Cluster

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that things take. `zero` is for tests, `lab` and `production` resemble a small and a busy system."""

    boot: float = 0.15
    shutdown: float = 0.15
    smapi: float = 0.0
    """Work of a request server on any call."""
    directory: float = 0.0
    """Work of the directory manager on a change."""
    signal: float = 300.0
    """How long a shutdown signal may take before the machine is forced."""
    relocation: float = 0.15
    """Moving the memory of a guest of up to 4 GiB to another member; larger ones take longer in proportion."""
    quiesce: float = 0.02
    """How long such a guest stands still at the end of a move."""


TIMINGS = {
    "zero": Timing(),
    "lab": Timing(boot=8.0, shutdown=4.0, smapi=0.05, directory=0.4, relocation=6.0, quiesce=0.6),
    "production": Timing(boot=25.0, shutdown=12.0, smapi=0.2, directory=2.5, relocation=20.0, quiesce=2.0),
}


class System(SystemModel):
    """The model of one system. Use `open_system` of presets to get one with content."""

    def __init__(
        self,
        state: Path,
        *,
        clock: Scheduler | None = None,
        timing: Timing | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        """Open the state folder, made if missing. ModelError when another process has it.

        With a cluster the system is a member: the cluster holds the store, and loads it when all members are there.
        """
        self.state = state
        self.cluster = cluster
        state.mkdir(parents=True, exist_ok=True)
        for folder in (self.disk_folder, self.lun_folder, self.spool_folder, self.device_folder):
            folder.mkdir(exist_ok=True)
        self._lock = lock_folder(state)
        self.clock: Scheduler = clock or WallClock()
        self.timing = timing or TIMINGS["zero"]
        self.asynchronous = False
        """Whether directory changes are answered with 592 and an operation id."""

        store = self.store = cluster.store if cluster else Store(state / "system.sqlite")
        super().__init__(cluster.collections(state.name) if cluster else store.collection)
        self.events = EventHub(store)
        self.changes = directory_changes.DirectoryChanges(store, self.entries, self.in_effect, self.directory_modes)
        self.changes.listeners.append(lambda changes: self.events.send(directory_changes.events(changes)))
        self.identities: dict[str, Entry] = {}
        """Entries that are built on systems of a cluster."""
        self._homes: dict[str, str] | None = None
        self.space = ExtentMap()
        self.links: dict[tuple[str, str], set[tuple[str, str]]] = {}
        """Owner and address of a disk to the (userid, vdev) pairs that have it as a device."""
        self.sessions: dict[str, int] = {}
        """How many sessions of the machine port each userid has: one that has any is not disconnected."""
        self.coupled: dict[str, set[tuple[str, str]]] = {}
        """VSWITCH name (of a guest LAN: network.lan_key) to the (userid, vdev) of the adapters coupled to it."""
        self.reader_index: dict[str, set[str]] = {}
        """Userid to the keys of its spool files."""
        self.spool_pages = 0
        """Pages of spool space that the spool files hold."""
        self.included_by: dict[str, set[str]] = {}
        """Profile to the entries that include it."""
        leader = cluster.leader if cluster else None
        if leader is not None:
            # Directory and space are the cluster's: the first member keeps their indexes.
            self.space, self.included_by, self.identities = leader.space, leader.included_by, leader.identities
        else:
            self.volumes.observe(self._volume_changed)
            self.regions.observe(self._region_changed)
            self.groups.observe(self._group_changed)
            self.entries.observe(self._entry_changed)
        self.machines.observe(self._machine_changed)
        self.spool.observe(self._spool_changed)
        if cluster is None:
            self.store.load()

    # -- folders ------------------------------------------------------------------------------------------------------

    @property
    def disk_folder(self) -> Path:
        return (self.cluster.state if self.cluster else self.state) / "disks"

    @property
    def lun_folder(self) -> Path:
        return (self.cluster.state if self.cluster else self.state) / "luns"

    @property
    def spool_folder(self) -> Path:
        return (self.cluster.state if self.cluster else self.state) / "spool"

    @property
    def device_folder(self) -> Path:
        return self.state / "devices"

    # -- life ---------------------------------------------------------------------------------------------------------

    @property
    def is_new(self) -> bool:
        """Whether the state folder held no system yet."""
        return "system" not in self.facts_rows

    @property
    def facts(self) -> SystemFacts:
        return self.facts_rows["system"]

    @property
    def name(self) -> str:
        return self.facts.name

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside happen, or none; see store."""
        inner = self.store.in_transaction
        with self.store.transaction():
            yield
            if not inner:
                self.changes.before_commit()

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Run an action of the system itself after a delay, in a transaction; a failure is logged, not lost.

        Inside a transaction the timer is set once that is on disk: what is taken back leaves no timer.
        """

        def due() -> None:
            try:
                with self.transaction():
                    action()
            except Exception:
                log.exception("a timed action of system %s failed", self.name)

        if self.store.in_transaction:
            self.store.after_commit(lambda: self.clock.later(delay, due))
        else:
            self.clock.later(delay, due)

    def now(self) -> float:
        return self.clock.now()

    def next_number(self, name: str, *, first: int = 1) -> int:
        """The next number of a series; inside a transaction."""
        value = (self.counters[name].value if name in self.counters else first - 1) + 1
        self.counters.put(name, Counter(value))
        return value

    def close(self) -> None:
        """Stop the clock and close the files; for a member, its cluster does that."""
        if self.cluster is None:
            self.clock.close()
            self.store.close()
        self._lock.close()

    # -- cluster ------------------------------------------------------------------------------------------------------

    @property
    def peers(self) -> tuple[System, ...]:
        """The other members of the SSI cluster that are up."""
        return self.cluster.peers(self) if self.cluster else ()

    def where(self, userid: str) -> System | None:
        """The system on which a floating guest (USER) is logged on: this one, another member, or none."""
        if userid in self.machines:
            return self
        return next((peer for peer in self.peers if userid in peer.machines and self.floats(userid)), None)

    def active(self, userid: str) -> bool:
        """Whether a userid is logged on, on whichever member of the cluster."""
        return userid in self.machines or any(userid in peer.machines for peer in self.peers)

    def floats(self, userid: str) -> bool:
        """Whether a userid may be logged on to one member of the cluster only, whichever that is."""
        found = self.changes.entry(userid)
        return found is None or found.kind == "USER"

    # -- files --------------------------------------------------------------------------------------------------------

    def new_file(self, folder: Path, name: str, data: bytes) -> Path:
        """Make a file with the data, which belongs to the transaction."""
        path = folder / name
        descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        try:
            self.store.on_rollback(lambda: path.unlink(missing_ok=True))
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        return path

    def drop_file(self, folder: Path, name: str) -> None:
        """Remove a file once the transaction is on disk."""

        def remove() -> None:
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)

        self.store.after_commit(remove)

    # -- directory ----------------------------------------------------------------------------------------------------

    def entry(self, name: str) -> Entry | None:
        """The entry (USER, IDENTITY, PROFILE) as CP has it: an IDENTITY with its SUBCONFIG of this system.

        What the directory manager edits is in `entries`; the two differ while changes are offline.
        """
        found = self.changes.entry(name.upper())
        if found is not None and found.kind == "IDENTITY":
            subconfig = found.subconfig_for(self.name)
            if not subconfig and self.cluster and found.builds:
                # An identity that is built on other members only does not exist here.
                return None
            return found.with_subconfig(self.changes.entry(subconfig)) if subconfig else found
        return found

    def full_entry(self, userid: str) -> Entry | None:
        """The entry of a virtual machine with the statements of its profiles, as CP sees it."""
        entry = self.entry(userid)
        if entry is None or not entry.is_machine:
            return None
        for name in entry.includes:
            entry = entry.with_profile(self.changes.entry(name))
        return entry

    def home(self, name: str) -> str:
        """The userid that owns the minidisks of an entry: for a SUBCONFIG the IDENTITY that it is built on here.

        In a cluster they go by the SUBCONFIG's own name, as every member's disks are in one collection there; see
        `MemberDisks`.
        """
        if self.cluster is not None:
            return name
        if self._homes is None:
            self._homes = {}
            for identity, entry in self.identities.items():
                subconfig = entry.subconfig_for(self.name)
                if subconfig:
                    self._homes[subconfig] = identity
        return self._homes.get(name, name)

    def built_on(self, subconfig: str) -> set[str]:
        """The IDENTITY entries that are built on a SUBCONFIG, on this or another system."""
        return {name for name, entry in self.identities.items() if any(used == subconfig for _, used in entry.builds)}

    def device_name(self, userid: str, vdev: str) -> Path:
        """Where the link of a disk device is."""
        return self.device_folder / userid / f"0.0.{vdev.lower()}"

    # -- observers ----------------------------------------------------------------------------------------------------

    def _volume_changed(self, key: str, _before: Volume | None, after: Volume | None) -> None:
        if after is None:
            self.space.volumes.pop(key, None)
        else:
            self.space.volumes[key] = after

    def _region_changed(self, key: str, _before: Region | None, after: Region | None) -> None:
        if after is None:
            self.space.regions.pop(key, None)
        else:
            self.space.regions[key] = after

    def _group_changed(self, key: str, _before: Group | None, after: Group | None) -> None:
        if after is None:
            self.space.groups.pop(key, None)
        else:
            self.space.groups[key] = after

    def _entry_changed(self, key: str, before: DirectoryEntry | None, after: DirectoryEntry | None) -> None:
        old = _extents(before.entry) if before else {}
        new = _extents(after.entry) if after else {}
        for vdev, extent in old.items():
            if new.get(vdev) != extent:
                self.space.release(extent, key, vdev)
        for vdev, extent in new.items():
            if old.get(vdev) != extent:
                self.space.occupy(extent, key, vdev)
        if (before and before.entry.kind == "IDENTITY") or (after and after.entry.kind == "IDENTITY"):
            self._homes = None
            self.identities.pop(key, None)
            if after and after.entry.builds:
                self.identities[key] = after.entry
        for name in before.entry.includes if before else ():
            self.included_by.get(name, set()).discard(key)
        for name in after.entry.includes if after else ():
            self.included_by.setdefault(name, set()).add(key)

    def _machine_changed(self, key: str, before: Machine | None, after: Machine | None) -> None:
        for disk in before.disks if before else ():
            users = self.links.get((disk.owner, disk.owner_vdev))
            if users is not None:
                users.discard((key, disk.vdev))
                if not users:
                    del self.links[disk.owner, disk.owner_vdev]
        for disk in after.disks if after else ():
            self.links.setdefault((disk.owner, disk.owner_vdev), set()).add((key, disk.vdev))
        for nic in before.nics if before else ():
            self.coupled.get(_lan_key(nic), set()).discard((key, nic.vdev))
        for nic in after.nics if after else ():
            if nic.lan_name:
                self.coupled.setdefault(_lan_key(nic), set()).add((key, nic.vdev))

    def _spool_changed(self, key: str, before: SpoolFile | None, after: SpoolFile | None) -> None:
        if before is not None:
            self.reader_index.get(before.owner, set()).discard(key)
            self.spool_pages -= _pages(before)
        if after is not None:
            self.reader_index.setdefault(after.owner, set()).add(key)
            self.spool_pages += _pages(after)


def lock_folder(state: Path) -> IO[str]:
    """Claim a state folder for this process. ModelError when another one has it."""
    lock = (state / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise ModelError("state", f"{state} is in use by another simulator") from error
    return lock


def _pages(file: SpoolFile) -> int:
    """4 KiB pages of a spool file: its data, and one that describes it."""
    return -(-file.size // 4096) + 1


def _lan_key(nic: Nic) -> str:
    return nic.lan_name if nic.lan_owner in ("SYSTEM", "") else f"{nic.lan_owner}.{nic.lan_name}"


def _extents(entry: Entry) -> dict[str, Extent]:
    """The places on volumes that the entry's minidisks have; whole-volume ones (to END) are left out."""
    return {
        disk.vdev: Extent(disk.volser, disk.start, disk.size)
        for disk in entry.mdisks
        if disk.placement == "PERM" and disk.start is not None and disk.size is not None
    }


def safe_name(text: str) -> str:
    """Text that can be a part of a file name; userids may contain characters that others dislike."""
    return re.sub(r"[^A-Za-z0-9@#$_-]", "_", text)
