"""What is done about drift: a guest is adopted, forgotten or repaired, or its entry goes back to what it was.

Each of them looks at the guest first, so that its plan is made from what z/VM says now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from zvmcloud.manager.core import userid as checked_userid
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import BadInput, Conflict, NotFound
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.inventory.drifting import MACHINES
from zvmcloud.manager.inventory.tables import drift, seen_guests, seen_nics
from zvmcloud.manager.jobs.plan import NOTHING, Json, Plan, Step
from zvmcloud.manager.network_plans import right_step
from zvmcloud.manager.operations.declare import GUEST, Nothing, Prepared, Target, Uses, guest_of, operation
from zvmcloud.manager.operations.nics import coupling
from zvmcloud.manager.tables import nics

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

REPAIRED = ("nic-missing", "nic-uncoupled", "grant-missing", "grant-vlan", "state")


@dataclass(frozen=True, slots=True)
class Adopt:
    """``project``: whose the guest will be, "" for the caller's own. ``tags``: of a guest that was foreign."""

    project: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@operation("guest.adopt", "POST", f"{GUEST}/adopt", Adopt, Role.OPERATOR)
async def adopt(node: Node, caller: Caller, target: Target, wanted: Adopt) -> Prepared:
    """Make a foreign guest ours; of a guest that is ours, take the entry, adapters and state that it has now as meant.

    Nothing is changed in z/VM.
    """
    name = checked_userid(target.userid)
    await node.guests.must_be_no_agent(target.system, name)
    seen = await _seen(node, target.system, name)
    if seen["kind"] not in MACHINES:
        raise Conflict(f"{name} is a {seen['kind']}, not a virtual machine", code="not-a-guest", subject=name)
    ours = await node.core.owned_or_none(target.system, name)
    if ours is not None:
        _, project = await guest_of(node, caller, target, Role.OPERATOR)
        if wanted.project not in {"", project}:
            raise BadInput("project", wanted.project, f"{project}, whose the guest is; or change that first")
        uses = Uses()
    else:
        project = wanted.project or caller.project
        await node.accounts.project(project)
        caller.enters(project, Role.MEMBER, f"project {project}")
        uses = Uses(1, seen["vcpus"], seen["memory_mb"], seen["disk_mb"])
    title = f"Adopt {name} for project {project}" if ours is None else f"Take {name} as it is now"
    step = _recorded_step("adopt", f"record {name} as it is", "manager.guest_adopted", {"tags": dict(wanted.tags)})
    return Prepared(Plan("guest.adopt", title, target.system, (step,), name), project, uses=uses)


