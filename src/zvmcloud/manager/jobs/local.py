"""Local steps: what a job does in the manager's own database, in the transaction that also records the step's end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zvmcloud.manager.database import Connection
from zvmcloud.manager.jobs.plan import Json, Step


@dataclass(frozen=True, slots=True)
class LocalContext:
    """What a local step may use: the transaction that also records its end, its job, the results of earlier steps by
    name, the folder that all managers share, and the project the job is for."""

    connection: Connection
    job: str
    system: str
    userid: str
    results: Mapping[str, Mapping[str, Json]]
    folder: Path
    project: str


LocalStep = Callable[[LocalContext, Mapping[str, Json]], Awaitable[Mapping[str, Json] | None]]
_LOCAL: dict[str, LocalStep] = {}


def local(kind: str) -> Callable[[LocalStep], LocalStep]:
    """Register the function that does local steps of ``kind``. It must be harmless when run again."""

    def register(function: LocalStep) -> LocalStep:
        _LOCAL[kind] = function
        return function

    return register


async def run_local(context: LocalContext, step: Step) -> Mapping[str, Json]:
    """Do a local step; its result."""
    return await _LOCAL[step.kind](context, step.parameters) or {}
