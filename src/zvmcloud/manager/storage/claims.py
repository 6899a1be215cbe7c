"""What a job needs for itself is taken in the moment it begins: a LUN, FCP devices, a volume.

::

    plan --> Plans.run --> take: one transaction, all claims of the plan's steps, each with an end
                 |               Overtaken: another was faster; planned anew
                 v
             the job begins; its step confirms the claim, which has no end then

A claim whose job never began ends by itself (`steps.expire`). A claimed step can also run without its claim, which may
have ended while the job waited: it takes what is still there, or fails.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from zvmcloud.manager.core import Core
from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.jobs.local import LocalContext, local
from zvmcloud.manager.jobs.plan import Json, Plan

_UNSET = 3600.0
"""Seconds for which a claim is kept where reservations have no end."""

Claim = Callable[[LocalContext, Mapping[str, Json], float | None], Awaitable[Mapping[str, Json] | None]]
_CLAIMS: dict[str, Claim] = {}


class Overtaken(Conflict):
    """Another was faster; a plan made anew may find something else."""

    code = "overtaken"


def claimed(kind: str) -> Callable[[Claim], Claim]:
    """Register the function of local steps of ``kind``, which is told None, and of their claims, told their end."""

    def register(function: Claim) -> Claim:
        async def confirm(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
            return await function(context, parameters, None)

        _CLAIMS[kind] = function
        local(kind)(confirm)
        return function

    return register


async def take(core: Core, plan: Plan, job: str) -> None:
    """Claim everything that the steps of a plan need, or nothing. Raises Overtaken, and what the claims raise."""
    wanted = [step for step in plan.steps if step.kind in _CLAIMS]
    if not wanted:
        return
    until = core.settings.reserved_until() or time.time() + _UNSET
    async with core.database.write() as connection:
        context = LocalContext(connection, job, plan.system, plan.userid, {}, core.materials.folder, plan.project)
        for step in wanted:
            await _CLAIMS[step.kind](context, step.parameters, until)