@operation("guest.forget", "POST", f"{GUEST}/forget", Nothing, Role.OPERATOR)
async def forget(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Let a guest be foreign, or forget one that is gone. Nothing is changed in z/VM; its history is kept."""
    owner, project = await guest_of(node, caller, target, Role.OPERATOR)
    gone = False
    try:
        await _seen(node, target.system, owner)
    except NotFound:
        gone = True
    step = _recorded_step("forget", f"forget {owner}", "manager.guest_forgotten", {"gone": gone})
    row = await node.core.owned(target.system, owner)
    uses = Uses(-1, -row["vcpus"], -row["memory_mb"], -row["disk_mb"])
    return Prepared(Plan("guest.forget", f"Forget {owner}", target.system, (step,), owner), project, uses=uses)


def _recorded_step(name: str, title: str, kind: str, parameters: Mapping[str, Json]) -> Step:
    """A change of what is recorded of a guest, undone with what was recorded before."""
    back = {"step": name, "forgotten": kind == "manager.guest_forgotten"}
    return Step(name, title, kind, parameters, "manager.guest_recorded_again", back)


@dataclass(frozen=True, slots=True)
class Repair:
    """``kinds``: which kinds of drift, none for all: state, grant-missing, grant-vlan, nic-missing, nic-uncoupled."""

    kinds: tuple[str, ...] = ()


@operation(
    "guest.repair",
    "POST",
    f"{GUEST}/repair",
    Repair,
    undo_unless="an adapter that was coupled to a guest LAN",
)
async def repair(node: Node, caller: Caller, target: Target, wanted: Repair) -> Prepared:
    """Make adapters, couplings and grants of a guest as they were recorded, then start it or shut it down as it was
    left. Undone: they are as they were found."""
    owner, project = await guest_of(node, caller, target)
    for kind in wanted.kinds:
        if kind not in REPAIRED:
            raise BadInput("kinds", kind, " ".join(REPAIRED))
    seen = await _seen(node, target.system, owner, whole=True)
    active = seen["state"] == "on"
    async with node.core.database.read() as connection:
        rows = await _drift(connection, target.system, owner, wanted.kinds or REPAIRED)
        meant, there = [
            {row["vdev"]: row for row in (await connection.execute(_adapters(table, target.system, owner))).mappings()}
            for table in (nics, seen_nics)
        ]
    grants: list[Step] = []
    adapters: list[Step] = []
    power: list[Step] = []
    for row in rows:
        if row["kind"] in {"grant-missing", "grant-vlan"}:
            grants.append(_grant(owner, row))
        elif row["kind"] == "state":
            power.append(_power(node, owner, row))
        else:
            adapters += _adapter(owner, meant[row["subject"]], there.get(row["subject"]), active=active)
    steps = [*grants, *adapters, *power]
    if not steps:
        raise Conflict(
            f"adapters, grants and state of {owner} are as recorded",
            code="nothing-to-repair",
            remedy="see GET /v1/drift; entries are restored, or adopted as they are",
            subject=owner,
        )
    return Prepared(Plan("guest.repair", f"Repair {owner}", target.system, tuple(steps), owner), project)


def _grant(owner: str, row: sa.RowMapping) -> Step:
    """The right to couple, into the VLAN that was recorded."""
    switch, vlan = row["subject"], row["detail"].get("vlan")
    if vlan is None:
        title = f"let {owner} use {switch}"
        return right_step(f"grant-{switch}", "vswitch.grant", title, switch, {"userid": owner})
    title = f"let {owner} use VLAN {vlan} of {switch}"
    return right_step(f"grant-{switch}", "vswitch.set_vlan", title, switch, {"userid": owner, "vlan": vlan})


def _power(node: Node, owner: str, row: sa.RowMapping) -> Step:
    """Start or shut down, as it was left."""
    if row["detail"]["left"] == "on":
        return Step("start", f"start {owner}", "guest.start", {"userid": owner}, "guest.stop", {"userid": owner})
    settings = node.settings.connector
    stop = {"userid": owner, "timeout": settings.softstop_seconds, "poll": settings.softstop_poll}
    return Step("shutdown", f"shut {owner} down", "guest.shutdown", stop, "guest.start", {"userid": owner})


def _adapters(table: sa.Table, system: str, owner: str) -> sa.Select[Any]:
    return sa.select(table).where(table.c.system == system, table.c.userid == owner)


def _adapter(owner: str, nic: sa.RowMapping, there: sa.RowMapping | None, *, active: bool) -> list[Step]:
    """An adapter as it was recorded. ``there``: as it is now, None when it is missing."""
    vdev, switch = nic["vdev"], nic["vswitch"]
    key = {"userid": owner, "vdev": vdev, "active": active}
    steps: list[Step] = []
    undo: tuple[str, dict[str, Any]] = (NOTHING, {})
    if there is None:
        made = {**key, "mac": nic["mac"]}
        steps.append(Step(f"nic-{vdev}", f"make adapter {vdev}", "nic.create", made, "nic.delete", key))
    if switch:
        coupled = {**key, "vswitch": switch, "vlan": nic["vlan"]}
        if there is not None:
            vlan = int(there["vlan"]) if there["vlan"].isdecimal() else 0
            on_a_lan = there["lan_owner"] not in {"", "SYSTEM"}
            undo = ("", {}) if on_a_lan else coupling(owner, vdev, there["lan_name"], vlan, active=active)
        steps.append(Step(f"couple-{vdev}", f"couple adapter {vdev} to {switch}", "nic.couple", coupled, *undo))
    return steps


@dataclass(frozen=True, slots=True)
class Restore:
    """``version``: a number of the entry's history."""

    version: int


@operation("guest.restore", "POST", f"{GUEST}/restore", Restore, Role.OPERATOR)
async def restore(node: Node, caller: Caller, target: Target, wanted: Restore) -> Prepared:
    """Bring a directory entry back to a version of its history; passwords and disks stay as they are now."""
    owner, project = await guest_of(node, caller, target, Role.OPERATOR)
    if wanted.version < 1:
        raise BadInput("version", wanted.version, "a number of the entry's history, from 1 on")
    await _seen(node, target.system, owner)
    version = await node.history.version(target.system, owner, wanted.version)
    now = await node.history.version(target.system, owner, 0)
    if version["gone"] or not version["entry"]:
        raise BadInput("version", wanted.version, "a version at which the entry was there")
    step = Step(
        "restore",
        f"entry {owner} back to version {wanted.version}",
        "guest.restore",
        {"userid": owner, "entry": version["entry"], "digest": now["digest"]},
        "guest.restore",
        {"userid": owner},
    )
    title = f"Restore the entry of {owner} to version {wanted.version}"
    return Prepared(Plan("guest.restore", title, target.system, (step,), owner), project)


async def _seen(node: Node, system: str, name: str, *, whole: bool = False) -> sa.RowMapping:
    """The guest as it is now; ``whole``: networks too. Raises NotFound (guest-unknown)."""
    table = seen_guests.c
    query = sa.select(seen_guests).where(table.system == system, table.userid == name, table.gone.is_(None))
    if whole:
        await node.looks.look(system)
    else:
        async with node.core.database.read() as connection:
            known = (await connection.execute(query)).mappings().one_or_none()
        if known is not None and known["kind"] not in MACHINES:
            return known
        await node.looks.look_at(system, name)
    async with node.core.database.read() as connection:
        row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFound(
            f"the directory of {system} has no entry {name}",
            code="guest-unknown",
            remedy="see GET /v1/inventory/guests",
            subject=name,
        )
    return row


async def _drift(connection: Connection, system: str, name: str, kinds: Sequence[str]) -> list[sa.RowMapping]:
    table = drift.c
    query = sa.select(drift).where(table.system == system, table.userid == name, table.kind.in_(kinds))
    return list((await connection.execute(query.order_by(table.kind, table.subject))).mappings())
