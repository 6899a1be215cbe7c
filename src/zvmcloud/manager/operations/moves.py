"""Guests that move to other members of the SSI cluster: one, or all of a system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from zvmcloud.manager.errors import BadInput, Conflict
from zvmcloud.manager.guest_plans import Relocation, moved_step, plan_relocate
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.plan import Plan
from zvmcloud.manager.operations.declare import GUEST, Prepared, Target, guest_of, operation
from zvmcloud.manager.storage import following

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class Relocate:
    """A member of the SSI cluster to move a running guest to. Limits in seconds, 0 for z/VM's own."""

    destination: str
    test: bool = False
    force: list[Literal["ARCHITECTURE", "DOMAIN", "STORAGE"]] = field(default_factory=list)
    immediate: bool = False
    max_total: int = 0
    max_quiesce: int = 0


@operation(
    "guest.relocate",
    "POST",
    f"{GUEST}/relocate",
    Relocate,
    undo_unless="to a member that is no system of ours: there is no agent that could send the guest back",
)
async def relocate(node: Node, caller: Caller, target: Target, wanted: Relocate) -> Prepared:
    """Move a running guest to another member of the SSI cluster, or test whether it could go."""
    owner, project = await guest_of(node, caller, target)
    if not await node.guests.is_on(target.system, owner):
        raise Conflict(f"guest {owner} is not on", code="guest-inactive", remedy="start it first", subject=owner)
    request = Relocation(
        owner,
        wanted.destination,
        test=wanted.test,
        force=tuple(wanted.force),
        immediate=wanted.immediate or None,
        max_total=wanted.max_total,
        max_quiesce=wanted.max_quiesce,
    )
    await _volumes_follow(node, target.system, owner, wanted.destination.upper())
    managed = wanted.destination.upper() in node.core.agents.names
    devices = await following.kept(node.fcp, target.system, owner)
    others = await following.promised(node.fcp, wanted.destination.upper(), owner) if managed and devices else ()
    plan = plan_relocate(target.system, owner, request, managed=managed, devices=devices, kept=others)
    return Prepared(plan, project)


@dataclass(frozen=True, slots=True)
class Move:
    """The system of ours, a member of the same SSI cluster, that the guest belongs to from now on."""

    destination: str


@operation("guest.move", "POST", f"{GUEST}/move", Move)
async def move(node: Node, caller: Caller, target: Target, wanted: Move) -> Prepared:
    """Have a guest that is off start on another member of the SSI cluster from now on, with FCP devices of that member.
    The member that it leaves may be down. Its adapters need their rights there: have them repaired."""
    owner, project = await guest_of(node, caller, target)
    to = node.core.system(wanted.destination)
    if to == target.system:
        raise BadInput("destination", wanted.destination, f"another system than {to}")
    cluster = await node.hosts.ssi(to)
    members = {member.text("system").upper() for member in cluster.documents("members")}
    if target.system not in members:
        raise Conflict(f"{target.system} and {to} are not in one SSI cluster", code="no-cluster", subject=owner)
    if await node.guests.is_on(to, owner):
        raise Conflict(f"guest {owner} is on", code="guest-active", remedy="stop or relocate it", subject=owner)
    await _volumes_follow(node, target.system, owner, to)
    title = f"Move guest {owner} to {to}"
    before, devices, kept = await following.steps_to(node, target.system, owner, to)
    steps = (*before, moved_step(owner, to, devices, kept))
    return Prepared(Plan("guest.move", title, target.system, steps, owner), project)


async def _volumes_follow(node: Node, system: str, owner: str, to: str) -> None:
    """Raises Conflict (not-relocatable)."""
    why = await following.against(node.core, system, owner, to)
    if why:
        raise Conflict(
            f"{owner} cannot go to {to}: {why}",
            code="not-relocatable",
            remedy="have the cluster share the pool, or detach them",
            subject=owner,
        )


@dataclass(frozen=True, slots=True)
class Evacuate:
    """All running guests of ours on the system, one after the other. ``first``: userids in this order, before the
    others (those by name); ``without``: userids that stay. ``destinations``: members, "" for all that are joined.
    ``skip``: leave out guests that cannot go anywhere, which otherwise refuse the plan. Limits per guest, seconds."""

    first: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    destinations: list[str] = field(default_factory=list)
    skip: bool = False
    max_total: int = 0
    max_quiesce: int = 0


@operation(
    "system.evacuate",
    "POST",
    "/systems/{system}/evacuate",
    Evacuate,
    Role.OPERATOR,
    undo_unless="to members that are no systems of ours: there is no agent that could send the guests back",
)
async def evacuate(node: Node, caller: Caller, target: Target, wanted: Evacuate) -> Prepared:
    """Move every running guest of a system to other members, each to one where nothing stands against it. What has
    moved stays when a later guest cannot; an undo, when it is asked for, brings back all that can go."""
    plan, userids = await node.evacuations.plan(
        target.system,
        first=wanted.first,
        without=wanted.without,
        destinations=wanted.destinations,
        skip=wanted.skip,
        limits=(wanted.max_total, wanted.max_quiesce),
    )
    return Prepared(plan, caller.project, entries=userids)
