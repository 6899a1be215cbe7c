"""Evacuations: which guests of a system go, in which order, and to which member of the SSI cluster each.

z/VM is asked for each guest and member whether it could go (VMRELOCATE TEST); of the members where nothing stands
against it, it gets the one that has been given the least memory by then, so that they fill evenly. Guests go one after
the other: each relocation takes as much of the links between members as it can get (judgement). When one fails, it is
taken back alone, if it was to go to a system of ours; those that have moved stay where they are, since they were to
leave anyway. An undo that is asked for, of such a job too, sends every guest back that can go; what stands against the
others is told in their steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from zvmcloud.manager.core import Core
from zvmcloud.manager.errors import BadInput, Conflict, NotFound
from zvmcloud.manager.facts import Document
from zvmcloud.manager.fcp import FcpPool
from zvmcloud.manager.guest_plans import Relocation, plan_relocate, powered
from zvmcloud.manager.guests import Guests
from zvmcloud.manager.jobs.plan import Json, Plan, Step
from zvmcloud.manager.storage import following


class Evacuations:
    """Plans evacuations."""

    def __init__(self, core: Core, guests: Guests, fcp: FcpPool) -> None:
        self._core = core
        self._guests = guests
        self._fcp = fcp

    async def plan(
        self,
        system: str,
        *,
        first: Sequence[str] = (),
        without: Sequence[str] = (),
        destinations: Sequence[str] = (),
        skip: bool = False,
        limits: tuple[int, int] = (0, 0),
    ) -> tuple[Plan, tuple[str, ...]]:
        """The plan, and the userids that go. ``limits``: the longest total and quiesce time in seconds, of each.

        Raises BadInput, NotFound (guest-unknown), Conflict (no-cluster, not-relocatable, nothing-to-evacuate).
        """
        members = await self._members(system, [name.upper() for name in destinations])
        given = dict.fromkeys(members, 0)
        steps: list[Step] = []
        moved: list[str] = []
        for userid, memory in await self._running(system, first, {name.upper() for name in without}):
            reasons = {}
            for member in sorted(members, key=lambda name: (given[name], name)):
                reasons[member] = await self._against(system, userid, member)
                if not reasons[member]:
                    break
            else:
                if skip:
                    continue
                said = "; ".join(f"to {member}: {reason}" for member, reason in reasons.items())
                raise Conflict(
                    f"{userid} cannot leave {system}: {said}",
                    code="not-relocatable",
                    remedy="mend what stands against it, name it in without, or ask to skip such guests",
                    subject=userid,
                )
            given[member] += memory
            moved.append(userid)
            steps += await self._steps(system, userid, member, limits)
        if not steps:
            raise Conflict(f"no guest of ours is to leave {system}", code="nothing-to-evacuate", subject=system)
        title = f"Evacuate {len(moved)} guest(s) of {system}"
        return Plan("system.evacuate", title, system, tuple(steps), durable=True), tuple(moved)

    async def _members(self, system: str, wanted: Sequence[str]) -> tuple[str, ...]:
        """The other members that are joined."""
        cluster = Document(await self._core.agent(system).get("/v1/ssi"))
        joined = [
            member.text("system")
            for member in cluster.documents("members")
            if member.text("state").upper() == "JOINED" and member.text("system").upper() != system
        ]
        unknown = [name for name in wanted if name not in joined]
        if unknown:
            raise BadInput("destinations", unknown[0], "joined members: " + (", ".join(joined) or "(none)"))
        if not joined:
            raise Conflict(f"{system} has no other member that is joined", code="no-cluster", subject=system)
        return tuple(wanted or joined)

    async def _running(self, system: str, first: Sequence[str], without: set[str]) -> list[tuple[str, int]]:
        """Our guests that are on, in the order in which they go, each with its memory in MiB."""
        ours = {row["userid"]: row for row in await self._guests.rows(system) if not row["comments"].get("migrated")}
        order = [name.upper() for name in first]
        for name in order:
            if name not in ours:
                raise NotFound(f"Guest '{name}' does not exist.", code="guest-unknown", subject=name)
        found = []
        for name in dict.fromkeys((*order, *ours)):
            if name not in without:
                facts = await self._guests.facts(system, name)
                if powered(facts):
                    found.append((name, facts.number("memory_mb")))
        return found

    async def _against(self, system: str, userid: str, member: str) -> str:
        """What stands against a move, "" when nothing does."""
        volumes = await following.against(self._core, system, userid, member.upper())
        if volumes:
            return volumes
        answer = await self._guests.relocation(system, userid, member)
        if answer.flag("possible"):
            return ""
        return ", ".join(item.text("what") for item in answer.documents("blockers")) or "z/VM does not say why"

    async def _steps(self, system: str, userid: str, member: str, limits: tuple[int, int]) -> list[Step]:
        request = Relocation(userid, member, max_total=limits[0], max_quiesce=limits[1])
        managed = member.upper() in self._core.agents.names
        steps = []
        devices = await following.kept(self._fcp, system, userid)
        others = await following.promised(self._fcp, member.upper(), userid) if managed and devices else ()
        for step in plan_relocate(system, userid, request, managed=managed, devices=devices, kept=others).steps:
            told, back = _named(step.parameters, userid), _named(step.undo_parameters, userid)
            name = f"{step.name}-{userid.lower()}"
            steps.append(replace(step, name=name, parameters=told, undo_parameters=back))
        return [*steps[:-1], replace(steps[-1], stays=True)]


def _named(parameters: Mapping[str, Json], userid: str) -> dict[str, Json]:
    """With the names that steps have when there are several guests."""
    names = {key: f"{parameters[key]}-{userid.lower()}" for key in ("after", "devices_of") if key in parameters}
    return {**parameters, **names}
