"""What a job needs for itself is taken in the moment it begins: a LUN, FCP devices, a volume.

::

    plan --> Plans.run --> one transaction: all claims of the plan's steps (take), and the job that begins
                 |             Overtaken: another was faster; nothing begins, and it is planned anew
                 v
             the job's step confirms the claim when it comes to it

What a job claimed and never came to, because it was cancelled or an earlier step failed, is given back soon after the
job is over (`steps.give_back`). A step of a job that is retried may run without its claim: it takes what is still
there, or fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.jobs.local import LocalContext, local
from zvmcloud.manager.jobs.plan import Json, Plan

Claim = Callable[[LocalContext, Mapping[str, Json], bool], Awaitable[Mapping[str, Json] | None]]
_CLAIMS: dict[str, Claim] = {}


class Overtaken(Conflict):
    """Another was faster; a plan made anew may find something else."""

    code = "overtaken"


def claims(kind: str) -> Callable[[Claim], Claim]:
    """Register the function of local steps of ``kind`` and of their claims; it is told which of the two it does."""

    def register(function: Claim) -> Claim:
        async def confirm(context: LocalContext, parameters: Mapping[str, Json]) -> Mapping[str, Json] | None:
            return await function(context, parameters, False)

        _CLAIMS[kind] = function
        local(kind)(confirm)
        return function

    return register


async def take(connection: Connection, begun: Sequence[tuple[str, Plan]], folder: Path) -> None:
    """Claim everything that the steps of jobs need, in the transaction in which they begin. Raises Overtaken, and what
    the claims raise."""
    for job, plan in begun:
        context = LocalContext(connection, job, plan.system, plan.userid, {}, folder, plan.project)
        for step in plan.steps:
            if step.kind in _CLAIMS:
                await _CLAIMS[step.kind](context, step.parameters, True)
