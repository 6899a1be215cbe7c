"""What a plan would do, as the agent tells it, and digests of what a plan was made from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from zvmcloud.manager.core import Core
from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import NotFound
from zvmcloud.manager.facts import Document
from zvmcloud.manager.jobs.plan import Json, Plan
from zvmcloud.manager.storage import rows
from zvmcloud.manager.tables import nics

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node

GONE = "absent"
_PASSING = ("switch_status", "vepa_status")
"""Attributes of a VSWITCH that change by themselves."""


@dataclass(frozen=True, slots=True)
class EntryChange:
    """Statements that a step would bring into a directory entry and take out of it, passwords masked."""

    userid: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A change that a step would make: a SMAPI function, a CP command, a punch, a disk write, a command in a guest."""

    kind: str
    name: str
    parameters: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one step would do; a step of the manager itself does nothing on z/VM."""

    calls: tuple[PlannedCall, ...] = ()
    entries: tuple[EntryChange, ...] = ()

    @classmethod
    def of(cls, told: Document) -> Rehearsed:
        """From the agent's answer, or from what was kept."""
        calls = tuple(
            PlannedCall(call.text("kind"), call.text("name"), dict(call.document("parameters").items()))
            for call in told.documents("calls")
        )
        entries = tuple(
            EntryChange(item.text("userid"), item.texts("added"), item.texts("removed"))
            for item in told.documents("entries")
        )
        return cls(calls, entries)


async def rehearse(core: Core, plans: Sequence[tuple[str, Plan]]) -> Mapping[str, tuple[Rehearsed, ...]]:
    """What each step of the plans would do, by the id of the job (which has the plan's files): on each system each step
    after those before it, and each plan after those before it.

    Raises AgentFailure with what a step would be refused with, AgentUnreachable.
    """
    found = {job: [Rehearsed() for _ in plan.steps] for job, plan in plans}
    every = [
        (step.system or plan.system, job, number, step)
        for job, plan in plans
        for number, step in enumerate(plan.steps)
        if not step.local
    ]
    for system in dict.fromkeys(where for where, *_ in every):
        remote = [(job, number, step) for where, job, number, step in every if where == system]
        operations: list[Json] = [
            {"kind": step.kind, "parameters": await core.materials.fill(job, step.kind, step.parameters)}
            for job, _, step in remote
        ]
        answer = Document(await core.agent(system).post("/v1/operations/rehearse", {"operations": operations}))
        for (job, number, _), told in zip(remote, answer.documents("operations"), strict=True):
            found[job][number] = Rehearsed.of(told)
    return {job: tuple(told) for job, told in found.items()}


async def digest(node: Node, system: str, name: str) -> str:
    """The digest of something a plan was made from: ``nics USERID``, ``vswitch NAME``, ``lan OWNER NAME``,
    ``volume NAME``, ``lun POOL NAME``."""
    kind, _, what = name.partition(" ")
    if kind == "vswitch":
        return await _vswitch(node, system, what)
    if kind == "lan":
        return await _lan(node, system, *what.split())
    async with node.core.database.read() as connection:
        if kind == "volume":
            return await _volume(connection, system, what)
        if kind == "lun":
            pool, _, lun = what.partition(" ")
            where = await rows.pool(connection, system, pool)
            return _digest(dataclasses.asdict(await rows.one_lun(connection, where, lun)))
        query = sa.select(nics).where(nics.c.system == system, nics.c.userid == what).order_by(*nics.primary_key)
        found = (await connection.execute(query)).mappings().all()
    return _digest([dict(row) for row in found]) if found else GONE


async def _volume(connection: Connection, system: str, name: str) -> str:
    try:
        return _digest(dataclasses.asdict(await rows.volume(connection, system, name)))
    except NotFound:
        return GONE


async def _vswitch(node: Node, system: str, name: str) -> str:
    """Its attributes and real devices. Who may couple to it and who does is seen in the rehearsal."""
    try:
        switch = await node.networks.vswitch(system, name)
    except NotFound:
        return GONE
    attributes = {key: value for key, value in switch.document("attributes").items() if key not in _PASSING}
    devices = [device.text("real_device_address") for device in switch.documents("real_devices")]
    return _digest([attributes, devices])


async def _lan(node: Node, system: str, owner: str, name: str) -> str:
    """A guest LAN with the adapters that are coupled to it."""
    answer = Document(await node.core.agent(system).get("/v1/lans"))
    found = [lan for lan in answer.documents("lans") if (lan.text("owner"), lan.text("name")) == (owner, name)]
    return _digest([dict(lan.items()) for lan in found]) if found else GONE


def _digest(document: Json) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()
