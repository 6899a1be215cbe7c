"""Live guest relocation: a guest that is logged on moves from one member of the cluster to another.

    begin --(memory moves in passes)--> quiesce --(the guest stands still)--> arrive: one transaction over both members
      |                                    |                                    |
      `--cancel, limit passed, member lost, no longer eligible: the guest stays where it is, and runs on

Until it has arrived the guest is on its source, afterwards on its destination, never on both or none. What moves: the
virtual machine with its running system and console, its reader files, its temporary disks and load; disks and adapters
keep their addresses, dedicated OSA and FCP devices become those of equal EQID.

Events (protocol.md, section 7): outbound begin 9, inbound begin 10, outbound end 11, inbound end 12, outbound ended
without success 13, inbound 14. The reason codes of the latter two are judgement: see `Ending`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum

from zvmcloud.cp import messages
from zvmcloud.cp.messages import Message
from zvmcloud.simulator import eligibility, guests, luns, model_cluster, spool, storage
from zvmcloud.simulator.cluster import Cluster
from zvmcloud.simulator.eligibility import Reason, Wish
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Dasd, Machine, RealDevice
from zvmcloud.simulator.model_cluster import Relocation, RelocationSetting
from zvmcloud.simulator.system import System

OUT_BEGIN, IN_BEGIN, OUT_DONE, IN_DONE, OUT_FAILED, IN_FAILED = 9, 10, 11, 12, 13, 14
#: Seconds a guest may stand still unless the command says otherwise; none when it says IMMEDIATE.
DEFAULT_QUIESCE = 10.0
#: Guests of up to this storage take the time of the profile.
USUAL_KIB = 4 << 20

NOT_RELOCATABLE = Message(1940, "RLH", "E", "{userid} is not relocatable for the following reason(s):")
NO_DOMAIN = Message(1821, "RLS", "E", "Relocation domain {domain} does not exist")
NEEDS_FORCE = Message(1822, "RLS", "E", "Domain {domain} has fewer facilities of the architecture; FORCE is needed")
SEVERAL_CONFIGURATIONS = Message(1823, "RLS", "E", "{userid} has a configuration on several members")
NO_MEMBER = Message(1922, "RLO", "E", "{member} is not a member of the cluster that has joined")
SAME_MEMBER = Message(1923, "RLO", "E", "{userid} is on member {member} already")
RELOCATING = Message(1924, "RLO", "E", "{userid} is being relocated already")
NOT_STABLE = Message(1925, "RLO", "E", "The cluster is in mode {mode}; a relocation needs mode STABLE")
TOTAL_PASSED = Message(1927, "RLV", "E", "Relocation of {userid} ended: it took longer than MAXTOTAL {seconds}")
QUIESCE_PASSED = Message(1928, "RLV", "E", "Relocation of {userid} ended: it would stand still for over {seconds} s")
CANCELLED = Message(1929, "RLV", "E", "Relocation of {userid} was cancelled")
MEMBER_LOST = Message(1930, "RLV", "E", "Relocation of {userid} ended: member {member} has left")
GUEST_ENDED = Message(1931, "RLV", "E", "Relocation of {userid} ended: the virtual machine logged off")
BEGUN = "Relocation of {userid} from {source} to {destination} started"
DONE = "Relocation of {userid} from {source} to {destination} complete"


class Ending(IntEnum):
    """Why a move ended without success; the byte of events 13 and 14 (judgement)."""

    CANCELLED = 1
    TOTAL = 2
    QUIESCE = 3
    NOT_ELIGIBLE = 4
    MEMBER_LOST = 5
    GUEST_ENDED = 6


class NotRelocatable(CpRefused):
    """Message 1940 with the reasons below it."""

    def __init__(self, userid: str, reasons: tuple[Reason, ...]) -> None:
        super().__init__(NOT_RELOCATABLE, userid=userid)
        self.reasons = reasons
        self.lines = (self.line, *(reason.line for reason in reasons))
        self.numbers = (self.number, *(reason.number for reason in reasons))


Watcher = Callable[["tuple[CpRefused | None, Relocation]"], None]


def cluster_of(system: System, userid: str) -> Cluster:
    """The cluster that a system belongs to. CpRefused 1943 when it belongs to none."""
    if system.cluster is None:
        raise CpRefused(messages.NOT_IN_CLUSTER, userid=userid)
    return system.cluster


def find(system: System, userid: str) -> tuple[System, Machine]:
    """A guest and the member on which it is. CpRefused 45 when it is logged on nowhere."""
    where = system.where(userid)
    if where is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=userid)
    return where, where.machines[userid]


def check(system: System, userid: str, destination: str, force: tuple[str, ...] = ()) -> Wish:
    """VMRELOCATE TEST: whether the guest could move now.

    CpRefused: no cluster (1943), it is not stable (1925), not logged on (45), no such member (1922), it is there
    already (1923), it moves already (1924); NotRelocatable with everything that stands against the move.
    """
    cluster = cluster_of(system, userid)
    source, machine = find(system, userid)
    there = cluster.member(destination)
    if there is None or not cluster.is_up(there.name):
        raise CpRefused(NO_MEMBER, member=destination.upper())
    if there is source:
        raise CpRefused(SAME_MEMBER, userid=userid, member=there.name)
    if userid in cluster.relocations:
        raise CpRefused(RELOCATING, userid=userid)
    if cluster.mode != model_cluster.STABLE:
        raise CpRefused(NOT_STABLE, mode=cluster.mode.upper())
    wish = Wish(machine, source, there, force)
    found = eligibility.reasons(wish)
    if found:
        raise NotRelocatable(userid, found)
    return wish


def begin(
    system: System,
    userid: str,
    destination: str,
    issuer: str,
    *,
    force: tuple[str, ...] = (),
    immediate: bool = False,
    max_total: float | None = None,
    max_quiesce: float | None = DEFAULT_QUIESCE,
    watcher: Watcher | None = None,
) -> Relocation:
    """VMRELOCATE MOVE: check, and start. `watcher` gets the refusal (or None) and the move when it has ended.

    Raises what `check` raises.
    """
    wish = check(system, userid, destination, force)
    cluster = cluster_of(system, userid)
    timing, now = wish.source.timing, cluster.now()
    factor = max(wish.machine.storage_kib / USUAL_KIB, 1.0)
    # One pass instead of several, and what that leaves to move moves while the guest stands still.
    passes = timing.relocation * factor
    quiesce = timing.quiesce * factor + (passes / 2 if immediate else 0.0)
    total = passes / 4 + quiesce if immediate else passes + quiesce
    move = Relocation(
        userid,
        wish.source.name,
        wish.destination.name,
        issuer,
        wish.source.next_number("relocation"),
        now,
        now + total,
        quiesce,
        None if immediate and max_total is None else max_total,
        max_quiesce,
        force,
        immediate,
    )
    cluster.relocations.put(userid, move)
    if watcher is not None:
        cluster.watchers[move.number] = watcher
    wish.source.events.about(OUT_BEGIN, userid, move.destination)
    wish.destination.events.about(IN_BEGIN, userid, move.source)
    _arm(cluster, move)
    return move


def _arm(cluster: Cluster, move: Relocation) -> None:
    """Set the timer of what comes next: the time limit, standing still, or the arrival."""
    now = cluster.now()
    leader = cluster.systems[move.source]
    halt_at = move.arrives - move.quiesce
    limit_at = move.started + move.max_total if move.max_total is not None else None
    if limit_at is not None and limit_at < move.arrives and (move.quiesced or limit_at < halt_at):
        leader.later(limit_at - now, lambda: _due(cluster, move.number, _over_total))
    elif not move.quiesced:
        leader.later(halt_at - now, lambda: _due(cluster, move.number, _quiesce))
    else:
        leader.later(move.arrives - now, lambda: _due(cluster, move.number, _arrive))


def _due(cluster: Cluster, number: int, step: Callable[[Cluster, Relocation], None]) -> None:
    """Do the step if the move is still what it was; a limit that was changed meanwhile has set another timer."""
    move = next((item for item in cluster.relocations.values() if item.number == number), None)
    if move is None:
        return
    if step is _over_total and not _passed(cluster, move):
        return
    if step is _quiesce and move.quiesced:
        return
    if move.userid not in cluster.systems[move.source].machines:
        guest_ended(cluster, move)
        return
    step(cluster, move)


def guest_ended(cluster: Cluster, move: Relocation) -> None:
    """The guest of a move is gone, so there is nothing to move."""
    end(cluster, move, Ending.GUEST_ENDED, CpRefused(GUEST_ENDED, userid=move.userid))


def _passed(cluster: Cluster, move: Relocation) -> bool:
    return move.max_total is not None and cluster.now() >= move.started + move.max_total


def _over_total(cluster: Cluster, move: Relocation) -> None:
    refusal = CpRefused(TOTAL_PASSED, userid=move.userid, seconds=int(move.max_total or 0))
    end(cluster, move, Ending.TOTAL, refusal)


def _quiesce(cluster: Cluster, move: Relocation) -> None:
    """The guest stands still, unless that would take longer than it may."""
    if move.max_quiesce is not None and move.quiesce > move.max_quiesce:
        refusal = CpRefused(QUIESCE_PASSED, userid=move.userid, seconds=int(move.max_quiesce))
        end(cluster, move, Ending.QUIESCE, refusal)
        return
    source = cluster.systems[move.source]
    machine = source.machines[move.userid]
    source.machines.put(move.userid, replace(machine, paused=True))
    halted = replace(move, quiesced=True, was_paused=machine.paused)
    cluster.relocations.put(move.userid, halted)
    _arm(cluster, halted)


def _arrive(cluster: Cluster, move: Relocation) -> None:
    """Check once more, and hand the guest over."""
    source, there = cluster.systems[move.source], cluster.systems[move.destination]
    machine = source.machines[move.userid]
    wish = Wish(machine, source, there, move.force)
    found = eligibility.reasons(wish)
    if found:
        end(cluster, move, Ending.NOT_ELIGIBLE, NotRelocatable(move.userid, found))
        return
    real = eligibility.equivalents(wish)
    generation = there.next_number("generation")
    devices = tuple(
        replace(device, rdev=real[device.vdev]) if isinstance(device, RealDevice) else device
        for device in machine.devices
    )
    for name in luns.shown(source, machine):
        storage.hide_device(source, move.userid, name)
    for device in machine.devices:
        if isinstance(device, RealDevice):
            guests.release_real(source, device)
        elif isinstance(device, Dasd):
            storage.hide_device(source, move.userid, source.device_name(move.userid, device.vdev).name)
    source.machines.remove(move.userid)
    moved = replace(machine, devices=devices, paused=move.was_paused, generation=generation)
    there.machines.put(move.userid, moved)
    for device in devices:
        if isinstance(device, RealDevice):
            guests.claim_real(there, move.userid, device)
        elif isinstance(device, Dasd) and device.file:
            storage.show_disk(there, move.userid, device)
    for name, path in luns.shown(there, moved).items():
        storage.show_device(there, move.userid, name, lambda path=path: path)  # type: ignore[misc]
    _take_along(source, there, move.userid, generation, machine.generation)
    cluster.relocations.remove(move.userid)
    source.events.about(OUT_DONE, move.userid, move.destination)
    there.events.about(IN_DONE, move.userid, move.source)
    guests.rearm(there, move.userid)
    _tell(cluster, move, None)


def _take_along(source: System, there: System, userid: str, generation: int, before: int) -> None:
    """Rows about the guest that are kept beside its machine."""
    spool.follow(source, there, userid)
    activity = source.activities.get(userid)
    if activity is not None:
        source.activities.remove(userid)
        there.activities.put(userid, activity)
    hardware = source.hardware.get(userid)
    if hardware is not None:
        source.hardware.remove(userid)
        seen = generation if hardware.generation == before else hardware.generation
        there.hardware.put(userid, replace(hardware, generation=seen))
    settings = source.settings.get(userid)
    if settings is not None:
        source.settings.remove(userid)
        there.settings.put(userid, settings)


def end(cluster: Cluster, move: Relocation, why: Ending, refusal: CpRefused) -> None:
    """Give a move up, inside a transaction: the guest stays where it is and runs on."""
    cluster.relocations.remove(move.userid)
    source = cluster.systems[move.source]
    machine = source.machines.get(move.userid)
    if machine is not None and move.quiesced and not move.was_paused:
        source.machines.put(move.userid, replace(machine, paused=False))
    source.events.about(OUT_FAILED, move.userid, int(why))
    cluster.systems[move.destination].events.about(IN_FAILED, move.userid, int(why))
    _tell(cluster, move, refusal)


def _tell(cluster: Cluster, move: Relocation, refusal: CpRefused | None) -> None:
    """Say how it ended: to whoever waits for it, and at the issuer's console."""
    names = {"userid": move.userid, "source": move.source, "destination": move.destination}
    lines = (DONE.format(**names),) if refusal is None else refusal.lines
    for member in cluster.up():
        if move.issuer in member.machines and member.name in (move.source, move.destination):
            spool.write_console(member, move.issuer, *lines)
            break
    watcher = cluster.watchers.pop(move.number, None)
    if watcher is not None:
        cluster.store.after_commit(lambda: watcher((refusal, move)))


