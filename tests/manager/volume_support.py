"""A manager with a pool of LUNs and guests, as the tests of volumes want it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.fcp import TemplateChange
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.inventory.tables import seen_resources
from zvmcloud.manager.jobs.plan import JobRecord
from zvmcloud.manager.node import Node
from zvmcloud.manager.operations import OPERATIONS, Target
from zvmcloud.manager.storage.pool_file import Lun
from zvmcloud.manager.storage.rows import Volume, volumes_of

PORTS = "5005076306138411;5005076306138412"
SIZES = (10, 20, 20, 40)
POOL = "".join(f"free,{PORTS},40104004{number:08x},{size}G,,,,\n" for number, size in enumerate(SIZES))
ADMIN = Caller("admin", Role.ADMIN, project="default")
CLUSTER = {"systems": [{"name": "ZVM1", "url": "http://zhcp"}, {"name": "ZVM2", "url": "http://zhcp2"}]}
TEMPLATE = TemplateChange(name="t", devices="1a00-1a03;1b00-1b03", host_default=True)


async def prepared(node: Node, zhcp: FakeZhcp, *guests: str) -> None:
    """A pool of four LUNs, a template of two paths of four devices, and guests that are on."""
    await node.fcp.create("ZVM1", TEMPLATE)
    await node.pools.load("ZVM1", "P1", POOL)
    for guest in guests:
        wish = OPERATIONS["guest.create"].parameters(userid=guest, vcpus=1, memory_mb=512, project="default")
        await done(node, "guest.create", parameters=wish)
        zhcp.guests[guest]["state"] = "on"


async def clustered(node: Node, one: FakeZhcp, two: FakeZhcp) -> None:
    """Both systems are members of one cluster, and have been seen to be."""
    members = [{"system": name, "state": "JOINED"} for name in ("ZVM1", "ZVM2")]
    for name, agent, other in (("ZVM1", one, two), ("ZVM2", two, one)):
        agent.answers["ssi"] = {"member": True, "name": "SSI1", "members": members}
        agent.member, agent.peers = name, {{"ZVM1": "ZVM2", "ZVM2": "ZVM1"}[name]: other}
    two.guests = one.guests
    for guest in one.guests.values():
        guest["member"] = "ZVM1"
    async with node.core.database.write() as connection:
        seen = {"kind": "ssi", "name": "SSI1", "facts": {}, "first": 1.0, "changed": 1.0}
        await connection.execute(sa.insert(seen_resources), [{**seen, "system": name} for name in ("ZVM1", "ZVM2")])


async def begun(
    node: Node, name: str, /, guest: str = "", item: str = "", system: str = "ZVM1", **words: Any
) -> JobRecord:
    """Ask for an operation as a front door does."""
    operation = OPERATIONS[name]
    parameters = words.pop("parameters", None) or operation.parameters(**words)
    return await node.plans.run(operation, ADMIN, Target(system, guest, item), parameters, origin="test")


async def done(node: Node, name: str, /, guest: str = "", item: str = "", **words: Any) -> JobRecord:
    """The same, when it is over. Raises ManagerError when it failed."""
    job = await begun(node, name, guest, item, **words)
    async for record in node.journal.watch(job.id):
        if record.over:
            if record.state != "done":
                raise ManagerError(str((record.error or {}).get("detail")))
            return record
    raise AssertionError("a watch ends only with a job that is over")


async def undone(node: Node, job: JobRecord) -> JobRecord:
    """Have a job that is done undone; as it ended."""
    await node.core.again(job.id, backwards=True)
    async for record in node.journal.watch(job.id):
        if record.over:
            return record
    raise AssertionError("a watch ends only with a job that is over")


async def create(node: Node, name: str, size_gb: int, **words: Any) -> JobRecord:
    return await done(node, "volume.create", name=name, pool="p1", size_gb=size_gb, **words)


async def luns(node: Node) -> tuple[Lun, ...]:
    return tuple((await node.pools.pool("ZVM1", "p1")).luns.values())


async def volumes(node: Node, home: str = "ZVM1") -> dict[str, Volume]:
    async with node.core.database.read() as connection:
        return {item.name: item for item in (await volumes_of(connection, (home,))).values()}
