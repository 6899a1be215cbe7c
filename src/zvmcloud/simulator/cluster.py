"""An SSI cluster: several systems in one process, with one directory and shared disks.

    <state>/cluster.sqlite       the models of all members: one file, so that a transaction over two members is atomic
    <state>/disks, spool         files of all members
    <state>/<MEMBER>/            journal and device links of one member

Every member is a System whose collections are its own, except the SHARED ones, which are the same objects in all of
them: the directory and its space, minidisks, CMS files, SMAPI's authorizations. VSWITCHes, LANs, real devices, spool,
virtual machines are each member's. A member that is down keeps its System (its devices and definitions are there when
it comes back), but runs no virtual machine, and its ports are closed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

from zvmcloud.simulator import member_disks, model_cluster
from zvmcloud.simulator.clock import Scheduler, WallClock
from zvmcloud.simulator.errors import CpRefused, ModelError
from zvmcloud.simulator.model import Disk
from zvmcloud.simulator.model_cluster import (
    DOWN,
    INFLUX,
    JOINED,
    JOINING,
    LEAVING,
    SAFE,
    STABLE,
    UNKNOWN,
    ClusterFacts,
    LocalVolume,
    MemberState,
    Relocation,
    RelocationDomain,
    RelocationSetting,
)
from zvmcloud.simulator.store import Collection, Store
from zvmcloud.simulator.system import System, Timing, lock_folder
from zvmcloud.simulator.system_model import Declare

log = logging.getLogger(__name__)
V = TypeVar("V")

FILE = "cluster.sqlite"
MOST_MEMBERS = 8
#: Collections of a System that all members have in common.
SHARED = frozenset(
    {
        "counters", "volumes", "regions", "groups", "entries", "disks", "memories", "prototypes", "local_tags",
        "in_effect", "held_disks", "directory_modes", "source_files", "texts", "authorizations", "name_lists",
    }
)  # fmt: skip
#: Seconds between two heartbeats of a member.
HEARTBEAT = 5
#: *VMEVENT class of the events about the cluster: one of the two that carry them (judgement).
EVENT_CLASS, MODE_CHANGED, STATE_CHANGED = 2, 7, 8


class Cluster:
    """The members of an SSI cluster and what they share. Use `open_installation` to get one with content."""

    def __init__(
        self,
        state: Path,
        facts: ClusterFacts | None = None,
        *,
        clock: Scheduler | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Open the state folder, made if missing, with the members it had; `facts` are for a new one.

        ModelError when another process has the folder, or when it is new and there are no facts.
        """
        self.state = state
        state.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(state)
        self.clock: Scheduler = clock or WallClock()
        try:
            self.store = Store(state / FILE)
        except BaseException:
            self._lock.close()
            raise
        self.leader: System | None = None
        """The member that keeps the indexes of directory and space; it need not be up."""
        self.systems: dict[str, System] = {}
        """All members by name, in the order of their slots, also those that are down."""
        self.listeners: list[Callable[[str, bool], None]] = []
        """Called with a member's name and whether it is up now, when it came or went."""
        self.watchers: dict[int, Callable[[tuple[CpRefused | None, Relocation]], None]] = {}
        """Who waits for the end of a move, by the move's number."""
        self._shared: dict[str, Collection[object]] = {}
        try:
            self._open(facts, timing)
        except BaseException:
            self.close()
            raise

    def _open(self, facts: ClusterFacts | None, timing: Timing | None) -> None:
        stored = self.store.peek("cluster", ClusterFacts)
        known = stored.get("cluster") or facts
        if known is None:
            raise ModelError("state", f"{self.state} holds no cluster, and there is no model of one")
        self.is_new = not stored
        self.facts_rows = self.store.collection("cluster", ClusterFacts)
        self.member_states = self.store.collection("member_states", MemberState)
        self.local_volumes = self.store.collection("local_volumes", LocalVolume)
        self.domains = self.store.collection("domains", RelocationDomain)
        self.settings = self.store.collection("relocation_settings", RelocationSetting)
        self.relocations = self.store.collection("relocations", Relocation)
        """By userid: a guest moves to one place at a time."""
        for name in known.members:
            system = System(self.state / name, clock=self.clock, timing=timing, cluster=self)
            self.systems[name] = system
            self.leader = self.leader or system
        self.store.load()
        self._founding = known

    def found(self) -> None:
        """Make a new cluster's own rows; inside the transaction that fills it."""
        known = self._founding
        self.facts_rows.put("cluster", known)
        for name in known.members:
            self.member_states.put(name, MemberState(name, since=self.now()))
        self.domains.put(known.name, RelocationDomain(known.name, known.members))

    # -- what members see ---------------------------------------------------------------------------------------------

    def collections(self, member: str) -> Declare:
        """How a member declares its collections: a shared one is declared once."""

        def collection(name: str, kind: type[V]) -> Collection[V]:
            if name not in SHARED:
                return self.store.collection(f"{member}:{name}", kind)
            if name not in self._shared:
                self._shared[name] = cast("Collection[object]", self.store.collection(name, kind))
            if kind is Disk:
                disks = cast("Collection[Disk]", self._shared[name])
                return cast("Collection[V]", member_disks.MemberDisks(self, member, disks))
            return cast("Collection[V]", self._shared[name])

        return collection

    @property
    def facts(self) -> ClusterFacts:
        return self.facts_rows["cluster"]

    @property
    def name(self) -> str:
        return self.facts.name

    def now(self) -> float:
        return self.clock.now()

    def member(self, name: str) -> System | None:
        """A member by its name, in either case; also one that is down."""
        return self.systems.get(name.upper())

    def up(self) -> tuple[System, ...]:
        """The members that have joined."""
        return tuple(system for name, system in self.systems.items() if self.is_up(name))

    def is_up(self, name: str) -> bool:
        return self.member_states[name].state == JOINED

    def peers(self, system: System) -> tuple[System, ...]:
        """The other members that are up."""
        return tuple(other for other in self.up() if other is not system)

    @property
    def mode(self) -> str:
        """Stable, Influx while a member joins or leaves, Safe when the state of one is not known."""
        states = {member.state for member in self.member_states.values()}
        if UNKNOWN in states:
            return SAFE
        return INFLUX if states & {JOINING, LEAVING} else STABLE

    def heartbeat(self, name: str) -> float:
        """When a member was last heard of: seconds since 1970."""
        member = self.member_states[name]
        now = self.now()
        return now - now % HEARTBEAT if member.state == JOINED else member.heard

    def is_local(self, volser: str) -> bool:
        """Whether one member only has the volume."""
        return volser in self.local_volumes

    def identity_of(self, subconfig: str) -> str:
        """The IDENTITY that is built with a SUBCONFIG on some member; the name itself when there is none."""
        return self._builds().get(subconfig, (subconfig, ""))[0]

    def _builds(self) -> dict[str, tuple[str, str]]:
        assert self.leader is not None  # noqa: S101
        return {
            subconfig: (identity, member)
            for identity, entry in self.leader.identities.items()
            for member, subconfig in entry.builds
        }

    # -- life ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside happen, or none, on whichever members they are."""
        assert self.leader is not None  # noqa: S101
        with self.leader.transaction():
            yield

    def set_state(self, name: str, state: str) -> None:
        """Change a member's state inside a transaction; the members that are up hear of it, and of a change of mode."""
        member, mode = self.member_states[name], self.mode
        if member.state == state:
            return
        heard = self.heartbeat(name)
        self.member_states.put(name, replace(member, state=state, since=self.now(), heard=heard))
        for system in self.up():
            before, after = (model_cluster.STATES.index(item) + 1 for item in (member.state, state))
            system.events.about(STATE_CHANGED, self.name, name, before, after, group=EVENT_CLASS)
            if self.mode != mode:
                before, after = (model_cluster.MODES.index(item) + 1 for item in (mode, self.mode))
                system.events.about(MODE_CHANGED, self.name, before, after, group=EVENT_CLASS)

    def take_down(self, name: str, *, abend: bool = False) -> None:
        """Shut a member down: its virtual machines end, moves to and from it are given up, its ports close.

        `abend`: it stops without leaving the cluster, which is in SAFE mode until it is back, or `bury` says that it
        is down. ModelError when there is no such member, or it is down already.
        """
        system = self.member(name)
        if system is None:
            raise ModelError("member", f"{name!r} is not one of {', '.join(self.systems)}")
        if not self.is_up(system.name):
            raise ModelError("member", f"{system.name} is down already")
        with self.transaction():
            self.leave(system, abend=abend)

    def leave(self, system: System, *, abend: bool = False) -> None:
        """What taking a member down does; inside a transaction."""
        from zvmcloud.simulator import guests, relocation  # noqa: PLC0415 (they know the cluster)

        if not abend:
            self.set_state(system.name, LEAVING)
        relocation.member_lost(self, system)
        for userid in list(system.machines):
            guests.log_off(system, userid)
        self.set_state(system.name, UNKNOWN if abend else DOWN)
        self._announce(system, up=False)

    def join(self, system: System) -> None:
        """A member that is IPLed joins; inside a transaction."""
        if not self.is_up(system.name):
            self.set_state(system.name, JOINING)
            self.set_state(system.name, JOINED)
            self._announce(system, up=True)

    def _announce(self, system: System, *, up: bool) -> None:
        name, listeners = system.name, tuple(self.listeners)

        def tell() -> None:
            for listener in listeners:
                listener(name, up)

        self.store.after_commit(tell)

    def logged_off(self, system: System, userid: str) -> None:
        """A guest has logged off: a move of it ends, and what SET VMRELOCATE changed for it is forgotten."""
        from zvmcloud.simulator import relocation  # noqa: PLC0415 (it knows the cluster)

        move = self.relocations.get(userid)
        if move is not None and move.source == system.name:
            relocation.guest_ended(self, move)
        changed = self.settings.get(userid)
        if changed is not None and system.floats(userid):
            self.settings.remove(userid)

    def bury(self, name: str) -> None:
        """Declare that a member whose state is not known is down, as SET SSI does; the cluster is stable again."""
        with self.transaction():
            if self.member_states[name.upper()].state == UNKNOWN:
                self.set_state(name.upper(), DOWN)

    def bring_up(self, name: str) -> None:
        """IPL a member that is down: it joins, its servers log on, its ports open. ModelError when it is up."""
        from zvmcloud.simulator import shutdown  # noqa: PLC0415 (it knows the cluster)

        system = self.member(name)
        if system is None:
            raise ModelError("member", f"{name!r} is not one of {', '.join(self.systems)}")
        if self.is_up(system.name):
            raise ModelError("member", f"{system.name} is up")
        with self.transaction():
            shutdown.ipl(system)

    def close(self) -> None:
        """Stop the clock and close the files of all members."""
        self.clock.close()
        self.store.close()
        for system in self.systems.values():
            system.close()
        self._lock.close()