def cancel(system: System, userid: str) -> None:
    """VMRELOCATE CANCEL. CpRefused 1926 when the guest is not being relocated."""
    end(cluster_of(system, userid), _under_way(system, userid), Ending.CANCELLED, CpRefused(CANCELLED, userid=userid))


def modify(system: System, userid: str, **limits: float | None) -> Relocation:
    """VMRELOCATE MODIFY: other limits (max_total, max_quiesce; None for NOLIMIT). CpRefused 1926."""
    cluster = cluster_of(system, userid)
    move = replace(_under_way(system, userid), **limits)  # type: ignore[arg-type]
    cluster.relocations.put(userid, move)
    _arm(cluster, move)
    return move


def _under_way(system: System, userid: str) -> Relocation:
    cluster = cluster_of(system, userid)
    move = cluster.relocations.get(userid)
    if move is None:
        raise CpRefused(messages.NO_RELOCATION, userid=userid)
    return move


def status(cluster: Cluster, move: Relocation) -> str:
    """What a move is doing."""
    if move.quiesced:
        return "Guest stopped"
    passed = cluster.now() - move.started
    passes = max(move.arrives - move.quiesce - move.started, 1e-9)
    return "Defining guest" if passed < passes * 0.05 else "Moving memory"


def set_attributes(
    system: System, userid: str, *, allowed: bool | None = None, domain: str | None = None, force: bool = False
) -> RelocationSetting:
    """SET VMRELOCATE for a guest that is logged on, until it logs off.

    CpRefused: no cluster (1943), not logged on (45), an IDENTITY (1823), no such domain (1821), the member is not in
    the domain and there is no FORCE ARCHITECTURE (1822; judgement: that is when facilities are lost).
    """
    cluster = cluster_of(system, userid)
    where, machine = find(system, userid)
    if not where.floats(userid):
        raise CpRefused(SEVERAL_CONFIGURATIONS, userid=userid)
    current = eligibility.setting(where, machine)
    wanted = current.domain if domain is None else domain
    found = cluster.domains.get(wanted)
    if found is None:
        raise CpRefused(NO_DOMAIN, domain=wanted)
    if domain is not None and where.name not in found.members and not force:
        raise CpRefused(NEEDS_FORCE, domain=wanted)
    changed = RelocationSetting(userid, machine.logon_at, current.allowed if allowed is None else allowed, wanted)
    cluster.settings.put(userid, changed)
    return changed


def member_lost(cluster: Cluster, system: System) -> None:
    """A member goes down: moves from and to it are given up."""
    for move in cluster.relocations.values():
        if system.name in (move.source, move.destination):
            refusal = CpRefused(MEMBER_LOST, userid=move.userid, member=system.name)
            end(cluster, move, Ending.MEMBER_LOST, refusal)


def resume(cluster: Cluster) -> None:
    """After a restart of the simulator: moves go on; whoever waited for their end has gone."""
    for move in cluster.relocations.values():
        _arm(cluster, move)
